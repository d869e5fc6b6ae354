"""Object stores behind `files`, over `pyarrow.fs`: one client a store, whole blocks, one put, and
errors in words.

What is sent again: every request that met a 5xx answer, a throttle, a reset or silence, up to
`MAX_TRIES` times with a back-off that doubles (25 ms, 50 ms, ...: a quarter of a minute in all).
After that the store counts as down and whoever asks is told so at once for `DOWN_S`, so that a
build ends with one line within two minutes and not after every request's tries.

Cost: opening a file is one request (its size) and reading it one for each `BLOCK` bytes, forward; a
file that fits into a block is read by one request whatever is asked of it. Writing is one request
up to 5 MB, else one for each 10 MB and two. Credentials, region and endpoint come from where every
tool takes them: AWS_ACCESS_KEY_ID, AWS_PROFILE, AWS_REGION, AWS_ENDPOINT_URL.
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
from typing import IO, Any, TypeVar
from urllib.parse import urlsplit

import pyarrow as pa
from pyarrow import fs as pafs

from shards.errors import UserError

T = TypeVar("T")

R = TypeVar("R")

MAX_TRIES = 10

CONNECT_TIMEOUT_S = 3.0

REQUEST_TIMEOUT_S = 8.0
"""Of silence, not of the whole transfer; after sending something curl needs 5 s more to notice."""

DOWN_S = 60.0

BLOCK = 32 << 20
"""Bytes read by one request and held by a reader."""

ANONYMOUS = "anonymous@"
"""s3://anonymous@BUCKET/KEY is asked without a signature, as public buckets allow, whatever
credentials there are."""

SMALL = 5 << 20
"""Bytes up to which a file goes up by one request. A larger one must not: where its first part
fails, such a client would show an empty object when it is closed."""

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

_CREDENTIALS = "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE, say who asks"

_RIGHTS = (
    "reading needs s3:GetObject and s3:ListBucket, a home s3:PutObject and s3:DeleteObject too"
)

_BAD_CREDENTIALS = (
    "InvalidAccessKeyId",
    "SignatureDoesNotMatch",
    "InvalidSignature",
    "InvalidToken",
    "ExpiredToken",
    "InvalidClientTokenId",
)

_down: dict[str, tuple[float, UserError]] = {}


def file_system(address: str, at_once: bool = False) -> tuple[pafs.FileSystem, str]:
    """The client of an address's store, and the path that the client knows it by: the rest of the
    address as it stands. Raises `UserError` for a scheme nobody knows and an address without a
    bucket.

    `at_once`: a client that sends what it is given when its stream is closed, by one request; only
    for `SMALL` files.
    """
    root, _, path = address.partition("://")
    authority, _, rest = path.partition("/")
    if not authority:
        raise UserError(f"{address}: names no bucket", f"write {root}://BUCKET/FOLDER")
    client = _client(
        root, authority, tuple(os.environ.get(name, "") for name in _SETTINGS), at_once
    )
    return client, "/" + rest if root == "hdfs" else path.removeprefix(
        ANONYMOUS
    ) if root == "s3" else path


@functools.lru_cache(maxsize=64)
def _client(
    scheme: str, authority: str, settings: tuple[str, ...], at_once: bool
) -> pafs.FileSystem:
    """Kept, since each has its own connections and looks for credentials when it is made."""
    address = f"{scheme}://{authority}"
    try:
        return (
            _s3(authority, dict(zip(_SETTINGS, settings)), at_once)
            if scheme == "s3"
            else pafs.FileSystem.from_uri(address + "/")[0]
        )
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        raise UserError(
            f"{address}: cannot open this address: {error}", "use a path, s3://, gs:// or hdfs://"
        ) from None
    except OSError as error:
        raise _explained(address, error) from None


def _s3(user: str, settings: dict[str, str], at_once: bool) -> pafs.S3FileSystem:
    """`user`: the bucket, behind `anonymous@` where nothing is to be signed."""
    bucket = user.removeprefix(ANONYMOUS)
    endpoint = urlsplit(settings["AWS_ENDPOINT_URL_S3"] or settings["AWS_ENDPOINT_URL"])
    region = settings["AWS_REGION"] or settings["AWS_DEFAULT_REGION"]
    chosen: dict[str, Any] = {
        "region": region or ("us-east-1" if endpoint.netloc else pafs.resolve_s3_region(bucket)),
        "retry_strategy": pafs.AwsDefaultS3RetryStrategy(max_attempts=MAX_TRIES - 1),
        "connect_timeout": CONNECT_TIMEOUT_S,
        "request_timeout": REQUEST_TIMEOUT_S,
        "anonymous": user.startswith(ANONYMOUS),
    }
    if endpoint.netloc:
        chosen |= {"endpoint_override": endpoint.netloc, "scheme": endpoint.scheme}
    try:
        return pafs.S3FileSystem(**chosen, allow_delayed_open=at_once)
    except TypeError:  # older pyarrow: a small file takes three requests
        return pafs.S3FileSystem(**chosen)


def ask(address: str, request: Callable[[], R]) -> R:
    """What `request()` gives; a refusal, or no answer at all, is an error in words. Raises
    FileNotFoundError, `UserError` (exit 3)."""
    with _in_words(address):
        for attempt in range(MAX_TRIES - 1):
            try:
                return request()
            # two that the client does not ask again about: a read whose refusal is longer than what
            # it asked for, and 429
            except OSError as error:
                if not re.search(r"Failed to flush response stream|HTTP status 429", str(error)):
                    raise
                time.sleep(0.025 * 2**attempt)
        return request()


@contextmanager
def _in_words(address: str) -> Iterator[None]:
    root = "/".join(address.split("/", 3)[:3])
    since, error = _down.get(root, (0.0, None))
    if error is not None and time.monotonic() - since < DOWN_S:
        raise error
    try:
        yield
    except (OSError, pa.ArrowException) as error:
        told = _explained(address, error)
        if isinstance(told, UserError) and "curlCode" in str(
            error
        ):  # nobody there, for whatever is asked
            _down[root] = time.monotonic(), told
        raise told from None


def _explained(address: str, error: Exception) -> Exception:
    """An error of the client in words. A missing file stays a FileNotFoundError; all else ends a
    build: what a store refuses now it may give tomorrow, so that it must not be taken for a damaged
    file."""
    text = str(error)
    bucket = "/".join(address.split("/", 3)[:3])
    code, status = re.search(r"AWS Error ([A-Z_]+)", text), re.search(r"HTTP status (\d+)", text)
    said = re.search(r"ExceptionName: (\w+)", text)
    name = (
        said[1]
        if said
        else "".join(word.capitalize() for word in code[1].split("_"))
        if code and code[1] != "UNKNOWN"
        else ""
    )
    number = int(status[1]) if status else 0
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
            f"the region (AWS_REGION) may be another's, the credentials too old; {_CREDENTIALS}",
            3,
        )
    first = " ".join(text.split("\n")[0].split())
    if "curlCode" in first:
        why = re.sub(r"^.*?curlCode: \d+, ", "", first).split("; Details")[0]
    else:
        why = f"{number or ''} {name}".strip() or first[:200]
    return UserError(
        f"{address}: no answer in {MAX_TRIES} tries: {why}",
        "check AWS_ENDPOINT_URL and the network; the same command goes on where it stopped",
        3,
    )


def no_bucket(bucket: str) -> UserError:
    """The error of a bucket that is not there."""
    return UserError(
        f"{bucket}: no such bucket",
        "make it, or name another; AWS_ENDPOINT_URL and AWS_REGION say which store is asked",
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
        count = min(max(wanted, BLOCK), self._size - start)
        self._held = memoryview(ask(self.address, lambda: self._stream.read_at(count, start)))
        self._start = start
        if not len(self._held):
            raise UserError(
                f"{self.address}: became shorter while it was read",
                "leave inputs alone while a build runs",
                3,
            )

    def etag(self) -> str:
        """What the store says of the content's identity; "" where it says nothing."""
        found = self._stream.metadata() or {}
        return next(
            (value.decode().strip('"') for name, value in found.items() if name.lower() == "etag"),
            "",
        )

    def close(self) -> None:
        """Let go of the block."""
        if not self.closed:
            self._held = b""
            self._stream.close()
        super().close()


class Ranges:
    """A file of a store of which a few ranges are read by `read_at`: each is a request of just its
    bytes, but for those in the file's last `TAIL`, where directories stand, which are read at
    once."""

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
        """`count` bytes from `offset` on, fewer only at the file's end; nothing is asked for
        none."""
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
    """Write all of a local file under an address: it is there as a whole or not at all.

    The client publishes what it has when its stream is closed, even by the garbage collector, and
    cannot be told to give up. So the bytes are handed over by one call: after it they are all
    there, or a part of them failed and the client does not publish. It is done in a thread, where
    no Ctrl-C comes between.
    """
    content.flush()
    length = os.fstat(content.fileno()).st_size
    # Not closed here: the client may still hold it; it goes with the last who does.
    buffer = pa.py_buffer(
        mmap.mmap(content.fileno(), length, access=mmap.ACCESS_READ) if length else b""
    )
    pool = ThreadPoolExecutor(1)
    try:
        pool.submit(ask, address, lambda: _put(address, buffer, length)).result()
    finally:
        pool.shutdown(wait=False)


def _put(address: str, buffer: pa.Buffer, length: int) -> None:
    client, path = file_system(address, at_once=length <= SMALL)
    stream = client.open_output_stream(
        path, compression=None
    )  # by default it would go by the name's ending
    try:
        stream.write(buffer)
    finally:
        stream.close()


def side_by_side(function: Callable[[T], R], items: list[T]) -> list[R]:
    """`function` of each item, in order, many requests at a time."""
    with ThreadPoolExecutor(min(THREADS, max(len(items), 1))) as pool:
        return list(pool.map(function, items))
