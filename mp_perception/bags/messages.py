"""Arrays into ROS messages for bags (rosbags' message classes; no rclpy).

Stamps are nanoseconds since 1970.  `BagWriter.write` takes what these functions return.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import cv2
import numpy as np
from numpy.typing import NDArray
from rosbags.interfaces import Nodetype
from rosbags.interfaces.typing import FieldDesc

from mp_perception.bags.message_types import type_store
from mp_perception.geometry import CameraIntrinsics

#: A message of rosbags' type store.  Its classes are made at run time, so there is no static type.
Message = Any

#: ROS 2's names of types that NumPy calls otherwise.
_DTYPES = {"byte": "uint8", "char": "uint8"}
_FLOAT32 = 7  # sensor_msgs/PointField.FLOAT32
_IMAGE_ENCODINGS = {
    "rgb8": (np.uint8, 3),
    "bgr8": (np.uint8, 3),
    "mono8": (np.uint8, 1),
    "16UC1": (np.uint16, 1),
    "32FC1": (np.float32, 1),
}


def image_message(image: NDArray[Any], encoding: str, frame_id: str, stamp_ns: int) -> Message:
    """sensor_msgs/Image of an array (H, W, 3) or (H, W) whose type fits the encoding.

    encoding: rgb8, bgr8, mono8, 16UC1 (millimetres) or 32FC1 (metres).  Raises ValueError if the array does not fit.
    """
    if encoding not in _IMAGE_ENCODINGS:
        raise ValueError(f"encoding {encoding!r}: expected one of {', '.join(_IMAGE_ENCODINGS)}")
    dtype, num_channels = _IMAGE_ENCODINGS[encoding]
    channels = image.shape[2] if image.ndim == 3 else 1
    if image.dtype != dtype or image.ndim not in (2, 3) or channels != num_channels:
        raise ValueError(f"{encoding}: expected {np.dtype(dtype)} with {num_channels} channels, found {image.shape}")
    height, width = image.shape[:2]
    return new_message(
        "sensor_msgs/msg/Image",
        header=header(frame_id, stamp_ns),
        height=height,
        width=width,
        encoding=encoding,
        is_bigendian=0,
        step=width * num_channels * image.dtype.itemsize,
        data=np.ascontiguousarray(image).view(np.uint8).reshape(-1),
    )


def camera_info_message(
    intrinsics: CameraIntrinsics, frame_id: str, stamp_ns: int, stereo_baseline: float = 0.0
) -> Message:
    """sensor_msgs/CameraInfo of a rectified camera: no distortion, no rotation.

    stereo_baseline: metres from the left to this camera for the right camera of a pair, which ROS wants as
    P[0, 3] = -fx * baseline; 0 for the left one.
    """
    fx, fy, cx, cy = intrinsics.fx, intrinsics.fy, intrinsics.cx, intrinsics.cy
    return new_message(
        "sensor_msgs/msg/CameraInfo",
        header=header(frame_id, stamp_ns),
        height=intrinsics.height,
        width=intrinsics.width,
        distortion_model="plumb_bob",
        d=np.zeros(5),
        k=np.array([fx, 0, cx, 0, fy, cy, 0, 0, 1], dtype=np.float64),
        r=np.eye(3).ravel(),
        p=np.array([fx, 0, cx, -fx * stereo_baseline, 0, fy, cy, 0, 0, 0, 1, 0], dtype=np.float64),
        binning_x=0,
        binning_y=0,
        roi=new_message(
            "sensor_msgs/msg/RegionOfInterest", x_offset=0, y_offset=0, height=0, width=0, do_rectify=False
        ),
    )


def point_cloud_message(
    points: NDArray[np.floating], frame_id: str, stamp_ns: int, fourth: Literal["intensity", "rgb"] = "intensity"
) -> Message:
    """sensor_msgs/PointCloud2 of points (N, 4): x, y, z in metres and `fourth`, as four float32.

    rgb is a colour 0xRRGGBB whose bits stand for a float32, as PCL has it.
    """
    if points.ndim != 2 or points.shape[1] != 4:
        raise ValueError(f"expected points (N, 4), found {points.shape}")
    fields = [
        new_message("sensor_msgs/msg/PointField", name=name, offset=4 * position, datatype=_FLOAT32, count=1)
        for position, name in enumerate(("x", "y", "z", fourth))
    ]
    data = np.ascontiguousarray(points, dtype="<f4")
    return new_message(
        "sensor_msgs/msg/PointCloud2",
        header=header(frame_id, stamp_ns),
        height=1,
        width=len(data),
        fields=fields,
        is_bigendian=False,
        point_step=16,
        row_step=16 * len(data),
        data=data.view(np.uint8).reshape(-1),
        is_dense=bool(np.isfinite(data).all()),
    )


def transforms_message(transforms: Sequence[tuple[str, str, NDArray[np.floating]]], stamp_ns: int) -> Message:
    """tf2_msgs/TFMessage of (parent frame, child frame, pose of the child in the parent (4, 4), metres)."""
    return new_message(
        "tf2_msgs/msg/TFMessage",
        transforms=[
            new_message(
                "geometry_msgs/msg/TransformStamped",
                header=header(parent, stamp_ns),
                child_frame_id=child,
                transform=new_message(
                    "geometry_msgs/msg/Transform",
                    translation=new_message("geometry_msgs/msg/Vector3", **_named("xyz", pose[:3, 3])),
                    rotation=new_message("geometry_msgs/msg/Quaternion", **_named("xyzw", quaternion(pose[:3, :3]))),
                ),
            )
            for parent, child, pose in transforms
        ],
    )


def quaternion(rotation: NDArray[np.floating]) -> NDArray[np.float64]:
    """Unit quaternion (x, y, z, w), w >= 0, of a rotation matrix (3, 3)."""
    # The quaternion is the eigenvector of the largest eigenvalue of this symmetric matrix (Bar-Itzhack 2000): no
    # case is singular, and a matrix that is slightly off a rotation gives the nearest one.
    (xx, xy, xz), (yx, yy, yz), (zx, zy, zz) = rotation
    matrix = np.array(
        [
            [xx - yy - zz, yx + xy, zx + xz, zy - yz],
            [yx + xy, yy - xx - zz, zy + yz, xz - zx],
            [zx + xz, zy + yz, zz - xx - yy, yx - xy],
            [zy - yz, xz - zx, yx - xy, xx + yy + zz],
        ]
    )
    _, vectors = np.linalg.eigh(matrix)
    found: NDArray[np.float64] = vectors[:, -1]
    return found if found[3] >= 0 else -found


def rotation_matrix(orientation: Message) -> NDArray[np.float64] | None:
    """(3, 3) of a geometry_msgs/Quaternion, or None if it is no rotation (all zeros, NaN)."""
    x, y, z, w = orientation.x, orientation.y, orientation.z, orientation.w
    norm = x * x + y * y + z * z + w * w
    if not (np.isfinite(norm) and norm > 1e-12):
        return None
    double = 2 / norm
    return np.array(
        [
            [1 - double * (y * y + z * z), double * (x * y - z * w), double * (x * z + y * w)],
            [double * (x * y + z * w), 1 - double * (x * x + z * z), double * (y * z - x * w)],
            [double * (x * z - y * w), double * (y * z + x * w), 1 - double * (x * x + y * y)],
        ]
    )


def string_message(text: str) -> Message:
    """std_msgs/String."""
    return new_message("std_msgs/msg/String", data=text)


def compressed_image_message(image: NDArray[np.uint8], quality: int, frame_id: str, stamp_ns: int) -> Message:
    """sensor_msgs/CompressedImage, JPEG, of an RGB image (H, W, 3).  quality: 1..100, as JPEG has it."""
    good, data = cv2.imencode(".jpg", cv2.cvtColor(image, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, quality])
    assert good
    return new_message(
        "sensor_msgs/msg/CompressedImage", header=header(frame_id, stamp_ns), format="jpeg", data=data.reshape(-1)
    )


def new_message(type_name: str, **fields: Any) -> Message:
    """A message of a type such as sensor_msgs/msg/Image; fields that are left out are zero or empty."""
    left_out = {name: kind for name, kind in type_store().fielddefs[type_name][1] if name not in fields}
    return type_store().types[type_name](**fields, **{name: _zero(kind) for name, kind in left_out.items()})


def _zero(kind: FieldDesc) -> Any:
    """The value of a field that nobody set."""
    match kind:
        case (Nodetype.NAME, str(type_name)):
            return new_message(type_name)
        case (Nodetype.BASE, (str(base), _)):
            return {"string": "", "wstring": "", "bool": False, "float32": 0.0, "float64": 0.0}.get(base, 0)
        case (Nodetype.ARRAY, ((Nodetype.BASE, (str(base), _)), int(length))) if base not in ("string", "wstring"):
            return np.zeros(length, _DTYPES.get(base, base))
        case (Nodetype.SEQUENCE, ((Nodetype.BASE, (str(base), _)), _)) if base not in ("string", "wstring"):
            return np.zeros(0, _DTYPES.get(base, base))
        case (Nodetype.ARRAY, (element, int(length))):
            return [_zero(element) for _ in range(length)]
    return []


def header(frame_id: str, stamp_ns: int) -> Message:
    """std_msgs/Header."""
    seconds, nanoseconds = divmod(stamp_ns, 1_000_000_000)
    stamp = new_message("builtin_interfaces/msg/Time", sec=seconds, nanosec=nanoseconds)
    return new_message("std_msgs/msg/Header", stamp=stamp, frame_id=frame_id)


def _named(names: str, values: NDArray[np.floating]) -> dict[str, float]:
    return {name: float(value) for name, value in zip(names, values, strict=True)}
