"""TODO-DOC pipelines/commands/build.py."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from pipelines.commands.dry_run import print_plan
from pipelines.commands.flags import Run, quiet_beam
from pipelines.commands.stats import stats_of
from pipelines.wording import print_json, say
from shards.errors import UserError

if TYPE_CHECKING:
    from pipelines.recipe import Recipe
    from pipelines.stages.job import Job


# build and ingest: the recipe's own keys are flags too


def build(recipe: "Recipe", run: Run, beam_arguments: list[str]) -> int:
    """RECIPE --home DIR: everything, from the sources to verified shards."""
    from pipelines import build as composition

    return _run_recipe(recipe, run, beam_arguments, composition.build)


def ingest(recipe: "Recipe", run: Run, beam_arguments: list[str]) -> int:
    """RECIPE --home DIR: only the documents of the sources."""
    from pipelines import build as composition

    return _run_recipe(
        recipe, run, beam_arguments, lambda job: composition.run_stages(job, ("survey", "ingest"))
    )


def urls(recipe: "Recipe", run: Run, beam_arguments: list[str]) -> int:
    """RECIPE --home DIR: only the addresses that submissions link to, as DIR/urls/NAME.csv."""
    from pipelines.build import write_url_tables

    return _run_recipe(recipe, run, beam_arguments, write_url_tables)


def _job(root: str, workers: int, beam_arguments: list[str]) -> "Job":
    from pipelines.home.layout import open_home
    from pipelines.stages.job import Job

    home, recipe = open_home(root)
    return Job(home, recipe, workers, tuple(beam_arguments), say)


def _run_recipe(
    recipe: "Recipe", run: Run, beam_arguments: list[str], stages: Callable[..., None]
) -> int:
    from pipelines.adopt import adopt_recipe, forget_untouched, refuse_foreign

    if run.dry_run:
        return print_plan(recipe, run)
    from pipelines.home.layout import Home, is_home
    from pipelines.home.lock import locked

    num_workers = _workers(run.workers, beam_arguments)
    if not run.home:
        raise UserError("--home: no folder named", "corpus build RECIPE --home DIR")
    refuse_foreign(run.home)  # before a lock is laid into it
    fresh = not is_home(run.home)
    with locked(Home(run.home)):
        try:
            adopt_recipe(run.home, recipe, _confirmed(run.yes), say)
            quiet_beam()
            with _swept(run.home):
                stages(_job(run.home, num_workers, beam_arguments))
        except UserError:
            if fresh:
                forget_untouched(Home(run.home))
            raise
    if run.json:
        print_json(stats_of(run.home))
    return 0


def _confirmed(yes: bool) -> Callable[[list[str]], bool]:
    def confirm(_: list[str]) -> bool:
        return yes or (
            sys.stdin.isatty() and input("go on? [y/N] ").strip().lower() in ("y", "yes")
        )

    return confirm


def _workers(workers: int | None, beam_arguments: list[str]) -> int:
    """Children of each worker process: a child a core where that process is this one, else one, and
    the engine has the cores."""
    from pipelines.engines.children import default_workers
    from pipelines.engines.engine import engine_of

    if workers is not None and workers < 0:
        raise UserError(
            f"--workers {workers}: less than 0", "0 works in this process, N with N children"
        )
    if workers is not None:
        return workers
    return default_workers() if engine_of(beam_arguments).shares_process else 1


@contextmanager
def _swept(home: str) -> Iterator[None]:
    """Remove what a killed build left behind, and at the end what killed workers of this one did:
    with the lock in hand nobody else is at work."""
    from pipelines.engines.children import stop
    from shards.storage.files import is_remote

    _sweep(home)
    try:
        yield
    finally:
        if not is_remote(home):  # an object store holds no halves
            stop()
            _sweep(home)


def _sweep(home: str) -> None:
    from pipelines.home.sweep import clean as sweep

    for _ in sweep(home, work=False, lock=False, dry_run=False):
        pass


# the other commands: tyro reads the flags from the signatures


def _stage(function_name: tuple[str, ...]) -> Callable[..., Callable[[list[str]], int]]:
    def command(home: str, /, workers: int | None = None) -> Callable[[list[str]], int]:
        def run(beam_arguments: list[str]) -> int:
            from pipelines import build as composition
            from pipelines.home.layout import open_home
            from pipelines.home.lock import locked

            quiet_beam()
            with locked(open_home(home)[0]), _swept(home):
                composition.run_stages(
                    _job(home, _workers(workers, beam_arguments), beam_arguments), function_name
                )
            return 0

        return run

    return command


dedup = _stage(("rules", "exact", "near"))

dedup.__doc__ = """HOME: which documents go, by the rules of quality and as copies of others.

    Args:
        home: The folder of a build.
        workers: Child processes; default one a core, and on a cluster one for each of its Python workers.
    """

train_tokenizer = _stage(("tokenizer",))

train_tokenizer.__doc__ = """HOME: the vocabulary, trained on the kept text or as given.

    Args:
        home: The folder of a build.
        workers: Child processes; default one a core, and on a cluster one for each of its Python workers.
    """

tokenize = _stage(("tokenize",))

tokenize.__doc__ = """HOME: the kept documents as shards.

    Args:
        home: The folder of a build.
        workers: Child processes; default one a core, and on a cluster one for each of its Python workers.
    """
