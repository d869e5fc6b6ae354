"""Mojibake: UTF-8 that somebody decoded as windows-1252 or latin-1 and encoded again.

    count(text)     how many places look like it, by sequences that no language writes
    mender()        ftfy's repair, where the package is installed

The characters 80 to 9F of windows-1252 and the controls of the same numbers count alike, since the
first become the second on the way through latin-1.
"""

import functools
import re
from collections.abc import Callable

from corpora.text.normalise import WINDOWS_1252
from shards.errors import UserError

# What a byte 80..BF of UTF-8 became; a quotation mark or a dash may also follow a capital letter
# for its own sake.
_HIGH = "".join(WINDOWS_1252.values()) + "\x80-\x9f"
_QUOTES = "\u2018\u2019\u201c\u201d\u2013\u2014\u2026\u2039\u203a"
_LOW = "\xa0-\xbf"
_ANY = f"[{_HIGH}{_LOW}]"
_PLAIN = (
    "["
    + "".join(set(WINDOWS_1252.values()) - set(_QUOTES))
    + r"\x80-\x9f\xa0-\xaa\xac-\xba\xbc-\xbf]"
)

_MOJIBAKE = re.compile(
    f"\u00e2{_ANY}{_ANY}"  # punctuation: E2 80 99
    f"|\u00f0\u0178{_ANY}{_ANY}|\u00f0\x9f{_ANY}{_ANY}"  # emoji: F0 9F 98 80
    f"|\u00c3{_PLAIN}"  # letters of Western Europe: C3 A9
    "|\u00c2[\xa0-\xaa\xac-\xba\xbc-\xbf\x80-\x9f]"  # signs: C2 A3
    f"|(?:[\u00d0\u00d1]{_ANY}){{2,}}"  # Cyrillic
    f"|(?:[\u00ce\u00cf]{_ANY}){{2,}}"  # Greek
    f"|(?:[\u00d7-\u00db]{_ANY}){{2,}}"  # Hebrew and Arabic
    f"|(?:[\u00e0-\u00ef]{_ANY}{_ANY}){{2,}}"  # scripts of Asia
)

_BYTES = {character: code for code, character in WINDOWS_1252.items()}

_TEXT_NODE = re.compile(r"[^<>]+")


def count(text: str) -> int:
    """The places of a text that look decoded twice; as many as there are runs of them."""
    return 0 if text.isascii() else sum(1 for _ in _MOJIBAKE.finditer(text))


@functools.cache
def mender() -> Callable[[str], str]:
    """ftfy's `fix_text`, for encodings and broken escapes alone: quotes and the rest stay.

    Raises `UserError` (exit 3) where the package is not installed.
    """
    try:
        import ftfy
    except ImportError:
        raise UserError(
            "ftfy = true needs the package ftfy", "pip install '.[ftfy]' in the checkout", 3
        ) from None

    config = ftfy.TextFixerConfig(
        unescape_html=False,
        uncurl_quotes=False,
        fix_latin_ligatures=False,
        fix_character_width=False,
        normalization=None,
    )
    return functools.partial(ftfy.fix_text, config=config)


def mend_page(text: str) -> str:
    """A decoded page with the mojibake of its texts repaired, one run between two tags after the
    other: ftfy repairs a line as a whole, and a line of a page may hold all of it.

    Raises `UserError` as `mender` does.
    """
    mend = mender()
    if text.isascii():
        return text
    return _TEXT_NODE.sub(lambda run: _mended(run[0], mend), text)


def _mended(run: str, mend: Callable[[str], str]) -> str:
    """A run of text; one without mojibake stays as it is, whatever else ftfy would change."""
    if run.isascii() or not _MOJIBAKE.search(run):
        return run
    # ftfy leaves a place alone that is the only one of its run.
    return _MOJIBAKE.sub(lambda place: _decoded(place[0]), mend(run))


def _decoded(place: str) -> str:
    """The characters that a place was before it was decoded as windows-1252; the place as it is if
    its bytes are no UTF-8."""
    try:
        return bytes(_BYTES.get(char, ord(char)) for char in place).decode()
    except (UnicodeDecodeError, ValueError):
        return place
