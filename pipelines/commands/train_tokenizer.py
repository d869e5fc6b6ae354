"""`corpus train-tokenizer`: from the kept documents to a vocabulary."""

from typing import TYPE_CHECKING

from pipelines.commands.flags import HomeFlags
from pipelines.commands.work import work_on_home

if TYPE_CHECKING:
    from pipelines.stages.job import Job


def train_tokenizer(flags: HomeFlags, beam_arguments: list[str]) -> int:
    """Train the tokenizer on the documents of today, or load the one that the recipe gives."""
    return work_on_home(flags, beam_arguments, _work)


def _work(job: "Job") -> None:
    from pipelines.build import run_stages
    from pipelines.home.layout import TOKENIZER
    from pipelines.home.summaries import read_summary
    from pipelines.stages.train_tokenizer import forget_vocabulary, is_outdated

    # A build keeps the vocabulary when documents are added; who calls this asks for a new one.
    summary = read_summary(job.home.summary(TOKENIZER, "all", "tokenizer"))
    if summary is not None and is_outdated(job.home, job.recipe, summary):
        forget_vocabulary(job.home)
    run_stages(job, ("tokenizer",))
