"""The words that near-deduplication compares: for each code point, whether it is part of a word,
and what `str.lower` makes of it, as of Unicode 14.

The table is built from the frozen columns of `corpora.text.unicode_table`, so every interpreter
finds the same words. `str.lower` makes two characters of U+0130 alone, and looks at the neighbours
of U+03A3 alone (the final sigma), for which the flags say what its rule asks. A combining mark or a
joiner belongs to the word before it. In scripts that set no spaces between words
(`corpora.text.characters`), each letter is a word of its own.
"""

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from corpora.text import characters, unicode_table

LOWER = (1 << 21) - 1
"""The bits of the lowered code point."""

CASED, IGNORABLE, SPECIAL, WORD = 1 << 28, 1 << 29, 1 << 30, 1 << 31
"""CASED: has upper or lower case, and does not count as ignorable. IGNORABLE: passed over when a
sigma looks for its neighbours. SPECIAL: a mark, a letter that is a word, `DOTTED_I` and `SIGMA`.
WORD: matched by `\w`."""

QUARTER, MARK, ALONE = 1 << 25, 1 << 26, 1 << 27
"""MARK: belongs to the word before it. ALONE: a letter that is a word of its own. QUARTER: such a
letter, of which four count as one word; of the others two do."""

JOINERS = (0x200C, 0x200D)

SYLLABLES = 0x2000
"""The scripts without spaces below this code point (Thai, Lao, Myanmar, Khmer, Tai) spell sounds,
and need about twice as many letters for a word as Han, kana and Yi."""

SPELLED_BEYOND = ((0xA9E0, 0xAA00), (0xAA60, 0xAAE0))
"""Letters of Myanmar and Tai above `SYLLABLES`."""

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
    is_mark = properties & unicode_table.MARK > 0
    is_mark[list(JOINERS)] = True
    table[is_mark] |= np.uint32(MARK | SPECIAL)

    is_alone = characters.flags() & characters.UNSPACED > 0
    table[is_alone] |= np.uint32(ALONE | SPECIAL)
    for begin, end in ((0, SYLLABLES), *SPELLED_BEYOND):
        table[begin:end][is_alone[begin:end]] |= np.uint32(QUARTER)

    for code in (DOTTED_I, SIGMA):
        table[code] |= np.uint32(SPECIAL)
    table.flags.writeable = False
    return table


def interpreter_entry(code: int) -> tuple[int, int]:
    """(lowered code point, flags >> 28 without SPECIAL) of one code point by the running
    interpreter's tables."""
    character = chr(code)
    properties = unicode_table.interpreter_properties(code)
    word = bool(properties & unicode_table.ALPHANUMERIC) or character == "_"
    cased = bool(properties & unicode_table.CASED)
    ignorable = bool(properties & unicode_table.IGNORABLE)
    flags = cased | ignorable << 1 | word << 3
    return ord(character.lower()[0]), flags
