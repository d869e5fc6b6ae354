"""A file whose download has not finished: its bytes, under a name that begins with `.tmp-`, and
beside them a note of what the server says of the file."""

import io
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict

from corpora.fetch.listings import Item
from shards.storage import files, http

MAX_RESTARTS = 3
"""A file that has changed is started again this often; then it is given up."""

_HEAD_BYTES = 256

_BEGINNINGS = {
    ".gz": b"\x1f\x8b",
    ".bz2": b"BZh",
    ".xz": b"\xfd7zXZ\0",
    ".zst": b"\x28\xb5\x2f\xfd",
    ".zip": b"PK",
    ".epub": b"PK",
    ".parquet": b"PAR1",
    ".warc": b"WARC/",
}
"""The first bytes of a file, by the ending of its name."""

_PASSING = (b"SlowDown", b"InternalError", b"ServiceUnavailable", b"RequestTimeout")
"""Codes in the error page of an object store for errors that pass."""


class Partial:
    """A file whose download has not finished, and the note beside it.

    `have`: bytes that are stored; `received`: those of this run; `remote`: what the server says of
    the file; `head_size`: the size that it gives when asked by HEAD.
    """

    def __init__(self, path: str, item: Item) -> None:
        self.path = part_of(path)
        self.received = 0
        self.head_size: int | None = None
        self._note = part_of(path) + ".json"
        self._item = item
        self._restarts = 0
        self._looked = False
        self.remote, self.have = self._resume()

    def _resume(self) -> tuple[http.Remote, int]:
        """What an earlier run left: what the server said then, and the bytes. Nothing counts
        without a whole note, since it tells which file the bytes belong to."""
        try:
            with open(self._note, encoding="utf-8") as stream:
                values = json.load(stream)
            if values.pop("address") != self._item.address:
                return http.Remote(), 0
            remote = http.Remote(**values)
            have = os.path.getsize(self.path)
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            return http.Remote(), 0
        if have == 0 or (remote.size is not None and have > remote.size):
            return http.Remote(), 0
        return remote, have

    def _reset(self) -> None:
        self.remote = http.Remote()
        self.have = 0
        self._looked = False

    @contextmanager
    def open(self) -> Iterator[io.FileIO]:
        """The file, at the end of its bytes. It is unbuffered, so written bytes survive the
        process."""
        with open(self.path, "r+b" if os.path.exists(self.path) else "x+b", buffering=0) as stream:
            stream.truncate(self.have)
            stream.seek(self.have)
            yield stream

    def write(self, out: io.FileIO, piece: bytes) -> None:
        """Write all of a piece; the system may take it in several parts."""
        rest = memoryview(piece)
        while rest:
            rest = rest[out.write(rest) :]
        self.have += len(piece)
        self.received += len(piece)

    def restart(self, out: io.FileIO) -> None:
        """Discard the part downloaded so far. Raises `WebError` the `MAX_RESTARTS`th time."""
        self._restarts += 1
        if self._restarts == MAX_RESTARTS:
            raise http.WebError(
                f"{self._item.address}: differs at each request, or has another size than it says"
            )
        out.truncate(0)
        out.seek(0)
        self._reset()

    def learn(self, remote: http.Remote) -> None:
        """Store what the server says of the file, before its first byte is written."""
        self.remote = remote
        values = {"address": self._item.address, **asdict(remote)}
        files.write_bytes(self._note, json.dumps(values).encode())

    def look(self, out: io.FileIO, at_end: bool = False) -> None:
        """Check once that the file begins as its name promises. Raises `WebError` for an error page
        under the name of an archive, `Again` for that of a busy store."""
        ending = os.path.splitext(self._item.path.lower())[1]
        expected = _BEGINNINGS.get(ending)
        if self._looked or not expected or (self.have < len(expected) and not at_end):
            return
        head = os.pread(out.fileno(), _HEAD_BYTES, 0)
        if head.startswith(expected):
            self._looked = True
            return

        # A busy object store may say so in a page of XML in place of the file.
        self.remove()
        if any(code in head for code in _PASSING):
            raise http.Again(f"an error page in place of the file: {_shown(head)}")
        raise http.WebError(
            f"{self._item.address}: no {ending} file: it begins with {_shown(head)}"
        )

    def finish(self, path: str) -> None:
        """Give the file its own name."""
        os.replace(self.path, path)
        # The note goes only when the name is on the disk: it tells a later try what is there.
        files.flush_to_disk(os.path.dirname(path) or ".")
        os.unlink(self._note)

    def remove(self) -> None:
        """Delete the file and its note."""
        for path in (self.path, self._note):
            if os.path.exists(path):
                os.unlink(path)
        self._reset()


def part_of(path: str) -> str:
    """The path of a file's bytes until the file is whole."""
    folder, name = os.path.split(path)
    return os.path.join(folder, f"{files.TEMPORARY}{name}")


def _shown(head: bytes) -> str:
    if not head:
        return "nothing: it is empty"
    return repr(" ".join(head.decode("utf-8", "replace").split())[:120])
