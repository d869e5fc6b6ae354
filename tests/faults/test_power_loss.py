"""A loss of power at any moment of a build or of a training run: whatever the disk then holds, the
same command ends with the same bytes, or names the file that is damaged (tests/helpers/crash.py).
"""

import functools
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from crash import (
    Event,
    Flush,
    Grow,
    MakeFolder,
    Put,
    PutFolder,
    Recorder,
    Remove,
    State,
    apply,
    read_state,
    states,
    write_state,
)
from five_corpora import write
from plain_build import plain_build
from trainer_fixtures import random_shards
from trainer_runs import MINI

from pipelines.home import layout
from pipelines.recipe import load_recipe
from pipelines.stages.table import STAGES
from trainer.cli import main

SLICES = 2000
"""Bytes of a slice, so that there are many."""


PARTS = 4
"""Into how many tests all states are divided, so that each takes minutes."""


def of_all_stages(recipe: Path) -> Path:
    """The recipe with many slices, and with the stages that are off by default."""
    text = recipe.read_text().replace("input = ", f"slice_bytes = {SLICES}\ninput = ")
    text = text.replace('kind = "cc_news"', 'kind = "cc_news"\nmax_per_host = 4')
    text += '[sources.books.dedup]\npassages = "remove"\n'
    text += '[sources.cc-news.dedup]\npassages = "remove"\n'
    recipe.write_text(text)
    assert all(stage.wanted(load_recipe(str(recipe))) for stage in STAGES)
    return recipe


@contextmanager
def quick() -> Iterator[None]:
    """A state costs half: recipes are parsed once, and what is thrown away needs no disk."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(layout, "parse_recipe", functools.lru_cache(layout.parse_recipe))
        patch.setattr(os, "fsync", lambda _: None)
        yield


def outputs(state: State) -> State:
    """What a home is made of: `work/` may differ, and the lock names a process."""
    return {
        path: content
        for path, content in state.items()
        if not path.startswith("work/") and path != "lock"
    }


@pytest.fixture(scope="module")
def build(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[Event], State]:
    """A recipe of all five corpora, what its build does to the disk, and what it leaves there."""
    folder = tmp_path_factory.mktemp("build")
    recipe = of_all_stages(write(folder / "inputs", with_data=False))
    with pytest.MonkeyPatch.context() as patch:
        recorder = Recorder(folder / "home", patch)
        plain_build(recipe, folder / "home")
    return recipe, recorder.events, read_state(folder / "home")


def test_the_record_of_a_build_is_whole(build: tuple[Path, list[Event], State]) -> None:
    _, events, left = build
    state: State = {}
    for event in events:
        apply(state, event)
    assert outputs(state) == outputs(left)


def test_nothing_of_a_build_is_undone_once_its_summary_is_there(
    build: tuple[Path, list[Event], State],
) -> None:
    """All names but those of files that can be made again are flushed before the next one."""
    _, events, _ = build
    for event, following in zip(events, events[1:]):
        if isinstance(event, Put) and event.flushed:
            assert following == Flush(str(Path(event.path).parent)), event.path


def failures(
    recipe: Path, wanted: State, some: Iterator[State] | list[State], root: Path
) -> list[str]:
    """Which of the states do not end in the bytes of an undisturbed build."""
    found = []
    for number, state in enumerate(some):
        with quick():
            plain_build(recipe, write_state(state, root))
        got = outputs(read_state(root))
        differing = [path for path in {*got, *wanted} if got.get(path) != wanted.get(path)]
        if differing:
            found.append(f"state {number}: {sorted(differing)[:3]}")
    return found


def test_a_build_goes_on_after_a_loss_of_power(
    build: tuple[Path, list[Event], State], tmp_path: Path
) -> None:
    recipe, events, left = build
    every = list(states(events))
    some = every[:: len(every) // 12]
    assert failures(recipe, outputs(left), some, tmp_path / "home") == []


@pytest.mark.long
@pytest.mark.parametrize("part", range(PARTS))
def test_a_build_goes_on_after_any_loss_of_power(
    build: tuple[Path, list[Event], State], tmp_path: Path, part: int
) -> None:
    recipe, events, left = build
    every = list(states(events))
    assert len(every) >= 1000
    assert failures(recipe, outputs(left), every[part::PARTS], tmp_path / "home") == []


# --- a run

Run = tuple[list[str], list[Event], State]
"""The command, what it did to the disk, and what it left there."""


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory, one_thread: None) -> Run:
    """The command of a run of 48 steps with a checkpoint and a line of the log at each, what it
    does to the disk and what it leaves there."""
    folder = tmp_path_factory.mktemp("run")
    shards = random_shards(folder / "shards")
    arguments = ["pretrain", "--shards", str(shards), *MINI, "--steps", "48", "--batch", "4"]
    arguments += ["--micro-batch", "4", "--save-every", "1", "--log-every", "1", "--keep", "2"]
    arguments += ["--evaluation.every", "20", "--resume"]
    with pytest.MonkeyPatch.context() as patch:
        recorder = Recorder(folder / "run", patch)
        assert main([*arguments, "--run", str(folder / "run")]) == 0
    return arguments, recorder.events, read_state(folder / "run")


LOG = "log.jsonl"

SMALL_FILES = ("recipe.toml", "run.json", "tokenizer.json")
"""Files of a run that are written when it begins."""


def of_the_model(state: State) -> State:
    """The files of a run that the same training gives again: not the log, which holds times."""
    kept = {}
    for path, content in state.items():
        if path.startswith(("checkpoints/", "validation/")) or path in SMALL_FILES:
            kept[path] = content
    return kept


def with_tail(state: State, left: State, share: float) -> State:
    """A state with more of the log than was flushed: a share of what the whole run appended."""
    flushed, log = state.get(LOG, b""), left[LOG]
    if LOG not in state or not log.startswith(flushed):
        return state
    return {**state, LOG: log[: len(flushed) + int((len(log) - len(flushed)) * share)]}


def measured(state: State) -> list[tuple[object, ...]]:
    """What the log of a run tells of its steps, but for the times."""
    lines = [json.loads(line) for line in state[LOG].splitlines()]
    return [(line["kind"], line["step"], line["loss"]) for line in lines if "loss" in line]


def run_failures(run: Run, some: list[State]) -> list[str]:
    """Which of the states do not end in the bytes of an undisturbed run."""
    arguments, _, left = run
    # Beside the first one: a run tells where its shards are, seen from itself.
    root = Path(arguments[arguments.index("--shards") + 1]).with_name("again")
    found = []
    for number, state in enumerate(some):
        write_state(with_tail(state, left, number % 7 / 7), root)
        with quick():
            code = main([*arguments, "--run", str(root)])
        after = read_state(root)
        wanted, got = of_the_model(left), of_the_model(after)
        # A checkpoint that a newer one should have removed may still be there.
        differing = [path for path in wanted if got.get(path) != wanted[path]]
        if measured(after) != measured(left):
            differing.append(LOG)
        if code or differing:
            found.append(f"state {number}: exit {code}, {sorted(differing)[:3]}")
    return found


def test_a_run_goes_on_after_a_loss_of_power(run: Run) -> None:
    every = list(states(run[1]))
    some = every[:: len(every) // 6]
    assert run_failures(run, some) == []


@pytest.mark.long
@pytest.mark.parametrize("part", range(PARTS))
def test_a_run_goes_on_after_any_loss_of_power(run: Run, part: int) -> None:
    every = list(states(run[1]))
    assert len(every) >= 200
    assert run_failures(run, every[part::PARTS]) == []


# --- the model itself


def test_what_was_not_flushed_may_be_lost() -> None:
    """Two files, each flushed; the folder of the second is flushed, that of the first is not."""
    events: list[Event] = [Put("a/x", b"1", True), Put("b/y", b"2", True), Flush("b")]
    found = list(states(events))
    assert {"b/y": b"2"} in found
    assert {"a/x": b"1", "b/y": b"2"} in found

    # In the order of the flushes nothing is lost.
    found = list(states([Put("a/x", b"1", True), Flush("a"), Put("b/y", b"2", True), Flush("b")]))
    assert found == [{}, {"a/x": b"1"}, {"a/x": b"1", "b/y": b"2"}]


def test_unflushed_files_may_be_empty_or_cut_and_folders_half_removed() -> None:
    assert list(states([Put("x", b"1234", False), Flush(".")])) == [
        {},
        {"x": b"1234"},
        {"x": b""},
        {"x": b"12"},
    ]
    folder = PutFolder("step", (("a", b"1"), ("b", b"2")), True)
    found = list(states([folder, Flush("."), Remove("step"), Flush(".")]))
    assert found == [{}, {"step/a": b"1", "step/b": b"2"}, {"step/b": b"2"}]


def test_a_folder_that_was_not_flushed_goes_with_all_in_it() -> None:
    events: list[Event] = [MakeFolder("a"), Put("a/x", b"1", True), Flush("a"), Flush(".")]
    assert list(states(events[:3])) == [{}, {"a/x": b"1"}]
    assert list(states([*events, Put("b", b"2", True)])) == [
        {},
        {"a/x": b"1"},
        {"a/x": b"1", "b": b"2"},
    ]


def test_what_was_appended_is_there_once_it_was_flushed() -> None:
    events: list[Event] = [Put("log", b"", True), Flush("."), Grow("log", b"1"), Grow("log", b"12")]
    assert list(states(events)) == [{}, {"log": b""}, {"log": b"1"}, {"log": b"12"}]
