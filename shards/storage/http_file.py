"""A file over HTTP as a seekable stream, and what the file layer asks of one: its size, its
identity.

`open_input` reads ahead in windows that double from 1 to 16 MB while the reading goes forward: few
requests for a reader of whole archives, small ones for Parquet. Between windows no connection is
held open, so that a slow reader is not cut off. A server without ranges is read as a stream; a step
back there begins again at the start.
"""

import dataclasses
import hashlib
import io
import json
import time
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import urlsplit

from shards.errors import UserError
from shards.storage import http
from shards.storage.http import Again, Answer, Patience, Remote, Tries, WebError, ask

FIRST_WINDOW = 1 << 20

LAST_WINDOW = 1 << 24
"""Bytes: the most that a reader holds of a file."""

_BUFFER = 1 << 18

_seen: dict[str, Remote] = {}
"""What servers said last: the plan of a build asks for sizes first, then for identities."""


def open_input(
    address: str, patience: Patience | None = None, wait: Callable[[float], Any] = time.sleep
) -> Any:
    """A seekable stream over a file. Raises FileNotFoundError, PermissionError, `WebError`,
    `Unreachable`."""
    return io.BufferedReader(WebFile(address, patience or http.PATIENCE, wait), _BUFFER)


class WebFile(io.RawIOBase):
    """The file at an address, by windows of bytes; a break inside a window costs what is missing of
    it."""

    def __init__(
        self, address: str, patience: Patience, wait: Callable[[float], Any] = time.sleep
    ) -> None:
        super().__init__()
        self.address, self._patience, self._wait = address, patience, wait
        self._at = 0
        self._start, self._held = 0, bytearray()
        self._window = FIRST_WINDOW
        self._remote: Remote | None = None
        self._whole = False
        self._live: Answer | None = None
        self._live_pieces: Iterator[bytes] = iter(())
        self._live_at = 0
        self._load()

    def readable(self) -> bool:
        """Yes."""
        return True

    def seekable(self) -> bool:
        """Forward always; back too, at the price of a new start where the server gives no
        ranges."""
        return True

    def tell(self) -> int:
        """The position."""
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Nothing is asked for until bytes are read."""
        if whence == io.SEEK_END:
            if self._remote is None or self._remote.size is None:
                raise io.UnsupportedOperation(
                    f"{self.address}: the server does not say how long the file is"
                )
            offset += self._remote.size
        elif whence == io.SEEK_CUR:
            offset += self._at
        self._at = max(offset, 0)
        return self._at

    def readinto(self, buffer: Any) -> int:
        """Bytes of the window at hand, after one request where there are none."""
        view = memoryview(buffer)
        if not self._start <= self._at < self._start + len(self._held):
            if (
                self._remote is not None
                and self._remote.size is not None
                and self._at >= self._remote.size
            ):
                return 0
            self._load()
        begin = self._at - self._start
        count = max(min(len(view), len(self._held) - begin), 0)
        view[:count] = self._held[begin : begin + count]
        self._at += count
        return count

    def close(self) -> None:
        """End what is open."""
        self._drop()
        self._held = bytearray()
        super().close()

    def _load(self) -> None:
        """The window at the position; empty at the end of the file."""
        forward = self._at == self._start + len(self._held)
        self._window = (
            min(self._window * 2, LAST_WINDOW) if forward and self._held else FIRST_WINDOW
        )
        tries = Tries(self.address, self._patience, self._wait)
        found = bytearray()
        self._start, self._held = (
            self._at,
            found,
        )  # the old window goes first: one is in memory, not two
        while True:
            before = len(found)
            try:
                if self._whole:
                    self._stream(found)
                else:
                    self._range(found)
                break
            except Again as failure:
                if len(found) - before >= http.MIN_PROGRESS:
                    tries.progress()
                tries.again(failure)

    def _range(self, found: bytearray) -> None:
        """Extend `found` to the end of the window."""
        size = self._remote.size if self._remote is not None else None
        begin, stop = self._at + len(found), self._at + self._window
        stop = stop if size is None else min(stop, size)
        if size is not None and begin >= stop:
            return
        answer = ask(
            self.address,
            self._patience,
            begin,
            stop,
            self._remote.validator if self._remote else None,
        )
        try:
            self._same(answer.remote)
            if not answer.partial:
                self._whole, self._live = True, answer
                self._live_pieces, self._live_at = answer.pieces(), 0
                return self._stream(found)
            for piece in answer.pieces():
                found += piece[: stop - self._at - len(found)]
        finally:
            if self._live is not answer:
                answer.close()
        size = answer.remote.size
        stop = stop if size is None else min(stop, size)
        if size is not None and self._at + len(found) < stop:
            raise Again(f"ended at {self._at + len(found):,} of {stop:,} bytes")

    def _stream(self, found: bytearray) -> None:
        """The same of a server that gives whole files only: one body is kept open and read
        forward."""
        begin, stop = self._at + len(found), self._at + self._window
        if self._live is not None and self._live_at > begin:
            self._drop()
        if self._live is None:
            self._live = ask(self.address, self._patience)
            self._same(self._live.remote)
            self._live_pieces, self._live_at = self._live.pieces(), 0
        try:
            while self._live_at < stop:
                piece = next(self._live_pieces, b"")
                if not piece:
                    size = self._remote.size if self._remote is not None else None
                    if size is not None and self._live_at < size:
                        raise Again(f"ended at {self._live_at:,} of {size:,} bytes")
                    self._remote = dataclasses.replace(self._remote or Remote(), size=self._live_at)
                    return
                found += piece[max(begin - self._live_at, 0) :]
                self._live_at += len(piece)
        except Again:
            self._drop()
            raise

    def _drop(self) -> None:
        if self._live is not None:
            self._live.close()
            self._live = None

    def _same(self, remote: Remote) -> None:
        if self._remote is not None and self._remote.differs(remote):
            raise WebError(f"{self.address}: changed while it was read")
        if self._remote is None or self._remote.size is None:
            self._remote = remote
            _seen.setdefault(self.address, remote)


def stat(address: str) -> Remote:
    """What the server says of a file now. Raises `WebError`, `web.Unreachable`."""
    _seen[address] = http.stat(address)
    return _seen[address]


def identity(address: str) -> str | None:
    """blake2b-16, in hex, of size and strong ETag as last seen; None from a server that gives no
    ETag."""
    found = _seen.get(address) or stat(address)
    if not found.etag or found.etag.startswith("W/"):
        return None
    return hashlib.blake2b(
        json.dumps([found.size, found.etag]).encode(), digest_size=16
    ).hexdigest()


def glob(pattern: str) -> list[tuple[str, int]]:
    """The address and its size (0 where the server does not say). Raises `UserError` for wildcards,
    folders and what is not there."""
    try:
        path = urlsplit(pattern).path
    except ValueError as error:
        raise UserError(f"{pattern}: not an address: {error}", "check the address") from None
    if "*" in path or path.endswith("/") or not path:
        raise UserError(
            f"{pattern}: a server has no list of its files, so this names none",
            "name each file, or a list of them as input = '@LIST'; or corpus fetch, and a glob over its folder",
        )
    try:
        return [(pattern, stat(pattern).size or 0)]
    except WebError as error:
        raise UserError(str(error), "check the address") from None
