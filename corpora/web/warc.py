"""WARC and ARC archives as records, in one forward pass, with every byte accounted for.

Read: `.warc`, `.warc.gz` (a member a record, one member for all, or anything between), `.arc`,
`.arc.gz`; known by their first bytes, not by their names. The bytes of a record are parsed by
warcio, from memory. What is no record comes out as `Damage`, with the bytes that were skipped:

    damaged          a gzip member that breaks or fails its checksum: the record in it is lost
    truncated        the file ends, or a new record begins, inside a record's own header
    garbage          bytes that belong to no record
    not_an_archive   a file without a single record; other formats are refused by name

A record that lacks bytes at its end is a record, marked by `cut`. Its position is the offset in the
(compressed) file where its member begins; the k-th further record of the same member stands at that
offset + k. Memory: 8 MB of a record are kept, whatever it claims to hold; the rest is read over
(`cut` says so).
"""

import datetime
import logging
import re
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from io import BytesIO
from typing import Any

from warcio.exceptions import ArchiveLoadFailed
from warcio.recordloader import ArcWarcRecordLoader
from warcio.statusandheaders import StatusAndHeadersParser

from corpora.document import Refusal
from corpora.web import gzip_members

BLOCK_LIMIT = 8_000_000
"""Bytes of one record that are kept: four times the largest page, for transfer encodings that blow
it up."""

_HEADER_LIMIT = 1 << 18

_PIECE = 1 << 20

_FIRST_LINE = 9000

_WARC_START = re.compile(rb"(?m)^WARC/\d\.\d{1,2}\s{1,4}[A-Za-z]")

_ARC_LINE = re.compile(rb"(?m)^[A-Za-z][A-Za-z0-9+.-]{0,20}:[^\r\n]{1,8192}\r?\n")

_STATUS = re.compile(r"HTTP/\d(?:\.\d)?\s*(\d{3})(?!\d)", re.IGNORECASE)

_HTTP_START = re.compile(rb"HTTP/\d(?:\.\d)?\s*\d{3}", re.IGNORECASE)

_OTHER_FORMATS = {
    b"\x28\xb5\x2f\xfd": "zstd (.warc.zst)",
    b"\x5d\x2a\x4d\x18": "zstd (.warc.zst)",
    b"BZh": "bzip2",
    b"\xfd7zXZ": "xz",
    b"PK\x03\x04": "zip (.wacz)",
    b"\x89HDF": "HDF5",
}

logging.getLogger("warcio").setLevel(logging.ERROR)  # it warns of every address with a blank in it

# What warcio raises on bytes that are no record; it was not written for hostile input.
_NOT_A_RECORD = (
    ArchiveLoadFailed,
    EOFError,
    ValueError,
    TypeError,
    AttributeError,
    LookupError,
    ArithmeticError,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """One record. `kind`: its WARC-Type, in lower case. `headers`: of HTTP, names in lower case.
    `body`: after them, as stored.

    `cut`: why bytes are missing at its end (`file`: the archive ends; `record`: fewer than it
    claims; `limit`: more than is kept; or the value of its WARC-Truncated), else "".
    """

    position: int
    kind: str
    url: str | None = None
    crawled: datetime.datetime | None = None
    status: int | None = None
    content_type: str = ""
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    cut: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Damage(Refusal):
    """A stretch of an archive that is no readable record, for one of the reasons above.

    `skipped` counts its bytes in the file, or in the inflated data when the stretch is inside sound
    gzip members.
    """

    position: int
    skipped: int
    url: str | None = None


def read_archive(stream: gzip_members.Stream) -> Iterator[Record | Damage]:
    """Every record of an archive, in the order of the file, and all that is none."""
    window = gzip_members.Window(stream)
    first = window.exactly(0, 16)
    for magic, name in _OTHER_FORMATS.items():
        if first.startswith(magic):
            yield Damage(
                position=0,
                reason="not_an_archive",
                detail=f"{name} is not read: recompress it as .warc.gz",
                skipped=0,
            )
            return
    items = _read_plain(window) if _is_plain(window, first) else _read_gzip(window)
    garbage: list[
        Damage
    ] = []  # garbage before the first record: where no record follows, the file is no archive
    for item in items:
        if isinstance(item, Damage) and item.reason == "garbage":
            garbage.append(item)
            continue
        yield from garbage
        yield item
        yield from items
        return
    if garbage:
        what = f"begins with {first!r}; WARC or ARC was expected"
        yield Damage(
            position=0,
            reason="not_an_archive",
            detail=what,
            skipped=sum(item.skipped for item in garbage),
        )


def _is_plain(window: gzip_members.Window, first: bytes) -> bool:
    if first.startswith(gzip_members.MAGIC) or not first:
        return False
    return (
        _starts_record(window.exactly(0, _FIRST_LINE))
        or gzip_members.find(window, 0, _starts_record) is None
    )


def _starts_record(first: bytes) -> bool:
    return _WARC_START.match(first) is not None or (
        (line := _ARC_LINE.match(first)) is not None and _is_arc_header(line[0])
    )


def _is_arc_header(line: bytes) -> bool:
    """ARC's header is one line: address, IP address, time, type, length; blanks in the address
    happen, and so do lengths that are no numbers."""
    parts = line.rstrip().rsplit(b" ", 4)
    return (
        len(parts) == 5
        and 0 < len(parts[1]) <= 64
        and 8 <= len(parts[2]) <= 18
        and parts[2].isdigit()
        and 0 < len(parts[4]) <= 20
    )


def _next_start(content: bytes, start: int) -> int | None:
    """Where, from `start` on, a line of `content` begins a record."""
    found = [match.start() for match in (_WARC_START.search(content, start),) if match]
    found += [
        line.start() for line in _ARC_LINE.finditer(content, start) if _is_arc_header(line[0])
    ][:1]
    return min(found, default=None)


def _read_plain(window: gzip_members.Window) -> Iterator[Record | Damage]:
    def pieces() -> Iterator[bytes]:
        offset = 0
        while piece := window.at(offset, _PIECE):
            offset += len(piece)
            yield piece

    yield from _read_stretch(_Stretch(0, pieces(), counts_bytes=True))


def _read_gzip(window: gzip_members.Window) -> Iterator[Record | Damage]:
    """A run of sound members is one stretch, as long as they do not begin a record: so both a
    member a record and one for all can be read, and a record that claims too many bytes cannot
    swallow the next one."""
    offset = 0
    while window.at(offset, 1):
        first = gzip_members.head(window, offset)
        if first is None or not (first == b"" or _starts_record(first)):
            following = gzip_members.find(window, offset + 1, _starts_record)
            end = _file_end(window, offset) if following is None else following
            yield Damage(
                position=offset,
                reason="garbage",
                detail=_skipped("no record begins here", end - offset),
                skipped=end - offset,
            )
            offset = end
            continue
        stretch = _Stretch(offset, iter(()))
        stretch.pieces = _stretch_pieces(window, stretch)
        last: Record | Damage | None = None
        for item in _read_stretch(stretch):
            if last is not None:
                yield last
            last = item
        if stretch.fault in ("", "cut"):
            if isinstance(last, Record) and stretch.fault == "cut":
                last = replace(last, cut="file")
            if last is not None:
                yield last
            offset = stretch.end
            continue
        following = gzip_members.find(window, stretch.end + 1, _starts_record)
        end = _file_end(window, stretch.end) if following is None else following
        position, url = offset, None
        if last is not None:
            position, url = last.position, last.url
            if isinstance(last, Damage) or not (last.cut or stretch.fault.endswith("check)")):
                yield last  # whole before the damage, which is then beyond it
                position, url = position + 1, None
        yield Damage(
            position=position,
            reason="damaged",
            detail=_skipped(stretch.fault, end - stretch.end),
            skipped=end - stretch.end,
            url=url,
        )
        offset = end


def _skipped(what: str, count: int) -> str:
    return f"{what}; {count:,} bytes skipped"


def _file_end(window: gzip_members.Window, offset: int) -> int:
    while piece := window.at(offset, _PIECE):
        offset += len(piece)
    return offset


def _stretch_pieces(window: gzip_members.Window, stretch: "_Stretch") -> Iterator[bytes]:
    """The inflated bytes of the members from `stretch.end` on, up to the next that begins a record,
    damage, or the end.

    On damage `stretch.end` is the beginning of the bad member, else the end of the last one."""
    while True:
        try:
            stretch.end = yield from gzip_members.member(window, stretch.end)
        except gzip_members.Cut:
            stretch.fault, stretch.end = "cut", _file_end(window, stretch.end)
            return
        except zlib.error as error:
            stretch.fault = f"the gzip member at byte {stretch.end:,} is damaged ({str(error).rpartition(': ')[2]})"
            return
        first = gzip_members.head(window, stretch.end)
        if first is None or _starts_record(first):
            return


class _Stretch:
    """Bytes that hold records one after the other, read forward; warcio sees it as a file."""

    def __init__(self, offset: int, pieces: Iterator[bytes], *, counts_bytes: bool = False) -> None:
        self.offset = offset
        self.end = offset
        self.pieces = pieces
        self.counts_bytes = counts_bytes
        self.fault = ""
        self.consumed = 0
        self.header_budget = 0
        self._held = b""
        self._at = 0

    def fill(self, count: int) -> int:
        """The number of bytes held, at least `count` unless the stretch ends before."""
        while len(self._held) - self._at < count:
            piece = next(self.pieces, b"")
            if not piece:
                break
            self._held = self._held[self._at :] + piece
            self._at = 0
        return len(self._held) - self._at

    def peek(self, count: int) -> bytes:
        self.fill(count)
        return self._held[self._at : self._at + count]

    def read(self, count: int) -> bytes:
        parts = []
        while count > 0 and self.fill(1):
            part = self._held[self._at : self._at + count]
            parts.append(part)
            self._step(len(part))
            count -= len(part)
        return b"".join(parts)

    def readline(self, limit: int | None = None) -> bytes:
        """One line of a header; raises ValueError where a header is longer than 256 KB."""
        self.fill(_HEADER_LIMIT)
        stop = self._held.find(b"\n", self._at, self._at + _HEADER_LIMIT)
        line = self._held[self._at : stop + 1 if stop >= 0 else self._at + _HEADER_LIMIT]
        self._step(len(line))
        self.header_budget -= len(line)
        if self.header_budget < 0:
            raise ValueError("the header of a record is longer than 256 KB")
        return line

    def skip(self, count: int) -> int:
        """Read over `count` bytes; the number of them that were there."""
        left = count
        while left > 0 and self.fill(1):
            step = min(left, len(self._held) - self._at)
            self._step(step)
            left -= step
        return count - left

    def push_back(self, content: bytes) -> None:
        self._held = content + self._held[self._at :]
        self._at = 0
        self.consumed -= len(content)

    def skip_blank_lines(self) -> None:
        while (first := self.peek(1)) and first in b"\r\n":
            self._step(1)

    def skip_to_record(self) -> int:
        """Go to the next beginning of a record; the number of bytes passed over."""
        passed = 0
        while True:
            there = self.fill(_PIECE)
            start = _next_start(self._held, self._at)
            step = (
                start - self._at
                if start is not None
                else there - _FIRST_LINE
                if there >= _PIECE
                else there
            )
            passed += step
            self._step(step)
            if start is not None or there < _PIECE:
                return passed

    def _step(self, count: int) -> None:
        self._at += count
        self.consumed += count


def _read_stretch(stretch: _Stretch) -> Iterator[Record | Damage]:
    loader = ArcWarcRecordLoader(verify_http=False)
    count = 0
    while True:
        stretch.skip_blank_lines()
        if not (first := stretch.peek(_FIRST_LINE)):
            return
        position = stretch.consumed if stretch.counts_bytes else stretch.offset + count
        count += 1
        if not _starts_record(first):
            skipped = stretch.skip_to_record()
            yield Damage(
                position=position,
                reason="garbage",
                detail=_skipped("no record begins here", skipped),
                skipped=skipped,
            )
            continue
        start = stretch.consumed
        stretch.header_budget = _HEADER_LIMIT
        try:
            parsed = loader.parse_record_stream(stretch, no_record_parse=True)
        except _NOT_A_RECORD as error:
            stretch.skip_to_record()
            skipped = stretch.consumed - start
            yield Damage(
                position=position,
                reason="truncated",
                detail=_skipped(
                    f"the header of a record cannot be read ({type(error).__name__})", skipped
                ),
                skipped=skipped,
            )
            continue
        yield _finish(stretch, parsed, position)


def _finish(stretch: _Stretch, parsed: Any, position: int) -> Record:
    length = parsed.length
    block = stretch.read(BLOCK_LIMIT if length is None else min(length, BLOCK_LIMIT))
    cut = parsed.rec_headers.get_header("WARC-Truncated") or ""
    if length is None or len(block) < min(length, BLOCK_LIMIT):
        cut = cut or "record"
        if following := _WARC_START.search(block, 1):
            stretch.push_back(block[following.start() :])
            block = block[: following.start()]
        elif stretch.counts_bytes:
            cut = "file"
    elif length > len(block):
        cut = "limit"
        stretch.skip(length - len(block))
    # reaches the end of a member, and so the check of its CRC, before the record is given out
    stretch.skip_blank_lines()
    headers, body, status = _http(block)
    kind = (parsed.rec_type or "").lower()
    content_type = (
        headers.get("content-type", "") if status is not None else (parsed.content_type or "")
    )
    return Record(
        position=position,
        kind=kind,
        url=parsed.rec_headers.get_header("WARC-Target-URI"),
        crawled=_date(parsed.rec_headers.get_header("WARC-Date")),
        status=status,
        content_type=content_type,
        headers=headers,
        body=body,
        cut=cut,
    )


def _http(block: bytes) -> tuple[dict[str, str], bytes, int | None]:
    """HTTP headers, the body after them, and the status. Some crawlers put a second head (of a
    proxy, or `100 Continue`) before the real one, or an empty line after it: both are passed over.
    Of headers given twice the last one counts."""
    headers: dict[str, str] = {}
    status = None
    for _ in range(3):
        if not _HTTP_START.match(block):
            break
        stream = BytesIO(block[:_HEADER_LIMIT])
        try:
            parsed = StatusAndHeadersParser([], verify=False).parse(stream)
        except _NOT_A_RECORD:
            break
        match = _STATUS.match(f"{parsed.protocol} {parsed.statusline}")
        status = int(match[1]) if match else None
        headers.update((name.lower(), value) for name, value in parsed.headers)
        block = block[stream.tell() :].lstrip(b"\r\n")
    return headers, block, status


def _date(value: str | None) -> datetime.datetime | None:
    match = re.match(r"(\d{4})-(\d\d)-(\d\d)T(\d\d):(\d\d):(\d\d)", value or "")
    try:
        if match is None:
            return None
        year, month, day, hour, minute, second = map(int, match.groups())
        return datetime.datetime(
            year, month, day, hour, minute, second, tzinfo=datetime.timezone.utc
        )
    except ValueError:
        return None
