"""Runs in every format, with every mask unit: a killed run that is resumed equals one never killed,
and any number of ranks trains the same model."""

from pathlib import Path

import numpy as np
import pytest
import trainer_runs as runs
from trainer_fixtures import patterned_documents, small_tokenizer, write_shards

from trainer.cli import main

pytestmark = pytest.mark.builds

STEPS = 24

WAYS = [
    ("doc-sentences", "span"),
    ("segment-pair", "word"),
    ("sentence-pair", "token"),
    ("full-sentences", "span"),
]


@pytest.fixture(scope="module")
def shards(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Few documents, so that a run goes through several epochs and plans."""
    tokenizer = small_tokenizer()
    size = tokenizer.get_vocab_size()
    groups = [patterned_documents(seed, 30, size) for seed in range(2)]
    valid = patterned_documents(9, 4, size)
    return write_shards(
        tmp_path_factory.mktemp("pairs") / "shards",
        tokenizer,
        {("train", "a"): groups, ("valid", "a"): [valid]},
    )


def arguments(shards: Path, run: Path, way: tuple[str, str]) -> list[str]:
    name, unit = way
    return [
        "pretrain",
        *("--shards", str(shards), "--run", str(run)),
        *runs.MINI,
        *("--data.format", name, "--masking.unit", unit, "--masking.static", "3"),
        *("--steps", str(STEPS), "--save-every", "1", "--keep", "100", "--log-every", "1"),
    ]


@pytest.fixture(scope="module", params=WAYS, ids=lambda way: "-".join(way))
def whole(
    request: pytest.FixtureRequest, shards: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[tuple[str, str], Path]:
    """A way to train, and a run of it that was never stopped."""
    run = tmp_path_factory.mktemp("whole") / "run"
    runs.train(arguments(shards, run, request.param))
    return request.param, run


def test_a_killed_run_goes_on_to_the_same_bytes(
    whole: tuple[tuple[str, str], Path], shards: Path, tmp_path: Path
) -> None:
    way, reference = whole
    run = tmp_path / "run"
    seen = runs.kill_at(arguments(shards, run, way), run, 9, 1)
    assert seen >= 9
    assert main([*arguments(shards, run, way), "--resume"]) == 0
    for file in ("model.safetensors", "optimizer.safetensors"):
        assert runs.same(runs.weights(reference, STEPS, file), runs.weights(run, STEPS, file))
    assert runs.losses(reference) == runs.losses(run)


def ranks_are_equal(
    whole: tuple[tuple[str, str], Path], shards: Path, run: Path, ranks: int
) -> None:
    way, reference = whole
    runs.train(arguments(shards, run, way), ranks=ranks)
    assert np.abs(np.array(runs.losses(reference)) - np.array(runs.losses(run))).max() <= 1e-5
    ours, theirs = runs.weights(reference, 1), runs.weights(run, 1)
    assert max(float((ours[name] - theirs[name]).abs().max()) for name in ours) <= 1e-6


def test_two_ranks_train_the_same(
    whole: tuple[tuple[str, str], Path], shards: Path, tmp_path: Path
) -> None:
    ranks_are_equal(whole, shards, tmp_path / "run", 2)


@pytest.mark.long
def test_four_ranks_train_the_same(
    whole: tuple[tuple[str, str], Path], shards: Path, tmp_path: Path
) -> None:
    ranks_are_equal(whole, shards, tmp_path / "run", 4)


def test_the_first_line_of_the_log_tells_the_format(
    whole: tuple[tuple[str, str], Path],
) -> None:
    (name, _), run = whole
    start = runs.log(run)[0]
    assert start["kind"] == "start" and start["format"] == name
    if name in ("segment-pair", "sentence-pair"):
        assert start["random"] == 0.5 and start["pairs"] == start["sequences"] > 0
        assert start["borrowed"] > 0
    else:
        assert (start["pairs"], start["random"], start["trimmed"], start["dropped"]) == (0, 0, 0, 0)
    assert 0.3 < start["fill"] <= 1
