"""What the commands that build have in common: the recipe's adoption, the lock, the sweep.

Each such command hands over the work it does with a `Job`. It holds the home's lock meanwhile, so
that nobody else writes to the home.
"""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

from pipelines.commands.flags import HomeFlags, Run, quiet_beam, refuse_workers
from pipelines.wording import say
from shards.errors import UserError

if TYPE_CHECKING:
    from pipelines.home.layout import Home
    from pipelines.recipe import Recipe
    from pipelines.stages.job import Job

Work = Callable[["Job"], None]


def work_by_recipe(recipe: "Recipe", run: Run, beam_arguments: list[str], work: Work) -> int:
    """Make `recipe` the home's and do the work; with `--dry-run` only print the plan.

    Raises `UserError`. A home that was new and is refused before its first slice is removed again.
    """
    from pipelines.adopt import adopt_recipe, forget_untouched, refuse_foreign
    from pipelines.commands.dry_run import print_plan
    from pipelines.home.inputs import forget_read
    from pipelines.home.layout import Home, is_home, open_home
    from pipelines.home.lock import locked
    from pipelines.look.stats import stats
    from pipelines.stages.train_tokenizer import forget_vocabulary
    from pipelines.wording import print_json

    if run.dry_run:
        return print_plan(recipe, run)

    workers = worker_count(run.workers, beam_arguments)
    if not run.home:
        raise UserError("--home: missing", "add the folder of the build: --home DIR")

    refuse_foreign(run.home)  # before the lock creates a file in it
    is_new = not is_home(run.home)
    with locked(Home(run.home)):
        try:
            wanted = _job(Home(run.home), recipe, workers, beam_arguments)
            adopt_recipe(run.home, recipe, wanted.slices, _confirmed(run.yes), say)
            quiet_beam()
            # as the home holds it: every process of the build reads it from there
            home, adopted = open_home(run.home)
            if run.retrain:
                forget_vocabulary(home)
            if run.reread:
                forget_read(home, adopted.sources)
            with _swept(home):
                work(replace(wanted, home=home, recipe=adopted))
        except UserError:
            if is_new:
                forget_untouched(Home(run.home))
            raise

    # after the lock is released: the figures are read like those of any home
    if run.json:
        print_json(stats(*open_home(run.home, for_reading=True)))
    return 0


def work_on_home(flags: HomeFlags, beam_arguments: list[str], work: Work) -> int:
    """Do the work on a home that is there, by its own recipe. Raises `UserError`."""
    from pipelines.home.layout import open_home
    from pipelines.home.lock import locked

    quiet_beam()
    # not for reading only: a stage needs the module of a user's own source
    home, recipe = open_home(flags.home)
    with locked(home), _swept(home):
        work(_job(home, recipe, worker_count(flags.workers, beam_arguments), beam_arguments))
    return 0


def _job(home: "Home", recipe: "Recipe", workers: int, beam_arguments: list[str]) -> "Job":
    from pipelines.stages.job import Job

    return Job(home, recipe, workers, tuple(beam_arguments), say)


def _confirmed(yes: bool) -> Callable[[list[str]], bool]:
    """The question whether to redo work; without a terminal the answer is no."""

    def confirm(_: list[str]) -> bool:
        if yes:
            return True
        if not sys.stdin.isatty():
            return False
        return input("continue? [y/N] ").strip().lower() in ("y", "yes")

    return confirm


def worker_count(workers: int | None, beam_arguments: list[str]) -> int:
    """How many child processes each worker process starts.

    By default one per core where that process is this one; else one, since the engine already
    starts a process for each core.
    """
    from pipelines.engines.children import default_workers
    from pipelines.engines.engine import engine_of

    refuse_workers(workers)
    if workers is not None:
        return workers
    return default_workers() if engine_of(beam_arguments).shares_process else 1


@contextmanager
def _swept(home: "Home") -> Iterator[None]:
    """Remove the temporary files of killed builds before the work, and of killed children after it.

    The caller holds the lock, so that no other build owns these files.
    """
    from pipelines.engines import interrupt
    from shards.storage.files import is_remote

    _sweep(home)
    try:
        yield
    finally:
        if not is_remote(home.root):  # an object store holds no partial files
            interrupt.end()  # a child still at work would leave a file behind after the sweep
            _sweep(home)


def _sweep(home: "Home") -> None:
    from pipelines.home.sweep import clean

    for _ in clean(home.root, work=False, lock=False, dry_run=False):
        pass
