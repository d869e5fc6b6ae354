"""The text of a web page: `extract_page(content, ...) -> Page | Refusal`, a pure function.

The steps, cheapest first, since most pages of a crawl are refused before the costly one:

    1. limits, counted in the bytes             too_large, binary, feed, not_html, too_many_*
    2. charset (corpora.text.charset)           charset
    3. language of a sample of the paragraphs   language
    4. one parse, and its depth                 not_html, too_deep
    5. title, date and address of the head
    6. trafilatura on the tree, and its length  empty, too_short
    7. langdetect on the text                   language

trafilatura's `deduplicate` is never on: it drops what the process saw before, so that the text of a
page would depend on its neighbours. Comments are left out, since they cost accuracy (F1 .962 ->
.955 on 181 news pages); `fast` is as accurate as the default there at 0.7 of its cost. The steps
are those of corpora.web.fast_trafilatura, which give the same text sooner.

lxml is a parser in C, which may crash or never return: run this in a child that can be killed
(corpora.guard).
"""

import datetime
import re
from urllib.parse import urljoin

import lxml.etree
import lxml.html

from corpora.document import Refusal
from corpora.text import mojibake
from corpora.text.charset import decode_page
from corpora.text.language import ANY, certainly_not, detect_language
from corpora.text.normalise import mend_controls
from corpora.web import fast_trafilatura, mend_tree
from corpora.web.cascade import main_text
from corpora.web.head import page_date, read_head
from corpora.web.page import Page, PageSettings, lightened, refuse, refuse_tags

MAX_DEPTH = 1_000
"""Elements inside each other: libxml2 drops all text below 256 unless asked, and fails near
2,048."""

_COUNT = lxml.etree.XPath("count(descendant-or-self::*)")

_PARAGRAPH = re.compile(r"<p(?:\s[^<>]{0,1000})?>([^<]{80,4000})", re.IGNORECASE)

_SAMPLE_FROM = 500_000
"""Characters of a page in which paragraphs are looked for."""

_SAMPLE_CHARACTERS = 1_500

_SAMPLE_ENOUGH = 200
"""A shorter sample may be one message to the reader, which is not the page."""


_HEAD_CHARACTERS = 10_000

_LANGUAGE = re.compile(
    r"<html\s[^<>]{0,500}?\blang\s{0,9}=\s{0,9}[\"']?([a-z]{2,3})", re.IGNORECASE
)

_CONSENT = re.compile(
    r"\b(?:class|id)=[\"'][^\"'<>]{0,100}(?:cookie|consent|gdpr|onetrust|didomi|usercentrics)",
    re.IGNORECASE,
)


def _parser() -> lxml.html.HTMLParser:
    """A parser whose elements have one class each, looked up in C: lxml.html's own look-up in
    Python takes 7 % of an extraction."""
    parser = lxml.html.HTMLParser(
        collect_ids=False,
        default_doctype=False,
        encoding="utf-8",
        remove_comments=True,
        remove_pis=True,
        huge_tree=True,
    )
    classes = lxml.etree.ElementDefaultClassLookup(
        element=lxml.html.HtmlElement,
        comment=lxml.html.HtmlComment,
        pi=lxml.html.HtmlProcessingInstruction,
        entity=lxml.html.HtmlEntity,
    )
    parser.set_element_class_lookup(classes)
    return parser


_PARSER = _parser()


def extract_page(
    content: bytes,
    *,
    content_type: str = "",
    url: str | None = None,
    crawled: datetime.datetime | None = None,
    cut: bool = False,
    settings: PageSettings = PageSettings(),
) -> Page | Refusal:
    """The text of a page's bytes, or why there is none.

    `content_type` and `url` are what the server said of the bytes. `crawled` bounds the date that
    the page may claim; without it no date is checked. `cut` tells that the end of the page is
    missing, perhaps inside a character.
    """
    refusal = refuse(content, content_type, url)
    if refusal is not None:
        return refusal

    decoded = decode_page(content, content_type, cut=cut, url=url)
    if decoded is None:
        return Refusal(
            "charset", "no usable declaration, and the bytes are not of a Latin alphabet"
        )
    text = decoded.text.replace("\x00", "")  # the parser would make U+FFFD of each
    # Before the controls are read as windows-1252: they may be the half of a character of UTF-8.
    if settings.ftfy:
        text = mojibake.mend_page(text)
    text = mend_controls(text)
    light = lightened(text)
    tree = _checked_tree(light, settings)
    if isinstance(tree, Refusal):
        return tree

    # Before the extraction, which takes the tree apart.
    head = read_head(tree)
    date = page_date(tree, head, text, url, crawled)
    mend_tree.mend(tree)

    def parse_again() -> lxml.html.HtmlElement | None:
        again = _parse(light, settings.accelerated)
        if again is not None:
            mend_tree.mend(again)
        return again

    body = main_text(tree, light, parse_again, url, settings)
    if len(body) < settings.min_characters:
        return Refusal("too_short" if body else "empty", f"{len(body)} characters", body)

    # The sample said that the page may be in the language; the whole text decides.
    language = detect_language(body, settings.language)
    if settings.language not in (ANY, language):
        return Refusal("language", language, body[:1000])
    return Page(
        text=body,
        title=head.title,
        date=date,
        canonical=_absolute(head.link, url),
        language=language,
        charset=decoded.charset,
        evidence=decoded.evidence,
        replaced=decoded.replaced,
        mojibake=mojibake.count(body),
    )


def _checked_tree(text: str, settings: PageSettings) -> lxml.html.HtmlElement | Refusal:
    """The tree of a page that is in the language and not too large to be extracted."""
    refusal = refuse_tags(text)
    if refusal is not None:
        return refusal
    other = _certain_other(text, settings.language)
    if other is not None:
        return Refusal("language", other)

    tree = _parse(text, settings.accelerated)
    if tree is None:
        return Refusal("not_html", "no element can be parsed")
    depth = _depth(tree)
    if depth > MAX_DEPTH:
        return Refusal("too_deep", f"{depth:,} elements one in the other")
    return tree


def _certain_other(text: str, wanted: str) -> str | None:
    """The language of a page if its paragraphs are certainly in another than the wanted one; None
    if they may be in it, or cannot be told.

    A layer that asks for consent is a stretch of paragraphs in the language of the site's owner. So
    a long page is refused only if its middle and its end are in another language too, and a page
    with such a layer not at all if it says that it is in the wanted language: its text decides.
    """
    if wanted == ANY:
        return None
    beginning = _sample(text)
    other = certainly_not(beginning, wanted)
    if other is None:
        return None

    said = _LANGUAGE.search(text, 0, _HEAD_CHARACTERS)
    if said and wanted.startswith(said[1].lower()) and _CONSENT.search(text):
        return None
    for part in _later_samples(text) if len(beginning) >= _SAMPLE_CHARACTERS else ():
        if certainly_not(part, wanted) is None:
            return None
    return other


def _sample(text: str) -> str:
    """The beginnings of paragraphs, to tell the language by; "" when they are too short."""
    parts: list[str] = []
    size = 0
    for match in _PARAGRAPH.finditer(text, 0, _SAMPLE_FROM):
        parts.append(match[1])
        size += len(match[1])
        if size >= _SAMPLE_CHARACTERS:
            break
    return "\n".join(parts)[:_SAMPLE_CHARACTERS] if size >= _SAMPLE_ENOUGH else ""


def _later_samples(text: str) -> list[str]:
    """The same of the paragraphs behind the first sample: of their middle and of their end."""
    whole = "\n".join(match[1] for match in _PARAGRAPH.finditer(text, 0, _SAMPLE_FROM))
    later = whole[_SAMPLE_CHARACTERS:]
    if len(later) < _SAMPLE_ENOUGH:
        return []
    middle = max(0, len(later) // 2 - _SAMPLE_CHARACTERS // 2)
    return [later[middle : middle + _SAMPLE_CHARACTERS], later[-_SAMPLE_CHARACTERS:]]


def _parse(text: str, accelerated: bool = True) -> lxml.html.HtmlElement | None:
    """The tree that trafilatura's own `load_html` makes, repairs included, but with all levels."""
    start = text[:50].lower()
    repaired = fast_trafilatura.repair(text, start, accelerated)
    try:
        tree = lxml.html.fromstring(repaired, parser=_PARSER)
    except (lxml.etree.LxmlError, ValueError, AssertionError):
        return None
    if tree is None:
        return None

    # trafilatura's test for bytes that are no page: one element, and none that holds text.
    is_bare = "html" not in start and len(tree) < 2
    if is_bare and not len(tree.xpath("//p|//div|//body")):
        return None
    return tree


def _depth(tree: lxml.html.HtmlElement) -> int:
    """Levels of elements, by one walk that stops past the limit; 0 where there are fewer elements
    than that."""
    if _COUNT(tree) <= MAX_DEPTH:
        return 0
    depth = 0
    level = [tree]
    while level and depth <= MAX_DEPTH:
        depth += 1
        children: list[lxml.html.HtmlElement] = []
        for element in level:
            children.extend(element)
        level = children
    return depth


def _absolute(link: str | None, url: str | None) -> str | None:
    try:
        return urljoin(url or "", link) if link else None
    except ValueError:  # such as http://[
        return None
