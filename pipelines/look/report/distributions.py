"""Distributions over the documents of a home: lengths, languages, hosts, dates, words and tokens.

Columns are streamed: memory is one row group and the counters. Where a home holds much, only slices
that keyed chance draws are read, about `LOOK_BYTES` of text.
"""

import itertools
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from pipelines.chance import chance
from pipelines.home.documents import document_tables
from pipelines.home.fates import fates
from pipelines.home.layout import TOKENIZE, Home
from pipelines.home.summaries import Summary
from pipelines.recipe import Recipe
from shards.storage import files

LOOK_BYTES = 4_000_000_000

LOOK_DOCUMENTS = 3_000_000
"""No further slice is read once this many bytes of text, or documents, were."""

MAX_KEYS = 50_000
"""Hosts, languages and months that are counted; of more than twice as many the rarest are dropped,
so that memory stays bounded."""

HOST = r"^[A-Za-z][A-Za-z0-9+.-]*://(?:[^/?#@]*@)?(?P<host>[^/?#:@]+)"

LENGTHS = [0, *(step * 10**power for power, step in itertools.product(range(1, 8), (1, 2, 5)))]
"""Lower edges of the bins of lengths, in characters."""

COLUMNS = ["text", "url", "date", "language", "crawled"]

_SPACE = np.isin(np.arange(256), list(b" \t\n\r\v\f"))

Slice = tuple[str, str]
"""(source, slice)."""


@dataclass(frozen=True, kw_only=True)
class ValueCount:
    """How many documents have a value; `name`: of the column, the key of the value in JSON.

    `values`: None, or how many rarer values this row sums up as `other`.
    """

    name: str
    value: str | None
    kept: int
    removed: int
    values: int | None = None

    def as_json(self) -> object:
        """The value by the column's name."""
        row: dict[str, object] = {self.name: self.value}
        if self.values is not None:
            row["values"] = self.values
        return row | {"kept": self.kept, "removed": self.removed}


@dataclass
class Split:
    """How often each value occurs among kept and among removed documents."""

    kept: Counter[str | None] = field(default_factory=Counter)
    removed: Counter[str | None] = field(default_factory=Counter)

    def add(self, values: pa.ChunkedArray, is_removed: NDArray[np.bool_]) -> None:
        """Count (D,) values, one per document."""
        for counter, rows in ((self.kept, ~is_removed), (self.removed, is_removed)):
            for pair in pc.value_counts(values.filter(pa.array(rows))).to_pylist():
                counter[pair["values"]] += pair["counts"]
            # an approximation only for homes with more hosts than this
            if len(counter) > 2 * MAX_KEYS:
                for value, _ in counter.most_common()[MAX_KEYS:]:
                    del counter[value]

    def values(self) -> set[str]:
        """The values that occur."""
        return {value for value in (self.kept | self.removed) if value is not None}

    def rows(self, name: str, most: int) -> list[ValueCount]:
        """The `most` frequent values, the others as one row, and documents without a value."""
        ordered = sorted(
            self.values(), key=lambda value: (-self.kept[value] - self.removed[value], value)
        )
        rows = [self._row(name, value) for value in ordered[:most]]
        rest = ordered[most:]
        if rest:
            rows.append(
                ValueCount(
                    name=name,
                    value="other",
                    kept=sum(self.kept[value] for value in rest),
                    removed=sum(self.removed[value] for value in rest),
                    values=len(rest),
                )
            )
        if self.kept[None] or self.removed[None]:
            rows.append(self._row(name, None))
        return rows

    def _row(self, name: str, value: str | None) -> ValueCount:
        return ValueCount(
            name=name, value=value, kept=self.kept[value], removed=self.removed[value]
        )


@dataclass(frozen=True, kw_only=True)
class Histogram:
    """Counts by bin, from the first filled bin to the last; `edges`: the bins' lower edges."""

    edges: list[float]
    kept: list[int]
    removed: list[int]


class Bins:
    """A histogram in the making."""

    def __init__(self, edges: Sequence[float]) -> None:
        self.edges = list(edges)
        self.kept = np.zeros(len(self.edges), np.int64)
        self.removed = np.zeros(len(self.edges), np.int64)

    def add(self, values: NDArray[np.generic], is_removed: NDArray[np.bool_]) -> None:
        """Count (D,) values, one per document."""
        bins = np.searchsorted(np.array(self.edges), values, side="right") - 1
        self.kept += np.bincount(bins[~is_removed], minlength=len(self.edges))
        self.removed += np.bincount(bins[is_removed], minlength=len(self.edges))

    def histogram(self) -> Histogram:
        """The counts, without the empty bins at both ends."""
        filled = np.flatnonzero(self.kept + self.removed)
        shown = slice(int(filled[0]), int(filled[-1]) + 1) if len(filled) else slice(0, 0)
        return Histogram(
            edges=self.edges[shown],
            kept=self.kept[shown].tolist(),
            removed=self.removed[shown].tolist(),
        )


@dataclass(frozen=True, kw_only=True)
class Fertility:
    """Words and tokens of kept documents; a word is what white space separates."""

    documents: int
    bytes: int
    words: int
    tokens: int
    tokens_per_word: float | None
    bytes_per_token: float | None


@dataclass
class Words:
    """The sums of `Fertility` in the making."""

    documents: int = 0
    bytes: int = 0
    words: int = 0
    tokens: int = 0

    def add(self, counts: "Counts", rows: NDArray[np.bool_]) -> None:
        """Add the documents in these rows."""
        self.documents += int(rows.sum())
        self.bytes += int(counts.bytes[rows].sum())
        self.words += int(counts.words[rows].sum())
        self.tokens += int(counts.tokens[rows].sum())

    def fertility(self) -> Fertility:
        """The sums and their ratios."""
        return Fertility(
            documents=self.documents,
            bytes=self.bytes,
            words=self.words,
            tokens=self.tokens,
            tokens_per_word=round(self.tokens / self.words, 4) if self.words else None,
            bytes_per_token=round(self.bytes / self.tokens, 4) if self.tokens else None,
        )


@dataclass(frozen=True)
class Counts:
    """(D,) bytes, words and tokens of each document of a row group."""

    bytes: NDArray[np.int64]
    words: NDArray[np.int64]
    tokens: NDArray[np.int64]


@dataclass
class Distributions:
    """What one walk over the slices counts; `lengths`: by source."""

    lengths: dict[str, Bins]
    total: Bins = field(default_factory=lambda: Bins(LENGTHS))
    languages: Split = field(default_factory=Split)
    hosts: Split = field(default_factory=Split)
    published: Split = field(default_factory=Split)
    crawled: Split = field(default_factory=Split)
    words_by_source: dict[str, Words] = field(default_factory=dict)
    words_by_language: dict[str, Words] = field(default_factory=dict)
    slices: int = 0
    documents: int = 0

    def add_documents(self, source: str, table: pa.Table, is_removed: NDArray[np.bool_]) -> None:
        """Count the documents of a row group."""
        lengths = pc.utf8_length(table.column("text")).to_numpy()
        self.total.add(lengths, is_removed)
        self.lengths[source].add(lengths, is_removed)

        self.languages.add(table.column("language"), is_removed)
        hosts = pc.extract_regex(pc.utf8_lower(table.column("url")), HOST)
        self.hosts.add(pc.struct_field(hosts, "host"), is_removed)
        self.published.add(_months(table.column("date")), is_removed)
        self.crawled.add(_months(table.column("crawled")), is_removed)

    def add_words(
        self, source: str, table: pa.Table, tokens: NDArray[np.int64], is_kept: NDArray[np.bool_]
    ) -> None:
        """Count the words and (D,) tokens of the kept documents of a row group."""
        text = table.column("text")
        counts = Counts(pc.binary_length(text).to_numpy(), word_counts(text), tokens)
        self.words_by_source.setdefault(source, Words()).add(counts, is_kept)

        languages = np.array([code or "" for code in table.column("language").to_pylist()])
        for language in np.unique(languages):
            rows = is_kept & (languages == language)
            self.words_by_language.setdefault(str(language), Words()).add(counts, rows)


def _months(column: pa.ChunkedArray) -> pa.ChunkedArray:
    return pc.strftime(column.cast(pa.timestamp("s")), "%Y-%m")


def distributions(
    home: Home, recipe: Recipe, slices: list[Summary], decided: set[Slice]
) -> Distributions:
    """Read the documents of the drawn slices; `decided`: the slices that every stage has seen."""
    found = Distributions({name: Bins(LENGTHS) for name in recipe.sources})
    for summary in _drawn(recipe, slices):
        is_decided = (summary.source, summary.slice) in decided
        is_removed = np.zeros(summary.counts["documents"], np.bool_)
        tokens = None
        if is_decided:
            is_removed = pc.is_valid(fates(home, recipe, summary).column("stage")).to_numpy()
            tokens = _tokens_of_documents(home, summary, ~is_removed)

        begin = 0
        for table in document_tables(home, summary, COLUMNS):
            rows = slice(begin, begin + table.num_rows)
            found.add_documents(summary.source, table, is_removed[rows])
            if tokens is not None:
                found.add_words(summary.source, table, tokens[rows], ~is_removed[rows])
            begin += table.num_rows
        found.slices += 1
        found.documents += summary.counts["documents"]
    return found


def _drawn(recipe: Recipe, slices: list[Summary]) -> list[Summary]:
    """The slices whose documents are read, in order: at least one of each source."""

    def draw(summary: Summary) -> int:
        return chance(recipe.seed, "report", f"{summary.source}/{summary.slice}")

    chosen: set[Slice] = set()
    sources: set[str] = set()
    size = 0
    documents = 0
    for summary in sorted(slices, key=draw):
        # every source is looked at, however small the sample
        has_room = size < LOOK_BYTES and documents < LOOK_DOCUMENTS
        if has_room or summary.source not in sources:
            chosen.add((summary.source, summary.slice))
            sources.add(summary.source)
            size += summary.counts["bytes"]
            documents += summary.counts["documents"]
    return [summary for summary in slices if (summary.source, summary.slice) in chosen]


def _tokens_of_documents(
    home: Home, ingested: Summary, is_kept: NDArray[np.bool_]
) -> NDArray[np.int64] | None:
    """(D,) tokens of each document of a slice, 0 for removed ones.

    Read from the work files; None where they are missing, cut, or of other documents.
    """
    address = home.work(TOKENIZE, ingested.source, f"{ingested.slice}.arrow")
    if files.is_remote(home.root) or not files.exists(address):
        return None
    try:
        reader = pa.ipc.open_file(files.map_file(address))
        lengths = [
            np.diff(reader.get_batch(number).column("tokens").offsets.to_numpy())
            for number in range(reader.num_record_batches)
        ]
    except (pa.ArrowInvalid, OSError):
        return None
    of_kept = np.concatenate([*lengths, np.zeros(0, np.int64)])
    if len(of_kept) != int(is_kept.sum()):
        return None
    # the work files hold kept documents only, in the same order
    tokens = np.zeros(len(is_kept), np.int64)
    tokens[is_kept] = of_kept
    return tokens


def word_counts(texts: pa.ChunkedArray) -> NDArray[np.int64]:
    """(D,) runs of anything but ASCII white space in each text."""
    counts = []
    for chunk in texts.chunks:
        buffers = chunk.cast(pa.large_string()).buffers()
        offsets = np.frombuffer(buffers[1], np.int64)[chunk.offset : chunk.offset + len(chunk) + 1]
        content = np.frombuffer(buffers[2] or b"", np.uint8)[offsets[0] : offsets[-1]]
        # a word starts at a byte that is no space and follows one
        space = _SPACE[content]
        starts = ~space
        starts[1:] &= space[:-1]

        offsets = offsets - offsets[0]
        is_filled = offsets[:-1] < offsets[1:]
        heads = offsets[:-1][is_filled]
        starts[heads] = ~space[heads]  # a text begins anew, whatever the one before ended with

        # reduceat cannot sum an empty range: empty texts are left out
        found = np.zeros(len(chunk), np.int64)
        if len(heads):
            found[is_filled] = np.add.reduceat(starts.view(np.uint8), heads, dtype=np.int64)
        counts.append(found)
    return np.concatenate([*counts, np.zeros(0, np.int64)])
