"""Random changes of valid bytes, the same for the same seed: for tests, where atheris would take too long."""

from __future__ import annotations

from random import Random

#: Numbers at which sizes and counts break.
_NUMBERS = (0, 1, 0x7F, 0x80, 0xFF, 0x7FFF, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, 2**63 - 1, 2**64 - 1)
_WORDS = (b"nan", b"inf", b"-1", b"1e999", b"9" * 30, b"null", b"\xff\xfe", b"\0", b"\n", b"{", b"[", b"<", b": ")


def mutated(data: bytes, random: Random) -> bytes:
    """The bytes with one to four changes: bits, numbers, words, pieces left out, doubled or moved."""
    changed = bytearray(data)
    for _ in range(random.randint(1, 4)):
        place = random.randrange(len(changed) + 1)
        length = random.choice((1, 2, 4, 8, 16, 64))
        kind = random.randrange(6)
        if kind == 0 and changed:
            changed[place % len(changed)] ^= 1 << random.randrange(8)
        elif kind == 1:
            width = random.choice((1, 2, 4, 8))
            number = random.choice(_NUMBERS) % (1 << 8 * width)
            changed[place : place + width] = number.to_bytes(width, random.choice(("little", "big")))
        elif kind == 2:
            word = random.choice(_WORDS)
            changed[place : place + random.choice((0, len(word)))] = word
        elif kind == 3:
            del changed[place : place + length]
        elif kind == 4:
            changed[place:place] = changed[place : place + length] * random.choice((1, 2, 50))
        else:
            del changed[place:]
    return bytes(changed)
