"""The body of an HTTP response as the page it is, decoded by its content and not by headers that
lie.

The archives of CC-News keep `Content-Encoding`, `Transfer-Encoding` and `Content-Length` of the
transfer although they store the body without them (every file before 2019-05-16); others store it
as it came. So a header never decides alone: chunks are taken off only where the chain of their
sizes holds, gzip and zlib are known by their first bytes, and what a header names but the bytes do
not bear out is left as it is. A body is never inflated by more than one byte past `limit`.
"""

import re
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from corpora.web import gzip_members

_LAYERS = 3
"""Encodings taken off, one in the other: chunks, and gzip twice as some servers send it."""

_FEED = 1 << 16

_CHUNK_SIZE = re.compile(rb"[ \t]*([0-9A-Fa-f]{1,8})[ \t]*(?:;[^\r\n]{0,1000})?\r?\n")

_ZLIB_FLAGS = (0x01, 0x9C, 0xDA)

_BROTLI = re.compile(r"(^|[\s,])br\b", re.IGNORECASE)

_UNREADABLE = {b"\x28\xb5\x2f\xfd": "zstd", b"\x1f\x9d": "compress"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Body:
    """`cut`: the stored bytes end inside an encoding. `unsupported`: the encoding nothing here can
    undo, or ""."""

    content: bytes
    cut: bool = False
    unsupported: str = ""


def decode_body(stored: bytes, headers: dict[str, str], limit: int) -> Body:
    """The page of a stored body: at most `limit` + 1 bytes of it, one more than a page may have.
    Names in `headers` are lower case."""
    content, cut = stored, False
    named = headers.get("content-encoding", "").lower()
    for _ in range(_LAYERS):
        found = _undo_known(content, headers, limit)
        if found is None and named and not _looks_like_text(content):
            found = _undo_named(content, named, limit)
            named = ""  # what only a header tells of is taken off once
        if found is None:
            break
        if found.unsupported:
            return found
        content, cut = found.content, cut or found.cut
    for magic, name in _UNREADABLE.items():
        if content.startswith(magic):
            return Body(content=b"", unsupported=name)
    return Body(content=content.lstrip(b"\r\n")[: limit + 1], cut=cut)


def _undo_known(content: bytes, headers: dict[str, str], limit: int) -> Body | None:
    if content.startswith(gzip_members.MAGIC):
        return _inflate(content, lambda: zlib.decompressobj(31), limit)
    if content[:1] == b"\x78" and content[1:2] and content[1] in _ZLIB_FLAGS:
        return _inflate(content, zlib.decompressobj, limit)
    return _join_chunks(content, "chunked" in headers.get("transfer-encoding", "").lower())


def _undo_named(content: bytes, encoding: str, limit: int) -> Body | None:
    if "deflate" in encoding:
        return _inflate(content, lambda: zlib.decompressobj(-15), limit)
    return _undo_brotli(content, limit) if _BROTLI.search(encoding) else None


def _looks_like_text(content: bytes) -> bool:
    start = content[:256]
    return (
        b"\x00" not in start
        and sum(byte < 32 and byte not in b"\t\n\r\f\x1b" for byte in start) == 0
        and b"<" in content[:4096]
    )


def _inflate(content: bytes, engine: Callable[[], Any], limit: int) -> Body | None:
    """All members of a compressed body, up to the limit; None where not a byte comes out, so that
    it was no such body."""
    parts: list[bytes] = []
    size = 0
    while content and size <= limit:
        inflater = engine()
        fed = 0
        try:
            while (
                not inflater.eof
                and size <= limit
                and (chunk := inflater.unconsumed_tail or content[fed : fed + _FEED])
            ):
                if not inflater.unconsumed_tail:
                    fed += len(chunk)
                part = inflater.decompress(chunk, limit + 1 - size)
                parts.append(part)
                size += len(part)
        except zlib.error:
            break
        if not inflater.eof:
            break
        content = inflater.unused_data + content[fed:]
        if not content.startswith(gzip_members.MAGIC):
            return Body(content=b"".join(parts))  # what follows the last member is padding
    if not size:
        return None
    return Body(content=b"".join(parts), cut=size <= limit)


def _join_chunks(content: bytes, announced: bool) -> Body | None:
    """The body of a chunked transfer; None where the chain of sizes does not hold.

    A page may begin with a line such as `abc` that reads as a size, so a chain must run to its last
    chunk. Where the header announces chunks, one that is cut by the end of the body will do, after
    one whole chunk at least, and so will one that breaks later: what follows the break is kept as
    it stands.
    """
    parts: list[bytes] = []
    at = 0
    while (size_line := _CHUNK_SIZE.match(content, at)) is not None:
        size = int(size_line[1], 16)
        if size == 0:
            return Body(content=b"".join(parts)) if parts or len(content) < 32 else None
        start, end = size_line.end(), size_line.end() + size
        if end >= len(content):
            return (
                Body(content=b"".join([*parts, content[start:]]), cut=True)
                if announced and parts
                else None
            )
        ending = (
            2 if content.startswith(b"\r\n", end) else 1 if content.startswith(b"\n", end) else 0
        )
        if not ending:
            break
        parts.append(content[start:end])
        at = end + ending
    if announced and parts:
        return Body(content=b"".join([*parts, content[at:]]), cut=at >= len(content))
    return None


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
            part = engine.process(
                content[start : start + _FEED], output_buffer_limit=limit + 1 - size
            )
            while part and size + len(part) <= limit:
                parts.append(part)
                size += len(part)
                part = engine.process(b"", output_buffer_limit=limit + 1 - size)
            parts.append(part)
            size += len(part)
            if size > limit or engine.is_finished():
                break
    except brotli.error:
        return (
            Body(content=b"".join(parts), cut=True) if size else Body(content=b"", unsupported="br")
        )
    return Body(content=b"".join(parts), cut=not engine.is_finished() and size <= limit)
