"""A fine-tuning run is its configuration: twice the same, killed and resumed the same, and the same
on two ranks."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import task_models as models
import torch
import trainer_runs as runs

from shards.errors import UserError
from trainer import checkpoint
from trainer.cli import main
from trainer.tasks import finetune
from trainer.tasks.folder import read_result
from trainer.tasks.scoring.predictions import read_predictions

STEPS = 60


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("own")
    models.init_directory(folder / "init")
    models.write_own(folder / "train.jsonl", 160, 0, pair=True)
    models.write_own(folder / "dev.jsonl", 50, 1, pair=True)
    return folder


def arguments(files: Path, run: Path, *more: str) -> list[str]:
    return [
        "finetune",
        *("--task", "own", "--train", str(files / "train.jsonl")),
        *("--dev", str(files / "dev.jsonl"), "--pair-column", "other", "--id-column", "id"),
        *("--init", str(files / "init"), "--run", str(run), "--device", "cpu"),
        *("--epochs", "6", "--batch", "16", "--micro-batch", "4", "--optim.lr", "3e-3"),
        *("--log-every", "1", "--resume"),
        *more,
    ]


@pytest.fixture(scope="module")
def whole(files: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    run = tmp_path_factory.mktemp("whole") / "run"
    runs.train(arguments(files, run))
    return run


def assert_same(one: Path, other: Path) -> None:
    for path in sorted((one / "checkpoints").iterdir()):
        for name in (*checkpoint.FILES, checkpoint.DIGESTS):
            there = other / "checkpoints" / path.name / name
            assert (path / name).read_bytes() == there.read_bytes(), f"{path.name}/{name}"
    assert (one / "result.json").read_bytes() == (other / "result.json").read_bytes()
    assert runs.losses(one) == runs.losses(other)


def test_it_learns_and_keeps_the_best(whole: Path) -> None:
    result = read_result(whole)
    assert result is not None and result.steps == STEPS
    assert result.value is not None and result.value >= 0.9
    found = [line for line in runs.log(whole) if line["kind"] == "dev"]
    assert [line["step"] for line in found] == [10, 20, 30, 40, 50, 60]
    best = max(found, key=lambda line: line["accuracy"])
    assert (result.best_step, result.value) == (best["step"], best["accuracy"])
    kept = {path.name for path in (whole / "checkpoints").iterdir()}
    assert kept == {f"step-{result.best_step:08d}", f"step-{STEPS:08d}"}


def test_two_runs_are_equal_to_the_bit(files: Path, whole: Path, tmp_path: Path) -> None:
    runs.train(arguments(files, tmp_path / "run"))
    assert_same(whole, tmp_path / "run")


@pytest.mark.builds
def test_killed_and_resumed(files: Path, whole: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    killed = [runs.kill_at(arguments(files, run), run, step, 1) for step in (7, 33)]
    assert killed[-1] < STEPS
    # The command of the resumption need not say again what the run has stored.
    assert main(["finetune", "--run", str(run), "--resume", "--device", "cpu"]) == 0
    assert_same(whole, run)


@pytest.mark.builds
@pytest.mark.parametrize("micro", ["4", "8"])
def test_two_ranks_are_equal_to_the_bit(
    files: Path, whole: Path, tmp_path: Path, micro: str
) -> None:
    """Four micro-batches on one rank are added up as two on each of two."""
    alone = whole
    more = ["--micro-batch", micro]
    if micro != "4":
        alone = tmp_path / "alone"
        runs.train(arguments(files, alone, *more))
    runs.train(arguments(files, tmp_path / "run", *more), ranks=2)
    assert_same(alone, tmp_path / "run")


def test_micro_batches_change_nothing_but_dropout(files: Path, tmp_path: Path) -> None:
    flat = ["--dropout", "0", "--attention-dropout", "0", "--epochs", "1"]
    found = []
    for micro in ("16", "4", "1"):
        run = tmp_path / micro
        runs.train(arguments(files, run, *flat, "--micro-batch", micro))
        found.append(np.array(runs.losses(run)))
    assert np.abs(found[0] - found[1]).max() < 1e-5 and np.abs(found[0] - found[2]).max() < 1e-5


def test_other_settings_and_data_are_refused(
    files: Path, whole: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    run = tmp_path / "run"
    runs.train(arguments(files, run, "--epochs", "1"))
    (run / "result.json").unlink()
    assert main(arguments(files, run, "--epochs", "1", "--optim.lr", "1e-4")) == 2
    assert "optim.lr: 0.0001, the run was started with 0.003" in capsys.readouterr().err
    assert main([word for word in arguments(files, run) if word != "--resume"]) == 2
    assert "there is a run in it" in capsys.readouterr().err
    models.write_own(files / "other.jsonl", 160, 5, pair=True)
    changed = arguments(files, run, "--epochs", "1", "--train", str(files / "other.jsonl"))
    assert main(changed) == 2
    assert "trained on other examples than these" in capsys.readouterr().err


def test_patience_ends_early(files: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    runs.train(arguments(files, run, "--patience", "1", "--epochs", "20"))
    result = read_result(run)
    assert result is not None and result.steps < 200
    assert result.best_step == result.steps - 10


class KilledError(BaseException):
    """Ends a run where it stands, as a signal that cannot be caught does."""


def killed(*_: object) -> None:
    raise KilledError


@pytest.mark.parametrize(
    ("place", "more"),
    [
        # Ended by patience, its last checkpoint is there, the result is not.
        ("folder.write_result", ["--patience", "1", "--epochs", "20"]),
        # Ended by its last step.
        ("folder.write_result", ["--epochs", "2"]),
        # A checkpoint of the step after which the loss is held against chance.
        ("chance_loss", ["--epochs", "3", "--chance-steps", "10"]),
        ("is_at_chance", ["--epochs", "3", "--chance-steps", "10"]),
    ],
)
def test_killed_between_a_checkpoint_and_what_comes_after_it(
    files: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str, more: list[str]
) -> None:
    whole, run = tmp_path / "whole", tmp_path / "run"
    runs.train(arguments(files, whole, *more))

    after = place == "is_at_chance"
    real = finetune.is_at_chance

    def said_and_killed(*given: Any) -> bool:
        real(*given)
        raise KilledError

    with monkeypatch.context() as patch:
        patch.setattr(f"trainer.tasks.finetune.{place}", said_and_killed if after else killed)
        with pytest.raises(KilledError):
            main(arguments(files, run, *more))
    assert not (run / "result.json").exists()

    runs.train(arguments(files, run, *more))
    assert_same(whole, run)
    events = [(line["kind"], line["step"]) for line in runs.log(whole) if line["kind"] != "start"]
    assert [(one["kind"], one["step"]) for one in runs.log(run) if one["kind"] != "start"] == events
    assert ("chance", 10) in events or "--chance-steps" not in more


def test_at_chance_is_said_and_restarted(
    files: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = tmp_path / "run"
    hopeless = ["--optim.lr", "1e-9", "--epochs", "2", "--restarts", "2"]
    runs.train(arguments(files, run, *hopeless))
    said = capsys.readouterr().err
    assert said.count("the run is at chance") == 3
    assert "after 5 steps the loss of" in said
    assert sorted(path.name for path in (run / "at-chance").iterdir()) == ["seed-0", "seed-1"]
    result = read_result(run)
    assert result is not None and result.seed == 2 and result.steps == 20
    line = [line for line in runs.log(run) if line["kind"] == "chance"]
    assert len(line) == 1 and line[0]["at_chance"] and abs(line[0]["guess"] - np.log(2)) < 0.02


def test_a_head_of_another_task_is_replaced(files: Path, whole: Path, tmp_path: Path) -> None:
    best = read_result(whole)
    assert best is not None
    rows = [json.loads(line) for line in (files / "train.jsonl").read_text().splitlines()]
    three = tmp_path / "three.jsonl"
    three.write_text(
        "".join(json.dumps({**row, "label": f"c{n % 3}"}) + "\n" for n, row in enumerate(rows))
    )
    run = tmp_path / "run"
    # A learning rate of almost nothing: what is trained is what was taken.
    still = ["--optim.lr", "1e-12", "--epochs", "0.1", "--init", str(whole)]
    own = ["--train", str(three), "--dev", str(three)]
    runs.train(arguments(files, run, *still, *own))
    before = runs.weights(whole, best.best_step)
    after = runs.weights(run, 1)
    assert after["classifier.out_proj.weight"].shape[0] == 3
    for name, tensor in after.items():
        close = tensor.shape == before[name].shape and torch.allclose(tensor, before[name])
        assert close == (not name.startswith("classifier") or name == "classifier.dense.bias_"), (
            name
        )

    # With the same labels the head stays.
    runs.train(arguments(files, tmp_path / "same", *still))
    after = runs.weights(tmp_path / "same", 1)
    assert all(torch.allclose(tensor, before[name]) for name, tensor in after.items())


def test_predict_and_export(
    files: Path, whole: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The file of predictions scores as the run says; transformers predicts the same labels."""
    from transformers import pipeline

    out = tmp_path / "dev.json"
    data = str(files / "dev.jsonl")
    command = ["predict", "--run", str(whole), "--data", data, "--split", "dev", "--out", str(out)]
    assert main([*command, "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    result = read_result(whole)
    assert result is not None and told["scores"]["accuracy"] == result.value
    predicted = json.loads(out.read_text())
    assert list(predicted) == [f"r{number}" for number in range(50)]

    score = ["score", "--task", "own", "--data", data, "--predictions", str(out)]
    assert main([*score, "--id-column", "id", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["accuracy"] == result.value

    # The same in the other formats, and from a file with other columns.
    other = tmp_path / "other.jsonl"
    renamed = {"text": "body", "other": "more", "label": "mark", "id": "key"}
    lines = []
    for line in (files / "dev.jsonl").read_text().splitlines():
        row = {renamed[name]: value for name, value in json.loads(line).items()}
        lines.append(json.dumps(row) + "\n")
    other.write_text("".join(lines))
    flags = ["--text-column", "body", "--pair-column", "more", "--label-column", "mark"]
    for name in ("dev.jsonl", "dev.tsv"):
        asked = ["--data", str(other), "--split", "dev", "--out", str(tmp_path / name)]
        assert main(["predict", "--run", str(whole), *asked, *flags, "--id-column", "key"]) == 0
        assert capsys.readouterr().err == f"{tmp_path / name}: 50 predictions of own\n"
        found = read_predictions(tmp_path / name)
        assert found.texts() == predicted and not found.in_order
        score = ["score", "--task", "own", "--data", data, "--predictions", str(tmp_path / name)]
        assert main([*score, "--id-column", "id", "--json"]) == 0
        assert json.loads(capsys.readouterr().out)["accuracy"] == result.value
    assert (tmp_path / "dev.tsv").read_text().startswith("index\tprediction\nr0\t")
    assert main(["predict", "--run", str(whole), *asked, *flags]) == 2
    said = capsys.readouterr().err.splitlines()
    assert said == [
        f"error: {other}, line 1: no column 'id'",
        "hint: name the column with --id-column: the file has body, key, mark, more",
    ]
    assert main(["predict", "--run", str(whole), "--data", data, "--out", "a.csv"]) == 2
    assert "the name does not end in .json, .jsonl, .tsv" in capsys.readouterr().err

    exported = tmp_path / "exported"
    assert main(["export", "--run", str(whole), "--out", str(exported)]) == 0
    settings = json.loads((exported / "config.json").read_text())
    assert settings["id2label"] == {"0": "bad", "1": "good"}
    assert settings["architectures"] == ["RobertaForSequenceClassification"]
    classify = pipeline("text-classification", model=str(exported))
    rows = [json.loads(line) for line in (files / "dev.jsonl").read_text().splitlines()]
    asked = [{"text": row["text"], "text_pair": row["other"]} for row in rows]
    answers = [classify(one)["label"] for one in asked]
    assert answers == list(predicted.values())

    # An export is a model to start from, its head included.
    still = ["--optim.lr", "1e-12", "--epochs", "0.1", "--init", str(exported)]
    runs.train(arguments(files, tmp_path / "again", *still))
    after = runs.weights(tmp_path / "again", 1)
    before = runs.weights(whole, result.best_step)
    assert all(torch.allclose(tensor, before[name]) for name, tensor in after.items())


def test_a_table_cannot_hold_a_tab(tmp_path: Path) -> None:
    from trainer.tasks.predict import write_predictions

    out = tmp_path / "answers.tsv"
    with pytest.raises(UserError, match="cannot hold the tab or line end in the prediction"):
        write_predictions(out, {"q": "a\tb"})
    assert not out.exists()
    write_predictions(tmp_path / "a.jsonl", {"q": "a\tb", "p": 0.5})
    assert read_predictions(tmp_path / "a.jsonl").texts() == {"q": "a\tb", "p": "0.5"}


def test_an_ensemble_averages(files: Path, whole: Path, tmp_path: Path) -> None:
    from trainer.tasks.predict import predict_runs

    other = tmp_path / "other"
    runs.train(arguments(files, other, "--seed", "1", "--epochs", "1"))
    data = files / "dev.jsonl"
    one = predict_runs([whole], "", data, "dev", "cpu").answers
    two = predict_runs([other], "", data, "dev", "cpu").answers
    both = predict_runs([whole, other], "", data, "dev", "cpu").answers
    assert np.abs(one.values - two.values).max() > 0.01
    assert np.array_equal(both.values, np.mean([one.values, two.values], axis=0))
    out = tmp_path / "both.json"
    command = ["ensemble", str(whole), str(other), "--data", str(data), "--out", str(out)]
    assert main(command) == 0
    labels = ["bad", "good"]
    expected = [labels[place] for place in both.values.argmax(1)]
    assert list(json.loads(out.read_text()).values()) == expected
