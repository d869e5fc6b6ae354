"""The loop: it learns, logs, stops and goes on; what is not finite is left out."""

import dataclasses
import json
import math
import os
import signal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import trainer_runs as runs
from trainer_fixtures import patterned_documents, small_tokenizer, write_shards

from shards.errors import UserError
from trainer import checkpoint, update
from trainer import guard as guard_module
from trainer.checkpoint import State
from trainer.cli import main
from trainer.config import GuardConfig, ModelConfig, load_recipe
from trainer.evaluate import validation_sets
from trainer.models.pretraining import build
from trainer.objectives import losses
from trainer.objectives.cross_entropy import cross_entropy_sum
from trainer.optim import learning_rate


def arguments(shards: Path, run: Path, *more: str, steps: int = 20) -> list[str]:
    return [
        "pretrain",
        "--shards",
        str(shards),
        "--run",
        str(run),
        *runs.MINI,
        "--steps",
        str(steps),
        "--log-every",
        "1",
        *more,
    ]


@pytest.mark.builds
def test_overfits_a_small_set(tmp_path: Path) -> None:
    """Three documents, one epoch after another, masks anew each time: the loss falls below 0.1."""
    tokenizer = small_tokenizer()
    documents = patterned_documents(3, 3, tokenizer.get_vocab_size())
    folder = write_shards(tmp_path / "shards", tokenizer, {("train", "a"): [documents]})
    more = [
        "--model.dropout",
        "0",
        "--model.attention-dropout",
        "0",
        "--batch",
        "8",
        "--log-every",
        "10",
        "--optim.lr",
        "1e-2",
        "--optim.weight-decay",
        "0",
        "--model.hidden",
        "64",
        "--model.intermediate",
        "128",
    ]
    runs.train(arguments(folder, tmp_path / "run", *more, steps=300))
    found = [line["loss"] for line in runs.log(tmp_path / "run") if line["kind"] == "train"]
    assert np.mean(found[-5:]) < 0.1, found[-5:]


@pytest.mark.builds
def test_log(small: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    runs.train(arguments(small, run, "--log-every", "5", "--evaluation.every", "10"))
    lines = runs.log(run)
    assert [line["step"] for line in lines if line["kind"] == "train"] == [5, 10, 15, 20]
    train = next(line for line in lines if line["kind"] == "train")
    assert set(train) == {
        "kind",
        "step",
        "loss",
        "perplexity",
        "mlm_loss",
        "nsp_loss",
        "sbo_loss",
        "sbo_dropped",
        "learning_rate",
        "gradient_norm",
        "tokens_per_second",
        "mfu",
        "padding",
        "data_wait",
        "memory_bytes",
        "seconds_left",
        "skipped",
        "epoch",
        "samples",
    }
    assert (
        train["perplexity"] == pytest.approx(math.exp(train["loss"]))
        and train["mfu"] is None
        and train["padding"] == 0  # the line of an eager step has none
        and 0 <= train["data_wait"] < 1
    )
    assert train["samples"] == 5 * 32
    valid = [(line["step"], line["source"]) for line in lines if line["kind"] == "valid"]
    assert valid == [(step, source) for step in (10, 20) for source in ("news", "books", "all")]
    start = lines[0]
    assert (
        start["kind"] == "start"
        and start["accumulation"] == 4
        and start["tokens_per_step"] == 32 * 32
    )


def test_same_seed_same_run_other_seed_other_run(small: Path, tmp_path: Path) -> None:
    for name, seed in (("a", "3"), ("b", "3"), ("c", "4")):
        runs.train(arguments(small, tmp_path / name, "--seed", seed, steps=5))
    assert runs.losses(tmp_path / "a") == runs.losses(tmp_path / "b") != runs.losses(tmp_path / "c")
    assert runs.same(runs.weights(tmp_path / "a", 5), runs.weights(tmp_path / "b", 5))


def test_the_first_losses_stay_as_they_are(small: Path, tmp_path: Path) -> None:
    """A golden list: a change here is a change of the model that a recipe trains."""
    runs.train(arguments(small, tmp_path / "run", steps=12))
    golden = Path(__file__).parent / "golden" / "losses.json"
    found = runs.losses(tmp_path / "run")
    if os.environ.get("UPDATE_GOLDEN"):
        golden.parent.mkdir(exist_ok=True)
        golden.write_text(json.dumps(found, indent=1) + "\n")
    assert found == pytest.approx(json.loads(golden.read_text()), abs=2e-4)


@pytest.mark.parametrize("precision", ["bf16", "fp16"])
@pytest.mark.builds
def test_half_precision(small: Path, tmp_path: Path, precision: str) -> None:
    """Autocast and, for fp16, the loss scale; losses stay near those of fp32, weights are fp32."""
    runs.train(arguments(small, tmp_path / "full"))
    runs.train(arguments(small, tmp_path / "half", "--precision", precision))
    full, half = runs.losses(tmp_path / "full"), runs.losses(tmp_path / "half")
    assert full != half and np.abs(np.array(full) - np.array(half)).max() < 0.05
    assert all(
        tensor.dtype == torch.float32 for tensor in runs.weights(tmp_path / "half", 20).values()
    )


@pytest.mark.builds
def test_an_overflow_of_fp16_is_skipped_and_the_scale_halved(
    small: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(State, "__init__", _with(State.__init__, scale=2.0**40))
    run = tmp_path / "run"
    runs.train(arguments(small, run, "--precision", "fp16", steps=6))
    skipped = [line for line in runs.log(run) if line["kind"] == "skip"]
    state = checkpoint.read_state(run / "checkpoints" / "step-00000006")
    assert len(skipped) == state.skipped > 5 and state.nonfinite == 0 and state.scale < 2.0**40
    assert state.batches == 6 + state.skipped


def _with(original: Any, **defaults: Any) -> Any:
    return lambda self, **values: original(self, **{**defaults, **values})


def poison(monkeypatch: pytest.MonkeyPatch, bad: set[int]) -> None:
    """Make the loss of these micro-batches (counted from 0) not a number."""
    calls = iter(range(10**6))
    real = cross_entropy_sum
    monkeypatch.setattr(
        losses,
        "cross_entropy_sum",
        lambda logits, labels: real(logits, labels) * (float("nan") if next(calls) in bad else 1.0),
    )


def test_a_loss_that_is_not_finite_is_skipped_and_counted(
    small: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    poison(monkeypatch, {9})  # in the third batch of four micro-batches
    run = tmp_path / "run"
    runs.train(arguments(small, run, steps=5))
    lines = runs.log(run)
    assert [
        (line["step"], line["batch"], line["loss"]) for line in lines if line["kind"] == "skip"
    ] == [(2, 2, None)]
    assert len(runs.losses(run)) == 5
    assert all(torch.isfinite(tensor).all() for tensor in runs.weights(run, 5).values())
    assert [line["samples"] for line in lines if line["kind"] == "train"] == [32, 64, 128, 160, 192]


def test_many_losses_that_are_not_finite_end_the_run(
    small: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    poison(monkeypatch, set(range(12, 100)))
    assert (
        main(
            arguments(small, tmp_path / "run", "--guard.nonfinite-limit", "3", "--save-every", "2")
        )
        == 1
    )
    said = capsys.readouterr().err
    assert (
        "error: 3 batches with a loss or gradient that is not finite; the last checkpoint is "
        "step-00000002"
    ) in said and "hint: " in said


def test_spike_guard(tmp_path: Path) -> None:
    guard = GuardConfig(spike_window=10, spike_deviations=5, spike_limit=3)
    state = State(recipe={}, model={})
    for value in np.linspace(3, 2, 30):
        state = guard_module.watch_loss(state, float(value), guard, tmp_path, None)
    assert len(state.losses) == 10 and state.spikes == 0
    state = guard_module.watch_loss(
        guard_module.watch_loss(state, 9.0, guard, tmp_path, None), 9.0, guard, tmp_path, None
    )
    assert state.spikes == 2 and 9.0 not in state.losses
    assert guard_module.watch_loss(state, 2.0, guard, tmp_path, None).spikes == 0
    with pytest.raises(UserError, match="far above its median"):
        guard_module.watch_loss(state, 9.0, guard, tmp_path, None)
    assert (
        guard_module.watch_loss(
            state, 9.0, dataclasses.replace(guard, spike_window=0), tmp_path, None
        )
        == state
    )


@pytest.mark.parametrize("sent, code", [(signal.SIGTERM, 1), (signal.SIGINT, 130)])
@pytest.mark.builds
def test_a_signal_saves_and_stops(
    small: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    sent: signal.Signals,
    code: int,
) -> None:
    real = learning_rate

    def send(step: int, *rest: Any) -> float:
        if step == 6:
            os.kill(os.getpid(), sent)
        return real(step, *rest)

    run = tmp_path / "run"
    with monkeypatch.context() as patch:
        patch.setattr(update, "learning_rate", send)
        assert main(arguments(small, run)) == code
    stopped = runs.logged(run)
    assert 7 <= stopped < 20 and checkpoint.list_checkpoints(run)[0].name == checkpoint.folder_name(
        stopped
    )
    assert (
        f"stopped at step {stopped} of 20" in capsys.readouterr().err
        and runs.log(run)[-1]["kind"] == "stop"
    )
    assert main(arguments(small, run, "--resume")) == 0
    runs.train(arguments(small, tmp_path / "whole"))
    assert runs.same(runs.weights(run, 20), runs.weights(tmp_path / "whole", 20))


def test_max_hours(small: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = tmp_path / "run"
    assert main(arguments(small, run, "--max-hours", "1e-5", steps=20000)) == 1
    assert "(--max-hours) and saved; continue with --resume" in capsys.readouterr().err
    assert checkpoint.list_checkpoints(run)


def test_validation_is_stored_and_fixed(small: Path, tmp_path: Path) -> None:
    """The same masked samples whatever the training format, seed or masking; read back from the
    store."""
    runs.train(arguments(small, tmp_path / "a", steps=3))
    runs.train(
        arguments(
            small,
            tmp_path / "b",
            "--data.no-sentence-eos",
            "--seed",
            "9",
            "--masking.style",
            "fairseq",
            "--masking.rate",
            "0.3",
            steps=3,
        )
    )
    for source in ("news", "books"):
        assert (tmp_path / "a" / "validation" / f"{source}.safetensors").read_bytes() == (
            tmp_path / "b" / "validation" / f"{source}.safetensors"
        ).read_bytes()
    config = load_recipe(str(tmp_path / "a" / "recipe.toml")).evaluation
    stored = validation_sets([str(small)], 32, config, tmp_path / "a" / "validation")
    made = validation_sets([str(small)], 32, config)
    for one, other in zip(stored, made):
        assert (
            np.array_equal(one.ids, other.ids)
            and np.array_equal(one.places, other.places)
            and np.array_equal(one.labels, other.labels)
        )


def test_evaluate_equals_what_training_logged(
    small: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = tmp_path / "run"
    runs.train(arguments(small, run, steps=5))
    capsys.readouterr()
    assert main(["evaluate", "--run", str(run), "--device", "cpu", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    logged = {line["source"]: line for line in runs.log(run) if line["kind"] == "valid"}
    assert found["step"] == 5 and set(found["sources"]) == {"news", "books", "all"}
    for source, score in found["sources"].items():
        assert (
            score["loss"] == pytest.approx(logged[source]["loss"], abs=1e-6)
            and score["masked"] == logged[source]["masked"]
        )
    assert (
        main(["evaluate", "--run", str(run), "--device", "cpu", "--json", "--masks", "fairseq"])
        == 0
    )
    papers = json.loads(capsys.readouterr().out)["sources"]["all"]
    assert (
        papers["masked"] > found["sources"]["all"]["masked"]
        and papers["loss"] != found["sources"]["all"]["loss"]
    )


def test_init_begins_where_the_export_ended(small: Path, tmp_path: Path) -> None:
    runs.train(arguments(small, tmp_path / "a", steps=3))
    assert main(["export", "--run", str(tmp_path / "a"), "--out", str(tmp_path / "hf")]) == 0
    runs.train(
        arguments(
            small,
            tmp_path / "b",
            "--init",
            str(tmp_path / "hf"),
            "--optim.lr",
            "1e-30",
            "--optim.weight-decay",
            "0",
            steps=1,
        )
    )
    assert runs.same(runs.weights(tmp_path / "a", 3), runs.weights(tmp_path / "b", 1))


@pytest.mark.long
def test_compiled(small: Path, tmp_path: Path) -> None:
    """--compile on trains the same model up to rounding (dropout draws differ, so it is off)."""
    flat = ["--model.dropout", "0", "--model.attention-dropout", "0"]
    runs.train(arguments(small, tmp_path / "eager", *flat, steps=6))
    runs.train(arguments(small, tmp_path / "compiled", *flat, "--compile", "on", steps=6))
    assert (
        np.abs(
            np.array(runs.losses(tmp_path / "eager")) - np.array(runs.losses(tmp_path / "compiled"))
        ).max()
        < 1e-4
    )


def test_threads_do_not_change_dropout() -> None:
    """Keyed dropout is the same on one thread and on two, so that ranks with other thread counts
    draw the same."""
    model = build(
        ModelConfig(layers=1, hidden=64, intermediate=64, heads=2, positions=32, vocab_size=300), 0
    ).train()
    ids, found = torch.randint(4, 299, (64, 32), generator=torch.Generator().manual_seed(0)), []
    before = torch.get_num_threads()
    for threads in (1, 2):
        torch.set_num_threads(threads)
        torch.manual_seed(7)
        found.append(model(ids, torch.arange(64 * 32)))
    torch.set_num_threads(before)
    assert torch.allclose(found[0][:, :300], found[1][:, :300], atol=1e-5)
