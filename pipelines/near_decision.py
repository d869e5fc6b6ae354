"""The decision of stage `near` (pipelines/near.py says how its steps hang together): which
documents go, and for which twin, from all verified pairs; then the attributes, slice by slice, and
the guard."""

import dataclasses
import hashlib
import os
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from pipelines import near
from pipelines.exact import ATTRIBUTE_SCHEMA
from pipelines.home import (
    Home,
    SliceTask,
    Summary,
    attribute_digests,
    bulk,
    done,
    fingerprint,
    kept_rows,
    open_home,
    ordered_slices,
    recipe_key,
    removed_count,
    removing_stages,
    slice_summary,
    task_home,
    twins,
    write_summary,
)
from pipelines.near import DECISION, EARLIER_IS_CONTAINED, EDGE, SCORES, STAGE, Listed
from pipelines.near_scores import candidates_file, read_facts, read_sets
from pipelines.recipe import Recipe
from shards import files
from shards.config import UserError

DECISION_VERSION = 3
"""Of which documents go, and of what `apply` writes."""
PART_EDGES = 4_000_000
"""Verified pairs that are decided at once: 900 MB."""
CONTAINED = 1 << 31
"""Set in a removal's score where the document is contained in its twin."""

REMOVAL = np.dtype([("row", "<u4"), ("score", "<u4"), ("twin", "S16")])
"""What the decision says: a removed row, its score (`CONTAINED`), and its twin's id."""


@dataclass(frozen=True, kw_only=True)
class Task(SliceTask):
    """One ingested slice to write the attributes of, from the removals in the file of its group,
    from number `first` on: as many as `twins_in` says for the first source of the recipe, whose
    twins are there, then for the second, and so on. `before`: `attribute_digests` of the stages
    before."""

    fingerprint: str
    group: str
    first: int
    twins_in: tuple[int, ...]
    before: tuple[str, ...]
    stage: str = STAGE


def plan_apply(home_root: str) -> list[Task]:
    """Decide, and every slice to write the attributes of."""
    home, recipe = open_home(home_root)
    by_group = decide(home, recipe)
    found, read, key = ordered_slices(home, recipe), bulk(home), recipe_key(recipe)
    digests = iter(
        files.each(
            home.root,
            lambda summary: attribute_digests(home, recipe, summary, before=STAGE, read=read),
            found,
        )
    )
    tasks = []
    for index, members in enumerate(near.grouped(found)):
        (removals, sources), held = (
            by_group.get(index, (np.zeros(0, REMOVAL), np.zeros(0, np.uint16))),
            list[NDArray[Any]](),
        )
        row = first = 0
        for summary in members:
            end = row + summary.counts["documents"]
            here = slice(*np.searchsorted(removals["row"], [row, end]))
            of_slice = removals[here].copy()
            of_slice["row"] -= row
            before = next(digests)
            decided = hashlib.blake2b(of_slice.tobytes(), digest_size=16).hexdigest()
            wanted = fingerprint(
                stage=DECISION_VERSION, documents=summary.output, before=before, removals=decided
            )
            tasks.append(
                Task(
                    home=home_root,
                    recipe=key,
                    ingested=summary,
                    fingerprint=wanted,
                    group=members[0].slice,
                    first=first,
                    twins_in=tuple(
                        np.bincount(sources[here], minlength=len(recipe.sources)).tolist()
                    ),
                    before=tuple(before),
                )
            )
            row, first = end, first + len(of_slice)
            held.append(of_slice[np.argsort(sources[here], kind="stable")])
        near.write_if_new(
            home.work(DECISION, members[0].source, f"{members[0].slice}.bin"),
            np.concatenate(held).tobytes(),
        )
    return tasks


def decide(home: Home, recipe: Recipe) -> dict[int, tuple[NDArray[Any], NDArray[np.uint16]]]:
    """Index of group -> its `REMOVAL`s by row, and the numbers of their twins' sources in the
    recipe, from all verified pairs that count."""
    listed = near.read_list(home)
    limits = group_limits(recipe, listed)
    found: dict[int, list[tuple[NDArray[Any], NDArray[np.uint16]]]] = {}
    for edges in edge_parts(home, recipe, listed, limits):
        for index, removed, sources in decide_part(home, recipe, listed, limits, edges):
            found.setdefault(index, []).append((removed, sources))
    joined = {
        index: [np.concatenate(parts) for parts in zip(*of_group)]
        for index, of_group in found.items()
    }
    return {
        index: (removed[by_row], sources[by_row])
        for index, (removed, sources) in joined.items()
        for by_row in [np.argsort(removed["row"])]
    }


def edge_parts(
    home: Home, recipe: Recipe, listed: list[Listed], limits: NDArray[np.uint32]
) -> Iterator[NDArray[Any]]:
    """All verified pairs that count, in one part, or in several on disk that no pair connects: each
    can be decided alone. Memory: some 220 bytes a pair of a part, and where there are several, 8
    bytes a document."""
    from pipelines import minhash

    def of_group(piece: Listed) -> NDArray[Any]:
        edges = np.frombuffer(
            files.read_bytes(home.work(SCORES, piece.source, f"{piece.name}.bin")), EDGE
        )
        return counting_edges(recipe, listed, limits, edges)

    def counting() -> Iterator[NDArray[Any]]:
        yield from map(of_group, listed)

    total = 0
    held: list[NDArray[Any]] = [np.zeros(0, EDGE)]
    for edges in counting():
        total += len(edges)
        if total <= PART_EDGES:
            held.append(edges)
        else:
            held.clear()
    if total <= PART_EDGES:
        yield np.concatenate(held)
        return
    bases = np.concatenate([[0], np.cumsum([piece.documents for piece in listed])])
    root = np.arange(bases[-1])
    for edges in counting():
        minhash.unite(root, *_numbers(edges, bases).T)
    with tempfile.TemporaryDirectory() as folder:
        parts = total // PART_EDGES + 1
        for edges in counting():
            of = minhash.roots(root, _numbers(edges, bases)[:, 0]) % parts
            for part in np.unique(of):
                with open(os.path.join(folder, str(part)), "ab") as stream:
                    stream.write(edges[of == part].tobytes())
        for name in sorted(os.listdir(folder)):
            yield np.fromfile(os.path.join(folder, name), EDGE)


def _numbers(edges: NDArray[Any], bases: NDArray[np.int64]) -> NDArray[np.int64]:
    """(P, 2) the documents of pairs, counted through all groups."""
    pairs = edge_pairs(edges)
    numbers: NDArray[np.int64] = bases[(pairs >> np.uint64(32)).astype(np.int64)] + (
        pairs & np.uint64(0xFFFFFFFF)
    ).astype(np.int64)
    return numbers


def edge_pairs(edges: NDArray[Any]) -> NDArray[np.uint64]:
    """(P, 2) the places (later, earlier) of verified pairs."""
    return np.stack([edges["later"] & np.uint64(EARLIER_IS_CONTAINED - 1), edges["earlier"]], 1)


def decide_part(
    home: Home,
    recipe: Recipe,
    listed: list[Listed],
    limits: NDArray[np.uint32],
    edges: NDArray[Any],
) -> Iterator[tuple[int, NDArray[Any], NDArray[np.uint16]]]:
    """(index of group, `REMOVAL`s by row, the numbers of their twins' sources) from verified pairs
    that count."""
    earlier_is_contained = edges["later"] >= np.uint64(EARLIER_IS_CONTAINED)
    pairs = edge_pairs(edges)
    places, numbers = np.unique(pairs, return_inverse=True)
    order, words, ids = _read_documents(home, recipe, listed, places)
    by_survivor = np.lexsort((places, order))
    rank = _inverse(by_survivor)
    places, words, ids = places[by_survivor], words[by_survivor], ids[by_survivor]
    later, earlier = rank[numbers.reshape(-1, 2)].T
    is_near = edges["jaccard"] >= pair_limits(limits, pairs)
    small, large = (
        np.where(earlier_is_contained, earlier, later),
        np.where(earlier_is_contained, later, earlier),
    )
    contained = ~is_near & (words[small] >= recipe.dedup.containment_words)
    twin, score = settle(
        (later[is_near], earlier[is_near], edges["jaccard"][is_near]),
        (small[contained], large[contained], edges["contained"][contained]),
        _inverse(np.argsort(-words.astype(np.int64), kind="stable")),
    )
    removed = np.flatnonzero(twin >= 0)
    removed = removed[np.argsort(places[removed])]
    records = np.zeros(len(removed), REMOVAL)
    records["row"], records["score"] = places[removed] & np.uint64(0xFFFFFFFF), score[removed]
    records["twin"] = ids[twin[removed]]
    names = {name: number for number, name in enumerate(recipe.sources)}
    source_of = np.array([names[piece.source] for piece in listed], np.uint16)
    sources = source_of[(places[twin[removed]] >> np.uint64(32)).astype(np.int64)]
    groups = places[removed] >> np.uint64(32)
    for index in np.unique(groups):
        of_group = slice(*np.searchsorted(groups, [index, index + np.uint64(1)]))
        yield int(index), records[of_group], sources[of_group]


def _read_documents(
    home: Home, recipe: Recipe, listed: list[Listed], places: NDArray[np.uint64]
) -> tuple[NDArray[np.uint64], NDArray[np.uint32], NDArray[np.bytes_]]:
    """(N,) the survivor order of documents that are in pairs (with the place it is total), their
    words and ids; `places` rising."""
    groups, rows = places >> np.uint64(32), (places & np.uint64(0xFFFFFFFF)).astype(np.uint32)
    order, words, ids = (
        near.priorities(recipe, listed)[groups.astype(np.int64)],
        np.empty(len(places), np.uint32),
        np.empty(len(places), "S16"),
    )
    for index in np.unique(groups):
        with files.open_ranges(candidates_file(home, listed[int(index)])) as stream:
            sets, facts = read_sets(stream), read_facts(stream)
        begin, end = np.searchsorted(groups, [index, index + np.uint64(1)])
        at = np.searchsorted(sets.rows, rows[begin:end])
        order[begin:end] |= facts["order"][at]
        words[begin:end], ids[begin:end] = sets.words[at], facts["id"][at]
    return order, words, ids


Pairs = tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.uint32]]


def settle(
    near_pairs: Pairs, contained: Pairs, by_words: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.uint32]]:
    """(N,) the twin of each of N documents, numbered in survivor order, and its score; -1 and 0 for
    one that stays.

    Near pairs are (later, earlier, score); contained ones (the one of fewer words, the other,
    score). `by_words` (N,): the place of each document in the order of the first pass: words, most
    first, then survivor order.
    """
    from pipelines import minhash

    count = len(by_words)
    small, large, part = (
        values[np.lexsort((by_words[contained[1]], by_words[contained[0]]))] for values in contained
    )
    later, earlier, jaccard = (
        values[np.lexsort((near_pairs[1], near_pairs[0]))] for values in near_pairs
    )
    inside: NDArray[np.bool_] = np.zeros(count, np.bool_)
    best, near_best = np.empty(count, np.int64), np.empty(count, np.int64)
    minhash.removals(small, large, part, inside, best)
    while True:
        inside = best >= 0
        minhash.removals(later, earlier, jaccard, inside, near_best)
        minhash.best_kept(small, large, part, inside, near_best, best)
        if not (inside & (best < 0)).any():
            break
    twin, score = np.full(count, -1, np.int64), np.zeros(count, np.uint32)
    for chosen, others, values, flag in (
        (near_best, earlier, jaccard, 0),
        (best, large, part, CONTAINED),
    ):
        at = np.flatnonzero(chosen >= 0)
        twin[at], score[at] = others[chosen[at]], values[chosen[at]] | np.uint32(flag)
    return twin, score


def _inverse(permutation: NDArray[np.int64]) -> NDArray[np.int64]:
    places = np.empty(len(permutation), np.int64)
    places[permutation] = np.arange(len(permutation))
    return places


def group_limits(recipe: Recipe, listed: list[Listed]) -> NDArray[np.uint32]:
    """(groups,) the threshold of each group's source, in billionths."""
    limits = near.thresholds(recipe)
    return np.array([near.billionths(limits[piece.source]) for piece in listed], np.uint32)


def pair_limits(limits: NDArray[np.uint32], pairs: NDArray[np.uint64]) -> NDArray[np.uint32]:
    """(P,) the threshold of each pair of places: the higher of its two sources'."""
    groups = (pairs >> np.uint64(32)).astype(np.int64)
    return np.maximum(limits[groups[:, 0]], limits[groups[:, 1]])


def containment_limits(recipe: Recipe, limit: NDArray[np.uint32]) -> NDArray[np.int64]:
    """(P,) what part of the one of fewer words must be in the other: `dedup.containment`, or where
    the pair's threshold is so high that texts of one length would go for less, what those share at
    it: 2 t / (1 + t)."""
    threshold = limit.astype(np.int64)
    least: NDArray[np.int64] = np.maximum(
        2 * threshold * 10**9 // (10**9 + threshold), near.billionths(recipe.dedup.containment)
    )
    return least


def counting_edges(
    recipe: Recipe, listed: list[Listed], limits: NDArray[np.uint32], edges: NDArray[Any]
) -> NDArray[Any]:
    """The verified pairs that count by the thresholds and scopes of their sources."""
    pairs = edge_pairs(edges)
    limit = pair_limits(limits, pairs)
    counts = (edges["jaccard"] >= limit) | (edges["contained"] >= containment_limits(recipe, limit))
    names = list(recipe.sources)
    source = np.array([names.index(piece.source) for piece in listed], np.int64)[
        (pairs >> np.uint64(32)).astype(np.int64)
    ]
    scopes = [recipe.sources[name].scope for name in names]
    within, others = (
        np.array([scope == wanted for scope in scopes], np.bool_)[source].any(axis=1)
        for wanted in ("within", "others")
    )
    counts &= np.where(source[:, 0] == source[:, 1], ~others, ~within)
    return edges[counts]


def apply(task: Task) -> Summary:
    """Write the attributes of a slice from the decision about it."""
    home, recipe = task_home(task)
    ingested = task.ingested
    address = home.attributes(STAGE, ingested.source, ingested.slice)
    finished = done(home, STAGE, ingested.source, ingested.slice, task.fingerprint, address)
    if finished:
        return finished
    ids = _ids(home, recipe, ingested)
    names: list[str | None] = [None] * len(ids)
    scores: list[float | None] = [None] * len(ids)
    kinds: list[str | None] = [None] * len(ids)
    removals: NDArray[Any] = np.zeros(0, REMOVAL)
    sources = np.repeat(np.arange(len(task.twins_in)), task.twins_in)
    if len(sources):
        with files.open_ranges(home.work(DECISION, ingested.source, f"{task.group}.bin")) as stream:
            removals = np.frombuffer(
                stream.read_at(len(sources) * REMOVAL.itemsize, task.first * REMOVAL.itemsize),
                REMOVAL,
            )
    if recipe.sources[ingested.source].dedup.before_rules:  # a rule's is the rule's
        ours = kept_rows(home, recipe, ingested, before=STAGE)[removals["row"]]
        removals, sources = removals[ours], sources[ours]
    for row, score, twin in removals.tolist():
        names[row] = twin.ljust(16, b"\0").hex()  # numpy's S16 drops trailing zero bytes
        scores[row] = score % CONTAINED / 1e9
        kinds[row] = "contained" if score >= CONTAINED else "near"
    columns = [
        ids,
        pa.array(names, pa.string()),
        pa.array(scores, pa.float64()),
        pa.array(kinds, pa.string()),
    ]
    table = pa.table(
        columns, schema=ATTRIBUTE_SCHEMA.with_metadata({"corpusmill.documents": ingested.output})
    )
    with files.open_output(address) as output:
        pq.write_table(table, output, compression="zstd")
    counts = {
        "documents": len(ids),
        "removed": len(removals),
        "contained": int((removals["score"] >= CONTAINED).sum()),
    }
    named = list(recipe.sources)
    twins_in = {
        named[number]: int(count) for number, count in zip(*np.unique(sources, return_counts=True))
    }
    summary = slice_summary(
        STAGE, ingested, task.fingerprint, output, counts, (ingested.output, *task.before)
    )
    summary = dataclasses.replace(summary, twins_in=twins_in)
    write_summary(home, summary)
    return summary


def _ids(home: Home, recipe: Recipe, ingested: Summary) -> pa.ChunkedArray:
    """(D,) the ids of a slice's documents, from where the least is read."""
    if recipe.dedup.exact:
        return twins(home, "exact", ingested).column("id")
    with files.open_input(home.documents(ingested.source, ingested.slice)) as stream:
        return pq.read_table(stream, columns=["id"]).column("id")


# --- the guard
# ----------------------------------------------------------------------------------------------------


def guard(home: Home, recipe: Recipe, found: list[Summary], say: Callable[[str], None]) -> None:
    """Stop a build in which more of what the stages before leave of a source would go than
    `dedup.max_removed`, after a table of why. Raises `UserError` (exit 1)."""
    slices, read = ordered_slices(home, recipe), bulk(home)
    for name in recipe.sources:
        of_source, ingested = (
            [summary for summary in of_all if summary.source == name] for of_all in (found, slices)
        )
        documents = sum(summary.counts["documents"] for summary in ingested)
        documents -= sum(
            removed_count(home, recipe, stage, summary, read)
            for stage in removing_stages(recipe, STAGE, name)
            for summary in ingested
        )
        removed = sum(summary.counts["removed"] for summary in of_source)
        if removed > recipe.dedup.max_removed * documents:
            for line in why_table(home, of_source):
                say(line)
            share = removed / documents
            raise UserError(
                f"{name}: {removed} of {documents} documents ({share:.0%}) are near-copies, more than dedup.max_removed = {recipe.dedup.max_removed}",
                f"look: corpus show {home.root} --removed --source {name}; to go on: --dedup.max-removed {min(1.0, int(share * 100 + 1) / 100)}",
                1,
            )


def why_table(home: Home, found: list[Summary]) -> Iterator[str]:
    """Lines: how many of a source go by kind and similarity, and the twins that most of them
    have."""
    kinds: dict[str, int] = {}
    copies: dict[str, int] = {}
    for summary in found:
        with files.open_input(home.attributes(STAGE, summary.source, summary.slice)) as stream:
            table = pq.read_table(stream, columns=["twin", "score", "kind"]).to_pylist()
        for row in table:
            if row["twin"]:
                key = (
                    "contained"
                    if row["kind"] == "contained"
                    else f"similarity {int(row['score'] * 20) / 20:.2f} and up"
                )
                kinds[key] = kinds.get(key, 0) + 1
                copies[row["twin"]] = copies.get(row["twin"], 0) + 1
    yield f"{found[0].source}: what goes, and why"
    for key in sorted(kinds):
        yield f"  {key:26} {kinds[key]:>9,}"
    for twin, count in sorted(copies.items(), key=lambda item: (-item[1], item[0]))[:5]:
        yield f"  copies of {twin} {count:>5,}"
