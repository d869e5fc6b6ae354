"""Which lines of a text are clean already, so that normalisation need not look at them.

Nearly all lines of nearly all texts are: they hold nothing but letters, digits and signs that
normalisation never changes, whatever stands beside them. The set of these is written out here, so
that it is the same on every interpreter; `tests/corpora/text/test_normalise.py` checks it against
the expressions and against Unicode's tables.
"""

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from corpora.text.jit import jit

PLAIN = (
    (0x09, 0x0A),
    (0x20, 0x7E),
    (0xA1, 0xAC),
    (0xAE, 0x2FF),
    (0x370, 0x373),
    (0x375, 0x377),
    (0x37A, 0x37D),
    (0x388, 0x38A),
    (0x38E, 0x3A1),
    (0x3A3, 0x482),
    (0x48A, 0x52F),
    (0x531, 0x556),
    (0x559, 0x58A),
    (0x5D0, 0x5EA),
    (0x620, 0x64A),
    (0x660, 0x66F),
    (0x671, 0x6D3),
    (0x6F0, 0x6F9),
    (0x10D0, 0x10FA),
    (0x1E00, 0x1EFF),
    (0x2010, 0x2027),
    (0x2030, 0x205E),
    (0x2070, 0x2071),
    (0x2074, 0x208E),
    (0x20A0, 0x20BF),
    (0x2100, 0x2125),
    (0x212C, 0x218B),
    (0x2190, 0x2328),
    (0x232B, 0x2426),
    (0x2460, 0x27FF),
    (0x3001, 0x3029),
    (0x3030, 0x303F),
    (0x3041, 0x3096),
    (0x309B, 0x30FF),
    (0x3105, 0x312F),
    (0x3220, 0x33FF),
    (0x3400, 0x4DBF),
    (0x4E00, 0x9FFC),
    (0xA000, 0xA48C),
    (0xAC00, 0xD7A3),
    (0xFF01, 0xFF9D),
    (0xFFE0, 0xFFE6),
)
"""Ranges of the basic plane: characters that are the same in NFC, combine with none before them,
and are neither spaces but U+0020, nor controls but tab and line feed, nor invisible."""


@lru_cache(maxsize=1)
def plain_characters() -> NDArray[np.bool_]:
    """(65536,) whether a character is one of them."""
    is_plain = np.zeros(0x10000, np.bool_)
    for begin, end in PLAIN:
        is_plain[begin : end + 1] = True
    return is_plain


@jit
def find_odd_lines(
    values: NDArray[np.uint8], is_plain: NDArray[np.bool_], spans: NDArray[np.int64]
) -> np.int64:
    """The runs of lines that hold any other character, in (B,) bytes of UTF-8.

    Writes the first byte of each run and the byte behind its last line, without its line end, to
    `spans` (2R,). Returns how many numbers it wrote, or needs: at most as many as fit are written.
    """
    end = len(values)
    count = np.int64(0)
    last = np.int64(-1)  # the end of the run before
    begin = np.int64(0)  # of this line
    at = np.int64(0)

    while at < end:
        byte = values[at]
        if byte == 0x0A:
            begin = at + 1
            at += 1
            continue
        if byte < 0x80:
            is_odd = not is_plain[byte]
            size = 1
        elif byte < 0xE0:
            point = (np.int64(byte & 0x1F) << 6) | np.int64(values[at + 1] & 0x3F)
            is_odd = not is_plain[point]
            size = 2
        elif byte < 0xF0:
            point = (np.int64(byte & 0x0F) << 12) | (np.int64(values[at + 1] & 0x3F) << 6)
            is_odd = not is_plain[point | np.int64(values[at + 2] & 0x3F)]
            size = 3
        else:
            is_odd = True
            size = 4
        at += size
        if not is_odd:
            continue

        while at < end and values[at] != 0x0A:
            at += 1
        if last >= 0 and last + 1 == begin:
            count -= 2
            begin = spans[count] if count < len(spans) else begin
        if count + 1 < len(spans):
            spans[count] = begin
            spans[count + 1] = at
        count += 2
        last = at

    return count
