"""Bags: everything that an evaluation reads from them, but not the network."""

from __future__ import annotations

import tempfile
from pathlib import Path

from mp_perception.bags.frames import BagFrames
from mp_perception.bags.opening import open_contents
from mp_perception.bags.topic_choice import ChosenTopics
from reliability.fuzzing.seed_files import bag_files
from reliability.fuzzing.target import fuzz_file


@fuzz_file("bag.mcap", lambda: [bag_files("mcap")[".mcap"]])
def mcap_bag(path: Path) -> None:
    """The first frames of a bag; what can be recovered from a damaged one included."""
    with tempfile.TemporaryDirectory(dir=path.parent) as workspace:
        frames = BagFrames([open_contents(path, ChosenTopics(), "bag", Path(workspace))])
        try:
            for index in range(min(len(frames), 5)):
                _ = frames[index]
        finally:
            frames.close()


@fuzz_file("bag.db3", lambda: [bag_files("sqlite3")[".db3"]])
def sqlite_bag(path: Path) -> None:
    """As mcap_bag, in the other storage format."""
    mcap_bag(path)


@fuzz_file("metadata.yaml", lambda: [bag_files("mcap")[".yaml"]])
def bag_metadata(path: Path) -> None:
    """The metadata.yaml of a bag whose data file is the seed's."""
    (path.parent / "bag.mcap").write_bytes(bag_files("mcap")[".mcap"])
    mcap_bag(path.parent)
