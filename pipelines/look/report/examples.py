"""Examples for a report: rejects and removed documents by reason, and removed documents beside the
ones kept in their place.

Keyed chance on their ids decides which ones are shown, so that a home always shows the same; only
their texts are read.
"""

import itertools
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, field
from heapq import nsmallest

import pyarrow as pa

from pipelines.chance import chance
from pipelines.home.documents import open_parquet
from pipelines.home.layout import Home
from pipelines.home.summaries import Summary
from pipelines.look.report.differences import Segment, marked
from pipelines.recipe import Recipe

PER_REASON = 5

PAIRS = 24

IDENTICAL = 4
"""Pairs of identical texts that are shown: they have nothing to mark."""

CANDIDATES = 24
"""Documents that are kept in mind for each reason of removal."""

EXCERPT = 500
"""Characters of an example that are shown."""

FIELD = 300
"""Characters of an address, a title or a path that are shown."""

LOOK_REJECTS = 300_000
"""Rejects that are looked at for examples."""

Spot = tuple[str, str, int]
"""(source, slice, row) of a document."""

Row = dict[str, object]
"""A row of a documents or rejects file."""


@dataclass(frozen=True, order=True)
class Candidate:
    """A removed document that may be shown; ordered by its draw.

    `twin`, `score`: the id of the document kept in its place, and their similarity; `value`,
    `threshold`: what a quality rule measured, and its bound.
    """

    draw: int
    source: str
    slice: str
    row: int
    twin: str | None
    score: float | None
    value: float | None
    threshold: float | None

    @property
    def spot(self) -> Spot:
        """Where the document is."""
        return self.source, self.slice, self.row


@dataclass(frozen=True, kw_only=True)
class Identity:
    """What tells a document or reject from others, as far as it is known; long values are cut.

    `characters`: of its whole text.
    """

    source: str
    id: str | None
    path: str | None
    url: str | None
    title: str | None
    date: str | None
    language: str | None
    crawled: str | None
    detail: str | None
    position: int
    characters: int


@dataclass(frozen=True, kw_only=True)
class Removal:
    """Why a document was removed: for its likeness to `twin`, or for the value of a rule."""

    twin: str | None
    score: float | None
    value: float | None
    threshold: float | None


@dataclass(frozen=True, kw_only=True)
class Example:
    """A reject or a removed document, with the beginning of its text."""

    identity: Identity
    text: str
    removal: Removal | None = None

    def as_json(self) -> object:
        """All on one level."""
        removal = asdict(self.removal) if self.removal else {}
        return {**asdict(self.identity), "text": self.text, **removal}


@dataclass(frozen=True, kw_only=True)
class Side:
    """One document of a pair; `marked`: its text around the differences."""

    identity: Identity
    marked: list[Segment]

    def as_json(self) -> object:
        """All on one level."""
        return {**asdict(self.identity), "marked": self.marked}


@dataclass(frozen=True, kw_only=True)
class Pair:
    """A removed document and the one kept in its place.

    `kind`: of the likeness (text, address, near, contained, contains); `score`: their similarity.
    """

    stage: str
    kind: str
    score: float | None
    identical: bool
    removed: Side
    kept: Side


@dataclass(frozen=True, kw_only=True)
class Reason:
    """Why records were rejected or documents removed; `meaning`: the reason as a sentence, "" for
    one that only its source knows; `sources`: how many of each source."""

    stage: str
    reason: str
    meaning: str
    count: int
    sources: dict[str, int]
    examples: list[Example] = field(default_factory=list)


Candidates = dict[tuple[str, str], list[Candidate]]
"""By stage and reason, ordered."""


def examples_of_rejects(
    home: Home, recipe: Recipe, slices: list[Summary]
) -> dict[str, list[Example]]:
    """`PER_REASON` rejects of each reason, from slices in an order that chance decides.

    A slice is passed over once `LOOK_REJECTS` were seen and its reasons have all their examples.
    """

    def order(summary: Summary) -> int:
        return chance(recipe.seed, "report", f"{summary.source}/{summary.slice}")

    drawn: dict[str, list[tuple[int, int, Example]]] = defaultdict(list)
    looked_at = 0
    for summary in sorted(slices, key=order):
        is_full = all(len(drawn[reason]) == PER_REASON for reason in summary.rejects)
        if not summary.rejects or (looked_at > LOOK_REJECTS and is_full):
            continue
        with open_parquet(home, home.rejects(summary.source, summary.slice)) as rejects:
            for batch in rejects.iter_batches(batch_size=10_000):
                looked_at += batch.num_rows
                for reason, rows in _drawn_rows(recipe.seed, batch).items():
                    # only the rows that may be shown are converted to Python
                    for draw, row in nsmallest(PER_REASON, rows):
                        record = batch.slice(row, 1).to_pylist()[0]
                        drawn[reason].append((draw, row, _example(summary.source, record)))
                    drawn[reason] = nsmallest(
                        PER_REASON, drawn[reason], key=lambda entry: entry[:2]
                    )

    examples: dict[str, list[Example]] = {}
    for reason, found in drawn.items():
        examples[reason] = [example for _, _, example in found]
    return examples


def _drawn_rows(seed: int, batch: pa.RecordBatch) -> dict[str, list[tuple[int, int]]]:
    """Reason -> (draw, row) of the rejects of a batch."""
    ids = batch.column("id").to_pylist()
    reasons = batch.column("reason").to_pylist()
    rows: dict[str, list[tuple[int, int]]] = defaultdict(list)
    for row, (identity, reason) in enumerate(zip(ids, reasons)):
        rows[reason].append((chance(seed, "report", identity), row))
    return rows


def examples_of_removed(home: Home, candidates: Candidates) -> dict[tuple[str, str], list[Example]]:
    """The first `PER_REASON` candidates of each stage and reason, with their texts."""
    chosen = {key: found[:PER_REASON] for key, found in candidates.items()}
    every = itertools.chain.from_iterable(chosen.values())
    records = read_documents(home, [candidate.spot for candidate in every])

    examples: dict[tuple[str, str], list[Example]] = {}
    for key, found in chosen.items():
        examples[key] = []
        for candidate in found:
            removal = Removal(
                twin=candidate.twin,
                score=candidate.score,
                value=candidate.value,
                threshold=candidate.threshold,
            )
            record = records[candidate.spot]
            examples[key].append(_example(candidate.source, record, removal))
    return examples


def pairs(home: Home, candidates: Candidates, spots: dict[str, Spot]) -> list[Pair]:
    """Up to `PAIRS` removed documents and the kept ones, all kinds in turn.

    `spots`: of the kept documents, by id. Pairs that differ come first; of the identical ones at
    most `IDENTICAL` follow.
    """
    # all texts are read at once: each row group is then read only once
    in_turn = _in_turn(candidates, spots)
    wanted = [candidate.spot for _, candidate in in_turn]
    wanted += [spots[str(candidate.twin)] for _, candidate in in_turn]
    records = read_documents(home, wanted)

    different: list[Pair] = []
    identical: list[Pair] = []
    for (stage, kind), candidate in in_turn:
        spot = spots[str(candidate.twin)]
        removed = records[candidate.spot]
        kept = records[spot]
        left, right = marked(str(removed["text"]), str(kept["text"]))
        pair = Pair(
            stage=stage,
            kind=kind,
            score=candidate.score,
            identical=removed["text"] == kept["text"],
            removed=Side(identity=_identity(candidate.source, removed), marked=left),
            kept=Side(identity=_identity(spot[0], kept), marked=right),
        )
        if pair.identical:
            identical.append(pair)
        else:
            different.append(pair)
    return different + identical[:IDENTICAL]


def _in_turn(
    candidates: Candidates, spots: dict[str, Spot]
) -> list[tuple[tuple[str, str], Candidate]]:
    """The first candidate of each kind whose twin is there, then the second of each, and so on."""
    there: Candidates = {}
    for key in sorted(candidates):
        there[key] = [candidate for candidate in candidates[key] if candidate.twin in spots]

    found = []
    # in turn, so that a frequent kind does not crowd out a rare one
    for turn in range(CANDIDATES):
        for key, of_kind in there.items():
            if turn < len(of_kind):
                found.append((key, of_kind[turn]))
    return found[:PAIRS]


def _example(source: str, record: Row, removal: Removal | None = None) -> Example:
    text = str(record.get("text") or "")
    return Example(identity=_identity(source, record), text=text[:EXCERPT], removal=removal)


def _identity(source: str, record: Row) -> Identity:
    def known(name: str) -> str | None:
        return str(record[name])[:FIELD] if record.get(name) else None

    return Identity(
        source=source,
        id=known("id"),
        path=known("path"),
        url=known("url"),
        title=known("title"),
        date=known("date"),
        language=known("language"),
        crawled=known("crawled"),
        detail=known("detail"),
        position=int(str(record["position"])),
        characters=len(str(record.get("text") or "")),
    )


def read_documents(home: Home, wanted: Iterable[Spot]) -> dict[Spot, Row]:
    """The documents at these spots; only their row groups are read."""
    # a file is opened once, whatever the order of the spots
    by_slice: dict[tuple[str, str], set[int]] = defaultdict(set)
    for source, slice_name, row in wanted:
        by_slice[source, slice_name].add(row)

    found: dict[Spot, Row] = {}
    for (source, slice_name), rows in by_slice.items():
        for row, record in _read_rows(home, home.documents(source, slice_name), rows):
            found[source, slice_name, row] = record
    return found


def _read_rows(home: Home, address: str, rows: set[int]) -> Iterator[tuple[int, Row]]:
    with open_parquet(home, address) as documents:
        begin = 0
        for group in range(documents.num_row_groups):
            count = documents.metadata.row_group(group).num_rows
            here = sorted(row for row in rows if begin <= row < begin + count)
            if here:
                places = pa.array([row - begin for row in here])
                table = documents.read_row_group(group).take(places)
                yield from zip(here, table.to_pylist())
            begin += count
