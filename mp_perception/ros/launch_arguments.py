"""What our launch files read: arguments, of which launch itself accepts any name, and files with cameras."""

from __future__ import annotations

import math
import sys
from collections.abc import Iterable, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import yaml

from mp_perception.errors import UserError, one_line, unknown_name
from mp_perception.inference.default_weights import is_shipped_name

#: How similar a name must be to an argument to be taken for a misspelt one in a launch file that another one includes.
_SIMILARITY = 0.8
#: Arguments that are files.
_FILES = ("params_file", "weights")


def check_arguments(context: Any, launch_file: str, declared: Iterable[str]) -> None:
    """Refuse arguments that a launch file does not declare; to be called before the declarations are executed.

    Within another launch file all arguments of that file are visible, and not only those for this one: there only names
    that resemble an argument which is not given are refused.

    Args:
        context: the launch.LaunchContext.
        launch_file: path of the launch file.
        declared: its arguments.

    Raises:
        UserError: an argument is unknown; a similar name is suggested.
    """
    names = list(declared)
    if Path(launch_file).name in {Path(argument).name for argument in sys.argv}:
        # ros2 launch adds launch-prefix and launch-prefix-filter, which launch_ros reads.
        given = [name for name, assigned, _ in (text.partition(":=") for text in context.argv) if assigned]
        unknown = [name for name in given if name not in names and not name.startswith("launch-prefix")]
        if unknown:
            raise unknown_name("argument", unknown[0], names)
        return
    visible = context.launch_configurations.keys()
    missing = [name for name in names if name not in visible]
    for name in visible - set(names):
        if similar := get_close_matches(name, missing, n=1, cutoff=_SIMILARITY):
            raise UserError(
                f"unknown argument '{name}' of {Path(launch_file).name}: did you mean '{similar[0]}'? (an argument of"
                " another launch file is hidden by a GroupAction with forwarding=False)"
            )


def read_cameras(path: Path, arguments: Sequence[str]) -> list[dict[str, str]]:
    """The arguments of each camera in a file of cameras.launch.py, as texts.

    Args:
        path: YAML file, a list of {argument: value}; files in it are relative to its folder.
        arguments: names of the arguments that a camera may have.

    Raises:
        UserError: the file is missing or malformed, an argument is unknown, or two nodes would have the same name.
    """
    try:
        found = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeError, yaml.YAMLError) as error:
        raise UserError(f"cameras: {path}: {one_line(error)}") from error
    if not found or not isinstance(found, list) or not all(isinstance(values, dict) for values in found):
        found = str(found)[:80]
        raise UserError(f"cameras: {path}: expected a list with the arguments of each camera, found {found!r}")
    cameras: dict[str, dict[str, str]] = {}
    for number, values in enumerate(found, start=1):
        where = f"cameras: {path}: camera {number}"
        for name in values:
            if name not in arguments:
                raise UserError(f"{where}: {unknown_name('argument', str(name), arguments)}")
        camera = {name: _text(value) for name, value in values.items()}
        files = [name for name in _FILES if camera.get(name) and not is_shipped_name(camera[name])]
        camera |= {name: str(path.parent / camera[name]) for name in files}
        node = "/".join(camera.get(name, "").strip("/") for name in ("namespace", "name"))
        if node in cameras:
            raise UserError(f"{where}: expected another namespace or name than the cameras before it")
        cameras[node] = camera
    return list(cameras.values())


def _text(value: Any) -> str:
    """A YAML value as a launch argument."""
    if value is None or isinstance(value, str):
        return value or ""
    return str(yaml.safe_dump(value, default_flow_style=True, width=math.inf).splitlines()[0])
