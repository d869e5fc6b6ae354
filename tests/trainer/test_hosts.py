"""Ranks on hosts of their own: each with its folders, one recipe, and a difference that is named on
every rank."""

import shutil
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import trainer_runs as runs
from trainer_fixtures import random_shards

pytestmark = pytest.mark.builds

STEPS = 12


def command(shards: Path, run: Path, *more: str) -> list[str]:
    paths = ["pretrain", "--shards", str(shards), "--run", str(run)]
    options = ["--steps", str(STEPS), "--save-every", "4", "--log-every", "1"]
    return [*paths, *runs.MINI, "--micro-batch", "4", *options, *more]


def resume(shards: Path, run: Path, *more: str) -> list[str]:
    paths = ["pretrain", "--shards", str(shards), "--run", str(run)]
    return [*paths, "--resume", "--device", "cpu", *more]


@pytest.fixture(scope="module")
def alone(small: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    run = tmp_path_factory.mktemp("alone") / "run"
    runs.train(command(small, run))
    return run


@pytest.fixture
def half(alone: Path, tmp_path: Path) -> Path:
    """Host 0 with a run that has a third of its steps to go."""
    run = tmp_path / "host0" / "run"
    shutil.copytree(alone, run)
    shutil.rmtree(run / "checkpoints" / "step-00000012")
    return run


def copies(shards: Path, tmp_path: Path, count: int) -> list[Path]:
    return [Path(shutil.copytree(shards, tmp_path / f"s{host}")) for host in range(count)]


def assert_same_as(alone: Path, run: Path) -> None:
    ours, theirs = runs.losses(alone), runs.losses(run)
    assert max(abs(a - b) for a, b in zip(ours, theirs, strict=True)) < 1e-5


def refused(commands: list[list[str]], *what: str) -> list[str]:
    """All ranks end with exit 2 and their error; returns what each said."""
    children = runs.begin_each(commands)
    for child in children:
        child.process.join(100)
    said = [child.output.read_text() for child in children]
    codes = [child.code for child in children]
    runs.finish(children)

    assert codes == [2] * len(commands), said
    for rank, text in enumerate(said):
        assert text.count("error: ") == 1 and "Traceback" not in text, text
        assert (f"rank {rank}: error: " in text) == (rank > 0), text
        for part in what:
            assert part in text, text
    assert sum("hint: " in text for text in said) == 1, said
    return said


@pytest.mark.parametrize("ranks", [2, pytest.param(4, marks=pytest.mark.long)])
def test_a_run_that_one_host_alone_has_is_resumed(
    small: Path, alone: Path, half: Path, tmp_path: Path, ranks: int
) -> None:
    """Each host has its own copy of the shards; all but the first have no run."""
    shards = copies(small, tmp_path, ranks)
    folders = [half, *(tmp_path / f"host{host}" / "run" for host in range(1, ranks))]
    code, said = runs.finish(
        runs.begin_each([resume(s, run) for s, run in zip(shards, folders, strict=True)])
    )
    assert code == 0, said
    assert_same_as(alone, half)
    assert not any(run.exists() for run in folders[1:])


def test_the_recipe_of_an_older_run_on_another_host_does_not_count(
    small: Path, alone: Path, half: Path, tmp_path: Path
) -> None:
    old = tmp_path / "host1" / "run"
    old.mkdir(parents=True)
    text = (half / "recipe.toml").read_text()
    changed = text.replace("lr = 0.001", "lr = 0.02").replace(f"steps = {STEPS}", "steps = 400")
    (old / "recipe.toml").write_text(changed)
    code, said = runs.finish(runs.begin_each([resume(small, half), resume(small, old)]))
    assert code == 0, said
    assert_same_as(alone, half)


@pytest.mark.parametrize("ranks", [2, pytest.param(4, marks=pytest.mark.long)])
def test_other_shards_of_the_same_vocabulary(small: Path, tmp_path: Path, ranks: int) -> None:
    other = random_shards(tmp_path / "other", seed=9)
    places = [small] * (ranks - 1) + [other]
    commands = [command(shards, tmp_path / f"run{i}") for i, shards in enumerate(places)]
    last = ranks - 1
    said = refused(
        commands, f"rank {last} (", "has other shards than rank 0: train-news-00000.arrow"
    )
    assert "rank 1 (" not in said[0] or last == 1


def test_other_validation_shards(small: Path, tmp_path: Path) -> None:
    other = random_shards(tmp_path / "other", count=60)
    fresh = random_shards(tmp_path / "fresh", seed=9)
    manifest = (other / "manifest.json").read_text()
    digest = digest_of(manifest, "valid-news-00000.arrow")
    shutil.copy(fresh / "valid-news-00000.arrow", other)
    new = digest_of((fresh / "manifest.json").read_text(), "valid-news-00000.arrow")
    (other / "manifest.json").write_text(manifest.replace(digest, new))
    commands = [command(small, tmp_path / "a"), command(other, tmp_path / "b")]
    refused(commands, "rank 1 (", f"valid-news-00000.arrow with digest {new[:16]} instead of")


def digest_of(manifest: str, file: str) -> str:
    import json

    entries = json.loads(manifest)["shards"]
    found = [entry["digest"] for entry in entries if entry["file"] == file]
    return str(found[0])


def test_another_vocabulary(small: Path, tmp_path: Path) -> None:
    other = random_shards(tmp_path / "other", salt="zebra")
    commands = [command(small, tmp_path / "a"), command(other, tmp_path / "b")]
    refused(commands, "rank 1 (", "has other shards than rank 0: tokenizer ")


@pytest.mark.parametrize(
    "more, what",
    [
        (["--optim.lr", "0.5"], "optim.lr 0.5 instead of nothing"),
        (["--micro-batch", "2"], "micro_batch 2 instead of micro_batch 4"),
        (["--mix", "news=2"], "data.mix {'news': 2.0} instead of nothing"),
        (["--resume"], "--resume True instead of --resume False"),
        (["--steps", "13"], "steps 13 instead of steps 12"),
    ],
)
def test_another_command(small: Path, tmp_path: Path, more: list[str], what: str) -> None:
    commands = [command(small, tmp_path / "a"), command(small, tmp_path / "b", *more)]
    refused(commands, "rank 1 (", f"has other settings than rank 0: {what}")


def test_the_exit_code_of_each_process(small: Path, tmp_path: Path) -> None:
    """The threads of gloo must not abort a process whose peer has left."""
    places = [small, random_shards(tmp_path / "other", seed=9)]
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = str(probe.getsockname()[1])

    processes = []
    for rank, shards in enumerate(places):
        address = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port, "LOCAL_RANK": "0"}
        world = runs.environment(RANK=str(rank), WORLD_SIZE="2", **address)
        words = [sys.executable, "-m", "trainer.cli", *command(shards, tmp_path / f"r{rank}")]
        processes.append(
            subprocess.Popen(words, env=world, stderr=subprocess.PIPE, text=True, cwd=runs.ROOT)
        )
    said = [process.communicate(timeout=200)[1] for process in processes]
    assert [process.returncode for process in processes] == [2, 2], said
    assert all(text.count("\n") <= 2 and "other shards" in text for text in said), said


def test_a_host_without_the_shards(small: Path, tmp_path: Path) -> None:
    commands = [command(small, tmp_path / "a"), command(tmp_path / "none", tmp_path / "b")]
    said = refused(commands, "none/manifest.json: no manifest")
    assert said[0].startswith("error: ended because rank 1 did: ")
