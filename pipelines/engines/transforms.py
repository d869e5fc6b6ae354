"""Beam around the stages: public PTransforms, the DoFn that feeds the pool, and options.

    Survey: PBegin -> PCollection[Summary];  Ingest: PBegin or PCollection[Summary] -> PCollection[Summary];  Measure, Deduplicate, DeduplicateNear, TrainTokenizer, Tokenize: PCollection[Summary] -> PCollection[Summary]

The input of all but the first is a barrier: they read what the earlier stage wrote below the home.
Cost: a stage moves a task and a summary (about 1 KB) a slice; Deduplicate also two shuffles of at
most 24 bytes a document. This module imports Beam (seconds): nothing that `corpus --help` or a
child needs may import it.
"""

import functools
import sys
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import apache_beam as beam

from pipelines.engines import children
from pipelines.engines.heartbeat import beating
from pipelines.engines.pool import Pool, left_for_driver
from pipelines.engines.session import Session, check_worker
from pipelines.home.decisions import RULES, removing_stages
from pipelines.home.fingerprints import stale
from pipelines.home.layout import CONCLUSION, Home, open_home
from pipelines.home.set_aside import slices_aside
from pipelines.home.summaries import Summary, summaries
from pipelines.progress import board
from pipelines.stages import exact, ingest, rules, shards, survey, tokenize, train_tokenizer
from pipelines.stages.near import groups, pairs, scores, signatures
from pipelines.stages.near.attributes import apply, plan_apply
from pipelines.stages.near.candidates import gather, plan_candidates
from pipelines.stages.near.groups import CANDIDATES, PAIRS, SCORES, SIGNATURES
from pipelines.stages.near.guard import guard
from shards.errors import UserError


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
        return _process(_after(ingested, self, rules.plan, "Plan"), self, rules.process)


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
        done = _process(
            _after(deduplicated, self, signatures.plan, "Plan"), self, signatures.process
        )
        for label, plan, process, needs in (
            ("Pairs", pairs.plan_pairs, pairs.propose, SIGNATURES),
            ("Candidates", plan_candidates, gather, PAIRS),
            ("Scores", scores.plan_scores, scores.score, CANDIDATES),
            ("Apply", plan_apply, apply, SCORES),
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

NEAR_STEPS = (SIGNATURES, PAIRS, CANDIDATES, SCORES, groups.STAGE)
"""What DeduplicateNear hands to workers, in order."""


class TrainTokenizer(beam.PTransform):
    """The vocabulary: a sample of the kept text, and one worker that trains on it; a given one is
    copied."""

    def __init__(self, home: str, workers: int = 1, session: Session | None = None) -> None:
        super().__init__()
        self.home, self.workers, self.session = home, workers, session

    def expand(self, deduplicated: Any) -> Any:
        sampled = _process(
            _after(deduplicated, self, train_tokenizer.plan, "Plan"), self, train_tokenizer.process
        )
        return _after(sampled, self, _train, "Train", Summary, needs=(train_tokenizer.SAMPLE,))


class Tokenize(beam.PTransform):
    """Kept documents -> token work files -> shards -> the manifest; a summary a shard."""

    def __init__(self, home: str, workers: int = 1, session: Session | None = None) -> None:
        super().__init__()
        self.home, self.workers, self.session = home, workers, session

    def expand(self, ready: Any) -> Any:
        encoded = _process(_after(ready, self, tokenize.plan, "Plan"), self, tokenize.process)
        written = _process(
            _after(encoded, self, shards.plan, "PlanShards", needs=(tokenize.STAGE,)),
            self,
            shards.process,
            "Shards",
        )
        return _after(
            written, self, _manifest, "Manifest", Summary, needs=(tokenize.STAGE, shards.STAGE)
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
        if groups.STAGE in stages:
            done = done | "DeduplicateNear" >> DeduplicateNear(
                self.home, self.workers, self.session
            )
            done = _after(done, self, _guard_near, "GuardNear", needs=NEAR_STEPS)
        done = done | "TrainTokenizer" >> TrainTokenizer(self.home, self.workers, self.session)
        return done | "Tokenize" >> Tokenize(self.home, self.workers, self.session)


STAGES_OF: dict[type[beam.PTransform], tuple[str, ...]] = {
    Survey: SURVEY_STEPS,
    Ingest: (ingest.STAGE,),
    Measure: (rules.STAGE,),
    Deduplicate: (exact.KEYS,),
    DeduplicateNear: NEAR_STEPS,
    TrainTokenizer: (train_tokenizer.SAMPLE,),
    Tokenize: (tokenize.STAGE, shards.STAGE),
    Build: (
        *SURVEY_STEPS,
        ingest.STAGE,
        rules.STAGE,
        exact.KEYS,
        *NEAR_STEPS,
        train_tokenizer.SAMPLE,
        tokenize.STAGE,
        shards.STAGE,
    ),
}
"""The stages whose slices each transform hands to workers."""

READ_AGAIN: dict[type[beam.PTransform], tuple[str, ...]] = {
    Ingest: (ingest.STAGE,),
    Measure: (rules.STAGE,),
    Deduplicate: (exact.STAGE,),
    DeduplicateNear: (groups.STAGE,),
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
            check_worker(home, session)
        with beating(home, session):
            found = list(children.run(function, argument))
            tasks = [task for task in found if hasattr(task, "size")]
            if tasks and function is not exact.tasks:  # the second plan of the same slices
                board.board.expect(len(tasks), sum(task.size for task in tasks))
                for line in stale(Home(home), tasks):
                    print(line, file=sys.stderr, flush=True)
        return found
    except UserError as error:
        raise left_for_driver(home, session, error) from None


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
    found = summaries(Home(home), groups.STAGE)
    guard(Home(home), open_home(home)[1], found, lambda _: None)
    return found


def _train(home: str) -> list[Summary]:
    return [train_tokenizer.train(home)]


def _manifest(home: str) -> list[Summary]:
    shards.write_shards_manifest(home)
    return summaries(Home(home), shards.STAGE)
