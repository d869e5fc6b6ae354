"""`corpus show --removed` says what matched; `corpus why` takes whatever names a record."""

import json
from collections.abc import Callable
from pathlib import Path

import looked
import pytest
from plain_build import plain_build

Corpus = Callable[..., tuple[int, str, str]]

TEXT = "The council of the town met again to talk about the bridge and about those who live near."

ONE = "news.example/one"

ROWS = [
    {"text": f"{TEXT} One.", "u": f"https://www.{ONE}?utm_source=x", "t": "The Bridge", "n": 1},
    {"text": f"{TEXT}\nLorem  text\nHere lorem ipsum dolor", "u": "http://b.example/two", "n": 2},
    {"text": f"{TEXT} Three.", "u": "http://shop.tabloid.example/three", "t": "Three", "n": 3},
    {"text": f"{TEXT} Four.", "u": "http://c.example/four", "t": "Four", "n": "four"},
    {"text": f"{TEXT}  one.", "u": "http://d.example/five", "t": "the  bridge", "n": 5},
    {"text": f"{TEXT} " * 5 + "Six.", "u": "http://e.example/six", "n": 6},
    {"text": f"{TEXT} " * 5 + "Six and seven.", "u": "http://e.example/seven", "n": 7},
]

RECIPE = """
[sources.mine]
kind = "files"
input = "in/**"
id_field = "n"
url_field = "u"
title_field = "t"
[sources.mine.rules]
exclude_domains = "blocked.csv"
exclude_urls = "pages.txt"
exclude_hashes = "hashes.txt"
max_lorem_ipsum = 0
max_words = 300
[tokenizer]
vocab_size = 300
"""


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("shown")
    (folder / "in" / "deep").mkdir(parents=True)
    (folder / "in" / "a.jsonl").write_text("".join(json.dumps(row) + "\n" for row in ROWS))
    (folder / "in" / "deep" / "long text.txt").write_text("many words " * 200)
    (folder / "in" / "deep" / "bad.txt").write_bytes(b"caf\xe9")
    (folder / "blocked.csv").write_text("rank,domain\n1,other.example\n2,tabloid.example\n")
    (folder / "pages.txt").write_text("# pages\nc.example/four\n")
    (folder / "hashes.txt").write_text("")
    (folder / "recipe.toml").write_text(RECIPE)
    return plain_build(folder / "recipe.toml", folder / "home", "dedup")


def removed(corpus: Corpus, home: str, reason: str) -> list[str]:
    code, out, _ = corpus("show", home, "--removed", "--reason", reason, "--n", 9)
    assert code == 0
    return [line for line in out.splitlines() if line.startswith("removed: ")]


def identity(home: str, number: object) -> str:
    (record,) = looked.why(home, str(number))
    return record["id"]


def test_the_rule_and_the_line_that_matched(home: str, corpus: Corpus) -> None:
    place = Path(home).parent
    assert removed(corpus, home, "rules") == [
        "removed: by the rule max_lorem_ipsum (line 3 of the document: Here lorem ipsum dolor)",
        f"removed: by the rule exclude_domains ({place}/blocked.csv, line 3: tabloid.example)",
        f"removed: by the rule exclude_urls ({place}/pages.txt, line 2: c.example/four)",
        "removed: by the rule max_words (400, threshold 300)",
    ]
    assert removed(corpus, home, "exclude_urls")[0].endswith("line 2: c.example/four)")


@pytest.mark.parametrize(
    ("rule", "why"),
    [
        ("require_date = true", "require_date (it has no date)"),
        ('only_domains = "blocked.csv"', "only_domains (its list does not name b.example)"),
    ],
)
def test_what_a_document_lacks(rule: str, why: str, tmp_path: Path, corpus: Corpus) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.jsonl").write_text(json.dumps(ROWS[1]) + "\n")
    (tmp_path / "blocked.csv").write_text("domain\na.example\n")
    (tmp_path / "recipe.toml").write_text(f"{RECIPE.partition('exclude')[0]}{rule}\n")
    home = plain_build(tmp_path / "recipe.toml", tmp_path / "home", "dedup")
    assert removed(corpus, home, "rules") == [f"removed: by the rule {why}"]


def test_a_hash_is_found_in_its_list(home: str, corpus: Corpus, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.jsonl").write_text(json.dumps(ROWS[0]) + "\n")
    (tmp_path / "hashes.txt").write_text(f"{'0' * 32}\n{identity_of_first(tmp_path)}\n")
    for name in ("blocked.csv", "pages.txt"):
        (tmp_path / name).write_text("")
    (tmp_path / "recipe.toml").write_text(RECIPE)
    own = plain_build(tmp_path / "recipe.toml", tmp_path / "home", "dedup")
    (line,) = removed(corpus, own, "exclude_hashes")
    assert line.startswith(f"removed: by the rule exclude_hashes ({tmp_path}/hashes.txt, line 2: ")


def identity_of_first(folder: Path) -> str:
    (folder / "plain.toml").write_text('[sources.mine]\nkind = "files"\ninput = "in/**"\n')
    home = plain_build(folder / "plain.toml", folder / "first", "ingest")
    (summary,) = Path(home, "documents", "mine").iterdir()
    import pyarrow.parquet as pq

    found: str = pq.read_table(summary).column("id").to_pylist()[0]
    return found


def test_a_list_that_is_gone_is_no_error(corpus: Corpus, home: str) -> None:
    blocked = Path(home).parent / "blocked.csv"
    content = blocked.read_text()
    blocked.unlink()
    try:
        (line,) = removed(corpus, home, "exclude_domains")
    finally:
        blocked.write_text(content)
    assert line == "removed: by the rule exclude_domains (1, threshold 0)"


def test_duplicates_in_words(home: str, corpus: Corpus) -> None:
    first, sixth = identity(home, 1), identity(home, 6)
    assert removed(corpus, home, "exact") == [f"removed: exact copy of {first}"]
    (near,) = removed(corpus, home, "near")
    assert near.startswith(f"removed: near-duplicate of {sixth} (similarity 0.9")
    out = corpus("show", home, "--removed", "--n", 9)[1]
    assert not {"twin", "score", "stage", "threshold"} & {
        line.split(":")[0] for line in out.splitlines()
    }
    (record,) = json.loads(corpus("show", home, "--removed", "--reason", "exact", "--json")[1])[
        "records"
    ]
    assert record["twin"] == first  # the JSON keeps its keys


@pytest.mark.parametrize(
    ("word", "numbers"),
    [
        ("four", ["four"]),
        ("https://news.example/one", [1]),
        ("news.example/one/", [1]),
        ("http://www.b.example/two#top", [2]),
        ("a.jsonl @ 0", [1]),
        ("The bridge", [1, 5]),
        ("three", [3]),
        ("a.jsonl", [1, 2, 3, "four", 5, 6, 7]),
        ("/any/where/in/a.jsonl", [1, 2, 3, "four", 5, 6, 7]),
    ],
)
def test_why_takes_what_names_a_record(word: str, numbers: list[object], home: str) -> None:
    assert [record["extra"]["id"] for record in looked.why(home, word)] == numbers


def test_why_takes_the_path_of_a_text_and_of_a_reject(home: str, corpus: Corpus) -> None:
    for word in (
        "deep/long text.txt",
        f"{Path(home).parent}/in/deep/long text.txt",
        "long text.txt",
    ):
        (record,) = looked.why(home, word)
        assert (record["path"], record["outcome"]) == ("deep/long text.txt", "removed")
    (record,) = looked.why(home, "bad.txt")
    assert (record["outcome"], record["path"]) == ("rejected", "deep/bad.txt")
    code, out, _ = corpus("why", home, "bad.txt")
    assert code == 0 and "outcome: rejected\n" in out


def test_why_says_how_many_there_are(tmp_path: Path, corpus: Corpus) -> None:
    (tmp_path / "in").mkdir()
    lines = "".join(f"{TEXT} {number}\n" for number in range(30))
    (tmp_path / "in" / "a.txt").write_text(lines)
    recipe = tmp_path / "recipe.toml"
    recipe.write_text('[sources.m]\nkind = "files"\ninput = "in/*"\ndocument = "line"\n')
    home = plain_build(recipe, tmp_path / "home", "ingest")
    code, out, err = corpus("why", home, "a.txt")
    assert code == 0 and out.count("path: a.txt") == 20
    assert err == "30 records are known as this; these are the first 20\n"
    found = json.loads(corpus("why", home, "a.txt", "--json")[1])
    assert (found["found"], len(found["records"])) == (30, 20)


def test_what_names_no_record_is_told_what_does(home: str, corpus: Corpus) -> None:
    for word in ("nothing", "http://news.example/other", "00000000", "", "a.jsonl @ 7"):
        code, _, err = corpus("why", home, word)
        assert code == 2 and f"no record is known as {word!r}" in err and "an address" in err


def test_a_twin_that_was_removed_itself_is_followed_to_what_is_there(
    tmp_path: Path, corpus: Corpus
) -> None:
    """The third is a copy of the second, which is a near-duplicate of the first."""
    texts = [f"{TEXT} " * 5 + end for end in ("Six.", "Six and seven.", "Six  and seven.")]
    (tmp_path / "a.jsonl").write_text("".join(json.dumps({"text": text}) + "\n" for text in texts))
    recipe = tmp_path / "recipe.toml"
    recipe.write_text(
        '[sources.a]\nkind = "files"\ninput = "a.jsonl"\n[dedup]\nmax_removed = 1.0\n'
    )
    home = plain_build(recipe, tmp_path / "home", "dedup")
    first, second, third = looked.why(home, "a.jsonl")

    assert third["twin"] == second["id"]
    assert third["twin_record"]["id"] == first["id"] == second["twin_record"]["id"]
    assert "way" not in second
    (step,) = third["way"]
    assert step["id"] == second["id"] and step["twin"] == first["id"] and step["stage"] == "near"

    out = corpus("why", home, third["id"])[1]
    near = f"{second['id']}: near-duplicate of {first['id']} (similarity 0.9"
    assert f"which was removed itself: a, {near}" in out
    assert f"kept instead: a, {first['id']}" in out

    (pair,) = [
        pair
        for pair in json.loads(corpus("report", home, "--json")[1])["pairs"]
        if pair["stage"] == "exact"
    ]
    assert pair["kept"]["id"] == first["id"]


@pytest.mark.parametrize(
    ("arguments", "what", "hint"),
    [
        (
            ("--removed", "--reason", "zzz"),
            "'zzz' is no stage, rule or kind of reason by which documents are removed here",
            "stages: rules, exact, near; rules: exclude_domains, exclude_hashes, exclude_urls, "
            "max_lorem_ipsum, max_words; kinds: text, address, contained, contains, "
            "too_little_left, too_many_of_host, not_emitted, not_sampled",
        ),
        (
            ("--removed", "--reason", "exakt"),
            "'exakt' is no stage",
            "did you mean the stage exact?",
        ),
        (
            ("--removed", "--reason", "max_word"),
            "'max_word' is no stage",
            "did you mean the rule max_words?",
        ),
        (
            ("--removed", "--reason", "contain"),
            "'contain' is no stage",
            "did you mean the kind contain",
        ),
        (
            ("--reason", "contained"),
            "no reject has the reason 'contained'",
            "that is why documents are removed: add --removed",
        ),
    ],
)
def test_a_wrong_reason_is_told_what_there_is(
    arguments: tuple[str, ...], what: str, hint: str, home: str, corpus: Corpus
) -> None:
    code, out, err = corpus("show", home, *arguments)
    assert (code, out) == (2, "")
    assert f"error: {what}" in err and f"hint: {hint}" in err


def test_none_asked_for_says_nothing_of_what_there_is(home: str, corpus: Corpus) -> None:
    assert corpus("show", home, "--n", 0) == (0, "", "")
    assert "no such record" in corpus("show", home, "--removed", "--reason", "not_sampled")[2]
