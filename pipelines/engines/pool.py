"""The DoFn that hands tasks to the pool of child processes (`children`) and waits for them.

Every Beam worker has a pool of its own, which all bundles in one process share.
"""

import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, CancelledError, wait
from concurrent.futures.process import BrokenProcessPool

import apache_beam as beam
from apache_beam.transforms.window import GlobalWindow
from apache_beam.utils.windowed_value import WindowedValue

from pipelines.engines import children
from pipelines.engines.errors import wire
from pipelines.engines.heartbeat import begin_beating, end_beating
from pipelines.engines.session import Session, check_worker, read_token
from pipelines.home.layout import Home
from pipelines.home.set_aside import Aside, set_aside, write_error
from pipelines.home.summaries import Summary
from pipelines.progress.board import Running, board
from pipelines.progress.ticks import Tick
from pipelines.stages.stage import Task
from shards.errors import UserError

POLL_S = 1.0
"""How often running attempts are looked at."""

Attempt = children.Attempt[Task, Summary]


def left_for_driver(home: str, session: Session | None, error: UserError) -> Exception:
    """Leave a worker's error below the home, where the driver finds it; returns what to raise.

    On an engine that wraps errors the error is also in the text of what is raised. A folder that is
    not the submitter's home gets nothing written into it.
    """
    if session is None or session.token == read_token(Home(home)):
        write_error(Home(home), error)
    return error if session is None else wire(error)


class Pool(beam.DoFn):
    """Runs `function(task)` in child processes: `process` submits, `finish_bundle` waits.

    `name` is that of the pass. At most twice as many tasks as children are under way, so that
    memory does not grow with the bundle. A task whose child dies, stalls or raises is tried once
    more, then set aside; an error that a user can mend ends the job.
    """

    def __init__(
        self,
        home: str,
        name: str,
        function: Callable[[Task], Summary],
        num_workers: int,
        session: Session | None = None,
    ) -> None:
        self.home = home
        self.name = name
        self.function = function
        self.num_workers = num_workers
        self.session = session
        self.jobs: list[Attempt] = []
        self.broken: list[object] = []
        self.beating = False

    def start_bundle(self) -> None:
        self.jobs = []
        self.broken = []
        self._end_beating()  # of an earlier bundle that was broken off

    def process(self, group: tuple[int, Iterable[Task]]) -> Iterator[Summary]:
        """`group`: a task with its number, as the shuffle that spreads the tasks hands it over."""
        _, tasks = group
        self._begin_beating()
        # An engine that tries a bundle again may send a task twice.
        self._submit(next(iter(tasks)), 1)
        yield from self._collect(2 * self.num_workers)

    def finish_bundle(self) -> Iterator[WindowedValue]:
        for summary in self._collect(0):
            yield WindowedValue(summary, GlobalWindow().max_timestamp(), (GlobalWindow(),))
        self._end_beating()

    def _begin_beating(self) -> None:
        """On an engine elsewhere: check that this worker is fit for the job; say that it lives."""
        if self.session is None or self.beating:
            return

        try:
            check_worker(self.home, self.session)
        except UserError as error:
            raise left_for_driver(self.home, self.session, error) from None
        begin_beating(self.home, self.session)
        self.beating = True

    def _end_beating(self) -> None:
        if self.session is not None and self.beating:
            end_beating(self.home, self.session)
            self.beating = False

    def _submit(self, task: Task, number: int) -> None:
        try:
            attempt = children.submit(self.num_workers, self.function, task, number)
        except UserError as error:  # no child can be started
            self._give_up()
            raise left_for_driver(self.home, self.session, error) from None
        self.jobs.append(attempt)

    def _collect(self, limit: int) -> Iterator[Summary]:
        """Wait until at most `limit` attempts are under way; the summaries of those that end."""
        starts = children.Starts()
        while len(self.jobs) > limit:
            futures = [attempt.future for attempt in self.jobs]
            ended = wait(futures, timeout=POLL_S, return_when=FIRST_COMPLETED).done
            self._check(starts, bool(ended))
            for attempt in list(self.jobs):
                if attempt.future.done():
                    self.jobs.remove(attempt)
                    yield from self._result(attempt)
                elif attempt.lost():
                    self.jobs.remove(attempt)
                    attempt.end()
                    self._start_again(attempt, children.ENDED)
                elif attempt.future.running():
                    self._look_at(attempt)

    def _check(self, starts: children.Starts, has_ended: bool) -> None:
        """End the job where no child can be started: then its tasks would wait for ever."""
        # Of all bundles of this process, which share the children.
        is_running = bool(board.running) or any(job.future.running() for job in self.jobs)
        try:
            starts.look(has_ended or is_running)
        except UserError as error:
            self._give_up()
            raise left_for_driver(self.home, self.session, error) from None

    def _look_at(self, attempt: Attempt) -> None:
        """Show an attempt that a child works on; end it when it stalls."""
        if not attempt.began:
            attempt.began = time.monotonic()
            label = f"{attempt.task.source}/{attempt.task.name[:12]}"
            board.running[id(attempt)] = Running(
                label, attempt.task.size, attempt.ticks, attempt.began
            )
        if attempt.stalled():
            attempt.future.cancel()  # pebble ends the child

    def _result(self, attempt: Attempt) -> Iterator[Summary]:
        """The summary of an attempt that ended. One that failed is tried again or set aside."""
        reached = attempt.end()
        board.running.pop(id(attempt), None)
        try:
            summary = attempt.future.result()
        except UserError as error:
            self._give_up()
            raise left_for_driver(self.home, self.session, error) from None
        except BrokenProcessPool as error:
            self._start_again(attempt, children.why_broken(error))
            return
        except (Exception, CancelledError) as error:
            if attempt.number < children.MAX_TRIES:
                self._submit(attempt.task, attempt.number + 1)
                return
            self._set_aside(attempt.task, error, reached)
        else:
            yield summary
        board.finish(attempt.task.size, reached.records, reached.peak)

    def _start_again(self, attempt: Attempt, why: str) -> None:
        """Submit a task whose pool broke before any child took it up, which is not its fault.

        Where pool after pool breaks, the job ends.
        """
        board.running.pop(id(attempt), None)
        if not any(attempt.pool is known for known in self.broken):
            self.broken.append(attempt.pool)
        if len(self.broken) < children.MAX_STARTS:
            self._submit(attempt.task, attempt.number)
            return

        self._give_up()
        raise left_for_driver(self.home, self.session, children.cannot_start(why)) from None

    def _give_up(self) -> None:
        """Cancel all other attempts of the bundle."""
        for attempt in self.jobs:
            attempt.future.cancel()
            board.running.pop(id(attempt), None)
            attempt.end()
        self._end_beating()

    def _set_aside(self, task: Task, error: BaseException, reached: Tick) -> None:
        reason, trace = children.explain_failure(error)
        aside = Aside(
            stage=self.name,
            source=task.source,
            slice=task.name,
            why=reason,
            record=reached.at,
            trace=trace,
        )
        set_aside(Home(self.home), aside)
