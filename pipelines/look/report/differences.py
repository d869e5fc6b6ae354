"""Two texts side by side, with their differences marked.

At most `WINDOW` words of each are compared, so that no text takes long, whatever its length.
"""

import re
from collections.abc import Sequence
from difflib import SequenceMatcher
from typing import Literal

WINDOW = 400
"""Words of a text that are compared, from a little before the first difference on."""

CONTEXT = 40
"""Words around a difference that are shown; longer equal passages are left out."""

_WORD = re.compile(r"[\u0e00-\u0eff\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]|\w{1,32}|\s+|[^\w\s]")
"""A word, a sign, white space; one character in scripts that do not separate words."""

Segment = tuple[Literal["same", "only", "gap"], str]
"""A piece of one text: also in the other, only in this one, or left out (with an empty text)."""

_GAP: Segment = ("gap", "")


def marked(removed: str, kept: str) -> tuple[list[Segment], list[Segment]]:
    """Both texts around their differences, as segments."""
    left_start, right_start = _aligned(removed, kept) if removed != kept else (0, 0)
    left = _words(removed[left_start:])
    right = _words(kept[right_start:])
    left_segments: list[Segment] = [_GAP] if left_start else []
    right_segments: list[Segment] = [_GAP] if right_start else []

    operations = _operations(left, right)
    for place, (operation, i, j, k, m) in enumerate(operations):
        if operation == "equal":
            is_first = place == 0
            is_last = place == len(operations) - 1
            _extend(left_segments, _shortened(left[i:j], is_first, is_last))
            _extend(right_segments, _shortened(right[k:m], is_first, is_last))
            continue
        if j > i:
            left_segments.append(("only", "".join(left[i:j])))
        if m > k:
            right_segments.append(("only", "".join(right[k:m])))

    if left_start + sum(map(len, left)) < len(removed):
        _extend(left_segments, [_GAP])
    if right_start + sum(map(len, right)) < len(kept):
        _extend(right_segments, [_GAP])
    return left_segments, right_segments


def _operations(left: list[str], right: list[str]) -> Sequence[tuple[str, int, int, int, int]]:
    """The edits that turn one list of words into the other.

    White space differs only where nothing else does: elsewhere it is not worth a mark.
    """
    one = [" " if word.isspace() else word for word in left]
    other = [" " if word.isspace() else word for word in right]
    if one == other:
        one = left
        other = right
    # without autojunk, which would ignore every word of a text that repeats itself
    return SequenceMatcher(None, one, other, autojunk=False).get_opcodes()


def _extend(segments: list[Segment], added: list[Segment]) -> None:
    """Append segments, but never a gap after a gap."""
    if segments[-1:] == added[:1] == [_GAP]:
        added = added[1:]
    segments.extend(added)


def _words(text: str) -> list[str]:
    """The first `WINDOW` words, signs and runs of white space of a text."""
    return [match.group() for _, match in zip(range(WINDOW), _WORD.finditer(text))]


def _shortened(equal: list[str], is_first: bool, is_last: bool) -> list[Segment]:
    """An equal passage, without its middle or its far end if it is long."""
    # equal texts have no difference to show the surroundings of: their beginning is shown
    is_whole = is_first and is_last
    room = CONTEXT if is_first or is_last else 2 * CONTEXT
    if len(equal) <= room + 8 or is_whole:
        shown: list[Segment] = [("same", "".join(equal[: 4 * CONTEXT]))]
        return [*shown, _GAP] if len(equal) > 4 * CONTEXT else shown

    head = "" if is_first else "".join(equal[:CONTEXT])
    tail = "" if is_last else "".join(equal[-CONTEXT:])
    segments: list[Segment] = []
    if head:
        segments.append(("same", head))
    segments.append(_GAP)
    if tail:
        segments.append(("same", tail))
    return segments


def _aligned(removed: str, kept: str) -> tuple[int, int]:
    """Where to begin comparing in each text.

    A little before their first difference. Where the texts differ from the beginning, the first
    passage of the removed one that the kept one holds somewhere, as of an excerpt or an edition.
    """
    equal = _common_prefix(removed, kept)
    if equal >= min(len(removed), len(kept), 40):
        start = removed.rfind(" ", 0, max(equal - 200, 0)) + 1
        return start, start

    # a passage every 500 characters, for at most 40 searches
    for begin in range(0, min(len(removed), 20_000), 500):
        passage = removed[begin : begin + 60]
        place = kept.find(passage) if len(passage) == 60 else -1
        if place >= 0:
            back = min(begin, place, 200)
            return begin - back, place - back
    return 0, 0


def _common_prefix(left: str, right: str) -> int:
    """Characters that both texts begin with, by bisection: comparing slices is quick."""
    # a loop over characters would take seconds for texts of megabytes
    low = 0
    high = min(len(left), len(right))
    while low < high:
        middle = (low + high + 1) // 2
        if left[:middle] == right[:middle]:
            low = middle
        else:
            high = middle - 1
    return low
