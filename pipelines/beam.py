"""Beam around the stages: public PTransforms, the DoFn that feeds the pool, and options.

    Survey: PBegin -> PCollection[Summary];  Ingest: PBegin or PCollection[Summary] -> PCollection[Summary];  Measure, Deduplicate, DeduplicateNear, TrainTokenizer, Tokenize: PCollection[Summary] -> PCollection[Summary]

The input of all but the first is a barrier: they read what the earlier stage wrote below the home.
Cost: a stage moves a task and a summary (about 1 KB) a slice; Deduplicate also two shuffles of at
most 24 bytes a document. This module imports Beam (seconds): nothing that `corpus --help` or a
child needs may import it.
"""

import functools
import logging
import signal
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, CancelledError, wait
from typing import Any

import apache_beam as beam
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.transforms.window import GlobalWindow
from apache_beam.utils.windowed_value import WindowedValue

from corpora.sources import load_source
from pipelines import engine as engines
from pipelines import (
    exact,
    ingest,
    measure,
    near,
    near_decision,
    near_pairs,
    near_scores,
    progress,
    shard,
    survey,
    tokenize,
    tokenizer,
    workers,
)
from pipelines.engine import Engine, Session
from pipelines.home import (
    CONCLUSION,
    RULES,
    Home,
    Summary,
    collect,
    forget_aside,
    open_home,
    removing_stages,
    set_aside,
    slices_aside,
    stale,
    summaries,
    take_error,
    write_error,
)
from shards.config import UserError

DEFAULT_RUNNER = "apache_beam.runners.portability.fn_api_runner.FnApiRunner"
"""In memory, on one machine. Named in full: plain DirectRunner tries to download another runner."""


class Survey(beam.PTransform):
    """The first reading of the sources that are read twice, and what each comes to: a summary a
    source."""

    def __init__(self, home: str, workers: int = 1, session: Session | None = None) -> None:
        super().__init__()
        self.home, self.workers, self.session = home, workers, session

    def expand(self, begin: Any) -> Any:
        looked = _process(_begun(begin, self, survey.plan), self, survey.process)
        return _process(
            _after(looked, self, survey.plan_conclusions, "PlanConclusions", needs=(survey.STAGE,)),
            self,
            survey.conclude,
            "Conclude",
        )


class Ingest(beam.PTransform):
    """Sources -> documents and rejects, a summary a slice. `workers`: child processes; on a cluster
    one. After `Survey`, where a source has one."""

    def __init__(self, home: str, workers: int = 1, session: Session | None = None) -> None:
        super().__init__()
        self.home, self.workers, self.session = home, workers, session

    def expand(self, begin: Any) -> Any:
        return _process(_begun(begin, self, ingest.plan, needs=SURVEY_STEPS), self, ingest.process)


class Measure(beam.PTransform):
    """Measures of quality beside the documents of sources that have rules, a summary a slice."""

    def __init__(self, home: str, workers: int = 1, session: Session | None = None) -> None:
        super().__init__()
        self.home, self.workers, self.session = home, workers, session

    def expand(self, ingested: Any) -> Any:
        return _process(_after(ingested, self, measure.plan, "Plan"), self, measure.process)


class Deduplicate(beam.PTransform):
    """Proposes which documents go because an equal one stays; attributes beside the documents, a
    summary a slice."""

    def __init__(self, home: str, workers: int = 1, session: Session | None = None) -> None:
        super().__init__()
        self.home, self.workers, self.session = home, workers, session

    def expand(self, ingested: Any) -> Any:
        keyed = _process(_after(ingested, self, exact.plan, "Plan"), self, exact.process)
        tasks = _after(keyed, self, exact.tasks, "PlanBlocks", needs=(exact.KEYS,))
        asked = (
            tasks
            | "SpreadBlocks" >> beam.Reshuffle()
            | "Blocks" >> beam.FlatMap(_guarded(self, exact.blocks))
            | "MeetByKey" >> beam.GroupByKey()
            | "Decide" >> beam.FlatMap(_guarded(self, _decide))
        )
        every = tasks | "EverySlice" >> beam.Map(_by_index)
        by_twin = (asked, every) | "WithTwins" >> beam.Flatten() | "MeetByTwin" >> beam.GroupByKey()
        named = by_twin | "Name" >> beam.FlatMap(_guarded(self, _name))
        by_slice = (
            (named, every) | "WithSlices" >> beam.Flatten() | "MeetBySlice" >> beam.GroupByKey()
        )
        return by_slice | "Apply" >> beam.FlatMap(_guarded(self, _apply)).with_output_types(Summary)


class DeduplicateNear(beam.PTransform):
    """Proposes which documents go because one that is kept shares most of their shingles; steps
    with a barrier before each, which hand on packed arrays through files."""

    def __init__(self, home: str, workers: int = 1, session: Session | None = None) -> None:
        super().__init__()
        self.home, self.workers, self.session = home, workers, session

    def expand(self, deduplicated: Any) -> Any:
        done = _process(_after(deduplicated, self, near.plan, "Plan"), self, near.process)
        for label, plan, process, needs in (
            ("Pairs", near_pairs.plan_pairs, near_pairs.propose, near.SIGNATURES),
            ("Candidates", near_scores.plan_candidates, near_scores.gather, near.PAIRS),
            ("Scores", near_scores.plan_scores, near_scores.score, near.CANDIDATES),
            ("Apply", near_decision.plan_apply, near_decision.apply, near.SCORES),
        ):
            done = _process(
                _after(
                    done,
                    self,
                    plan,
                    f"Plan{label}",
                    needs=NEAR_STEPS[: NEAR_STEPS.index(needs) + 1],
                ),
                self,
                process,
                label,
            )
        return done


SURVEY_STEPS = (survey.STAGE, CONCLUSION)
"""What Survey hands to workers, in order."""
NEAR_STEPS = (near.SIGNATURES, near.PAIRS, near.CANDIDATES, near.SCORES, near.STAGE)
"""What DeduplicateNear hands to workers, in order."""


class TrainTokenizer(beam.PTransform):
    """The vocabulary: a sample of the kept text, and one worker that trains on it; a given one is
    copied."""

    def __init__(self, home: str, workers: int = 1, session: Session | None = None) -> None:
        super().__init__()
        self.home, self.workers, self.session = home, workers, session

    def expand(self, deduplicated: Any) -> Any:
        sampled = _process(
            _after(deduplicated, self, tokenizer.plan, "Plan"), self, tokenizer.process
        )
        return _after(sampled, self, _train, "Train", Summary, needs=(tokenizer.SAMPLE,))


class Tokenize(beam.PTransform):
    """Kept documents -> token work files -> shards -> the manifest; a summary a shard."""

    def __init__(self, home: str, workers: int = 1, session: Session | None = None) -> None:
        super().__init__()
        self.home, self.workers, self.session = home, workers, session

    def expand(self, ready: Any) -> Any:
        encoded = _process(_after(ready, self, tokenize.plan, "Plan"), self, tokenize.process)
        written = _process(
            _after(encoded, self, shard.plan, "PlanShards", needs=(tokenize.STAGE,)),
            self,
            shard.process,
            "Shards",
        )
        return _after(
            written, self, _manifest, "Manifest", Summary, needs=(tokenize.STAGE, shard.STAGE)
        )


class Build(beam.PTransform):
    """All stages as one pipeline, for an engine that is handed a file and runs it without us:
    PBegin -> PCollection[Summary].

    The accounts are checked by `corpus build`, which finds everything done.
    """

    def __init__(self, home: str, workers: int = 1, session: Session | None = None) -> None:
        super().__init__()
        self.home, self.workers, self.session = home, workers, session

    def expand(self, begin: Any) -> Any:
        _, recipe = open_home(self.home)
        if survey.surveyed(recipe):
            begin = begin | "Survey" >> Survey(self.home, self.workers, self.session)
        done = begin | "Ingest" >> Ingest(self.home, self.workers, self.session)
        stages = removing_stages(recipe)
        if RULES in stages:
            done = done | "Measure" >> Measure(self.home, self.workers, self.session)
        if exact.STAGE in stages:
            done = done | "Deduplicate" >> Deduplicate(self.home, self.workers, self.session)
            done = _after(done, self, _guard_exact, "GuardExact", needs=(exact.KEYS,))
        if near.STAGE in stages:
            done = done | "DeduplicateNear" >> DeduplicateNear(
                self.home, self.workers, self.session
            )
            done = _after(done, self, _guard_near, "GuardNear", needs=NEAR_STEPS)
        done = done | "TrainTokenizer" >> TrainTokenizer(self.home, self.workers, self.session)
        return done | "Tokenize" >> Tokenize(self.home, self.workers, self.session)


STAGES_OF: dict[type[beam.PTransform], tuple[str, ...]] = {
    Survey: SURVEY_STEPS,
    Ingest: (ingest.STAGE,),
    Measure: (measure.STAGE,),
    Deduplicate: (exact.KEYS,),
    DeduplicateNear: NEAR_STEPS,
    TrainTokenizer: (tokenizer.SAMPLE,),
    Tokenize: (tokenize.STAGE, shard.STAGE),
    Build: (
        *SURVEY_STEPS,
        ingest.STAGE,
        measure.STAGE,
        exact.KEYS,
        *NEAR_STEPS,
        tokenizer.SAMPLE,
        tokenize.STAGE,
        shard.STAGE,
    ),
}
"""The stages whose slices each transform hands to workers."""
READ_AGAIN: dict[type[beam.PTransform], tuple[str, ...]] = {
    Ingest: (ingest.STAGE,),
    Measure: (measure.STAGE,),
    Deduplicate: (exact.STAGE,),
    DeduplicateNear: (near.STAGE,),
}
"""The stages whose summaries several later plans read."""
DISPLAYED: dict[type[beam.PTransform], str] = {
    Survey: "survey",
    Ingest: "ingest",
    Measure: "rules",
    Deduplicate: "dedup",
    DeduplicateNear: "near",
    TrainTokenizer: "tokenizer",
    Tokenize: "tokenize",
    Build: "build",
}
"""What the display calls them."""


def _begun(
    begin: Any, stage: Any, plan: Callable[[str], Iterable[Any]], needs: tuple[str, ...] = ()
) -> Any:
    """What `plan(home)` yields: at the beginning of a pipeline, or once all of `begin` is there."""
    if isinstance(begin, beam.pvalue.PBegin):
        return (
            begin
            | "Home" >> beam.Create([stage.home])
            | "Plan" >> beam.FlatMap(_guarded(stage, plan))
        )
    return _after(begin, stage, plan, "Plan", needs=needs)


def _after(
    before: Any,
    stage: Any,
    function: Callable[[str], Iterable[Any]],
    label: str,
    kind: Any = Any,
    needs: tuple[str, ...] = (),
) -> Any:
    """What `function(home)` yields, once all of `before` is there; nothing when a slice of the
    stages `needs` was set aside."""
    count = before | f"{label}Barrier" >> beam.combiners.Count.Globally()
    return count | label >> beam.FlatMap(
        functools.partial(_ignoring_input, _guarded(stage, function), stage.home, needs)
    ).with_output_types(kind)


def _ignoring_input(
    function: Callable[[str], Iterable[Any]], home: str, needs: tuple[str, ...], _: int
) -> Iterable[Any]:
    if any(note["stage"] in needs for note in slices_aside(Home(home))):
        return []
    return function(home)


def _process(
    tasks: Any, stage: Any, function: Callable[[Any], Summary], label: str = "Process"
) -> Any:
    pool = Pool(stage.home, function, stage.workers, stage.session)
    return (
        tasks
        | f"{label}Spread" >> beam.Reshuffle()
        | label >> beam.ParDo(pool).with_output_types(Summary)
    )


def _guarded(
    stage: Any, function: Callable[[Any], Iterable[Any]]
) -> Callable[[Any], Iterable[Any]]:
    """`function` as a worker runs it: one that is fit for the job, that says it lives, and whose
    errors find the driver."""
    return functools.partial(_leaving_errors, stage.home, stage.session, function)


def _leaving_errors(
    home: str, session: Session | None, function: Callable[[Any], Iterable[Any]], argument: Any
) -> Iterable[Any]:
    try:
        if session is not None:
            engines.check_worker(home, session)
        with engines.beating(home, session):
            found = list(workers.run(function, argument))
            tasks = [task for task in found if hasattr(task, "size")]
            if tasks and function is not exact.tasks:  # the second plan of the same slices
                progress.board.expect(len(tasks), sum(task.size for task in tasks))
                for line in stale(Home(home), tasks):
                    print(line, file=sys.stderr, flush=True)
        return found
    except UserError as error:
        raise _left(home, session, error) from None


def _left(home: str, session: Session | None, error: UserError) -> Exception:
    """What to raise in a worker: the driver finds the error below the home; on an engine that wraps
    errors also in the text."""
    if session is None or session.token == engines.read_token(Home(home)):
        write_error(Home(home), error)
    return error if session is None else engines.wire(error)


def _decide(group: tuple[int, Iterable[bytes]]) -> Iterator[tuple[int, bytes]]:
    yield from exact.decide(group[1])


def _by_index(task: exact.Task) -> tuple[int, Any]:
    """Beside what is removed each slice brings its task: to plan all of them again for each would
    be quadratic."""
    return task.index, task


def _task_and_blocks(group: tuple[int, Iterable[Any]]) -> tuple[exact.Task, list[bytes]]:
    of_slice = list(group[1])
    (task,) = {item.index: item for item in of_slice if isinstance(item, exact.Task)}.values()
    return task, [item for item in of_slice if isinstance(item, bytes)]


def _name(group: tuple[int, Iterable[Any]]) -> Iterator[tuple[int, bytes]]:
    yield from exact.name(*_task_and_blocks(group))


def _apply(group: tuple[int, Iterable[Any]]) -> list[Summary]:
    return [exact.apply(*_task_and_blocks(group))]


def _guard_exact(home: str) -> list[Summary]:
    found = summaries(Home(home), exact.STAGE)
    exact.guard(Home(home), open_home(home)[1], found)
    return found


def _guard_near(home: str) -> list[Summary]:
    found = summaries(Home(home), near.STAGE)
    near_decision.guard(Home(home), open_home(home)[1], found, lambda _: None)
    return found


def _train(home: str) -> list[Summary]:
    return [tokenizer.train(home)]


def _manifest(home: str) -> list[Summary]:
    shard.write_shards_manifest(home)
    return summaries(Home(home), shard.STAGE)


class Pool(beam.DoFn):
    """Runs `function(task)` in child processes: `process` submits, `finish_bundle` waits. At most
    twice as many tasks as children are under way, so that memory does not grow with the bundle. A
    task whose child dies, stalls or raises is tried once more, then set aside; what a user can mend
    ends the job."""

    def __init__(
        self,
        home: str,
        function: Callable[[Any], Summary],
        num_workers: int,
        session: Session | None = None,
    ) -> None:
        self.home, self.function, self.num_workers, self.session = (
            home,
            function,
            num_workers,
            session,
        )
        self.jobs: list[workers.Job] = []
        self.beating = False

    def start_bundle(self) -> None:
        self.jobs = []
        self._end_beating()  # of a bundle that was broken off

    def process(self, task: Any) -> Iterator[Summary]:
        if self.session is not None and not self.beating:
            try:
                engines.check_worker(self.home, self.session)
            except UserError as error:
                raise _left(self.home, self.session, error) from None
            engines.begin_beating(self.home, self.session)
            self.beating = True
        self._submit(task, 1)
        yield from self._collect(2 * self.num_workers)

    def finish_bundle(self) -> Iterator[WindowedValue]:
        for summary in self._collect(0):
            yield WindowedValue(summary, GlobalWindow().max_timestamp(), (GlobalWindow(),))
        self._end_beating()

    def _end_beating(self) -> None:
        if self.session is not None and self.beating:
            engines.end_beating(self.home, self.session)
            self.beating = False

    def _submit(self, task: Any, attempt: int) -> None:
        self.jobs.append(workers.submit(self.num_workers, self.function, task, attempt))

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
                        progress.board.running[id(job)] = (
                            f"{job.task.source}/{job.task.name[:12]}",
                            job.task.size,
                            job.ticks,
                            job.began,
                        )
                    if job.stalled():
                        job.future.cancel()  # pebble ends the child

    def _result(self, job: workers.Job) -> Iterator[Summary]:
        reached = job.end()
        progress.board.running.pop(id(job), None)
        try:
            summary = job.future.result()
        except UserError as error:
            for other in self.jobs:
                other.future.cancel()
                progress.board.running.pop(id(other), None)
                other.end()
            self._end_beating()
            raise _left(self.home, self.session, error) from None
        except (Exception, CancelledError) as error:
            if job.attempt < workers.MAX_TRIES:
                self._submit(job.task, job.attempt + 1)
                return
            reason, trace = workers.why(error, job)
            record = f"{reached.path} @ {reached.position}" if reached.path else ""
            set_aside(
                Home(self.home),
                job.task.stage,
                job.task.source,
                job.task.name,
                reason,
                record,
                trace,
            )
        else:
            yield summary
        progress.board.finish(job.task.size, reached.records, reached.peak)


def run_stage(
    home: str, stage: type[beam.PTransform], num_workers: int, beam_arguments: list[str]
) -> None:
    """Run one stage as a pipeline of its own and wait for its end. Raises `UserError` for what a
    user can mend."""
    _, recipe = open_home(home)
    engine = engines.engine_of(beam_arguments)
    engines.probe(engine)
    take_error(Home(home))
    forget_aside(Home(home), STAGES_OF[stage])
    session = None
    if not engine.in_process:
        engines.forget_beats(Home(home))
        session = engines.new_session(
            Home(home),
            {
                name
                for options_ in recipe.sources.values()
                for name in load_source(options_.kind).packages
            },
        )
    with engines.java_arguments(engine) as more:
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
        with progress.display(Home(home), DISPLAYED[stage]):
            _run_in_process(home, pipeline)
        progress.write_figures(Home(home), num_workers)
    else:
        with progress.display(Home(home), DISPLAYED[stage]):
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
        if workers.interrupted.is_set():
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
    watch = engines.Watch(Home(home), engine, session)
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
                engines.within(engines.PROBE_S, result.cancel)
            if watch.verdict is None:
                raise
            raise watch.verdict from None
        except Exception as error:  # an engine wraps every error in its own
            if watch.verdict is not None:
                raise watch.verdict from None
            if workers.interrupted.is_set():
                raise KeyboardInterrupt from None
            raise take_error(Home(home)) or engines.explain(
                error, engine, [*log, *watch.said]
            ) from None
        finally:
            engines.forget_beats(Home(home))
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


def options(arguments: list[str]) -> PipelineOptions:
    """Beam's options from a command line, the runner ours unless one is named; its workers only
    speak of errors unless told otherwise."""
    defaults = {"--runner": DEFAULT_RUNNER, "--default_sdk_harness_log_level": "ERROR"}
    named = {argument.partition("=")[0] for argument in arguments}
    return PipelineOptions(
        [*arguments, *(f"{name}={value}" for name, value in defaults.items() if name not in named)],
        save_main_session=False,
    )


@functools.lru_cache(maxsize=1)
def known_options() -> frozenset[str]:
    """Every option that a class of Beam's options has: what else it is given, Beam drops with only
    a warning."""
    from apache_beam.options.pipeline_options import _BeamArgumentParser

    parser = _BeamArgumentParser(add_help=False, conflict_handler="resolve")
    queue = [PipelineOptions]
    while queue:
        cls = queue.pop()
        queue += cls.__subclasses__()
        if "_add_argparse_args" in vars(cls):
            cls._add_argparse_args(parser)
    return frozenset(option for action in parser._actions for option in action.option_strings)
