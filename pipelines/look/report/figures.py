"""The figures of a report, gathered from a home: counts from all of it, distributions from all of
it or from a sample of its slices.

Memory is one row group and the counters. `looked_at` tells how much of the home was read for the
distributions.
"""

import datetime
import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from corpora.quality.reasons import meaning
from pipelines.chance import chance
from pipelines.home.decisions import decided, removing_stages
from pipelines.home.documents import document_tables
from pipelines.home.fates import fates
from pipelines.home.layout import Home
from pipelines.home.set_aside import Aside
from pipelines.home.summaries import Summary, ordered_slices
from pipelines.look.report.distributions import (
    Bins,
    Distributions,
    Fertility,
    Histogram,
    Split,
    ValueCount,
    distributions,
)
from pipelines.look.report.examples import (
    CANDIDATES,
    Candidate,
    Candidates,
    Pair,
    Reason,
    Spot,
    examples_of_rejects,
    examples_of_removed,
    pairs,
)
from pipelines.look.stats import Overlap, Shares, SourceStats, Stats, stats
from pipelines.look.status import status
from pipelines.look.vocabulary import VocabularyStats
from pipelines.progress.board import StageCost, read_figures
from pipelines.recipe import Recipe
from shards.config import to_dict
from shards.errors import UserError
from shards.format import MANIFEST
from shards.manifest import Manifest, ShardEntry, TokenizerInfo, read_manifest
from shards.storage import files

SCHEMA_VERSION = 1

PII = "pii_"
"""The beginning of the marks of personal data."""

PII_EXAMPLES = 5

MAX_SHARDS = 200
"""Shards that are listed."""

MAX_COLUMNS = 48
"""Columns of a chart over time."""

LANGUAGES = 30

HOSTS = 25

SCORES = [round(number / 50, 2) for number in range(51)]
"""Lower edges of the bins of similarity; the last bin is of 1.0 alone."""


@dataclass(frozen=True, kw_only=True)
class Totals:
    """What `corpus stats` counts, without the overlap."""

    sources: dict[str, SourceStats]
    total: SourceStats
    shares: dict[str, Shares]


@dataclass(frozen=True, kw_only=True)
class State:
    """How far the build is; `decided`: every stage that removes documents has seen all of them."""

    complete: bool
    decided: bool
    set_aside: list[Aside]
    safety_net: dict[str, int]


@dataclass(frozen=True, kw_only=True)
class LookedAt:
    """How much of the home was read for the distributions."""

    slices: int
    of_slices: int
    documents: int
    of_documents: int


@dataclass(frozen=True, kw_only=True)
class Lengths:
    """Histograms of the lengths of documents."""

    unit: str = "characters"
    total: Histogram
    sources: dict[str, Histogram]


@dataclass(frozen=True, kw_only=True)
class Similarity:
    """A histogram of the similarity of removed documents and the ones kept in their place."""

    stage: str
    kind: str
    edges: list[float]
    removed: list[int]


@dataclass(frozen=True, kw_only=True)
class OverlapFigures:
    """Removed documents by their source and the source of the document kept in their place.

    `removed`: of all stages together; `counted`: those in it; `of`: all that were removed as
    duplicates, more where a stage has not counted the sources.
    """

    sources: list[str]
    removed: dict[str, dict[str, int]]
    stages: Overlap
    counted: int
    of: int


@dataclass(frozen=True, kw_only=True)
class Hosts:
    """Hosts of the documents' addresses; `different`: how many there are."""

    different: int
    rows: list[ValueCount]


@dataclass(frozen=True, kw_only=True)
class PersonalData:
    """How many documents hold personal data of a kind, and some of it, masked."""

    kind: str
    documents: int
    examples: list[str]


@dataclass(frozen=True, kw_only=True)
class KeptRemoved:
    """How many documents are kept and removed."""

    kept: int
    removed: int


@dataclass(frozen=True, kw_only=True)
class Timeline:
    """Documents by month, year, decade or century, without a gap; `unknown`: without a date."""

    unit: str
    rows: list[ValueCount]
    unknown: KeptRemoved


@dataclass(frozen=True, kw_only=True)
class Dates:
    """When documents were published and crawled."""

    published: Timeline
    crawled: Timeline


@dataclass(frozen=True, kw_only=True)
class SplitCounts:
    """What the shards of one source and split hold."""

    documents: int = 0
    sentences: int = 0
    tokens: int = 0

    def plus(self, entry: ShardEntry) -> "SplitCounts":
        """With one more shard."""
        return SplitCounts(
            documents=self.documents + entry.documents,
            sentences=self.sentences + entry.sentences,
            tokens=self.tokens + entry.tokens,
        )


@dataclass(frozen=True, kw_only=True)
class Tokens:
    """What the shards hold, by source and split, and the fertility of the vocabulary."""

    splits: dict[str, dict[str, SplitCounts]]
    by_source: dict[str, Fertility]
    by_language: dict[str, Fertility]


@dataclass(frozen=True, kw_only=True)
class ManifestFigures:
    """The manifest with at most `MAX_SHARDS` shards; `shards_in_all`: how many there are."""

    manifest: Manifest
    shards: tuple[ShardEntry, ...]
    shards_in_all: int

    @property
    def tokenizer(self) -> TokenizerInfo:
        """What the manifest says of the vocabulary."""
        return self.manifest.tokenizer

    def as_json(self) -> object:
        """The keys of the manifest, and `shards_in_all`."""
        return {
            **to_dict(self.manifest),
            "shards": to_dict(self.shards),
            "shards_in_all": self.shards_in_all,
        }


@dataclass(frozen=True, kw_only=True)
class ReportFigures:
    """Everything a report shows; `docs/report.md` explains the keys of its JSON.

    `built`: when a stage last wrote to the home, such as `2026-11-30 12:57 UTC`.
    """

    schema_version: int = SCHEMA_VERSION
    stats: Totals
    state: State
    looked_at: LookedAt
    reasons: list[Reason]
    pairs: list[Pair]
    lengths: Lengths
    languages: list[ValueCount]
    similarity: list[Similarity]
    overlap: OverlapFigures
    hosts: Hosts
    personal_data: list[PersonalData]
    dates: Dates
    tokens: Tokens
    vocabulary: VocabularyStats | None
    stages: list[StageCost]
    manifest: ManifestFigures | None
    built: str | None
    recipe: str


def figures(home: Home, recipe: Recipe) -> ReportFigures:
    """Gather the figures of a home. Raises `UserError` for a damaged file."""
    slices = ordered_slices(home, recipe)
    ready = [summary for summary in slices if decided(home, recipe, summary)]
    verdicts = Verdicts(recipe)
    for summary in ready:
        verdicts.add(summary, fates(home, recipe, summary))

    counts = stats(home, recipe)
    state = status(home, recipe)
    is_ready = {(summary.source, summary.slice) for summary in ready}
    # what is not decided yet counts as kept, and `state` says so
    found = distributions(home, recipe, slices, is_ready)
    spots = _spots_of_kept(home, recipe, slices, verdicts)
    manifest = _read_manifest(home)

    return ReportFigures(
        stats=Totals(sources=counts.sources, total=counts.total, shares=counts.shares),
        state=State(
            complete=state.complete,
            decided=len(ready) == len(slices),
            set_aside=state.set_aside,
            safety_net=state.safety_net,
        ),
        looked_at=LookedAt(
            slices=found.slices,
            of_slices=len(slices),
            documents=found.documents,
            of_documents=sum(summary.counts["documents"] for summary in slices),
        ),
        reasons=[
            *_reasons_of_rejects(home, recipe, slices, counts),
            *_reasons_of_removed(home, verdicts),
        ],
        pairs=pairs(home, verdicts.candidates, spots),
        lengths=Lengths(
            total=found.total.histogram(),
            sources={name: bins.histogram() for name, bins in found.lengths.items()},
        ),
        languages=found.languages.rows("language", LANGUAGES),
        similarity=verdicts.similarity(),
        overlap=_overlap(list(recipe.sources), counts.overlap, verdicts.duplicates),
        hosts=Hosts(different=len(found.hosts.values()), rows=found.hosts.rows("host", HOSTS)),
        personal_data=_personal_data(home, slices),
        dates=Dates(published=_by_time(found.published), crawled=_by_time(found.crawled)),
        tokens=_tokens(manifest, found),
        vocabulary=counts.vocabulary,
        stages=read_figures(home),
        manifest=_manifest_figures(manifest),
        built=_last_written(home),
        recipe=files.read_bytes(home.file("recipe.toml")).decode(),
    )


class Verdicts:
    """The removed documents, summed over all slices by stage and reason.

    `counts`: by source; `scores`: similarities; `candidates`: documents that may be shown;
    `duplicates`: documents that were removed as duplicates or near-duplicates.
    """

    def __init__(self, recipe: Recipe) -> None:
        self.seed = recipe.seed
        self.stages = removing_stages(recipe)
        self.counts: dict[tuple[str, str], Counter[str]] = {}
        self.scores: dict[tuple[str, str], Bins] = {}
        self.candidates: Candidates = {}
        self.duplicates = 0

    def add(self, ingested: Summary, table: pa.Table) -> None:
        """Add the removed documents of a slice; `table`: the fates of all of them."""
        rows = np.flatnonzero(pc.is_valid(table.column("stage")).to_numpy())
        removed = table.take(pa.array(rows))
        for row, fate in zip(rows.tolist(), removed.to_pylist()):
            key = (fate["stage"], fate["reason"])
            self.counts.setdefault(key, Counter())[ingested.source] += 1
            self.candidates.setdefault(key, []).append(self._candidate(ingested, row, fate))
            self.duplicates += fate["twin"] is not None

        # cut after each slice, so that memory does not grow with the home
        for key in self.candidates:
            self.candidates[key] = sorted(self.candidates[key])[:CANDIDATES]
        self._add_scores(removed)

    def _candidate(self, ingested: Summary, row: int, fate: dict[str, object]) -> Candidate:
        def measured(name: str) -> float | None:
            value = fate[name]
            return value if isinstance(value, float) else None

        return Candidate(
            draw=chance(self.seed, "report", str(fate["id"])),
            source=ingested.source,
            slice=ingested.slice,
            row=row,
            twin=str(fate["twin"]) if fate["twin"] is not None else None,
            score=measured("score"),
            value=measured("value"),
            threshold=measured("threshold"),
        )

    def _add_scores(self, removed: pa.Table) -> None:
        by_key: dict[tuple[str, str], list[float]] = {}
        for fate in removed.select(["stage", "reason", "score"]).to_pylist():
            if fate["score"] is not None:
                by_key.setdefault((fate["stage"], fate["reason"]), []).append(fate["score"])
        for key, scores in by_key.items():
            is_removed = np.ones(len(scores), np.bool_)
            self.scores.setdefault(key, Bins(SCORES)).add(np.array(scores), is_removed)

    def keys(self) -> list[tuple[str, str]]:
        """(stage, reason) in the order of the stages, the most frequent reasons first."""

        def order(key: tuple[str, str]) -> tuple[int, int, str]:
            stage, reason = key
            return self.stages.index(stage), -self.counts[key].total(), reason

        return sorted(self.counts, key=order)

    def similarity(self) -> list[Similarity]:
        """Histograms of the scores, by stage and kind."""
        found = []
        for stage, kind in sorted(self.scores, key=lambda key: (self.stages.index(key[0]), key[1])):
            histogram = self.scores[stage, kind].histogram()
            found.append(
                Similarity(stage=stage, kind=kind, edges=histogram.edges, removed=histogram.removed)
            )
        return found


def _reasons_of_rejects(
    home: Home, recipe: Recipe, slices: list[Summary], counts: Stats
) -> list[Reason]:
    """The reasons of rejects, the most frequent first, with examples."""
    examples = examples_of_rejects(home, recipe, slices)
    found = []
    for reason, count in Counter(counts.total.rejects).most_common():
        by_source = {
            name: row.rejects[reason]
            for name, row in counts.sources.items()
            if reason in row.rejects
        }
        found.append(
            Reason(
                stage="ingest",
                reason=reason,
                meaning=meaning("ingest", reason),
                count=count,
                sources=by_source,
                examples=examples.get(reason, []),
            )
        )
    return found


def _reasons_of_removed(home: Home, verdicts: Verdicts) -> list[Reason]:
    """The reasons of removal, with examples."""
    examples = examples_of_removed(home, verdicts.candidates)
    return [
        Reason(
            stage=stage,
            reason=reason,
            meaning=meaning(stage, reason),
            count=verdicts.counts[stage, reason].total(),
            sources=dict(verdicts.counts[stage, reason]),
            examples=examples.get((stage, reason), []),
        )
        for stage, reason in verdicts.keys()
    ]


def _personal_data(home: Home, slices: list[Summary]) -> list[PersonalData]:
    """The kinds of personal data that ingest counted, with the first examples of each."""
    counts = Counter[str]()
    examples: dict[str, list[str]] = {}
    for summary in slices:
        here = {mark: count for mark, count in summary.marks.items() if mark.startswith(PII)}
        counts.update(here)
        # Only slices that have what is still wanted are read.
        if any(len(examples.get(mark, [])) < PII_EXAMPLES for mark in here):
            for table in document_tables(home, summary, ["extra"]):
                _add_examples(examples, table.column("extra").to_pylist())

    return [
        PersonalData(kind=mark.removeprefix(PII), documents=count, examples=examples.get(mark, []))
        for mark, count in sorted(counts.items())
    ]


def _add_examples(examples: dict[str, list[str]], extras: list[str]) -> None:
    for extra in extras:
        if '"pii"' not in extra:
            continue
        told = json.loads(extra).get("pii")
        # The user's own data may have a key of this name.
        if not isinstance(told, dict) or not isinstance(told.get("examples"), dict):
            continue
        for kind, example in told["examples"].items():
            of_kind = examples.setdefault(f"{PII}{kind}", [])
            if len(of_kind) < PII_EXAMPLES:
                of_kind.append(str(example))


def _spots_of_kept(
    home: Home, recipe: Recipe, slices: list[Summary], verdicts: Verdicts
) -> dict[str, Spot]:
    """Where the documents are that are there in place of the candidates, by the id of the twin that
    a candidate names: where that twin was removed by a later stage, its own twin, and so on."""
    ids: set[str] = set()
    for candidates in verdicts.candidates.values():
        ids.update(candidate.twin for candidate in candidates if candidate.twin)

    spots = _spots(home, slices, ids)
    for _ in removing_stages(recipe):
        twins = _twins_of(home, recipe, slices, spots)
        there = _spots(home, slices, set(twins.values()))
        for identity, twin in twins.items():
            if twin in there:
                spots[identity] = there[twin]
    return spots


def _twins_of(
    home: Home, recipe: Recipe, slices: list[Summary], spots: dict[str, Spot]
) -> dict[str, str]:
    """Those of the named documents that were removed as duplicates, and the ids of their twins."""
    found: dict[str, str] = {}
    for summary in slices:
        here = {
            spot[2]: name
            for name, spot in spots.items()
            if spot[:2] == (summary.source, summary.slice)
        }
        if here and decided(home, recipe, summary):
            twins = fates(home, recipe, summary).column("twin").take(pa.array(list(here)))
            named = zip(here.values(), twins.to_pylist())
            found.update((name, twin) for name, twin in named if twin is not None)
    return found


def _spots(home: Home, slices: list[Summary], ids: set[str]) -> dict[str, Spot]:
    """Where the documents with these ids are."""
    if not ids:
        return {}

    wanted = np.array(sorted(identity.encode() for identity in ids), "S32")
    found: dict[str, Spot] = {}
    for summary in slices:
        begin = 0
        for table in document_tables(home, summary, ["id"]):
            own = table.column("id").to_numpy(zero_copy_only=False).astype("S32")
            # an id past all wanted ones is compared with the first, and differs
            place = np.searchsorted(wanted, own)
            place[place == len(wanted)] = 0
            for row in np.flatnonzero(wanted[place] == own).tolist():
                found[own[row].decode()] = (summary.source, summary.slice, begin + row)
            begin += table.num_rows
    return found


def _overlap(sources: list[str], stages: Overlap, duplicates: int) -> OverlapFigures:
    together: dict[str, dict[str, int]] = {}
    counted = 0
    for rows in stages.values():
        for source, row in (rows or {}).items():
            of_source = together.setdefault(source, {})
            for other, count in row.items():
                of_source[other] = of_source.get(other, 0) + count
                counted += count
    return OverlapFigures(
        sources=sources, removed=together, stages=stages, counted=counted, of=duplicates
    )


UNITS = (("month", 7), ("year", 4), ("decade", 3), ("century", 2))
"""Units of time, and the characters of `2017-11` that name one."""


def _by_time(split: Split) -> Timeline:
    """Counts by the shortest unit that gives at most `MAX_COLUMNS`, empty columns included."""
    unit, numbers = _unit(split.values())
    # columns without a document too: a gap in time should be seen
    rows: dict[int, ValueCount] = {}
    if numbers:
        for number in range(min(numbers.values()), max(numbers.values()) + 1):
            rows[number] = ValueCount(name=unit, value=_label(unit, number), kept=0, removed=0)
    for month, number in numbers.items():
        row = rows[number]
        rows[number] = replace(
            row, kept=row.kept + split.kept[month], removed=row.removed + split.removed[month]
        )
    unknown = KeptRemoved(kept=split.kept[None], removed=split.removed[None])
    return Timeline(unit=unit, rows=list(rows.values()), unknown=unknown)


def _unit(months: set[str]) -> tuple[str, dict[str, int]]:
    """The unit of time that a chart shows, and the number of each month in it."""
    numbers: dict[str, int] = {}
    for unit, digits in UNITS:
        numbers = {month: _number(month[:digits]) for month in months}
        if not numbers or max(numbers.values()) - min(numbers.values()) < MAX_COLUMNS:
            return unit, numbers
    return UNITS[-1][0], numbers


def _number(text: str) -> int:
    """The number of a month (`2017-11`), year, decade or century."""
    return int(text[:4]) * 12 + int(text[5:]) - 1 if "-" in text else int(text)


def _label(unit: str, number: int) -> str:
    """`2017-11` for a month, else the first year of the unit."""
    if unit == "month":
        return f"{number // 12:04}-{number % 12 + 1:02}"
    digits = dict(UNITS)[unit]
    return str(number).rjust(digits, "0").ljust(4, "0")


def _tokens(manifest: Manifest | None, found: Distributions) -> Tokens:
    splits: dict[str, dict[str, SplitCounts]] = {}
    shards: Sequence[ShardEntry] = manifest.shards if manifest else ()
    for entry in shards:
        of_source = splits.setdefault(entry.source, {})
        of_source[entry.split] = of_source.get(entry.split, SplitCounts()).plus(entry)

    languages = sorted(found.words_by_language.items(), key=lambda item: (-item[1].tokens, item[0]))
    return Tokens(
        splits=splits,
        by_source={name: words.fertility() for name, words in found.words_by_source.items()},
        by_language={name: words.fertility() for name, words in languages[:LANGUAGES]},
    )


def _last_written(home: Home) -> str | None:
    """When the newest summary was written, in UTC; None before the first one."""
    written = [when for _, _, when in files.walk(home.file("summaries"))]
    if not written:
        return None

    utc = datetime.timezone.utc
    moment = datetime.datetime.fromtimestamp(max(written) / 1e9, utc)
    return f"{moment:%Y-%m-%d %H:%M} UTC"


def _read_manifest(home: Home) -> Manifest | None:
    """The manifest of the shards; None when there is none that can be read."""
    if not files.exists(home.file("shards", MANIFEST)):
        return None
    try:
        return read_manifest(home.file("shards"))
    except UserError:  # a report of a damaged home is still of use
        return None


def _manifest_figures(manifest: Manifest | None) -> ManifestFigures | None:
    if manifest is None:
        return None
    return ManifestFigures(
        manifest=manifest,
        shards=tuple(manifest.shards)[:MAX_SHARDS],
        shards_in_all=len(manifest.shards),
    )
