"""COCO's mean average precision, computed by torchmetrics with pycocotools, beside KITTI's own figures.

The only module of evaluation that needs PyTorch, and only when its function is called.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from importlib.util import find_spec
from typing import Any

import numpy as np

from mp_perception.data.object_label import IGNORED_REGION, ObjectLabel
from mp_perception.prediction import Detections

#: What computes the figures.
LIBRARIES = ("torchmetrics", "pycocotools")


def missing_libraries() -> list[str]:
    """Which of LIBRARIES are not installed; nothing is imported."""
    return [name for name in LIBRARIES if find_spec(name) is None]


def coco_mean_average_precision(
    images: Iterable[tuple[Sequence[ObjectLabel], Detections]], class_names: Sequence[str]
) -> dict[str, Any]:
    """COCO's figures in percent, None where no object of the kind is labelled.

    images: labels and detections of each image.  class_names: the classes scored; labels of other classes are left
    out, except that ignored regions are COCO's crowd regions of every class, so that detections there do not count.
    Returns mAP (IoU 0.50:0.95), AP50, AP75, AP_small, AP_medium, AP_large, AR100 and mAP_by_class.
    """
    import torch
    from torchmetrics.detection import MeanAveragePrecision

    # torchmetrics' own thresholds are float32: a recall of exactly 0.29 does not reach them.
    metric = MeanAveragePrecision(
        box_format="xyxy",
        iou_type="bbox",
        class_metrics=True,
        iou_thresholds=np.linspace(0.5, 0.95, 10).tolist(),
        rec_thresholds=np.linspace(0, 1, 101).tolist(),
    )
    number = {name: i for i, name in enumerate(class_names)}
    for labels, detections in images:
        names = [detections.name(i) for i in range(len(detections))]
        known = np.array([name in number for name in names], dtype=bool)
        targets = [(label.box, number[label.class_name], 0) for label in labels if label.class_name in number]
        ignored = [label.box for label in labels if label.class_name == IGNORED_REGION]
        targets += [(box, i, 1) for box in ignored for i in number.values()]
        metric.update(
            [
                {
                    "boxes": torch.tensor(detections.boxes[known].reshape(-1, 4), dtype=torch.float32),
                    "scores": torch.tensor(detections.scores[known], dtype=torch.float32),
                    "labels": torch.tensor([number[name] for name in names if name in number], dtype=torch.int64),
                }
            ],
            [
                {
                    "boxes": torch.tensor([box for box, _, _ in targets], dtype=torch.float32).reshape(-1, 4),
                    "labels": torch.tensor([label for _, label, _ in targets], dtype=torch.int64),
                    "iscrowd": torch.tensor([crowd for _, _, crowd in targets], dtype=torch.int64),
                }
            ],
        )
    values = metric.compute()
    keys = {
        "mAP": "map",
        "AP50": "map_50",
        "AP75": "map_75",
        "AP_small": "map_small",
        "AP_medium": "map_medium",
        "AP_large": "map_large",
        "AR100": "mar_100",
    }
    result: dict[str, Any] = {name: _percent(values[key].item()) for name, key in keys.items()}
    # torchmetrics returns only the classes that it met, as one number or several.
    met = values["classes"].reshape(-1).tolist()
    by_class = dict(zip(met, values["map_per_class"].reshape(-1).tolist(), strict=True))
    result["mAP_by_class"] = {name: _percent(by_class.get(i, -1.0)) for name, i in number.items()}
    return result


def _percent(value: float) -> float | None:
    """COCO's -1 means that nothing of the kind is labelled."""
    return value * 100 if value >= 0 else None
