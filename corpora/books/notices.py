"""Removes what publishers put before and behind a book: notices of rights, licence notes,
advertisements.

Only whole short blocks near the two ends that are such notices by their own words are removed:
never a part of a block, never a long one. A dedication, an epigraph or a preface has no such words
and stays.
"""

import re
from typing import NamedTuple

ITEMS = 5
"""Items of an EPUB, from either end, that are examined."""

ITEM_CHARACTERS = 5_000
"""Longer items are never removed."""

EDGE_CHARACTERS = 5_000
"""Characters of a text, from either end, that are examined."""

BLOCK_CHARACTERS = 1_500
"""Longer blocks are never removed."""

_NOTICE = re.compile(
    r"^\W{0,4}(?:all rights reserved\b|smashwords edition\b|licen[sc]e notes\b|ISBN\b|copyright\b"
    r"|©|\(c\)\s*\d|no part of this (?:book|publication|e-?book|work)\b|thank you for (?:buying|"
    r"downloading|purchasing) this)"
    r"|\blicensed for your personal enjoyment\b|\bISBN(?:-1[03])?[:\s]{0,3}[\d(][-\d\sXx()]{8,20}"
    r"|(?:copyright|©|\(c\)|\b[12]\d{3}\b)[^\n]{0,200}\ball rights reserved\b",
    re.IGNORECASE,
)
"""A block is a notice by its first words, or by words that no story has."""

_SPEECH = re.compile(r"^\W{0,2}[\"“«„‘「『]|[\"”»’」』][,.]?\s+\w+\s+(?:said|asked|cried)\b")

_HEADING = re.compile(
    r"^[^\w\n\"“«„‘]{0,4}(?:(?i:about the authors?)|(?i:connect with)\s+(?i:me|us|her|him|them|the "
    r"authors?|[A-Z])|(?i:other (?:books|titles|works) by)"
    r"|(?i:also by)\s+(?:(?i:the|this)\s+(?i:same |authors?)|[A-Z])"
    # a heading is no sentence
    r"|(?i:thank you for reading))\b[^\n.?;:,]{0,100}[!:]?$",
    re.MULTILINE,
)
"""A line that is the heading of an advertisement."""


class Trimmed(NamedTuple):
    """What is left of a book, and the blocks that were removed, in order."""

    texts: list[str]
    removed: list[str]


def trim_items(items: list[str]) -> Trimmed:
    """The items of an EPUB without the notices among the first and last; all of them if nothing
    else is left. A short item goes as a whole if it begins with the heading of an advertisement
    or if
    notices are two thirds of it; of another item only the blocks that are notices go."""
    kept = []
    removed = []
    for index, text in enumerate(items):
        at_end = index < ITEMS or index >= len(items) - ITEMS
        if not at_end or len(text) > ITEM_CHARACTERS:
            kept.append(text)
            continue
        blocks = text.split("\n\n")
        notices = [block for block in blocks if _is_notice(block)]
        of_notices = 3 * sum(map(len, notices)) >= 2 * len(text)
        if of_notices or _is_heading(blocks[0]):
            removed.append(text)
            continue
        removed += notices
        kept.append("\n\n".join(block for block in blocks if not _is_notice(block)))
    return Trimmed(kept, removed) if kept else Trimmed(items, [])


def _is_notice(block: str) -> bool:
    """Whether a short block is a notice, and nobody's speech."""
    if len(block) > BLOCK_CHARACTERS or _SPEECH.search(block):
        return False
    return _NOTICE.search(block) is not None


def _is_heading(block: str) -> bool:
    """Whether a block is the heading of an advertisement."""
    return _HEADING.match(block) is not None


def trim_text(text: str) -> Trimmed:
    """A text, as one, without the notices at its ends, and without what follows a heading such as
    `About the author` close to its end."""
    removed: list[str] = []
    edge = min(EDGE_CHARACTERS, len(text) // 4)
    front = _without_notices(text[:edge], removed, first=True)
    middle = text[edge : len(text) - edge]
    back, advertisement = _before_heading(text[len(text) - edge :])
    back = _without_notices(back, removed, first=False)
    if advertisement:
        removed.append(advertisement)
    return Trimmed([(front + middle + back).strip("\n")], removed)


def _before_heading(back: str) -> tuple[str, str]:
    """The end of a text up to the first heading that is a line of its own, and what follows."""
    begin = back.find("\n\n")
    if begin < 0:
        return back, ""
    for heading in _HEADING.finditer(back, begin):
        if back[: heading.start()].endswith("\n\n"):
            return back[: heading.start()].rstrip("\n"), back[heading.start() :]
    return back, ""


def _without_notices(edge: str, removed: list[str], first: bool) -> str:
    """An end of a text without the short blocks that are notices, which go to `removed`. The block
    that the edge cuts is not judged."""
    blocks = edge.split("\n\n")
    whole = blocks[:-1] if first else blocks[1:]
    removed += [block for block in whole if _is_notice(block)]
    kept = [block for block in whole if not _is_notice(block)]
    return "\n\n".join([*kept, blocks[-1]] if first else [blocks[0], *kept])
