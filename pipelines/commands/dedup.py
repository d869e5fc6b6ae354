"""`corpus dedup`: from documents to the decision which of them are kept."""

from typing import TYPE_CHECKING

from pipelines.commands.flags import HomeFlags
from pipelines.commands.work import work_on_home

if TYPE_CHECKING:
    from pipelines.stages.job import Job


def dedup(flags: HomeFlags, beam_arguments: list[str]) -> int:
    """Decide which documents to keep, by quality rules and deduplication."""
    return work_on_home(flags, beam_arguments, _work)


def _work(job: "Job") -> None:
    from pipelines.build import run_stages

    run_stages(job, ("rules", "exact", "passages", "near", "hosts"))
