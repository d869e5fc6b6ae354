"""Clean text, and the folding by which exact duplicates are found.

Clean text is NFC, its lines end with `\\n`, its spaces are plain, and invisible and control
characters are removed. NFC is that of the `tokenizers` package, so that every Python version gives
the same bytes; the other classes are written out here for the same reason. Both functions are pure
and idempotent, and take time linear in the text.
"""

import hashlib
import math
import re
from typing import Any

from tokenizers.normalizers import NFC

_nfc = NFC()

_LINE_END = re.compile("\r\n?|[\x0b\x0c\x85\u2028\u2029]")

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

# Joiners carry meaning in Persian, in Indic scripts and in emoji, so they stay between two
# characters beyond U+05FF.
_STRAY_JOINER = re.compile(
    "(?<![\u0600-\U0010ffff])[\u200c\u200d]+|[\u200c\u200d]+(?![\u0600-\U0010ffff])"
)

# Upper-case letters that Unicode gained after version 13 (Python 3.10's). They are left as they
# are, so that the folding is the same on every interpreter. A test checks every code point.
_NEW_UPPER = re.compile(
    "(["
    "\u2c2f\ua7c0\ua7cb\ua7cc\ua7ce\ua7d0\ua7d2\ua7d4\ua7d6\ua7d8\ua7da\ua7dc\u1c89"
    "\U00010570-\U0001057a\U0001057c-\U0001058a\U0001058c-\U00010592\U00010594\U00010595"
    "\U00010d50-\U00010d65\U00016ea0-\U00016eb8"
    "]+)"
)


def normalise(text: str) -> str:
    """NFC text without invisible characters, with spaces as U+0020, lines that end with `\\n`, and
    no white space at either end.

    Tabs, variation selectors and joiners between letters that need them are kept. Never fails; lone
    surrogates are removed.
    """
    text = _LINE_END.sub("\n", text)
    if text.isascii():
        text = _INVISIBLE.sub("", text)
    else:
        text = _SPACE.sub(" ", text)
        text = _INVISIBLE.sub("", text)
        text = _STRAY_JOINER.sub("", text)
        text = _nfc.normalize_str(text)
    return text.strip(" \t\n")


def whole_characters(value: Any) -> Any:
    """A JSON value whose texts UTF-8 can hold: halves of a surrogate pair that belong together become
    one character, and a lone half becomes U+FFFD. A number that JSON does not have becomes None."""
    if isinstance(value, str):
        if _SURROGATE.search(value) is None:
            return value
        return value.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    if isinstance(value, dict):
        return {whole_characters(key): whole_characters(held) for key, held in value.items()}
    if isinstance(value, (list, tuple)):
        return [whole_characters(held) for held in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


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
