"""Removes what publishers put before and behind a book: notices of rights, licence notes,
advertisements.

Only whole short blocks near the two ends that are such notices by their own words are removed:
never a part of a block, never a long one. A dedication, an epigraph or a preface has no such words
and stays.
"""

import re

ITEMS = 5
"""Items of an EPUB, from either end, that are examined."""

ITEM_CHARACTERS = 5_000
"""Longer items are never removed."""

EDGE_CHARACTERS = 5_000
"""Characters of a text, from either end, that are examined."""

BLOCK_CHARACTERS = 1_500
"""Longer blocks are never removed."""

_NOTICE = re.compile(
    r"\ball rights reserved\b|\bISBN(?:-1[03])?[:\s]*[\d(]|\bISBN\b[^\n]{0,40}\d"
    r"|smashwords edition|licen[sc]e notes\b|licensed for your personal enjoyment",
    re.IGNORECASE,
)

_HEADING = re.compile(
    r"^[^\w\n]{0,4}(?:about the author|connect with|other books by|also by|thank you for reading)\b"
    r"[^\n]{0,100}$",
    re.IGNORECASE | re.MULTILINE,
)


def trim_items(items: list[str]) -> list[str]:
    """The items of an EPUB without the short notices among the first and last; all of them if
    nothing else is left."""
    kept = []
    for index, text in enumerate(items):
        at_end = index < ITEMS or index >= len(items) - ITEMS
        if not (at_end and len(text) <= ITEM_CHARACTERS and _is_notice(text)):
            kept.append(text)
    return kept or items


def _is_notice(text: str) -> bool:
    return _NOTICE.search(text) is not None or _HEADING.search(text) is not None


def trim_text(text: str) -> str:
    """A text without the notices at its ends, and without what follows a heading such as `About
    the author` close to its end."""
    edge = min(EDGE_CHARACTERS, len(text) // 4)
    front = text[:edge]
    middle = text[edge : len(text) - edge]
    back = _before_heading(text[len(text) - edge :])
    return (
        _without_notices(front, first=True) + middle + _without_notices(back, first=False)
    ).strip("\n")


def _before_heading(back: str) -> str:
    """The end of a text up to the first heading that is a line of its own."""
    begin = back.find("\n\n")
    if begin < 0:
        return back
    for heading in _HEADING.finditer(back, begin):
        if back[: heading.start()].endswith("\n\n"):
            return back[: heading.start()].rstrip("\n")
    return back


def _without_notices(edge: str, first: bool) -> str:
    """An end of a text without the short blocks that are notices. The block that the edge cuts is
    not judged."""
    blocks = edge.split("\n\n")
    whole = blocks[:-1] if first else blocks[1:]
    kept = [block for block in whole if len(block) > BLOCK_CHARACTERS or not _NOTICE.search(block)]
    return "\n\n".join([*kept, blocks[-1]] if first else [blocks[0], *kept])
