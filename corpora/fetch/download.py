"""Downloads: whole files or none, resumed where they stopped, over few connections.

A file is written beside its place under a name that begins with `.tmp-`, with a note of what the
server says of it (address, size, ETag). It takes its own name when its size is the server's, its
beginning is what its name promises, and its checksum, if one is known, is right. A killed run is
resumed by a range request, on condition that the file is still the same; a changed file is started
again. So a file under its own name is whole, and a second run fetches only what is missing.

A busy server is obeyed: all connections pause together for as long as it asks. A file that cannot
be fetched is named in the outcome and the next one is tried. After `MAX_FAILURES` in a row the run
ends, so that nobody hammers a server that has refused.
"""

import errno
import hashlib
import io
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
"""After so many failed files in a row the rest is not tried."""

SAMPLE = 32
"""The sizes of at most so many files are asked for. Of more files a sample at even distances is
taken, and the sum is an estimate."""

RATE_BYTES = 4 << 20
"""Bytes that each connection fetches when a dry run measures the rate."""


class Watcher:
    """Is told what a run does, by several threads, but never by two at once. This one ignores
    it."""

    def begin(self, item: Item, have: int, size: int | None) -> None:
        """A file is being fetched, of which `have` bytes are stored. Called again when another size
        turns out, or when the file is started again."""

    def advance(self, item: Item, count: int) -> None:
        """`count` more bytes have arrived."""

    def end(self, item: Item, why: str) -> None:
        """The file is whole (""), or cannot be fetched, and why."""

    def note(self, line: str) -> None:
        """Something that a user may want to know."""


@dataclass
class Outcome:
    """What a run did. `fetched`: whole files; `bytes`: received in this run; `failed`: why, by
    path; `stopped`: why the run ended early."""

    fetched: list[Item] = field(default_factory=list)
    bytes: int = 0
    failed: dict[str, str] = field(default_factory=dict)
    stopped: str = ""


def is_there(folder: str, item: Item) -> bool:
    """Whether the file has its own name, which it takes when it is whole."""
    return os.path.isfile(os.path.join(folder, item.path))


def is_right(folder: str, item: Item, patience: http.Patience) -> bool:
    """Whether a stored file has its checksum, or if none is known the size that the server
    names."""
    path = os.path.join(folder, item.path)
    if item.digest:
        return _digest(path, item.digest) == item.digest
    return http.stat(item.address, patience).size in (None, os.path.getsize(path))


def sweep(folder: str, item: Item) -> None:
    """Remove what a run left beside a whole file."""
    part = part_of(os.path.join(folder, item.path))
    for path in (part, part + ".json"):
        if os.path.exists(path):
            os.unlink(path)


def left(folder: str, item: Item) -> int:
    """The bytes of a file that an earlier run has stored."""
    part = part_of(os.path.join(folder, item.path))
    return os.path.getsize(part) if os.path.exists(part) else 0


def expected_bytes(
    items: list[Item], patience: http.Patience, note: Callable[[str], None] | None = None
) -> tuple[int | None, bool]:
    """(bytes of all files together, None if no size is known; whether the sum is exact and not an
    estimate from a sample)."""
    patience = replace(patience, attempts=min(patience.attempts, 5))
    step = max(1, -(-len(items) // SAMPLE))  # rounded up, so at most SAMPLE files are asked for
    sizes = []
    for item in items[::step]:
        try:
            size = http.stat(item.address, patience, note=note).size
        except http.WebError:
            continue  # the download will report it
        except http.Unreachable:
            break  # an estimate is not worth a longer wait
        if size is not None:
            sizes.append(size)

    if not sizes:
        return (None if items else 0), not items
    if len(sizes) == len(items):
        return sum(sizes), True
    return round(sum(sizes) / len(sizes) * len(items)), False


def measure_rate(items: list[Item], connections: int, patience: http.Patience) -> float | None:
    """Bytes per second over the beginnings of the first files, one per connection; None if nothing
    arrives."""
    counts = [0] * min(connections, len(items))

    def probe(number: int) -> None:
        try:
            with closing(http.ask(items[number].address, patience, 0, RATE_BYTES)) as answer:
                for piece in answer.pieces():
                    counts[number] += len(piece)
                    if counts[number] >= RATE_BYTES:
                        break
        except (http.Again, http.WebError):
            return  # the download will report it

    began = time.monotonic()
    threads = [
        threading.Thread(target=probe, args=(number,), daemon=True) for number in range(len(counts))
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    elapsed = max(time.monotonic() - began, 1e-6)
    return sum(counts) / elapsed if sum(counts) else None


def fetch(
    items: list[Item], folder: str, connections: int, patience: http.Patience, watcher: Watcher
) -> Outcome:
    """Fetch the files that are not stored yet. Ctrl-C ends it within seconds; parts of files stay
    for the next run.

    Raises `UserError` (exit 3) if there is no room, or no right to write.
    """
    run = _Run(folder, patience, watcher)
    work: queue.SimpleQueue[Item] = queue.SimpleQueue()
    for item in items:
        work.put(item)

    # Daemons, since a thread that waits for a server must not keep the process alive.
    count = max(1, min(connections, len(items)))
    threads = [threading.Thread(target=run.work, args=(work,), daemon=True) for _ in range(count)]
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
    """Another thread has ended the run."""


class _Run:
    """What the connections of one run share."""

    def __init__(self, folder: str, patience: http.Patience, watcher: Watcher) -> None:
        self.folder = folder
        self.patience = patience
        self.watcher = watcher
        self.outcome = Outcome()
        self.stop = threading.Event()
        self.fatal: Exception | None = None
        self._lock = threading.Lock()
        self._failures = 0
        self._pause_until = 0.0

    def work(self, items: "queue.SimpleQueue[Item]") -> None:
        """One connection, which fetches file after file."""
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
        why = ""
        refused = True
        try:
            self._download(item)
        except http.WebError as error:
            # A list of addresses may hold many that are gone, from a server that is well.
            refused = not isinstance(error, FileNotFoundError)
            why = str(error).removeprefix(f"{item.address}: ")
        except http.Unreachable as error:
            why = error.why
        except (FileExistsError, NotADirectoryError, IsADirectoryError) as error:
            refused = False
            why = f"{error.filename}: would have to be a file and a folder"
        with self._lock:
            self._count(item, why, refused)

    def _count(self, item: Item, why: str, refused: bool) -> None:
        """Note the outcome of one file, and end the run after too many refusals in a row."""
        self.watcher.end(item, why)
        if not why:
            self.outcome.fetched.append(item)
            self._failures = 0
            return
        self.outcome.failed[item.path] = why
        self._failures += refused
        if self._failures >= MAX_FAILURES and not self.stop.is_set():
            self.outcome.stopped = f"{self._failures} files in a row failed, the last with: {why}"
            self.stop.set()

    def _give_up(self, error: Exception) -> None:
        if isinstance(error, OSError):
            hint = "name a folder that you may write to"
            if error.errno in (errno.ENOSPC, errno.EDQUOT):
                hint = "make room and run the same command again"
            what = f"{error.filename or self.folder}: {error.strerror or error}"
            error = UserError(what, hint, 3)
        with self._lock:
            self.fatal = self.fatal or error
        self.stop.set()

    def _download(self, item: Item) -> None:
        """Fetch one file and give it its name. Raises `WebError`, `Unreachable`."""
        path = os.path.join(self.folder, item.path)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        # One server serves most runs: its first answer is waited for as long as any other.
        patience = replace(self.patience, first_attempts=self.patience.attempts)
        tries = http.Tries(item.address, patience, self._wait, self._note)
        partial = Partial(path, item)
        had_wrong_digest = False
        while True:
            before = partial.received
            try:
                self._receive(item, partial)
                problem = _wrong_digest(partial.path, item)
                if not problem:
                    partial.finish(path)
                    return
                partial.remove()
                if had_wrong_digest:
                    raise http.WebError(f"{item.address}: {problem}, twice")
                had_wrong_digest = True
                raise http.Again(f"{problem}; it begins again")
            except http.Again as failure:
                if partial.received - before >= http.MIN_PROGRESS and not had_wrong_digest:
                    tries.progress()
                if failure.after_s:
                    self._pause(failure.after_s)
                tries.again(failure)

    def _receive(self, item: Item, partial: Partial) -> None:
        """Bring the partial file to its end. Raises `Again` if something is missing."""
        self._wait(0)  # another connection may have been asked to pause
        if not item.digest and partial.head_size is None:
            partial.head_size = http.stat(item.address, self.patience, self._wait, self._note).size
        start = partial.have
        validator = partial.remote.validator
        with (
            closing(http.ask(item.address, self.patience, start, validator=validator)) as answer,
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
            self._copy(item, partial, answer, out, only_first=bool(doubt))
            if doubt and partial.have:
                partial.restart(out)
                raise http.Again(doubt)
            self._check_size(item, partial, out)
            partial.look(out, at_end=True)
            # The name of the file will promise that it is whole, even after a loss of power.
            os.fsync(out.fileno())

    def _copy(
        self, item: Item, partial: Partial, answer: http.Answer, out: io.FileIO, only_first: bool
    ) -> None:
        """Write the answer's bytes, or only the first of them: a busy store may say in them that it
        is busy."""
        for piece in answer.pieces():
            partial.write(out, piece)
            with self._lock:
                self.outcome.bytes += len(piece)
                self.watcher.advance(item, len(piece))
            partial.look(out)
            if only_first:
                return
            if self.stop.is_set():
                raise _Stopped

    def _check_size(self, item: Item, partial: Partial, out: io.FileIO) -> None:
        """Raises `Again` for another size than the one that the server names."""
        size = partial.head_size if partial.remote.size is None else partial.remote.size
        if size is None:
            if not item.digest:
                self._note(
                    f"{item.address}: the server does not say its size, "
                    "so that its end is not checked"
                )
        elif partial.have > size:
            partial.restart(out)
            raise http.Again(f"gave more than the {size:,} bytes that it names")
        elif partial.have < size:
            raise http.Again(f"ended at {partial.have:,} of {size:,} bytes")

    def _room(self, item: Item, partial: Partial) -> None:
        free = shutil.disk_usage(os.path.dirname(partial.path)).free
        needed = (partial.remote.size or 0) - partial.have
        if needed > free:
            raise UserError(
                f"{self.folder}: no room for {item.path}: "
                f"it needs {needed:,} bytes and {free:,} are free",
                "make room and run the same command again",
                3,
            )

    def _wait(self, seconds: float) -> None:
        """Wait so long, and then until no server asks for a pause any more."""
        if self.stop.wait(seconds):
            raise _Stopped
        while True:
            rest = self._pause_until - time.monotonic()
            if rest <= 0:
                return
            if self.stop.wait(rest):
                raise _Stopped

    def _pause(self, seconds: float) -> None:
        """A server asks for a pause: all connections make it before their next request."""
        if seconds <= self.patience.max_retry_after_s:
            self._pause_until = max(self._pause_until, time.monotonic() + seconds)

    def _note(self, line: str) -> None:
        with self._lock:
            self.watcher.note(line)


def _doubt(partial: Partial) -> str:
    """Why the size of an answer is doubtful, "" if it is not. Without a checksum the size must be
    the one that HEAD gives."""
    head_size = partial.head_size
    size = partial.remote.size
    if head_size is None or size is None or head_size == size:
        return ""
    partial.head_size = None  # it is asked for again: the file may have changed in between
    return f"says {size:,} bytes, and {head_size:,} when asked by HEAD"


def _wrong_digest(path: str, item: Item) -> str:
    """What is wrong with a file's checksum; "" for nothing."""
    if not item.digest:
        return ""
    digest = _digest(path, item.digest)
    return "" if digest == item.digest else f"its checksum is {digest}, not {item.digest}"


def _digest(path: str, wanted: str) -> str:
    """The digest of a file, by the algorithm of the wanted one."""
    algorithm = wanted.split(":", 1)[0]
    state = hashlib.new(algorithm, usedforsecurity=False)
    with open(path, "rb") as stream:
        while block := stream.read(1 << 20):
            state.update(block)
    return f"{algorithm}:{state.hexdigest()}"
