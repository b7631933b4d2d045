"""The model card of weights files (weights/README.md), and the comparison of the files with it."""

from __future__ import annotations

import re
from pathlib import Path

from mp_perception.errors import UserError
from mp_perception.files import sha256

CARD_NAME = "README.md"
_HASH = re.compile(r"^\| SHA-256 \| `([0-9a-f]{64})` \|$", re.MULTILINE)


def stated_hashes(card: Path) -> dict[str, str]:
    """File name -> SHA-256 in a model card: a heading `## NAME` and below it a row `| SHA-256 | `...` |`.

    Raises UserError if the card is missing or lists a file without its hash.
    """
    try:
        text = card.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{card}: cannot be read as a model card ({error})") from None
    hashes: dict[str, str] = {}
    for section in re.split("^## ", text, flags=re.MULTILINE)[1:]:
        name, _, rows = section.partition("\n")
        if re.fullmatch(r"\S+\.\w+", name) is None:
            continue  # not a file
        row = _HASH.search(rows)
        if row is None:
            raise UserError(f"{card}: expected a row SHA-256 below '## {name}', found none")
        hashes[name] = row[1]
    return hashes


def verify_weights(folder: Path) -> dict[str, str]:
    """File name -> SHA-256 of all weights files in a folder, after comparison with the folder's model card.

    Raises UserError for the first file that is missing, not in the card, or different.
    """
    card = folder / CARD_NAME
    stated = stated_hashes(card)
    if not stated:
        raise UserError(f"{card}: expected '## NAME' and SHA-256 of weights files, found none")
    present = {path.name for path in folder.iterdir() if path.is_file() and not path.name.startswith(".")} - {CARD_NAME}
    for name in sorted(present - set(stated)):
        raise UserError(f"{folder / name}: expected a file that {CARD_NAME} names, found an unknown one")
    for name, wanted in stated.items():
        if name not in present:
            raise UserError(f"{folder / name}: missing, expected as {CARD_NAME} names it")
        found = sha256(folder / name)
        if found != wanted:
            raise UserError(f"{folder / name}: expected SHA-256 {wanted}, found {found}")
    return stated
