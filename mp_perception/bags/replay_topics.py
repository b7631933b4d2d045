"""Which topics of a bag a replay needs: for the node alone, or for the evaluation of its outputs as well."""

from __future__ import annotations

from mp_perception.bags.reading import BagReader
from mp_perception.bags.topic_choice import ChosenTopics, beside
from mp_perception.messages.frame_tree import TRANSFORMS_TYPE


def input_topics(reader: BagReader, chosen: ChosenTopics) -> list[str]:
    """Images, camera info and transforms."""
    transforms = [name for name, topic in reader.topics.items() if topic.type == TRANSFORMS_TYPE]
    return [topic for topic in (chosen.image, chosen.camera_info, *transforms) if topic is not None]


def evaluation_topics(reader: BagReader, chosen: ChosenTopics) -> list[str]:
    """The inputs, the ground truth, and the topics beside it that describe it."""
    truth = [chosen.depth, chosen.depth_info, chosen.points, chosen.labels, chosen.detections, chosen.detections_3d]
    known = [topic for topic in truth if topic is not None]
    descriptions = [beside(topic, name) for topic in known for name in ("label_info", "description")]
    return list(
        dict.fromkeys(
            [*input_topics(reader, chosen), *known, *(name for name in descriptions if name in reader.topics)]
        )
    )
