"""WARC and ARC archives as records, in one forward pass, with every byte accounted for.

Read are `.warc`, `.warc.gz` (one member per record, one for all, or anything between), `.warc.zst`
(with and without a dictionary), `.arc` and `.arc.gz`, recognised by their first bytes and not by
their names. warcio parses the bytes of a record, from memory. Bytes that are no record come out as
`Damage`, with their number:

    damaged          a gzip member that breaks or fails its checksum: the record in it is lost
    truncated        the file ends, or a new record begins, inside a record's own header
    garbage          bytes that belong to no record
    not_an_archive   a file without a single record; other formats are refused by name

A record that lacks bytes at its end is a record, marked by `cut`. Its position is the offset in the
(compressed) file where its member begins; the k-th further record of the same member has that
offset + k. Memory: at most 20 MB of a record are kept, whatever it claims to hold; the rest is
skipped, and `cut` says so.
"""

import datetime
import logging
import re
import zlib
from collections.abc import Generator, Iterator
from dataclasses import dataclass, field, replace
from io import BytesIO

import zstandard
from warcio.exceptions import ArchiveLoadFailed
from warcio.recordloader import ArcWarcRecord, ArcWarcRecordLoader
from warcio.statusandheaders import StatusAndHeadersParser

from corpora.document import Refusal
from corpora.web import gzip_members, zstd_frames

BLOCK_LIMIT = 20_000_000
"""Bytes of one record that are kept: more than the largest page, since transfer encodings may
enlarge it."""

_HEADER_LIMIT = 1 << 18
"""Bytes of the header of a record."""

_PIECE = 1 << 20

_FIRST_LINE = 9000
"""Bytes that hold the first line of any record: an address of ARC may have 8 KB."""

_CUT = "cut"
"""The fault of a stretch whose file ends inside a member."""

# At the beginning of a line, or behind padding.
_WARC_START = re.compile(
    rb"(?m)^WARC/\d\.\d{1,2}\s{1,4}[A-Za-z]|(?<=[\x00 ])WARC/\d\.\d{1,2}\r?\n[A-Za-z]"
)

_ARC_LINE = re.compile(rb"(?m)^[A-Za-z][A-Za-z0-9+.-]{0,20}:[^\r\n]{1,8192}\r?\n")

_JOINED = ("content-type", "content-encoding", "x-robots-tag", "tdm-reservation")
"""Headers whose lines are parts of one value."""

_STATUS = re.compile(r"HTTP/\d(?:\.\d)?\s*(\d{3})(?!\d)", re.IGNORECASE)

_TAG_LINE = re.compile(rb"\n(?=[ \t]{0,99}<)")

_EMPTY_LINE = re.compile(rb"\n\r?\n")

_HTTP_START = re.compile(rb"HTTP/\d(?:\.\d)?\s*\d{3}", re.IGNORECASE)

_OTHER_FORMATS = {
    b"BZh": "bzip2",
    b"\xfd7zXZ": "xz",
    b"PK\x03\x04": "zip (.wacz)",
    b"\x89HDF": "HDF5",
}

# warcio warns about every address with a blank in it.
logging.getLogger("warcio").setLevel(logging.ERROR)

# What warcio raises on bytes that are no record: it was not written for hostile input.
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
    """One record of an archive.

    `kind` is its WARC-Type in lower case; `headers` are those of HTTP, with names in lower case,
    and `body` follows them, as stored. `cut` says why bytes are missing at its end: `file` (the
    archive ends), `record` (it has fewer than it claims), `limit` (it has more than is kept), or
    the value of its WARC-Truncated, or `segment` (the rest is in other records); "" when none are
    missing.
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
    """Every record of an archive and every stretch of damage, in the order of the file."""
    window = gzip_members.Window(stream)
    first = window.exactly(0, 16)
    for magic, name in _OTHER_FORMATS.items():
        if first.startswith(magic):
            detail = f"{name} is not read: recompress it as .warc.gz"
            yield Damage(reason="not_an_archive", detail=detail, position=0, skipped=0)
            return

    if first.startswith((zstd_frames.FRAME, zstd_frames.DICTIONARY)):
        items = _read_zstd(window)
    else:
        items = _read_plain(window) if _is_plain(window, first) else _read_gzip(window)

    # Garbage at the start waits: a file in which no record follows is no archive.
    garbage: list[Damage] = []
    for item in items:
        if isinstance(item, Damage) and item.reason == "garbage":
            garbage.append(item)
            continue
        yield from garbage
        yield item
        yield from items
        return

    if garbage:
        yield Damage(
            reason="not_an_archive",
            detail=f"begins with {first!r}; WARC or ARC was expected",
            position=0,
            skipped=sum(item.skipped for item in garbage),
        )


def _is_plain(window: gzip_members.Window, first: bytes) -> bool:
    """Whether an archive is not compressed."""
    if first.startswith(gzip_members.MAGIC) or not first:
        return False
    if _starts_record(window.exactly(0, _FIRST_LINE)):
        return True
    # Members may begin behind garbage.
    return gzip_members.find(window, 0, _starts_record) is None


def _starts_record(first: bytes) -> bool:
    if _WARC_START.match(first):
        return True
    line = _ARC_LINE.match(first)
    return line is not None and _is_arc_header(line[0])


def _is_arc_header(line: bytes) -> bool:
    """Whether a line is the header of an ARC record: address, IP address, time, type, length.

    Split from its end: blanks in the address happen. The length may be no number.
    """
    parts = line.rstrip().rsplit(b" ", 4)
    return (
        len(parts) == 5
        and 0 < len(parts[1]) <= 64
        and 8 <= len(parts[2]) <= 18
        and parts[2].isdigit()
        and 0 < len(parts[4]) <= 20
    )


def _next_start(content: bytes, start: int) -> int | None:
    """The offset, from `start` on, of the first line of `content` that begins a record."""
    starts = []
    warc_line = _WARC_START.search(content, start)
    if warc_line:
        starts.append(warc_line.start())
    for line in _ARC_LINE.finditer(content, start):
        if _is_arc_header(line[0]):
            starts.append(line.start())
            break
    return min(starts, default=None)


def _read_plain(window: gzip_members.Window) -> Iterator[Record | Damage]:
    yield from _read_stretch(_Stretch(0, _plain_pieces(window), counts_bytes=True))


def _read_zstd(window: gzip_members.Window) -> Iterator[Record | Damage]:
    """The records of zstd frames. Their positions are 0, 1, ...: a record need not begin a
    frame."""
    stretch = _Stretch(0, iter(()))
    stretch.pieces = _zstd_pieces(window, stretch)
    last: Record | Damage | None = None
    position = 0
    for item in _read_stretch(stretch):
        if last is not None:
            yield last
        last = item
        position = item.position + 1

    if isinstance(last, Record) and stretch.fault == _CUT:
        last = replace(last, cut="file")
    if last is not None:
        yield last
    if not position:
        detail = "zstd without a WARC or ARC record in it"
        yield Damage(reason="not_an_archive", detail=detail, position=0, skipped=0)
    elif stretch.fault not in ("", _CUT):
        detail = f"a zstd frame is damaged ({stretch.fault}); what follows is not read"
        yield Damage(reason="damaged", detail=detail, position=position, skipped=0)


def _zstd_pieces(window: gzip_members.Window, stretch: "_Stretch") -> Iterator[bytes]:
    try:
        yield from zstd_frames.pieces(window)
    except gzip_members.Cut:
        stretch.fault = _CUT
    except zstandard.ZstdError as error:
        stretch.fault = str(error)[:200]


def _plain_pieces(window: gzip_members.Window) -> Iterator[bytes]:
    offset = 0
    while piece := window.at(offset, _PIECE):
        offset += len(piece)
        yield piece


def _read_gzip(window: gzip_members.Window) -> Iterator[Record | Damage]:
    offset = 0
    while window.at(offset, 1):
        first = gzip_members.head(window, offset)
        if first is not None and (first == b"" or _starts_record(first)):
            offset = yield from _read_members(window, offset)
            continue

        end = _next_member(window, offset)
        yield Damage(
            reason="garbage",
            detail=_skipped("no record begins here", end - offset),
            position=offset,
            skipped=end - offset,
        )
        offset = end


def _read_members(
    window: gzip_members.Window, offset: int
) -> Generator[Record | Damage, None, int]:
    """The records of the members from `offset` up to the next member that begins a record; returns
    the offset to read on at.

    Members that do not begin a record continue the last one. So both one member per record and one
    for all can be read, and a record that claims too many bytes cannot swallow the next one.
    """
    stretch = _Stretch(offset, iter(()))
    stretch.pieces = _member_pieces(window, stretch)

    # The last item waits: the fault of the stretch, known at its end, may be inside it.
    last: Record | Damage | None = None
    for item in _read_stretch(stretch):
        if last is not None:
            yield last
        last = item

    if stretch.fault in ("", _CUT):
        if isinstance(last, Record) and stretch.fault == _CUT:
            last = replace(last, cut="file")
        if last is not None:
            yield last
        return stretch.end

    position = offset
    url = None
    if last is not None and _is_before_fault(last, stretch.fault):
        yield last
        position = last.position + 1
    elif last is not None:
        position = last.position
        url = last.url
    end = _next_member(window, stretch.end)
    yield Damage(
        reason="damaged",
        detail=_skipped(stretch.fault, end - stretch.end),
        position=position,
        skipped=end - stretch.end,
        url=url,
    )
    return end


def _is_before_fault(last: Record | Damage, fault: str) -> bool:
    """Whether the last item of a stretch is whole, so that the fault is behind it.

    A failed check is found only after the last byte, so it may be in any byte of a whole record.
    """
    if isinstance(last, Damage):
        return True
    return not last.cut and not fault.endswith("check)")


def _skipped(what: str, count: int) -> str:
    return f"{what}; {count:,} bytes skipped"


def _next_member(window: gzip_members.Window, offset: int) -> int:
    """The offset, after `offset`, of the next member that begins a record; else the file's end."""
    following = gzip_members.find(window, offset + 1, _starts_record)
    return _file_end(window, offset) if following is None else following


def _file_end(window: gzip_members.Window, offset: int) -> int:
    while piece := window.at(offset, _PIECE):
        offset += len(piece)
    return offset


def _member_pieces(window: gzip_members.Window, stretch: "_Stretch") -> Iterator[bytes]:
    """The inflated bytes of the members from `stretch.end` on, up to the next that begins a record,
    damage, or the end.

    On damage `stretch.end` is the beginning of the bad member, else the end of the last one.
    """
    while True:
        try:
            stretch.end = yield from gzip_members.member(window, stretch.end)
        except gzip_members.Cut:
            stretch.fault = _CUT
            stretch.end = _file_end(window, stretch.end)
            return
        except zlib.error as error:
            # zlib says "Error -3 while decompressing data: incorrect data check".
            reason = str(error).rpartition(": ")[2]
            stretch.fault = f"the gzip member at byte {stretch.end:,} is damaged ({reason})"
            return

        first = gzip_members.head(window, stretch.end)
        if first is None or _starts_record(first):
            return


class _Stretch:
    """Bytes that hold records one after the other, read forward; warcio sees them as a file.

    `offset` is where the stretch begins in the file and `end` how far it was read; `fault` says
    what ended it, "" nothing. `counts_bytes`: the bytes are those of the file itself, so that
    positions are offsets.
    """

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
        """The number of bytes in memory: at least `count`, unless the stretch ends before."""
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
        # warcio reads the header by lines of any length: the limit bounds them all together.
        self.fill(_HEADER_LIMIT)
        stop = self._held.find(b"\n", self._at, self._at + _HEADER_LIMIT)
        line = self._held[self._at : stop + 1 if stop >= 0 else self._at + _HEADER_LIMIT]
        self._step(len(line))
        self.header_budget -= len(line)
        if self.header_budget < 0:
            raise ValueError("the header of a record is longer than 256 KB")
        return line

    def skip(self, count: int) -> int:
        """Skip `count` bytes; returns the number of them that were there."""
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
        """Skip to the next beginning of a record; returns the number of bytes skipped."""
        skipped = 0
        while True:
            available = self.fill(_PIECE)
            start = _next_start(self._held, self._at)
            if start is not None:
                step = start - self._at
            elif available < _PIECE:
                step = available
            else:
                step = available - _FIRST_LINE  # a first line may begin in these last bytes

            skipped += step
            self._step(step)
            if start is not None or available < _PIECE:
                return skipped

    def _step(self, count: int) -> None:
        self._at += count
        self.consumed += count


def _read_stretch(stretch: _Stretch) -> Iterator[Record | Damage]:
    loader = ArcWarcRecordLoader(verify_http=False)
    count = 0
    while True:
        stretch.skip_blank_lines()
        first = stretch.peek(_FIRST_LINE)
        if not first:
            return

        # Inside a member a record has no offset of its own: the records are counted from its start.
        position = stretch.consumed if stretch.counts_bytes else stretch.offset + count
        count += 1
        if not _starts_record(first):
            skipped = stretch.skip_to_record()
            yield Damage(
                reason="garbage",
                detail=_skipped("no record begins here", skipped),
                position=position,
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
            what = f"the header of a record cannot be read ({type(error).__name__})"
            yield Damage(
                reason="truncated",
                detail=_skipped(what, skipped),
                position=position,
                skipped=skipped,
            )
            continue
        yield _record(stretch, parsed, position)


def _record(stretch: _Stretch, parsed: ArcWarcRecord, position: int) -> Record:
    """The record whose header was parsed; its block is read from the stretch."""
    block, cut = _read_block(stretch, parsed.length)
    if cut in ("", "record"):
        cut = parsed.rec_headers.get_header("WARC-Truncated") or cut
    # The rest is in `continuation` records, which may be in another file.
    if not cut and parsed.rec_headers.get_header("WARC-Segment-Number"):
        cut = "segment"

    # The end of a member is reached, and so the check of its CRC, before the record is given out.
    stretch.skip_blank_lines()

    headers, body, status = _http(block)
    # The record's own type, application/http, says nothing about the page in it.
    content_type = parsed.content_type or ""
    if status is not None:
        content_type = headers.get("content-type", "")
    return Record(
        position=position,
        kind=(parsed.rec_type or "").lower(),
        url=parsed.rec_headers.get_header("WARC-Target-URI"),
        crawled=_date(parsed.rec_headers.get_header("WARC-Date")),
        status=status,
        content_type=content_type,
        headers=headers,
        body=body,
        cut=cut,
    )


def _read_block(stretch: _Stretch, length: int | None) -> tuple[bytes, str]:
    """The block of a record that claims `length` bytes, and why bytes are missing: "", record, file
    or limit."""
    wanted = BLOCK_LIMIT if length is None else min(length, BLOCK_LIMIT)
    block = stretch.read(wanted)

    if length is not None and len(block) >= wanted:
        if length == wanted:
            return block, ""
        stretch.skip(length - wanted)
        return block, "limit"

    # The record claims more than is there: it may have read into the next record.
    following = _WARC_START.search(block, 1)
    if following:
        stretch.push_back(block[following.start() :])
        return block[: following.start()], "record"
    return block, "file" if stretch.counts_bytes else "record"


def _http(block: bytes) -> tuple[dict[str, str], bytes, int | None]:
    """HTTP headers, the body after them, and the status.

    Some crawlers put a second head (of a proxy, or `100 Continue`) before the real one, or an empty
    line after it; both are skipped. Of several headers with one name the last counts, but of the
    type and the encoding all do.
    """
    headers: dict[str, str] = {}
    status = None
    for _ in range(3):  # two heads before the real one at most
        if not _HTTP_START.match(block):
            break
        head = block[:_HEADER_LIMIT]
        # Where the empty line is missing, the first tag ends the head.
        missing = _TAG_LINE.search(head)
        if missing and not _EMPTY_LINE.search(head, 0, missing.end()):
            head = head[: missing.end()]
        stream = BytesIO(head)
        try:
            parsed = StatusAndHeadersParser([], verify=False).parse(stream)
        except _NOT_A_RECORD:
            break

        match = _STATUS.match(f"{parsed.protocol} {parsed.statusline}")
        status = int(match[1]) if match else None
        seen: set[str] = set()
        for name, value in parsed.headers:
            lower = name.lower()
            # Browsers read the lines of one head as one value; a `*/*` in the last is no type.
            joins = lower in _JOINED and lower in seen
            headers[lower] = f"{headers[lower]}, {value}" if joins else value
            seen.add(lower)
        block = block[stream.tell() :].lstrip(b"\r\n")
    return headers, block, status


def _date(value: str | None) -> datetime.datetime | None:
    """The moment of a WARC-Date, in UTC; None when it is none."""
    match = re.match(r"(\d{4})-(\d\d)-(\d\d)T(\d\d):(\d\d):(\d\d)", value or "")
    if match is None:
        return None
    year, month, day, hour, minute, second = map(int, match.groups())
    utc = datetime.timezone.utc
    try:
        return datetime.datetime(year, month, day, hour, minute, second, tzinfo=utc)
    except ValueError:
        return None
