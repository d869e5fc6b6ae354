"""The source `books`: EPUB and plain text, a document a book, alone or in archives.

`input` is `.epub` and `.txt`, plain or compressed, and `.zip` and `.tar` of them, as Project
Gutenberg's mirrors (a zip a book) and the archives of books (one tar) have them; an archive may
hold archives, three deep. Every file and every member comes out once: as a book, or as a reject
with its reason. Nothing is unpacked to disk. No rule made for web pages is asked, and none of
editions: the near-duplicate stage compares whole books.

The position of a book is 0 in a file of its own, else the offset of its member in the (inflated)
archive; members of an archive in the archive, which have no offset of their own there, follow it
one by one. `extra` has `format`, `author`, `member` (the name in the archive), `gutenberg` (the
number) and `markers`, `identifier`, `missing` (items that an EPUB names and does not hold),
`charset`.
"""

import datetime
import hashlib
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Literal

from corpora.books.epub import MAX_EPUB_BYTES, Epub
from corpora.books.gutenberg import LANGUAGES, declared_charset, strip
from corpora.books.notices import trim_items, trim_text
from corpora.books.unwrap import unwrap
from corpora.document import (
    MAX_DOCUMENT_BYTES,
    Document,
    Refusal,
    Reject,
    Slice,
    Source,
    SourceDedup,
    SourceOptions,
)
from corpora.guard import shared_guard
from corpora.inputs.find import find, group
from corpora.inputs.nested_archives import Found, Layout, form_of, in_file
from corpora.text.charset import decode_page
from corpora.text.language import ANY, UNKNOWN, detect_language, known_languages

LAYOUT = Layout(leaves={".epub": MAX_EPUB_BYTES, ".txt": MAX_DOCUMENT_BYTES})
"""What is read of files and members."""

MAX_LINES = 2_000_000
"""Of a text that is looked through line by line: 50 MB of wrapped prose have 700,000. One of more
is no prose, and stays as it is."""

_PIECE = 1 << 20

_WINDOW = 1_000

_SHORT = 3_000

_ISO_639_2 = """
eng=en fre=fr fra=fr ger=de deu=de spa=es ita=it dut=nl nld=nl por=pt rus=ru swe=sv dan=da nor=no nob=no nno=no fin=fi pol=pl cze=cs ces=cs hun=hu
tur=tr gre=el ell=el lat=la heb=he ara=ar per=fa fas=fa hin=hi ben=bn jpn=ja kor=ko chi=zh zho=zh cat=ca rum=ro ron=ro bul=bg ukr=uk hrv=hr slv=sl slk=sk slo=sk
"""

_SHORTER = dict(pair.split("=") for pair in _ISO_639_2.split()) | {"nb": "no", "nn": "no"}


@dataclass(frozen=True, kw_only=True)
class BooksOptions(SourceOptions):
    """Books as EPUB or plain text, alone or in archives."""

    kind: str = "books"
    """books."""
    min_words: int = 0
    """Shorter books are rejects, `too_short`: BookCorpus took those of more than 20,000 words; for
    Project Gutenberg 1,000 is usual. 0 keeps every one."""
    max_words: int = 0
    """Longer books are rejects, `too_long`; 0: no such rule."""
    language_by: Literal["both", "text", "metadata"] = "both"
    """What must be `language`: what the book says of itself (where it says anything) and its text,
    or one of them."""
    language_windows: int = 3
    """Places in the text, from a fifth to four fifths, whose majority is the language of the
    text."""
    gutenberg: bool = True
    """Take off Project Gutenberg's header, licence and credits."""
    unwrap: bool = True
    """Make hard-wrapped prose of .txt whole: a line a paragraph. Verse, headings and tables keep
    their lines."""
    trim: bool = True
    """Take off notices of rights, licence notes and advertisements at both ends, as whole short
    blocks; not of Project Gutenberg's books."""
    footnotes: bool = True
    """Keep the notes of an EPUB; their numbers in the text never stay."""
    dedup: SourceDedup = field(default_factory=lambda: SourceDedup(threshold=0.5))
    """How it takes part in near-deduplication, whole books as always: editions of one work share
    from half to nearly all of their shingles."""

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("min_words", "max_words"):
            if getattr(self, name) < 0:
                raise ValueError(f"{name}: {getattr(self, name)} is less than 0")
        if 0 < self.max_words < self.min_words:
            raise ValueError(
                f"max_words: {self.max_words} is less than min_words, {self.min_words}"
            )
        if not 1 <= self.language_windows <= 100:
            raise ValueError(f"language_windows: {self.language_windows} is not in 1 to 100")


def source() -> Source:
    """The source `books`."""
    return Source(
        options=BooksOptions, slices=slices, read=read, version=1, packages=("langdetect", "lxml")
    )


def slices(options: BooksOptions) -> Iterator[Slice]:
    """The files in the order of their paths, grouped; an archive is never cut."""
    return group(find(options.input), options.slice_bytes)


def read(options: BooksOptions, piece: Slice) -> Iterator[Document | Reject]:
    """Every book of a slice, in order. What is damaged is one reject, and the next one is read."""
    for part in piece.parts:
        position = -1
        for found in in_file(part, LAYOUT):
            position = max(found.offset, position + 1)
            yield _record(options, part.path, position, found)


def _record(options: BooksOptions, path: str, position: int, found: Found) -> Document | Reject:
    extra: dict[str, Any] = {"member": found.name} if found.name else {}
    if isinstance(found.content, Refusal):
        return found.refuse(found.content).at(path, position)
    form = form_of(os.path.basename(found.name or path))[0]
    book = _epub(options, found.content) if form == ".epub" else _plain(options, found.content)
    if isinstance(book, Document):
        book = _judged(options, book)
    if isinstance(book, Refusal):
        return found.refuse(book).at(path, position)
    return Document(
        path=path,
        position=position,
        text=book.text,
        title=book.title,
        date=book.date,
        language=book.language,
        digest=hashlib.blake2b(found.content, digest_size=16).hexdigest(),
        extra={
            **extra,
            "format": form[1:],
            **{name: value for name, value in book.extra.items() if value},
        },
    )


def _epub(options: BooksOptions, content: bytes) -> Document | Refusal:
    """The book of an EPUB; path and position are filled in later."""
    book = shared_guard("corpora.books.epub:read_epub").call(content, footnotes=options.footnotes)
    if isinstance(book, Refusal):
        return book
    if not isinstance(book, Epub):
        return Refusal("error")
    items = trim_items(list(book.items)) if options.trim else list(book.items)
    extra = {"author": book.author, "identifier": book.identifier, "missing": book.missing}
    said = _code(book.language)
    return _finished(
        options,
        "\n\n".join(items),
        False,
        Document(
            path="",
            position=0,
            text="",
            title=book.title,
            date=_day(book.date),
            language=said,
            extra=extra,
        ),
    )


def _plain(options: BooksOptions, content: bytes) -> Document | Refusal:
    """The book of a plain text."""
    if not content.startswith((b"\xff\xfe", b"\xfe\xff")) and 100 * content.count(0) > len(content):
        return Refusal("binary", "more than one byte in a hundred is NUL")
    label = declared_charset(content)
    decoded = decode_page(content, f"text/plain; charset={label}" if label else "")
    if decoded is None:
        return Refusal(
            "charset",
            "no usable declaration, and the bytes are not of a Latin alphabet",
        )
    text = (
        decoded.text.removeprefix("\ufeff")
        .replace("\r\n", "\n")
        .replace("\r", "\n")
        .replace("\f", "\n")
    )
    extra = {"charset": decoded.charset, "replaced": decoded.replaced}
    return _finished(
        options, text, options.unwrap, Document(path="", position=0, text="", extra=extra)
    )


def _finished(options: BooksOptions, text: str, wrapped: bool, book: Document) -> Document:
    """The book with its text, without header and notices, and with what a header said."""
    long = text.count("\n") > MAX_LINES
    stripped = strip(text) if options.gutenberg and not long else None
    text = stripped.text if stripped is not None else text
    text = unwrap(text) if wrapped and not long else text
    if options.trim and (stripped is None or stripped.markers is None):
        text = trim_text(text)
    said: dict[str, Any] = {}
    if stripped is not None and stripped.markers is not None:
        said = {
            "gutenberg": stripped.number,
            "markers": stripped.markers,
            "author": book.extra.get("author") or stripped.author,
        }
    return Document(
        path="",
        position=0,
        text=text,
        title=book.title or (stripped.title if stripped is not None else None),
        date=book.date,
        language=book.language or (stripped.language if stripped is not None else None),
        extra={**book.extra, **said},
    )


def _judged(options: BooksOptions, book: Document) -> Document | Refusal:
    """The book with the language it is in, or why it is not wanted."""
    words = count_words(book.text)
    if not words:
        return Refusal("empty")
    if words < options.min_words:
        return Refusal("too_short", f"{words:,} words", text=book.text[:1000])
    if 0 < options.max_words < words:
        return Refusal("too_long", f"{words:,} words", text=book.text[:1000])
    wanted, said = options.language, book.language
    found = (
        majority(book.text, wanted, options.language_windows)
        if options.language_by != "metadata" or said is None
        else said
    )
    if wanted != ANY:
        wrong = [f"the text: {found}"] if found != wanted else []
        wrong += (
            [f"it says: {said}"]
            if said not in (None, wanted) and options.language_by == "both"
            else []
        )
        if wrong:
            return Refusal("language", ", ".join(wrong), text=book.text[:1000])
    language = said if found == UNKNOWN else found
    return Document(
        path="",
        position=0,
        text=book.text,
        title=book.title,
        date=book.date,
        language=language,
        extra=book.extra,
    )


def count_words(text: str) -> int:
    """Runs of what is no white space; a piece at a time, since a list of all of them may be many
    times the text."""
    count = 0
    for start in range(0, len(text), _PIECE):
        count += len(text[start : start + _PIECE].split())
        count -= start > 0 and not text[start - 1].isspace() and not text[start].isspace()
    return count


def majority(text: str, wanted: str, windows: int) -> str:
    """The language of more than half of the windows, each of 1,000 characters, spread from 20 % to
    80 % of a text; `und` without one."""
    if len(text) < _SHORT:
        return detect_language(text.strip(), wanted)
    places = [0.2 + 0.6 * i / (windows - 1) for i in range(windows)] if windows > 1 else [0.5]
    found = []
    for place in places:
        start = min(int(len(text) * place), len(text) - _WINDOW)
        start = max(text.find(" ", start, start + 100), start)  # not inside a word
        found.append(detect_language(text[start : start + _WINDOW].strip(), wanted))
    best = max(sorted(set(found)), key=found.count)
    return best if 2 * found.count(best) > len(found) else UNKNOWN


def _code(label: str | None) -> str | None:
    """langdetect's code for what a book calls its language: en-GB, eng, English; None for what it
    does not know."""
    if not label:
        return None
    parts = label.strip().lower().replace("_", "-").split("-")
    base = LANGUAGES.get(parts[0], _SHORTER.get(parts[0], parts[0]))
    if base == "zh":
        base = "zh-tw" if {"hant", "tw", "hk"} & set(parts) else "zh-cn"
    return base if base in known_languages() else None


def _day(text: str | None) -> datetime.date | None:
    try:
        return datetime.date.fromisoformat(text[:10]) if text else None
    except ValueError:
        return None
