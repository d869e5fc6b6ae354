"""`--dry-run`: everything that is missing is named, only what the user set is printed, and the sum
for the cores at hand is what the rates of docs/scale.md make of the inputs."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from corpora.document import Part, Slice
from pipelines.commands.estimate import RATES, Estimate, estimate, lines, load_of
from pipelines.commands.recipes import packaged_recipes
from pipelines.recipe import ExpectedConfig, Recipe, load_recipe, parse_recipe, recipe_text
from shards.config import without_defaults

ROOT = Path(__file__).parent.parent.parent

Corpus = Callable[..., tuple[int, str, str]]


def recipe_of(kind: str, more: str = "", tables: str = "") -> Recipe:
    return parse_recipe(
        f'[sources.s]\nkind = "{kind}"\ninput = "x"\n{more}\n{tables}', "recipe", "/"
    )


def slices_of(*sizes: int, name: str = "a.txt") -> list[Slice]:
    return [
        Slice(parts=(Part(address=f"/{number}/{name}", path=f"{number}/{name}", size=size),))
        for number, size in enumerate(sizes)
    ]


def reckoned(recipe: Recipe, slices: list[Slice], workers: int, **expected: Any) -> Estimate:
    told = ExpectedConfig(**expected) if expected else None
    return estimate(recipe, [load_of(recipe, "s", slices, told)], workers)


# --- the sum


def test_plain_text_by_hand() -> None:
    """30 GB of plain text on four cores, stage by stage, by the rates of docs/scale.md."""
    found = reckoned(recipe_of("files"), slices_of(*[300_000_000] * 100), workers=4)
    ingest = 30e9 / 30e6
    after = 30e9 * (1 / 44e6 + 1 / 230e6 + 1 / 78e6 + 1 / 129e6 + 22e-6 / 2000 + 1 / 64e6)
    vocabulary = 1e9 / (5e6 / 1.2)
    seconds = ingest / 4 + after / 4 + vocabulary
    assert found.hours == round(seconds / 3600, 4) == 0.2908
    assert found.core_hours_of_ingest == round(ingest / 3600, 4)
    assert found.core_hours_after == round((after + vocabulary) / 3600, 4)
    assert found.text_bytes == 30_000_000_000 and found.disk_bytes == 75_000_000_000
    assert found.memory_bytes == 300_000_000 + 4 * 500_000_000 + 15_000_000 * 150
    assert list(lines(found)) == [
        "estimate for 4 cores (--workers 4): 17 min, 75.0 GB of disk, 4.5 GB of memory",
        "  ingest 0.3 core-hours, later stages 0.7 core-hours, 30.0 GB of text; by the rates of "
        "docs/scale.md, measured on one machine: another may be twice as fast or half",
    ]


def test_a_vocabulary_of_all_text_by_hand() -> None:
    """The words are counted by all cores; one trains on them."""
    tables = '[tokenizer]\nsample_bytes = "all"'
    slices = slices_of(*[300_000_000] * 100)
    sampled = reckoned(recipe_of("files"), slices, workers=4)
    found = reckoned(recipe_of("files", tables=tables), slices, workers=4)
    words = 30e9 / 38e6 + 30e9 / 57e6
    sample = 30e9 / 64e6 + 1e9 / (5e6 / 1.2)
    more = found.core_hours_after - sampled.core_hours_after
    assert more == pytest.approx((words - sample) / 3600, abs=1e-3)


def test_one_large_slice_is_the_work_of_one_core() -> None:
    spread = reckoned(recipe_of("books"), slices_of(*[1_000_000_000] * 8), workers=8)
    whole = reckoned(recipe_of("books"), slices_of(8_000_000_000), workers=8)
    assert whole.core_hours_of_ingest == spread.core_hours_of_ingest
    assert whole.hours - spread.hours == pytest.approx(8e9 / 7e6 * 7 / 8 / 3600, abs=1e-4)


def test_stages_that_are_off_cost_nothing() -> None:
    slices = slices_of(*[10**9] * 50)
    whole = reckoned(recipe_of("files", 'rules.profile = "paper"'), slices, 2)
    bare = recipe_of(
        "files", tables='[dedup]\nexact = false\nnear = false\n[tokenizer]\npath = "/t.json"\n'
    )
    found = reckoned(bare, slices, 2)
    assert found.core_hours_after == round(50e9 * (1 / 44e6 + 1 / 230e6) / 3600, 4)
    assert found.core_hours_after < whole.core_hours_after / 2
    assert found.disk_bytes == 85_000_000_000


@pytest.mark.parametrize(
    ("kind", "more", "name", "text"),
    [
        ("files", "", "a.jsonl", 1000.0),
        ("files", "", "a.jsonl.zst", 3000.0),
        ("files", "", "a.parquet", 3000.0),
        ("books", "", "a.epub", 2500.0),
        ("wikipedia", "", "a.xml.bz2", 750.0),
        ("wikipedia", "", "a.xml", 1000 * 12 / 70),
        ("cc_news", "", "a.warc.gz", 1000 * 76 / 4500),
        ("stories", 'questions = "q"', "a.warc.wet.gz", 1000 * 31 / 7610),
        ("openwebtext", "", "a.tar.xz", 1000 * 39_769 / 12_880),
        ("openwebtext", 'source = "reddit"\npages = "p"', "a.warc.gz", 1000 * 76 / 4500),
    ],
)
def test_how_much_text_an_input_holds(kind: str, more: str, name: str, text: float) -> None:
    load = load_of(recipe_of(kind, more), "s", slices_of(1000, name=name), None)
    assert load.text_bytes == pytest.approx(text)
    rate = RATES["cc_news" if "reddit" in more else kind]
    assert load.seconds == pytest.approx(text / rate.text) and load.longest == load.seconds


def test_what_the_recipe_expects_comes_first() -> None:
    """In proportion to the input at hand; of the whole where there is none yet."""
    expected = {"input_bytes": 1000, "text_bytes": 500_000_000, "core_hours": 10.0}
    half = reckoned(recipe_of("files"), slices_of(500), 1, **expected)
    assert (half.text_bytes, half.core_hours_of_ingest) == (250_000_000, 5.0)
    whole = reckoned(recipe_of("files"), [], 1, **expected)
    assert (whole.text_bytes, whole.core_hours_of_ingest) == (500_000_000, 10.0)


def test_the_rates_are_those_that_the_page_tells() -> None:
    """docs/scale.md has a row for each kind: bytes of text per core-second, and per stored byte."""
    page = (ROOT / "docs" / "scale.md").read_text("utf-8")
    for kind, rate in RATES.items():
        row = re.search(rf"^\| `{kind}` \| ([\d.]+) \| ([\d.]+) \| ([\d.]+) \|", page, re.MULTILINE)
        assert row, kind
        assert float(row[1]) == pytest.approx(rate.text / 1e6, rel=0.02)
        assert float(row[2]) == pytest.approx(rate.share, rel=0.02)
        assert float(row[3]) == pytest.approx(rate.inflates, rel=0.02)


# --- what is printed


def test_only_what_differs_from_the_defaults(tmp_path: Path, corpus: Corpus) -> None:
    (tmp_path / "a.txt").write_text("A text of six words here.")
    path = tmp_path / "recipe.toml"
    path.write_text(
        f'[sources.mine]\nkind = "files"\ninput = "{tmp_path}/*.txt"\n[dedup]\nthreshold = 0.7\n'
    )
    code, out, err = corpus("build", path, "--dry-run", "--workers", 3)
    assert code == 0
    assert out == (
        f'[sources.mine]\nkind = "files"\ninput = [\n    "{tmp_path}/*.txt",\n]\n\n'
        '[sources.mine.rules]\nprofile = "none"\n\n[dedup]\nthreshold = 0.7\n'
    )
    assert err.splitlines()[-2:] == [
        "estimate for 3 cores (--workers 3): less than a minute, 62 B of disk, 1.8 GB of memory",
        "  ingest below 0.1 core-hours, later stages below 0.1 core-hours, 25 B of text; by the "
        "rates of docs/scale.md, measured on one machine: another may be twice as fast or half",
    ]

    code, whole, _ = corpus("build", path, "--dry-run", "--verbose")
    assert code == 0 and len(whole.splitlines()) > 50 and "valid_fraction = 0.005" in whole
    (tmp_path / "brief.toml").write_text(out)
    assert corpus("build", tmp_path / "brief.toml", "--dry-run", "--verbose")[1] == whole

    code, out, _ = corpus("build", path, "--dry-run", "--json", "--workers", 3)
    found = json.loads(out)["estimate"]
    assert found["workers"] == 3 and found["text_bytes"] == 25
    assert json.loads(out)["recipe"]["shards"]["valid_fraction"] == 0.005


@pytest.mark.parametrize("name", packaged_recipes())
def test_the_short_form_is_the_same_recipe(name: str) -> None:
    recipe = load_recipe(name, packaged_recipes())
    text = recipe_text(recipe, brief=True)
    assert parse_recipe(text, name, "/elsewhere") == recipe
    assert len(text.splitlines()) < len(recipe_text(recipe).splitlines()) - 20


def test_a_table_inside_a_table_keeps_the_defaults_of_its_kind() -> None:
    """openwebtext compares by `default`, other kinds `across`: each is left out where it stands."""
    for kind, scope in (("openwebtext", "default"), ("files", "across")):
        recipe = recipe_of(kind, f'dedup.scope = "{scope}"')
        assert "dedup" not in without_defaults(recipe.sources["s"])
    recipe = recipe_of("openwebtext", 'dedup.scope = "across"')
    assert without_defaults(recipe.sources["s"])["dedup"] == {"scope": "across"}
    assert parse_recipe(recipe_text(recipe, brief=True), "recipe", "/") == recipe


# --- what is missing


def test_all_missing_inputs_are_named(tmp_path: Path, corpus: Corpus) -> None:
    (tmp_path / "there.txt").write_text("a text")
    path = tmp_path / "recipe.toml"
    path.write_text(
        '[sources.one]\nkind = "files"\ninput = ["a/*.txt", "there.txt", "b.txt"]\n'
        '[sources.two]\nkind = "files"\ninput = "c/*.txt"\n'
        '[sources.three]\nkind = "files"\ninput = "there.txt"\n'
    )
    code, _, err = corpus("build", path, "--dry-run")
    assert code == 2 and err.count("error: ") == 1
    assert f"error: {tmp_path}/a/*.txt, {tmp_path}/b.txt: no file matches; " in err
    assert f"{tmp_path}/c" in err and "three" not in err


def test_all_missing_inputs_of_a_source_that_is_expected(tmp_path: Path, corpus: Corpus) -> None:
    path = tmp_path / "recipe.toml"
    path.write_text(
        '[sources.tales]\nkind = "stories"\ninput = ["a/*.wet", "b/*.wet"]\n'
        'questions = "questions.txt"\n[expected.tales]\ninput_bytes = 10\n'
    )
    code, _, err = corpus("build", path, "--dry-run")
    assert code == 0
    missing = ", ".join(f"{tmp_path}/{name}" for name in ("a/*.wet", "b/*.wet", "questions.txt"))
    assert f"tales: no input yet: {missing}: no file matches\n" in err


@pytest.mark.parametrize(
    ("lines", "what"),
    [
        ('[tokenizer]\npath = "no/tokenizer.json"\n', "tokenizer.path: "),
        ('[tokenizer]\npath = "empty"\n', "no vocabulary in this folder"),
        ('[sources.mine.rules]\nfunctions = "not.there:function"\n', "rules: not.there:function: "),
        ('[sources.mine.rules]\nfunctions = "json:not_there"\n', "rules: json:not_there: "),
        ('[sources.mine.rules]\nexclude_domains = "no.txt"\n', "exclude_domains: cannot read"),
        ('[sources.mine.rules]\nexclude_hashes = "bad.txt"\n', "exclude_hashes"),
    ],
)
def test_what_a_recipe_names_must_be_there(
    tmp_path: Path, corpus: Corpus, lines: str, what: str
) -> None:
    (tmp_path / "a.txt").write_text("a text")
    (tmp_path / "bad.txt").write_text("no hash\n")
    (tmp_path / "empty").mkdir()
    path = tmp_path / "recipe.toml"
    path.write_text(f'[sources.mine]\nkind = "files"\ninput = "a.txt"\n{lines}')
    code, out, err = corpus("build", path, "--home", tmp_path / "home", "--dry-run")
    assert (code, out) == (2, "") and f"error: {what}"[7:] in err and "hint: " in err
    assert not (tmp_path / "home").exists()


def test_a_folder_that_is_no_home_is_told(tmp_path: Path, corpus: Corpus) -> None:
    """As the build itself would refuse it."""
    (tmp_path / "a.txt").write_text("a text")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "photograph.jpg").write_text("")
    path = tmp_path / "recipe.toml"
    path.write_text('[sources.mine]\nkind = "files"\ninput = "a.txt"\n')
    for folder in ("full", "a.txt"):
        code, out, err = corpus("build", path, "--home", tmp_path / folder, "--dry-run")
        assert code == 0 and "[sources.mine]" in out
        assert f"warning: {tmp_path / folder}: " in err and "the build will be refused" in err
    (tmp_path / "empty").mkdir()
    for folder in ("empty", "new"):
        err = corpus("build", path, "--home", tmp_path / folder, "--dry-run")[2]
        assert "warning" not in err and not (tmp_path / "new").exists()
