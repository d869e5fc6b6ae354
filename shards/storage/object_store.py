"""Object stores behind `files`, over `pyarrow.fs`: one client per store, whole blocks, one put, and
errors in words.

A request that met a 5xx answer, a throttle, a reset or silence is sent again, up to `MAX_TRIES`
times with a back-off that doubles (25 ms, 50 ms, ...: a quarter of a minute in all). After that the
store counts as down, and further requests fail at once for `DOWN_S`, so that a build ends with one
line within two minutes and not after every request's tries.

Cost: opening a file is one request (its size), and reading it forward one per `BLOCK` bytes; a file
that fits into a block is read by one request, whatever the reader asks for. Writing is one request
up to 5 MB, else one per 10 MB and two more. Credentials, region and endpoint come from the usual
variables: AWS_ACCESS_KEY_ID, AWS_PROFILE, AWS_REGION, AWS_ENDPOINT_URL.
"""

import errno
import functools
import io
import mmap
import os
import re
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import IO, TYPE_CHECKING, Any, TypeVar
from urllib.parse import urlsplit

import pyarrow as pa
from pyarrow import fs as pafs

from shards.errors import UserError

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

T = TypeVar("T")

R = TypeVar("R")

MAX_TRIES = 10

CONNECT_TIMEOUT_S = 3.0

REQUEST_TIMEOUT_S = 8.0
"""Silence, not the whole transfer; after sending something curl needs 5 s more to notice it."""

DOWN_S = 60.0
"""How long a store that answered none of the tries is not asked again."""

BLOCK = 32 << 20
"""Bytes read by one request and held by a reader."""

ANONYMOUS = "anonymous@"
"""s3://anonymous@BUCKET/KEY is asked without a signature, as public buckets allow, whatever
credentials there are."""

SMALL = 5 << 20
"""Bytes up to which a file is uploaded by one request. A larger one must not be: when its first
part fails, such a client publishes an empty object as it is closed."""

THREADS = 32
"""Requests under way where many small files are read."""

_SETTINGS = (
    "AWS_ENDPOINT_URL_S3",
    "AWS_ENDPOINT_URL",
    "AWS_REGION",
    "AWS_DEFAULT_REGION",
    "AWS_ACCESS_KEY_ID",
    "AWS_PROFILE",
)

_CREDENTIALS = "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE"

_RIGHTS = (
    "reading needs s3:GetObject and s3:ListBucket, a home s3:PutObject and s3:DeleteObject too"
)

# AccessDenied is not among these: with good credentials it is a missing right.
_BAD_CREDENTIALS = (
    "InvalidAccessKeyId",
    "SignatureDoesNotMatch",
    "InvalidSignature",
    "InvalidToken",
    "ExpiredToken",
    "InvalidClientTokenId",
)

_down: dict[str, tuple[float, UserError]] = {}
"""When a store was found to be down and the error to raise, by the root of its addresses."""


def file_system(address: str, at_once: bool = False) -> tuple[pafs.FileSystem, str]:
    """The client of an address's store, and the path of the address in it, as it stands.

    `at_once`: a client that sends everything when its stream is closed, by one request; only for
    `SMALL` files. Raises `UserError` for an unknown scheme and an address without a bucket.
    """
    scheme, _, path = address.partition("://")
    authority, _, rest = path.partition("/")
    if not authority:
        raise UserError(f"{address}: names no bucket", f"write {scheme}://BUCKET/FOLDER")

    settings = tuple(os.environ.get(name, "") for name in _SETTINGS)
    client = _client(scheme, authority, settings, at_once)
    # The client of HDFS is bound to its authority and takes paths from the root; those of stores
    # take the bucket as the first part of the path.
    if scheme == "hdfs":
        return client, "/" + rest
    if scheme == "s3":
        return client, path.removeprefix(ANONYMOUS)
    return client, path


@functools.lru_cache(maxsize=64)
def _client(
    scheme: str, authority: str, settings: tuple[str, ...], at_once: bool
) -> pafs.FileSystem:
    """A new client, cached: each has its own connections and looks for credentials as it is made.

    `settings` are the values of `_SETTINGS`, so that a changed environment gets another client.
    """
    address = f"{scheme}://{authority}"
    try:
        if scheme == "s3":
            return _s3(authority, dict(zip(_SETTINGS, settings)), at_once)
        return pafs.FileSystem.from_uri(address + "/")[0]
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        raise UserError(
            f"{address}: cannot open this address: {error}", "use a path, s3://, gs:// or hdfs://"
        ) from None
    except OSError as error:
        raise _in_words(address, error) from None


def _s3(authority: str, settings: dict[str, str], at_once: bool) -> pafs.S3FileSystem:
    """`authority`: the bucket, after `anonymous@` when requests are not to be signed."""
    bucket = authority.removeprefix(ANONYMOUS)
    endpoint = urlsplit(settings["AWS_ENDPOINT_URL_S3"] or settings["AWS_ENDPOINT_URL"])
    region = settings["AWS_REGION"] or settings["AWS_DEFAULT_REGION"]
    # An endpoint of one's own has no region to look up, but the client asks for one.
    if not region:
        region = "us-east-1" if endpoint.netloc else pafs.resolve_s3_region(bucket)

    options: dict[str, Any] = {
        "region": region,
        "retry_strategy": pafs.AwsDefaultS3RetryStrategy(max_attempts=MAX_TRIES - 1),
        "connect_timeout": CONNECT_TIMEOUT_S,
        "request_timeout": REQUEST_TIMEOUT_S,
        "anonymous": authority.startswith(ANONYMOUS),
    }
    if endpoint.netloc:
        options |= {"endpoint_override": endpoint.netloc, "scheme": endpoint.scheme}

    try:
        return pafs.S3FileSystem(**options, allow_delayed_open=at_once)
    except TypeError:  # older pyarrow: a small file takes three requests
        return pafs.S3FileSystem(**options)


def ask(address: str, request: Callable[[], R]) -> R:
    """The result of `request()`; a refusal, or no answer at all, is an error in words.

    Raises FileNotFoundError and `UserError` (exit 3).
    """
    with _errors_in_words(address):
        for attempt in range(MAX_TRIES - 1):
            try:
                return request()
            except OSError as error:
                # The client does not repeat these two itself: a read whose refusal is longer than
                # the range it asked for, and 429.
                if not re.search(r"Failed to flush response stream|HTTP status 429", str(error)):
                    raise
                time.sleep(0.025 * 2**attempt)
        return request()


@contextmanager
def _errors_in_words(address: str) -> Iterator[None]:
    """Raise errors of the client as those of `_in_words`; at once for a store that is down."""
    root = "/".join(address.split("/", 3)[:3])
    since, error = _down.get(root, (0.0, None))
    if error is not None and time.monotonic() - since < DOWN_S:
        raise error

    try:
        yield
    except (OSError, pa.ArrowException) as error:
        explained = _in_words(address, error)
        unreachable = "curlCode" in str(error)  # no connection, so that any request would fail
        if unreachable and isinstance(explained, UserError):
            _down[root] = time.monotonic(), explained
        raise explained from None


def _in_words(address: str, error: Exception) -> Exception:
    """An error of the client in words.

    A missing file stays a FileNotFoundError; everything else ends a build. A store may give
    tomorrow what it refuses now, so a refused file must not be counted as a damaged one.
    """
    text = str(error)
    bucket = "/".join(address.split("/", 3)[:3])
    status = re.search(r"HTTP status (\d+)", text)
    number = int(status[1]) if status else 0
    name = _error_name(text)

    if name == "NoSuchBucket" or re.search(r"Bucket '.*' not found", text):
        return no_bucket(bucket)
    if name in _BAD_CREDENTIALS:
        return UserError(
            f"{bucket}: the store does not take these credentials: {name}", _CREDENTIALS, 3
        )
    if (
        isinstance(error, FileNotFoundError)
        or name in ("NoSuchKey", "ResourceNotFound")
        or (number == 404 and not name)
    ):
        return FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), address)
    if isinstance(error, (IsADirectoryError, NotADirectoryError)):
        return error

    if name == "AccessDenied" or number in (401, 403):
        return UserError(
            f"{address}: the store refuses: no rights there, or wrong credentials",
            f"{_CREDENTIALS}; {_RIGHTS}",
            3,
        )
    if 300 <= number < 500 and number not in (408, 429):
        what = f"{number} {name}".strip()
        return UserError(
            f"{address}: the store refuses: {what}",
            f"check the region (AWS_REGION) and the age of the credentials; {_CREDENTIALS}",
            3,
        )

    return UserError(
        f"{address}: no answer in {MAX_TRIES} tries: {_reason(text, number, name)}",
        "check AWS_ENDPOINT_URL and the network; run the same command again to resume",
        3,
    )


def _error_name(text: str) -> str:
    """The store's name of an error, such as NoSuchKey; "" when it gave none.

    Arrow quotes the name that the answer gave, or the SDK's own, in capitals: NO_SUCH_KEY.
    """
    quoted = re.search(r"ExceptionName: (\w+)", text)
    if quoted:
        return quoted[1]

    code = re.search(r"AWS Error ([A-Z_]+)", text)
    if code is None or code[1] == "UNKNOWN":
        return ""
    return "".join(word.capitalize() for word in code[1].split("_"))


def _reason(text: str, number: int, name: str) -> str:
    """Why there was no answer: curl's words for a connection, else the status and the name."""
    first = " ".join(text.split("\n")[0].split())
    if "curlCode" in first:
        return re.sub(r"^.*?curlCode: \d+, ", "", first).split("; Details")[0]
    return f"{number or ''} {name}".strip() or first[:200]


def no_bucket(bucket: str) -> UserError:
    """The error for a missing bucket."""
    return UserError(
        f"{bucket}: no such bucket",
        "make it, or name another; AWS_ENDPOINT_URL and AWS_REGION choose the store",
        3,
    )


class Reader(io.RawIOBase):
    """A seekable file of a store, held one block at a time."""

    def __init__(self, address: str) -> None:
        super().__init__()
        self.address = address
        client, path = file_system(address)
        self._stream = ask(address, lambda: client.open_input_file(path))
        self._size = int(self._stream.size())
        self._at = 0
        self._start = 0
        self._block = memoryview(b"")  # the bytes of the file from `_start` on

    def readable(self) -> bool:
        """True."""
        return True

    def seekable(self) -> bool:
        """True."""
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Move to an offset; the store is asked when bytes are read."""
        self._at = offset + (0, self._at, self._size)[whence]
        return self._at

    def tell(self) -> int:
        """The position of the next byte."""
        return self._at

    def size(self) -> int:
        """Bytes of the file."""
        return self._size

    def read(self, size: int = -1) -> bytes:
        """Up to `size` bytes, fewer only at the file's end."""
        stop = self._size if size is None or size < 0 else min(self._at + size, self._size)
        parts = []
        while self._at < stop:
            if not self._start <= self._at < self._start + len(self._block):
                self._load(stop - self._at)
            part = self._block[self._at - self._start : stop - self._start]
            parts.append(part)
            self._at += len(part)
        return b"".join(parts)

    def readinto(self, target: "WriteableBuffer") -> int:
        """Fill a buffer."""
        view = memoryview(target).cast("B")
        content = self.read(len(view))
        view[: len(content)] = content
        return len(content)

    def _load(self, wanted: int) -> None:
        """Load the whole of a small file, else a block from the position on."""
        start = 0 if self._size <= BLOCK else self._at
        count = min(max(wanted, BLOCK), self._size - start)
        content = ask(self.address, lambda: self._stream.read_at(count, start))
        self._block = memoryview(content)
        self._start = start
        if not len(self._block):
            what = f"{self.address}: became shorter while it was read"
            raise UserError(what, "leave inputs alone while a build runs", 3)

    def etag(self) -> str:
        """The store's identity of the content; "" when it gives none."""
        metadata: dict[str, bytes] = self._stream.metadata() or {}
        for name, value in metadata.items():
            if name.lower() == "etag":
                return value.decode().strip('"')
        return ""

    def close(self) -> None:
        """Free the block and close the stream."""
        if not self.closed:
            self._block = memoryview(b"")
            self._stream.close()
        super().close()


class Ranges:
    """A file of a store of which a few ranges are read, each by a request of just its bytes.

    The file's last `TAIL` bytes, which hold its tables, are read by one request and kept.
    """

    TAIL = 1 << 14

    def __init__(self, address: str) -> None:
        self.address = address
        client, path = file_system(address)
        self._stream = ask(address, lambda: client.open_input_file(path))
        self._size = int(self._stream.size())
        self._tail = b""

    def size(self) -> int:
        """Bytes of the file."""
        return self._size

    def read_at(self, count: int, offset: int) -> bytes:
        """`count` bytes from `offset` on, fewer only at the file's end; none take no request."""
        begin = max(self._size - self.TAIL, 0)
        if offset < begin and count:
            return self._read(count, offset)
        if not self._tail and count:
            self._tail = self._read(self._size - begin, begin)
        return self._tail[offset - begin : offset - begin + count]

    def _read(self, count: int, offset: int) -> bytes:
        return bytes(ask(self.address, lambda: self._stream.read_at(count, offset)))

    def __enter__(self) -> "Ranges":
        return self

    def __exit__(self, *_: object) -> None:
        self._stream.close()


def put(address: str, content: IO[bytes]) -> None:
    """Write all of a local file under an address: it appears there whole or not at all.

    The client publishes what it has when its stream is closed, even by the garbage collector, and
    cannot be told to give up. So the bytes are handed over by one call: after it they are all
    there, or a part of them failed and the client does not publish. The call runs in a thread,
    which Ctrl-C does not interrupt.
    """
    content.flush()
    length = os.fstat(content.fileno()).st_size
    # The map is not closed here, since the client may still use it: it ends with its last user.
    mapped = mmap.mmap(content.fileno(), length, access=mmap.ACCESS_READ) if length else b""
    buffer = pa.py_buffer(mapped)
    # The pool is not waited for: after Ctrl-C the put ends in its thread, whole or not at all.
    pool = ThreadPoolExecutor(1)
    try:
        pool.submit(ask, address, lambda: _put(address, buffer, length)).result()
    finally:
        pool.shutdown(wait=False)


def _put(address: str, buffer: pa.Buffer, length: int) -> None:
    client, path = file_system(address, at_once=length <= SMALL)
    # By default Arrow compresses by the ending of the name.
    stream = client.open_output_stream(path, compression=None)
    try:
        stream.write(buffer)
    finally:
        stream.close()


def side_by_side(function: Callable[[T], R], items: list[T]) -> list[R]:
    """`function` of each item, in order, many requests at a time."""
    with ThreadPoolExecutor(min(THREADS, max(len(items), 1))) as pool:
        return list(pool.map(function, items))
