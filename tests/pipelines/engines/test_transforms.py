"""The graphs of the stages: every function pickles, nothing large is in them, and no text crosses a
shuffle (law 1)."""

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import apache_beam as beam
import pytest
from apache_beam.internal import pickler
from apache_beam.pipeline import PipelineVisitor
from apache_beam.runners.portability.fn_api_runner import execution
from plain_build import job_of

from pipelines import beam as public
from pipelines.engines.options import options
from pipelines.engines.run import run_stage
from pipelines.home.decisions import removed_count
from pipelines.home.layout import Home, open_home, write_recipe
from pipelines.home.summaries import summaries
from pipelines.recipe import load_recipe
from pipelines.stages.table import STAGES

pytestmark = pytest.mark.builds

TRANSFORMS = [getattr(public, name) for name in public.__all__ if name != "options"]
BEGINNING = (public.Survey, public.Ingest, public.Build)
"""The transforms that a pipeline can begin with."""
RECORD_BYTES = 24
RECORDS_A_DOCUMENT = 4
TASK_BYTES = 2000
"""Of a task or a summary, with its key: one a slice. A task of ingest also names its files."""
NOVELS = (
    '[sources.novels]\nkind = "files"\ninput = "{folder}/*.txt"\ndocument = "blank-line"\n'
    "slice_bytes = 20000\n"
)
RULES = '[sources.novels.rules]\nprofile = "none"\nmax_words = 150\n'
RECIPE = (
    NOVELS + "[tokenizer]\nvocab_size = 400\nsample_bytes = 50000\n[shards]\nshard_tokens = 20000\n"
)


def graph(transform: Callable[..., beam.PTransform], home: str) -> beam.Pipeline:
    pipeline = beam.Pipeline(options=options([]))
    start: Any = pipeline
    if transform not in BEGINNING:
        start = pipeline | "Start" >> beam.Create([0])
    start | transform.__name__ >> transform(home, 1)
    return pipeline


class Functions(PipelineVisitor):
    """Every DoFn and CombineFn of a graph, by the label of its step."""

    def __init__(self) -> None:
        self.found: dict[str, Any] = {}

    def visit_transform(self, applied: Any) -> None:
        if hasattr(applied.transform, "fn"):
            self.found[applied.full_label] = applied.transform.fn


def test_the_transforms_are_there() -> None:
    names = {transform.__name__ for transform in TRANSFORMS}
    assert names == {"Build"} | {stage.transform for stage in STAGES}
    assert names >= {
        "Survey",
        "Ingest",
        "Measure",
        "Deduplicate",
        "DeduplicateNear",
        "TrainTokenizer",
        "Tokenize",
    }


@pytest.mark.parametrize("transform", TRANSFORMS, ids=lambda transform: transform.__name__)
def test_every_function_pickles_and_nothing_large_is_in_the_graph(
    transform: Callable[..., beam.PTransform], tmp_path: Path
) -> None:
    functions = Functions()
    home = "s3://bucket/home"
    if transform is public.Build:  # its graph depends on the recipe
        home = str(tmp_path / "home")
        (tmp_path / "recipe.toml").write_text(RECIPE.format(folder="/nowhere"))
        write_recipe(Home(home), load_recipe(str(tmp_path / "recipe.toml")))
    pipeline = graph(transform, home)
    pipeline.visit(functions)
    assert any(label.startswith(transform.__name__) for label in functions.found)
    for label, function in functions.found.items():
        packed = pickler.dumps(function)
        assert len(packed) < 4000, (label, len(packed))
        assert type(pickler.loads(packed)) is type(function), label
    # The graph is the same for any number of slices: it knows none.
    most = 600_000 if transform is public.Build else 300_000
    assert pipeline.to_runner_api().ByteSize() < most


@pytest.fixture
def shuffled(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """Label of each shuffle -> encoded bytes that went into it, by the runner's own count."""
    found: Counter[str] = Counter()
    labels: dict[int, str] = {}
    get_buffer, append = execution.BundleContextManager.get_buffer, execution.GroupingBuffer.append

    def labelled(self: Any, buffer_id: bytes, transform_id: str) -> Any:
        buffer = get_buffer(self, buffer_id, transform_id)
        if isinstance(buffer, execution.GroupingBuffer):
            name = execution.split_buffer_id(buffer_id)[1]
            labels[id(buffer)] = self.execution_context.pipeline_components.transforms[
                name
            ].unique_name
        return buffer

    def counted(self: Any, content: bytes) -> None:
        found[labels[id(self)]] += len(content)
        append(self, content)

    monkeypatch.setattr(execution.BundleContextManager, "get_buffer", labelled)
    monkeypatch.setattr(execution.GroupingBuffer, "append", counted)
    return found


def removed_by_rules(home: Home) -> int:
    recipe = open_home(home.root)[1]
    return sum(
        removed_count(home, recipe, "rules", summary) for summary in summaries(home, "ingest")
    )


def test_only_keys_and_tasks_cross_a_shuffle(
    some_novels: Path, tmp_path: Path, shuffled: Counter[str]
) -> None:
    """With rules and near dedup: every stage has something to do."""
    (tmp_path / "recipe.toml").write_text(
        RECIPE.format(folder=some_novels).replace("[tokenizer]", RULES + "[tokenizer]")
    )
    home = Home(str(tmp_path / "home"))
    write_recipe(home, load_recipe(str(tmp_path / "recipe.toml")))
    by_stage = {}
    for stage in STAGES[1:]:  # no source is read twice
        shuffled.clear()
        run_stage(job_of(home.root), stage)
        by_stage[stage.transform] = dict(shuffled)
    assert by_stage.pop("LimitHosts") == {}  # no source has a limit
    assert len(by_stage) == 7
    slices = len(summaries(home, "ingest"))
    counts = Counter[str]()
    for stage_name in ("ingest", "exact", "near"):
        for summary in summaries(home, stage_name):
            counts.update({f"{stage_name} {key}": value for key, value in summary.counts.items()})
    documents, removed = counts["ingest documents"], counts["exact removed"]
    print(
        f"{documents} documents of {counts['ingest bytes']} bytes in {slices} slices; "
        f"shuffled: {by_stage}"
    )
    assert slices > 5 and documents > 20 * slices and removed > 20
    rules = removed_by_rules(home)
    assert 0 < rules < documents and counts["near removed"] > 0
    for stage_name, labels in by_stage.items():
        assert labels, stage_name
        for label, size in labels.items():
            assert size < RECORD_BYTES * RECORDS_A_DOCUMENT * documents + TASK_BYTES * slices, (
                label,
                size,
            )
    exact = {label.split("/")[-1]: size for label, size in by_stage["Deduplicate"].items()}
    blocks = slices  # one partition
    records = (RECORD_BYTES + 8) * (documents - rules)  # with the rest of the digest
    assert records <= exact["MeetByKey"] < records + 50 * blocks
    assert 12 * removed <= exact["MeetByTwin"] < 12 * removed + TASK_BYTES * slices
    assert (
        RECORD_BYTES * removed
        <= exact["MeetBySlice"]
        < RECORD_BYTES * removed + TASK_BYTES * slices
    )
    others = [
        size
        for labels in by_stage.values()
        for label, size in labels.items()
        if not label.split("/")[-1].startswith("Meet")
    ]
    assert max(others) < TASK_BYTES * slices
    # Of near dedup nothing of a document crosses a shuffle: tasks and summaries, each with the
    # summaries of its slices.
    assert by_stage["DeduplicateNear"] and by_stage["Measure"]
    assert (
        max(by_stage["DeduplicateNear"].values()) < 1100 * slices + 1000
        and max(by_stage["Measure"].values()) < 1100 * slices
    )
