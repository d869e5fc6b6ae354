"""Properties of every code point, frozen as of Unicode 14.0.0 in `unicode_table.npz`.

    python -m corpora.text.unicode_table    # writes the file anew; Python 3.11 has Unicode 14

Python's own tables differ from one release to the next. Whatever decides about a byte of the
output reads this file instead, so that every interpreter counts, cuts and compares alike.

Two users build their tables from these columns: `corpora.text.characters` (the measures of quality)
and `pipelines.stages.near.word_table` (the words that near-deduplication compares). Each adds its
own meaning and its own ranges. `corpora.text.normalise` keeps its few ranges as regular
expressions: it works on strings, and loads neither numpy nor this file.

Loading takes some 10 ms per column, once per process.
"""

import sys
import unicodedata
from importlib.resources import files as package_files
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

Scalar = TypeVar("Scalar", bound=np.generic)

UNICODE = "14.0.0"
"""The version of Unicode whose properties the file holds."""

LETTER, NUMBER, MARK, SPACE, ALPHANUMERIC, CASED, IGNORABLE = (1 << bit for bit in range(7))
"""Bits of `properties`. LETTER, NUMBER, MARK: the general categories L*, N* and M*. SPACE and
ALPHANUMERIC: what `str.isspace` and `str.isalnum` accept. CASED and IGNORABLE: how `str.lower` sees
a neighbour of a capital sigma, which becomes final after a cased letter; ignorable ones are passed
over on the way to it."""

_CATEGORIES = {"L": LETTER, "N": NUMBER, "M": MARK}

_FILE = package_files("corpora.text").joinpath("unicode_table.npz")


def properties() -> NDArray[np.uint8]:
    """(0x110000,) the bits of every code point."""
    return _column("properties", np.uint8)


def lower_case() -> NDArray[np.uint32]:
    """(0x110000,) the first code point of what `str.lower` makes of every code point."""
    shift = _column("lower_shift", np.int32)
    return (np.arange(len(shift), dtype=np.int32) + shift).astype(np.uint32)


def version() -> str:
    """The version of Unicode that the file was written with."""
    return bytes(_column("version", np.uint8)).decode()


def _column(name: str, dtype: type[Scalar]) -> NDArray[Scalar]:
    with _FILE.open("rb") as stream, np.load(stream) as columns:
        return np.asarray(columns[name], dtype)


def interpreter_properties(code: int) -> int:
    """The bits of one code point by the tables of the running interpreter."""
    character = chr(code)
    bits = _CATEGORIES.get(unicodedata.category(character)[0], 0)
    if character.isspace():
        bits |= SPACE
    if character.isalnum():
        bits |= ALPHANUMERIC

    # Python does not expose these two properties, but `str.lower` reveals them: a capital sigma
    # becomes final after a cased letter, whatever ignorable characters stand between the two.
    final_sigma = "\u03c2"
    if (character + "\u03a3").lower()[-1] == final_sigma:
        bits |= CASED
    elif ("A" + character + "\u03a3").lower()[-1] == final_sigma:
        bits |= IGNORABLE
    return bits


def main() -> None:
    """Write `unicode_table.npz`."""
    if unicodedata.unidata_version != UNICODE:
        raise SystemExit(
            f"error: this interpreter has Unicode {unicodedata.unidata_version}, not {UNICODE}\n"
            "hint: run the script with Python 3.11"
        )

    codes = range(sys.maxunicode + 1)
    bits = np.array([interpreter_properties(code) for code in codes], np.uint8)
    shift = np.array([ord(chr(code).lower()[0]) - code for code in codes], np.int32)
    np.savez_compressed(
        str(_FILE),
        properties=bits,
        lower_shift=shift,
        version=np.frombuffer(UNICODE.encode(), np.uint8),
    )


if __name__ == "__main__":
    main()
