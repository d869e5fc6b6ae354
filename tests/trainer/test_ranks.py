"""One model on any number of ranks: samples, masks, gradients and losses of 1 x 8, 2 x 4 and 4 x 2
are the same."""

import dataclasses
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
import trainer_runs as runs
from trainer_fixtures import random_documents, small_tokenizer, write_shards

pytestmark = pytest.mark.builds

STEPS = 50


@pytest.fixture(scope="module")
def uneven(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Most samples are shards of one two-token document, which are too short to be masked: whole
    micro-batches have no mask."""
    tokenizer = small_tokenizer()
    size = tokenizer.get_vocab_size()
    groups = [
        random_documents(0, 12, size, tokens=7),
        *([[np.array([10 + i % 50, 20 + i % 70])]] for i in range(120)),
    ]
    return write_shards(
        tmp_path_factory.mktemp("uneven") / "shards", tokenizer, {("train", "a"): groups}
    )


def arguments(shards: Path, run: Path) -> list[str]:
    return [
        "pretrain",
        "--shards",
        str(shards),
        "--run",
        str(run),
        *runs.MINI,
        "--micro-batch",
        "4",
        "--steps",
        str(STEPS),
        "--save-every",
        "1",
        "--keep",
        "100",
        "--log-every",
        "1",
        "--optim.clip",
        "0",
    ]


@pytest.fixture(scope="module")
def alone(uneven: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    run = tmp_path_factory.mktemp("alone") / "run"
    runs.train(arguments(uneven, run))
    return run


def gradients(run: Path) -> dict[str, torch.Tensor]:
    """The first step's gradient, from Adam's first moment, which is a tenth of it."""
    return {
        name: tensor.double() * 10
        for name, tensor in runs.weights(run, 1, "optimizer.safetensors").items()
        if name.startswith("exp_avg.")
    }


def assert_equal(alone: Path, other: Path) -> None:
    ours, theirs = gradients(alone), gradients(other)
    largest = max(float(tensor.abs().max()) for tensor in ours.values())
    assert largest > 1e-3
    assert max(float((ours[name] - theirs[name]).abs().max()) for name in ours) <= 1e-6 * largest
    assert np.abs(np.array(runs.losses(alone)) - np.array(runs.losses(other))).max() <= 1e-5
    assert [line["samples"] for line in runs.log(alone) if line["kind"] == "train"] == [
        line["samples"] for line in runs.log(other) if line["kind"] == "train"
    ]


def test_masked_counts_are_uneven(uneven: Path) -> None:
    """The proof below holds for micro-batches of unequal counts, one of them zero."""
    from trainer.config import MaskingConfig
    from trainer.data.gather import Masker
    from trainer.data.loader import Loader, Share
    from trainer.data.order import make_order
    from trainer.data.samples import open_data

    data = open_data([str(uneven)], "train", 32, True)
    masker = Masker(data, MaskingConfig(), 0)
    loader = Loader(masker, make_order(data, 0, {}), Share(32, 4), 0)
    counts = []
    for _ in range(8 * STEPS):
        batch = loader.next()
        counts.append(batch.masked)
        loader.release(batch)
    loader.close()
    assert min(counts) == 0 and len(set(counts)) > 5
    assert any(0 in counts[i : i + 8] and sum(counts[i : i + 8]) for i in range(0, len(counts), 8))


def test_two_ranks_by_four(uneven: Path, alone: Path, tmp_path: Path) -> None:
    runs.train(arguments(uneven, tmp_path / "run"), ranks=2)
    assert_equal(alone, tmp_path / "run")


@pytest.mark.long
def test_four_ranks_by_two_under_torchrun(uneven: Path, alone: Path, tmp_path: Path) -> None:
    command = [
        sys.executable,
        "-m",
        "torch.distributed.run",
        "--standalone",
        "--nproc-per-node",
        "4",
        "-m",
        "trainer.cli",
        "--",
        *arguments(uneven, tmp_path / "run"),
    ]
    done = subprocess.run(
        command, env=runs.environment(), cwd=runs.ROOT, capture_output=True, text=True, timeout=500
    )
    assert done.returncode == 0, done.stderr
    assert_equal(alone, tmp_path / "run")


def test_a_sum_is_not_a_mean_of_means(uneven: Path, alone: Path, tmp_path: Path) -> None:
    """Micro-batches of another size divide the same batch: without dropout the same losses
    (transformers' Trainer fails this)."""
    flat = [
        "--model.dropout",
        "0",
        "--model.attention-dropout",
        "0",
        "--steps",
        "8",
        "--optim.warmup-steps",
        "2",
    ]
    found = []
    for micro in (32, 4, 1):
        run = tmp_path / str(micro)
        runs.train([*arguments(uneven, run), *flat, "--micro-batch", str(micro)])
        found.append(np.array(runs.losses(run)))
    assert np.abs(found[0] - found[1]).max() < 1e-5 and np.abs(found[0] - found[2]).max() < 1e-5


def test_unequal_shares_are_refused() -> None:
    from shards.errors import UserError
    from trainer.config import load_recipe, micro_batch

    with pytest.raises(UserError, match="cannot be shared among 5 ranks"):
        micro_batch(load_recipe("tiny"), 5)
    assert [
        micro_batch(dataclasses.replace(load_recipe("tiny"), batch=24, micro_batch=9), ranks)
        for ranks in (1, 2, 4)
    ] == [8, 6, 6]
