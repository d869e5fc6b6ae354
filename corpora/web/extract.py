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
from dataclasses import dataclass, field
from urllib.parse import urljoin

import lxml.etree
import lxml.html
from htmldate import find_date

from corpora.document import Refusal
from corpora.text.charset import decode_page
from corpora.text.language import ANY, certainly_not, detect_language
from corpora.web import fast_trafilatura
from corpora.web.page import Page, PageSettings, refuse, refuse_tags

MAX_DEPTH = 1_000
"""Elements inside each other: libxml2 drops all text below 256 unless asked, and fails near
2,048."""

FIRST_DATE = datetime.date(1990, 1, 1)
"""No page of the web is older."""

_PARAGRAPH = re.compile(r"<p(?:\s[^<>]{0,1000})?>([^<]{80,4000})", re.IGNORECASE)

_SAMPLE_FROM = 500_000
"""Characters of a page in which paragraphs are looked for."""

_SAMPLE_CHARACTERS = 1_500

_SAMPLE_ENOUGH = 200
"""A shorter sample may be one message to the reader, which is not the page."""

_MOJIBAKE = re.compile(
    "\u00e2\u20ac[\u0080-\u00ff\u02dc\u0153\u2018-\u203a\u2122\u0152\u017d\u017e\u0178]"
    "|\u00c3[\u0080-\u00bf]"
)
"""UTF-8 decoded as Windows-1252 and encoded again: `\u00e2\u20ac\u2122` for an apostrophe."""

_SPACE = re.compile(r"\s+")

_DATE_NAMES = frozenset(
    """
    article:published_time og:published_time og:article:published_time datepublished date dc.date
    dc.date.issued dc.date.created dcterms.date dcterms.created dcterms.issued pubdate publishdate
    publish-date publish_date publication_date date.published parsely-pub-date sailthru.date
    cxenseparse:recs:publishtime citation_publication_date originalpublicationdate
    """.split()
)
"""The names of meta elements that hold the day of publication."""

_DATE = re.compile(r"(?<!\d)(\d{4})(?:-(\d\d)-(\d\d)|/(\d\d?)/(\d\d?)|(\d\d)(\d\d))(?!\d)")

_DATE_IN_SCRIPT = re.compile(r'"datePublished"\s{0,8}:\s{0,8}"(\d{4}-\d\d-\d\d)')

_DATE_IN_URL = re.compile(r"/(\d{4}[/-]\d\d?[/-]\d\d?)(?:[/-]|$)")


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

    decoded = decode_page(content, content_type, cut=cut)
    if decoded is None:
        return Refusal(
            "charset", "no usable declaration, and the bytes are not of a Latin alphabet"
        )
    text = decoded.text.replace("\x00", "")  # the parser would make U+FFFD of each
    tree = _checked_tree(text, settings)
    if isinstance(tree, Refusal):
        return tree

    # Before the extraction, which takes the tree apart.
    head = _read_head(tree)
    date = _page_date(tree, head, text, url, crawled)
    body = fast_trafilatura.extract(
        tree,
        url=url,
        fast=settings.fast,
        precision=settings.precision,
        accelerated=settings.accelerated,
    ).strip()
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
        mojibake=len(_MOJIBAKE.findall(body)),
    )


def _checked_tree(text: str, settings: PageSettings) -> lxml.html.HtmlElement | Refusal:
    """The tree of a page that is in the language and not too large to be extracted."""
    refusal = refuse_tags(text)
    if refusal is not None:
        return refusal
    other = certainly_not(_sample(text), settings.language)
    if other is not None:
        return Refusal("language", other)

    tree = _parse(text, settings.accelerated)
    if tree is None:
        return Refusal("not_html", "no element can be parsed")
    depth = _depth(tree)
    if depth > MAX_DEPTH:
        return Refusal("too_deep", f"{depth:,} elements one in the other")
    return tree


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
    """Levels of elements, by one walk that stops past the limit."""
    depth = 0
    level = [tree]
    while level and depth <= MAX_DEPTH:
        depth += 1
        children: list[lxml.html.HtmlElement] = []
        for element in level:
            children.extend(element)
        level = children
    return depth


@dataclass
class _Head:
    """The head of a page, by the names of its elements; the first of each name counts."""

    titles: dict[str, str] = field(default_factory=dict)
    links: dict[str, str] = field(default_factory=dict)
    dates: list[str] = field(default_factory=list)

    @property
    def title(self) -> str | None:
        return self.titles.get("og") or self.titles.get("title") or None

    @property
    def link(self) -> str | None:
        return self.links.get("canonical") or self.links.get("og") or None


def _read_head(tree: lxml.html.HtmlElement) -> _Head:
    """Titles, addresses and days of publication, from one pass over the head."""
    head = _Head()
    for element in tree.iterfind("head/*"):
        if element.tag == "meta":
            _read_meta(element, head)
        elif element.tag == "title":
            head.titles.setdefault("title", _SPACE.sub(" ", element.text_content()).strip())
        elif element.tag == "link" and "canonical" in (element.get("rel") or "").lower().split():
            head.links.setdefault("canonical", (element.get("href") or "").strip())
    return head


def _read_meta(element: lxml.html.HtmlElement, head: _Head) -> None:
    label = element.get("property") or element.get("name") or element.get("itemprop") or ""
    name = label.strip().lower()
    value = element.get("content") or ""

    if name == "og:title":
        head.titles.setdefault("og", _SPACE.sub(" ", value).strip())
    elif name == "og:url":
        head.links.setdefault("og", value.strip())
    elif name in _DATE_NAMES:
        head.dates.append(value)


def _page_date(
    tree: lxml.html.HtmlElement,
    head: _Head,
    text: str,
    url: str | None,
    crawled: datetime.datetime | None,
) -> datetime.date | None:
    """The day of publication, from the first place that names a possible one.

    The places, surest first: the head, a script, a time element, the address, and htmldate.
    """
    latest = None
    if crawled is not None:
        latest = crawled.date() + datetime.timedelta(days=2)  # clocks and time zones differ

    for value in head.dates:
        date = _date(value, latest)
        if date is not None:
            return date

    # JSON-LD, which many pages have instead of meta elements.
    in_script = _DATE_IN_SCRIPT.search(text)
    date = _date(in_script[1], latest) if in_script else None
    element = tree.find(".//time[@datetime]") if date is None else None
    if element is not None:
        date = _date(element.get("datetime") or "", latest)
    in_url = _DATE_IN_URL.search(url) if date is None and url is not None else None
    if in_url:
        date = _date(in_url[1], latest)
    if date is not None or latest is None:
        # Without a bound htmldate would take today's date for one.
        return date

    # A head that names an impossible day is not asked again: htmldate would guess.
    if any(_DATE.search(value) for value in head.dates):
        return None
    return _guessed_date(tree, url, latest)


def _guessed_date(
    tree: lxml.html.HtmlElement, url: str | None, latest: datetime.date
) -> datetime.date | None:
    """The day that htmldate finds in a page."""
    midnight = datetime.time()
    guess = find_date(
        tree,
        extensive_search=False,
        original_date=True,
        url=url,
        min_date=datetime.datetime.combine(FIRST_DATE, midnight),
        max_date=datetime.datetime.combine(latest, midnight),
    )
    return _date(guess or "", latest)


def _absolute(link: str | None, url: str | None) -> str | None:
    try:
        return urljoin(url or "", link) if link else None
    except ValueError:  # such as http://[
        return None


def _date(value: str, latest: datetime.date | None) -> datetime.date | None:
    """The first day written in a text, if it is in 1990 or later and not after `latest`."""
    match = _DATE.search(value)
    if match is None:
        return None

    numbers = [int(group) for group in match.groups() if group is not None]
    try:
        date = datetime.date(*numbers)
    except ValueError:  # such as 30 February
        return None
    if date < FIRST_DATE or (latest is not None and date > latest):
        return None
    return date
