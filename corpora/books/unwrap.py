"""Hard-wrapped prose made whole again; verse, headings, lists and tables keep their lines.

A line that a typist or a program broke at a margin is one whose next word would not have fitted:
`len(line) + 1 + len(next word) > margin`. So the break after it is forced, and only forced breaks
are joined; a line of verse is ended by its poet, as a rule long before the margin. What cannot be
told by that alone is told by the neighbours: where most breaks of a block are forced, a looser one
before a small letter is one too; a block whose lines all begin with capitals and are not all full
is verse. Text that is not wrapped (a line a paragraph) comes back as it is. Counting only, no
model.
"""

import re

MIN_WIDTH, MAX_WIDTH = 40, 100
"""Columns: the margins that books were wrapped at lie between."""

PARAGRAPH_LINES = 50
"""Lines of a block from which on it may be more than one paragraph."""

_TABLE = re.compile(r"[^\s.!?\"'”’] {4,}\S")

_GAP = re.compile(r"\S {4,}\S")

_ITEM = re.compile(r"(?:[-*•]|\(?(?:\d{1,3}|[a-z]|[ivxlc]{1,6})[.)]) ")

_LETTER = re.compile(r"[^\W\d_]")

_ENDED = (".", "!", "?", ":", ";", "”", '"', "’", "'", "»", ")")

_BEFORE_A_WORD = " “‘\"'`«(_"

_DASHES = ("--", "—", "–", "-")


def unwrap(text: str) -> str:
    """The text with a line a paragraph, paragraphs as far apart as they were: one blank line
    between blocks, however many there were."""
    blocks = split_blocks(text)
    margin, wrapped = _margin(blocks)
    return "\n\n".join(
        "\n".join(_join(block, margin, wrapped) if margin else _dedent(block)) for block in blocks
    )


def split_blocks(text: str) -> list[list[str]]:
    """The lines of each run between blank lines, without white space at their ends."""
    blocks: list[list[str]] = []
    held: list[str] = []
    for line in text.split("\n"):
        if line := line.rstrip():
            held.append(line.expandtabs(4) if "\t" in line else line)
        elif held:
            blocks.append(held)
            held = []
    if held:
        blocks.append(held)
    return blocks


def _margin(blocks: list[list[str]]) -> tuple[int, bool]:
    """(the column that most lines were broken at or 0, whether the text as a whole is wrapped
    there)."""
    breaks = [
        (len(a), a, b)
        for block in blocks
        if max(map(len, block)) <= MAX_WIDTH
        for a, b in zip(block, block[1:])
    ]
    lengths = sorted(length for length, _, _ in breaks if length >= MIN_WIDTH)
    if not lengths:
        return 0, False
    margin = lengths[(len(lengths) - 1) * 19 // 20]
    forced = [b for _, a, b in breaks if _forced(a, b, margin)]
    if 5 * sum(map(_begins_verse, forced)) > 3 * len(forced):  # of prose a sixth, of German a third
        return 0, False
    full = sum(
        _forced(a, b, margin) or _soft(a, b, margin)
        for length, a, b in breaks
        if length >= MIN_WIDTH
    )
    return margin, 2 * full >= len(lengths)


def _forced(a: str, b: str, margin: int) -> bool:
    """Whether the first word of `b` would not have fitted behind `a`, with a twelfth of the margin
    for uneven typing."""
    word = b.split(None, 1)[0]
    return len(a) + 1 + len(word) > margin - max(2, margin // 12)


def _soft(a: str, b: str, margin: int) -> bool:
    """Whether a line of two thirds of the margin and more breaks off before a small letter: an
    editor's doing, where not a modern poet's."""
    word = b.lstrip(_BEFORE_A_WORD)[:1]
    return 3 * len(a) >= 2 * margin and word.islower() and not a.endswith((".", ":"))


def _begins_verse(line: str) -> bool:
    """Whether the first letter is a capital: in prose an accident, in verse the custom."""
    letter = _LETTER.search(line)
    return letter is not None and letter[0].isupper()


def _indent(line: str) -> int:
    return len(line) - len(line.lstrip(" "))


def _dedent(block: list[str]) -> list[str]:
    """Without the indent that all lines share."""
    shared = min(map(_indent, block))
    return [line[shared:] for line in block] if shared else block


def _join(block: list[str], margin: int, wrapped: bool) -> list[str]:
    """The block's paragraphs: its lines, joined where their breaks are the margin's."""
    block = _dedent(block)
    if len(block) == 1 or 4 * sum(len(line) > MAX_WIDTH for line in block) >= len(block):
        return block
    pairs = list(zip(block, block[1:]))
    small = sum(not _begins_verse(b) for _, b in pairs)
    own = max(map(len, block))
    if (
        len(pairs) >= 3
        and own < margin
        and 2 * small >= len(pairs)
        and 4 * sum(_forced(a, b, own) for a, b in pairs) >= 3 * len(pairs)
    ):
        margin = own  # a quotation in a narrower column
    forced = [_forced(a, b, margin) for a, b in pairs]
    if len(pairs) >= 2 and 5 * small <= len(pairs) and not all(forced):
        return block  # verse
    mostly = 5 * sum(full or _soft(a, b, margin) for (a, b), full in zip(pairs, forced)) >= 3 * len(
        pairs
    )
    if (
        wrapped and mostly and 3 * small >= len(pairs) and len(block) < PARAGRAPH_LINES
    ):  # a paragraph, some of its lines ended early
        forced = [full or 3 * len(a) >= 2 * margin for (a, _), full in zip(pairs, forced)]
    if not wrapped and not (len(pairs) >= 2 and mostly and 2 * small >= len(pairs)):
        return block
    joined = [block[0]]
    for (a, b), full in zip(pairs, forced):
        if _belongs(a, b, full, mostly and len(pairs) >= 3, margin) or (
            wrapped and _belongs(a, b, _soft(a, b, margin), False, margin)
        ):
            joined[-1] = _glue(joined[-1], b.lstrip(" "))
        else:
            joined.append(b)
    return _dedent(joined) if len(joined) > 1 else [joined[0].lstrip(" ")]


def _belongs(a: str, b: str, full: bool, mostly: bool, margin: int) -> bool:
    """Whether line `b` goes on with the sentence of line `a`."""
    begins = _begins_verse(b)
    if begins and _indent(b) > _indent(a) or max(len(a), len(b)) > MAX_WIDTH or _in_table(a, b):
        return False
    if _ITEM.match(b.lstrip(" ")) and a.endswith(_ENDED):
        return False
    return full or (
        mostly
        and 2 * len(a) >= margin
        and not begins
        and _LETTER.match(b.lstrip(" ")) is not None
        and not a.endswith(_ENDED)
    )


def _in_table(a: str, b: str) -> bool:
    """Whether one has a gap as between columns, or both have one of any kind: some typists leave
    four spaces behind a sentence."""
    return (
        _TABLE.search(a) is not None
        or _TABLE.search(b) is not None
        or (_GAP.search(a) is not None and _GAP.search(b) is not None)
    )


def _glue(a: str, b: str) -> str:
    """Two lines as one: no space beside a dash or hyphen that had none."""
    tight = (a.endswith(_DASHES) and not a.endswith((" -", " --", " —", " –"))) or (
        b.startswith(("--", "—")) and not b.startswith(("-- ", "— "))
    )
    return a + b if tight else f"{a} {b}"
