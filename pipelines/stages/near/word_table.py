"""What a word is, frozen: for each code point, whether `\\w` matches it and what `str.lower` makes
of it, as of Unicode 14.

    python -m pipelines.stages.near.word_table          # writes words.npz anew, by the tables of the interpreter that runs it (3.11 has Unicode 14)

Interpreters have tables of different years; with this file they all find the same words. `lower`
makes two characters of U+0130 alone (the second, U+0307, is no word character and ends the word),
and looks at its neighbours for U+03A3 alone (the final sigma): both are marked `SPECIAL`, and what
the rule of the sigma asks of the neighbours is here too.
"""

import sys
import unicodedata
from functools import lru_cache
from importlib.resources import files as package_files

import numpy as np
from numpy.typing import NDArray

LOWER = (1 << 21) - 1
"""The bits of the lowered code point."""

CASED, IGNORABLE, SPECIAL, WORD = 1 << 28, 1 << 29, 1 << 30, 1 << 31
"""Cased: has upper or lower case, and does not count as ignorable; ignorable: passed over when a
sigma looks for its neighbours."""

DOTTED_I, SIGMA = 0x130, 0x3A3


@lru_cache(maxsize=1)
def word_table() -> NDArray[np.uint32]:
    """(0x110000,) the lowered code point and the flags of each code point; read only."""
    with (
        package_files("pipelines.stages.near").joinpath("words.npz").open("rb") as stream,
        np.load(stream) as arrays,
    ):
        shift, flags = arrays["shift"], arrays["flags"]
    lower = (np.arange(len(shift), dtype=np.int64) + shift).astype(np.uint32)
    table: NDArray[np.uint32] = lower | flags.astype(np.uint32) << np.uint32(28)
    table.flags.writeable = False
    return table


def unicode_version() -> str:
    """Of the table."""
    with (
        package_files("pipelines.stages.near").joinpath("words.npz").open("rb") as stream,
        np.load(stream) as arrays,
    ):
        return bytes(arrays["version"]).decode()


def entry(code: int) -> tuple[int, int]:
    """(lowered code point, flags >> 28) by the running interpreter. `lower` itself tells what it
    holds for cased and ignorable: a sigma is final after a cased letter, whatever ignorable stands
    between them."""
    character = chr(code)
    word = character.isalnum() or character == "_"
    special = code in (DOTTED_I, SIGMA)
    cased = (character + "\u03a3").lower()[-1] == "\u03c2"
    ignorable = not cased and ("A" + character + "\u03a3").lower()[-1] == "\u03c2"
    lowered = ord(character.lower()[0]) if code != SIGMA else 0x3C3
    return lowered, cased | ignorable << 1 | special << 2 | word << 3


def main() -> None:
    """Write words.npz."""
    entries = [entry(code) for code in range(sys.maxunicode + 1)]
    shift = np.array([lowered - code for code, (lowered, _) in enumerate(entries)], np.int32)
    flags = np.array([flags for _, flags in entries], np.uint8)
    version = np.frombuffer(unicodedata.unidata_version.encode(), np.uint8)
    np.savez_compressed(
        str(package_files("pipelines.stages.near").joinpath("words.npz")),
        shift=shift,
        flags=flags,
        version=version,
    )


if __name__ == "__main__":
    main()
