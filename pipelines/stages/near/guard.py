"""Stops a build in which near dedup would remove suspiciously much of a source."""

from collections import Counter
from collections.abc import Iterator
from typing import Any

import pyarrow.parquet as pq

from pipelines.home.decisions import removed_count, removing_stages
from pipelines.home.layout import INGEST, NEAR, Home
from pipelines.home.summaries import Summary, bulk, summaries
from pipelines.recipe import Recipe
from pipelines.stages.accounts import total
from pipelines.stages.job import Say
from shards.errors import UserError
from shards.storage import files


def guard(home: Home, recipe: Recipe, say: Say) -> None:
    """Stop a build that would remove more of a source than `dedup.max_removed`, counted from what
    the stages before leave of it; says first what is removed and why.

    Raises `UserError` (exit 1).
    """
    read = bulk(home)
    for name in recipe.sources:
        decided, ingested = summaries(home, NEAR, name), summaries(home, INGEST, name)
        if not recipe.sources[name].emit:
            continue
        documents, removed = total(ingested, "documents"), total(decided, "removed")

        # The share is that of what the stages before leave: rules may remove most of a source.
        for stage in removing_stages(recipe, NEAR, name):
            for summary in ingested:
                documents -= removed_count(home, recipe, stage, summary, read)

        if removed > recipe.dedup.max_removed * documents:
            for line in why_table(home, decided):
                say(line)

            share = removed / max(documents, 1)
            allowed = min(1.0, int(share * 100 + 1) / 100)
            raise UserError(
                f"{name}: {removed} of {documents} documents ({share:.0%}) are near-duplicates, "
                f"more than dedup.max_removed = {recipe.dedup.max_removed}",
                f"look: corpus show {home.quoted} --removed --source {name}; "
                f"to build all the same: {home.build_command} --dedup.max-removed {allowed}",
                1,
            )


def why_table(home: Home, decided: list[Summary]) -> Iterator[str]:
    """Lines: how many documents of a source are removed by kind and similarity, and the documents
    that most of them duplicate."""
    kinds = Counter[str]()
    twins = Counter[str]()
    for summary in decided:
        with files.open_input(home.attributes(NEAR, summary.source, summary.slice)) as stream:
            rows = pq.read_table(stream, columns=["twin", "score", "kind"]).to_pylist()

        for row in rows:
            if row["twin"]:
                kinds[_kind(row)] += 1
                twins[row["twin"]] += 1

    yield f"{decided[0].source}: documents removed, and why"
    for kind in sorted(kinds):
        yield f"  {kind:26} {kinds[kind]:>9,}"

    most = sorted(twins.items(), key=lambda item: (-item[1], item[0]))[:5]
    for twin, count in most:
        yield f"  duplicates of {twin} {count:>5,}"


Row = dict[str, Any]
"""The attributes of a document."""


def _kind(row: Row) -> str:
    if row["kind"] in ("contained", "contains"):
        return str(row["kind"])
    return f"similarity {int(row['score'] * 20) / 20:.2f} and up"
