"""Zstandard with a window of up to 2 GB, as the dumps of Reddit have it; the decoder of Arrow takes
128 MB at most.

A frame that was made with such a window takes that much memory to read: it is what its last bytes
may refer to.
"""

from collections.abc import Callable, Iterator
from typing import Any, Protocol

MAX_WINDOW_BYTES = 1 << 31

_PIECE = 1 << 11
"""Compressed bytes that are decoded at once; hostile ones become 67 MB."""


class _Reader(Protocol):
    def read(self, size: int, /) -> bytes: ...


def reader(stream: _Reader) -> Callable[[int], bytes]:
    """A `read` of the inflated bytes of all frames. It raises EOFError where a frame is cut and
    OSError where one is damaged."""
    pieces, held, at = _pieces(stream), b"", 0

    def read(size: int) -> bytes:
        nonlocal held, at
        while at >= len(held):
            following = next(pieces, None)
            if following is None:
                return b""
            held, at = following, 0
        piece = held[at : at + size]
        at += len(piece)
        return piece

    return read


def _pieces(stream: _Reader) -> Iterator[bytes]:
    import zstandard

    context = zstandard.ZstdDecompressor(max_window_size=MAX_WINDOW_BYTES)
    compressed = b""
    try:
        while compressed or (compressed := stream.read(_PIECE)):
            frame: Any = context.decompressobj()
            while not frame.eof:
                if not (compressed := compressed or stream.read(_PIECE)):
                    raise EOFError("the file ends inside a frame of zstd")
                inflated = frame.decompress(compressed)
                compressed = frame.unused_data if frame.eof else b""
                yield inflated
    except zstandard.ZstdError as error:
        raise OSError(f"zstd: {error}") from None
