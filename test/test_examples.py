"""The examples (>>>) in docstrings run and show what the code returns."""

from __future__ import annotations

import doctest
import importlib
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).resolve().parent.parent
FILES = sorted(path for path in (CHECKOUT / "mp_perception").rglob("*.py") if ">>> " in path.read_text())
#: Modules of the public interface whose pages (docs/api) show examples.
PUBLIC = (
    *("geometry", "prediction", "inference/predictor", "data/data_sets", "data/samples"),
    *("evaluation/depth_metrics", "evaluation/average_precision", "messages/images"),
)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_examples_run(path: Path) -> None:
    module = importlib.import_module(".".join(path.relative_to(CHECKOUT).with_suffix("").parts))
    result = doctest.testmod(module, optionflags=doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS)
    assert result.attempted > 0
    assert result.failed == 0


def test_the_public_interface_has_examples() -> None:
    modules = {path.relative_to(CHECKOUT / "mp_perception").with_suffix("").as_posix() for path in FILES}
    assert set(PUBLIC) - modules == set()
