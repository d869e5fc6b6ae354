"""Clean text, and the folding by which exact duplicates are found.

Clean text is NFC, its lines end with `\\n`, its spaces are plain, and invisible and control
characters are removed. The controls U+0080 to U+009F have no use in texts: they are bytes of
windows-1252 that somebody read as latin-1, and become the quotes and dashes that they were. NFC is
that of the `tokenizers` package, so that every Python version gives the same bytes; the other
classes are written out here for the same reason. Both functions are pure and idempotent, and take
time linear in the text.
"""

import hashlib
import math
import re
from typing import Any

import numpy as np
from tokenizers.normalizers import NFC

_nfc = NFC()

_LINE_ENDS = ("\r\n", "\r", "\x0b", "\x0c", "\u2028", "\u2029")

_SPACE = re.compile("[\xa0\u1680\u2000-\u200a\u202f\u205f\u3000]")

_SURROGATE = re.compile("[\ud800-\udfff]")

# C0 but tab and line feed, DEL and C1, soft hyphen, zero width space, bidirectional marks, word
# joiner and invisible operators, byte order mark, annotation marks, lone surrogates,
# non-characters, tags.
_INVISIBLE = re.compile(
    "["
    "\x00-\x08\x0e-\x1f\x7f-\x9f"
    "\xad\u061c\u180e\u200b\u200e\u200f\u202a-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb"
    "\ud800-\udfff\ufdd0-\ufdef\ufffe\uffff\U000e0000-\U000e007f"
    "]"
)

# Between two characters beyond U+05FF joiners carry meaning in Persian, in Indic scripts and in
# emoji. Behind a virama they are part of a letter whatever follows, as in the Malayalam of texts
# before Unicode 5.1; an ending of Persian is joined to Latin letters and digits by one.
_VIRAMA = (
    "\u094d\u09cd\u0a4d\u0acd\u0b4d\u0bcd\u0c4d\u0ccd\u0d3b\u0d3c\u0d4d\u0dca\u1039\u17d2"
    "\ua806\ua8c4\ua953\ua9c0\uaaf6\uabed\U00011046\U00011133\U000111c0\U00011235"
    "\U0001134d\U00011442\U000114c2\U000115bf\U0001163f\U000116b6"
)

_STRAY_JOINER = re.compile(
    "(?<![\u0600-\U0010ffff])(?!(?<=[0-9A-Za-z])\u200c[\u0620-\u06d3])[\u200c\u200d]+"
    f"|(?<![{_VIRAMA}])[\u200c\u200d]+(?![\u0600-\U0010ffff])"
)

_BLACK_FLAG = "\U0001f3f4"

_FLAG = re.compile(f"({_BLACK_FLAG}[\U000e0030-\U000e0039\U000e0061-\U000e007a]{{1,6}}\U000e007f)")
"""The flag of a region, such as that of Scotland: a black flag and the region's code in tags."""

WINDOWS_1252 = {
    0x80 + place: character
    for place, character in enumerate(
        "\u20ac\x81\u201a\u0192\u201e\u2026\u2020\u2021"
        "\u02c6\u2030\u0160\u2039\u0152\x8d\u017d\x8f"
        "\x90\u2018\u2019\u201c\u201d\u2022\u2013\u2014"
        "\u02dc\u2122\u0161\u203a\u0153\x9d\u017e\u0178"
    )
}
"""Code points of the controls -> the characters of windows-1252."""

_C1 = re.compile(rb"\xc2[\x80-\x9f]")
"""A control U+0080 to U+009F in UTF-8; bytes are searched for a first byte in a quarter of the time
that characters are searched for a set."""

# Upper-case letters that Unicode gained after version 13 (Python 3.10's). They are left as they
# are, so that the folding is the same on every interpreter. A test checks every code point.
_NEW_UPPER = re.compile(
    "(["
    "\u2c2f\ua7c0\ua7cb\ua7cc\ua7ce\ua7d0\ua7d2\ua7d4\ua7d6\ua7d8\ua7da\ua7dc\u1c89"
    "\U00010570-\U0001057a\U0001057c-\U0001058a\U0001058c-\U00010592\U00010594\U00010595"
    "\U00010d50-\U00010d65\U00016ea0-\U00016eb8"
    "]+)"
)


_SHORT = 200
"""Characters of a text of which looking for odd lines takes as long as mending them all."""

_FEW_SPANS = 256
"""Places for twice as many runs of odd lines; a text with more is searched again."""

_CONTROLS = bytes([*range(0x09), *range(0x0E, 0x20), 0x7F])
"""Those of ASCII that are removed; other line ends are gone before."""


def normalise(text: str) -> str:
    """NFC text without invisible characters, with spaces as U+0020, lines that end with `\\n`, and
    no white space at either end.

    Tabs, variation selectors and joiners between letters that need them are kept. Never fails; lone
    surrogates are removed.
    """
    # Each is searched for as fast as memory is read.
    for end in _LINE_ENDS:
        text = text.replace(end, "\n")

    if text.isascii():
        text = text.encode().translate(None, _CONTROLS).decode()
    elif len(text) < _SHORT:
        text = normalise_lines(text)
    else:
        text = mend_odd_lines(text)
    return text.strip(" \t\n")


def mend_odd_lines(text: str) -> str:
    """As `normalise_lines`, which sees only the lines that are not plain: no rule reaches beyond a
    line end."""
    # numba takes half a second to load, and most commands normalise nothing.
    from corpora.text.plain_lines import find_odd_lines, plain_characters

    content = text.encode("utf-8", "surrogatepass")
    values = np.frombuffer(content, np.uint8)
    spans = np.empty(_FEW_SPANS, np.int64)
    count = find_odd_lines(values, plain_characters(), spans)
    if count > len(spans):
        spans = np.empty(count, np.int64)
        find_odd_lines(values, plain_characters(), spans)
    if not count:
        return text

    parts = []
    written = 0
    ends = iter(spans[:count].tolist())
    for begin, end in zip(ends, ends):
        parts.append(content[written:begin])
        line = content[begin:end].decode("utf-8", "surrogatepass")
        parts.append(normalise_lines(line).encode())
        written = end
    return b"".join([*parts, content[written:]]).decode()


def normalise_lines(text: str) -> str:
    """Lines that end with `\\n`, normalised but for the white space at their ends."""
    text = mend_controls(text)
    text = _SPACE.sub(" ", text)
    text = _without_invisible(text)
    text = _STRAY_JOINER.sub("", text)
    return str(_nfc.normalize_str(text))


def whole_characters(value: Any) -> Any:
    """A value as JSON that UTF-8 can hold. Halves of a surrogate pair that belong together become
    one character, and a lone half becomes U+FFFD. A number that JSON does not have becomes None,
    and what JSON has no form for becomes text."""
    if isinstance(value, str):
        if _SURROGATE.search(value) is None:
            return value
        return value.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    if isinstance(value, dict):
        return {whole_characters(key): whole_characters(held) for key, held in value.items()}
    if isinstance(value, (list, tuple)):
        return [whole_characters(held) for held in value]
    if isinstance(value, (bytes, bytearray)):
        return value.decode("utf-8", "replace")
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value if value is None or isinstance(value, (int, float)) else str(value)


def mend_controls(text: str) -> str:
    """The text with the controls U+0080 to U+009F read as bytes of windows-1252; those five that
    mean nothing there stay."""
    if text.isascii() or not _C1.search(text.encode("utf-8", "surrogatepass")):
        return text
    return text.translate(WINDOWS_1252)


def _without_invisible(text: str) -> str:
    if _BLACK_FLAG not in text:
        return _INVISIBLE.sub("", text)
    parts = _FLAG.split(text)
    parts[::2] = [_INVISIBLE.sub("", part) for part in parts[::2]]  # the odd ones are flags
    return "".join(parts)


def casefold(text: str) -> str:
    """`str.casefold` as of Unicode 13, whatever the interpreter's tables."""
    if text.isascii():
        return text.lower()
    parts = _NEW_UPPER.split(text)
    parts[::2] = [part.casefold() for part in parts[::2]]  # the odd ones are the new letters
    return "".join(parts)


def exact_digest(text: str) -> bytes:
    """16 bytes that are equal for texts that differ only in case and white space: blake2b of the
    folded text. Expects normalised text.

    Case is folded and the result is brought to NFC again; runs of white space become one space;
    punctuation is kept.
    """
    folded = casefold(text)
    if not folded.isascii():
        folded = _nfc.normalize_str(folded)
    return hashlib.blake2b(" ".join(folded.split()).encode(), digest_size=16).digest()
