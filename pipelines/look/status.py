"""How far a build is: slices done by stage, what was set aside, and whether the shards are there.

Read from summaries, notes and the manifest; no document is opened.
"""

from dataclasses import dataclass

from corpora.quality.rules import is_measured
from pipelines.home.decisions import REMOVING_STAGES, current, removing_stages
from pipelines.home.layout import INGEST, RULES, SURVEY, TOKENIZE, Home, open_home
from pipelines.home.lock import holder
from pipelines.home.set_aside import Aside, slices_aside
from pipelines.home.summaries import summaries
from pipelines.look.stats import COUNTED, SCHEMA_VERSION, source_stats
from pipelines.progress.board import Progress
from pipelines.progress.display import read_snapshot
from pipelines.recipe import Recipe, recipe_digest
from pipelines.stages.table import STAGES
from shards.errors import UserError
from shards.format import MANIFEST
from shards.manifest import Manifest, read_manifest
from shards.storage import files

SAFETY_NET = ("crash", "memory", "timeout")
"""Reasons of rejects that the limits of time and memory give: they are meant never to decide, since
another machine might not reach them."""


@dataclass(frozen=True, kw_only=True)
class Status:
    """How far a build is.

    `slices`: those ingested and those set aside; `done`: slices by stage; `stopped`: why the shards
    are not what the recipe asks for, which is a guard or a changed setting, and `remedy` what to do
    about a guard; `safety_net`: rejects by the reasons of `SAFETY_NET`; `at_work`:
    who holds the lock; `running`: what that build's display shows.
    """

    schema_version: int = SCHEMA_VERSION
    slices: int
    done: dict[str, int]
    complete: bool
    stopped: str | None
    remedy: str | None
    set_aside: list[Aside]
    safety_net: dict[str, int]
    at_work: str | None
    running: Progress | None


def status(home: Home, recipe: Recipe) -> Status:
    """Find out how far a build is."""
    ingested = summaries(home, INGEST)
    set_aside = slices_aside(home)
    manifest = _manifest(home)
    stopped = _stopped(home, recipe, manifest)
    at_work = holder(home)

    safety_net = {}
    for reason in SAFETY_NET:
        count = sum(summary.rejects.get(reason, 0) for summary in ingested)
        if count:
            safety_net[reason] = count

    # A slice that was set aside is one that the build wants.
    missing = sum(note.stage == INGEST for note in set_aside)
    return Status(
        slices=len(ingested) + missing,
        done=_done(home, recipe),
        complete=not set_aside and not stopped and _is_complete(home, recipe, manifest),
        stopped=stopped.what if stopped else None,
        remedy=stopped.hint if stopped and stopped.hint else None,
        set_aside=set_aside,
        safety_net=safety_net,
        at_work=at_work,
        running=read_snapshot(home) if at_work else None,
    )


def _manifest(home: Home) -> Manifest | None:
    if not files.exists(home.file("shards", MANIFEST)):
        return None
    return read_manifest(home.file("shards"))


def _done(home: Home, recipe: Recipe) -> dict[str, int]:
    """Slices done by each stage that the recipe has switched on."""
    switched_off = set(REMOVING_STAGES) - set(removing_stages(recipe))
    # Rules that remove nothing may still measure what documents hold of test sets.
    if any(is_measured(options.rules) for options in recipe.sources.values()):
        switched_off.discard(RULES)
    done = {}
    surveyed = summaries(home, SURVEY)
    if surveyed:
        done[SURVEY] = len(surveyed)
    for stage in COUNTED:
        if stage in switched_off:
            continue
        if stage in REMOVING_STAGES or stage == TOKENIZE:
            # a summary of documents that have changed since is not counted
            done[stage] = sum(len(current(home, recipe, stage, name)) for name in recipe.sources)
        else:
            done[stage] = len(summaries(home, stage))
    return done


def _is_complete(home: Home, recipe: Recipe, manifest: Manifest | None) -> bool:
    """True when the shards hold as many documents as are kept."""
    if manifest is None or not manifest.shards:
        return False
    # The size is a cheap look; `corpus verify` reads the files.
    for entry in manifest.shards:
        address = home.file("shards", entry.file)
        if not files.exists(address) or files.size(address) != entry.bytes:
            return False

    # the manifest may be that of an earlier build: the counts tell
    kept = 0
    for name in recipe.sources:
        count = source_stats(home, recipe, name).kept
        if count is None:
            return False
        kept += count
    return kept == sum(entry.documents for entry in manifest.shards)


def _stopped(home: Home, recipe: Recipe, manifest: Manifest | None) -> UserError | None:
    """Why the shards are not what the recipe asks for, and the remedy; None when nothing speaks
    against it."""
    # a guard leaves no trace: it is asked again, as the build would
    for stage in STAGES:
        if stage.guard is None or not stage.wanted(recipe):
            continue
        done = sum(len(current(home, recipe, stage.name, name)) for name in recipe.sources)
        slices = sum(len(summaries(home, INGEST, name)) for name in recipe.sources)
        if done < slices:
            return None  # this stage has not ended
        try:
            stage.guard(home, recipe, lambda line: None)
        except UserError as error:
            return error

    try:
        # with the options of a user's own source too, for which its module must be there
        _, whole = open_home(home.root)
    except UserError:
        return None
    if manifest and manifest.recipe_digest != recipe_digest(whole):
        return UserError("the shards were built with other settings")
    return None
