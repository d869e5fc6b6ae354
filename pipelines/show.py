"""Looking at what is there: documents, rejects, removed copies, and the way of one document through the stages."""

import difflib
import json
from collections.abc import Iterator
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from corpora.rules import asked
from pipelines import home as homes
from pipelines import ingest
from pipelines.home import RULES, Home, open_home, rule_values, rule_verdicts, summaries, twins
from pipelines.recipe import Recipe
from shards import files
from shards.config import UserError, nearest


def documents(home_root: str, source: str | None, removed: bool, reason: str | None = None) -> Iterator[dict[str, Any]]:
    """The kept documents of a home, or the removed ones with their `stage` and `twin`, or `rule`, `value` and `threshold`, in
    order; with `reason`, those that this stage or rule removes. Raises `UserError` for a reason that none can have."""
    home, recipe = open_home(home_root, for_reading=True)
    reasons = {*homes.removing_stages(recipe), *(rule.name for options in recipe.sources.values() for rule, _ in asked(options.rules))}
    if reason is not None and reason not in reasons:
        raise UserError(f"nothing is removed by {reason!r}", nearest(reason, reasons))
    for summary in _slices(home, recipe, source):
        rows = _removals(home, recipe, summary) if _deduplicated(home, recipe, summary) else {}
        row = 0
        with files.open_input(home.documents(summary.source, summary.slice)) as stream:
            for batch in pq.ParquetFile(stream).iter_batches(batch_size=64):
                for record in batch.to_pylist():
                    if (row in rows) == removed and reason in (None, rows.get(row, {}).get("stage"), rows.get(row, {}).get("rule")):
                        yield {"source": summary.source, **_readable(record), **rows.get(row, {})}
                    row += 1


def rejects(home_root: str, source: str | None, reason: str | None) -> Iterator[dict[str, Any]]:
    """The rejects of a home, of one reason where it is named. Raises `UserError` for a reason that nothing has."""
    home, recipe = open_home(home_root, for_reading=True)
    slices = _slices(home, recipe, source)
    reasons = {name for summary in slices for name in summary.rejects}
    if reason is not None and reason not in reasons:
        raise UserError(f"no reject has the reason {reason!r}", nearest(reason, reasons))
    for summary in slices:
        if reason is None or reason in summary.rejects:
            with files.open_input(home.rejects(summary.source, summary.slice)) as stream:
                for batch in pq.ParquetFile(stream).iter_batches():
                    for record in batch.to_pylist():
                        if reason in (None, record["reason"]):
                            yield {"source": summary.source, **record}


def why(home_root: str, identity: str) -> list[dict[str, Any]]:
    """What became of each record with this id: ours (32 hex digits), its beginning of 6 or more, or the user's own.

    `outcome`: kept, removed (with stage, twin and the lines that differ) or rejected (with the reason). Raises `UserError` when there is none.
    """
    home, recipe = open_home(home_root, for_reading=True)
    found = []
    for summary in _slices(home, recipe, None):
        with files.open_input(home.documents(summary.source, summary.slice)) as stream:
            rows = _matching_rows(pq.ParquetFile(stream), identity)
        decided = _deduplicated(home, recipe, summary)
        removals = _removals(home, recipe, summary) if rows and decided else {}
        for row, record in rows:
            fate = {"outcome": "removed", **removals[row]} if row in removals else {"outcome": "kept" if decided else "not decided yet: corpus dedup"}
            found.append({"source": summary.source, **_readable(record), **fate})
        with files.open_input(home.rejects(summary.source, summary.slice)) as stream:
            table = pq.read_table(stream)
        found += [{"source": summary.source, **record, "outcome": "rejected"} for record in table.to_pylist() if _matches(record["id"], identity)]
    for record in found:
        if "twin" in record:
            record["difference"] = _difference(home, recipe, record)
    if not found:
        raise UserError(f"{home_root}: no record has the id {identity!r}", "an id is 32 hex digits (or their beginning), or your own id where id_field is set")
    return found


def _matches(own: str, identity: str) -> bool:
    return own == identity.lower() or (len(identity) >= 6 and own.startswith(identity.lower()))


def _matching_rows(table: pq.ParquetFile, identity: str) -> list[tuple[int, dict[str, Any]]]:
    columns = table.read(columns=["id", "extra"])
    rows = [
        row
        for row, (own, extra) in enumerate(zip(columns.column("id").to_pylist(), columns.column("extra").to_pylist()))
        if _matches(own, identity) or (extra != "{}" and str(json.loads(extra).get("id")) == identity)
    ]
    found = []
    begin = 0
    for group in range(table.num_row_groups):
        count = table.metadata.row_group(group).num_rows
        wanted = [row for row in rows if begin <= row < begin + count]
        if wanted:
            records = table.read_row_group(group).take(pa.array([row - begin for row in wanted])).to_pylist()
            found += list(zip(wanted, records))
        begin += count
    return found


def _difference(home: Home, recipe: Recipe, record: dict[str, Any]) -> list[str]:
    """Lines that a removed document and its twin do not share."""
    for summary in _slices(home, recipe, None):
        with files.open_input(home.documents(summary.source, summary.slice)) as stream:
            for _, twin in _matching_rows(pq.ParquetFile(stream), record["twin"]):
                lines = difflib.unified_diff(twin["text"].split("\n"), record["text"].split("\n"), "twin", "removed", lineterm="", n=0)
                return [line for _, line in zip(range(40), lines)]
    return []


def _slices(home: Home, recipe: Recipe, source: str | None) -> list[homes.Summary]:
    if source is not None and source not in recipe.sources:
        raise UserError(f"no source {source!r}", nearest(source, recipe.sources))
    return [summary for name in recipe.sources if source in (None, name) for summary in summaries(home, ingest.STAGE, name)]


def _deduplicated(home: Home, recipe: Recipe, summary: homes.Summary) -> bool:
    return all(homes.read_summary(home.summary(stage, summary.source, summary.slice)) for stage in homes.removing_stages(recipe, source=summary.source))


def _removals(home: Home, recipe: Recipe, summary: homes.Summary) -> dict[int, dict[str, Any]]:
    """Row -> of each removed document of a slice its stage, and twin and score, or rule, measured value and threshold."""
    rows: dict[int, dict[str, Any]] = {}
    for stage in homes.removing_stages(recipe, source=summary.source):
        if stage == RULES:
            rows |= _removals_by_rule(home, recipe, summary)
            continue
        table = twins(home, stage, summary)
        for row, (twin, score) in enumerate(zip(table.column("twin").to_pylist(), table.column("score").to_pylist())):
            if twin is not None and row not in rows:
                rows[row] = {"stage": stage, "twin": twin, "score": score}
    return rows


def _removals_by_rule(home: Home, recipe: Recipe, summary: homes.Summary) -> dict[int, dict[str, Any]]:
    verdict = rule_verdicts(home, recipe, summary)
    rules = asked(recipe.sources[summary.source].rules)
    values = {place: rule_values(home, summary, rules[place][0]) for place in set(verdict[verdict >= 0].tolist())}
    found: dict[int, dict[str, Any]] = {}
    for row in (verdict >= 0).nonzero()[0].tolist():
        rule, threshold = rules[verdict[row]]
        found[row] = {"stage": RULES, "rule": rule.name, "value": float(values[verdict[row]][row]), "threshold": threshold}
    return found


def _readable(record: dict[str, Any]) -> dict[str, Any]:
    """The record with JSON's own types, and without what is unknown."""
    plain = {name: value.isoformat() if hasattr(value, "isoformat") else value for name, value in record.items() if value is not None}
    return (
        {**plain, "extra": json.loads(plain["extra"])}
        if plain.get("extra") not in (None, "{}")
        else {name: value for name, value in plain.items() if name != "extra"}
    )
