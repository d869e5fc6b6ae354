"""`trainer compare`: rows at a scale, resumed, one bad row among good ones; and the recipes by
table."""

import dataclasses
import json
import re
from collections import Counter
from pathlib import Path

import pytest
import trainer_runs as runs

from shards.errors import UserError
from trainer import compare
from trainer.cli import main
from trainer.compare import Comparison, RowResult
from trainer.config import check, load_recipe, phase_ends, recipe_names
from trainer.scales import SCALES, Scale, scaled
from trainer.tables import TABLES, Row, Table, tables_of

TINIEST = Scale(
    layers=1,
    hidden=32,
    heads=2,
    length=32,
    dropout=0.0,
    batch_divisor=8,
    steps_divisor=50_000,
    rate=10.0,
    warmup=0.1,
    micro_batch=8,
    samples=8,
)

BATCHES = Table(
    3,
    "batch sizes",
    ("ppl", "SST-2"),
    (
        Row("256 x 1M", "roberta-base-256-1m", ("3.99", "92.7")),
        Row("8K x 31K", "roberta-base-8k-31k", ("3.77", "92.8")),
        Row("XLNet", None, ("-", "92.7")),
    ),
)


def plan(shards: Path, out: Path, table: Table = BATCHES, seeds: int = 2) -> Comparison:
    return Comparison(
        table=table,
        scale_name="tiniest",
        scale=TINIEST,
        shards=(str(shards),),
        seeds=seeds,
        out=out,
        device="cpu",
    )


def in_this_process(plan: Comparison, recipe: Path, run: Path, seed: int) -> str:
    """`train_run` without a process."""
    words = ["pretrain", "--shards", *plan.shards, "--run", str(run), "--recipe", str(recipe)]
    code = main([*words, "--seed", str(seed), "--device", "cpu", "--resume"])
    return f"exit {code}" if code else ""


# --- recipes and scales


def test_every_row_has_a_recipe_that_can_be_trained() -> None:
    rows: Counter[int] = Counter()
    for number, table in TABLES.items():
        for row in table.rows:
            assert len(row.figures) == len(table.columns)
            if row.recipe is not None:
                check(load_recipe(row.recipe))
                rows[number] += 1
    assert rows == {1: 3, 2: 5, 3: 3, 4: 5}
    assert tables_of("bert-base-segment-pair") == [1, 2] and tables_of("tiny") == []


def test_numbers_of_the_papers() -> None:
    """Samples of each row of table 3 (equal compute) and 4; BERT's phases; SpanBERT's batch."""
    seen = {}
    for name in recipe_names():
        recipe = load_recipe(name)
        seen[name] = (recipe.batch, recipe.steps, recipe.optim.lr)
    assert seen["roberta-base-2k-125k"] == (2048, 125_000, 7e-4)
    assert seen["roberta-large-16gb-100k"] == (8192, 100_000, 4e-4)
    assert seen["roberta-large-160gb-300k"] == (8192, 300_000, 4e-4)
    assert seen["bert-base"] == seen["bert-large"] == (256, 1_000_000, 1e-4)
    assert seen["spanbert-base"] == seen["spanbert-large"] == (256, 2_400_000, 1e-4)
    for name in ("bert-base", "bert-large"):
        assert phase_ends(load_recipe(name)) == [(900_000, 128), (1_000_000, 512)]


@pytest.mark.parametrize("scale", SCALES)
def test_a_scale_keeps_what_rows_differ_in(scale: str) -> None:
    for name in recipe_names():
        paper = load_recipe(name)
        small = scaled(paper, SCALES[scale])
        check(small)
        assert small.masking == paper.masking and small.objective == paper.objective
        assert small.data.format == paper.data.format
        assert small.optim.lr / paper.optim.lr == pytest.approx(SCALES[scale].rate)
        assert small.phase.share == paper.phase.share
    batches = []
    for row in TABLES[3].rows:
        assert row.recipe is not None
        small = scaled(load_recipe(row.recipe), SCALES[scale])
        batches.append((small.batch, small.steps * small.batch))
    assert batches[1][0] == 8 * batches[0][0] and batches[2][0] == 32 * batches[0][0]
    assert max(seen for _, seen in batches) <= 1.04 * min(seen for _, seen in batches)


def test_recipes_are_listed_by_table(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["recipes"]) == 0
    listed = capsys.readouterr().out
    heads = re.findall(r"^(\S.*)$", listed, re.MULTILINE)
    assert [head.split(":")[0] for head in heads] == [
        "RoBERTa paper, table 1",
        "RoBERTa paper, table 2",
        "RoBERTa paper, table 3",
        "RoBERTa paper, table 4",
        "Others",
    ]
    assert main(["recipes", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert list(found["recipes"]) == recipe_names()
    assert found["tables"]["1"] == ["bert-base", "bert-base-static", "bert-base-segment-pair"]


# --- the runs


@pytest.mark.builds
def test_rows_are_trained_once_and_a_bad_one_ends_no_other(
    small: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At this scale the batch of 8K is 1,024 samples, more than the shards have."""
    monkeypatch.setattr(compare, "train_run", in_this_process)
    said: list[str] = []
    results = compare.compare(plan(small, tmp_path / "out"), said.append)
    good, bad, other = results

    assert len(good.perplexities) == 2 and good.errors == []
    assert good.median == sum(good.perplexities) / 2
    assert (good.low, good.high) == (min(good.perplexities), max(good.perplexities))
    assert bad.perplexities == [] and bad.median is None
    assert [error.split(":")[0] for error in bad.errors] == ["seed 0", "seed 1"]
    assert other.paper == {"ppl": "-", "SST-2": "92.7"} and other.perplexities == []
    last = runs.log(tmp_path / "out" / "roberta-base-256-1m" / "seed-1")[-1]
    assert last["kind"] == "valid" and last["perplexity"] == good.perplexities[1]

    def refuse(*arguments: object) -> str:
        raise AssertionError("a finished run was trained again")

    table = dataclasses.replace(BATCHES, rows=(BATCHES.rows[0],))
    monkeypatch.setattr(compare, "train_run", refuse)
    again = compare.compare(plan(small, tmp_path / "out", table), said.append)
    assert again == [good]
    longer = dataclasses.replace(TINIEST, steps_divisor=25_000)
    other = dataclasses.replace(plan(small, tmp_path / "out", table), scale=longer)
    with pytest.raises(UserError, match="roberta-base-256-1m.toml: the runs there have other"):
        compare.compare(other, said.append)
    assert json.loads((tmp_path / "out" / "table-3.json").read_text())["rows"] == [
        dataclasses.asdict(good)
    ]
    assert (tmp_path / "out" / "table-3.png").read_bytes()[:4] == b"\x89PNG"


@pytest.mark.builds
def test_a_run_in_a_process_of_its_own_says_what_went_wrong(
    small: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", str(runs.ROOT))
    table = dataclasses.replace(BATCHES, rows=BATCHES.rows[:2])
    good, bad = compare.compare(plan(small, tmp_path / "out", table, seeds=1), print)
    assert len(good.perplexities) == 1
    assert len(bad.errors) == 1
    assert "seed 0: exit 2: error: " in bad.errors[0] and "fewer than one batch" in bad.errors[0]


def test_static_masks_that_were_seen_once_are_told(tmp_path: Path) -> None:
    """Ten masks of each sample in three epochs: no mask comes again, as with dynamic masks."""
    recipe = load_recipe("bert-base-static")
    log = tmp_path / "log.jsonl"
    log.write_text('{"kind": "train", "step": 9, "epoch": 3.21}\n')
    assert compare.static_note(recipe, tmp_path) == (
        "its 10 static masks of each sample were seen once at most, in 3.2 epochs, so it is the "
        "same as dynamic masks: use fewer --shards"
    )
    assert compare.static_note(load_recipe("bert-base-segment-pair"), tmp_path) == ""

    log.write_text('{"kind": "train", "step": 9, "epoch": 40.1}\n')
    assert compare.static_note(recipe, tmp_path) == ""


def test_sources_that_are_not_there_are_refused(small: Path, tmp_path: Path) -> None:
    asked = dataclasses.replace(plan(small, tmp_path), base=("wikipedia",))
    with pytest.raises(UserError, match="--base wikipedia: the shards have no such source"):
        compare.compare(asked, print)


def test_rows_of_16_gb_show_the_base_alone(small: Path, tmp_path: Path) -> None:
    asked = dataclasses.replace(plan(small, tmp_path), base=("books",))
    of_base = compare.row_recipe(asked, "roberta-large-16gb-100k", ["news", "books"])
    assert of_base.data.mix == {"news": 0.0, "books": 1.0}
    assert compare.row_recipe(asked, "roberta-large", ["news", "books"]).data.mix == {}


# --- the table


def test_layout(tmp_path: Path) -> None:
    def result(row: Row, found: list[float], *errors: str) -> RowResult:
        trained = compare.Trained(found, list(errors), {})
        return compare.row_result(row, BATCHES, trained)

    results = [
        result(BATCHES.rows[0], [11.0, 10.0, 13.5]),
        result(BATCHES.rows[1], [], "seed 0: exit 2: error: no room"),
        result(BATCHES.rows[2], []),
    ]
    text = compare.describe(plan(tmp_path, tmp_path, seeds=3), results)
    assert text.splitlines() == [
        "Table 3: batch sizes",
        "ours at scale tiniest: 1 layers of 32, dropout 0, 32 tokens, batches / 8, "
        "steps / 50000, rates x 10, 10% warmup; 3 seeds",
        "",
        "          perplexity         min to max   paper:        ppl      SST-2",
        "256 x 1M       11.00     10.00 to 13.50                3.99       92.7",
        "8K x 31K           -                  -                3.77       92.8",
        "XLNet              -                  -                   -       92.7",
        "8K x 31K: seed 0: exit 2: error: no room",
    ]


@pytest.mark.parametrize(
    "words, error",
    [
        (["5"], "TABLE: '5' is not one of 1, 2, 3, 4"),
        (["2"], "--shards: missing"),
        (["2", "--shards", "x", "--seeds", "0"], "--seeds: 0 is not at least 1"),
    ],
)
def test_wrong_calls(words: list[str], error: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["compare", *words]) == 2
    assert capsys.readouterr().err.startswith(f"error: {error}")
