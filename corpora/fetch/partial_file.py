"""A file that is not whole yet: its bytes under a name that begins with `.tmp-`, and beside them a
note of what the server said of it."""

import io
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict

from corpora.fetch.listings import Item
from shards.storage import files, http

MAX_RESTARTS = 3
"""Times that one file is begun again because it is another one."""

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
"""What a file of such a name begins with."""

_PASSING = (b"SlowDown", b"InternalError", b"ServiceUnavailable", b"RequestTimeout")
"""Codes of an object store's error page that pass."""


class Partial:
    """A file that is not whole yet, and the note beside it of what the server said of it."""

    def __init__(self, path: str, item: Item) -> None:
        self.path, self._note, self._item = part_of(path), part_of(path) + ".json", item
        self.remote = http.Remote()
        self.have = self.received = self._restarts = 0
        self.told: int | None = None
        self._looked = False
        try:
            with open(self._note, encoding="utf-8") as stream:
                said = json.load(stream)
            if said.pop("address") == item.address:
                self.remote, self.have = http.Remote(**said), os.path.getsize(self.path)
        except (
            OSError,
            ValueError,
            KeyError,
            TypeError,
            AttributeError,
        ):  # no note, or one that was cut: what it was of is not known
            self.remote, self.have = http.Remote(), 0
        if self.remote.size is not None and self.have > self.remote.size:
            self.have = 0
        if self.have == 0:
            self.remote = http.Remote()

    @contextmanager
    def open(self) -> Iterator[io.FileIO]:
        """The file, at the end of what is there. Unbuffered: what was written survives the
        process."""
        with open(self.path, "r+b" if os.path.exists(self.path) else "x+b", buffering=0) as stream:
            stream.truncate(self.have)
            stream.seek(self.have)
            yield stream

    def write(self, out: io.FileIO, piece: bytes) -> None:
        """All of a piece, which the system may take in several."""
        rest = memoryview(piece)
        while rest:
            rest = rest[out.write(rest) :]
        self.have += len(piece)
        self.received += len(piece)

    def restart(self, out: io.FileIO) -> None:
        """Nothing of it counts. Raises `WebError` the `MAX_RESTARTS`th time."""
        self._restarts += 1
        if self._restarts == MAX_RESTARTS:
            raise http.WebError(
                f"{self._item.address}: is another file at each request, or of another size than it says"
            )
        out.truncate(0)
        out.seek(0)
        self.have, self._looked, self.remote = 0, False, http.Remote()

    def learn(self, remote: http.Remote) -> None:
        """Keep what the server says, before the first byte is written."""
        self.remote = remote
        files.write_bytes(
            self._note, json.dumps({"address": self._item.address, **asdict(remote)}).encode()
        )

    def look(self, out: io.FileIO, at_end: bool = False) -> None:
        """Does it begin as its name says? Raises `WebError` for an error page under the name of an
        archive, `Again` for a busy store's."""
        ending = os.path.splitext(self._item.path.lower())[1]
        wanted = _BEGINNINGS.get(ending)
        if self._looked or not wanted or (self.have < len(wanted) and not at_end):
            return
        head = os.pread(out.fileno(), _HEAD_BYTES, 0)
        if not head.startswith(wanted):
            self.remove()
            if any(code in head for code in _PASSING):
                raise http.Again(f"an error page in place of the file: {_shown(head)}")
            raise http.WebError(
                f"{self._item.address}: no {ending} file: it begins with {_shown(head)}"
            )
        self._looked = True

    def finish(self, path: str) -> None:
        """Its own name."""
        os.replace(self.path, path)
        os.unlink(self._note)

    def remove(self) -> None:
        """Nothing is left of it."""
        for path in (self.path, self._note):
            if os.path.exists(path):
                os.unlink(path)
        self.have, self._looked, self.remote = 0, False, http.Remote()


def part_of(path: str) -> str:
    """Where the bytes of a file lie until it is whole."""
    folder, name = os.path.split(path)
    return os.path.join(folder, f"{files.TEMPORARY}{name}")


def _shown(head: bytes) -> str:
    return (
        repr(" ".join(head.decode("utf-8", "replace").split())[:120])
        if head
        else "nothing: it is empty"
    )
