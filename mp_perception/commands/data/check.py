"""`mp_perception data check`: faults of a recording that would teach a network wrong depth."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def check(
    recording: Annotated[Path, typer.Argument(help="A bag, or a folder that `data from-bag` wrote.")],
    pictures: Annotated[Path | None, typer.Option(help="New folder for pictures of what was found.")] = None,
) -> None:
    """Check the depth of a recording: is it aligned with the image, of the same moment, in metres, and varied enough?

    Borders of depth are compared with edges of the image, the floor and cars with their usual distance and height.
    Ends with exit code 2 if the recording would teach wrong depth.

    Example: mp_perception data check street_bag --pictures faults
    """
    import cv2

    from mp_perception.adaptation.recording_checks import check_recording
    from mp_perception.data.data_sets import open_data_set
    from mp_perception.errors import UserError
    from mp_perception.files import check_new_folder, complete_folder
    from mp_perception.inference.predictor import Predictor
    from mp_perception.progress import console

    if pictures is not None:
        check_new_folder(pictures)
    frames = open_data_set("recording" if (recording / "image").is_dir() else "bag", recording)
    findings = check_recording(frames, Predictor.load())
    for finding in findings:
        console.print(f"{finding.severity}: {finding.name}: {finding.text}")
    shown = {finding.name: finding.picture for finding in findings if finding.picture is not None}
    if pictures is not None and shown:
        with complete_folder(pictures) as folder:
            for name, picture in shown.items():
                cv2.imwrite(str(folder / f"{name.replace(' ', '_')}.png"), picture[..., ::-1])
    if refused := [finding.name for finding in findings if finding.severity == "refuse"]:
        raise UserError(f"{recording}: the recording would teach wrong depth: {', '.join(refused)}")
    if not findings:
        console.print(f"{recording}: nothing found in {len(frames)} frames")
