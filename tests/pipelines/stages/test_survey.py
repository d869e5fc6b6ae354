"""Stage `survey`: a source that is read twice, by a source of a user's own whose survey reads
another input (tests/helpers/surveyed.py)."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import surveyed
from plain_build import job_of, run_step

from corpora.document import Note
from pipelines import build as composition
from pipelines.adopt import changes
from pipelines.home.fingerprints import stale
from pipelines.home.layout import Home, open_home, write_recipe
from pipelines.home.summaries import summaries
from pipelines.recipe import load_recipe, recipe_digest
from pipelines.stages import ingest, survey
from shards.errors import UserError

Corpus = Callable[..., tuple[int, str, str]]

RECIPE = """
{limit}
[sources.lines]
kind = "surveyed:source"
input = "lines/*.txt"
wanted = "wanted/*.wanted"
{more}
[tokenizer]
vocab_size = 261
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Three files of lines; four that name lines, of which `two`, `three` and `a longer line` are
    named twice."""
    for name, content in {
        "lines/a.txt": "one\ntwo\nnobody",
        "lines/b.txt": "three\na longer line",
        "lines/c.txt": "two\ntwo",
        "wanted/1.wanted": "one\ntwo\n\n",
        "wanted/2.wanted": "two\nthree\na longer line",
        "wanted/3.wanted": "\n\nfour",
        "wanted/4.wanted": "three\na longer line",
        "extra.txt": "!",
    }.items():
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(content)
    return tmp_path


def home_of(folder: Path, more: str = "", limit: int | None = None) -> Home:
    (folder / "recipe.toml").write_text(
        RECIPE.format(more=more, limit=f"limit = {limit}" if limit else "")
    )
    home = Home(str(folder / "home"))
    write_recipe(home, load_recipe(str(folder / "recipe.toml")))
    return home


def run(home: Home) -> list[str]:
    """Both readings; the texts of the documents."""
    for step in (*survey.STAGE.passes, *ingest.STAGE.passes):
        run_step(step, home.root)
    return [
        row["text"]
        for path in sorted(Path(home.root, "documents").rglob("*.parquet"))
        for row in pq.read_table(path).to_pylist()
    ]


def test_what_is_noted_and_what_it_comes_to(folder: Path) -> None:
    home = home_of(folder, "slice_bytes = 1")
    assert sorted(run(home)) == ["a longer line", "three", "two", "two", "two"]
    looked = summaries(home, "survey")
    assert [(summary.path, summary.counts["records"], summary.rejects) for summary in looked] == [
        ("1.wanted", 3, {"empty": 1}),
        ("2.wanted", 3, {}),
        ("3.wanted", 3, {"empty": 2}),
        ("4.wanted", 2, {}),
    ]
    (concluded,) = summaries(home, "conclusion")
    assert concluded.counts == {"lines": 5, "often": 3} and concluded.inputs == tuple(
        summary.output for summary in looked
    )
    assert [(summary.path, summary.marks) for summary in summaries(home, "ingest")] == [
        ("a.txt", {}),
        ("b.txt", {"long": 1}),
        ("c.txt", {}),
    ]
    table = pq.read_table(home.survey("lines", looked[1].slice))
    assert table.to_pylist() == [
        {"part": 0, "length": len(line), "line": line} for line in ("two", "three", "a longer line")
    ]
    assert json.loads(table.schema.metadata[b"corpusmill.paths"]) == ["2.wanted"]


def test_any_slicing_comes_to_the_same(folder: Path) -> None:
    conclusions = []
    for size in (1, 64_000_000):
        home = home_of(folder, f"slice_bytes = {size}")
        run(home)
        conclusions.append(Path(home.survey("lines", "conclusion")).read_bytes())
    assert conclusions[0] == conclusions[1]
    assert (
        len(summaries(home, "survey")) == 1
        and len(list(Path(home.root, "survey/lines").iterdir())) == 2
    )  # of the old slices nothing is left


def test_a_limit_counts_the_records_of_the_survey(folder: Path) -> None:
    """The first four records name `two` twice; of the input too the first four are read."""
    home = home_of(folder, limit=4)
    assert run(home) == ["two"]
    assert [
        summary.counts["records"]
        for stage in ("survey", "ingest")
        for summary in summaries(home, stage)
    ] == [4, 4]


def fingerprints(home: Home) -> dict[str, set[str]]:
    run(home)
    return {
        stage: {summary.fingerprint for summary in summaries(home, stage)}
        for stage in ("survey", "conclusion", "ingest")
    }


@pytest.mark.parametrize(
    ("change", "redone"),
    [
        (lambda folder: None, set()),
        (lambda folder: (folder / "wanted").rename(folder / "moved"), set()),
        (lambda folder: (folder / "extra.txt").write_text("?"), {"conclusion", "ingest"}),
        (
            lambda folder: (folder / "wanted/3.wanted").write_text("one"),
            {"survey", "conclusion", "ingest"},
        ),
        (lambda folder: (folder / "wanted/3.wanted").write_text("five"), {"survey", "conclusion"}),
        (lambda folder: (folder / "lines/c.txt").write_text("one"), {"ingest"}),
    ],
    ids=[
        "nothing",
        "a moved folder",
        "a file that is read whole",
        "another conclusion",
        "the same conclusion",
        "the input",
    ],
)
def test_what_is_done_again(change: Callable[[Path], Any], redone: set[str], folder: Path) -> None:
    before = fingerprints(home_of(folder, 'extra = "extra.txt"'))
    change(folder)
    text = RECIPE.replace("wanted/*", "moved/*") if (folder / "moved").exists() else RECIPE
    (folder / "recipe.toml").write_text(text.format(more='extra = "extra.txt"', limit=""))
    home = Home(str(folder / "home"))
    write_recipe(home, load_recipe(str(folder / "recipe.toml")))
    after = fingerprints(home)
    assert {stage for stage in before if before[stage] != after[stage]} == redone


def test_places_are_no_part_of_the_digest_of_a_recipe(folder: Path) -> None:
    one = load_recipe_of(folder, "")
    (folder / "recipe.toml").write_text(
        RECIPE.format(more="", limit="").replace('"wanted/', f'"{folder}/other/')
    )
    other = load_recipe(str(folder / "recipe.toml"))
    named: list[Any] = [recipe.sources["lines"] for recipe in (one, other)]
    assert named[1].wanted == (f"{folder}/other/*.wanted",) != named[0].wanted
    assert (
        recipe_digest(one)
        == recipe_digest(other)
        != recipe_digest(load_recipe_of(folder, "least = 3"))
    )
    assert list(changes(one, other)) == []
    (line,) = changes(one, load_recipe_of(folder, "least = 3"))
    assert line.startswith("changed: sources.lines.least from 2 to 3; redone: ingest")


def load_recipe_of(folder: Path, more: str) -> Any:
    (folder / "recipe.toml").write_text(RECIPE.format(more=more, limit=""))
    return load_recipe(str(folder / "recipe.toml"))


def test_why_ingest_is_done_again_is_said(folder: Path) -> None:
    home = home_of(folder)
    run(home)
    home = home_of(folder, "least = 1")
    run_step(survey.CONCLUDE, home.root)
    assert list(stale(home, "ingest", ingest.plan(*open_home(home.root)))) == [
        "ingest lines: 1 of 1 slices are done again: "
        "its survey has another result, its settings changed"
    ]


def test_strings_that_utf8_cannot_hold_are_noted_as_they_can_be(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As JSON may bring them; the slice goes on."""
    home = home_of(folder)
    notes = [
        Note(path="1.wanted", position=0, values=(0, 1, "a\ud800b")),
        Note(path="1.wanted", position=1, values=(0, None, None)),
    ]
    monkeypatch.setattr(surveyed, "look", lambda options, piece: iter(notes))
    (summary,) = run_step(survey.LOOK, home.root)
    assert pq.read_table(home.survey("lines", summary.slice)).to_pylist() == [
        {"part": 0, "length": 1, "line": "a\\ud800b"},
        {"part": 0, "length": None, "line": None},
    ]


def test_a_wide_schema_is_refused(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = home_of(folder)
    monkeypatch.setattr(surveyed, "SCHEMA", pa.schema([(name, pa.int64()) for name in "abcd"]))
    with pytest.raises(UserError, match="keeps 32 bytes per record"):
        survey.plan(*open_home(home.root))


def test_a_damaged_file_of_notes_is_made_again(folder: Path) -> None:
    home = home_of(folder)
    run(home)
    (summary,) = summaries(home, "survey")
    for name in (summary.slice, "conclusion"):
        path = Path(home.survey("lines", name))
        content = path.read_bytes()
        path.write_bytes(content[:-5] + b"xxxxx")
        run(home)
        assert path.read_bytes() == content


def test_without_a_survey_ingest_says_so(folder: Path) -> None:
    home = home_of(folder)
    with pytest.raises(UserError, match="lines was not surveyed") as raised:
        ingest.plan(*open_home(home.root))
    assert raised.value.hint.startswith("corpus build ")


# --- the command
# --------------------------------------------------------------------------------------------------


@pytest.mark.builds
def test_a_build_surveys_first(
    folder: Path, corpus: Corpus, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = home_of(folder)
    code, _, err = corpus("build", folder / "recipe.toml", "--home", home.root, "--workers", 0)
    assert code == 0, err
    assert "survey lines: 11 records, 8 passed, 3 empty, 5 lines, 3 often\n" in err
    assert (
        "ingest lines: 7 records, 5 documents, 2 not_asked\n" in err
        and "ingest lines: of the documents, 1 long\n" in err
    )
    found = json.loads(corpus("stats", home.root, "--json")[1])
    assert (
        found["sources"]["lines"]["survey"]
        == found["total"]["survey"]
        == {"records": 11, "rejects": {"empty": 3}, "lines": 5, "often": 3}
    )
    assert found["sources"]["lines"]["marks"] == {"long": 1}
    assert (
        "lines: survey  records\nrecords             11\nlines                5\n"
        in corpus("stats", home.root)[1]
    )
    assert json.loads(corpus("status", home.root, "--json")[1])["done"] == {
        "survey": 1,
        "ingest": 1,
        "exact": 1,
        "near": 1,
        "tokenizer": 1,
        "tokenize": 1,
        "shards": 2,
    }
    assert json.loads(corpus("status", home.root, "--json")[1])["complete"]
    code, _, err = corpus(
        "build",
        folder / "recipe.toml",
        "--home",
        home.root,
        "--workers",
        0,
        "--sources.lines.least",
        9,
    )
    assert code == 2 and "not one document" in err
    # without a source that has one there is no such stage, and nothing is left of it
    (folder / "recipe.toml").write_text(
        '[sources.lines]\nkind = "files"\ninput = "lines/*.txt"\n[tokenizer]\nvocab_size = 261\n'
    )
    stages: list[str] = []
    monkeypatch.setattr(
        "pipelines.engines.run.run_stage", lambda job, stage: stages.append(stage.name)
    )
    corpus("build", folder / "recipe.toml", "--home", home.root, "--workers", 0, "--yes")
    assert stages == ["ingest"]
    assert not list(Path(home.root, "survey").rglob("*.parquet")) and not list(
        Path(home.root, "summaries", "survey").rglob("*.json")
    )
    assert "survey" not in json.loads(corpus("stats", home.root, "--json")[1])["sources"]["lines"]


def test_a_slice_set_aside_ends_the_build(folder: Path, corpus: Corpus) -> None:
    """What the others come to would be something else."""
    (folder / "wanted/3.wanted").write_text("die")
    home = home_of(folder, "slice_bytes = 1")
    code, _, err = corpus("build", folder / "recipe.toml", "--home", home.root, "--workers", 0)
    assert (
        code == 1
        and "set aside: survey lines/" in err
        and "a line that kills" in err
        and "corpus status" in err
    )
    assert (
        len(summaries(home, "survey")) == 3
        and not summaries(home, "conclusion")
        and not summaries(home, "ingest")
    )
    (folder / "wanted/3.wanted").write_text("live")
    assert len(run(home)) == 5 and len(summaries(home, "survey")) == 4


def test_a_dry_run_reads_nothing(folder: Path, corpus: Corpus) -> None:
    home_of(folder)
    code, _, err = corpus("build", folder / "recipe.toml", "--home", folder / "none", "--dry-run")
    assert (
        code == 0
        and "lines: 3 files, 40 bytes, in 1 slice\n" in err
        and not (folder / "none").exists()
    )
    assert "lines: survey (first reading): 4 files, 57 bytes, in 1 slice" in err


def test_notes_hold_no_values_unless_told() -> None:
    assert Note(path="a", position=0, reason="empty").values is None


@pytest.mark.builds
def test_all_stages_as_one_pipeline(folder: Path) -> None:
    """As a jar runs them: ingest begins when the survey has come to its conclusion."""
    from pipelines.engines.run import run_build

    home = home_of(folder)
    run_build(job_of(home.root), composition.STAGES)
    assert sum(summary.counts["documents"] for summary in summaries(home, "ingest")) == 5
    assert sum(summary.counts["documents"] for summary in summaries(home, "shards")) == 3
