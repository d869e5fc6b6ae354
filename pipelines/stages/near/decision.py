"""The decision of stage `near` (pipelines/stages/near/signatures.py says how its steps hang together): which
documents go, and for which twin, from all verified pairs; then the attributes, slice by slice, and
the guard."""

import os
import tempfile
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipelines.home.layout import Home
from pipelines.recipe import Recipe
from pipelines.stages.near.bands import billionths, thresholds
from pipelines.stages.near.candidates import candidates_file, read_facts, read_sets
from pipelines.stages.near.groups import (
    EARLIER_IS_CONTAINED,
    EDGE,
    SCORES,
    Listed,
    priorities,
    read_list,
)
from shards.storage import files

PART_EDGES = 4_000_000
"""Verified pairs that are decided at once: 900 MB."""

CONTAINED = 1 << 31
"""Set in a removal's score where the document is contained in its twin."""

REMOVAL = np.dtype([("row", "<u4"), ("score", "<u4"), ("twin", "S16")])
"""What the decision says: a removed row, its score (`CONTAINED`), and its twin's id."""


def decide(home: Home, recipe: Recipe) -> dict[int, tuple[NDArray[Any], NDArray[np.uint16]]]:
    """Index of group -> its `REMOVAL`s by row, and the numbers of their twins' sources in the
    recipe, from all verified pairs that count."""
    listed = read_list(home)
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
    from pipelines.stages.near import kernels

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
        kernels.unite(root, *_numbers(edges, bases).T)
    with tempfile.TemporaryDirectory() as folder:
        parts = total // PART_EDGES + 1
        for edges in counting():
            of = kernels.roots(root, _numbers(edges, bases)[:, 0]) % parts
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
        priorities(recipe, listed)[groups.astype(np.int64)],
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
    from pipelines.stages.near import kernels

    count = len(by_words)
    small, large, part = (
        values[np.lexsort((by_words[contained[1]], by_words[contained[0]]))] for values in contained
    )
    later, earlier, jaccard = (
        values[np.lexsort((near_pairs[1], near_pairs[0]))] for values in near_pairs
    )
    inside: NDArray[np.bool_] = np.zeros(count, np.bool_)
    best, near_best = np.empty(count, np.int64), np.empty(count, np.int64)
    kernels.removals(small, large, part, inside, best)
    while True:
        inside = best >= 0
        kernels.removals(later, earlier, jaccard, inside, near_best)
        kernels.best_kept(small, large, part, inside, near_best, best)
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
    limits = thresholds(recipe)
    return np.array([billionths(limits[piece.source]) for piece in listed], np.uint32)


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
        2 * threshold * 10**9 // (10**9 + threshold), billionths(recipe.dedup.containment)
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
