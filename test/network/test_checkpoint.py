"""Checkpoints: round trip, and refusal of invalid, truncated and foreign files in one line."""

import copy
import pickle
from dataclasses import replace

import pytest
import torch
import torchvision
from safetensors.torch import load_file, save_file

from mp_perception.errors import UserError
from mp_perception.network.backbones import (
    BACKBONES,
    CENTRED_NORMALISATION,
    IMAGENET_NORMALISATION,
    load_backbone_weights,
)
from mp_perception.network.checkpoint import METADATA_KEY, read_checkpoint, read_description, write_checkpoint
from mp_perception.network.multitask import MultiTaskNetwork, describe_network


@pytest.fixture(scope="module")
def network():
    torch.manual_seed(5)
    description = replace(describe_network("mobilenet_v2", input_size=(64, 64)), training_focal_length=300.0)
    return MultiTaskNetwork(description).eval()


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_weights_that_are_not_finite_are_neither_written_nor_read(network, tmp_path, value):
    broken = copy.deepcopy(network)
    with torch.no_grad():
        broken.decoder.last.weight[0, 0, 0, 0] = value
    message = "x.safetensors: expected finite weights, found NaN or infinity in 'decoder.last.weight'"
    with pytest.raises(UserError, match=message):
        write_checkpoint(tmp_path / "x.safetensors", broken)
    assert list(tmp_path.iterdir()) == []
    tensors = {name: tensor.contiguous() for name, tensor in broken.state_dict().items()}
    save_file(tensors, tmp_path / "x.safetensors", metadata={METADATA_KEY: network.description.to_json()})
    with pytest.raises(UserError, match=message):
        read_checkpoint(tmp_path / "x.safetensors")


@pytest.fixture
def checkpoint(network, tmp_path):
    path = tmp_path / "net.safetensors"
    write_checkpoint(path, network)
    return path


def test_round_trip_gives_the_same_outputs(network, checkpoint):
    image = torch.randint(0, 256, (1, 3, 64, 64), dtype=torch.uint8)
    again = read_checkpoint(checkpoint)
    assert again.description == network.description
    assert not again.training
    for ours, theirs in zip(network(image), again(image), strict=True):
        torch.testing.assert_close(theirs, ours, rtol=0, atol=0)


def test_half_precision_halves_the_file_and_loads_as_single(network, checkpoint, tmp_path):
    half = tmp_path / "half.safetensors"
    write_checkpoint(half, network, torch.float16)
    assert half.stat().st_size < 0.55 * checkpoint.stat().st_size
    assert next(read_checkpoint(half).parameters()).dtype == torch.float32


def test_values_out_of_the_range_of_half_precision_are_kept(network, tmp_path):
    wide = copy.deepcopy(network)
    wide.backbone.features[0][1].running_var[0] = 1e5
    write_checkpoint(tmp_path / "wide.safetensors", wide, torch.float16)
    again = read_checkpoint(tmp_path / "wide.safetensors")
    torch.testing.assert_close(
        again.backbone.features[0][1].running_var, wide.backbone.features[0][1].running_var, rtol=0, atol=0
    )


def test_nothing_else_is_left_in_the_folder(checkpoint):
    assert [file.name for file in checkpoint.parent.iterdir()] == ["net.safetensors"]


def refused(path):
    with pytest.raises(UserError) as caught:
        read_checkpoint(path)
    message = str(caught.value)
    assert message.startswith(f"{path}: ")
    assert "\n" not in message
    return message


@pytest.mark.parametrize("length", [0, 5, 8, 100, 5000, -1, -1000])
def test_truncated_files(checkpoint, length):
    checkpoint.write_bytes(checkpoint.read_bytes()[:length])
    assert "expected a safetensors checkpoint, found" in refused(checkpoint)


@pytest.mark.parametrize("save", [torch.save, lambda value, path: path.write_bytes(pickle.dumps(value))])
def test_pickles(tmp_path, save):
    path = tmp_path / "net.pth"
    save({"a": torch.zeros(2)}, path)
    assert "found a pickle" in refused(path)


def test_missing_files_and_folders(tmp_path):
    assert "No such file" in refused(tmp_path / "nothing.safetensors")
    assert "directory" in refused(tmp_path)


def test_foreign_safetensors(tmp_path):
    path = tmp_path / "foreign.safetensors"
    save_file({"weight": torch.zeros(3)}, path)
    assert "a safetensors file of something else" in refused(path)


def rewrite(checkpoint, tensors, description):
    save_file(tensors, checkpoint, metadata={METADATA_KEY: description.to_json()})


def test_tensors_that_do_not_fit(network, checkpoint):
    tensors = load_file(checkpoint)
    name = "decoder.last.weight"
    rewrite(checkpoint, {k: v for k, v in tensors.items() if k != name}, network.description)
    message = refused(checkpoint)
    assert f"expected tensor '{name}'" in message
    assert "found nothing" in message
    rewrite(checkpoint, tensors | {name: torch.zeros(1, 7, 3, 3)}, network.description)
    assert "found [1, 7, 3, 3]" in refused(checkpoint)
    rewrite(checkpoint, tensors | {"backdoor": torch.zeros(1)}, network.description)
    assert "found 'backdoor'" in refused(checkpoint)
    rewrite(checkpoint, tensors, replace(network.description, head="plain"))
    assert "expected tensor 'heads.0" in refused(checkpoint)
    rewrite(checkpoint, tensors, replace(network.description, backbone="vgg"))
    with pytest.raises(UserError, match="unknown backbone 'vgg'"):
        read_checkpoint(checkpoint)


def test_description_is_read_without_tensors(network, checkpoint):
    assert read_description(checkpoint) == network.description


def test_a_failed_write_keeps_the_old_file(network, checkpoint, monkeypatch):
    before = checkpoint.read_bytes()

    def fail(path, content):
        with path.open("wb") as file:
            file.write(content[:100])
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(type(checkpoint), "write_bytes", fail)
    with pytest.raises(UserError, match="cannot be written: No space left on device"):
        write_checkpoint(checkpoint, network)
    assert checkpoint.read_bytes() == before
    assert len(list(checkpoint.parent.iterdir())) == 1


@pytest.mark.shared_data
def test_imagenet_weights_load_and_give_their_normalisation(shared_data):
    module = BACKBONES["mobilenet_v2"].build().eval()
    file = shared_data / "weights" / "mobilenet_v2_imagenet.safetensors"
    assert load_backbone_weights("mobilenet_v2", module, str(file)) == CENTRED_NORMALISATION
    first = load_file(file)["0.0.weight"].float()
    torch.testing.assert_close(module.features[0][0].weight.data, first)


def test_backbone_weights_by_torchvisions_names(tmp_path):
    path = tmp_path / "resnet.safetensors"
    module = BACKBONES["resnet50"].build()
    reference = torchvision.models.resnet50(weights=None)
    save_file(reference.state_dict(), path)
    load_backbone_weights("resnet50", module, str(path))
    image = torch.rand(1, 3, 64, 64)
    reference.eval()
    module.eval()
    with torch.inference_mode():
        pooled = module(image)[-1].mean(dim=(2, 3))
        torch.testing.assert_close(reference.fc(pooled), reference(image))


def test_a_backbone_that_ends_early_takes_what_it_has_and_copies_the_rest(tmp_path):
    """layer4 is not in the file, and no counts of batches; the last block starts as layer3's."""
    reference = torchvision.models.resnet50(weights=None).state_dict()
    kept = {
        key: value
        for key, value in reference.items()
        if not key.startswith(("layer4.", "fc.")) and not key.endswith("num_batches_tracked")
    }
    path = tmp_path / "resnet_to_layer3.safetensors"
    save_file(kept, path)
    module = BACKBONES["resnet50_to_layer3"].build()
    assert load_backbone_weights("resnet50_to_layer3", module, str(path)) == IMAGENET_NORMALISATION
    loaded = module.state_dict()
    torch.testing.assert_close(loaded["stem.0.weight"], kept["conv1.weight"])
    torch.testing.assert_close(loaded["layer2.0.conv1.weight"], kept["layer2.0.conv1.weight"])
    torch.testing.assert_close(loaded["last_block.bn3.running_var"], kept["layer3.5.bn3.running_var"])
    torch.testing.assert_close(loaded["last_block.conv2.weight"], kept["layer3.5.conv2.weight"])
    with pytest.raises(UserError, match="torchvision has no weights of 'resnet50_to_layer3'"):
        load_backbone_weights("resnet50_to_layer3", module, "torchvision")


def test_backbone_weights_of_another_network(tmp_path):
    path = tmp_path / "other.safetensors"
    save_file({"0.0.weight": torch.zeros(1)}, path)
    with pytest.raises(UserError, match="not weights of mobilenet_v2: expected a tensor"):
        load_backbone_weights("mobilenet_v2", BACKBONES["mobilenet_v2"].build(), str(path))
