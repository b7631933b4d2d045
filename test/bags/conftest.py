"""The drive that test/data makes serves here too."""

from __future__ import annotations

import importlib.util
from pathlib import Path

_PATH = Path(__file__).resolve().parents[1] / "data" / "conftest.py"
_SPEC = importlib.util.spec_from_file_location("raw_drive_fixture", _PATH)
assert _SPEC is not None
assert _SPEC.loader is not None
_MODULE = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(_MODULE)

make_raw_drive = _MODULE.make_raw_drive
