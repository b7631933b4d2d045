"""The command line `mp_perception`: one file per sub-command, each a thin layer over the library.

Commands import what they need inside their functions, so that `predict` starts without rclpy and `bag` without torch.
"""

from __future__ import annotations

import io
import signal
import sys
from typing import NoReturn

import typer

from mp_perception.commands import (
    adapt,
    bag,
    benchmark,
    data,
    demo,
    evaluate,
    export,
    predict,
    synthetic,
    train,
    weights,
)
from mp_perception.errors import UserError, one_line
from mp_perception.progress import error_console

_OLDEST_TYPER = (0, 12)

app = typer.Typer(
    help="Detect objects and estimate their distance from one camera; train, evaluate, export and benchmark networks.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.command()(predict.predict)
app.command(context_settings={"allow_extra_args": True, "ignore_unknown_options": True})(train.train)
app.command()(adapt.adapt)
app.add_typer(evaluate.app, name="evaluate")
app.command()(export.export)
app.command()(benchmark.benchmark)
app.command()(synthetic.synthetic)
app.add_typer(data.app, name="data")
app.add_typer(bag.app, name="bag")
app.add_typer(weights.app, name="weights")
app.command()(demo.demo)


def run() -> None:
    """Entry point of the console script: a UserError or a missing library becomes one line and exit code 2.

    SIGTERM ends a command as Ctrl-C does: temporary files are removed and child processes ended; exit code 130.
    """
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # a terminal or pipe may have no UTF-8
    if tuple(map(int, typer.__version__.split(".")[:2])) < _OLDEST_TYPER:
        # Ubuntu 24.04 has 0.9, which cannot read `X | None`.
        _fail(f"expected typer 0.12 or later, found {typer.__version__}: pip install 'typer>=0.12'")
    try:
        app()
    except UserError as error:
        _fail(str(error))
    except ModuleNotFoundError as error:
        library = (error.name or "").partition(".")[0]
        if library in ("", "mp_perception"):
            raise
        _fail(f"this command needs {library}, which is not installed: {_source_of(library)}")
    except OSError as error:  # a name that is too long, a full disk, too many open files
        if error.strerror is None:
            raise
        _fail(one_line(f"{error.filename or 'input or output'}: {error.strerror}"))
    except KeyboardInterrupt:
        sys.exit(130)


def _fail(text: str) -> NoReturn:
    error_console.print(f"error: {text}", style="red", soft_wrap=True)
    sys.exit(2)


def _source_of(library: str) -> str:
    """Where a library comes from, for a user who installed the package without all extras."""
    if library in ("rclpy", "ament_index_python") or library.endswith(("_msgs", "_srvs", "_interfaces")):
        return "it is part of ROS 2 (source its setup file)"
    return "pip install 'mp_perception[training]' installs the libraries of all commands"


if __name__ == "__main__":
    run()
