"""TensorBoard and W&B go on after a resume without doubles, and never end a run. Both are stand-ins
here: what they are called with is what is tested."""

import json
import sys
import types
from pathlib import Path
from typing import Any

import pytest
import trainer_runs as runs

from shards.errors import UserError
from trainer.checkpoint import State
from trainer.cli import main
from trainer.log import Log, read_log
from trainer.trackers import Trackers, require_trackers


class Writer:
    """A SummaryWriter, and what TensorBoard shows of a folder: what is purged is gone."""

    shown: dict[tuple[str, int], list[float]] = {}

    def __init__(self, folder: str, purge_step: int | None = None) -> None:
        self.folder = folder
        if purge_step is not None:
            kept = {key: value for key, value in Writer.shown.items() if key[1] < purge_step}
            Writer.shown = kept

    def add_scalar(self, key: str, value: float, step: int) -> None:
        Writer.shown.setdefault((key, step), []).append(value)

    def flush(self) -> None:
        pass

    def close(self) -> None:
        pass


@pytest.fixture
def tensorboard(monkeypatch: pytest.MonkeyPatch) -> type[Writer]:
    module = types.ModuleType("torch.utils.tensorboard")
    module.SummaryWriter = Writer  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", module)
    Writer.shown = {}
    return Writer


class Wandb(types.ModuleType):
    """W&B, whose runs are known by their ids and take each step once."""

    def __init__(self) -> None:
        super().__init__("wandb")
        self.runs: dict[str, dict[int, dict[str, float]]] = {}
        self.began: list[dict[str, Any]] = []
        self.logged_in = True
        self.finished = 0

    def login(self) -> bool:
        return self.logged_in

    def init(self, **given: Any) -> Any:
        self.began.append(given)
        steps = self.runs.setdefault(given["id"], {})

        def log(numbers: dict[str, float], step: int) -> None:
            if step >= max(steps, default=0):
                steps.setdefault(step, {}).update(numbers)

        def finish() -> None:
            self.finished += 1

        return types.SimpleNamespace(log=log, finish=finish)


@pytest.fixture
def wandb(monkeypatch: pytest.MonkeyPatch) -> Wandb:
    module = Wandb()
    monkeypatch.setitem(sys.modules, "wandb", module)
    monkeypatch.delenv("WANDB_MODE", raising=False)
    return module


def command(small: Path, run: Path, *more: str) -> list[str]:
    base = ["pretrain", "--shards", str(small), "--run", str(run), *runs.MINI, "--log-every", "1"]
    return [*base, "--steps", "8", "--optim.warmup-steps", "1", "--save-every", "3", *more]


def cut_back(run: Path) -> None:
    """As if the run had been killed after step 8, before its checkpoint was saved."""
    import shutil

    shutil.rmtree(run / "checkpoints" / "step-00000008")


def test_a_resumed_run_has_each_number_once(
    small: Path, tmp_path: Path, tensorboard: type[Writer], wandb: Wandb
) -> None:
    run = tmp_path / "run"
    both = ["--track", "tensorboard", "--track", "wandb", "--track", "tensorboard"]
    runs.train(command(small, run, *both))
    shown = dict(tensorboard.shown)
    assert {step for _, step in shown} == set(range(1, 9))
    assert all(len(values) == 1 for values in shown.values())

    cut_back(run)
    runs.train(command(small, run, *both, "--resume"))
    # The time left is not known in the first steps after a start.
    left = {key for key in shown if key[0] != "train/seconds_left"}
    assert left == {key for key in tensorboard.shown if key[0] != "train/seconds_left"}
    assert all(len(values) == 1 for values in tensorboard.shown.values())
    assert tensorboard.shown["train/loss", 7] == shown["train/loss", 7]

    assert [given["resume"] for given in wandb.began] == ["allow", "allow"]
    assert len({given["id"] for given in wandb.began}) == 1 and wandb.finished == 2
    (steps,) = wandb.runs.values()
    assert sorted(steps) == list(range(1, 9))


def test_what_cannot_be_tracked_is_refused_before_anything_is_written(
    small: Path, tmp_path: Path, wandb: Wandb, capsys: pytest.CaptureFixture[str]
) -> None:
    wandb.logged_in = False
    run = tmp_path / "run"
    assert main(command(small, run, "--track", "wandb")) == 3
    assert "error: --track wandb: nobody is logged in" in capsys.readouterr().err

    def fail() -> bool:
        raise ValueError("api_key not configured (no-tty)\nmore lines")

    wandb.login = fail  # type: ignore[method-assign]
    assert main(command(small, run, "--track", "wandb")) == 3
    said = capsys.readouterr().err
    assert "error: --track wandb: api_key not configured (no-tty)\nhint: run wandb login" in said
    assert not run.exists()


def test_offline_needs_no_account(wandb: Wandb, monkeypatch: pytest.MonkeyPatch) -> None:
    wandb.logged_in = False
    monkeypatch.setenv("WANDB_MODE", "offline")
    require_trackers(("wandb",))


def test_a_module_that_cannot_be_loaded(monkeypatch: pytest.MonkeyPatch) -> None:
    def load(name: str) -> Any:
        raise TypeError("Descriptors cannot be created directly.\nmore")

    monkeypatch.setattr("importlib.import_module", load)
    with pytest.raises(UserError, match="--track tensorboard: Descriptors cannot be created"):
        require_trackers(("tensorboard",))


def test_a_tracker_that_fails_ends_itself_and_not_the_run(
    tmp_path: Path,
    tensorboard: type[Writer],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def full(*_: Any) -> None:
        raise OSError("No space left on device")

    monkeypatch.setattr(tensorboard, "add_scalar", full)
    trackers = Trackers(("tensorboard",), tmp_path, 0)
    for step in (1, 2):
        trackers.send("train", step, {"loss": 1.0})
    trackers.close()
    said = capsys.readouterr().err
    assert said.count("warning: --track tensorboard ended: No space left on device") == 1


def test_only_curves_are_tracked(tmp_path: Path, tensorboard: type[Writer]) -> None:
    trackers = Trackers(("tensorboard",), tmp_path, 0)
    trackers.send("start", 0, {"samples": 5})
    trackers.send("skip", 3, {"batch": 3, "loss": 2.0})
    trackers.send("valid", 4, {"source": "news", "loss": 2.0, "samples": 3})
    assert tensorboard.shown == {("valid/news/loss", 4): [2.0], ("valid/news/samples", 4): [3.0]}


# --- the log


def test_a_damaged_log_is_read_as_far_as_it_goes(
    small: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = tmp_path / "run"
    runs.train(command(small, run))
    whole = read_log(run)
    with open(run / "log.jsonl", "ab") as stream:
        stream.write(b'\xff\xfe\n5\n[1]\n{"kind": 3, "step": 1}\n{"kind": "train"}\n{"kind": "tra')
    assert read_log(run) == whole

    cut_back(run)
    assert main(["pretrain", "--run", str(run), "--resume"]) == 0
    assert main(["show", str(run)]) == 0
    trained = [line["step"] for line in read_log(run) if line["kind"] == "train"]
    assert trained == list(range(1, 9))


def test_a_skipped_batch_is_logged_once_over_a_resume(tmp_path: Path) -> None:
    """A batch that was skipped after the checkpoint will be skipped again."""
    lines: list[dict[str, Any]] = [
        {"kind": "train", "step": 1},
        {"kind": "skip", "step": 2, "batch": 1},
        {"kind": "train", "step": 2},
        {"kind": "skip", "step": 2, "batch": 3},
        {"kind": "train", "step": 3},
    ]
    text = "".join(json.dumps(line) + "\n" for line in lines)
    (tmp_path / "log.jsonl").write_text(text)
    Log(tmp_path, State(step=2, skipped=1, recipe={}, model={})).close()
    assert read_log(tmp_path) == lines[:3]
