"""The text of an item of an EPUB as a page shows it: blocks begin new lines, and `pre` keeps those
that it has.

Left out is what is not text of the book: numbers of pages and lines, marks of notes, navigation,
contents, copyright pages; and all of a title page but dedication and epigraph.
"""

import re
from itertools import islice

import lxml.etree

_SPACES = re.compile("[ \t\r\n\f]+")

_EPUB_TYPE = ("{http://www.idpf.org/2007/ops}type", "epub:type", "role")

# a blank line around these
_PARAGRAPHS = frozenset(
    """
    p h1 h2 h3 h4 h5 h6 blockquote section article aside table ul ol dl pre figure hr body header
    footer nav main details fieldset hgroup
    """.split()
)

# a line of their own for these
_LINES = frozenset(
    """
    div li tr dt dd figcaption caption address center form summary tbody thead tfoot legend
    """.split()
)

_SILENT = frozenset(
    """
    head script style template svg rt rp audio video object iframe noscript select annotation
    annotation-xml map title
    """.split()
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
    r"(?:^|[\s_-])(?:page-?_?(?:num(?:ber)?|no|break)|pg-?num|l(?:ine)?-?_?num(?:ber)?)s?"
    r"(?:$|[\s_-])",
    re.IGNORECASE,
)

_NUMBER = re.compile(r"\W*(?:pg|page|p)?\W*[\divxlc]{1,6}\W*", re.IGNORECASE)

_DROP_CAP = re.compile(
    r"drop-?_?cap|initial|lettrine|first-?_?letter|big-?_?cap|letra|versal|capitular", re.IGNORECASE
)

_DROP_CAP_ALT = re.compile(
    r"[\s\[(]{0,3}(?:(?:the|an?|drop|inicial|initial|decorat|ornament|illuminat|illustrated"
    r"|historiat|fancy|floral|large|big|capital|capitular|letter|letra|lettrine|versal)\w*[\s_:-]*){0,4}"
    r"(?:cap(?:ital)?|letter)?\W*?([\"'“‘«„(]?[^\W\d_])\W{0,2}",
    re.IGNORECASE,
)
"""The description of an image of one letter: the letter, with a quotation mark before it."""

_WORDS = frozenset("AIOEYUÀÉÈÓÒÁÚÎÔЯИАВКСОУЙІЎΗΟΩ")
"""Letters that are a word of their own."""

_WORD_BEHIND = re.compile(r"\s+[^\W\d_]")

_NO_BLANK_BEFORE = frozenset(".,;:!?)]”’»…")

_MARKER = re.compile(
    r"\s*[\[({]?(?:(?:note |fn)?\d{1,4}|[*†‡§¶‖]{1,3}|[ivx]{1,4}|[A-Za-z])[\])}]?\.?\s*"
)

_IN_BRACKETS = re.compile(r"\s*[\[({].{1,12}[\])}]\.?\s*", re.DOTALL)

_BACK = re.compile(
    r"[\s\[(]*(?:[↩↑⏎↵←^⬆⮌⤴▲🔙\ufe0e\ufe0f]+|(?:go |jump )?back)[\s\])]*", re.IGNORECASE
)
"""A link from a note back to its mark."""

_NOTE_CLASS = re.compile(
    r"noteref|fnanchor|footnote-?(?:ref|anchor|mark|link)|fn-?ref|note-?anchor|endnote-?ref",
    re.IGNORECASE,
)

_POWER = re.compile(r"\s*(?:[-−–+]?\s*\d+(?:[.,/]\d+)*|[nxk])(?:\s*[-−+]\s*\d+)?\s*")
"""What is raised behind a number as its exponent."""


class _Text:
    """Collects text and breaks. A break counts only between two texts."""

    def __init__(self) -> None:
        self._parts: list[str] = []
        self._gap = 0
        self._lines = 0
        self._space = False
        self._joined = False
        self._marked = False

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
        """The last text was a drop cap: a block that follows continues its word."""
        self._joined = True

    def mark(self) -> None:
        """A mark was left out here: a blank before it does not separate a word from its comma."""
        self._marked = True

    def add(self, text: str, preformatted: bool = False) -> None:
        """Text of the source."""
        text = text.replace("\xad", "")  # soft hyphens would split words
        body = text.strip("\r\n") if preformatted else _SPACES.sub(" ", text)
        if not body.strip(" "):
            self._space = self._space or bool(body)
            return
        before = body[0] == " " and not preformatted
        after = body[-1] == " " and not preformatted
        if not preformatted:
            body = body.strip(" ")
        if self._marked and body[:1] in _NO_BLANK_BEFORE and not before:
            self._space = False
        if self._parts:
            self._parts.append(self._separator(body, before))
        self._parts.append(body)
        self._gap = 0
        self._lines = 0
        self._space = after
        self._joined = False
        self._marked = False

    def _separator(self, body: str, space: bool) -> str:
        """What stands between the last text and the next."""
        gap = max(self._gap, min(self._lines, 2))
        if not gap:
            return " " if space or self._space else ""
        return "" if self._joined and body[0].isalpha() else "\n" * gap

    def ends_with_digit(self) -> bool:
        """Whether the next text would directly follow a digit."""
        if not self._parts or self._gap or self._lines or self._space:
            return False
        return self._parts[-1][-1:].isdecimal()

    def finished(self) -> str:
        """The text so far."""
        return "".join(self._parts)


def local_name(element: lxml.etree._Element) -> str:
    """The name of an element in lower case, without its namespace; "" for a comment and the
    like."""
    return element.tag.rpartition("}")[2].lower() if isinstance(element.tag, str) else ""


def epub_types(element: lxml.etree._Element) -> frozenset[str]:
    """The words of `epub:type` and `role`, in lower case, without `doc-`."""
    words = " ".join(element.get(name) or "" for name in _EPUB_TYPE).lower().split()
    return frozenset(word.removeprefix("doc-") for word in words)


def item_text(root: lxml.etree._Element, footnotes: bool, whole: frozenset[str]) -> str:
    """The text of an item. `whole`: what the book calls the item as a whole."""
    text = _Text()
    if whole & TITLE_PAGES:
        _write_kept(text, root, footnotes)
    else:
        _write(text, root, footnotes)
    return text.finished()


def _write_kept(text: _Text, root: lxml.etree._Element, footnotes: bool) -> None:
    """Write the dedication and the epigraph of a title page."""
    inside: set[lxml.etree._Element | None] = set()
    for element in root.iter():
        if element.getparent() in inside:
            inside.add(element)
        elif element is not root and epub_types(element) & _KEPT:
            inside.add(element)
            text.gap(2)
            _write(text, element, footnotes)
            text.gap(2)


def _write(text: _Text, root: lxml.etree._Element, footnotes: bool) -> None:
    walker = lxml.etree.iterwalk(root, events=("start", "end"))
    preformatted = 0  # levels of <pre>
    for event, element in walker:
        name = local_name(element)
        types = epub_types(element) if element is not root else frozenset()
        if event == "end":
            # A skipped element ends without having begun, so its <pre> was not counted.
            skipped = name in _SILENT or bool(types & (_UNREAD | TITLE_PAGES))
            if name == "pre" and preformatted > 0 and not skipped:
                preformatted -= 1
            text.gap(_gap(name))
            if _is_drop_cap(element):
                text.join()
            if element.tail and element is not root:
                text.add(element.tail, preformatted > 0)
        elif types & TITLE_PAGES:
            text.gap(2)
            _write_kept(text, element, footnotes)
            walker.skip_subtree()
        elif _is_left_out(element, name, footnotes):
            text.mark()
            walker.skip_subtree()
        else:
            preformatted += name == "pre"
            text.gap(_gap(name))
            _write_start(text, element, name)
            if element.text:
                text.add(element.text, preformatted > 0)


def _gap(name: str) -> int:
    """The break around an element, as in `_Text.gap`."""
    if name in _PARAGRAPHS:
        return 2
    return 1 if name in _LINES else 0


def _is_left_out(element: lxml.etree._Element, name: str, footnotes: bool) -> bool:
    types = epub_types(element)
    return bool(
        name in _SILENT
        or types & _UNREAD
        or (not footnotes and types & _NOTES)
        or element.get("hidden") is not None
        or _is_marker(element, name)
    )


def _write_start(text: _Text, element: lxml.etree._Element, name: str) -> None:
    """Write what an element shows besides its text: a line break, a space, the letter of an
    image."""
    if name == "br":
        text.line()
    elif name in ("td", "th"):
        text.space()
    elif name in ("img", "image"):
        letter = _letter_of(element)
        if letter:
            text.add(letter)
            text.join()
    elif name in ("sup", "sub") and text.ends_with_digit():
        # Behind a number a raised number would make it another one.
        if _POWER.fullmatch(_beginning(element)):
            text.add("^" if name == "sup" else "_")


def _letter_of(image: lxml.etree._Element) -> str:
    """The letter that an image stands for, with which the word behind it begins; "" for other
    images."""
    match = _DROP_CAP_ALT.fullmatch((image.get("alt") or "").strip()[:60])
    if match is None:
        return ""
    if _DROP_CAP.search(image.get("class") or ""):
        return match[1]
    after = _text_behind(image)
    if after[:1].isalpha() or after[:1] in ("’", "'", "."):
        return match[1]
    # a word of one letter, at the beginning of its block
    alone = match[1][-1:] in _WORDS and _WORD_BEHIND.match(after) is not None
    return match[1] if alone and not _text_before(image).strip() else ""


def _text_behind(element: lxml.etree._Element) -> str:
    """The first text behind an element, in its block or in the next one."""
    for _ in range(4):
        tail = str(element.tail or "")
        if tail.strip():
            return tail
        for sibling in islice(element.itersiblings(), 3):
            text = _beginning(sibling)
            if text.strip():
                return text.lstrip()
        parent = element.getparent()
        if parent is None:
            return ""
        element = parent
    return ""


def _text_before(element: lxml.etree._Element) -> str:
    """The text directly before an element, in its block."""
    for _ in range(8):
        before = element.getprevious()
        parent = element.getparent()
        if before is not None:
            if before.tail:
                return str(before.tail)
            own = "".join(islice(before.itertext(), 8))
            if own:
                return own
            element = before
            continue
        if parent is None or parent.text:
            return str(parent.text) if parent is not None else ""
        if _gap(local_name(parent)):
            return ""
        element = parent
    return ""


def _beginning(element: lxml.etree._Element) -> str:
    """The first texts in an element: enough to judge a short one."""
    return "".join(islice(element.itertext(), 8))


def _is_drop_cap(element: lxml.etree._Element) -> bool:
    if not _DROP_CAP.search(element.get("class") or ""):
        return False
    text = _beginning(element).strip()
    return 0 < len(text) <= 3 and any(letter.isalpha() for letter in text)


def _is_marker(element: lxml.etree._Element, name: str) -> bool:
    """Whether an element is the number of a page or line, or the mark of a note."""
    if name == "a" and "#" in (element.get("href") or "") and _is_note_mark(element):
        return True
    css_class = element.get("class") or ""
    if not _NUMBER_CLASS.search(css_class):
        return False
    return _NUMBER.fullmatch(_beginning(element)) is not None


def _is_note_mark(link: lxml.etree._Element) -> bool:
    """Whether a link to a place is the mark of a note, or leads back from one: by its class, by its
    brackets, or as a number that is raised or stands directly behind a word."""
    text = _beginning(link)
    if _BACK.fullmatch(text):
        return True
    if _MARKER.fullmatch(text) is None:
        return False
    parent = link.getparent()
    raised = parent is not None and local_name(parent) == "sup"
    raised = raised or any(local_name(child) == "sup" for child in islice(link.iter(), 6))
    of_note = _NOTE_CLASS.search(link.get("class") or "") is not None
    if raised or of_note or _IN_BRACKETS.fullmatch(text):
        return True
    before = _text_before(link)
    behind_word = bool(before) and not before[-1].isspace() and before[-1] not in "([{-–—/"
    return behind_word and not text.strip().isalpha()
