"""Every setting has bounds: a number that cannot work is refused by its name before anything
starts."""

import dataclasses
import json
import math
from pathlib import Path

import pytest
import trainer_runs as runs
from trainer_fixtures import random_documents, small_tokenizer, write_shards

from shards.errors import UserError
from trainer import budget
from trainer.cli import main
from trainer.config import Recipe, check, load_recipe


def numbers(table: object, prefix: str = "") -> list[tuple[str, float]]:
    """The keys and values of all numbers of a recipe."""
    found: list[tuple[str, float]] = []
    for field in dataclasses.fields(table):  # type: ignore[arg-type]
        value = getattr(table, field.name)
        if dataclasses.is_dataclass(value):
            found += numbers(value, f"{prefix}{field.name}.")
        elif isinstance(value, (int, float)) and not isinstance(value, bool):
            found.append((prefix + field.name, value))
    return found


def changed(recipe: Recipe, key: str, value: float) -> Recipe:
    table, _, name = key.rpartition(".")
    if not table:
        return dataclasses.replace(recipe, **{name: value})
    inner = dataclasses.replace(getattr(recipe, table), **{name: value})
    return dataclasses.replace(recipe, **{table: inner})


KEYS = numbers(Recipe(phase=dataclasses.replace(Recipe().phase, share=0.5)))


@pytest.mark.parametrize("key, value", KEYS, ids=[key for key, _ in KEYS])
def test_every_number_has_bounds(key: str, value: float) -> None:
    base = Recipe(phase=dataclasses.replace(Recipe().phase, share=0.5))
    bad: list[float] = [-1, 10**30]
    if isinstance(value, float):
        bad = [-1.0, math.nan, math.inf]
    for wrong in bad:
        with pytest.raises(UserError) as caught:
            check(changed(base, key, wrong))
        assert caught.value.what.startswith(key), (wrong, caught.value.what)
    check(base)


def test_every_built_in_recipe_is_within_the_bounds() -> None:
    from trainer.config import recipe_names

    for name in recipe_names():
        check(load_recipe(name))


@pytest.mark.parametrize("key", ["optim.eps", "model.layer_norm_eps", "guard.spike_deviations"])
def test_nothing_is_divided_by_zero(key: str) -> None:
    with pytest.raises(UserError, match=f"{key}: 0.0 is not above 0"):
        check(changed(Recipe(), key, 0.0))


@pytest.mark.parametrize(
    "flags, what",
    [
        (["--ranks-timeout", "0"], "--ranks-timeout: 0.0 is not above 0"),
        (["--ranks-timeout", "nan"], "--ranks-timeout: nan is not above 0"),
        (["--max-hours", "-1"], "max_hours: -1.0 is not at least 0"),
        (["--guard.spike-window", "-5"], "guard.spike_window: -5 is not from 0"),
        (["--evaluation.samples", "0"], "evaluation.samples: 0 is not from 1"),
        (["--dry-run", "--tokens-per-second", "-3"], "--tokens-per-second: -3.0 is not at least"),
        (["--dry-run", "--devices", "-1"], "--devices: -1 is not from 1"),
    ],
)
def test_flags(
    small: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], flags: list[str], what: str
) -> None:
    command = ["pretrain", "--shards", str(small), "--run", str(tmp_path / "run"), *runs.MINI]
    assert main([*command, *flags]) == 2
    assert f"error: {what}" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


def test_flags_of_other_commands(small: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["show", "--shards", str(small), "--sample", "-1"]) == 2
    assert "error: --sample: -1 is not from 0" in capsys.readouterr().err
    assert main(["evaluate", "--run", "run", "--samples", "-1"]) == 2
    assert "error: --samples: -1 is not at least 0" in capsys.readouterr().err


# --- nothing to learn, nothing to score


def test_masks_that_choose_nothing_are_refused() -> None:
    recipe = load_recipe("tiny")
    length = recipe.data.length
    rate = 0.49 / (length - 2)
    with pytest.raises(UserError, match=f"masks no token of a sample of {length} tokens"):
        check(changed(recipe, "masking.rate", rate))
    check(changed(recipe, "masking.rate", 0.51 / (length - 2)))


def test_a_batch_without_labels_is_named_once(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Samples of one token each: 15 % of one is no token."""
    one = [[[10 + number % 50]] for number in range(40)]
    import numpy as np

    documents = [[np.array(sentence) for sentence in document] for document in one]
    valid = {("valid", "a"): [documents[:3]]}
    groups = [[document] for document in documents]
    folder = write_shards(tmp_path / "s", small_tokenizer(), {("train", "a"): groups, **valid})

    run = tmp_path / "run"
    command = ["pretrain", "--shards", str(folder), "--run", str(run), *runs.MINI]
    assert main([*command, "--steps", "3", "--optim.warmup-steps", "1", "--log-every", "1"]) == 0
    said = capsys.readouterr().err
    assert said.count("has no label for objective mlm") == 1
    assert "no validation perplexity: no token is masked" in said

    lines = runs.log(run)
    train = [line for line in lines if line["kind"] == "train"]
    assert [line["loss"] for line in train] == [None] * 3
    assert [line["perplexity"] for line in train] == [None] * 3
    valid_line = next(line for line in lines if line["kind"] == "valid")
    assert (valid_line["masked"], valid_line["perplexity"], valid_line["loss"]) == (0, None, None)

    assert main(["evaluate", "--run", str(run), "--device", "cpu", "--json"]) == 0
    found = json.loads(capsys.readouterr().out, parse_constant=lambda name: pytest.fail(name))
    assert found["sources"]["all"]["perplexity"] is None
    assert main(["evaluate", "--run", str(run), "--device", "cpu"]) == 0
    assert "nothing masked" in capsys.readouterr().out


# --- small things that were silent


def test_the_same_shards_twice(
    small: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["pretrain", "--run", str(tmp_path / "run"), *runs.MINI]
    link = tmp_path / "link"
    link.symlink_to(small)
    for other in (small, link):
        twice = ["--shards", str(small), "--shards", str(other)]
        for more in ([], ["--dry-run"]):
            assert main([*command, *twice, *more]) == 2
            said = capsys.readouterr().err
            assert f"the same shard is given twice: {small}/train-news-00000.arrow and " in said
            assert f"{other}/train-news-00000.arrow" in said
    assert not (tmp_path / "run").exists()


def test_a_source_without_tokens_in_a_mix(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tokenizer = small_tokenizer()
    size = tokenizer.get_vocab_size()
    groups = {
        ("train", "full"): [random_documents(0, 40, size)],
        ("train", "empty"): [[[], []]],
        ("valid", "full"): [random_documents(1, 5, size)],
    }
    folder = write_shards(tmp_path / "s", tokenizer, groups)
    command = ["pretrain", "--shards", str(folder), "--run", str(tmp_path / "run"), *runs.MINI]
    more = ["--mix", "full=2", "--steps", "2", "--optim.warmup-steps", "1"]
    assert main([*command, *more]) == 0, capsys.readouterr().err
    start = runs.log(tmp_path / "run")[0]
    assert start["epochs"]["empty"] == 0.0 and start["epochs"]["full"] > 0


@pytest.mark.parametrize(
    "batch, micro, ranks, found", [(7, 3, 1, 1), (64, 32, 1, 0), (96, 40, 1, 0), (62, 32, 2, 0)]
)
def test_much_smaller_micro_batches_are_named(
    batch: int, micro: int, ranks: int, found: int
) -> None:
    recipe = dataclasses.replace(load_recipe("tiny"), batch=batch, micro_batch=micro)
    warning = budget.small_micro_batch(recipe, ranks)
    assert bool(warning) == bool(found)
    if found:
        assert "of 1 instead of 3 samples" in warning and "multiple of 3" in warning


def test_a_run_without_its_small_files(
    small: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = tmp_path / "run"
    command = ["pretrain", "--shards", str(small), "--run", str(run), *runs.MINI]
    steps = ["--steps", "4", "--optim.warmup-steps", "1", "--save-every", "2"]
    runs.train([*command, *steps])
    whole = runs.weights(run, 4)
    content = (run / "run.json").read_text()

    import shutil

    shutil.rmtree(run / "checkpoints" / "step-00000004")
    (run / "run.json").unlink()
    runs.train(["pretrain", "--shards", str(small), "--run", str(run), "--resume"])
    assert (run / "run.json").read_text() == content
    assert runs.same(runs.weights(run, 4), whole)

    (run / "recipe.toml").unlink()
    capsys.readouterr()
    assert main(["pretrain", "--shards", str(small), "--run", str(run), "--resume"]) == 2
    said = capsys.readouterr().err
    assert f"error: {run}/recipe.toml: missing" in said and "hint: give the --recipe" in said

    shutil.rmtree(run / "checkpoints" / "step-00000004")
    runs.train([*command, *steps, "--resume"])
    assert (run / "recipe.toml").exists() and runs.same(runs.weights(run, 4), whole)


def test_training_with_the_masks_of_fairseq_says_how_it_is_validated(
    small: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["pretrain", "--shards", str(small), *runs.MINI, "--steps", "1"]
    short = [*command, "--optim.warmup-steps", "0"]
    assert main([*short, "--run", str(tmp_path / "a"), "--masking.style", "fairseq"]) == 0
    assert "note: validation while training masks exactly" in capsys.readouterr().err
    assert main([*short, "--run", str(tmp_path / "b")]) == 0
    assert "masks exactly" not in capsys.readouterr().err
