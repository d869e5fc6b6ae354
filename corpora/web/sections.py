"""The text of a page that is no article: of a shop, a service, a list of things.

An extractor looks for the one part of a page that reads as an article. The pages of companies,
products and collections have many short parts under headings of their own, of which it keeps one.
Here all parts stay, but those that say that they are menus, footers, dialogs or hidden.

    declared(tree)    what a page says that it is
    page_lines(tree)  the lines of its parts
    takes_all(...)    whether they are its text, rather than what an extractor found
"""

import re
from dataclasses import dataclass

from lxml.etree import XPath
from lxml.html import HtmlElement

PROSE_CHARACTERS = 60
"""Characters of the shortest line of prose."""

SENTENCE_ENDS = '.!?…”"»)。'

FEW_LINES = 12
"""A page with no more lines is one text, or none."""

LOST = 0.5
"""Share of the page's prose below which an extractor has lost the page."""

SHORT_LINE = 100
"""Mean characters of the lines of a text whose loss is believed: those of articles are longer."""

HEADINGS = 0.07
"""Share of headings in the characters of a page of many parts; articles have .01 to .05."""

LONG_LINE = 130
"""Mean characters of the lines of a text that may be one of many parts."""

_MAIN_SHARE = 0.4
"""Share of the lines that the element <main> must hold to be all of the page's text."""

_FRAME_SHARE = 0.3
"""Share of the page's characters from which a part is no menu, whatever it is called."""

_NO_TEXT = frozenset(
    """
    head script style noscript button select option textarea svg iframe template video audio object
    canvas input datalist
    """.split()
)

_BLOCKS = frozenset(
    """
    address article aside blockquote br center details dd dir div dl dt fieldset figcaption figure
    footer form h1 h2 h3 h4 h5 h6 header hr li main menu nav ol p pre section summary table tbody td
    tfoot th thead tr ul
    """.split()
)

_HEADING_TAGS = ("h2", "h3", "h4")

_FRAME_ROLES = frozenset("navigation contentinfo menu menubar".split())

_FRAME = re.compile(
    r"(?<![a-z0-9])(?:nav|navbar|navigation|menus?|megamenu|submenu|breadcrumbs?|pagination|pager"
    r"|toc|skip-link|offcanvas|drawer|topbar|toolbar|footer|copyright|colophon|legal|cookies?"
    r"|consent|gdpr|share|sharing|social|newsletter|subscribe|signup|login|follow|promo|advert"
    r"|advertisement|banner-ad|sponsored|popup|modal|overlay|lightbox|tooltip|dropdown)"
    r"(?![a-z0-9])",
    re.IGNORECASE,
)
"""Words in the class or the id of parts that stand on every page of a site."""

_ARTICLE_DATA = re.compile(
    r'"@type"\s{0,9}:\s{0,9}(?:\[\s{0,9})?"[A-Za-z]{0,40}(?:Article|Posting|Report|Review|Recipe)"'
)
"""The types of JSON-LD that are one text with an author."""

_IS_MARKED = XPath(
    "boolean(descendant::*[contains(@itemprop, 'articleBody')"
    " or contains(@itemprop, 'datePublished')])"
)


@dataclass(frozen=True, slots=True)
class Line:
    """A line of a page: its text, the name of the block it stands in, and whether in <main>."""

    text: str
    tag: str
    in_main: bool


def declared(tree: HtmlElement) -> str:
    """What a page says of itself: "article", by any of the signs in use; "website", by the Open
    Graph's word for all that has no type of its own; or ""."""
    said = ""
    for element in tree.iter("meta"):
        name = (element.get("property") or element.get("name") or "").lower()
        if name == "article:published_time":
            return "article"
        if name == "og:type":
            value = (element.get("content") or "").lower()
            if "article" in value:
                return "article"
            said = "website" if "website" in value else said
    for script in tree.iterfind('.//script[@type="application/ld+json"]'):
        if _ARTICLE_DATA.search(script.text or ""):
            return "article"
    return "article" if _IS_MARKED(tree) else said


def page_lines(tree: HtmlElement) -> list[Line]:
    """The lines of a page in their order, each text once, without the frame of the site."""
    lines, frames = _walk(tree)
    kept = _without(lines, frames)
    in_main = [line for line in kept if line.in_main]
    if _size(in_main) >= _MAIN_SHARE * _size(kept):
        kept = in_main
    first: dict[str, Line] = {}
    for line in kept:
        first.setdefault(line.text, line)
    return list(first.values())


def prose_size(text: str) -> int:
    """Characters of the lines that read as whole sentences: lists of other pages have few."""
    lines = [line.strip() for line in text.splitlines()]
    return sum(len(line) for line in lines if _reads_as_prose(line))


def lost(text: str, lines: list[Line]) -> bool:
    """Whether a text has little of the prose of a page's lines."""
    return prose_size(text) < LOST * sum(
        len(line.text) for line in lines if _reads_as_prose(line.text)
    )


def takes_all(text: str, lines: list[Line], is_website: bool) -> bool:
    """Whether the lines of a page are its text, rather than `text`, in which an extractor found
    little prose, or one of many parts."""
    if len(lines) <= FEW_LINES:
        return False
    mean = len(text) / max(1, len(text.splitlines()))
    if mean < SHORT_LINE and lost(text, lines):
        return True
    headings = sum(len(line.text) for line in lines if line.tag in _HEADING_TAGS)
    return is_website and mean < LONG_LINE and headings >= HEADINGS * _size(lines)


def _walk(tree: HtmlElement) -> tuple[list[Line], list[tuple[int, int]]]:
    """All lines of a page, and the begin and end of those of each part that calls itself a frame.
    One pass, without recursion, since elements may be a thousand deep."""
    lines: list[Line] = []
    frames: list[tuple[int, int]] = []
    parts: list[str] = []

    def end_line(tag: str, in_main: bool) -> None:
        text = " ".join("".join(parts).split())
        if text:
            lines.append(Line(text, tag, in_main))
        parts.clear()

    found = tree.find("body")
    body = tree if found is None else found
    # An element, the first line of its part (-1: not yet entered), whether in <main>, and the block
    # around it.
    stack: list[tuple[HtmlElement, int, bool, str]] = [(body, -1, False, "body")]
    while stack:
        element, begin, in_main, around = stack.pop()
        is_block = element.tag in _BLOCKS
        if begin < 0 and (not isinstance(element.tag, str) or element.tag in _NO_TEXT):
            parts.append(f" {element.tail or ''}")
            continue
        inside_main = in_main or element.tag == "main" or element.get("role") == "main"
        if begin < 0:
            if is_block:
                end_line(around, in_main)
            stack.append((element, len(lines), in_main, around))
            tag = element.tag if is_block else around
            parts.append(element.text or "")
            for child in reversed(element):
                stack.append((child, -1, inside_main, tag))
            continue

        # Left again: all of its children are read.
        if is_block:
            end_line(element.tag, inside_main)
            if element is not body and _is_frame(element):
                frames.append((begin, len(lines)))
        if element is not body:
            parts.append(element.tail or "")
    end_line("body", False)
    return lines, frames


def _without(lines: list[Line], frames: list[tuple[int, int]]) -> list[Line]:
    """The lines outside the frames; a part with much of the page's text is none."""
    before = [0]
    for line in lines:
        before.append(before[-1] + len(line.text))
    kept: list[Line] = []
    at = 0
    # The outermost of frames inside each other comes first, and hides the others.
    for begin, end in sorted(frames, key=lambda frame: (frame[0], -frame[1])):
        if before[end] - before[begin] >= _FRAME_SHARE * before[-1] or begin < at:
            continue
        kept += lines[at:begin]
        at = end
    return kept + lines[at:]


def _is_frame(element: HtmlElement) -> bool:
    if element.tag in ("nav", "footer") or element.get("role") in _FRAME_ROLES:
        return True
    style = element.get("style") or ""
    if element.get("hidden") is not None or "display:none" in style.replace(" ", ""):
        return True
    names = f"{element.get('class') or ''} {element.get('id') or ''}"
    return bool(_FRAME.search(names))


def _reads_as_prose(line: str) -> bool:
    return len(line) >= PROSE_CHARACTERS and line[-1] in SENTENCE_ENDS


def _size(lines: list[Line]) -> int:
    return sum(len(line.text) for line in lines)
