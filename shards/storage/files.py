"""Files by address, local or on an object store, over `pyarrow.fs`; no reader ever sees a file half
written (law 3).

An address is a path or a URI (`s3://bucket/key`, the key as it stands: nothing in it is unquoted).
A local file is written beside its final name, flushed and renamed. For an object store the bytes
are written to a temporary file of this machine and uploaded by one put of the final name
(`shards.storage.object_store`). Addresses of `https://` are read by `shards.storage.http_file` and
never written. Streams are closed on every path out.
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
from typing import IO, TYPE_CHECKING, Protocol, TypeVar

import pyarrow as pa
from pyarrow import fs as pafs

from shards.errors import NO_FAULT_OF_A_FILE, REMEDIES, UserError
from shards.storage import http, http_file, object_store, reached

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

T = TypeVar("T")

R = TypeVar("R")

TEMPORARY = ".tmp-"
"""The beginning of the name of a file that is not finished; listings leave such files out."""

SPECIAL = "a pipe, a socket or a device, not a file"

_CHUNK = 1 << 20


# --- addresses


def is_remote(address: str) -> bool:
    """True for a URI of a store or a server, False for a path of this machine."""
    has_scheme = re.match(r"^[a-z][a-z0-9+.-]+://", address) is not None
    return has_scheme and not address.startswith("file://")


def join(base: str, *names: str) -> str:
    """An address below `base`."""
    return "/".join((base.rstrip("/"), *names)) if base != "/" else "/" + "/".join(names)


def resolve(address: str) -> tuple[pafs.FileSystem, str]:
    """The file system of an address and the path inside it.

    Raises `UserError` for an unknown scheme, and for `https://`, which has no file system.
    """
    if not is_remote(address):
        return pafs.LocalFileSystem(), os.path.abspath(address.removeprefix("file://"))
    if http.is_web(address):
        raise _read_only(address)
    return object_store.file_system(address)


def _read_only(address: str) -> UserError:
    return UserError(
        f"{address}: files over HTTP can only be read", "name a folder, s3://, gs:// or hdfs://"
    )


# --- looking


def file_info(address: str) -> pafs.FileInfo:
    """Type, size and time of a file or folder; the type is NotFound where there is none."""
    file_system, path = resolve(address)
    if not is_remote(address):
        return file_system.get_file_info(path)
    return object_store.ask(address, lambda: file_system.get_file_info(path))


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


def listing(
    address: str, recursive: bool = False, allow_not_found: bool = True
) -> list[pafs.FileInfo]:
    """The entries of a folder; a store is asked for page after page of 1,000."""
    file_system, path = resolve(address)
    selector = pafs.FileSelector(path, recursive=recursive, allow_not_found=allow_not_found)
    if not is_remote(address):
        return list(file_system.get_file_info(selector))
    return object_store.ask(address, lambda: list(file_system.get_file_info(selector)))


def list_files(address: str, suffix: str = "") -> list[str]:
    """Addresses of the files directly in a folder, sorted; empty for a missing folder. Temporary
    files are left out."""
    if is_remote(address):
        names = [info.base_name for info in listing(address) if info.type == pafs.FileType.File]
    else:
        names = _local_names(resolve(address)[1])

    wanted = [name for name in names if name.endswith(suffix) and not name.startswith(TEMPORARY)]
    return [join(address, name) for name in sorted(wanted)]


def _local_names(folder: str) -> list[str]:
    """Names of the files in a folder of this machine. Arrow fails at a name that is not UTF-8."""
    if not os.path.isdir(folder):
        return []
    return [entry.name for entry in os.scandir(folder) if entry.is_file()]


def list_folders(address: str) -> list[str]:
    """Names of the folders directly in a folder, sorted."""
    return sorted(
        info.base_name for info in listing(address) if info.type == pafs.FileType.Directory
    )


def walk(address: str) -> list[tuple[str, int, int]]:
    """(path below a folder, bytes, time of writing in ns) of every file below it, sorted; empty for
    a missing folder. Local temporary files are left out. One request per thousand files of a
    store."""
    root = resolve(address)[1].rstrip("/")
    if not is_remote(address):
        return sorted(_walk_local(root))

    return sorted(
        (info.path[len(root) :].strip("/"), int(info.size), int(info.mtime_ns or 0))
        for info in listing(address, recursive=True)
        if info.is_file
    )


def _walk_local(root: str) -> Iterator[tuple[str, int, int]]:
    for folder, _, names in os.walk(root):
        for name in names:
            if name.startswith(TEMPORARY):
                continue

            path = os.path.join(folder, name)
            try:
                status = os.stat(path)
            except FileNotFoundError:  # removed since it was listed
                continue
            relative = os.path.relpath(path, root).replace(os.sep, "/")
            yield relative, status.st_size, status.st_mtime_ns


def each(root: str, function: Callable[[T], R], items: Iterable[T]) -> list[R]:
    """`function` of each item, in order.

    Many run at a time when `root` is on a store, since each of them waits for an answer.
    """
    if is_remote(root):
        return object_store.side_by_side(function, list(items))
    return [function(item) for item in items]


# --- reading


def read_bytes(address: str) -> bytes:
    """The whole file. Raises like `open_input`."""
    if http.is_web(address):
        with http_file.open_input(address) as web:
            return web.read()
    if is_remote(address):
        with open_input(address) as stream:
            return bytes(stream.read())

    # Not by Arrow, whose stream asks for the size first.
    path = address.removeprefix("file://")
    _refuse_special(path, address)
    try:
        with open(path, "rb") as local:
            return local.read()
    except OSError as error:
        raise _not_of_file(error, address) from None


def open_input(address: str) -> pa.NativeFile:
    """A seekable stream over a file.

    Raises FileNotFoundError, PermissionError, IsADirectoryError for a pipe and its like, and
    `UserError` when a store fails, or too many files are open.
    """
    if http.is_web(address):
        return reached.watch(address, pa.PythonFile(http_file.open_input(address), mode="r"))
    if is_remote(address):
        return reached.watch(address, pa.PythonFile(object_store.Reader(address), mode="r"))

    file_system, path = resolve(address)
    _refuse_special(path, address)
    try:
        if not _is_unicode(path):  # a name in another encoding, which Arrow cannot open
            return pa.PythonFile(open(path, "rb"), mode="r")
        return reached.watch(address, _open_by_arrow(file_system, path))
    except PermissionError as error:  # Arrow's own names no file
        raise PermissionError(error.errno, "Permission denied", address) from None
    except OSError as error:
        raise _not_of_file(error, address) from None


def _open_by_arrow(file_system: pafs.FileSystem, path: str) -> pa.NativeFile:
    """A function of its own, so that a test can make it fail."""
    return file_system.open_input_file(path)


def _not_of_file(error: OSError, address: str) -> Exception:
    """The error of opening a file; `UserError` (exit 3) where it says nothing about the file, so
    that no reader counts it as damage."""
    if error.errno not in NO_FAULT_OF_A_FILE:
        return error
    return UserError(f"{address}: {os.strerror(error.errno)}", REMEDIES[error.errno], 3)


def _is_unicode(path: str) -> bool:
    """Whether UTF-8 can hold a path: a name in another encoding has lone surrogates."""
    try:
        path.encode()
    except UnicodeEncodeError:
        return False
    return True


def _refuse_special(path: str, address: str) -> None:
    """Raise IsADirectoryError for a pipe, a socket or a device: reading one may wait for ever or
    never end."""
    try:
        mode = os.stat(path).st_mode
    except OSError:
        return  # opening it raises the error to show
    if not stat.S_ISREG(mode) and not stat.S_ISDIR(mode):
        raise IsADirectoryError(errno.EISDIR, SPECIAL, address)


class RangeFile(Protocol):
    """A file that is read by ranges."""

    def size(self) -> int:
        """Bytes of the file."""

    def read_at(self, count: int, offset: int) -> bytes:
        """`count` bytes from `offset` on, fewer only at the file's end."""

    def __enter__(self) -> "RangeFile": ...

    def __exit__(self, *error: object) -> object: ...


def open_ranges(address: str) -> RangeFile:
    """A file of which a few ranges are read; a store is asked for these alone, not for blocks."""
    if is_remote(address):
        return object_store.Ranges(address)
    ranges: RangeFile = open_input(address)
    return ranges


def map_file(address: str) -> pa.MemoryMappedFile:
    """A local file as a read-only memory map."""
    return pa.memory_map(resolve(address)[1], "r")


@contextmanager
def local_copy(address: str) -> Iterator[str]:
    """A path of this machine with a file's bytes: the file itself, or a copy of a store's file
    which is removed at the end of the block."""
    if not is_remote(address):
        yield address
        return

    with tempfile.TemporaryDirectory(prefix="corpusmill-") as folder:
        path = os.path.join(folder, address.rsplit("/", 1)[1])
        with open_input(address) as stream, open(path, "wb") as copy:
            while block := stream.read(object_store.BLOCK):
                copy.write(block)
        yield path


# --- writing


class Output(io.BufferedIOBase):
    """The stream of `open_output`: it can only be appended to. `bytes`: how many were written."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream
        self._state = hashlib.blake2b(digest_size=32)
        self.bytes = 0

    def writable(self) -> bool:
        """True."""
        return True

    def write(self, content: "ReadableBuffer") -> int:
        """Append bytes, or anything with a buffer of them."""
        # Bytes, whatever the items of the buffer are: its length would count those.
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
        """As `files.digest` of the file, without reading it again."""
        return self._state.hexdigest()


@contextmanager
def open_output(address: str, flush: bool = True) -> Iterator[Output]:
    """A stream whose bytes appear under `address` only when the block ends without an error.

    `flush` False does not wait for the disk: for large files that can be built again and whose
    digest is checked before use.
    """
    if http.is_web(address):
        raise _read_only(address)
    if is_remote(address):
        with tempfile.TemporaryFile() as stream:
            yield Output(stream)
            object_store.put(address, stream)
        return

    path = resolve(address)[1]
    folder, name = os.path.split(path)
    make_folder(folder)
    # A new name for each try: two writers of one file must not write into each other's.
    temporary = os.path.join(folder, f"{TEMPORARY}{name}-{os.getpid()}-{secrets.token_hex(4)}")
    try:
        with open(temporary, "xb") as stream:
            yield Output(stream)
        # Without the first a loss of power may leave the new name on the disk, but not the bytes;
        # without the second it may undo this rename, but not a later one in another folder.
        if flush:
            flush_to_disk(temporary)
        os.replace(temporary, path)
        if flush:
            flush_to_disk(folder)
    except BaseException:  # Ctrl-C too: remove what is half written, then raise again
        if os.path.exists(temporary):
            os.unlink(temporary)
        raise


def make_folder(path: str) -> None:
    """Make a local folder and those above it, so that a loss of power does not undo it."""
    missing = []
    above = path
    while above and not os.path.isdir(above):
        missing.append(above)
        above = os.path.dirname(above)

    os.makedirs(path, exist_ok=True)
    for folder in missing:
        flush_to_disk(os.path.dirname(folder) or ".")


def flush_to_disk(path: str) -> None:
    """Wait until the disk has a local file, or the names in a local folder."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_bytes(address: str, content: bytes, flush: bool = True) -> None:
    """Write a whole file at once; `flush` as for `open_output`."""
    with open_output(address, flush) as stream:
        stream.write(content)


def remove(address: str) -> None:
    """Remove a file, or a folder with everything below it; a missing one is no error."""
    file_system, path = resolve(address)
    kind = file_info(address).type
    if kind == pafs.FileType.NotFound:
        return

    is_directory = kind == pafs.FileType.Directory
    delete = file_system.delete_dir if is_directory else file_system.delete_file
    if is_remote(address):
        object_store.ask(address, lambda: delete(path))
    else:
        delete(path)


# --- digests


def digest(address: str) -> str:
    """blake2b-32 of a file's bytes, in hex; memory stays flat."""
    state = hashlib.blake2b(digest_size=32)
    with open_input(address) as stream:
        while block := stream.read(_CHUNK):
            state.update(block)
    return state.hexdigest()


def identity(address: str, length: int) -> str:
    """A cheap identity of an input's content: the ETag of a store or a web server that gives one,
    else `both_ends_digest`."""
    if http.is_web(address):
        return http_file.identity(address) or both_ends_digest(address, length)
    if is_remote(address):
        with object_store.Reader(address) as stream:
            etag = stream.etag()
        if etag:
            return f"etag {etag}"
    return both_ends_digest(address, length)


def both_ends_digest(address: str, length: int) -> str:
    """A cheap identity of an input: blake2b-16, in hex, over its size and its first and last
    MiB."""
    state = hashlib.blake2b(length.to_bytes(8, "little"), digest_size=16)
    with open_input(address) as stream:
        state.update(stream.read(_CHUNK))
        # The two ends of a file below 2 MiB do not overlap: the second begins after the first.
        if length > _CHUNK:
            stream.seek(max(_CHUNK, length - _CHUNK))
            state.update(stream.read(_CHUNK))
    return state.hexdigest()
