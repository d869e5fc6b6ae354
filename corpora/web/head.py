"""What a page says about itself: its title, its address and the day of its publication."""

import datetime
import json
import re
from dataclasses import dataclass, field

import lxml.html
from htmldate import find_date

FIRST_DATE = datetime.date(1990, 1, 1)
"""No page of the web is older."""

_SPACE = re.compile(r"\s+")

_PUBLISHED_NAMES = frozenset(
    """
    article:published_time og:published_time og:article:published_time datepublished
    dc.date.issued dc.date.created dcterms.created dcterms.issued pubdate publishdate
    publish-date publish_date publication_date date.published parsely-pub-date
    cxenseparse:recs:publishtime citation_publication_date originalpublicationdate
    """.split()
)
"""The names of meta elements that hold the day of publication."""

_DATE_NAMES = frozenset("date dc.date dcterms.date sailthru.date".split())
"""The names of those that hold some day: on many sites that of publication, on others today's."""

_DATE = re.compile(
    r"(?<!\d)(\d{4})(?:-(\d\d)-(\d\d)|/(\d\d?)/(\d\d?)|(\d\d)(\d\d))(?!\d)", re.ASCII
)

_DATE_IN_SCRIPT = re.compile(r'"datePublished"\s{0,8}:\s{0,8}"(\d{4}-\d\d-\d\d)', re.ASCII)

_DATE_IN_URL = re.compile(r"/(\d{4}[/-]\d\d?[/-]\d\d?)(?:[/-]|$)", re.ASCII)

_MONTHS = "jan feb mar apr may jun jul aug sep oct nov dec".split()

_MONTH = rf"({'|'.join(_MONTHS)})[a-z]{{0,6}}\.?"

_IN_WORDS = re.compile(
    r"\b(?:published|posted|first published)(?: on| at)?:? {0,3}(?:[a-z]{3,9},? )?"
    rf"(?:(\d{{1,2}})(?:st|nd|rd|th)? {_MONTH},? (\d{{4}})"
    rf"|{_MONTH} (\d{{1,2}})(?:st|nd|rd|th)?,? (\d{{4}}))",
    re.IGNORECASE | re.ASCII,
)
"""`Published 6 May 2017`, `Posted on May 6th, 2017`."""

_SAYING_WHEN = re.compile("published|posted")

_WORDS_FROM = 100_000
"""Characters of a page in which a day in words is looked for."""

_ARTICLE = re.compile(
    r"article|posting|report|review|story|recipe|newsitem|creativework", re.IGNORECASE
)
"""The types of JSON-LD that are the text of a page, rather than its site or its author."""

_LD_NODES = 2000
"""Objects of JSON-LD that are looked at."""

_LD_CHARACTERS = 500_000
"""A longer script is not read as JSON."""


@dataclass
class Head:
    """The head of a page, by the names of its elements; the first of each name counts."""

    titles: dict[str, str] = field(default_factory=dict)
    links: dict[str, str] = field(default_factory=dict)
    published: list[str] = field(default_factory=list)
    dates: list[str] = field(default_factory=list)

    @property
    def title(self) -> str | None:
        """The title that the page gives itself in networks, else that of its window."""
        return self.titles.get("og") or self.titles.get("title") or None

    @property
    def link(self) -> str | None:
        """The address that the page gives itself."""
        return self.links.get("canonical") or self.links.get("og") or None


def read_head(tree: lxml.html.HtmlElement) -> Head:
    """Titles, addresses and days of publication, wherever in the page they stand: the parser ends
    the head at the first element that does not belong there."""
    head = Head()
    for element in tree.iter("meta", "title", "link"):
        if element.tag == "meta":
            _read_meta(element, head)
        elif element.tag == "title":
            _read_title(element, head)
        elif "canonical" in (element.get("rel") or "").lower().split():
            head.links.setdefault("canonical", (element.get("href") or "").strip())
    return head


def _read_title(element: lxml.html.HtmlElement, head: Head) -> None:
    # A drawing has titles of its own.
    parent = element.getparent()
    is_drawing = parent is not None and parent.tag not in ("head", "body", "html", "div")
    text = _SPACE.sub(" ", element.text_content()).strip()
    if text and not is_drawing:
        head.titles.setdefault("title", text)


def _read_meta(element: lxml.html.HtmlElement, head: Head) -> None:
    label = element.get("property") or element.get("name") or element.get("itemprop") or ""
    name = label.strip().lower()
    value = element.get("content") or ""

    if name == "og:title":
        head.titles.setdefault("og", _SPACE.sub(" ", value).strip())
    elif name == "og:url":
        head.links.setdefault("og", value.strip())
    elif name in _PUBLISHED_NAMES:
        head.published.append(value)
    elif name in _DATE_NAMES:
        head.dates.append(value)


def page_date(
    tree: lxml.html.HtmlElement,
    head: Head,
    text: str,
    url: str | None,
    crawled: datetime.datetime | None,
) -> datetime.date | None:
    """The day of publication, from the first place that names a possible one.

    The places, surest first: what says that the article was published, in the head, in JSON-LD and
    in time elements; the head's other days; any script; the address; a day in words; other time
    elements; and htmldate.
    """
    latest = None
    if crawled is not None:
        latest = crawled.date() + datetime.timedelta(days=2)  # clocks and time zones differ

    for value in head.published:
        date = _date(value, latest)
        if date is not None:
            return date
    found = _date_in_data(tree, text, latest) or _marked_time(tree, latest)
    if found is not None:
        return found
    for value in head.dates:
        date = _date(value, latest)
        if date is not None:
            return date

    in_script = _DATE_IN_SCRIPT.search(text)
    date = _date(in_script[1], latest) if in_script else None
    in_url = _DATE_IN_URL.search(url) if date is None and url is not None else None
    if in_url:
        date = _date(in_url[1], latest)
    if date is None:
        date = _date_in_words(text, latest)
    element = tree.find(".//time[@datetime]") if date is None else None
    if element is not None:
        date = _date(element.get("datetime") or "", latest)
    if date is not None or latest is None:
        # Without a bound htmldate would take today's date for one.
        return date

    # A head that names an impossible day is not asked again: htmldate would guess.
    if any(_DATE.search(value) for value in head.published + head.dates):
        return None
    return _guessed_date(tree, url, latest)


def _date_in_data(
    tree: lxml.html.HtmlElement, text: str, latest: datetime.date | None
) -> datetime.date | None:
    """The `datePublished` of the first article in the page's JSON-LD; not that of its site."""
    if '"datePublished"' not in text:
        return None
    for script in tree.iterfind('.//script[@type="application/ld+json"]'):
        source = script.text or ""
        if '"datePublished"' not in source or len(source) > _LD_CHARACTERS:
            continue
        try:
            nodes = [json.loads(source, strict=False)]
        except (ValueError, RecursionError):
            continue
        date = _date_of_article(nodes, latest)
        if date is not None:
            return date
    return None


def _date_of_article(nodes: list[object], latest: datetime.date | None) -> datetime.date | None:
    """The day of the first article among objects and what they hold, in their order."""
    seen = 0
    while nodes and seen < _LD_NODES:
        seen += 1
        node = nodes.pop(0)
        if isinstance(node, list):
            nodes = [*node[:_LD_NODES], *nodes]
        if not isinstance(node, dict):
            continue
        if _ARTICLE.search(str(node.get("@type", ""))[:200]):
            date = _date(str(node.get("datePublished", ""))[:100], latest)
            if date is not None:
                return date
        inner = [node[key] for key in ("@graph", "mainEntity", "mainEntityOfPage") if key in node]
        nodes = [*inner, *nodes]
    return None


def _marked_time(tree: lxml.html.HtmlElement, latest: datetime.date | None) -> datetime.date | None:
    """The day of the first time element that says it is that of publication."""
    for element in tree.iter("time"):
        hints = f"{element.get('itemprop') or ''} {element.get('class') or ''}".lower()
        if element.get("pubdate") is not None or "publish" in hints or "entry-date" in hints:
            date = _date(element.get("datetime") or "", latest)
            if date is not None:
                return date
    return None


def _date_in_words(text: str, latest: datetime.date | None) -> datetime.date | None:
    # Most pages have neither word, and a pattern that ignores case is slow to find that out.
    small = text[:_WORDS_FROM].lower()
    if "published" not in small and "posted" not in small:
        return None
    match = _first_in_words(text[:_WORDS_FROM], small)
    if match is None:
        return None
    day, month, year = (
        (match[1], match[2], match[3]) if match[1] else (match[5], match[4], match[6])
    )
    number = 1 + _MONTHS.index(month[:3].lower())
    return _date(f"{year}-{number:02}-{int(day):02}", latest)


def _first_in_words(text: str, small: str) -> re.Match[str] | None:
    """What `_IN_WORDS.search(text)` finds, asked only where one of its words stands in `small`, the
    same text in small letters."""
    if len(small) != len(text):  # a letter with two small ones
        return _IN_WORDS.search(text)
    for word in _SAYING_WHEN.finditer(small):
        match = _IN_WORDS.match(text, word.start())
        if match is not None:
            return match
    return None


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
