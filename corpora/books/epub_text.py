"""The text of an item of an EPUB as a page shows it: blocks begin new lines, `pre` keeps its own,
what is no text of the book is left out.

Left out: numbers of pages and lines, marks of notes, navigation, contents, copyright pages; of a
title page all but dedication and epigraph.
"""

import re
from itertools import islice
from typing import Any

import lxml.etree

_SPACES = re.compile("[ \t\r\n\f]+")

_EPUB_TYPE = ("{http://www.idpf.org/2007/ops}type", "epub:type", "role")

_PARAGRAPHS = frozenset(
    "p h1 h2 h3 h4 h5 h6 blockquote section article aside table ul ol dl pre figure hr body header footer nav main details fieldset hgroup".split()
)

_LINES = frozenset(
    "div li tr dt dd figcaption caption address center form summary tbody thead tfoot legend".split()
)

_SILENT = frozenset(
    "head script style template svg rt rp audio video object iframe noscript select annotation annotation-xml map title".split()
)

_UNREAD = frozenset(
    {
        "pagebreak",
        "noteref",
        "toc",
        "landmarks",
        "page-list",
        "loi",
        "lot",
        "index",
        "copyright-page",
        "cover",
    }
)

TITLE_PAGES = frozenset({"titlepage", "title-page", "halftitlepage"})
"""What a title page is called, in guide, landmarks and `epub:type`."""

_KEPT = frozenset({"dedication", "epigraph"})

_NOTES = frozenset({"footnote", "footnotes", "endnote", "endnotes", "rearnote", "rearnotes"})

_NUMBER_CLASS = re.compile(
    r"(?:^|[\s_-])(?:page-?_?(?:num(?:ber)?|no|break)|pg-?num|l(?:ine)?-?_?num(?:ber)?)s?(?:$|[\s_-])",
    re.IGNORECASE,
)

_NUMBER = re.compile(r"\W*(?:pg|page|p)?\W*[\divxlc]{1,6}\W*", re.IGNORECASE)

_DROP_CAP = re.compile(r"drop-?_?cap|initial|lettrine|first-?_?letter|big-?_?cap", re.IGNORECASE)

_MARKER = re.compile(r"\s*[\[(]?(?:\d{1,4}|[*†‡§¶]{1,3}|[ivx]{1,4})[\])]?\s*")


class _Text:
    """Collects text and breaks; a break counts only between two texts."""

    def __init__(self) -> None:
        self._parts: list[str] = []
        self._gap = self._lines = 0
        self._space = self._joined = False

    def gap(self, lines: int) -> None:
        """A break before the next text: 0 none, 1 a new line, 2 a blank line."""
        self._gap = max(self._gap, lines)

    def line(self) -> None:
        """A line break; two in a row are a blank line."""
        self._lines += 1

    def space(self) -> None:
        """A space before the next text."""
        self._space = True

    def join(self) -> None:
        """The last text was a drop cap: a block that follows goes on with its word."""
        self._joined = True

    def add(self, text: str, preformatted: bool = False) -> None:
        """Text of the source."""
        text = text.replace("\xad", "")
        body = text.strip("\r\n") if preformatted else _SPACES.sub(" ", text)
        if not body.strip(" "):
            self._space = self._space or bool(body)
            return
        before = body[0] == " " and not preformatted
        after = body[-1] == " " and not preformatted
        body = body if preformatted else body.strip(" ")
        gap = max(self._gap, min(self._lines, 2))
        if self._parts:
            if gap:
                if not (self._joined and body[0].isalpha()):
                    self._parts.append("\n" * gap)
            elif before or self._space:
                self._parts.append(" ")
        self._parts.append(body)
        self._gap = self._lines = 0
        self._space, self._joined = after, False

    def finished(self) -> str:
        """All of it."""
        return "".join(self._parts)


def local_name(element: Any) -> str:
    """The name of an element without its namespace, in small letters; "" for what is none."""
    return element.tag.rpartition("}")[2].lower() if isinstance(element.tag, str) else ""


def epub_types(element: Any) -> frozenset[str]:
    """The words of `epub:type` and `role`, in small letters, without `doc-`."""
    said = " ".join(element.get(name) or "" for name in _EPUB_TYPE).lower()
    return (
        frozenset(word.removeprefix("doc-") for word in said.split())
        if said.strip()
        else frozenset()
    )


def item_text(root: Any, footnotes: bool, whole: frozenset[str]) -> str:
    """The text of an item. `whole`: what the book calls all of it."""
    text = _Text()
    if whole & TITLE_PAGES:
        _write_kept(text, root, footnotes)
    else:
        _write(text, root, footnotes)
    return text.finished()


def _write_kept(text: _Text, root: Any, footnotes: bool) -> None:
    """Dedication and epigraph of a title page."""
    inside: set[Any] = set()
    for element in root.iter():
        if element.getparent() in inside:
            inside.add(element)
        elif element is not root and epub_types(element) & _KEPT:
            inside.add(element)
            text.gap(2)
            _write(text, element, footnotes)
            text.gap(2)


def _write(text: _Text, root: Any, footnotes: bool) -> None:
    walker = lxml.etree.iterwalk(root, events=("start", "end"))
    preformatted = 0
    for event, element in walker:
        name = local_name(element)
        gap = 2 if name in _PARAGRAPHS else 1 if name in _LINES else 0
        if event == "start":
            types = epub_types(element)
            if element is not root and types & TITLE_PAGES:
                text.gap(2)
                _write_kept(text, element, footnotes)
                walker.skip_subtree()
                continue
            if (
                name in _SILENT
                or types & _UNREAD
                or (not footnotes and types & _NOTES)
                or element.get("hidden") is not None
                or _is_marker(element, name)
            ):
                walker.skip_subtree()
                continue
            preformatted += name == "pre"
            text.gap(gap)
            if name == "br":
                text.line()
            elif name in ("td", "th"):
                text.space()
            elif (
                name == "img"
                and _DROP_CAP.search(element.get("class") or "")
                and len((element.get("alt") or "").strip()) == 1
            ):
                text.add(element.get("alt").strip())
                text.join()
            if element.text:
                text.add(element.text, preformatted > 0)
        else:
            silent = name in _SILENT or (
                element is not root and bool(epub_types(element) & (_UNREAD | TITLE_PAGES))
            )
            preformatted -= name == "pre" and preformatted > 0 and not silent
            text.gap(gap)
            if _is_drop_cap(element):
                text.join()
            if element.tail and element is not root:
                text.add(element.tail, preformatted > 0)


def _is_drop_cap(element: Any) -> bool:
    if not _DROP_CAP.search(element.get("class") or ""):
        return False
    text = "".join(islice(element.itertext(), 8)).strip()
    return 0 < len(text) <= 3 and any(letter.isalpha() for letter in text)


def _is_marker(element: Any, name: str) -> bool:
    """Numbers of pages and lines, and the marks of notes: no part of the text."""
    if name == "a" and "#" in (element.get("href") or ""):
        parent = element.getparent()
        raised = (parent is not None and local_name(parent) == "sup") or any(
            local_name(child) == "sup" for child in islice(element, 3)
        )
        if (raised or "noteref" in (element.get("class") or "")) and _MARKER.fullmatch(
            "".join(islice(element.itertext(), 8))
        ):
            return True
    found = element.get("class")
    return (
        found is not None
        and _NUMBER_CLASS.search(found) is not None
        and _NUMBER.fullmatch("".join(islice(element.itertext(), 8))) is not None
    )
