"""What every stage of one run needs to know."""

from collections.abc import Callable
from dataclasses import dataclass

from pipelines.home.layout import Home
from pipelines.recipe import Recipe


@dataclass(frozen=True)
class Job:
    """One run of `corpus` over a home: everything a stage needs to know, made once in the command."""

    home: Home
    recipe: Recipe
    workers: int
    beam_arguments: tuple[str, ...]
    say: Callable[[str], None]
