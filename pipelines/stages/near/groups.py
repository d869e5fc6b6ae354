"""TODO-DOC pipelines/stages/near/groups.py."""

import hashlib
import itertools
import json
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipelines.home.fingerprints import fingerprint
from pipelines.home.layout import Home
from pipelines.home.summaries import Summary, bulk, ordered_slices
from pipelines.recipe import Recipe
from shards.errors import UserError
from shards.storage import files

STAGE = "near"

SIGNATURES, PAIRS, CANDIDATES, SCORES, DECISION = (
    "signatures",
    "pairs",
    "candidates",
    "scores",
    "decision",
)

VERSION = 2

GROUPS = 256
"""About how many groups there are where there are many slices."""

LEAST_GROUP_BYTES = 1 << 22

MOST_GROUP_BYTES = 1 << 30

MOST_GROUP_DOCUMENTS = 250_000
"""So that a group is one segment, and its pairs, which are held at once, are few."""

RECORD = np.dtype([("key", "<u8"), ("row", "<u4"), ("order", "<u4")])
"""A document in a band: its row, counted through its group, and its `crawl_order`."""

EDGE = np.dtype([("later", "<u8"), ("earlier", "<u8"), ("jaccard", "<u4"), ("contained", "<u4")])
"""A verified pair of places (group's index << 32 | row), by survivor order. Similarities in
billionths; `contained`: the part of the one of fewer words that the other holds, with
`EARLIER_IS_CONTAINED` in `later` where that is the earlier one."""

EARLIER_IS_CONTAINED = 1 << 63


@dataclass(frozen=True, kw_only=True)
class Task:
    """A group of ingested slices; `fingerprint` of what is to be done to it; `index`: its place in
    the order of all groups. `recipe`: `recipe_key` of the plan's."""

    home: str
    recipe: str
    members: tuple[Summary, ...]
    index: int
    fingerprint: str
    stage: str = SIGNATURES

    @property
    def source(self) -> str:
        """The group's source."""
        return self.members[0].source

    @property
    def name(self) -> str:
        """That of its first slice."""
        return self.members[0].slice

    @property
    def size(self) -> int:
        """Bytes of text."""
        return sum(summary.counts["bytes"] for summary in self.members)

    @property
    def documents(self) -> int:
        """How many documents it has."""
        return sum(summary.counts["documents"] for summary in self.members)


def grouped(found: list[Summary]) -> list[tuple[Summary, ...]]:
    """The slices, in order, as groups. A group ends where the hash of a slice's name says so, so
    that a new slice makes one group anew (and all of them once the text has doubled), and before it
    grows to twice what is wanted."""
    total = sum(summary.counts["bytes"] for summary in found)
    wanted = min(
        max(1 << max(total // GROUPS, 1).bit_length() - 1, LEAST_GROUP_BYTES), MOST_GROUP_BYTES
    )
    groups: list[tuple[Summary, ...]] = []
    for _, of_source in itertools.groupby(found, key=lambda summary: summary.source):
        held: list[Summary] = []
        size = documents = 0
        for summary in of_source:
            if held and (
                size + summary.counts["bytes"] > 2 * wanted
                or documents + summary.counts["documents"] > MOST_GROUP_DOCUMENTS
            ):
                groups.append(tuple(held))
                held, size, documents = [], 0, 0
            held.append(summary)
            size, documents = (
                size + summary.counts["bytes"],
                documents + summary.counts["documents"],
            )
            draw = int.from_bytes(
                hashlib.blake2b(summary.slice.encode(), digest_size=4).digest(), "little"
            )
            if draw * wanted < summary.counts["bytes"] << 32:
                groups.append(tuple(held))
                held, size, documents = [], 0, 0
        if held:
            groups.append(tuple(held))
    return groups


def group_summary(task: Task, written: files.Output, counts: dict[str, int]) -> Summary:
    """The summary of what a step made of a group."""
    return Summary(
        stage=task.stage,
        source=task.source,
        slice=task.name,
        path=task.members[0].path,
        start=task.members[0].start,
        fingerprint=task.fingerprint,
        output=written.digest,
        output_bytes=written.bytes,
        counts=counts,
        inputs=tuple(summary.output for summary in task.members),
    )


# --- the list of groups, which the later steps share
# ---------------------------------------------------------------


@dataclass(frozen=True)
class Listed:
    """A group as the later steps know it, by its index."""

    source: str
    name: str
    documents: int
    signed: int


def write_list(home: Home, recipe: Recipe) -> str:
    """Write the groups in order for all tasks of the later steps; a digest of it and of the
    signatures."""
    listed, outputs, read = [], [], bulk(home)
    for members in grouped(ordered_slices(home, recipe)):
        source, name = members[0].source, members[0].slice
        signed = read(SIGNATURES, source, name)
        if signed is None or signed.inputs != tuple(summary.output for summary in members):
            raise UserError(
                f"{home.root}: {source}/{name} is not signed", f"corpus dedup {home.root}"
            )
        listed.append([source, name, signed.counts["documents"], signed.counts["signed"]])
        outputs.append(signed.output)
    write_if_new(home.file("work", STAGE, "groups.json"), json.dumps(listed).encode())
    return fingerprint(listed=listed, signatures=outputs, priority=list(recipe.dedup.priority))


def write_if_new(address: str, content: bytes) -> None:
    """Leave a file alone that holds just this."""
    try:
        if files.read_bytes(address) == content:
            return
    except FileNotFoundError:
        pass
    files.write_bytes(address, content)


def read_list(home: Home) -> list[Listed]:
    """The groups in order."""
    return [
        Listed(*row)
        for row in json.loads(files.read_bytes(home.file("work", STAGE, "groups.json")))
    ]


def priorities(recipe: Recipe, listed: list[Listed]) -> NDArray[np.uint64]:
    """(groups,) the first part of the survivor order."""
    return np.array(
        [recipe.dedup.priority.index(piece.source) << 56 for piece in listed], np.uint64
    )
