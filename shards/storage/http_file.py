"""A file over HTTP as a seekable stream, with its size and identity.

`open_input` reads ahead in windows that double from 1 to 16 MB while the reading moves forward: few
requests for a reader of whole archives, small ones for Parquet. Between windows no connection is
held open, so that a slow reader is not cut off. A server without ranges is read as a stream; a step
back there starts again at the first byte. Memory: one window.
"""

import dataclasses
import hashlib
import io
import json
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from shards.errors import UserError
from shards.storage import http
from shards.storage.http import Again, Answer, Patience, Remote, Tries, WebError, ask

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

FIRST_WINDOW = 1 << 20

LAST_WINDOW = 1 << 24
"""Bytes: the most that a reader holds of a file."""

_BUFFER = 1 << 18

_seen: dict[str, Remote] = {}
"""The last answer for each address: the plan of a build asks for sizes first, then for
identities."""


def open_input(
    address: str, patience: Patience | None = None, wait: Callable[[float], object] = time.sleep
) -> io.BufferedReader:
    """A seekable stream over a file.

    Raises FileNotFoundError, PermissionError, `WebError` and `Unreachable`; reading raises the last
    two.
    """
    return io.BufferedReader(WebFile(address, patience or http.PATIENCE, wait), _BUFFER)


class WebFile(io.RawIOBase):
    """The file at an address, read by windows of bytes; after a break only the missing part of the
    window is asked for again."""

    def __init__(
        self, address: str, patience: Patience, wait: Callable[[float], object] = time.sleep
    ) -> None:
        super().__init__()
        self.address = address
        self._patience = patience
        self._wait = wait
        self._remote: Remote | None = None

        # The window: `_held` are the bytes of the file from `_start` on. `_at`: the position.
        self._at = 0
        self._start = 0
        self._held = bytearray()
        self._window = FIRST_WINDOW

        # Of a server that gives whole files only: one open body, read up to `_live_at`.
        self._whole = False
        self._live: Answer | None = None
        self._live_pieces: Iterator[bytes] = iter(())
        self._live_at = 0

        self._load()

    def readable(self) -> bool:
        """True."""
        return True

    def seekable(self) -> bool:
        """True; a step back costs a new start when the server gives no ranges."""
        return True

    def tell(self) -> int:
        """The position of the next byte."""
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Move to an offset; the server is asked when bytes are read."""
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

    def readinto(self, buffer: "WriteableBuffer") -> int:
        """Fill a buffer from the window, which is loaded when the position is outside of it."""
        view = memoryview(buffer)
        if not self._start <= self._at < self._start + len(self._held):
            size = self._size()
            if size is not None and self._at >= size:
                return 0
            self._load()

        begin = self._at - self._start
        count = max(min(len(view), len(self._held) - begin), 0)
        view[:count] = self._held[begin : begin + count]
        self._at += count
        return count

    def close(self) -> None:
        """Close the connection and free the window."""
        self._drop()
        self._held = bytearray()
        super().close()

    def _size(self) -> int | None:
        """Bytes of the file; None while the server has not said it."""
        return self._remote.size if self._remote is not None else None

    def _load(self) -> None:
        """Load the window at the position; it is empty at the end of the file."""
        forward = self._at == self._start + len(self._held)
        doubled = min(self._window * 2, LAST_WINDOW)
        self._window = doubled if forward and self._held else FIRST_WINDOW

        # The old window is freed before the new one grows: memory holds one of them, not two.
        window = bytearray()
        self._start = self._at
        self._held = window

        tries = Tries(self.address, self._patience, self._wait)
        while True:
            before = len(window)
            try:
                if self._whole:
                    self._extend_from_stream(window)
                else:
                    self._extend_by_range(window)
                break
            except Again as failure:
                if len(window) - before >= http.MIN_PROGRESS:
                    tries.progress()
                tries.again(failure)

    def _extend_by_range(self, window: bytearray) -> None:
        """Extend the window to its end by one request."""
        size = self._size()
        begin = self._at + len(window)
        stop = _least(self._at + self._window, size)
        if size is not None and begin >= stop:
            return

        validator = self._remote.validator if self._remote else None
        answer = ask(self.address, self._patience, begin, stop, validator)
        try:
            self._check_same(answer.remote)
            if not answer.partial:
                self._whole = True
                self._keep_open(answer)
                return self._extend_from_stream(window)
            for piece in answer.pieces():
                window += piece[: stop - self._at - len(window)]
        finally:
            if self._live is not answer:
                answer.close()

        size = answer.remote.size
        stop = _least(stop, size)
        if size is not None and self._at + len(window) < stop:
            raise Again(f"ended at {self._at + len(window):,} of {stop:,} bytes")

    def _extend_from_stream(self, window: bytearray) -> None:
        """Extend the window to its end from the one body of a server that gives whole files
        only."""
        begin = self._at + len(window)
        stop = self._at + self._window
        if self._live is not None and self._live_at > begin:
            self._drop()
        if self._live is None:
            answer = ask(self.address, self._patience)
            self._keep_open(answer)
            self._check_same(answer.remote)

        try:
            while self._live_at < stop:
                piece = next(self._live_pieces, b"")
                if not piece:
                    self._end_of_stream()
                    return
                window += piece[max(begin - self._live_at, 0) :]
                self._live_at += len(piece)
        except Again:
            self._drop()
            raise

    def _keep_open(self, answer: Answer) -> None:
        self._live = answer
        self._live_pieces = answer.pieces()
        self._live_at = 0

    def _end_of_stream(self) -> None:
        """Learn the size at the end of the body. Raises `Again` when it ended too early."""
        size = self._size()
        if size is not None and self._live_at < size:
            raise Again(f"ended at {self._live_at:,} of {size:,} bytes")
        self._remote = dataclasses.replace(self._remote or Remote(), size=self._live_at)

    def _drop(self) -> None:
        if self._live is not None:
            self._live.close()
            self._live = None

    def _check_same(self, remote: Remote) -> None:
        """Raise `WebError` when the file has changed since the first answer."""
        if self._remote is not None and self._remote.differs(remote):
            raise WebError(f"{self.address}: changed while it was read")
        if self._remote is None or self._remote.size is None:
            self._remote = remote
            # An earlier answer stays, so that the sizes and identities of one plan agree.
            _seen.setdefault(self.address, remote)


def _least(position: int, size: int | None) -> int:
    """A position, or the end of the file when that comes first."""
    return position if size is None else min(position, size)


def stat(address: str) -> Remote:
    """Size and ETag of a file as the server states them now. Raises `WebError`, `Unreachable`."""
    _seen[address] = http.stat(address)
    return _seen[address]


def identity(address: str) -> str | None:
    """blake2b-16, in hex, of size and strong ETag as last seen; None when the server gives no
    strong ETag."""
    remote = _seen.get(address) or stat(address)
    if not remote.etag or remote.etag.startswith("W/"):
        return None
    content = json.dumps([remote.size, remote.etag]).encode()
    return hashlib.blake2b(content, digest_size=16).hexdigest()


def glob(pattern: str) -> list[tuple[str, int]]:
    """The address with its size, or 0 when the server does not state it.

    Raises `UserError` for wildcards, folders and a missing file.
    """
    try:
        path = urlsplit(pattern).path
    except ValueError as error:
        raise UserError(f"{pattern}: not an address: {error}", "check the address") from None
    if "*" in path or path.endswith("/") or not path:
        raise UserError(
            f"{pattern}: a server has no list of its files, so this names none",
            "name each file, or a list of them as input = '@LIST'; "
            "or run corpus fetch, and give a glob over its folder",
        )
    try:
        return [(pattern, stat(pattern).size or 0)]
    except WebError as error:
        raise UserError(str(error), "check the address") from None
