"""The report of an evaluation: one HTML file with everything in it, to be read, printed and sent on.

`write_report` is what `mp_perception evaluate` and `bag evaluate` call.  The page is
templates/report.html; here is what it shows.  Every text is escaped: names of classes and files come from data.
"""

from __future__ import annotations

import base64
import json
import platform
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from mp_perception.evaluation.detection_metrics import Curve
from mp_perception.evaluation.report.figure_tables import (
    correct_objects,
    depth_table,
    detection_table,
    distance_table,
    object_tables,
)
from mp_perception.evaluation.report.frames import FrameGallery, Picture, scale_plots
from mp_perception.evaluation.report.latency import FrameCounts, Latency
from mp_perception.evaluation.report.plots import (
    depth_plots,
    latency_plots,
    object_plots,
    precision_recall_plots,
)
from mp_perception.evaluation.report.summary import headline_cards, summary_groups
from mp_perception.evaluation.report.svg import inline_svg, without_control_characters
from mp_perception.files import make_folder, write_atomically
from mp_perception.machine import processor_name

#: A report is never larger; usual ones have some 3 MB.
MAX_REPORT_BYTES = 8_000_000

#: Parts of a result that have sections of their own; all others are configuration.
_FIGURES = ("depth", "objects", "detection", "coco")
_MAX_VALUE = 600


@dataclass(frozen=True)
class Report:
    """What a report tells.

    title: what was evaluated on what.  what_was_run: the command line, or what stands for it.
    result: the figures as the JSON has them: what Evaluation.result gives, and whatever says where they come from
    (`weights`, `runtime`, `versions`, ...), which is shown as it is.  curves: of the same evaluation.
    latency, frame_counts: where they are known.
    """

    title: str
    what_was_run: str
    result: Mapping[str, Any]
    curves: Sequence[Curve]
    frames: FrameGallery
    latency: Latency | None = None
    frame_counts: FrameCounts | None = None


def write_report(path: Path, report: Report) -> None:
    """Write the report, at most MAX_REPORT_BYTES; the file appears whole or not at all.

    Raises UserError if it cannot be written.
    """
    make_folder(path.parent)
    write_atomically(path, render_report(report).encode())


def render_report(report: Report) -> str:
    """The page as text."""
    environment = Environment(
        loader=PackageLoader("mp_perception.evaluation.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"svg": inline_svg, "data_uri": _data_uri}
    result = report.result
    latency = report.latency if report.latency is not None and len(report.latency) else None
    depth, objects = result["depth"], result["objects"]
    page = environment.get_template("report.html").render(
        report=report,
        result=result,
        written=datetime.now().astimezone(),
        untrained=(result.get("weights") or {}).get("untrained", False),
        cards=headline_cards(result, latency, report.frame_counts),
        summary=summary_groups(result, latency),
        depth_tables=[] if depth is None else [depth_table(depth), distance_table(depth["by_distance"])],
        depth_plots=[] if depth is None else depth_plots(depth),
        depth_protocol=[] if depth is None else list(flattened(depth["protocol"])),
        object_tables=[] if objects is None else object_tables(correct_objects(result)),
        object_plots=[] if objects is None else object_plots(result),
        detection_tables=[detection_table(result["detection"], result["coco"])] if result["detection"] else [],
        detection_plots=precision_recall_plots(report.curves),
        detection_protocol=list(flattened(result["detection_protocol"])),
        latency_tables=[] if latency is None else [latency.table()],
        latency_plots=[] if latency is None else latency_plots(latency),
        scales=scale_plots(),
        configuration=list(
            flattened({name: value for name, value in result.items() if name not in (*_FIGURES, "detection_protocol")})
        ),
        machine=f"{processor_name()}, {platform.system()} {platform.machine()}",
    )
    return without_control_characters(page)


def flattened(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    """Nested values as names with dots in them and their values as text; long ones are cut."""
    for name, value in values.items():
        if isinstance(value, Mapping) and value:
            yield from flattened(value, f"{prefix}{name}.")
            continue
        text = _as_text(value)
        yield f"{prefix}{name}", text if len(text) <= _MAX_VALUE else f"{text[:_MAX_VALUE]} … (cut)"


def _as_text(value: Any) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, Sequence) and value and not any(isinstance(item, Mapping | list) for item in value):
        return ", ".join(_as_text(item) for item in value)
    return "none" if value is None or value in ({}, []) else json.dumps(value, ensure_ascii=False)


def _data_uri(picture: Picture) -> str:
    return f"data:image/jpeg;base64,{base64.b64encode(picture.jpeg).decode()}"
