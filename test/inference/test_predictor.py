"""The predictor with real networks: geometry of its outputs, settings, errors."""

import hashlib
import math
from dataclasses import replace

import cv2
import numpy as np
import pytest
import torch

from mp_perception.errors import UserError
from mp_perception.geometry import CameraIntrinsics, box_iou
from mp_perception.inference.prediction_settings import PredictionSettings
from mp_perception.inference.predictor import Predictor
from mp_perception.inference.preprocess import fit_input_size
from mp_perception.inference.runtimes.torch_runtime import TorchRuntime
from mp_perception.lens_distortion import LensDistortion
from mp_perception.model.checkpoint_description import AdaptedCamera, DetectionLevel
from mp_perception.network.checkpoint import build_network, read_checkpoint, write_checkpoint
from mp_perception.network.multitask import MultiTaskNetwork, describe_network

CAMERA = CameraIntrinsics(400, 400, 199.5, 149.5, 400, 300)
LEVELS = (DetectionLevel(32, "backbone", ((32.0, 32.0),)),)
ALL = PredictionSettings(score_threshold=0.0, max_detections=40)


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    torch.manual_seed(1)
    description = replace(
        describe_network("mobilenet_v2", input_size=(96, 128)), training_focal_length=100.0, score_threshold=0.002
    )
    path = tmp_path_factory.mktemp("weights") / "net.safetensors"
    write_checkpoint(path, MultiTaskNetwork(description))
    return path


@pytest.fixture(scope="module")
def predictor(checkpoint):
    return Predictor.load(weights=checkpoint)


@pytest.fixture(scope="module")
def image():
    return np.random.default_rng(0).integers(0, 256, (300, 400, 3), dtype=np.uint8)


def test_shapes_types_and_units(predictor, image):
    prediction = predictor.predict(image, CAMERA, ALL)
    detections = prediction.detections
    assert len(detections) == 40
    assert prediction.depth.shape == (300, 400)
    assert prediction.depth.dtype == np.float32
    assert prediction.network_depth.shape == (48, 64)
    assert detections.boxes.min() >= 0
    assert (detections.boxes[:, 2:] <= [400, 300]).all()
    assert (detections.boxes[:, 2:] > detections.boxes[:, :2]).all()
    assert (np.diff(detections.scores) <= 0).all()
    assert detections.class_names == ("Car", "Van", "Truck", "Pedestrian", "Cyclist")
    assert set(prediction.timings) == {"preprocess", "inference", "postprocess"}


def test_outputs_equal_the_network_run_by_hand(predictor, checkpoint, image):
    """Resizing, network, softmax and depth without the parts of the predictor."""
    resized = cv2.resize(image, (128, 96), interpolation=cv2.INTER_AREA)
    with torch.inference_mode():
        outputs = read_checkpoint(checkpoint)(torch.from_numpy(resized).permute(2, 0, 1)[None])
    best = outputs.class_logits[0].softmax(-1)[:, 1:].max()
    prediction = predictor.predict(image, None, ALL)
    np.testing.assert_allclose(prediction.detections.scores[0], best, rtol=1e-5)
    np.testing.assert_allclose(prediction.network_depth, outputs.depth[0, 0], rtol=1e-4)


def test_position_projects_back_to_the_middle_of_the_box(predictor, image):
    detections = predictor.predict(image, CAMERA, ALL).detections
    np.testing.assert_allclose(detections.position[:, 2], detections.depth)
    middle = (detections.boxes[:, :2] + detections.boxes[:, 2:]) / 2
    np.testing.assert_allclose(CAMERA.project(detections.position), middle, atol=1e-2)


def test_without_intrinsics_positions_have_depth_only(predictor, image):
    detections = predictor.predict(image, None, ALL).detections
    assert np.isnan(detections.position[:, :2]).all()
    np.testing.assert_array_equal(detections.position[:, 2], detections.depth)


def test_depth_is_scaled_by_the_focal_length(predictor, image):
    """400x300 becomes 128x96, so fy = 400 is 128 network pixels: 1.28 times the 100 of the training."""
    plain = predictor.predict(image, CAMERA, replace(ALL, focal_scaling=False))
    scaled = predictor.predict(image, CAMERA, ALL)
    np.testing.assert_allclose(scaled.network_depth, plain.network_depth * 1.28, rtol=1e-5)
    np.testing.assert_allclose(scaled.detections.depth, plain.detections.depth * 1.28, rtol=1e-5)


def test_an_unknown_focal_length_makes_the_depth_less_certain(predictor, image):
    known = predictor.predict(image, CAMERA, ALL).detections
    unknown = predictor.predict(image, None, ALL).detections
    factor = known.depth / unknown.depth  # the same objects, scaled by the focal length
    error = predictor.description.depth_error
    inside = np.sqrt(known.depth_std**2 - (error * known.depth) ** 2) / factor
    np.testing.assert_allclose(unknown.depth_std**2, inside**2 + (error**2 + 0.45**2) * unknown.depth**2, rtol=1e-3)
    unscaled = predictor.predict(image, None, replace(ALL, focal_scaling=False)).detections
    assert (unscaled.depth_std < unknown.depth_std).all()


def test_without_distances_only_the_boxes_remain(predictor, image):
    prediction = predictor.predict(image, CAMERA, ALL)
    withheld = prediction.without_distances()
    np.testing.assert_array_equal(withheld.detections.boxes, prediction.detections.boxes)
    assert withheld.depth.shape == prediction.depth.shape
    for values in (withheld.depth, withheld.detections.depth, withheld.detections.position):
        assert np.isnan(values).all()


def test_depth_in_a_distorted_image_is_scaled_by_the_magnification_of_the_place(predictor, image):
    """What the lens shows smaller is not as far away as it seems: at the angle t from the axis by t / tan(t)."""
    lens = LensDistortion("equidistant", (0.0, 0.0, 0.0, 1e-9))
    plain = predictor.predict(image, replace(CAMERA, fx=250, fy=250), ALL)
    distorted = predictor.predict(image, replace(CAMERA, fx=250, fy=250, distortion=lens), ALL)
    ratio = distorted.network_depth / plain.network_depth
    angles = np.abs((np.arange(64) + 0.5) / 64 * 400 - 200) / 250
    np.testing.assert_allclose(ratio[24], angles / np.tan(angles), atol=5e-3)
    assert ratio[24, 0] < 0.85


def test_depth_above_the_wanted_range_is_infinite_and_below_unknown(predictor, image):
    everything = predictor.predict(image, None, ALL).network_depth
    low, high = (float(value) for value in np.quantile(everything, [0.3, 0.6]))
    limited = predictor.predict(image, None, replace(ALL, min_depth=low, max_depth=high)).network_depth
    assert np.isnan(limited).mean() == pytest.approx(0.3, abs=0.02)
    assert np.isposinf(limited).mean() == pytest.approx(0.4, abs=0.02)
    known = np.isfinite(limited)
    np.testing.assert_array_equal(limited[known], everything[known])
    assert (everything[np.isposinf(limited)] > high).all()
    assert (everything[np.isnan(limited)] < low).all()


@pytest.mark.parametrize("focal_length", [100, 300, 314])
def test_beyond_the_checkpoints_maximum_is_infinite_for_any_camera(predictor, checkpoint, image, focal_length):
    """Trained up to 80 m and beyond: an estimate above the maximum means "beyond", whatever the camera makes of it,
    and -1 (None) limits the metres of the camera to that maximum."""
    network = read_checkpoint(checkpoint)
    plain = predictor.predict(image, None, ALL).network_depth
    maximum = float(np.quantile(plain, 0.8))
    network.description = replace(network.description, max_depth=maximum)
    limited = Predictor(TorchRuntime.around(network))
    camera = CameraIntrinsics(focal_length, focal_length, 199.5, 149.5, 400, 300)
    factor = focal_length * 0.32 / 100
    found = limited.predict(image, camera, ALL).network_depth
    beyond = (plain > maximum * 1.001) | (plain * factor > maximum * 1.001)
    assert np.isposinf(found[beyond]).all()
    within = (plain < maximum * 0.999) & (plain * factor < maximum * 0.999)
    np.testing.assert_allclose(found[within], plain[within] * factor, rtol=1e-5)
    assert 0.1 < within.mean() < 0.9
    farther = limited.predict(image, camera, replace(ALL, max_depth=1e6)).network_depth
    np.testing.assert_array_equal(np.isposinf(farther), np.isposinf(limited.predict(image, None, ALL).network_depth))


def test_only_wanted_classes_are_reported(predictor, image):
    detections = predictor.predict(image, None, replace(ALL, classes=("Van", "Cyclist"))).detections
    assert {detections.name(i) for i in range(len(detections))} <= {"Van", "Cyclist"}
    assert len(detections) > 0


def test_the_checkpoints_threshold_is_the_default(predictor, image):
    threshold = predictor.description.score_threshold
    default = predictor.predict(image).detections.scores
    explicit = predictor.predict(image, None, PredictionSettings(score_threshold=threshold)).detections.scores
    np.testing.assert_array_equal(default, explicit)
    assert (default >= threshold).all()


def test_two_runs_are_equal(predictor, image):
    first, second = predictor.predict(image, CAMERA, ALL), predictor.predict(image, CAMERA, ALL)
    np.testing.assert_array_equal(first.detections.boxes, second.detections.boxes)
    np.testing.assert_array_equal(first.network_depth, second.network_depth)


def test_overlapping_boxes_of_a_class_are_suppressed(predictor, image):
    detections = predictor.predict(image, None, replace(ALL, nms_iou_threshold=0.2, max_detections=1000)).detections
    for label in set(detections.labels):
        own = detections.boxes[detections.labels == label]
        own = own[(own[:, :2] > 0).all(axis=1) & (own[:, 2:] < [400, 300]).all(axis=1)]  # uncut, as when suppressed
        overlaps = box_iou(own, own) - np.eye(len(own))
        assert overlaps.max(initial=0) <= 0.2


@pytest.mark.parametrize("size", [(1, 1), (3, 900), (900, 3), (1080, 1920)])
def test_any_image_size(predictor, size):
    prediction = predictor.predict(np.full((*size, 3), 100, dtype=np.uint8), None, ALL)
    assert prediction.depth.shape == size
    assert np.isfinite(prediction.depth).all()


@pytest.mark.parametrize(
    "bad",
    [
        np.zeros((3, 4, 3), np.float32),
        np.zeros((3, 4), np.uint8),
        np.zeros((0, 4, 3), np.uint8),
        np.zeros((3, 4, 4), np.uint8),
    ],
)
def test_arrays_that_are_not_images_are_refused(predictor, bad):
    with pytest.raises(UserError, match=r"expected an RGB image \(height, width, 3\) of uint8, found"):
        predictor.predict(bad)


def test_intrinsics_of_another_image_size_are_refused(predictor):
    with pytest.raises(UserError, match="intrinsics of the image's size 40x30, found 400x300"):
        predictor.predict(np.zeros((30, 40, 3), np.uint8), CAMERA)


def test_unknown_settings_are_refused(predictor, image):
    with pytest.raises(UserError, match="unknown class 'Tram': expected one of Car, Van"):
        predictor.predict(image, None, replace(ALL, classes=("Tram",)))
    with pytest.raises(UserError, match="unknown object depth statistic 'wish': expected one of median"):
        predictor.predict(image, None, replace(ALL, object_depth_statistic="wish"))


def test_weights_are_identified_by_their_hash(predictor, checkpoint):
    assert predictor.weights_sha256 == hashlib.sha256(checkpoint.read_bytes()).hexdigest()
    assert not predictor.untrained


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"backbone": "vgg"}, "unknown backbone 'vgg': expected one of mobilenet_v2, resnet50, resnet50_to_layer3"),
        ({"backbone": "resnet50"}, "expected weights of backbone 'resnet50', found 'mobilenet_v2'"),
        ({"weights": "nowhere.safetensors"}, "nowhere.safetensors: no such weights file"),
        ({"runtime": "abacus"}, "unknown runtime 'abacus': expected one of auto, openvino, onnxruntime, torch"),
        ({"device": "tpu"}, "unknown device 'tpu': expected auto, cpu, cuda or cuda:N"),
        ({"device": "cuda:99"}, "device 'cuda:99' is not available: expected auto or cpu, found"),
        ({"precision": "fp2"}, "unknown precision 'fp2': expected one of auto, fp32"),
        ({"device": "cpu", "precision": "fp16"}, "precision 'fp16' needs a CUDA device"),
        ({"input_size": (100, 640)}, "multiples of 32"),
        ({"input_pixels": 1000}, "expected 1024 to 16777216 pixels of the network's input, found 1000"),
    ],
)
def test_arguments_that_cannot_be_loaded_are_refused(checkpoint, arguments, message):
    with pytest.raises(UserError, match=message):
        Predictor.load(**{"weights": checkpoint} | arguments)


def test_a_fixed_input_size(checkpoint, image):
    predictor = Predictor.load(weights=checkpoint, input_size=(160, 224))
    assert predictor.predict(image, None, ALL).network_depth.shape == (80, 107)  # 300x400 -> 160x214
    assert predictor.predict(image[:, :200], None, ALL).network_depth.shape == (80, 53)  # 300x200 -> 160x106
    assert predictor.input_size == (160, 224)


def test_the_input_follows_the_image(predictor, checkpoint, image):
    """Boxes, depth and its scale of a wide image are those of a predictor with the size that fits it."""
    wide = np.ascontiguousarray(image[100:200])
    camera = CameraIntrinsics(400, 400, 199.5, 49.5, 400, 100)
    predictor.predict(image)
    found = predictor.predict(wide, camera, ALL)
    assert predictor.input_size == fit_input_size((100, 400), 96 * 128) == (64, 192)
    fixed = Predictor.load(weights=checkpoint, input_size=(64, 192))
    wanted = fixed.predict(wide, camera, ALL)
    np.testing.assert_array_equal(found.network_depth, wanted.network_depth)
    np.testing.assert_array_equal(found.detections.boxes, wanted.detections.boxes)
    predictor.predict(image)
    assert predictor.input_size == (96, 128)
    larger = Predictor.load(weights=checkpoint, input_pixels=4 * 96 * 128)
    larger.predict(image)
    assert larger.input_size == (192, 256)


def test_an_adapted_camera_has_the_input_of_its_training(tmp_path, checkpoint, image):
    network = read_checkpoint(checkpoint)
    network.description = replace(network.description, input_size=(96, 160), camera=AdaptedCamera(400, 300, 300.0))
    write_checkpoint(tmp_path / "adapted.safetensors", network)
    predictor = Predictor.load(weights=tmp_path / "adapted.safetensors")
    for seen, size in [(image, (96, 160)), (image[:200], fit_input_size((200, 400), 96 * 160))]:
        predictor.predict(np.ascontiguousarray(seen))
        assert predictor.input_size == size
    assert fit_input_size((300, 400), 96 * 160) != (96, 160)
    finer = Predictor.load(weights=tmp_path / "adapted.safetensors", input_pixels=4 * 96 * 160)
    finer.predict(image)
    assert finer.input_size == fit_input_size((300, 400), 4 * 96 * 160)


def test_a_network_for_one_size_does_not_follow(tmp_path, image):
    description = replace(
        describe_network("mobilenet_v2", decoder="none", head="faster_rcnn", input_size=(64, 96)), levels=LEVELS
    )
    write_checkpoint(tmp_path / "rcnn.safetensors", build_network(description))
    predictor = Predictor.load(weights=tmp_path / "rcnn.safetensors")
    predictor.predict(image)
    assert predictor.input_size == predictor.fixed_size == (64, 96)
    with pytest.raises(UserError, match="expected input size 96x64, the only one of this network .* found 128x96"):
        Predictor.load(weights=tmp_path / "rcnn.safetensors", input_size=(96, 128))


@pytest.mark.parametrize(("part", "output"), [("heads.0", "class_logits"), ("decoder.last", "depth")])
def test_a_network_whose_outputs_are_not_finite_is_refused(checkpoint, part, output):
    network = read_checkpoint(checkpoint)
    with torch.no_grad():
        next(network.get_submodule(part).parameters()).fill_(math.nan)
    predictor = Predictor(TorchRuntime.around(network))
    with pytest.raises(UserError, match=f"output {output}: expected finite values, found NaN or infinity"):
        predictor.warm_up()


def test_a_network_with_other_boxes_than_described_is_refused(checkpoint, image):
    runtime = TorchRuntime.around(read_checkpoint(checkpoint))
    level = runtime.description.levels[0]
    levels = (replace(level, shapes=level.shapes[:1]), *runtime.description.levels[1:])
    runtime.description = replace(runtime.description, levels=levels)
    with pytest.raises(UserError, match=r"output class_logits: expected shape \(1, .* for an input of 128x96, found"):
        Predictor(runtime).predict(image)


def test_untrained_networks_are_reproducible_and_marked(monkeypatch, image):
    monkeypatch.setattr("mp_perception.inference.predictor.default_weights", lambda *arguments: None)
    first, second = Predictor.load("mobilenet_v2"), Predictor.load("mobilenet_v2")
    assert first.untrained
    assert first.weights_sha256 is None
    one, two = first.predict(image, CAMERA, ALL), second.predict(image, CAMERA, ALL)
    np.testing.assert_array_equal(one.detections.boxes, two.detections.boxes)
    assert np.isfinite(one.detections.depth).all()


def test_a_closed_predictor_does_not_predict(checkpoint, image):
    predictor = Predictor.load(weights=checkpoint)
    predictor.warm_up()
    predictor.close()
    with pytest.raises(RuntimeError, match="closed"):
        predictor.predict(image)
