"""Submissions to Reddit, from dumps that the user has, and which of their links are wanted.

Read are JSON lines (`RS_2015-01.zst`, `RS_v2_2005-07.xz`, `RS_2011-01.bz2`, `.jsonl`, `.ndjson`),
tables whose first line names the columns (`.csv`, `.tsv`), and lists of addresses, one per line
(`.txt`), which have no scores and are wanted as they are; plain or as .gz, .zst, .xz, .bz2. Each
submission is a link or a reject with its reason; so is a line that cannot be read. Fields are read
as dumps of any age have them: a score may be a text or a fraction, a truth value may be a word, and
a missing one is false.
"""

import csv
import json
import math
import re
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import IO
from urllib.parse import urlsplit

from corpora.document import NotPage, Part, Refusal, Reject
from corpora.inputs.complaints import in_words
from corpora.inputs.find import kind_of
from corpora.inputs.streams import DAMAGE, open_inflated, read_lines, what_broke
from corpora.quality.exclusions import within
from corpora.text.urls import canonical_url

MAX_LINE_BYTES = 4_000_000
"""Bytes of one submission: the longest texts of Reddit have 40,000 characters, and with all of its
fields a submission has about 100 KB."""

MAX_URL_CHARACTERS = 4_096

MAX_ROW_LINES = 2_000
"""Lines of one row of a table: a quotation mark without its partner ends there."""

_MAX_SCORE = 2**31 - 1
"""The notes of a survey hold scores of 32 bits."""

_TABLES = {".csv": ",", ".tsv": "\t"}

_DELETED = frozenset({"[deleted]", "[removed]", "[deleted by user]", "[ removed by reddit ]"})

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")

_START = 300
"""Characters of a line that are kept with its reject."""

Record = dict[str, object]
"""The fields of a submission; their values may be anything."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """A wanted link. `key` is its canonical address; `score` is None in lists, which have none."""

    position: int
    url: str
    key: str
    score: int | None


Outcome = Link | Reject | NotPage
"""What becomes of a line or a row."""


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """Which links are wanted.

    `min_score` is None when scores are judged later, after those of one address are added up.
    """

    min_score: int | None = 3
    over_18: bool = False
    deleted: bool = False
    min_url_characters: int = 10
    domains: frozenset[str] = frozenset()
    extensions: frozenset[str] = frozenset()


def read_part(wanted: Wanted, part: Part) -> Iterator[Outcome]:
    """The submissions of a file, or of a range of its lines, as links or rejects. Damage ends a
    file with one more reject."""
    position = part.start
    try:
        form, compression = kind_of(part.path)
        with open_inflated(part.address, compression, long_window=True) as stream:
            for record in _read_stream(wanted, part, stream, form):
                position = record.position + 1  # the place of damage behind it
                yield record
    except (UnicodeEncodeError, *DAMAGE) as error:
        yield what_broke(error).at(part.path, position)


def can_be_cut(path: str) -> bool:
    """Whether a file can be cut between lines."""
    form, compression = kind_of(path)
    return not compression and form not in _TABLES


def _read_stream(wanted: Wanted, part: Part, stream: IO[bytes], form: str) -> Iterator[Outcome]:
    if form in _TABLES:
        yield from _read_table(wanted, part, stream, _TABLES[form])
    elif form == ".txt":
        yield from _read_lines(wanted, part, stream, _read_address)
    else:
        yield from _read_lines(wanted, part, stream, _read_json)


LineReader = Callable[[Wanted, str, int, bytes], Outcome]
"""Reads one line of the file at a path, at a position."""


def _read_lines(
    wanted: Wanted, part: Part, stream: IO[bytes], read_line: LineReader
) -> Iterator[Outcome]:
    for position, line in read_lines(stream, part.start, part.stop, MAX_LINE_BYTES):
        if line is None:
            refusal = Refusal("too_large", f"a line of more than {MAX_LINE_BYTES:,} bytes")
            yield refusal.at(part.path, position)
        elif line.strip():
            yield read_line(wanted, part.path, position, line)


def _read_json(wanted: Wanted, path: str, position: int, line: bytes) -> Outcome:
    try:
        record = json.loads(line.decode("utf-8-sig"))  # a file may begin with a byte order mark
    except UnicodeError as error:
        return _unreadable(error, line, reason="bad_encoding").at(path, position)
    except (ValueError, RecursionError) as error:  # a line may nest a million lists
        return _unreadable(error, line, reason="bad_json").at(path, position)
    if not isinstance(record, dict):
        return _unreadable("not an object", line, reason="bad_json").at(path, position)
    return _judge(wanted, path, position, record)


def _read_address(wanted: Wanted, path: str, position: int, line: bytes) -> Outcome:
    try:
        url = line.decode("utf-8-sig").strip()
    except UnicodeError as error:
        return _unreadable(error, line, reason="bad_encoding").at(path, position)
    if url.startswith("#"):
        return NotPage(kind="comment", path=path, position=position)

    outcome = _canonical(wanted, url)
    if isinstance(outcome, Refusal):
        return _at(outcome, path, position, url)
    return Link(position=position, url=url, key=outcome, score=None)


def _unreadable(why: Exception | str, line: bytes, *, reason: str) -> Refusal:
    detail = why if isinstance(why, str) else in_words(why)
    return Refusal(reason, detail, line[:_START].decode("utf-8", "replace"))


# --- tables


def _read_table(wanted: Wanted, part: Part, stream: IO[bytes], comma: str) -> Iterator[Outcome]:
    """Rows may hold line ends in quotation marks. A row that cannot be read costs its first line
    only."""
    names: list[str] | None = None
    for position, row in _rows(stream):
        values = _values(row, comma)
        if isinstance(values, Refusal):
            yield values.at(part.path, position)
        elif names is None:
            names = [value.strip().lower() for value in values]
            if "url" not in names:
                detail = f"no column `url`; columns: {', '.join(names)}"[:500]
                yield Refusal("unknown_format", detail).at(part.path, position)
                return
        elif len(values) != len(names):
            why = f"{len(values)} values, {len(names)} columns"
            yield _unreadable(why, row or b"", reason="bad_csv").at(part.path, position)
        else:
            yield _judge(wanted, part.path, position, dict(zip(names, values)))


def _values(row: bytes | None, comma: str) -> list[str] | Refusal:
    """The values of a row; None stands for one that is too large."""
    if row is None:
        return Refusal("too_large", f"a row of more than {MAX_LINE_BYTES:,} bytes")
    try:
        text = row.decode("utf-8-sig").replace("\0", "")  # csv refuses NULs in Python 3.10
        (values,) = csv.reader([text], delimiter=comma, strict=True)
    except UnicodeError as error:
        return _unreadable(error, row, reason="bad_encoding")
    except (csv.Error, ValueError) as error:
        return _unreadable(error, row, reason="bad_csv")
    return values


Line = tuple[int, bytes | None]
"""Offset and content of a line; None for one over the limit."""


def _rows(stream: IO[bytes]) -> Iterator[Line]:
    """(offset, row) of a table; None for a line over the limit.

    A row is lines up to one at which the number of quotation marks is even. When no such line comes
    in time, the first line is a row of its own, which then cannot be read, and the lines after it
    are looked at again.
    """
    lines = read_lines(stream, limit=MAX_LINE_BYTES)
    ahead: deque[Line] = deque()

    def next_line() -> Line | None:
        return ahead.popleft() if ahead else next(lines, None)

    while True:
        first = next_line()
        if first is None:
            return
        offset, line = first
        if line is None:
            yield offset, None
        elif line.strip():
            row, taken = _joined(line, next_line)
            if row is None:
                ahead.extendleft(reversed(taken))
                yield offset, line
            else:
                yield offset, row


def _joined(first: bytes, next_line: Callable[[], Line | None]) -> tuple[bytes | None, list[Line]]:
    """The row that begins with a line, and the further lines that were taken for it; None when its
    quotation marks never close."""
    row = [first]
    marks = first.count(b'"')
    size = len(first)
    taken: list[Line] = []
    while marks % 2 and len(row) < MAX_ROW_LINES and size <= MAX_LINE_BYTES:
        following = next_line()
        if following is None:
            break
        taken.append(following)
        line = following[1]
        if line is None:
            break
        row.append(line)
        marks += line.count(b'"')
        size += len(line)
    return (None if marks % 2 else b"\n".join(row)), taken


# --- whether a link is wanted


def _judge(wanted: Wanted, path: str, position: int, record: Record) -> Link | Reject:
    """The link of a submission, or why it is not wanted."""
    url = record.get("url")
    address = _plain(url) if isinstance(url, str) else ""

    refusal = _refuse_submission(wanted, record, address)
    if refusal is not None:
        return _at(refusal, path, position, address)
    score = _score(record)
    if score is None:
        return _at(Refusal("bad_score", repr(record.get("score"))), path, position, address)

    outcome = _canonical(wanted, address)
    if not isinstance(outcome, Refusal) and wanted.min_score is not None:
        if score < wanted.min_score:
            outcome = Refusal("low_score", str(score))
    if isinstance(outcome, Refusal):
        return _at(outcome, path, position, address)
    return Link(position=position, url=address, key=outcome, score=score)


def _at(refusal: Refusal, path: str, position: int, address: str) -> Reject:
    """The reject of an address, with a bounded detail: fields may hold anything."""
    return Refusal(refusal.reason, refusal.detail[:500]).at(path, position, address or None)


def _refuse_submission(wanted: Wanted, record: Record, address: str) -> Refusal | None:
    if not address:
        known = "url" in record
        return Refusal("no_url", "" if known else f"fields: {', '.join(map(str, record))}")
    if _is_true(record.get("is_self")):
        return Refusal("self_post")
    # Old dumps have no `is_self`, but a domain such as self.AskReddit.
    if str(record.get("domain") or "").lower().startswith("self."):
        return Refusal("self_post")
    deleted = "" if wanted.deleted else _deleted(record)
    if deleted:
        return Refusal("deleted", deleted)
    if not wanted.over_18 and _is_true(record.get("over_18")):
        return Refusal("over_18")
    return None


def _canonical(wanted: Wanted, address: str) -> str | Refusal:
    """The canonical form of an address, or why it is not wanted."""
    if len(address) < wanted.min_url_characters:
        return Refusal("short_url")

    parts = _split(address)
    if parts is None:
        is_long = len(address) > MAX_URL_CHARACTERS
        return Refusal("bad_url", "longer than any page's" if is_long else "no address of a page")

    host, path = parts
    _, dot, extension = path.rpartition("/")[2].rpartition(".")
    if dot and extension.lower() in wanted.extensions:
        return Refusal("excluded_extension", extension)

    canonical = canonical_url(address)
    if within(canonical, wanted.domains):
        return Refusal("excluded_domain", host)
    return canonical


def _plain(url: str) -> str:
    """An address without the escapes that Reddit's interface puts into every text.

    Only those three: `&copy=1` in an address is no copyright sign.
    """
    address = url.strip().replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")
    return address.replace(" ", "%20")


def _split(address: str) -> tuple[str, str] | None:
    """(host, path) of an address that a page can have; None for any other."""
    if len(address) > MAX_URL_CHARACTERS or _CONTROL.search(address):
        return None
    try:
        address.encode()  # raises on half of a surrogate pair
        parts = urlsplit(address)
        host = parts.hostname or ""
        _ = parts.port  # raises on a port that is no number
    except ValueError:
        return None
    if parts.scheme.lower() not in ("http", "https") or "." not in host.strip("."):
        return None
    return host, parts.path


def _is_true(value: object) -> bool:
    if isinstance(value, str):
        return value.strip().lower() in ("true", "1", "t", "yes")
    return isinstance(value, (int, float)) and value == 1


def _deleted(record: Record) -> str:
    """The field that says that a submission, or its author's account, was deleted; "" when none
    does."""
    for name in ("author", "title", "selftext", "url"):
        value = record.get(name)
        if isinstance(value, str) and value.strip().lower() in _DELETED:
            return f"{name}: {value.strip()}"
    why = record.get("removed_by_category")
    return f"removed_by_category: {why}" if isinstance(why, str) and why.strip() else ""


def _score(record: Record) -> int | None:
    """The score as a whole number, rounded toward zero; None when there is no number.

    Old dumps have the votes for and against instead.
    """
    value = record.get("score")
    ups = record.get("ups")
    downs = record.get("downs")
    if "score" not in record and isinstance(ups, int) and isinstance(downs, int):
        value = ups - downs
    # True and False are whole numbers in Python, and no scores.
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        return None

    try:
        number = float(value)
    except (ValueError, OverflowError):
        return None
    return int(number) if math.isfinite(number) and abs(number) <= _MAX_SCORE else None
