"""TODO-DOC pipelines/home/decisions.py."""

import functools
import hashlib
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from corpora.quality.rules import Rule, RulesConfig, asked, first_to_fire, measured
from pipelines.home.documents import open_parquet
from pipelines.home.layout import EXACT, INGEST, NEAR, RULES, Home
from pipelines.home.summaries import Read, Summary, bulk, summaries, summary_reader
from pipelines.recipe import Recipe
from shards.errors import UserError
from shards.storage import files

REMOVING_STAGES = (RULES, EXACT, NEAR)
"""Stages that propose removals, in the order in which they apply. Each looks only at documents that
those before it keep, so that a removed document is nobody's kept twin: its fingerprint and its
summary's `inputs` hold the digest of the documents and `attribute_digests(..., before=itself)`."""


def current(home: Home, recipe: Recipe, stage: str, source: str) -> list[Summary]:
    """The summaries of a later stage that rest on the documents and attributes that are there
    now."""
    read = bulk(home)

    def of_slice(ingested: Summary) -> Summary | None:
        summary = read(stage, source, ingested.slice)
        before = stage if stage in REMOVING_STAGES else None
        wanted = (
            ingested.output,
            *attribute_digests(home, recipe, ingested, strict=False, before=before, read=read),
        )
        there = (
            summary is not None
            and summary.inputs == wanted
            and (stage != RULES or _rules_digest(home, recipe, ingested, read))
        )
        return summary if there else None

    return [
        summary
        for summary in files.each(home.root, of_slice, summaries(home, INGEST, source))
        if summary
    ]


def twins(home: Home, stage: str, summary: Summary) -> pa.Table:
    """The attributes of a dedup stage for an ingested slice (columns id, twin, score, kind); rows
    match the documents'.

    Raises `UserError` when they belong to another documents file.
    """
    return _attributes(home, stage, summary.source, summary.slice, summary.output)


def _attributes(
    home: Home,
    stage: str,
    source: str,
    slice_name: str,
    documents: str,
    columns: list[str] | None = None,
) -> pa.Table:
    address = home.attributes(stage, source, slice_name)
    try:
        with open_parquet(home, address) as file:
            table = file.read(columns=columns)  # passes over a column that is not there
    except FileNotFoundError:
        raise _not_run(home, source, slice_name) from None
    if (table.schema.metadata or {}).get(b"corpusmill.documents", b"").decode() != documents or (
        columns and len(table.column_names) < len(columns)
    ):
        raise UserError(
            f"{address}: made from other documents than {source}/{slice_name}, or for other rules",
            f"corpus dedup {home.root}",
            1,
        )
    return table


def _not_run(home: Home, source: str, slice_name: str) -> UserError:
    return UserError(
        f"{home.root}: dedup has not run over {source}/{slice_name}", f"corpus dedup {home.root}"
    )


def rule_verdicts(home: Home, recipe: Recipe, summary: Summary) -> NDArray[np.int16]:
    """(D,) for each document of an ingested slice the place in `asked(rules)` of the first rule
    that removes it; -1: none does.

    Reckoned from the measures and the recipe's thresholds. Raises `UserError` when the slice is not
    measured.
    """
    return _verdicts(*_verdicts_key(home, recipe, summary, None))


def _verdicts_key(
    home: Home, recipe: Recipe, summary: Summary, read: Read | None
) -> tuple[Home, str, str, str, str, RulesConfig, bool]:
    options, measures = (
        recipe.sources[summary.source],
        (read or summary_reader(home))(RULES, summary.source, summary.slice),
    )
    if measures is None:
        raise _not_run(home, summary.source, summary.slice)
    return (
        home,
        summary.source,
        summary.slice,
        summary.output,
        measures.output,
        options.rules,
        options.language == "en",
    )


@functools.lru_cache(maxsize=100_000)
def _verdict(*key: Any) -> tuple[str, tuple[int, ...]]:
    """Of what `_verdicts` says: a digest of which documents stay, and how many each rule
    removes."""
    verdict = _verdicts(*key)
    return hashlib.blake2b((verdict < 0).tobytes(), digest_size=16).hexdigest(), tuple(
        np.bincount(verdict[verdict >= 0]).tolist()
    )


@functools.lru_cache(maxsize=16)
def _verdicts(
    home: Home,
    source: str,
    slice_name: str,
    documents: str,
    _: str,
    config: RulesConfig,
    english: bool,
) -> NDArray[np.int16]:
    rules = asked(config)
    columns = ["id", *dict.fromkeys(name for rule, _ in rules for name in rule.columns())]
    table = _attributes(home, RULES, source, slice_name, documents, columns)
    verdict = first_to_fire(
        rules, {name: table.column(name).to_numpy() for name in columns}, english
    )
    verdict.flags.writeable = False
    return verdict


def rule_values(home: Home, summary: Summary, rule: Rule) -> NDArray[np.float64]:
    """(D,) what a rule compares with its threshold."""
    table = _attributes(
        home, RULES, summary.source, summary.slice, summary.output, ["id", *rule.columns()]
    )
    return measured(
        rule, {name: table.column(name).to_numpy() for name in table.column_names}, True
    )[0]


def rule_ids(home: Home, summary: Summary) -> pa.ChunkedArray:
    """(D,) the ids that stand beside the measures."""
    return _attributes(home, RULES, summary.source, summary.slice, summary.output, ["id"]).column(
        "id"
    )


def removed_by_rule(
    home: Home, recipe: Recipe, summary: Summary, read: Read | None = None
) -> dict[str, int]:
    """How many documents of a slice each rule removes, the first that fires; only rules that remove
    any, in their order."""
    _, counts = _verdict(*_verdicts_key(home, recipe, summary, read))
    return {
        rule.name: count
        for (rule, _), count in zip(asked(recipe.sources[summary.source].rules), counts)
        if count
    }


def removed_count(
    home: Home, recipe: Recipe, stage: str, summary: Summary, read: Read | None = None
) -> int:
    """How many documents of an ingested slice a removing stage removes. Raises `UserError` when it
    has not run. `read`: for many slices `bulk`."""
    if stage == RULES:
        return sum(_verdict(*_verdicts_key(home, recipe, summary, read))[1])
    found = (read or summary_reader(home))(stage, summary.source, summary.slice)
    if found is None:
        raise _not_run(home, summary.source, summary.slice)
    return found.counts["removed"]


def kept_rows(
    home: Home, recipe: Recipe, summary: Summary, before: str | None = None
) -> NDArray[np.bool_]:
    """(D,) which documents of an ingested slice no stage removes; with `before`, none of the stages
    that come before that one."""
    kept = np.ones(summary.counts["documents"], dtype=np.bool_)
    for stage in removing_stages(recipe, before, summary.source):
        kept &= (
            rule_verdicts(home, recipe, summary) < 0
            if stage == RULES
            else twins(home, stage, summary).column("twin").is_null().to_numpy()
        )
    return kept


def removing_stages(
    recipe: Recipe, before: str | None = None, source: str | None = None
) -> tuple[str, ...]:
    """The removing stages that this recipe has switched on (for a source, or for any), in the order
    in which they apply; only those before `before`."""
    named = [recipe.sources[source]] if source else recipe.sources.values()
    on = {
        RULES: any(asked(options.rules) for options in named),
        EXACT: recipe.dedup.exact,
        NEAR: recipe.dedup.near,
    }
    stages = REMOVING_STAGES[: REMOVING_STAGES.index(before)] if before else REMOVING_STAGES
    return tuple(stage for stage in stages if on[stage])


def attribute_digests(
    home: Home,
    recipe: Recipe,
    summary: Summary,
    strict: bool = True,
    before: str | None = None,
    read: Read | None = None,
) -> list[str]:
    """Digests of what decides which documents of a slice are kept (by the stages before `before`).
    Of the rules it is that of their verdicts, not of the measures: a threshold that removes the
    same documents changes nothing. Raises `UserError` when a stage has not run over what is there
    now, unless `strict` is False. `read`: for many slices `bulk`."""
    digests: list[str] = []
    read = read or summary_reader(home)
    for stage in removing_stages(recipe, before, summary.source):
        found = read(stage, summary.source, summary.slice)
        if strict and (found is None or found.inputs != (summary.output, *digests)):
            raise _not_run(home, summary.source, summary.slice)
        digest = found and (
            _rules_digest(home, recipe, summary, read) if stage == RULES else found.output
        )
        if digest:
            digests.append(digest)
        elif strict:
            raise _not_run(home, summary.source, summary.slice)
    return digests


def _rules_digest(home: Home, recipe: Recipe, summary: Summary, read: Read) -> str | None:
    """Of which documents of a slice the rules keep; None where it is not measured, or not for these
    rules."""
    try:
        return _verdict(*_verdicts_key(home, recipe, summary, read))[0]
    except UserError:
        return None


SCHEMA = pa.schema(
    [
        ("id", pa.string()),
        ("stage", pa.string()),
        ("reason", pa.string()),
        ("twin", pa.string()),
        ("score", pa.float64()),
        ("value", pa.float64()),
        ("threshold", pa.float64()),
    ]
)


def decided(home: Home, recipe: Recipe, ingested: Summary) -> bool:
    """True when every removing stage has gone over the documents of this slice as they are now."""
    try:
        attribute_digests(home, recipe, ingested)
    except UserError:
        return False
    return True


def fates(home: Home, recipe: Recipe, ingested: Summary) -> pa.Table:
    """`SCHEMA`, a row a document of an ingested slice: id, stage and reason of its removal, all
    null where it is kept.

    `reason`: a rule's name, or the kind of twin (text, address, near, ...). Raises `UserError` when
    a stage has not run.
    """
    table = pa.table(
        [pa.nulls(ingested.counts["documents"], field.type) for field in SCHEMA], schema=SCHEMA
    )
    for stage in reversed(removing_stages(recipe, source=ingested.source)):
        verdict = (
            _of_rules(home, recipe, ingested)
            if stage == RULES
            else _of_twins(home, stage, ingested)
        )
        gone = pc.is_valid(verdict.column("reason"))
        table = pa.table(
            [pc.if_else(gone, verdict.column(name), table.column(name)) for name in SCHEMA.names],
            schema=SCHEMA,
        )
    return table


def removals(home: Home, recipe: Recipe, ingested: Summary) -> dict[int, dict[str, Any]]:
    """Row -> what is known of its removal, for the removed documents of a slice: stage, and reason,
    twin and score, or rule, value and threshold."""
    table = fates(home, recipe, ingested)
    gone = pc.indices_nonzero(pc.is_valid(table.column("stage")))
    found = {}
    for row, record in zip(gone.to_pylist(), table.take(gone).drop(["id"]).to_pylist()):
        names = {"reason": "rule"} if record["stage"] == RULES else {}
        found[row] = {
            names.get(name, name): value for name, value in record.items() if value is not None
        }
    return found


def _of_twins(home: Home, stage: str, ingested: Summary) -> pa.Table:
    """Of a stage whose attributes are id, twin, score and kind: a document with a twin goes, and
    the kind is the reason."""
    table = twins(home, stage, ingested)
    gone = pc.is_valid(table.column("twin"))
    none, unknown = pa.nulls(table.num_rows, pa.string()), pa.nulls(table.num_rows, pa.float64())
    reason = pc.if_else(gone, pc.coalesce(table.column("kind"), pa.scalar(stage)), none)
    columns = [
        table.column("id"),
        pc.if_else(gone, pa.scalar(stage), none),
        reason,
        table.column("twin"),
        table.column("score"),
        unknown,
        unknown,
    ]
    return pa.table(columns, schema=SCHEMA)


def _of_rules(home: Home, recipe: Recipe, ingested: Summary) -> pa.Table:
    """Of the rules of quality: the first that fires is the reason."""
    verdict = rule_verdicts(home, recipe, ingested)
    rules = asked(recipe.sources[ingested.source].rules)
    reasons = np.full(len(verdict), None, object)
    values, thresholds = np.full(len(verdict), np.nan), np.full(len(verdict), np.nan)
    for place in np.unique(verdict[verdict >= 0]).tolist():
        rule, threshold = rules[place]
        rows = verdict == place
        reasons[rows] = rule.name
        values[rows] = rule_values(home, ingested, rule)[rows]
        thresholds[rows] = threshold
    stages = np.full(len(verdict), None, object)
    stages[verdict >= 0] = RULES
    ids = rule_ids(home, ingested)
    none = pa.nulls(len(verdict), pa.string())
    floats = [
        pa.nulls(len(verdict), pa.float64()),
        *(pa.array(column, pa.float64(), from_pandas=True) for column in (values, thresholds)),
    ]
    return pa.table(
        [ids, pa.array(stages, pa.string()), pa.array(reasons, pa.string()), none, *floats],
        schema=SCHEMA,
    )
