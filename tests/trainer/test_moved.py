"""Shards that were moved, and runs as first weights."""

import json
import shutil
from pathlib import Path

import pytest
import trainer_runs as runs
from trainer_fixtures import random_shards

from trainer.checkpoint import list_checkpoints
from trainer.cli import main


def started(folder: Path) -> tuple[Path, Path]:
    """Shards, and a run of 10 steps on them that was stopped after a few."""
    shards = random_shards(folder / "home" / "shards")
    (folder / "home" / "recipe.toml").write_text("")
    run = folder / "run"
    steps = ["--steps", "10", "--optim.warmup-steps", "1", "--max-hours", "1e-9"]
    command = ["pretrain", "--shards", str(folder / "home"), "--run", str(run), *runs.MINI]
    assert main([*command, *steps]) == 1
    return shards, run


def errors(capsys: pytest.CaptureFixture[str], arguments: list[str]) -> tuple[str, str]:
    capsys.readouterr()
    assert main(arguments) == 2
    what, hint = capsys.readouterr().err.splitlines()
    return what, hint


def test_resume_finds_the_shards(tmp_path: Path) -> None:
    """Of the run, without --shards."""
    _, run = started(tmp_path)
    runs.train(["pretrain", "--run", str(run), "--resume", "--device", "cpu", "--max-hours", "0"])
    assert runs.logged(run) == 10


def test_shards_that_were_moved(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The hint of each command is that command with --shards; with it, it works."""
    shards, run = started(tmp_path)
    moved = tmp_path / "elsewhere" / "home"
    moved.parent.mkdir()
    shutil.move(shards.parent, moved)

    commands = {
        f"trainer pretrain --run {run} --resume": ["pretrain", "--run", str(run), "--resume"],
        f"trainer evaluate --run {run}": ["evaluate", "--run", str(run)],
        f"trainer show {run} --sample 3": ["show", str(run), "--sample", "3"],
    }
    for command, arguments in commands.items():
        what, hint = errors(capsys, arguments)
        assert what == f"error: {shards}: the shards of {run} are no longer there"
        expected = f"name the folder where they are now: {command} --shards DIR"
        assert hint == f"hint: {expected}"

    resumed = ["--device", "cpu", "--max-hours", "0"]
    runs.train(
        [*commands[f"trainer pretrain --run {run} --resume"], *resumed, "--shards", str(moved)]
    )
    assert runs.logged(run) == 10
    # The run knows the new place now.
    assert main(["evaluate", "--run", str(run), "--device", "cpu"]) == 0
    assert main(["show", str(run), "--sample", "3"]) == 0


def test_a_run_and_its_shards_moved_together(tmp_path: Path) -> None:
    started(tmp_path / "a")
    shutil.move(tmp_path / "a", tmp_path / "b")
    run = tmp_path / "b" / "run"
    assert main(["evaluate", "--run", str(run), "--device", "cpu"]) == 0
    runs.train(["pretrain", "--run", str(run), "--resume", "--device", "cpu", "--max-hours", "0"])
    assert json.loads((run / "run.json").read_text())["shards"] == [
        str(tmp_path / "b" / "home" / "shards")
    ]


def test_a_run_of_an_older_version(tmp_path: Path) -> None:
    """Without the paths from the run."""
    _, run = started(tmp_path)
    content = json.loads((run / "run.json").read_text())
    del content["beside"]
    (run / "run.json").write_text(json.dumps(content))
    assert main(["evaluate", "--run", str(run), "--device", "cpu"]) == 0


# --- --init RUN


@pytest.fixture(scope="module")
def parent(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Shards and a run with two checkpoints, the first of which is the best by a wish."""
    folder = tmp_path_factory.mktemp("parent")
    shards = random_shards(folder / "shards")
    run = ["pretrain", "--shards", str(shards), "--run", str(folder / "run"), *runs.MINI]
    more = ["--steps", "10", "--optim.warmup-steps", "1", "--save-every", "5"]
    runs.train([*run, *more, "--evaluation.every", "5", "--keep-best"])
    return shards, folder / "run"


def child(shards: Path, run: Path, *more: str) -> list[str]:
    steps = ["--steps", "2", "--optim.warmup-steps", "1", "--optim.lr", "1e-30"]
    plain = ["--optim.weight-decay", "0"]
    command = ["pretrain", "--shards", str(shards), "--run", str(run), *runs.MINI]
    return [*command, *steps, *plain, *more]


@pytest.mark.parametrize("step, expected", [("", 10), ("5", 5), ("best", 10)])
def test_a_run_as_first_weights(
    step: str, expected: int, parent: tuple[Path, Path], tmp_path: Path
) -> None:
    """With a rate of nearly 0 the weights stay those of the checkpoint."""
    shards, run = parent
    more = ["--init-step", step] if step else []
    runs.train(child(shards, tmp_path / "run", "--init", str(run), *more))
    first = runs.weights(run, expected)
    assert runs.same(runs.weights(tmp_path / "run", 2), first)


def test_a_run_of_another_vocabulary_is_refused(
    parent: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = random_shards(tmp_path / "other", salt="zebra")
    what, hint = errors(capsys, child(other, tmp_path / "run", "--init", str(parent[1])))
    assert "its tokenizer is not the shards'" in what and "[tokenizer] path" in hint
    assert not (tmp_path / "run").exists()


def test_wrong_first_weights(
    parent: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shards, run = parent
    exported = tmp_path / "hf"
    assert main(["export", "--run", str(run), "--out", str(exported)]) == 0
    empty = tmp_path / "empty"
    (empty / "checkpoints").mkdir(parents=True)
    for more, fault in (
        (["--init", str(run), "--init-step", "7"], "step-00000007: no such checkpoint"),
        (["--init", str(exported), "--init-step", "7"], f"{exported} is not a run"),
        (["--init", str(empty)], f"{empty}: no checkpoint in it"),
    ):
        what, _ = errors(capsys, child(shards, tmp_path / "run", *more))
        assert fault in what
    assert len(list_checkpoints(run)) == 2


def test_show_makes_missing_folders(parent: tuple[Path, Path], tmp_path: Path) -> None:
    out = tmp_path / "a" / "b" / "curves.png"
    assert main(["show", str(parent[1]), "--out", str(out)]) == 0
    assert out.read_bytes().startswith(b"\x89PNG")
