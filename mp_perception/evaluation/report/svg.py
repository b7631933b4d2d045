"""A plot as an SVG element that can stand in an HTML page beside others, in light and dark."""

from __future__ import annotations

import re
import zlib
from xml.etree import ElementTree

from mp_perception.evaluation.report.plots import BLUE, FAINT, GREEN, INK, RED, Plot, render

#: Colour of a plot -> the page's own, which has a second value for dark pages.
_PAGE_COLORS = {
    INK: "var(--ink)",
    FAINT: "var(--line)",
    BLUE: "var(--blue)",
    RED: "var(--red)",
    GREEN: "var(--green)",
}
_HREF = "{http://www.w3.org/1999/xlink}href"
_REFERENCE = re.compile(r"#([A-Za-z0-9_.-]+)")
_CONTROL_CHARACTERS = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff\ufdd0-\ufdef\ufffe\uffff]")
#: Parts of matplotlib's files that a page must not have: a style would count for the whole page.
_UNWANTED = {"metadata", "style", "title"}


def inline_svg(plot: Plot) -> str:
    """The plot as an <svg> element: no ids but those it needs (unique by plot.name), no links, described for readers.

    It is as wide as its place allows; its colours are the page's.
    """
    root = ElementTree.fromstring(render(plot, "svg"))
    for parent in list(root.iter()):
        for child in list(parent):
            if _local(child.tag) in _UNWANTED:
                parent.remove(child)
    prefix = f"plot{zlib.crc32(plot.name.encode('utf-8', 'replace')):08x}"
    referenced = {
        name
        for element in root.iter()
        for key, value in element.attrib.items()
        if key == _HREF or "url(" in value
        for name in _REFERENCE.findall(value)
    }
    for element in root.iter():
        element.tag = _local(element.tag)
        element.attrib = {
            _local(key): _on_page(value, prefix) if key == _HREF or "url(" in value else value
            for key, value in element.attrib.items()
            if key != "id" or value in referenced
        }
        if "id" in element.attrib:
            element.attrib["id"] = f"{prefix}-{element.attrib['id']}"
        if "style" in element.attrib:
            element.attrib["style"] = _recolored(element.attrib["style"])
    root.attrib = {"viewBox": root.attrib["viewBox"], "role": "img", "aria-label": plot.description}
    markup = ElementTree.tostring(root, encoding="unicode", short_empty_elements=False)
    return without_control_characters(markup)


def without_control_characters(text: str) -> str:
    """The text with a replacement for each character that no page may hold; names of files may."""
    return _CONTROL_CHARACTERS.sub("\ufffd", text)


def _local(name: str) -> str:
    """A name without its namespace: HTML knows SVG's names."""
    return name.rpartition("}")[2]


def _on_page(value: str, prefix: str) -> str:
    return _REFERENCE.sub(rf"#{prefix}-\1", value)


def _recolored(style: str) -> str:
    for color, page_color in _PAGE_COLORS.items():
        style = style.replace(color, page_color)
    return style
