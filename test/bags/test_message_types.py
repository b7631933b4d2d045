"""vision_msgs as bags know it, against the definitions that are built and the official type hash."""

from __future__ import annotations

from pathlib import Path

from mp_perception.bags.message_types import VISION_MSGS, type_store

DEFINITIONS = Path(__file__).resolve().parents[2] / "environment" / "vision_msgs" / "msg"


def test_the_table_equals_the_files_that_are_built() -> None:
    assert {path.stem: path.read_text() for path in DEFINITIONS.glob("*.msg")} == VISION_MSGS


def test_the_type_hash_is_the_official_one() -> None:
    expected = "RIHS01_214274120007f4a683866481336b70310268cfa107aebe9d594a6acf75bda968"
    assert type_store().hash_rihs01("vision_msgs/msg/Detection2DArray") == expected
