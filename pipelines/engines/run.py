"""Runs a stage as a Beam pipeline, in this process or on an engine elsewhere, and waits for its
end.

    probe -> session -> pipeline -> (watch) -> the error of a worker, of the engine, or none

In this process an error of a worker is left in the home and taken from there. On an engine
elsewhere the job is also watched over, and the engine's own errors are explained.
"""

import logging
import signal
import sys
import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager

import apache_beam as beam
from apache_beam.runners.runner import PipelineResult

from corpora.sources import load_source
from pipelines.engines import interrupt
from pipelines.engines.engine import Engine, engine_of
from pipelines.engines.errors import explain
from pipelines.engines.heartbeat import forget_beats
from pipelines.engines.options import options
from pipelines.engines.probe import PROBE_S, java_arguments, probe
from pipelines.engines.session import Session, new_session
from pipelines.engines.transforms import BuildTransform, StageTransform
from pipelines.engines.watch import Watch, within
from pipelines.home.layout import Home
from pipelines.home.set_aside import forget_aside, take_error
from pipelines.home.summaries import collect
from pipelines.progress.board import write_figures
from pipelines.progress.display import display
from pipelines.recipe import Recipe
from pipelines.stages.job import Job
from pipelines.stages.stage import Pass, Stage
from shards.errors import UserError

_JOB_SERVER_LOGGERS = (
    "apache_beam.utils.subprocess_server",
    "SparkJarJobServer",
    "FlinkJarJobServer",
    "PrismJobServer",
)

_LOG_LINES = 2000


def run_stage(job: Job, stage: Stage) -> None:
    """Run one stage as a pipeline of its own. Raises `UserError` for what a user can mend."""
    engine, session = _begin(job, (stage,))
    slices = None
    # Elsewhere a worker lists the inputs, and a graph with every slice in it would be large.
    if engine.in_process:
        slices = {name: job.slices(name) for name in stage.inputs(job.recipe)}

    transform = StageTransform(stage, job.home.root, job.workers, session, slices)
    passes = sum(isinstance(step, Pass) for step in stage.passes)
    _run(job, transform, (stage.name, passes), engine, session)
    # Later stages read the summaries of the last pass alone.
    collect(job.home, stage.passes[-1].name)


def run_build(job: Job, stages: tuple[Stage, ...]) -> None:
    """Write all stages as one jar, where the options ask for that. Raises `UserError`."""
    engine, session = _begin(job, stages)
    transform = BuildTransform(stages, job.home.root, job.workers, session)
    _run(job, transform, ("build", 1), engine, session)


def _begin(job: Job, stages: tuple[Stage, ...]) -> tuple[Engine, Session | None]:
    """Check that the engine is there, and remove what an earlier run left about these stages.

    There is a session only on an engine elsewhere.
    """
    engine = engine_of(job.beam_arguments)
    probe(engine)
    take_error(job.home)
    for stage in stages:
        forget_aside(job.home, tuple(step.name for step in stage.passes))

    if engine.in_process:
        return engine, None
    forget_beats(job.home)
    return engine, new_session(job.home, _source_packages(job.recipe))


def _source_packages(recipe: Recipe) -> set[str]:
    """The distributions that the recipe's sources depend on."""
    packages: set[str] = set()
    for source_options in recipe.sources.values():
        packages.update(load_source(source_options.kind).packages)
    return packages


def _run(
    job: Job,
    transform: beam.PTransform,
    shown: tuple[str, int],
    engine: Engine,
    session: Session | None,
) -> None:
    """Run a transform to its end under the display, which shows its name and number of passes."""
    name, passes = shown
    workers: set[str] = set()
    with java_arguments(engine) as java:
        pipeline = _pipeline([*java, *job.beam_arguments])
        pipeline | transform.label >> transform

        with display(job.home, name, passes):
            if session is None:
                _run_in_process(job.home, pipeline)
            else:
                workers = _run_on_engine(job.home, pipeline, engine, session)

    if session is None:
        write_figures(job.home, job.workers)
    elif engine.jar is None:
        machines = {worker.rpartition("-")[0] for worker in workers}
        line = f"{name}: worker processes {len(workers)}, machines {len(machines)}"
        print(line, file=sys.stderr, flush=True)


def _pipeline(arguments: list[str]) -> beam.Pipeline:
    """An empty pipeline. Raises `UserError` for options that Beam refuses."""
    try:
        return beam.Pipeline(options=options(arguments))
    except (ValueError, ImportError, AttributeError) as refusal:
        raise UserError(
            f"Beam: {str(refusal).splitlines()[0]}",
            "see the documentation of the runner; without --runner the build runs on this machine",
        ) from None


def _run_in_process(home: Home, pipeline: beam.Pipeline) -> None:
    try:
        pipeline.run().wait_until_finish()
    except Exception:
        # The engine wraps every error in its own, also a Ctrl-C. The worker's is in the home.
        if interrupt.interrupted.is_set():
            raise KeyboardInterrupt from None
        error = take_error(home)
        if error is None:
            raise
        raise error from None


def _run_on_engine(
    home: Home, pipeline: beam.Pipeline, engine: Engine, session: Session
) -> set[str]:
    """Run a pipeline elsewhere, watched over; returns the workers ("host-pid") that did its slices.

    Raises `UserError`: the verdict of the watch, the error of a worker, or that of the engine,
    explained.
    """
    watch = Watch(home, engine, session)
    handler = signal.getsignal(signal.SIGINT)
    result: PipelineResult | None = None
    with _job_server_log() as log:
        try:
            with watch.over():
                result = pipeline.run()
                # Beam's job server takes the handler of Ctrl-C away.
                if threading.current_thread() is threading.main_thread():
                    signal.signal(signal.SIGINT, handler)
                result.wait_until_finish()
        except KeyboardInterrupt:
            if result is not None:
                within(PROBE_S, result.cancel)
            if watch.verdict is None:
                raise
            raise watch.verdict from None
        except Exception as error:
            if watch.verdict is not None:
                raise watch.verdict from None
            if interrupt.interrupted.is_set():
                raise KeyboardInterrupt from None
            raise take_error(home) or explain(error, engine, [*log, *watch.deaths]) from None
        finally:
            forget_beats(home)
    return watch.workers


@contextmanager
def _job_server_log() -> Iterator[deque[str]]:
    """The last lines that Beam's own job server logs during the block: an engine's error often says
    less than they do."""
    handler = _LastLines()
    for name in _JOB_SERVER_LOGGERS:
        logger = logging.getLogger(name)
        logger.addHandler(handler)
        logger.setLevel(logging.INFO)
        logger.propagate = False
    try:
        yield handler.lines
    finally:
        for name in _JOB_SERVER_LOGGERS:
            logger = logging.getLogger(name)
            logger.removeHandler(handler)
            # What a job server logs while it is ended interests nobody.
            logger.addHandler(logging.NullHandler())


class _LastLines(logging.Handler):
    def __init__(self) -> None:
        super().__init__(logging.INFO)
        self.lines: deque[str] = deque(maxlen=_LOG_LINES)

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(record.getMessage())
