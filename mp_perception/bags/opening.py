"""Opening bags, damaged ones too, and several bags as one data set."""

from __future__ import annotations

import atexit
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from mp_perception.bags.contents import BagContents, read_contents
from mp_perception.bags.frames import BagFrames
from mp_perception.bags.reading import ADVICE, BagReader, DamagedBagError
from mp_perception.bags.salvage import salvage
from mp_perception.bags.topic_choice import ChosenTopics
from mp_perception.classes import DEFAULT_CLASSES
from mp_perception.data.frame_sets import select_frames
from mp_perception.errors import UserError
from mp_perception.progress import warn


@contextmanager
def open_bag(path: Path, workspace: Path) -> Iterator[tuple[BagReader, str | None]]:
    """A bag, opened for the time of the block, and what is wrong with it; None for a complete bag.

    workspace: an existing folder; the reader of a damaged bag reads a copy there of what is left.
    Raises UserError if path is not a bag, or nothing can be read of a damaged one.
    """
    with ExitStack() as stack:
        damage = None
        try:
            reader = stack.enter_context(BagReader(path))
        except DamagedBagError as error:
            copy = workspace / f"{len(list(workspace.iterdir()))}-{path.name}"
            count = salvage(path, copy)
            if count == 0:
                raise UserError(f"{error}; no message can be recovered: {ADVICE}") from error
            damage = f"{str(error).removeprefix(f'{path}: ')}; {count} messages were recovered from it"
            reader = stack.enter_context(BagReader(copy, path))
        yield reader, damage


def open_contents(
    path: Path, asked: ChosenTopics, name: str, workspace: Path, needs_recorded: bool = False
) -> BagContents:
    """What can be used of a bag; arguments as those of open_bag and read_contents, which raise UserError.

    The workspace must stay while the contents are used.  needs_recorded: refuse a bag without a node's outputs.
    """
    with open_bag(path, workspace) as (reader, damage):
        contents = read_contents(reader, asked, name)
    if needs_recorded and contents.topics.predicted_detections is None:
        raise UserError(f"{path}: expected recorded outputs (detections, with depth/image beside), found none")
    return contents if damage is None else replace(contents, notes=(damage, *contents.notes))


@contextmanager
def open_bags(
    paths: Sequence[Path],
    topics: ChosenTopics,
    score_recorded: bool = False,
    class_names: Sequence[str] = DEFAULT_CLASSES,
) -> Iterator[BagFrames]:
    """Bags as one data set, for the time of the block.

    topics: those that the user names.  score_recorded: the outputs of a node that the bags hold are scored, not those
    of a network.  A bag that cannot be used among others that can is reported and left out.
    Raises UserError if no bag can be used, or the only one.
    """
    with tempfile.TemporaryDirectory(prefix="mp_perception_bags_") as workspace:
        bags, unusable = _usable_bags(paths, topics, score_recorded, Path(workspace))
        frames = BagFrames(bags, class_names, score_recorded)
        frames.title = bags[0].name + (f" and {len(bags) - 1} more" if len(bags) > 1 else "")
        frames.description = {"name": "bag", "bags": [_describe(bag) for bag in bags], "unusable_bags": unusable}
        try:
            yield frames
        finally:
            frames.close()


def open_data_set_of_bags(root: Path, split: str | None, class_names: Sequence[str]) -> BagFrames:
    """The data set `bag`: a bag, or all bags of a folder; they stay open until the process ends.

    root: a bag's folder, or a folder with such folders and .mcap files.  split: names of frames, <bag>/<stamp>.
    Raises UserError as open_bags, and for a split that is missing or names an unknown frame.
    """
    bags = [] if (root / "metadata.yaml").is_file() else sorted(path for path in root.iterdir() if _is_bag(path))
    stack = ExitStack()
    frames = stack.enter_context(open_bags(bags or [root], ChosenTopics(), class_names=class_names))
    atexit.register(stack.close)
    frames.frames = select_frames(frames.frames, root, split)
    return frames


def _is_bag(path: Path) -> bool:
    return (path / "metadata.yaml").is_file() or (path.is_file() and path.suffix == ".mcap")


def _usable_bags(
    paths: Sequence[Path], topics: ChosenTopics, score_recorded: bool, workspace: Path
) -> tuple[list[BagContents], dict[str, str]]:
    """The bags' contents, under different names, and path -> what is wrong with those that cannot be used."""
    bags: list[BagContents] = []
    unusable: dict[str, str] = {}
    for number, path in enumerate(paths):
        name = path.resolve().name
        if sum(other.resolve().name == name for other in paths) > 1:
            name = f"{number + 1}-{name}"
        try:
            bag = open_contents(path, topics, name, workspace, needs_recorded=score_recorded)
        except UserError as error:
            if len(paths) == 1:
                raise
            unusable[str(path)] = str(error)
            warn(str(error))
            continue
        if not (bag.has_depth or bag.has_labels):
            warn(f"{path}: no ground truth: expected depth images, point clouds or detections")
        bags.append(bag)
        for note in bag.notes:
            warn(f"{path}: {note}")
    if not bags:
        raise UserError(f"none of {len(paths)} bags can be used; the first: {next(iter(unusable.values()))}")
    return bags, unusable


def _describe(bag: BagContents) -> dict[str, Any]:
    topics = {kind: topic for kind, topic in asdict(bag.topics).items() if topic}
    return {"name": bag.name, "path": str(bag.source), "topics": topics, **bag.counts(), "notes": list(bag.notes)}
