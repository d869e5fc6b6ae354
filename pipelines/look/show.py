"""Single records of a home: documents, rejects, removed documents, and what became of one record.

Rows are read in the order of the home, one row group at a time.
"""

import difflib
import itertools
import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, TypedDict, cast

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from corpora.quality.lists import as_address
from corpora.quality.rules import asked
from pipelines.home.cuts import read_passages
from pipelines.home.decisions import decided, removing_stages
from pipelines.home.documents import open_parquet
from pipelines.home.fates import removals
from pipelines.home.forgotten import forgotten_by
from pipelines.home.layout import FORGOTTEN_LIST, INGEST, Home
from pipelines.home.shares import copies_of
from pipelines.home.summaries import Summary, summaries
from pipelines.home.test_sets import Held, held_by_row
from pipelines.look.find import TITLE, Sought, names_in
from pipelines.look.matches import Matches
from pipelines.look.removed_text import RemovedText, removed_text
from pipelines.look.report.differences import Segment, marked
from pipelines.look.wanted import Wanted
from pipelines.recipe import Recipe
from shards.errors import UserError, nearest

DIFFERENCE_CHARACTERS = 2000

AROUND = 60
"""Characters that are shown before and after a repeated passage."""

MOST = 20
"""Records that `why` explains: a path may be that of a file with millions."""

KINDS = (
    "text",
    "address",
    "near",
    "contained",
    "contains",
    "too_little_left",
    "too_many_of_host",
    "not_emitted",
    "not_sampled",
)
"""Kinds of duplicates and near-duplicates: reasons of removal."""


class Record(TypedDict, total=False):
    """A document or reject as it is shown. A key is left out where nothing is known.

    Of a removed document `stage`, and either `reason`, `twin` and `score` or `rule`, `value`,
    `threshold` and `matched`, the line of the list or of the text that the rule matched. Of a
    document that holds passages of test sets `test_sets`, by task. `why` adds
    `outcome` and, of a document that was removed as a duplicate, `twin_record`, the document that
    is there in its place, and `difference`. Where its twin was removed by a later stage, `way` has
    that twin and those that follow, up to the one in `twin_record`. `removed_text` is what was
    removed from inside a document, where `Wanted.removed_text` asks for it. `copies`: how often a
    kept document is in the training shards, of a source that repeats documents.
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
    matched: str
    test_sets: dict[str, Held]
    copies: int
    twin_record: "Record"
    difference: list[str]
    way: list["Step"]
    passages: list["ShownPassage"]
    removed_text: list[RemovedText]


class ShownPassage(TypedDict):
    """A repeated passage of a document, with the text around it: how many documents have it, the
    id of the first, and whether it is cut out of this one."""

    before: str
    text: str
    after: str
    documents: int
    first: str
    cut: bool


Passage = dict[str, Any]
"""A repeated passage, as `passages` stores it."""


class Step(TypedDict, total=False):
    """A twin that was removed itself, and its fate, as in `Record`."""

    source: str
    id: str
    stage: str
    reason: str
    twin: str
    score: float
    rule: str
    value: float
    threshold: float


def show(home: Home, recipe: Recipe, wanted: Wanted) -> Iterator[Record]:
    """The wanted records, in the order of the home.

    Raises `UserError` for an unknown source, and for a reason that no record can have.
    """
    if wanted.rejects or (wanted.reason and not wanted.removed):
        return _rejects(home, recipe, wanted)
    return _documents(home, recipe, wanted)


def _documents(home: Home, recipe: Recipe, wanted: Wanted) -> Iterator[Record]:
    """Kept documents, or the removed ones with their fate."""
    if wanted.reason is not None:
        _refuse_reason(recipe, wanted.reason)

    for summary in _slices(home, recipe, wanted.source):
        removed = removals(home, recipe, summary) if decided(home, recipe, summary) else {}
        if wanted.removed and not any(_fits(fate, wanted.reason) for fate in removed.values()):
            continue
        row = 0
        matches = Matches(recipe.sources[summary.source].rules)
        held = held_by_row(home, recipe, summary)
        lost = _lost_texts(home, recipe, summary) if wanted.removed_text else None
        # small batches: the first few records are shown without reading a row group in full
        with open_parquet(home, home.documents(summary.source, summary.slice)) as file:
            for batch in file.iter_batches(batch_size=64):
                for record in batch.to_pylist():
                    fate = removed.get(row, {})
                    if bool(fate) == wanted.removed and (not fate or _fits(fate, wanted.reason)):
                        found = {**fate, **matches.of(record, fate), **_held(held, row)}
                        shown = _record(summary.source, record, found)
                        if lost is not None:
                            shown["removed_text"] = lost(shown, row)
                        if lost is None or shown["removed_text"]:
                            yield shown
                    row += 1


def _refuse_reason(recipe: Recipe, reason: str) -> None:
    """Raise `UserError` for what is no stage, rule or kind of reason that removes documents under a
    recipe."""
    rules: set[str] = set()
    for options in recipe.sources.values():
        rules.update(rule.name for rule, _ in asked(options.rules))
    # A kind of the same name as its stage is part of that.
    stages = removing_stages(recipe)
    known = {
        "stage": stages,
        "rule": sorted(rules),
        "kind": [kind for kind in KINDS if kind not in stages],
    }
    names = {name for group in known.values() for name in group}
    if reason in names:
        return

    what = f"{reason!r} is no stage, rule or kind of reason by which documents are removed here"
    close = difflib.get_close_matches(reason, names, n=1, cutoff=0.6)
    for group, members in known.items():
        if close and close[0] in members:
            raise UserError(what, f"did you mean the {group} {close[0]}?")
    listed = [f"{group}s: {', '.join(members)}" for group, members in known.items() if members]
    raise UserError(what, "; ".join(listed))


def _lost_texts(
    home: Home, recipe: Recipe, summary: Summary
) -> Callable[[Record, int], list[RemovedText]]:
    """Tells what was removed from inside a document of a slice, by its record and row."""
    passages = None
    if recipe.sources[summary.source].dedup.passages == "remove" and decided(home, recipe, summary):
        passages = read_passages(home, summary)

    def lost_text(record: Record, row: int) -> list[RemovedText]:
        found = passages[row].as_py() if passages is not None else []
        return removed_text(record["text"], record.get("extra", {}), found)

    return lost_text


def _fits(fate: dict[str, object], reason: str | None) -> bool:
    return reason is None or reason in (fate["stage"], fate.get("reason"), fate.get("rule"))


def _rejects(home: Home, recipe: Recipe, wanted: Wanted) -> Iterator[Record]:
    slices = _slices(home, recipe, wanted.source)
    reasons = set(itertools.chain.from_iterable(summary.rejects for summary in slices))
    if wanted.reason is not None and wanted.reason not in reasons:
        is_of_removal = wanted.reason in {*removing_stages(recipe), *KINDS}
        hint = "that is why documents are removed: add --removed"
        raise UserError(
            f"no reject has the reason {wanted.reason!r}",
            hint if is_of_removal else nearest(wanted.reason, reasons),
        )

    for summary in slices:
        if wanted.reason is not None and wanted.reason not in summary.rejects:
            continue
        with open_parquet(home, home.rejects(summary.source, summary.slice)) as file:
            for batch in file.iter_batches():
                for record in batch.to_pylist():
                    if wanted.reason in (None, record["reason"]):
                        yield cast(Record, {"source": summary.source, **record})


@dataclass(frozen=True)
class Answer:
    """What became of the records that a word means: the first `MOST` of them, and how many there
    are."""

    records: list[Record]
    found: int


def why(home: Home, recipe: Recipe, word: str) -> Answer:
    """What became of each record that `word` means.

    `word`: an id (32 hex digits, or their first 6 or more), the user's own id, an address, a path,
    or a title. `outcome` of a record: kept, removed, rejected, or not decided yet. Raises
    `UserError` when it means no record.
    """
    sought = Sought(word)
    best = TITLE + 1
    places: list[tuple[Summary, str, int]] = []  # (slice, its file, row)
    for summary in _slices(home, recipe, None):
        for address in (
            home.documents(summary.source, summary.slice),
            home.rejects(summary.source, summary.slice),
        ):
            with open_parquet(home, address) as file:
                for row, names in enumerate(names_in(file)):
                    rank = sought.rank(names)
                    if rank is None or rank > best:
                        continue
                    if rank < best:
                        best = rank
                        places = []
                    places.append((summary, address, row))

    if not places:
        _refuse_forgotten(home, sought)
        raise UserError(
            f"{home.root}: no record is known as {word!r}",
            "give an id (32 hex digits or the first 6 or more), an address, a path, a title, or "
            "your own id if the recipe sets id_field",
        )

    records = list(_outcomes(home, recipe, places[:MOST]))
    # only now: the document that was kept may be in any slice
    for record in records:
        if record.get("twin"):
            _add_twin(home, recipe, record)
    return Answer(records, len(places))


def _refuse_forgotten(home: Home, sought: Sought) -> None:
    """Raise `UserError` for a record that is on the home's list."""
    if forgotten_by(home).names(sought.id, None, as_address(sought.word)):
        raise UserError(
            f"{sought.word}: this home has forgotten it, or never held it",
            f"{home.file(FORGOTTEN_LIST)} names what is forgotten",
        )


def _outcomes(
    home: Home, recipe: Recipe, places: list[tuple[Summary, str, int]]
) -> Iterator[Record]:
    """The records at these places, in their order, with their outcome."""
    # Places come file by file, so each file is opened once.
    by_file = itertools.groupby(places, key=lambda place: place[:2])
    for (summary, address), group in by_file:
        rows = [row for _, _, row in group]
        with open_parquet(home, address) as file:
            found = list(_rows(file, rows))
        if address == home.rejects(summary.source, summary.slice):
            for _, record in found:
                yield cast(Record, {"source": summary.source, **record, "outcome": "rejected"})
            continue

        is_decided = decided(home, recipe, summary)
        removed = removals(home, recipe, summary) if is_decided else {}
        matches = Matches(recipe.sources[summary.source].rules)
        held = held_by_row(home, recipe, summary)
        passages = _passages(home, recipe, summary) if is_decided else None
        for row, record in found:
            fate: dict[str, object]
            if row in removed:
                fate = {"outcome": "removed", **removed[row], **matches.of(record, removed[row])}
            elif is_decided:
                fate = {"outcome": "kept", **_copies(recipe, summary.source, record)}
            else:
                fate = {"outcome": f"not decided yet: run corpus dedup {home.quoted}"}
            shown = _record(summary.source, record, {**fate, **_held(held, row)})
            if passages is not None and passages[row].as_py():
                shown["passages"] = _around(shown["text"], passages[row].as_py())
            yield shown


def _copies(recipe: Recipe, source: str, record: dict[str, object]) -> dict[str, int]:
    """How often a kept document is in the training shards, where its source repeats documents."""
    options = recipe.sources[source]
    if not options.repeats_any:
        return {}
    return {"copies": copies_of(options, recipe.seed, pa.Table.from_pylist([record]))[0]}


def _held(held: list[dict[str, Held]], row: int) -> dict[str, object]:
    """What a document holds of test sets, where it holds something."""
    found = held[row] if held else {}
    return {"test_sets": found} if found else {}


def _passages(home: Home, recipe: Recipe, summary: Summary) -> pa.ChunkedArray | None:
    """The repeated passages of a slice's documents; None where its source does not look for any."""
    if recipe.sources[summary.source].dedup.passages == "off":
        return None
    return read_passages(home, summary)


def _around(text: str, passages: list[Passage]) -> list[ShownPassage]:
    """Passages of a text with `AROUND` characters before and after each."""
    shown: list[ShownPassage] = []
    for passage in passages:
        begin, end = passage["begin"], passage["end"]
        shown.append(
            {
                "before": text[max(begin - AROUND, 0) : begin],
                "text": text[begin:end],
                "after": text[end : end + AROUND],
                "documents": passage["documents"],
                "first": passage["first"],
                "cut": passage["cut"],
            }
        )
    return shown


def _rows(table: pq.ParquetFile, rows: list[int]) -> Iterator[tuple[int, dict[str, object]]]:
    """Rows of a file; only their row groups are read in full."""
    begin = 0
    for group in range(table.num_row_groups):
        count = table.metadata.row_group(group).num_rows
        wanted = [row for row in rows if begin <= row < begin + count]
        if wanted:
            places = pa.array([row - begin for row in wanted])
            yield from zip(wanted, table.read_row_group(group).take(places).to_pylist())
        begin += count


def _add_twin(home: Home, recipe: Recipe, record: Record) -> None:
    """Add `twin_record`, `difference` and `way` to the record of a removed duplicate.

    The difference is both texts from their first difference on, as `[-only in the removed-]` and
    `{+only in the kept+}`; empty where the texts are equal.
    """
    way: list[Step] = []
    identity: str | None = record["twin"]
    while identity is not None:
        found = _document_of(home, recipe, identity)
        if found is None:
            return

        summary, row, fields = found
        record["twin_record"] = _record(summary.source, fields, {})
        fate = removals(home, recipe, summary).get(row, {})
        if fate:
            way.append(cast(Step, {"source": summary.source, "id": identity, **fate}))
        # A rule may have removed it after all, where documents are compared before the rules.
        identity = cast("str | None", fate.get("twin"))

    if way:
        record["way"] = way
    kept_text = record["twin_record"]["text"]
    removed, kept = marked(record["text"], kept_text)
    record["difference"] = []
    if record["text"] != kept_text:
        record["difference"] = [
            f"removed: {_in_line(removed, '[-', '-]')}",
            f"kept: {_in_line(kept, '{+', '+}')}",
        ]


def _document_of(
    home: Home, recipe: Recipe, identity: str
) -> tuple[Summary, int, dict[str, object]] | None:
    """The slice, row and fields of the document with this id; None where there is none."""
    for summary in _slices(home, recipe, None):
        with open_parquet(home, home.documents(summary.source, summary.slice)) as file:
            ids = file.read(columns=["id"]).column("id")
            place = pc.index(ids, identity).as_py()  # -1 where it is in another slice
            for row, fields in _rows(file, [place]):
                return summary, row, fields
    return None


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
