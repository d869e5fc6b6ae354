"""Stage `near`: of documents that share most of their shingles (5 words in a row), the first in
survivor order is kept.

LSH proposes, evidence decides: every proposed pair is compared by the exact Jaccard similarity of
the shingle sets, and a document is removed only for a named, kept, verified twin. There is no
closure: in a chain A ~ B ~ C where A and C differ, B is removed because of A, and C is kept.

    signatures   per group: band keys of each document that `exact` keeps
    pairs        per part of the keys: records of equal keys meet, each run gives pairs
    candidates   per group: its pairs, each once, and the shingles of its documents in a pair
    scores       per group: the similarity of its pairs
    long runs    of keys that many documents share: longer keys (`pipelines.stages.near.long_runs`)
    decision     in one worker: which documents are removed, and for which twin
    attributes   per slice: the twin of each removed document

**Contained documents** (an edition with parts left out, a page that quotes another whole) are
removed in a round of their own, first: of a pair that are not near-duplicates, the one of fewer
words is removed when the other holds `containment` of its shingles. Order: words, most first, then
survivor order. Where the later round removes the container too and no other is kept, the removal is
taken back and the round made again, so that every twin is a kept document.

Law 1: what passes from worker to worker are packed arrays in files below `work/`, partitioned by
key or by group and read by ranges: records of 16 bytes per band (key, row, order; a task has four
bands), pairs of 16 bytes, verified pairs of 24. Settings that only choose among verified pairs (a
raised threshold, scope) redo the decision alone.

**Groups.** Each part of the keys reads a file of every group, so the number of groups decides how
many reads there are. Slices of a source that follow one another form a group, of 4 MB of text at
least, and of many gigabytes a 256th of all. The decision does not depend on it.
"""

from pipelines.home.layout import INGEST, NEAR
from pipelines.home.summaries import summaries
from pipelines.recipe import Recipe
from pipelines.stages.accounts import check, check_disk, total
from pipelines.stages.job import Job
from pipelines.stages.near.attributes import APPLY
from pipelines.stages.near.bands import band_scheme, s_curve, thresholds
from pipelines.stages.near.candidates import GATHER
from pipelines.stages.near.groups import LONG_SCORES, LONG_SIGNATURES, RECORD, SCORES
from pipelines.stages.near.guard import guard
from pipelines.stages.near.long_runs import PROPOSE_LONG, SCORE_LONG, SIGN_LONG
from pipelines.stages.near.pairs import PROPOSE
from pipelines.stages.near.scores import SCORE
from pipelines.stages.near.signatures import SIGN
from pipelines.stages.stage import Stage
from pipelines.wording import several


def is_wanted(recipe: Recipe) -> bool:
    """True where the recipe removes near-duplicates."""
    return recipe.dedup.near


def prepare(job: Job) -> None:
    """Say how likely a pair is to be compared; check that the disk can hold the keys."""
    bands, rows = band_scheme(min(thresholds(job.recipe).values()))
    job.say(f"near: {s_curve(bands, rows)}")

    # The keys of all bands, and the shingles of the documents that are in a pair.
    ingested = summaries(job.home, INGEST)
    keys = bands * RECORD.itemsize
    needed = keys * total(ingested, "documents") + total(ingested, "bytes") // 2
    check_disk(job.home, needed, f"{keys} bytes per document and half a byte for each byte of text")


def account(job: Job) -> None:
    """Check that every document was judged and every removed one has a twin; say how many are
    near-duplicates. Raises `UserError` (exit 1) as `guard` does."""
    home = job.home
    compared = total(summaries(home, SCORES), "compared")
    by_longer = total(summaries(home, LONG_SCORES), "compared")
    signed = total(summaries(home, LONG_SIGNATURES), "signed")
    more = f", {by_longer:,} of them by longer keys of {several(signed, 'document')}"
    job.say(f"near: {several(compared + by_longer, 'pair')} compared{more if signed else ''}")

    for name in job.recipe.sources:
        decided = summaries(home, NEAR, name)
        documents, removed = total(decided, "documents"), total(decided, "removed")
        contained = total(decided, "contained")
        twins = sum(sum(summary.twins_in.values()) for summary in decided)

        ingested = total(summaries(home, INGEST, name), "documents")
        check(f"{name}: documents", ingested, documents)
        check(f"{name}: near-duplicates and their twins", removed, twins)

        more = f", {contained:,} of them contained in another" if contained else ""
        job.say(f"near {name}: {removed:,} of {documents:,} documents are near-duplicates{more}")

    guard(home, job.recipe, job.say)


STAGE = Stage(
    name=NEAR,
    transform="DeduplicateNear",
    passes=(SIGN, PROPOSE, GATHER, SCORE, SIGN_LONG, PROPOSE_LONG, SCORE_LONG, APPLY),
    wanted=is_wanted,
    off="near: off",
    prepare=prepare,
    account=account,
    guard=guard,
)
