"""replay.launch.py, executed by the real launch and launch_ros, wherever they can be imported."""

from __future__ import annotations

import importlib.util
import json
import os
import signal
import subprocess
import sys
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

try:
    import launch
    import launch_ros
except ImportError as error:
    pytest.skip(f"launch and launch_ros come with a ROS installation, not from PyPI: {error}", allow_module_level=True)

#: Runs a launch file with arguments name:=value, as `ros2 launch` does.
LAUNCHER = """
import sys
from launch import LaunchDescription, LaunchService
from launch.actions import IncludeLaunchDescription
from launch.launch_description_sources import PythonLaunchDescriptionSource

arguments = [tuple(argument.split(":=", 1)) for argument in sys.argv[2:]]
service = LaunchService(argv=sys.argv[2:])
source = PythonLaunchDescriptionSource(sys.argv[1])
service.include_launch_description(
    LaunchDescription([IncludeLaunchDescription(source, launch_arguments=arguments)])
)
sys.exit(service.run())
"""


@pytest.fixture(scope="module")
def launch_file() -> ModuleType:
    specification = importlib.util.spec_from_file_location("replay_launch", LAUNCH_FILE)
    assert specification is not None
    assert specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def bag(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("street")
    written = write_synthetic_drive(folder / "raw", NUM_FRAMES, seed=5, camera=camera_of_size(320, 96))
    write_raw_drive(RawDrive(written.folder), folder / "bag")
    return folder / "bag"


def actions(launch_file: ModuleType, bag: Path, **given: str) -> list[Any]:
    """What the launch file starts with these arguments."""
    context = launch.LaunchContext()
    context.launch_configurations["bag"] = str(bag)
    context.launch_configurations.update(given)
    for argument in launch_file.declare_arguments():
        argument.execute(context)
    return list(launch_file.start(context))


def words(action: Any) -> list[str]:
    """The command of a process, as far as it is known before it starts."""
    context = launch.LaunchContext()
    return [launch.utilities.perform_substitutions(context, part) for part in action.cmd]


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
    def executables(**given: str) -> set[str]:
        nodes = [action for action in actions(launch_file, bag, **given) if isinstance(action, launch_ros.actions.Node)]
        return {str(node.node_executable) for node in nodes}

    assert executables(evaluate="false") == {"replay_node"}
    # The bag waits for what the evaluation says.
    assert executables() == {"evaluation_node"}


@pytest.mark.dds
@pytest.mark.timeout(240)
def test_it_ends_by_itself_with_a_report(bag: Path, dds_environment: dict[str, str], tmp_path: Path) -> None:
    _require_installed_package()
    torch.manual_seed(0)
    weights = tmp_path / "net.safetensors"
    write_checkpoint(weights, MultiTaskNetwork(describe_network("mobilenet_v2", input_size=(96, 320))))
    environment: dict[str, Any] = {**dds_environment, "PYTHONUNBUFFERED": "1"}
    del environment["FASTDDS_DEFAULT_PROFILES_FILE"]  # the launch file's task
    log = tmp_path / "launch.txt"
    arguments = [f"bag:={bag}", f"weights:={weights}", "device:=cpu", "rate:=0.05", "json:=live.json"]
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-c", LAUNCHER, str(LAUNCH_FILE), *arguments],
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
    bag: Path, dds_environment: dict[str, str], tmp_path: Path, argument: str
) -> None:
    _require_installed_package()
    command = [sys.executable, "-c", LAUNCHER, str(LAUNCH_FILE), f"bag:={bag}", "weights:=/nowhere.safetensors"]
    # replay_node alone would wait for 120 s and evaluation_node for ever.
    done = subprocess.run(
        [*command, argument],
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


def _require_installed_package() -> None:
    from ament_index_python.packages import PackageNotFoundError, get_package_prefix

    try:
        prefix = Path(get_package_prefix("mp_perception"))
    except (PackageNotFoundError, LookupError):
        pytest.skip("mp_perception is in no ament prefix: build it with colcon and source the workspace")
    if not (prefix / "lib" / "mp_perception" / "evaluation_node").exists():
        pytest.skip(f"{prefix} holds an older mp_perception without evaluation_node: build it again")
