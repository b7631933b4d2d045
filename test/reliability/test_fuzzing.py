"""The short form of `make fuzz`: every parser with some hundred mutations, and with the inputs that once broke it."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from pathlib import Path
from random import Random

import pytest

from mp_perception.errors import UserError
from reliability.fuzzing import judging
from reliability.fuzzing.judging import Judge
from reliability.fuzzing.mutations import mutated
from reliability.fuzzing.seeds import SEEDS
from reliability.fuzzing.targets import TARGETS, Target

FINDINGS = Path(__file__).parent / "findings"
#: Parsers that take too long for a hundred inputs in a test.
SLOW = {
    "checkpoint": 1,
    **{"openvino_model": 3, "onnx_model": 20, "configuration": 5, "mcap_bag": 10, "sqlite_bag": 3, "bag_metadata": 2},
}


def test_every_parser_has_seeds() -> None:
    assert set(SEEDS) == set(TARGETS)
    assert len(TARGETS) > 30


@pytest.mark.parametrize("name", TARGETS)
def test_mutations_are_accepted_or_refused_in_one_line(name: str, tmp_path: Path) -> None:
    seeds = SEEDS[name]()
    TARGETS[name].parse(seeds[0], tmp_path)  # a valid one is accepted, else nothing is tested below
    judge = Judge(TARGETS[name], tmp_path)
    random = Random(zlib.crc32(name.encode()))
    inputs = [mutated(random.choice(seeds), random) for _ in range(SLOW.get(name, 100))]
    assert {data: problem for data in inputs if (problem := judge.judge(data))} == {}


@pytest.mark.parametrize("file", sorted(FINDINGS.glob("*")), ids=lambda file: file.name)
def test_what_once_broke_a_parser_is_refused(file: Path, tmp_path: Path) -> None:
    """File names begin with the parser's: tracklets-encoding."""
    target = TARGETS[file.name.split("-")[0]]
    assert Judge(target, tmp_path).judge(file.read_bytes()) is None


@pytest.mark.parametrize(
    ("parse", "problem"),
    [
        (lambda data, folder: None, None),
        (lambda data, folder: 1 / 0, "ZeroDivisionError"),
        (lambda data, folder: sum(range(2_000_000)), "slow"),
        (lambda data, folder: bytearray(300 << 20).count(1), "memory"),
    ],
)
def test_the_judge_sees_errors_slowness_and_memory(
    parse: Callable[[bytes, Path], object], problem: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(judging, "MAX_SECONDS", 0.01 if problem == "slow" else 10)
    found = Judge(Target(parse), tmp_path).judge(b"")
    assert (found or "").startswith(problem or "")
    assert (found is None) == (problem is None)


@pytest.mark.parametrize("message", ["two\nlines", "x" * 5000, "\ud800", ""])
def test_the_judge_sees_messages_that_are_not_one_line(message: str, tmp_path: Path) -> None:
    def refuse(data: bytes, folder: Path) -> None:
        raise UserError(message)

    assert (Judge(Target(refuse), tmp_path).judge(b"") or "").startswith("message")
