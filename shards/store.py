"""Object stores behind `files`, over `pyarrow.fs`: one client a store, whole blocks, one put, and errors in words.

What is sent again: every request that met a 5xx answer, a throttle, a reset or silence, up to `MAX_TRIES` times with a
back-off that doubles (25 ms, 50 ms, ...: a quarter of a minute in all). After that the store counts as down and whoever
asks is told so at once for `DOWN_S`, so that a build ends with one line within two minutes and not after every request's tries.

Cost: opening a file is one request (its size) and reading it one for each `BLOCK` bytes, forward; a file that fits into
a block is read by one request whatever is asked of it. Writing is one request up to 5 MB, else one for each 10 MB and two.
Credentials, region and endpoint come from where every tool takes them: AWS_ACCESS_KEY_ID, AWS_PROFILE, AWS_REGION, AWS_ENDPOINT_URL.
"""

import errno
import functools
import io
import mmap
import os
import re
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import IO, Any, TypeVar
from urllib.parse import urlsplit

import pyarrow as pa
from pyarrow import fs as pafs

from shards.config import UserError

T = TypeVar("T")
R = TypeVar("R")

MAX_TRIES = 10
CONNECT_TIMEOUT_S = 3.0
REQUEST_TIMEOUT_S = 8.0
"""Of silence, not of the whole transfer."""
DOWN_S = 60.0
BLOCK = 32 << 20
"""Bytes read by one request and held by a reader."""
THREADS = 32
"""Requests under way where many small files are read."""
_SETTINGS = ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL", "AWS_REGION", "AWS_DEFAULT_REGION", "AWS_ACCESS_KEY_ID", "AWS_PROFILE")
_CREDENTIALS = "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE, say who asks"
_RIGHTS = "reading needs s3:GetObject and s3:ListBucket, a home s3:PutObject and s3:DeleteObject too"
_BAD_CREDENTIALS = (
    "INVALID_ACCESS_KEY_ID",
    "SIGNATURE_DOES_NOT_MATCH",
    "INVALID_SIGNATURE",
    "INVALID_CLIENT_TOKEN_ID",
    "EXPIRED_TOKEN",
    "MISSING_AUTHENTICATION_TOKEN",
    "UNRECOGNIZED_CLIENT",
)

_down: dict[str, tuple[float, UserError]] = {}


def file_system(address: str) -> tuple[pafs.FileSystem, str]:
    """The client of an address's store, and the path that the client knows it by: the rest of the address as it stands.
    Raises `UserError` for a scheme nobody knows and an address without a bucket."""
    root, _, path = address.partition("://")
    authority, _, rest = path.partition("/")
    if not authority:
        raise UserError(f"{address}: names no bucket", f"write {root}://BUCKET/FOLDER")
    client = _client(root, authority, tuple(os.environ.get(name, "") for name in _SETTINGS))
    return client, path if root != "hdfs" else "/" + rest


@functools.lru_cache(maxsize=64)
def _client(scheme: str, authority: str, settings: tuple[str, ...]) -> pafs.FileSystem:
    """Kept, since each has its own connections and looks for credentials when it is made."""
    address = f"{scheme}://{authority}"
    try:
        return _s3(authority, dict(zip(_SETTINGS, settings))) if scheme == "s3" else pafs.FileSystem.from_uri(address + "/")[0]
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        raise UserError(f"{address}: cannot open this address: {error}", "use a path, s3://, gs:// or hdfs://") from None
    except OSError as error:
        raise _explained(address, error) from None


def _s3(bucket: str, settings: dict[str, str]) -> pafs.S3FileSystem:
    endpoint = urlsplit(settings["AWS_ENDPOINT_URL_S3"] or settings["AWS_ENDPOINT_URL"])
    region = settings["AWS_REGION"] or settings["AWS_DEFAULT_REGION"]
    chosen: dict[str, Any] = {
        "region": region or ("us-east-1" if endpoint.netloc else pafs.resolve_s3_region(bucket)),
        "retry_strategy": pafs.AwsStandardS3RetryStrategy(max_attempts=MAX_TRIES),
        "connect_timeout": CONNECT_TIMEOUT_S,
        "request_timeout": REQUEST_TIMEOUT_S,
    }
    if endpoint.netloc:
        chosen |= {"endpoint_override": endpoint.netloc, "scheme": endpoint.scheme}
    try:  # a small file by one request instead of three
        return pafs.S3FileSystem(**chosen, allow_delayed_open=True)
    except TypeError:  # pyarrow before 19
        return pafs.S3FileSystem(**chosen)


@contextmanager
def asking(address: str) -> Iterator[None]:
    """A request: what the store answers, or that it does not, as errors in words. Raises FileNotFoundError, `UserError` (exit 3)."""
    root = "/".join(address.split("/", 3)[:3])
    since, error = _down.get(root, (0.0, None))
    if error is not None and time.monotonic() - since < DOWN_S:
        raise error
    try:
        yield
    except (OSError, pa.ArrowException) as error:
        told = _explained(address, error)
        if isinstance(told, UserError) and "no answer" in told.what:
            _down[root] = time.monotonic(), told
        raise told from None


def _explained(address: str, error: Exception) -> Exception:
    """An error of the client in words. A missing file stays a FileNotFoundError; all else ends a build: what a store
    refuses now it may give tomorrow, so that it must not be taken for a damaged file."""
    text = str(error)
    bucket = "/".join(address.split("/", 3)[:3])
    found = re.search(r"AWS Error ([A-Z_]+)", text)
    code, status = found[1] if found else "", re.search(r"HTTP status (\d+)|response code: (\d+)", text)
    number = int(next(filter(None, status.groups()))) if status else 0
    if code == "NO_SUCH_BUCKET" or "Bucket '" in text and "not found" in text:
        return UserError(f"{bucket}: no such bucket", "make it, or name another; AWS_ENDPOINT_URL and AWS_REGION say which store is asked", 3)
    if code in _BAD_CREDENTIALS:
        return UserError(f"{bucket}: the store does not know these credentials ({code.lower()})", _CREDENTIALS, 3)
    if isinstance(error, FileNotFoundError) or code in ("NO_SUCH_KEY", "RESOURCE_NOT_FOUND") or number == 404:
        return FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), address)
    if code == "ACCESS_DENIED" or number in (401, 403):
        return UserError(f"{address}: the store refuses: no rights there, or wrong credentials", f"{_CREDENTIALS}; {_RIGHTS}", 3)
    if isinstance(error, (IsADirectoryError, NotADirectoryError)):
        return error
    first = " ".join(text.split("\n")[0].split())
    why = code.lower().replace("_", " ") or first[:200]
    return UserError(f"{address}: no answer after {MAX_TRIES} tries: {why}", "check AWS_ENDPOINT_URL and the network; the same command goes on where it stopped", 3)


class Reader(io.RawIOBase):
    """A seekable file of a store, held one block at a time."""

    def __init__(self, address: str) -> None:
        super().__init__()
        self.address = address
        client, path = file_system(address)
        with asking(address):
            self._stream = client.open_input_file(path)
            self._size = int(self._stream.size())
        self._at = self._start = 0
        self._held: Any = b""

    def readable(self) -> bool:
        """True."""
        return True

    def seekable(self) -> bool:
        """True."""
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Move to an offset; no request."""
        self._at = offset + (0, self._at, self._size)[whence]
        return self._at

    def tell(self) -> int:
        """Where the next byte is read."""
        return self._at

    def size(self) -> int:
        """Bytes of the file."""
        return self._size

    def read(self, size: int = -1) -> bytes:
        """Up to `size` bytes, fewer only at the file's end."""
        stop = self._size if size is None or size < 0 else min(self._at + size, self._size)
        parts = []
        while self._at < stop:
            if not self._start <= self._at < self._start + len(self._held):
                self._load(stop - self._at)
            part = self._held[self._at - self._start : stop - self._start]
            parts.append(part)
            self._at += len(part)
        return b"".join(parts)

    def readinto(self, target: Any) -> int:
        """Fill a buffer."""
        view = memoryview(target).cast("B")
        found = self.read(len(view))
        view[: len(found)] = found
        return len(found)

    def _load(self, wanted: int) -> None:
        """The whole of a small file, else a block from here on."""
        start = 0 if self._size <= BLOCK else self._at
        with asking(self.address):
            self._held = memoryview(self._stream.read_at(min(max(wanted, BLOCK), self._size - start), start))
        self._start = start
        if not len(self._held):
            raise UserError(f"{self.address}: became shorter while it was read", "leave inputs alone while a build runs", 3)

    def etag(self) -> str:
        """What the store says of the content's identity; "" where it says nothing."""
        found = self._stream.metadata() or {}
        return next((value.decode().strip('"') for name, value in found.items() if name.lower() == b"etag"), "")

    def close(self) -> None:
        """Let go of the block."""
        if not self.closed:
            self._held = b""
            self._stream.close()
        super().close()


def put(address: str, content: IO[bytes]) -> None:
    """Write all of a local file under an address: it is there as a whole or not at all.

    The client publishes what it has when its stream is closed, even by the garbage collector, and cannot be told to give
    up. So the bytes are handed over by one call: after it they are all there, or a part of them failed and the client does
    not publish. It is done in a thread, where no Ctrl-C comes between.
    """
    content.flush()
    failed: list[BaseException] = []

    def hand_over() -> None:
        try:
            _put(address, content.fileno())
        except BaseException as error:  # raised again below
            failed.append(error)

    thread = threading.Thread(target=hand_over)
    thread.start()
    thread.join()
    if failed:
        raise failed[0]


def _put(address: str, descriptor: int) -> None:
    length = os.fstat(descriptor).st_size
    # Not closed here: the client may still hold it; it goes with the last who does.
    buffer = pa.py_buffer(mmap.mmap(descriptor, length, access=mmap.ACCESS_READ) if length else b"")
    client, path = file_system(address)
    with asking(address):
        stream = client.open_output_stream(path, compression=None)  # by default it would go by the name's ending
        try:
            stream.write(buffer)
        finally:
            stream.close()


def side_by_side(function: Callable[[T], R], items: list[T]) -> list[R]:
    """`function` of each item, in order, many requests at a time."""
    with ThreadPoolExecutor(min(THREADS, max(len(items), 1))) as pool:
        return list(pool.map(function, items))
