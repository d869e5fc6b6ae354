"""The stages as Beam transforms: how planned tasks reach the pool of child processes.

    begin -> plan -> Reshuffle -> Pool -> summaries -> (barrier) -> the next pass

What goes in is a barrier: a stage begins when all of it is there, and reads what the stages before
wrote below the home. Cost: a pass moves a task and a summary, about 1 KB, per slice; the exchange of
`exact` also moves at most 24 bytes per document and shuffle.

This module imports Beam, which takes seconds: nothing that `corpus --help` or a child needs may
import it. `pipelines.beam` has the public names.
"""

import functools
import sys
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import apache_beam as beam

from corpora.document import Slice
from pipelines.engines import children
from pipelines.engines.heartbeat import beating
from pipelines.engines.pool import Pool, left_for_driver
from pipelines.engines.session import Session, check_worker
from pipelines.home.fingerprints import stale
from pipelines.home.layout import Home, open_home
from pipelines.home.set_aside import slices_aside
from pipelines.home.summaries import Summary
from pipelines.progress import board
from pipelines.recipe import Recipe
from pipelines.stages.job import Say
from pipelines.stages.stage import Exchange, Pass, Stage, run_task
from shards.errors import UserError

Slices = Mapping[str, list[Slice]]
"""The slices of each source."""

InHome = Callable[[Home, Recipe], Iterable[Any]]
"""What one worker does for all slices, such as planning."""


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
        done, needs = begin, self.stage.needs
        for step in self.stage.passes:
            if isinstance(step, Exchange):
                done = self._exchange(done, step, needs)
            else:
                done = self._pass(done, step, needs)
            needs = (*needs, step.name)
        return done

    def _pass(self, before: Any, step: Pass[Any], needs: tuple[str, ...]) -> Any:
        """Plan tasks and work on each; then, where the pass asks for it, on all together."""
        plan = functools.partial(plan_pass, step, self.slices if step.reads_inputs else None)
        tasks = self.after(before, plan, f"Plan{step.label}", needs)
        work = functools.partial(run_task, step)
        pool = Pool(self.home, step.name, work, self.workers, self.session)
        label = step.label or "Process"
        done = (
            tasks
            | f"{label}Spread" >> beam.Reshuffle()
            | label >> beam.ParDo(pool).with_output_types(Summary)
        )
        if step.finish is None:
            return done
        return self.after(done, step.finish, f"Finish{step.label}", (*needs, step.name), Summary)

    def _exchange(self, before: Any, step: Exchange[Any], needs: tuple[str, ...]) -> Any:
        """Records meet by key, then by the slice of the record that they met, then by their own."""
        tasks = self.after(before, step.plan, f"Plan{step.label}", needs)
        asked = (
            tasks
            | "SpreadBlocks" >> beam.Reshuffle()
            | "Blocks" >> beam.FlatMap(self.guarded(step.blocks))
            | "MeetByKey" >> beam.GroupByKey()
            | "Decide" >> beam.FlatMap(self.guarded(functools.partial(decide, step)))
        )

        # Each slice brings its task along: to plan all of them again for each would be quadratic.
        every = tasks | "EverySlice" >> beam.Map(functools.partial(by_index, step))
        by_twin = (asked, every) | "WithTwins" >> beam.Flatten() | "MeetByTwin" >> beam.GroupByKey()
        answer = self.guarded(functools.partial(with_task, step.answer))
        answered = by_twin | "Name" >> beam.FlatMap(answer)

        by_slice = (
            (answered, every) | "WithSlices" >> beam.Flatten() | "MeetBySlice" >> beam.GroupByKey()
        )
        apply = self.guarded(functools.partial(apply_to_slice, step))
        return by_slice | "Apply" >> beam.FlatMap(apply).with_output_types(Summary)

    def after(
        self,
        before: Any,
        function: InHome,
        label: str,
        needs: tuple[str, ...],
        kind: Any = Any,
    ) -> Any:
        """What `function(home, recipe)` gives once all of `before` is there; nothing when a slice
        of the passes `needs` was set aside."""
        guarded = self.guarded(functools.partial(in_home, function))
        if isinstance(before, beam.pvalue.PBegin):
            begin = before | "Home" >> beam.Create([self.home])
            return begin | label >> beam.FlatMap(guarded).with_output_types(kind)

        count = before | f"{label}Barrier" >> beam.combiners.Count.Globally()
        waiting = functools.partial(after_barrier, guarded, self.home, needs)
        return count | label >> beam.FlatMap(waiting).with_output_types(kind)

    def guarded(self, function: Callable[[Any], Iterable[Any]]) -> Callable[[Any], Iterable[Any]]:
        """`function` as a worker runs it: one that is fit for the job, that says it lives, and
        whose errors reach the driver."""
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


def in_home(function: InHome, home_root: str) -> Iterable[Any]:
    """`function` in the home, which is opened for it."""
    return function(*open_home(home_root))


def after_barrier(
    function: Callable[[str], Iterable[Any]], home: str, needs: tuple[str, ...], _count: int
) -> Iterable[Any]:
    """`function` of the home, unless a slice that it needs was set aside."""
    if any(note.stage in needs for note in slices_aside(Home(home))):
        return []
    return function(home)


def plan_pass(step: Pass[Any], slices: Slices | None, home: Home, recipe: Recipe) -> Iterable[Any]:
    """The tasks of a pass; tells the display how many there are, and the user which slices must be
    done again and why."""
    tasks = step.plan(home, recipe, slices) if step.reads_inputs else step.plan(home, recipe)
    board.board.expect(len(tasks), sum(task.size for task in tasks))
    for line in stale(home, step.name, tasks):
        print(line, file=sys.stderr, flush=True)
    return tasks


def run_guard(guard: Callable[[Home, Recipe, Say], None], home: Home, recipe: Recipe) -> list[Any]:
    """Raises `UserError` where the result of a stage must not be built upon."""
    guard(home, recipe, lambda line: None)
    return []


def leaving_errors(
    home: str, session: Session | None, function: Callable[[Any], Iterable[Any]], argument: Any
) -> Iterable[Any]:
    """`function(argument)`; an error that a user can mend is left where the driver finds it."""
    try:
        if session is not None:
            check_worker(home, session)
        with beating(home, session):
            return list(children.run(function, argument))
    except UserError as error:
        raise left_for_driver(home, session, error) from None


def decide(step: Exchange[Any], group: tuple[int, Iterable[bytes]]) -> Iterable[tuple[int, bytes]]:
    """What all blocks of one partition give."""
    return step.decide(group[1])


def by_index(step: Exchange[Any], task: Any) -> tuple[int, Any]:
    """A task by the place of its slice."""
    return step.index(task), task


def with_task(function: Callable[[Any, list[bytes]], Any], group: tuple[int, Iterable[Any]]) -> Any:
    """`function` of the task of one slice and of the blocks that were sent to it."""
    items = list(group[1])
    blocks = [item for item in items if isinstance(item, bytes)]
    # An engine that tries a bundle again may send a task twice.
    task = next(item for item in items if not isinstance(item, bytes))
    return function(task, blocks)


def apply_to_slice(step: Exchange[Any], group: tuple[int, Iterable[Any]]) -> list[Summary]:
    """The summary of one slice."""
    return [with_task(step.apply, group)]
