"""`corpus ingest`: from the sources to documents."""

from typing import TYPE_CHECKING

from pipelines.commands.flags import Run
from pipelines.commands.work import work_by_recipe

if TYPE_CHECKING:
    from pipelines.recipe import Recipe
    from pipelines.stages.job import Job


def ingest(recipe: "Recipe", run: Run, beam_arguments: list[str]) -> int:
    """Read the sources into documents and rejects, and stop there."""
    return work_by_recipe(recipe, run, beam_arguments, _work)


def _work(job: "Job") -> None:
    from pipelines.build import run_stages
    from pipelines.home.set_aside import complain_of_aside

    run_stages(job, ("survey", "ingest"))
    complain_of_aside(job.home)
