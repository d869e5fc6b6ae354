"""One run of `corpus` over a home."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

from corpora.document import Slice
from corpora.sources import load_source
from pipelines.home.layout import Home
from pipelines.recipe import Recipe

Say = Callable[[str], None]
"""Prints one line for the user."""


@dataclass(frozen=True)
class Job:
    """What every stage needs to know about this run; made once, in the command.

    `workers` is the number of child processes, 0 for none. `beam_arguments` are the options that go
    to Beam, such as `--runner=SparkRunner`.
    """

    home: Home
    recipe: Recipe
    workers: int
    beam_arguments: tuple[str, ...]
    say: Say

    @cached_property
    def slices(self) -> dict[str, list[Slice]]:
        """The slices of each source, listed once: on an object store a listing takes its time.

        Raises `UserError` where no file matches or a folder is missing.
        """
        return {
            name: list(load_source(options.kind).slices(options))
            for name, options in self.recipe.sources.items()
        }
