"""One run of `corpus` over a home."""

from collections.abc import Callable
from dataclasses import dataclass, field

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
    to Beam, such as `--runner=SparkRunner`. `listed` has the slices of sources that are listed
    already.
    """

    home: Home
    recipe: Recipe
    workers: int
    beam_arguments: tuple[str, ...]
    say: Say
    listed: dict[str, list[Slice]] = field(default_factory=dict)

    def slices(self, source: str) -> list[Slice]:
        """The slices of a source, listed once: on an object store a listing takes its time.

        Raises `UserError` where no file matches or a folder is missing.
        """
        if source not in self.listed:
            options = self.recipe.sources[source]
            self.listed[source] = list(load_source(options.kind).slices(options))
        return self.listed[source]
