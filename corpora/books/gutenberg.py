"""Project Gutenberg's header, licence and credits taken off, by its markers in every generation,
and nothing else.

    since 2001   *** START OF (THE|THIS) PROJECT GUTENBERG EBOOK ... ***  and the same with END: the first and the last count.
                 The first may go on in the next line. Behind it credits (`Produced by ...`), before
the second `End of Project Gutenberg's ...`
    before       a greeting, and the licence between *START**THE SMALL PRINT! and *END*THE SMALL PRINT!; `End of the Project Gutenberg Etext` or nothing

With a pair of markers all outside of it goes. One marker alone is not to be trusted: it takes at
most a fifth of the text. Credits are looked for only directly behind the header, in 20 lines. The
usual stripper looks for some fifty beginnings of lines in the first 600 lines instead: a line
`Produced by` at 200 costs the text before it. Transcribers' notes, and whatever the book itself
says of the project, stay.
"""

import re
from dataclasses import dataclass
from typing import Any

MAX_UNPAIRED = 0.2
"""Share of the text that markers without their counterpart may take."""

CREDIT_LINES = 20
"""Lines behind the header in which credits are looked for."""

_BLOCK_LINES = 8

_GREETING_LINES = 10

_SMALL_PRINT_LINES = 400

_SMALL_PRINT_FROM = 400

_START = re.compile(r"\s*\*{3}\s*START OF (?:(?:THE|THIS) )?PROJECT GUTENBERG\b", re.IGNORECASE)

_END = re.compile(r"\s*\*{3}\s*END OF (?:(?:THE|THIS) )?PROJECT GUTENBERG\b", re.IGNORECASE)

_SMALL_START = re.compile(r"\s*\*+\s*START\W{0,6}THE SMALL PRINT", re.IGNORECASE)

_SMALL_END = re.compile(r"\s*\*+\s*END\W{0,6}THE SMALL PRINT", re.IGNORECASE)

_END_WORDS = re.compile(
    r"\s*\**\s*(?:This is the )?End of (?:(?:the|this) )?Project Gutenberg\b", re.IGNORECASE
)

_GREETING = re.compile(
    r"Project Gutenberg(?:['’]s)?\s+(?:(?:(?:E-?text|e-?book)\s+of|(?:E-?text|e-?book),)\s+)?(.+)",
    re.IGNORECASE | re.DOTALL,
)

_CREDIT = re.compile(
    r"\s*(?:Produced by|E-?(?:text|book) (?:was )?(?:prepared|produced|created|transcribed)|This e-?(?:text|book) (?:was )?(?:prepared|produced|created|transcribed)"
    r"|Credits:|\(This (?:file|book|e-?text) was produced from|Note: Project Gutenberg (?:also )?has|(?:Online )?Distributed Proofread)",
    re.IGNORECASE,
)

_MAYBE_CREDIT = re.compile(
    r"\s*(?:Transcribed|Prepared|Scanned|Digiti[sz]ed|Proof(?:ed|read)|HTML (?:version|file)|Updated)\b",
    re.IGNORECASE,
)

_EVIDENCE = re.compile(r"@|https?:|e-?mail|pgdp|gutenberg|proofread", re.IGNORECASE)

_PLACEHOLDER = re.compile(r"\s*\[[^\]]{0,200}\]\s*", re.DOTALL)

_FIELD = re.compile(r"(Title|Author|Language|Character set encoding):[ \t]*(.*)", re.IGNORECASE)

_NUMBER = re.compile(r"\[(?:e-?book|e-?text) ?#\s?(\d{1,7})\]", re.IGNORECASE)

_FROM_NAME = """
Afrikaans=af Arabic=ar Bulgarian=bg Bengali=bn Catalan=ca Czech=cs Welsh=cy Danish=da German=de Greek=el English=en Spanish=es Estonian=et Persian=fa Farsi=fa Finnish=fi French=fr Hebrew=he Hindi=hi
Croatian=hr Hungarian=hu Indonesian=id Italian=it Japanese=ja Korean=ko Lithuanian=lt Latvian=lv Dutch=nl Norwegian=no Polish=pl Portuguese=pt Romanian=ro Russian=ru Slovak=sk Slovenian=sl Albanian=sq
Swedish=sv Tamil=ta Telugu=te Thai=th Tagalog=tl Turkish=tr Ukrainian=uk Urdu=ur Vietnamese=vi Chinese=zh-cn
"""

LANGUAGES = dict(pair.split("=") for pair in _FROM_NAME.lower().split())
"""langdetect's code by the English name of a language, in small letters."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stripped:
    """A text and what its header said. `markers`: pair, small_print or one, by what was found;
    None: no header, and the text is whole."""

    text: str
    markers: str | None = None
    title: str | None = None
    author: str | None = None
    language: str | None = None
    number: int | None = None


def strip(text: str) -> Stripped:
    """The book in a text of Project Gutenberg; any other text whole. Line ends are `\\n`, without
    byte order mark."""
    lines = text.split("\n")
    begin, end, markers = _pair(lines)
    if not markers:
        begin, end, markers = _older(lines)
    if not markers:
        return Stripped(text=text)
    head = "\n".join(lines[:begin]) + "\n"
    begin = _behind_credits(lines, begin, end)
    end = _before_end_words(lines, begin, end)
    return Stripped(text="\n".join(lines[begin:end]).strip("\n"), markers=markers, **_said(head))


def declared_charset(head: bytes) -> str:
    """The label in a header's `Character set encoding:`, "" where there is none."""
    found = re.search(
        rb"^Character set encoding:[ \t]*([A-Za-z0-9_-]{2,40})",
        head[:5000],
        re.IGNORECASE | re.MULTILINE,
    )
    return found[1].decode("ascii") if found else ""


def _pair(lines: list[str]) -> tuple[int, int, str]:
    """(first line of the book, line behind it, "pair"); "" without both markers."""
    start = next((i for i, line in enumerate(lines) if "***" in line and _START.match(line)), None)
    end = next(
        (i for i in range(len(lines) - 1, -1, -1) if "***" in lines[i] and _END.match(lines[i])),
        None,
    )
    if start is None or end is None or end < start:
        return 0, len(lines), ""
    return min(_behind_start(lines, start), end), end, "pair"


def _behind_start(lines: list[str], start: int) -> int:
    """The line behind a START marker, which may go on for two more lines until its `***`."""
    for i in range(start, min(start + 3, len(lines))):
        tail = lines[i].rstrip()
        if tail.endswith("***") and (i > start or len(tail.strip("* ")) > 0):
            return i + 1
        if not tail:
            break
    return start + 1


def _older(lines: list[str]) -> tuple[int, int, str]:
    """The same by the small print, or by a marker that is alone."""
    total = sum(map(len, lines)) + len(lines)
    allowed = MAX_UNPAIRED * total
    greeted = (
        "project gutenberg"
        in " ".join([line for line in lines if line.strip()][:_GREETING_LINES]).lower()
    )
    begin, end, markers = 0, len(lines), ""
    small = next(
        (i for i, line in enumerate(lines[:_SMALL_PRINT_FROM]) if _SMALL_START.match(line)), None
    )
    last = (small or 0) + _SMALL_PRINT_LINES
    closed = next(
        (
            i + 1
            for i, line in enumerate(lines[: last if small is not None else len(lines)])
            if _SMALL_END.match(line) and i >= (small or 0)
        ),
        None,
    )
    lone = next((i for i, line in enumerate(lines) if _START.match(line)), None)
    if greeted and small is not None and closed is not None:
        begin, markers = closed, "small_print"
    else:
        head = (
            closed
            if greeted and closed is not None
            else _behind_start(lines, lone)
            if lone is not None
            else 0
        )
        size = _size(lines, 0, head)
        if head and size <= allowed:
            begin, markers, allowed = head, "one", allowed - size
    tail = next(
        (
            i
            for i in range(len(lines) - 1, begin, -1)
            if _END.match(lines[i])
            or (_END_WORDS.match(lines[i]) and (greeted or len(lines) - i <= 4))
        ),
        None,
    )
    if tail is not None and _size(lines, tail, len(lines)) <= allowed:
        end, markers = tail, markers or "one"
    return begin, end, markers


def _size(lines: list[str], begin: int, end: int) -> int:
    return sum(len(line) + 1 for line in lines[begin:end])


def _block(lines: list[str], begin: int, end: int) -> tuple[int, int]:
    """(first line, line behind it) of the first run of lines that are not blank; equal where there
    is none."""
    while begin < end and not lines[begin].strip():
        begin += 1
    stop = begin
    while stop < end and lines[stop].strip():
        stop += 1
    return begin, stop


def _behind_credits(lines: list[str], begin: int, end: int) -> int:
    """Where the book begins: behind the credits, which stand before its first line; placeholders of
    pictures among them go with them."""
    limit, at, book = begin + CREDIT_LINES, begin, begin
    while at < end:
        first, stop = _block(lines, at, end)
        block = "\n".join(lines[first:stop])
        if first >= limit or stop - first > _BLOCK_LINES:
            break
        if _CREDIT.match(block) or (_MAYBE_CREDIT.match(block) and _EVIDENCE.search(block)):
            book = stop
        elif not _PLACEHOLDER.fullmatch(block):
            break
        at = stop
    return book


def _before_end_words(lines: list[str], begin: int, end: int) -> int:
    """Where the book ends: before `End of the Project Gutenberg EBook of ...`, the last block
    before the marker."""
    stop = end
    while stop > begin and not lines[stop - 1].strip():
        stop -= 1
    first = stop
    while first > begin and lines[first - 1].strip():
        first -= 1
    return (
        first
        if stop - first <= _BLOCK_LINES and first < stop and _END_WORDS.match(lines[first])
        else stop
    )


def _said(head: str) -> dict[str, Any]:
    """Title, author, language and number, by the fields of the header or by its greeting."""
    fields: dict[str, str] = {}
    lines = head.split("\n")
    for i, line in enumerate(lines):
        if found := _FIELD.match(line):
            value = [found[2].strip()]
            for more in lines[i + 1 :]:  # `Title: ...` goes on in indented lines
                if not more.startswith(("  ", "\t")) or not more.strip():
                    break
                value.append(more.strip())
            fields.setdefault(found[1].lower(), " ".join(value).strip())
    first, stop = _block(lines, 0, len(lines))
    if (
        "title" not in fields
        and first < stop
        and (
            greeting := _GREETING.search(
                " ".join(
                    lines[first : min(stop, first + 2)]
                    if not lines[first].rstrip().endswith("*")
                    else lines[first : first + 1]
                )
            )
        )
    ):
        title, _, author = greeting[1].strip(" *").partition(", by ")
        fields |= {"title": title, **({"author": author} if author else {})}
    number = _NUMBER.search(head)
    language = re.split(r"[,;(/]| and ", fields.get("language", "").lower())[0].strip()
    return {
        "title": " ".join(fields.get("title", "").split())[:500] or None,
        "author": " ".join(fields.get("author", "").split())[:500] or None,
        "language": LANGUAGES.get(language),
        "number": int(number[1]) if number else None,
    }
