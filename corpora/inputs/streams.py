"""TODO-DOC corpora/inputs/streams.py."""

import bz2
import gzip
import io
import lzma
import zlib
from collections.abc import Callable, Iterator
from typing import IO, Any

import pyarrow as pa

from corpora.document import MAX_DOCUMENT_BYTES, Refusal
from corpora.inputs import zstd
from shards.storage import files

DAMAGE = (EOFError, zlib.error, lzma.LZMAError, OSError, pa.ArrowException)
"""What the decoders raise on damaged bytes; EOFError for a cut file."""


def what_broke(error: BaseException) -> Refusal:
    """What opening a file or a decoder raised, as `unreadable`, `truncated` or `damaged`."""
    # A UnicodeEncodeError comes from a file name that is not UTF-8.
    if isinstance(
        error, (PermissionError, FileNotFoundError, IsADirectoryError, UnicodeEncodeError)
    ):
        return Refusal("unreadable", getattr(error, "strerror", None) or str(error))

    # Arrow says "Truncated" of a .zst file that ends too early.
    if isinstance(error, EOFError) or "Truncated" in str(error):
        return Refusal("truncated", str(error)[:200])
    return Refusal("damaged", str(error)[:200])


def open_inflated(address: str, compression: str, long_window: bool = False) -> IO[bytes]:
    """A buffered stream of a file's inflated bytes; `compression` is one of `COMPRESSIONS` or
    ""."""
    return inflate(io.BufferedReader(files.open_input(address), 1 << 20), compression, long_window)  # type: ignore[arg-type]


def inflate(stream: Any, compression: str, long_window: bool = False) -> IO[bytes]:
    """A buffered stream of the inflated bytes of one; closing it closes both. `long_window`: of
    .zst, one of up to 2 GB (`corpora.inputs.zstd`)."""
    if not compression:
        return stream  # type: ignore[no-any-return]
    if compression == ".gz":
        decoder: Any = gzip.GzipFile(fileobj=stream).read1
    elif compression == ".bz2":
        decoder = bz2.BZ2File(stream).read1
    elif compression == ".xz":
        decoder = lzma.LZMAFile(stream).read1
    elif long_window:
        decoder = zstd.reader(stream)
    else:
        decoder = pa.CompressedInputStream(stream, "zstd").read
    return io.BufferedReader(_Inflated(decoder, stream), 1 << 20)


class _Inflated(io.RawIOBase):
    """Hands on what a decoder has as soon as it has it, so that damage costs nothing that was
    inflated before it."""

    def __init__(self, read: Callable[[int], bytes], compressed: IO[bytes]) -> None:
        self.read_some, self.compressed = read, compressed

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        block = self.read_some(min(len(buffer), 1 << 16))
        buffer[: len(block)] = block
        return len(block)

    def close(self) -> None:
        self.compressed.close()
        super().close()


def read_lines(
    stream: IO[bytes], start: int = 0, stop: int | None = None, limit: int = MAX_DOCUMENT_BYTES
) -> Iterator[tuple[int, bytes | None]]:
    """(offset, line without its `\\n`) of each line that begins in [start, stop); None for a line
    of more bytes than `limit`."""
    offset = start
    if start > 0:
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
    skipped = 0
    while block := stream.readline(1 << 20):
        skipped += len(block)
        if block.endswith(b"\n"):
            break
    return skipped
