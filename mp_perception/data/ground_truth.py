"""What the depth maps of a data set are, in words, for reports."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

SINGLE_SCAN = "single lidar scan, projected (nearest point wins)"
IMPROVED_DEPTH = "KITTI's improved ground truth (11 scans, checked against stereo)"
EXACT_DEPTH = "exact depth of the synthetic scene"


def describe_depth_maps(paths: Iterable[Path]) -> str:
    """What depth maps are, as far as KITTI's folder names identify them."""
    folders = {part for path in paths for part in path.parts[-4:-1]}
    kinds = []
    if folders & {"groundtruth", "groundtruth_depth"}:
        kinds.append(IMPROVED_DEPTH)
    if folders & {"velodyne_raw", "depth_2"}:
        kinds.append(SINGLE_SCAN)
    return f"mixed: {' and '.join(kinds)}" if len(kinds) > 1 else next(iter(kinds), "depth maps of the data set")
