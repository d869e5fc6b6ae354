"""The signs of life of workers on an engine elsewhere: small files below the home.

While a worker does something for a job it writes `work/beats/RUN-HOST-PID.json` every `BEAT_S`, and
when it begins and ends: a number that grows, and what the board of its process shows. The driver
reads these files to end a silent job (`watch`) and to show the progress of all workers.
"""

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from pipelines.engines.session import Session, this_worker
from pipelines.home.layout import Home
from pipelines.progress.board import Beat, board
from shards.storage import files

BEAT_S = 10.0

_lock = threading.Lock()

_jobs: dict[tuple[str, Session], int] = {}
"""(root of a home, session) -> blocks under way: several threads of a process may work at once."""

_beaten = 0

_thread: threading.Thread | None = None
"""One for the whole process, which beats for every job in `_jobs`."""


# --- in a worker


@contextmanager
def beating(home_root: str, session: Session | None) -> Iterator[None]:
    """Say that this worker lives: now, every `BEAT_S`, and at the end of the block.

    Without a session there is no driver elsewhere, and nothing is said.
    """
    if session is None:
        yield
        return

    begin_beating(home_root, session)
    try:
        yield
    finally:
        end_beating(home_root, session)


def begin_beating(home_root: str, session: Session) -> None:
    """Begin what `beating` does, for a block that ends with a call of `end_beating`."""
    global _thread
    with _lock:
        _jobs[home_root, session] = _jobs.get((home_root, session), 0) + 1
        if _thread is None or not _thread.is_alive():
            _thread = threading.Thread(target=_beat_on, daemon=True)
            _thread.start()
    _beat(home_root, session)


def end_beating(home_root: str, session: Session) -> None:
    """End what `begin_beating` began."""
    with _lock:
        _jobs[home_root, session] -= 1
        if not _jobs[home_root, session]:
            del _jobs[home_root, session]
    _beat(home_root, session)


def _beat_on() -> None:
    while True:
        time.sleep(BEAT_S)
        with _lock:
            jobs = list(_jobs)
        for home_root, session in jobs:
            _beat(home_root, session)


def _beat(home_root: str, session: Session) -> None:
    global _beaten
    _beaten += 1
    content = {"beat": _beaten, "worker": this_worker(), **board.own()}
    name = f"{session.run}-{this_worker()}.json"
    try:
        address = Home(home_root).file("work", "beats", name)
        files.write_bytes(address, json.dumps(content).encode(), flush=False)
    except OSError:
        return  # a worker that cannot write here will fail where it matters


# --- in the driver


def read_beats(home: Home, session: Session) -> list[Beat]:
    """The last sign of life of each worker of a job."""
    beats = []
    for address in files.list_files(home.file("work", "beats"), ".json"):
        if address.rsplit("/", 1)[1].startswith(session.run):
            try:
                beats.append(json.loads(files.read_bytes(address)))
            except (OSError, ValueError):
                continue  # it is being written
    return beats


def forget_beats(home: Home) -> None:
    """Remove the signs of life of earlier jobs."""
    files.remove(home.file("work", "beats"))
