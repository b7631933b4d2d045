"""The short form of `make fuzz`: every parser with some mutations, and with the inputs that once broke it."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import zlib
from collections.abc import Callable
from pathlib import Path
from random import Random

import pytest

from mp_perception.errors import UserError
from reliability.fuzzing import bag_targets, data_targets, judging, message_targets, model_targets  # noqa: F401
from reliability.fuzzing.judging import judge
from reliability.fuzzing.target import TARGETS, Target

CHECKOUT = Path(__file__).resolve().parents[2]
FINDINGS = Path(__file__).parent / "findings"
#: Parsers that take too long for a hundred inputs in a test.
SLOW = {
    "checkpoint": 1,
    **{"openvino_model": 3, "onnx_model": 20, "configuration": 5, "mcap_bag": 10, "sqlite_bag": 3, "bag_metadata": 2},
}
#: Numbers and words at which parsers break.
NUMBERS = (0, 1, 0x7F, 0x80, 0xFF, 0x7FFF, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, 2**63 - 1, 2**64 - 1)
WORDS = (b"nan", b"inf", b"-1", b"1e999", b"9" * 30, b"null", b"\xff\xfe", b"\0", b"\n", b"{", b"[", b"<", b": ")


def mutated(data: bytes, random: Random) -> bytes:
    """The bytes with one to four changes, the same ones for the same seed."""
    changed = bytearray(data)
    for _ in range(random.randint(1, 4)):
        place = random.randrange(len(changed) + 1)
        length = random.choice((1, 2, 4, 8, 16, 64))
        kind = random.randrange(6)
        if kind == 0 and changed:
            changed[place % len(changed)] ^= 1 << random.randrange(8)
        elif kind == 1:
            width = random.choice((1, 2, 4, 8))
            number = random.choice(NUMBERS) % (1 << 8 * width)
            changed[place : place + width] = number.to_bytes(width, random.choice(("little", "big")))
        elif kind == 2:
            word = random.choice(WORDS)
            changed[place : place + random.choice((0, len(word)))] = word
        elif kind == 3:
            del changed[place : place + length]
        elif kind == 4:
            changed[place:place] = changed[place : place + length] * random.choice((1, 2, 50))
        else:
            del changed[place:]
    return bytes(changed)


@pytest.mark.parametrize("name", TARGETS)
def test_mutations_are_accepted_or_refused_with_one_line(name: str) -> None:
    target = TARGETS[name]
    seeds = target.seeds()
    target.parse(seeds[0])  # a valid input is accepted, else nothing is tested below
    random = Random(zlib.crc32(name.encode()))
    inputs = [mutated(random.choice(seeds), random) for _ in range(SLOW.get(name, 100))]
    assert {data: problem for data in inputs if (problem := judge(target, data))} == {}


@pytest.mark.parametrize("file", sorted(FINDINGS.glob("*")), ids=lambda file: file.name)
def test_inputs_that_once_broke_a_parser_are_refused(file: Path) -> None:
    """File names begin with the parser's name: tracklets-encoding."""
    assert judge(TARGETS[file.name.split("-")[0]], file.read_bytes()) is None


@pytest.mark.parametrize(
    ("parse", "problem"),
    [
        (lambda data: None, None),
        (lambda data: 1 / 0, "ZeroDivisionError"),
        (lambda data: sum(range(2_000_000)), "slow"),
        (lambda data: bytearray(300 << 20).count(1), "memory"),
    ],
)
def test_errors_slowness_and_memory_are_findings(
    parse: Callable[[bytes], object], problem: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(judging, "MAX_SECONDS", 0.01 if problem == "slow" else 10)
    found = judge(Target(parse, list), b"")
    assert (found or "").startswith(problem or "")
    assert (found is None) == (problem is None)


@pytest.mark.parametrize("message", ["two\nlines", "x" * 5000, "\ud800", ""])
def test_messages_that_are_not_one_line_are_findings(message: str) -> None:
    def refuse(data: bytes) -> None:
        raise UserError(message)

    assert (judge(Target(refuse, list), b"") or "").startswith("message")


@pytest.mark.slow
@pytest.mark.extended
def test_the_command_fuzzes_keeps_findings_and_replays_them(tmp_path: Path) -> None:
    """Runs it with a parser that is broken on purpose: it does not accept an input that starts with a zero."""
    (tmp_path / "broken.py").write_text(
        "from reliability.fuzzing.__main__ import main\n"
        "from reliability.fuzzing.target import fuzz_bytes\n"
        "import typer\n"
        "@fuzz_bytes(lambda: [b'seed'])\n"
        "def broken(data):\n"
        "    return 1 / data[0] if data else 0\n"
        "typer.run(main)\n"
    )

    def fuzz(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, str(tmp_path / "broken.py"), *arguments]
        environment = {**os.environ, "PYTHONPATH": str(CHECKOUT)}
        return subprocess.run(
            command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=200, check=False
        )

    found = fuzz("split", "broken", "--seconds", "5")
    assert found.returncode == 1, found.stderr
    split, broken, problem, replay = found.stdout.splitlines()
    assert re.fullmatch(r"split +[1-9]\d* inputs", split)
    assert re.fullmatch(r"broken +[1-9]\d* inputs", broken)
    assert problem.strip().startswith("ZeroDivisionError at broken.py:6")
    again = fuzz(*replay.split()[3:])
    assert again.returncode == 1
    assert again.stdout.startswith("ZeroDivisionError")
