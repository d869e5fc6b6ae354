"""Runs under every objective: a small set is learnt by heart, a killed run that is resumed equals
one never killed, and any number of ranks trains the same model."""

import json
import math
from pathlib import Path

import numpy as np
import pytest
import trainer_runs as runs
from trainer_fixtures import patterned_documents, small_tokenizer, write_shards

from trainer import checkpoint
from trainer.cli import main

pytestmark = pytest.mark.builds

STEPS = 12

BERT = ("--model.family", "bert", "--model.layer-norm-eps", "1e-12")

ADAM = ("--optim.no-bias-correction", "--optim.schedule", "start", "--optim.beta2", "0.999")

PAIRS = ("--data.format", "segment-pair", "--objective.nsp")

SPANS = ("--masking.unit", "span", "--objective.sbo", "--model.span-targets", "2")

WAYS = {
    "segment pairs": (*BERT, *ADAM, *PAIRS),
    "sentence pairs": (*BERT, "--data.format", "sentence-pair", "--objective.nsp"),
    "spans of documents": (*BERT, "--data.format", "doc-sentences", *SPANS),
    "all three": ("--objective.nsp-weight", "0.5", *PAIRS, *SPANS),
    "pairs without a loss": ("--data.format", "segment-pair"),
}

KEYS = {"mlm": "mlm_loss", "nsp": "nsp_loss", "sbo": "sbo_loss"}


@pytest.fixture(scope="module")
def shards(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Few documents, so that a run goes through several epochs and plans."""
    tokenizer = small_tokenizer()
    size = tokenizer.get_vocab_size()
    groups = [patterned_documents(seed, 30, size) for seed in range(2)]
    valid = patterned_documents(9, 4, size)
    return write_shards(
        tmp_path_factory.mktemp("objectives") / "shards",
        tokenizer,
        {("train", "a"): groups, ("valid", "a"): [valid]},
    )


def arguments(shards: Path, run: Path, way: str, steps: int = STEPS) -> list[str]:
    return [
        "pretrain",
        *("--shards", str(shards), "--run", str(run)),
        *runs.MINI,
        *("--steps", str(steps), "--save-every", "1", "--keep", "100", "--log-every", "1"),
        *WAYS[way],
    ]


@pytest.fixture(scope="module", params=list(WAYS))
def whole(
    request: pytest.FixtureRequest, shards: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[str, Path]:
    """A way to train, and a run of it that was never stopped."""
    run = tmp_path_factory.mktemp("whole") / "run"
    runs.train(arguments(shards, run, request.param))
    return request.param, run


def test_the_log_holds_the_losses_that_are_on(whole: tuple[str, Path]) -> None:
    """Their weighted sum is the loss, and they begin near chance."""
    way, run = whole
    lines = [line for line in runs.log(run) if line["kind"] == "train"]
    first = lines[0]
    pairs = "--objective.nsp" in WAYS[way]
    spans = "--objective.sbo" in WAYS[way]
    assert first["mlm_loss"] == pytest.approx(math.log(300), abs=0.1)
    assert (first["nsp_loss"] is not None) == pairs
    assert (first["sbo_loss"] is not None) == (first["sbo_dropped"] is not None) == spans

    total = first["mlm_loss"]
    if pairs:
        assert first["nsp_loss"] == pytest.approx(math.log(2), abs=0.1)
        total += first["nsp_loss"] * (0.5 if "--objective.nsp-weight" in WAYS[way] else 1.0)
    if spans:
        assert first["sbo_loss"] == pytest.approx(math.log(300), abs=0.1)
        assert sum(line["sbo_dropped"] for line in lines) > 0
        total += first["sbo_loss"]
    assert first["loss"] == pytest.approx(total, abs=1e-6)


def test_a_killed_run_goes_on_to_the_same_bytes(
    whole: tuple[str, Path], shards: Path, tmp_path: Path
) -> None:
    way, reference = whole
    run = tmp_path / "run"
    assert runs.kill_at(arguments(shards, run, way), run, 5, 1) >= 5
    assert main([*arguments(shards, run, way), "--resume"]) == 0
    for file in checkpoint.FILES:
        ends = []
        for folder in (reference, run):
            path = folder / "checkpoints" / checkpoint.folder_name(STEPS) / file
            ends.append(path.read_bytes())
        assert ends[0] == ends[1], file
    assert runs.losses(reference) == runs.losses(run)


def ranks_are_equal(whole: tuple[str, Path], shards: Path, run: Path, ranks: int) -> None:
    """The losses of every objective agree, and the first gradient does."""
    way, reference = whole
    runs.train(arguments(shards, run, way), ranks=ranks)
    for key in KEYS.values():
        found = []
        for folder in (reference, run):
            lines = [line for line in runs.log(folder) if line["kind"] == "train"]
            found.append(np.array([line[key] or 0.0 for line in lines]))
        assert np.abs(found[0] - found[1]).max() <= 1e-5, key

    ours = runs.weights(reference, 1, "optimizer.safetensors")
    theirs = runs.weights(run, 1, "optimizer.safetensors")
    moments = [name for name in ours if name.startswith("exp_avg.")]
    largest = max(float(ours[name].abs().max()) for name in moments)
    assert largest > 1e-4
    for name in moments:
        assert float((ours[name] - theirs[name]).abs().max()) <= 1e-6 * largest, name


def test_two_ranks_train_the_same(whole: tuple[str, Path], shards: Path, tmp_path: Path) -> None:
    ranks_are_equal(whole, shards, tmp_path / "run", 2)


@pytest.mark.long
def test_four_ranks_train_the_same(whole: tuple[str, Path], shards: Path, tmp_path: Path) -> None:
    ranks_are_equal(whole, shards, tmp_path / "run", 4)


@pytest.mark.long
def test_compiled_objectives_train_the_same(shards: Path, tmp_path: Path) -> None:
    """Every objective at once; dropout draws differ when compiled, so it is off."""
    flat = ["--model.dropout", "0", "--model.attention-dropout", "0"]
    found = []
    for name, more in (("eager", []), ("compiled", ["--compile", "on"])):
        runs.train([*arguments(shards, tmp_path / name, "all three", steps=4), *flat, *more])
        found.append(np.array(runs.losses(tmp_path / name)))
    assert np.abs(found[0] - found[1]).max() < 1e-4


def test_a_run_can_be_exported_and_begun_from(
    whole: tuple[str, Path], shards: Path, tmp_path: Path
) -> None:
    """The export of a run, its heads with it, is where the next one starts."""
    way, reference = whole
    out = tmp_path / "out"
    assert main(["export", "--run", str(reference), "--out", str(out)]) == 0
    kind = "RobertaForMaskedLM"
    if "--model.family" in WAYS[way]:
        kind = "BertForPreTraining" if "--objective.nsp" in WAYS[way] else "BertForMaskedLM"
    assert json.loads((out / "config.json").read_text())["architectures"] == [kind]
    assert (out / "heads.safetensors").exists() == ("--objective.sbo" in WAYS[way])

    # The shape and the family are those of the weights, so they are not given.
    given = arguments(shards, tmp_path / "next", way, steps=1)
    for flag in BERT[::2]:
        if flag in given:
            place = given.index(flag)
            del given[place : place + 2]
    still = ["--init", str(out), "--optim.lr", "1e-30", "--optim.weight-decay", "0"]
    runs.train([*given, *still])
    assert runs.same(runs.weights(reference, STEPS), runs.weights(tmp_path / "next", 1))


@pytest.mark.parametrize(
    "flags, error",
    [
        (["--objective.nsp"], "objective.nsp: the samples of data.format full-sentences are not"),
        (["--objective.sbo"], "objective.sbo: masks of masking.unit token have no spans"),
        (["--data.format", "sentence-pair"], "data.format: sentence-pair is for next sentence"),
        (["--objective.no-mlm"], "objective: no objective is on"),
        (
            [*PAIRS, "--masking.style", "fairseq"],
            "masking.style: fairseq masks </s> too, which tells the two parts of a pair apart",
        ),
        ([*PAIRS, "--objective.nsp-weight", "0"], "objective.nsp_weight: 0.0 is not above 0"),
    ],
)
def test_what_cannot_work_is_refused_in_one_line(
    shards: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    flags: list[str],
    error: str,
) -> None:
    words = ["pretrain", "--shards", str(shards), "--run", str(tmp_path / "run"), *runs.MINI]
    assert main([*words, *flags]) == 2
    said = capsys.readouterr().err.splitlines()
    assert said[0].startswith(f"error: {error}") and said[1].startswith("hint: ")
    assert len(said) == 2 and not (tmp_path / "run").exists()
