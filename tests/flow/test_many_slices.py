"""Many tiny slices: what a build reads grows with them and not with their square, and no plan is
large."""

import dataclasses
import functools
import pickle
import resource
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pipelines.home.layout import Home, open_home, write_recipe
from pipelines.home.summaries import Summary, summaries
from pipelines.recipe import load_recipe
from pipelines.stages import exact, ingest, tokenize, train_tokenizer
from pipelines.stages.source_tasks import SourceTask
from shards.storage import files

Corpus = Callable[..., tuple[int, str, str]]
RECIPE = (
    '[sources.a]\nkind = "files"\ninput = "{folder}/in/*.txt"\nslice_bytes = 1\n[tokenizer]\n'
    "vocab_size = 300\n"
)
READS_A_SLICE = 30
"""Files of the home that a build opens for each slice, all stages and plans together: 26 are."""


def write_inputs(folder: Path, count: int) -> Path:
    """Files that are a slice each; every fifth is a copy."""
    (folder / "in").mkdir(parents=True)
    for number in range(count):
        (folder / "in" / f"{number:06d}.txt").write_text(
            "the same again" if number % 5 == 4 else f"Text of file {number}, and of no other."
        )
    (folder / "recipe.toml").write_text(RECIPE.format(folder=folder))
    return folder / "recipe.toml"


def test_reads_grow_with_the_slices_and_not_with_their_square(
    tmp_path: Path, corpus: Corpus, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: Counter[str] = Counter()
    for name in ("open_input", "read_bytes"):
        original = getattr(files, name)

        def counted(address: str, original: Callable[[str], Any] = original) -> Any:
            opened[address.split("/home/")[-1].split("/")[0]] += 1
            return original(address)

        monkeypatch.setattr(files, name, counted)
    reads = {}
    for count in (20, 60):
        opened.clear()
        recipe = write_inputs(tmp_path / str(count), count)
        code, _, err = corpus(
            "build",
            recipe,
            "--home",
            tmp_path / str(count) / "home",
            "--workers",
            0,
            "--dedup.max-removed",
            1,
        )
        assert code == 0, err
        reads[count] = dict(opened)
    a_slice = {name: (reads[60].get(name, 0) - reads[20].get(name, 0)) / 40 for name in reads[60]}
    print(f"opened: {reads}; for each slice more: {a_slice}")
    assert sum(a_slice.values()) < READS_A_SLICE
    assert sum(reads[60].values()) < 60 * READS_A_SLICE + 100


def write_summaries(home: Home, tasks: list[SourceTask]) -> None:
    """What ingest and dedup leave behind, without the work; unsynced, since only the plans are
    looked at."""
    import json

    from shards.config import to_dict

    for stage in ("ingest", "exact"):
        Path(home.file("summaries", stage, "a")).mkdir(parents=True)
    for number, task in enumerate(tasks):
        digest = f"{number:064x}"
        path, start = task.slice.key
        counts = {"records": 1, "documents": 1, "bytes": 40}
        common: dict[str, Any] = {
            "source": "a",
            "slice": task.name,
            "path": path,
            "start": start,
            "output_bytes": 900,
        }
        done = [
            Summary(
                stage="ingest", fingerprint=task.fingerprint, output=digest, counts=counts, **common
            )
        ]
        done.append(
            Summary(
                stage="exact",
                fingerprint="0",
                output=digest,
                counts={"documents": 1, "removed": 0},
                inputs=(digest,),
                **common,
            )
        )
        for summary in done:
            Path(home.summary(summary.stage, "a", task.name)).write_text(
                json.dumps(to_dict(summary))
            )


def peak_mb() -> float:
    """What this process held at most so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def measured(function: Callable[[], Any], figures: dict[str, float], name: str) -> Any:
    start = time.process_time()
    result = function()
    figures[name] = time.process_time() - start
    return result


def plans(folder: Path, count: int) -> dict[str, float]:
    """CPU seconds of each plan over `count` slices, and bytes a task."""
    home, figures = Home(str(folder / "home")), dict[str, float]()
    recipe = load_recipe(str(write_inputs(folder, count)))
    write_recipe(
        home, dataclasses.replace(recipe, dedup=dataclasses.replace(recipe.dedup, near=False))
    )
    tasks = measured(lambda: ingest.plan(*open_home(home.root)), figures, "ingest.plan")
    assert len(tasks) == count
    write_summaries(home, tasks)
    vocabulary = Summary(
        stage="tokenizer",
        source="all",
        slice="tokenizer",
        path="",
        start=0,
        fingerprint="",
        output="0" * 64,
        output_bytes=1,
        counts={"vocab_size": 300},
    )
    from pipelines.home.summaries import write_summary

    write_summary(home, vocabulary)
    found = measured(lambda: summaries(home, "ingest"), figures, "summaries")
    assert len(found) == count and [summary.key for summary in found] == [
        task.slice.key for task in tasks
    ]
    for stage in (exact.STAGE, train_tokenizer.STAGE, tokenize.STAGE):
        plan = functools.partial(stage.passes[0].plan, *open_home(home.root))
        planned = measured(plan, figures, f"{stage.name}.plan")
        assert len(planned) == count
        figures[f"{stage.name} task bytes"] = len(pickle.dumps(planned[count // 2]))
        del planned
    assert open_home(home.root)[1].sources.keys() == {"a"}
    return figures


def test_plans_are_linear(tmp_path: Path) -> None:
    small, large = plans(tmp_path / "1", 200), plans(tmp_path / "2", 1000)
    for name, value in large.items():
        assert value < 1300 if name.endswith("task bytes") else value < 5 * small[name] * 2 + 0.5, (
            name,
            small[name],
            value,
        )


@pytest.mark.long
def test_a_hundred_thousand_slices(tmp_path: Path) -> None:
    before = peak_mb()
    figures = plans(tmp_path, 100_000)
    print(
        f"100,000 slices: { ({name: round(value, 1) for name, value in figures.items()}) }; "
        f"peak {peak_mb():.0f} MB, {before:.0f} before"
    )
    assert all(value < 1300 for name, value in figures.items() if name.endswith("task bytes"))
    assert sum(value for name, value in figures.items() if "bytes" not in name) < 600
    assert peak_mb() - before < 2000
