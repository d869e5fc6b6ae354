"""The text of an EPUB, by the book's own order: `read_epub(content) -> Epub | Refusal`, pure; nothing
is written, nothing fetched.

    META-INF/container.xml -> package document -> spine: each item once, in order, `linear="no"`
    passed over, (x)html only. Passed over too: the navigation, and what guide, landmarks or
    `epub:type` call cover, title page, contents, copyright page, index; a dedication or epigraph on
    a title page is kept.

A table of contents (NCX) is never followed: its entries with fragments would give a chapter once
for each. Paths are those of the zip alone, relative to the package, percent-decoded, and in any
case where the exact one is not there. A book with DRM is told by META-INF/encryption.xml; fonts
that are only obfuscated are no DRM. XML is parsed without its DTD: entities are replaced before by
HTML's table, unknown ones by nothing. What is not well-formed is read as HTML. Limits count bytes,
elements and levels. Runs in a child that can be killed (corpora.guard): lxml is a parser in C.
"""

import html.entities
import io
import posixpath
import re
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice
from typing import Any
from urllib.parse import unquote

import lxml.etree
import lxml.html

from corpora.books.epub_text import TITLE_PAGES, epub_types, item_text, local_name
from corpora.document import Refusal, Refused
from corpora.inputs.archives import (
    MAX_RATIO,
    ZIP_DAMAGE,
    Counted,
    bomb,
    open_zip,
    read_up_to,
    zip_problem,
)
from corpora.text.charset import decode_page
from corpora.web.page import refuse_attributes

MAX_EPUB_BYTES = 200_000_000
"""Of the file, and of all that is inflated of it."""

MAX_BOOK_CHARACTERS = 50_000_000

MAX_ELEMENTS = 1_000_000
"""Characters `<` of all items: a long novel has 30,000."""

MAX_DEPTH = 1_000

MAX_SPINE = 100_000

_SMALL_BYTES = 20_000_000

_LARGE_CHARACTERS = 20_000

_HEAD = 4096

_HTML_TYPES = frozenset({"application/xhtml+xml", "text/html", "text/x-oeb1-document"})

_FONTS = frozenset({"http://www.idpf.org/2008/embedding", "http://ns.adobe.com/pdf/enc#RC"})

_XML_START = re.compile(r"\s*(?:<\?xml[^>]{0,1000}\?>)?\s*")

_DOCTYPE = re.compile(r"<!DOCTYPE[^>\[]*(?:\[.*?\]\s*)?>", re.IGNORECASE | re.DOTALL)

_ENTITY = re.compile(r"&([A-Za-z][A-Za-z0-9]{1,31});")

_XML_ENTITIES = frozenset({"amp", "lt", "gt", "quot", "apos"})

_NO_XML = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff\ud800-\udfff]")

_EMPTY_TAG = re.compile(
    r"<(?!(?:br|hr|img|link|meta|input|col|wbr|area|base|embed|param|source|track)\b)([A-Za-z][\w:]*)((?:\s[^<>]{0,5000})?)/>",
    re.IGNORECASE,
)

_SKIPPED_ITEMS = frozenset({"cover", "toc", "copyright-page", "index"}) | TITLE_PAGES


@dataclass(frozen=True, slots=True, kw_only=True)
class Epub:
    """`items`: the texts of the spine's items, none empty. `missing`: items that the book names and
    the file does not hold, or holds damaged."""

    items: tuple[str, ...]
    title: str | None = None
    author: str | None = None
    language: str | None = None
    date: str | None = None
    identifier: str | None = None
    missing: int = 0


@dataclass
class _Package:
    """The package document: manifest (id -> path, media type, properties), spine (path),
    metadata."""

    path: str
    items: dict[str, tuple[str, str, str]] = field(default_factory=dict)
    spine: list[str] = field(default_factory=list)
    named: dict[str, str] = field(default_factory=dict)
    unknown: int = 0
    said: dict[str, str | None] = field(default_factory=dict)


class _Files:
    """The members of the zip by path, and what of it has been inflated so far."""

    def __init__(self, archive: zipfile.ZipFile) -> None:
        self._archive, self._left = archive, MAX_EPUB_BYTES
        self._exact: dict[str, zipfile.ZipInfo] = {}
        self._folded: dict[str, zipfile.ZipInfo] = {}
        for info in archive.infolist():
            if info.file_size > 1_000_000 and info.file_size > MAX_RATIO * info.compress_size:
                raise bomb(
                    f"{info.filename[:100]}: {info.file_size:,} bytes out of {info.compress_size:,}"
                )
            self._exact.setdefault(info.filename, info)
            self._folded.setdefault(info.filename.lower(), info)

    def names(self) -> list[str]:
        return list(self._exact)

    def find(self, path: str) -> zipfile.ZipInfo | None:
        return self._exact.get(path) or self._folded.get(path.lower())

    def read(self, path: str, limit: int = MAX_EPUB_BYTES) -> bytes | None:
        """A member's bytes; None where there is no such member or it is damaged. Raises
        `Refused`."""
        info = self.find(path)
        if info is None or info.is_dir():
            return None
        if problem := zip_problem(info):
            raise Refused(Refusal(problem, path[:200]))
        try:
            with self._archive.open(info) as stream:
                content = read_up_to(Counted(stream, info.compress_size), min(limit, self._left))
        except ZIP_DAMAGE:
            return None
        if content is None:
            raise bomb(f"{path[:100]}: more than {min(limit, self._left):,} bytes")
        self._left -= len(content)
        return content


def read_epub(content: bytes, *, footnotes: bool = True) -> Epub | Refusal:
    """The texts of a book, or why there are none."""
    if len(content) > MAX_EPUB_BYTES:
        return Refusal("too_large", f"more than {MAX_EPUB_BYTES:,} bytes")
    try:
        with open_zip(io.BytesIO(content)) as archive:
            return _read(_Files(archive), footnotes)
    except Refused as refused:
        return refused.refusal
    except ZIP_DAMAGE as error:
        return Refusal("damaged", f"{type(error).__name__}: {error}"[:200])


def _read(files: _Files, footnotes: bool) -> Epub | Refusal:
    if files.find("META-INF/encryption.xml") is not None and not _only_fonts(
        files.read("META-INF/encryption.xml", _SMALL_BYTES)
    ):
        return Refusal("encrypted", "META-INF/encryption.xml")
    package = _package(files)
    if package is None:
        return Refusal("not_epub", "no package document")
    texts: list[tuple[str, str]] = []  # what the book calls the item, its text
    missing, elements, size = package.unknown, 0, 0
    for path in package.spine:
        raw = files.read(path)
        if raw is None:
            missing += 1
            continue
        source = _decoded(raw)
        elements += source.count("<")
        tree = _tree(source, elements)
        if tree is None:
            missing += 1
            continue
        kind = package.named.get(path, "")
        text = item_text(tree, footnotes, TITLE_PAGES if kind in TITLE_PAGES else frozenset())
        size += len(text)
        if size > MAX_BOOK_CHARACTERS:
            return Refusal("too_large", f"more than {MAX_BOOK_CHARACTERS:,} characters")
        texts.append((kind, text))
    # what holds a third of a long book is the book, whatever a guide calls it
    kept = [
        text
        for kind, text in texts
        if text
        and (
            kind not in _SKIPPED_ITEMS - TITLE_PAGES
            or (len(text) > _LARGE_CHARACTERS and 3 * len(text) > size)
        )
    ]
    if not kept:
        return Refusal(
            "empty",
            f"{missing} items are missing" if missing else "no text in the items of its spine",
        )
    return Epub(items=tuple(kept), missing=missing, **package.said)


def _only_fonts(content: bytes | None) -> bool:
    """Whether encryption.xml names nothing but obfuscated fonts."""
    tree = _tree(_decoded(content), 0) if content else None
    methods = (
        [element.get("Algorithm") for element in _elements(tree, "encryptionmethod")]
        if tree is not None
        else []
    )
    data = len(list(_elements(tree, "encrypteddata"))) if tree is not None else 0
    return data > 0 and len(methods) == data and all(method in _FONTS for method in methods)


def _package(files: _Files) -> _Package | None:
    """The package that the container names, or the only one that is there."""
    container = files.read("META-INF/container.xml", _SMALL_BYTES)
    tree = _tree(_decoded(container), 0) if container else None
    roots = (
        [element.get("full-path") for element in _elements(tree, "rootfile")]
        if tree is not None
        else []
    )
    paths = [_inside("", root) for root in roots if root] or [
        name for name in files.names() if name.lower().endswith(".opf")
    ]
    for path in paths[:10]:
        content = files.read(path, _SMALL_BYTES) if path else None
        if (
            content
            and path
            and (tree := _tree(_decoded(content), 0)) is not None
            and next(_elements(tree, "spine"), None) is not None
        ):
            return _parse_package(files, path, tree)
    return None


def _parse_package(files: _Files, path: str, tree: Any) -> _Package:
    package = _Package(path)
    for item in _elements(tree, "item"):
        if item.get("id") and item.get("href"):
            inside = _inside(path, item.get("href"))
            media = (item.get("media-type") or "").split(";")[0].strip().lower()
            package.items.setdefault(item.get("id"), (inside, media, item.get("properties") or ""))
    seen: set[str] = set()
    for reference in islice(_elements(tree, "itemref"), MAX_SPINE):
        if (reference.get("linear") or "").strip().lower() == "no":
            continue
        inside, media, properties = package.items.get(reference.get("idref") or "", ("", "", ""))
        if not inside:
            package.unknown += 1
        elif (
            media in _HTML_TYPES and "nav" not in properties.split() and inside.lower() not in seen
        ):
            seen.add(inside.lower())
            package.spine.append(inside)
    package.named = _named(files, package, tree)
    package.said = _metadata(tree)
    return package


def _named(files: _Files, package: _Package, tree: Any) -> dict[str, str]:
    """What guide and landmarks call whole items; a reference to a place inside one says nothing of
    the rest."""
    found: dict[str, str] = {}
    for reference in _elements(tree, "reference"):
        _name(found, package.path, reference.get("href"), (reference.get("type") or "").lower())
    for inside, _, properties in package.items.values():
        raw = files.read(inside, _SMALL_BYTES) if "nav" in properties.split() else None
        nav = _tree(_decoded(raw), 0) if raw else None
        if nav is not None:
            for block in _elements(nav, "nav"):
                for link in _elements(block, "a") if "landmarks" in epub_types(block) else ():
                    for kind in epub_types(link):
                        _name(found, inside, link.get("href"), kind)
            break
    return found


def _name(found: dict[str, str], base: str, href: str | None, kind: str) -> None:
    if href and "#" not in href and kind in _SKIPPED_ITEMS and (inside := _inside(base, href)):
        found.setdefault(inside, kind)


def _metadata(tree: Any) -> dict[str, str | None]:
    def texts(name: str) -> list[Any]:
        return [element for element in _elements(tree, name) if _words(element)]

    creators = [
        element
        for element in texts("creator")
        if (element.get("{http://www.idpf.org/2007/opf}role") or element.get("opf:role") or "aut")
        == "aut"
    ]
    dates = [
        element
        for element in texts("date")
        if (
            element.get("{http://www.idpf.org/2007/opf}event")
            or element.get("opf:event")
            or "publication"
        )
        == "publication"
    ]
    first = {
        name: next((_words(element) for element in found), None)
        for name, found in (
            ("title", texts("title")),
            ("language", texts("language")),
            ("date", dates),
        )
    }
    identifiers = [_words(element) for element in texts("identifier")]
    return {
        **first,
        "author": ", ".join(dict.fromkeys(_words(element) for element in creators))[:500] or None,
        "identifier": identifiers[0] if identifiers else None,
    }


def _words(element: Any) -> str:
    return " ".join("".join(islice(element.itertext(), 100)).split())[:500]


def _elements(tree: Any, name: str) -> Iterator[Any]:
    """The elements of a local name, in any namespace and case."""
    return (element for element in tree.iter() if local_name(element) == name)


def _inside(base: str, href: str) -> str:
    """The path in the zip that `href`, in the file `base`, means; "" for one that leaves it or is
    an address."""
    href = href.strip().partition("#")[0]
    if re.match(r"[A-Za-z][A-Za-z0-9+.-]*:", href):
        return ""
    path = posixpath.normpath(
        posixpath.join(posixpath.dirname(base), unquote(href).replace("\\", "/"))
    )
    return "" if path in (".", "..") or path.startswith(("../", "/")) or "\0" in path else path


def _decoded(content: bytes) -> str:
    """The text of an XML or HTML file; where no evidence decodes it, UTF-8 with replacement
    characters."""
    decoded = decode_page(content)
    return decoded.text if decoded is not None else content.decode("utf-8", "replace")


def _tree(source: str, elements: int) -> Any | None:
    """The parsed root; None where nothing can be parsed. `elements`: of the book so far. Raises
    `Refused` past the limits."""
    if max(elements, source.count("<")) > MAX_ELEMENTS:
        raise Refused(Refusal("too_many_elements", f"more than {MAX_ELEMENTS:,} tags"))
    if (refusal := refuse_attributes(source)) is not None:
        raise Refused(refusal)
    source = _NO_XML.sub("", source)
    source = source[_XML_START.match(source).end() :]  # type: ignore[union-attr]
    if (doctype := source[:_HEAD].upper().find("<!DOCTYPE")) >= 0 and (
        found := _DOCTYPE.match(source, doctype)
    ):
        source = source[:doctype] + source[found.end() :]
    source = _ENTITY.sub(_character, source)
    parser = lxml.etree.XMLParser(
        resolve_entities=False,
        load_dtd=False,
        no_network=True,
        huge_tree=True,
        remove_comments=True,
        remove_pis=True,
        encoding="utf-8",
    )
    try:
        tree = lxml.etree.fromstring(source.encode(), parser)
    except lxml.etree.XMLSyntaxError:
        tree = _html(source)
    depth, level = 0, [tree] if tree is not None else []
    while level:
        depth += 1
        if depth > MAX_DEPTH:
            raise Refused(Refusal("too_deep", f"more than {MAX_DEPTH:,} elements one in the other"))
        level = [child for element in level for child in element]
    return tree


def _html(source: str) -> Any | None:
    parser = lxml.html.HTMLParser(
        encoding="utf-8", remove_comments=True, remove_pis=True, huge_tree=True, no_network=True
    )
    try:
        return lxml.html.document_fromstring(
            _EMPTY_TAG.sub(r"<\1\2></\1>", source).encode(), parser=parser
        )
    except (lxml.etree.LxmlError, ValueError, AssertionError):
        return None


def _character(match: re.Match[str]) -> str:
    if match[1] in _XML_ENTITIES:
        return match[0]
    return html.entities.html5.get(match[1] + ";", "").replace("&", "&amp;").replace("<", "&lt;")
