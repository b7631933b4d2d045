"""The report in a real browser, where there is one: nothing overflows, and it prints on A4."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import cv2
import pytest

from mp_perception.evaluation.report.page import Report, write_report

OPTIONS = [
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--hide-scrollbars"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync", "--no-pdf-header-footer"),
]
#: Tells, in the title, the elements that reach beyond the window's right edge and lie in no scrolling place.
OVERFLOW = """<script>addEventListener("load", () => {
  const inside = e => !e.closest(".scroll") || e.matches(".scroll");
  const out = [...document.body.querySelectorAll("*")].filter(
    e => inside(e) && e.getBoundingClientRect().right > document.documentElement.clientWidth + 1);
  document.title = "width " + innerWidth + " beyond " + out.length + " " +
    out.slice(0, 3).map(e => e.outerHTML.slice(0, 80));
})</script>"""


def chromium(tmp_path: Path, *arguments: str) -> str:
    program = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if program is None:
        pytest.skip("no Chromium is installed")
    command = [program, *OPTIONS, f"--user-data-dir={tmp_path / 'profile'}", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=200, check=True).stdout


@pytest.fixture
def page(make_report: Callable[..., Report], tmp_path: Path) -> Path:
    path = tmp_path / "report.html"
    write_report(path, make_report(tuple(f"{i:06d}" for i in range(8)), ("Car" + "w" * 200, "Pedestrian", "Cyclist")))
    return path


@pytest.mark.slow
@pytest.mark.parametrize("width", [390, 1280])
def test_nothing_reaches_beyond_the_window(page: Path, tmp_path: Path, width: int) -> None:
    # The page forbids scripts; this copy, with one of the test's, does not.
    policy = '<meta http-equiv="Content-Security-Policy"'
    told = page.read_text()
    assert policy in told
    framed = tmp_path / "framed.html"
    framed.write_text(told.replace(policy, '<meta name="policy"').replace("</body>", f"{OVERFLOW}</body>"))
    # A window cannot be as narrow as a phone; a frame in it can.
    outer = tmp_path / "outer.html"
    outer.write_text(
        f'<iframe src="framed.html" width="{width}" height="900" onload="setTimeout(() => document.body.append('
        'this.contentDocument.title), 500)"></iframe>'
    )
    shown = chromium(
        tmp_path, "--allow-file-access-from-files", "--virtual-time-budget=5000", "--dump-dom", f"file://{outer}"
    )
    assert f"width {width} beyond 0" in shown


@pytest.mark.slow
def test_pictures_and_print_are_there(page: Path, tmp_path: Path) -> None:
    chromium(tmp_path, "--window-size=1280,3000", f"--screenshot={tmp_path / 'shot.png'}", f"file://{page}")
    shot = cv2.imread(str(tmp_path / "shot.png"))
    assert shot.shape == (3000, 1280, 3)
    assert shot.std() > 10
    chromium(tmp_path, f"--print-to-pdf={tmp_path / 'report.pdf'}", f"file://{page}")
    content = (tmp_path / "report.pdf").read_bytes()
    assert content.startswith(b"%PDF")
    assert b"/MediaBox [0 0 594.95996 841.91998]" in content
