"""The texts of a slice as they are compared, encoded and exported: without the repeated passages
that the stage `passages` cuts out. The documents themselves keep their whole text."""

from collections.abc import Iterator, Sequence

import pyarrow as pa

from pipelines.home.documents import read_attributes, row_groups
from pipelines.home.layout import PASSAGES, Home
from pipelines.home.summaries import Summary
from pipelines.recipe import Recipe

Span = tuple[int, int]
"""Where a passage begins and ends in its text, in characters."""


def text_groups(
    home: Home, recipe: Recipe, ingested: Summary, columns: Sequence[str] | None = None
) -> Iterator[tuple[int, pa.Table]]:
    """As `row_groups`, with the texts that are left without their repeated passages.

    Raises `UserError` where the passages are not measured.
    """
    groups = row_groups(home, ingested, columns)
    if recipe.sources[ingested.source].dedup.passages != "remove":
        yield from groups
        return

    passages = read_passages(home, ingested)
    for first, table in groups:
        yield first, without_passages(table, passages.slice(first, table.num_rows))


def read_passages(home: Home, ingested: Summary) -> pa.ChunkedArray:
    """(D,) the lists of repeated passages of a slice's documents, as `passages` wrote them."""
    slice_of = (ingested.source, ingested.slice, ingested.output)
    return read_attributes(home, PASSAGES, *slice_of, ["passages"]).column("passages")


def without_passages(table: pa.Table, passages: pa.ChunkedArray) -> pa.Table:
    """A table of documents with what is left of their texts."""
    texts = table.column("text").to_pylist()
    for row, found in enumerate(passages.to_pylist()):
        spans = [(passage["begin"], passage["end"]) for passage in found if passage["cut"]]
        if spans:
            texts[row] = cut(texts[row], spans)

    place = table.column_names.index("text")
    return table.set_column(place, table.schema.field(place), pa.array(texts, pa.large_string()))


def cut(text: str, spans: Sequence[Span]) -> str:
    """What is left of a text without some spans, which rise and do not overlap."""
    pieces = []
    at = 0
    for begin, end in spans:
        pieces.append(text[at:begin])
        at = end
    return "".join([*pieces, text[at:]]).strip(" \t\n")
