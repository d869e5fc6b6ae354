"""One writer in a home: locally a lock of the operating system; on an object store an object that
says who, which only a person can call stale."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress

from pipelines.home.layout import Home
from shards.errors import UserError
from shards.storage import files
from shards.storage.lock import folder_holder, locked_folder, me


@contextmanager
def locked(home: Home) -> Iterator[None]:
    """Hold the home's lock for the block. Raises `UserError` (exit 3) naming the owner when it is
    held."""
    with _advisory(home) if files.is_remote(home.root) else locked_folder(home.root):
        yield


def holder(home: Home) -> str | None:
    """Who is at work in the home: "process N on HOST (since ...)"; None: nobody."""
    if not files.is_remote(home.root):
        return folder_holder(home.root)
    return (
        files.read_bytes(home.file("lock")).decode() or None
        if files.exists(home.file("lock"))
        else None
    )


@contextmanager
def _advisory(home: Home) -> Iterator[None]:
    address = home.file("lock")
    if files.exists(address):
        content = files.read_bytes(address).decode()
        if content:
            raise UserError(
                f"{home.root}: locked by {content}",
                f"when that has ended: corpus clean {home.root} --lock",
                3,
            )
    files.write_bytes(address, me().encode())
    try:
        yield
    finally:
        with suppress(
            UserError
        ):  # the store is gone: what ended the build has said so, and the next one names the lock
            files.remove(address)
