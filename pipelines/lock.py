"""One writer in a home. Locally a lock of the operating system, which ends with its process however that ends; on an
object store an object that says who, which only a person can call stale."""

import fcntl
import json
import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO

from pipelines.home import Home
from shards import files
from shards.config import UserError


@contextmanager
def locked(home: Home) -> Iterator[None]:
    """Hold the home's lock for the block. Raises `UserError` (exit 3) naming the owner when it is held."""
    if files.is_remote(home.root):
        with _advisory(home):
            yield
        return
    new = not os.path.isdir(home.root)
    os.makedirs(home.root, exist_ok=True)
    stream = _lock(home)
    with stream:
        stream.truncate(0)
        stream.write(_me())
        stream.flush()
        try:
            yield
        finally:
            stream.truncate(0)
            if os.listdir(home.root) == ["lock"]:  # refused before anything was written
                os.unlink(home.file("lock"))
                if new:
                    os.rmdir(home.root)


def _lock(home: Home) -> IO[str]:
    """The lock's file, locked. One that its last holder removed meanwhile is opened anew."""
    while True:
        stream = open(home.file("lock"), "a+", encoding="utf-8")
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if os.path.exists(home.file("lock")) and os.fstat(stream.fileno()).st_ino == os.stat(home.file("lock")).st_ino:
                return stream
            stream.close()
        except OSError:
            with stream:
                raise UserError(f"{home.root}: {_owner(stream)} is at work in this home", "wait for it, or end it", 3) from None


@contextmanager
def _advisory(home: Home) -> Iterator[None]:
    address = home.file("lock")
    if files.exists(address):
        content = files.read_bytes(address).decode()
        if content:
            raise UserError(f"{home.root}: locked by {content}", f"when that has ended: corpus clean {home.root} --lock", 3)
    files.write_bytes(address, _me().encode())
    try:
        yield
    finally:
        files.remove(address)


def _me() -> str:
    return json.dumps({"pid": os.getpid(), "host": socket.gethostname(), "since": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())})


def _owner(stream: IO[str]) -> str:
    stream.seek(0)
    try:
        found = json.loads(stream.read())
        return f"process {found['pid']} on {found['host']} (since {found['since']})"
    except (ValueError, KeyError):
        return "another process"
