"""Steps 1 and 2 of `corpora.wikipedia.wikitext`: comments, tags, nowiki; and the marks that stand for what
was there.

Marks are noncharacters, which no text may hold. Both functions are linear: every tag is looked at
once, and a tag of which no end was found once is not searched for again.
"""

import re

GONE, BREAK, NEWLINE, HEADING = "\ufdd0", "\ufdd1", "\ufdd2", "\ufdd3"

TYPED = "\ufdef"
"""Begins a line that began with a blank: shown as typed, so code or a table as a rule. Held to what
holds for a list."""

LITERAL = {
    ord(character): chr(0xFDD4 + number) for number, character in enumerate("'[]{}|<>=*#:;_-~")
}

FROM_LITERAL = {ord(mark): chr(character) for character, mark in LITERAL.items()}

MARKS = re.compile("[\ufdd0-\ufdef]")

_RAW_TAGS = "nowiki|pre|syntaxhighlight|source|math|chem|ce|score|timeline|hiero|graph|templatedata|mapframe|maplink|gallery|imagemap|inputbox|categorytree|phonos|indicator|templatestyles"

_RAW = re.compile(rf"<!--|<({_RAW_TAGS})(?:\s[^<>]*|/)?>", re.IGNORECASE)

_CLOSING = {name: re.compile(rf"</{name}\s*>", re.IGNORECASE) for name in _RAW_TAGS.split("|")}

_TAG = re.compile(r"<(/?)([a-zA-Z][a-zA-Z0-9]*)\b([^<>]*)>")

_REMOVED = frozenset(
    "ref table references includeonly h1 h2 h3 h4 h5 h6 rt rp style script".split()
)

_INLINE = frozenset(
    """abbr b bdi bdo big cite code data del dfn em font i ins kbd mark q rb rtc ruby s samp small span strike strong sub sup time tt u var wbr
    noinclude onlyinclude section translate languages tvar noindex section a""".split()
)

_BLOCK = frozenset(
    "blockquote br caption center dd div dl dt hr ol p poem td th tr ul tbody thead tfoot col colgroup".split()
)


def without_opaque(text: str, math: bool = False) -> tuple[str, int]:
    """(the text without comments and tags whose content is not wikitext, nowiki as literal letters;
    how many tags had no end)."""
    pieces, at, unbalanced = [], 0, 0
    without_end: set[str] = set()
    while match := _RAW.search(text, at):
        begin, end = match.span()
        if match[1] is None:
            close = text.find("-->", end)
            pieces.append(text[at:begin])
            if close < 0:  # MediaWiki hides the rest of the page
                return "".join(pieces), unbalanced
            at = close + 3
            if (begin == 0 or text[begin - 1] == "\n") and text.startswith("\n", at):
                at += 1  # a line of its own leaves none
            continue
        name = match[1].lower()
        closing = (
            None
            if match[0].endswith("/>") or name in without_end
            else _CLOSING[name].search(text, end)
        )
        if closing is None:
            if not match[0].endswith("/>"):
                without_end.add(name)
                unbalanced += 1
            pieces += [text[at:begin], "" if name == "nowiki" else GONE]
            at = end
            continue
        pieces.append(text[at:begin])
        inside = text[end : closing.start()]
        if name == "nowiki":
            pieces.append(inside.replace("\n", " ").translate(LITERAL))
        elif name in ("math", "chem", "ce") and math:
            pieces.append(" ".join(inside.split()).translate(LITERAL))
        else:
            pieces.append(GONE)
        at = closing.end()
    pieces.append(text[at:])
    return "".join(pieces), unbalanced


def without_tags(text: str, references: bool = False, headings: bool = False) -> tuple[str, int]:
    """(the text without HTML tags: some go with their content, known ones leave it, unknown ones
    are text; how many had no partner)."""
    tags = list(_TAG.finditer(text))
    partner: dict[int, int] = {}
    open_tags: dict[str, list[int]] = {}
    for number, tag in enumerate(tags):
        name = tag[2].lower()
        if name not in _REMOVED or tag[3].endswith("/"):
            continue
        if not tag[1]:
            open_tags.setdefault(name, []).append(number)
        elif open_tags.get(name):
            partner[open_tags[name].pop()] = number
    pieces, at, unbalanced = [], 0, 0
    for number, tag in enumerate(tags):
        if tag.start() < at:
            continue
        name = tag[2].lower()
        pieces.append(text[at : tag.start()])
        at = tag.end()
        if name in _REMOVED:
            if number in partner:
                closing = tags[partner[number]]
                inside = text[tag.end() : closing.start()]
                if name == "ref" and references:
                    pieces.append(f" ({_TAG.sub('', inside)})")
                elif name[0] == "h" and headings:
                    pieces.append(f"{BREAK}{_TAG.sub('', inside)}{BREAK}")
                else:
                    pieces.append(GONE)
                at = closing.end()
            else:
                unbalanced += not tag[3].endswith("/")
                pieces.append(GONE)
        elif name in _BLOCK:
            pieces.append(BREAK)
        elif name == "li":
            pieces.append("" if tag[1] else "\n* ")
        elif name not in _INLINE:
            pieces.append(tag[0].translate(LITERAL))
    pieces.append(text[at:])
    return "".join(pieces).replace("<", LITERAL[ord("<")]), unbalanced
