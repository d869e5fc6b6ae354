"""A web page, the settings of its extraction, and the limits that refuse one before it is parsed.

The limits decide what becomes a document, so they count bytes, tags and attributes: time and memory
differ between machines. Each limit is several times what real news pages have, and together they
refuse every known hostile page that takes more than a few seconds.
"""

import datetime
import re
from dataclasses import dataclass
from typing import Literal, TypeAlias

from corpora.document import Refusal

MAX_PAGE_BYTES = 16_000_000
"""Bytes of a page after every encoding is undone; of 1,023 pages of 2025 the largest has 5.3 MB,
most of it scripts and their data."""

MAX_MARKUP = 6_000_000
"""Characters of a page without what costs an extractor nothing (`lightened`): scripts, styles,
pictures written into the page. Of the same pages the largest has 3 MB."""

MAX_ELEMENTS = 60_000
"""Elements of a page without those: real pages have up to 16,000, and trafilatura takes 9 s for
100,000 paragraphs."""

_HEAVY = 200_000
"""Characters of a page that is lightened before its elements are counted."""

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
    "Resiliparse",
    "trafilatura",
    "zstandard",
)
"""Distributions whose versions decide what is read from a page."""

Extraction: TypeAlias = Literal["cascade", "fast", "default"]
"""The ways to find the text of a page."""

EXTRACTOR = "corpora.web.extract:extract_page"
"""The function that a guard's child runs: lxml is imported there alone."""

MIN_CHARACTERS = 200
"""A page with less text than this is usually navigation and captions."""

_NEVER_HTML = re.compile(
    r"(?:image|audio|video|font)/|text/(?:plain|css|csv|calendar|javascript|vcard|markdown|rtf)\b"
    r"|application/(?:pdf|(?:x-)?javascript|json|ld\+json|zip|gzip|x-gzip|msword|vnd\.|rss|atom|rdf"
    r"|x-shockwave-flash|x-rar|x-tar|x-7z|epub|rtf|x-bzip|wasm|x-font|font)"
)
"""Types, in lower case, of which a browser shows no page, whatever the bytes look like."""

_TYPES = re.compile(r"[^\s,;]+")

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

_LATE_BYTES = 65_536
"""The same where blanks, comments or text stand before the markup."""

_UNTYPED_START_BYTES = 1024
"""The same for a page without a content type, which must look more like one."""

_PAGE_START = re.compile(
    rb"(?:\xef\xbb\xbf)?\s{0,4096}<(?:!doctype\s+html|html|head|body|title|meta|div|p|h1|table"
    rb"|script|a|link|style|span|section|article|main|header|center|font|!--)[\s>/-]",
    re.IGNORECASE,
)
"""How a page begins that no header calls HTML."""

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
    extraction: Extraction = "cascade"
    """How much work finds the text (corpora.web.cascade)."""
    precision: bool = False
    """trafilatura's `favor_precision`."""
    ftfy: bool = False
    """Repair mojibake with the package ftfy, in the decoded page."""
    accelerated: bool = True
    """Run the faster steps of corpora.web.fast_trafilatura, which change no character."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """The text of a page and what the page says about itself; unknown is None.

    `canonical` is the address that the page gives itself. `charset` and `evidence` say how the
    bytes were decoded. `replaced` counts characters U+FFFD; `mojibake` counts places of the text
    that look decoded twice (`â€™`), which stay as they are where ftfy is not asked for.
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

    # The header is a hint; where it names no type that can be a page, the bytes decide.
    mime = declared_type(content_type)
    if mime and mime != "html" and _NEVER_HTML.match(mime):
        return Refusal("not_html", mime[:100])

    # The wide bytes of UTF-16 show no tag.
    start = content[:_START_BYTES]
    begin = _prologue_end(start)
    begins_as_page = bool(_PAGE_START.match(start, begin) or _WIDE.match(content))
    if mime not in ("", "html") and not begins_as_page:
        return Refusal("not_html", mime[:100])
    suffix = _NOT_PAGES.search(_last_segment(url)) if url is not None else None
    if suffix and not begins_as_page:
        return Refusal("not_html", f"the address ends in {suffix[0]}")

    # Servers call pictures and archives pages, so the first bytes decide.
    magic = _BINARY.match(content)
    if magic:
        return Refusal("binary", repr(magic[0][:8]))

    # Feeds and lists of addresses would parse as pages of many short texts.
    if _FEED.match(start, begin):
        return Refusal("feed")

    # In UTF-16 half of the bytes are NUL, and no tag is found byte by byte.
    if _WIDE.match(content):
        return None
    controls = len(content) - len(content.translate(None, _CONTROL))
    if controls > len(content) // 5:
        return Refusal("binary", "more than a fifth are control characters")
    shown = content[: _LATE_BYTES if mime else _UNTYPED_START_BYTES]
    if not begins_as_page and not _MARKUP.search(shown):
        return Refusal("not_html", "no tag of a page in its beginning")
    return None


def declared_type(content_type: str) -> str:
    """The type that a header names, in lower case: "html" for any spelling of it, "" where it names
    none that a browser would heed (`*/*`, `unknown/unknown`, `html` and the like).

    Servers write quotation marks, forget the semicolon, double the value, or list several.
    """
    lower = content_type.lower()
    if "text/html" in lower or "application/xhtml" in lower:
        return "html"
    found = _TYPES.search(lower)
    mime = found[0].strip("\"':") if found else ""
    is_type = "/" in mime and "*" not in mime and not mime.startswith("unknown/")
    return mime if is_type else ""


def _last_segment(url: str) -> str:
    """The file name in an address, without query and fragment; "" where the path is empty."""
    path = url.partition("?")[0].partition("#")[0].partition("://")[2]
    return path.rpartition("/")[2] if "/" in path else ""


def _prologue_end(start: bytes) -> int:
    """The offset of the first element, after white space, comments and declarations."""
    at = 0
    while prologue := _PROLOGUE.match(start, at):
        at = prologue.end()
    return at


def refuse_tags(text: str) -> Refusal | None:
    """Why a page, decoded and lightened, has too much markup to be parsed in seconds; None when it
    has not."""
    if len(text) > MAX_MARKUP:
        return Refusal("too_large", f"{len(text):,} characters without scripts and pictures")
    elements = text.count("<") - text.count("</")
    if elements > MAX_ELEMENTS:
        return Refusal("too_many_elements", f"{elements:,} elements")
    return refuse_attributes(text)


def lightened(text: str) -> str:
    """A large page without what holds no text: the insides of scripts (but JSON-LD, which may hold
    the article), of styles and of drawings, long attributes with data, and comments.

    Pages of less than `_HEAVY` characters stay as they are. Time is linear in the page: an element
    that is never closed stays, with all that follows.
    """
    if len(text) <= _HEAVY:
        return text

    parts: list[str] = []
    at = 0
    while opened := _WITHOUT_TEXT.search(text, at):
        name = (opened[1] or "").lower()
        closed = _ENDS[name].search(text, opened.end())
        if closed is None:
            break
        if not name:
            begin, stop = opened.start(), closed.end()
        else:
            begin, stop = opened.end(), closed.start()
        # JSON-LD may hold the article.
        keeps = name == "script" and "ld+json" in opened[0]
        parts.append(text[at : stop if keeps else begin])
        at = stop
    parts.append(text[at:])
    return _DATA.sub(r"\1", "".join(parts))


_WITHOUT_TEXT = re.compile(r"<!--|<(script|style|svg)(?:\s[^<>]{0,2000})?>", re.IGNORECASE)

_ENDS = {
    "": re.compile("-->"),
    "script": re.compile("</script", re.IGNORECASE),
    "style": re.compile("</style", re.IGNORECASE),
    "svg": re.compile("</svg", re.IGNORECASE),
}

_DATA = re.compile(
    r"""(=\s{0,9}["']?data:[a-z/+;=0-9-]{0,60},)[A-Za-z0-9+/=%._~-]{100,}""", re.IGNORECASE
)


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
