"""replay.launch.py, executed by the real launch and launch_ros."""

from __future__ import annotations

import json
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch

from mp_perception.bags.kitti_to_bag import write_raw_drive
from mp_perception.commands.bag.replay_evaluate import replay_evaluate
from mp_perception.data.kitti.raw import RawDrive
from mp_perception.errors import UserError
from mp_perception.network.checkpoint import write_checkpoint
from mp_perception.network.multitask import MultiTaskNetwork, describe_network
from mp_perception.synthetic.drive import write_raw_drive as write_synthetic_drive
from mp_perception.synthetic.sensors import camera_of_size

LAUNCH_FILE = Path(__file__).resolve().parents[2] / "launch" / "replay.launch.py"
ARGUMENTS = {
    "bag", "rate", "loop", "evaluate", "report", "json", "keep", "score_threshold", "backbone", "weights", "device",
    "tracking", "odom_frame", "rviz", "fixed_frame",
}  # fmt: skip
IMAGE = "/kitti/camera_color_left/image_raw"
NUM_FRAMES = 3


@pytest.fixture(scope="module")
def bag(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("street")
    drive = write_synthetic_drive(folder / "raw", NUM_FRAMES, seed=5, camera=camera_of_size(320, 96))
    write_raw_drive(RawDrive(drive), folder / "bag")
    return folder / "bag"


def actions(launch_file: ModuleType, bag: Path, **given: str) -> list[Any]:
    """What the launch file starts with these arguments."""
    from launch import LaunchContext

    context = LaunchContext()
    context.launch_configurations["bag"] = str(bag)
    context.launch_configurations.update(given)
    for argument in launch_file.declare_arguments():
        argument.execute(context)
    return list(launch_file.start(context))


def words(action: Any) -> list[str]:
    """The command of a process, as far as it is known before it starts."""
    from launch import LaunchContext
    from launch.utilities import perform_substitutions

    context = LaunchContext()
    return [perform_substitutions(context, part) for part in action.cmd]


def test_every_argument_has_a_description(launch_file: ModuleType) -> None:
    arguments = launch_file.generate_launch_description().get_launch_arguments()
    assert {argument.name for argument in arguments} == ARGUMENTS
    for argument in arguments:
        assert len(argument.description) > 10


def test_arguments_of_the_evaluation_are_options_of_the_command(launch_file: ModuleType) -> None:
    assert set(launch_file.EVALUATION_ARGUMENTS) < set(replay_evaluate.__annotations__)


def test_an_evaluation_is_the_command_with_the_arguments_that_are_given(launch_file: ModuleType, bag: Path) -> None:
    command = words(actions(launch_file, bag, backbone="resnet50", rate="0.5", json="live.json")[-1])
    assert command[3:7] == ["bag", "replay-evaluate", str(bag), "--weights"]
    assert command[7:] == [
        *("resnet50", "--rate", "0.5", "--report", "evaluation.html", "--json", "live.json", "--device", "auto"),
    ]  # fmt: skip


def test_an_evaluation_refuses_a_loop(launch_file: ModuleType, bag: Path) -> None:
    with pytest.raises(UserError, match="^loop:=true: expected evaluate:=false"):
        actions(launch_file, bag, loop="true")


def test_tracks_are_shown_without_an_evaluation(launch_file: ModuleType, bag: Path) -> None:
    with pytest.raises(UserError, match="^tracking:=true: expected evaluate:=false"):
        actions(launch_file, bag, tracking="true")
    include = actions(launch_file, bag, evaluate="false", tracking="true", odom_frame="odom")[-2]
    assert {("tracking", "true"), ("odom_frame", "odom")} <= set(include.launch_arguments)


def test_without_evaluation_the_replay_waits_for_the_node(launch_file: ModuleType, bag: Path) -> None:
    player = words(actions(launch_file, bag, evaluate="false", rate="0.5", loop="true")[-1])
    assert player[1:5] == [str(bag), "--rate", "0.5", "--loop"]
    played = player[player.index("--topics") + 1 : player.index("--wait-for-subscribers")]
    assert set(played) == {IMAGE, "/kitti/camera_color_left/camera_info", "/tf_static"}
    assert player[player.index("--wait-for-subscribers") + 1] == IMAGE


@pytest.mark.dds
@pytest.mark.timeout(240)
def test_it_ends_with_a_report(start_launch: Any, bag: Path, tmp_path: Path) -> None:
    torch.manual_seed(0)
    weights = tmp_path / "net.safetensors"
    write_checkpoint(weights, MultiTaskNetwork(describe_network("mobilenet_v2", input_size=(96, 320))))
    evaluation = start_launch(f"bag:={bag}", f"weights:={weights}", "device:=cpu", "rate:=0.1", "json:=live.json")
    assert evaluation.process.wait(200) == 0, evaluation.text()
    assert (tmp_path / "evaluation.html").stat().st_size > 10_000
    live = json.loads((tmp_path / "live.json").read_text())
    assert live["frames"] == {"received": NUM_FRAMES, "scored": NUM_FRAMES, "dropped": {}}
    assert live["images"]["with_depth"] == NUM_FRAMES
    assert "process has finished cleanly" in evaluation.text(), evaluation.text()


@pytest.mark.dds
@pytest.mark.timeout(180)
@pytest.mark.parametrize("argument", ["score_threshold:=0.5", "evaluate:=false"])
def test_a_node_that_cannot_start_ends_everything(start_launch: Any, bag: Path, tmp_path: Path, argument: str) -> None:
    failing = start_launch(f"bag:={bag}", "weights:=/nowhere.safetensors", argument)
    assert failing.process.wait(100) == 1, failing.text()  # replay_node alone would wait for 120 s
    assert "/nowhere.safetensors: no such weights file" in failing.text()
    assert not (tmp_path / "evaluation.html").exists()
