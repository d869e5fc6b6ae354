"""`corpus tokenize`: from the kept documents to shards."""

from typing import TYPE_CHECKING

from pipelines.commands.flags import HomeFlags
from pipelines.commands.work import work_on_home

if TYPE_CHECKING:
    from pipelines.stages.job import Job


def tokenize(flags: HomeFlags, beam_arguments: list[str]) -> int:
    """Tokenize the kept documents and write the shards."""
    return work_on_home(flags, beam_arguments, _work)


def _work(job: "Job") -> None:
    from pipelines.build import run_stages

    run_stages(job, ("tokenize",))
