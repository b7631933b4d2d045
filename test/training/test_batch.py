"""Samples as tensors: shapes, missing labels, and depth for the training's focal length."""

from dataclasses import replace

import numpy as np
import torch
from lightning.fabric.utilities import move_data_to_device

from mp_perception.data.samples import Sample
from mp_perception.geometry import CameraIntrinsics
from mp_perception.lens_distortion import LensDistortion
from mp_perception.training.batch import collate

CLASSES = ("Car", "Pedestrian")


def labelled(focal_length: float = 200.0) -> Sample:
    depth = np.full((32, 64), np.nan, np.float32)
    depth[10:20, 10:20] = 8
    return Sample(
        "1",
        "test",
        np.full((32, 64, 3), 7, np.uint8),
        CLASSES,
        boxes=np.array([[2, 3, 20, 30]], np.float32),
        labels=np.array([1]),
        object_depths=np.array([8], np.float32),
        exact=np.array([True]),
        labelled_classes=np.array([False, True]),
        depth=depth,
        intrinsics=CameraIntrinsics(focal_length, focal_length, 31.5, 15.5, 64, 32),
    )


def unlabelled() -> Sample:
    return Sample("2", "test", np.zeros((32, 64, 3), np.uint8), CLASSES)


def test_a_batch_moves_to_another_device_as_a_whole():
    """Lightning moves dataclasses of tensors and lists of tensors; the device "meta" exists on every machine."""
    moved = move_data_to_device(collate([labelled(), unlabelled()], 200.0), torch.device("meta"))
    tensors = [moved.images, moved.depth, moved.labelled_classes]
    for values in (moved.boxes, moved.labels, moved.object_depths, moved.exact, moved.ignored):
        tensors += values
    assert len(tensors) == 13
    assert {tensor.device.type for tensor in tensors} == {"meta"}
    assert moved.origins == ["test 1", "test 2"]


def test_shapes_and_missing_labels():
    batch = collate([labelled(), unlabelled()], 200.0)
    assert batch.images.shape == (2, 3, 32, 64)
    assert batch.images.dtype == torch.uint8
    assert batch.depth.shape == (2, 1, 16, 32)
    assert batch.depth[0].isfinite().sum() == 25
    assert not batch.depth[1].isfinite().any()
    assert [tuple(boxes.shape) for boxes in batch.boxes] == [(1, 4), (0, 4)]
    assert batch.labelled_classes.tolist() == [[False, True], [False, False]]
    assert batch.origins == ["test 1", "test 2"]


def test_twice_the_focal_length_looks_half_as_far():
    batch = collate([labelled(400.0)], 200.0)
    assert batch.object_depths[0].tolist() == [4]
    assert batch.depth[0][batch.depth[0].isfinite()].unique().tolist() == [4]


def test_the_predictor_inverts_it():
    """Depth for focal length f0, times f / f0 as inference.predictor multiplies, is the sample's depth again."""
    focal, training = 317.0, 369.4
    batch = collate([labelled(focal)], training)
    np.testing.assert_allclose(batch.object_depths[0] * focal / training, [8], rtol=1e-6)


def test_a_lens_that_shows_objects_smaller_makes_them_look_farther():
    """In the row of the principal point, k1 shows the height of an object at x (z = 1) times 1 + k1 x^2."""
    lens = LensDistortion("plumb_bob", (-0.2, 0.0, 0.0, 0.0, 0.0))
    camera = CameraIntrinsics(400, 400, 319.5, 159.5, 640, 320, lens)
    image, depth = np.zeros((320, 640, 3), np.uint8), np.full((320, 640), 8, np.float32)
    batch = collate([Sample("1", "test", image, CLASSES, depth=depth, intrinsics=camera)], 400.0)
    x = np.linspace(0, 0.7, 8)
    columns = 319.5 + 400 * x * (1 - 0.2 * x**2)
    in_depth_map = (columns + 0.5) / 2 - 0.5
    found = np.interp(in_depth_map, np.arange(320), batch.depth[0, 0, 79:81].mean(dim=0).numpy())
    np.testing.assert_allclose(found, 8 / (1 - 0.2 * x**2), rtol=5e-3)


def test_without_intrinsics_depth_is_omitted():
    batch = collate([replace(labelled(), intrinsics=None)], 200.0)
    assert not batch.depth.isfinite().any()
    assert not batch.object_depths[0].isfinite().any()
    assert len(batch.boxes[0]) == 1
