"""Micro-batches that fit into the memory: chosen by measure, halved when one does not fit."""

from pathlib import Path
from typing import Any

import pytest
import torch
import trainer_runs as runs
from hypothesis import given
from hypothesis import strategies as st

from shards.errors import UserError
from trainer import checkpoint
from trainer.cli import main
from trainer.fit import SAFE, fitting, halved
from trainer.objectives import losses
from trainer.objectives.cross_entropy import cross_entropy_sum


@given(
    share=st.integers(1, 200),
    most=st.integers(1, 200),
    free=st.integers(0, 10_000),
    fixed=st.integers(0, 500),
    each=st.integers(1, 300),
)
def test_the_largest_divisor_that_fits_is_chosen(
    share: int, most: int, free: int, fixed: int, each: int
) -> None:
    found = fitting(share, most, free, lambda samples: fixed + samples * each)
    sizes = [size for size in range(1, most + 1) if share % size == 0]
    fits = [size for size in sizes if fixed + size * each <= SAFE * free]
    assert found == max(fits, default=1)


def test_half_is_the_largest_divisor_up_to_the_half() -> None:
    assert halved(64, 64) == 32 and halved(36, 9) == 4 and halved(7, 7) == 1
    with pytest.raises(UserError, match="no memory for a single sample") as caught:
        halved(7, 1)
    assert caught.value.exit_code == 3


def command(shards: Path, run: Path, micro: int) -> list[str]:
    small = ["--steps", "3", "--batch", "16", "--micro-batch", str(micro), "--save-every", "1"]
    return ["pretrain", "--shards", str(shards), "--run", str(run), *runs.MINI, *small]


def without_memory(patch: pytest.MonkeyPatch, numbers: set[int]) -> list[int]:
    """The micro-batches of these numbers do not fit; returns a list with one entry for each that
    was begun."""
    begun: list[int] = []

    def loss(*tensors: Any) -> Any:
        begun.append(len(begun))
        if begun[-1] in numbers:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return cross_entropy_sum(*tensors)

    patch.setattr(losses, "cross_entropy_sum", loss)
    return begun


def test_a_batch_that_does_not_fit_is_done_again_in_halves(
    small: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The run is that of one that had the smaller micro-batches from the start, to the byte."""
    with monkeypatch.context() as patch:
        begun = without_memory(patch, {1})
        assert main(command(small, tmp_path / "halved", 8)) == 0
    # Two of the first batch with 8 samples; then three batches in four parts of 4.
    assert len(begun) == 2 + 3 * 4
    assert "no memory for micro-batches of 8 samples: going on with 4" in capsys.readouterr().err

    assert main(command(small, tmp_path / "four", 4)) == 0
    for step in (1, 3):
        for name in (*checkpoint.FILES, checkpoint.DIGESTS):
            path = Path("checkpoints") / checkpoint.folder_name(step) / name
            one = (tmp_path / "halved" / path).read_bytes()
            assert one == (tmp_path / "four" / path).read_bytes(), name


def test_a_resumed_run_keeps_the_smaller_micro_batches(
    small: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run = tmp_path / "run"
    with monkeypatch.context() as patch:
        without_memory(patch, {1, 3})  # 8, then 4 samples
        assert main(command(small, run, 8)) == 0
    _, state = checkpoint.choose(run)
    assert state.micro_batch == 2
    checkpoints = checkpoint.list_checkpoints(run)
    for path in checkpoints[:1]:
        for file in path.iterdir():
            file.unlink()
        path.rmdir()
    capsys.readouterr()
    resume = ["pretrain", "--run", str(run), "--shards", str(small), "--resume", "--device", "cpu"]
    assert main(resume) == 0
    assert "micro-batches of 2 samples instead" not in capsys.readouterr().err
    assert checkpoint.choose(run)[1] == state


def test_no_memory_for_one_sample_is_an_error(
    small: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    without_memory(monkeypatch, set(range(9)))
    assert main(command(small, tmp_path / "run", 4)) == 3
    assert "no memory for a single sample" in capsys.readouterr().err
