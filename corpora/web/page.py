"""A web page, the settings of its extraction, and the limits that refuse one before it is parsed.

The limits decide what becomes a document, so they count bytes, tags and attributes: time and memory
differ between machines. Each limit is several times what real news pages have, and together they
refuse every known hostile page that takes more than a few seconds.
"""

import datetime
import re
from dataclasses import dataclass

from corpora.document import Refusal

MAX_PAGE_BYTES = 2_000_000
"""Bytes of a page after every encoding is undone; 99 % of real news pages have under 1.1 MB."""

MAX_TAGS = 60_000
"""Characters `<` of a page: real pages have up to 7,800, and trafilatura takes 9 s for 100,000
paragraphs."""

MAX_ATTRIBUTES = 5_000
"""Attributes of one tag: libxml2's work grows with their square, 18 s for 100,000."""

PAGE_PACKAGES = (
    "brotli",
    "courlan",
    "htmldate",
    "jusText",
    "langdetect",
    "lxml",
    "pycld2",
    "trafilatura",
)
"""Distributions whose versions decide what is read from a page."""

EXTRACTOR = "corpora.web.extract:extract_page"
"""The function that a guard's child runs: lxml is imported there alone."""

MIN_CHARACTERS = 200
"""A page with less text than this is usually navigation and captions."""

_HTML_TYPES = ("text/html", "application/xhtml+xml")

_BINARY = re.compile(
    rb"%PDF-|\x89PNG|GIF8[79]a|\xff\xd8\xff|PK\x03\x04|RIFF....WEBP|\x00\x00\x01\x00|ID3|OggS"
    rb"|\x1f\x8b|wOF[F2]|BZh|Rar!|\xd0\xcf\x11\xe0|.{4}ftyp",
    re.DOTALL,
)
"""The first bytes of pictures, sounds, archives and documents that servers send as pages."""

_PROLOGUE = re.compile(
    rb"\s+|<!--.*?-->|<\?[^>]*>|<!DOCTYPE\s+rss[^>]*>", re.IGNORECASE | re.DOTALL
)
"""What may stand before the first element."""

_FEED = re.compile(rb"<(?:rss|feed|urlset|sitemapindex|rdf:RDF|opml)[\s>]", re.IGNORECASE)

_START_BYTES = 4096
"""Bytes in which a page shows its first tag."""

_UNTYPED_START_BYTES = 1024
"""The same for a page without a content type, which must look more like one."""

_MARKUP = re.compile(
    rb"<(?:!doctype\s+html|html|head|body|title|meta|div|p|article|h1|table|a|span|br|script)"
    rb"[\s>/]",
    re.IGNORECASE,
)

_NOT_PAGES = re.compile(
    r"\.(?:jpe?g|png|gif|webp|svg|ico|css|js|json|xml|rss|atom|pdf|docx?|xlsx?|pptx?|zip|gz|rar"
    r"|mp[34]|avi|mov|wmv|woff2?)$",
    re.IGNORECASE,
)
"""Endings of addresses that lead to no page."""

_WIDE = re.compile(rb"\xff\xfe|\xfe\xff|[^\x00]\x00[^\x00]\x00|\x00[^\x00]\x00[^\x00]")
"""UTF-16, with or without its byte order mark."""

_CONTROL = bytes(byte for byte in range(32) if byte not in b"\t\n\r\f\x1b")

_TAG = re.compile(r"""<[a-zA-Z][^>"']*(?:(?:"[^"]*"|'[^']*')[^>"']*)*""")

_QUOTED = re.compile(r""""[^"]*"|'[^']*'""")

_LONG_TAG = 10_000
"""Characters: no shorter tag can hold `MAX_ATTRIBUTES` different attributes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PageSettings:
    """What a source tells the extractor about all of its pages."""

    language: str = "any"
    """Pages in another language are refused; a langdetect code, or any."""
    min_characters: int = MIN_CHARACTERS
    """Pages with less text are refused."""
    fast: bool = True
    """trafilatura's `fast`: no comparison with two other extractors."""
    precision: bool = False
    """trafilatura's `favor_precision`."""
    accelerated: bool = True
    """Run the faster steps of corpora.web.fast_trafilatura, which change no character."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """The text of a page and what the page says about itself; unknown is None.

    `canonical` is the address that the page gives itself. `charset` and `evidence` say how the
    bytes were decoded. `replaced` counts characters U+FFFD; `mojibake` counts places that look
    decoded twice (`â€™`), which stay as they are.
    """

    text: str
    title: str | None
    date: datetime.date | None
    canonical: str | None
    language: str
    charset: str
    evidence: str
    replaced: int = 0
    mojibake: int = 0

    def notes(self) -> dict[str, str | int]:
        """The part of `Document.extra` that describes the page; empty values are left out."""
        notes: dict[str, str | int | None] = {
            "canonical": self.canonical,
            "charset": self.charset,
            "evidence": self.evidence,
            "replaced": self.replaced,
            "mojibake": self.mojibake,
        }
        return {name: value for name, value in notes.items() if value}


def refuse(content: bytes, content_type: str = "", url: str | None = None) -> Refusal | None:
    """Why these bytes cannot be a page, without parsing them; None when they may be one."""
    if not content.strip():
        return Refusal("empty", "no body")
    if len(content) > MAX_PAGE_BYTES:
        return Refusal("too_large", f"more than {MAX_PAGE_BYTES:,} bytes")

    # A page without a content type must show a tag of HTML instead, below.
    mime = content_type.partition(";")[0].strip().lower()
    if mime and mime not in _HTML_TYPES:
        return Refusal("not_html", mime[:100])

    suffix = _NOT_PAGES.search(_last_segment(url)) if url is not None else None
    if suffix:
        return Refusal("not_html", f"the address ends in {suffix[0]}")

    # Servers call pictures and archives pages, so the first bytes decide.
    magic = _BINARY.match(content)
    if magic:
        return Refusal("binary", repr(magic[0][:8]))

    # Feeds and lists of addresses would parse as pages of many short texts.
    start = content[:_START_BYTES]
    if _FEED.match(start, _prologue_end(start)):
        return Refusal("feed")

    # In UTF-16 half of the bytes are NUL, and no tag is found byte by byte.
    if _WIDE.match(content):
        return None
    controls = len(content) - len(content.translate(None, _CONTROL))
    if controls > len(content) // 5:
        return Refusal("binary", "more than a fifth are control characters")
    if not _MARKUP.search(start if mime else start[:_UNTYPED_START_BYTES]):
        return Refusal("not_html", "no tag of a page in its beginning")
    return None


def _last_segment(url: str) -> str:
    """The file name in an address, without query and fragment."""
    return url.partition("?")[0].partition("#")[0].rpartition("/")[2]


def _prologue_end(start: bytes) -> int:
    """The offset of the first element, after white space, comments and declarations."""
    at = 0
    while prologue := _PROLOGUE.match(start, at):
        at = prologue.end()
    return at


def refuse_tags(text: str) -> Refusal | None:
    """Why a decoded page has too much markup to be parsed in seconds; None when it has not."""
    tags = text.count("<")
    if tags > MAX_TAGS:
        return Refusal("too_many_elements", f"{tags:,} tags")
    return refuse_attributes(text)


def refuse_attributes(text: str) -> Refusal | None:
    """Why one tag of a decoded page has too many attributes; None when none has."""
    # Nearly every page ends here: its longest tag is short.
    if max(map(len, _TAG.findall(text)), default=0) <= _LONG_TAG:
        return None

    for tag in _TAG.finditer(text):
        if len(tag[0]) <= _LONG_TAG:
            continue
        # Only different names count: what reads as a tag inside a script repeats its commas and
        # colons, and costs libxml2 nothing.
        names = set(_QUOTED.sub(" ", tag[0]).split())
        if len(names) > MAX_ATTRIBUTES:
            return Refusal(
                "too_many_attributes", f"more than {MAX_ATTRIBUTES:,} different ones in one tag"
            )
    return None
