"""One page of a dump: `extract_page(content, ...) -> Article | Refusal`. It is pure, and every page
without prose has its reason.

Runs in a child that can be killed (`corpora.guard`): expat and mwparserfromhell's tokenizer are
parsers in C. expat sees one `<page>` element at a time, with no document type before it: no entity
can be declared, so none can be expanded.
"""

import datetime
import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from xml.parsers import expat

from corpora.document import Refusal
from corpora.inputs.complaints import in_words
from corpora.wikipedia.paragraphs import count_words
from corpora.wikipedia.tags import without_opaque, without_tags
from corpora.wikipedia.templates import fold_name
from corpora.wikipedia.wikis.disambiguation import disambiguations
from corpora.wikipedia.wikitext import Style, read_prose

MAX_WIKITEXT_BYTES = 3_000_000
"""Limit of a page's wikitext in UTF-8; MediaWiki's own is 2,097,152. The worst text known of this
size takes 10 s."""

MAX_XML_DEPTH = 20

_REDIRECT = re.compile(
    r"\s*#\s*(?:"
    r"redirect|redirection|redirección|redirecionamento|redirect[a-z]*|weiterleitung|rinvia|"
    r"doorverwijzing|patrz|przekieruj|tam|omdirigering|omdiriger|ohjaus|uudelleenohjaus|"
    r"yönlendirme|přesměruj|átirányítás|pāradresācija|suunav|перенаправление|перенапр|"
    r"перенаправлення|виклик|пренасочване|ανακατευθυνση|リダイレクト|転送|重定向|넘겨주기|تحويل|"
    r"تغییر[_ ]مسیر|הפניה"
    r")\s*:?\s*\[\[",
    re.IGNORECASE,
)

_TEMPLATE_NAME = re.compile(r"\{\{\s*([^{}|\[\]\n<>]{1,80}?)\s*[|}\n]")

_TITLE = re.compile(
    r"\((?:disambiguation|begriffsklärung|homonymie|desambiguación|disambigua|desambiguação"
    r"|doorverwijspagina|ujednoznacznienie|значения|пояснение)\)$",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Article:
    """The prose of a page. `digest`: of its wikitext. `date`: of its revision. The counts are those
    of `corpora.wikipedia.wikitext.Prose`."""

    text: str
    title: str
    page_id: int | None
    revision_id: int | None
    date: datetime.date | None
    digest: str
    left_out: Mapping[str, int] = field(default_factory=dict)
    holes: int = 0
    empty_brackets: int = 0
    unbalanced: int = 0


def extract_page(
    content: bytes,
    *,
    encoding: str,
    style: Style,
    namespaces: tuple[int, ...] = (0,),
    disambiguation: bool = False,
    min_words: int = 0,
) -> tuple[Article | Refusal, str | None]:
    """(the prose of a `<page>` element, or why there is none; the page's title if it is known)."""
    try:
        xml = content.decode(encoding)
    except UnicodeError as error:
        return Refusal("bad_encoding", in_words(error)), None

    fields = _Fields()
    try:
        fields.read(xml)
    except expat.ExpatError as error:
        return _refuse_xml(error, xml), fields.get("title") or None

    # MediaWiki takes underscores and blanks in a title for the same.
    title = " ".join(fields.get("title").replace("_", " ").split())
    return _article(fields, title, style, namespaces, disambiguation, min_words), title or None


def _refuse_xml(error: expat.ExpatError, xml: str) -> Refusal:
    # expat says "mismatched tag: line 1, column 20".
    what, _, place = str(error).partition(": ")
    detail = f"not valid XML at {place}: {what}"[:200]
    undefined_entity = expat.errors.codes[expat.errors.XML_ERROR_UNDEFINED_ENTITY]
    if getattr(error, "code", None) == undefined_entity:
        return Refusal("entity", detail, text=xml[:1000])
    return Refusal("bad_xml", detail, text=xml[:1000])


def _article(
    fields: "_Fields",
    title: str,
    style: Style,
    namespaces: tuple[int, ...],
    disambiguation: bool,
    min_words: int,
) -> Article | Refusal:
    text = fields.get("revision/text")
    refusal = _refuse_page(fields, text, _namespace(fields, title, style), namespaces)
    if refusal is not None:
        return refusal

    reason_to_skip = "" if disambiguation else _disambiguates(title, text, style.language)
    if reason_to_skip:
        return Refusal("disambiguation", reason_to_skip[:200], text=text[:1000])

    prose = read_prose(text, style, title)
    if isinstance(prose, Refusal):
        return prose
    if not prose.text:
        return Refusal("empty", "no prose", text=text[:1000])
    words = count_words(prose.text)
    if words < min_words:
        return Refusal("too_short", f"{words} words", text=prose.text)
    return Article(
        text=prose.text,
        title=title,
        page_id=_number(fields.get("id")),
        revision_id=_number(fields.get("revision/id")),
        date=_date(fields.get("revision/timestamp")),
        digest=hashlib.blake2b(text.encode(), digest_size=16).hexdigest(),
        left_out=prose.left_out,
        holes=prose.holes,
        empty_brackets=prose.empty_brackets,
        unbalanced=prose.unbalanced,
    )


def _namespace(fields: "_Fields", title: str, style: Style) -> int:
    """The number of a page's namespace. A dump made before 2011 tells it by the title alone."""
    number = _number(fields.get("ns"))
    if number is not None:
        return number
    prefix, colon, _ = title.partition(":")
    return style.namespaces.get(prefix.strip().lower(), 0) if colon else 0


def _refuse_page(
    fields: "_Fields", text: str, namespace: int, namespaces: tuple[int, ...]
) -> Refusal | None:
    """Why a page is not an article, whatever its wikitext says; None if it is one."""
    if namespace not in namespaces:
        return Refusal("namespace", str(namespace))
    if fields.redirect is not None or _REDIRECT.match(text):
        return Refusal("redirect", f"to {fields.redirect or text.strip()[:200]}")
    if not text.strip():
        return Refusal("empty", "deleted" if fields.deleted else "no wikitext")
    model = fields.get("revision/model").strip()
    if model not in ("", "wikitext"):
        return Refusal("not_wikitext", model[:100])
    # The first comparison saves the encoding of a huge text.
    if len(text) > MAX_WIKITEXT_BYTES or len(text.encode()) > MAX_WIKITEXT_BYTES:
        detail = f"more than {MAX_WIKITEXT_BYTES:,} bytes of wikitext"
        return Refusal("too_large", detail, text=text[:1000])
    return None


class _Fields:
    """The texts of a page's elements, by their path below `<page>`. Of several revisions the last
    one counts."""

    def __init__(self) -> None:
        self._texts: dict[str, list[str]] = {}
        self._path: list[str] = []
        self.redirect: str | None = None
        self.deleted = False

    def read(self, xml: str) -> None:
        """Raises ExpatError for malformed XML, for entities that XML does not define, and for
        elements deeper than `MAX_XML_DEPTH`."""
        parser = expat.ParserCreate()
        parser.buffer_text = True  # else a text comes in one call per line
        parser.StartElementHandler = self._start
        parser.EndElementHandler = self._end
        parser.CharacterDataHandler = self._characters
        parser.Parse(xml, True)

    def get(self, path: str) -> str:
        return "".join(self._texts.get(path, ()))

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        self._path.append(name.rpartition(":")[2])
        if len(self._path) > MAX_XML_DEPTH:
            raise expat.ExpatError(f"more than {MAX_XML_DEPTH} elements one in the other")
        path = "/".join(self._path[1:])
        if path == "redirect":
            self.redirect = attributes.get("title", "")
        elif path == "revision/text":
            self.deleted = "deleted" in attributes
        self._texts[path] = []

    def _end(self, name: str) -> None:
        self._path.pop()

    def _characters(self, text: str) -> None:
        self._texts["/".join(self._path[1:])].append(text)


def _number(text: str) -> int | None:
    text = text.strip()
    return int(text) if re.fullmatch(r"-?[0-9]{1,18}", text) else None


def _date(timestamp: str) -> datetime.date | None:
    try:
        return datetime.date.fromisoformat(timestamp.strip()[:10])
    except ValueError:
        return None


def _disambiguates(title: str, text: str, language: str) -> str:
    """The sign that a page only tells titles apart; "" if there is none."""
    if _TITLE.search(title):
        return "the title"
    sign = _sign(text, language)
    if sign:
        # What stands in a comment, in nowiki or in a note is no template of the page.
        sign = _sign(without_tags(without_opaque(text)[0])[0], language)
    return sign


def _sign(text: str, language: str) -> str:
    """The switch or template in a wikitext that tells titles apart; "" if there is none."""
    if "__DISAMBIG__" in text:
        return "__DISAMBIG__"
    names = disambiguations(language)
    for match in _TEMPLATE_NAME.finditer(text):
        if fold_name(match[1]) in names:
            return match[1]
    return ""
