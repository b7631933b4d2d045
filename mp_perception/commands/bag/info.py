"""`mp_perception bag info`: what is in a bag, and what an evaluation could use of it.  No torch, no ROS."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from mp_perception.bags.contents import BagContents
    from mp_perception.bags.reading import BagReader


def info(bag: Annotated[Path, typer.Argument(help="Folder of a rosbag2, or its .mcap or .db3 file.")]) -> None:
    """List a bag's topics with type, number of messages, rate and biggest gap, and what an evaluation could use.

    Example: mp_perception bag info street
    """
    import tempfile

    from mp_perception.bags.opening import read_bag
    from mp_perception.progress import console

    with tempfile.TemporaryDirectory(prefix="mp_perception_bag_") as workspace:
        lines, damage = read_bag(bag, Path(workspace), lambda reader: [*_topics(reader), "", *_usable(reader)])
    lines[0] = f"{bag}: {lines[0]}"
    if damage is not None:
        lines.insert(1, f"damaged: {damage}")
    console.print("\n".join(lines), soft_wrap=True)


def _topics(reader: BagReader) -> list[str]:
    from mp_perception.bags.timing import topic_timings

    timings = topic_timings(reader)
    duration = (reader.end_ns - reader.start_ns) / 1e9
    lines = [f"{reader.message_count} messages in {duration:.3f} s"]
    # Names come last and are never cut: people and grep need them whole.
    lines.append("messages  rate, Hz  biggest gap, s  topic, type")
    for topic in reader.topics.values():
        timing = timings[topic.name]
        rate, gap = _number(timing.rate, 2), _number(timing.biggest_gap, 3)
        lines.append(f"{timing.count:8}  {rate:>8}  {gap:>14}  {topic.name}  {topic.type}")
    return lines


def _usable(reader: BagReader) -> list[str]:
    from mp_perception.bags.contents import read_contents
    from mp_perception.bags.reading import DamagedBagError
    from mp_perception.bags.topic_choice import ChosenTopics
    from mp_perception.errors import UserError

    try:
        contents = read_contents(reader, ChosenTopics(), "")
    except DamagedBagError:
        raise
    except UserError as error:
        return [f"An evaluation cannot use this bag: {str(error).removeprefix(f'{reader.path}: ')}"]
    return [
        "What an evaluation takes (`mp_perception bag evaluate`):",
        "frames  what, topic",
        *_taken(contents),
        *(f"note: {note}" for note in contents.notes),
    ]


def _taken(contents: BagContents) -> list[str]:
    """A line for each kind of thing; of several truths of one kind the first that a frame has counts."""
    topics, counts = contents.topics, contents.counts()
    kinds = {
        "frames": ("images", topics.image),
        "camera info": ("camera info", topics.camera_info),
        "depth images": ("truth of depth: depth images", topics.depth),
        "laser scans": ("truth of depth: laser scans", topics.scan),
        "KITTI labels": ("truth of objects: KITTI labels", topics.labels),
        "2D detections": ("truth of objects: 2D detections", topics.detections),
        "3D detections": ("truth of objects: 3D detections", topics.detections_3d),
        "recorded outputs": ("recorded outputs (--recorded)", contents.recorded and contents.recorded.detections),
    }
    lines = []
    for kind, (what, topic) in kinds.items():
        unused = kind == "laser scans" and topics.depth is not None
        lines.append(f"{counts.get(kind, 0):6}  {what}: {topic or 'none'}" + (" (depth images go first)" * unused))
    if contents.has_labels:
        source = "" if contents.says_what_is_labelled else " (those that the truth names)"
        lines.append(f"        labelled classes{source}: {', '.join(contents.labelled) or 'none'}")
    return lines


def _number(value: float | None, decimals: int) -> str:
    return "-" if value is None else f"{value:.{decimals}f}"
