"""The class of each character, for the measures of quality: one byte of flags per code point.

Letters, numbers, marks and white space come from the frozen table of Unicode
(`corpora.text.unicode_table`), so that every interpreter measures alike. The other flags are ranges
written out here; they answer questions that Unicode has no single property for.
"""

import functools

import numpy as np
from numpy.typing import NDArray

from corpora.text import unicode_table

LETTER, NUMBER, MARK, SPACE, UNSPACED, UPPER, END_MARK, CLOSER = (1 << bit for bit in range(8))
"""Flags. UNSPACED: a letter of a script that sets no spaces between words. UPPER: a capital of
Latin-1, Greek or Cyrillic. END_MARK: ends a sentence. CLOSER: a quotation mark or bracket that may
follow an end mark."""

# Thai, Lao, Myanmar, Khmer and Tai; Han, kana, bopomofo and Yi.
_UNSPACED = (
    (0x0E00, 0x0F00),
    (0x1000, 0x10A0),
    (0x1780, 0x1800),
    (0x1950, 0x19E0),
    (0x1A20, 0x1AB0),
    (0x2E80, 0x2FE0),
    (0x3005, 0x3008),
    (0x3021, 0x302A),
    (0x3031, 0x3130),
    (0x31A0, 0x3200),
    (0x3400, 0x4DC0),
    (0x4E00, 0xA4D0),
    (0xA9E0, 0xAA00),
    (0xAA60, 0xAAE0),
    (0xF900, 0xFB00),
    (0xFF66, 0xFFA0),
    (0x1AFF0, 0x1B300),
    (0x20000, 0x40000),
)

_UPPER = (
    (0x41, 0x5B),
    (0xC0, 0xD7),
    (0xD8, 0xDF),
    (0x386, 0x390),
    (0x391, 0x3AC),
    (0x400, 0x430),
)

_END_MARKS = (
    ".!?\u2026\u203c\u2047\u2048\u2049"
    "\u3002\uff01\uff0e\uff1f\uff61"  # full width
    "\u0964\u0965\u061f\u06d4"  # Devanagari, Arabic
    "\u055e\u0589\u1362\u1367\u17d4\u104b"  # Armenian, Ethiopic, Khmer, Myanmar
)

_CLOSERS = "\"')]}\u00bb\u2019\u201d\u201c\u203a\u300d\u300f\uff02\uff09"

_FROM_UNICODE = (
    (unicode_table.LETTER, LETTER),
    (unicode_table.NUMBER, NUMBER),
    (unicode_table.MARK, MARK),
    (unicode_table.SPACE, SPACE),
)


@functools.cache
def flags() -> NDArray[np.uint8]:
    """(0x110000,) the flags of every code point; read only."""
    properties = unicode_table.properties()
    table = np.zeros(len(properties), np.uint8)
    for bit, flag in _FROM_UNICODE:
        table[properties & bit > 0] |= flag

    # The ranges hold marks and numbers too, and unassigned places: only letters get these flags.
    for ranges, flag in ((_UNSPACED, UNSPACED), (_UPPER, UPPER)):
        for begin, end in ranges:
            table[begin:end][table[begin:end] & LETTER > 0] |= flag

    for characters, flag in ((_END_MARKS, END_MARK), (_CLOSERS, CLOSER)):
        table[[ord(character) for character in characters]] |= flag
    table.flags.writeable = False
    return table
