"""Allows one writer in a home at a time.

A local home is locked by the operating system, which frees the lock when its process ends. On an
object store the lock is an object that names its owner; only a person can tell whether it is stale,
and two builds that start within the same moment may both get it.
"""

from collections.abc import Iterator
from contextlib import contextmanager, suppress

from pipelines.home.layout import Home
from shards.errors import UserError
from shards.storage import files
from shards.storage.lock import folder_holder, locked_folder, me


@contextmanager
def locked(home: Home) -> Iterator[None]:
    """Hold the home's lock for the block.

    Raises `UserError` (exit 3), which names the owner, when another process holds it.
    """
    with _locked_object(home) if files.is_remote(home.root) else locked_folder(home.root):
        yield


def holder(home: Home) -> str | None:
    """The owner of the home's lock; None when it is free.

    "process N on HOST (since ...)" for a local home, JSON with pid, host and since on a store.
    """
    if not files.is_remote(home.root):
        return folder_holder(home.root)
    if not files.exists(home.file("lock")):
        return None
    return files.read_bytes(home.file("lock")).decode() or None


@contextmanager
def _locked_object(home: Home) -> Iterator[None]:
    address = home.file("lock")
    owner = holder(home)
    if owner:
        raise UserError(
            f"{home.root}: locked by {owner}",
            f"when that process has ended, run: corpus clean {home.quoted} --lock",
            3,
        )

    files.write_bytes(address, me().encode())
    try:
        yield
    finally:
        # If the store is away, the error that ended the build has already said so, and the next
        # build names the lock.
        with suppress(UserError):
            files.remove(address)
