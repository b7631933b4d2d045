"""The drive that test/data makes, and a disk that is full."""

from __future__ import annotations

import importlib.util
import resource
from collections.abc import Iterator
from pathlib import Path

import pytest

_PATH = Path(__file__).resolve().parents[1] / "data" / "conftest.py"
_SPEC = importlib.util.spec_from_file_location("raw_drive_fixture", _PATH)
assert _SPEC is not None
assert _SPEC.loader is not None
_MODULE = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(_MODULE)

make_raw_drive = _MODULE.make_raw_drive


@pytest.fixture
def full_disk() -> Iterator[None]:
    """No file can grow beyond 2 kB."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2_000, hard))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
