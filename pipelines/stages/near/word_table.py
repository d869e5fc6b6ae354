"""The words that near-deduplication compares: for each code point, whether `\\w` matches it and
what `str.lower` makes of it, as of Unicode 14.

The table is built from the frozen columns of `corpora.text.unicode_table`, so every interpreter
finds the same words. `str.lower` makes two characters of U+0130 alone (the second, U+0307, is not a
word character and ends the word), and looks at the neighbours of U+03A3 alone (the final sigma).
Both are marked `SPECIAL`, and the flags say what the rule of the sigma asks of the neighbours.
"""

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from corpora.text import unicode_table

LOWER = (1 << 21) - 1
"""The bits of the lowered code point."""

CASED, IGNORABLE, SPECIAL, WORD = 1 << 28, 1 << 29, 1 << 30, 1 << 31
"""CASED: has upper or lower case, and does not count as ignorable. IGNORABLE: passed over when a
sigma looks for its neighbours. SPECIAL: `DOTTED_I` and `SIGMA`. WORD: matched by `\\w`."""

DOTTED_I, SIGMA = 0x130, 0x3A3


@lru_cache(maxsize=1)
def word_table() -> NDArray[np.uint32]:
    """(0x110000,) the lowered code point and the flags of each code point; read only."""
    properties = unicode_table.properties()
    table = unicode_table.lower_case()
    for bit, flag in (
        (unicode_table.ALPHANUMERIC, WORD),
        (unicode_table.CASED, CASED),
        (unicode_table.IGNORABLE, IGNORABLE),
    ):
        table[properties & bit > 0] |= np.uint32(flag)

    table[ord("_")] |= np.uint32(WORD)
    for code in (DOTTED_I, SIGMA):
        table[code] |= np.uint32(SPECIAL)
    table.flags.writeable = False
    return table


def interpreter_entry(code: int) -> tuple[int, int]:
    """(lowered code point, flags >> 28) of one code point by the running interpreter's tables."""
    character = chr(code)
    properties = unicode_table.interpreter_properties(code)
    word = bool(properties & unicode_table.ALPHANUMERIC) or character == "_"
    special = code in (DOTTED_I, SIGMA)
    cased = bool(properties & unicode_table.CASED)
    ignorable = bool(properties & unicode_table.IGNORABLE)
    flags = cased | ignorable << 1 | special << 2 | word << 3
    return ord(character.lower()[0]), flags
