"""What became of each document of a slice: the one place that knows how the removing stages say so.

A stage's verdict is a row a document: `reason` (null: this stage keeps it), and `twin` and
`score`, or `value` and `threshold` of a rule. The first stage that
removes a document, in the order of `home.REMOVING_STAGES`, is the one that counts.
"""

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from corpora.rules import asked
from pipelines import home as homes
from pipelines.home import Home, Summary, twins
from pipelines.recipe import Recipe
from shards.config import UserError

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
        homes.attribute_digests(home, recipe, ingested)
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
    for stage in reversed(homes.removing_stages(recipe, source=ingested.source)):
        verdict = (
            _of_rules(home, recipe, ingested)
            if stage == homes.RULES
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
        names = {"reason": "rule"} if record["stage"] == homes.RULES else {}
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
    verdict = homes.rule_verdicts(home, recipe, ingested)
    rules = asked(recipe.sources[ingested.source].rules)
    reasons = np.full(len(verdict), None, object)
    values, thresholds = np.full(len(verdict), np.nan), np.full(len(verdict), np.nan)
    for place in np.unique(verdict[verdict >= 0]).tolist():
        rule, threshold = rules[place]
        rows = verdict == place
        reasons[rows] = rule.name
        values[rows] = homes.rule_values(home, ingested, rule)[rows]
        thresholds[rows] = threshold
    stages = np.full(len(verdict), None, object)
    stages[verdict >= 0] = homes.RULES
    ids = homes.rule_ids(home, ingested)
    none = pa.nulls(len(verdict), pa.string())
    floats = [
        pa.nulls(len(verdict), pa.float64()),
        *(pa.array(column, pa.float64(), from_pandas=True) for column in (values, thresholds)),
    ]
    return pa.table(
        [ids, pa.array(stages, pa.string()), pa.array(reasons, pa.string()), none, *floats],
        schema=SCHEMA,
    )
