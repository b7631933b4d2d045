"""The entry point of the command line: errors that users can correct are one line, with exit code 2."""

import io
import re
import shlex
import sys
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from mp_perception.commands.main import app, run
from mp_perception.progress import console


def commands(command, *names):
    """(names, command) of everything that can be called."""
    inner_commands = getattr(command, "commands", {})
    if not inner_commands or command.invoke_without_command:
        yield names, command
    for name, inner in inner_commands.items():
        yield from commands(inner, *names, name)


COMMANDS = dict(commands(typer.main.get_command(app)))
CHECKOUT = Path(__file__).resolve().parents[2]
DOCUMENTS = [*CHECKOUT.glob("*.md"), *(CHECKOUT / "docs").rglob("*.md")]


def check_that_it_exists(line):
    """A command line without the program's name: its command, and the options given, exist."""
    words = shlex.split(line, comments=True)
    names = max((names for names in COMMANDS if tuple(words[: len(names)]) == names), key=len, default=None)
    assert names is not None, line
    options = {option for parameter in COMMANDS[names].params for option in parameter.opts}
    given = {word.partition("=")[0] for word in words if word.startswith("--")}
    assert {option for option in given - options if "." not in option} == set(), line  # --data.workers configures
    return names


@pytest.mark.parametrize("names", COMMANDS, ids=" ".join)
def test_every_help_has_an_example_with_existing_options(names):
    shown = CliRunner().invoke(app, [*names, "--help"])
    assert shown.exit_code == 0
    examples = re.findall(r"^Example: mp_perception (.*(?:\n.+)*)", COMMANDS[names].help, re.MULTILINE)
    assert examples
    assert {check_that_it_exists(example) for example in examples} == {names}


def test_commands_in_the_documentation_exist():
    call = re.compile(r"^ *(?:\.venv/bin/)?mp_perception (.*(?:(?<=\\)\n.*)*)$", re.MULTILINE)
    lines = [line for document in DOCUMENTS for line in call.findall(document.read_text())]
    assert len(lines) > 50
    for line in lines:
        if not line.endswith("--help"):
            check_that_it_exists(line.replace("\\\n", ""))


@pytest.fixture
def error_of(monkeypatch, capsys):
    """The line on standard error of a command that must end with exit code 2."""

    def call(*arguments):
        monkeypatch.setattr(sys, "argv", ["mp_perception", *arguments])
        with pytest.raises(SystemExit) as ended:
            run()
        assert ended.value.code == 2
        (line,) = capsys.readouterr().err.splitlines()
        return line

    return call


def test_a_user_error_is_one_line_and_exit_code_2(error_of, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    assert error_of("predict", "nothing.jpg").startswith("error: nothing.jpg")


@pytest.mark.parametrize(
    ("library", "source"),
    [("onnx", r"pip install 'mp_perception\[training\]'"), ("diagnostic_msgs", "part of ROS 2")],
)
def test_a_missing_library_is_one_line_and_exit_code_2(error_of, monkeypatch, library, source):
    def fail(*_, **__):
        raise ModuleNotFoundError(f"No module named '{library}'", name=f"{library}.msg")

    monkeypatch.setattr("mp_perception.model.model_card.verify_weights", fail)
    line = error_of("weights", "verify")
    assert re.search(f"^error: this command needs {library}, which is not installed: .*{source}", line)


@pytest.mark.parametrize("arguments", [("predict", "n" * 300 + ".jpg"), ("bag", "info", "n" * 300)])
def test_a_name_that_is_too_long_is_one_line(error_of, arguments):
    assert error_of(*arguments).endswith(("nnn: File name too long", "nnn.jpg: File name too long"))


def test_a_typer_that_is_too_old_is_one_line(error_of, monkeypatch):
    monkeypatch.setattr("typer.__version__", "0.9.0")
    assert error_of() == "error: expected typer 0.12 or later, found 0.9.0: pip install 'typer>=0.12'"


def test_an_interruption_has_the_exit_code_of_the_signal(monkeypatch, tmp_path):
    def interrupt(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(sys, "argv", ["mp_perception", "weights", "verify"])
    monkeypatch.setattr("mp_perception.model.model_card.verify_weights", interrupt)
    with pytest.raises(SystemExit) as ended:
        run()
    assert ended.value.code == 130


def test_output_without_utf_8_shows_question_marks(monkeypatch):
    output = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    monkeypatch.setattr(sys, "stdout", output)
    monkeypatch.setattr("mp_perception.commands.main.app", lambda: console.print("IoU\N{NO-BREAK SPACE}> 0.5"))
    run()
    output.flush()
    assert output.buffer.getvalue() == b"IoU?> 0.5\n"
