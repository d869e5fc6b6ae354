"""TODO-DOC pipelines/look/status.py."""

from collections.abc import Callable
from typing import Any

from pipelines.home.decisions import REMOVING_STAGES, current, removing_stages
from pipelines.home.layout import EXACT, INGEST, NEAR, SURVEY, TOKENIZE, Home, open_home
from pipelines.home.lock import holder
from pipelines.home.set_aside import slices_aside
from pipelines.home.summaries import summaries
from pipelines.look.stats import SCHEMA_VERSION, STAGES, source_stats
from pipelines.progress.display import read_snapshot
from pipelines.recipe import Recipe, recipe_digest
from shards.errors import UserError
from shards.format import MANIFEST
from shards.manifest import Manifest, read_manifest
from shards.storage import files

SAFETY_NET = ("crash", "memory", "timeout")


def _stopped(home: Home, recipe: Recipe, manifest: Manifest | None) -> str | None:
    from pipelines.stages import exact
    from pipelines.stages.near.guard import guard

    guards: dict[str, Callable[..., None]] = {
        EXACT: exact.guard,
        NEAR: guard,
    }
    for stage in removing_stages(recipe):
        if stage in guards:
            found = [
                summary for name in recipe.sources for summary in current(home, recipe, stage, name)
            ]
            if len(found) < sum(len(summaries(home, INGEST, name)) for name in recipe.sources):
                return None  # not there yet
            try:
                guards[stage](home, recipe, lambda _: None)
            except UserError as error:
                return error.what
    try:
        _, whole = open_home(
            home.root
        )  # with the options of a user's own source, which need its module
    except UserError:
        return None
    if manifest and manifest.recipe_digest != recipe_digest(whole):
        return "the shards are of other settings"
    return None


def status(home_root: str) -> dict[str, Any]:
    """How far a build is: slices done of each stage and whether the shards are there.

    `stopped`: why the shards are not what the recipe asks for: a guard, or settings changed since.
    `safety_net`: records that the limits of time and memory ended, by reason. Those are meant never
    to decide, and on another machine they might not.
    """
    home, recipe = open_home(home_root, for_reading=True)
    ingested = summaries(home, INGEST)
    slices = len(ingested)
    done = {stage: len(summaries(home, stage)) for stage in STAGES}
    for stage in (
        *REMOVING_STAGES,
        TOKENIZE,
    ):  # not those of documents that are no more
        done[stage] = sum(len(current(home, recipe, stage, name)) for name in recipe.sources)
    aside = slices_aside(home)
    surveyed = summaries(home, SURVEY)
    if surveyed:
        done = {SURVEY: len(surveyed), **done}
    off = set(REMOVING_STAGES) - set(removing_stages(recipe))
    kept = [source_stats(home, recipe, name)["kept"] for name in recipe.sources]
    manifest = (
        read_manifest(home.file("shards")) if files.exists(home.file("shards", MANIFEST)) else None
    )
    entries = manifest.shards if manifest else ()
    in_shards = sum(entry.documents for entry in entries)
    stopped = _stopped(home, recipe, manifest)
    at_work = holder(home)
    return {
        "schema_version": SCHEMA_VERSION,
        "slices": slices,
        "done": {stage: count for stage, count in done.items() if stage not in off},
        "complete": bool(entries)
        and not aside
        and not stopped
        and None not in kept
        and in_shards == sum(kept),
        "stopped": stopped,
        "set_aside": aside,
        "safety_net": {
            reason: count
            for reason in SAFETY_NET
            if (count := sum(summary.rejects.get(reason, 0) for summary in ingested))
        },
        "at_work": at_work,
        "running": read_snapshot(home) if at_work else None,
    }
