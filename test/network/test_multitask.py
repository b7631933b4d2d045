"""The network: the paper's layers by their parameter counts, one backbone pass, shapes, bounds, export."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from mp_perception.errors import UserError
from mp_perception.model.checkpoint_description import DetectionLevel
from mp_perception.model.default_boxes import generate_default_boxes
from mp_perception.network.backbones import BACKBONES, STRIDES
from mp_perception.network.depth_decoders import build_depth_decoder
from mp_perception.network.multitask import MultiTaskNetwork, describe_network


def count_parameters(*modules: nn.Module) -> int:
    return sum(parameter.numel() for module in modules for parameter in module.parameters())


@pytest.mark.parametrize(
    ("name", "backbone_alone", "depth_network"),
    [("mobilenet_v2", 1_811_712, 2_439_024), ("resnet50", 23_508_032, 75_157_313)],
)
def test_depth_networks_have_the_papers_parameters(name, backbone_alone, depth_network):
    backbone = BACKBONES[name]
    module = backbone.build()
    assert count_parameters(module) == backbone_alone
    assert count_parameters(module, build_depth_decoder("deconvolution", backbone)) == depth_network


@pytest.mark.parametrize("name", sorted(BACKBONES))
def test_backbones_have_the_maps_of_their_registration(name):
    backbone = BACKBONES[name]
    maps = backbone.build().eval()(torch.zeros(1, 3, 64, 96))
    assert [tuple(m.shape) for m in maps] == [
        (1, channels, 64 // stride, 96 // stride) for channels, stride in zip(backbone.channels, STRIDES, strict=True)
    ]


@pytest.mark.parametrize("name", sorted(BACKBONES))
def test_layers_of_a_stride_are_those_that_its_map_depends_on(name):
    """Gradients of a map reach the layers listed for its stride and no others."""
    module = BACKBONES[name].build().eval()
    for number, stride in enumerate(STRIDES):
        module.zero_grad(set_to_none=True)
        module(torch.rand(1, 3, 64, 64))[number].sum().backward()
        reached = {id(parameter) for parameter in module.parameters() if parameter.grad is not None}
        assert reached == {id(parameter) for layer in module.layers(stride) for parameter in layer.parameters()}


@pytest.mark.parametrize("name", sorted(BACKBONES))
@pytest.mark.parametrize("decoder", ["deconvolution", "bilinear", "unet", "pyramid", "separate_pyramid"])
def test_decoders_have_the_channels_they_state(name, decoder):
    backbone = BACKBONES[name]
    module = build_depth_decoder(decoder, backbone).eval()
    maps = [torch.zeros(1, c, 64 // s, 96 // s) for c, s in zip(backbone.channels, STRIDES, strict=True)]
    depth, decoded = module(maps)
    assert depth.shape == (1, 1, 32, 48)
    assert [tuple(m.shape) for m in decoded] == [
        (1, channels, 64 // stride, 96 // stride)
        for channels, stride in zip(module.channels, (16, 8, 4, 2), strict=False)
    ]
    assert len(decoded) == (3 if decoder.endswith("pyramid") else 4)


@pytest.mark.parametrize(
    ("decoder", "head", "sources"),
    [
        ("deconvolution", "plain", ("backbone", "backbone", "backbone", "extra", "extra")),
        ("bilinear", "depthwise", ("decoder", "decoder", "backbone")),
        ("unet", "depthwise", ("backbone", "backbone", "backbone", "extra", "extra")),
        ("unet", "plain", ("decoder", "decoder", "backbone")),
        ("pyramid", "depthwise", ("decoder", "decoder", "backbone", "extra")),
    ],
)
def test_outputs_match_the_default_boxes(decoder, head, sources):
    description = describe_network("mobilenet_v2", decoder, head, sources, input_size=(96, 160))
    network = MultiTaskNetwork(description).eval()
    with torch.inference_mode():
        outputs = network(torch.randint(0, 256, (2, 3, 96, 160), dtype=torch.uint8))
    boxes = generate_default_boxes(description.levels, description.input_size)
    assert outputs.class_logits.shape == (2, len(boxes), 1 + len(description.class_names))
    assert outputs.box_offsets.shape == (2, len(boxes), 4)
    assert outputs.depth.shape == (2, 1, 48, 80)


def test_one_prediction_runs_the_backbone_once():
    network = MultiTaskNetwork(describe_network("mobilenet_v2", input_size=(64, 64))).eval()
    runs = []
    network.backbone.register_forward_hook(lambda *_: runs.append("backbone"))
    network.backbone.features[0].register_forward_hook(lambda *_: runs.append("first layer"))
    network(torch.zeros(1, 3, 64, 64))
    assert runs == ["first layer", "backbone"]


def test_logits_of_a_cell_move_with_the_image():
    """The outputs are in the order of the default boxes: a shift by a stride in the image is one by a cell in them."""
    description = replace(
        describe_network("mobilenet_v2", head="plain", input_size=(64, 64)),
        levels=(DetectionLevel(2, "backbone", ((8, 8), (4, 8), (8, 4))),),
    )
    network = MultiTaskNetwork(description).eval()
    image = torch.full((1, 3, 64, 64), 127.5)
    image[:, :, 20:24, 30:34] = 255
    moved = torch.roll(image, (2 * 6, 2 * 4), dims=(2, 3))
    with torch.inference_mode():
        before = network(image).class_logits.view(32, 32, 3, -1)
        after = network(moved).class_logits.view(32, 32, 3, -1)
    torch.testing.assert_close(after[12:26, 12:26], before[6:20, 8:22], rtol=1e-3, atol=1e-5)
    assert before[6:20, 8:22].std() > 0


def test_depth_is_bounded_and_in_metres():
    network = MultiTaskNetwork(describe_network("mobilenet_v2", input_size=(64, 64)))
    low, high = network.description.depth_range
    raw = torch.tensor([-1e9, -1.0, 0.0, 1.0, 1e9])
    metres = network.bound_depth(raw)
    np.testing.assert_allclose(metres[[0, 4]], [low, high], rtol=1e-5)
    np.testing.assert_allclose(metres[2], math.sqrt(low * high), rtol=1e-5)
    assert (metres.diff() > 0).all()


def test_the_papers_last_layer_has_no_bound():
    description = replace(describe_network("mobilenet_v2", input_size=(64, 64)), depth_bound="none")
    raw = torch.tensor([-7.0, 1000.0])
    assert MultiTaskNetwork(description).bound_depth(raw) is raw


def test_a_new_network_predicts_few_objects():
    network = MultiTaskNetwork(describe_network("mobilenet_v2", input_size=(96, 96))).eval()
    with torch.inference_mode():
        scores = network(torch.zeros(1, 3, 96, 96)).class_logits.softmax(-1)[..., 1:].sum(-1)
    np.testing.assert_allclose(scores, 0.01, atol=0.005)


def test_pixels_are_normalised_inside():
    network = MultiTaskNetwork(describe_network("mobilenet_v2", input_size=(64, 64))).eval()
    seen = []
    network.backbone.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    network(torch.tensor([0.0, 127.5, 255.0]).view(1, 3, 1, 1).expand(1, 3, 64, 64))
    assert seen[0][0, :, 0, 0].tolist() == [-1, 0, 1]


def test_the_forward_pass_is_exportable():
    network = MultiTaskNetwork(describe_network("mobilenet_v2", input_size=(64, 96))).eval()
    image = torch.randint(0, 256, (1, 3, 64, 96), dtype=torch.uint8)
    exported = torch.export.export(network, (image,)).module()
    for ours, theirs in zip(network(image), exported(image), strict=True):
        torch.testing.assert_close(theirs, ours)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"backbone": "vgg"}, "unknown backbone 'vgg': expected one of mobilenet_v2, resnet50, resnet50_to_layer3"),
        ({"decoder": "magic"}, "unknown decoder 'magic': expected one of bilinear, deconvolution, pyramid, unet"),
        ({"head": "two"}, "unknown head 'two': expected one of depthwise, plain"),
        ({"levels": (DetectionLevel(32, "decoder", ((9, 9),)),)}, "no decoder feature map of stride 32"),
    ],
)
def test_unknown_parts_are_named(change, message):
    description = replace(describe_network("mobilenet_v2"), **change)
    with pytest.raises(UserError, match=message):
        MultiTaskNetwork(description)
