"""docs/tracks.md: its code runs, and its tables are those of the messages."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest

from mp_perception.messages.header import new_header
from mp_perception.messages.points import table_message
from mp_perception.messages.tracks import STATE_LAYOUT
from mp_perception.ros.message_class import new_message
from mp_perception.ros.publishing import OUTPUTS

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "tracks.md").read_text(encoding="utf-8")
TYPES = {"float32": "f4", "uint32": "u4", "uint16": "u2", "uint8": "u1"}


def block(language: str) -> str:
    (code,) = re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)
    return str(code)


def states() -> np.ndarray:
    """A cyclist that is here in 2.8 s, and a car that drives away."""
    table = np.zeros((1, 2), STATE_LAYOUT)
    table["id"] = (3, 4)
    table["distance"], table["closing_speed"], table["time_to_contact"] = (14, 20), (5, -2), (2.8, np.inf)
    return table


def test_the_table_of_fields_is_that_of_the_message() -> None:
    rows = re.findall(r"^\| (`.*?) \| (\w+) \|", PAGE, re.MULTILINE)
    fields = {name: kind for names, kind in rows for name in re.findall(r"`(\w+)`", names) if kind in TYPES}
    covariances = {name for name in STATE_LAYOUT.names or () if name.startswith("cov_")}
    assert len(covariances) == 21
    assert {"cov_x_x", "cov_x_y", "cov_vz_vz"} <= covariances
    assert set(STATE_LAYOUT.names or ()) - covariances == {name for name in fields if not name.startswith("cov_")}
    for name, kind in fields.items():
        assert STATE_LAYOUT[name] == np.dtype(TYPES[kind])


def test_the_topics_are_those_of_the_node() -> None:
    types = {output.topic: output.message_type for output in OUTPUTS}
    for topic, kind in re.findall(r"^\| `(tracks[/\w]*)` \| \w+/(\w+) \|", PAGE, re.MULTILINE):
        assert types.pop(topic).__name__ == kind
    assert not [topic for topic in types if topic.startswith("tracks")]


def test_the_python_node_warns_of_what_comes() -> None:
    example = ModuleType("watch")
    exec(compile(block("python"), "watch.py", "exec"), example.__dict__)
    warnings: list[str] = []
    message = table_message(new_message, states(), new_header(new_message, "odom", 7), is_dense=False)
    node = SimpleNamespace(get_logger=lambda: SimpleNamespace(warning=warnings.append))
    example.Watch.check(node, message)
    assert warnings == ["object 3: 14 m, 5.0 m/s, contact in 2.8 s"]


@pytest.mark.slow
def test_the_cpp_function_reads_the_message(tmp_path: Path) -> None:
    include = Path(sys.prefix, "include")
    if shutil.which("g++") is None or not (include / "sensor_msgs").is_dir():
        pytest.skip("no C++ compiler, or no headers of the messages")
    table = states()
    fields = "\n".join(
        f'add("{name}", {offset}, {({"f4": 7, "u4": 6, "u2": 4, "u1": 2})[kind.str[1:]]});'
        for name, (kind, offset) in (STATE_LAYOUT.fields or {}).items()
    )
    program = f"""{block("cpp")}
int main()
{{
  sensor_msgs::msg::PointCloud2 tracks;
  auto add = [&](const char * name, uint32_t offset, uint8_t datatype) {{
    sensor_msgs::msg::PointField field;
    field.name = name; field.offset = offset; field.datatype = datatype; field.count = 1;
    tracks.fields.push_back(field);
  }};
  {fields}
  tracks.height = 1; tracks.width = {table.size}; tracks.point_step = {STATE_LAYOUT.itemsize};
  tracks.row_step = {table.nbytes};
  tracks.data = {{{", ".join(map(str, table.tobytes()))}}};
  check(tracks);
}}"""
    (tmp_path / "watch.cpp").write_text(program)
    folders = [f"-I{folder}" for folder in include.iterdir() if folder.is_dir()]
    command = ["g++", "-std=c++17", "-o", "watch", "watch.cpp", *folders]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    found = subprocess.run([tmp_path / "watch"], capture_output=True, text=True, timeout=20, check=True)
    assert found.stdout == "object 3: 14 m, contact in 2.8 s\n"
