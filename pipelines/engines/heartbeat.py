"""TODO-DOC pipelines/engines/heartbeat.py."""

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from pipelines.engines.session import Session, this_worker
from pipelines.home.layout import Home
from pipelines.progress import board
from shards.storage import files

BEAT_S = 10.0

_beats_lock = threading.Lock()

_beats: dict[tuple[str, Session], int] = {}

_beaten = 0

_beat_thread: threading.Thread | None = None


@contextmanager
def beating(home_root: str, session: Session | None) -> Iterator[None]:
    """Say that this worker lives, now, every `BEAT_S` and at the end of the block."""
    if session is None:
        yield
        return
    begin_beating(home_root, session)
    try:
        yield
    finally:
        end_beating(home_root, session)


def begin_beating(home_root: str, session: Session) -> None:
    """The same for a block that begins and ends in two calls: `end_beating` ends it."""
    global _beat_thread
    with _beats_lock:
        _beats[home_root, session] = _beats.get((home_root, session), 0) + 1
        if _beat_thread is None or not _beat_thread.is_alive():
            _beat_thread = threading.Thread(target=_beat_on, daemon=True)
            _beat_thread.start()
    _beat(home_root, session)


def end_beating(home_root: str, session: Session) -> None:
    """The end of a block that `begin_beating` began."""
    with _beats_lock:
        _beats[home_root, session] -= 1
        if not _beats[home_root, session]:
            del _beats[home_root, session]
    _beat(home_root, session)


def _beat_on() -> None:
    while True:
        time.sleep(BEAT_S)
        with _beats_lock:
            held = list(_beats)
        for home_root, session in held:
            _beat(home_root, session)


def _beat(home_root: str, session: Session) -> None:
    """A file with a number that grows, and with what the board of this process shows."""
    global _beaten
    _beaten += 1
    content = {"beat": _beaten, "worker": this_worker(), **board.board.own()}
    try:  # who cannot write here will fail where it matters
        files.write_bytes(
            Home(home_root).file("work", "beats", f"{session.run}-{this_worker()}.json"),
            json.dumps(content).encode(),
        )
    except OSError:
        return


# in the driver


def read_beats(home: Home, session: Session) -> list[board.Beat]:
    """What the workers of a job said last."""
    found = []
    for address in files.list_files(home.file("work", "beats"), ".json"):
        if address.rsplit("/", 1)[1].startswith(session.run):
            try:
                found.append(json.loads(files.read_bytes(address)))
            except (OSError, ValueError):  # it is being written anew
                continue
    return found


def forget_beats(home: Home) -> None:
    """Remove what the workers of earlier jobs said."""
    files.remove(home.file("work", "beats"))
