"""The DoFn that hands tasks to the pool of child processes, and waits for them."""

import time
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, CancelledError, wait
from typing import Any

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
from pipelines.progress import board
from shards.errors import UserError


def left_for_driver(home: str, session: Session | None, error: UserError) -> Exception:
    """What to raise in a worker: the driver finds the error below the home; on an engine that wraps
    errors also in the text."""
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
        function: Callable[[Any], Summary],
        num_workers: int,
        session: Session | None = None,
    ) -> None:
        self.home = home
        self.name = name
        self.function = function
        self.num_workers = num_workers
        self.session = session
        self.jobs: list[children.Job] = []
        self.beating = False

    def start_bundle(self) -> None:
        self.jobs = []
        self._end_beating()  # of a bundle that was broken off

    def process(self, task: Any) -> Iterator[Summary]:
        if self.session is not None and not self.beating:
            try:
                check_worker(self.home, self.session)
            except UserError as error:
                raise left_for_driver(self.home, self.session, error) from None
            begin_beating(self.home, self.session)
            self.beating = True
        self._submit(task, 1)
        yield from self._collect(2 * self.num_workers)

    def finish_bundle(self) -> Iterator[WindowedValue]:
        for summary in self._collect(0):
            yield WindowedValue(summary, GlobalWindow().max_timestamp(), (GlobalWindow(),))
        self._end_beating()

    def _end_beating(self) -> None:
        if self.session is not None and self.beating:
            end_beating(self.home, self.session)
            self.beating = False

    def _submit(self, task: Any, attempt: int) -> None:
        self.jobs.append(children.submit(self.num_workers, self.function, task, attempt))

    def _collect(self, limit: int) -> Iterator[Summary]:
        while len(self.jobs) > limit:
            wait([job.future for job in self.jobs], timeout=1.0, return_when=FIRST_COMPLETED)
            for job in list(self.jobs):
                if job.future.done():
                    self.jobs.remove(job)
                    yield from self._result(job)
                elif job.future.running():
                    if not job.began:
                        job.began = time.monotonic()
                        board.board.running[id(job)] = board.Running(
                            f"{job.task.source}/{job.task.name[:12]}",
                            job.task.size,
                            job.ticks,
                            job.began,
                        )
                    if job.stalled():
                        job.future.cancel()  # pebble ends the child

    def _result(self, job: children.Job) -> Iterator[Summary]:
        reached = job.end()
        board.board.running.pop(id(job), None)
        try:
            summary = job.future.result()
        except UserError as error:
            for other in self.jobs:
                other.future.cancel()
                board.board.running.pop(id(other), None)
                other.end()
            self._end_beating()
            raise left_for_driver(self.home, self.session, error) from None
        except (Exception, CancelledError) as error:
            if job.attempt < children.MAX_TRIES:
                self._submit(job.task, job.attempt + 1)
                return
            reason, trace = children.why(error, job)
            record = f"{reached.path} @ {reached.position}" if reached.path else ""
            aside = Aside(
                stage=self.name,
                source=job.task.source,
                slice=job.task.name,
                why=reason,
                record=record,
                trace=trace,
            )
            set_aside(Home(self.home), aside)
        else:
            yield summary
        board.board.finish(job.task.size, reached.records, reached.peak)
