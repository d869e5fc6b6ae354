"""Steps 1 and 2 of `corpora.wikipedia.wikitext`: comments, tags and nowiki are removed, and marks
stand for what was there.

Marks are noncharacters, which no text may hold. Both functions are linear: every tag is looked at
once, and a tag whose end was not found once is not searched for again.
"""

import re

GONE = "\ufdd0"
"""Something was removed here."""

BREAK = "\ufdd1"
"""A block begins or ends here."""

NEWLINE = "\ufdd2"
"""A line ends here, inside brackets that the parser reads as one line."""

HEADING = "\ufdd3"
"""Begins a heading."""

TYPED = "\ufdef"
"""Begins a line that began with a blank. It is shown as typed, so it is usually code or a table,
and is treated like a line of a list."""

LITERAL = {
    ord(character): chr(0xFDD4 + number) for number, character in enumerate("'[]{}|<>=*#:;_-~")
}
"""The characters that markup is made of, as marks that no later step takes for markup."""

FROM_LITERAL = {ord(mark): chr(character) for character, mark in LITERAL.items()}

MARKS = re.compile("[\ufdd0-\ufdef]")

_RAW_TAGS = (
    "nowiki|pre|syntaxhighlight|source|math|chem|ce|score|timeline|hiero|graph|templatedata"
    "|mapframe|maplink|gallery|imagemap|inputbox|categorytree|phonos|indicator|templatestyles"
)

# a comment, or a tag whose content is not wikitext
_RAW = re.compile(rf"<!--|<({_RAW_TAGS})(?:\s[^<>]*|/)?>", re.IGNORECASE)

_CLOSING = {name: re.compile(rf"</{name}\s*>", re.IGNORECASE) for name in _RAW_TAGS.split("|")}

_TAG = re.compile(r"<(/?)([a-zA-Z][a-zA-Z0-9]*)\b([^<>]*)>")

# removed with their content
_REMOVED = frozenset(
    "ref table references includeonly h1 h2 h3 h4 h5 h6 rt rp style script".split()
)

# removed; their content stays
_INLINE = frozenset(
    """
    abbr b bdi bdo big cite code data del dfn em font i ins kbd mark q rb rtc ruby s samp small
    span strike strong sub sup time tt u var wbr noinclude onlyinclude section translate languages
    tvar noindex section a
    """.split()
)

# a `BREAK` in their place; their content stays
_BLOCK = frozenset(
    """
    blockquote br caption center dd div dl dt hr ol p poem td th tr ul tbody thead tfoot col
    colgroup
    """.split()
)


def without_opaque(text: str, math: bool = False) -> tuple[str, int]:
    """(the text without comments and without tags whose content is not wikitext, with nowiki as
    literal letters; how many tags have no end). `math` keeps formulas."""
    pieces: list[str] = []
    at = unbalanced = 0
    without_end: set[str] = set()
    while True:
        match = _RAW.search(text, at)
        if match is None:
            pieces.append(text[at:])
            break
        pieces.append(text[at : match.start()])
        if match[1] is None:
            at = _comment_end(text, match)
            if at < 0:  # MediaWiki hides the rest of the page
                break
            continue

        name = match[1].lower()
        empty = match[0].endswith("/>")
        closing = None
        if not empty and name not in without_end:
            closing = _CLOSING[name].search(text, match.end())
        if closing is not None:
            pieces.append(_opaque_text(name, text[match.end() : closing.start()], math))
            at = closing.end()
            continue

        if not empty:
            without_end.add(name)
            unbalanced += 1
        pieces.append("" if name == "nowiki" else GONE)
        at = match.end()
    return "".join(pieces), unbalanced


def _comment_end(text: str, opening: "re.Match[str]") -> int:
    """Where the text continues behind a comment, -1 if the comment does not end."""
    close = text.find("-->", opening.end())
    if close < 0:
        return -1
    end = close + 3
    begins_line = opening.start() == 0 or text[opening.start() - 1] == "\n"
    if begins_line and text.startswith("\n", end):
        end += 1  # a comment on a line of its own leaves no line
    return end


def _opaque_text(name: str, content: str, math: bool) -> str:
    """What stays of a tag whose content is not wikitext."""
    if name == "nowiki":
        return content.replace("\n", " ").translate(LITERAL)
    if math and name in ("math", "chem", "ce"):
        return " ".join(content.split()).translate(LITERAL)
    return GONE


def without_tags(text: str, references: bool = False, headings: bool = False) -> tuple[str, int]:
    """(the text without HTML tags; how many have no partner). Some tags are removed with their
    content, known ones leave it, and unknown ones are text. `references` and `headings` keep the
    content of <ref> and of <h1> to <h6>."""
    tags = list(_TAG.finditer(text))
    partners = _partners(tags)
    pieces: list[str] = []
    at = unbalanced = 0
    for number, tag in enumerate(tags):
        if tag.start() < at:  # in the content of a tag that was removed
            continue
        name = tag[2].lower()
        pieces.append(text[at : tag.start()])
        at = tag.end()
        if name not in _REMOVED:
            pieces.append(_kept_tag(tag, name))
        elif number in partners:
            closing = tags[partners[number]]
            content = text[tag.end() : closing.start()]
            if name == "ref" and references:
                pieces.append(f" ({_TAG.sub('', content)})")
            elif name[0] == "h" and headings:
                pieces.append(f"{BREAK}{_TAG.sub('', content)}{BREAK}")
            else:
                pieces.append(GONE)
            at = closing.end()
        else:
            unbalanced += not tag[3].endswith("/")
            pieces.append(GONE)
    pieces.append(text[at:])
    # What is left of `<` is text, and no later step or parser may take it for a tag.
    return "".join(pieces).replace("<", LITERAL[ord("<")]), unbalanced


def _partners(tags: list["re.Match[str]"]) -> dict[int, int]:
    """The index of the closing tag by that of the opening one, for tags that are removed with their
    content."""
    partners: dict[int, int] = {}
    open_tags: dict[str, list[int]] = {}
    for number, tag in enumerate(tags):
        name = tag[2].lower()
        if name not in _REMOVED or tag[3].endswith("/"):
            continue
        if not tag[1]:
            open_tags.setdefault(name, []).append(number)
        elif open_tags.get(name):
            partners[open_tags[name].pop()] = number
    return partners


def _kept_tag(tag: "re.Match[str]", name: str) -> str:
    """What stands for a tag whose content stays."""
    if name in _BLOCK:
        return BREAK
    if name == "li":
        return "" if tag[1] else "\n* "
    if name in _INLINE:
        return ""
    return tag[0].translate(LITERAL)
