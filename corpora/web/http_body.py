"""The body of an HTTP response as the page it is, decoded by its content, since headers lie.

The archives of CC-News keep `Content-Encoding`, `Transfer-Encoding` and `Content-Length` of the
transfer although they store the body without them (every file before 2019-05-16); other archives
store the body as it came. So a header never decides alone: chunks are removed only when the chain
of their sizes holds, gzip and zlib are recognised by their first bytes, and an encoding that only a
header names is undone only when the bytes agree. A body is never inflated by more than one byte
past `limit`.
"""

import re
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import zstandard

from corpora.web import gzip_members

_LAYERS = 3
"""Encodings inside each other that are undone: chunks, and gzip twice, as some servers send it."""

_FEED = 1 << 16
"""Bytes that are inflated at once."""

_EMPTY_BYTES = 32
"""A chunked body without content has fewer."""

_CHUNK_SIZE = re.compile(rb"[ \t]*([0-9A-Fa-f]{1,8})[ \t]*(?:;[^\r\n]{0,1000})?\r?\n")

_ZSTD = b"\x28\xb5\x2f\xfd"

_ZSTD_FEED = 1 << 10
"""Compressed bytes that are decoded at once; hostile ones become 33 MB."""

_ZSTD_WINDOW = 1 << 27
"""Bytes of memory that a zstd stream may ask for; browsers allow 8 MB, `zstd --ultra` 128 MB."""

_BROTLI = re.compile(r"(^|[\s,])br\b", re.IGNORECASE)

_UNREADABLE = {b"\x1f\x9d": "compress"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Body:
    """A decoded body. `cut`: the stored bytes end inside an encoding. `unsupported`: the encoding
    that cannot be undone, or ""."""

    content: bytes
    cut: bool = False
    unsupported: str = ""


def decode_body(stored: bytes, headers: dict[str, str], limit: int) -> Body:
    """The page of a stored body: at most `limit` + 1 bytes of it, one more than a page may have.
    Names in `headers` are lower case."""
    content = stored
    cut = False
    named = headers.get("content-encoding", "").lower()
    for _ in range(_LAYERS):
        body = _undo_known(content, headers, limit)
        # What looks like text was stored without the encoding that its header names.
        if body is None and named and not _looks_like_text(content):
            body = _undo_named(content, named, limit)
            named = ""  # an encoding that only a header names is undone once
        if body is None:
            break
        if body.unsupported:
            return body
        content = body.content
        cut = cut or body.cut

    for magic, name in _UNREADABLE.items():
        if content.startswith(magic):
            return Body(content=b"", unsupported=name)
    # Some servers send empty lines before the page.
    return Body(content=content.lstrip(b"\r\n")[: limit + 1], cut=cut)


def _undo_known(content: bytes, headers: dict[str, str], limit: int) -> Body | None:
    """The content without an encoding that its own bytes show; None when they show none."""
    if content.startswith(gzip_members.MAGIC):
        return _inflate(content, lambda: zlib.decompressobj(31), limit)  # 31: gzip, with checks
    if _is_zlib(content):
        body = _inflate(content, zlib.decompressobj, limit)
        if body is not None:
            return body
    if content.startswith(_ZSTD):
        return _undo_zstd(content, limit)
    return _join_chunks(content, "chunked" in headers.get("transfer-encoding", "").lower())


def _is_zlib(content: bytes) -> bool:
    """Whether a body begins as a zlib stream: deflate, a window of up to 32 KB, and a check over
    the two bytes. A text can begin so too (`x` and `^`), but compressed bytes are no ASCII."""
    if content[:64].isascii() or content[0] & 0x0F != 8 or content[0] > 0x78:
        return False
    return (content[0] << 8 | content[1]) % 31 == 0 and not content[1] & 0x20


class Copied(gzip_members.Engine, Protocol):
    """A decompressor that can be copied as it is; zlib's can."""

    def copy(self) -> "Copied": ...


def _undo_named(content: bytes, encoding: str, limit: int) -> Body | None:
    """The content without an encoding that has no mark of its own: raw deflate, or Brotli."""
    if "deflate" in encoding:
        return _inflate(content, lambda: zlib.decompressobj(-15), limit)  # -15: no header
    return _undo_brotli(content, limit) if _BROTLI.search(encoding) else None


def _looks_like_text(content: bytes) -> bool:
    if b"<" not in content[:4096]:
        return False
    return all(byte >= 32 or byte in b"\t\n\r\f\x1b" for byte in content[:256])


def _inflate(content: bytes, engine: Callable[[], Copied], limit: int) -> Body | None:
    """All members of a compressed body, up to the limit; None when not a byte comes out, so that
    the body was not compressed."""
    parts: list[bytes] = []
    size = 0
    while content and size <= limit:
        inflater = engine()
        inflated, fed, is_whole = _inflate_member(inflater, content, limit + 1 - size)
        parts += inflated
        size += sum(map(len, inflated))
        if is_whole:
            return Body(content=b"".join(parts))
        if not inflater.eof:
            break
        content = inflater.unused_data + content[fed:]
        if not content.startswith(gzip_members.MAGIC):
            return Body(content=b"".join(parts))  # what follows the last member is padding

    if not size:
        return None
    return Body(content=b"".join(parts), cut=size <= limit)


def _inflate_member(inflater: Copied, content: bytes, most: int) -> tuple[list[bytes], int, bool]:
    """The inflated bytes of one member, at most `most`, up to its end or to damage; how many bytes
    of the content were fed; and whether only a check failed, which browsers do not look at."""
    parts: list[bytes] = []
    size = 0
    fed = 0
    while not inflater.eof and size < most:
        chunk = inflater.unconsumed_tail
        if not chunk:
            chunk = content[fed : fed + _FEED]
            fed += len(chunk)
        if not chunk:
            break
        # zlib throws away what it inflated in the call that fails.
        before = inflater.copy()
        try:
            part = inflater.decompress(chunk, most - size)
        except zlib.error as error:
            part, taken = _longest_prefix(before, chunk, most - size)
            parts.append(part)
            size += len(part)
            behind = chunk[taken + 1 : taken + 5]
            return parts, fed, size > 0 and _is_one_check(str(error), behind, size)
        parts.append(part)
        size += len(part)
    return parts, fed, False


def _longest_prefix(engine: Copied, chunk: bytes, most: int) -> tuple[bytes, int]:
    """What a decompressor can still give of a chunk that it fails on, at most `most` bytes, and the
    offset of the byte that it fails on."""
    parts: list[bytes] = []
    size = 0
    taken = 0
    while taken < len(chunk) and size < most:
        try:
            part = engine.decompress(chunk[taken : taken + 1])
        except zlib.error:
            break
        parts.append(part)
        size += len(part)
        taken += 1
    return b"".join(parts)[:most], taken


def _is_one_check(error: str, behind: bytes, size: int) -> bool:
    """Whether only one check of a member is wrong: the sum of zlib, the sum or the length of gzip,
    which is what stands `behind` its sum. Where both are, its bytes are damaged, though something
    could be made of all of them."""
    if error.endswith("length check"):
        return True
    if not error.endswith("data check"):
        return False
    return len(behind) < 4 or int.from_bytes(behind, "little") == size


def _join_chunks(content: bytes, announced: bool) -> Body | None:
    """The body of a chunked transfer; None when the chain of sizes does not hold.

    A page may begin with a line such as `abc` that reads as a size, so a chain must run to its last
    chunk. When the header announces chunks (`announced`), a chain that the end of the body cuts is
    accepted after at least one whole chunk, and so is one that breaks later: what follows the break
    is kept as it is.
    """
    parts: list[bytes] = []
    at = 0
    while True:
        size_line = _CHUNK_SIZE.match(content, at)
        if size_line is None:
            break
        size = int(size_line[1], 16)
        if size == 0:
            whole = parts or len(content) < _EMPTY_BYTES
            return Body(content=b"".join(parts)) if whole else None

        start = size_line.end()
        end = start + size
        if end >= len(content):
            if not announced or not parts:
                return None
            return Body(content=b"".join([*parts, content[start:]]), cut=True)

        # Without a line end behind the chunk the size was none: text that looks like a number.
        line_end = _line_end(content, end)
        if not line_end:
            break
        parts.append(content[start:end])
        at = end + line_end

    if announced and parts:
        return Body(content=b"".join([*parts, content[at:]]), cut=at >= len(content))
    return None


def _line_end(content: bytes, at: int) -> int:
    """Bytes of the line end at an offset; 0 when there is none."""
    if content.startswith(b"\r\n", at):
        return 2
    return 1 if content.startswith(b"\n", at) else 0


def _undo_brotli(content: bytes, limit: int) -> Body | None:
    try:
        import brotli
    except ImportError:
        return Body(content=b"", unsupported="br")

    engine = brotli.Decompressor()
    parts: list[bytes] = []
    size = 0
    try:
        for start in range(0, len(content), _FEED):
            chunk = content[start : start + _FEED]
            part = engine.process(chunk, output_buffer_limit=limit + 1 - size)
            # The limit of the buffer may hold bytes back: an empty input fetches them.
            while part and size + len(part) <= limit:
                parts.append(part)
                size += len(part)
                part = engine.process(b"", output_buffer_limit=limit + 1 - size)
            parts.append(part)
            size += len(part)
            if size > limit or engine.is_finished():
                break
    except brotli.error:
        if not size:
            return Body(content=b"", unsupported="br")
        return Body(content=b"".join(parts), cut=True)
    return Body(content=b"".join(parts), cut=not engine.is_finished() and size <= limit)


def _undo_zstd(content: bytes, limit: int) -> Body:
    """All frames of a zstd body, up to the limit."""
    context = zstandard.ZstdDecompressor(max_window_size=_ZSTD_WINDOW)
    parts: list[bytes] = []
    size = 0
    cut = False
    while content.startswith(_ZSTD) and size <= limit and not cut:
        frame = context.decompressobj()
        fed = 0
        try:
            while not frame.eof and fed < len(content) and size <= limit:
                parts.append(frame.decompress(content[fed : fed + _ZSTD_FEED]))
                size += len(parts[-1])
                fed += _ZSTD_FEED
        except zstandard.ZstdError:
            fed = len(content)
        cut = not frame.eof
        content = frame.unused_data + content[fed:]

    if not size:
        return Body(content=b"", unsupported="zstd")
    return Body(content=b"".join(parts)[: limit + 1], cut=cut and size <= limit)
