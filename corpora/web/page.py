"""What a page is, and the limits that refuse one before anything parses it, counted in its bytes.

They decide, so they are counts: time and memory differ between machines. Each is several times what
real news pages have, and together they refuse every hostile page known to take more than a few
seconds.
"""

import datetime
import re
from dataclasses import dataclass
from typing import Any

from corpora.document import Refusal

MAX_PAGE_BYTES = 2_000_000
"""Bytes of a page after every encoding is taken off; of real news pages 99 % have fewer than 1.1
MB."""

MAX_TAGS = 60_000
"""Characters `<` of a page: real pages have up to 7,800; 100,000 paragraphs take trafilatura 9
s."""

MAX_ATTRIBUTES = 5_000
"""Attributes of one tag: libxml2's work is their square, 18 s for 100,000."""

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

MIN_CHARACTERS = 200
"""Characters of text below which a page is navigation and captions, as a rule."""

_HTML_TYPES = ("text/html", "application/xhtml+xml")

_BINARY = re.compile(
    rb"%PDF-|\x89PNG|GIF8[79]a|\xff\xd8\xff|PK\x03\x04|RIFF....WEBP|\x00\x00\x01\x00|ID3|OggS|\x1f\x8b|wOF[F2]|BZh|Rar!|\xd0\xcf\x11\xe0|.{4}ftyp",
    re.DOTALL,
)

_PROLOGUE = re.compile(
    rb"\s+|<!--.*?-->|<\?[^>]*>|<!DOCTYPE\s+rss[^>]*>", re.IGNORECASE | re.DOTALL
)

_FEED = re.compile(rb"<(?:rss|feed|urlset|sitemapindex|rdf:RDF|opml)[\s>]", re.IGNORECASE)

_START_BYTES = 4096

_MARKUP = re.compile(
    rb"<(?:!doctype\s+html|html|head|body|title|meta|div|p|article|h1|table|a|span|br|script)[\s>/]",
    re.IGNORECASE,
)

_NOT_PAGES = re.compile(
    r"\.(?:jpe?g|png|gif|webp|svg|ico|css|js|json|xml|rss|atom|pdf|docx?|xlsx?|pptx?|zip|gz|rar|mp[34]|avi|mov|wmv|woff2?)$",
    re.IGNORECASE,
)

_WIDE = re.compile(
    rb"\xff\xfe|\xfe\xff|[^\x00]\x00[^\x00]\x00|\x00[^\x00]\x00[^\x00]"
)  # UTF-16, told with or without its mark

_CONTROL = bytes(byte for byte in range(32) if byte not in b"\t\n\r\f\x1b")

_TAG = re.compile(r"""<[a-zA-Z][^>"']*(?:(?:"[^"]*"|'[^']*')[^>"']*)*""")

_QUOTED = re.compile(r""""[^"]*"|'[^']*'""")

_LONG_TAG = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """`mojibake`: places that look decoded twice (`â€™`), counted and left as they are. `replaced`:
    characters U+FFFD."""

    text: str
    title: str | None
    date: datetime.date | None
    canonical: str | None
    language: str
    charset: str
    evidence: str
    replaced: int = 0
    mojibake: int = 0

    def notes(self) -> dict[str, Any]:
        """What a document keeps of it in `extra`, where there is anything to keep."""
        kept = {
            name: getattr(self, name)
            for name in ("canonical", "charset", "evidence", "replaced", "mojibake")
        }
        return {name: value for name, value in kept.items() if value}


def refuse(content: bytes, content_type: str = "", url: str | None = None) -> Refusal | None:
    """Why these bytes are no page to look at, told without parsing; None: they may be one."""
    if not content.strip():
        return Refusal("empty", "no body")
    if len(content) > MAX_PAGE_BYTES:
        return Refusal("too_large", f"more than {MAX_PAGE_BYTES:,} bytes")
    mime = content_type.partition(";")[0].strip().lower()
    if mime and mime not in _HTML_TYPES:
        return Refusal("not_html", mime[:100])
    if url is not None and (
        suffix := _NOT_PAGES.search(url.partition("?")[0].partition("#")[0].rpartition("/")[2])
    ):
        return Refusal("not_html", f"the address ends in {suffix[0]}")
    if magic := _BINARY.match(content):
        return Refusal("binary", repr(magic[0][:8]))
    start = content[:_START_BYTES]
    at = 0
    while prologue := _PROLOGUE.match(start, at):
        at = prologue.end()
    if _FEED.match(start, at):
        return Refusal("feed")
    wide = _WIDE.match(content) is not None
    if not wide:
        if len(content) - len(content.translate(None, _CONTROL)) > len(content) // 5:
            return Refusal("binary", "more than a fifth are control characters")
        if not _MARKUP.search(start if mime else start[:1024]):
            return Refusal("not_html", "no tag of a page in its beginning")
    return None


def refuse_tags(text: str) -> Refusal | None:
    """Why a decoded page has too much markup to be parsed in seconds; None: it has not."""
    if (tags := text.count("<")) > MAX_TAGS:
        return Refusal("too_many_elements", f"{tags:,} tags")
    return refuse_attributes(text)


def refuse_attributes(text: str) -> Refusal | None:
    """Why a tag of a decoded page has too many attributes; None: none has."""
    if max(map(len, _TAG.findall(text)), default=0) <= _LONG_TAG:
        return None
    for tag in _TAG.finditer(text):
        start, end = tag.span()
        # different names: what reads as a tag inside a script repeats its commas and colons, and
        # costs libxml2 nothing
        if end - start > _LONG_TAG and len(set(_QUOTED.sub(" ", tag[0]).split())) > MAX_ATTRIBUTES:
            return Refusal(
                "too_many_attributes",
                f"more than {MAX_ATTRIBUTES:,} different ones in one tag",
            )
    return None
