"""Zstandard with a window of up to 2 GB, as the dumps of Reddit have it; Arrow's decoder accepts
128 MB at most.

A frame with such a window takes that much memory to read: its last bytes may refer to all of it.
"""

from collections.abc import Callable, Iterator
from typing import Protocol

MAX_WINDOW_BYTES = 1 << 31

_PIECE = 1 << 11
"""Compressed bytes that are decoded at once; hostile ones become 67 MB."""


_ARROW_WINDOW_BYTES = 1 << 27
"""The largest window of Arrow's decoder."""


def has_long_window(beginning: bytes) -> bool:
    """Whether a file that begins so, with 18 bytes, needs a larger window than Arrow's decoder has,
    as those of `zstd --long=31` do (RFC 8878, section 3.1.1.1)."""
    if len(beginning) < 6 or beginning[:4] != b"\x28\xb5\x2f\xfd":
        return False
    descriptor = beginning[4]
    if not descriptor & 0x20:
        exponent, mantissa = beginning[5] >> 3, beginning[5] & 7
        base = 1 << 10 + exponent
        return base + base // 8 * mantissa > _ARROW_WINDOW_BYTES

    # One segment: its window is its content, whose size follows the id of the dictionary.
    size_bytes = (1, 2, 4, 8)[descriptor >> 6]
    begin = 5 + (0, 1, 2, 4)[descriptor & 3]
    size = int.from_bytes(beginning[begin : begin + size_bytes], "little")
    return size > _ARROW_WINDOW_BYTES


class _Reader(Protocol):
    def read(self, size: int, /) -> bytes: ...


def reader(stream: _Reader) -> Callable[[int], bytes]:
    """A `read` of the inflated bytes of all frames. It raises EOFError for a cut frame and OSError
    for a damaged one."""
    pieces = _pieces(stream)
    piece = b""
    at = 0

    def read(size: int) -> bytes:
        nonlocal piece, at
        while at >= len(piece):
            following = next(pieces, None)
            if following is None:
                return b""
            piece = following
            at = 0
        part = piece[at : at + size]
        at += len(part)
        return part

    return read


def _pieces(stream: _Reader) -> Iterator[bytes]:
    import zstandard  # loaded only for a source that asks for it

    context = zstandard.ZstdDecompressor(max_window_size=MAX_WINDOW_BYTES)
    compressed = stream.read(_PIECE)
    try:
        while compressed:
            frame = context.decompressobj()
            while not frame.eof:
                compressed = compressed or stream.read(_PIECE)
                if not compressed:
                    raise EOFError("the file ends inside a frame of zstd")
                inflated = frame.decompress(compressed)
                compressed = frame.unused_data if frame.eof else b""
                yield inflated
            compressed = compressed or stream.read(_PIECE)
    except zstandard.ZstdError as error:
        raise OSError(f"zstd: {error}") from None
