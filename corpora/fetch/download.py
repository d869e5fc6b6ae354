"""Downloading: whole files or none, from where it stopped, by few connections.

A file is written beside its place under a name that begins with `.tmp-`, with a note of what the
server said of it (address, size, ETag), and takes its own name when its size is the server's, its
beginning is what its name promises and its checksum, where one is known, is right. What a killed
run left is gone on with by a range request, under the condition that the file is still the same; a
changed one begins again. So a file under its own name is whole, and a second run fetches what is
missing, no more.

A busy server is obeyed: all connections pause together for as long as it asks. A file that cannot
be had is named in the outcome and the next one is tried; `MAX_FAILURES` in a row end the run, so
that nobody hammers a server that has refused.
"""

import errno
import hashlib
import os
import queue
import shutil
import threading
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, field, replace

from corpora.fetch.listings import Item
from corpora.fetch.partial_file import Partial, part_of
from shards.errors import UserError
from shards.storage import http

MAX_FAILURES = 10
"""Files in a row that cannot be had: then the rest is not tried."""

SAMPLE = 32
"""Files whose sizes are asked for; of more, so many are taken at even distances, and the sum is an
estimate."""

RATE_BYTES = 4 << 20
"""Bytes that each connection fetches to measure a rate for a dry run."""


class Watcher:
    """What a run tells while it runs; from several threads at once, but never two calls together.
    This one says nothing."""

    def begin(self, item: Item, have: int, size: int | None) -> None:
        """A file is being fetched, of which `have` bytes are there; again when its size turns out
        to be another, or it begins anew."""

    def advance(self, item: Item, count: int) -> None:
        """`count` bytes more."""

    def end(self, item: Item, why: str) -> None:
        """It is whole (""), or cannot be had."""

    def note(self, line: str) -> None:
        """Something a user may want to know."""


@dataclass
class Outcome:
    """What a run did. `fetched`: files; `bytes`: received in this run; `failed`: path -> why;
    `stopped`: why it ended early."""

    fetched: list[Item] = field(default_factory=list)
    bytes: int = 0
    failed: dict[str, str] = field(default_factory=dict)
    stopped: str = ""


def is_there(folder: str, item: Item) -> bool:
    """True for a file under its own name: it was whole when it took it."""
    return os.path.isfile(os.path.join(folder, item.path))


def is_right(folder: str, item: Item, patience: http.Patience) -> bool:
    """True when a file that is there has its checksum, or where none is known the size that the
    server names."""
    path = os.path.join(folder, item.path)
    if item.digest:
        return _digest(path, item.digest) == item.digest
    return http.stat(item.address, patience).size in (None, os.path.getsize(path))


def sweep(folder: str, item: Item) -> None:
    """Remove what a run left beside a file that is whole."""
    part = part_of(os.path.join(folder, item.path))
    for path in (part, part + ".json"):
        if os.path.exists(path):
            os.unlink(path)


def left(folder: str, item: Item) -> int:
    """Bytes that an earlier run left of a file."""
    part = part_of(os.path.join(folder, item.path))
    return os.path.getsize(part) if os.path.exists(part) else 0


def expected_bytes(
    items: list[Item], patience: http.Patience, note: Callable[[str], None] | None = None
) -> tuple[int | None, bool]:
    """(bytes of all files together, False where they are an estimate from a sample); None where no
    size is known."""
    step = max(1, -(-len(items) // SAMPLE))
    sizes = []
    for item in items[::step]:
        try:
            size = http.stat(
                item.address, replace(patience, attempts=min(patience.attempts, 5)), note=note
            ).size
        except http.WebError:
            continue  # fetching it will say so
        except http.Unreachable:
            break  # an estimate is not worth a longer wait
        if size is not None:
            sizes.append(size)
    if not sizes:
        return (None if items else 0), not items
    exact = len(sizes) == len(items)
    return (sum(sizes) if exact else round(sum(sizes) / len(sizes) * len(items))), exact


def measure_rate(items: list[Item], connections: int, patience: http.Patience) -> float | None:
    """Bytes a second over the beginnings of the first files, one a connection; None where nothing
    comes."""
    counts = [0] * min(connections, len(items))

    def probe(number: int) -> None:
        try:
            with closing(http.ask(items[number].address, patience, 0, RATE_BYTES)) as answer:
                for piece in answer.pieces():
                    counts[number] += len(piece)
                    if counts[number] >= RATE_BYTES:
                        break
        except (http.Again, http.WebError):
            return

    began = time.monotonic()
    threads = [
        threading.Thread(target=probe, args=(number,), daemon=True) for number in range(len(counts))
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sum(counts) / max(time.monotonic() - began, 1e-6) if sum(counts) else None


def fetch(
    items: list[Item], folder: str, connections: int, patience: http.Patience, watcher: Watcher
) -> Outcome:
    """Fetch what is not there. Ctrl-C ends it within seconds, and what is half fetched stays for
    the next run.

    Raises `UserError` (exit 3): no room, no right to write.
    """
    run = _Run(folder, patience, watcher)
    work: queue.SimpleQueue[Item] = queue.SimpleQueue()
    for item in items:
        work.put(item)
    threads = [
        threading.Thread(target=run.work, args=(work,), daemon=True)
        for _ in range(max(1, min(connections, len(items))))
    ]
    for thread in threads:
        thread.start()
    try:
        for thread in threads:
            while thread.is_alive():
                thread.join(0.2)
    finally:
        run.stop.set()  # on Ctrl-C: threads that wait for a server end with the process
        for thread in threads:
            thread.join(1.0)
    if run.fatal is not None:
        raise run.fatal
    if run.outcome.stopped:
        tried = {item.path for item in run.outcome.fetched} | set(run.outcome.failed)
        run.outcome.failed |= {item.path: "not tried" for item in items if item.path not in tried}
    return run.outcome


class _Stopped(Exception):
    """The run ends."""


class _Run:
    """What the connections of one run share."""

    def __init__(self, folder: str, patience: http.Patience, watcher: Watcher) -> None:
        self.folder, self.patience, self.watcher = folder, patience, watcher
        self.outcome = Outcome()
        self.stop = threading.Event()
        self.fatal: Exception | None = None
        self._lock = threading.Lock()
        self._failures = 0
        self._pause_until = 0.0

    def work(self, items: "queue.SimpleQueue[Item]") -> None:
        """One connection: file after file."""
        while not self.stop.is_set():
            try:
                item = items.get_nowait()
            except queue.Empty:
                return
            try:
                self._one(item)
            except _Stopped:
                return
            except Exception as error:  # raised again by the thread that waits for this one
                self._give_up(error)

    def _one(self, item: Item) -> None:
        why, refused = "", True
        try:
            self._download(item)
        except http.WebError as error:
            refused = not isinstance(
                error, FileNotFoundError
            )  # a list of addresses may hold many that are gone
            why = str(error).removeprefix(f"{item.address}: ")
        except http.Unreachable as error:
            why = error.why
        except (FileExistsError, NotADirectoryError, IsADirectoryError) as error:
            why, refused = f"{error.filename}: would have to be a file and a folder", False
        with self._lock:
            self.watcher.end(item, why)
            if why:
                self.outcome.failed[item.path] = why
                self._failures += refused
                if self._failures >= MAX_FAILURES and not self.stop.is_set():
                    self.outcome.stopped = (
                        f"{self._failures} files in a row could not be had, the last for: {why}"
                    )
                    self.stop.set()
            else:
                self.outcome.fetched.append(item)
                self._failures = 0

    def _give_up(self, error: Exception) -> None:
        if isinstance(error, OSError):
            hint = (
                "make room and run the same command again"
                if error.errno in (errno.ENOSPC, errno.EDQUOT)
                else "name a folder that you may write to"
            )
            error = UserError(
                f"{error.filename or self.folder}: {error.strerror or error}", hint, 3
            )
        with self._lock:
            self.fatal = self.fatal or error
        self.stop.set()

    def _download(self, item: Item) -> None:
        """Fetch one file and give it its name. Raises `WebError`, `Unreachable`."""
        path = os.path.join(self.folder, item.path)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        tries = http.Tries(
            item.address,
            replace(self.patience, first_attempts=self.patience.attempts),
            self._wait,
            self._note,
        )
        partial = Partial(path, item)
        wrong = ""
        while True:
            before = partial.received
            try:
                self._receive(item, partial)
                wrong_now = _wrong_digest(partial.path, item)
                if not wrong_now:
                    partial.finish(path)
                    return
                partial.remove()
                if wrong:
                    raise http.WebError(f"{item.address}: {wrong_now}, twice")
                wrong = wrong_now
                raise http.Again(f"{wrong_now}; it begins again")
            except http.Again as failure:
                if partial.received - before >= http.MIN_PROGRESS and not wrong:
                    tries.progress()
                if failure.after_s:
                    self._pause(failure.after_s)
                tries.again(failure)

    def _receive(self, item: Item, partial: Partial) -> None:
        """Bring the partial file to its end. Raises `Again` where something is missing."""
        self._wait(0)
        if not item.digest and partial.told is None:
            partial.told = http.stat(item.address, self.patience, self._wait, self._note).size
        start = partial.have
        with (
            closing(
                http.ask(item.address, self.patience, start, validator=partial.remote.validator)
            ) as answer,
            partial.open() as out,
        ):
            if start and (answer.start != start or partial.remote.differs(answer.remote)):
                self._note(f"{item.address}: changed, or given whole only: it begins again")
                partial.restart(out)
                if answer.start:
                    raise http.Again("changed since a part of it was fetched", after_s=0)
            partial.learn(answer.remote)
            self._room(item, partial)
            with self._lock:
                self.watcher.begin(item, partial.have, partial.remote.size)
            doubt = _doubt(partial)
            for piece in answer.pieces():
                partial.write(out, piece)
                with self._lock:
                    self.outcome.bytes += len(piece)
                    self.watcher.advance(item, len(piece))
                partial.look(out)
                if doubt:
                    break
                if self.stop.is_set():
                    raise _Stopped
            size = partial.told if partial.remote.size is None else partial.remote.size
            if doubt and partial.have:
                partial.restart(out)
                raise http.Again(doubt)
            if size is not None and partial.have > size:
                partial.restart(out)
                raise http.Again(f"gave more than the {size:,} bytes that it names")
            if size is not None and partial.have < size:
                raise http.Again(f"ended at {partial.have:,} of {size:,} bytes")
            if size is None and not item.digest:
                self._note(
                    f"{item.address}: the server does not say its size, so that its end is not checked"
                )
            partial.look(out, at_end=True)
            os.fsync(out.fileno())

    def _room(self, item: Item, partial: Partial) -> None:
        free = shutil.disk_usage(os.path.dirname(partial.path)).free
        needed = (partial.remote.size or 0) - partial.have
        if needed > free:
            raise UserError(
                f"{self.folder}: no room for {item.path}: it needs {needed:,} bytes and {free:,} are free",
                "make room and run the same command again",
                3,
            )

    def _wait(self, seconds: float) -> None:
        """Until the time is over and no server has asked for a longer pause."""
        if self.stop.wait(seconds):
            raise _Stopped
        while (more := self._pause_until - time.monotonic()) > 0:
            if self.stop.wait(more):
                raise _Stopped

    def _pause(self, seconds: float) -> None:
        """A server asked to wait: that goes for all connections, at their next request."""
        if seconds <= self.patience.max_retry_after_s:
            self._pause_until = max(self._pause_until, time.monotonic() + seconds)

    def _note(self, line: str) -> None:
        with self._lock:
            self.watcher.note(line)


def _doubt(partial: Partial) -> str:
    """Where no checksum is known, the size must be the one that HEAD gave too; why it is not to be
    believed, or ""."""
    told, size = partial.told, partial.remote.size
    if told is None or size is None or told == size:
        return ""
    partial.told = None  # to be asked again: the file may have changed in between
    return f"says {size:,} bytes, and {told:,} when asked by HEAD"


def _wrong_digest(path: str, item: Item) -> str:
    """What is wrong with a file's checksum; "" for nothing."""
    found = _digest(path, item.digest) if item.digest else ""
    return "" if found == item.digest else f"its checksum is {found}, not {item.digest}"


def _digest(path: str, wanted: str) -> str:
    algorithm = wanted.split(":", 1)[0]
    state = hashlib.new(algorithm, usedforsecurity=False)
    with open(path, "rb") as stream:
        while block := stream.read(1 << 20):
            state.update(block)
    return f"{algorithm}:{state.hexdigest()}"
