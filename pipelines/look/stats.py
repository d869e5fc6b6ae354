"""What went in, what came out, what was dropped and why: the figures of a home, from its summaries
alone."""

import re
from typing import Any

from pipelines.home.decisions import (
    REMOVING_STAGES,
    current,
    removed_by_rule,
    removed_count,
    removing_stages,
)
from pipelines.home.layout import (
    CONCLUSION,
    INGEST,
    RULES,
    SHARDS,
    SURVEY,
    TOKENIZE,
    Home,
    open_home,
)
from pipelines.home.summaries import Summary, bulk, read_summary, summaries
from pipelines.recipe import Recipe
from shards.storage import files

SCHEMA_VERSION = 1

STAGES = (INGEST, *REMOVING_STAGES, "tokenizer", TOKENIZE, SHARDS)

SHARED = ("documents", "kept", "bytes", "tokens")
"""Of what `stats` gives each source's share."""

Overlap = dict[str, dict[str, dict[str, int]] | None]
"""Stage -> source -> source of the twins -> removed documents, pairs without any left out; None for
a stage that has not counted them all."""


def stats(home_root: str) -> dict[str, Any]:
    """`{"schema_version": 1, "sources": {NAME: X}, "total": X, "shares": {NAME: S}, "overlap":
    {stage: {NAME: {NAME: n}}}}`.

    X = records, rejects {reason: n}, documents, removed {stage: n}, rules {rule: n} (of
    removed.rules, by the first rule that fired), kept, bytes (UTF-8 of the kept text), sentences,
    tokens. S: a source's part of the total, of each of `SHARED`. Overlap: of the first source's
    removed documents, those whose twin is of the second. What no stage has counted yet is null.
    Only where there are any: marks {mark: n} of the documents; survey {records, rejects {reason:
    n}, and what it counted} of the first reading.
    """
    home, recipe = open_home(home_root, for_reading=True)
    overlap: Overlap = {stage: {} for stage in removing_stages(recipe) if stage != RULES}
    sources = {name: source_stats(home, recipe, name, overlap) for name in recipe.sources}
    for name in files.list_folders(home.file("summaries", SURVEY)):
        if name in sources:
            sources[name]["survey"] = _survey_stats(home, name)
    total: dict[str, Any] = {}
    for figures in sources.values():
        total = _add(total, figures)
    shares = {
        name: {key: _share(figures[key], total[key], sources, key) for key in SHARED}
        for name, figures in sources.items()
    }
    return {
        "schema_version": SCHEMA_VERSION,
        "sources": sources,
        "total": total,
        "shares": shares,
        "overlap": overlap,
    }


def _share(part: int | None, whole: int | None, sources: dict[str, Any], key: str) -> float | None:
    """A source's part of the total, to six digits; None where any source's is not known yet."""
    if not whole or part is None or any(figures[key] is None for figures in sources.values()):
        return None
    return round(part / whole, 6)


def source_stats(
    home: Home, recipe: Recipe, name: str, overlap: Overlap | None = None
) -> dict[str, Any]:
    """The figures of a source; its row of `overlap` is written."""
    ingested, encoded = (
        summaries(home, INGEST, name),
        current(home, recipe, TOKENIZE, name),
    )
    rejects: dict[str, int] = {}
    for summary in ingested:
        rejects = _add(rejects, summary.rejects)
    removed = {
        stage: _removed(home, recipe, stage, name, ingested, overlap)
        for stage in removing_stages(recipe, source=name)
    }
    by_rule: dict[str, int] = {}
    if removed.get(RULES) is not None:
        read = bulk(home)
        for summary in ingested:
            by_rule = _add(by_rule, removed_by_rule(home, recipe, summary, read))
    figures: dict[str, Any] = {
        "records": _sum(ingested, "records"),
        "rejects": dict(sorted(rejects.items())),
        "documents": _sum(ingested, "documents"),
        "removed": removed,
        "rules": by_rule,
    }
    marks: dict[str, int] = {}
    for summary in ingested:
        marks = _add(marks, summary.marks)
    if marks:
        figures["marks"] = dict(
            sorted(
                marks.items(),
                key=lambda item: [
                    int(word) if word.isdigit() else word for word in re.split(r"(\d+)", item[0])
                ],
            )
        )
    return figures | {
        key: _sum_of_all(encoded, key, ingested) for key in ("kept", "bytes", "sentences", "tokens")
    }


def _survey_stats(home: Home, name: str) -> dict[str, Any]:
    looked, concluded = (
        summaries(home, SURVEY, name),
        read_summary(home.summary(CONCLUSION, name, CONCLUSION)),
    )
    rejects: dict[str, int] = {}
    for summary in looked:
        rejects = _add(rejects, summary.rejects)
    return {
        "records": _sum(looked, "records"),
        "rejects": dict(sorted(rejects.items())),
        **(concluded.counts if concluded else {}),
    }


def _removed(
    home: Home,
    recipe: Recipe,
    stage: str,
    name: str,
    ingested: list[Summary],
    overlap: Overlap | None,
) -> int | None:
    """How many documents a stage removes; None until it has gone over every slice that is there
    now."""
    found = current(home, recipe, stage, name)
    known = bool(ingested) and len(found) == len(ingested)
    if stage == RULES:
        read = bulk(home)
        return (
            sum(removed_count(home, recipe, stage, summary, read) for summary in ingested)
            if known
            else None
        )
    removed = sum(summary.counts["removed"] for summary in found)
    if overlap is not None:
        twins_in: dict[str, int] = {}
        for summary in found:
            twins_in = _add(twins_in, summary.twins_in)
        row = overlap[stage]
        if (
            not known or row is None or sum(twins_in.values()) < removed
        ):  # a home of an earlier version did not count them
            overlap[stage] = None
        elif twins_in:
            row[name] = {other: twins_in[other] for other in recipe.sources if other in twins_in}
    return removed if known else None


def _sum(found: list[Summary], key: str) -> int | None:
    return sum(summary.counts[key] for summary in found) if found else None


def _sum_of_all(found: list[Summary], key: str, ingested: list[Summary]) -> int | None:
    """None until the stage has gone over every slice that is there now."""
    return _sum(found, key) if len(found) == len(ingested) else None


def _add(left: dict[str, Any], right: dict[str, Any]) -> dict[str, Any]:
    """The sums of two figures, key by key."""
    total = dict(left)
    for key, value in right.items():
        if isinstance(value, dict):
            total[key] = _add(total.get(key, {}), value)
        elif value is not None or key not in total:
            total[key] = value if total.get(key) is None else total[key] + (value or 0)
    return total


def removals(figures: dict[str, Any]) -> list[tuple[str, int]]:
    """(what removed them, how many documents) of a source's figures: the rules one by one, in the
    order of their names, and the stages."""
    rows = [(f"{RULES} {rule}", count) for rule, count in sorted(figures["rules"].items())]
    return rows + [
        (stage, count) for stage, count in figures["removed"].items() if count and stage != RULES
    ]
