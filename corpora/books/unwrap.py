"""Hard-wrapped prose is made whole again; verse, headings, lists and tables keep their lines.

A line that a typist or a program broke at a margin is one whose next word would not have fitted:
`len(line) + 1 + len(next word) > margin`. The break after it is called forced, and only forced
breaks are joined: a line of verse is ended by its poet, usually long before the margin. Where that
alone does not decide, the neighbours do. If most breaks of a block are forced, a looser one before
a small letter is forced too; a block whose lines all begin with capitals and are not all full is
verse. Text that is not wrapped (one line per paragraph) is unchanged. All of this is counting;
there is no model.
"""

import re

MIN_WIDTH, MAX_WIDTH = 40, 100
"""Columns. Books were wrapped at margins between these two."""

PARAGRAPH_LINES = 50
"""A block of so many lines may be more than one paragraph."""

_WIDE_WIDTH = 15
"""Letters of Chinese or Japanese that a wrapped line has at least."""

_WIDE_BLANKS = " \u3000"

_SAMPLE = 20_000

_WIDE = re.compile("[\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff]")
"""Letters of Chinese and Japanese."""

_TABLE = re.compile(r"[^\s.!?\"'”’] {4,}\S")

_GAP = re.compile(r"\S {4,}\S")

_ITEM = re.compile(r"(?:[-*•]|\(?(?:\d{1,3}|[a-z]|[ivxlc]{1,6})[.)]) ")

_LETTER = re.compile(r"[^\W\d_]")

_ENDED = (".", "!", "?", ":", ";", "”", '"', "’", "'", "»", ")")

_BEFORE_A_WORD = " “‘\"'`«(_"

_DASHES = ("--", "—", "–", "-")


def unwrap(text: str) -> str:
    """The text with one line per paragraph, and one blank line between blocks, however many there
    were."""
    blocks = split_blocks(text)
    if _is_unspaced(text):
        return "\n\n".join("\n".join(_join_unspaced(block)) for block in blocks)
    margin, wrapped = _margin(blocks)
    joined = [_join(block, margin, wrapped) if margin else _dedent(block) for block in blocks]
    return "\n\n".join("\n".join(lines) for lines in joined)


def _is_unspaced(text: str) -> bool:
    """Whether a text is in Chinese or Japanese, by its letters: half of them at least."""
    sample = text[: _SAMPLE // 2] + text[len(text) // 2 : len(text) // 2 + _SAMPLE // 2]
    wide = len(_WIDE.findall(sample))
    return wide > 0 and 2 * wide >= len(_LETTER.findall(sample))


def _join_unspaced(block: list[str]) -> list[str]:
    """The paragraphs of a block without spaces between words. A line that is as long as the longest
    ones of its block, give or take two letters, goes on in the next one, unless that is indented as
    a paragraph is; a shorter line ends a paragraph."""
    if len(block) == 1:
        return [block[0].strip(_WIDE_BLANKS)]
    full = max(map(len, block)) - 2
    long = sum(len(line) >= full for line in block[:-1])
    if full < _WIDE_WIDTH or max(map(len, block)) > MAX_WIDTH or 2 * long < len(block) - 1:
        return [line.strip(_WIDE_BLANKS) for line in block]  # verse, or one line per paragraph

    joined = [block[0].strip(_WIDE_BLANKS)]
    for before, line in zip(block, block[1:]):
        indented = line.startswith(("\u3000", "  "))
        if len(before) >= full and not indented:
            joined[-1] = _glue_unspaced(joined[-1], line.strip(_WIDE_BLANKS))
        else:
            joined.append(line.strip(_WIDE_BLANKS))
    return joined


def _glue_unspaced(a: str, b: str) -> str:
    """Two lines as one; a blank stands between words of a script that has blanks, as in English."""
    spaced = a[-1:].isascii() and b[:1].isascii() and a[-1:].isalnum() and b[:1].isalnum()
    return f"{a} {b}" if spaced else a + b


def split_blocks(text: str) -> list[list[str]]:
    """The lines of each run between blank lines, without white space at their ends."""
    blocks: list[list[str]] = []
    block: list[str] = []
    for line in text.split("\n"):
        line = line.rstrip()
        if line:
            block.append(line.expandtabs(4) if "\t" in line else line)
        elif block:
            blocks.append(block)
            block = []
    if block:
        blocks.append(block)
    return blocks


def _margin(blocks: list[list[str]]) -> tuple[int, bool]:
    """(the column that most lines were broken at, or 0; whether the text as a whole is wrapped
    there)."""
    breaks: list[tuple[str, str]] = []  # (line, next line)
    for block in blocks:
        if max(map(len, block)) <= MAX_WIDTH:
            breaks += zip(block, block[1:])
    long_breaks = [(a, b) for a, b in breaks if len(a) >= MIN_WIDTH]
    if not long_breaks:
        return 0, False

    lengths = sorted(len(a) for a, _ in long_breaks)
    # The 95th percentile: a few lines are longer, since a word or a dash hangs over.
    margin = lengths[(len(lengths) - 1) * 19 // 20]
    # In prose a sixth of the forced breaks is before a capital, in German a third: more is verse.
    forced = [b for a, b in breaks if _forced(a, b, margin)]
    if 5 * sum(map(_begins_verse, forced)) > 3 * len(forced):
        return 0, False
    full = sum(_forced(a, b, margin) or _soft(a, b, margin) for a, b in long_breaks)
    return margin, 2 * full >= len(long_breaks)


def _forced(a: str, b: str, margin: int) -> bool:
    """Whether the first word of line `b` would not have fitted behind line `a`. A twelfth of the
    margin allows for uneven typing."""
    word = b.split(None, 1)[0]
    return len(a) + 1 + len(word) > margin - max(2, margin // 12)


def _soft(a: str, b: str, margin: int) -> bool:
    """Whether a line of two thirds of the margin or more breaks off before a small letter, as
    editors do it, and some modern poets."""
    word = b.lstrip(_BEFORE_A_WORD)[:1]
    return 3 * len(a) >= 2 * margin and word.islower() and not a.endswith((".", ":"))


def _begins_verse(line: str) -> bool:
    """Whether the first letter is a capital: in prose an accident, in verse the custom."""
    letter = _LETTER.search(line)
    return letter is not None and letter[0].isupper()


def _indent(line: str) -> int:
    return len(line) - len(line.lstrip(" "))


def _dedent(block: list[str]) -> list[str]:
    """The lines without the indent that all of them share."""
    shared = min(map(_indent, block))
    return [line[shared:] for line in block] if shared else block


def _join(block: list[str], margin: int, wrapped: bool) -> list[str]:
    """The paragraphs of a block: its lines, joined where their breaks are the margin's."""
    block = _dedent(block)
    too_long = sum(len(line) > MAX_WIDTH for line in block)
    if len(block) == 1 or 4 * too_long >= len(block):
        return block

    pairs = list(zip(block, block[1:]))
    small = sum(not _begins_verse(b) for _, b in pairs)  # breaks before a small letter
    margin = _own_margin(block, pairs, small, margin)
    forced = [_forced(a, b, margin) for a, b in pairs]
    if len(pairs) >= 2 and 5 * small <= len(pairs) and not all(forced):
        return block  # verse

    soft = [_soft(a, b, margin) for a, b in pairs]
    broken = sum(full or loose for full, loose in zip(forced, soft))
    mostly = 5 * broken >= 3 * len(pairs)
    if not wrapped and not (len(pairs) >= 2 and mostly and 2 * small >= len(pairs)):
        return block
    if wrapped and mostly and 3 * small >= len(pairs) and len(block) < PARAGRAPH_LINES:
        # one paragraph, some of its lines ended early
        forced = [full or 3 * len(a) >= 2 * margin for (a, _), full in zip(pairs, forced)]

    joined = [block[0]]
    for (a, b), full, loose in zip(pairs, forced, soft):
        if _belongs(a, b, full, mostly and len(pairs) >= 3, margin) or (
            wrapped and _belongs(a, b, loose, False, margin)
        ):
            joined[-1] = _glue(joined[-1], b.lstrip(" "))
        else:
            joined.append(b)
    return _dedent(joined) if len(joined) > 1 else [joined[0].lstrip(" ")]


def _own_margin(block: list[str], pairs: list[tuple[str, str]], small: int, margin: int) -> int:
    """The margin of a block, which is narrower for a quotation in a column of its own."""
    own = max(map(len, block))
    if len(pairs) < 3 or own >= margin or 2 * small < len(pairs):
        return margin
    forced = sum(_forced(a, b, own) for a, b in pairs)
    return own if 4 * forced >= 3 * len(pairs) else margin


def _belongs(a: str, b: str, full: bool, mostly: bool, margin: int) -> bool:
    """Whether line `b` continues the sentence of line `a`. `full`: the break between them is
    forced; `mostly`: most breaks of the block are."""
    begins = _begins_verse(b)
    if begins and _indent(b) > _indent(a):
        return False
    if max(len(a), len(b)) > MAX_WIDTH or _in_table(a, b):
        return False
    if _ITEM.match(b.lstrip(" ")) and a.endswith(_ENDED):
        return False
    if full:
        return True
    return (
        mostly
        and 2 * len(a) >= margin
        and not begins
        and _LETTER.match(b.lstrip(" ")) is not None
        and not a.endswith(_ENDED)
    )


def _in_table(a: str, b: str) -> bool:
    """Whether one line has a gap as between columns, or both have one of any kind: some typists
    leave four spaces behind a sentence."""
    if _TABLE.search(a) or _TABLE.search(b):
        return True
    return _GAP.search(a) is not None and _GAP.search(b) is not None


def _glue(a: str, b: str) -> str:
    """Two lines as one. There is no space beside a dash or hyphen that had none."""
    tight_end = a.endswith(_DASHES) and not a.endswith((" -", " --", " —", " –"))
    tight_start = b.startswith(("--", "—")) and not b.startswith(("-- ", "— "))
    return a + b if tight_end or tight_start else f"{a} {b}"
