"""Stage `hosts`: no host has more than `max_per_host` documents of a source.

Of the documents that the stages before keep, those with the lowest draws stay; a draw depends on
the seed and the id alone. Documents without an address have no host, and all stay.

Law 1: what meets by host is a packed record of 24 bytes, at most one per document. A slice sends no
more than `max_per_host` records of a host, so a host of millions of pages costs no memory.
"""

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from corpora.text.urls import host_of
from pipelines.chance import chance
from pipelines.home.decisions import attribute_digests, kept_rows
from pipelines.home.documents import row_groups, write_attributes
from pipelines.home.fingerprints import fingerprint
from pipelines.home.layout import HOSTS, INGEST, Home, recipe_key, task_home
from pipelines.home.summaries import SliceTask, Summary, ordered_slices, prune, summaries
from pipelines.recipe import Recipe
from pipelines.stages.accounts import check, total
from pipelines.stages.job import Job
from pipelines.stages.stage import Exchange, Result, Stage, Work, run_task
from pipelines.wording import several
from shards.storage import files

VERSION = 1

TOO_MANY_OF_HOST = "too_many_of_host"
"""The reason of a removal, and the kind in the attributes."""

PARTITION_RECORDS = 2_000_000
"""About how many records meet in one group: 48 MB."""

RECORD = np.dtype([("host", "<u8"), ("draw", "<u8"), ("slice", "<u4"), ("row", "<u4")])
"""What crosses the shuffle: a hash of source and host, the draw of the document, and where it is.
A block of them begins with `max_per_host` of its source, in 8 bytes."""

Records = NDArray[np.void]


@dataclass(frozen=True, kw_only=True)
class Task(SliceTask):
    """One ingested slice of a source with `max_per_host`. `index` is its place in their order;
    `partitions` says into how many the hosts are divided."""

    index: int
    partitions: int


def plan(home: Home, recipe: Recipe) -> list[Task]:
    """The tasks of the slices whose sources have `max_per_host`; removes the files of others."""
    slices = [
        summary
        for summary in ordered_slices(home, recipe)
        if recipe.sources[summary.source].max_per_host
    ]
    prune(home, HOSTS, {(one.source, one.slice) for one in slices}, (f"attributes/{HOSTS}",))

    partitions = total(slices, "documents") // PARTITION_RECORDS + 1
    key = recipe_key(recipe)
    return [
        Task(
            home=home.root,
            recipe=key,
            ingested=summary,
            fingerprint="",  # of what is removed, which is not known yet
            index=index,
            partitions=partitions,
        )
        for index, summary in enumerate(slices)
    ]


def task_index(task: Task) -> int:
    """The slice's place among the tasks."""
    return task.index


def blocks(task: Task) -> Iterator[tuple[int, bytes]]:
    """(partition, packed `RECORD`s) of the documents of a slice that may stay."""
    home, recipe = task_home(task)
    most = recipe.sources[task.source].max_per_host
    # What a slice alone has too much of cannot be among the lowest of all slices.
    candidates = _lowest(_with_hosts(home, recipe, task), most)

    partitions = candidates["host"] % np.uint64(task.partitions)
    for number in np.unique(partitions).tolist():
        chosen = candidates[partitions == number]
        yield number, most.to_bytes(8, "little") + chosen.tobytes()


def _with_hosts(home: Home, recipe: Recipe, task: Task) -> Records:
    """`RECORD`s of the documents of a slice that the stages before keep and that have a host."""
    kept = kept_rows(home, recipe, task.ingested, before=HOSTS)
    parts: list[Records] = [np.zeros(0, RECORD)]
    for first, table in row_groups(home, task.ingested, ("id", "url")):
        ids, urls = table.column("id").to_pylist(), table.column("url").to_pylist()
        rows = []
        for number in np.flatnonzero(kept[first : first + table.num_rows]).tolist():
            host = host_of(urls[number]) if urls[number] else ""
            if host:
                draw = chance(recipe.seed, "host", ids[number])
                rows.append((_hash(task.source, host), draw, task.index, first + number))
        parts.append(np.array(rows, RECORD))
    return np.concatenate(parts)


def _hash(source: str, host: str) -> int:
    """8 bytes of a host: each source has its own."""
    name = f"{source}\n{host}".encode("utf-8", "surrogatepass")
    return int.from_bytes(hashlib.blake2b(name, digest_size=8).digest(), "little")


def _lowest(records: Records, most: int | NDArray[np.int64]) -> Records:
    """Of each host the records with the lowest draws, at most `most` of it (one number, or one for
    each record)."""
    places = (records["row"], records["slice"], records["draw"], records["host"])
    order = np.lexsort(places)
    records = records[order]
    limit = most if isinstance(most, int) else most[order]

    numbers = np.arange(len(records))
    is_first = np.ones(len(records), np.bool_)
    is_first[1:] = records["host"][1:] != records["host"][:-1]
    begins = np.maximum.accumulate(np.where(is_first, numbers, 0))
    lowest: Records = records[numbers - begins < limit]
    return lowest


def decide(packed: Iterable[bytes]) -> Iterator[tuple[int, bytes]]:
    """(slice, rows as u4) of the documents that stay, from all blocks of one partition."""
    parts: list[Records] = [np.zeros(0, RECORD)]
    limits = [np.zeros(0, np.int64)]
    for block in packed:
        parts.append(np.frombuffer(block, RECORD, offset=8))
        most = int.from_bytes(block[:8], "little")
        limits.append(np.full(len(parts[-1]), most, np.int64))

    stay = _lowest(np.concatenate(parts), np.concatenate(limits))
    for index in np.unique(stay["slice"]).tolist():
        yield index, stay["row"][stay["slice"] == index].tobytes()


def pass_on(task: Task, packed: list[bytes]) -> Iterator[tuple[int, bytes]]:
    """The rows as they came: they name no other document."""
    if packed:
        yield task.index, b"".join(packed)


@dataclass(frozen=True, kw_only=True)
class MarkTask(SliceTask):
    """One slice, and which rows of it are removed, sorted. `before` holds the `attribute_digests`
    of the stages before."""

    removed: bytes
    before: tuple[str, ...]


def apply(task: Task, packed: list[bytes]) -> Summary:
    """Write the attributes of a slice from the rows that stay."""
    home, recipe = task_home(task)
    stay = np.frombuffer(b"".join(packed), "<u4")
    with_host = _with_hosts(home, recipe, task)["row"]
    removed = np.setdiff1d(with_host, stay)

    before = attribute_digests(home, recipe, task.ingested, before=HOSTS)
    documents = task.ingested.output
    decided = hashlib.blake2b(removed.tobytes(), digest_size=16).hexdigest()
    wanted = fingerprint(stage=VERSION, documents=documents, before=before, removed=decided)
    mark_task = MarkTask(
        home=task.home,
        recipe=task.recipe,
        ingested=task.ingested,
        fingerprint=wanted,
        removed=removed.tobytes(),
        before=tuple(before),
    )
    return run_task(MARK, mark_task)


def attributes_address(home: Home, recipe: Recipe, task: MarkTask) -> str:
    """Where the attributes of a slice are stored."""
    return home.attributes(HOSTS, task.source, task.name)


def mark(home: Home, recipe: Recipe, task: MarkTask, output: files.Output) -> Result:
    """Write, for each document of a slice, why it is removed, or null."""
    removed = set(np.frombuffer(task.removed, "<u4").tolist())
    ids: list[str] = []
    for _, table in row_groups(home, task.ingested, ("id",)):
        ids += table.column("id").to_pylist()

    kinds = [TOO_MANY_OF_HOST if row in removed else None for row in range(len(ids))]
    columns = [
        pa.array(ids, pa.string()),
        pa.nulls(len(ids), pa.string()),
        pa.nulls(len(ids), pa.float64()),
        pa.array(kinds, pa.string()),
    ]
    write_attributes(output, columns, task.ingested.output)
    return Result(
        counts={"documents": len(ids), "removed": len(removed)},
        inputs=(task.ingested.output, *task.before),
    )


MARK = Work(name=HOSTS, address=attributes_address, work=mark)

MEET = Exchange(
    name=HOSTS,
    plan=plan,
    index=task_index,
    blocks=blocks,
    decide=decide,
    answer=pass_on,
    apply=apply,
    label="Hosts",
)


def is_wanted(recipe: Recipe) -> bool:
    """True where any source has `max_per_host`."""
    return any(options.max_per_host for options in recipe.sources.values())


def account(job: Job) -> None:
    """Check that every document was looked at; say how many are removed."""
    for name, options in job.recipe.sources.items():
        if not options.max_per_host:
            continue
        found = summaries(job.home, HOSTS, name)
        documents, removed = total(found, "documents"), total(found, "removed")
        check(
            f"{name}: documents", total(summaries(job.home, INGEST, name), "documents"), documents
        )
        job.say(
            f"hosts {name}: {removed:,} of {several(documents, 'document')} are more than "
            f"{options.max_per_host:,} of a host"
        )


STAGE = Stage(
    name=HOSTS,
    transform="LimitHosts",
    passes=(MEET,),
    wanted=is_wanted,
    account=account,
)
