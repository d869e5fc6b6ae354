"""The text of an EPUB, in the book's own order: `read_epub(content) -> Epub | Refusal`. It is pure:
nothing is written, nothing is fetched.

    META-INF/container.xml -> package document -> spine: each item once, in order, without those of
    `linear="no"`, (x)html only. Skipped are the navigation, and what guide, landmarks or
    `epub:type` call cover, title page, contents, copyright page or index. A dedication or epigraph
    on a title page is kept.

A table of contents (NCX) is never followed: its entries with fragments would give a chapter once
for each. Paths are those of the zip alone, relative to the package, percent-decoded, and in any
case if the exact one is missing. META-INF/encryption.xml tells a book with DRM; fonts that are only
obfuscated are no DRM. XML is parsed without its DTD: entities are replaced before by HTML's table,
and unknown ones are removed. What is not well-formed is read as HTML. Limits count bytes, elements
and levels. Runs in a child that can be killed (`corpora.guard`): lxml is a parser in C.
"""

import html.entities
import io
import posixpath
import re
import unicodedata
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice
from typing import TypedDict
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
from corpora.inputs.complaints import in_words
from corpora.text.charset import decode_page
from corpora.web.page import refuse_attributes

MAX_EPUB_BYTES = 200_000_000
"""Limit of the file, and of all its inflated members together."""

MAX_BOOK_CHARACTERS = 50_000_000

MAX_ELEMENTS = 1_000_000
"""Limit of the characters `<` in all items; a long novel has 30,000."""

MAX_DEPTH = 1_000

MAX_SPINE = 100_000

MAX_FALLBACKS = 10
"""Items that stand in for one another."""

_SMALL_BYTES = 20_000_000

_LARGE_CHARACTERS = 20_000

_HEAD = 4096

_HTML_TYPES = frozenset({"application/xhtml+xml", "text/html", "text/x-oeb1-document"})

_MAYBE_TEXT = re.compile(r"html|xml$|text/(?:plain|xml)$|octet-stream|^$")

_NO_TEXT = frozenset({"application/x-dtbncx+xml", "application/smil+xml", "image/svg+xml"})

_FONTS = frozenset({"http://www.idpf.org/2008/embedding", "http://ns.adobe.com/pdf/enc#RC"})

_XML_START = re.compile(r"\s*(?:<\?xml[^>]{0,1000}\?>)?\s*")

_DOCTYPE = re.compile(r"<!DOCTYPE[^>\[]*(?:\[.*?\]\s*)?>", re.IGNORECASE | re.DOTALL)

_ENTITY = re.compile(r"&([A-Za-z][A-Za-z0-9]{1,31});")

_XML_ENTITIES = frozenset({"amp", "lt", "gt", "quot", "apos"})

_NO_XML = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff\ud800-\udfff]")

_EMPTY_TAG = re.compile(
    r"<(?!(?:br|hr|img|link|meta|input|col|wbr|area|base|embed|param|source|track)\b)"
    r"([A-Za-z][\w:]*)((?:\s[^<>]{0,5000})?)/>",
    re.IGNORECASE,
)

_SKIPPED_ITEMS = frozenset({"cover", "toc", "copyright-page", "index"}) | TITLE_PAGES


@dataclass(frozen=True, slots=True, kw_only=True)
class Epub:
    """A book. `items`: the texts of the spine's items, none empty. `missing`: how many items the
    book names that the file does not hold, or holds damaged."""

    items: tuple[str, ...]
    title: str | None = None
    author: str | None = None
    language: str | None = None
    date: str | None = None
    identifier: str | None = None
    missing: int = 0


@dataclass(frozen=True, slots=True)
class _Item:
    """An item of the manifest: its path in the zip, its media type, its properties, the id of the
    item that stands in for it."""

    path: str
    media: str
    properties: tuple[str, ...]
    fallback: str = ""


class _Metadata(TypedDict):
    title: str | None
    language: str | None
    date: str | None
    author: str | None
    identifier: str | None


@dataclass
class _Package:
    """The package document. `spine`: paths, in order; `unknown`: items of the spine that are not in
    the manifest; `names`: what guide and landmarks call an item, by its path."""

    path: str
    metadata: _Metadata
    items: dict[str, _Item] = field(default_factory=dict)
    spine: list[str] = field(default_factory=list)
    names: dict[str, str] = field(default_factory=dict)
    unknown: int = 0


class _Files:
    """The members of the zip by path, and how many bytes may still be inflated."""

    def __init__(self, archive: zipfile.ZipFile) -> None:
        self._archive = archive
        self._left = MAX_EPUB_BYTES
        self._exact: dict[str, zipfile.ZipInfo] = {}
        self._folded: dict[str, zipfile.ZipInfo] = {}
        for info in archive.infolist():
            if info.file_size > 1_000_000 and info.file_size > MAX_RATIO * info.compress_size:
                raise bomb(
                    f"{info.filename[:100]}: {info.file_size:,} bytes out of {info.compress_size:,}"
                )
            # Of two members with one name the first counts, whatever order a reader prefers.
            self._exact.setdefault(info.filename, info)
        for info in archive.infolist():
            for name in _spellings(info.filename):
                self._folded.setdefault(name, info)

    def names(self) -> list[str]:
        return list(self._exact)

    def find(self, path: str) -> zipfile.ZipInfo | None:
        """The member that a path means, in any case, form of Unicode or escaping."""
        found = self._exact.get(path) or self._folded.get(_folded(path))
        return found or self._folded.get(_folded(unquote(path)))  # escaped twice

    def read(self, path: str, limit: int = MAX_EPUB_BYTES) -> bytes | None:
        """A member's bytes; None if there is no such member or it is damaged. Raises `Refused`."""
        info = self.find(path)
        if info is None or info.is_dir():
            return None
        problem = zip_problem(info)
        if problem:
            raise Refused(Refusal(problem, path[:200]))
        limit = min(limit, self._left)
        try:
            with self._archive.open(info) as stream:
                content = read_up_to(Counted(stream, info.compress_size), limit)
        except ZIP_DAMAGE:
            return None
        if content is None:
            raise bomb(f"{path[:100]}: more than {limit:,} bytes")
        self._left -= len(content)
        return content


_NAME_ENCODINGS = ("cp866", "cp1252", "cp1251", "gb18030", "cp932", "cp949")
"""What zippers of other countries write names in, without a flag that tells it."""


def _folded(name: str) -> str:
    """A name as it is compared: in lower case, composed."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).lower())


def _spellings(name: str) -> Iterator[str]:
    """The names, folded, that a package may mean by a member of this name: its own, that in UTF-8
    or an older encoding where a zipper did not flag it, and each of them unescaped. `./a` is
    `a`."""
    names = [name]
    for encoding in ("utf-8", *_NAME_ENCODINGS):
        try:
            names.append(name.encode("cp437").decode(encoding))
        except UnicodeError:
            continue
    for spelling in names:
        path = posixpath.normpath(spelling.replace("\\", "/"))
        yield _folded(path)
        yield _folded(unquote(path))


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
        return Refusal("damaged", in_words(error))


def _read(files: _Files, footnotes: bool) -> Epub | Refusal:
    encryption = "META-INF/encryption.xml"
    if files.find(encryption) is not None and not _only_fonts(files.read(encryption, _SMALL_BYTES)):
        return Refusal("encrypted", "META-INF/encryption.xml")
    package = _package(files)
    if package is None:
        return Refusal("not_epub", "no package document")

    texts: list[tuple[str, str]] = []  # (what the book calls the item, its text)
    missing = package.unknown
    elements = size = 0
    for path in package.spine:
        raw = files.read(path)
        source = _decoded(raw) if raw is not None else ""
        elements += source.count("<")
        tree = _tree(source, elements) if raw is not None else None
        if tree is None:
            missing += 1
            continue
        name = package.names.get(path, "")
        text = item_text(tree, footnotes, TITLE_PAGES if name in TITLE_PAGES else frozenset())
        size += len(text)
        if size > MAX_BOOK_CHARACTERS:
            return Refusal("too_large", f"more than {MAX_BOOK_CHARACTERS:,} characters")
        texts.append((name, text))

    kept = tuple(text for name, text in texts if text and _is_kept(name, len(text), size))
    if not kept:
        detail = "no text in the items of its spine"
        if missing:
            detail = "1 item is missing" if missing == 1 else f"{missing} items are missing"
        return Refusal("empty", detail)
    return Epub(items=kept, missing=missing, **package.metadata)


def _is_kept(name: str, length: int, size: int) -> bool:
    """Whether an item belongs to the text. One that holds a third of a long book does, whatever a
    guide calls it."""
    if name not in _SKIPPED_ITEMS or name in TITLE_PAGES:
        return True
    return length > _LARGE_CHARACTERS and 3 * length > size


def _only_fonts(content: bytes | None) -> bool:
    """Whether encryption.xml names nothing but obfuscated fonts."""
    tree = _tree(_decoded(content), 0) if content else None
    if tree is None:
        return False
    methods = [element.get("Algorithm") for element in _elements(tree, "encryptionmethod")]
    data = len(list(_elements(tree, "encrypteddata")))
    return data > 0 and len(methods) == data and all(method in _FONTS for method in methods)


def _package(files: _Files) -> _Package | None:
    """The package document that the container names; where there is none, the first that is
    found."""
    container = files.read("META-INF/container.xml", _SMALL_BYTES)
    tree = _tree(_decoded(container), 0) if container else None
    paths: list[str] = []
    if tree is not None:
        roots = [element.get("full-path") for element in _elements(tree, "rootfile")]
        paths = [_inside("", root) for root in roots if root][:10]
        if paths and not any(paths):  # it names places outside of the zip
            return None
    # A hostile container or zip may name any number.
    paths += [name for name in files.names() if name.lower().endswith(".opf")][:10]
    for path in dict.fromkeys(paths):
        content = files.read(path, _SMALL_BYTES) if path else None
        tree = _tree(_decoded(content), 0) if content else None
        if tree is not None and next(_elements(tree, "spine"), None) is not None:
            return _parse_package(files, path, tree)
    return None


def _parse_package(files: _Files, path: str, tree: lxml.etree._Element) -> _Package:
    package = _Package(path, _metadata(tree))
    for item in _elements(tree, "item"):
        if item.get("id") and item.get("href"):
            media = (item.get("media-type") or "").split(";")[0].strip().lower()
            properties = tuple((item.get("properties") or "").split())
            inside = _inside(path, item.get("href"))
            entry = _Item(inside, media, properties, item.get("fallback") or "")
            package.items.setdefault(item.get("id"), entry)

    seen: set[str] = set()
    for reference in islice(_elements(tree, "itemref"), MAX_SPINE):
        if (reference.get("linear") or "").strip().lower() == "no":
            continue
        known = package.items.get(reference.get("idref") or "")
        if known is None or not known.path:
            package.unknown += 1
            continue
        known = _shown(package, known)
        is_text = _is_text(known) and "nav" not in known.properties
        if is_text and known.path.lower() not in seen:
            seen.add(known.path.lower())
            package.spine.append(known.path)
    _read_names(files, package, tree)
    return package


def _is_text(item: _Item) -> bool:
    """Whether an item may be a page: by its media type, else by its name where the type is one that
    people write for pages by mistake."""
    if item.media in _HTML_TYPES:
        return True
    if item.media in _NO_TEXT or not _MAYBE_TEXT.search(item.media):
        return False
    # What is parsed decides; a name of another kind of file is believed.
    ending = posixpath.splitext(item.path.lower())[1]
    return ending in (".html", ".xhtml", ".htm", ".xht", ".xml", "")


def _shown(package: _Package, item: _Item) -> _Item:
    """The item that a reader shows: the first of a chain of fallbacks that is a page."""
    for _ in range(MAX_FALLBACKS):
        if _is_text(item):
            break
        after = package.items.get(item.fallback)
        if after is None or not after.path:
            break
        item = after
    return item


def _read_names(files: _Files, package: _Package, tree: lxml.etree._Element) -> None:
    """Fill `names`, from the guide, then from the landmarks of the first navigation document."""
    for reference in _elements(tree, "reference"):
        kind = (reference.get("type") or "").lower()
        _name(package, package.path, reference.get("href"), kind)

    for item in package.items.values():
        raw = files.read(item.path, _SMALL_BYTES) if "nav" in item.properties else None
        nav = _tree(_decoded(raw), 0) if raw else None
        if nav is not None:
            for block in _elements(nav, "nav"):
                if "landmarks" in epub_types(block):
                    _read_landmarks(package, item.path, block)
            return


def _read_landmarks(package: _Package, path: str, block: lxml.etree._Element) -> None:
    for link in _elements(block, "a"):
        for kind in epub_types(link):
            _name(package, path, link.get("href"), kind)


def _name(package: _Package, base: str, href: str | None, kind: str) -> None:
    """Note what a reference calls an item. A reference to a place inside of one does not tell what
    the rest of it is."""
    if not href or "#" in href or kind not in _SKIPPED_ITEMS:
        return
    path = _inside(base, href)
    if path:
        package.names.setdefault(path, kind)


def _metadata(tree: lxml.etree._Element) -> _Metadata:
    creators = [
        _words(element)
        for element in _elements(tree, "creator")
        if _opf(element, "role", "aut") == "aut" and _words(element)
    ]
    dates = [
        _words(element)
        for element in _elements(tree, "date")
        if _opf(element, "event", "publication") == "publication"
    ]
    return {
        "title": _first_words(_elements(tree, "title")),
        "language": _first_words(_elements(tree, "language")),
        "date": next(filter(None, dates), None),
        "author": ", ".join(dict.fromkeys(creators))[:500] or None,
        "identifier": _first_words(_elements(tree, "identifier")),
    }


def _opf(element: lxml.etree._Element, name: str, default: str) -> str:
    """An attribute of the namespace of OPF. A document read as HTML has it with its prefix."""
    value = element.get(f"{{http://www.idpf.org/2007/opf}}{name}") or element.get(f"opf:{name}")
    return value or default


def _first_words(elements: Iterator[lxml.etree._Element]) -> str | None:
    return next(filter(None, map(_words, elements)), None)


def _words(element: lxml.etree._Element) -> str:
    # a hostile book may put all its text into its title
    return " ".join("".join(islice(element.itertext(), 100)).split())[:500]


def _elements(tree: lxml.etree._Element, name: str) -> Iterator[lxml.etree._Element]:
    """The elements of a local name, in any namespace and case."""
    return (element for element in tree.iter() if local_name(element) == name)


def _inside(base: str, href: str) -> str:
    """The path in the zip that `href`, in the file `base`, means; "" for one outside the zip and
    for an address."""
    href = href.strip().partition("#")[0].partition("?")[0]
    if re.match(r"[A-Za-z][A-Za-z0-9+.-]*:", href):
        return ""
    relative = unquote(href).replace("\\", "/")
    # A path from the root is one from the root of the zip.
    path = posixpath.normpath(posixpath.join("/", posixpath.dirname(base), relative)).lstrip("/")
    outside = posixpath.normpath(posixpath.join(posixpath.dirname(base), relative.lstrip("/")))
    if not path or outside.startswith("../") or "\0" in path:
        return ""
    return path


def _decoded(content: bytes) -> str:
    """The text of an XML or HTML file; UTF-8 with replacement characters if no evidence decodes
    it."""
    decoded = decode_page(content)
    return decoded.text if decoded is not None else content.decode("utf-8", "replace")


def _tree(source: str, elements: int) -> lxml.etree._Element | None:
    """The parsed root; None if nothing can be parsed. `elements`: those of the book so far. Raises
    `Refused` past the limits."""
    if max(elements, source.count("<")) > MAX_ELEMENTS:
        raise Refused(Refusal("too_many_elements", f"more than {MAX_ELEMENTS:,} tags"))
    refusal = refuse_attributes(source)
    if refusal is not None:
        raise Refused(refusal)

    source = _without_dtd(source)
    parser = lxml.etree.XMLParser(
        resolve_entities=False,
        load_dtd=False,
        no_network=True,
        huge_tree=True,  # the limits above decide, not those of libxml2
        remove_comments=True,
        remove_pis=True,
        encoding="utf-8",
    )
    try:
        tree = lxml.etree.fromstring(source.encode(), parser)
    except lxml.etree.XMLSyntaxError:
        tree = _html(source)
    if tree is not None:
        _check_depth(tree)
    return tree


def _without_dtd(source: str) -> str:
    """A document without its XML declaration and its document type, and with the characters of its
    entities in their place."""
    source = _NO_XML.sub("", source)
    source = _XML_START.sub("", source, count=1)
    begin = source[:_HEAD].upper().find("<!DOCTYPE")
    doctype = _DOCTYPE.match(source, begin) if begin >= 0 else None
    if doctype is not None:
        source = source[:begin] + source[doctype.end() :]
    return _ENTITY.sub(_character, source)


def _check_depth(tree: lxml.etree._Element) -> None:
    """Raises `Refused` for a document that later steps could not walk through."""
    depth = 0
    level = [tree]
    while level:
        depth += 1
        if depth > MAX_DEPTH:
            detail = f"more than {MAX_DEPTH:,} elements one in the other"
            raise Refused(Refusal("too_deep", detail))
        level = [child for element in level for child in element]


def _html(source: str) -> lxml.etree._Element | None:
    parser = lxml.html.HTMLParser(
        encoding="utf-8", remove_comments=True, remove_pis=True, huge_tree=True, no_network=True
    )
    # In HTML `<p/>` opens an element that never closes.
    source = _EMPTY_TAG.sub(r"<\1\2></\1>", source)
    try:
        return lxml.html.document_fromstring(source.encode(), parser=parser)
    except (lxml.etree.LxmlError, ValueError, AssertionError):
        return None


def _character(match: re.Match[str]) -> str:
    """The character of an entity of HTML, escaped again if XML needs that; "" for an unknown
    one."""
    if match[1] in _XML_ENTITIES:
        return match[0]
    return html.entities.html5.get(match[1] + ";", "").replace("&", "&amp;").replace("<", "&lt;")
