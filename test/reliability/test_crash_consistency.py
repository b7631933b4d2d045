"""The short form of `make crash-consistency`, and that it sees incomplete files."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from reliability.crash_consistency import incomplete_files, interrupt


@pytest.mark.slow
@pytest.mark.parametrize("name", ["predict", pytest.param("bag", marks=pytest.mark.extended)])
def test_killed_commands_leave_complete_files(name: str, tmp_path: Path) -> None:
    assert "all files were complete" in interrupt(name, tmp_path, rounds=2)


@pytest.mark.extended
def test_the_command_prints_one_line_for_each_command() -> None:
    command = [sys.executable, "-m", "reliability.crash_consistency", "--rounds", "1", "bag (sqlite3)"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=280, check=False)
    assert done.returncode == 0, done.stderr
    assert re.fullmatch(r"bag \(sqlite3\): killed [01] times at one of \d+ file changes: .*\n", done.stdout)


def test_incomplete_files_are_seen(tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "whole.png"), np.zeros((9, 9), np.uint8))
    content = (tmp_path / "whole.png").read_bytes()
    (tmp_path / "half.png").write_bytes(content[: len(content) // 2])
    (tmp_path / "half.json").write_text('{"image": ')
    (tmp_path / ".half.json.123.part").write_text("")
    (tmp_path / "bag").mkdir()
    (tmp_path / "bag" / "bag.mcap").write_bytes(b"\x89MCAP0\r\n")
    (tmp_path / "net.onnx").write_bytes(b"onnx")
    assert [line.split(":")[0] for line in incomplete_files(tmp_path)] == [
        "bag/bag.mcap",
        "half.json",
        "half.png",
        "net.onnx",
    ]
