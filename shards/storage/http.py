"""Files over HTTP: asked for by ranges, patiently, and never mistaken for another.

A server may be slow or busy, a connection may break, and a file may change between two requests. A
failure that will pass (no answer, 429, 5xx, a body that breaks off or stalls) is `Again`: the
request is repeated after the waits of `Patience`, or after the server's Retry-After. One that will
not pass (404, 403, redirects in circles) is `WebError`, an OSError, so that a reader counts the
file as it counts a damaged one. When the tries are used up the error is `Unreachable`: the work
ends, and the same command resumes it.
"""

import dataclasses
import re
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from types import ModuleType
from typing import TYPE_CHECKING, TypeVar

from shards.errors import UserError

if TYPE_CHECKING:
    import requests

MIN_PROGRESS = 1 << 16
"""Bytes that an attempt must bring so that the count of failures starts anew."""

BUSY = frozenset({408, 425, 429, 500, 502, 503, 504, *range(520, 531)})
"""Statuses that will pass; those past 504 are Cloudflare's."""

_PIECE = 1 << 18

_MAX_REDIRECTS = 10

_T = TypeVar("_T")

_own = threading.local()


@dataclass(frozen=True, kw_only=True)
class Patience:
    """How long to wait for a server, and how often to ask it again."""

    connect_s: float = 20.0
    """For a connection."""
    read_s: float = 60.0
    """For the next byte."""
    slow_bytes_per_s: float = 1000.0
    """A body that stays slower than this for `read_s` is given up and asked for again."""
    attempts: int = 20
    """Tries in a row that bring nothing; with the waits below they last a quarter of an hour."""
    first_attempts: int = 5
    """The same before the server has ever answered: a wrong address is not waited for."""
    first_wait_s: float = 1.0
    """After the first failure; each further one doubles it."""
    max_wait_s: float = 60.0
    """Between two tries, unless the server names a longer time."""
    max_retry_after_s: float = 3600.0
    """A longer Retry-After ends the tries."""
    contact: str = ""
    """Who asks, in the User-Agent: an address of mail or a page."""


PATIENCE = Patience(attempts=10, max_retry_after_s=240.0)
"""For inputs that are read directly: four minutes, since a slice that stalls for five is ended."""


class WebError(OSError):
    """A server's final refusal of a file."""


class Again(Exception):
    """A failure that will pass: why, the seconds that the server asks to wait, and whether it
    answered at all."""

    def __init__(self, why: str, after_s: float | None = None, answered: bool = True) -> None:
        super().__init__(why)
        self.why = why
        self.after_s = after_s
        self.answered = answered


class Unreachable(UserError):
    """A server that failed in every try."""

    def __init__(self, address: str, why: str) -> None:
        remedy = "check the network; run the same command again to resume"
        super().__init__(f"{address}: {why}", remedy, 3)
        self.address = address
        self.why = why

    def __reduce__(self) -> tuple[type[UserError], tuple[object, ...]]:
        return Unreachable, (self.address, self.why)


@dataclass(frozen=True, kw_only=True)
class Remote:
    """What a server states about a file; None where it does not."""

    size: int | None = None
    etag: str | None = None
    modified: str | None = None

    @property
    def validator(self) -> str | None:
        """The value for If-Range: a strong ETag, else the date."""
        return self.etag if self.etag and not self.etag.startswith("W/") else self.modified

    def differs(self, other: "Remote") -> bool:
        """True when the two cannot be the same bytes.

        A value that one of them does not state is no difference, nor is the date beside an ETag.
        """
        pairs = (
            (self.etag, other.etag),
            (self.size, other.size),
            (self.modified if not self.etag else None, other.modified),
        )
        return any(mine != theirs for mine, theirs in pairs if None not in (mine, theirs))


class Answer:
    """An open body whose bytes begin at `start` of the file. `partial`: the server gives ranges."""

    def __init__(
        self,
        response: "requests.Response | _Nothing",
        start: int,
        partial: bool,
        remote: Remote,
        patience: Patience,
    ) -> None:
        self._response = response
        self.start = start
        self.partial = partial
        self.remote = remote
        self._patience = patience

    def pieces(self) -> Iterator[bytes]:
        """The bytes as they arrive.

        Raises `Again` when they break off or stall; a body that is too short just ends.
        """
        import urllib3

        raw = self._response.raw
        since = time.monotonic()
        bytes_since = 0
        # Not decoded: a .gz file must arrive as it is stored, whatever Content-Encoding says.
        try:
            while piece := raw.read1(_PIECE, decode_content=False):
                yield piece
                bytes_since += len(piece)
                span = time.monotonic() - since
                if span > self._patience.read_s:
                    if bytes_since < span * self._patience.slow_bytes_per_s:
                        raise Again(f"stalled: {bytes_since:,} bytes in {span:.0f} s")
                    since = time.monotonic()
                    bytes_since = 0
        except urllib3.exceptions.TimeoutError:
            raise Again(f"stalled: no byte for {self._patience.read_s:g} s") from None
        except (urllib3.exceptions.HTTPError, OSError) as error:
            if "IncompleteRead" not in repr(error):
                raise Again(f"broken off: {_cause(error)}") from None
            if self.remote.size is None:  # with a size, the caller counts the bytes
                raise Again("broken off") from None

    def close(self) -> None:
        """Return the connection to its pool, or close it when bytes are left."""
        self._response.close()


class Tries:
    """Counts the failures in a row at one address, and waits after each."""

    def __init__(
        self,
        address: str,
        patience: Patience,
        wait: Callable[[float], object],
        note: Callable[[str], object] | None = None,
    ) -> None:
        self._address = address
        self._patience = patience
        self._wait = wait
        self._note = note
        self._failures = 0
        self._answered = False

    def progress(self) -> None:
        """The last attempt brought bytes: count the failures anew."""
        self._failures = 0
        self._answered = True

    def again(self, failure: Again) -> None:
        """Wait for the next try. Raises `Unreachable` when there is none."""
        patience = self._patience
        self._failures += 1
        self._answered = self._answered or failure.answered
        most = patience.attempts
        if not self._answered:
            most = min(most, patience.first_attempts)
        if self._failures >= most:
            raise Unreachable(self._address, f"{failure.why} ({self._failures} tries)")

        seconds = min(patience.first_wait_s * 2.0 ** (self._failures - 1), patience.max_wait_s)
        if failure.after_s == 0:
            seconds = 0.0  # the server asks for it at once
        elif failure.after_s is not None:
            if failure.after_s > patience.max_retry_after_s:
                why = f"{failure.why}: it asks to wait for {failure.after_s:,.0f} s"
                raise Unreachable(self._address, why)
            seconds = max(failure.after_s, seconds)

        if self._note:
            self._note(f"{self._address}: {failure.why}; again in {seconds:.0f} s")
        self._wait(seconds)


def is_web(address: str) -> bool:
    """True for http:// and https://."""
    return address.startswith(("http://", "https://"))


def ask(
    address: str,
    patience: Patience,
    start: int = 0,
    stop: int | None = None,
    validator: str | None = None,
) -> Answer:
    """One request for the bytes [start, stop).

    With a `validator`, a file that has changed is answered whole, from 0, and so is any request by
    a server without ranges. Raises `Again` and `WebError`, whose kinds are a FileNotFoundError and
    a PermissionError.
    """
    headers = {"Range": f"bytes={start}-{'' if stop is None else stop - 1}"}
    if validator and start:
        headers["If-Range"] = validator

    response = _send("GET", address, headers, patience)
    try:
        remote = _remote(response)
        if response.status_code == 206:
            remote = dataclasses.replace(remote, size=_size_of_range(response, start))
            return Answer(response, start, True, remote, patience)
        if response.status_code == 416:
            remote = dataclasses.replace(remote, size=_size_before(response, address, start))
            response.raw.read(MIN_PROGRESS)  # the text of the refusal, so that it can be reused
            response.raw.close()
            return Answer(_Nothing(), start, True, remote, patience)

        # The whole file: it has changed since the validator, or the server gives no ranges.
        return Answer(response, 0, False, remote, patience)
    except BaseException:  # Ctrl-C too: close the connection, then raise again
        response.close()
        raise


def _content_range(response: "requests.Response") -> str:
    header: str = response.headers.get("Content-Range", "")
    return header.strip()


def _size_of_range(response: "requests.Response", start: int) -> int | None:
    """Bytes of the whole file by the header of a 206, whose range must begin at `start`."""
    match = re.fullmatch(r"bytes (\d+)-(\d+)/(\d+|\*)", _content_range(response))
    if not match or int(match[1]) != start:
        raise Again("the answer is another range than the one asked for")
    return None if match[3] == "*" else int(match[3])


def _size_before(response: "requests.Response", address: str, start: int) -> int:
    """Bytes of the whole file by the header of a 416, when it ends before `start`."""
    match = re.fullmatch(r"bytes \*/(\d+)", _content_range(response))
    if not match or int(match[1]) > start:
        raise WebError(f"{address}: HTTP 416, no bytes from {start:,} on")
    return int(match[1])


class _Nothing:
    """A body without bytes."""

    @property
    def raw(self) -> "_Nothing":
        """The body itself."""
        return self

    def read1(self, *_: object, **__: object) -> bytes:
        """No bytes: the end."""
        return b""

    def close(self) -> None:
        """Do nothing, since nothing is open."""


def _send(
    method: str, address: str, headers: dict[str, str], patience: Patience
) -> "requests.Response":
    """The answer of a server that gives the file, its body not yet read.

    Raises `Again` and `WebError`.
    """
    requests = _requests()
    try:
        response = _session(patience).request(
            method,
            address,
            headers=headers,
            stream=True,
            timeout=(patience.connect_s, patience.read_s),
        )
    except requests.TooManyRedirects:
        what = f"{address}: redirects in circles, or more than {_MAX_REDIRECTS} of them"
        raise WebError(what) from None
    except (
        requests.exceptions.InvalidURL,
        requests.exceptions.MissingSchema,
        requests.exceptions.InvalidSchema,
    ) as error:
        what = f"{address}: not an address that can be asked: {_first_line(error)}"
        raise WebError(what) from None
    except requests.exceptions.SSLError as error:
        if "CERTIFICATE_VERIFY_FAILED" in str(error):
            raise WebError(f"{address}: the server's certificate is not valid here") from None
        raise Again(_cause(error), answered=False) from None
    except requests.Timeout:
        raise Again(f"no answer for {patience.read_s:g} s", answered=False) from None
    except (requests.RequestException, OSError) as error:
        raise Again(_cause(error), answered=False) from None

    status = response.status_code
    if status in (200, 203, 206) or (status == 416 and method == "GET"):
        return response
    response.close()
    raise _refusal(response, address)


def _refusal(response: "requests.Response", address: str) -> Again | WebError:
    """The error of an answer that does not give the file."""
    status = response.status_code
    words = f"HTTP {status} {response.reason or ''}".rstrip()
    if status in BUSY:
        return Again(words, _retry_after(response.headers.get("Retry-After")))
    if status in (404, 410):
        return WebFileNotFound(f"{address}: {words}")
    if status in (401, 403, 407, 451):
        return WebForbidden(f"{address}: {words}")
    return WebError(f"{address}: {words}")


class WebFileNotFound(WebError, FileNotFoundError):
    """404 and 410."""


class WebForbidden(WebError, PermissionError):
    """401, 403, 407, 451."""


def _requests() -> ModuleType:
    try:
        import requests
    except ImportError:
        raise UserError(
            "reading over HTTP needs the package requests",
            "pip install '.[pipelines]' in the checkout",
            3,
        ) from None
    return requests


def _session(patience: Patience) -> "requests.Session":
    """The session of this thread: one of `requests` must not be shared between threads. Proxies and
    certificates come from the environment."""
    if not hasattr(_own, "session"):
        _own.session = _requests().Session()
        _own.session.max_redirects = _MAX_REDIRECTS

    # identity: the ranges of a body that the server compressed would not be those of the file.
    session: requests.Session = _own.session
    session.headers.update(
        {"User-Agent": user_agent(patience.contact), "Accept-Encoding": "identity", "Accept": "*/*"}
    )
    return session


def user_agent(contact: str = "") -> str:
    """The User-Agent. Wikimedia refuses the names of libraries, and asks for a way to reach whoever
    runs the program (its User-Agent policy)."""
    from shards.version import __version__

    purpose = "corpus fetch; text for training language models"
    return f"corpusmill/{__version__} ({contact or purpose})"


def _retry_after(text: str | None) -> float | None:
    """Seconds of a Retry-After header, which may be a date; None when there is none to read."""
    import urllib3

    if text is None:
        return None
    try:
        return float(urllib3.util.Retry().parse_retry_after(text))
    except urllib3.exceptions.HTTPError:
        return None


def _remote(response: "requests.Response") -> Remote:
    # The Content-Length of a chunked body, where a proxy left one, is not the file's.
    length = response.headers.get("Content-Length", "")
    coded = response.headers.get("Transfer-Encoding", "").lower() == "chunked"
    return Remote(
        size=int(length) if length.isdigit() and not coded else None,
        etag=response.headers.get("ETag"),
        modified=response.headers.get("Last-Modified"),
    )


def _first_line(error: BaseException) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:200]


def _cause(error: BaseException) -> str:
    """The operating system's words at the bottom of a pile of wrapped exceptions."""
    inner: BaseException | None = error
    while inner is not None:
        error = inner
        wrapped = [value for value in error.args if isinstance(value, BaseException)]
        inner = error.__cause__ or error.__context__ or next(iter(wrapped), None)
    return getattr(error, "strerror", None) or _first_line(error)


def retried(
    address: str,
    attempt: Callable[[], _T],
    patience: Patience,
    wait: Callable[[float], object],
    note: Callable[[str], object] | None = None,
) -> _T:
    """The value of `attempt`, repeated while it raises `Again`. Raises `Unreachable`."""
    tries = Tries(address, patience, wait, note)
    while True:
        try:
            return attempt()
        except Again as failure:
            tries.again(failure)


def stat(
    address: str,
    patience: Patience | None = None,
    wait: Callable[[float], object] = time.sleep,
    note: Callable[[str], object] | None = None,
) -> Remote:
    """Size and ETag of a file, by HEAD, or by a range of one byte when the server refuses HEAD.

    Raises `WebError` and `Unreachable`.
    """
    patience = patience or PATIENCE

    def attempt() -> Remote:
        try:
            with closing(_send("HEAD", address, {}, patience)) as response:
                found = _remote(response)
            if found.size is not None:
                return found
        except WebFileNotFound:
            raise
        except WebError:
            pass  # an address that is signed for GET forbids HEAD
        with closing(ask(address, patience, 0, 1)) as answer:
            return answer.remote

    return retried(address, attempt, patience, wait, note)


def read_bytes(
    address: str,
    limit: int,
    patience: Patience | None = None,
    wait: Callable[[float], object] = time.sleep,
    note: Callable[[str], object] | None = None,
) -> bytes:
    """A small file whole, in one request. Raises `WebError`, also past `limit` bytes, and
    `Unreachable`."""
    patience = patience or PATIENCE

    def attempt() -> bytes:
        with closing(ask(address, patience)) as answer:
            content = bytearray()
            for piece in answer.pieces():
                content += piece
                if len(content) > limit:
                    raise WebError(f"{address}: more than {limit:,} bytes")
        if answer.remote.size not in (None, len(content)):
            raise Again(f"ended at {len(content):,} of {answer.remote.size:,} bytes")
        return bytes(content)

    return retried(address, attempt, patience, wait, note)
