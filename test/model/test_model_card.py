"""Weights files are compared with their model card; differences are one line."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
from typer.testing import CliRunner

from mp_perception.commands.weights import app
from mp_perception.errors import UserError
from mp_perception.files import share_folder
from mp_perception.model.model_card import stated_hashes, verify_weights

CONTENT = b"weights"
HASH = hashlib.sha256(CONTENT).hexdigest()
CARD = f"# Weights\n\n## net.safetensors\n\n| | |\n|---|---|\n| SHA-256 | `{HASH}` |\n\n### Figures\n\n## Licence\n"


def folder_of(tmp_path: Path, card: str = CARD, **files: bytes) -> Path:
    (tmp_path / "README.md").write_text(card)
    for name, content in files.items():
        (tmp_path / f"{name}.safetensors").write_bytes(content)
    return tmp_path


def test_the_weights_of_the_package_match_the_card() -> None:
    result = CliRunner().invoke(app, ["verify"])
    assert result.exit_code == 0, result.output
    assert "mobilenet_v2.safetensors" in stated_hashes(share_folder() / "weights" / "README.md")
    assert "as in the model card" in result.output


def test_equal_files_pass(tmp_path: Path) -> None:
    assert verify_weights(folder_of(tmp_path, net=CONTENT)) == {"net.safetensors": HASH}


@pytest.mark.parametrize(
    ("card", "files", "message"),
    [
        (CARD, {"net": b"Weights"}, f"net.safetensors: expected SHA-256 {HASH}, found "),
        (CARD, {}, "net.safetensors: missing"),
        (CARD, {"net": CONTENT, "other": b""}, "other.safetensors: expected a file that README.md names"),
        (
            CARD.replace(HASH, HASH[1:]),
            {"net": CONTENT},
            "README.md: expected a row SHA-256 below '## net.safetensors'",
        ),
        ("# Weights\n", {"net": CONTENT}, "README.md: expected '## NAME' and SHA-256"),
    ],
)
def test_differences_are_named(tmp_path: Path, card: str, files: dict[str, bytes], message: str) -> None:
    with pytest.raises(UserError, match=r"^[^\n]+$") as caught:
        verify_weights(folder_of(tmp_path, card, **files))
    assert message in str(caught.value)
