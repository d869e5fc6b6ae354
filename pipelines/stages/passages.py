"""Stage `passages`: paragraphs and lines that occur in several documents, such as licence texts,
notices of cookies and signatures.

A passage is a line of a text, a paragraph of several lines between blank ones, or three sentences
in a row of a longer line. Two are equal when they differ only in case and white space. The first
document that has it, in survivor order, keeps it; where the source asks for it, the others lose it.
What is left is what `near` compares and what is encoded and exported; a document with too little
left is removed. So a document is compared by the text of its own, and not by a licence that stands
above it.

    passage-keys     per slice: a record of each passage, and the ids of the documents
    passage-counts   per part of the keys: which are repeated, how often, and where first
    passages         per slice: the spans, by document

Law 1: no text leaves its slice. What passes from worker to worker are records of 20 and 24 bytes in
files below `work/`, partitioned by key or by slice and read by ranges. Memory is a part of the
keys, and the repeated passages of one slice. Keys have 96 bits: two of ten thousand million
passages are taken for one with a chance below one in a hundred million.
"""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from corpora.text.normalise import exact_digest
from pipelines.home.cuts import cut
from pipelines.home.decisions import attribute_digests, kept_rows
from pipelines.home.documents import ATTRIBUTE_SCHEMA, documents_metadata, row_groups
from pipelines.home.fingerprints import fingerprint, package_versions
from pipelines.home.layout import INGEST, PASSAGES, Home, recipe_key
from pipelines.home.summaries import (
    SliceTask,
    Summary,
    bulk,
    ordered_slices,
    prune,
    summaries,
)
from pipelines.progress.ticks import tick
from pipelines.recipe import Recipe
from pipelines.stages.accounts import check, check_disk, total
from pipelines.stages.job import Job
from pipelines.stages.near.groups import Packed, write_if_new
from pipelines.stages.near.signatures import survivor_order
from pipelines.stages.stage import Pass, Result, Stage
from pipelines.wording import several
from shards.errors import UserError
from shards.storage import files

VERSION = 1

KEYS = "passage-keys"

COUNTS = "passage-counts"

RECORD = np.dtype([("key", "<u8"), ("rest", "<u4"), ("order", "<u4"), ("row", "<u4")])
"""A passage of a document: its digest, and the document's survivor order and row."""

REPEATED = np.dtype([("key", "<u8"), ("first", "<u8"), ("row", "<u4"), ("documents", "<u4")])
"""A repeated passage of a document: `first` is the place (slice << 32 | row) of the first document
that has it, `documents` how many have it."""

PART_RECORDS = 4_000_000
"""About how many records meet in one task: 400 MB while they are sorted."""

SpanRow = dict[str, Any]
"""A repeated passage of a document, by the names of its columns."""

TOO_LITTLE_LEFT = "too_little_left"
"""The reason of a document that loses so much that it is removed."""

SCHEMA = ATTRIBUTE_SCHEMA.append(
    pa.field(
        "passages",
        pa.list_(
            pa.struct(
                [
                    ("begin", pa.int32()),
                    ("end", pa.int32()),
                    ("documents", pa.int32()),
                    ("first", pa.string()),
                    ("cut", pa.bool_()),
                ]
            )
        ),
    )
)
"""Of each document: `kind` is the reason of its removal or null, `twin` and `score` are null, and
`passages` its repeated ones in order: where they begin and end in its text, in characters, how many
documents have them, the id of the first, and whether it is cut out of this one."""


_SENTENCE_END = re.compile(r"(?<=[.!?\u3002\uff01\uff1f])\s+")

SENTENCES = 3
"""Sentences of a line that are compared together, as in C4 (Raffel et al. 2020, section 2.2)."""


@dataclass(frozen=True)
class Passage:
    """A part of a text: where it begins and ends, in characters, and the place of its content: 8
    and 4 bytes of its digest."""

    begin: int
    end: int
    key: int
    rest: int


def find_passages(text: str, least_words: int) -> list[Passage]:
    """The paragraphs of several lines, the lines, and the threes of sentences of a text, each with
    at least so many words. A paragraph stands before its lines, a line before its sentences; line
    ends belong to them."""
    found = []
    for begin, end in _parts(text):
        passage = text[begin:end]
        if words_in(passage) >= least_words:
            digest = exact_digest(passage)
            key, rest = (int.from_bytes(part, "little") for part in (digest[:8], digest[8:12]))
            found.append(Passage(begin, end, key, rest))
    return found


def _parts(text: str) -> Iterator[tuple[int, int]]:
    """Where the paragraphs, lines and sentences of a text begin and end."""
    paragraph: list[tuple[int, int]] = []
    at = 0
    # A blank line after the last one closes the last paragraph.
    for line in [*text.split("\n"), ""]:
        end = min(at + len(line) + 1, len(text))
        if line.strip():
            paragraph.append((at, end))
        elif paragraph:
            if len(paragraph) > 1:
                yield paragraph[0][0], end
            for begin, stop in paragraph:
                yield begin, stop
                yield from _sentences(text, begin, stop)
            paragraph = []
        at = end


def _sentences(text: str, begin: int, end: int) -> Iterator[tuple[int, int]]:
    """Where every `SENTENCES` sentences in a row begin and end, of a line that has more."""
    edges = [begin, *(match.end() for match in _SENTENCE_END.finditer(text, begin, end))]
    edges = [edge for edge in edges if edge < end] + [end]
    if len(edges) - 1 > SENTENCES:
        yield from zip(edges, edges[SENTENCES:])


def words_in(text: str) -> int:
    """The words of a text, as near-duplicates are counted in."""
    from pipelines.stages.near import kernels
    from pipelines.stages.near.word_table import word_table

    content = np.frombuffer(text.encode(), np.uint8)
    hashes = np.empty(len(content) // 2 + 3, np.uint64)
    words = kernels.hash_words(content, word_table(), hashes)
    return int(words) - int(kernels.spare_letters(content, word_table()))


def _compared(recipe: Recipe, slices: list[Summary]) -> list[Summary]:
    """The slices of the sources whose passages are compared, in order."""
    return [summary for summary in slices if recipe.sources[summary.source].dedup.passages != "off"]


# --- the first pass: the passages of each slice


@dataclass(frozen=True, kw_only=True)
class Task(SliceTask):
    """One ingested slice. `before` holds the `attribute_digests` of the stages before."""

    before: tuple[str, ...]


def plan(home: Home, recipe: Recipe) -> list[Task]:
    """The slices whose passages are compared; removes the files of others."""
    slices = _compared(recipe, ordered_slices(home, recipe))
    wanted = {(summary.source, summary.slice) for summary in slices}
    prune(home, KEYS, wanted, (f"work/{KEYS}",))
    prune(home, PASSAGES, wanted, (f"attributes/{PASSAGES}",))
    return _tasks(home, recipe, slices, {"words": recipe.dedup.passage_words})


def _tasks(
    home: Home, recipe: Recipe, slices: list[Summary], settings: dict[str, object]
) -> list[Task]:
    read, key = bulk(home), recipe_key(recipe)

    def digests_before(summary: Summary) -> list[str]:
        return attribute_digests(home, recipe, summary, before=PASSAGES, read=read)

    tasks = []
    for summary, before in zip(slices, files.each(home.root, digests_before, slices)):
        wanted = fingerprint(
            stage=VERSION,
            packages=package_versions("tokenizers"),
            documents=summary.output,
            before=before,
            keep=recipe.dedup.keep,
            **settings,
        )
        task = Task(
            home=home.root, recipe=key, ingested=summary, fingerprint=wanted, before=tuple(before)
        )
        tasks.append(task)
    return tasks


def keys_address(home: Home, recipe: Recipe, task: SliceTask) -> str:
    """Where the passages of a slice are stored."""
    return home.work(KEYS, task.source, f"{task.name}.bin")


def write_keys(home: Home, recipe: Recipe, task: Task, output: files.Output) -> Result:
    """Write the passages of a slice.

    The file is `RECORD`s, each passage of a document once, by the top 8 bits of their keys; the
    ids of all D documents, 16 bytes each; where each top byte begins, (257,) uint64; and D.
    """
    kept = kept_rows(home, recipe, task.ingested, before=PASSAGES)
    parts: list[Packed] = [np.zeros(0, RECORD)]
    ids = []

    for first, table in row_groups(home, task.ingested, ("id", "text", "crawled")):
        ids += [bytes.fromhex(identity) for identity in table.column("id").to_pylist()]
        texts = table.column("text").to_pylist()
        lengths = np.array([len(text.encode()) for text in texts], np.int64)
        order = survivor_order(table.column("crawled"), lengths, recipe).tolist()
        rows = []
        for number in np.flatnonzero(kept[first : first + table.num_rows]).tolist():
            passages = find_passages(texts[number], recipe.dedup.passage_words)
            for key, rest in {(passage.key, passage.rest) for passage in passages}:
                rows.append((key, rest, order[number], first + number))
        parts.append(np.array(rows, RECORD))
        done = first + table.num_rows
        tick(done, task.size * done // max(task.ingested.counts["documents"], 1))

    records = np.concatenate(parts)
    records = records[np.lexsort((records["row"], records["rest"], records["key"]))]
    tops = records["key"] >> np.uint64(56)
    output.write(records.tobytes())
    output.write(b"".join(ids))
    output.write(np.searchsorted(tops, np.arange(257)).astype(np.uint64).tobytes())
    output.write(len(ids).to_bytes(8, "little"))
    counts = {"documents": len(ids), "records": len(records)}
    return Result(counts=counts, inputs=(task.ingested.output, *task.before))


WRITE_KEYS = Pass(name=KEYS, plan=plan, address=keys_address, work=write_keys, label="Keys")


def _read_part(address: str, part: int, parts: int) -> Packed:
    """The `RECORD`s of a slice in one part of the keys."""
    with files.open_ranges(address) as stream:
        size = stream.size()
        bounds = np.frombuffer(stream.read_at(257 * 8, size - 8 - 257 * 8), np.uint64)
        begin = int(bounds[256 * part // parts])
        end = int(bounds[256 * (part + 1) // parts])
        content = stream.read_at((end - begin) * RECORD.itemsize, begin * RECORD.itemsize)
        return np.frombuffer(content, RECORD)


def _read_ids(address: str) -> NDArray[np.bytes_]:
    """(D,) the ids of a slice's documents."""
    with files.open_ranges(address) as stream:
        size = stream.size()
        documents = int.from_bytes(stream.read_at(8, size - 8), "little")
        begin = size - 8 - 257 * 8 - documents * 16
        return np.frombuffer(stream.read_at(documents * 16, begin), "S16")


# --- the second pass: equal passages meet


@dataclass(frozen=True, kw_only=True)
class CountTask:
    """The part `part` of `parts` of the keys, by their top bits. `recipe` is the `recipe_key` of
    the recipe it was planned by."""

    home: str
    recipe: str
    part: int
    parts: int
    size: int
    fingerprint: str
    source: str = "all"

    @property
    def name(self) -> str:
        """Of its file and summary."""
        return f"{self.part:03d}-of-{self.parts:03d}"

    @property
    def key(self) -> tuple[str, int]:
        """Its name stands for its place."""
        return self.name, 0


def plan_counts(home: Home, recipe: Recipe) -> list[CountTask]:
    """A task for each part of the keys."""
    slices = _compared(recipe, ordered_slices(home, recipe))
    listed = [[summary.source, summary.slice] for summary in slices]
    write_if_new(home.file("work", PASSAGES, "slices.json"), json.dumps(listed).encode())

    written = _of_slices(home, KEYS, slices)
    wanted = fingerprint(
        stage=VERSION,
        slices=listed,
        keys=[summary.output for summary in written],
        priority=list(recipe.dedup.priority),
        documents=recipe.dedup.passage_documents,
    )
    records = total(written, "records")
    parts = 1
    while parts * PART_RECORDS < records and parts < 256:
        parts *= 2

    key = recipe_key(recipe)
    size = records * RECORD.itemsize // parts
    tasks = [
        CountTask(home=home.root, recipe=key, part=part, parts=parts, size=size, fingerprint=wanted)
        for part in range(parts)
    ]
    prune(home, COUNTS, {("all", task.name) for task in tasks}, (f"work/{COUNTS}",))
    return tasks


def _of_slices(home: Home, stage: str, slices: list[Summary]) -> list[Summary]:
    """The summaries that a pass wrote of these slices, in their order. Raises `UserError`."""
    read = bulk(home)
    found = []
    for ingested in slices:
        summary = read(stage, ingested.source, ingested.slice)
        if summary is None:
            raise UserError(f"{home.root}: passages are not compared", home.build_command)
        found.append(summary)
    return found


def _listed_slices(home: Home) -> list[tuple[str, str]]:
    """(source, slice) of those whose passages are compared, in order."""
    content = json.loads(files.read_bytes(home.file("work", PASSAGES, "slices.json")))
    return [(source, name) for source, name in content]


def counts_address(home: Home, recipe: Recipe, task: CountTask) -> str:
    """Where the repeated passages of a part are stored."""
    return home.work(COUNTS, task.source, f"{task.name}.bin")


def count(home: Home, recipe: Recipe, task: CountTask, output: files.Output) -> Result:
    """Write the repeated passages of a part of the keys: `REPEATED`s by slice, and where those of
    each of the S slices begin, (S + 1,) uint64."""
    listed = _listed_slices(home)
    parts: list[Packed] = [np.zeros(0, RECORD)]
    for index, (source, name) in enumerate(listed):
        address = home.work(KEYS, source, f"{name}.bin")
        parts.append(_read_part(address, task.part, task.parts))
        tick(index, 0)

    records = np.concatenate(parts)
    slices = np.repeat(np.arange(len(listed), dtype=np.uint64), [len(part) for part in parts[1:]])
    priority = recipe.dedup.priority
    ranks = np.array([priority.index(source) for source, _ in listed], np.uint64)
    order = ranks[slices.astype(np.int64)] << np.uint64(56) | records["order"].astype(np.uint64)
    places = slices << np.uint64(32) | records["row"].astype(np.uint64)
    by_all = np.lexsort((places, order, records["rest"], records["key"]))
    records, places = records[by_all], places[by_all]

    # A run of equal passages has one record per document; its first is the first in survivor order.
    is_first = np.ones(len(records), np.bool_)
    is_first[1:] = (records["key"][1:] != records["key"][:-1]) | (
        records["rest"][1:] != records["rest"][:-1]
    )
    begins = np.flatnonzero(is_first)
    lengths = np.diff(np.append(begins, len(records)))
    documents = np.repeat(lengths, lengths)
    is_repeated = documents >= recipe.dedup.passage_documents

    repeated = np.zeros(int(is_repeated.sum()), REPEATED)
    repeated["key"] = records["key"][is_repeated]
    repeated["first"] = np.repeat(places[begins], lengths)[is_repeated]
    repeated["row"] = records["row"][is_repeated]
    repeated["documents"] = documents[is_repeated]
    of_slice = (places[is_repeated] >> np.uint64(32)).astype(np.int64)
    by_slice = np.lexsort((repeated["key"], repeated["row"], of_slice))
    edges = np.searchsorted(of_slice[by_slice], np.arange(len(listed) + 1))
    output.write(repeated[by_slice].tobytes())
    output.write(edges.astype(np.uint64).tobytes())

    passages = int((lengths >= recipe.dedup.passage_documents).sum())
    return Result(counts={"records": len(records), "passages": passages})


COUNT = Pass(name=COUNTS, plan=plan_counts, address=counts_address, work=count, label="Counts")


# --- the last pass: the spans of each slice


def plan_spans(home: Home, recipe: Recipe) -> list[Task]:
    """The slices whose passages are compared."""
    slices = _compared(recipe, ordered_slices(home, recipe))
    counted = [summary.output for summary in summaries(home, COUNTS, "all")]
    dedup = recipe.dedup
    modes = {name: options.dedup.passages for name, options in recipe.sources.items()}
    settings: dict[str, object] = {
        "counts": counted,
        "words": dedup.passage_words,
        "left": dedup.passage_left,
        "modes": modes,
        "slices": _listed_slices(home),
    }
    return _tasks(home, recipe, slices, settings)


def attributes_address(home: Home, recipe: Recipe, task: Task) -> str:
    """Where the repeated passages of a slice's documents are stored."""
    return home.attributes(PASSAGES, task.source, task.name)


def write_spans(home: Home, recipe: Recipe, task: Task, output: files.Output) -> Result:
    """Write the repeated passages of a slice's documents."""
    listed = _listed_slices(home)
    index = listed.index((task.source, task.name))
    repeated = _repeated_of_slice(home, index, len(listed))
    names = _names_of_first(home, listed, repeated["first"])
    documents = task.ingested.counts["documents"]
    edges = np.searchsorted(repeated["row"], np.arange(documents + 1))
    removes = recipe.sources[task.source].dedup.passages == "remove"
    counts = dict.fromkeys(("documents", "removed", "shortened", "passages", "cut_bytes"), 0)

    schema = SCHEMA.with_metadata(documents_metadata(task.ingested.output))
    with pq.ParquetWriter(output, schema, compression="zstd") as writer:
        for first, table in row_groups(home, task.ingested, ("id", "text")):
            kinds: list[str | None] = []
            found: list[list[SpanRow]] = []
            for number, text in enumerate(table.column("text").to_pylist()):
                own = repeated[edges[first + number] : edges[first + number + 1]]
                place = index << 32 | first + number
                spans = _spans(text, own, names, place, recipe) if len(own) else []
                for span in spans:
                    span["cut"] = removes and span.pop("elsewhere")
                kinds.append(_judge(text, spans, recipe.dedup.passage_left, counts))
                found.append(spans)

            rows = table.num_rows
            columns = [
                table.column("id").combine_chunks(),
                pa.nulls(rows, pa.string()),
                pa.nulls(rows, pa.float64()),
                pa.array(kinds, pa.string()),
                pa.array(found, SCHEMA.field("passages").type),
            ]
            writer.write_table(pa.table(columns, schema=schema))
            tick(first + rows, task.size * (first + rows) // max(documents, 1))

    return Result(counts=counts, inputs=(task.ingested.output, *task.before))


def _judge(text: str, spans: list[SpanRow], least_words: int, counts: dict[str, int]) -> str | None:
    """Why a document is removed for what it loses, or None; adds it to the counts."""
    lost = [(span["begin"], span["end"]) for span in spans if span["cut"]]
    counts["documents"] += 1
    counts["passages"] += len(spans)
    if not lost:
        return None

    left = cut(text, lost)
    counts["shortened"] += 1
    counts["cut_bytes"] += len(text.encode()) - len(left.encode())
    if words_in(left) >= least_words and left:
        return None
    counts["removed"] += 1
    return TOO_LITTLE_LEFT


def _spans(
    text: str,
    repeated: Packed,
    names: dict[int, str],
    place: int,
    recipe: Recipe,
) -> list[SpanRow]:
    """The repeated passages of a document at a place, in order; parts of a repeated passage are not
    named again, and sentences that overlap become one. `elsewhere`: another document is the first
    that has it."""
    by_key = {int(record["key"]): record for record in repeated}
    spans: list[SpanRow] = []
    end = 0

    for passage in find_passages(text, recipe.dedup.passage_words):
        record = by_key.get(passage.key)
        if record is None or passage.end <= end:
            continue
        first = int(record["first"])
        if passage.begin < end:
            # Both begin among the sentences of one line: of one document, they are one span.
            if spans[-1]["first"] == names[first]:
                spans[-1]["end"] = end = passage.end
            continue
        end = passage.end
        span = {
            "begin": passage.begin,
            "end": passage.end,
            "documents": int(record["documents"]),
            "first": names[first],
            "elsewhere": first != place,
        }
        spans.append(span)
    return spans


def _repeated_of_slice(home: Home, index: int, slices: int) -> Packed:
    """The `REPEATED`s of a slice from all parts, by row."""
    parts: list[Packed] = [np.zeros(0, REPEATED)]
    for summary in summaries(home, COUNTS, "all"):
        with files.open_ranges(home.work(COUNTS, "all", f"{summary.slice}.bin")) as stream:
            directory = stream.size() - (slices + 1) * 8
            content = stream.read_at(16, directory + index * 8)
            begin, end = np.frombuffer(content, np.uint64).tolist()
            size = REPEATED.itemsize
            content = stream.read_at((end - begin) * size, begin * size)
            parts.append(np.frombuffer(content, REPEATED))
    repeated = np.concatenate(parts)
    return repeated[np.argsort(repeated["row"], kind="stable")]


def _names_of_first(
    home: Home, listed: list[tuple[str, str]], first: NDArray[np.uint64]
) -> dict[int, str]:
    """Place -> id of the first documents of passages; the ids of one slice are read at a time."""
    places = np.unique(first)
    slices = places >> np.uint64(32)
    names = {}
    for index in np.unique(slices):
        source, name = listed[int(index)]
        ids = _read_ids(home.work(KEYS, source, f"{name}.bin"))
        for place in places[slices == index].tolist():
            identity = bytes(ids[place & 0xFFFFFFFF])
            names[place] = identity.ljust(16, b"\0").hex()  # numpy's S16 drops trailing zero bytes
    return names


WRITE_SPANS = Pass(
    name=PASSAGES, plan=plan_spans, address=attributes_address, work=write_spans, label="Spans"
)


# --- the stage


def is_wanted(recipe: Recipe) -> bool:
    """True where the passages of any source are compared."""
    return any(options.dedup.passages != "off" for options in recipe.sources.values())


def prepare(job: Job) -> None:
    """Check that the disk can hold the records."""
    size = 0
    for name, options in job.recipe.sources.items():
        if options.dedup.passages != "off":
            size += total(summaries(job.home, INGEST, name), "bytes")
    check_disk(job.home, size // 3, "a third of a byte for each byte of text")


def account(job: Job) -> None:
    """Check that every document was looked at; say what is repeated and what is cut."""
    for name, options in job.recipe.sources.items():
        if options.dedup.passages == "off":
            continue
        found = summaries(job.home, PASSAGES, name)
        documents, removed = total(found, "documents"), total(found, "removed")
        check(
            f"{name}: documents", total(summaries(job.home, INGEST, name), "documents"), documents
        )

        passages = several(total(found, "passages"), "repeated passage")
        line = f"passages {name}: {passages} in {several(documents, 'document')}"
        if options.dedup.passages == "remove":
            line += (
                f"; {total(found, 'cut_bytes'):,} bytes cut from {total(found, 'shortened'):,}, "
                f"of which {removed:,} are removed with too little left"
            )
        job.say(line)


STAGE = Stage(
    name=PASSAGES,
    transform="RemovePassages",
    passes=(WRITE_KEYS, COUNT, WRITE_SPANS),
    wanted=is_wanted,
    prepare=prepare,
    account=account,
)
