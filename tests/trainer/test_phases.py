"""Two phases in one run, as BERT trained: short samples first, then whole ones."""

import dataclasses
import shutil
from pathlib import Path

import pytest
import torch
import trainer_runs as runs

from shards.errors import UserError
from trainer import checkpoint
from trainer.budget import run_tokens
from trainer.config import PhaseConfig, Recipe, check, load_recipe, phase_ends

STEPS = 8

BOUNDARY = 6


def arguments(shards: Path, run: Path, *more: str) -> list[str]:
    phase = ["--phase.share", "0.75", "--phase.length", "16", "--steps", str(STEPS)]
    often = ["--save-every", "1", "--keep", "100", "--log-every", "1"]
    return [
        "pretrain",
        "--shards",
        str(shards),
        "--run",
        str(run),
        *runs.MINI,
        *phase,
        *often,
        *more,
    ]


def test_ends_of_phases() -> None:
    recipe = Recipe(steps=1_000_000, batch=256, phase=PhaseConfig(share=0.9))
    assert phase_ends(recipe) == [(900_000, 128), (1_000_000, 512)]
    assert run_tokens(recipe) == 256 * (900_000 * 128 + 100_000 * 512)
    assert phase_ends(Recipe(steps=10)) == [(10, 512)]


def test_a_first_phase_longer_than_the_samples_is_refused() -> None:
    tiny = load_recipe("tiny")
    check(dataclasses.replace(tiny, phase=PhaseConfig(share=0.5, length=64)))
    with pytest.raises(UserError, match="phase.length: 256 is not from 8 to data.length"):
        check(dataclasses.replace(tiny, phase=PhaseConfig(share=0.5, length=256)))
    with pytest.raises(UserError, match="phase.share"):
        check(dataclasses.replace(tiny, phase=PhaseConfig(share=1.0)))


@pytest.fixture(scope="module")
def whole(small: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    run = tmp_path_factory.mktemp("phases") / "run"
    runs.train(arguments(small, run))
    return run


@pytest.mark.builds
def test_the_samples_of_a_phase_have_its_length(whole: Path) -> None:
    """No sample of 16 tokens holds more than 16, and those of 32 hold more."""
    tokens = [0]
    for step in range(1, STEPS + 1):
        folder = whole / "checkpoints" / checkpoint.folder_name(step)
        tokens.append(checkpoint.read_state(folder).tokens)
    seen = [after - before for before, after in zip(tokens, tokens[1:])]
    assert max(seen[:BOUNDARY]) <= 32 * 16 < min(seen[BOUNDARY:])


@pytest.mark.builds
def test_epochs_count_the_samples_of_each_phase(whole: Path) -> None:
    """The plan of the run and its last line tell the same, up to the padding of short samples."""
    lines = runs.log(whole)
    train = [line for line in lines if line["kind"] == "train"]
    steps = [after["epoch"] - before["epoch"] for before, after in zip(train, train[1:])]
    assert max(steps[: BOUNDARY - 1]) == pytest.approx(min(steps[: BOUNDARY - 1]))
    assert max(steps[BOUNDARY - 1 :]) == pytest.approx(min(steps[BOUNDARY - 1 :]))
    # A sample of 32 tokens holds more than that of 16, so that an epoch has fewer of them.
    assert 1.5 < steps[-1] / steps[0] < 3.0
    planned = lines[0]["epochs"]["news"]
    assert planned == pytest.approx(train[-1]["epoch"], rel=0.3)
    assert (lines[0]["first_phase_steps"], lines[0]["first_phase_length"]) == (BOUNDARY, 16)


@pytest.mark.parametrize("last", [3, BOUNDARY, BOUNDARY + 1])
@pytest.mark.builds
def test_resume_within_and_between_phases(
    small: Path, whole: Path, tmp_path: Path, last: int
) -> None:
    """A run that goes on after step `last` has the bytes of one that never stopped."""
    run = tmp_path / "run"
    shutil.copytree(whole, run)
    for step in range(last + 1, STEPS + 1):
        shutil.rmtree(run / "checkpoints" / checkpoint.folder_name(step))
    runs.train(
        ["pretrain", "--shards", str(small), "--run", str(run), "--device", "cpu", "--resume"]
    )

    for file in checkpoint.FILES:
        ends = [
            path / "checkpoints" / checkpoint.folder_name(STEPS) / file for path in (run, whole)
        ]
        assert ends[0].read_bytes() == ends[1].read_bytes(), file
    assert runs.losses(run) == runs.losses(whole)


@pytest.mark.builds
def test_two_ranks_train_the_same_phases(small: Path, whole: Path, tmp_path: Path) -> None:
    runs.train(arguments(small, tmp_path / "run"), ranks=2)
    differences = []
    for one, other in zip(runs.losses(whole), runs.losses(tmp_path / "run")):
        differences.append(abs(one - other))
    assert max(differences) < 1e-5
    one, other = runs.weights(whole, STEPS), runs.weights(tmp_path / "run", STEPS)
    assert all(torch.allclose(one[name], other[name], atol=1e-4) for name in one)
