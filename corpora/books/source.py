"""The source `books`: EPUB and plain text, one document per book, alone or in archives.

`input` is `.epub` and `.txt`, plain or compressed, and `.zip` and `.tar` of them, as the mirrors of
Project Gutenberg (one zip per book) and archives of books (one tar) have them; archives may be
inside each other, three deep. Every file and every member becomes a book, or a reject with its
reason. Nothing is unpacked to disk. No rule for web pages applies, and none for editions: the
near-duplicate stage compares whole books.

The position of a book is 0 in a file of its own, else the offset of its member in the (inflated)
archive; members of an archive inside an archive, which have no offset of their own there, follow it
one by one. `extra` has `format`, `author`, `member` (the name in the archive), `gutenberg` (the
number), `markers`, `boilerplate` and `boilerplate_text` (how many characters of header, licence
and credits were removed, and their ends), `identifier`, `missing` (items that an EPUB names and
does not contain), `charset`, and `trimmed` and `trimmed_text`: how many characters of notices were
removed, and the first of them. `corpus show --removed-text` prints them.
"""

import datetime
import hashlib
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar, Literal

from corpora.books.epub import MAX_EPUB_BYTES, Epub
from corpora.books.gutenberg import declared_charset, strip
from corpora.books.notices import trim_items, trim_text
from corpora.books.typing_marks import without_italics, without_note_marks
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
from corpora.text.dates import parse_date
from corpora.text.language import ANY, detect_language, known_languages
from corpora.text.language_codes import UNKNOWN, language_code
from shards.config import setting, table

LAYOUT = Layout(leaves={".epub": MAX_EPUB_BYTES, ".txt": MAX_DOCUMENT_BYTES})
"""The formats of files and members that are read, and the bytes that one may have."""

MAX_LINES = 2_000_000
"""Lines of a text that is searched line by line: 50 MB of wrapped prose have 700,000. A text with
more lines is no prose, and stays as it is."""

_READER = "corpora.books.epub:read_epub"

_PIECE = 1 << 20
"""Characters whose words are counted at once."""

_WINDOW = 1_000
"""Characters of a place by which the language is told."""

_SHORT = 3_000
"""A shorter text is one place."""

_BEGINNING = 1_000
"""Characters of a text that are kept with its reject."""

_TRIMMED = 1_000
"""Characters of the notices that were removed which are kept with a book."""

_ENDS = 500
"""Characters of either end of a header or licence that was removed which are kept with a book:
there a part of the book would be lost."""


MISSING_PARTS = "missing_parts"
"""The mark of an EPUB that names items which it does not hold, or which are damaged."""


@dataclass(frozen=True, kw_only=True)
class BooksOptions(SourceOptions):
    """Books as EPUB or plain text, alone or in archives."""

    kind: str = setting("books", affects="ingest")
    """books."""
    min_words: int = setting(0, affects="ingest")
    """Reject shorter books, as `too_short`: BookCorpus took books of more than 20,000 words; for
    Project Gutenberg 1,000 is usual. 0 keeps all."""
    max_words: int = setting(0, affects="ingest")
    """Reject longer books, as `too_long`; 0 keeps all."""
    language_by: Literal["both", "text", "metadata"] = setting("both", affects="ingest")
    """What must be in `language`: the text, the book's own metadata (when it names a language), or
    both."""
    language_windows: int = setting(3, affects="ingest")
    """The number of places in the text, from a fifth to four fifths of it, whose majority decides
    the language of the text."""
    gutenberg: bool = setting(True, affects="ingest")
    """Remove Project Gutenberg's header, licence and credits."""
    unwrap: bool = setting(True, affects="ingest")
    """Join the lines of hard-wrapped prose in .txt: one line per paragraph. Verse, headings and
    tables keep their lines."""
    italics: Literal["keep", "drop"] = setting("keep", affects="ingest")
    """drop: remove the underscores that stand for italics in .txt, as in `_word_`; words stay."""
    note_marks: Literal["keep", "drop"] = setting("keep", affects="ingest")
    """drop: remove the marks of notes in .txt, such as `[1]` behind a word; the notes stay."""
    trim: bool = setting(True, affects="ingest")
    """Remove copyright notices, licences and advertisements at both ends, as whole short blocks;
    not in books of Project Gutenberg."""
    footnotes: bool = setting(True, affects="ingest")
    """Keep the notes of an EPUB; their numbers in the text are always removed."""
    dedup: SourceDedup = table(lambda: SourceDedup(threshold=0.5), affects="near")
    """How the source takes part in near-deduplication, always by whole books: editions of one work
    share from half to nearly all of their shingles."""

    detects: ClassVar[bool] = True

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
        options=BooksOptions, slices=slices, read=read, version=4, packages=("langdetect", "lxml")
    )


def slices(options: BooksOptions) -> Iterator[Slice]:
    """The files ordered by path, grouped; an archive is never cut."""
    return group(find(options.input), options.slice_bytes)


def read(options: BooksOptions, piece: Slice) -> Iterator[Document | Reject]:
    """Every book of a slice, in order. A damaged one is one reject, and the next one is read."""
    for part in piece.parts:
        position = -1
        for found in in_file(part, LAYOUT):
            # Members of an inner archive share its offset.
            position = max(found.offset, position + 1)
            yield _outcome(options, part.path, position, found)


def _outcome(options: BooksOptions, path: str, position: int, found: Found) -> Document | Reject:
    content = found.content
    if isinstance(content, Refusal):
        return found.refuse(content).at(path, position)

    form = form_of(os.path.basename(found.name or path))[0]
    book = _epub(options, content) if form == ".epub" else _plain(options, content)
    if isinstance(book, Refusal):
        return found.refuse(book).at(path, position)
    language = _language(options, book)
    if isinstance(language, Refusal):
        return found.refuse(language).at(path, position)

    extra: dict[str, object] = {"format": form[1:]}
    if found.name:
        extra["member"] = found.name
    for name, value in book.extra.items():
        if value:
            extra[name] = value
    return Document(
        path=path,
        position=position,
        text=book.text,
        title=book.title,
        date=book.date,
        language=language or None,
        digest=hashlib.blake2b(content, digest_size=16).hexdigest(),
        extra=extra,
        marks=(MISSING_PARTS,) if extra.get("missing") else (),
    )


@dataclass(frozen=True, kw_only=True)
class _Book:
    """A book before it is judged. `language` is the one that the book names."""

    text: str
    title: str | None = None
    date: datetime.date | None = None
    language: str | None = None
    extra: dict[str, object]


def _epub(options: BooksOptions, content: bytes) -> _Book | Refusal:
    """The book of an EPUB."""
    answer: Epub | Refusal = shared_guard(_READER).call(content, footnotes=options.footnotes)
    if isinstance(answer, Refusal):
        return answer

    items = list(answer.items)
    removed: list[str] = []
    if options.trim:
        items, removed = trim_items(items)
    book = _Book(
        text="\n\n".join(items),
        title=answer.title,
        date=_day(answer.date),
        language=_code(answer.language),
        extra={
            "author": answer.author,
            "identifier": answer.identifier,
            "missing": answer.missing,
        },
    )
    return _cleaned(options, book, is_typed=False, removed=removed)


def _plain(options: BooksOptions, content: bytes) -> _Book | Refusal:
    """The book of a plain text."""
    # Latin letters in UTF-16 have a NUL in every other byte.
    is_utf16 = content.startswith((b"\xff\xfe", b"\xfe\xff"))
    if not is_utf16 and 100 * content.count(0) > len(content):
        return Refusal("binary", "more than one byte in a hundred is NUL")
    if content.startswith(b"%PDF-"):
        return Refusal("binary", "it begins as a PDF")

    label = declared_charset(content)
    decoded = decode_page(content, f"text/plain; charset={label}" if label else "")
    if decoded is None:
        return Refusal(
            "charset", "no usable declaration, and the bytes are not of a Latin alphabet"
        )

    text = decoded.text.removeprefix("\ufeff").replace("\r\r\n", "\n").replace("\r\n", "\n")
    book = _Book(
        text=text.replace("\r", "\n").replace("\f", "\n"),
        extra={"charset": decoded.charset, "replaced": decoded.replaced},
    )
    return _cleaned(options, book, is_typed=True)


def _cleaned(
    options: BooksOptions, book: _Book, *, is_typed: bool, removed: Sequence[str] = ()
) -> _Book:
    """The book without header and notices, and with what the header says about it. `is_typed`: it
    is plain text; `removed`: the notices that were removed before."""
    text = book.text
    # The search for headers and wrapped lines takes seconds for a text of very many lines.
    is_prose = text.count("\n") <= MAX_LINES
    header = strip(text) if options.gutenberg and is_prose else None
    if header is not None:
        text = header.text
    if is_typed and options.unwrap and is_prose:
        text = unwrap(text)
    if is_typed:
        text = _without_typing(options, text)
    notices = list(removed)
    if options.trim and (header is None or header.markers is None):
        (text,), more = trim_text(text)
        notices += more
    extra = dict(book.extra)
    if notices:
        extra["trimmed"] = sum(map(len, notices))
        extra["trimmed_text"] = "\n\n".join(notices)[:_TRIMMED]
    if header is None:
        return replace(book, text=text, extra=extra)

    if header.markers is not None:
        extra["boilerplate"] = header.removed
        extra["boilerplate_text"] = "\n\n".join(map(_ends, header.pieces))
        extra["gutenberg"] = header.number
        extra["markers"] = header.markers
        extra["author"] = book.extra.get("author") or header.author
    return _Book(
        text=text,
        title=book.title or header.title,
        date=book.date,
        language=book.language or header.language,
        extra=extra,
    )


def _ends(piece: str) -> str:
    """A text that was removed, or both ends of a long one."""
    if len(piece) <= 2 * _ENDS:
        return piece
    return f"{piece[:_ENDS]}\n[...]\n{piece[-_ENDS:]}"


def _without_typing(options: BooksOptions, text: str) -> str:
    """A plain text without the marks of italics and notes, as the options say."""
    if options.italics == "drop":
        text = without_italics(text)
    if options.note_marks == "drop":
        text = without_note_marks(text)
    return text


def _language(options: BooksOptions, book: _Book) -> str | Refusal:
    """The language of a book, "" when it is unknown, or why the book is not wanted."""
    words = count_words(book.text)
    beginning = book.text[:_BEGINNING]
    if not words:
        return Refusal("empty")
    if words < options.min_words:
        return Refusal("too_short", f"{words:,} words", beginning)
    if 0 < options.max_words < words:
        return Refusal("too_long", f"{words:,} words", beginning)

    wanted = options.language
    named = book.language
    if named is not None and options.language_by == "metadata":
        language = named
    else:
        language = majority(book.text, wanted, options.language_windows)

    wrong = []
    if wanted != ANY and language != wanted:
        wrong.append(f"the text: {language}")
    if wanted != ANY and named not in (None, wanted) and options.language_by == "both":
        wrong.append(f"it says: {named}")
    if wrong:
        return Refusal("language", ", ".join(wrong), beginning)
    # Of a text that is too short to tell, the book's own word counts.
    return (named or "") if language == UNKNOWN else language


def count_words(text: str) -> int:
    """The number of runs without white space.

    Counted piece by piece, since a list of all runs may be many times larger than the text.
    """
    count = 0
    for start in range(0, len(text), _PIECE):
        count += len(text[start : start + _PIECE].split())
        # A word across the border of two pieces is counted in both.
        if start > 0 and not text[start - 1].isspace() and not text[start].isspace():
            count -= 1
    return count


def majority(text: str, wanted: str, windows: int) -> str:
    """The language of more than half of the windows, each of 1,000 characters, spread from 20 % to
    80 % of a text; `und` when no language has more than half."""
    if len(text) < _SHORT:
        return detect_language(text.strip(), wanted)

    places = [0.5]
    if windows > 1:
        places = [0.2 + 0.6 * i / (windows - 1) for i in range(windows)]
    # Places inside the text: the ends of a book hold notices, contents and indexes.
    languages = []
    for place in places:
        start = min(int(len(text) * place), len(text) - _WINDOW)
        start = max(text.find(" ", start, start + 100), start)  # not inside a word
        languages.append(detect_language(text[start : start + _WINDOW].strip(), wanted))

    best = max(sorted(set(languages)), key=languages.count)
    return best if 2 * languages.count(best) > len(languages) else UNKNOWN


def _code(label: str | None) -> str | None:
    """langdetect's code for the name that a book gives its language (en-GB, eng, English); None
    when langdetect does not know it."""
    code = language_code(label or "")
    return code if code in known_languages() else None


def _day(text: str | None) -> datetime.date | None:
    return parse_date(text) if text else None
