"""What became of each document of a slice: the one place that knows how the removing stages say so.

A stage's verdict is a row a document: `reason` (null: this stage keeps it), `twin`, `score`, `detail`. The first stage that
removes a document, in the order of `home.REMOVING_STAGES`, is the one that counts.
"""

from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from pipelines import home as homes
from pipelines.home import Home, Summary, twins
from pipelines.recipe import Recipe

SCHEMA = pa.schema(
    [("id", pa.string()), ("stage", pa.string()), ("reason", pa.string()), ("twin", pa.string()), ("score", pa.float64()), ("detail", pa.string())]
)


def decided(home: Home, recipe: Recipe, ingested: Summary) -> bool:
    """True when every removing stage has gone over the documents of this slice as they are now."""
    found = [homes.read_summary(home.summary(stage, ingested.source, ingested.slice)) for stage in homes.removing_stages(recipe)]
    return all(summary is not None and summary.inputs[:1] == (ingested.output,) for summary in found)


def fates(home: Home, recipe: Recipe, ingested: Summary) -> pa.Table:
    """`SCHEMA`, a row a document of an ingested slice: id, stage and reason of its removal, all null where it is kept.

    `reason`: a rule's name, or the kind of twin (text, address, near, ...). Raises `UserError` when a stage has not run.
    """
    table = pa.table([pa.nulls(ingested.counts["documents"], field.type) for field in SCHEMA], schema=SCHEMA)
    for stage in reversed(homes.removing_stages(recipe)):
        verdict = _verdict(home, recipe, stage, ingested)
        gone = pc.is_valid(verdict.column("reason"))
        table = pa.table([pc.if_else(gone, verdict.column(name), table.column(name)) for name in SCHEMA.names], schema=SCHEMA)
    return table


def removals(home: Home, recipe: Recipe, ingested: Summary) -> dict[int, dict[str, Any]]:
    """Row -> what is known of its removal (stage, reason, twin, score, detail), for the removed documents of a slice."""
    table = fates(home, recipe, ingested)
    gone = pc.indices_nonzero(pc.is_valid(table.column("stage")))
    records = table.take(gone).drop(["id"]).to_pylist()
    return {row: {name: value for name, value in record.items() if value is not None} for row, record in zip(gone.to_pylist(), records)}


def _verdict(home: Home, recipe: Recipe, stage: str, ingested: Summary) -> pa.Table:
    table = twins(home, stage, ingested)
    gone = pc.is_valid(table.column("twin"))
    none = pa.nulls(table.num_rows, pa.string())
    reason = pc.if_else(gone, pc.coalesce(table.column("kind"), pa.scalar(stage)), none)
    return pa.table([table.column("id"), pc.if_else(gone, pa.scalar(stage), none), reason, table.column("twin"), table.column("score"), none], schema=SCHEMA)
