"""What the documents of a home hold of test sets: kept beside them, shown, removed when asked."""

import json
import random
from collections.abc import Callable
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from looked import stats
from plain_build import plain_build

from pipelines.home.layout import open_home
from pipelines.look.report.figures import figures
from pipelines.look.report.page import page
from pipelines.recipe import load_recipe, recipe_digest

Corpus = Callable[..., tuple[int, str, str]]

WORDS = [f"{head}{tail}" for head in "bdfgklmnprst" for tail in ("ane", "ibo", "ock", "unt", "ez")]

RECIPE = """
[sources.mine]
kind = "files"
input = "in/*.jsonl"
id_field = "n"
slice_bytes = {slice_bytes}
[sources.mine.rules]
{rules}
[dedup]
near = false
[tokenizer]
vocab_size = 300
"""

TEST_SETS = 'test_sets = ["tests"]'


def sentence(chance: random.Random, words: int) -> str:
    return " ".join(chance.choice(WORDS) for _ in range(words))


def write_inputs(folder: Path) -> list[dict[str, object]]:
    """Test sets of RTE and SQuAD, and 40 documents; every fourth holds a passage. Returned is what
    `contamination` should find, in the order of the home."""
    chance = random.Random(3)
    (folder / "tests" / "RTE").mkdir(parents=True)
    pairs = [(sentence(chance, 20), sentence(chance, 9)) for _ in range(10)]
    lines = ["index\tsentence1\tsentence2"]
    lines += [f"{number}\t{first}\t{second}" for number, (first, second) in enumerate(pairs)]
    (folder / "tests" / "RTE" / "test.tsv").write_text("\n".join(lines) + "\n")

    contexts = [sentence(chance, 60) for _ in range(5)]
    paragraphs = []
    for number, context in enumerate(contexts):
        qas = [
            {"id": f"q{number}{letter}", "question": sentence(chance, 7), "answers": []}
            for letter in "ab"
        ]
        paragraphs.append({"context": context, "qas": qas})
    content = {"version": "v2.0", "data": [{"paragraphs": paragraphs}]}
    (folder / "tests" / "dev-v2.0.json").write_text(json.dumps(content))

    expected: list[dict[str, object]] = []
    (folder / "in").mkdir()
    for number in range(40):
        text = [sentence(chance, 30).capitalize() + "." for _ in range(4)]
        if number % 4 == 0:
            which = number // 4 % 5
            if number % 8 == 0:
                # 20 words in a row of a context: 8 passages.
                words = contexts[which].split()[10:30]
                text.insert(2, " ".join(words).upper() + "!")
                row = {"task": "squad2", "ngrams": 8, "words": " ".join(words[:13])}
                row |= {"examples": [f"dev-v2.0 q{which}{letter}" for letter in "ab"]}
            else:
                # A whole hypothesis of nine words.
                text.insert(2, f'"{pairs[which][1]}"')
                row = {"task": "rte", "ngrams": 1, "words": pairs[which][1]}
                row |= {"examples": [f"test {which}"]}
            expected.append({"n": number, **row})
        line = json.dumps({"text": "\n".join(text), "n": number})
        (folder / "in" / f"{number:02}.jsonl").write_text(line + "\n")
    return expected


def build(folder: Path, name: str, rules: str, slice_bytes: int = 1_000_000) -> str:
    recipe = folder / f"{name}.toml"
    recipe.write_text(RECIPE.format(rules=rules, slice_bytes=slice_bytes))
    return plain_build(recipe, folder / name, "dedup")


def own_ids(home: str) -> dict[str, int]:
    """The number of each document by its id."""
    found = {}
    for path in Path(home, "documents", "mine").iterdir():
        for row in pq.read_table(path, columns=["id", "extra"]).to_pylist():
            found[row["id"]] = json.loads(row["extra"])["id"]
    return found


@pytest.fixture(scope="module")
def expected(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[dict[str, object]]]:
    folder = tmp_path_factory.mktemp("contaminated")
    return folder, write_inputs(folder)


@pytest.fixture(scope="module")
def kept_home(expected: tuple[Path, list[dict[str, object]]]) -> str:
    """Measured, and nothing removed: the recipe has no rule."""
    return build(expected[0], "kept", TEST_SETS, slice_bytes=3000)


@pytest.fixture(scope="module")
def removed_home(expected: tuple[Path, list[dict[str, object]]]) -> str:
    return build(expected[0], "removed", f"{TEST_SETS}\nmax_test_set_ngrams = 1")


def test_what_is_planted_is_found_and_nothing_else(
    expected: tuple[Path, list[dict[str, object]]], kept_home: str, corpus: Corpus
) -> None:
    code, out, err = corpus("contamination", kept_home, "--json")
    assert code == 0
    found = json.loads(out)
    assert err == "looking for 330 passages of 35 texts in 2 files\n"
    folder = expected[0] / "tests"
    assert found["files"] == [f"rte {folder}/RTE/test.tsv", f"squad2 {folder}/dev-v2.0.json"]
    # 10 x 8 and 10 x 1 of RTE, 5 x 48 of SQuAD; questions of seven words are too short.
    assert found["passages"] == 10 * 8 + 10 + 5 * 48
    assert found["searched"] == 40
    assert found["tasks"] == {
        "rte": {"examples": 10, "found": 5, "documents": 5, "kept": 5},
        "squad2": {"examples": 10, "found": 10, "documents": 5, "kept": 5},
    }

    numbers = own_ids(kept_home)
    rows = []
    for row in found["documents"]:
        assert row["kept"] is True
        names = ("task", "ngrams", "words", "examples")
        rows.append({"n": numbers[row["id"]], **{name: row[name] for name in names}})
    assert rows == expected[1]


def test_it_is_kept_beside_the_documents(
    expected: tuple[Path, list[dict[str, object]]], kept_home: str, corpus: Corpus
) -> None:
    marks = {"with a passage of rte": 5, "with a passage of squad2": 5}
    counts = stats(kept_home)["sources"]["mine"]
    assert (counts["marks"], counts["kept"]) == (marks, None)
    assert "rules" not in counts["removed"]
    slices = len(list(Path(kept_home, "attributes", "rules", "mine").iterdir()))
    assert f"rules      {slices}\n" in corpus("status", kept_home)[1]

    numbers = own_ids(kept_home)
    stored = {}
    folder = Path(kept_home, "attributes", "rules", "mine")
    assert len(list(folder.iterdir())) > 3
    for path in folder.iterdir():
        for row in pq.read_table(path).to_pylist():
            if row["test_sets"] is not None:
                stored[numbers[row["id"]]] = (row["test_set_ngrams"], json.loads(row["test_sets"]))
            else:
                assert row["test_set_ngrams"] == 0
    assert stored == {
        row["n"]: (
            row["ngrams"],
            {
                row["task"]: {
                    "ngrams": row["ngrams"],
                    "examples": len(row["examples"]),  # type: ignore[arg-type]
                    "first": f"{row['examples'][0]}, "  # type: ignore[index]
                    + ("context" if row["task"] == "squad2" else "second"),
                    "words": row["words"],
                }
            },
        )
        for row in expected[1]
    }

    code, out, _ = corpus("why", kept_home, "8")
    assert code == 0
    assert "outcome: kept" in out
    first = next(row for row in expected[1] if row["n"] == 8)
    assert (
        f'holds passages of squad2: 8 n-grams, 2 examples; the first "{first["words"]}" '
        "(dev-v2.0 q2a, context)"
    ) in out
    assert "holds passages" not in corpus("why", kept_home, "9")[1]
    (record,) = json.loads(corpus("why", kept_home, "4", "--json")[1])["records"]
    assert record["test_sets"]["rte"]["ngrams"] == 1


def test_a_rule_removes_them_when_asked(
    expected: tuple[Path, list[dict[str, object]]], removed_home: str, corpus: Corpus
) -> None:
    """More than one n-gram: the contexts of SQuAD, not the short texts of RTE."""
    counts = stats(removed_home)["total"]
    assert counts["removed"] == {"rules": 5, "exact": 0}
    assert counts["rules"] == {"max_test_set_ngrams": 5}
    found = json.loads(corpus("contamination", removed_home, "--json")[1])
    assert found["tasks"]["squad2"]["kept"] == 0
    assert found["tasks"]["rte"]["kept"] == 5

    out = corpus("why", removed_home, "8")[1]
    assert "removed: by the rule max_test_set_ngrams (8, threshold 1)" in out
    assert "holds passages of squad2: 8 n-grams, 2 examples" in out
    out = corpus("show", removed_home, "--removed", "--reason", "max_test_set_ngrams")[1]
    assert out.count("holds passages of squad2") == 3


def test_slices_and_threads_change_nothing(
    kept_home: str, removed_home: str, corpus: Corpus
) -> None:
    """Eleven slices or one, one thread or five."""
    one = json.loads(corpus("contamination", removed_home, "--json", "--workers", 1)[1])
    many = json.loads(corpus("contamination", kept_home, "--json", "--workers", 5)[1])
    for found in (one, many):
        for row in found["documents"]:
            del row["kept"]
    assert one["documents"] == many["documents"]


def test_the_report_tells(kept_home: str, removed_home: str) -> None:
    for home in (kept_home, removed_home):
        text = page(figures(*open_home(home)), "home")
        section = text.split('<section id="test-sets">')[1].split("</section>")[0]
        cells = [cell.split("<")[0] for cell in section.split("<td")[1:]]
        plain = [cell.partition(">")[2] for cell in cells]
        assert plain == ["mine", "rte", "5", "12.5 %", "mine", "squad2", "5", "12.5 %"]


def test_lists_for_people(kept_home: str, corpus: Corpus, tmp_path: Path) -> None:
    code, out, err = corpus("contamination", kept_home, "--n", 2)
    assert code == 0
    lines = out.splitlines()
    assert [line.split() for line in lines[:3]] == [
        ["test", "set", "examples", "found", "documents", "kept"],
        ["rte", "10", "5", "5", "5"],
        ["squad2", "10", "10", "5", "5"],
    ]
    assert len([line for line in lines if "(kept): squad2, 8 n-grams, 2 examples" in line]) == 2
    assert err.endswith("8 documents more: --n 10\n")

    # Other test sets than those of the recipe, and passages of other lengths.
    path = tmp_path / "mine.tsv"
    path.write_text("sentence\tlabel\n" + "word " * 20 + "\t1\n")
    found = json.loads(corpus("contamination", kept_home, "--against", f"sst2={path}", "--json")[1])
    assert found["tasks"] == {"sst2": {"examples": 1, "found": 0, "documents": 0, "kept": 0}}
    found = json.loads(corpus("contamination", kept_home, "--words", 20, "--json")[1])
    assert [row["ngrams"] for row in found["documents"]] == [1] * 10


def test_mistakes(
    expected: tuple[Path, list[dict[str, object]]], corpus: Corpus, tmp_path: Path
) -> None:
    folder = expected[0]
    home = build(folder, "plain", "min_words = 1")
    code, _, err = corpus("contamination", home)
    assert (code, err) == (
        2,
        "error: --against: missing, and the recipe names no test_sets\n"
        f"hint: corpus contamination {home} --against DIR\n",
    )
    code, _, err = corpus("contamination", home, "--against", folder / "in")
    assert code == 2
    assert f"error: {folder}/in: no development or test file of a known task\n" in err
    assert corpus("contamination", home, "--words", 7)[2].startswith("error: --words 7: less than")

    for rules, what in [
        ("max_test_set_ngrams = 0", "max_test_set_ngrams: needs test_sets"),
        ("test_set_words = 7", "test_set_words: 7 is less than 8"),
    ]:
        recipe = folder / "wrong.toml"
        recipe.write_text(RECIPE.format(rules=rules, slice_bytes=1))
        code, _, err = corpus("build", recipe, "--home", tmp_path / "home", "--dry-run")
        assert code == 2
        assert what in err
    recipe.write_text(RECIPE.format(rules='test_sets = ["nowhere"]', slice_bytes=1000))
    code, _, err = corpus("build", recipe, "--home", tmp_path / "home", "--dry-run")
    assert (code, err.splitlines()[0]) == (2, f"error: {folder}/nowhere: no such file or folder")


def test_recipes_without_test_sets_have_the_digest_that_they_had(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    recipe = tmp_path / "recipe.toml"
    recipe.write_text('[sources.mine]\nkind = "files"\ninput = "in/*.txt"\nrules.min_words = 3\n')
    plain = load_recipe(str(recipe))
    recipe.write_text(recipe.read_text() + "rules.test_set_words = 13\n")
    assert recipe_digest(load_recipe(str(recipe))) == recipe_digest(plain)
    recipe.write_text(recipe.read_text() + 'rules.test_sets = ["tests"]\n')
    # Where test sets lie decides nothing; what they hold is in the fingerprint of the stage.
    assert recipe_digest(load_recipe(str(recipe))) == recipe_digest(plain)
    recipe.write_text(recipe.read_text() + "rules.max_test_set_ngrams = 0\n")
    assert recipe_digest(load_recipe(str(recipe))) != recipe_digest(plain)


def test_other_test_sets_measure_again(
    expected: tuple[Path, list[dict[str, object]]], corpus: Corpus
) -> None:
    folder = expected[0]
    home = build(folder, "again", TEST_SETS)
    path = folder / "tests" / "RTE" / "test.tsv"
    content = path.read_text()
    path.write_text("".join(content.splitlines(keepends=True)[:4]))
    try:
        build(folder, "again", TEST_SETS)
    finally:
        path.write_text(content)
    assert stats(home)["sources"]["mine"]["marks"] == {
        "with a passage of rte": 3,
        "with a passage of squad2": 5,
    }
