"""Examples for a report: rejects and removed documents by reason, and removed documents beside
their twins with the differences marked. Which ones is decided by keyed chance on their ids; only
their texts are read."""

import re
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from difflib import SequenceMatcher
from heapq import nsmallest
from typing import Any

import pyarrow as pa

from pipelines.chance import chance
from pipelines.home.documents import open_parquet
from pipelines.home.layout import Home
from pipelines.home.summaries import Summary
from pipelines.recipe import Recipe

PER_REASON = 5

PAIRS = 24

IDENTICAL = 4
"""Pairs that are the same to the letter and so have nothing to mark."""

HELD = 24
"""Candidates that are held for each reason of removal."""

EXCERPT = 500
"""Characters of an example that are shown."""

WINDOW = 400
"""Words of a pair that are compared, from a little before the first difference on."""

CONTEXT = 40
"""Words around a difference that are shown; longer equal stretches are left out."""

FIELD = 300
"""Characters of an address, a title or a path."""

LOOK_REJECTS = 300_000

_WORD = re.compile(r"[\u0e00-\u0eff\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]|\w{1,32}|\s+|[^\w\s]")
"""A word, a sign, white space; a character where words are not separated."""

Segment = tuple[str, str]
"""("same", "only" or "gap", text)."""


@dataclass(frozen=True, order=True)
class Place:
    """Where a removed document lies; ordered by its draw."""

    draw: int
    source: str
    slice: str
    row: int
    twin: str | None
    score: float | None
    value: float | None
    threshold: float | None


def with_examples(
    home: Home,
    recipe: Recipe,
    slices: list[Summary],
    reasons: list[dict[str, Any]],
    candidates: dict[tuple[str, str], list[Place]],
) -> list[dict[str, Any]]:
    """`reasons`, each with `examples`: `PER_REASON` records of source, id, path, position, url,
    title, detail, text (cut)."""
    rejected = _rejects(home, recipe, slices)
    chosen = {key: held[:PER_REASON] for key, held in candidates.items()}
    texts = fetch(
        home, ((place.source, place.slice, place.row) for held in chosen.values() for place in held)
    )
    found = []
    for reason in reasons:
        if reason["stage"] == "ingest":
            shown = rejected.get(reason["reason"], [])
        else:
            held = chosen.get((reason["stage"], reason["reason"]), [])
            shown = [
                {
                    **excerpt(texts[place.source, place.slice, place.row]),
                    "source": place.source,
                    "twin": place.twin,
                    "score": place.score,
                    "value": place.value,
                    "threshold": place.threshold,
                }
                for place in held
            ]
        found.append({**reason, "examples": shown})
    return found


def pairs(
    home: Home,
    recipe: Recipe,
    slices: list[Summary],
    candidates: dict[tuple[str, str], list[Place]],
    places: dict[str, tuple[str, str, int]],
) -> list[dict[str, Any]]:
    """Up to `PAIRS` removed documents and their twins, all kinds in turn; those that differ come
    first, few that do not after them."""
    held = {
        key: [place for place in found if place.twin in places] for key, found in candidates.items()
    }
    in_turn = [
        (key, found[turn])
        for turn in range(HELD)
        for key, found in sorted(held.items())
        if turn < len(found)
    ][:PAIRS]
    records = fetch(
        home,
        [(place.source, place.slice, place.row) for _, place in in_turn]
        + [places[str(place.twin)] for _, place in in_turn],
    )
    shown = []
    for (stage, kind), place in in_turn:
        removed, twin = (
            records[place.source, place.slice, place.row],
            records[places[str(place.twin)]],
        )
        left, right = marked(removed["text"], twin["text"])
        shown.append(
            {
                "stage": stage,
                "kind": kind,
                "score": place.score,
                "identical": removed["text"] == twin["text"],
                "removed": {**excerpt(removed, 0), "source": place.source, "marked": left},
                "kept": {**excerpt(twin, 0), "source": places[str(place.twin)][0], "marked": right},
            }
        )
    return [pair for pair in shown if not pair["identical"]] + [
        pair for pair in shown if pair["identical"]
    ][:IDENTICAL]


def excerpt(record: dict[str, Any], characters: int = EXCERPT) -> dict[str, Any]:
    """What is shown of a document or reject: its identity, and the beginning of its text with the
    whole's length."""
    text = record.get("text") or ""
    names = ("id", "path", "url", "title", "date", "language", "crawled", "detail")
    found: dict[str, Any] = {
        name: str(record[name])[:FIELD] if record.get(name) else None for name in names
    }
    found |= {"position": record["position"], "characters": len(text)}
    return found | ({"text": text[:characters]} if characters else {})


def fetch(
    home: Home, wanted: Iterable[tuple[str, str, int]]
) -> dict[tuple[str, str, int], dict[str, Any]]:
    """The documents at (source, slice, row): only their row groups are read."""
    by_slice: dict[tuple[str, str], set[int]] = defaultdict(set)
    for source, slice_name, row in wanted:
        by_slice[source, slice_name].add(row)
    found: dict[tuple[str, str, int], dict[str, Any]] = {}
    for (source, slice_name), rows in by_slice.items():
        with open_parquet(home, home.documents(source, slice_name)) as documents:
            begin = 0
            for group in range(documents.num_row_groups):
                count = documents.metadata.row_group(group).num_rows
                here = sorted(row for row in rows if begin <= row < begin + count)
                if here:
                    records = (
                        documents.read_row_group(group)
                        .take(pa.array([row - begin for row in here]))
                        .to_pylist()
                    )
                    found |= {
                        (source, slice_name, row): record for row, record in zip(here, records)
                    }
                begin += count
    return found


def _rejects(home: Home, recipe: Recipe, slices: list[Summary]) -> dict[str, list[dict[str, Any]]]:
    """Examples of each reason; of the first `LOOK_REJECTS` rejects of slices in an order that
    chance decides."""
    held: dict[str, list[tuple[int, int, dict[str, Any]]]] = defaultdict(list)
    looked = 0
    for summary in sorted(
        slices,
        key=lambda summary: chance(recipe.seed, "report", f"{summary.source}/{summary.slice}"),
    ):
        if not summary.rejects or (
            looked > LOOK_REJECTS
            and all(len(held[reason]) == PER_REASON for reason in summary.rejects)
        ):
            continue
        with open_parquet(home, home.rejects(summary.source, summary.slice)) as rejects:
            for batch in rejects.iter_batches(batch_size=10_000):
                draws = [
                    chance(recipe.seed, "report", identity)
                    for identity in batch.column("id").to_pylist()
                ]
                by_reason: dict[str, list[tuple[int, int]]] = defaultdict(list)
                for row, reason in enumerate(batch.column("reason").to_pylist()):
                    by_reason[reason].append((draws[row], row))
                for reason, rows in by_reason.items():
                    new = [
                        (
                            draw,
                            row,
                            {"source": summary.source, **batch.slice(row, 1).to_pylist()[0]},
                        )
                        for draw, row in nsmallest(PER_REASON, rows)
                    ]
                    held[reason] = nsmallest(
                        PER_REASON, held[reason] + new, key=lambda item: item[:2]
                    )
                looked += batch.num_rows
    return {
        reason: [{**excerpt(record), "source": record["source"]} for _, _, record in found]
        for reason, found in held.items()
    }


def marked(removed: str, twin: str) -> tuple[list[Segment], list[Segment]]:
    """Both texts around their differences, as segments: `same`, `only` (in this one), `gap` (left
    out). At most `WINDOW` words of each are compared, so that no text takes long."""
    left_start, right_start = _aligned(removed, twin) if removed != twin else (0, 0)
    left, right = words(removed[left_start:]), words(twin[right_start:])
    segments: tuple[list[Segment], list[Segment]] = (
        [("gap", "")] if left_start else [],
        [("gap", "")] if right_start else [],
    )
    one, other = ([" " if word.isspace() else word for word in side] for side in (left, right))
    if one == other:  # where other things differ, white space is not worth a mark
        one, other = left, right
    operations = SequenceMatcher(None, one, other, autojunk=False).get_opcodes()
    for number, (operation, i, j, k, m) in enumerate(operations):
        if operation == "equal":
            for side, equal in ((segments[0], left[i:j]), (segments[1], right[k:m])):
                same = _shortened(equal, first=number == 0, last=number == len(operations) - 1)
                side.extend(same[1:] if side[-1:] == same[:1] == [("gap", "")] else same)
        else:
            segments[0].extend([("only", "".join(left[i:j]))] if j > i else [])
            segments[1].extend([("only", "".join(right[k:m]))] if m > k else [])
    for side, shown, text, start in (
        (segments[0], left, removed, left_start),
        (segments[1], right, twin, right_start),
    ):
        if start + sum(map(len, shown)) < len(text) and side[-1:] != [("gap", "")]:
            side.append(("gap", ""))
    return segments


def words(text: str) -> list[str]:
    """The first `WINDOW` words of a text, white space with the word before it."""
    return [match.group() for _, match in zip(range(WINDOW), _WORD.finditer(text))]


def _shortened(equal: list[str], first: bool, last: bool) -> list[Segment]:
    if len(equal) <= (CONTEXT if first or last else 2 * CONTEXT) + 8 or (first and last):
        return [
            ("same", "".join(equal[: 4 * CONTEXT])),
            *([("gap", "")] if len(equal) > 4 * CONTEXT else []),
        ]
    head = "" if first else "".join(equal[:CONTEXT])
    tail = "" if last else "".join(equal[-CONTEXT:])
    return [*([("same", head)] if head else []), ("gap", ""), *([("same", tail)] if tail else [])]


def _aligned(removed: str, twin: str) -> tuple[int, int]:
    """Where to begin in each text: a little before their first difference; or, where already the
    beginnings differ, at a passage of the removed one that the twin has somewhere (an excerpt, an
    edition)."""
    equal = _common_prefix(removed, twin)
    if equal >= min(len(removed), len(twin), 40):
        start = removed.rfind(" ", 0, max(equal - 200, 0)) + 1
        return start, start
    for begin in range(0, min(len(removed), 20_000), 500):
        passage = removed[begin : begin + 60]
        at = twin.find(passage) if len(passage) == 60 else -1
        if at >= 0:
            back = min(begin, at, 200)
            return begin - back, at - back
    return 0, 0


def _common_prefix(left: str, right: str) -> int:
    """Characters that both texts begin with; by halves, since comparing is quick."""
    low, high = 0, min(len(left), len(right))
    while low < high:
        middle = (low + high + 1) // 2
        if left[:middle] == right[:middle]:
            low = middle
        else:
            high = middle - 1
    return low
