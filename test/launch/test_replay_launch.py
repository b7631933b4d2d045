"""replay.launch.py, executed by the real launch and launch_ros, wherever they can be imported."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch

from mp_perception.bags.kitti_to_bag import write_raw_drive
from mp_perception.data.kitti.raw import RawDrive
from mp_perception.network.checkpoint import write_checkpoint
from mp_perception.network.multitask import MultiTaskNetwork, describe_network
from mp_perception.synthetic.drive import write_raw_drive as write_synthetic_drive
from mp_perception.synthetic.sensors import camera_of_size

LAUNCH_FILE = Path(__file__).resolve().parents[2] / "launch" / "replay.launch.py"
ARGUMENTS = {
    "bag", "rate", "loop", "evaluate", "report", "json", "score_threshold", "backbone", "weights", "device",
    "log_level", "rviz", "fixed_frame",
}  # fmt: skip
NUM_FRAMES = 3


@pytest.fixture(scope="module")
def bag(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("street")
    written = write_synthetic_drive(folder / "raw", NUM_FRAMES, seed=5, camera=camera_of_size(320, 96))
    write_raw_drive(RawDrive(written.folder), folder / "bag")
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


def test_every_argument_says_what_it_means(launch_file: ModuleType) -> None:
    arguments = launch_file.generate_launch_description().get_launch_arguments()
    assert {argument.name for argument in arguments} == ARGUMENTS
    for argument in arguments:
        assert len(argument.description) > 10


def test_ros2_bag_play_is_taken_where_it_is_installed(
    launch_file: ModuleType, bag: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(launch_file, "has_ros2_bag", lambda: True)
    player = actions(launch_file, bag, evaluate="false", rate="0.5", loop="true")[-1]
    command = words(player)
    assert command[:4] == ["ros2", "bag", "play", str(bag)]
    assert command[command.index("--rate") + 1] == "0.5"
    assert "--loop" in command
    assert {"/kitti/camera_color_left/image_raw", "/ground_truth/labels", "/tf_static"} <= set(command)


def test_evaluation_can_be_left_out(launch_file: ModuleType, bag: Path) -> None:
    from launch_ros.actions import Node

    def executables(**given: str) -> set[str]:
        nodes = [action for action in actions(launch_file, bag, **given) if isinstance(action, Node)]
        return {str(node.node_executable) for node in nodes}

    assert executables(evaluate="false") == {"replay_node"}
    # The bag waits for what the evaluation says.
    assert executables() == {"evaluation_node"}


@pytest.mark.dds
@pytest.mark.timeout(240)
def test_it_ends_by_itself_with_a_report(
    launch_command: list[str], bag: Path, dds_environment: dict[str, str], tmp_path: Path
) -> None:
    torch.manual_seed(0)
    weights = tmp_path / "net.safetensors"
    write_checkpoint(weights, MultiTaskNetwork(describe_network("mobilenet_v2", input_size=(96, 320))))
    environment: dict[str, Any] = {**dds_environment, "PYTHONUNBUFFERED": "1"}
    del environment["FASTDDS_DEFAULT_PROFILES_FILE"]  # the launch file's task
    log = tmp_path / "launch.txt"
    arguments = [f"bag:={bag}", f"weights:={weights}", "device:=cpu", "rate:=0.05", "json:=live.json"]
    with log.open("wb") as output:
        process = subprocess.Popen(
            [*launch_command, *arguments],
            cwd=tmp_path,
            env=environment,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        code = process.wait(200)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGINT)
        pytest.fail(log.read_text(errors="replace"))
    finally:
        if process.poll() is None:
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
    text = log.read_text(errors="replace")
    assert code == 0, text
    assert f"report: {tmp_path / 'evaluation.html'}" in text
    assert (tmp_path / "evaluation.html").stat().st_size > 10_000
    live = json.loads((tmp_path / "live.json").read_text())
    counts = {"received": NUM_FRAMES, "scored": NUM_FRAMES, "dropped": {}}
    assert live["frames"] == {**counts, "repeated": 0, "late": 0, "malformed_messages": 0}
    assert live["images"]["with_depth"] == NUM_FRAMES
    assert text.count("process has finished cleanly") >= 3, text


@pytest.mark.dds
@pytest.mark.timeout(180)
@pytest.mark.parametrize("argument", ["score_threshold:=0.5", "evaluate:=false"])
def test_a_node_that_cannot_start_ends_everything(
    launch_command: list[str], bag: Path, dds_environment: dict[str, str], tmp_path: Path, argument: str
) -> None:
    # replay_node alone would wait for 120 s and evaluation_node for ever.
    done = subprocess.run(
        [*launch_command, f"bag:={bag}", "weights:=/nowhere.safetensors", argument],
        cwd=tmp_path,
        env=dds_environment,
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    said = done.stdout + done.stderr
    assert done.returncode == 1, said
    assert "perception_node: cannot configure: /nowhere.safetensors: no such weights file" in said
    assert not (tmp_path / "evaluation.html").exists()
