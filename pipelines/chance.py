"""Chance is keyed (law 5): a draw is a hash of seed, purpose and identity, never the next number of
a generator."""

import hashlib

CHANCES = 1 << 64
"""Draws are whole numbers in [0, CHANCES)."""


def chance(seed: int, purpose: str, identity: str) -> int:
    """A number in [0, 2**64) that depends on nothing but its arguments."""
    return int.from_bytes(
        hashlib.blake2b(f"{seed}\n{purpose}\n{identity}".encode(), digest_size=8).digest(), "little"
    )
