"""The stage `passages`: its passes, and what it says."""

from pipelines.home.layout import INGEST, PASSAGES
from pipelines.home.summaries import summaries
from pipelines.recipe import Recipe
from pipelines.stages.accounts import check, check_disk, total
from pipelines.stages.job import Job
from pipelines.stages.passages.counts import COUNT
from pipelines.stages.passages.keys import KEYS, WRITE_KEYS
from pipelines.stages.passages.repeats import REPEAT, WRITE_RECORDS
from pipelines.stages.passages.spans import WRITE_SPANS
from pipelines.stages.stage import Stage
from pipelines.wording import several


def is_wanted(recipe: Recipe) -> bool:
    """True where the passages of any source are compared."""
    return any(options.dedup.passages != "off" for options in recipe.sources.values())


def prepare(job: Job) -> None:
    """Check that the disk can hold the records."""
    size = 0
    for name, options in job.recipe.sources.items():
        if options.dedup.passages != "off":
            size += total(summaries(job.home, INGEST, name), "bytes")
    check_disk(job.home, size // 2, "half a byte for each byte of text")


def account(job: Job) -> None:
    """Check that every document was looked at; say what is repeated and what is cut."""
    for name, options in job.recipe.sources.items():
        if options.dedup.passages == "off":
            continue
        found, keys = summaries(job.home, PASSAGES, name), summaries(job.home, KEYS, name)
        documents, removed = total(found, "documents"), total(found, "removed")
        ingested = total(summaries(job.home, INGEST, name), "documents")
        check(f"{name}: documents", ingested, documents)

        # Documents that the stages before removed are in no count of passages.
        passages = several(total(found, "passages"), "repeated passage")
        line = f"passages {name}: {passages} in {several(total(keys, 'compared'), 'document')}"
        if options.dedup.passages == "remove":
            line += (
                f"; {total(found, 'cut_bytes'):,} bytes cut from {total(found, 'shortened'):,}, "
                f"of which {removed:,} are removed with too little left"
            )
        job.say(line)


STAGE = Stage(
    name=PASSAGES,
    transform="RemovePassages",
    passes=(WRITE_KEYS, REPEAT, WRITE_RECORDS, COUNT, WRITE_SPANS),
    wanted=is_wanted,
    prepare=prepare,
    account=account,
)
