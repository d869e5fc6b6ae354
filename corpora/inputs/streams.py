"""Streams of inflated bytes, and the lines in them.

Every codec of `corpora.inputs.find.COMPRESSIONS` is read the same way: bytes come out as soon as
they are decoded, so damage loses nothing that was inflated before it. Memory is one buffer, and for
lines one line of at most `limit` bytes.
"""

import bz2
import gzip
import io
import lzma
import zlib
from collections.abc import Callable, Iterator
from typing import IO, TYPE_CHECKING, cast

import pyarrow as pa

from corpora.document import MAX_DOCUMENT_BYTES, Refusal
from corpora.inputs import zstd
from corpora.inputs.complaints import in_words
from shards.storage import files

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

DAMAGE = (EOFError, zlib.error, lzma.LZMAError, OSError, pa.ArrowException)
"""What the decoders raise on damaged bytes; EOFError means a cut file."""


def what_broke(error: BaseException) -> Refusal:
    """What opening a file or a decoder raised, as `unreadable`, `truncated` or `damaged`."""
    # A UnicodeEncodeError comes from a file name that is not UTF-8.
    if isinstance(
        error, (PermissionError, FileNotFoundError, IsADirectoryError, UnicodeEncodeError)
    ):
        return Refusal("unreadable", getattr(error, "strerror", None) or str(error))

    # Arrow says "Truncated" of a .zst file that ends too early.
    if isinstance(error, EOFError) or "Truncated" in str(error):
        return Refusal("truncated", in_words(error))
    return Refusal("damaged", in_words(error))


def open_inflated(address: str, compression: str, long_window: bool = False) -> IO[bytes]:
    """A buffered stream of a file's inflated bytes. `compression`: one of `COMPRESSIONS`, or "".
    `long_window`: see `inflate`."""
    return inflate(open_buffered(address), compression, long_window)


def open_buffered(address: str) -> IO[bytes]:
    """A buffered stream of a file's bytes as they are stored."""
    # A file of Arrow has all that is asked of a raw stream, but is not declared as one.
    return cast(
        IO[bytes], io.BufferedReader(cast(io.RawIOBase, files.open_input(address)), 1 << 20)
    )


def inflate(stream: IO[bytes], compression: str, long_window: bool = False) -> IO[bytes]:
    """A buffered stream of the inflated bytes of another; closing it closes both. `long_window`
    accepts .zst files with a window of up to 2 GB (`corpora.inputs.zstd`)."""
    if not compression:
        return stream
    read = _decoder(stream, compression, long_window)
    return io.BufferedReader(_Inflated(read, stream), 1 << 20)


def _decoder(stream: IO[bytes], compression: str, long_window: bool) -> Callable[[int], bytes]:
    # `read1` gives what is decoded already, where `read` would wait for all that was asked for.
    if compression == ".gz":
        return gzip.GzipFile(fileobj=stream).read1
    if compression == ".bz2":
        return bz2.BZ2File(stream).read1
    if compression == ".xz":
        return lzma.LZMAFile(stream).read1
    if long_window or zstd.has_long_window(_beginning(stream)):
        return zstd.reader(stream)
    read: Callable[[int], bytes] = pa.CompressedInputStream(stream, "zstd").read
    return read


def _beginning(stream: IO[bytes]) -> bytes:
    """The first bytes of a buffered stream, which are not taken from it."""
    return stream.peek(18)[:18] if isinstance(stream, io.BufferedReader) else b""


class _Inflated(io.RawIOBase):
    """The output of a decoder as a raw stream, in small reads, so that damage loses nothing that
    was inflated before it."""

    def __init__(self, read: Callable[[int], bytes], compressed: IO[bytes]) -> None:
        self._read = read
        self._compressed = compressed

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: "WriteableBuffer") -> int:
        view = memoryview(buffer)
        block = self._read(min(len(view), 1 << 16))
        view[: len(block)] = block
        return len(block)

    def close(self) -> None:
        self._compressed.close()
        super().close()


def read_lines(
    stream: IO[bytes], start: int = 0, stop: int | None = None, limit: int = MAX_DOCUMENT_BYTES
) -> Iterator[tuple[int, bytes | None]]:
    """(offset, line without its `\\n`) of each line that begins in [start, stop); None in place of
    a line of more than `limit` bytes.

    Slices meet without a gap: a line that begins before `start` belongs to the slice before it, and
    the last line is read to its end beyond `stop`.
    """
    offset = start
    if start > 0:  # the byte before tells whether a line begins at `start`
        stream.seek(start - 1)
        offset = start - 1 + _skip_line(stream)
    while stop is None or offset < stop:
        line = stream.readline(limit + 1)
        if not line:
            return
        length = len(line)
        if length > limit and not line.endswith(b"\n"):
            del line
            length += _skip_line(stream)
            yield offset, None
        else:
            yield offset, line.removesuffix(b"\n")
        offset += length


def _skip_line(stream: IO[bytes]) -> int:
    """Read to the end of the line. Returns the number of bytes."""
    skipped = 0
    while True:
        block = stream.readline(1 << 20)
        skipped += len(block)
        if not block or block.endswith(b"\n"):
            return skipped
