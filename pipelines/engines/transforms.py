"""The stages as Beam transforms: how planned tasks reach the pool of child processes.

    begin -> plan -> spread -> Pool -> summaries -> (side input) -> the next pass

A pass begins when all summaries of the pass before it are there, which it asks for as a side
input; it takes nothing from them, but reads what that pass wrote below the home. Cost: a pass moves
one task and one summary, about 1 KB, per slice; the exchange of `exact` also moves at most 24 bytes
per document and shuffle. Beam spends some ten milliseconds on each step before a job begins, so
there are few, and no composite ones.

This module imports Beam, which takes seconds: nothing that `corpus --help` or a child needs may
import it. `pipelines.beam` has the public names. Beam pickles every function of a graph, so those
below are functions of the module, bound by `functools.partial`. It also infers the types of a step
from the signatures of `expand` and `leaving_errors`; `Any` in them leaves the types open.
"""

import functools
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, TypeVar

import apache_beam as beam
from apache_beam.pvalue import AsIter, PBegin, PCollection

from corpora.document import Slice
from pipelines.engines import child
from pipelines.engines.heartbeat import beating
from pipelines.engines.pool import Pool, left_for_driver
from pipelines.engines.session import Session, check_worker
from pipelines.home.fingerprints import stale
from pipelines.home.layout import Home, open_home
from pipelines.home.set_aside import slices_aside
from pipelines.home.summaries import Summary
from pipelines.progress.board import board
from pipelines.recipe import Recipe
from pipelines.stages.job import Say
from pipelines.stages.stage import Exchange, Pass, Stage, Task, run_task
from shards.errors import UserError

Slices = Mapping[str, list[Slice]]
"""The slices of each source."""

InHome = Callable[[Home, Recipe], Iterable[object]]
"""What one worker does for all slices, such as planning."""

T = TypeVar("T", bound=Task)

R = TypeVar("R")


class StageTransform(beam.PTransform):
    """One stage: PBegin or PCollection[Summary] -> PCollection[Summary].

    `home` is the address of a home that holds a recipe; `workers` is the number of child processes
    beside each Beam worker. `session` tells the workers of a cluster which job they belong to;
    `slices` are those of the inputs, where this process has listed them already.
    """

    def __init__(
        self,
        stage: Stage,
        home: str,
        workers: int = 1,
        session: Session | None = None,
        slices: Slices | None = None,
    ) -> None:
        super().__init__(stage.transform)
        self.stage = stage
        self.home = home
        self.workers = workers
        self.session = session
        self.slices = slices

    def expand(self, begin: Any) -> Any:
        done = begin
        needs = self.stage.needs
        for step in self.stage.passes:
            if isinstance(step, Exchange):
                done = self._exchange(done, step, needs)
            else:
                done = self._pass(done, step, needs)
            # A pass does nothing when a slice of an earlier pass of its stage was set aside.
            needs = (*needs, step.name)
        return done

    def _pass(
        self, before: PBegin | PCollection, step: Pass[Task], needs: tuple[str, ...]
    ) -> PCollection:
        """Plan tasks and work on each; then, where the pass asks for it, on all together."""
        plan = functools.partial(plan_pass, step, self.slices if step.reads_inputs else None)
        tasks = self.after(before, plan, f"Plan{step.label}", needs, tuple[int, Any])

        work = functools.partial(run_task, step)
        pool = Pool(self.home, step.name, work, self.workers, self.session)
        label = step.label or "Process"
        # One worker has planned all tasks; without a shuffle it would do them all as well.
        spread = tasks | f"{label}Spread" >> beam.GroupByKey()
        done: PCollection = spread | label >> beam.ParDo(pool).with_output_types(Summary)

        if step.finish is None:
            return done
        return self.after(done, step.finish, f"Finish{step.label}", (*needs, step.name), Summary)

    def _exchange(
        self, before: PBegin | PCollection, step: Exchange[Task], needs: tuple[str, ...]
    ) -> PCollection:
        """Records meet by key, then by the slice of the record that they met, then by their own."""
        plan = functools.partial(plan_exchange, step)
        tasks = self.after(before, plan, f"Plan{step.label}", needs, tuple[int, Any])
        asked = (
            tasks
            | "SpreadBlocks" >> beam.GroupByKey()
            | "Blocks" >> beam.FlatMap(self.guarded(functools.partial(blocks_of, step)))
            | "MeetByKey" >> beam.GroupByKey()
            | "Decide" >> beam.FlatMap(self.guarded(functools.partial(decide, step)))
        )

        # Each slice brings its task along: to plan all of them again for each would be quadratic.
        # Without this step, which changes nothing, the job server of Spark refuses the graph.
        every = tasks | "EverySlice" >> beam.Map(itself)
        by_twin = (asked, every) | "WithTwins" >> beam.Flatten() | "MeetByTwin" >> beam.GroupByKey()
        answer = self.guarded(functools.partial(with_task, step.answer))
        answered = by_twin | "Name" >> beam.FlatMap(answer)

        by_slice = (
            (answered, every) | "WithSlices" >> beam.Flatten() | "MeetBySlice" >> beam.GroupByKey()
        )
        apply = self.guarded(functools.partial(apply_to_slice, step))
        done: PCollection = by_slice | "Apply" >> beam.FlatMap(apply).with_output_types(Summary)
        return done

    def after(
        self,
        before: PBegin | PCollection,
        function: InHome,
        label: str,
        needs: tuple[str, ...],
        kind: object = Any,
    ) -> PCollection:
        """The results of `function(home, recipe)`, called once when all of `before` is there.

        There are none when a slice of the passes `needs` was set aside. `kind` is their type, for
        Beam.
        """
        guarded = self.guarded(functools.partial(in_home, function))
        if isinstance(before, PBegin):
            step = beam.ParDo(Once(guarded, self.home))
        else:
            # A side input is there when everything of it is there.
            step = beam.ParDo(Once(guarded, self.home, needs), AsIter(before))

        begin = before.pipeline | f"Begin{label}" >> beam.Impulse()
        results: PCollection = begin | label >> step.with_output_types(kind)
        return results

    def guarded(self, function: Callable[[Any], Iterable[R]]) -> Callable[[Any], Iterable[R]]:
        """`function` as a worker runs it: after a check that the worker is fit for the job, with
        signs of life, and with errors that reach the driver."""
        return functools.partial(leaving_errors, self.home, self.session, function)


class BuildTransform(beam.PTransform):
    """All stages as one pipeline, for an engine that is handed a file and runs it without us:
    PBegin -> PCollection[Summary].

    `corpus build` checks the accounts afterwards: it finds everything done.
    """

    def __init__(
        self,
        stages: tuple[Stage, ...],
        home: str,
        workers: int = 1,
        session: Session | None = None,
    ) -> None:
        super().__init__("Build")
        self.stages = stages
        self.home = home
        self.workers = workers
        self.session = session

    def expand(self, begin: Any) -> Any:
        _, recipe = open_home(self.home)
        done = begin
        for stage in self.stages:
            if not stage.wanted(recipe):
                continue

            transform = StageTransform(stage, self.home, self.workers, self.session)
            done = done | stage.transform >> transform
            if stage.guard is not None:
                guard = functools.partial(run_guard, stage.guard)
                names = tuple(step.name for step in stage.passes)
                done = transform.after(done, guard, f"Guard{stage.transform}", names, Summary)
        return done


# --- what workers run


class Once(beam.DoFn):
    """Calls `function(home)`, for the one impulse that it gets; not where a slice of the passes
    `needs` was set aside."""

    def __init__(
        self, function: Callable[[str], Iterable[object]], home: str, needs: tuple[str, ...] = ()
    ) -> None:
        self.function = function
        self.home = home
        self.needs = needs

    def process(self, impulse: bytes, before: Any = None) -> Iterable[object]:
        if self.needs and any(note.stage in self.needs for note in slices_aside(Home(self.home))):
            return []
        return self.function(self.home)


def in_home(function: InHome, home_root: str) -> Iterable[object]:
    """`function` with the home and its recipe, which are opened for it."""
    return function(*open_home(home_root))


def plan_pass(
    step: Pass[T], slices: Slices | None, home: Home, recipe: Recipe
) -> list[tuple[int, T]]:
    """The tasks of a pass, numbered; tells the display how many there are, and the user which
    slices must be done again and why."""
    tasks = step.plan(home, recipe, slices) if step.reads_inputs else step.plan(home, recipe)
    board.expect(len(tasks), sum(task.size for task in tasks))
    for line in stale(home, step.name, tasks):
        print(line, file=sys.stderr, flush=True)
    return list(enumerate(tasks))


def plan_exchange(step: Exchange[T], home: Home, recipe: Recipe) -> list[tuple[int, T]]:
    """The tasks of an exchange, by the places of their slices."""
    return [(step.index(task), task) for task in step.plan(home, recipe)]


def run_guard(
    guard: Callable[[Home, Recipe, Say], None], home: Home, recipe: Recipe
) -> list[Summary]:
    """Nothing. Raises `UserError` where the result of a stage must not be built upon."""
    guard(home, recipe, lambda line: None)
    return []


def leaving_errors(
    home: str,
    session: Session | None,
    function: Callable[[Any], Iterable[Any]],
    argument: Any,
) -> Iterable[Any]:
    """`function(argument)`; an error that a user can mend is left where the driver finds it."""
    try:
        if session is not None:
            check_worker(home, session)
        with beating(home, session):
            # As a list, since a generator would do its work after this block.
            return list(child.run(function, argument))
    except UserError as error:
        raise left_for_driver(home, session, error) from None


def decide(step: Exchange[T], group: tuple[int, Iterable[bytes]]) -> Iterator[tuple[int, bytes]]:
    """The results of all blocks of one partition, each with the place of a slice."""
    _, blocks = group
    return step.decide(blocks)


def itself(numbered: tuple[int, T]) -> tuple[int, T]:
    """What it is given."""
    return numbered


def blocks_of(step: Exchange[T], group: tuple[int, Iterable[T]]) -> Iterator[tuple[int, bytes]]:
    """The blocks of one slice."""
    _, tasks = group
    # An engine that tries a bundle again may send a task twice.
    return step.blocks(next(iter(tasks)))


def with_task(function: Callable[[T, list[bytes]], R], group: tuple[int, Iterable[T | bytes]]) -> R:
    """`function` with the task of one slice and the blocks that were sent to the slice."""
    _, items = group
    blocks: list[bytes] = []
    tasks: list[T] = []
    for item in items:
        if isinstance(item, bytes):
            blocks.append(item)
        else:
            tasks.append(item)

    # An engine that tries a bundle again may send a task twice.
    return function(tasks[0], blocks)


def apply_to_slice(step: Exchange[T], group: tuple[int, Iterable[T | bytes]]) -> list[Summary]:
    """The summary of one slice."""
    return [with_task(step.apply, group)]
