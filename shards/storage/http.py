"""Files over HTTP: asked for by ranges, patiently, and never mistaken for another.

A server may be slow, busy, broken off, or be changed between two requests. What will pass (no
answer, 429, 5xx, a body that breaks off or stalls) is `Again`: it is waited for as `Patience` says,
and as long as Retry-After says. What will not (404, 403, redirects in circles) is `WebError`, an
OSError, so that a reader counts the file as it counts a damaged one. Patience that has run out is
`Unreachable`: the work ends, and is taken up there by the same command.
"""

import re
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from shards.errors import UserError

if TYPE_CHECKING:
    import requests

MIN_PROGRESS = 1 << 16
"""Bytes that an attempt must bring to count as more than another failure."""

BUSY = frozenset({408, 425, 429, 500, 502, 503, 504, *range(520, 531)})
"""Answers that will pass; past 504 those of a well-known network of proxies."""

_PIECE = 1 << 18

_MAX_REDIRECTS = 10

_T = TypeVar("_T")

_own = threading.local()


@dataclass(frozen=True, kw_only=True)
class Patience:
    """How long a server is waited for."""

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
"""Of inputs that are read directly: four minutes, since a slice that does not move for five is
ended."""


class WebError(OSError):
    """The server's last word on a file."""


class Again(Exception):
    """Something that will pass: why, and the seconds that the server asks to wait."""

    def __init__(self, why: str, after_s: float | None = None, answered: bool = True) -> None:
        super().__init__(why)
        self.why, self.after_s, self.answered = why, after_s, answered


class Unreachable(UserError):
    """Patience has run out."""

    def __init__(self, address: str, why: str) -> None:
        super().__init__(
            f"{address}: {why}", "check the network; the same command goes on where it stopped", 3
        )
        self.address, self.why = address, why

    def __reduce__(self) -> tuple[Any, ...]:
        return (Unreachable, (self.address, self.why))


@dataclass(frozen=True, kw_only=True)
class Remote:
    """What a server says of a file; None where it does not say."""

    size: int | None = None
    etag: str | None = None
    modified: str | None = None

    @property
    def validator(self) -> str | None:
        """What If-Range may hold: a strong ETag, else the date."""
        return self.etag if self.etag and not self.etag.startswith("W/") else self.modified

    def differs(self, other: "Remote") -> bool:
        """True when the two cannot be the same bytes; what one of them does not say is no
        difference."""
        pairs = (
            (self.etag, other.etag),
            (self.size, other.size),
            (self.modified if not self.etag else None, other.modified),
        )
        return any(
            mine is not None and theirs is not None and mine != theirs for mine, theirs in pairs
        )


class Answer:
    """A body that is open: its bytes begin at `start` of the file. `partial`: the server gives
    ranges."""

    def __init__(
        self,
        response: "requests.Response | _Nothing",
        start: int,
        partial: bool,
        remote: Remote,
        patience: Patience,
    ) -> None:
        self._response, self.start, self.partial, self.remote, self._patience = (
            response,
            start,
            partial,
            remote,
            patience,
        )

    def pieces(self) -> Iterator[bytes]:
        """The bytes as they come. Raises `Again` when they break off or stall; a body that is too
        short just ends."""
        import urllib3

        raw = self._response.raw
        since, bytes_since = time.monotonic(), 0
        try:
            while piece := raw.read1(_PIECE, decode_content=False):
                yield piece
                bytes_since += len(piece)
                span = time.monotonic() - since
                if span > self._patience.read_s:
                    if bytes_since < span * self._patience.slow_bytes_per_s:
                        raise Again(f"stalled: {bytes_since:,} bytes in {span:.0f} s")
                    since, bytes_since = time.monotonic(), 0
        except urllib3.exceptions.TimeoutError:
            raise Again(f"stalled: no byte for {self._patience.read_s:g} s") from None
        except (urllib3.exceptions.HTTPError, OSError) as error:
            if "IncompleteRead" not in repr(error):
                raise Again(f"broken off: {_cause(error)}") from None
            if self.remote.size is None:  # with a size, whoever counts sees it
                raise Again("broken off") from None

    def close(self) -> None:
        """Give the connection back, or end it where bytes are left."""
        self._response.close()


class Tries:
    """Counts the failures in a row at one address, and waits after each."""

    def __init__(
        self,
        address: str,
        patience: Patience,
        wait: Callable[[float], Any],
        note: Callable[[str], Any] | None = None,
    ) -> None:
        self._address, self._patience, self._wait, self._note = address, patience, wait, note
        self._failures = 0
        self._answered = False

    def progress(self) -> None:
        """The last attempt brought something."""
        self._failures, self._answered = 0, True

    def again(self, failure: Again) -> None:
        """Wait for the next try. Raises `Unreachable` when there is none."""
        self._failures += 1
        self._answered = self._answered or failure.answered
        if self._failures >= (
            self._patience.attempts
            if self._answered
            else min(self._patience.attempts, self._patience.first_attempts)
        ):
            raise Unreachable(self._address, f"{failure.why} ({self._failures} tries)")
        seconds = min(
            self._patience.first_wait_s * 2.0 ** (self._failures - 1), self._patience.max_wait_s
        )
        if failure.after_s is not None:
            if failure.after_s > self._patience.max_retry_after_s:
                raise Unreachable(
                    self._address, f"{failure.why}: it asks to wait for {failure.after_s:,.0f} s"
                )
            seconds = max(failure.after_s, 0.0 if failure.after_s == 0 else seconds)
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
    """One request for the bytes [start, stop). Raises `Again`, `WebError` (FileNotFoundError,
    PermissionError are its kin).

    With a `validator` a changed file comes whole, from 0; so it does from a server without ranges.
    """
    headers = {"Range": f"bytes={start}-{'' if stop is None else stop - 1}"}
    if validator and start:
        headers["If-Range"] = validator
    response = _send("GET", address, headers, patience)
    try:
        remote = _remote(response)
        if response.status_code == 206:
            found = re.fullmatch(
                r"bytes (\d+)-(\d+)/(\d+|\*)", response.headers.get("Content-Range", "").strip()
            )
            if not found or int(found[1]) != start:
                raise Again("the answer is another range than the one asked for")
            size = None if found[3] == "*" else int(found[3])
            return Answer(
                response,
                start,
                True,
                Remote(size=size, etag=remote.etag, modified=remote.modified),
                patience,
            )
        if response.status_code == 416:
            found = re.fullmatch(
                r"bytes \*/(\d+)", response.headers.get("Content-Range", "").strip()
            )
            if not found or int(found[1]) > start:
                raise WebError(f"{address}: HTTP 416, no bytes from {start:,} on")
            response.raw.read(MIN_PROGRESS)  # its text is no part of the file
            response.raw.close()
            return Answer(
                _Nothing(),
                start,
                True,
                Remote(size=int(found[1]), etag=remote.etag, modified=remote.modified),
                patience,
            )
        return Answer(response, 0, False, remote, patience)
    except BaseException:  # Ctrl-C too: close the connection, then raise again
        response.close()
        raise


class _Nothing:
    """A body without bytes."""

    @property
    def raw(self) -> "_Nothing":
        """Itself."""
        return self

    def read1(self, *_: Any, **__: Any) -> bytes:
        """The end."""
        return b""

    def close(self) -> None:
        """Nothing is open."""


def _send(
    method: str, address: str, headers: dict[str, str], patience: Patience
) -> "requests.Response":
    """The answer of a server that gives the file, its body not yet read. Raises `Again`,
    `WebError`."""
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
        raise WebError(
            f"{address}: redirects in circles, or more than {_MAX_REDIRECTS} of them"
        ) from None
    except (
        requests.exceptions.InvalidURL,
        requests.exceptions.MissingSchema,
        requests.exceptions.InvalidSchema,
    ) as error:
        raise WebError(
            f"{address}: not an address that can be asked: {_first_line(error)}"
        ) from None
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
    said = f"HTTP {status} {response.reason or ''}".rstrip()
    if status in BUSY:
        raise Again(said, _retry_after(response.headers.get("Retry-After")))
    if status in (404, 410):
        raise WebFileNotFound(f"{address}: {said}")
    if status in (401, 403, 407, 451):
        raise WebForbidden(f"{address}: {said}")
    raise WebError(f"{address}: {said}")


class WebFileNotFound(WebError, FileNotFoundError):
    """404 and 410."""


class WebForbidden(WebError, PermissionError):
    """401, 403, 407, 451."""


def _requests() -> Any:
    try:
        import requests
    except ImportError:
        raise UserError(
            "reading over HTTP needs the package requests", "pip install 'corpusmill[pipelines]'", 3
        ) from None
    return requests


def _session(patience: Patience) -> "requests.Session":
    """One a thread: `requests` shares none of its own between threads. Proxies and certificates
    come from the environment."""
    if not hasattr(_own, "session"):
        _own.session = _requests().Session()
        _own.session.max_redirects = _MAX_REDIRECTS
    session: requests.Session = _own.session
    session.headers.update(
        {"User-Agent": user_agent(patience.contact), "Accept-Encoding": "identity", "Accept": "*/*"}
    )
    return session


def user_agent(contact: str = "") -> str:
    """Who we are; Wikimedia refuses the names of libraries, and asks for a way to reach who runs
    the program."""
    from shards import __version__

    return f"corpusmill/{__version__}" + (
        f" ({contact})" if contact else " (corpus fetch; text for training language models)"
    )


def _retry_after(text: str | None) -> float | None:
    import urllib3

    try:
        return None if text is None else float(urllib3.util.Retry().parse_retry_after(text))
    except urllib3.exceptions.HTTPError:
        return None


def _remote(response: "requests.Response") -> Remote:
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
    """The system's word at the bottom of a pile of wrapped exceptions."""
    seen: BaseException = error
    while isinstance(
        inner := seen.__cause__
        or seen.__context__
        or next((a for a in seen.args if isinstance(a, BaseException)), None),
        BaseException,
    ):
        seen = inner
    return getattr(seen, "strerror", None) or _first_line(seen)


def retried(
    address: str,
    attempt: Callable[[], _T],
    patience: Patience,
    wait: Callable[[float], Any],
    note: Callable[[str], Any] | None = None,
) -> _T:
    """What `attempt` returns once it raises no more `Again`."""
    tries = Tries(address, patience, wait, note)
    while True:
        try:
            return attempt()
        except Again as failure:
            tries.again(failure)


def stat(
    address: str,
    patience: Patience | None = None,
    wait: Callable[[float], Any] = time.sleep,
    note: Callable[[str], Any] | None = None,
) -> Remote:
    """Size and ETag of a file, by HEAD; by a range of one byte from a server that answers no
    HEAD."""
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
            pass  # addresses that are signed for GET forbid HEAD
        with closing(ask(address, patience, 0, 1)) as answer:
            return answer.remote

    return retried(address, attempt, patience, wait, note)


def read_bytes(
    address: str,
    limit: int,
    patience: Patience | None = None,
    wait: Callable[[float], Any] = time.sleep,
    note: Callable[[str], Any] | None = None,
) -> bytes:
    """A small file whole, in one request. Raises `WebError` past `limit` bytes."""
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
