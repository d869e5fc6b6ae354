"""What a stage is: read this to add one, or to understand any.

A build is a row of stages (`pipelines.stages.table`). A stage has one or several passes. A pass
plans tasks, about one per slice, and works on each of them in a process of its own:

    plan(home, recipe) -> tasks -> work(home, recipe, task, output) -> Result

Everything that holds for all of them stands here once: a task whose summary is there with the same
fingerprint is not done again, a file appears only when it is whole, and the summary that marks the
task as done is written last. So the work of a stage is nothing but its algorithm.

No Beam in here: children import this module.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, Generic, Protocol, TypeVar

from pipelines.home.layout import Home, task_home
from pipelines.home.summaries import Summary, done, write_summary
from pipelines.recipe import Recipe
from pipelines.stages.job import Job, Say
from shards.storage import files


class Task(Protocol):
    """What a pass hands to a worker: small, picklable and named.

    `recipe` is the `recipe_key` of the recipe it was planned by; (`path`, `start`) is the place in
    the order of its source, `size` is in bytes and serves the display, `fingerprint` names
    everything that the result depends on.
    """

    @property
    def home(self) -> str: ...
    @property
    def recipe(self) -> str: ...
    @property
    def source(self) -> str: ...
    @property
    def name(self) -> str: ...
    @property
    def key(self) -> tuple[str, int]: ...
    @property
    def size(self) -> int: ...
    @property
    def fingerprint(self) -> str: ...


T = TypeVar("T", bound=Task)


@dataclass(frozen=True, kw_only=True)
class Result:
    """What the work on a task found, beside the file that it wrote; the fields of its `Summary`."""

    counts: dict[str, int]
    rejects: dict[str, int] = field(default_factory=dict)
    not_pages: dict[str, int] = field(default_factory=dict)
    marks: dict[str, int] = field(default_factory=dict)
    twins_in: dict[str, int] = field(default_factory=dict)
    left_out: dict[str, int] = field(default_factory=dict)
    languages: dict[str, dict[str, int]] = field(default_factory=dict)
    uses: str = ""
    inputs: tuple[str, ...] = ()


def nothing_beside(home: Home, summary: Summary) -> tuple[str, ...]:
    """For passes that write one file only."""
    return ()


@dataclass(frozen=True, kw_only=True)
class Work(Generic[T]):
    """What is done to one task.

    `name` is that of the folder of its summaries. `address` is the file that `work` writes.
    `beside` are files that `work` also writes, which must be there too for a task to count as done.
    `flush` is False for a file that can be made again and whose digest is checked before use, so
    that nobody need wait for the disk.
    """

    name: str
    address: Callable[[Home, Recipe, T], str]
    work: Callable[[Home, Recipe, T, files.Output], Result]
    beside: Callable[[Home, Summary], tuple[str, ...]] = nothing_beside
    flush: bool = True


@dataclass(frozen=True, kw_only=True)
class Pass(Work[T]):
    """One step of a stage over all its tasks.

    `plan` lists the tasks, in order, and removes the files of slices that no longer exist; where
    `reads_inputs` is set it takes the slices of the sources as a third argument, if they are listed
    already. `finish` does what needs the results of all tasks, in one process. `label` tells the
    passes of a stage apart in Beam's graph.
    """

    plan: Callable[..., list[T]]
    finish: Callable[[Home, Recipe], list[Summary]] | None = None
    label: str = ""
    reads_inputs: bool = False


@dataclass(frozen=True, kw_only=True)
class Exchange(Generic[T]):
    """A step in which records of all slices meet, in the shuffles of the engine.

    `blocks` gives packed records of a slice by partition; `decide` sees all of a partition and
    gives packed records by slice; `answer` completes them there, by the slice that they concern;
    `apply` writes what they mean for a slice. Records are at most 24 bytes (law 1).
    """

    name: str
    plan: Callable[[Home, Recipe], list[T]]
    index: Callable[[T], int]
    blocks: Callable[[T], Iterator[tuple[int, bytes]]]
    decide: Callable[[Iterable[bytes]], Iterator[tuple[int, bytes]]]
    answer: Callable[[T, list[bytes]], Iterator[tuple[int, bytes]]]
    apply: Callable[[T, list[bytes]], Summary]
    label: str = ""


def always(recipe: Recipe) -> bool:
    """For stages that every build has."""
    return True


def no_inputs(recipe: Recipe) -> list[str]:
    """For stages that read what an earlier stage wrote."""
    return []


def nothing(job: Job) -> None:
    """For stages without anything to check before they run."""


@dataclass(frozen=True, kw_only=True)
class Stage:
    """One stage of a build.

    `inputs` names the sources whose slices its passes take. `wanted` tells whether a recipe asks
    for it; `off` is said where it does not. `prepare` checks
    what can be known before hours of work, such as room on the disk. `guard` raises `UserError`
    where the result must not be built upon. `account` checks that every record is somewhere (law 4)
    and says what came out. `needs` names passes of earlier stages without which it cannot begin: it
    does nothing where a slice of theirs was set aside. `loses_slices`: the build goes on, and ends
    with exit 1, when a slice of this stage was set aside. `transform` is the name of its public
    Beam transform.
    """

    name: str
    transform: str
    passes: tuple[Pass[Any] | Exchange[Any], ...]
    account: Callable[[Job], None]
    inputs: Callable[[Recipe], list[str]] = no_inputs
    wanted: Callable[[Recipe], bool] = always
    off: str = ""
    prepare: Callable[[Job], None] = nothing
    guard: Callable[[Home, Recipe, Say], None] | None = None
    needs: tuple[str, ...] = ()
    loses_slices: bool = False


def run_task(step: Work[T], task: T) -> Summary:
    """Do a task, unless it is done; returns its summary."""
    # The recipe is read once per process, not once per task.
    home, recipe = task_home(task)
    address = step.address(home, recipe, task)
    finished = done(home, step.name, task.source, task.name, task.fingerprint, address)

    if finished is not None and all(map(files.exists, step.beside(home, finished))):
        return finished

    # The file gets its name when the block ends well, so that nobody reads a part of it.
    with files.open_output(address, flush=step.flush) as output:
        result = step.work(home, recipe, task, output)

    path, start = task.key
    summary = Summary(
        stage=step.name,
        source=task.source,
        slice=task.name,
        path=path,
        start=start,
        fingerprint=task.fingerprint,
        output=output.digest,
        output_bytes=output.bytes,
        counts=result.counts,
        rejects=result.rejects,
        not_pages=result.not_pages,
        inputs=result.inputs,
        marks=result.marks,
        twins_in=result.twins_in,
        left_out=result.left_out,
        languages=result.languages,
        uses=result.uses,
    )
    # Last: from now on the task is done.
    write_summary(home, summary)
    return summary
