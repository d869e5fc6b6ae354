"""Groups: slices of a source that follow one another, the unit of work of stage `near`.

Each part of the keys reads a file of every group, so their number decides how many reads there are.
No result depends on how slices are grouped.
"""

import hashlib
import itertools
import json
from collections.abc import Iterable
from dataclasses import dataclass
from operator import attrgetter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipelines.home.fingerprints import fingerprint
from pipelines.home.layout import NEAR, Home, recipe_key
from pipelines.home.summaries import Summary, bulk, ordered_slices
from pipelines.recipe import Recipe
from pipelines.stages.accounts import total
from shards.errors import UserError
from shards.storage import files

SIGNATURES = "signatures"

PAIRS = "pairs"

CANDIDATES = "candidates"

SCORES = "scores"

DECISION = "decision"

LONG_SIGNATURES = "long-signatures"

LONG_PAIRS = "long-pairs"

LONG_SCORES = "long-scores"

VERSION = 4

GROUPS = 256
"""About how many groups there are when there are many slices."""

LEAST_GROUP_BYTES = 1 << 22

MOST_GROUP_BYTES = 1 << 30

MOST_GROUP_DOCUMENTS = 250_000
"""Then a group is one segment, and its pairs, which are held at once, are few."""

Packed = NDArray[Any]
"""Records of several fields, packed."""

Form = np.dtype[Any]
"""The fields of packed records."""

RECORD = np.dtype([("key", "<u8"), ("row", "<u4"), ("order", "<u4")])
"""A document in a band: its row, counted through its group, and its crawl order."""

LONG_RECORD = np.dtype(
    [("key", "<u8"), ("row", "<u4"), ("order", "<u4"), ("next", "<u8"), ("long_runs", "<u2")]
)
"""A document of long runs in a table of its second signatures; `next` is its key in the next one,
`long_runs` in how many bands of its first signatures it is in a long run."""

EDGE = np.dtype([("later", "<u8"), ("earlier", "<u8"), ("jaccard", "<u4"), ("contained", "<u4")])
"""A verified pair of places (group's index << 32 | row), by survivor order. Similarities are in
billionths. `contained` is the share of the shorter document's shingles that the other holds;
`EARLIER_IS_CONTAINED` is set in `later` where the earlier one is the shorter."""

EARLIER_IS_CONTAINED = 1 << 63


@dataclass(frozen=True, kw_only=True)
class GroupTask:
    """A group of ingested slices. `index` is its place in the order of all groups; `recipe` is the
    `recipe_key` of the recipe it was planned by."""

    home: str
    recipe: str
    members: tuple[Summary, ...]
    index: int
    fingerprint: str

    @property
    def source(self) -> str:
        """The group's source."""
        return self.members[0].source

    @property
    def name(self) -> str:
        """That of its first slice."""
        return self.members[0].slice

    @property
    def key(self) -> tuple[str, int]:
        """The place of its first slice in the order of the source."""
        return self.members[0].key

    @property
    def size(self) -> int:
        """Bytes of text."""
        return total(self.members, "bytes")

    @property
    def documents(self) -> int:
        """How many documents it has."""
        return total(self.members, "documents")

    @property
    def inputs(self) -> tuple[str, ...]:
        """The digests of its documents' files."""
        return tuple(summary.output for summary in self.members)


def grouped(slices: list[Summary]) -> list[tuple[Summary, ...]]:
    """The slices, in order, as groups.

    A group ends where the hash of a slice's name says so, so that a new slice changes one group
    (and all of them once the text has doubled), and before it grows to twice the wanted size.
    """
    size = total(slices, "bytes")
    wanted = 1 << max(size // GROUPS, 1).bit_length() - 1
    # A power of two, so that a growing corpus changes it only now and then.
    wanted = min(max(wanted, LEAST_GROUP_BYTES), MOST_GROUP_BYTES)
    groups: list[tuple[Summary, ...]] = []

    for _, of_source in itertools.groupby(slices, key=attrgetter("source")):
        members: list[Summary] = []
        size = documents = 0
        for summary in of_source:
            size += summary.counts["bytes"]
            documents += summary.counts["documents"]
            if members and (size > 2 * wanted or documents > MOST_GROUP_DOCUMENTS):
                groups.append(tuple(members))
                members = []
                size, documents = summary.counts["bytes"], summary.counts["documents"]

            members.append(summary)
            # By a hash, as slices are cut: a new slice changes its own group and no other.
            if _ends_group(summary, wanted):
                groups.append(tuple(members))
                members = []
                size = documents = 0

        if members:
            groups.append(tuple(members))
    return groups


def _ends_group(summary: Summary, wanted: int) -> bool:
    """By the hash of the slice's name, with a chance of its share of the wanted size."""
    name = hashlib.blake2b(summary.slice.encode(), digest_size=4).digest()
    draw = int.from_bytes(name, "little")
    return draw * wanted < summary.counts["bytes"] << 32


def group_tasks(home: Home, recipe: Recipe, fingerprints: Iterable[str]) -> list[GroupTask]:
    """A task for each group of the home, in order, with its fingerprint."""
    key = recipe_key(recipe)
    groups = grouped(ordered_slices(home, recipe))
    return [
        GroupTask(home=home.root, recipe=key, members=members, index=index, fingerprint=wanted)
        for index, (members, wanted) in enumerate(zip(groups, fingerprints))
    ]


# --- the list of groups, which the later passes share


@dataclass(frozen=True)
class Listed:
    """A group as the later passes know it, by its index; `signed` of its documents are in the
    signatures."""

    source: str
    name: str
    documents: int
    signed: int


def write_list(home: Home, recipe: Recipe) -> str:
    """Write the groups in order, for the tasks of all later passes; returns a digest of the list
    and of the signatures. Raises `UserError` where a group is not signed."""
    listed, outputs, read = [], [], bulk(home)
    for members in grouped(ordered_slices(home, recipe)):
        source, name = members[0].source, members[0].slice
        signed = read(SIGNATURES, source, name)
        if signed is None or signed.inputs != tuple(summary.output for summary in members):
            raise UserError(
                f"{home.root}: {source}/{name} has no signatures", f"corpus dedup {home.quoted}"
            )
        listed.append([source, name, signed.counts["documents"], signed.counts["signed"]])
        outputs.append(signed.output)

    write_if_new(_list_address(home, PAIRS), json.dumps(listed).encode())
    return fingerprint(listed=listed, signatures=outputs, priority=list(recipe.dedup.priority))


def write_long_list(home: Home, listed: list[Listed]) -> None:
    """Write the groups with the numbers of their documents that get second signatures."""
    rows = [[group.source, group.name, group.documents, group.signed] for group in listed]
    write_if_new(_list_address(home, LONG_PAIRS), json.dumps(rows).encode())


def write_if_new(address: str, content: bytes) -> None:
    """Write a file, unless it has exactly this content."""
    try:
        if files.read_bytes(address) == content:
            return
    except FileNotFoundError:
        pass
    files.write_bytes(address, content)


def read_list(home: Home, of: str = PAIRS) -> list[Listed]:
    """The groups in order, with what is signed for `PAIRS` or for `LONG_PAIRS`."""
    return [Listed(*row) for row in json.loads(files.read_bytes(_list_address(home, of)))]


def _list_address(home: Home, of: str) -> str:
    return home.file("work", NEAR, "groups.json" if of == PAIRS else "long.json")


def priorities(recipe: Recipe, listed: list[Listed]) -> NDArray[np.uint64]:
    """(groups,) the first part of the survivor order."""
    return np.array(
        [recipe.dedup.priority.index(piece.source) << 56 for piece in listed], np.uint64
    )
