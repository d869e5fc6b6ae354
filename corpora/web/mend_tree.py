"""Repairs of a parsed page before its extraction, for text that trafilatura would lose or glue.

    bare text       beside paragraphs, as pages of the nineties have their lead, becomes a paragraph
    <time>          inside a sentence becomes plain text: as an element it is cut out
    <q>             becomes plain text: it would be taken for a block
    consent layers  are removed: where an extractor finds little text it takes theirs

Nothing else of the page changes, and no character of it.
"""

import re

from lxml.etree import XPath
from lxml.html import HtmlElement

BARE_CHARACTERS = 90
"""Characters, links apart, of the shortest run that becomes a paragraph: shorter ones are captions,
menus and bylines."""

_CONTAINERS = ("body", "div", "article", "section", "main", "td", "font", "center")

_INLINE_CONTAINERS = ("font", "center")
"""Elements of old pages that hold paragraphs, but are no containers to an extractor."""

_BLOCKS = frozenset(
    """
    address article aside blockquote center details dd dir div dl dt fieldset figcaption figure
    footer form h1 h2 h3 h4 h5 h6 header hr li main menu nav noscript ol p pre script section style
    table tbody td tfoot th thead tr ul iframe object video audio template
    """.split()
)

_HEADINGS = frozenset("h1 h2 h3 h4 h5 h6".split())

_TEXT_BLOCKS = frozenset("p div h1 h2 h3 h4 h5 h6 ul ol table blockquote section".split())
"""Blocks beside which bare text is part of what is read."""


_SIZE = XPath("string-length(normalize-space())")

_LEFT_CHARACTERS = 500
"""Text that a page must have beside a layer of consent that is longer than the page."""

_PERHAPS_CONSENT = XPath(
    "descendant::*[self::div or self::section or self::aside or self::dialog][{}]".format(
        " or ".join(
            f"contains(@id, '{name}') or contains(@class, '{name}')"
            for name in ("ookie", "onsent", "onetrust", "didomi", "gdpr", "usercentrics", "cmplz")
        )
    )
)

_CONSENT = re.compile(
    r"(?<![a-z])(?:onetrust|didomi|usercentrics|cmplz|cybotcookiebot|cookie-?consent|gdpr"
    r"|cookie-?(?:banner|notice|law|popup|modal|overlay|layer|message|disclaimer)"
    r"|consent-?(?:banner|notice|popup|modal|overlay|layer|manager))",
    re.IGNORECASE,
)
"""Names that layers of consent have, by the makers of the commonest and by what they call them."""


def mend(tree: HtmlElement) -> None:
    """Repair a tree in place."""
    _remove_consent(tree)
    for element in tree.iter("q"):
        element.tag = "span"
    for element in tree.iterdescendants("time"):
        if _is_inside_a_sentence(element):
            element.tag = "span"

    for element in list(tree.iter(*_CONTAINERS)):
        if len(element):
            _wrap_bare_text(element)


def _remove_consent(tree: HtmlElement) -> None:
    """Remove layers that ask for consent. An element with such a class that holds half of a page's
    text is the page; one with such an id may hold more, as long as some text is left."""
    for element in _PERHAPS_CONSENT(tree):
        has_id = bool(_CONSENT.search(element.get("id") or ""))
        if not has_id and not _CONSENT.search(element.get("class") or ""):
            continue
        size = _SIZE(element)
        whole = _text_size(tree)
        if 2 * size < whole or (has_id and whole - size >= _LEFT_CHARACTERS):
            element.drop_tree()


def _text_size(tree: HtmlElement) -> float:
    """Characters of the text of a page, scripts and styles apart."""
    body = tree.find("body")
    whole = tree if body is None else body
    inside = sum(float(_SIZE(element)) for element in whole.iterdescendants("script", "style"))
    return float(_SIZE(whole)) - inside


def _is_inside_a_sentence(element: HtmlElement) -> bool:
    """Whether words stand on both sides of an element."""
    tail = element.tail
    if tail is None or not tail.strip(" \t\r\n.,;:|()-\u2013\u2014\u2022\u00b7/"):
        return False
    before = element.getprevious()
    parent = element.getparent()
    text = before.tail if before is not None else parent.text
    return text is not None and bool(text.strip(" \t\r\n.,;:|()-\u2013\u2014\u2022\u00b7/"))


def _wrap_bare_text(container: HtmlElement) -> None:
    """Make a paragraph of each long run of text and inline elements beside blocks."""
    is_beside = False
    size = len(container.text or "")
    for child in container:
        size += len(child.tail or "")
        is_beside = is_beside or child.tag in _TEXT_BLOCKS
    # Nearly every container ends here.
    if not is_beside or size < BARE_CHARACTERS:
        return
    if container.tag in _INLINE_CONTAINERS:
        container.tag = "div"

    runs: list[tuple[HtmlElement | None, list[HtmlElement]]] = [(None, [])]
    for child in container:
        if child.tag in _BLOCKS:
            runs.append((child, []))
        else:
            runs[-1][1].append(child)
    # A lead, and what stands behind a heading: at other places bare text is as often no text.
    for block, run in runs:
        if block is None or block.tag in _HEADINGS:
            _wrap(container, block, run)


def _wrap(container: HtmlElement, block: HtmlElement | None, run: list[HtmlElement]) -> None:
    """Make a paragraph of the text behind a block (None: of the container's own) and a run of
    inline elements."""
    text = (container.text if block is None else block.tail) or ""
    size = len(text.strip())
    for element in run:
        size += len((element.tail or "").strip())
    if size < BARE_CHARACTERS:
        return

    paragraph = container.makeelement("p")
    paragraph.text = text
    if block is None:
        container.text = None
        container.insert(0, paragraph)
    else:
        block.tail = None
        block.addnext(paragraph)
    paragraph.extend(run)
