"""The report's page: valid, complete in itself, described, escaped, bounded, and true to the figures."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from xml.etree.ElementTree import Element

import html5lib
import pytest

from mp_perception.errors import UserError
from mp_perception.evaluation.report.page import Report, render_report, settings_text, write_report

CHECKOUT = Path(__file__).resolve().parents[3]
NAMES = tuple(f"{i:06d}" for i in range(8))
HOSTILE = "\"><script>alert('x')</script><img src=http://evil.example/x.png onerror=alert(1)>$\\frac{$&\x07" + "w" * 300


def parsed(page: str) -> Element:
    """The page as a browser reads it; fails for anything that the standard calls an error."""
    return html5lib.HTMLParser(strict=True, namespaceHTMLElements=False).parse(page)


def local(element: Element) -> str:
    return element.tag.rpartition("}")[2] if isinstance(element.tag, str) else ""


def all_of(root: Element, *names: str) -> list[Element]:
    return [element for element in root.iter() if local(element) in names]


def text(element: Element) -> str:
    return "".join(element.itertext())


def table_rows(root: Element, caption: str) -> dict[str, list[str]]:
    """First cell of each row -> the others, of the one table with that caption."""
    tables = [table for table in all_of(root, "table") if text(all_of(table, "caption")[0]).startswith(caption)]
    assert len(tables) == 1, caption
    rows = [[text(cell).strip() for cell in all_of(row, "th", "td")] for row in all_of(tables[0], "tr")]
    return {row[0]: row[1:] for row in rows}


@pytest.fixture(scope="module")
def report(make_report: Callable[..., Report]) -> Report:
    return make_report(NAMES)


@pytest.fixture(scope="module")
def root(report: Report) -> Element:
    return parsed(render_report(report))


def test_nothing_is_loaded_from_elsewhere(root: Element) -> None:
    assert all_of(root, "script", "link", "iframe", "object", "embed", "base") == []
    for element in root.iter():
        for name, value in element.attrib.items():
            if str(name).rpartition("}")[2] in ("src", "href", "srcset", "data", "action", "poster"):
                assert value.startswith(("data:image/", "#")), value[:80]
            assert "url(" not in value or re.fullmatch(r".*url\(#[\w-]+\).*", value), value[:80]
    (style,) = all_of(root, "style")
    assert not re.search(r"url\(|@import", text(style))


def test_every_link_leads_to_its_one_place(root: Element) -> None:
    identifiers = [element.attrib["id"] for element in root.iter() if "id" in element.attrib]
    assert len(identifiers) == len(set(identifiers)) > 10
    targets = [str(value)[1:] for e in root.iter() for k, value in e.attrib.items() if str(k).endswith("href")]
    targets += [name for e in root.iter() for v in e.attrib.values() for name in re.findall(r"url\(#([\w-]+)\)", v)]
    targets = [name for name in targets if not name.startswith("ata:")]
    assert set(targets) <= set(identifiers)
    assert {"summary", "frames"} <= set(targets)


def test_what_is_shown_is_described(root: Element) -> None:
    pictures = all_of(root, "img")
    # One plot of depth, four curves, and four pictures of each of the six frames.
    assert len(pictures) == 5 + 6 * 4
    assert all(len(picture.attrib["alt"]) > 20 for picture in pictures)
    assert all(len(all_of(table, "caption")) == 1 for table in all_of(root, "table"))
    assert all(len(all_of(figure, "figcaption")) == 1 for figure in all_of(root, "figure"))
    levels = [int(local(element)[1]) for element in all_of(root, "h1", "h2", "h3", "h4")]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after - before <= 1 for before, after in pairwise(levels))


def test_figures_are_those_of_the_result(report: Report, root: Element) -> None:
    depth, objects = report.result["depth"], report.result["objects"]
    assert depth["rel"] == pytest.approx(0.225)
    metrics = ("d1", "d2", "d3", "rel", "rmse", "log10")
    rows = table_rows(root, "Depth maps (per image")
    assert rows["eigen"] == ["8", *(f"{depth[metric]:.3f}" for metric in (*metrics, "sq_rel", "rmse_log"))]
    row = next(row for row in depth["by_distance"] if row["from"] == 10)
    rows = table_rows(root, "Depth maps by distance")
    assert rows["10-15"][:7] == ["8", *(f"{row[metric]:.3f}" for metric in metrics)]
    car = objects["measures"]["box_statistic"]["depth_map"]["class"]["Car"]
    assert car["count"] == 8
    rows = table_rows(root, "Depth in labelled boxes, against the exact depth")
    assert rows["Car"] == ["8", *(f"{car[metric]:.3f}" for metric in metrics)]
    rows = table_rows(root, "Depth of detections")
    assert rows["Car"][:3] == ["8 of 8", "0.0 %", "8"]
    surface = report.result["beyond"]["surface"]
    assert table_rows(root, "Sky and surfaces")["surfaces up to 80 m lost as beyond"] == [str(surface), "0.00 %"]
    average, interval = (report.result["detection"]["Car"][key]["moderate"] for key in ("AP40", "AP40_interval"))
    text_of_page = text(root)
    assert f"{average:.2f} ({interval[0]:.1f}-{interval[1]:.1f})" in text_of_page


def test_it_begins_with_a_verdict_in_three_sentences(root: Element) -> None:
    (section,) = (element for element in all_of(root, "section") if element.attrib["id"] == "summary")
    assert [text(item) for item in all_of(section, "li")] == [
        "The predicted depth differs from the exact depth by 22.5 % on average, and 50.0 % of the pixels are within a "
        "factor of 1.25.",
        "Of the labelled objects it finds, with a score of at least 0.3, 8 of 8 Car, 8 of 8 Cyclist, 8 of 8 "
        "Pedestrian; their distance differs by 0.0 % on average.",
        "8 of 10 frames were scored (2 dropped: too old); the median latency is 24 ms.",
    ]


@pytest.mark.parametrize(
    ("ground_truth", "words"),
    [
        ("single lidar scan, projected (nearest point wins)", "the lidar points inside the object"),
        ("depth images on /camera/depth", "the depth image inside the object"),
    ],
)
def test_the_truth_is_named_as_what_it_is(make_report: Callable[..., Report], ground_truth: str, words: str) -> None:
    page = render_report(make_report(NAMES[:1], ground_truth=ground_truth))
    assert words in page
    assert ("lidar" in page) == ("lidar" in ground_truth)


def test_frames_and_times_are_told(root: Element) -> None:
    assert table_rows(root, "Latency")["total"][:2] == ["8", "23.50"]
    headings = [text(element) for element in all_of(root, "h3") if "frame" in text(element)]
    worst = [f"Worst depth {i}: frame {NAMES[-i]}" for i in (1, 2, 3)]
    assert headings == worst + [f"Best depth {i}: frame {NAMES[i - 1]}" for i in (1, 2, 3)]


def test_the_configuration_is_whole(root: Element) -> None:
    settings = "".join(text(element) for element in all_of(root, "pre"))
    for words in (
        f"sha256: '{'0' * 64}'",
        "backbone: mobilenet_v2",
        "depth_error: 0.0953",
        "score_threshold: 0.3",
        "mp_perception",
        "ground_truth: exact depth",
    ):
        assert words in settings


def test_names_from_data_are_text_and_nothing_else(make_report: Callable[..., Report]) -> None:
    classes = (HOSTILE, "Pedestrian", f"{HOSTILE}?")
    page = render_report(make_report((f"a/\udc80{HOSTILE}", f"b/{HOSTILE}"), classes, note=HOSTILE))
    assert "<script" not in page
    assert "<img src=http" not in page
    root = parsed(page)
    assert all_of(root, "script") == []
    assert not any(str(name).startswith("on") for element in root.iter() for name in element.attrib)
    assert {str(e.attrib["src"])[:14] for e in all_of(root, "img")} == {"data:image/jpe", "data:image/svg"}
    # A byte that is no text and a bell become the sign for such.
    shown = HOSTILE.replace("\x07", "\ufffd")
    assert any(shown in text(element) for element in all_of(root, "th"))
    assert any(f"a/\ufffd{shown}" in text(element) for element in all_of(root, "h3"))


@pytest.mark.parametrize("protocol", ["official", "selection"])
def test_other_protocols_have_their_metrics(make_report: Callable[..., Report], protocol: str) -> None:
    report = make_report(NAMES[:2], protocol=protocol)
    root = parsed(render_report(report))
    figures = report.result["depth"].get("official", report.result["depth"])
    rows = [[text(cell) for cell in all_of(row, "th", "td")] for row in all_of(root, "tr")]
    (row,) = (row for row in rows if row[0] == ("official" if protocol == "official" else "selection, official"))
    assert row[2:] == [f"{figures[metric]:.2f}" for metric in ("SILog", "sqErrorRel", "absErrorRel", "iRMSE")]
    assert (f"(SILog) of {figures['SILog']:.2f}" in text(root)) == (protocol == "official")


def test_sections_without_figures_are_left_out(make_report: Callable[..., Report]) -> None:
    bare = dict.fromkeys(("depth", "beyond", "objects", "detection", "coco", "detected", "tracking", "latency_ms"))
    bare |= {"detection_protocol": {}, "detected": {}, "latency_ms": {}}
    counts = {
        "frames": {"received": 1, "scored": 1, "dropped": {}},
        "images": dict.fromkeys(("evaluated", "with_depth", "with_labels"), 0),
    }
    root = parsed(render_report(Report("t", "w", bare | counts | {"score_threshold": 0.3}, [])))
    assert [text(element) for element in all_of(root, "h2")] == ["Summary", "Configuration"]
    assert "Neither depth nor objects were scored" in text(root)
    assert "With a score of at least 0.3 it detects nothing." in text(root)


def test_settings_are_yaml_with_rounded_numbers() -> None:
    values = {"a": {"b": [1, 2.53456], "c": {}}, "d": None, "f": [{"g": True}]}
    assert settings_text(values) == "a:\n  b: [1, 2.535]\n  c: {}\nd: null\nf:\n- {g: true}\n"


def test_an_old_report_stays_until_the_new_one_is_whole(report: Report, tmp_path: Path) -> None:
    path = tmp_path / "report.html"
    path.write_text("old")
    write_report(path, report)
    assert path.read_text().endswith("</html>")
    assert [file.name for file in tmp_path.iterdir()] == ["report.html"]
    with pytest.raises(UserError, match="cannot be"):
        write_report(path / "below.html", report)


def test_the_installed_package_has_the_page(tmp_path: Path) -> None:
    build = [sys.executable, "setup.py", "-q", "build", "--build-base", str(tmp_path / "build")]
    subprocess.run(build, cwd=CHECKOUT, check=True, capture_output=True, timeout=120)
    code = (
        "import importlib.resources, json\n"
        "folder = importlib.resources.files('mp_perception.evaluation.report') / 'templates'\n"
        "print(json.dumps({file.name: file.read_text() for file in folder.iterdir()}))\n"
    )
    run = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(tmp_path / "build" / "lib")},
        check=True,
        capture_output=True,
        text=True,
        timeout=60,
    )
    source = CHECKOUT / "mp_perception/evaluation/report/templates"
    assert json.loads(run.stdout) == {file.name: file.read_text() for file in source.iterdir()}
