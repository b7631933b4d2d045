"""Asynchronous updates: parameters of one task move only when enough of its images were seen."""

import torch

from mp_perception.network.multitask import MultiTaskNetwork, describe_network
from mp_perception.training.batch import Batch
from mp_perception.training.callbacks import AsynchronousUpdates


class Module(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.network = MultiTaskNetwork(describe_network("mobilenet_v2", input_size=(64, 64)))


def batch(with_depth: list[bool], with_boxes: list[bool]) -> Batch:
    count = len(with_depth)
    depth = torch.full((count, 1, 4, 4), torch.nan)
    depth[torch.tensor(with_depth)] = 5
    labelled = torch.tensor(with_boxes)[:, None].expand(count, 5)
    return Batch(torch.zeros(count, 3, 8, 8), depth, [], [], [], [], [], labelled, [])


def step(callback, module, images, gradient):
    """One step in which every parameter's gradient is `gradient`; the gradients the optimiser gets."""
    callback.on_train_batch_start(None, module, images, 0)
    for parameter in module.parameters():
        parameter.grad = torch.full_like(parameter, gradient)
    callback.on_before_optimizer_step(None, module, None)
    network = module.network
    return [next(part.parameters()).grad for part in (network.backbone, network.decoder, network.heads)]


def test_a_task_waits_for_its_images_and_averages_over_them():
    callback = AsynchronousUpdates({"depth": 3, "detection": 1})
    module = Module()
    backbone, decoder, heads = step(callback, module, batch([True, False], [True, True]), 1.0)
    assert backbone.unique().tolist() == [1]
    assert decoder is None
    assert heads.unique().tolist() == [1]
    _, decoder, heads = step(callback, module, batch([True, True], [False, False]), 4.0)
    assert decoder.unique().tolist() == [(1 * 1 + 2 * 4) / 3]
    assert heads is None


def test_state_goes_on_where_it_was():
    first, module = AsynchronousUpdates({"depth": 2, "detection": 1}), Module()
    step(first, module, batch([True], [True]), 1.0)
    second = AsynchronousUpdates({"depth": 2, "detection": 1})
    second.load_state_dict(first.state_dict())
    _, decoder, _ = step(second, module, batch([True], [True]), 3.0)
    assert decoder.unique().tolist() == [2]
