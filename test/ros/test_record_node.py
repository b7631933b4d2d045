"""The recorder's writing thread with a disk that is slow or full."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

from mp_perception.bags.reading import BagReader
from mp_perception.bags.writing import BagWriter
from mp_perception.ros.record_node import WritingThread

# A file may have half a megabyte; two megabytes are queued.
FULL_DISK = """
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
        assert not writing.put("/image", 100, b"")
        writing.finish()
except UserError as error:
    sys.exit(str(error))
"""


def test_a_full_disk_ends_the_recording_with_one_line_and_leaves_nothing(tmp_path: Path) -> None:
    command = [sys.executable, "-c", FULL_DISK, str(tmp_path / "bag")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 1
    assert re.fullmatch(rf"{tmp_path}/bag: cannot be written: .+\n", done.stderr)
    assert list(tmp_path.iterdir()) == []


def test_a_slow_disk_bounds_the_queue_and_loses_nothing_that_was_queued(tmp_path: Path) -> None:
    data = bytes(200_000)
    with BagWriter(tmp_path / "bag") as bag:
        bag.add_topic("/image", "sensor_msgs/msg/Image")
        writing = WritingThread(bag)
        queued = sum(writing.put("/image", stamp, data) for stamp in range(3000))
        writing.finish()
    assert 256 <= queued < 3000
    with BagReader(tmp_path / "bag") as reader:
        assert reader.topics["/image"].count == queued
