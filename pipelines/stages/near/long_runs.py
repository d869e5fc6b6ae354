"""Three further passes of stage `near`, for documents of long runs: where more than
`RUN_REPRESENTATIVES` documents share a key, most of its pairs are left out.

Such runs come from templates: pages that are alike to 0.6 share keys of 8 values all the time, and
hide those that are alike to 0.9. So the documents of these runs get second signatures, with keys of
twice as many values, which pages of one template rarely share and near-duplicates often do:

    long-signatures   per group: second keys of documents with pairs that were left out
    long-pairs        per part of the keys: records of equal keys meet; a run that is long again is
                      cut by the keys of the next table too, and the middle of its template
                      comes first (`pairs._split`)
    long-scores       per group: the similarity of the pairs that are new

Documents that the first pairs remove for a twin outside of all long runs take no part: their twin
stays, whatever is found here. So the many copies of one page cost nothing more. The cost is linear
in the documents that take part: 16 sketches, and 26 bytes per table.
"""

import hashlib

import numpy as np
from numpy.typing import NDArray

from pipelines.home.fingerprints import fingerprint
from pipelines.home.layout import Home
from pipelines.home.summaries import bulk, ordered_slices, prune, summaries
from pipelines.progress.ticks import tick
from pipelines.recipe import Recipe
from pipelines.stages.accounts import total
from pipelines.stages.near.candidates import (
    candidates_file,
    pairs_of_group,
    proposed_blocks,
    read_facts,
    read_pairs,
    read_sets,
)
from pipelines.stages.near.decision import decide
from pipelines.stages.near.groups import (
    CANDIDATES,
    LONG_PAIRS,
    LONG_RECORD,
    LONG_SCORES,
    LONG_SIGNATURES,
    PAIRS,
    SCORES,
    VERSION,
    GroupTask,
    Listed,
    Packed,
    group_tasks,
    grouped,
    read_list,
    write_if_new,
    write_long_list,
)
from pipelines.stages.near.pair_sets import without
from pipelines.stages.near.pairs import (
    MET,
    SECOND,
    PairsTask,
    added_up,
    plan_level,
    propose_level,
    read_met,
    table_scheme,
)
from pipelines.stages.near.scores import chunks, compare_pairs, read_shingles
from pipelines.stages.near.signatures import write_bounds, write_segment
from pipelines.stages.stage import Pass, Result
from shards.storage import files

SEGMENT_DOCUMENTS = 16_384
"""How many documents a segment of second signatures holds: 32 MB of keys."""

CHOSEN = "long-chosen"

CHOSEN_ROW = np.dtype([("row", "<u4"), ("long_runs", "<u2")])
"""A document that gets second signatures, and its `long_runs` for its `LONG_RECORD`s."""


def plan(home: Home, recipe: Recipe) -> list[GroupTask]:
    """The groups with documents that need second signatures."""
    listed = read_list(home)
    chosen = _chosen_documents(home, recipe)
    edges = np.searchsorted(
        chosen["place"], np.arange(len(listed) + 1, dtype=np.uint64) << np.uint64(32)
    )
    counts = np.diff(edges).tolist()
    write_long_list(
        home,
        [
            Listed(group.source, group.name, group.documents, count)
            for group, count in zip(listed, counts)
        ],
    )
    wanted = {(group.source, group.name) for group, count in zip(listed, counts) if count}
    for name in (LONG_SIGNATURES, LONG_SCORES):
        prune(home, name, wanted, (f"work/{name}", f"work/{CHOSEN}"))

    read = bulk(home)
    _, rows = table_scheme(recipe, SECOND)
    fingerprints = []
    for group, begin, end in zip(listed, edges[:-1].tolist(), edges[1:].tolist()):
        rows_of_group = np.empty(end - begin, CHOSEN_ROW)
        rows_of_group["row"] = chosen["place"][begin:end] & np.uint64(0xFFFFFFFF)
        rows_of_group["long_runs"] = chosen["long_runs"][begin:end]
        of_group = rows_of_group.tobytes()
        if begin < end:
            write_if_new(_chosen_address(home, group.source, group.name), of_group)
        gathered = read(CANDIDATES, group.source, group.name)
        wanted_now = fingerprint(
            stage=VERSION,
            rows=rows,
            candidates=gathered and gathered.output,
            chosen=hashlib.blake2b(of_group, digest_size=16).hexdigest(),
        )
        fingerprints.append(wanted_now)

    return [task for task in group_tasks(home, recipe, fingerprints) if counts[task.index]]


def _chosen_documents(home: Home, recipe: Recipe) -> Packed:
    """`MET`s, by place, of documents with pairs that were left out; without those that are removed
    for a twin that no such pair concerns."""
    proposed = summaries(home, PAIRS, "all")
    met: Packed = np.zeros(0, MET)
    if not total(proposed, "left_out"):
        return met

    for summary in proposed:
        met = added_up(met, read_met(home.work(PAIRS, "all", f"{summary.slice}.bin")))

    left_out = met[met["left_out"] > 0]
    settled: list[NDArray[np.uint64]] = [np.zeros(0, np.uint64)]
    for index, (removals, twins) in decide(home, recipe, (SCORES,)).items():
        places = np.uint64(index << 32) | removals["row"].astype(np.uint64)
        settled.append(places[~np.isin(twins, left_out["place"])])

    chosen: Packed = left_out[~np.isin(left_out["place"], np.concatenate(settled))]
    return chosen


def _chosen_address(home: Home, source: str, name: str) -> str:
    return home.work(CHOSEN, source, f"{name}.bin")


def signatures_address(home: Home, recipe: Recipe, task: GroupTask) -> str:
    """Where the second keys of a group are stored."""
    return home.work(LONG_SIGNATURES, task.source, f"{task.name}.bin")


def sign(home: Home, recipe: Recipe, task: GroupTask, output: files.Output) -> Result:
    """Write the second keys of a group, in the form that `signatures.sign` writes the first ones
    in, of `LONG_RECORD`s."""
    from pipelines.stages.near import kernels

    tables, rows = table_scheme(recipe, SECOND)
    content = files.read_bytes(_chosen_address(home, task.source, task.name))
    chosen = np.frombuffer(content, CHOSEN_ROW)
    bounds: list[NDArray[np.uint32]] = []

    with files.open_ranges(candidates_file(home, read_list(home)[task.index])) as stream:
        sets, facts = read_sets(stream), read_facts(stream)
        # Every document of a long run is in a pair with its first ones, so its shingles are here.
        numbers = np.searchsorted(sets.rows, chosen["row"])
        lengths = sets.ends[numbers + 1] - sets.ends[numbers]
        for begin, end in chunks(np.concatenate([[0], np.cumsum(lengths)])):
            for first in range(begin, end, SEGMENT_DOCUMENTS):
                segment_end = min(first + SEGMENT_DOCUMENTS, end)
                which = numbers[first:segment_end]
                long_runs = chosen["long_runs"][first:segment_end]
                keys = np.empty((len(which), tables), np.uint64)
                kernels.sign_sets(*read_shingles(stream, sets.ends, which), rows, keys)
                segment: list[tuple[Packed, ...]] = [
                    (keys, sets.rows[which], facts["order"][which], long_runs)
                ]
                bounds.append(write_segment(output, segment, LONG_RECORD))
                tick(first, task.size * first // max(len(numbers), 1))

    write_bounds(output, bounds)
    return Result(counts={"signed": len(chosen)}, inputs=task.inputs)


SIGN_LONG = Pass(
    name=LONG_SIGNATURES,
    plan=plan,
    address=signatures_address,
    work=sign,
    label="LongSignatures",
)


def plan_pairs(home: Home, recipe: Recipe) -> list[PairsTask]:
    """A task for some tables and a part of the keys."""
    signed = [summary.output for summary in summaries(home, LONG_SIGNATURES)]
    groups = [[group.source, group.name] for group in read_list(home)]
    digest = fingerprint(signatures=signed, groups=groups, priority=list(recipe.dedup.priority))
    return plan_level(home, recipe, SECOND, digest)


def pairs_address(home: Home, recipe: Recipe, task: PairsTask) -> str:
    """Where the pairs of a task are stored."""
    return home.work(LONG_PAIRS, task.source, f"{task.name}.bin")


def propose(home: Home, recipe: Recipe, task: PairsTask, output: files.Output) -> Result:
    """Write the candidate pairs of some tables and keys."""
    return propose_level(home, recipe, task, output, SECOND)


PROPOSE_LONG = Pass(
    name=LONG_PAIRS, plan=plan_pairs, address=pairs_address, work=propose, label="LongPairs"
)


def plan_scores(home: Home, recipe: Recipe) -> list[GroupTask]:
    """The groups with documents that have second signatures."""
    groups, read = grouped(ordered_slices(home, recipe)), bulk(home)
    gathered = [read(CANDIDATES, members[0].source, members[0].slice) for members in groups]
    wanted = fingerprint(
        stage=VERSION,
        pairs=[summary.output for summary in summaries(home, LONG_PAIRS, "all")],
        candidates=[summary.output for summary in gathered if summary],
    )
    listed = read_list(home, LONG_PAIRS)
    tasks = group_tasks(home, recipe, [wanted] * len(groups))
    return [task for task in tasks if listed[task.index].signed]


def scores_address(home: Home, recipe: Recipe, task: GroupTask) -> str:
    """Where the verified pairs of a group are stored."""
    return home.work(LONG_SCORES, task.source, f"{task.name}.bin")


def score(home: Home, recipe: Recipe, task: GroupTask, output: files.Output) -> Result:
    """Write the verified pairs (`EDGE`) of a group's later documents that the first pairs do not
    hold."""
    pairs = pairs_of_group(proposed_blocks(home, LONG_PAIRS, task.index))
    with files.open_ranges(candidates_file(home, read_list(home)[task.index])) as stream:
        known = read_pairs(stream)
    return compare_pairs(home, recipe, task, output, without(pairs, known))


SCORE_LONG = Pass(
    name=LONG_SCORES, plan=plan_scores, address=scores_address, work=score, label="LongScores"
)
