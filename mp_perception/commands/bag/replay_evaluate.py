"""`mp_perception bag replay-evaluate`: a bag through the real node over DDS, scored live.  Needs ROS's libraries."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mp_perception.commands.network_options import Weights, split_weights


def replay_evaluate(
    bag: Annotated[Path, typer.Argument(help="Folder of a rosbag2 with ground truth, or its .mcap or .db3 file.")],
    weights: Weights = "mobilenet_v2",
    rate: Annotated[float, typer.Option(min=0.001, max=100, help="2 plays twice as fast, 0.5 half as fast.")] = 1.0,
    report: Annotated[Path, typer.Option(help="HTML file: all of it in one page to read and send on.")] = Path(
        "evaluation.html"
    ),
    json: Annotated[Path | None, typer.Option(help="File for all figures.")] = None,
) -> None:
    """Play a bag through the node and score what it publishes, dropped frames included.

    Replay, node and evaluation are processes of their own that talk over DDS. The node works as on a robot: what it
    is too slow for is dropped and counted; a lower --rate gives it time. It ends by itself with the bag.

    Example: mp_perception bag replay-evaluate street --weights mobilenet_v2 --report live.html
    """
    import tempfile

    from mp_perception.bags.live_pairing import needed_topics, open_replayed_bag
    from mp_perception.bags.reading import BagReader
    from mp_perception.evaluation.run import Outputs
    from mp_perception.inference.predictor import Predictor
    from mp_perception.ros.evaluation_session import EvaluationSession, run_evaluation_session

    outputs = Outputs(json=json, report=report)
    outputs.check()
    # Loaded here as well: what is wrong with the weights is said at once, and the checkpoint knows its threshold.
    backbone, file = split_weights(weights)
    known = Predictor.load(backbone, file)
    node_parameters = {"backbone": known.description.backbone}
    if file is not None:
        node_parameters["weights"] = str(file.resolve())
    threshold = float(known.description.score_threshold)
    known.close()
    with tempfile.TemporaryDirectory(prefix="mp_perception_bag_") as workspace:
        contents = open_replayed_bag(bag, Path(workspace))
        with BagReader(contents.path) as reader:
            compressed = reader.topics[contents.topics.image].type.endswith("CompressedImage")
        evaluation_parameters = {"score_threshold": repr(threshold), "report": str(report.absolute())}
        if json is not None:
            evaluation_parameters["json"] = str(json.absolute())
        run_evaluation_session(
            EvaluationSession(
                bag=contents.path,
                image_topic=contents.topics.image,
                camera_info_topic=contents.topics.camera_info,
                compressed=compressed,
                topics=tuple(needed_topics(contents)),
                rate=rate,
                node_parameters=node_parameters,
                evaluation_parameters=evaluation_parameters,
            )
        )
