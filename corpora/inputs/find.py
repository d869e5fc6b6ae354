"""The input files of a source: found by globs and lists, named, and grouped into slices.

A file's name is all that its documents' ids and its place in the order depend on. It is the name
that the user gave the file, without the folder that it happens to lie in. So a folder may be moved
or renamed, and another folder, disk or bucket may be added, and no other file's name changes.

Which files form a slice depends on each file alone: a new file changes one slice and leaves all
others as they are. All names are held in memory.
"""

import hashlib
import os
from collections.abc import Iterator

from corpora.document import Part, Slice
from corpora.inputs import lists
from shards.errors import UserError
from shards.storage import files
from shards.storage.glob import glob, name_in

COMPRESSIONS = (".gz", ".zst", ".xz", ".bz2")

MAX_FILES_PER_SLICE = 10_000


def find(patterns: tuple[str, ...]) -> list[Part]:
    """Every file that the globs match and the lists (`@LIST`) name, once, sorted by name.

    `path` of each is its name: the last part of its address, with the folders that `**` stands for
    before it. Raises `UserError` if a pattern matches nothing, if two files have one name, or if
    two patterns name one file differently.
    """
    parts: dict[str, Part] = {}  # by address
    named_by: dict[str, str] = {}  # address -> the pattern that matched it first
    for pattern in patterns:
        for address, size in _matches(pattern):
            path = os.path.basename(address) if _is_list(pattern) else name_in(pattern, address)
            part = Part(address=address, path=path, size=size)
            first = parts.setdefault(address, part)
            if first.path != path:
                raise _two_names(first, named_by[address], part, pattern)
            named_by.setdefault(address, pattern)

    ordered = sorted(parts.values(), key=lambda part: (part.path, part.address))
    for one, other in zip(ordered, ordered[1:]):
        if one.path == other.path:
            raise _one_name(one, other, named_by[other.address])
    return ordered


def _matches(pattern: str) -> list[tuple[str, int]]:
    matches = lists.named(pattern[1:]) if _is_list(pattern) else glob(pattern)
    if not matches and not _is_list(pattern) and files.is_folder(pattern):
        raise UserError(
            f"{pattern}: no file in this folder",
            "name a folder with text; files whose name begins with a dot are not read",
        )
    if not matches and _is_list(pattern):
        raise UserError(f"{pattern}: an empty list", "write a path or an address on each line")
    if not matches:
        raise UserError(
            f"{pattern}: no file matches",
            "check the pattern; quote it in a shell; `**` crosses folders",
        )
    return matches


def _is_list(pattern: str) -> bool:
    return pattern.startswith("@")


def _two_names(first: Part, first_pattern: str, second: Part, second_pattern: str) -> UserError:
    """One file that two patterns name differently: which name came first must not decide its
    ids."""
    # In the same order, whatever the order of the patterns.
    told = sorted([(first.path, first_pattern), (second.path, second_pattern)])
    by_pattern = " and ".join(f"{path!r} by {pattern}" for path, pattern in told)
    return UserError(
        f"{first.address}: two inputs give this file different names: {by_pattern}",
        "leave out one of the two inputs; a file's name begins where `**` begins, "
        "else it is its last part",
    )


def _one_name(one: Part, other: Part, pattern: str) -> UserError:
    """Two files of one name: their documents would have the same ids."""
    what = (
        f"two input files have the same name, {one.path!r}, and ids are made of names: "
        f"{one.address} and {other.address}"
    )
    remedy = "rename one of them, or make a source of each folder"
    if not _is_list(pattern):
        remedy += (
            "; or write `**` where their names shall begin, so that the folders below it "
            'are part of the name: input = "FOLDER/**/*.jsonl"'
        )
    return UserError(what, remedy)


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
