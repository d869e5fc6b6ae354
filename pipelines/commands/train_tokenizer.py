"""`corpus train-tokenizer`: from the kept documents to a vocabulary."""

from typing import TYPE_CHECKING

from pipelines.commands.flags import HomeFlags
from pipelines.commands.work import work_on_home

if TYPE_CHECKING:
    from pipelines.stages.job import Job


def train_tokenizer(flags: HomeFlags, beam_arguments: list[str]) -> int:
    """Train the tokenizer, or load the one that the recipe gives."""
    return work_on_home(flags, beam_arguments, _work)


def _work(job: "Job") -> None:
    from pipelines.build import run_stages

    run_stages(job, ("tokenizer",))
