"""Valid files and messages from which mutations start: those that several targets use."""

from __future__ import annotations

import tempfile
from functools import cache
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from mp_perception.bags.kitti_to_bag import write_objects
from mp_perception.bags.reading import BagReader

LABELS = (
    "Car 0.00 0 -1.57 20.00 10.00 40.00 30.00 1.50 1.60 3.90 0.50 1.60 12.00 -1.57\n"
    "Pedestrian 0.20 1 0.30 1.00 5.00 8.00 30.00 1.70 0.60 0.80 -4.00 1.70 15.00 0.10 0.91\n"
    "DontCare -1 -1 -10 50.00 10.00 60.00 20.00 -1 -1 -1 -1000 -1000 -1000 -10\n"
)
_PROJECTION = "721.5 0 609.6 44.9 0 721.5 172.9 0.2 0 0 1 0.003"
_ROTATION = "1 0 0 0 1 0 0 0 1"
_LIDAR = "0 -1 0 0 0 0 -1 -0.1 1 0 0 -0.3"
SEQUENCE_CALIBRATION = f"P2: {_PROJECTION}\nR_rect {_ROTATION}\nTr_velo_cam {_LIDAR}\n".encode()
OBJECT_CALIBRATION = (
    "".join(f"P{camera}: {_PROJECTION}\n" for camera in range(4))
    + f"R0_rect: {_ROTATION}\nTr_velo_to_cam: {_LIDAR}\nTr_imu_to_velo: {_LIDAR}\n"
).encode()
RAW_CALIBRATION = (
    f"calib_time: 09-Jan-2012 13:57:47\nR_rect_00: {_ROTATION}\n"
    + "".join(f"S_rect_0{camera}: 1242 375\nP_rect_0{camera}: {_PROJECTION}\n" for camera in (2, 3))
).encode()
SCAN = np.array([[9, 0, 0, 0.5], [7, 1, -1, 0.1]], dtype="<f4").tobytes()


def encoded(suffix: str, pixels: NDArray[np.generic]) -> bytes:
    """A picture in a format such as ".png"."""
    _, data = cv2.imencode(suffix, pixels)
    return data.tobytes()


def picture() -> NDArray[np.uint8]:
    """A colour gradient of 32x24 pixels."""
    return np.arange(24 * 32 * 3, dtype=np.uint8).reshape(24, 32, 3)


@cache
def bag_files(storage: str) -> dict[str, bytes]:
    """Suffix -> content of the files of a bag: two frames with all kinds of ground truth."""
    files = {
        "image_2/{}.png": encoded(".png", picture()),
        "depth_2/{}.png": encoded(".png", np.full((24, 32), 9 * 256, dtype=np.uint16)),
        "label_2/{}.txt": LABELS.encode(),
        "calib/{}.txt": OBJECT_CALIBRATION,
        "velodyne/{}.bin": SCAN,
    }
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        for name, content in files.items():
            for frame in ("000000", "000001"):
                path = root / "training" / name.format(frame)
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(content)
        write_objects(root, None, root / "bag", storage)
        return {path.suffix: path.read_bytes() for path in (root / "bag").iterdir()}


def recorded_messages(type_name: str) -> list[bytes]:
    """The serialised messages of this type in the bag."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "bag.mcap"
        path.write_bytes(bag_files("mcap")[".mcap"])
        with BagReader(path) as reader:
            topics = [topic.name for topic in reader.topics.values() if topic.type == type_name]
            return [bytes(message.data) for message in reader.messages(topics)]
