"""The text of a web page: `extract_page(content, ...) -> Page | Refusal`, pure, and every skip has its
reason.

The steps, cheapest first, since most pages of a crawl end before the costly one:

    1. limits, counted in the bytes: kind, size, tags, attributes         too_large, binary, feed, not_html, too_many_*
    2. charset (corpora.text.charset)                                          charset
    3. language gate on a sample of the paragraphs                        language
    4. one parse; depth                                                   not_html, too_deep
    5. title, date, address of the head
    6. trafilatura, fast, without comments; short texts                   empty, too_short
    7. langdetect on the text                                             language

trafilatura's `deduplicate` is never on: it drops what the process saw before, so that a page's text
would depend on its neighbours. Comments are off: they cost accuracy (F1 .962 -> .955 on 181 news
pages). `fast` is as accurate as the default there at 0.7 of its cost. Its steps are those of
corpora.web.fast_trafilatura, which give the same text sooner. Runs in a child that can be killed
(corpora.guard): lxml is a parser in C.
"""

import datetime
import re
from typing import Any
from urllib.parse import urljoin

import lxml.etree
import lxml.html
from htmldate import find_date

from corpora.document import Refusal
from corpora.text.charset import decode_page
from corpora.text.language import ANY, certainly_not, detect_language
from corpora.web import fast_trafilatura
from corpora.web.page import MIN_CHARACTERS, Page, refuse, refuse_tags

MAX_DEPTH = 1_000
"""Elements one in the other: libxml2 drops all text below 256 unless asked, and fails near
2,048."""

FIRST_DATE = datetime.date(1990, 1, 1)

_PARAGRAPH = re.compile(r"<p(?:\s[^<>]{0,1000})?>([^<]{80,4000})", re.IGNORECASE)

_SAMPLE_FROM, _SAMPLE_CHARACTERS = 500_000, 1_500

_SAMPLE_ENOUGH = 200

_MOJIBAKE = re.compile(
    "\u00e2\u20ac[\u0080-\u00ff\u02dc\u0153\u2018-\u203a\u2122\u0152\u017d\u017e\u0178]|\u00c3[\u0080-\u00bf]"
)

_SPACE = re.compile(r"\s+")

_DATE_NAMES = frozenset(
    """
    article:published_time og:published_time og:article:published_time datepublished date dc.date dc.date.issued dc.date.created
    dcterms.date dcterms.created dcterms.issued pubdate publishdate publish-date publish_date publication_date date.published
    parsely-pub-date sailthru.date cxenseparse:recs:publishtime citation_publication_date originalpublicationdate
    """.split()
)

_DATE = re.compile(r"(?<!\d)(\d{4})(?:-(\d\d)-(\d\d)|/(\d\d?)/(\d\d?)|(\d\d)(\d\d))(?!\d)")

_DATE_IN_SCRIPT = re.compile(r'"datePublished"\s{0,8}:\s{0,8}"(\d{4}-\d\d-\d\d)')

_DATE_IN_URL = re.compile(r"/(\d{4}[/-]\d\d?[/-]\d\d?)(?:[/-]|$)")


def _parser() -> lxml.html.HTMLParser:
    """Elements of one class each, looked up in C: lxml.html's own look-up in Python takes 7 % of an
    extraction."""
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
    language: str = ANY,
    min_characters: int = MIN_CHARACTERS,
    fast: bool = True,
    precision: bool = False,
    accelerated: bool = True,
) -> Page | Refusal:
    """The text of a page's bytes, or why there is none. `cut`: its end is missing. `crawled`:
    bounds the date it may claim. `fast`, `precision`: trafilatura's switches. `accelerated`: see
    corpora.web.fast_trafilatura; changes no character."""
    if (refused := refuse(content, content_type, url)) is not None:
        return refused
    decoded = decode_page(content, content_type, cut=cut)
    if decoded is None:
        return Refusal(
            "charset",
            "no usable declaration, and the bytes are not of a Latin alphabet",
        )
    text = decoded.text.replace("\x00", "")
    if (refused := refuse_tags(text)) is not None:
        return refused
    if (other := certainly_not(_sample(text), language)) is not None:
        return Refusal("language", other)
    tree = _parse(text, accelerated)
    if tree is None:
        return Refusal("not_html", "no element can be parsed")
    if (depth := _depth(tree)) > MAX_DEPTH:
        return Refusal("too_deep", f"{depth:,} elements one in the other")
    title, date, canonical = _head(tree, text, url, crawled)
    body = fast_trafilatura.extract(
        tree, url=url, fast=fast, precision=precision, accelerated=accelerated
    ).strip()
    if len(body) < min_characters:
        return Refusal("too_short" if body else "empty", f"{len(body)} characters", text=body)
    found = detect_language(body, language)
    if language not in (ANY, found):
        return Refusal("language", found, text=body[:1000])
    return Page(
        text=body,
        title=title,
        date=date,
        canonical=canonical,
        language=found,
        charset=decoded.charset,
        evidence=decoded.evidence,
        replaced=decoded.replaced,
        mojibake=len(_MOJIBAKE.findall(body)),
    )


def _sample(text: str) -> str:
    """Beginnings of paragraphs, for the gate; "" where they are too few to judge by: one message to
    the reader is not the page."""
    parts: list[str] = []
    size = 0
    for match in _PARAGRAPH.finditer(text, 0, _SAMPLE_FROM):
        parts.append(match[1])
        size += len(match[1])
        if size >= _SAMPLE_CHARACTERS:
            break
    return "\n".join(parts)[:_SAMPLE_CHARACTERS] if size >= _SAMPLE_ENOUGH else ""


def _parse(text: str, accelerated: bool = True) -> Any | None:
    """The tree as trafilatura's own `load_html` makes it, repairs included, but for the depth at
    which libxml2 gives up."""
    start = text[:50].lower()
    try:
        tree = lxml.html.fromstring(
            fast_trafilatura.repair(text, start, accelerated), parser=_PARSER
        )
    except (lxml.etree.LxmlError, ValueError, AssertionError):
        return None
    return (
        None
        if tree is None
        or ("html" not in start and len(tree) < 2 and not len(tree.xpath("//p|//div|//body")))
        else tree
    )


def _depth(tree: Any) -> int:
    """Levels of elements, by one walk that stops past the limit."""
    depth, level = 0, [tree]
    while level and depth <= MAX_DEPTH:
        depth += 1
        level = [child for element in level for child in element]
    return depth


def _head(
    tree: Any, text: str, url: str | None, crawled: datetime.datetime | None
) -> tuple[str | None, datetime.date | None, str | None]:
    """Title, publication date and canonical address, from one pass over the head; htmldate is asked
    only where there is no date, not even an impossible one."""
    latest = crawled.date() + datetime.timedelta(days=2) if crawled is not None else None
    titles: dict[str, str] = {}
    links: dict[str, str] = {}
    date, claimed = None, False
    for element in tree.iterfind("head/*"):
        if element.tag == "meta":
            name = (
                (element.get("property") or element.get("name") or element.get("itemprop") or "")
                .strip()
                .lower()
            )
            value = element.get("content") or ""
            if name == "og:title":
                titles.setdefault("og", _SPACE.sub(" ", value).strip())
            elif name == "og:url":
                links.setdefault("og", value.strip())
            elif name in _DATE_NAMES and date is None:
                claimed = claimed or _DATE.search(value) is not None
                date = _date(value, latest)
        elif element.tag == "title":
            titles.setdefault("title", _SPACE.sub(" ", element.text_content()).strip())
        elif element.tag == "link" and "canonical" in (element.get("rel") or "").lower().split():
            links.setdefault("canonical", (element.get("href") or "").strip())
    if date is None and (match := _DATE_IN_SCRIPT.search(text)):
        date = _date(match[1], latest)
    if date is None and (element := tree.find(".//time[@datetime]")) is not None:
        date = _date(element.get("datetime") or "", latest)
    if date is None and url is not None and (match := _DATE_IN_URL.search(url)):
        date = _date(match[1], latest)
    if (
        date is None and latest is not None and not claimed
    ):  # without a bound htmldate would take today's date for one
        last = datetime.datetime.combine(latest, datetime.time())
        first = datetime.datetime.combine(FIRST_DATE, datetime.time())
        date = _date(
            find_date(
                tree,
                extensive_search=False,
                original_date=True,
                url=url,
                min_date=first,
                max_date=last,
            )
            or "",
            latest,
        )
    title = titles.get("og") or titles.get("title") or None
    link = links.get("canonical") or links.get("og") or None
    return title, date, _absolute(link, url)


def _absolute(link: str | None, url: str | None) -> str | None:
    try:
        return urljoin(url or "", link) if link else None
    except ValueError:
        return None


def _date(value: str, latest: datetime.date | None) -> datetime.date | None:
    """The first day written in a text, if it lies in 1990 or later and not after `latest`."""
    if (match := _DATE.search(value)) is None:
        return None
    numbers = [int(group) for group in match.groups() if group is not None]
    try:
        date = datetime.date(*numbers)
    except ValueError:
        return None
    return date if FIRST_DATE <= date and (latest is None or date <= latest) else None
