"""The command line `mp_perception`: one file per sub-command, each a thin layer over the library.

Commands import what they need inside their functions, so that `predict` starts without rclpy and `bag` without torch.
"""

from __future__ import annotations

import sys

import typer

from mp_perception.commands import bag, benchmark, data, demo, evaluate, export, predict, synthetic, train, weights
from mp_perception.errors import UserError
from mp_perception.progress import error_console

app = typer.Typer(
    help="Detect objects and estimate their distance from one camera; train, evaluate, export and benchmark networks.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.command()(predict.predict)
app.command(context_settings={"allow_extra_args": True, "ignore_unknown_options": True})(train.train)
app.add_typer(evaluate.app, name="evaluate")
app.command()(export.export)
app.command()(benchmark.benchmark)
app.command()(synthetic.synthetic)
app.add_typer(data.app, name="data")
app.add_typer(bag.app, name="bag")
app.add_typer(weights.app, name="weights")
app.command()(demo.demo)


def run() -> None:
    """Entry point of the console script: a UserError becomes one line and exit code 2."""
    try:
        app()
    except UserError as error:
        error_console.print(f"error: {error}", style="red", soft_wrap=True)
        sys.exit(2)
    except KeyboardInterrupt:
        sys.exit(130)


if __name__ == "__main__":
    run()
