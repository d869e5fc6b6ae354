"""Single records of a home: documents, rejects, removed documents, and what became of one record.

Rows are read in the order of the home, one row group at a time.
"""

import itertools
import json
from collections.abc import Iterable, Iterator
from typing import TypedDict, cast

import pyarrow as pa
import pyarrow.parquet as pq

from corpora.quality.rules import asked
from pipelines.home.decisions import decided, removing_stages
from pipelines.home.documents import open_parquet
from pipelines.home.fates import removals
from pipelines.home.layout import INGEST, Home
from pipelines.home.summaries import Summary, summaries
from pipelines.look.report.differences import Segment, marked
from pipelines.look.wanted import Wanted
from pipelines.recipe import Recipe
from shards.errors import UserError, nearest

DIFFERENCE_CHARACTERS = 2000

KINDS = ("text", "address", "near", "contained")
"""Kinds of duplicates and near-duplicates: reasons of removal."""


class Record(TypedDict, total=False):
    """A document or reject as it is shown. A key is left out where nothing is known.

    Of a removed document `stage`, and either `reason`, `twin` and `score` or `rule`, `value` and
    `threshold`. `why` adds `outcome` and, of a document that was removed as a duplicate,
    `twin_record`, the document kept in its place, and `difference`.
    """

    source: str
    id: str
    text: str
    url: str
    title: str
    date: str
    language: str
    crawled: str
    path: str
    position: int
    digest: str
    extra: dict[str, object]
    detail: str
    outcome: str
    stage: str
    reason: str
    twin: str
    score: float
    rule: str
    value: float
    threshold: float
    twin_record: "Record"
    difference: list[str]


def show(home: Home, recipe: Recipe, wanted: Wanted) -> Iterator[Record]:
    """The wanted records, in the order of the home.

    Raises `UserError` for an unknown source, and for a reason that no record can have.
    """
    if wanted.rejects or (wanted.reason and not wanted.removed):
        return _rejects(home, recipe, wanted)
    return _documents(home, recipe, wanted)


def _documents(home: Home, recipe: Recipe, wanted: Wanted) -> Iterator[Record]:
    """Kept documents, or the removed ones with their fate."""
    reasons = {*removing_stages(recipe), *KINDS}
    for options in recipe.sources.values():
        reasons.update(rule.name for rule, _ in asked(options.rules))
    if wanted.reason is not None and wanted.reason not in reasons:
        raise UserError(
            f"{wanted.reason!r} is not a reason of removal", nearest(wanted.reason, reasons)
        )

    for summary in _slices(home, recipe, wanted.source):
        removed = removals(home, recipe, summary) if decided(home, recipe, summary) else {}
        if wanted.removed and not any(_fits(fate, wanted.reason) for fate in removed.values()):
            continue
        row = 0
        # small batches: the first few records are shown without reading a row group in full
        with open_parquet(home, home.documents(summary.source, summary.slice)) as file:
            for batch in file.iter_batches(batch_size=64):
                for record in batch.to_pylist():
                    fate = removed.get(row, {})
                    if bool(fate) == wanted.removed and (not fate or _fits(fate, wanted.reason)):
                        yield _record(summary.source, record, fate)
                    row += 1


def _fits(fate: dict[str, object], reason: str | None) -> bool:
    return reason is None or reason in (fate["stage"], fate.get("reason"), fate.get("rule"))


def _rejects(home: Home, recipe: Recipe, wanted: Wanted) -> Iterator[Record]:
    slices = _slices(home, recipe, wanted.source)
    reasons = set(itertools.chain.from_iterable(summary.rejects for summary in slices))
    if wanted.reason is not None and wanted.reason not in reasons:
        raise UserError(
            f"no reject has the reason {wanted.reason!r}", nearest(wanted.reason, reasons)
        )

    for summary in slices:
        if wanted.reason is not None and wanted.reason not in summary.rejects:
            continue
        with open_parquet(home, home.rejects(summary.source, summary.slice)) as file:
            for batch in file.iter_batches():
                for record in batch.to_pylist():
                    if wanted.reason in (None, record["reason"]):
                        yield cast(Record, {"source": summary.source, **record})


def why(home: Home, recipe: Recipe, identity: str) -> list[Record]:
    """What became of each record with this id.

    `identity`: 32 hex digits, their first 6 or more, or the user's own id. `outcome` of a record:
    kept, removed, rejected, or not decided yet. Raises `UserError` when no record has the id.
    """
    found: list[Record] = []
    for summary in _slices(home, recipe, None):
        found += _documents_with_id(home, recipe, summary, identity)
        found += _rejects_with_id(home, summary, identity)
    if not found:
        raise UserError(
            f"{home.root}: no record has the id {identity!r}",
            "give 32 hex digits or the first 6 or more, or your own id if the recipe sets id_field",
        )
    # only now: the document that was kept may be in any slice
    for record in found:
        if record.get("twin"):
            _add_twin(home, recipe, record)
    return found


def _documents_with_id(
    home: Home, recipe: Recipe, summary: Summary, identity: str
) -> Iterator[Record]:
    with open_parquet(home, home.documents(summary.source, summary.slice)) as file:
        rows = _matching_rows(file, identity)
    if not rows:
        return  # the fates of a slice are only read where a document of it is asked for
    is_decided = decided(home, recipe, summary)
    removed = removals(home, recipe, summary) if is_decided else {}
    for row, record in rows:
        fate: dict[str, object]
        if row in removed:
            fate = {"outcome": "removed", **removed[row]}
        elif is_decided:
            fate = {"outcome": "kept"}
        else:
            fate = {"outcome": "not decided yet: run corpus dedup"}
        yield _record(summary.source, record, fate)


def _rejects_with_id(home: Home, summary: Summary, identity: str) -> Iterator[Record]:
    # read whole: rejects hold only the beginning of their text
    with open_parquet(home, home.rejects(summary.source, summary.slice)) as file:
        table = file.read()
    for record in table.to_pylist():
        if _matches(record["id"], identity):
            yield cast(Record, {"source": summary.source, **record, "outcome": "rejected"})


def _matches(own: str, identity: str) -> bool:
    return own == identity.lower() or (len(identity) >= 6 and own.startswith(identity.lower()))


def _matching_rows(table: pq.ParquetFile, identity: str) -> list[tuple[int, dict[str, object]]]:
    """The rows of the documents with this id; only their row groups are read in full."""
    # the user's own id is in `extra`
    columns = table.read(columns=["id", "extra"])
    ids = columns.column("id").to_pylist()
    extras = columns.column("extra").to_pylist()
    rows = [
        row
        for row, (own, extra) in enumerate(zip(ids, extras))
        if _matches(own, identity) or _has_own_id(extra, identity)
    ]

    found = []
    begin = 0
    for group in range(table.num_row_groups):
        count = table.metadata.row_group(group).num_rows
        wanted = [row for row in rows if begin <= row < begin + count]
        if wanted:
            places = pa.array([row - begin for row in wanted])
            found += list(zip(wanted, table.read_row_group(group).take(places).to_pylist()))
        begin += count
    return found


def _has_own_id(extra: str, identity: str) -> bool:
    """True when the user's own id, which `id_field` names, is this one."""
    return extra != "{}" and str(json.loads(extra).get("id")) == identity


def _add_twin(home: Home, recipe: Recipe, record: Record) -> None:
    """Add `twin_record` and `difference` to the record of a removed duplicate.

    The difference is both texts from their first difference on, as `[-only in the removed-]` and
    `{+only in the kept+}`; empty where the texts are equal.
    """
    for summary in _slices(home, recipe, None):
        with open_parquet(home, home.documents(summary.source, summary.slice)) as file:
            rows = _matching_rows(file, record["twin"])
        for _, row in rows:  # at most one: ids are unique in a home
            twin = _record(summary.source, row, {})
            removed, kept = marked(record["text"], twin["text"])
            record["twin_record"] = twin
            record["difference"] = []
            if record["text"] != twin["text"]:
                record["difference"] = [
                    f"removed: {_in_line(removed, '[-', '-]')}",
                    f"kept: {_in_line(kept, '{+', '+}')}",
                ]
            return


def _in_line(segments: Iterable[Segment], before: str, after: str) -> str:
    parts = []
    for kind, part in segments:
        if kind == "gap":
            parts.append(" ... ")
        elif kind == "only":
            parts.append(f"{before}{part}{after}")
        else:
            parts.append(part)
    text = "".join(parts)
    return text if len(text) <= DIFFERENCE_CHARACTERS else text[:DIFFERENCE_CHARACTERS] + " ..."


def _slices(home: Home, recipe: Recipe, source: str | None) -> list[Summary]:
    """The ingested slices of a source, or of all sources in the recipe's order."""
    if source is not None and source not in recipe.sources:
        raise UserError(f"no source {source!r}", nearest(source, recipe.sources))
    found = []
    for name in recipe.sources:
        if source in (None, name):
            found += summaries(home, INGEST, name)
    return found


def _record(source: str, row: dict[str, object], fate: dict[str, object]) -> Record:
    """A row of a documents file with JSON's own types, without what is unknown."""
    plain: dict[str, object] = {"source": source}
    for name, value in row.items():
        if value is None or (name == "extra" and value == "{}"):
            continue
        if name == "extra":
            plain[name] = json.loads(str(value))
        else:
            plain[name] = value.isoformat() if hasattr(value, "isoformat") else value
    return cast(Record, {**plain, **fate})
