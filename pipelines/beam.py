"""Beam around the stages: public PTransforms, the DoFn that feeds the pool, and options.

    Ingest: PBegin -> PCollection[Summary];  Measure, Deduplicate, DeduplicateNear, TrainTokenizer, Tokenize: PCollection[Summary] -> PCollection[Summary]

The input of all but the first is a barrier: they read what the earlier stage wrote below the home. Cost: a stage moves
a task (under 1 KB) and a summary a slice; Deduplicate also two shuffles of at most 24 bytes a document.
This module imports Beam (seconds): nothing that `corpus --help` or a child needs may import it.
"""

import functools
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, CancelledError, wait
from typing import Any

import apache_beam as beam
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.transforms.window import GlobalWindow
from apache_beam.utils.windowed_value import WindowedValue

from pipelines import exact, ingest, measure, near, near_pairs, progress, shard, tokenize, tokenizer, workers
from pipelines.home import Home, Summary, forget_aside, open_home, set_aside, slices_aside, stale, summaries, take_error, write_error
from shards.config import UserError

DEFAULT_RUNNER = "apache_beam.runners.portability.fn_api_runner.FnApiRunner"
"""In memory, on one machine. Named in full: plain DirectRunner tries to download another runner."""


class Ingest(beam.PTransform):
    """Sources -> documents and rejects, a summary a slice. `workers`: child processes; on a cluster one."""

    def __init__(self, home: str, workers: int = 1) -> None:
        super().__init__()
        self.home, self.workers = home, workers

    def expand(self, begin: Any) -> Any:
        tasks = begin | "Home" >> beam.Create([self.home]) | "Plan" >> beam.FlatMap(_guarded(self.home, ingest.plan))
        return _process(tasks, self.home, ingest.process, self.workers)


class Measure(beam.PTransform):
    """Measures of quality beside the documents of sources that have rules, a summary a slice."""

    def __init__(self, home: str, workers: int = 1) -> None:
        super().__init__()
        self.home, self.workers = home, workers

    def expand(self, ingested: Any) -> Any:
        return _process(_after(ingested, self.home, measure.plan, "Plan"), self.home, measure.process, self.workers)


class Deduplicate(beam.PTransform):
    """Proposes which documents go because an equal one stays; attributes beside the documents, a summary a slice."""

    def __init__(self, home: str, workers: int = 1) -> None:
        super().__init__()
        self.home, self.workers = home, workers

    def expand(self, ingested: Any) -> Any:
        keyed = _process(_after(ingested, self.home, exact.plan, "Plan"), self.home, exact.process, self.workers)
        tasks = _after(keyed, self.home, exact.tasks, "PlanBlocks", needs=(exact.KEYS,))
        removals = (
            tasks
            | "SpreadBlocks" >> beam.Reshuffle()
            | "Blocks" >> beam.FlatMap(exact.blocks)
            | "MeetByKey" >> beam.GroupByKey()
            | "Decide" >> beam.FlatMap(_decide, self.home)
        )
        none = tasks | "EverySlice" >> beam.Map(_no_removal)
        return (removals, none) | beam.Flatten() | "MeetBySlice" >> beam.GroupByKey() | "Apply" >> beam.Map(_apply, self.home).with_output_types(Summary)


class DeduplicateNear(beam.PTransform):
    """Proposes which documents go because one that is kept shares most of their shingles; steps with a barrier before each,
    which hand on packed arrays through files."""

    def __init__(self, home: str, workers: int = 1) -> None:
        super().__init__()
        self.home, self.workers = home, workers

    def expand(self, deduplicated: Any) -> Any:
        done = _process(_after(deduplicated, self.home, near.plan, "Plan"), self.home, near.process, self.workers)
        for label, plan, process, needs in (
            ("Pairs", near_pairs.plan_pairs, near_pairs.propose, near.SIGNATURES),
            ("Candidates", near_pairs.plan_candidates, near_pairs.gather, near.PAIRS),
            ("Scores", near_pairs.plan_scores, near_pairs.score, near.CANDIDATES),
            ("Apply", near.plan_apply, near.apply, near.SCORES),
        ):
            done = _process(
                _after(done, self.home, plan, f"Plan{label}", needs=NEAR_STEPS[: NEAR_STEPS.index(needs) + 1]), self.home, process, self.workers, label
            )
        return done


NEAR_STEPS = (near.SIGNATURES, near.PAIRS, near.CANDIDATES, near.SCORES, near.STAGE)
"""What DeduplicateNear hands to workers, in order."""


class TrainTokenizer(beam.PTransform):
    """The vocabulary: a sample of the kept text, and one worker that trains on it; a given one is copied."""

    def __init__(self, home: str, workers: int = 1) -> None:
        super().__init__()
        self.home, self.workers = home, workers

    def expand(self, deduplicated: Any) -> Any:
        sampled = _process(_after(deduplicated, self.home, tokenizer.plan, "Plan"), self.home, tokenizer.process, self.workers)
        return _after(sampled, self.home, _train, "Train", Summary, needs=(tokenizer.SAMPLE,))


class Tokenize(beam.PTransform):
    """Kept documents -> token work files -> shards -> the manifest; a summary a shard."""

    def __init__(self, home: str, workers: int = 1) -> None:
        super().__init__()
        self.home, self.workers = home, workers

    def expand(self, ready: Any) -> Any:
        encoded = _process(_after(ready, self.home, tokenize.plan, "Plan"), self.home, tokenize.process, self.workers)
        written = _process(_after(encoded, self.home, shard.plan, "PlanShards", needs=(tokenize.STAGE,)), self.home, shard.process, self.workers, "Shards")
        return _after(written, self.home, _manifest, "Manifest", Summary, needs=(tokenize.STAGE, shard.STAGE))


STAGES_OF: dict[type[beam.PTransform], tuple[str, ...]] = {
    Ingest: (ingest.STAGE,),
    Measure: (measure.STAGE,),
    Deduplicate: (exact.KEYS,),
    DeduplicateNear: NEAR_STEPS,
    TrainTokenizer: (tokenizer.SAMPLE,),
    Tokenize: (tokenize.STAGE, shard.STAGE),
}
"""The stages whose slices each transform hands to workers."""
DISPLAYED: dict[type[beam.PTransform], str] = {
    Ingest: "ingest",
    Measure: "rules",
    Deduplicate: "dedup",
    DeduplicateNear: "near",
    TrainTokenizer: "tokenizer",
    Tokenize: "tokenize",
}
"""What the display calls them."""


def _after(before: Any, home: str, function: Callable[[str], Iterable[Any]], label: str, kind: Any = Any, needs: tuple[str, ...] = ()) -> Any:
    """What `function(home)` yields, once all of `before` is there; nothing when a slice of the stages `needs` was set aside."""
    count = before | f"{label}Barrier" >> beam.combiners.Count.Globally()
    return count | label >> beam.FlatMap(functools.partial(_ignoring_input, _guarded(home, function), home, needs)).with_output_types(kind)


def _ignoring_input(function: Callable[[str], Iterable[Any]], home: str, needs: tuple[str, ...], _: int) -> Iterable[Any]:
    if any(note["stage"] in needs for note in slices_aside(Home(home))):
        return []
    return function(home)


def _process(tasks: Any, home: str, function: Callable[[Any], Summary], workers: int, label: str = "Process") -> Any:
    return tasks | f"{label}Spread" >> beam.Reshuffle() | label >> beam.ParDo(Pool(home, function, workers)).with_output_types(Summary)


def _guarded(home: str, function: Callable[[str], Iterable[Any]]) -> Callable[[str], Iterable[Any]]:
    return functools.partial(_leaving_errors, home, function)


def _leaving_errors(home: str, function: Callable[[str], Iterable[Any]], argument: str) -> Iterable[Any]:
    try:
        planned = list(workers.run(function, argument))
        tasks = [task for task in planned if hasattr(task, "size")]
        if function is not exact.tasks:  # the second plan of the same slices
            progress.board.expect(len(tasks), sum(task.size for task in tasks))
            for line in stale(Home(home), tasks):
                print(line, file=sys.stderr, flush=True)
        return planned
    except UserError as error:
        write_error(Home(home), error)
        raise


def _decide(group: tuple[int, Iterable[bytes]], home: str) -> Iterator[tuple[int, bytes]]:
    yield from exact.decide(group[1], exact.tasks(home))


def _no_removal(task: exact.Task) -> tuple[int, bytes]:
    return task.index, b""


def _apply(group: tuple[int, Iterable[bytes]], home: str) -> Summary:
    return exact.apply(exact.tasks(home)[group[0]], group[1])


def _train(home: str) -> list[Summary]:
    return [tokenizer.train(home)]


def _manifest(home: str) -> list[Summary]:
    shard.write_shards_manifest(home)
    return summaries(Home(home), shard.STAGE)


class Pool(beam.DoFn):
    """Runs `function(task)` in child processes: `process` submits, `finish_bundle` waits. At most twice as many tasks as
    children are under way, so that memory does not grow with the bundle. A task whose child dies, stalls or raises is
    tried once more, then set aside; what a user can mend ends the job."""

    def __init__(self, home: str, function: Callable[[Any], Summary], num_workers: int) -> None:
        self.home, self.function, self.num_workers = home, function, num_workers
        self.jobs: list[workers.Job] = []

    def start_bundle(self) -> None:
        self.jobs = []

    def process(self, task: Any) -> Iterator[Summary]:
        self._submit(task, 1)
        yield from self._collect(2 * self.num_workers)

    def finish_bundle(self) -> Iterator[WindowedValue]:
        for summary in self._collect(0):
            yield WindowedValue(summary, GlobalWindow().max_timestamp(), (GlobalWindow(),))

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
                        progress.board.running[id(job)] = (f"{job.task.source}/{job.task.name[:12]}", job.task.size, job.ticks, job.began)
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
            write_error(Home(self.home), error)
            raise
        except (Exception, CancelledError) as error:
            if job.attempt < workers.MAX_TRIES:
                self._submit(job.task, job.attempt + 1)
                return
            reason, trace = workers.why(error, job)
            record = f"{reached.path} @ {reached.position}" if reached.path else ""
            set_aside(Home(self.home), job.task.stage, job.task.source, job.task.name, reason, record, trace)
        else:
            yield summary
        progress.board.finish(job.task.size, reached.records, reached.peak)


def run_stage(home: str, stage: type[beam.PTransform], num_workers: int, beam_arguments: list[str]) -> None:
    """Run one stage as a pipeline of its own and wait for its end. Raises `UserError` for what a user can mend."""
    open_home(home)
    take_error(Home(home))
    forget_aside(Home(home), STAGES_OF[stage])
    try:
        pipeline = beam.Pipeline(options=options(beam_arguments))
    except (ValueError, ImportError, AttributeError) as refusal:
        raise UserError(f"Beam: {str(refusal).splitlines()[0]}", "see docs of the runner; without --runner the build runs on this machine") from None
    start: Any = pipeline if stage is Ingest else pipeline | "Start" >> beam.Create([0])
    start | stage.__name__ >> stage(home, num_workers)  # type: ignore[call-arg]
    try:
        with progress.display(Home(home), DISPLAYED[stage]):
            pipeline.run().wait_until_finish()
        progress.write_figures(Home(home), num_workers)
    except Exception:  # an engine wraps every error in its own; each way out raises again
        if workers.interrupted.is_set():
            raise KeyboardInterrupt from None
        error = take_error(Home(home))
        if error is None:
            raise
        raise error from None


def options(arguments: list[str]) -> PipelineOptions:
    """Beam's options from a command line, the runner ours unless one is named."""
    named = any(argument == "--runner" or argument.startswith("--runner=") for argument in arguments)
    return PipelineOptions([*arguments, *([] if named else [f"--runner={DEFAULT_RUNNER}"])], save_main_session=False)


@functools.lru_cache(maxsize=1)
def known_options() -> frozenset[str]:
    """Every option that a class of Beam's options has: what else it is given, Beam drops with only a warning."""
    from apache_beam.options.pipeline_options import _BeamArgumentParser

    parser = _BeamArgumentParser(add_help=False, conflict_handler="resolve")
    queue = [PipelineOptions]
    while queue:
        cls = queue.pop()
        queue += cls.__subclasses__()
        if "_add_argparse_args" in vars(cls):
            cls._add_argparse_args(parser)
    return frozenset(option for action in parser._actions for option in action.option_strings)
