"""The inflated bytes of a `.warc.zst`, with and without a dictionary.

Such a file is a sequence of zstd frames, about one per record. Its first frame may be a skippable
one with the dictionary of all others, itself compressed or not
(https://iipc.github.io/warc-specifications/specifications/warc-zstd/).
"""

import struct
from collections.abc import Iterator

import zstandard

from corpora.web.gzip_members import Cut, Window

FRAME = b"\x28\xb5\x2f\xfd"

DICTIONARY = b"\x5d\x2a\x4d\x18"
"""The magic bytes of the skippable frame that holds a dictionary."""

MAX_DICTIONARY_BYTES = 1 << 26

_MAX_WINDOW = 1 << 27
"""Bytes of memory that a frame may ask for."""

_FEED = 1 << 12
"""Compressed bytes that are inflated at once: hostile ones become 130 MB."""


def pieces(window: Window) -> Iterator[bytes]:
    """The inflated bytes of all frames.

    Raises `Cut` where the file ends inside a frame and `zstandard.ZstdError` where a frame is
    damaged or asks for too much memory, both after what can be read.
    """
    offset, dictionary = _dictionary(window)
    context = zstandard.ZstdDecompressor(dict_data=dictionary, max_window_size=_MAX_WINDOW)
    while magic := window.exactly(offset, 4):
        if _is_skippable(magic):
            size = window.exactly(offset + 4, 4)
            offset += 8 + (struct.unpack("<I", size)[0] if len(size) == 4 else 0)
            continue

        frame = context.decompressobj()
        while not frame.eof:
            chunk = window.at(offset, _FEED)
            if not chunk:
                raise Cut
            offset += len(chunk)
            piece = frame.decompress(chunk)
            if piece:
                yield piece
        offset -= len(frame.unused_data)


def _is_skippable(magic: bytes) -> bool:
    return len(magic) == 4 and magic[1:] == b"\x2a\x4d\x18" and 0x50 <= magic[0] <= 0x5F


def _dictionary(window: Window) -> tuple[int, zstandard.ZstdCompressionDict | None]:
    """The offset behind the dictionary of a file, and the dictionary; None without one."""
    head = window.exactly(0, 8)
    if not head.startswith(DICTIONARY) or len(head) < 8:
        return 0, None
    size = struct.unpack("<I", head[4:])[0]
    if size > MAX_DICTIONARY_BYTES:
        raise zstandard.ZstdError("the dictionary has more than 64 MB")

    content = window.exactly(8, size)
    if len(content) < size:
        raise Cut
    if content.startswith(FRAME):
        plain = zstandard.ZstdDecompressor(max_window_size=_MAX_WINDOW)
        content = plain.decompress(content, max_output_size=MAX_DICTIONARY_BYTES)
    return 8 + size, zstandard.ZstdCompressionDict(content)
