"""Near-deduplication in a build: figures, the same bytes for any slices and workers, resume,
settings, the guard."""

import json
import random
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import looked
import pytest

from shards.manifest import read_manifest

Corpus = Callable[..., tuple[int, str, str]]

RECIPE = """
[sources.first]
kind = "files"
input = "first.jsonl"
[sources.second]
kind = "files"
input = "second.jsonl"
[tokenizer]
vocab_size = 600
sample_bytes = 100000
"""


@pytest.fixture(scope="module")
def folder(novels: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two sources of 40 texts of 200 words: texts 30 to 39 of the second are those of the first
    with two words changed, 20 to 24 the same."""
    folder = tmp_path_factory.mktemp("near_build")
    words = re.findall(r"\w+", sorted(novels.iterdir())[0].read_text("utf-8"))
    draw = random.Random(0)
    texts = [words[200 * number : 200 * number + 200] for number in range(80)]
    for number in range(30, 40):
        texts[40 + number] = list(texts[number])
        texts[40 + number][50] = texts[40 + number][150] = f"Changed{draw.randrange(10**9)}"
    texts[60:65] = texts[20:25]
    for name, part in (("first", texts[:40]), ("second", texts[40:])):
        (folder / f"{name}.jsonl").write_text(
            "".join(json.dumps({"text": " ".join(text)}) + "\n" for text in part)
        )
    (folder / "recipe.toml").write_text(RECIPE)
    return folder


@pytest.fixture(scope="module")
def home(folder: Path) -> Path:
    from pipelines.cli import main

    assert (
        main(
            ["build", str(folder / "recipe.toml"), "--home", str(folder / "home"), "--workers", "0"]
        )
        == 0
    )
    return folder / "home"


def shards(home: Path) -> list[Any]:
    return [(entry.file, entry.digest) for entry in read_manifest(str(home / "shards")).shards]


def test_figures_and_fates(home: Path, corpus: Corpus) -> None:
    sources = json.loads(corpus("stats", home, "--json")[1])["sources"]
    assert [sources[name]["removed"] for name in ("first", "second")] == [
        {"exact": 0, "near": 0},
        {"exact": 5, "near": 10},
    ]
    assert [sources[name]["kept"] for name in ("first", "second")] == [40, 25]
    done = json.loads(corpus("status", home, "--json")[1])
    assert done["complete"] and done["done"]["near"] == done["slices"]
    removed = [
        record
        for record in looked.documents(str(home), "second", removed=True)
        if record["stage"] == "near"
    ]
    assert len(removed) == 10
    (fate,) = json.loads(corpus("why", home, removed[0]["id"], "--json")[1])["records"]
    (twin,) = json.loads(corpus("why", home, fate["twin"], "--json")[1])["records"]
    assert fate["outcome"] == "removed" and fate["stage"] == "near" and twin["outcome"] == "kept"
    sets = [
        {tuple(words[i : i + 5]) for i in range(len(words) - 4)}
        for words in (re.findall(r"\w+", record["text"].lower()) for record in (fate, twin))
    ]
    assert (
        fate["score"] == pytest.approx(len(sets[0] & sets[1]) / len(sets[0] | sets[1]), abs=1e-9)
        and 0.88 < fate["score"] < 0.92
    )
    assert any("Changed" in line for line in fate["difference"])


@pytest.mark.parametrize(
    "flags",
    [["--workers", "2", "--sources.second.slice-bytes", "5000"]],
    ids=["2 workers, small slices"],
)
def test_the_same_shards(
    flags: list[str], folder: Path, home: Path, tmp_path: Path, corpus: Corpus
) -> None:
    code, _, err = corpus("build", folder / "recipe.toml", "--home", tmp_path / "home", *flags)
    assert code == 0, err
    assert shards(tmp_path / "home") == shards(home)
    assert (
        "near: 32 bands of 8; chance that a pair is compared" in err
        and "near second: 10 of 40 documents are near-duplicates" in err
    )


def test_settings_and_what_they_redo(
    folder: Path, home: Path, tmp_path: Path, corpus: Corpus
) -> None:
    """Off; a source's own threshold, which reads scores alone; the dry run says it."""
    build = ("build", folder / "recipe.toml", "--home", tmp_path / "home", "--workers", 0)
    code, _, err = corpus(*build, "--dedup.no-near")
    assert code == 0 and [line for line in err.splitlines() if "near" in line] == ["near: off"]
    assert json.loads(corpus("stats", tmp_path / "home", "--json")[1])["total"]["removed"] == {
        "exact": 5
    }
    code, _, err = corpus(*build)
    assert (
        code == 0
        and "changed: dedup.near from false to true; redone: dedup, tokenizer, tokenize" in err
    )
    assert shards(tmp_path / "home") == shards(home)
    before = {
        path: path.stat().st_mtime_ns
        for path in (tmp_path / "home" / "work" / "scores").rglob("*.bin")
    }
    line = (
        "changed: sources.second.dedup.threshold from none to 0.95; redone: dedup, tokenizer, "
        "tokenize"
    )
    assert line in corpus(*build, "--dry-run", "--sources.second.dedup.threshold", 0.95)[2]
    code, _, err = corpus(*build, "--sources.second.dedup.threshold", 0.95)
    assert code == 0 and line in err
    assert json.loads(corpus("stats", tmp_path / "home", "--json")[1])["total"]["removed"] == {
        "exact": 5,
        "near": 0,
    }
    assert before and all(path.stat().st_mtime_ns == then for path, then in before.items())


def test_a_guard_stops_the_build(folder: Path, tmp_path: Path, corpus: Corpus) -> None:
    code, _, err = corpus(
        "build",
        folder / "recipe.toml",
        "--home",
        tmp_path / "home",
        "--workers",
        0,
        "--dedup.max-removed",
        0.2,
    )
    assert (
        code == 1
        and "error: second: 10 of 35 documents (29%) are near-duplicates, more than dedup.max_"
        in err
    )
    assert re.search(r"similarity 0.90 and up +10\n", err)


def test_status_after_the_guard_stopped_a_rebuild(
    folder: Path, home: Path, tmp_path: Path, corpus: Corpus
) -> None:
    """The shards of the first build are there, and are not what the recipe asks for; with another
    vocabulary too."""
    shutil.copytree(home, tmp_path / "home")
    for more in ([], ["--tokenizer.vocab-size", 590]):
        assert json.loads(corpus("status", tmp_path / "home", "--json")[1])["complete"] == (
            not more
        )
        assert (
            corpus(
                "build",
                folder / "recipe.toml",
                "--home",
                tmp_path / "home",
                "--workers",
                0,
                "--dedup.max-removed",
                0.2,
                *more,
            )[0]
            == 1
        )
        found = json.loads(corpus("status", tmp_path / "home", "--json")[1])
        assert (
            not found["complete"]
            and "10 of 35 documents (29%) are near-duplicates" in found["stopped"]
        )


@pytest.mark.parametrize(
    ("flag", "value", "said"),
    [
        ("--dedup.threshold", 0.05, "threshold: 0.05 is not in [0.1, 1]"),
        ("--dedup.containment", 0.2, "containment: 0.2 is not in [0.5, 1]"),
        ("--dedup.containment-words", -1, "containment_words: -1 is less than 0"),
        ("--dedup.ngram", 0, "ngram: 0 is not in [1, 100]"),
        ("--sources.first.dedup.threshold", 2, "threshold: 2.0 is not in [0.1, 1]"),
    ],
)
def test_wrong_settings(
    flag: str, value: float, said: str, folder: Path, tmp_path: Path, corpus: Corpus
) -> None:
    code, _, err = corpus("build", folder / "recipe.toml", "--home", tmp_path / "home", flag, value)
    assert code == 2 and said in err


def test_the_probe_through_exact_and_near(novels: Path, tmp_path: Path) -> None:
    """400 groups A, A' (0.97), C, C' (C is another text: 0.59), 30 different and 20 identical short
    texts: 400 right, 0 lost, 30 kept, 1 kept."""
    from plain_build import plain_build

    words = re.findall(
        r"\w+", " ".join(path.read_text("utf-8") for path in sorted(novels.iterdir())[:3])
    )
    draw, groups = random.Random(0), []
    for group in range(400):
        begin = group * (len(words) - 680) // 400
        a = words[begin : begin + 340]
        c = a[:254] + [f"{word}{group}" for word in words[begin + 340 : begin + 426]]
        again = [
            [*text[:place], f"changed{group}", *text[place + 1 :]]
            for text in (a, c)
            for place in [draw.randrange(20, 300)]
        ]
        groups.append([" ".join(text) for text in (a, again[0], c, again[1])])
    short = [f"Item {number} of 30" for number in range(30)]
    texts = (
        [text for of_group in groups for text in of_group] + short + ["The same four words"] * 20
    )
    draw.shuffle(texts)
    (tmp_path / "in.jsonl").write_text("".join(json.dumps({"text": text}) + "\n" for text in texts))
    (tmp_path / "recipe.toml").write_text(
        f'[sources.probe]\nkind = "files"\ninput = "{tmp_path}/in.jsonl"\nslice_bytes = 500000\n'
    )
    home = plain_build(tmp_path / "recipe.toml", tmp_path / "home", "dedup")
    kept = [record["text"] for record in looked.documents(home, None, removed=False)]
    assert len(kept) == len(set(kept)) == 800 + 30 + 1
    assert (
        sum(
            len({a, a_} & set(kept)) == 1 and len({c, c_} & set(kept)) == 1
            for a, a_, c, c_ in groups
        )
        == 400
    )  # right, and none lost
    assert set(short) <= set(kept) and kept.count("The same four words") == 1
    from looked import stats

    assert stats(home)["total"]["removed"] == {"exact": 19, "near": 800}
