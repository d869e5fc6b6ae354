"""--keep-best: the checkpoint with the lowest validation loss stays, and is used by name."""

import json
import shutil
from pathlib import Path

import pytest
import trainer_runs as runs
from trainer_fixtures import patterned_documents, small_tokenizer, write_shards

from trainer.checkpoint import list_checkpoints, read_state
from trainer.cli import main


@pytest.fixture(scope="module")
def overfitting(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Little data and no dropout: the validation loss falls, then rises."""
    tokenizer = small_tokenizer()
    size = tokenizer.get_vocab_size()
    groups = {
        ("train", "a"): [patterned_documents(0, 6, size)],
        ("valid", "a"): [patterned_documents(1, 30, size)],
    }
    shards = tmp_path_factory.mktemp("keep") / "shards"
    write_shards(shards, tokenizer, groups)
    return shards


def arguments(shards: Path, run: Path, *more: str) -> list[str]:
    plain = ["--model.dropout", "0", "--model.attention-dropout", "0", "--optim.lr", "3e-2"]
    sizes = ["--batch", "8", "--steps", "60", "--optim.warmup-steps", "4", "--keep", "1"]
    every = ["--save-every", "20", "--evaluation.every", "6", "--evaluation.samples", "32"]
    return [
        *("pretrain", "--shards", str(shards), "--run", str(run)),
        *(*runs.MINI, *plain, *sizes, *every, *more),
    ]


def steps(run: Path) -> list[int]:
    return sorted(int(path.name[5:]) for path in list_checkpoints(run))


def best_of_log(run: Path) -> tuple[float, int]:
    lines = [line for line in runs.log(run) if line["kind"] == "valid" and line["source"] == "all"]
    return min((line["loss"], line["step"]) for line in lines)


@pytest.fixture(scope="module")
def kept(overfitting: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    run = tmp_path_factory.mktemp("kept") / "run"
    runs.train(arguments(overfitting, run, "--keep-best"))
    return run


def test_the_best_stays_beside_the_last(kept: Path) -> None:
    loss, step = best_of_log(kept)
    assert step not in (60, 20, 40), "the best is one that nothing else would have kept"
    assert steps(kept) == [step, 60]
    state = read_state(list_checkpoints(kept)[0])
    assert (state.best_step, state.best_loss) == (step, loss)


def test_the_best_is_used_by_name(
    kept: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    loss, step = best_of_log(kept)
    capsys.readouterr()
    evaluated = ["evaluate", "--run", str(kept), "--step", "best", "--device", "cpu", "--json"]
    assert main(evaluated) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["step"] == step and found["sources"]["all"]["loss"] == pytest.approx(loss)

    out = ["export", "--run", str(kept), "--out", str(tmp_path / "out"), "--json"]
    assert main([*out, "--step", "best"]) == 0
    assert json.loads(capsys.readouterr().out)["step"] == step
    exported = (tmp_path / "out" / "model.safetensors").read_bytes()
    stored = kept / "checkpoints" / f"step-{step:08d}" / "model.safetensors"
    assert exported == stored.read_bytes()
    assert main(["show", str(kept), "--fill", "a <mask>", "--step", "best"]) == 0


def test_a_run_cut_anywhere_keeps_the_same(overfitting: Path, kept: Path, tmp_path: Path) -> None:
    """Stopped before, at and after the best, and resumed: the same checkpoints to the byte."""
    _, best = best_of_log(kept)
    for number, cut in enumerate((best - 1, best, best + 1, best + 8)):
        run = tmp_path / str(number)
        with pytest.MonkeyPatch.context() as patch:
            stop_at(patch, cut)
            assert main(arguments(overfitting, run, "--keep-best")) == 1
        runs.train(arguments(overfitting, run, "--keep-best", "--resume"))
        assert steps(run) == steps(kept)
        for step in steps(kept):
            for name in ("model.safetensors", "optimizer.safetensors", "state.json"):
                path = Path("checkpoints") / f"step-{step:08d}" / name
                assert (run / path).read_bytes() == (kept / path).read_bytes(), (cut, path)


def stop_at(patch: pytest.MonkeyPatch, step: int) -> None:
    """End a run as SIGTERM does, after so many steps."""
    from trainer.stop import StopFlag

    asked = 0

    def wanted(self: StopFlag) -> bool:
        nonlocal asked
        asked += 1
        return asked >= step

    patch.setattr(StopFlag, "wanted", wanted)


def test_without_the_flag_the_best_is_not_kept(
    overfitting: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """And its step is named with the remedy."""
    run = tmp_path / "run"
    runs.train(arguments(overfitting, run))
    _, step = best_of_log(run)
    assert steps(run) == [60]
    capsys.readouterr()
    for command in (["evaluate"], ["export", "--out", str(tmp_path / "out")]):
        assert main([*command, "--run", str(run), "--step", "best"]) == 2
        error, hint = capsys.readouterr().err.splitlines()
        assert error == (
            f"error: {run}: the best validation was at step {step}, and its checkpoint was not kept"
        )
        assert "--keep-best" in hint


def test_a_run_without_validation_has_no_best(
    overfitting: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shards = tmp_path / "shards"
    shutil.copytree(overfitting, shards)
    manifest = json.loads((shards / "manifest.json").read_text())
    manifest["shards"] = [entry for entry in manifest["shards"] if entry["split"] == "train"]
    (shards / "manifest.json").write_text(json.dumps(manifest))
    runs.train(arguments(shards, tmp_path / "run", "--keep-best"))
    assert steps(tmp_path / "run") == [60]
    capsys.readouterr()
    assert main(["export", "--run", str(tmp_path / "run"), "--out", "x", "--step", "best"]) == 2
    assert "no validation yet" in capsys.readouterr().err


@pytest.mark.parametrize("step", ["bset", "-1", "1.5"])
def test_a_wrong_step(kept: Path, step: str, capsys: pytest.CaptureFixture[str]) -> None:
    capsys.readouterr()
    assert main(["evaluate", "--run", str(kept), f"--step={step}"]) == 2
    assert f"--step: {step!r} is neither a step nor best" in capsys.readouterr().err
