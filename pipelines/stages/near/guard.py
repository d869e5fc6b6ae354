"""TODO-DOC pipelines/stages/near/guard.py."""

from collections.abc import Callable, Iterator

import pyarrow.parquet as pq

from pipelines.home.decisions import removed_count, removing_stages
from pipelines.home.layout import Home
from pipelines.home.summaries import Summary, bulk, ordered_slices
from pipelines.recipe import Recipe
from pipelines.stages.near.groups import STAGE
from shards.errors import UserError
from shards.storage import files

# --- the guard
# ----------------------------------------------------------------------------------------------------


def guard(home: Home, recipe: Recipe, found: list[Summary], say: Callable[[str], None]) -> None:
    """Stop a build in which more of what the stages before leave of a source would go than
    `dedup.max_removed`, after a table of why. Raises `UserError` (exit 1)."""
    slices, read = ordered_slices(home, recipe), bulk(home)
    for name in recipe.sources:
        of_source, ingested = (
            [summary for summary in of_all if summary.source == name] for of_all in (found, slices)
        )
        documents = sum(summary.counts["documents"] for summary in ingested)
        documents -= sum(
            removed_count(home, recipe, stage, summary, read)
            for stage in removing_stages(recipe, STAGE, name)
            for summary in ingested
        )
        removed = sum(summary.counts["removed"] for summary in of_source)
        if removed > recipe.dedup.max_removed * documents:
            for line in why_table(home, of_source):
                say(line)
            share = removed / documents
            raise UserError(
                f"{name}: {removed} of {documents} documents ({share:.0%}) are near-copies, more than dedup.max_removed = {recipe.dedup.max_removed}",
                f"look: corpus show {home.root} --removed --source {name}; to go on: --dedup.max-removed {min(1.0, int(share * 100 + 1) / 100)}",
                1,
            )


def why_table(home: Home, found: list[Summary]) -> Iterator[str]:
    """Lines: how many of a source go by kind and similarity, and the twins that most of them
    have."""
    kinds: dict[str, int] = {}
    copies: dict[str, int] = {}
    for summary in found:
        with files.open_input(home.attributes(STAGE, summary.source, summary.slice)) as stream:
            table = pq.read_table(stream, columns=["twin", "score", "kind"]).to_pylist()
        for row in table:
            if row["twin"]:
                key = (
                    "contained"
                    if row["kind"] == "contained"
                    else f"similarity {int(row['score'] * 20) / 20:.2f} and up"
                )
                kinds[key] = kinds.get(key, 0) + 1
                copies[row["twin"]] = copies.get(row["twin"], 0) + 1
    yield f"{found[0].source}: what goes, and why"
    for key in sorted(kinds):
        yield f"  {key:26} {kinds[key]:>9,}"
    for twin, count in sorted(copies.items(), key=lambda item: (-item[1], item[0]))[:5]:
        yield f"  copies of {twin} {count:>5,}"
