"""Who may import whom (docs/architecture.md), read from the syntax trees."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parent.parent / "mp_perception"
PACKAGES = {path.name for path in PACKAGE.iterdir() if path.is_dir() and any(path.rglob("*.py"))}

#: Package or file -> the packages it may import, besides itself and the modules at the top.
#: The longest entry that matches a file applies.
ALLOWED: dict[str, set[str]] = {
    "__init__.py": {"inference"},
    "model": set(),
    "network": {"model"},
    "tracking": set(),
    "inference": {"model"},
    "inference/export": {"model", "network"},
    "inference/runtimes/torch_runtime.py": {"model", "network"},
    "data": set(),
    "visualization": {"data", "tracking"},
    "synthetic": {"data"},
    "losses": {"network/matching.py"},
    "evaluation": {"inference", "data", "tracking", "visualization"},
    "training": {"network", "model", "losses", "data", "inference", "evaluation", "visualization"},
    "adaptation": {"model", "network", "data", "bags", "inference", "training", "evaluation", "visualization"},
    "bags": {"messages", "data"},
    "bags/render": {"messages", "data", "model", "inference", "tracking", "visualization"},
    "messages": {"tracking"},
    "ros": {"model", "inference", "messages", "tracking", "visualization"},
    "ros/replay_node.py": {"bags"},
    "ros/record_node.py": {"bags"},
    "benchmark": PACKAGES - {"commands"},
    "commands": PACKAGES,
}

#: Packages and files that may import PyTorch; all others run without it.
TORCH_PLACES = (
    *("network", "losses", "training", "adaptation/initial_weights.py"),
    *("inference/export/onnx_graph.py", "inference/runtimes/torch_runtime.py", "evaluation/coco_metrics.py"),
    "benchmark/networks",
)
TORCH_PACKAGES = {"torch", "torchvision", "lightning", "torchmetrics"}

#: Packages that may import ROS; all others run without it.
ROS_PLACES = ("ros", "benchmark/node")
ROS_PACKAGES = {"rclpy", "ament_index_python", "cv_bridge", "launch", "launch_ros", "builtin_interfaces"}
ROS_SUFFIXES = ("_msgs", "_srvs", "_interfaces")


@dataclass(frozen=True)
class Import:
    """One import of one module: where it stands, what it names, and whether importing the file executes it."""

    file: str
    line: int
    module: str
    at_start: bool

    def __str__(self) -> str:
        return f"mp_perception/{self.file}:{self.line}: imports {self.module}"


def imports_of(tree: ast.Module, file: str) -> Iterator[Import]:
    """All imports of a file, those inside functions too.  file: path below the package, with slashes."""

    def visit(node: ast.AST, at_start: bool) -> Iterator[Import]:
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.Import):
                for name in child.names:
                    yield Import(file, child.lineno, name.name, at_start)
            elif isinstance(child, ast.ImportFrom):
                origin = child.module or ""
                if child.level:
                    parents = ["mp_perception", *Path(file).parent.parts]
                    origin = ".".join([*parents[: len(parents) - child.level + 1], *origin.split(".")]).rstrip(".")
                for name in child.names:
                    yield Import(file, child.lineno, f"{origin}.{name.name}", at_start)
            else:
                deferred = isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
                for_types_only = isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test)
                yield from visit(child, at_start and not deferred and not for_types_only)

    yield from visit(tree, True)


def all_imports() -> list[Import]:
    """Every import of every file of the package."""
    return [
        entry
        for path in sorted(PACKAGE.rglob("*.py"))
        for entry in imports_of(ast.parse(path.read_text()), path.relative_to(PACKAGE).as_posix())
    ]


def own_target(module: str) -> str | None:
    """Path below the package of a module of ours, without its ending; None for other modules."""
    parts = module.split(".")
    return "/".join(parts[1:]) if parts[0] == "mp_perception" and len(parts) > 1 else None


def lies_in(path: str, place: str) -> bool:
    """Whether a file or module is in a package, or is the named file."""
    place = place.removesuffix(".py")
    path = path.removesuffix(".py")
    return path == place or path.startswith(f"{place}/")


def package_violations(entries: list[Import]) -> list[str]:
    """The imports between packages that the table does not permit."""
    violations = []
    for entry in entries:
        target = own_target(entry.module)
        if target is None:
            continue
        package, own_package = target.split("/")[0], entry.file.split("/")[0]
        if package not in PACKAGES or package == own_package:
            continue
        places = [place for place in ALLOWED if lies_in(entry.file, place)]
        allowed = ALLOWED[max(places, key=len)] if places else set()
        if not any(lies_in(target, place) for place in allowed):
            violations.append(str(entry))
    return violations


def external_violations(entries: list[Import]) -> list[str]:
    """The imports of PyTorch and ROS outside their places."""
    violations = []
    for entry in entries:
        package = entry.module.split(".")[0]
        is_ros = package in ROS_PACKAGES or package.endswith(ROS_SUFFIXES)
        places = TORCH_PLACES if package in TORCH_PACKAGES else ROS_PLACES if is_ros else None
        if places is not None and not any(lies_in(entry.file, place) for place in places):
            violations.append(str(entry))
    return violations


def test_every_package_has_a_rule() -> None:
    assert "network" in PACKAGES
    assert PACKAGES - set(ALLOWED) == set()


def test_packages_import_only_what_they_may() -> None:
    assert package_violations(all_imports()) == []


def test_torch_and_ros_are_imported_in_their_packages_only() -> None:
    assert external_violations(all_imports()) == []


def test_commands_and_the_package_itself_import_packages_inside_functions_only() -> None:
    violations = [
        str(entry)
        for entry in all_imports()
        if entry.at_start and (entry.file == "__init__.py" or lies_in(entry.file, "commands"))
        if (target := own_target(entry.module)) and target.split("/")[0] in PACKAGES
        if not lies_in(target, "commands")
    ]
    assert violations == []


@pytest.mark.parametrize(
    ("file", "code"),
    [
        ("data/samples.py", "from mp_perception.inference import predictor"),
        ("data/samples.py", "from ..inference.predictor import Predictor"),
        ("geometry.py", "from mp_perception import network"),
        ("inference/predictor.py", "def load():\n    import mp_perception.network.checkpoint"),
        ("ros/perception_node.py", "from mp_perception.bags import reading"),
        ("losses/depth.py", "from mp_perception.network.multitask import MultiTaskNetwork"),
        ("benchmark/timing.py", "from mp_perception.commands import main"),
    ],
)
def test_forbidden_import_is_seen(file: str, code: str) -> None:
    assert len(package_violations(list(imports_of(ast.parse(code), file)))) == 1


@pytest.mark.parametrize(
    ("file", "code"),
    [
        ("inference/runtimes/torch_runtime.py", "from mp_perception.network.checkpoint import read_checkpoint"),
        ("ros/replay_node.py", "from mp_perception.bags.reading import read_bag"),
        ("network/multitask.py", "from .backbones import Backbone"),
        ("data/samples.py", "from mp_perception.geometry import CameraIntrinsics"),
    ],
)
def test_permitted_import_is_left_alone(file: str, code: str) -> None:
    assert package_violations(list(imports_of(ast.parse(code), file))) == []


@pytest.mark.parametrize("code", ["import torch", "from rclpy.node import Node", "from sensor_msgs.msg import Image"])
def test_torch_and_ros_are_seen_outside_their_packages(code: str) -> None:
    assert len(external_violations(list(imports_of(ast.parse(code), "bags/reading.py")))) == 1


def test_command_line_starts_without_torch_and_ros() -> None:
    code = "import sys, mp_perception.commands.main; print(*sys.modules)"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    assert result.returncode == 0, result.stderr
    loaded = set(result.stdout.split())
    assert "mp_perception.commands.main" in loaded
    assert loaded.isdisjoint({"torch", "torchvision", "rclpy", "sensor_msgs"})
