"""What went in, what came out, what was dropped and why: the figures of a home, from its summaries alone."""

from typing import Any

from pipelines import exact, ingest, shard, tokenize
from pipelines import home as homes
from pipelines.home import Home, Summary, open_home, summaries
from pipelines.progress import read_snapshot
from pipelines.recipe import Recipe
from shards import files
from shards.format import MANIFEST

SCHEMA_VERSION = 1
STAGES = (ingest.STAGE, exact.STAGE, "tokenizer", tokenize.STAGE, shard.STAGE)


def stats(home_root: str) -> dict[str, Any]:
    """`{"schema_version": 1, "sources": {NAME: X}, "total": X}`; X = records, rejects {reason: n}, documents,
    removed {stage: n}, kept, bytes (UTF-8 of the kept text), sentences, tokens. What no stage has counted yet is null."""
    home, recipe = open_home(home_root)
    sources = {name: _source_stats(home, recipe, name) for name in recipe.sources}
    total: dict[str, Any] = {}
    for figures in sources.values():
        total = _add(total, figures)
    return {"schema_version": SCHEMA_VERSION, "sources": sources, "total": total}


def _source_stats(home: Home, recipe: Recipe, name: str) -> dict[str, Any]:
    ingested, encoded = summaries(home, ingest.STAGE, name), summaries(home, tokenize.STAGE, name)
    rejects: dict[str, int] = {}
    for summary in ingested:
        rejects = _add(rejects, summary.rejects)
    removed = {stage: _sum(summaries(home, stage, name), "removed") for stage in homes.removing_stages(recipe)}
    figures: dict[str, Any] = {
        "records": _sum(ingested, "records"),
        "rejects": dict(sorted(rejects.items())),
        "documents": _sum(ingested, "documents"),
        "removed": removed,
    }
    return figures | {key: _sum(encoded, key) for key in ("kept", "bytes", "sentences", "tokens")}


def _sum(found: list[Summary], key: str) -> int | None:
    return sum(summary.counts[key] for summary in found) if found else None


def _add(left: dict[str, Any], right: dict[str, Any]) -> dict[str, Any]:
    """The sums of two figures, key by key."""
    total = dict(left)
    for key, value in right.items():
        if isinstance(value, dict):
            total[key] = _add(total.get(key, {}), value)
        elif value is not None or key not in total:
            total[key] = value if total.get(key) is None else total[key] + (value or 0)
    return total


def status(home_root: str) -> dict[str, Any]:
    """How far a build is: slices done of each stage and whether the shards are there."""
    home, recipe = open_home(home_root)
    slices = len(summaries(home, ingest.STAGE))
    done = {stage: len(summaries(home, stage)) for stage in STAGES}
    aside = homes.slices_aside(home)
    off = () if homes.removing_stages(recipe) else (exact.STAGE,)
    return {
        "schema_version": SCHEMA_VERSION,
        "slices": slices,
        "done": {stage: count for stage, count in done.items() if stage not in off},
        "complete": files.exists(home.file("shards", MANIFEST)) and not aside,
        "set_aside": aside,
        "running": read_snapshot(home),
    }
