"""Submissions of Reddit, from dumps that the user has, and which of their links are wanted.

Read are JSON lines (`RS_2015-01.zst`, `RS_v2_2005-07.xz`, `RS_2011-01.bz2`, `.jsonl`, `.ndjson`),
tables with a first line of names (`.csv`, `.tsv`), and lists of addresses, one a line (`.txt`),
which have no scores and are wanted as they are; plain or as .gz, .zst, .xz, .bz2. Each submission
is a link or a reject with its reason; so is a line that cannot be read, whatever it holds. Fields
are read as dumps of any age have them: a score may be a text or a fraction, what is true may be
said in words, what is not said is not true.
"""

import csv
import json
import math
import re
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO, Any
from urllib.parse import urlsplit

from corpora.document import Part, Reject
from corpora.inputs.find import kind_of
from corpora.inputs.streams import DAMAGE, open_inflated, read_lines, what_broke
from corpora.quality.exclusions import within
from corpora.text.urls import canonical_url

MAX_LINE_BYTES = 4_000_000
"""Of one submission: the longest texts of Reddit have 40,000 characters; what hangs on one comes to
some 100 KB."""

MAX_URL_CHARACTERS = 4_096

MAX_ROW_LINES = 2_000
"""Of one row of a table: a quotation mark without its partner ends there."""

_MAX_SCORE = 2**31 - 1

_TABLES = {".csv": ",", ".tsv": "\t"}

_DELETED = frozenset({"[deleted]", "[removed]", "[deleted by user]", "[ removed by reddit ]"})

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")

_START = 300


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """A wanted link. `score` None: of a list, which has none."""

    position: int
    url: str
    key: str
    score: int | None


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """Which links are wanted. `min_score` None: scores are judged later, when those of one address
    are added up."""

    min_score: int | None = 3
    over_18: bool = False
    deleted: bool = False
    min_url_characters: int = 10
    domains: frozenset[str] = frozenset()
    extensions: frozenset[str] = frozenset()


def read_part(wanted: Wanted, part: Part) -> Iterator[Link | Reject]:
    """What the submissions of a file, or of a range of its lines, come to. A file that is damaged
    gives one more reject."""
    position = part.start
    try:
        form, compression = kind_of(part.path)
        with open_inflated(part.address, compression, long_window=True) as stream:
            found = (
                _read_table(wanted, part, stream, _TABLES[form])
                if form in _TABLES
                else _read_lines(wanted, part, stream, form == ".txt")
            )
            for record in found:
                position = record.position + 1
                yield record
    except (UnicodeEncodeError, *DAMAGE) as error:
        yield what_broke(error).at(part.path, position)


def can_be_cut(path: str) -> bool:
    """Whether a file can be cut between lines."""
    form, compression = kind_of(path)
    return not compression and form not in _TABLES


def _read_lines(
    wanted: Wanted, part: Part, stream: IO[bytes], bare: bool
) -> Iterator[Link | Reject]:
    for position, line in read_lines(stream, part.start, part.stop, MAX_LINE_BYTES):
        if line is None:
            yield Reject(
                path=part.path,
                position=position,
                reason="too_large",
                detail=f"a line of more than {MAX_LINE_BYTES:,} bytes",
            )
        elif line.strip():
            yield (
                _of_address(wanted, part.path, position, line)
                if bare
                else _of_json(wanted, part.path, position, line)
            )


def _of_json(wanted: Wanted, path: str, position: int, line: bytes) -> Link | Reject:
    try:
        record = json.loads(line.decode("utf-8-sig"))
    except UnicodeError as error:
        return _unread(path, position, line, error, reason="bad_encoding")
    except (ValueError, RecursionError) as error:
        return _unread(path, position, line, error, reason="bad_json")
    if not isinstance(record, dict):
        return _unread(path, position, line, "not an object", reason="bad_json")
    return judge(wanted, path, position, record)


def _of_address(wanted: Wanted, path: str, position: int, line: bytes) -> Link | Reject:
    try:
        url = line.decode("utf-8-sig").strip()
    except UnicodeError as error:
        return _unread(path, position, line, error, reason="bad_encoding")
    if url.startswith("#"):
        return Reject(path=path, position=position, reason="comment", detail=url[:_START])
    return _judge_address(wanted, path, position, url, None)


def _unread(path: str, position: int, line: bytes, why: object, *, reason: str) -> Reject:
    return Reject(
        path=path,
        position=position,
        reason=reason,
        detail=str(why)[:200],
        text=line[:_START].decode("utf-8", "replace"),
    )


def _read_table(
    wanted: Wanted, part: Part, stream: IO[bytes], comma: str
) -> Iterator[Link | Reject]:
    """Rows may hold line ends in quotation marks. One that cannot be read costs its first line."""
    names: list[str] | None = None
    for position, row in _rows(stream):
        if row is None:
            yield Reject(
                path=part.path,
                position=position,
                reason="too_large",
                detail=f"a row of more than {MAX_LINE_BYTES:,} bytes",
            )
            continue
        try:
            (values,) = csv.reader(
                [row.decode("utf-8-sig").replace("\0", "")], delimiter=comma, strict=True
            )
        except UnicodeError as error:
            yield _unread(part.path, position, row, error, reason="bad_encoding")
            continue
        except (csv.Error, ValueError) as error:
            yield _unread(part.path, position, row, error, reason="bad_csv")
            continue
        if names is None:
            names = [value.strip().lower() for value in values]
            if "url" not in names:
                yield Reject(
                    path=part.path,
                    position=position,
                    reason="unknown_format",
                    detail=f"no column `url`; columns: {', '.join(names)}"[:500],
                )
                return
        elif len(values) != len(names):
            yield _unread(
                part.path,
                position,
                row,
                f"{len(values)} values, {len(names)} columns",
                reason="bad_csv",
            )
        else:
            yield judge(wanted, part.path, position, dict(zip(names, values)))


def _rows(stream: IO[bytes]) -> Iterator[tuple[int, bytes | None]]:
    """(offset, row) of a table: lines up to one at which the quotation marks are even; None for a
    line over the limit. Where no such line comes in time the first line is a row of its own, which
    then cannot be read, and those after it are looked at again."""
    lines = read_lines(stream, limit=MAX_LINE_BYTES)
    ahead: deque[tuple[int, bytes | None]] = deque()
    while (first := ahead.popleft() if ahead else next(lines, None)) is not None:
        offset, line = first
        if line is None or not line.strip():
            if line is None:
                yield offset, None
            continue
        held, marks, size = [line], line.count(b'"'), len(line)
        taken = []
        while marks % 2 and len(held) < MAX_ROW_LINES and size <= MAX_LINE_BYTES:
            more = ahead.popleft() if ahead else next(lines, None)
            if more is None:
                break
            taken.append(more)
            if more[1] is None:
                break
            held.append(more[1])
            marks += more[1].count(b'"')
            size += len(more[1])
        if marks % 2:
            ahead.extendleft(reversed(taken))
            yield offset, line
        else:
            yield offset, b"\n".join(held)


def judge(wanted: Wanted, path: str, position: int, record: dict[str, Any]) -> Link | Reject:
    """Whether the link of a submission is wanted."""
    url = record.get("url")
    address = _plain(url) if isinstance(url, str) else ""

    def reject(*, reason: str, detail: str = "") -> Reject:
        return Reject(
            path=path, position=position, reason=reason, detail=detail[:500], url=address or None
        )

    if not address:
        return reject(
            reason="no_url",
            detail=f"fields: {', '.join(map(str, record))}" if "url" not in record else "",
        )
    if _true(record.get("is_self")) or str(record.get("domain") or "").lower().startswith("self."):
        return reject(reason="self_post")
    if not wanted.deleted and (why := _deleted(record)):
        return reject(reason="deleted", detail=why)
    if not wanted.over_18 and _true(record.get("over_18")):
        return reject(reason="over_18")
    score = _score(record)
    if score is None:
        return reject(reason="bad_score", detail=repr(record.get("score")))
    return _judge_address(wanted, path, position, address, score)


def _judge_address(
    wanted: Wanted, path: str, position: int, address: str, score: int | None
) -> Link | Reject:
    def reject(*, reason: str, detail: str = "") -> Reject:
        return Reject(
            path=path, position=position, reason=reason, detail=detail[:500], url=address or None
        )

    if len(address) < wanted.min_url_characters:
        return reject(reason="short_url")
    parts = _split(address)
    if parts is None:
        return reject(
            reason="bad_url",
            detail="longer than any page's"
            if len(address) > MAX_URL_CHARACTERS
            else "no address of a page",
        )
    ending = parts[1].rpartition("/")[2].rpartition(".")
    if ending[1] and ending[2].lower() in wanted.extensions:
        return reject(reason="excluded_extension", detail=ending[2])
    key = canonical_url(address)
    if within(key, wanted.domains):
        return reject(reason="excluded_domain", detail=parts[0])
    if score is not None and wanted.min_score is not None and score < wanted.min_score:
        return reject(reason="low_score", detail=str(score))
    return Link(position=position, url=address, key=key, score=score)


def _plain(url: str) -> str:
    """An address without the escapes that Reddit's interface puts into every text; no others, for
    `&copy=1` is no sign."""
    return (
        url.strip()
        .replace("&lt;", "<")
        .replace("&gt;", ">")
        .replace("&amp;", "&")
        .replace(" ", "%20")
    )


def _split(address: str) -> tuple[str, str] | None:
    """(host, path) of what can be the address of a page."""
    if len(address) > MAX_URL_CHARACTERS or _CONTROL.search(address):
        return None
    try:
        address.encode()  # no half of a character
        parts = urlsplit(address)
        host = parts.hostname or ""
        _ = parts.port
    except ValueError:
        return None
    return (
        (host, parts.path)
        if parts.scheme.lower() in ("http", "https") and "." in host.strip(".")
        else None
    )


def _true(value: object) -> bool:
    return (
        value is True
        or (isinstance(value, (int, float)) and value == 1)
        or (isinstance(value, str) and value.strip().lower() in ("true", "1", "t", "yes"))
    )


def _deleted(record: dict[str, Any]) -> str:
    """How a submission says that it, or who made it, is no more; "" where it does not."""
    for name in ("author", "title", "selftext", "url"):
        value = record.get(name)
        if isinstance(value, str) and value.strip().lower() in _DELETED:
            return f"{name}: {value.strip()}"
    why = record.get("removed_by_category")
    return f"removed_by_category: {why}" if isinstance(why, str) and why.strip() else ""


def _score(record: dict[str, Any]) -> int | None:
    """The score as a whole number, of fractions the whole part; of old dumps without one the votes
    for it less those against. None: no number."""
    value = record.get("score")
    if (
        "score" not in record
        and isinstance(record.get("ups"), int)
        and isinstance(record.get("downs"), int)
    ):
        value = record["ups"] - record["downs"]
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        return None
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return None
    return int(number) if math.isfinite(number) and abs(number) <= _MAX_SCORE else None
