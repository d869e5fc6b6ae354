"""The gzip members of a file, each with its offset, however damaged the file is.

A `.warc.gz` is a sequence of gzip members, usually one per record. Readers that trust the sequence
end at the first damaged byte without an error (warcio drops the rest of the file). Here a damaged
member costs that member only: CRC and length are checked, and after damage the scan resumes at the
next place that looks like a member *and* inflates to the beginning of a record, so that the magic
bytes `1f 8b 08` inside compressed data are not taken for one.

Memory is constant: a member comes in pieces of at most 1 MB, whatever it inflates to. With the
package `isal` the same bytes come about twice as fast; a member that isal refuses is read again by
zlib, whose verdict counts.
"""

import zlib
from collections.abc import Callable, Generator, Iterator
from typing import Protocol

MAGIC = b"\x1f\x8b\x08"

PIECE = 1 << 20
"""The largest number of bytes in one piece of inflated data."""

_CHUNK = 1 << 15
"""Bytes that are inflated at once."""

_BLOCK = 1 << 20
"""Bytes that are read from the file at once."""

_HEAD = 2048

_GZIP = 31
"""zlib's window bits for the gzip format, with its checks."""


class Engine(Protocol):
    """A decompressor of zlib or isal."""

    @property
    def eof(self) -> bool: ...

    @property
    def unused_data(self) -> bytes: ...

    @property
    def unconsumed_tail(self) -> bytes: ...

    def decompress(self, data: bytes, max_length: int = ..., /) -> bytes: ...


_isal_engine: Callable[[int], Engine] | None = None

_isal_error: type[Exception] = zlib.error

try:
    from isal import isal_zlib
except ImportError:
    pass
else:
    _isal_engine = isal_zlib.decompressobj
    _isal_error = isal_zlib.error  # type: ignore[assignment]


class Stream(Protocol):
    """Any seekable binary file."""

    def read(self, size: int, /) -> bytes: ...

    def seek(self, offset: int, /) -> object: ...


class Cut(Exception):
    """The file ends inside a member."""


class Window:
    """Bytes of a file at an offset, read in blocks of 1 MB: a forward scan that may step back."""

    def __init__(self, stream: Stream) -> None:
        self._stream = stream
        self._start = 0
        self._block = b""
        self._next = 0

    def at(self, offset: int, count: int) -> bytes:
        """Up to `count` bytes from `offset`, fewer only at the end of the file or of the block; b""
        at the end of the file."""
        if not self._start <= offset < self._start + len(self._block):
            self._load(offset)
        begin = offset - self._start
        return self._block[begin : begin + count]

    def exactly(self, offset: int, count: int) -> bytes:
        """`count` bytes from `offset`, fewer only at the end of the file."""
        content = self.at(offset, count)
        while len(content) < count:
            following = self.at(offset + len(content), count - len(content))
            if not following:
                break
            content += following
        return content

    def _load(self, offset: int) -> None:
        # A forward scan never seeks: a remote file would begin a new request.
        if offset != self._next:
            self._stream.seek(offset)
        self._block = self._stream.read(_BLOCK)
        self._start = offset
        self._next = offset + len(self._block)


def member(window: Window, offset: int) -> Generator[bytes, None, int]:
    """The inflated bytes of the member at `offset`; returns the offset where it ends.

    Raises `Cut` when the file ends inside it and `zlib.error` when it is damaged, in both cases
    after the longest prefix that can be read.
    """
    given = 0
    if _isal_engine is not None:
        pieces = _Inflation(window, offset, _isal_engine)
        try:
            for piece in pieces:
                given += len(piece)
                yield piece
            return pieces.end
        except (Cut, EOFError, _isal_error):
            pass  # read again by zlib, whose verdict and longest prefix count

    pieces = _Inflation(window, offset, zlib.decompressobj)
    for piece in pieces:
        old = min(given, len(piece))
        given -= old
        if len(piece) > old:
            yield piece[old:]
    return pieces.end


class _Inflation:
    """Iterates over the inflated bytes of one member; `end` is its end after the last of them."""

    def __init__(self, window: Window, offset: int, engine: Callable[[int], Engine]) -> None:
        self._window = window
        self._engine = engine(_GZIP)
        self.end = offset

    def __iter__(self) -> Iterator[bytes]:
        while not self._engine.eof:
            chunk = self._window.at(self.end, _CHUNK)
            self.end += len(chunk)
            yield from self._feed(chunk)
            if not chunk and not self._engine.eof:
                raise Cut
        # The last chunk reached into the next member.
        self.end -= len(self._engine.unused_data)

    def _feed(self, chunk: bytes) -> Iterator[bytes]:
        engine = self._engine
        while True:
            # zlib throws away what it inflated in the call that fails; isal cannot be copied.
            before = engine.copy() if hasattr(engine, "copy") else None
            try:
                piece = engine.decompress(chunk, PIECE)
            except zlib.error:
                if before is not None:
                    yield from longest_prefix(before, chunk)
                raise
            if piece:
                yield piece
            chunk = engine.unconsumed_tail
            # A full piece may have more behind it, even when no input is left.
            if engine.eof or (not chunk and len(piece) < PIECE):
                return


def longest_prefix(engine: Engine, chunk: bytes) -> Iterator[bytes]:
    """What a decompressor can still give of a chunk that it fails on, fed byte by byte."""
    parts: list[bytes] = []
    size = 0
    for i in range(len(chunk)):
        try:
            part = engine.decompress(chunk[i : i + 1])
        except zlib.error:
            break
        parts.append(part)
        size += len(part)
        if size >= PIECE:
            yield b"".join(parts)
            parts = []
            size = 0
    if size:
        yield b"".join(parts)


def head(window: Window, offset: int) -> bytes | None:
    """The first inflated bytes (up to 2,048) of the member at `offset`, even if it is damaged after
    them; None when no member begins there."""
    if window.exactly(offset, 3) != MAGIC:
        return None

    start = window.exactly(offset, _HEAD)
    engine = zlib.decompressobj(_GZIP)
    try:
        first = bytes(engine.decompress(start, _HEAD))
        return first if first or engine.eof else None
    except zlib.error:
        prefix = b"".join(longest_prefix(zlib.decompressobj(_GZIP), start))
        return prefix[:_HEAD] or None


def find(window: Window, offset: int, wanted: Callable[[bytes], bool]) -> int | None:
    """The offset, from `offset` on, of the next member whose first inflated bytes satisfy `wanted`;
    None when there is none."""
    while block := window.exactly(offset, _BLOCK):
        at = block.find(MAGIC)
        while at >= 0:
            first = head(window, offset + at)
            if first and wanted(first):
                return offset + at
            at = block.find(MAGIC, at + 1)

        if len(block) < _BLOCK:
            return None
        offset += len(block) - len(MAGIC) + 1  # the magic bytes may cross the blocks
    return None
