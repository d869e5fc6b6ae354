"""The figures of a home: records read, documents kept, and everything that was dropped.

They come from the summaries alone, so that even a home of many slices takes seconds.
"""

import itertools
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from corpora.quality.reasons import NOT_PAGES
from pipelines.home.decisions import (
    DUPLICATE_STAGES,
    REMOVING_STAGES,
    current,
    removed_by_rule,
    removed_count,
    removing_stages,
)
from pipelines.home.layout import (
    CONCLUSION,
    EMIT,
    INGEST,
    RULES,
    SHARDS,
    SURVEY,
    TOKENIZE,
    TOKENIZER,
    Home,
)
from pipelines.home.summaries import Summary, bulk, read_summary, summaries
from pipelines.look.vocabulary import VocabularyStats, vocabulary_stats
from pipelines.recipe import Recipe
from pipelines.wording import IF_ANY
from shards.storage import files

SCHEMA_VERSION = 1

COUNTED = (INGEST, *REMOVING_STAGES[:-1], TOKENIZER, TOKENIZE, SHARDS)
"""Folders of summaries whose slices are counted, in the order of a build."""

READS_ARCHIVES = ("cc_news", "openwebtext", "stories")
"""Kinds of sources that read web archives."""

Overlap = dict[str, dict[str, dict[str, int]] | None]
"""Stage -> source of the removed documents -> source of the documents kept in their place ->
count. Pairs without any are left out. None for a stage that has not counted all of them yet."""


@dataclass(frozen=True, kw_only=True)
class SurveyStats:
    """The first reading of a source that is read twice; `concluded`: what the source counted."""

    records: int | None
    rejects: dict[str, int]
    not_pages: dict[str, int]
    concluded: dict[str, int]

    def as_json(self) -> object:
        """The counts of `concluded` beside the others."""
        apart = {"not_pages": self.not_pages} if self.not_pages else {}
        return {"records": self.records, "rejects": self.rejects, **apart, **self.concluded}


@dataclass(frozen=True, kw_only=True)
class SourceStats:
    """The figures of one source, or of all together. None: no stage has counted it yet.

    `records`: all that were read: documents, rejects and `not_pages`, the records that hold no page
    by their kind, which count in no share; `rejects`: records by reason; `removed`: documents by
    stage; `rules`: the documents that `removed["rules"]` counts, by the first rule that fired;
    `marks`: documents by the mark that their source gave them, and by the tasks of whose test sets
    they hold a passage; `left_out`: what the sources left out of the texts, by name, the most
    frequent first; `bytes`, `sentences`, `tokens`: of
    the kept text, in UTF-8; `unknown`: the tokens that are the unknown one, only where the
    vocabulary is not lossless; `repeated` and `repeated_tokens`: the further copies of documents in
    the training shards, only where some are repeated. No other figure counts them.
    """

    records: int | None
    rejects: dict[str, int]
    not_pages: dict[str, int] = field(default_factory=dict, metadata=IF_ANY)
    documents: int | None
    removed: dict[str, int | None]
    rules: dict[str, int]
    marks: dict[str, int] = field(default_factory=dict, metadata=IF_ANY)
    left_out: dict[str, int] = field(default_factory=dict, metadata=IF_ANY)
    kept: int | None
    bytes: int | None
    sentences: int | None
    tokens: int | None
    unknown: int | None = field(default=None, metadata=IF_ANY)
    repeated: int | None = field(default=None, metadata=IF_ANY)
    repeated_tokens: int | None = field(default=None, metadata=IF_ANY)
    survey: SurveyStats | None = field(default=None, metadata=IF_ANY)

    @property
    def rejected(self) -> int:
        """Rejects of all reasons."""
        return sum(self.rejects.values())

    @property
    def pages(self) -> int | None:
        """Records that might have become documents: the shares are of these."""
        return None if self.records is None else self.records - sum(self.not_pages.values())

    @property
    def removed_in_all(self) -> int | None:
        """Documents that any stage removes; None unless every stage has counted."""
        return _sum_of_all(self.removed.values())


@dataclass(frozen=True, kw_only=True)
class Shares:
    """One source's shares of the totals, from 0 to 1 with six digits.

    None: the count is not known for every source.
    """

    documents: float | None
    kept: float | None
    bytes: float | None
    tokens: float | None


@dataclass(frozen=True, kw_only=True)
class Stats:
    """The figures of a home; `sources` and `shares` by the name of the source. `vocabulary`: None
    before there is one."""

    schema_version: int = SCHEMA_VERSION
    sources: dict[str, SourceStats]
    total: SourceStats
    shares: dict[str, Shares]
    overlap: Overlap
    vocabulary: VocabularyStats | None = field(default=None, metadata=IF_ANY)


def stats(home: Home, recipe: Recipe) -> Stats:
    """Sum up the summaries of a home."""
    deduplicating = [stage for stage in removing_stages(recipe) if stage in DUPLICATE_STAGES]
    overlap: Overlap = {stage: {} for stage in deduplicating}
    sources = {name: source_stats(home, recipe, name, overlap) for name in recipe.sources}
    total = _total(list(sources.values()))

    rows = sources.values()
    documents = _sum_of_all(row.documents for row in rows)
    kept = _sum_of_all(row.kept for row in rows)
    size = _sum_of_all(row.bytes for row in rows)
    tokens = _sum_of_all(row.tokens for row in rows)
    shares = {
        name: Shares(
            documents=_share(row.documents, documents),
            kept=_share(row.kept, kept),
            bytes=_share(row.bytes, size),
            tokens=_share(row.tokens, tokens),
        )
        for name, row in sources.items()
    }
    return Stats(
        sources=sources,
        total=total,
        shares=shares,
        overlap=overlap,
        vocabulary=vocabulary_stats(home, recipe),
    )


def _share(part: int | None, whole: int | None) -> float | None:
    if part is None or not whole:
        return None
    return round(part / whole, 6)


def source_stats(
    home: Home, recipe: Recipe, name: str, overlap: Overlap | None = None
) -> SourceStats:
    """The figures of one source; its rows are added to `overlap`, if given."""
    ingested = summaries(home, INGEST, name)
    # of slices whose documents have changed since, nothing is known yet
    encoded = current(home, recipe, TOKENIZE, name)
    is_encoded = len(encoded) == len(ingested)

    stages = removing_stages(recipe, source=name)
    found = {stage: current(home, recipe, stage, name) for stage in {*stages, *(overlap or ())}}

    removed: dict[str, int | None] = dict.fromkeys(stages)
    for stage in stages:
        if stage == EMIT:
            others = [removed[other] for other in stages[:-1]]
            if ingested and None not in others:
                read = bulk(home)
                removed[EMIT] = sum(
                    removed_count(home, recipe, EMIT, summary, read) for summary in ingested
                )
        elif ingested and len(found[stage]) == len(ingested):  # else not every slice is decided
            removed[stage] = _removed(home, recipe, stage, ingested, found[stage])

    # the rules are reckoned from the measures: reading all summaries at once saves a read per slice
    by_rule = Counter[str]()
    if removed.get(RULES) is not None:
        read = bulk(home)
        for summary in ingested:
            by_rule.update(removed_by_rule(home, recipe, summary, read))

    if overlap is not None:
        for stage in overlap:
            is_counted = removed.get(stage) is not None
            _add_overlap(overlap, stage, name, recipe, found[stage] if is_counted else None)

    # Beside those of the source there are marks of what documents hold of test sets.
    measured = summaries(home, RULES, name) if recipe.sources[name].rules.test_sets else []
    rejects, not_pages = _refused(recipe, name, ingested)
    written = summaries(home, SHARDS, name) if is_encoded else []
    return SourceStats(
        records=_sum(ingested, "records"),
        rejects=rejects,
        not_pages=not_pages,
        documents=_sum(ingested, "documents"),
        removed=removed,
        rules=dict(by_rule),
        marks=_in_natural_order(_added(summary.marks for summary in [*ingested, *measured])),
        left_out=_by_count(_added(summary.left_out for summary in ingested)),
        kept=_sum(encoded, "kept") if is_encoded else None,
        bytes=_sum(encoded, "bytes") if is_encoded else None,
        sentences=_sum(encoded, "sentences") if is_encoded else None,
        tokens=_sum(encoded, "tokens") if is_encoded else None,
        unknown=_unknown(encoded) if is_encoded else None,
        repeated=_sum_of_known(summary.counts.get("repeated") for summary in written),
        repeated_tokens=_sum_of_known(summary.counts.get("again") for summary in written),
        survey=_survey_stats(home, recipe, name),
    )


def _refused(
    recipe: Recipe, name: str, found: list[Summary]
) -> tuple[dict[str, int], dict[str, int]]:
    """The rejects of a source by reason, and its records that are no pages by kind."""
    rejects = Counter(_added(summary.rejects for summary in found))
    not_pages = Counter(_added(summary.not_pages for summary in found))

    # Homes of earlier versions hold these records of archives among the rejects.
    if recipe.sources[name].kind in READS_ARCHIVES:
        for kind in NOT_PAGES.keys() & rejects.keys():
            not_pages[kind] += rejects.pop(kind)
    return dict(sorted(rejects.items())), dict(sorted(not_pages.items()))


def _survey_stats(home: Home, recipe: Recipe, name: str) -> SurveyStats | None:
    """The figures of a source's first reading; None for a source that is read once."""
    if name not in files.list_folders(home.file("summaries", SURVEY)):
        return None
    looked = summaries(home, SURVEY, name)
    concluded = read_summary(home.summary(CONCLUSION, name, CONCLUSION))
    rejects, not_pages = _refused(recipe, name, looked)
    return SurveyStats(
        records=_sum(looked, "records"),
        rejects=rejects,
        not_pages=not_pages,
        concluded=concluded.counts if concluded else {},
    )


def _removed(
    home: Home, recipe: Recipe, stage: str, ingested: list[Summary], found: list[Summary]
) -> int:
    """How many documents of a source a stage removes; `found`: its summaries."""
    if stage == RULES:
        read = bulk(home)
        return sum(removed_count(home, recipe, stage, summary, read) for summary in ingested)
    return sum(summary.counts["removed"] for summary in found)


def _add_overlap(
    overlap: Overlap, stage: str, name: str, recipe: Recipe, found: list[Summary] | None
) -> None:
    """Add the row of one source to the overlap of one stage.

    `found`: the stage's summaries of the source; None when it has not seen every slice.
    """
    rows = overlap[stage]
    if rows is None or found is None:
        overlap[stage] = None
        return

    removed = sum(summary.counts["removed"] for summary in found)
    twins_in = _added(summary.twins_in for summary in found)
    if sum(twins_in.values()) < removed:  # a home of an early version did not count them
        overlap[stage] = None
    elif twins_in:
        rows[name] = {other: twins_in[other] for other in recipe.sources if other in twins_in}


def removals(figures: SourceStats) -> list[tuple[str, int]]:
    """(what removed them, number of documents): each rule by name, then the other stages."""
    by_rule = [(f"{RULES} {rule}", count) for rule, count in sorted(figures.rules.items())]
    by_stage = [
        (stage, count) for stage, count in figures.removed.items() if count and stage != RULES
    ]
    return by_rule + by_stage


def _total(sources: Sequence[SourceStats]) -> SourceStats:
    """The sums over all sources, of what is known of each."""
    # a source may lack a stage that others have, such as the rules
    removed: dict[str, int | None] = {}
    for stage in itertools.chain.from_iterable(source.removed for source in sources):
        removed[stage] = _sum_of_known(source.removed.get(stage) for source in sources)
    surveys = [source.survey for source in sources if source.survey]
    return SourceStats(
        records=_sum_of_known(source.records for source in sources),
        rejects=_added(source.rejects for source in sources),
        not_pages=_added(source.not_pages for source in sources),
        documents=_sum_of_known(source.documents for source in sources),
        removed=removed,
        rules=_added(source.rules for source in sources),
        marks=_added(source.marks for source in sources),
        left_out=_by_count(_added(source.left_out for source in sources)),
        kept=_sum_of_known(source.kept for source in sources),
        bytes=_sum_of_known(source.bytes for source in sources),
        sentences=_sum_of_known(source.sentences for source in sources),
        tokens=_sum_of_known(source.tokens for source in sources),
        unknown=_sum_of_known(source.unknown for source in sources),
        repeated=_sum_of_known(source.repeated for source in sources),
        repeated_tokens=_sum_of_known(source.repeated_tokens for source in sources),
        survey=SurveyStats(
            records=_sum_of_known(survey.records for survey in surveys),
            rejects=_added(survey.rejects for survey in surveys),
            not_pages=_added(survey.not_pages for survey in surveys),
            concluded=_added(survey.concluded for survey in surveys),
        )
        if surveys
        else None,
    )


def _sum(found: list[Summary], key: str) -> int | None:
    """The sum of a count over slices; None when there are none."""
    return sum(summary.counts[key] for summary in found) if found else None


def _unknown(encoded: list[Summary]) -> int | None:
    """The unknown tokens of a source; None for a lossless vocabulary, which has none."""
    return _sum_of_known(summary.counts.get("unknown") for summary in encoded)


def _sum_of_known(values: Iterable[int | None]) -> int | None:
    known = [value for value in values if value is not None]
    return sum(known) if known else None


def _sum_of_all(values: Iterable[int | None]) -> int | None:
    """The sum; None when any value is not known."""
    total = 0
    for value in values:
        if value is None:
            return None
        total += value
    return total


def _added(counts: Iterable[dict[str, int]]) -> dict[str, int]:
    """Sums by key, in the order in which the keys first appear."""
    total: dict[str, int] = {}
    for row in counts:
        for key, count in row.items():
            total[key] = total.get(key, 0) + count
    return total


def _by_count(left_out: dict[str, int]) -> dict[str, int]:
    """Sorted so that the most frequent name comes first."""
    return dict(sorted(left_out.items(), key=lambda item: (-item[1], item[0])))


def _in_natural_order(marks: dict[str, int]) -> dict[str, int]:
    """Sorted so that `question 2` comes before `question 10`."""

    def order(mark: str) -> list[int | str]:
        return [int(word) if word.isdigit() else word for word in re.split(r"(\d+)", mark)]

    return {mark: marks[mark] for mark in sorted(marks, key=order)}
