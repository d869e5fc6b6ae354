"""The fate of each document: kept, or removed by which stage and why. For reports, `show` and
`diff`; no stage of a build reads it.

Cost: the attributes of one slice in memory, a few numbers and strings per document.
"""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from corpora.quality.rules import asked
from pipelines.home.decisions import emitted_rows, removal_kinds, removing_stages, twins
from pipelines.home.layout import EMIT, HOSTS, PASSAGES, RULES, Home
from pipelines.home.summaries import Summary
from pipelines.home.verdicts import rule_ids, rule_values, rule_verdicts
from pipelines.recipe import Recipe

NOT_EMITTED, NOT_SAMPLED = "not_emitted", "not_sampled"
"""The reasons of `EMIT`."""

FATE_SCHEMA = pa.schema(
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
"""`reason` is a rule's name or the kind of duplicate (text, address, near, ...). A duplicate has
the kept document as `twin` and their similarity as `score`; a rule has the `value` that it compared
and its `threshold`. For a kept document everything is null."""


def fates(home: Home, recipe: Recipe, ingested: Summary) -> pa.Table:
    """`FATE_SCHEMA`, one row per document of an ingested slice. Ids of kept documents are null too.

    Raises `UserError` when a stage has not run.
    """
    documents = ingested.counts["documents"]
    nothing = [pa.nulls(documents, field.type) for field in FATE_SCHEMA]
    table = pa.table(nothing, schema=FATE_SCHEMA)

    # The first stage that removes a document decides its fate, so it is written last.
    for stage in reversed(removing_stages(recipe, source=ingested.source)):
        if stage == RULES:
            verdict = _removed_by_rules(home, recipe, ingested)
        elif stage in (PASSAGES, HOSTS):
            verdict = _without_twins(removal_kinds(home, stage, ingested), stage)
        elif stage == EMIT:
            reason = NOT_EMITTED if not recipe.sources[ingested.source].emit else NOT_SAMPLED
            is_emitted = emitted_rows(home, recipe, ingested)
            reasons = [None if emitted else reason for emitted in is_emitted.tolist()]
            told = pa.chunked_array([pa.array(reasons, pa.string())])
            verdict = _without_twins(told, stage)
        else:
            verdict = _removed_as_duplicates(home, stage, ingested)

        removed = pc.is_valid(verdict.column("reason"))
        columns = [
            pc.if_else(removed, verdict.column(name), table.column(name))
            for name in FATE_SCHEMA.names
        ]
        table = pa.table(columns, schema=FATE_SCHEMA)

    return table


def removals(home: Home, recipe: Recipe, ingested: Summary) -> dict[int, dict[str, object]]:
    """Row -> fate of each removed document of a slice, without what is null and without the id.

    The fate has `stage`, and `reason`, `twin` and `score` of a duplicate, or `rule`, `value` and
    `threshold`. Raises `UserError` when a stage has not run.
    """
    # Arrow's kernel dies of a column without any chunk.
    if not ingested.counts["documents"]:
        return {}

    table = fates(home, recipe, ingested)
    rows = pc.indices_nonzero(pc.is_valid(table.column("stage")))
    records = table.take(rows).drop(["id"]).to_pylist()

    found = {}
    for row, record in zip(rows.to_pylist(), records):
        fate: dict[str, object] = {}
        for name, value in record.items():
            key = "rule" if name == "reason" and record["stage"] == RULES else name
            if value is not None:
                fate[key] = value
        found[row] = fate
    return found


def _without_twins(reasons: pa.ChunkedArray, stage: str) -> pa.Table:
    """The fates of documents that a stage removes for these reasons, each without a twin."""
    columns = [pa.nulls(len(reasons), field.type) for field in FATE_SCHEMA]
    table = pa.table(columns, schema=FATE_SCHEMA)
    no_text = pa.nulls(len(reasons), pa.string())
    stages = pc.if_else(pc.is_valid(reasons), pa.scalar(stage), no_text)
    names = FATE_SCHEMA.names
    table = table.set_column(names.index("stage"), "stage", stages)
    return table.set_column(names.index("reason"), "reason", reasons)


def _removed_as_duplicates(home: Home, stage: str, ingested: Summary) -> pa.Table:
    """The fates that `exact` or `near` gives: a document with a twin is removed."""
    table = twins(home, stage, ingested)
    no_text = pa.nulls(table.num_rows, pa.string())
    no_number = pa.nulls(table.num_rows, pa.float64())

    removed = pc.is_valid(table.column("twin"))
    # The schema allows a duplicate without a kind.
    kind = pc.coalesce(table.column("kind"), pa.scalar(stage))
    columns = {
        "id": table.column("id"),
        "stage": pc.if_else(removed, pa.scalar(stage), no_text),
        "reason": pc.if_else(removed, kind, no_text),
        "twin": table.column("twin"),
        "score": table.column("score"),
        "value": no_number,
        "threshold": no_number,
    }
    return pa.table(columns, schema=FATE_SCHEMA)


def _removed_by_rules(home: Home, recipe: Recipe, ingested: Summary) -> pa.Table:
    """The fates that the quality rules give: the first rule that fires is the reason."""
    verdict = rule_verdicts(home, recipe, ingested)
    rules = asked(recipe.sources[ingested.source].rules)
    documents = len(verdict)

    reasons = np.full(documents, None, object)
    values = np.full(documents, np.nan)
    thresholds = np.full(documents, np.nan)
    for place in np.unique(verdict[verdict >= 0]).tolist():
        rule, threshold = rules[place]
        rows = verdict == place
        reasons[rows] = rule.name
        values[rows] = rule_values(home, ingested, rule)[rows]
        thresholds[rows] = threshold

    stages = np.full(documents, None, object)
    stages[verdict >= 0] = RULES
    columns = {
        "id": rule_ids(home, ingested),
        "stage": pa.array(stages, pa.string()),
        "reason": pa.array(reasons, pa.string()),
        "twin": pa.nulls(documents, pa.string()),
        "score": pa.nulls(documents, pa.float64()),
        # `from_pandas` makes nulls of NaN.
        "value": pa.array(values, pa.float64(), from_pandas=True),
        "threshold": pa.array(thresholds, pa.float64(), from_pandas=True),
    }
    return pa.table(columns, schema=FATE_SCHEMA)
