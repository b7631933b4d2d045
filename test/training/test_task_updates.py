"""Asynchronous updates: parameters of one task are updated only after enough images with its labels."""

import pytest
import torch

from mp_perception.errors import UserError
from mp_perception.network.multitask import MultiTaskNetwork, describe_network
from mp_perception.training.batch import Batch
from mp_perception.training.task_updates import AsynchronousUpdates


@pytest.fixture(scope="module")
def module():
    """What the callback expects of a training module: its network."""
    module = torch.nn.Module()
    module.network = MultiTaskNetwork(describe_network("mobilenet_v2", input_size=(64, 64)))
    return module


def batch(with_depth: list[bool], with_boxes: list[bool]) -> Batch:
    count = len(with_depth)
    depth = torch.full((count, 1, 4, 4), torch.nan)
    depth[torch.tensor(with_depth)] = 5
    labelled = torch.tensor(with_boxes)[:, None].expand(count, 5)
    return Batch(torch.zeros(count, 3, 8, 8), depth, [], [], [], [], [], labelled, [])


def step(callback, module, images, gradient):
    """One step in which every parameter's gradient is `gradient`; returns the gradients that the optimiser receives."""
    callback.on_train_batch_start(None, module, images, 0)
    for parameter in module.parameters():
        parameter.grad = torch.full_like(parameter, gradient)
    callback.on_before_optimizer_step(None, module, None)
    network = module.network
    return [next(part.parameters()).grad for part in (network.backbone, network.decoder, network.heads)]


def test_a_task_waits_for_its_images_and_averages_over_them(module):
    callback = AsynchronousUpdates({"depth": 3, "detection": 1})
    backbone, decoder, heads = step(callback, module, batch([True, False], [True, True]), 1.0)
    assert backbone.unique().tolist() == [1]
    assert decoder is None
    assert heads.unique().tolist() == [1]
    _, decoder, heads = step(callback, module, batch([True, True], [False, False]), 4.0)
    assert decoder.unique().tolist() == [(1 * 1 + 2 * 4) / 3]
    assert heads is None
    _, decoder, heads = step(callback, module, batch([True, False], [True, False]), 8.0)
    assert decoder is None  # counts again from 0
    assert heads.unique().tolist() == [8]


def test_a_task_that_is_not_named_is_updated_at_every_step(module):
    callback = AsynchronousUpdates({"depth": 5})
    for _ in range(2):
        _, decoder, heads = step(callback, module, batch([True], [True]), 2.0)
        assert decoder is None
        assert heads.unique().tolist() == [2]


def test_resuming_continues_with_counts_and_gradients(module):
    first = AsynchronousUpdates({"depth": 2, "detection": 1})
    step(first, module, batch([True], [True]), 1.0)
    second = AsynchronousUpdates({"depth": 2, "detection": 1})
    second.load_state_dict(first.state_dict())
    _, decoder, _ = step(second, module, batch([True], [True]), 3.0)
    assert decoder.unique().tolist() == [2]


@pytest.mark.parametrize("images_per_update", [{"depth": 0}, {"deth": 1}])
def test_invalid_tasks_and_numbers_are_refused(images_per_update):
    with pytest.raises(UserError, match="images_per_update: expected at least 1 for depth and detection, found"):
        AsynchronousUpdates(images_per_update)
