"""One writer in a folder of this machine: a lock of the operating system, which ends with its
process however that ends."""

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
    """Hold FOLDER/lock for the block. The folder is made where it is not; where nothing but the
    lock is in it at the end, both go again. Raises `UserError` (exit 3): another process holds it,
    which is named."""
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
    path = os.path.join(folder, "lock")
    while True:
        os.makedirs(folder, exist_ok=True)
        with open(path, "a+", encoding="utf-8") as stream:
            for attempt in range(GLANCES):
                try:
                    fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                except OSError:
                    if attempt == GLANCES - 1:
                        raise UserError(
                            f"{folder}: {_owner(stream)} is at work in it",
                            "wait for it, or end it",
                            3,
                        ) from None
                    time.sleep(0.02)
            if os.path.exists(path) and os.path.samestat(os.fstat(stream.fileno()), os.stat(path)):
                yield stream
                return

        # The one before removed the file between our opening and our locking it.


def folder_holder(folder: str) -> str | None:
    """Who holds FOLDER/lock, None where nobody does."""
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
    """This process as JSON: pid, host, since when."""
    return json.dumps(
        {
            "pid": os.getpid(),
            "host": socket.gethostname(),
            "since": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        }
    )


def _owner(stream: IO[str]) -> str:
    stream.seek(0)
    try:
        found = json.loads(stream.read())
        return f"process {found['pid']} on {found['host']} (since {found['since']})"
    except (ValueError, KeyError):
        return "another process"
