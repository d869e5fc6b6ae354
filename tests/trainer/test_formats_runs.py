"""Runs in every format, with every mask unit: a killed run that is resumed equals one never killed,
and any number of ranks trains the same model."""

from pathlib import Path

import numpy as np
import pytest
import trainer_runs as runs
from trainer_fixtures import patterned_documents, small_tokenizer, write_shards

from trainer.cli import main

pytestmark = pytest.mark.builds

STEPS = 24

WAYS = [
    ("doc-sentences", "span"),
    ("segment-pair", "word"),
    ("sentence-pair", "token"),
    ("full-sentences", "span"),
]


@pytest.fixture(scope="module")
def shards(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Few documents, so that a run goes through several epochs and plans."""
    tokenizer = small_tokenizer()
    size = tokenizer.get_vocab_size()
    groups = [patterned_documents(seed, 30, size) for seed in range(2)]
    valid = patterned_documents(9, 4, size)
    return write_shards(
        tmp_path_factory.mktemp("pairs") / "shards",
        tokenizer,
        {("train", "a"): groups, ("valid", "a"): [valid]},
    )


def objectives(name: str) -> list[str]:
    """Next sentence prediction, where the format has pairs."""
    return ["--objective.nsp"] if name in ("segment-pair", "sentence-pair") else []


def arguments(shards: Path, run: Path, way: tuple[str, str]) -> list[str]:
    name, unit = way
    # Pairs of single sentences are refused without their objective.
    objective = ["--model.family", "bert", "--objective.nsp"] if name == "sentence-pair" else []
    return [
        "pretrain",
        *("--shards", str(shards), "--run", str(run)),
        *runs.MINI,
        *("--data.format", name, "--masking.unit", unit, "--masking.static", "3"),
        *objectives(name),
        *objective,
        *("--steps", str(STEPS), "--save-every", "1", "--keep", "100", "--log-every", "1"),
    ]


@pytest.fixture(scope="module", params=WAYS, ids=lambda way: "-".join(way))
def whole(
    request: pytest.FixtureRequest, shards: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[tuple[str, str], Path]:
    """A way to train, and a run of it that was never stopped."""
    run = tmp_path_factory.mktemp("whole") / "run"
    runs.train(arguments(shards, run, request.param))
    return request.param, run


def test_a_killed_run_goes_on_to_the_same_bytes(
    whole: tuple[tuple[str, str], Path], shards: Path, tmp_path: Path
) -> None:
    way, reference = whole
    run = tmp_path / "run"
    seen = runs.kill_at(arguments(shards, run, way), run, 9, 1)
    assert seen >= 9
    assert main([*arguments(shards, run, way), "--resume"]) == 0
    for file in ("model.safetensors", "optimizer.safetensors"):
        assert runs.same(runs.weights(reference, STEPS, file), runs.weights(run, STEPS, file))
    assert runs.losses(reference) == runs.losses(run)


def ranks_are_equal(
    whole: tuple[tuple[str, str], Path], shards: Path, run: Path, ranks: int
) -> None:
    way, reference = whole
    runs.train(arguments(shards, run, way), ranks=ranks)
    assert np.abs(np.array(runs.losses(reference)) - np.array(runs.losses(run))).max() <= 1e-5
    ours, theirs = runs.weights(reference, 1), runs.weights(run, 1)
    assert max(float((ours[name] - theirs[name]).abs().max()) for name in ours) <= 1e-6


def test_two_ranks_train_the_same(
    whole: tuple[tuple[str, str], Path], shards: Path, tmp_path: Path
) -> None:
    ranks_are_equal(whole, shards, tmp_path / "run", 2)


@pytest.mark.long
def test_four_ranks_train_the_same(
    whole: tuple[tuple[str, str], Path], shards: Path, tmp_path: Path
) -> None:
    ranks_are_equal(whole, shards, tmp_path / "run", 4)


def test_the_first_line_of_the_log_tells_the_format(
    whole: tuple[tuple[str, str], Path],
) -> None:
    (name, _), run = whole
    start = runs.log(run)[0]
    assert start["kind"] == "start" and start["format"] == name
    if name in ("segment-pair", "sentence-pair"):
        assert start["random"] == 0.5 and start["pairs"] == start["sequences"] > 0
        assert start["borrowed"] > 0
    else:
        assert (start["pairs"], start["random"], start["trimmed"], start["dropped"]) == (0, 0, 0, 0)
    assert 0.3 < start["fill"] <= 1


def test_a_sample_is_shown_a_sequence_a_line(
    whole: tuple[tuple[str, str], Path], shards: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    import json

    (name, _), run = whole
    assert main(["show", str(run), "--sample", "5", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    # The random tokens hold line feeds too.
    lines = [f"<s>{part}" for part in found["text"].split("\n<s>")]
    lines[0] = lines[0].removeprefix("<s>")
    assert len(lines) == len(found["lengths"]) and sum(found["lengths"]) == len(found["ids"])
    assert all(line.startswith("<s>") and line.endswith("</s>") for line in lines), lines
    pairs = name in ("segment-pair", "sentence-pair")
    assert len(found["next"]) == (len(lines) if pairs else 0)
    assert set(found["next"]) <= {0, 1} and found["masked"]
    assert main(["show", str(run), "--sample", "5"]) == 0
    assert ("pairs random" in capsys.readouterr().out) == pairs


# --- learning


@pytest.fixture(scope="module")
def novels(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from trainer_fixtures import novel_shards

    return novel_shards(tmp_path_factory.mktemp("novels") / "shards", 1000, 3)


@pytest.mark.long
@pytest.mark.parametrize("unit", ["token", "word", "span"])
@pytest.mark.parametrize(
    "name", ["full-sentences", "doc-sentences", "segment-pair", "sentence-pair"]
)
def test_perplexity_falls_on_books(novels: Path, tmp_path: Path, name: str, unit: str) -> None:
    """On one common format and masks, whatever the run is trained on: far below the number of ids,
    and lower at each validation."""
    run = tmp_path / "run"
    runs.train(
        [
            "pretrain",
            *("--shards", str(novels), "--run", str(run)),
            *runs.MINI,
            *("--data.format", name, "--masking.unit", unit),
            *objectives(name),
            *("--model.positions", "64", "--data.length", "64", "--optim.lr", "3e-3"),
            *("--steps", "300", "--evaluation.every", "100", "--evaluation.samples", "64"),
        ]
    )
    lines = [line for line in runs.log(run) if line["kind"] == "valid" and line["source"] == "all"]
    found = [line["perplexity"] for line in lines]
    assert len(found) == 3 and found == sorted(found, reverse=True)
    assert found[-1] < 400


# --- what cannot work, in one line


@pytest.mark.parametrize("dry", [[], ["--dry-run"]], ids=["run", "dry-run"])
def test_what_cannot_work_is_said_in_one_line(
    shards: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], dry: list[str]
) -> None:
    import tokenizers

    tokenizer = small_tokenizer()
    one = patterned_documents(0, 1, 300)
    alone = write_shards(tmp_path / "alone", tokenizer, {("train", "a"): [one, one]})
    wordless = write_shards(tmp_path / "wordless", tokenizer, {("train", "a"): [one * 40]})
    letters = tokenizers.Tokenizer(tokenizers.models.BPE({"a": 0, "b": 1, "ab": 2}, [("a", "b")]))
    (wordless / "tokenizer.json").write_text(letters.to_str())

    for folder, flags, what, hint in (
        (alone, ["--data.format", "segment-pair"], "source a has no pairs", "doc-sentences"),
        (
            alone,
            ["--data.format", "sentence-pair", "--objective.nsp"],
            "needs two documents",
            "full-sentences",
        ),
        (shards, ["--data.format", "sentence-pair"], "objective.nsp is off", "doc-sentences"),
        (wordless, ["--masking.unit", "span"], "does not tell where words begin", "unit token"),
        (wordless, ["--masking.unit", "word"], "does not tell where words begin", "unit token"),
        (
            shards,
            ["--masking.unit", "word", "--masking.style", "fairseq"],
            "fairseq masks single tokens",
            "--masking.style exact",
        ),
        (
            shards,
            ["--data.short-seq-prob", "2"],
            "data.short_seq_prob: 2.0 is not in [0, 1]",
            "flag",
        ),
        (shards, ["--data.length", "7"], "data.length: 7 is not from 8 to", "flag"),
    ):
        run = tmp_path / "run"
        arguments = ["pretrain", "--shards", str(folder), "--run", str(run), *runs.MINI, *dry]
        assert main([*arguments, "--steps", "10", *flags]) == 2
        said = capsys.readouterr()
        lines = said.err.strip().splitlines()
        assert said.out == "" and len(lines) == 2, said
        assert lines[0].startswith("error: ") and what in lines[0]
        assert lines[1].startswith("hint: ") and hint in lines[1]
        assert not run.exists()


def test_a_dry_run_tells_what_the_format_makes(
    shards: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["pretrain", "--shards", str(shards), *runs.MINI, "--dry-run", "--steps", "10"]
    assert main([*arguments, "--data.format", "segment-pair"]) == 0
    line = capsys.readouterr().out.splitlines()[1]
    assert line.startswith("format       segment-pair: ")
    assert "50.0% of them random" in line and "trimmed" in line and "borrowed (used twice)" in line
    assert main([*arguments, "--data.format", "doc-sentences"]) == 0
    line = capsys.readouterr().out.splitlines()[1]
    assert line.startswith("format       doc-sentences: ")
    assert line.endswith(" sequences, every token used once an epoch")
