"""The run behind `mp_perception bag render`: opens the bag, chooses the format by the file's ending, warns."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterable
from contextlib import closing, nullcontext
from dataclasses import dataclass
from pathlib import Path

from mp_perception.bags.contents import BagContents
from mp_perception.bags.opening import open_contents
from mp_perception.bags.render.frames import FrameSource, RenderedBag, RenderedFrame
from mp_perception.bags.topic_choice import ChosenTopics
from mp_perception.classes import DEFAULT_CLASSES
from mp_perception.errors import UserError
from mp_perception.files import check_can_be_written
from mp_perception.inference.network_choice import NetworkChoice
from mp_perception.model.checkpoint_description import CheckpointDescription
from mp_perception.progress import console, track, warn

Writer = Callable[[Path, RenderedBag, Iterable[RenderedFrame]], None]


@dataclass(frozen=True)
class RenderRequest:
    """What to render.

    bag: folder or file.  out: file whose ending says the format.  topics: those that the user names.
    network: None takes the node's recorded outputs.  score_threshold: of the detections that are shown; None takes
    the checkpoint's, or the one that the node published with.
    """

    bag: Path
    out: Path
    topics: ChosenTopics
    network: NetworkChoice | None
    score_threshold: float | None


def run_render(request: RenderRequest) -> None:
    """Render, and say what was written.  Raises UserError for anything the user can put right; then nothing is left."""
    write = _writer(request.out)
    _check_target(request)
    with tempfile.TemporaryDirectory(prefix="mp_perception_bag_") as workspace:
        contents = open_contents(request.bag, request.topics, request.bag.resolve().name, Path(workspace))
        network = request.network
        if network is None and contents.recorded is None:
            raise UserError(
                f"{request.bag}: expected recorded outputs (detections, with depth/image beside), found none"
            )
        for note in contents.notes:
            warn(f"{request.bag}: {note}")
        with nullcontext() if network is None else closing(network.load_with_warning()) as predictor:
            bag = _describe(contents, None if predictor is None else predictor.description, request.score_threshold)
            source = FrameSource(contents, predictor, bag.score_threshold)
            write(request.out, bag, track(source, "render", len(source)))
    for kind, (count, example) in source.problems.items():
        warn(f"{kind} in {count} frames; the first: {example}")
    if source.without_output:
        warn(f"{source.without_output} of {len(source)} frames have no recorded output")
    megabytes = request.out.stat().st_size / 1e6
    console.print(f"{request.out}: {len(source)} frames, {megabytes:.1f} MB", soft_wrap=True)


def _writer(out: Path) -> Writer:
    """What writes a file of this ending.  Each is imported here alone: a video needs no Rerun."""
    match out.suffix:
        case ".mp4":
            from mp_perception.bags.render.video import write_video

            return write_video
        case ".mcap":
            from mp_perception.bags.render.annotated_bag import write_annotated_bag

            return write_annotated_bag
        case ".rrd":
            try:
                from mp_perception.bags.render.rerun_recording import write_rerun_recording
            except ModuleNotFoundError as error:
                raise UserError(f"{out}: {error.name} is not installed: pip install mp_perception[rerun]") from error
            return write_rerun_recording
    raise UserError(f"{out}: expected a file that ends in .mp4, .mcap or .rrd")


def _check_target(request: RenderRequest) -> None:
    out, bag = request.out.resolve(), request.bag.resolve()
    if out.is_dir():
        raise UserError(f"{request.out}: expected the name of a file, found a folder")
    if out == bag or bag in out.parents:
        raise UserError(f"{request.out}: expected a file outside the bag {request.bag}")
    if not out.parent.is_dir():
        raise UserError(f"{request.out}: expected an existing folder to write into, {request.out.parent} is none")
    check_can_be_written(request.out)


def _describe(
    contents: BagContents, description: CheckpointDescription | None, asked_threshold: float | None
) -> RenderedBag:
    if description is None:
        class_names, known = contents.predicted_classes or DEFAULT_CLASSES, contents.recorded_threshold or 0.0
        depth_range = CheckpointDescription.depth_range
    else:
        class_names, known = description.class_names, float(description.score_threshold)
        depth_range = description.depth_range
    return RenderedBag(
        name=contents.name,
        image_topic=contents.topics.image,
        camera_info_topic=contents.topics.camera_info,
        frame_id=contents.camera_frame,
        class_names=class_names,
        score_threshold=known if asked_threshold is None else asked_threshold,
        depth_range=depth_range,
    )
