"""Steps 1 and 2 of `corpora.wikipedia.wikitext`: comments, tags and nowiki are removed, and marks
stand for what was there.

Marks are noncharacters, which no text may hold. Both functions are linear: every tag is looked at
once, and a tag whose end was not found once is not searched for again.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

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

WORD = "\ufdea"
"""Begins the name of a template that stands as a word in a sentence, and is in no table."""

RAISED = "\ufdeb"
"""Begins what is raised behind the text before it, such as an exponent."""

SUNK = "\ufdec"
"""Begins what is set lower, such as the base of a number."""

LEVEL = "\ufded"
"""Ends what is raised or set lower."""

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

# a comment, or the beginning of a tag whose content is not wikitext
_RAW = re.compile(rf"<!--|<({_RAW_TAGS})(?=[\s/>])", re.IGNORECASE)

_CLOSING = {name: re.compile(rf"</{name}\s*>", re.IGNORECASE) for name in _RAW_TAGS.split("|")}

_TAG_START = re.compile(r"<(/?)([a-zA-Z][a-zA-Z0-9]*)\b")

_IN_TAG = re.compile(r"=\s{0,5}([\"'])|[<>]")
"""What matters on the way to the end of a tag: a quoted attribute, the end, another tag."""

_QUOTED = 2_000
"""Characters that a quoted attribute may have."""

_INLINE_CODE = re.compile(r"(?:^|\s)inline(?:\s|=|/|$)", re.IGNORECASE)
"""Code in a sentence, which a reader sees as a word of it."""

# removed with their content
_REMOVED = frozenset(
    "ref table references includeonly h1 h2 h3 h4 h5 h6 rt rp style script".split()
)

# removed; their content stays
_INLINE = frozenset(
    """
    abbr b bdi bdo big cite code data del dfn em font i ins kbd mark q rb rtc ruby s samp small
    span strike strong time tt u var wbr noinclude onlyinclude section translate languages
    tvar noindex section a
    """.split()
)

# a `BREAK` in their place; their content stays
_BLOCK = frozenset(
    """
    blockquote br caption center dd div dl dt hr ol p td th tr ul tbody thead tfoot col colgroup
    """.split()
)


_PAIRED = _REMOVED | {"poem"}

_LEVELS = {"sup": RAISED, "sub": SUNK}


@dataclass(frozen=True, slots=True)
class _Tag:
    """A tag in a text: its place, whether it closes, its name in lower case, its attributes."""

    begin: int
    end: int
    closes: bool
    name: str
    attributes: str


def _tag_end(text: str, at: int) -> int:
    """The place behind the `>` of a tag whose attributes begin at `at`, -1 if it has none. A `>` in
    a quoted attribute does not end the tag."""
    begin = at
    while True:
        found = _IN_TAG.search(text, at)
        if found is None or found[0] == "<":
            break
        if found[0] == ">":
            return found.end()
        close = text.find(found[1], found.end(), found.end() + _QUOTED)
        ends = close >= 0 and "<" not in text[found.end() : close]
        at = close + 1 if ends else found.end()
    # A quote without its partner: the first `>` ends the tag.
    plain = text.find(">", begin, found.start() if found is not None else len(text))
    return plain + 1 if plain >= 0 else -1


def _tags(text: str) -> Iterator[_Tag]:
    """The tags of a text, in order."""
    at = 0
    while True:
        start = _TAG_START.search(text, at)
        if start is None:
            return
        end = _tag_end(text, start.end())
        at = end if end >= 0 else start.end()
        if end >= 0:
            attributes = text[start.end() : end - 1]
            yield _Tag(start.start(), end, bool(start[1]), start[2].lower(), attributes)


def _without_tags(text: str) -> str:
    """A text without the tags in it."""
    pieces: list[str] = []
    at = 0
    for tag in _tags(text):
        pieces.append(text[at : tag.begin])
        at = tag.end
    return "".join([*pieces, text[at:]])


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
        end = _tag_end(text, match.end())
        if end < 0:  # text
            pieces.append(match[0])
            at = match.end()
            continue
        attributes = text[match.end() : end - 1]
        empty = attributes.endswith("/")
        closing = None
        if not empty and name not in without_end:
            closing = _CLOSING[name].search(text, end)
        if closing is not None:
            inline = name in ("syntaxhighlight", "source") and _INLINE_CODE.search(attributes)
            kind = "nowiki" if inline else name
            pieces.append(_opaque_text(kind, text[end : closing.start()], math))
            at = closing.end()
            continue

        if not empty:
            without_end.add(name)
            unbalanced += 1
        pieces.append("" if name == "nowiki" else GONE)
        at = end
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
    tags = list(_tags(text))
    partners = _partners(tags)
    pieces: list[str] = []
    at = unbalanced = 0
    poem = poem_end = -1  # where the pieces of the open poem begin, the number of its closing tag
    for number, tag in enumerate(tags):
        if tag.begin < at:  # in the content of a tag that was removed
            continue
        pieces.append(text[at : tag.begin])
        at = tag.end
        closing = tags[partners[number]] if number in partners else None
        if tag.name == "poem":
            if closing is not None and poem < 0:
                poem = len(pieces)
                poem_end = partners[number]
            elif number == poem_end:
                pieces[poem:] = [poem_lines("".join(pieces[poem:]))]
                poem = -1
        elif tag.name not in _REMOVED:
            pieces.append(_kept_tag(tag, text))
        elif closing is not None:
            content = text[tag.end : closing.begin]
            if tag.name == "ref" and references:
                pieces.append(f" ({_without_tags(content)})")
            elif tag.name[0] == "h" and headings:
                pieces.append(f"{BREAK}{_without_tags(content)}{BREAK}")
            else:
                pieces.append(GONE)
            at = closing.end
        else:
            unbalanced += not tag.attributes.endswith("/")
            pieces.append(GONE)
    pieces.append(text[at:])
    # What is left of `<` is text, and no later step or parser may take it for a tag.
    return "".join(pieces).replace("<", LITERAL[ord("<")]), unbalanced


def poem_lines(text: str) -> str:
    """The lines of a poem as lines of one block, its stanzas as blocks of their own."""
    lines = [line.strip(" \t:") for line in text.replace(BREAK, "\n").split("\n")]
    ended = []
    for line, after in zip(lines, [*lines[1:], ""]):
        # The lines of a template in the poem are no lines of it.
        is_verse = line and not after.startswith(("|", "}}"))
        ended.append(line + BREAK if is_verse else line)
    return "\n\n" + "\n".join(ended) + "\n\n"


def _partners(tags: list[_Tag]) -> dict[int, int]:
    """The index of the closing tag by that of the opening one, for tags that are removed or read
    with their content."""
    partners: dict[int, int] = {}
    open_tags: dict[str, list[int]] = {}
    for number, tag in enumerate(tags):
        if tag.name not in _PAIRED or tag.attributes.endswith("/"):
            continue
        if not tag.closes:
            open_tags.setdefault(tag.name, []).append(number)
        elif open_tags.get(tag.name):
            partners[open_tags[tag.name].pop()] = number
    return partners


def _kept_tag(tag: _Tag, text: str) -> str:
    """What stands for a tag whose content stays."""
    if tag.name in _BLOCK:
        return BREAK
    if tag.name == "li":
        return "" if tag.closes else "\n* "
    if tag.name in _INLINE:
        return ""
    if tag.name in _LEVELS:
        return LEVEL if tag.closes else _LEVELS[tag.name]
    return text[tag.begin : tag.end].translate(LITERAL)
