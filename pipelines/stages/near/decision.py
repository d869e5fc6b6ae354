"""The decision of stage `near`: which documents are removed, and for which twin, from all verified
pairs.

It is made in one worker, since a document may only be removed for one that is kept. Memory is some
220 bytes per pair of a part; where the pairs are too many for one part, also 8 bytes per document.
"""

import os
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipelines.home.layout import Home
from pipelines.recipe import Recipe
from pipelines.stages.near.bands import billionths, thresholds
from pipelines.stages.near.candidates import candidates_file, read_facts, read_sets
from pipelines.stages.near.groups import (
    EARLIER_IS_CONTAINED,
    EDGE,
    LONG_PAIRS,
    LONG_SCORES,
    SCORES,
    Listed,
    Packed,
    priorities,
    read_list,
)
from shards.storage import files

PART_EDGES = 4_000_000
"""Verified pairs that are decided at once: 900 MB."""

CONTAINED = 1 << 31
"""Set in a removal's score where the document is contained in its twin."""

CONTAINS = 1 << 30
"""Set in a removal's score where the document contains its twin, of a source of higher priority.
Scores are below it."""

LEAST_ALIKE = 500_000_000
"""A document is removed for a shorter one that it contains only where the two have this Jaccard
similarity, in billionths: of a much longer one, too much would be lost."""

REMOVAL = np.dtype([("row", "<u4"), ("score", "<u4"), ("twin", "S16")])
"""What is decided: a removed row, its score (`CONTAINED`), and its twin's id."""

LOW32 = np.uint64(0xFFFFFFFF)


@dataclass(frozen=True)
class Context:
    """What every step of the decision needs: the groups in order, their thresholds, and the passes
    whose verified pairs count."""

    home: Home
    recipe: Recipe
    listed: list[Listed]
    limits: NDArray[np.uint32]
    """(groups,) the threshold of each group's source, in billionths."""
    passes: tuple[str, ...]


ALL_PASSES = (SCORES, LONG_SCORES)


def context(home: Home, recipe: Recipe, passes: tuple[str, ...] = ALL_PASSES) -> Context:
    """Of a home whose pairs are verified."""
    listed = read_list(home)
    limits = thresholds(recipe)
    of_group = [billionths(limits[group.source]) for group in listed]
    return Context(home, recipe, listed, np.array(of_group, np.uint32), passes)


Removals = tuple[Packed, NDArray[np.uint64]]
"""(R,) `REMOVAL`s of a group by row, and (R,) the places of their twins."""


def decide(home: Home, recipe: Recipe, passes: tuple[str, ...] = ALL_PASSES) -> dict[int, Removals]:
    """Index of group -> its removals, from all verified pairs of these passes that count."""
    of = context(home, recipe, passes)
    parts: dict[int, list[Removals]] = {}
    for edges in edge_parts(of):
        for index, removals in decide_part(of, edges):
            parts.setdefault(index, []).append(removals)

    decided = {}
    for index, of_group in parts.items():
        removed = np.concatenate([removals for removals, _ in of_group])
        twins = np.concatenate([places for _, places in of_group])
        by_row = np.argsort(removed["row"])
        decided[index] = (removed[by_row], twins[by_row])
    return decided


# --- the pairs that count


def edge_parts(of: Context) -> Iterator[Packed]:
    """All verified pairs that count, in one part, or in several that no pair connects: each can be
    decided alone."""
    total = 0
    held: list[Packed] = [np.zeros(0, EDGE)]
    # Most homes have one part; only where it would be too large is everything read again.
    for edges in counting_parts(of):
        total += len(edges)
        if total <= PART_EDGES:
            held.append(edges)
        else:
            held.clear()

    if total <= PART_EDGES:
        yield np.concatenate(held)
    else:
        yield from _connected_parts(of, total // PART_EDGES + 1)


def _connected_parts(of: Context, parts: int) -> Iterator[Packed]:
    """The pairs in parts of about equal size, so that documents connected by pairs are in one part;
    the parts are kept on disk."""
    from pipelines.stages.near import kernels

    bases = np.concatenate([[0], np.cumsum([group.documents for group in of.listed])])
    root = np.arange(bases[-1])
    for edges in counting_parts(of):
        kernels.unite(root, *_numbers(edges, bases).T)

    with tempfile.TemporaryDirectory() as folder:
        for edges in counting_parts(of):
            part_of = kernels.roots(root, _numbers(edges, bases)[:, 0]) % parts
            for part in np.unique(part_of):
                with open(os.path.join(folder, str(part)), "ab") as stream:
                    stream.write(edges[part_of == part].tobytes())

        for name in sorted(os.listdir(folder)):
            yield np.fromfile(os.path.join(folder, name), EDGE)


def counting_parts(of: Context) -> Iterator[Packed]:
    """The verified pairs that count, group by group."""
    in_long_runs = read_list(of.home, LONG_PAIRS) if LONG_SCORES in of.passes else []
    for name, groups in ((SCORES, of.listed), (LONG_SCORES, in_long_runs)):
        for group in groups:
            if group.signed or name == SCORES:
                address = of.home.work(name, group.source, f"{group.name}.bin")
                edges = np.frombuffer(files.read_bytes(address), EDGE)
                yield counting_edges(of, edges)


def counting_edges(of: Context, edges: Packed) -> Packed:
    """Those of some verified pairs that count by the thresholds and scopes of their sources."""
    pairs = edge_pairs(edges)
    limit = pair_limits(of.limits, pairs)
    is_near = edges["jaccard"] >= limit
    is_contained = edges["contained"] >= containment_limits(of.recipe, limit)

    names = list(of.recipe.sources)
    source_of_group = np.array([names.index(group.source) for group in of.listed], np.int64)
    sources = source_of_group[(pairs >> np.uint64(32)).astype(np.int64)]
    scopes = [options.scope for options in of.recipe.sources.values()]
    only_within = np.array([scope == "within" for scope in scopes], np.bool_)
    only_others = np.array([scope == "others" for scope in scopes], np.bool_)

    is_one_source = sources[:, 0] == sources[:, 1]
    any_within = only_within[sources].any(axis=1)
    any_others = only_others[sources].any(axis=1)
    in_scope = np.where(is_one_source, ~any_others, ~any_within)
    counted: Packed = edges[(is_near | is_contained) & in_scope]
    return counted


def edge_pairs(edges: Packed) -> NDArray[np.uint64]:
    """(P, 2) the places (later, earlier) of verified pairs."""
    later = edges["later"] & np.uint64(EARLIER_IS_CONTAINED - 1)
    return np.stack([later, edges["earlier"]], 1)


def _numbers(edges: Packed, bases: NDArray[np.int64]) -> NDArray[np.int64]:
    """(P, 2) the documents of pairs, counted through all groups."""
    pairs = edge_pairs(edges)
    groups = (pairs >> np.uint64(32)).astype(np.int64)
    rows: NDArray[np.int64] = (pairs & LOW32).astype(np.int64)
    numbers: NDArray[np.int64] = rows + bases[groups]
    return numbers


def pair_limits(limits: NDArray[np.uint32], pairs: NDArray[np.uint64]) -> NDArray[np.uint32]:
    """(P,) the threshold of each pair of places: the higher of its two sources'."""
    groups = (pairs >> np.uint64(32)).astype(np.int64)
    return np.maximum(limits[groups[:, 0]], limits[groups[:, 1]])


def containment_limits(recipe: Recipe, limit: NDArray[np.uint32]) -> NDArray[np.int64]:
    """(P,) the share of a document's shingles that the longer one must hold: `dedup.containment`.

    Where the pair's threshold t is so high that texts of equal length would be removed for less, it
    is what such texts share at the threshold: 2 t / (1 + t).
    """
    threshold = limit.astype(np.int64)
    of_equal_length = 2 * threshold * 10**9 // (10**9 + threshold)
    least: NDArray[np.int64] = np.maximum(of_equal_length, billionths(recipe.dedup.containment))
    return least


# --- who is removed


def decide_part(of: Context, edges: Packed) -> Iterator[tuple[int, Removals]]:
    """(index of group, its removals) from verified pairs that count."""
    documents = _read_documents(of, edges)
    places, later, earlier = documents.places, documents.later, documents.earlier
    is_near = edges["jaccard"] >= pair_limits(of.limits, edge_pairs(edges))
    ranks = _containment_ranks(of)[(places >> np.uint64(32)).astype(np.int64)]
    twin, score = settle(
        (later[is_near], earlier[is_near], edges["jaccard"][is_near]),
        _contained_pairs(of, edges, documents, ranks, np.flatnonzero(~is_near)),
        _inverse(np.lexsort((-documents.words.astype(np.int64), ranks))),
    )

    removed = np.flatnonzero(twin >= 0)
    removed = removed[np.argsort(places[removed])]
    records = np.zeros(len(removed), REMOVAL)
    records["row"] = places[removed] & LOW32
    records["score"] = score[removed]
    records["twin"] = documents.ids[twin[removed]]

    groups = places[removed] >> np.uint64(32)
    for index in np.unique(groups):
        of_group = slice(*np.searchsorted(groups, [index, index + np.uint64(1)]))
        yield int(index), (records[of_group], places[twin[removed[of_group]]])


def _contained_pairs(
    of: Context,
    edges: Packed,
    documents: "Documents",
    ranks: NDArray[np.uint16],
    chosen: NDArray[np.int64],
) -> "Pairs":
    """Of the chosen pairs those in which one document goes because it is contained, or because it
    contains one of a source of higher priority."""
    earlier_is_contained = edges["later"][chosen] >= np.uint64(EARLIER_IS_CONTAINED)
    later, earlier = documents.later[chosen], documents.earlier[chosen]
    small = np.where(earlier_is_contained, earlier, later)
    large = np.where(earlier_is_contained, later, earlier)

    # Of two, the one of the source of higher priority is kept, else the longer.
    longer_goes = ranks[small] < ranks[large]
    goes = documents.words[small] >= of.recipe.dedup.containment_words
    goes &= ~longer_goes | (edges["jaccard"][chosen] >= LEAST_ALIKE)
    gone = np.where(longer_goes, large, small)
    stays = np.where(longer_goes, small, large)
    mark = np.where(longer_goes, np.uint32(CONTAINS), np.uint32(CONTAINED))
    return gone[goes], stays[goes], (edges["contained"][chosen] | mark)[goes]


def _containment_ranks(of: Context) -> NDArray[np.uint16]:
    """(groups,) the priority by which containment is decided: that of the group's source. Sources
    between which the longer document stays count as one, with the higher of their priorities."""
    priority = of.recipe.dedup.priority
    rank = {name: number for number, name in enumerate(priority)}
    for name in priority:
        for other in of.recipe.sources[name].dedup.longer_stays_with:
            joined = (rank[name], rank[other])
            for source, number in rank.items():
                if number in joined:
                    rank[source] = min(joined)
    return np.array([rank[group.source] for group in of.listed], np.uint16)


@dataclass(frozen=True)
class Documents:
    """The N documents of some pairs, in survivor order: their places, words and ids; and (P,) the
    later and the earlier document of each pair, as numbers in that order."""

    places: NDArray[np.uint64]
    words: NDArray[np.uint32]
    ids: NDArray[np.bytes_]
    later: NDArray[np.int64]
    earlier: NDArray[np.int64]


def _read_documents(of: Context, edges: Packed) -> Documents:
    """The documents of verified pairs."""
    places, numbers = np.unique(edge_pairs(edges), return_inverse=True)
    order, words, ids = _read_facts(of, places)
    by_survivor = np.lexsort((places, order))
    rank = _inverse(by_survivor)
    later, earlier = rank[numbers.reshape(-1, 2)].T
    return Documents(places[by_survivor], words[by_survivor], ids[by_survivor], later, earlier)


def _read_facts(
    of: Context, places: NDArray[np.uint64]
) -> tuple[NDArray[np.uint64], NDArray[np.uint32], NDArray[np.bytes_]]:
    """(N,) the survivor order of documents that are in pairs (with the place it is total), their
    words and ids; `places` are sorted."""
    groups = places >> np.uint64(32)
    rows = (places & LOW32).astype(np.uint32)
    order = priorities(of.recipe, of.listed)[groups.astype(np.int64)]
    words = np.empty(len(places), np.uint32)
    ids = np.empty(len(places), "S16")

    for index in np.unique(groups):
        with files.open_ranges(candidates_file(of.home, of.listed[int(index)])) as stream:
            sets, facts = read_sets(stream), read_facts(stream)

        begin, end = np.searchsorted(groups, [index, index + np.uint64(1)])
        at = np.searchsorted(sets.rows, rows[begin:end])
        order[begin:end] |= facts["order"][at]
        words[begin:end] = sets.words[at]
        ids[begin:end] = facts["id"][at]

    return order, words, ids


Pairs = tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.uint32]]
"""(P,) the document that may be removed, the other one, and the score of each pair."""


def settle(
    near_pairs: Pairs, contained_pairs: Pairs, by_words: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.uint32]]:
    """(N,) the twin of each of N documents and its score; -1 and 0 for one that is kept.

    Documents are numbered in survivor order. Of near pairs the later document may be removed, of
    contained ones the first one, whose scores hold `CONTAINED` or `CONTAINS`. `by_words` (N,) is
    the place of each document in the order in which contained ones are settled: priority of the
    source, then words, most first, then survivor order.
    """
    from pipelines.stages.near import kernels

    small, large, part = _sorted(contained_pairs, by_words)
    later, earlier, jaccard = _sorted(near_pairs, np.arange(len(by_words)))
    inside: NDArray[np.bool_] = np.zeros(len(by_words), np.bool_)
    best = np.empty(len(by_words), np.int64)
    near_best = np.empty(len(by_words), np.int64)
    kernels.removals(small, large, part, inside, best)

    # A contained document whose containers all turn out to be near-duplicates of others is taken
    # back, and the near pairs are settled again with it.
    while True:
        inside = best >= 0
        kernels.removals(later, earlier, jaccard, inside, near_best)
        kernels.best_kept(small, large, part, inside, near_best, best)
        if not (inside & (best < 0)).any():
            break

    twin = np.full(len(by_words), -1, np.int64)
    score = np.zeros(len(by_words), np.uint32)
    near = np.flatnonzero(near_best >= 0)
    twin[near] = earlier[near_best[near]]
    score[near] = jaccard[near_best[near]]

    contained = np.flatnonzero(best >= 0)
    twin[contained] = large[best[contained]]
    score[contained] = part[best[contained]]
    return twin, score


def _sorted(pairs: Pairs, place: NDArray[np.int64]) -> Pairs:
    """The pairs by the places of their documents in an order."""
    document, other, score = pairs
    order = np.lexsort((place[other], place[document]))
    return document[order], other[order], score[order]


def _inverse(permutation: NDArray[np.int64]) -> NDArray[np.int64]:
    places = np.empty(len(permutation), np.int64)
    places[permutation] = np.arange(len(permutation))
    return places
