"""What was removed from inside a document: notices and headers of books, repeated passages."""

from collections.abc import Mapping, Sequence
from typing import Any, TypedDict

NOTICES, BOILERPLATE, PASSAGE = "notices", "boilerplate", "passage"

KEYS = {NOTICES: ("trimmed", "trimmed_text"), BOILERPLATE: ("boilerplate", "boilerplate_text")}
"""The keys of `extra` in which `books` stores how many characters it removed, and their text; of a
long text only its beginning, or both ends."""


class RemovedText(TypedDict):
    """What was removed: `notices` of rights, `boilerplate` (header, licence and credits of Project
    Gutenberg) or a repeated `passage`. `characters`: how many; `text`: them, or a part of them."""

    what: str
    characters: int
    text: str


def removed_text(
    text: str, extra: Mapping[str, Any], passages: Sequence[Mapping[str, Any]]
) -> list[RemovedText]:
    """What was removed from a document. `text`: as it is stored, with its repeated `passages`."""
    removed: list[RemovedText] = []
    for what, (count, content) in KEYS.items():
        if extra.get(count):
            removed.append(
                {"what": what, "characters": extra[count], "text": str(extra.get(content, ""))}
            )

    for passage in passages:
        if passage["cut"]:
            piece = text[passage["begin"] : passage["end"]].strip("\n")
            removed.append({"what": PASSAGE, "characters": len(piece), "text": piece})
    return removed
