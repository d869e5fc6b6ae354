"""Perplexities by a plain twin, their interval, words and special ids apart, and the warnings."""

import json
import math
import statistics
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import trainer_runs as runs
from trainer_fixtures import patterned_documents, random_shards, small_tokenizer, write_shards

from trainer import scores
from trainer.checkpoint import choose, load_model
from trainer.cli import main
from trainer.config import EvaluationConfig, MaskingConfig, load_recipe
from trainer.evaluate import validation_sets
from trainer.masking.tokens import IGNORED
from trainer.scores import few_tokens, other_masks, score
from trainer.wording import rounded


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A run with each style of masks, on the same shards, long enough to learn what is a label."""
    folder = tmp_path_factory.mktemp("scores")
    shards = random_shards(folder / "shards", count=80)
    for style in ("exact", "fairseq"):
        run = ["pretrain", "--shards", str(shards), "--run", str(folder / style), *runs.MINI]
        more = ["--steps", "80", "--optim.lr", "1e-2", "--masking.style", style]
        runs.train([*run, *more, "--evaluation.samples", "64"])
    return {style: folder / style for style in ("exact", "fairseq")} | {"shards": shards}


def evaluated(
    capsys: pytest.CaptureFixture[str], run: Path, masks: str
) -> tuple[dict[str, Any], list[str]]:
    capsys.readouterr()
    command = ["evaluate", "--run", str(run), "--masks", masks, "--device", "cpu"]
    assert main([*command, "--json"]) == 0
    said = capsys.readouterr()
    return json.loads(said.out), said.err.splitlines()


def twin(run: Path, shards: Path, masks: str) -> dict[str, list[list[float]]]:
    """For each kind of label, for each sample: the losses of its tokens, by plain Python."""
    path, state = choose(run)
    model = load_model(path, state).eval()
    masking = MaskingConfig(style=masks)  # type: ignore[arg-type]
    parts = validation_sets([str(shards)], 32, EvaluationConfig(samples=64), None, masking)
    found: dict[str, list[list[float]]] = {"words": [], "special": []}
    for part in parts:
        for ids, places, labels in zip(part.ids, part.places, part.labels, strict=True):
            wanted = [
                (int(place), int(label))
                for place, label in zip(places, labels, strict=True)
                if label != IGNORED
            ]
            row = torch.tensor(ids[None].astype(np.int64))
            with torch.no_grad():
                places_of = torch.tensor([place for place, _ in wanted])
                logits = model.forward(row, places_of)
            losses = -torch.log_softmax(logits.double(), -1)
            words: list[float] = []
            special: list[float] = []
            for number, (_, label) in enumerate(wanted):
                kind = special if label in part.special else words
                kind.append(float(losses[number, label]))
            found["words"].append(words)
            found["special"].append(special)
    return found


@pytest.mark.parametrize("masks", ["exact", "fairseq"])
def test_words_and_special_ids_equal_the_twin(
    masks: str, trained: dict[str, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    found, _ = evaluated(capsys, trained[masks], masks)
    whole = found["sources"]["all"]
    losses = twin(trained[masks], trained["shards"], masks)

    together = [a + b for a, b in zip(losses["words"], losses["special"], strict=True)]
    for figures, samples in (
        (whole, together),
        (whole["words"], losses["words"]),
        (whole["special"], losses["special"]),
    ):
        flat = [loss for sample in samples for loss in sample]
        if not flat:
            assert figures is None
            continue
        assert figures["masked"] == len(flat)
        assert figures["samples"] == sum(1 for sample in samples if sample)
        assert figures["loss"] == pytest.approx(statistics.fmean(flat), rel=1e-5)
        assert figures["perplexity"] == pytest.approx(math.exp(figures["loss"]))
        assert figures["perplexity_low"] < figures["perplexity"] < figures["perplexity_high"]
    assert (whole["special"] is None) == (masks == "exact")


def test_special_ids_are_learned_only_where_they_are_labels(
    trained: dict[str, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    """A run with exact masks gives special ids worse than a uniform guess; one with fairseq's gives
    them less loss than words."""
    exact, warned = evaluated(capsys, trained["exact"], "fairseq")
    guess = math.log(300)
    assert exact["sources"]["all"]["special"]["loss"] > guess
    assert any(
        "trained with exact masks, under which no special id is ever predicted" in line
        for line in warned
    )

    fairseq, warned = evaluated(capsys, trained["fairseq"], "fairseq")
    whole = fairseq["sources"]["all"]
    assert whole["special"]["loss"] < whole["words"]["loss"] < guess
    assert not any("masks and is scored on" in line for line in warned)
    _, warned = evaluated(capsys, trained["fairseq"], "exact")
    assert any("compare the figure with other runs" in line for line in warned)


def test_the_table_has_a_line_for_each_kind(
    trained: dict[str, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["evaluate", "--run", str(trained["fairseq"]), "--device", "cpu"]
    assert main([*command, "--masks", "fairseq"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "step 80, fairseq masks"
    names = [line[:24].strip() for line in lines[2:]]
    kinds = ["words", "special ids"]
    assert names == ["news", *kinds, "books", *kinds, "all", *kinds]

    assert main(command) == 0
    said = capsys.readouterr()
    assert [line[:24].strip() for line in said.out.splitlines()[2:]] == ["news", "books", "all"]
    assert "fewer than 10,000" in said.err


def test_the_interval_holds_the_truth() -> None:
    """Of 400 draws of 50 samples from a known distribution, about 95 % of the intervals hold its
    perplexity."""
    generator = np.random.default_rng(0)
    held = 0
    for _ in range(400):
        masked = generator.integers(5, 20, 50)
        # Tokens of one sample share a level, so they are not independent.
        levels = generator.normal(4.0, 0.5, 50)
        losses = levels * masked + generator.normal(0, 1, 50) * np.sqrt(masked)
        found = score(np.stack([losses, np.zeros(50), masked], 1).astype(np.float64))
        assert found.perplexity_low is not None and found.perplexity_high is not None
        held += found.perplexity_low < math.exp(4.0) < found.perplexity_high
    assert 0.92 < held / 400 < 0.98


def test_one_sample_has_no_interval() -> None:
    found = score(np.array([[10.0, 1.0, 4.0], [0.0, 0.0, 0.0]]))
    assert (found.loss, found.accuracy, found.masked, found.samples) == (2.5, 0.25, 4, 1)
    assert found.perplexity_low is None and scores.interval(found) == "one sample"


@pytest.mark.parametrize(
    "value, spread, text",
    [
        (1917.3, 330.0, "1,920"),
        (87.043, 1.3, "87.0"),
        (3.9871, 0.012, "3.987"),
        (3.9871, 0.000012, "3.987"),
        (3.9871, None, "4.0"),
        (1917.3, None, "1,900"),
        (0.1234, 0.02, "0.123"),
        (5.0, 0.0, "5.000"),
        (math.inf, 1.0, "infinite"),
        (math.nan, None, "nan"),
    ],
)
def test_no_more_digits_than_are_known(value: float, spread: float | None, text: str) -> None:
    assert rounded(value, spread) == text


def test_few_tokens() -> None:
    assert few_tokens(10_000, True, "--samples") == ""
    said = few_tokens(132, False, "--samples")
    assert said.startswith("only 132 masked tokens are scored") and "valid_fraction" in said
    assert few_tokens(9_999, True, "--samples").endswith("raise --samples")
    assert other_masks("exact", "exact") == ""


def test_a_run_warns_of_few_validation_tokens(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """And says how many there are with each perplexity."""
    tokenizer = small_tokenizer()
    size = tokenizer.get_vocab_size()
    groups = {
        ("train", "a"): [patterned_documents(0, 60, size)],
        ("valid", "a"): [patterned_documents(1, 2, size)],
    }
    shards = write_shards(tmp_path / "shards", tokenizer, groups)
    runs.train(
        ["pretrain", "--shards", str(shards), "--run", str(tmp_path / "run"), *runs.MINI]
        + ["--steps", "10", "--optim.warmup-steps", "1"]
    )
    said = capsys.readouterr().err
    line = next(line for line in runs.log(tmp_path / "run") if line["kind"] == "valid")
    assert line["masked"] < 200
    assert f"warning: only {line['masked']} masked tokens are scored" in said
    assert f"on {line['masked']} masked tokens" in said


def test_recipes_that_quote_a_perplexity_mask_as_the_paper_did() -> None:
    from trainer.config import recipe_names

    quoting = [name for name in recipe_names() if "perplexity" in load_recipe(name).source]
    assert len(quoting) >= 3
    assert {load_recipe(name).masking.style for name in quoting} == {"fairseq"}
