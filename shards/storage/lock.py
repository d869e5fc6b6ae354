"""One writer in a folder of this machine: a lock of the operating system, which ends with its
process however that ends.

The file FOLDER/lock says who holds the lock; whether it is held is asked of the operating system,
so that a file left by a killed process is in nobody's way.
"""

import fcntl
import json
import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO

from shards.errors import UserError

GLANCES = 3
"""Tries to take a lock: `folder_holder` holds it for a moment to see whether it is free."""


@contextmanager
def locked_folder(folder: str) -> Iterator[None]:
    """Hold FOLDER/lock for the block.

    A missing folder is made; it is removed at the end when it holds nothing but the lock. Raises
    `UserError` (exit 3), which names the holder, when another process holds the lock.
    """
    with _open_lock(folder) as stream:
        stream.truncate(0)
        stream.write(me())
        stream.flush()
        try:
            yield
        finally:
            stream.truncate(0)
            if os.listdir(folder) == ["lock"]:
                os.unlink(os.path.join(folder, "lock"))
                os.rmdir(folder)


@contextmanager
def _open_lock(folder: str) -> Iterator[IO[str]]:
    """The file of the lock, open and locked."""
    path = os.path.join(folder, "lock")
    while True:
        os.makedirs(folder, exist_ok=True)
        with open(path, "a+", encoding="utf-8") as stream:
            _take(stream, folder)
            status = os.fstat(stream.fileno())
            if os.path.exists(path) and os.path.samestat(status, os.stat(path)):
                yield stream
                return

        # The holder before us removed the file between our opening and our locking it: again.


def _take(stream: IO[str], folder: str) -> None:
    """Lock an open file. Raises `UserError` when another process holds it."""
    for attempt in range(GLANCES):
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except OSError:
            if attempt == GLANCES - 1:
                what = f"{folder}: {_owner(stream)} is at work in it"
                raise UserError(what, "wait for it, or end it", 3) from None
            time.sleep(0.02)


def folder_holder(folder: str) -> str | None:
    """The holder of FOLDER/lock, in words; None when the lock is free."""
    try:
        with open(os.path.join(folder, "lock"), encoding="utf-8") as stream:
            try:
                fcntl.flock(stream, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except OSError:
                return _owner(stream)
    except OSError:
        return None
    return None


def me() -> str:
    """This process as JSON: its pid, its host, and the present time (UTC)."""
    return json.dumps(
        {
            "pid": os.getpid(),
            "host": socket.gethostname(),
            "since": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        }
    )


def _owner(stream: IO[str]) -> str:
    """The process that a lock's file names."""
    stream.seek(0)
    try:
        owner = json.loads(stream.read())
        return f"process {owner['pid']} on {owner['host']} (since {owner['since']})"
    except (ValueError, KeyError):
        return "another process"
