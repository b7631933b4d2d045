"""The training step: each branch learns from the images with its labels; errors are reported."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from mp_perception.data.samples import Sample
from mp_perception.errors import UserError
from mp_perception.geometry import CameraIntrinsics
from mp_perception.model.checkpoint_description import AdaptedCamera
from mp_perception.model.default_boxes import generate_default_boxes
from mp_perception.network.checkpoint import write_checkpoint
from mp_perception.network.multitask import describe_network
from mp_perception.training.batch import Batch, collate
from mp_perception.training.configuration import (
    LossConfiguration,
    NetworkConfiguration,
    OptimisationConfiguration,
    TrainingConfiguration,
)
from mp_perception.training.module import MultiTaskTraining, network_of, start_network
from mp_perception.training.trainer import usable_precision

CLASSES = ("Car", "Van", "Truck", "Pedestrian", "Cyclist")
NETWORK = NetworkConfiguration(input_size=(64, 96), focal_length=100.0)


def sample(with_boxes: bool, with_depth: bool) -> Sample:
    image = np.random.default_rng(0).integers(0, 256, (64, 96, 3), dtype=np.uint8)
    found = Sample("1", "test", image, CLASSES, intrinsics=CameraIntrinsics(100, 100, 47.5, 31.5, 96, 64))
    if with_boxes:
        found = replace(
            found,
            boxes=np.array([[10, 10, 40, 50]], np.float32),
            labels=np.array([3]),
            object_depths=np.array([np.nan], np.float32),
            exact=np.array([True]),
            labelled_classes=np.ones(5, bool),
        )
    return replace(found, depth=np.full((64, 96), 9, np.float32)) if with_depth else found


def batch(with_boxes: bool = True, with_depth: bool = True) -> Batch:
    return collate([sample(with_boxes, with_depth)] * 2, 100.0)


def training(**parts) -> MultiTaskTraining:
    torch.manual_seed(0)
    return MultiTaskTraining(TrainingConfiguration(network=NETWORK, **parts))


def total(module: MultiTaskTraining, samples: Batch) -> torch.Tensor:
    return module.weighting(module.task_losses(module.network(samples.images), samples))


def has_gradient(part: torch.nn.Module) -> bool:
    return any(p.grad is not None and bool(p.grad.abs().sum() > 0) for p in part.parameters())


@pytest.mark.parametrize(("with_boxes", "with_depth"), [(True, False), (False, True), (True, True)])
def test_each_branch_learns_from_its_own_labels(with_boxes, with_depth):
    module = training()
    total(module, batch(with_boxes, with_depth)).backward()
    assert has_gradient(module.network.backbone)
    assert has_gradient(module.network.decoder) == with_depth
    assert has_gradient(module.network.heads) == with_boxes


def test_the_sky_is_the_far_end_of_the_depth_range():
    """Its loss is that of a surface at the maximum depth, and the sky alone teaches the depth branch."""
    module = training(losses=LossConfiguration(depth="log_l1"))
    outputs = module.network(batch(with_boxes=False).images)
    losses = []
    for depth in (np.inf, module.network.description.depth_range[1]):
        target = collate([replace(sample(False, True), depth=np.full((64, 96), depth, np.float32))] * 2, 100.0)
        losses.append(module.task_losses(outputs, target)["depth"])
    assert losses[0] == losses[1] > 0


def test_batches_of_any_size_have_their_default_boxes():
    module = training()
    for height, width in ((64, 96), (96, 64), (64, 96)):
        taller = replace(
            sample(True, False),
            image=np.zeros((height, width, 3), np.uint8),
            intrinsics=CameraIntrinsics(100, 100, 47.5, 31.5, width, height),
        )
        found = module.task_losses(module.network((one := collate([taller] * 2, 100.0)).images), one)
        assert found["classification"].isfinite()
        boxes = generate_default_boxes(module.network.description.levels, (height, width))
        assert np.array_equal(module.default_boxes(one).numpy(), boxes)


def test_some_steps_on_one_batch_lower_every_loss():
    module = training()
    optimiser = torch.optim.Adam(module.parameters(), lr=3e-3)
    samples = batch()
    first = {name: float(loss) for name, loss in losses(module, samples).items()}
    for _ in range(10):
        optimiser.zero_grad()
        total(module, samples).backward()
        optimiser.step()
    last = {name: float(loss) for name, loss in losses(module, samples).items()}
    assert set(first) == {"depth", "classification", "localisation"}
    for name, value in first.items():
        assert last[name] < 0.7 * value, name


def losses(module: MultiTaskTraining, samples: Batch) -> dict[str, torch.Tensor]:
    found = module.task_losses(module.network(samples.images), samples)
    return {name: loss.detach() for name, loss in found.items() if loss is not None}


def test_recomputed_activations_give_the_same_gradients():
    plain = training()
    saving = training(optimisation=OptimisationConfiguration(activation_checkpointing=True))
    for module in (plain, saving):
        total(module, batch()).backward()
    for (name, one), (_, other) in zip(
        plain.network.named_parameters(), saving.network.named_parameters(), strict=True
    ):
        if one.grad is None:
            assert other.grad is None, name
        else:
            torch.testing.assert_close(other.grad, one.grad, msg=name)


def test_learned_weights_have_gradients():
    module = training(losses=LossConfiguration(learned=True))
    total(module, batch()).backward()
    gradients = {name: parameter.grad for name, parameter in module.weighting.named_parameters()}
    assert gradients["log_variances.depth"] is not None
    assert gradients["log_variances.object_depth"] is None  # this batch knows no object's depth


def test_frozen_batch_norm_keeps_its_statistics():
    module = training(optimisation=OptimisationConfiguration(freeze_batch_norm=True))
    module.train()
    module.on_train_epoch_start()
    before = {name: value.clone() for name, value in module.network.named_buffers()}
    module.network(batch().images)
    for name, value in module.network.named_buffers():
        torch.testing.assert_close(value, before[name], msg=name)


def test_frozen_layers_do_not_change():
    module = training(optimisation=OptimisationConfiguration(frozen_stride=4))
    module.train()
    module.on_train_epoch_start()
    frozen = [name for name, parameter in module.network.named_parameters() if not parameter.requires_grad]
    assert frozen
    assert all(name.startswith("backbone.features.") and int(name.split(".")[2]) <= 3 for name in frozen)
    before = {name: value.clone() for name, value in module.network.state_dict().items()}
    module.network(batch().images)
    moved = {
        name.split(".")[2]
        for name, value in module.network.backbone.state_dict(prefix="backbone.").items()
        if not torch.equal(value, before[name])
    }
    assert moved == {str(block) for block in range(4, 18)}


def test_a_loss_that_is_not_finite_stops_with_its_parts():
    module = training()
    module.network.decoder.last.weight.data.fill_(float("nan"))
    with pytest.raises(
        UserError, match=r"the loss is not finite at step 0: \{'depth': nan.*batch: \['test 1', 'test 1'\]"
    ):
        module.training_step(batch(), 0)


def test_a_training_continues_from_a_checkpoint_with_its_network(tmp_path):
    first = training()
    path = tmp_path / "first.safetensors"
    first.network.description = replace(first.network.description, depth_error=0.5, metrics={"d1": 0.9})
    write_checkpoint(path, first.network)
    found = network_of(path)
    given = replace(NETWORK, levels=list(first.network.description.levels), initial_weights=str(path))
    assert found == given
    second = start_network(found)
    assert second.description == replace(first.network.description, depth_error=0.0, metrics={})
    for (name, one), (_, other) in zip(first.network.state_dict().items(), second.state_dict().items(), strict=True):
        torch.testing.assert_close(one, other, msg=name)


@pytest.mark.parametrize("has_bf16", [True, False])
def test_bf16_is_not_emulated_by_a_processor_without_it(monkeypatch, capsys, has_bf16):
    monkeypatch.setattr(torch.ops.mkldnn, "_is_mkldnn_bf16_supported", lambda: has_bf16)
    assert usable_precision("bf16-mixed", "cpu") == ("bf16-mixed" if has_bf16 else "32-true")
    assert ("no bf16 arithmetic" in capsys.readouterr().err) is not has_bf16
    assert usable_precision("32-true", "cpu") == "32-true"
    assert usable_precision("16-mixed", "cpu") == "16-mixed"


def test_depth_only_trains_the_depth_decoder_and_nothing_else():
    module = MultiTaskTraining(
        TrainingConfiguration(network=NETWORK, optimisation=OptimisationConfiguration(depth_only=True))
    )
    samples = batch()
    losses = module.task_losses(module.network(samples.images), samples)
    assert losses["classification"] is None
    assert losses["localisation"] is None
    losses["depth"].backward()
    trained = {name for name, parameter in module.network.named_parameters() if parameter.grad is not None}
    assert trained == {name for name, _ in module.network.named_parameters() if name.startswith("decoder.")}


def test_depth_only_is_refused_if_detection_reads_the_decoder():
    levels = list(describe_network("mobilenet_v2", sources=("decoder",) * 2).levels)
    network = replace(NETWORK, levels=levels)
    with pytest.raises(UserError, match="detection does not read the depth decoder"):
        MultiTaskTraining(
            TrainingConfiguration(network=network, optimisation=OptimisationConfiguration(depth_only=True))
        )


def test_the_sky_of_the_initial_weights_is_kept(tmp_path):
    """Where no depth is known, and only there."""
    network = replace(NETWORK, decoder="pyramid", depth_range=(1.0, 80.0), max_depth=40.0)
    first = start_network(network)
    with torch.no_grad():
        first.decoder.last[0].weight.zero_()
        first.decoder.last[0].bias.fill_(20.0)
    first.description = replace(first.description, camera=AdaptedCamera(96, 64, 100.0))
    write_checkpoint(tmp_path / "w.safetensors", first)
    configuration = TrainingConfiguration(
        network=network_of(tmp_path / "w.safetensors"), losses=LossConfiguration(keep_sky=True)
    )
    module = MultiTaskTraining(configuration)
    assert module.network.description.camera is None
    assert set(module.state_dict()) == {f"network.{name}" for name in first.state_dict()}
    with torch.no_grad():
        module.network.decoder.last[0].bias.fill_(-20.0)
    unknown = batch(with_boxes=False, with_depth=False)
    loss = module.task_losses(module.network(unknown.images), unknown)["depth"]
    assert float(loss) == pytest.approx(np.log(80), rel=1e-3)
    known = batch(with_boxes=False)  # 9 m everywhere
    loss = module.task_losses(module.network(known.images), known)["depth"]
    assert float(loss) == pytest.approx(np.log(9), rel=1e-3)
