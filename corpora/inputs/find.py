"""The input files of a source: found by globs and lists, and grouped into slices.

Files are sorted by their path below the folder that all of them share, so the order does not depend
on where the folder is. Which files form a slice depends on each file alone: a new file changes one
slice and leaves all others as they are. All paths are held in memory.
"""

import hashlib
import os
from collections.abc import Iterator

from corpora.document import Part, Slice
from corpora.inputs import lists
from shards.errors import UserError
from shards.storage import files
from shards.storage.glob import fixed_part, glob

COMPRESSIONS = (".gz", ".zst", ".xz", ".bz2")

MAX_FILES_PER_SLICE = 10_000


def find(patterns: tuple[str, ...]) -> list[Part]:
    """Every file that the globs match and the lists (`@LIST`) name, once, sorted by its path below
    the folder that all of them share.

    Raises `UserError` if a pattern matches nothing.
    """
    sizes: dict[str, int] = {}
    folders: dict[str, list[str]] = {}  # by server; that of this machine is ""
    for pattern in patterns:
        matches = lists.named(pattern[1:]) if pattern.startswith("@") else glob(pattern)
        if not matches:
            raise UserError(
                f"{pattern}: no file matches",
                "check the pattern; quote it in a shell; `**` crosses folders",
            )
        sizes.update(matches)
        for folder in _folders(pattern, [address for address, _ in matches]):
            folders.setdefault(_server(folder), []).append(folder)

    shared = _shared_parts(folders)
    parts = []
    for address, size in sizes.items():
        path = address.removeprefix(shared[_server(address)]).lstrip("/")
        parts.append(Part(address=address, path=path, size=size))
    return sorted(parts, key=lambda part: part.path)


def _folders(pattern: str, addresses: list[str]) -> list[str]:
    """The folders below which the paths of a pattern's files begin."""
    if pattern.startswith("@"):
        return [os.path.dirname(address) for address in addresses]
    base = fixed_part(pattern)
    return [base if files.is_folder(base) else os.path.dirname(base)]


def _server(address: str) -> str:
    """Scheme and host or bucket of a remote address, "" for a local one."""
    return "/".join(address.split("/", 3)[:3]) if files.is_remote(address) else ""


def _shared_parts(folders: dict[str, list[str]]) -> dict[str, str]:
    """For each server the beginning of its addresses that is not part of a path."""
    shared = {server: _common(server, named) for server, named in folders.items()}
    if len(shared) > 1:
        # Two servers may hold files of the same name, so the host stays in the path, but without a
        # user's name and password.
        for server in filter(None, shared):
            host = server.rfind("@") + 1 or server.index("://") + 3
            shared[server] = server[:host]
    return shared


def _common(server: str, folders: list[str]) -> str:
    """The folder above all of `folders`, which are on one server."""
    if len(set(folders)) == 1:
        return folders[0]
    if not server:
        return os.path.commonpath(folders)
    return server + os.path.commonpath([folder.removeprefix(server) or "/" for folder in folders])


def group(parts: list[Part], slice_bytes: int) -> Iterator[Slice]:
    """Slices of about `slice_bytes`.

    A hash of the file's path decides whether a slice ends after it, with a chance of the file's
    share of `slice_bytes`. This depends on the file alone, so a new file changes only the slice
    that it becomes part of.
    """
    members: list[Part] = []
    for part in parts:
        members.append(part)
        if _ends_slice(part, slice_bytes) or len(members) == MAX_FILES_PER_SLICE:
            yield Slice(parts=tuple(members))
            members = []
    if members:
        yield Slice(parts=tuple(members))


def _ends_slice(part: Part, slice_bytes: int) -> bool:
    name = f"{part.path}\n{part.start}".encode("utf-8", "surrogatepass")
    draw = int.from_bytes(hashlib.blake2b(name, digest_size=8).digest(), "big")
    size = part.size if part.share is None else part.share
    return draw < size / slice_bytes * 2**64


def kind_of(path: str) -> tuple[str, str]:
    """(format, compression) by the endings of the name, in lower case; "" for one that is
    missing."""
    stem, last = os.path.splitext(path.lower())
    if last in COMPRESSIONS:
        return os.path.splitext(stem)[1], last
    return last, ""
