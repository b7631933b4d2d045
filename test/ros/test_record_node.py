"""The recorder's writing thread on a disk that fills up."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

# Half a megabyte is all a file may have; a megabyte is offered, then the recording is ended.
PROGRAM = """
import resource, sys, time
from pathlib import Path
from mp_perception.bags.writing import BagWriter
from mp_perception.errors import UserError
from mp_perception.ros.record_node import WritingThread
resource.setrlimit(resource.RLIMIT_FSIZE, (500_000, 500_000))
try:
    with BagWriter(Path(sys.argv[1])) as bag:
        bag.add_topic("/image", "sensor_msgs/msg/Image")
        writing = WritingThread(bag)
        for stamp in range(20):
            assert writing.put("/image", stamp, bytes(100_000))
        while writing.error is None:
            time.sleep(0.01)
        taken = sum(writing.put("/image", 100 + stamp, b"") for stamp in range(1000))
        assert taken < 1000, "a queue that nobody empties must not grow without end"
        writing.finish()
except UserError as error:
    sys.exit(str(error))
"""


def test_a_full_disk_ends_the_recording_in_one_line_and_leaves_nothing(tmp_path: Path) -> None:
    command = [sys.executable, "-c", PROGRAM, str(tmp_path / "bag")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 1
    assert re.fullmatch(rf"{tmp_path}/bag: cannot be written \(.+\)\n", done.stderr)
    assert list(tmp_path.iterdir()) == []
