"""What holds for all stages: their names, and when a task is done again."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from plain_build import run_step

from corpora.files.source import FilesOptions
from pipelines.home.decisions import REMOVING_STAGES
from pipelines.home.layout import EMIT, Home, open_home, recipe_key, write_recipe
from pipelines.home.summaries import Summary, read_summary
from pipelines.recipe import Recipe, load_recipe
from pipelines.stages.stage import Result, Work, run_task
from pipelines.stages.table import STAGES
from shards.storage import files

RECIPE = """
[sources.a]
kind = "files"
input = "in/*.txt"
rules.min_words = 2
[tokenizer]
vocab_size = 300
"""


# --- names


def test_every_name_is_unique() -> None:
    stages = [stage.name for stage in STAGES]
    transforms = [stage.transform for stage in STAGES]
    passes = [step.name for stage in STAGES for step in stage.passes]
    assert len(set(stages)) == len(stages)
    assert len(set(transforms)) == len(transforms)
    assert len(set(passes)) == len(passes)


def test_the_labels_of_a_stage_are_unique() -> None:
    for stage in STAGES:
        labels = [step.label for step in stage.passes]
        assert len(set(labels)) == len(labels), stage.name


def test_a_stage_needs_passes_of_earlier_stages() -> None:
    earlier: set[str] = set()
    for stage in STAGES:
        assert set(stage.needs) <= earlier, stage.name
        earlier |= {step.name for step in stage.passes}


def test_what_is_off_is_said_of_stages_that_can_be_off() -> None:
    recipe = Recipe(sources={})
    recipe = replace(recipe, dedup=replace(recipe.dedup, exact=False, near=False))
    off = [stage.off for stage in STAGES if not stage.wanted(recipe)]
    # survey, rules, passages and hosts say nothing
    assert off == ["", "", "exact: off", "", "near: off", ""]
    assert not any(stage.off for stage in STAGES if stage.wanted(recipe))


def test_the_removing_stages_are_those_that_write_attributes(tmp_path: Path) -> None:
    """A stage that removes documents must be known to `pipelines.home.decisions`, in the order of
    the build."""
    (tmp_path / "in").mkdir()
    for number in range(6):
        text = f"A text of some words, number {number // 2}, that stands in two files."
        (tmp_path / "in" / f"{number}.txt").write_text(text)
    later = '[sources.a]\nmax_per_host = 3\ndedup.passages = "measure"\n'
    (tmp_path / "recipe.toml").write_text(RECIPE.replace("[sources.a]\n", later))

    home = Home(str(tmp_path / "home"))
    recipe = load_recipe(str(tmp_path / "recipe.toml"))
    write_recipe(home, recipe)
    writing, known = [], set[str]()

    for stage in STAGES:
        if not stage.wanted(recipe):
            continue
        for step in stage.passes:
            run_step(step, home.root)
        folders = set(files.list_folders(home.file("attributes")))
        if folders - known:
            assert folders - known == {stage.name}
            writing.append(stage.name)
        known = folders

    # `emit = false` needs no attribute: it is a setting of the source.
    assert (*writing, EMIT) == REMOVING_STAGES


# --- a task is done, or it is not


@dataclass(frozen=True, kw_only=True)
class Task:
    """A task of no stage."""

    home: str
    recipe: str
    fingerprint: str = "part:0"
    source: str = "a"
    name: str = "0000"
    key: tuple[str, int] = ("a.txt", 7)
    size: int = 3


CONTENT = b"what the work wrote"


class Worker:
    """A pass that counts how often it works; beside its output it writes one file."""

    def __init__(self) -> None:
        self.worked = 0
        self.error: Exception | None = None

    def step(self) -> Work[Task]:
        return Work(name="own", address=self.address, work=self.work, beside=self.beside)

    def address(self, home: Home, recipe: Recipe, task: Task) -> str:
        return home.work("own", task.source, f"{task.name}.bin")

    def beside(self, home: Home, summary: Summary) -> tuple[str, ...]:
        return (home.work("beside", summary.source, f"{summary.slice}.bin"),)

    def work(self, home: Home, recipe: Recipe, task: Task, output: files.Output) -> Result:
        self.worked += 1
        output.write(CONTENT[:9])
        if self.error is not None:
            raise self.error

        output.write(CONTENT[9:])
        files.write_bytes(home.work("beside", task.source, f"{task.name}.bin"), b"more")
        return Result(
            counts={"documents": 2},
            rejects={"empty": 1},
            marks={"long": 1},
            twins_in={"b": 1},
            inputs=("digest",),
        )


@pytest.fixture
def task(tmp_path: Path) -> Task:
    """A task of a home with a recipe."""
    home = Home(str(tmp_path / "home"))
    write_recipe(home, Recipe(sources={"a": FilesOptions(input=("x",))}))
    return Task(home=home.root, recipe=recipe_key(open_home(home.root)[1]))


def addresses(task: Task) -> tuple[Path, Path, Path]:
    """The output, the file beside it and the summary."""
    home = Home(task.home)
    output = home.work("own", task.source, f"{task.name}.bin")
    beside = home.work("beside", task.source, f"{task.name}.bin")
    return Path(output), Path(beside), Path(home.summary("own", task.source, task.name))


def test_the_summary_says_what_the_work_found(task: Task) -> None:
    worker = Worker()
    summary = run_task(worker.step(), task)
    output, beside, written = addresses(task)

    assert output.read_bytes() == CONTENT and beside.read_bytes() == b"more"
    assert read_summary(str(written)) == summary
    assert summary == Summary(
        stage="own",
        source="a",
        slice="0000",
        path="a.txt",
        start=7,
        fingerprint="part:0",
        output=files.digest(str(output)),
        output_bytes=len(CONTENT),
        counts={"documents": 2},
        rejects={"empty": 1},
        inputs=("digest",),
        marks={"long": 1},
        twins_in={"b": 1},
    )


def test_nothing_is_done_for_a_task_that_is_done(task: Task) -> None:
    worker = Worker()
    first = run_task(worker.step(), task)
    before = [path.stat().st_mtime_ns for path in addresses(task)]

    assert run_task(worker.step(), task) == first
    assert worker.worked == 1
    assert [path.stat().st_mtime_ns for path in addresses(task)] == before


def change(path: Path) -> None:
    """Other content of the same length."""
    path.write_bytes(b"x" * path.stat().st_size)


@pytest.mark.parametrize(
    ("which", "harm"),
    [(0, change), (0, Path.unlink), (1, Path.unlink), (2, change), (2, Path.unlink)],
    ids=["output changed", "output gone", "beside gone", "summary damaged", "summary gone"],
)
def test_what_is_damaged_is_done_again(
    which: int, harm: Callable[[Path], None], task: Task
) -> None:
    worker = Worker()
    first = run_task(worker.step(), task)
    harm(addresses(task)[which])

    assert run_task(worker.step(), task) == first
    assert worker.worked == 2
    output, beside, written = addresses(task)
    assert output.read_bytes() == CONTENT and beside.read_bytes() == b"more"
    assert read_summary(str(written)) == first


def test_another_fingerprint_is_done_again(task: Task) -> None:
    worker = Worker()
    run_task(worker.step(), task)
    summary = run_task(worker.step(), replace(task, fingerprint="part:1"))

    assert worker.worked == 2 and summary.fingerprint == "part:1"
    assert read_summary(str(addresses(task)[2])) == summary


def test_work_that_fails_leaves_nothing(task: Task) -> None:
    worker = Worker()
    worker.error = ZeroDivisionError("a bug")
    with pytest.raises(ZeroDivisionError):
        run_task(worker.step(), task)

    found = [path for path in Path(task.home).rglob("*") if path.is_file()]
    assert [path.name for path in found] == ["recipe.toml"]


def test_work_that_fails_leaves_what_an_earlier_one_wrote(task: Task) -> None:
    """Its summary no longer has the wanted fingerprint, so that the task counts as not done."""
    worker = Worker()
    first = run_task(worker.step(), task)
    worker.error = ZeroDivisionError("a bug")
    with pytest.raises(ZeroDivisionError):
        run_task(worker.step(), replace(task, fingerprint="part:1"))

    output, _, written = addresses(task)
    assert output.read_bytes() == CONTENT and read_summary(str(written)) == first
    worker.error = None
    run_task(worker.step(), replace(task, fingerprint="part:1"))
    assert worker.worked == 3
