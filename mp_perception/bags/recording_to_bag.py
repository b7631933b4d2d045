"""A camera's recording in a folder (data.recording) as a rosbag2, as a driver of a depth camera would have recorded it.

Topics: /camera/color/image_raw/compressed, which holds the image files as they are, /camera/color/camera_info,
/camera/aligned_depth_to_color/image_raw (32FC1), and /ground_truth/detections where there are labels.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from mp_perception.bags.message_types import bag_header, new_message
from mp_perception.bags.truth_messages import boxes_message
from mp_perception.bags.writing import BagWriter, Storage
from mp_perception.data.recording import Recording
from mp_perception.messages.camera_info import camera_info_message
from mp_perception.messages.images import depth_message
from mp_perception.progress import track

_FRAME = "camera_color_optical_frame"
#: Without time stamps: midnight of a day, and the time between two frames.
_FIRST_STAMP_NS, _PERIOD_NS = 1_700_000_000_000_000_000, 100_000_000


def write_recording(root: Path, split: str | None, path: Path, storage: Storage = "mcap") -> int:
    """Write a recording to a new bag, and return the number of frames.

    split: a split file, or its name in <root>/ImageSets; None for all frames.
    Raises UserError if the bag exists or a file is missing or damaged.
    """
    frames = Recording(root, split)
    seconds = frames.seconds()
    with BagWriter(path, storage) as bag:
        for index in track(range(len(frames)), f"writing {path.name}"):
            sample, labels = frames[index], frames.labels(index)
            stamp_ns = _FIRST_STAMP_NS + index * _PERIOD_NS if seconds is None else round(seconds[index] * 1e9)
            header = bag_header(_FRAME, stamp_ns)
            # The image comes last, so that everything else has arrived when it is processed.
            if labels is not None:
                bag.write("/ground_truth/detections", stamp_ns, boxes_message(labels, header))
            if sample.depth is not None:
                depth = depth_message(new_message, sample.depth, "32FC1", header)
                bag.write("/camera/aligned_depth_to_color/image_raw", stamp_ns, depth)
            if sample.intrinsics is not None:
                info = camera_info_message(new_message, sample.intrinsics, header)
                bag.write("/camera/color/camera_info", stamp_ns, info)
            file = frames.frames[index].image
            image = new_message(
                "sensor_msgs/msg/CompressedImage",
                header=header,
                format="png" if file.suffix.lower() == ".png" else "jpeg",
                data=np.frombuffer(file.read_bytes(), dtype=np.uint8),
            )
            bag.write("/camera/color/image_raw/compressed", stamp_ns, image)
    return len(frames)
