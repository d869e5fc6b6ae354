"""The markup by which a wiki converts between scripts: `-{zh-hans:a;zh-hant:b}-`, with its flags.

`show_variants` writes what a reader sees of it. Where a rule gives a text for each variant the
first one counts. A wiki that does not convert shows the braces as they are typed
(`N-{4-aminophenyl}-`); only rules for variants, which somebody copied there, are removed.
"""

import re
from collections.abc import Callable

from corpora.wikipedia.tags import GONE

MAX_DEPTH = 10
"""Levels of variants in variants, as in MediaWiki."""

_CONVERTED = frozenset("zh gan sr sh kk ku iu shi tg uz crh wuu tly ban zgh mni".split())
"""Languages whose wikis convert between scripts."""

_MARK = re.compile(r"-\{(?!\{(?!\{))|(?<!\})\}-|(?<=\}\})\}-")

_CODE = r"(?:zh|gan|wuu|sr|sh|kk|ku|uz|ike|iu|shi|tg|crh|tly|ban|zgh|mni)(?:-[a-z]{2,5})?"

_RULE = re.compile(rf"\s*(?:[^;|]{{0,200}}=>\s*)?{_CODE}\s*:", re.IGNORECASE)

_NEXT_RULE = re.compile(rf";\s*(?=(?:[^;|]{{0,200}}=>\s*)?{_CODE}\s*:|$)", re.IGNORECASE)

_FLAGS = re.compile(rf"\s*(?:(?:[ATRDHNS+-]|{_CODE})?\s*(?:;|$))*\s*", re.IGNORECASE)

_HIDDEN = frozenset("THDN-")
"""Flags of rules that show nothing: a title, a rule for the rest of the page, its removal, its
description, the name of a variant."""

_SIMPLE = frozenset(
    ("zh", "zh-hans", "zh-cn", "zh-sg", "gan", "gan-hans", "sr", "sr-ec", "sr-cyrl")
)
"""Where a text is for some variants only, it is shown for these."""


def show_variants(text: str, language: str) -> str:
    """A text with what a reader of the wiki of this language sees of its variants. Linear."""
    if "-{" not in text:
        return text
    converts = language.split("-")[0] in _CONVERTED
    show: Callable[[str], str] = _converted if converts else _typed
    levels: list[list[str]] = [[]]
    at = 0
    for mark in _MARK.finditer(text):
        levels[-1].append(text[at : mark.start()])
        at = mark.end()
        if mark[0] == "-{" and len(levels) <= MAX_DEPTH:
            levels.append([])
        elif mark[0] == "}-" and len(levels) > 1:
            inside = "".join(levels.pop())
            levels[-1].append(show(inside))
        else:
            levels[-1].append(mark[0])
    levels[-1].append(text[at:])
    while len(levels) > 1:  # never closed: text
        inside = "".join(levels.pop())
        levels[-1].append("-{" + inside)
    return levels[0][0] if len(levels[0]) == 1 else "".join(levels[0])


def _typed(inside: str) -> str:
    """What a wiki that does not convert shows."""
    flags, bar, rest = inside.partition("|")
    rules = rest if bar and _FLAGS.fullmatch(flags) else inside
    return GONE if _RULE.match(rules) else "-{" + inside + "}-"


def _converted(inside: str) -> str:
    """What a wiki that converts shows."""
    flags, bar, rules = inside.partition("|")
    if not bar or len(flags) > 100 or not _FLAGS.fullmatch(flags):
        flags = ""
        rules = inside
    words = [word.strip() for word in flags.split(";") if word.strip()]
    codes = [word.lower() for word in words if len(word) > 1]
    if _HIDDEN.intersection(word.upper() for word in words if len(word) == 1):
        return GONE
    if codes and _SIMPLE.isdisjoint(codes) and codes[0].startswith(("zh", "gan", "sr")):
        return GONE
    if "R" in words or not _RULE.match(rules):
        return rules.strip()

    end = _NEXT_RULE.search(rules)
    first = rules[: end.start()] if end else rules
    return first.partition(":")[2].strip()
