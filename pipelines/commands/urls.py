"""`corpus urls`: the addresses that submissions link to."""

from typing import TYPE_CHECKING

from pipelines.commands.flags import Run
from pipelines.commands.work import work_by_recipe

if TYPE_CHECKING:
    from pipelines.recipe import Recipe


def urls(recipe: "Recipe", run: Run, beam_arguments: list[str]) -> int:
    """List the addresses that Reddit submissions link to.

    The list of each source is written to DIR/urls/NAME.csv.
    """
    from pipelines.build import write_url_tables

    return work_by_recipe(recipe, run, beam_arguments, write_url_tables)
