"""Files by address, local or on an object store, over `pyarrow.fs`; nothing half-written is ever
seen (law 3).

An address is a path or a URI (`s3://bucket/key`, the key as it stands: nothing in it is unquoted).
Locally a file is written beside its final name, flushed and renamed; for an object store it is
written to a temporary file of this machine, and its bytes go up in one put of the final name
(`shards.storage.object_store`). Streams are closed on every path out. `https://` addresses are read by
`shards.storage.http_file`, and never written.
"""

import errno
import hashlib
import io
import os
import re
import secrets
import stat
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import IO, Any, Protocol, TypeVar

import pyarrow as pa
from pyarrow import fs as pafs

from shards.errors import UserError
from shards.storage import http, http_file, object_store

T = TypeVar("T")

R = TypeVar("R")

TEMPORARY = ".tmp-"

SPECIAL = "a pipe, a socket or a device, not a file"

_CHUNK = 1 << 20


def is_remote(address: str) -> bool:
    """True for a URI of an object store, False for a path of this machine."""
    return re.match(r"^[a-z][a-z0-9+.-]+://", address) is not None and not address.startswith(
        "file://"
    )


def resolve(address: str) -> tuple[pafs.FileSystem, str]:
    """The file system of an address and the path inside it. Raises `UserError` for a scheme nobody
    knows."""
    if not is_remote(address):
        return _local(), os.path.abspath(address.removeprefix("file://"))
    if http.is_web(address):
        raise UserError(
            f"{address}: files over HTTP can only be read", "name a folder, s3://, gs:// or hdfs://"
        )
    return object_store.file_system(address)


def file_info(address: str) -> pafs.FileInfo:
    file_system, path = resolve(address)
    if not is_remote(address):
        return file_system.get_file_info(path)
    return object_store.ask(address, lambda: file_system.get_file_info(path))


def listing(
    address: str, recursive: bool = False, allow_not_found: bool = True
) -> list[pafs.FileInfo]:
    """What lies in a folder of a store (pages of 1,000 are all asked for)."""
    file_system, path = resolve(address)
    selector = pafs.FileSelector(path, recursive=recursive, allow_not_found=allow_not_found)
    if not is_remote(address):
        return list(file_system.get_file_info(selector))
    return object_store.ask(address, lambda: list(file_system.get_file_info(selector)))


def _local() -> pafs.LocalFileSystem:
    return pafs.LocalFileSystem()


def join(base: str, *names: str) -> str:
    """An address below `base`."""
    return "/".join((base.rstrip("/"), *names)) if base != "/" else "/" + "/".join(names)


def exists(address: str) -> bool:
    """True for a file or folder that is there."""
    if http.is_web(address):
        try:
            http_file.stat(address)
        except FileNotFoundError:
            return False
        return True
    return bool(file_info(address).type != pafs.FileType.NotFound)


def is_folder(address: str) -> bool:
    """True for a folder that is there."""
    if http.is_web(address):
        return False
    return bool(file_info(address).type == pafs.FileType.Directory)


def size(address: str) -> int:
    """Bytes of a file. Raises FileNotFoundError."""
    if http.is_web(address):
        return http_file.stat(address).size or 0
    info = file_info(address)
    if info.type != pafs.FileType.File:
        raise FileNotFoundError(address)
    return int(info.size)


def list_files(address: str, suffix: str = "") -> list[str]:
    """Addresses of the files directly in a folder, sorted; a folder that is not there is empty.
    Temporary files are left out."""
    if not is_remote(address):  # Arrow stops at a name that is no UTF-8
        path = resolve(address)[1]
        found = (
            [entry.name for entry in os.scandir(path) if entry.is_file()]
            if os.path.isdir(path)
            else []
        )
        return [
            join(address, name)
            for name in sorted(found)
            if name.endswith(suffix) and not name.startswith(TEMPORARY)
        ]
    names = [info.base_name for info in listing(address) if info.type == pafs.FileType.File]
    return [
        join(address, name)
        for name in sorted(names)
        if name.endswith(suffix) and not name.startswith(TEMPORARY)
    ]


def list_folders(address: str) -> list[str]:
    """Names of the folders directly in a folder, sorted."""
    return sorted(
        info.base_name for info in listing(address) if info.type == pafs.FileType.Directory
    )


def walk(address: str) -> list[tuple[str, int, int]]:
    """(path below a folder, bytes, when it was written in ns) of every file below it, sorted;
    nothing where there is no folder. Temporary files are left out. On a store one request for each
    thousand."""
    root = resolve(address)[1].rstrip("/")
    if is_remote(address):
        found = [
            (info.path[len(root) :].strip("/"), int(info.size), int(info.mtime_ns or 0))
            for info in listing(address, recursive=True)
            if info.is_file
        ]
        return sorted(found)
    there = []
    for folder, _, names in os.walk(root):
        for name in names:
            if not name.startswith(TEMPORARY):
                path = os.path.join(folder, name)
                try:
                    stat = os.stat(path)
                except FileNotFoundError:  # gone since it was listed
                    continue
                there.append(
                    (
                        os.path.relpath(path, root).replace(os.sep, "/"),
                        stat.st_size,
                        stat.st_mtime_ns,
                    )
                )
    return sorted(there)


def read_bytes(address: str) -> bytes:
    """The whole file."""
    if is_remote(address):
        with (
            http_file.open_input(address) if http.is_web(address) else open_input(address) as stream
        ):  # Arrow's own asks for the size first
            return bytes(stream.read())
    path = address.removeprefix("file://")
    _refuse_special(path, address)
    with open(path, "rb") as local:
        return local.read()


def each(root: str, function: Callable[[T], R], items: Iterable[T]) -> list[R]:
    """`function` of each item, in order; many at a time where `root` is a store, since there each
    waits for an answer."""
    return (
        object_store.side_by_side(function, list(items))
        if is_remote(root)
        else [function(item) for item in items]
    )


def open_input(address: str) -> pa.NativeFile:
    """A seekable stream over a file. Raises FileNotFoundError, PermissionError; `UserError` where a
    store fails."""
    if http.is_web(address):
        return pa.PythonFile(http_file.open_input(address), mode="r")
    if is_remote(address):
        return pa.PythonFile(object_store.Reader(address), mode="r")
    file_system, path = resolve(address)
    _refuse_special(path, address)
    try:
        return file_system.open_input_file(path)
    except PermissionError as error:  # Arrow's own names no file
        raise PermissionError(error.errno, "Permission denied", address) from None


def _refuse_special(path: str, address: str) -> None:
    """Raise IsADirectoryError, since it is as little a file, for what would make a reader wait for
    ever or never end."""
    try:
        mode = os.stat(path).st_mode
    except OSError:
        return  # opening it says why
    if not stat.S_ISREG(mode) and not stat.S_ISDIR(mode):
        raise IsADirectoryError(errno.EISDIR, SPECIAL, address)


class RangeFile(Protocol):
    """A file that is read by ranges."""

    def size(self) -> int:
        """Bytes of the file."""

    def read_at(self, count: int, offset: int) -> bytes:
        """`count` bytes from `offset` on, fewer only at the file's end."""

    def __enter__(self) -> "RangeFile": ...

    def __exit__(self, *error: Any) -> object: ...


def open_ranges(address: str) -> RangeFile:
    """A file of which a few ranges are read, by `read_at(count, offset)` and `size()`: of a store's
    no more is asked for than these."""
    if is_remote(address):
        return object_store.Ranges(address)
    ranges: RangeFile = open_input(address)
    return ranges


class Output(io.BufferedIOBase):
    """What `open_output` gives: a file that only grows, and knows what was written to it. `bytes`:
    how much."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream, self._state, self.bytes = stream, hashlib.blake2b(digest_size=32), 0

    def writable(self) -> bool:
        """True."""
        return True

    def write(self, content: Any) -> int:
        """Append bytes."""
        view = memoryview(content).cast("B")
        self._state.update(view)
        self._stream.write(view)
        self.bytes += len(view)
        return len(view)

    def tell(self) -> int:
        """Bytes written so far."""
        return self.bytes

    @property
    def digest(self) -> str:
        """As `files.digest` of the file; saves reading it again."""
        return self._state.hexdigest()


@contextmanager
def open_output(address: str, flush: bool = True) -> Iterator[Output]:
    """A stream whose bytes appear under `address` only when the block ends without an error.

    `flush` False does not wait for the disk: for large files that can be made again and whose
    digest is looked at before use.
    """
    if http.is_web(address):
        raise UserError(
            f"{address}: files over HTTP can only be read", "name a folder, s3://, gs:// or hdfs://"
        )
    if is_remote(address):
        with tempfile.TemporaryFile() as stream:
            yield Output(stream)
            object_store.put(address, stream)
        return
    path = resolve(address)[1]
    folder, name = os.path.split(path)
    os.makedirs(folder, exist_ok=True)
    temporary = os.path.join(folder, f"{TEMPORARY}{name}-{os.getpid()}-{secrets.token_hex(4)}")
    try:
        with open(temporary, "xb") as stream:
            yield Output(stream)
        if flush:
            _flush_to_disk(temporary)
        os.replace(temporary, path)
    except BaseException:  # Ctrl-C too: remove what is half written, then raise again
        if os.path.exists(temporary):
            os.unlink(temporary)
        raise


def _flush_to_disk(path: str) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_bytes(address: str, content: bytes) -> None:
    """Write a whole file at once."""
    with open_output(address) as stream:
        stream.write(content)


def remove(address: str) -> None:
    """Remove a file or a folder with all below it; nothing there is fine."""
    file_system, path = resolve(address)
    kind = file_info(address).type
    if kind == pafs.FileType.NotFound:
        return
    gone = file_system.delete_dir if kind == pafs.FileType.Directory else file_system.delete_file
    if is_remote(address):
        object_store.ask(address, lambda: gone(path))
    else:
        gone(path)


def digest(address: str) -> str:
    """blake2b-32 of a file's bytes, in hex; memory stays flat."""
    state = hashlib.blake2b(digest_size=32)
    with open_input(address) as stream:
        while block := stream.read(_CHUNK):
            state.update(block)
    return state.hexdigest()


def digest_of_bytes(content: bytes) -> str:
    """As `digest` of a file that holds them."""
    return hashlib.blake2b(content, digest_size=32).hexdigest()


def identity(address: str, length: int) -> str:
    """A cheap identity of an input's content: a store's or a web server's ETag, where it gives one,
    else `both_ends_digest`."""
    if http.is_web(address):
        return http_file.identity(address) or both_ends_digest(address, length)
    if is_remote(address):
        with object_store.Reader(address) as stream:
            if etag := stream.etag():
                return f"etag {etag}"
    return both_ends_digest(address, length)


def both_ends_digest(address: str, length: int) -> str:
    """A cheap identity of an input: blake2b-16 over its size and its first and last MiB."""
    state = hashlib.blake2b(length.to_bytes(8, "little"), digest_size=16)
    with open_input(address) as stream:
        state.update(stream.read(_CHUNK))
        if length > _CHUNK:
            stream.seek(max(_CHUNK, length - _CHUNK))
            state.update(stream.read(_CHUNK))
    return state.hexdigest()


def map_file(address: str) -> Any:
    """A local file as a read-only memory map (pyarrow buffer protocol)."""
    return pa.memory_map(resolve(address)[1], "r")


@contextmanager
def local_copy(address: str) -> Iterator[str]:
    """A path of this machine with a file's bytes: its own, or of a store's file a copy that goes
    with the block."""
    if not is_remote(address):
        yield address
        return
    with tempfile.TemporaryDirectory(prefix="corpusmill-") as folder:
        path = os.path.join(folder, address.rsplit("/", 1)[1])
        with open_input(address) as stream, open(path, "wb") as copy:
            while block := stream.read(object_store.BLOCK):
                copy.write(block)
        yield path
