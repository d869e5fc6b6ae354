"""TODO-DOC corpora/inputs/find.py."""

import hashlib
import os
from collections.abc import Iterator

from corpora.document import Part, Slice
from corpora.inputs import lists
from shards.errors import UserError
from shards.storage import files
from shards.storage.glob import fixed_part, glob

COMPRESSIONS = (".gz", ".zst", ".xz", ".bz2")

MAX_FILES_A_SLICE = 10_000


def find(patterns: tuple[str, ...]) -> list[Part]:
    """Every file that the globs match and the lists (`@LIST`) name, once, sorted by its path below
    their common fixed part.

    Raises `UserError` when a pattern matches nothing.
    """
    found: dict[str, int] = {}
    folders: dict[str, list[str]] = {}  # by server; this machine is ""
    for pattern in patterns:
        matches = lists.named(pattern[1:]) if pattern.startswith("@") else glob(pattern)
        if not matches:
            raise UserError(
                f"{pattern}: no file matches",
                "check the pattern; quote it in a shell; `**` crosses folders",
            )
        found.update(matches)
        if pattern.startswith("@"):
            named = [os.path.dirname(address) for address, _ in matches]
        else:
            base = fixed_part(pattern)
            named = [base if files.is_folder(base) else os.path.dirname(base)]
        for folder in named:
            folders.setdefault(_server(folder), []).append(folder)
    common = {server: _common(server, named) for server, named in folders.items()}
    if (
        len(common) > 1
        # two servers may hold files of one name: the host stays in the path, without a user's name or
        # password
    ):
        common = {
            server: server and server[: server.rfind("@") + 1 or server.index("://") + 3] or base
            for server, base in common.items()
        }
    parts = [
        Part(
            address=address,
            path=address.removeprefix(common[_server(address)]).lstrip("/"),
            size=size,
        )
        for address, size in found.items()
    ]
    return sorted(parts, key=lambda part: part.path)


def _server(address: str) -> str:
    """Scheme and host or bucket of a remote address, "" of a local one."""
    return "/".join(address.split("/", 3)[:3]) if files.is_remote(address) else ""


def _common(server: str, folders: list[str]) -> str:
    """The folder above all of `folders`, which lie on one server."""
    if len(set(folders)) == 1:
        return folders[0]
    return (
        server + os.path.commonpath([folder.removeprefix(server) or "/" for folder in folders])
        if server
        else os.path.commonpath(folders)
    )


def group(parts: list[Part], slice_bytes: int) -> Iterator[Slice]:
    """Slices of about `slice_bytes`. A group ends after a file whose path's hash says so, with a
    chance of its share of a slice: that depends on the file alone, so that a new file changes the
    one group it falls into."""
    held: list[Part] = []
    for part in parts:
        held.append(part)
        size = part.size if part.share is None else part.share
        chance = int.from_bytes(
            hashlib.blake2b(
                f"{part.path}\n{part.start}".encode("utf-8", "surrogatepass"), digest_size=8
            ).digest(),
            "big",
        )
        if chance < size / slice_bytes * 2**64 or len(held) == MAX_FILES_A_SLICE:
            yield Slice(parts=tuple(held))
            held = []
    if held:
        yield Slice(parts=tuple(held))


def kind_of(path: str) -> tuple[str, str]:
    """(format, compression) by the name's endings, lower-cased; "" for what is not there."""
    stem, last = os.path.splitext(path.lower())
    if last in COMPRESSIONS:
        return os.path.splitext(stem)[1], last
    return last, ""
