"""What evaluation_node refuses before it looks at any topic: one line, exit code 2."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np

from mp_perception.bags.messages import image_message
from mp_perception.bags.writing import BagWriter

#: Starts the node with each list of arguments in turn; prints the exit codes.
RUNS = """
import json, sys
from mp_perception.ros.evaluation_node import main
print(json.dumps([main(arguments) for arguments in json.loads(sys.argv[1])]))
"""


def test_bad_parameters_and_bags_are_refused_in_one_line(tmp_path: Path) -> None:
    with BagWriter(tmp_path / "bare") as bag:
        bag.add_topic("/image", "sensor_msgs/msg/Image")
        image = image_message(np.zeros((4, 4, 3), np.uint8), "rgb8", "camera", 1)
        bag.write("/image", 1, image)
    expected = {
        "": "parameter bag: expected the bag that is replayed, found none",
        "bag:=missing": "missing: no such bag",
        "bag:=bare": "bare: expected truth (depth images, laser scans, detections), found none",
        "bag:=bare score_threshold:=2": "parameter score_threshold: expected -1 or 0..1, found 2",
        "bag:=bare output_timeout:=soon": "parameter output_timeout: expected a number, found 'soon'",
        "bag:=bare output_timeout:=nan": "parameter output_timeout: expected seconds above 0, 3600 at most, found nan",
        "bag:=bare max_pending_megabytes:=0": "parameter max_pending_megabytes: expected 1..1000000, found 0",
        "bag:=bare report:=nowhere/x.html json:=nowhere/x.html": "expected one file for figures and one for the report",
    }
    arguments = [
        ["--ros-args", *(part for assignment in text.split() for part in ("-p", assignment))] for text in expected
    ]
    done = subprocess.run(
        [sys.executable, "-c", RUNS, json.dumps(arguments)],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    assert json.loads(done.stdout) == [2] * len(expected)
    lines = [line for line in done.stderr.splitlines() if line]
    assert len(lines) == len(expected), done.stderr
    for line, text in zip(lines, expected.values(), strict=True):
        assert line.startswith("error: ")
        assert text in line
