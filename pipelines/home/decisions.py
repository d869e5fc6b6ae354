"""Which documents are kept: what the stages that remove documents decided together.

Each removing stage stores its own result: `rules` stores measures (see `verdicts`), `exact` and
`near` store attributes that name the kept document. Here they are put together in the order of
`REMOVING_STAGES`. A stage looks only at documents that the earlier stages keep, so a document is
never removed because of a document that was itself removed. To make that hold after any change, the
fingerprint of a removing stage and its summary's `inputs` hold the digest of the documents and
`attribute_digests(..., before=stage)`.
"""

import json

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from corpora.quality.rules import asked
from pipelines.chance import CHANCES, chance
from pipelines.home.documents import document_tables, not_run, read_attributes
from pipelines.home.layout import EMIT, EXACT, HOSTS, INGEST, NEAR, PASSAGES, RULES, Home
from pipelines.home.shares import share_columns, shares_of
from pipelines.home.summaries import Read, Summary, bulk, summaries, summary_reader
from pipelines.home.verdicts import kept_digest, rule_outcome, rule_verdicts
from pipelines.recipe import Recipe
from shards.errors import UserError
from shards.storage import files

REMOVING_STAGES = (RULES, EXACT, PASSAGES, NEAR, HOSTS, EMIT)
"""Stages that remove documents, in the order in which they apply. `EMIT` has no pass: it removes
what is left of sources that are only compared with, or sampled."""

DUPLICATE_STAGES = (EXACT, NEAR)
"""Those that name a kept document for each removed one."""


def removing_stages(
    recipe: Recipe, before: str | None = None, source: str | None = None
) -> tuple[str, ...]:
    """The removing stages that this recipe has switched on, in the order in which they apply.

    With `source` only those that apply to it; with `before` only those that come before that stage.
    """
    sources = [recipe.sources[source]] if source else list(recipe.sources.values())
    on = {
        RULES: any(asked(options.rules) for options in sources),
        EXACT: recipe.dedup.exact,
        PASSAGES: any(options.dedup.passages == "remove" for options in sources),
        NEAR: recipe.dedup.near,
        HOSTS: any(options.max_per_host for options in sources),
        EMIT: not all(options.takes_all for options in sources),
    }
    end = REMOVING_STAGES.index(before) if before else len(REMOVING_STAGES)
    return tuple(stage for stage in REMOVING_STAGES[:end] if on[stage])


def twins(home: Home, stage: str, ingested: Summary) -> pa.Table:
    """The attributes that `exact` or `near` gave to an ingested slice, one row per document.

    Columns: id, twin, score and kind.

    Raises `UserError` when they belong to another documents file.
    """
    return read_attributes(home, stage, ingested.source, ingested.slice, ingested.output)


def kept_rows(
    home: Home, recipe: Recipe, ingested: Summary, before: str | None = None
) -> NDArray[np.bool_]:
    """(D,) True for each document of an ingested slice that is kept; with `before`, that is kept by
    the stages before that one. Raises `UserError` when one of them has not run."""
    kept = np.ones(ingested.counts["documents"], dtype=np.bool_)
    for stage in removing_stages(recipe, before, ingested.source):
        if stage == RULES:
            kept &= rule_verdicts(home, recipe, ingested) < 0
        elif stage in (PASSAGES, HOSTS):
            kept &= removal_kinds(home, stage, ingested).is_null().to_numpy()
        elif stage == EMIT:
            kept &= emitted_rows(home, recipe, ingested)
        else:
            kept &= twins(home, stage, ingested).column("twin").is_null().to_numpy()
    return kept


def emitted_rows(home: Home, recipe: Recipe, ingested: Summary) -> NDArray[np.bool_]:
    """(D,) which documents of a slice the recipe takes into the corpus: none of a source that is
    only compared with, and of one with shares those whose draw is below their share."""
    options = recipe.sources[ingested.source]
    rows = np.zeros(ingested.counts["documents"], np.bool_)
    if not options.emit or options.takes_all:
        rows[:] = options.emit
        return rows

    first = 0
    for table in document_tables(home, ingested, ["id", *share_columns(options.keep_by)]):
        ids = table.column("id").to_pylist()
        draws = [chance(recipe.seed, "keep", name) for name in ids]
        limits = [int(share * CHANCES) for share in shares_of(options, table)]
        rows[first : first + len(ids)] = [draw < limit for draw, limit in zip(draws, limits)]
        first += len(ids)
    return rows


def removal_kinds(home: Home, stage: str, ingested: Summary) -> pa.ChunkedArray:
    """(D,) why `passages` or `hosts` removes a document of an ingested slice, or null."""
    table = read_attributes(home, stage, ingested.source, ingested.slice, ingested.output, ["kind"])
    return table.column("kind")


def removed_count(
    home: Home, recipe: Recipe, stage: str, ingested: Summary, read: Read | None = None
) -> int:
    """The number of documents of an ingested slice that a removing stage removes.

    `read` looks up summaries; pass `bulk` when asking about many slices. Raises `UserError` when
    the stage has not run.
    """
    if stage == RULES:
        return sum(rule_outcome(home, recipe, ingested, read).removed)

    read = read or summary_reader(home)
    if stage == EMIT:
        left = kept_rows(home, recipe, ingested, before=EMIT)
        return int((left & ~emitted_rows(home, recipe, ingested)).sum())

    summary = read(stage, ingested.source, ingested.slice)
    if summary is None:
        raise not_run(home, ingested.source, ingested.slice)
    return summary.counts["removed"]


def removed_by_rule(
    home: Home, recipe: Recipe, ingested: Summary, read: Read | None = None
) -> dict[str, int]:
    """The number of documents of a slice that each rule removes, in the order of the rules.

    A document counts for the first rule that removes it. Rules that remove none are left out.
    `read` and errors are those of `removed_count`.
    """
    counts = rule_outcome(home, recipe, ingested, read).removed
    rules = asked(recipe.sources[ingested.source].rules)
    return {rule.name: count for (rule, _), count in zip(rules, counts) if count}


def attribute_digests(
    home: Home,
    recipe: Recipe,
    ingested: Summary,
    strict: bool = True,
    before: str | None = None,
    read: Read | None = None,
) -> list[str]:
    """One digest per removing stage, which together tell which documents of a slice are kept; with
    `before` by the stages that come before that one.

    For the rules it is a digest of their verdicts, not of the measures: a threshold that removes
    the same documents changes nothing. `read` looks up summaries; pass `bulk` when asking about
    many slices. Raises `UserError` when a stage has not run over the files as they are now; with
    `strict` False its digest is left out, or is that of an earlier run.
    """
    digests: list[str] = []
    read = read or summary_reader(home)
    for stage in removing_stages(recipe, before, ingested.source):
        if stage == EMIT:
            options = recipe.sources[ingested.source]
            shares = ""
            if options.keep_shares:
                shares = f" {options.keep_by} {json.dumps(options.keep_shares, sort_keys=True)}"
            digests.append(f"{EMIT} {options.emit} {options.keep} {recipe.seed}{shares}")
            continue

        summary = read(stage, ingested.source, ingested.slice)
        # A removing stage has as inputs the documents and what the stages before it decided.
        is_current = summary is not None and summary.inputs == (ingested.output, *digests)
        if strict and not is_current:
            raise not_run(home, ingested.source, ingested.slice)

        digest = None
        if summary is not None:
            digest = summary.output
            # The rules decide by verdicts, which may change while the file of measures does not.
            if stage == RULES:
                digest = kept_digest(home, recipe, ingested, read)

        if digest:
            digests.append(digest)
        elif strict:
            raise not_run(home, ingested.source, ingested.slice)

    return digests


def decided(home: Home, recipe: Recipe, ingested: Summary) -> bool:
    """True when every removing stage has run over the documents of this slice as they are now."""
    try:
        attribute_digests(home, recipe, ingested)
    except UserError as error:
        if error.exit_code == 3:
            raise
        return False
    return True


def current(home: Home, recipe: Recipe, stage: str, source: str) -> list[Summary]:
    """The summaries of a stage after `ingest` that were made from the documents and the decisions
    of earlier stages as they are now."""
    read = bulk(home)
    before = stage if stage in REMOVING_STAGES else None

    def current_summary(ingested: Summary) -> Summary | None:
        summary = read(stage, source, ingested.slice)
        if summary is None:
            return None

        digests = attribute_digests(home, recipe, ingested, strict=False, before=before, read=read)
        if summary.inputs != (ingested.output, *digests):
            return None

        # The measures may be there and lack one that a changed rule reads.
        if stage == RULES and not kept_digest(home, recipe, ingested, read):
            return None
        return summary

    ingested = summaries(home, INGEST, source)
    found = files.each(home.root, current_summary, ingested)
    return [summary for summary in found if summary]
