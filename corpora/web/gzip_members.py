"""The gzip members of a file, each with its offset, however damaged the file is.

A `.warc.gz` is a row of gzip members, one a record as a rule. Readers that trust the row end at the
first damaged byte and say nothing (warcio drops the rest of the file without an exception). Here a
member that breaks costs that member: CRC and length are checked, and after damage the scan goes on
at the next place that looks like a member *and* inflates to the beginning of a record, so that the
magic bytes `1f 8b 08` inside compressed data fool nobody.

Memory is flat: a member comes in pieces of at most 1 MB, whatever it inflates to. With the package
`isal` the same bytes come about twice as fast; a member that isal does not like is read again by
zlib, whose word is the one that counts.
"""

import zlib
from collections.abc import Callable, Generator, Iterator
from typing import Any, Protocol

MAGIC = b"\x1f\x8b\x08"

PIECE = 1 << 20
"""Bytes: the most that one piece of inflated data holds."""

_CHUNK = 1 << 15

_BLOCK = 1 << 20

_HEAD = 2048

_isal_engine: Callable[[int], Any] | None = None

_isal_error: type[Exception] = zlib.error

try:
    from isal import isal_zlib
except ImportError:
    pass
else:
    _isal_engine, _isal_error = isal_zlib.decompressobj, isal_zlib.error  # type: ignore[assignment]


class Stream(Protocol):
    """What is read: any seekable binary file."""

    def read(self, size: int, /) -> bytes: ...

    def seek(self, offset: int, /) -> Any: ...


class Cut(Exception):
    """The file ends inside a member."""


class Window:
    """Bytes of a file at an offset, read in blocks of 1 MB: a forward scan that may step back."""

    def __init__(self, stream: Stream) -> None:
        self._stream = stream
        self._start = 0
        self._held = b""
        self._next = 0

    def at(self, offset: int, count: int) -> bytes:
        """Up to `count` bytes from `offset`, fewer only at the end of the file or of the block; b""
        is the end."""
        if not self._start <= offset < self._start + len(self._held):
            self._load(offset)
        found = self._held[offset - self._start : offset - self._start + count]
        return found

    def exactly(self, offset: int, count: int) -> bytes:
        """`count` bytes from `offset`, fewer only at the end of the file."""
        found = self.at(offset, count)
        while len(found) < count and (more := self.at(offset + len(found), count - len(found))):
            found += more
        return found

    def _load(self, offset: int) -> None:
        if offset != self._next:
            self._stream.seek(offset)
        self._held = self._stream.read(_BLOCK)
        self._start, self._next = offset, offset + len(self._held)


def member(window: Window, offset: int) -> Generator[bytes, None, int]:
    """The inflated bytes of the member at `offset`; returns the offset where it ends.

    Raises `Cut` where the file ends inside it and `zlib.error` where it is damaged, in both cases
    after the longest prefix that can be read.
    """
    given = 0
    if _isal_engine is not None:
        try:
            for piece in (pieces := _Inflation(window, offset, _isal_engine)):
                given += len(piece)
                yield piece
            return pieces.end
        except (Cut, EOFError, _isal_error):
            pass  # read again by zlib, whose verdict and longest prefix count
    for piece in (pieces := _Inflation(window, offset, zlib.decompressobj)):
        old = min(given, len(piece))
        given -= old
        if piece := piece[old:]:
            yield piece
    return pieces.end


class _Inflation:
    """Iterates over the inflated bytes of one member; `end` is its end once the iteration is
    over."""

    def __init__(self, window: Window, offset: int, engine: Callable[[int], Any]) -> None:
        self._window = window
        self._engine = engine(31)  # 31: gzip, with its checks
        self.end = offset

    def __iter__(self) -> Iterator[bytes]:
        while not self._engine.eof:
            chunk = self._window.at(self.end, _CHUNK)
            self.end += len(chunk)
            yield from self._feed(chunk)
            if not chunk and not self._engine.eof:
                raise Cut
        self.end -= len(self._engine.unused_data)

    def _feed(self, chunk: bytes) -> Iterator[bytes]:
        engine = self._engine
        while True:
            before = engine.copy() if hasattr(engine, "copy") else None
            try:
                piece = engine.decompress(chunk, PIECE)
            except zlib.error:
                if before is not None:
                    yield from _longest_prefix(before, chunk)
                raise
            if piece:
                yield piece
            chunk = engine.unconsumed_tail
            if engine.eof or (not chunk and len(piece) < PIECE):
                return


def _longest_prefix(engine: Any, chunk: bytes) -> Iterator[bytes]:
    """What a decompressor can still give of a chunk that it fails on: zlib throws away what it
    inflated in the failing call."""
    parts, size = [], 0
    for i in range(len(chunk)):
        try:
            part = engine.decompress(chunk[i : i + 1])
        except zlib.error:
            break
        parts.append(part)
        size += len(part)
        if size >= PIECE:
            yield b"".join(parts)
            parts, size = [], 0
    if size:
        yield b"".join(parts)


def head(window: Window, offset: int) -> bytes | None:
    """The first inflated bytes (up to 2,048) of the member at `offset`, however it goes on; None
    where no member begins."""
    if window.exactly(offset, 3) != MAGIC:
        return None
    start = window.exactly(offset, _HEAD)
    engine = zlib.decompressobj(31)
    try:
        first = bytes(engine.decompress(start, _HEAD))
        return first if first or engine.eof else None
    except zlib.error:
        return b"".join(_longest_prefix(zlib.decompressobj(31), start))[:_HEAD] or None


def find(window: Window, offset: int, wanted: Callable[[bytes], Any]) -> int | None:
    """The offset, from `offset` on, of the next member whose first inflated bytes satisfy `wanted`;
    None: there is none."""
    while held := window.exactly(offset, _BLOCK):
        at = held.find(MAGIC)
        while at >= 0:
            first = head(window, offset + at)
            if first and wanted(first):
                return offset + at
            at = held.find(MAGIC, at + 1)
        if len(held) < _BLOCK:
            return None
        offset += len(held) - len(MAGIC) + 1
    return None
