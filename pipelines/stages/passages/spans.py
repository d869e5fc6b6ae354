"""The spans of repeated passages in the documents of each slice."""

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from pipelines.home.cuts import cut
from pipelines.home.documents import ATTRIBUTE_SCHEMA, documents_metadata, row_groups
from pipelines.home.layout import PASSAGES, Home
from pipelines.home.summaries import ordered_slices, summaries
from pipelines.progress.ticks import tick
from pipelines.recipe import Recipe
from pipelines.stages.near.groups import Packed
from pipelines.stages.passages.counts import COUNTS, REPEATED
from pipelines.stages.passages.find import find_passages, words_in
from pipelines.stages.passages.keys import KEYS, KeysFile, Task, compared, slice_tasks
from pipelines.stages.passages.parts import listed_slices
from pipelines.stages.stage import Pass, Result
from shards.storage import files

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


def plan_spans(home: Home, recipe: Recipe) -> list[Task]:
    """The slices whose passages are compared."""
    slices = compared(recipe, ordered_slices(home, recipe))
    counted = [summary.output for summary in summaries(home, COUNTS, "all")]
    dedup = recipe.dedup
    modes = {name: options.dedup.passages for name, options in recipe.sources.items()}
    settings: dict[str, object] = {
        "counts": counted,
        "words": dedup.passage_words,
        "left": dedup.passage_left,
        "modes": modes,
        "slices": listed_slices(home),
    }
    return slice_tasks(home, recipe, slices, settings)


def attributes_address(home: Home, recipe: Recipe, task: Task) -> str:
    """Where the repeated passages of a slice's documents are stored."""
    return home.attributes(PASSAGES, task.source, task.name)


def write_spans(home: Home, recipe: Recipe, task: Task, output: files.Output) -> Result:
    """Write the repeated passages of a slice's documents."""
    listed = listed_slices(home)
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
        with files.open_ranges(home.work(KEYS, source, f"{name}.bin")) as stream:
            ids = KeysFile(stream).ids()
        for place in places[slices == index].tolist():
            identity = bytes(ids[place & 0xFFFFFFFF])
            names[place] = identity.ljust(16, b"\0").hex()  # numpy's S16 drops trailing zero bytes
    return names


WRITE_SPANS = Pass(
    name=PASSAGES, plan=plan_spans, address=attributes_address, work=write_spans, label="Spans"
)
