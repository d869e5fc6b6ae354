"""What publishers put before and behind a book, taken off: notices of rights, licence notes,
advertisements.

Only whole short blocks near the two ends that say so themselves: never a part of one, never a long
one. A dedication, an epigraph, a preface say nothing of the kind and stay.
"""

import re

ITEMS, ITEM_CHARACTERS = 5, 5_000
"""Items of an EPUB, from either end, that are looked at, and the longest that goes."""

EDGE_CHARACTERS, BLOCK_CHARACTERS = 5_000, 1_500
"""Characters of a text, from either end, that are looked at, and the longest block that goes."""

_NOTICE = re.compile(
    r"\ball rights reserved\b|\bISBN(?:-1[03])?[:\s]*[\d(]|\bISBN\b[^\n]{0,40}\d|smashwords edition|licen[sc]e notes\b|licensed for your personal enjoyment",
    re.IGNORECASE,
)

_HEADING = re.compile(
    r"^[^\w\n]{0,4}(?:about the author|connect with|other books by|also by|thank you for reading)\b[^\n]{0,100}$",
    re.IGNORECASE | re.MULTILINE,
)


def trim_items(items: list[str]) -> list[str]:
    """The items of an EPUB without short ones of notices among the first and last; at least one
    stays."""
    doomed = {
        i
        for i, text in enumerate(items)
        if len(text) <= ITEM_CHARACTERS and (i < ITEMS or i >= len(items) - ITEMS) and _says(text)
    }
    return (
        [text for i, text in enumerate(items) if i not in doomed]
        if len(doomed) < len(items)
        else items
    )


def _says(text: str) -> bool:
    return _NOTICE.search(text) is not None or _HEADING.search(text) is not None


def trim_text(text: str) -> str:
    """A text without the blocks of notices at its ends, and without what follows a heading such as
    `About the author` close to its end."""
    edge = min(EDGE_CHARACTERS, len(text) // 4)
    front = _without_notices(text[:edge], first=True)
    middle, back = text[edge : len(text) - edge], text[len(text) - edge :]
    begin = back.find("\n\n")
    if (
        begin >= 0
        and (
            heading := next(
                (found for found in _HEADING.finditer(back, begin) if _alone(back, found)), None
            )
        )
        is not None
    ):
        back = back[: heading.start()].rstrip("\n")
    return (front + middle + _without_notices(back, first=False)).strip("\n")


def _alone(text: str, found: re.Match[str]) -> bool:
    """Whether a line is a block of its own, or begins one."""
    return text[: found.start()].endswith("\n\n")


def _without_notices(edge: str, first: bool) -> str:
    """An end of a text without its short blocks of notices; the block that is cut by the edge is
    not judged."""
    blocks = edge.split("\n\n")
    whole = blocks[:-1] if first else blocks[1:]
    cut = blocks[-1:] if first else blocks[:1]
    kept = [block for block in whole if len(block) > BLOCK_CHARACTERS or not _NOTICE.search(block)]
    return "\n\n".join(kept + cut if first else cut + kept)
