"""`corpus diff`: what differs, exactly, and nothing where nothing does."""

import json
from collections.abc import Callable
from pathlib import Path

import looked
import pytest
from plain_build import plain_build

from pipelines.look import diff as diffs

Corpus = Callable[..., tuple[int, str, str]]


def write(
    folder: Path,
    rows: list[dict[str, str]],
    settings: str = "",
    other: list[str] | None = None,
    until: str = "shards",
) -> Path:
    (folder / "in").mkdir(parents=True)
    (folder / "in" / "a.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    text = f'[sources.a]\nkind = "files"\ninput = "{folder}/in/a.jsonl"\n'
    if other:
        (folder / "in" / "b.jsonl").write_text(
            "".join(json.dumps({"text": line}) + "\n" for line in other)
        )
        text += f'[sources.b]\nkind = "files"\ninput = "{folder}/in/b.jsonl"\n'
    (folder / "recipe.toml").write_text(text + "[tokenizer]\nvocab_size = 300\n" + settings)
    return Path(plain_build(folder / "recipe.toml", folder / "home", until))


ROWS = [{"text": f"The text number {number:2} of all"} for number in range(30)] + [
    {"text": "the  TEXT number  3 of all"}
]


def test_equal_homes(tmp_path: Path, corpus: Corpus) -> None:
    left, right = write(tmp_path / "1", ROWS), write(tmp_path / "2", ROWS)
    code, out, err = corpus("diff", left, right)
    assert code == 0 and "equal" in err
    assert out.splitlines() == [
        (
            f'setting sources.a.input: ["{tmp_path}/1/in/a.jsonl"] | ["{tmp_path}/2/in/a.jsonl"]  '
            "(changes no byte)"
        )
    ]
    found = json.loads(corpus("diff", left, right, "--json")[1])
    assert found["equal"] and found["documents"]["equal"] == 31 and found["schema_version"] == 1


def test_equal_documents_in_other_slices(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(diffs, "PARTITION_RECORDS", 7)
    many = [{"text": row["text"] * 20} for row in ROWS]
    left, right = (
        write(tmp_path / "1", many),
        write(tmp_path / "2", many, "[dedup]\nmax_removed = 0.9\n"),
    )
    for path, cut in ((tmp_path / "3", 300),):
        path.mkdir()
        (path / "recipe.toml").write_text(
            (tmp_path / "1" / "recipe.toml")
            .read_text()
            .replace('kind = "files"', f'kind = "files"\nslice_bytes = {cut}')
        )
        right = Path(plain_build(path / "recipe.toml", path / "home"))
    assert len(list((right / "documents" / "a").iterdir())) > 1
    found = looked.diff(str(left), str(right))
    assert found["equal"] and found["documents"]["equal"] == 31
    assert [(setting["key"], setting["matters"]) for setting in found["settings"]] == [
        ("sources.a.slice_bytes", False)
    ]


def test_every_difference(tmp_path: Path, corpus: Corpus) -> None:
    """Of 31 documents: number 5 changed, the last two gone (one a copy), one new; dedup off;
    another vocabulary; another source."""
    changed = [*ROWS[:5], {"text": "Le texte numero 5 of all."}, *ROWS[6:29]]
    left, right = (
        write(tmp_path / "1", ROWS),
        write(
            tmp_path / "2", changed, "[dedup]\nexact = false\n", ["new text one", "new text two"]
        ),
    )
    code, out, err = corpus("diff", left, right, "--json")
    found = json.loads(out)
    assert code == 1 and not found["equal"]
    documents = found["documents"]
    assert (documents["equal"], documents["only_left"], documents["only_right"]) == (
        28,
        {"a": 2},
        {"b": 2},
    )
    assert (documents["changed_text"], documents["changed_fate"]) == ({"a": 1}, {})
    assert (documents["texts_only_left"], documents["texts_only_right"]) == (2, 3)
    assert {"source": "a", "key": "documents", "left": 31, "right": 29} in found["counts"]
    assert {"key": "dedup.exact", "left": True, "right": False, "matters": True} in found[
        "settings"
    ]
    assert (
        not found["tokenizer"]["equal"]
        and found["shards"]["different"] + found["shards"]["only_right"] > 0
    )
    code, out, err = corpus("diff", left, right)
    assert (
        code == 1
        and "documents of a only in the left home: 2" in out
        and "count a documents: 31 | 29" in out
        and "different" in err
    )
    identity = documents["examples"]["only_left"][0]
    assert corpus("why", left, identity)[0] == 0 and corpus("why", right, identity)[0] == 2


def test_another_fate(tmp_path: Path) -> None:
    left, right = (
        write(tmp_path / "1", ROWS),
        write(tmp_path / "2", ROWS, "[dedup]\nexact = false\nnear = false\n"),
    )
    documents = looked.diff(str(left), str(right))["documents"]
    assert (documents["equal"], documents["changed_fate"], documents["texts_only_right"]) == (
        30,
        {"a": 1},
        1,
    )


def test_homes_that_are_not_ready(tmp_path: Path, corpus: Corpus) -> None:
    left, right = write(tmp_path / "1", ROWS), write(tmp_path / "2", ROWS, until="ingest")
    found = json.loads(corpus("diff", left, right, "--json")[1])
    assert (
        not found["equal"]
        and found["tokenizer"]["right"] is None
        and found["documents"]["changed_fate"] == {"a": 31}
    )
    code, _, err = corpus("diff", left, tmp_path / "nowhere")
    assert code == 2 and "no home here" in err


def test_a_rule_of_a_profile_has_its_threshold(tmp_path: Path, corpus: Corpus) -> None:
    """One home names a threshold, the other a profile with that rule; `none` is for a rule that is
    not asked at all."""
    by_profile = write(
        tmp_path / "1", ROWS, '[sources.a.rules]\nprofile = "paper"\n', until="ingest"
    )
    own = write(
        tmp_path / "2",
        ROWS,
        '[sources.a.rules]\nprofile = "paper"\nmin_words = 60\nmax_words = 9\n'
        "min_mean_word_length = 3.0\n",
        until="ingest",
    )
    off = write(
        tmp_path / "3",
        ROWS,
        '[sources.a.rules]\nprofile = "paper"\noff = ["min_words"]\n',
        until="ingest",
    )
    lines = corpus("diff", by_profile, own)[1].splitlines()
    assert [line for line in lines if "rules" in line] == [
        "setting sources.a.rules.max_words: none | 9",
        "setting sources.a.rules.min_words: 50 | 60",
    ]
    lines = corpus("diff", own, off)[1].splitlines()
    assert "setting sources.a.rules.min_words: 60 | none" in lines
    found = json.loads(corpus("diff", by_profile, own, "--json")[1])["settings"]
    assert [(row["left"], row["right"]) for row in found if row["key"].endswith("min_words")] == [
        (50, 60)
    ]

    # and so a build that is to go on by another recipe says
    recipe = tmp_path / "2" / "recipe.toml"
    err = corpus("build", recipe, "--home", by_profile, "--dry-run")[2]
    assert "changed: sources.a.rules.min_words from 50 to 60; redone" in err
    assert "min_mean_word_length" not in err
