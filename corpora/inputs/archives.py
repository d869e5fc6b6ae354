"""The members of tar and zip archives, one after the other, however hostile the archive is. Nothing
is ever written.

A tar is read forward only. `tarfile` parses its headers, but not what follows them: it would read a
long name or a pax header of any size into memory. Links, devices and sparse files are named, not
followed. A zip is read by `zipfile` in the order of its bytes; its directory is bounded before it
is loaded, and encrypted members and rare methods are named. The bytes that a member or a stream
inflates to are counted: past `MAX_RATIO` times its stored bytes it is refused as a `bomb`.
"""

import io
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, Protocol

from corpora.document import Refusal, Refused

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

MAX_RATIO = 200
"""Inflated bytes per stored byte; real text has 3 to 10."""

FREE_BYTES = 1_000_000
"""The ratio is not checked below so many inflated bytes."""

MAX_DIRECTORY_BYTES = 50_000_000
"""Limit of a zip's directory, which is enough for half a million members."""

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
"""What `zipfile` raises on damaged archives; on a hostile directory it may be any of these."""

_BLOCK = 512

_MAX_NAME_BYTES = 1 << 16

_CHUNK = 1 << 16

_EXTENSIONS = (
    tarfile.GNUTYPE_LONGNAME,
    tarfile.GNUTYPE_LONGLINK,
    tarfile.XHDTYPE,
    tarfile.XGLTYPE,
    tarfile.SOLARIS_XHDTYPE,
)
"""Types of tar headers that describe the members after them."""

_EMPTY_TYPES = (
    tarfile.LNKTYPE,
    tarfile.SYMTYPE,
    tarfile.CHRTYPE,
    tarfile.BLKTYPE,
    tarfile.FIFOTYPE,
)
"""Types of tar members that have no content, whatever size they claim."""

_ZIP_END = struct.Struct("<4s4H2LH")

_ZIP64_END = struct.Struct("<4sQ2H2L4Q")


def bomb(detail: str) -> Refused:
    """The error for bytes that inflate to more than text ever does."""
    return Refused(Refusal("bomb", detail))


class Reader(Protocol):
    """Anything with `read`; b"" is the end."""

    def read(self, size: int, /) -> bytes: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """A member that is not a folder. The places count the bytes of the archive.

    `begin`: where the first header that belongs to the member begins, such as that of a long name;
    `offset`: where its own header begins; `end`: the end of its last byte and padding, as far as is
    known. `content` may be read until the next member is asked for; a member that cannot be read
    has a `Refusal` instead: not_a_file, encrypted, unsupported_compression, damaged.
    """

    name: str
    begin: int
    offset: int
    end: int
    size: int
    content: Reader | Refusal


class Counted:
    """A stream that raises `Refused` (`bomb`) if it gives more bytes than text of `stored` bytes
    inflates to. There is no limit if `stored` is 0, which means unknown."""

    def __init__(self, stream: Reader, stored: int, free: int = FREE_BYTES) -> None:
        self._stream = stream
        self._given = 0
        self._limit = max(free, MAX_RATIO * stored) if stored else None

    def read(self, size: int, /) -> bytes:
        """Up to `size` bytes."""
        piece = self._stream.read(size)
        self._given += len(piece)
        if self._limit is not None and self._given > self._limit:
            raise bomb(f"more than {self._limit:,} bytes")
        return piece


class Raw(io.RawIOBase):
    """A `Reader` as a file, which the decoders expect."""

    def __init__(self, stream: Reader) -> None:
        self._stream = stream

    def readable(self) -> bool:
        """True."""
        return True

    def readinto(self, buffer: "WriteableBuffer") -> int:
        """Fill the buffer, or the beginning of it. Returns the number of bytes."""
        view = memoryview(buffer)
        piece = self._stream.read(len(view))
        view[: len(piece)] = piece
        return len(piece)


def read_up_to(stream: Reader, limit: int) -> bytes | None:
    """All bytes of a stream, None if there are more than `limit`."""
    pieces: list[bytes] = []
    size = 0
    while size <= limit:
        piece = stream.read(min(_CHUNK, limit + 1 - size))
        if not piece:
            return b"".join(pieces)
        pieces.append(piece)
        size += len(piece)
    return None


class _Forward:
    """A tar's stream that knows its offset. With `seek` the skipped bytes are not read."""

    def __init__(self, stream: Reader, start: int, seek: Callable[[int], object] | None) -> None:
        self._stream = stream
        self._seek = seek
        self.offset = start

    def read(self, size: int) -> bytes:
        piece = self._stream.read(size)
        self.offset += len(piece)
        return piece

    def exactly(self, size: int) -> bytes:
        """`size` bytes, or b"" at the end of the stream. Raises EOFError if it ends in between."""
        content = b""
        while len(content) < size:
            piece = self.read(size - len(content))
            if not piece:
                break
            content += piece
        if content and len(content) < size:
            raise EOFError(f"the archive ends inside a block, at {self.offset:,}")
        return content

    def skip_to(self, offset: int) -> None:
        """Move forward. Raises EOFError at the end, but not with `seek`, which may pass it."""
        if self._seek is not None and self.offset < offset:
            self._seek(offset)
            self.offset = offset
        while self.offset < offset:
            if not self.read(min(_CHUNK, offset - self.offset)):
                raise EOFError(f"the archive ends at {self.offset:,}, inside a member")


class _Body:
    """The bytes of one member. Raises EOFError if the archive ends before them."""

    def __init__(self, stream: _Forward, size: int) -> None:
        self._stream = stream
        self._left = size

    def read(self, size: int, /) -> bytes:
        piece = self._stream.read(min(size, self._left))
        if not piece and self._left and size:
            raise EOFError("the archive ends inside a member")
        self._left -= len(piece)
        return piece


def tar_members(
    stream: Reader, start: int = 0, seek: Callable[[int], object] | None = None
) -> Iterator[Member]:
    """The members of an inflated tar whose stream stands at `start`. `seek`: that of the stream, if
    only headers are wanted. Raises OSError for a damaged header, EOFError for a cut archive."""
    source = _Forward(stream, start, seek)
    described: dict[str, str] = {}  # what extension headers tell of the next member
    begin = start
    while True:
        header = source.exactly(_BLOCK)
        if not header.strip(b"\0"):  # the end of the stream, or the block of zeros before it
            return
        offset = source.offset - _BLOCK
        info = _parse_header(header, offset)
        if info.type == tarfile.GNUTYPE_SPARSE:
            _skip_sparse_map(source, header)

        size = _stored_size(info, described)
        if size < 0:
            raise OSError(f"a member of {size} bytes at {offset:,}")
        end = source.offset + (size + _BLOCK - 1) // _BLOCK * _BLOCK

        if info.type in _EXTENSIONS:
            described |= _read_extension(source, info.type, size)
        else:
            if not info.isdir():
                plain = info.isreg() and info.type != tarfile.GNUTYPE_SPARSE
                yield Member(
                    name=described.get("path") or info.name,
                    begin=begin,
                    offset=offset,
                    end=end,
                    size=size,
                    content=_Body(source, size) if plain else Refusal("not_a_file"),
                )
            described = {}
            if info.type in _EMPTY_TYPES:
                begin = source.offset
                continue
            begin = end
        source.skip_to(end)


def _parse_header(header: bytes, offset: int) -> tarfile.TarInfo:
    try:
        return tarfile.TarInfo.frombuf(header, "utf-8", "surrogateescape")
    except (tarfile.HeaderError, ValueError) as error:
        raise OSError(f"no header of a tar at {offset:,}: {error}") from None


def _skip_sparse_map(source: _Forward, header: bytes) -> None:
    """Skip the blocks in which the map of a sparse file continues. A flag at the end of each map
    tells whether another block follows."""
    flag = 482 if header[257:262] == b"ustar" else 504
    while header and header[flag]:
        header = source.exactly(_BLOCK)
        flag = 504


def _stored_size(info: tarfile.TarInfo, described: dict[str, str]) -> int:
    """The bytes behind a header. A pax header may give the size of the member after it, but not
    that of another extension."""
    size = described.get("size", "")
    if info.type not in _EXTENSIONS and size.isdecimal() and len(size) < 20:
        return int(size)
    return info.size


def _read_extension(source: _Forward, kind: bytes, size: int) -> dict[str, str]:
    """`path` and `size` of the next member, as far as an extension header gives them."""
    if kind in (tarfile.GNUTYPE_LONGLINK, tarfile.XGLTYPE):
        return {}
    content = source.exactly(min(size, _MAX_NAME_BYTES)) if size else b""
    if kind == tarfile.GNUTYPE_LONGNAME:
        return {"path": content.split(b"\0")[0].decode("utf-8", "surrogateescape")}
    return _parse_pax(content)


def _parse_pax(block: bytes) -> dict[str, str]:
    """`path` and `size` of a pax header, which holds records `LENGTH KEY=VALUE\\n`."""
    values: dict[str, str] = {}
    at = 0
    while True:
        space = block.find(b" ", at, at + 20)
        if space <= at or not block[at:space].isdigit():
            return values
        stop = at + int(block[at:space])
        key, equals, value = block[space + 1 : stop - 1].partition(b"=")
        if stop <= space or not equals:
            return values
        if key in (b"path", b"size"):
            values[key.decode()] = value.decode("utf-8", "surrogateescape")
        at = stop


def open_zip(file: IO[bytes]) -> zipfile.ZipFile:
    """A zip whose directory is bounded. Raises `Refused` (`bomb`) if the directory is too large,
    and one of `ZIP_DAMAGE` if the zip is damaged."""
    size = _directory_bytes(file)
    if size > MAX_DIRECTORY_BYTES:
        raise bomb(f"a directory of {size:,} bytes")
    return zipfile.ZipFile(file)


def _directory_bytes(file: IO[bytes]) -> int:
    """The size that the end of a zip claims for its directory; 0 if it is not found, which
    `zipfile` will report."""
    length = file.seek(0, io.SEEK_END)
    # The end record is followed by a comment of up to 65,535 bytes, and preceded by the record of
    # zip64 and its locator.
    start = max(0, length - 65_536 - _ZIP_END.size - 76)
    file.seek(start)
    tail = file.read(length - start)
    file.seek(0)

    end = tail.rfind(b"PK\x05\x06")
    if end < 0 or len(tail) - end < _ZIP_END.size:
        return 0
    size = int(_ZIP_END.unpack_from(tail, end)[5])
    zip64_end = tail.rfind(b"PK\x06\x06", 0, end)
    if zip64_end >= 0 and len(tail) - zip64_end >= _ZIP64_END.size:
        size = max(size, int(_ZIP64_END.unpack_from(tail, zip64_end)[8]))
    return size


def zip_members(archive: zipfile.ZipFile) -> Iterator[Member]:
    """The members of an open zip, in the order of their bytes."""
    for info in sorted(archive.infolist(), key=lambda info: info.header_offset):
        if info.is_dir():
            continue
        yield Member(
            name=info.filename,
            begin=info.header_offset,
            offset=info.header_offset,
            end=info.header_offset + info.compress_size,
            size=info.file_size,
            content=_zip_content(archive, info),
        )


def _zip_content(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> Reader | Refusal:
    problem = zip_problem(info)
    if problem:
        return Refusal(problem)
    try:
        return Counted(archive.open(info), info.compress_size)
    except ZIP_DAMAGE:
        return Refusal("damaged")


def zip_problem(info: zipfile.ZipInfo) -> str:
    """Why a member of a zip cannot be read: encrypted or unsupported_compression; "" if it can."""
    if info.flag_bits & 0x41:  # encrypted, or with strong encryption
        return "encrypted"
    if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        return "unsupported_compression"
    return ""
