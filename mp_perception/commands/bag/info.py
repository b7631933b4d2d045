"""`mp_perception bag info`: what is in a bag, and what an evaluation can use of it.  Needs neither torch nor ROS."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from mp_perception.commands import options

if TYPE_CHECKING:
    from mp_perception.bags.contents import BagContents
    from mp_perception.bags.reading import BagReader


def info(bag: options.Bag) -> None:
    """List a bag's topics with type, number of messages, rate and biggest gap, and what an evaluation can use.

    Example: mp_perception bag info street
    """
    import tempfile

    from mp_perception.bags.opening import open_bag
    from mp_perception.progress import console

    with (
        tempfile.TemporaryDirectory(prefix="mp_perception_bag_") as workspace,
        open_bag(bag, Path(workspace)) as (reader, damage),
    ):
        duration = (reader.end_ns - reader.start_ns) / 1e9
        lines = [f"{bag}: {reader.message_count} messages in {duration:.3f} s"]
        if damage is not None:
            lines.append(f"damaged: {damage}")
        lines += [*_topics(reader), "", *_usable(reader)]
    console.print("\n".join(lines))


def _topics(reader: BagReader) -> list[str]:
    """A line per topic; names come last and are not shortened, so that grep finds them."""
    import numpy as np

    times: dict[str, list[int]] = {name: [] for name in reader.topics}
    for message in reader.messages():
        times[message.topic].append(message.time_ns)
    lines = ["messages  rate, Hz  biggest gap, s  topic, type"]
    for topic in reader.topics.values():
        gaps = np.diff(times[topic.name]) / 1e9
        rate = f"{len(gaps) / gaps.sum():.2f}" if gaps.any() else "-"
        gap = f"{gaps.max():.3f}" if len(gaps) else "-"
        lines.append(f"{len(times[topic.name]):8}  {rate:>8}  {gap:>14}  {topic.name}  {topic.type}")
    return lines


def _usable(reader: BagReader) -> list[str]:
    from mp_perception.bags.contents import read_contents
    from mp_perception.bags.topic_choice import ChosenTopics
    from mp_perception.errors import UserError

    try:
        contents = read_contents(reader, ChosenTopics(), "")
    except UserError as error:
        return [f"An evaluation cannot use this bag: {str(error).removeprefix(f'{reader.source}: ')}"]
    return [
        "What an evaluation uses (`mp_perception bag evaluate`):",
        "frames  what, topic",
        *_used(contents),
        *(f"note: {note}" for note in contents.notes),
    ]


def _used(contents: BagContents) -> list[str]:
    from mp_perception.bags.contents import COUNTED

    counts = contents.counts()
    lines = [f"{counts['frames']:6}  images: {contents.topics.image}"]
    for kind, use in COUNTED.items():
        what = kind if use in ("camera_info", "predicted_detections") else f"ground truth: {kind}"
        lines.append(f"{counts[kind]:6}  {what}: {getattr(contents.topics, use) or 'none'}")
    if contents.has_labels:
        source = "" if contents.describes_labelled else " (those that the ground truth names)"
        lines.append(f"        labelled classes{source}: {', '.join(contents.labelled) or 'none'}")
    return lines
