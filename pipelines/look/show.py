"""Looking at what is there: documents, rejects, removed copies, and the way of one document through
the stages."""

import json
from collections.abc import Iterator
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from corpora.quality.rules import asked
from pipelines.home.decisions import decided, removals, removing_stages
from pipelines.home.documents import open_parquet
from pipelines.home.layout import INGEST, Home, open_home
from pipelines.home.summaries import Summary, summaries
from pipelines.look.report.examples import marked
from pipelines.recipe import Recipe
from shards.errors import UserError, nearest

DIFFERENCE_CHARACTERS = 2000

KINDS = ("text", "address", "near", "contained")
"""Of twins."""


def documents(
    home_root: str, source: str | None, removed: bool, reason: str | None = None
) -> Iterator[dict[str, Any]]:
    """The kept documents of a home, or the removed ones with their `stage`, `reason` and `twin`, or
    `rule`, `value` and `threshold`, in order; with `reason`, those that this stage, rule or kind of
    twin removes. Raises `UserError` for a reason that none can have."""
    home, recipe = open_home(home_root, for_reading=True)
    reasons = {
        *removing_stages(recipe),
        *KINDS,
        *(rule.name for options in recipe.sources.values() for rule, _ in asked(options.rules)),
    }
    if reason is not None and reason not in reasons:
        raise UserError(f"nothing is removed by {reason!r}", nearest(reason, reasons))
    for summary in _slices(home, recipe, source):
        rows = removals(home, recipe, summary) if decided(home, recipe, summary) else {}
        if removed and not any(_fits(fate, reason) for fate in rows.values()):
            continue
        row = 0
        with open_parquet(home, home.documents(summary.source, summary.slice)) as file:
            for batch in file.iter_batches(batch_size=64):
                for record in batch.to_pylist():
                    fate = rows.get(row, {})
                    if bool(fate) == removed and (not fate or _fits(fate, reason)):
                        yield {"source": summary.source, **_readable(record), **fate}
                    row += 1


def _fits(fate: dict[str, Any], reason: str | None) -> bool:
    return reason is None or reason in (fate["stage"], fate.get("reason"), fate.get("rule"))


def rejects(home_root: str, source: str | None, reason: str | None) -> Iterator[dict[str, Any]]:
    """The rejects of a home, of one reason where it is named. Raises `UserError` for a reason that
    nothing has."""
    home, recipe = open_home(home_root, for_reading=True)
    slices = _slices(home, recipe, source)
    reasons = {name for summary in slices for name in summary.rejects}
    if reason is not None and reason not in reasons:
        raise UserError(f"no reject has the reason {reason!r}", nearest(reason, reasons))
    for summary in slices:
        if reason is None or reason in summary.rejects:
            with open_parquet(home, home.rejects(summary.source, summary.slice)) as file:
                for batch in file.iter_batches():
                    for record in batch.to_pylist():
                        if reason in (None, record["reason"]):
                            yield {"source": summary.source, **record}


def why(home_root: str, identity: str) -> list[dict[str, Any]]:
    """What became of each record with this id: ours (32 hex digits), its beginning of 6 or more, or
    the user's own.

    `outcome`: kept, removed (with stage, reason, twin, `twin_record` and `difference`) or rejected
    (with the reason). Raises `UserError` when there is none.
    """
    home, recipe = open_home(home_root, for_reading=True)
    found = []
    for summary in _slices(home, recipe, None):
        with open_parquet(home, home.documents(summary.source, summary.slice)) as file:
            rows = _matching_rows(file, identity)
        is_decided = decided(home, recipe, summary)
        gone = removals(home, recipe, summary) if rows and is_decided else {}
        for row, record in rows:
            fate = (
                {"outcome": "removed", **gone[row]}
                if row in gone
                else {"outcome": "kept" if is_decided else "not decided yet: corpus dedup"}
            )
            found.append({"source": summary.source, **_readable(record), **fate})
        with open_parquet(home, home.rejects(summary.source, summary.slice)) as file:
            table = file.read()
        found += [
            {"source": summary.source, **record, "outcome": "rejected"}
            for record in table.to_pylist()
            if _matches(record["id"], identity)
        ]
    for record in found:
        if record.get("twin"):
            _add_twin(home, recipe, record)
    if not found:
        raise UserError(
            f"{home_root}: no record has the id {identity!r}",
            "an id is 32 hex digits (or their beginning), or your own id where id_field is set",
        )
    return found


def _matches(own: str, identity: str) -> bool:
    return own == identity.lower() or (len(identity) >= 6 and own.startswith(identity.lower()))


def _matching_rows(table: pq.ParquetFile, identity: str) -> list[tuple[int, dict[str, Any]]]:
    columns = table.read(columns=["id", "extra"])
    rows = [
        row
        for row, (own, extra) in enumerate(
            zip(columns.column("id").to_pylist(), columns.column("extra").to_pylist())
        )
        if _matches(own, identity)
        or (extra != "{}" and str(json.loads(extra).get("id")) == identity)
    ]
    found = []
    begin = 0
    for group in range(table.num_row_groups):
        count = table.metadata.row_group(group).num_rows
        wanted = [row for row in rows if begin <= row < begin + count]
        if wanted:
            records = (
                table.read_row_group(group)
                .take(pa.array([row - begin for row in wanted]))
                .to_pylist()
            )
            found += list(zip(wanted, records))
        begin += count
    return found


def _add_twin(home: Home, recipe: Recipe, record: dict[str, Any]) -> None:
    """Put `twin_record` and `difference` into the record of a removed document: its twin, and both
    texts from their first difference on, as `[-only in the removed-]` and `{+only in the
    twin+}`."""
    for summary in _slices(home, recipe, None):
        with open_parquet(home, home.documents(summary.source, summary.slice)) as file:
            rows = _matching_rows(file, record["twin"])
        for _, twin in rows:
            record["twin_record"] = {"source": summary.source, **_readable(twin)}
            removed, kept = marked(record["text"], twin["text"])
            record["difference"] = (
                [f"removed: {_in_line(removed, '[-', '-]')}", f"twin: {_in_line(kept, '{+', '+}')}"]
                if record["text"] != twin["text"]
                else []
            )
            return


def _in_line(segments: list[tuple[str, str]], before: str, after: str) -> str:
    text = "".join(
        " ... " if kind == "gap" else f"{before}{part}{after}" if kind == "only" else part
        for kind, part in segments
    )
    return text if len(text) <= DIFFERENCE_CHARACTERS else text[:DIFFERENCE_CHARACTERS] + " ..."


def _slices(home: Home, recipe: Recipe, source: str | None) -> list[Summary]:
    if source is not None and source not in recipe.sources:
        raise UserError(f"no source {source!r}", nearest(source, recipe.sources))
    return [
        summary
        for name in recipe.sources
        if source in (None, name)
        for summary in summaries(home, INGEST, name)
    ]


def _readable(record: dict[str, Any]) -> dict[str, Any]:
    """The record with JSON's own types, and without what is unknown."""
    plain = {
        name: value.isoformat() if hasattr(value, "isoformat") else value
        for name, value in record.items()
        if value is not None
    }
    return (
        {**plain, "extra": json.loads(plain["extra"])}
        if plain.get("extra") not in (None, "{}")
        else {name: value for name, value in plain.items() if name != "extra"}
    )
