"""The report of an evaluation: one HTML file that is complete in itself, to be read, printed and sent on.

The page is templates/report.html, on the frame that all reports share, base.html; this module prepares what it shows.
Every text is escaped: names of classes and files come from data.
"""

from __future__ import annotations

import base64
import platform
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import yaml
from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined

from mp_perception.arrays import RgbImage
from mp_perception.evaluation.report.example_frames import ExampleFrame, encode_jpeg
from mp_perception.evaluation.report.figure_tables import figure_tables
from mp_perception.evaluation.report.plots import Plot, depth_plots, precision_recall_plots, render
from mp_perception.evaluation.report.verdict import verdict
from mp_perception.files import write_atomically
from mp_perception.machine import processor_name

#: Sections with tables, by the part of the result that they show, in the order of the page.
_SECTIONS = {
    "depth": "Depth maps",
    "beyond": "Sky and surfaces",
    "objects": "Depth of objects",
    "detection": "Detection",
    "detected": "Detected objects",
    "tracking": "Tracking",
    "latency_ms": "Latency",
}
#: Parts of a result that are shown in other ways; what is left is configuration.
_SHOWN = (*_SECTIONS, "detection_protocol", "coco", "frames", "images")
_CONTROL_CHARACTERS = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff\ufdd0-\ufdef\ufffe\uffff]")


@dataclass(frozen=True)
class Report:
    """Contents of a report.

    title: what was evaluated on what.  command: the command line.  result: the figures as the JSON has them.
    """

    title: str
    command: str
    result: Mapping[str, Any]
    examples: Sequence[ExampleFrame]


def write_report(path: Path, report: Report) -> None:
    """Write the report; the file appears complete or not at all.  Raises UserError if it cannot be written."""
    write_atomically(path, render_report(report).encode())


def render_page(template: str, package: str = __package__, **content: Any) -> str:
    """A page from a template in the folder templates/ of a package, which extends base.html and may use macros.html.

    content: what the template shows, and for base.html `title`, `sections` (anchor -> title), `verdict` (sentences),
    `command` and `configuration`.
    """
    environment = Environment(
        loader=ChoiceLoader([PackageLoader(package), PackageLoader(__package__)]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"svg_uri": _svg_uri, "jpeg_uri": _jpeg_uri, "settings": settings_text}
    page = environment.get_template(template).render(
        **content,
        written=datetime.now().astimezone(),
        machine=f"{processor_name()}, {platform.system()} {platform.machine()}",
    )
    # Names of files may have characters that no page may have.
    return _CONTROL_CHARACTERS.sub("\ufffd", page)


def render_report(report: Report) -> str:
    """The page as text."""
    result = report.result
    tables = figure_tables(result)
    sections = {name: title for name, title in _SECTIONS.items() if name in tables}
    return render_page(
        "report.html",
        title=report.title,
        sections=sections | ({"frames": "Example frames"} if report.examples else {}),
        verdict=verdict(result),
        result=result,
        untrained=result.get("weights", {}).get("untrained", False),
        tables=tables,
        plots={"depth": depth_plots(result), "detection": precision_recall_plots(result)},
        examples=report.examples,
        command=report.command,
        configuration={name: value for name, value in result.items() if name not in _SHOWN},
    )


def settings_text(values: Mapping[str, Any]) -> str:
    """Nested values as YAML, numbers rounded to four digits."""
    return yaml.dump(_rounded(values), sort_keys=False, allow_unicode=True, default_flow_style=None, width=100)


def _rounded(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {name: _rounded(entry) for name, entry in value.items()}
    if isinstance(value, list | tuple):
        return [_rounded(entry) for entry in value]
    return float(f"{value:.4g}") if isinstance(value, float) else value


def _svg_uri(plot: Plot) -> str:
    return f"data:image/svg+xml;base64,{base64.b64encode(render(plot, 'svg')).decode()}"


def _jpeg_uri(pixels: RgbImage) -> str:
    return f"data:image/jpeg;base64,{base64.b64encode(encode_jpeg(pixels)).decode()}"
