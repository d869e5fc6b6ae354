"""The members of tar and zip archives, one after the other, however hostile the archive is; nothing
is ever written.

A tar is read forward only, its headers by `tarfile`, with what they may ask for bounded: `tarfile`
itself reads a long name or a pax header of any size into memory. Links, devices and sparse files
are named, not followed. A zip is read by `zipfile` in the order of its bytes; its directory is
bounded before it is loaded, encrypted members and rare methods are named. What a member or a stream
inflates to is counted: past `MAX_RATIO` times its bytes it is refused as a `bomb`.
"""

import io
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import IO, Any, Protocol

from corpora.document import Refusal, Refused

MAX_RATIO = 200
"""Inflated bytes for each stored one: real text has 3 to 10."""

FREE_BYTES = 1_000_000
"""Inflated bytes below which no ratio is asked for."""

MAX_DIRECTORY_BYTES = 50_000_000
"""Of a zip's directory: half a million members and more."""

ZIP_DAMAGE = (
    zipfile.BadZipFile,
    zlib.error,
    EOFError,
    OSError,
    ValueError,
    struct.error,
    NotImplementedError,
    RuntimeError,
    IndexError,
    OverflowError,
)
"""What `zipfile` raises on damaged archives; of a hostile directory anything of this."""

_BLOCK = 512

_MAX_NAME_BYTES = 1 << 16

_CHUNK = 1 << 16

_PAX = b"x"

_ZIP64 = struct.Struct("<4sQ2H2L4Q")

_ZIP_END = struct.Struct("<4s4H2LH")


def bomb(detail: str) -> Refused:
    """The error for bytes that inflate to more than text ever does."""
    return Refused(Refusal("bomb", detail))


class Reader(Protocol):
    """Anything with `read`; b"" is the end."""

    def read(self, size: int, /) -> bytes: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """A member that is not a folder. `offset`: of its header, in the bytes of the archive; `begin`:
    of what belongs to it before that (a long name); `end`: of its last byte and padding, as far as
    is known. `content` may be read until the next member is asked for; a member that cannot be read
    has a `Refusal` instead: not_a_file, encrypted, unsupported_compression, damaged."""

    name: str
    begin: int
    offset: int
    end: int
    size: int
    content: Reader | Refusal


class Counted:
    """A stream that raises `Refused` (`bomb`) when it gives more bytes than `stored` ones can hold of text.
    `stored` 0: not known, no limit."""

    def __init__(self, stream: Reader, stored: int, free: int = FREE_BYTES) -> None:
        self._stream, self._given = stream, 0
        self._limit = max(free, MAX_RATIO * stored) if stored else None

    def read(self, size: int, /) -> bytes:
        """Up to `size` bytes."""
        piece = self._stream.read(size)
        self._given += len(piece)
        if self._limit is not None and self._given > self._limit:
            raise bomb(f"more than {self._limit:,} bytes")
        return piece


class Raw(io.RawIOBase):
    """A `Reader` as a file that the decoders take."""

    def __init__(self, stream: Reader) -> None:
        self._stream = stream

    def readable(self) -> bool:
        """True."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Up to the buffer's bytes."""
        piece = self._stream.read(len(buffer))
        buffer[: len(piece)] = piece
        return len(piece)


def read_up_to(stream: Reader, limit: int) -> bytes | None:
    """All bytes of a stream, None where there are more than `limit`."""
    pieces, size = [], 0
    while size <= limit and (piece := stream.read(min(_CHUNK, limit + 1 - size))):
        pieces.append(piece)
        size += len(piece)
    return b"".join(pieces) if size <= limit else None


class _Forward:
    """A tar's stream with the place in it; with `seek` what is skipped is not read."""

    def __init__(self, stream: Reader, start: int, seek: Callable[[int], Any] | None) -> None:
        self._stream, self.offset, self._seek = stream, start, seek

    def read(self, size: int) -> bytes:
        piece = self._stream.read(size)
        self.offset += len(piece)
        return piece

    def exactly(self, size: int) -> bytes:
        """`size` bytes, b"" at the end of the stream. Raises EOFError where it ends between."""
        held = b""
        while len(held) < size and (piece := self.read(size - len(held))):
            held += piece
        if held and len(held) < size:
            raise EOFError(f"the archive ends inside a block, at {self.offset:,}")
        return held

    def skip_to(self, offset: int) -> None:
        """Read on. Raises EOFError; not with `seek`, which goes beyond the end."""
        if self._seek is not None and self.offset < offset:
            self._seek(offset)
            self.offset = offset
        while self.offset < offset:
            if not self.read(min(_CHUNK, offset - self.offset)):
                raise EOFError(f"the archive ends at {self.offset:,}, inside a member")


class _Body:
    """The bytes of one member. Raises EOFError where the archive ends before them."""

    def __init__(self, stream: _Forward, size: int) -> None:
        self._stream, self._left = stream, size

    def read(self, size: int, /) -> bytes:
        piece = self._stream.read(min(size, self._left))
        if not piece and self._left and size:
            raise EOFError("the archive ends inside a member")
        self._left -= len(piece)
        return piece


def tar_members(
    stream: Reader, start: int = 0, seek: Callable[[int], Any] | None = None
) -> Iterator[Member]:
    """The members of an inflated tar whose stream stands at `start`; `seek`: the stream's, where
    only headers are wanted. Raises OSError where a header is damaged, EOFError where the archive is
    cut."""
    source = _Forward(stream, start, seek)
    said: dict[str, str] = {}  # what a long name's or a pax header says of the next member
    begin = start
    while header := source.exactly(_BLOCK):
        offset = source.offset - _BLOCK
        if not header.strip(b"\0"):
            return
        try:
            info = tarfile.TarInfo.frombuf(header, "utf-8", "surrogateescape")
        except (tarfile.HeaderError, ValueError) as error:
            raise OSError(f"no header of a tar at {offset:,}: {error}") from None
        while (
            info.type == tarfile.GNUTYPE_SPARSE
            and header[482 if header[257:262] == b"ustar" else 504]
        ):  # its map goes on in blocks of its own
            header = source.exactly(_BLOCK)
            if not header or not header[504]:
                break
        size = (
            int(said["size"])
            if said.get("size", "").isdecimal() and len(said["size"]) < 20
            else info.size
        )
        if info.type in (
            tarfile.GNUTYPE_LONGNAME,
            tarfile.GNUTYPE_LONGLINK,
            tarfile.XHDTYPE,
            tarfile.XGLTYPE,
            tarfile.SOLARIS_XHDTYPE,
        ):
            size = info.size
        if size < 0:
            raise OSError(f"a member of {size} bytes at {offset:,}")
        end = source.offset + (size + _BLOCK - 1) // _BLOCK * _BLOCK
        if info.type == tarfile.GNUTYPE_LONGNAME:
            long_name = source.exactly(min(size, _MAX_NAME_BYTES)) if size else b""
            said["path"] = long_name.split(b"\0")[0].decode("utf-8", "surrogateescape")
        elif info.type in (tarfile.XHDTYPE, tarfile.SOLARIS_XHDTYPE):
            said |= _pax(source.exactly(min(size, _MAX_NAME_BYTES)) if size else b"")
        elif info.type not in (tarfile.GNUTYPE_LONGLINK, tarfile.XGLTYPE):
            name_said, said = said.get("path"), {}
            plain = info.isreg() and info.type != tarfile.GNUTYPE_SPARSE
            if not info.isdir():
                body = _Body(source, size) if plain else Refusal("not_a_file")
                name = name_said or info.name
                yield Member(
                    name=name,
                    begin=begin,
                    offset=offset,
                    end=end,
                    size=size,
                    content=body,
                )
            if not plain and info.type in (
                tarfile.LNKTYPE,
                tarfile.SYMTYPE,
                tarfile.CHRTYPE,
                tarfile.BLKTYPE,
                tarfile.FIFOTYPE,
            ):
                begin = source.offset
                continue  # whatever size they claim, nothing stands behind them
            begin = end
        source.skip_to(end)


def _pax(block: bytes) -> dict[str, str]:
    """`path` and `size` of a pax header: records `LENGTH KEY=VALUE\\n`."""
    found: dict[str, str] = {}
    at = 0
    while (space := block.find(b" ", at, at + 20)) > at and block[at:space].isdigit():
        stop = at + int(block[at:space])
        key, equals, value = block[space + 1 : stop - 1].partition(b"=")
        if stop <= space or not equals:
            break
        if key in (b"path", b"size"):
            found[key.decode()] = value.decode("utf-8", "surrogateescape")
        at = stop
    return found


def open_zip(file: IO[bytes]) -> zipfile.ZipFile:
    """A zip whose directory is bounded. Raises `Refused` (`bomb`) where it is not, else one of `ZIP_DAMAGE`."""
    size = _directory_bytes(file)
    if size > MAX_DIRECTORY_BYTES:
        raise bomb(f"a directory of {size:,} bytes")
    return zipfile.ZipFile(file)


def _directory_bytes(file: IO[bytes]) -> int:
    """What the end of a zip claims that its directory has; 0 where that cannot be found, which
    `zipfile` will say too."""
    length = file.seek(0, io.SEEK_END)
    start = max(0, length - 65_536 - _ZIP_END.size - 76)
    file.seek(start)
    tail = file.read(length - start)
    at = tail.rfind(b"PK\x05\x06")
    file.seek(0)
    if at < 0 or len(tail) - at < _ZIP_END.size:
        return 0
    size = int(_ZIP_END.unpack_from(tail, at)[5])
    wide = tail.rfind(b"PK\x06\x06", 0, at)
    return (
        max(size, int(_ZIP64.unpack_from(tail, wide)[8]))
        if wide >= 0 and len(tail) - wide >= _ZIP64.size
        else size
    )


def zip_members(archive: zipfile.ZipFile) -> Iterator[Member]:
    """The members of an open zip, in the order of their bytes."""
    for info in sorted(archive.infolist(), key=lambda info: info.header_offset):
        if not info.is_dir():
            content: Reader | Refusal
            if problem := zip_problem(info):
                content = Refusal(problem)
            else:
                try:
                    content = Counted(archive.open(info), info.compress_size)
                except ZIP_DAMAGE:
                    content = Refusal("damaged")
            at, end = info.header_offset, info.header_offset + info.compress_size
            yield Member(
                name=info.filename,
                begin=at,
                offset=at,
                end=end,
                size=info.file_size,
                content=content,
            )


def zip_problem(info: zipfile.ZipInfo) -> str:
    """Why a member of a zip cannot be read: encrypted, unsupported_compression; "" where it can."""
    if info.flag_bits & 0x41:
        return "encrypted"
    return (
        ""
        if info.compress_type in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
        else "unsupported_compression"
    )
