"""`corpus build`: every stage of a recipe."""

from typing import TYPE_CHECKING

from pipelines.commands.flags import Run
from pipelines.commands.work import work_by_recipe

if TYPE_CHECKING:
    from pipelines.recipe import Recipe


def build(recipe: "Recipe", run: Run, beam_arguments: list[str]) -> int:
    """Run every stage, from the sources to verified shards."""
    from pipelines.build import build as run_every_stage

    return work_by_recipe(recipe, run, beam_arguments, run_every_stage)
