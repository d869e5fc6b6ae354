"""Removes the header, licence and credits of Project Gutenberg by its markers, in every generation
of them, and nothing else.

    since 2001   *** START OF (THE|THIS) PROJECT GUTENBERG EBOOK ... *** and the same with END. The
                 first START and the last END count. START may continue on the next line. Credits
                 follow it (`Produced by ...`); before END there is `End of Project Gutenberg's ...`
    before       a greeting, and the licence between *START**THE SMALL PRINT! and *END*THE SMALL
                 PRINT!; at the end `End of the Project Gutenberg Etext`, or nothing

With a pair of markers all outside of it is removed. A single marker is not trusted: it removes at
most a fifth of the text. Credits are searched for only directly behind the header, in 20 lines. The
usual stripper searches the first 600 lines for some fifty beginnings of lines instead, so a line
`Produced by` at 200 costs the text before it. Transcribers' notes, and whatever the book itself
says of the project, stay.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass

from corpora.text.language_codes import LANGUAGES

MAX_UNPAIRED = 0.2
"""Share of the text that markers without their counterpart may remove."""

CREDIT_LINES = 20
"""Lines behind the header in which credits are searched for."""

_BLOCK_LINES = 8

_GREETING_LINES = 10

_SMALL_PRINT_LINES = 400

_SMALL_PRINT_FROM = 400

# the project in English, French, German, Spanish, Portuguese, Italian, Dutch, Finnish, Swedish
_PROJECT = (
    r"(?:Proje[ck]t(?:o|i|in|et|es)?|Projecto|Projeto|Projet|Proyecto|Progetto) Gutenberg(?:in|s)?"
)

_ARTICLES = (
    r"(?:\s+(?:of|the|this|du|de|des|dieses|la|le|ce|del|della|di|do|da|van|het|dit|af)){0,3}"
)

_KIND = r"(?:\s+(?:e-?(?:text|book)s?|livre(?:\s+\w+)?|libro|livro|boek|buch(?:es)?|kirja(?:n)?))?"

_START = re.compile(
    rf"\s*\*{{3}}\s*(?:START|D[ÉE]BUT|BEGINN|ANFANG|COMIENZO|INICIO|INÍCIO|INIZIO|BEGIN|ALKU)"
    rf"{_ARTICLES}{_KIND}{_ARTICLES}\s+{_PROJECT}\b",
    re.IGNORECASE,
)

_ENDS = "END|FIN|ENDE|FINAL|FIM|FINE|EINDE?|LOPPU|SLUT"

_END = re.compile(
    rf"\s*\*{{3}}\s*(?:{_ENDS}){_ARTICLES}{_KIND}{_ARTICLES}\s+{_PROJECT}\b", re.IGNORECASE
)

_SMALL_START = re.compile(r"\s*\*+\s*START\W{0,6}THE SMALL PRINT", re.IGNORECASE)

_SMALL_END = re.compile(r"\s*\*+\s*END\W{0,6}THE SMALL PRINT", re.IGNORECASE)

_END_WORDS = re.compile(
    rf"\s*\**\s*(?:This is the )?(?:{_ENDS}){_ARTICLES}{_KIND}{_ARTICLES}\s+{_PROJECT}\b"
    r"|\s*\**\s*Project Gutenbergin? .{0,200}\bloppu\b",
    re.IGNORECASE,
)

_GREETING = re.compile(
    r"Project Gutenberg(?:['’]s)?\s+(?:(?:E-?text|e-?book)(?:\s+of|,)?\s+)?(.+)",
    re.IGNORECASE | re.DOTALL,
)

_GREETED = re.compile(_PROJECT, re.IGNORECASE)

_CREDIT = re.compile(
    r"\s*(?:Produced by|E-?(?:text|book) (?:was )?(?:prepared|produced|created|transcribed)"
    r"|This e-?(?:text|book) (?:was )?(?:prepared|produced|created|transcribed)|Credits:"
    r"|\(This (?:file|book|e-?text) was produced from|Note: Project Gutenberg (?:also )?has"
    r"|(?:Online )?Distributed Proofread"
    # French, German
    r"|Produit par|(?:Ce (?:livre|texte|fichier)|Cet e-?(?:text|book)) (?:électronique )?a été"
    r" (?:produit|préparé)|Produziert von|(?:Dieser|Dieses) e-?(?:text|book)"
    r" wurde|Erstellt von|Producido por|Este (?:libro|e-?(?:text|book)) (?:fue|ha sido)"
    # Portuguese, Italian
    r"|Produzido por|Este (?:livro|e-?(?:text|book)) foi"
    r"|Prodotto da|Questo e-?(?:text|book) è stato"
    # Dutch, Finnish, Swedish
    r"|Geproduceerd door|Vervaardigd door|Dit e-?(?:text|book) is"
    r"|Tuottanut|Tämän e-?(?:tekstin|kirjan)"
    r"|Julkaissut Projekti Lönnrot|Producerad av|E-?(?:text|kirja) (?:on )?tuottanut)",
    re.IGNORECASE,
)

_HEADER = re.compile(
    r"project gutenberg|this header (?:is|should)|\*{3,}\s*this file should be named"
    r"|(?:corrected )?editions? of our (?:e-?texts|e-?books)|copyright laws are changing"
    r"|\[(?:e-?book|e-?text) ?#|^(?:title|author|editor|translator|illustrator|posting date"
    r"|release date|last updated|language|character set encoding|edition|subtitle|contributor)"
    r"[:\]]|we are now trying to release|please take a look at the important information"
    r"|further information is included|welcome to the world of free",
    re.IGNORECASE | re.MULTILINE,
)
"""What the blocks of a header say whose small print was moved to the end."""

_HEADER_LINES = 120

_MAYBE_CREDIT = re.compile(
    r"\s*(?:Transcribed|Prepared|Scanned|Digiti[sz]ed|Proof(?:ed|read)|HTML (?:version|file)"
    r"|Updated)\b",
    re.IGNORECASE,
)

_EVIDENCE = re.compile(r"@|https?:|e-?mail|pgdp|gutenberg|proofread", re.IGNORECASE)

_PLACEHOLDER = re.compile(r"\s*\[[^\]]{0,200}\]\s*", re.DOTALL)

_FIELD = re.compile(r"(Title|Author|Language|Character set encoding):[ \t]*(.*)", re.IGNORECASE)

_NUMBER = re.compile(r"\[(?:e-?book|e-?text) ?#\s?(\d{1,7})\]", re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Stripped:
    """A text and what its header says. `removed`: characters that are gone; `pieces`: the texts
    that were removed, in order, without the blank lines around them. `markers`: pair, small_print
    or one, by what was found; None without a header, and then the text is whole."""

    text: str
    removed: int = 0
    pieces: tuple[str, ...] = ()
    markers: str | None = None
    title: str | None = None
    author: str | None = None
    language: str | None = None
    number: int | None = None


@dataclass(frozen=True, slots=True)
class _Span:
    """The lines of the book: the first, and the one behind the last; `markers` as in `Stripped`."""

    begin: int
    end: int
    markers: str


def strip(text: str) -> Stripped:
    """The book in a text of Project Gutenberg; any other text whole. Line ends are `\\n`, without
    byte order mark. Of several books in one file, each with its markers, the texts follow each
    other."""
    lines = text.split("\n")
    spans = _between_pairs(lines)
    if not spans:
        older = _between_older(lines)
        spans = [older] if older is not None else []
    if not spans:
        return Stripped(text=text)

    books = []
    pieces = []
    ended = 0
    for span in spans:
        begin = _behind_credits(lines, span.begin, span.end)
        end = _before_end_words(lines, begin, span.end)
        books.append("\n".join(lines[begin:end]).strip("\n"))
        pieces.append("\n".join(lines[ended:begin]).strip())
        ended = end
    pieces.append("\n".join(lines[ended:]).strip())
    head = lines[: spans[0].begin]
    fields = _header_fields(head)
    book = "\n\n".join(filter(None, books))
    return Stripped(
        text=book,
        removed=len(text) - len(book),
        pieces=tuple(filter(None, pieces)),
        markers=spans[0].markers,
        title=_short(fields.get("title", "")),
        author=_short(fields.get("author", "")),
        language=LANGUAGES.get(_first_language(fields.get("language", ""))),
        number=_number("\n".join(head)),
    )


def declared_charset(head: bytes) -> str:
    """The label in a header's `Character set encoding:`, "" if there is none."""
    label = re.search(
        rb"^Character set encoding:[ \t]*([A-Za-z0-9_-]{2,40})",
        head[:5000],
        re.IGNORECASE | re.MULTILINE,
    )
    return label[1].decode("ascii") if label else ""


def _first_match(lines: list[str], places: Iterable[int], pattern: re.Pattern[str]) -> int | None:
    """The first of these lines that the pattern matches."""
    return next((place for place in places if pattern.match(lines[place])), None)


def _between_pairs(lines: list[str]) -> list[_Span]:
    """The lines between the first START and the last END, in one span, or in one for each book
    where a START follows an END; none without both."""
    # the test for stars saves the regular expression on nearly all lines
    starred = [place for place, line in enumerate(lines) if "***" in line]
    start = _first_match(lines, starred, _START)
    end = _first_match(lines, reversed(starred), _END)
    if start is None or end is None or end < start:
        return []

    spans: list[_Span] = []
    begin = _behind_start(lines, start)
    ended: int | None = None
    for place in starred:
        if place <= start or place > end:
            continue
        if _END.match(lines[place]):
            ended = ended or place
        elif ended is not None and _START.match(lines[place]):
            # Between two books there is a licence or a header; a book may also speak of markers.
            if not _GREETED.search("\n".join(lines[ended + 1 : place])):
                ended = None
                continue
            spans.append(_Span(min(begin, ended), ended, "pair"))
            begin = _behind_start(lines, place)
            ended = None
    return [*spans, _Span(min(begin, end), end, "pair")]


def _behind_start(lines: list[str], start: int) -> int:
    """The line behind a START marker, which may continue on two more lines up to its `***`."""
    for place in range(start, min(start + 3, len(lines))):
        tail = lines[place].rstrip()
        if tail.endswith("***") and (place > start or tail.strip("* ")):
            return place + 1
        if not tail:
            break
    return start + 1


def _between_older(lines: list[str]) -> _Span | None:
    """The lines between the small print and the end, or behind or before a single marker."""
    # A single marker may stand in the middle of a book that speaks of the project.
    allowed = MAX_UNPAIRED * _size(lines, 0, len(lines))
    first_lines = [line for line in lines if line.strip()][:_GREETING_LINES]
    greeted = _GREETED.search(" ".join(first_lines)) is not None

    begin = 0
    markers = ""
    stop = len(lines)
    small_start, small_end = _small_print(lines)
    if greeted and small_start is not None and _is_behind(lines, small_start):
        # Since 2001 the small print stands behind the book.
        begin = _behind_header(lines, small_start)
        stop = small_start
        small_end = None
        markers = "small_print" if begin else ""
    elif greeted and small_start is not None and small_end is not None:
        begin = small_end
        markers = "small_print"
    else:
        head = _unpaired_head(lines, small_end if greeted else None)
        size = _size(lines, 0, head)
        if head and size <= allowed:
            begin = head
            markers = "one"
            allowed -= size

    if stop < len(lines):
        tail = _unpaired_tail(lines[:stop], begin, greeted)
        # What stands between the end of the book and the small print is a few lines.
        near = tail is not None and _size(lines, tail, stop) <= allowed
        return _Span(begin, tail if near and tail is not None else stop, "small_print")

    end = len(lines)
    tail = _unpaired_tail(lines, begin, greeted)
    if tail is not None and _size(lines, tail, len(lines)) <= allowed:
        end = tail
        markers = markers or "one"
    return _Span(begin, end, markers) if markers else None


def _small_print(lines: list[str]) -> tuple[int | None, int | None]:
    """(the line in which the small print begins, the line behind it), each None if not found. It
    stands before the book, or behind it."""
    first = range(min(_SMALL_PRINT_FROM, len(lines)))
    last = range(max(len(lines) - _SMALL_PRINT_LINES, 0), len(lines))
    start = _first_match(lines, first, _SMALL_START)
    if start is None:
        start = _first_match(lines, last, _SMALL_START)
    stop = len(lines) if start is None else min(start + _SMALL_PRINT_LINES, len(lines))
    end = _first_match(lines, range(start or 0, stop), _SMALL_END)
    return start, None if end is None else end + 1


def _is_behind(lines: list[str], start: int) -> bool:
    """Whether a small print that begins here stands behind the book: more of the text is before it,
    and what is before it is more than a header."""
    before = _size(lines, 0, start)
    header = _behind_header(lines, start)
    has_book = any(_block_is_text(lines, header, start))
    return has_book and 2 * before > _size(lines, 0, len(lines))


def _block_is_text(lines: list[str], begin: int, end: int) -> list[bool]:
    """For each of the first blocks from here on, whether it is none of the header."""
    found = []
    for _ in range(3):
        first, stop = _block(lines, begin, end)
        if first == stop:
            break
        found.append(_HEADER.search("\n".join(lines[first:stop])) is None)
        begin = stop
    return found


def _behind_header(lines: list[str], end: int) -> int:
    """The line behind the blocks at the beginning that are a header; 0 if there are none."""
    at = 0
    behind = 0
    while at < min(end, _HEADER_LINES):
        first, stop = _block(lines, at, end)
        if first == stop or not _HEADER.search("\n".join(lines[first:stop])):
            break
        behind = at = stop
    return behind


def _unpaired_head(lines: list[str], small_end: int | None) -> int:
    """The line behind the small print, else behind a START; 0 if there is neither."""
    if small_end is not None:
        return small_end
    start = _first_match(lines, range(len(lines)), _START)
    return 0 if start is None else _behind_start(lines, start)


def _unpaired_tail(lines: list[str], begin: int, greeted: bool) -> int | None:
    """The last line that ends the book. Without a greeting `End of Project Gutenberg` counts only
    in the last four lines: a book may speak of it."""
    for place in range(len(lines) - 1, begin, -1):
        if _END.match(lines[place]):
            return place
        if (greeted or len(lines) - place <= 4) and _END_WORDS.match(lines[place]):
            return place
    return None


def _size(lines: list[str], begin: int, end: int) -> int:
    return sum(len(line) + 1 for line in lines[begin:end])


def _block(lines: list[str], begin: int, end: int) -> tuple[int, int]:
    """(first line, line behind it) of the first run of lines that are not blank; equal if there is
    none."""
    while begin < end and not lines[begin].strip():
        begin += 1
    stop = begin
    while stop < end and lines[stop].strip():
        stop += 1
    return begin, stop


def _behind_credits(lines: list[str], begin: int, end: int) -> int:
    """The line in which the book begins: behind the credits, and the placeholders of pictures among
    them."""
    limit = begin + CREDIT_LINES
    at = book = begin
    while at < end:
        first, stop = _block(lines, at, end)
        if first >= limit or stop - first > _BLOCK_LINES:
            break
        block = "\n".join(lines[first:stop])
        if _is_credit(block):
            book = stop
        elif not _PLACEHOLDER.fullmatch(block):
            break
        at = stop
    return book


def _is_credit(block: str) -> bool:
    if _CREDIT.match(block):
        return True
    return _MAYBE_CREDIT.match(block) is not None and _EVIDENCE.search(block) is not None


def _before_end_words(lines: list[str], begin: int, end: int) -> int:
    """The line behind the book: before `End of the Project Gutenberg EBook of ...`, which is the
    last block before the marker."""
    stop = end
    while stop > begin and not lines[stop - 1].strip():
        stop -= 1
    first = stop
    while first > begin and lines[first - 1].strip():
        first -= 1
    if first < stop <= first + _BLOCK_LINES and _END_WORDS.match(lines[first]):
        return first
    return stop


def _header_fields(lines: list[str]) -> dict[str, str]:
    """The fields of a header by their names in lower case; title and author of an older one by its
    greeting."""
    fields: dict[str, str] = {}
    for place, line in enumerate(lines):
        match = _FIELD.match(line)
        if match:
            value = " ".join([match[2].strip(), *_continued(lines[place + 1 :])])
            fields.setdefault(match[1].lower(), value.strip())
    if "title" not in fields:
        fields |= _greeting_fields(lines)
    return fields


def _continued(lines: list[str]) -> list[str]:
    """The indented lines in which a field continues."""
    values = []
    for line in lines:
        if not line.startswith(("  ", "\t")) or not line.strip():
            break
        values.append(line.strip())
    return values


def _greeting_fields(lines: list[str]) -> dict[str, str]:
    """Title and author by `The Project Gutenberg Etext of TITLE, by AUTHOR`, on one line or two."""
    first, stop = _block(lines, 0, len(lines))
    if first == stop:
        return {}
    ended = lines[first].rstrip().endswith("*")
    greeting = " ".join(lines[first : first + 1 if ended else min(stop, first + 2)])
    match = _GREETING.search(greeting)
    if match is None:
        return {}
    title, _, author = match[1].strip(" *").partition(", by ")
    return {"title": title, "author": author} if author else {"title": title}


def _short(text: str) -> str | None:
    return " ".join(text.split())[:500] or None


def _first_language(names: str) -> str:
    return re.split(r"[,;(/]| and ", names.lower())[0].strip()


def _number(head: str) -> int | None:
    match = _NUMBER.search(head)
    return int(match[1]) if match else None
