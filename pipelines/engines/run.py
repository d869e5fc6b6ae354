"""TODO-DOC pipelines/engines/run.py."""

import logging
import signal
import sys
import threading
from collections import deque
from typing import Any

import apache_beam as beam

from corpora.sources import load_source
from pipelines.engines import engine as engines
from pipelines.engines import interrupt
from pipelines.engines.engine import Engine
from pipelines.engines.errors import explain
from pipelines.engines.heartbeat import forget_beats
from pipelines.engines.options import options
from pipelines.engines.probe import PROBE_S, java_arguments, probe
from pipelines.engines.session import Session, new_session
from pipelines.engines.transforms import DISPLAYED, READ_AGAIN, STAGES_OF, Build, Ingest, Survey
from pipelines.engines.watch import Watch, within
from pipelines.home.layout import Home, open_home
from pipelines.home.set_aside import forget_aside, take_error
from pipelines.home.summaries import collect
from pipelines.progress import board
from pipelines.progress.display import display
from shards.errors import UserError


def run_stage(
    home: str, stage: type[beam.PTransform], num_workers: int, beam_arguments: list[str]
) -> None:
    """Run one stage as a pipeline of its own and wait for its end. Raises `UserError` for what a
    user can mend."""
    _, recipe = open_home(home)
    engine = engines.engine_of(beam_arguments)
    probe(engine)
    take_error(Home(home))
    forget_aside(Home(home), STAGES_OF[stage])
    session = None
    if not engine.in_process:
        forget_beats(Home(home))
        session = new_session(
            Home(home),
            {
                name
                for options_ in recipe.sources.values()
                for name in load_source(options_.kind).packages
            },
        )
    with java_arguments(engine) as more:
        _run_stage(home, stage, num_workers, [*more, *beam_arguments], engine, session)
    for name in READ_AGAIN.get(stage, ()):
        collect(Home(home), name)


def _run_stage(
    home: str,
    stage: type[beam.PTransform],
    num_workers: int,
    beam_arguments: list[str],
    engine: Engine,
    session: Session | None,
) -> None:
    try:
        pipeline = beam.Pipeline(options=options(beam_arguments))
    except (ValueError, ImportError, AttributeError) as refusal:
        raise UserError(
            f"Beam: {str(refusal).splitlines()[0]}",
            "see docs of the runner; without --runner the build runs on this machine",
        ) from None
    start: Any = (
        pipeline if stage in (Survey, Ingest, Build) else pipeline | "Start" >> beam.Create([0])
    )
    start | stage.__name__ >> stage(home, num_workers, session)  # type: ignore[call-arg]
    if session is None:
        with display(Home(home), DISPLAYED[stage]):
            _run_in_process(home, pipeline)
        board.write_figures(Home(home), num_workers)
    else:
        with display(Home(home), DISPLAYED[stage]):
            spread = _run_on_engine(home, pipeline, engine, session)
        if engine.jar is None:
            hosts = {worker.rpartition("-")[0] for worker in spread}
            print(
                f"{DISPLAYED[stage]}: worker processes {len(spread)}, machines {len(hosts)}",
                file=sys.stderr,
                flush=True,
            )


def _run_in_process(home: str, pipeline: beam.Pipeline) -> None:
    try:
        pipeline.run().wait_until_finish()
    except Exception:  # an engine wraps every error in its own; each way out raises again
        if interrupt.interrupted.is_set():
            raise KeyboardInterrupt from None
        error = take_error(Home(home))
        if error is None:
            raise
        raise error from None


def _run_on_engine(
    home: str, pipeline: beam.Pipeline, engine: Engine, session: Session
) -> set[str]:
    """Run a pipeline elsewhere than here, watched over; the workers ("host-pid") that did its
    slices. Raises `UserError`."""
    watch = Watch(Home(home), engine, session)
    handler = signal.getsignal(signal.SIGINT)
    result: Any = None
    with _job_server_log() as log:
        try:
            with watch.over():
                result = pipeline.run()
                if threading.current_thread() is threading.main_thread():
                    signal.signal(signal.SIGINT, handler)  # Beam's job server takes it
                result.wait_until_finish()
        except KeyboardInterrupt:
            if result is not None:
                within(PROBE_S, result.cancel)
            if watch.verdict is None:
                raise
            raise watch.verdict from None
        except Exception as error:  # an engine wraps every error in its own
            if watch.verdict is not None:
                raise watch.verdict from None
            if interrupt.interrupted.is_set():
                raise KeyboardInterrupt from None
            raise take_error(Home(home)) or explain(error, engine, [*log, *watch.said]) from None
        finally:
            forget_beats(Home(home))
    return watch.workers


class _job_server_log(logging.Handler):
    """The last lines that Beam's own job server writes; an engine's error often says less than they
    do."""

    NAMES = (
        "apache_beam.utils.subprocess_server",
        "SparkJarJobServer",
        "FlinkJarJobServer",
        "PrismJobServer",
    )

    def __init__(self) -> None:
        super().__init__(logging.INFO)
        self.lines: deque[str] = deque(maxlen=2000)

    def __enter__(self) -> deque[str]:
        for name in self.NAMES:
            logger = logging.getLogger(name)
            logger.addHandler(self)
            logger.setLevel(logging.INFO)
            logger.propagate = False
        return self.lines

    def __exit__(self, *_: object) -> None:
        for name in self.NAMES:
            logging.getLogger(name).removeHandler(self)
            logging.getLogger(name).addHandler(
                logging.NullHandler()
            )  # what it says when it is ended is no news

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(record.getMessage())
