"""`mp_perception weights`: compare weights files with their model card."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(help="Check weights files.", no_args_is_help=True)


@app.callback()
def weights() -> None:
    """Check weights files."""


@app.command()
def verify(
    folder: Annotated[
        Path | None, typer.Argument(help="Folder with weights files and README.md; default: those of the package.")
    ] = None,
) -> None:
    """Compare the SHA-256 of every weights file with the model card beside it; exit code 2 for any difference.

    Example: mp_perception weights verify
    """
    from mp_perception.files import share_folder
    from mp_perception.model.model_card import verify_weights
    from mp_perception.progress import console

    for name, digest in verify_weights(folder or share_folder() / "weights").items():
        console.print(f"{name}: {digest}, as in the model card")
