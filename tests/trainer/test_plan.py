"""What a run will cost: from shards, and before there are any."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
import trainer_runs as runs

from trainer.cli import main
from trainer.metrics import PEAKS
from trainer.wording import size


@pytest.fixture(autouse=True)
def two_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch, "get_num_threads", lambda: 2)


def plan(capsys: pytest.CaptureFixture[str], *arguments: str) -> dict[str, Any]:
    capsys.readouterr()
    assert main(["pretrain", "--dry-run", "--json", "--device", "cpu", *arguments]) == 0
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    return found


def text(capsys: pytest.CaptureFixture[str], *arguments: str) -> dict[str, str]:
    """The lines by their first word."""
    capsys.readouterr()
    assert main(["pretrain", "--dry-run", "--device", "cpu", *arguments]) == 0
    lines = capsys.readouterr().out.splitlines()
    return {line.split()[0]: line.split(maxsplit=1)[1] for line in lines}


def test_a_plan_before_there_is_a_corpus(capsys: pytest.CaptureFixture[str]) -> None:
    """The paper's base model on 33 billion tokens and eight H100s."""
    found = plan(
        capsys, "--recipe", "roberta-base", "--tokens", "33_000_000_000", "--devices", "8",
        "--device-kind", "h100",
    )  # fmt: skip
    assert found["samples"] == 71_614_584  # 33e9 / (512 * 0.9)
    assert found["epochs"] == {"all": pytest.approx(500_000 * 8192 / 71_614_584, abs=1e-4)}
    assert (found["parameters"], found["vocab_size"]) == (124_697_433, 50_265)
    assert (found["device_kind"], found["ranks"], found["micro_batch"]) == ("H100", 8, 64)
    assert found["accumulation"] == 16
    speed = 0.4 * 989e12 * 8 / found["flops_per_token"]
    assert found["tokens_per_second"] == pytest.approx(speed)
    assert found["hours"] == pytest.approx(500_000 * 8192 * 512 / speed / 3600)
    assert found["checkpoint_bytes"] == 12 * 124_697_433
    assert found["disk_bytes"] == 4 * 12 * 124_697_433
    assert found["memory_per_device_bytes"] > 10 * 2**30
    assert found["warnings"] == []


def test_more_devices_are_faster_by_their_number(capsys: pytest.CaptureFixture[str]) -> None:
    tokens = ["--recipe", "roberta-base", "--tokens", "1_000_000_000"]
    for kind in PEAKS:
        one = plan(capsys, *tokens, "--device-kind", kind)
        four = plan(capsys, *tokens, "--device-kind", kind, "--devices", "4")
        assert one["hours"] == pytest.approx(4 * four["hours"])


def test_a_speed_of_ones_own(capsys: pytest.CaptureFixture[str]) -> None:
    found = plan(capsys, "--recipe", "tiny", "--tokens", "9000000", "--tokens-per-second", "1e4")
    assert found["hours"] == pytest.approx(found["steps"] * found["tokens_per_step"] / 1e4 / 3600)
    assert found["assumption"] == ""


def test_a_plan_on_a_cpu(capsys: pytest.CaptureFixture[str]) -> None:
    """A documented assumption, no memory of a device."""
    lines = text(capsys, "--recipe", "tiny", "--tokens", "9000000")
    assert "memory" not in lines
    assert lines["time"].endswith("(assumed: 20 GFLOP/s on each of 2 threads)")
    found = plan(capsys, "--recipe", "tiny", "--tokens", "9000000")
    assert found["memory_per_device_bytes"] is None
    assert found["tokens_per_second"] == pytest.approx(40e9 / found["flops_per_token"])
    checkpoint = size(12 * found["parameters"])
    assert lines["disk"].startswith(
        f"{size(4 * 12 * found['parameters'])}: checkpoints of {checkpoint}"
    )


def test_memory_below_a_gibibyte_is_in_mebibytes(capsys: pytest.CaptureFixture[str]) -> None:
    lines = text(capsys, "--recipe", "tiny", "--tokens", "9000000", "--device-kind", "T4")
    assert lines["memory"].startswith("about 1") and "MiB" in lines["memory"]


def test_too_little_data_is_a_warning_of_a_plan(
    small: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """And an error of a run."""
    for source in (["--shards", str(small)], ["--tokens", "20000"]):
        found = plan(capsys, *source, "--recipe", "roberta-base", "--data.length", "32")
        few, many = found["warnings"]
        assert few == (f"{found['samples']} samples of 32 tokens are fewer than one batch of 8192")
        assert many.startswith("the run repeats its data:")

    run = ["pretrain", "--shards", str(small), "--run", str(tmp_path / "run"), *runs.MINI]
    assert main([*run, "--batch", "8192"]) == 2
    assert "are fewer than one batch of 8192" in capsys.readouterr().err


def test_many_epochs_are_told_at_the_start(
    small: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """By source, in the plan and in the run; not where there are few."""
    epochs = plan(capsys, "--shards", str(small), *runs.MINI)["epochs"]
    steps = int(61 / (epochs["news"] / 1000)) + 1
    more = ["--steps", str(steps), "--max-hours", "1e-9"]
    run = ["pretrain", "--shards", str(small), "--run", str(tmp_path / "run"), *runs.MINI, *more]
    assert main(run) == 1
    said = capsys.readouterr().err
    assert "warning: the run repeats its data: news 61 times, books 61 times (BERT" in said

    assert plan(capsys, "--shards", str(small), *runs.MINI, "--steps", "200")["warnings"] == []
    mixed = plan(capsys, "--shards", str(small), *runs.MINI, *more[:2], "--mix", "news=4")
    assert "news 86 times" in mixed["warnings"][0] and "books" not in mixed["warnings"][0]


def test_a_run_that_starts_says_nothing_of_plans(
    small: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """No flag of a plan, no memory of a device on a CPU."""
    runs.train(
        ["pretrain", "--shards", str(small), "--run", str(tmp_path / "run"), *runs.MINI]
        + ["--steps", "10", "--optim.warmup-steps", "1"]
    )
    words = [line.split()[0] for line in capsys.readouterr().err.splitlines()]
    assert words[:6] == ["data", "format", "step", "run", "model", "disk"]
    assert "time" not in words and "memory" not in words


@pytest.mark.parametrize(
    "arguments, what",
    [
        (["--tokens", "5"], "--tokens: only a plan can use it"),
        (["--devices", "2", "--shards", "x"], "--devices: only a plan can use it"),
        (["--device-kind", "cpu", "--shards", "x"], "--device-kind: only a plan can use it"),
        (["--json", "--shards", "x"], "--json: only a plan can use it"),
        (["--dry-run"], "--shards: missing"),
        (["--dry-run", "--tokens", "-5"], "--tokens: -5 is not at least 1"),
        (["--dry-run", "--tokens", "5", "--shards", "x"], "--tokens: cannot be used with --shards"),
        (["--dry-run", "--tokens", "5", "--mix", "a=2"], "--tokens: cannot be used with --mix"),
        (["--dry-run", "--tokens", "5", "--device-kind", "Z1"], "--device-kind Z1: not known"),
        (["--dry-run", "--tokens", "5", "--devices", "3"], "cannot be shared among 3 ranks"),
        (
            ["--dry-run", "--tokens", "5", "--devices", "-1"],
            "--devices: -1 is not from 1 to 1,000,000",
        ),
    ],
)
def test_mistakes(arguments: list[str], what: str, capsys: pytest.CaptureFixture[str]) -> None:
    capsys.readouterr()
    assert main(["pretrain", *arguments]) == 2
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 2 and what in lines[0] and lines[1].startswith("hint: "), lines


def test_a_padding_far_behind_is_named() -> None:
    """A given vocabulary whose own padding is one of its last ids."""
    from trainer.budget import unread_positions
    from trainer.config import ModelConfig, Recipe

    for pad_id in (0, 1, 4):
        assert unread_positions(Recipe(model=ModelConfig(pad_id=pad_id))) == ""
    named = unread_positions(Recipe(model=ModelConfig(pad_id=50257)))
    assert "has the id 50,257, so 38.6 M parameters of the table of positions" in named
