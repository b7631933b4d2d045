"""The documentation as a site, and the code on its pages that no other test runs."""

from __future__ import annotations

import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from types import ModuleType

import pytest
import yaml

from mp_perception.ros.launch_arguments import read_cameras
from mp_perception.ros.parameters import PARAMETERS
from mp_perception.training.configuration import read_configuration

CHECKOUT = Path(__file__).resolve().parents[2]
DOCS = CHECKOUT / "docs"


class Resources(HTMLParser):
    """Addresses that a page loads when it is opened."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        names = {"script": "src", "img": "src", "link": "href"}
        values = dict(attrs)
        if tag in names and (address := values.get(names[tag])) and values.get("rel") != "canonical":
            self.found.append(address)


@pytest.mark.slow
def test_the_site_builds_strictly_and_loads_nothing_from_other_sites(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(tmp_path)],
        cwd=CHECKOUT,
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    pages = sorted(tmp_path.rglob("*.html"))
    names = {page.relative_to(tmp_path).with_suffix("").as_posix() for page in pages}
    assert {path.relative_to(DOCS).with_suffix("").as_posix() for path in DOCS.rglob("*.md")} <= names
    interface = (tmp_path / "api" / "prediction.html").read_text()
    for name in ("Predictor", "Prediction", "Detections", "CameraIntrinsics"):
        assert f'.{name}"' in interface
    for page in pages:
        parser = Resources()
        parser.feed(page.read_text())
        assert parser.found
        assert [address for address in parser.found if "://" in address] == [], page


def test_every_page_is_in_the_menu() -> None:
    menu = (CHECKOUT / "mkdocs.yml").read_text()
    pages = [path.relative_to(DOCS).as_posix() for path in DOCS.rglob("*.md")]
    assert [page for page in pages if f": {page}" not in menu] == []


def test_training_configurations_on_the_pages_are_valid(tmp_path: Path) -> None:
    configurations = []
    for page in ("your_data.md", "training.md"):
        for text in re.findall(r"```yaml\n(.*?)```", (DOCS / page).read_text(), re.DOTALL):
            path = tmp_path / "training.yaml"
            path.write_text(text)
            configurations.append(read_configuration(path))
    walk, forklift, sources, sizes = configurations
    assert [source.dataset for source in walk.data.training] == ["recording", "bag"]
    assert walk.network.initial_weights
    assert forklift.network.class_names[0] == "Forklift"
    assert [source.weight for source in sources.data.training] == [5, 1]
    assert (sizes.data.input_sizes[1], sizes.data.cutouts) == ((320, 416), "people/cutouts")


def test_launch_files_on_the_pages_use_existing_arguments() -> None:
    pytest.importorskip("launch_ros", reason="launch is not on PyPI")
    blocks = re.findall(r"```python\n# (\w+\.launch\.py)\n(.*?)```", (DOCS / "on_a_robot.md").read_text(), re.DOTALL)
    assert [name for name, _ in blocks] == ["robot.launch.py", "point_cloud.launch.py"]
    for name, code in blocks:
        module = ModuleType(name)
        exec(compile(code, name, "exec"), module.__dict__)
        assert module.generate_launch_description().entities
    given = re.search(r"arguments = (\{.*?\})", blocks[0][1])
    assert given is not None
    declared = (CHECKOUT / "launch" / "perception.launch.py").read_text()
    for argument in re.findall(r'"(\w+)":', given.group(1)):
        assert f'_argument("{argument}"' in declared


def test_the_file_with_cameras_is_valid(tmp_path: Path) -> None:
    (text,) = re.findall(r"```yaml\n# cameras.yaml\n(.*?)```", (DOCS / "on_a_robot.md").read_text(), re.DOTALL)
    path = tmp_path / "cameras.yaml"
    path.write_text(text)
    arguments = [*PARAMETERS, "namespace", "image", "camera_info", "params_file"]
    assert [camera["namespace"] for camera in read_cameras(path, arguments)] == ["front", "rear"]


def test_the_costmap_subscribes_to_a_topic_of_the_node() -> None:
    _, text = re.findall(r"```yaml\n(.*?)```", (DOCS / "on_a_robot.md").read_text(), re.DOTALL)
    layer = yaml.safe_load(text)["local_costmap"]["local_costmap"]["ros__parameters"]["obstacle_layer"]
    topic = layer[layer["observation_sources"]]["topic"].rsplit("/", 1)[1]
    assert f"| `{topic}` | sensor_msgs/PointCloud2 |" in (DOCS / "ros_interface.md").read_text()


@pytest.mark.dds
@pytest.mark.extended
@pytest.mark.timeout(3000)
def test_the_walk_to_adapted_weights(dds_environment: dict[str, str], tmp_path: Path) -> None:
    """Every command of ours on the page, on a synthetic drive, with a short training."""
    section = (DOCS / "your_camera.md").read_text().partition("## Adapt the weights to your camera")[2]
    commands = re.findall(r"^ *(mp_perception .*)$", section.partition("\n## ")[0], re.MULTILINE)
    assert [command.split()[1:3] for command in commands] == [
        ["bag", "info"],
        ["adapt", "my_bag"],
        ["bag", "evaluate"],
        ["bag", "from-recording"],
        ["bag", "evaluate"],
        ["bag", "replay-evaluate"],
        ["adapt", "--images"],
    ]
    run = [sys.executable, "-m", "mp_perception.commands.main"]
    made = ["synthetic street --frames 40 --size 320x240 --workers 1", "bag from-synthetic street my_bag"]
    for command in [*made, *commands]:
        arguments = command.removeprefix("mp_perception ").split()
        if "--images" in arguments:  # those that the bag's adaptation stored, in KITTI's units
            changes = {"rgb": "stored/image", "depth": "stored/depth", "1000": "256", "my_camera": "again"}
            (tmp_path / "stored").symlink_to("my_camera/recording")
            arguments = [changes.get(argument, argument) for argument in arguments]
        short = ["--samples", "60"] if "adapt" in arguments else []
        done = subprocess.run(
            [*run, *arguments, *short], cwd=tmp_path, env=dds_environment, capture_output=True, text=True, check=False
        )
        # A short training may be worse than a fixed depth map.
        assert done.returncode in ((0, 3) if short else (0,)), done.stderr
    assert (tmp_path / "again" / "weights.onnx").is_file()
