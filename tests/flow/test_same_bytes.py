"""Law 2: the same bytes for any workers, order, slicing, place, hash seed and history; and what a
change redoes."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from corpora.web.page import PAGE_PACKAGES
from shards.manifest import read_manifest

ROOT = Path(__file__).resolve().parents[2]
Corpus = Callable[..., tuple[int, str, str]]

RECIPE = """
[sources.novels]
kind = "files"
input = ["{texts}/*.txt"]
document = "blank-line"
[sources.reuters]
kind = "reuters:source"
input = ["{reuters}/reut2-00[01].sgm", "{reuters}/reut2-002.sgm"]
[tokenizer]
vocab_size = 800
sample_bytes = 100000
[shards]
shard_tokens = 60000
valid_fraction = 0.02
"""


def digests(home: Path) -> dict[str, str]:
    """File -> digest of everything in shards/, the manifest included."""
    import hashlib

    return {
        path.name: hashlib.blake2b(path.read_bytes()).hexdigest()
        for path in sorted((home / "shards").iterdir())
    }


@pytest.fixture(scope="module")
def small_reuters(reuters: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The first 150 kB of three of the files."""
    folder = tmp_path_factory.mktemp("small_reuters")
    for number, path in enumerate(sorted(reuters.iterdir())[:3]):
        (folder / f"reut2-00{number}.sgm").write_bytes(path.read_bytes()[:150_000])
    return folder


@pytest.fixture(scope="module")
def recipe(
    some_novels: Path, small_reuters: Path, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    path = tmp_path_factory.mktemp("recipe") / "recipe.toml"
    path.write_text(RECIPE.format(texts=some_novels, reuters=small_reuters))
    return path


@pytest.fixture(scope="module")
def reference(recipe: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Digests and figures of the undisturbed build."""
    from looked import stats

    from pipelines.cli import main

    home = tmp_path_factory.mktemp("reference") / "home"
    assert main(["build", str(recipe), "--home", str(home), "--workers", "0"]) == 0
    found = digests(home)
    assert len(found) > 6
    figures = stats(str(home))
    assert all(row["removed"]["exact"] for row in figures["sources"].values())
    return {"digests": found, "stats": figures, "home": home}


def same(home: Path, reference: dict[str, Any]) -> None:
    from looked import stats

    assert digests(home) == reference["digests"]
    assert stats(str(home)) == reference["stats"]


@pytest.mark.parametrize(
    "flags",
    [
        ["--workers", "1"],
        ["--workers", "2"],
        [
            "--workers",
            "0",
            "--sources.novels.slice-bytes",
            "20000",
            "--sources.reuters.slice-bytes",
            "1",
        ],
        [
            "--workers",
            "2",
            "--sources.novels.slice-bytes",
            "1",
            "--sources.reuters.slice-bytes",
            "100000",
        ],
    ],
    ids=["1 worker", "2 workers", "small slices", "a slice a file"],
)
def test_workers_and_slices(
    flags: list[str], recipe: Path, reference: dict[str, Any], tmp_path: Path, corpus: Corpus
) -> None:
    assert corpus("build", recipe, "--home", tmp_path / "home", *flags)[0] == 0
    same(tmp_path / "home", reference)


def test_inputs_in_another_order_and_place(
    some_novels: Path,
    small_reuters: Path,
    reference: dict[str, Any],
    tmp_path: Path,
    corpus: Corpus,
) -> None:
    for source in (some_novels, small_reuters):
        for path in sorted(source.iterdir(), reverse=True):
            (tmp_path / source.name).mkdir(exist_ok=True)
            shutil.copy(path, tmp_path / source.name / path.name)
    text = RECIPE.format(texts=tmp_path / some_novels.name, reuters=tmp_path / small_reuters.name)
    patterns = [
        f'"{tmp_path / small_reuters.name}/reut2-00[01].sgm"',
        f'"{tmp_path / small_reuters.name}/reut2-002.sgm"',
    ]
    (tmp_path / "recipe.toml").write_text(
        text.replace(", ".join(patterns), ", ".join(reversed(patterns)))
    )
    assert (
        corpus("build", tmp_path / "recipe.toml", "--home", tmp_path / "home", "--workers", 0)[0]
        == 0
    )
    same(tmp_path / "home", reference)


def test_twice_in_one_home_and_after_a_move_of_it(
    recipe: Path, reference: dict[str, Any], tmp_path: Path, corpus: Corpus
) -> None:
    home, moved = tmp_path / "home", tmp_path / "moved"
    for _ in range(2):
        assert corpus("build", recipe, "--home", home, "--workers", 0)[0] == 0
        same(home, reference)
    home.rename(moved)
    assert corpus("build", recipe, "--home", moved, "--workers", 0)[0] == 0
    same(moved, reference)
    assert corpus("verify", moved)[0] == 0


@pytest.mark.parametrize("seed", ["1", "random"])
def test_another_hash_seed(
    seed: str, recipe: Path, reference: dict[str, Any], tmp_path: Path
) -> None:
    path = os.pathsep.join([str(ROOT), str(ROOT / "tests" / "helpers")])
    subprocess.run(
        [
            sys.executable,
            "-m",
            "pipelines.cli",
            "build",
            str(recipe),
            "--home",
            str(tmp_path / "home"),
            "--workers",
            "1",
        ],
        env={
            **os.environ,
            "PYTHONHASHSEED": seed,
            "PYTHONPATH": path,
            "TZ": "Asia/Tokyo",
            "LC_ALL": "C",
        },
        check=True,
        cwd=tmp_path,
        capture_output=True,
    )
    same(tmp_path / "home", reference)


def test_without_the_optional_packages(
    recipe: Path,
    reference: dict[str, Any],
    tmp_path: Path,
    corpus: Corpus,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """`[fast]` may only be faster."""
    monkeypatch.setattr("pipelines.stages.encoder.FASTOKENS_VERSIONS", ())
    assert corpus("build", recipe, "--home", tmp_path / "home", "--workers", 0)[0] == 0
    same(tmp_path / "home", reference)


def test_stages_one_by_one(
    recipe: Path, reference: dict[str, Any], tmp_path: Path, corpus: Corpus
) -> None:
    home = tmp_path / "home"
    assert corpus("ingest", recipe, "--home", home, "--workers", 0)[0] == 0
    code, _, err = corpus("tokenize", home, "--workers", 0)
    assert code == 2 and "no vocabulary yet" in err and "corpus train-tokenizer" in err
    for command in ("dedup", "train-tokenizer", "tokenize"):
        assert corpus(command, home, "--workers", 0)[0] == 0
    same(home, reference)


def test_a_new_source_leaves_the_others_alone(
    recipe: Path, some_novels: Path, reference: dict[str, Any], tmp_path: Path, corpus: Corpus
) -> None:
    """With a given vocabulary; but what dedup takes from them, it takes."""
    tokenizer = reference["home"] / "tokenizer" / "tokenizer.json"
    flags = ["--home", tmp_path / "home", "--workers", 0, "--tokenizer.path", tokenizer]
    assert corpus("build", recipe, *flags)[0] == 0
    before = digests(tmp_path / "home")
    times = {
        path.name: path.stat().st_mtime_ns
        for path in (tmp_path / "home" / "shards").glob("*.arrow")
    }
    (tmp_path / "own").mkdir()
    copied = sorted(some_novels.iterdir())[2].read_text("utf-8").split("\n\n")[0]
    (tmp_path / "own" / "a.txt").write_text("Something of my own.")
    (tmp_path / "own" / "b.txt").write_text("Something else of my own.")
    (tmp_path / "own" / "c.txt").write_text(copied)
    (tmp_path / "recipe.toml").write_text(
        recipe.read_text() + f'\n[sources.own]\nkind = "files"\ninput = "{tmp_path}/own/*.txt"\n'
    )
    code, _, err = corpus("build", tmp_path / "recipe.toml", *flags)
    assert code == 0 and "source own is new" in err
    after = digests(tmp_path / "home")
    assert set(after) - set(before) == {"train-own-00000.arrow", "valid-own-00000.arrow"}
    assert {name for name in before if before[name] != after[name]} == {
        "manifest.json",
        "README.md",
    }
    assert all(
        (tmp_path / "home" / "shards" / name).stat().st_mtime_ns == time
        for name, time in times.items()
    )
    assert corpus("verify", tmp_path / "home")[0] == 0
    code, _, _ = corpus(
        "build", tmp_path / "recipe.toml", *flags, "--dedup.priority", "own", "novels", "reuters"
    )
    last = digests(tmp_path / "home")
    assert code == 0 and {
        name.rsplit("-", 1)[0] for name in last if last[name] != after.get(name)
    } >= {"manifest.json", "train-own"} | ({"train-novels"} if copied else set())
    assert {name for name in last if "reuters" in name and last[name] != after[name]} == set()
    (tmp_path / "recipe.toml").write_text(recipe.read_text())
    code, _, err = corpus("build", tmp_path / "recipe.toml", *flags, "--yes")
    assert code == 0 and "source own is gone" in err
    assert digests(tmp_path / "home") == before


@pytest.mark.parametrize(
    ("flags", "line"),
    [
        (
            ["--tokenizer.vocab-size", "700"],
            "changed: tokenizer.vocab_size from 800 to 700; redone: tokenizer, tokenize",
        ),
        (
            ["--shards.whitespace", "strip"],
            'changed: shards.whitespace from "space" to "strip"; redone: tokenize',
        ),
        (
            ["--dedup.no-exact"],
            "changed: dedup.exact from true to false; redone: near, tokenizer, tokenize",
        ),
        (["--seed", "1"], "changed: seed from 0 to 1; redone: tokenizer, tokenize"),
        (
            ["--sources.novels.rules.min-words", "100"],
            (
                "changed: sources.novels.rules.min_words from none to 100; redone: rules, exact, "
                "near, tokenizer, tokenize"
            ),
        ),
        (
            ["--limit", "3"],
            "changed: limit from none to 3; redone: ingest, exact, near, tokenizer, tokenize",
        ),
        (
            ["--sources.novels.document", "line"],
            (
                'changed: sources.novels.document from "blank-line" to "line"; redone: ingest of '
                "novels, exact, near, tokenizer, tokenize"
            ),
        ),
    ],
    ids=lambda value: value[0] if isinstance(value, list) else "",
)
def test_a_changed_recipe_is_said_and_redone(
    flags: list[str],
    line: str,
    recipe: Path,
    reference: dict[str, Any],
    tmp_path: Path,
    corpus: Corpus,
) -> None:
    home, fresh = tmp_path / "home", tmp_path / "fresh"
    shutil.copytree(reference["home"], home)
    # Where ids change it asks; the others need no answer.
    answer = ["--yes"] if "--sources.novels.document" in flags else []
    code, _, err = corpus("build", recipe, "--home", home, "--workers", 0, *flags, *answer)
    assert code == 0 and line in err
    assert corpus("build", recipe, "--home", fresh, "--workers", 0, *flags)[0] == 0
    assert digests(home) == digests(fresh)
    assert digests(home)["manifest.json"] != reference["digests"]["manifest.json"]
    code, _, err = corpus("build", recipe, "--home", home, "--workers", 0, *answer)
    assert code == 0 and "changed: " in err
    same(home, reference)


def test_much_is_asked_about(
    recipe: Path,
    reference: dict[str, Any],
    tmp_path: Path,
    corpus: Corpus,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    home = tmp_path / "home"
    shutil.copytree(reference["home"], home)
    monkeypatch.setattr("pipelines.adopt.MUCH_BYTES", 1000)
    monkeypatch.setattr("sys.stdin", open(os.devnull))
    code, _, err = corpus("build", recipe, "--home", home, "--workers", 0, "--seed", 5)
    assert code == 2 and "was built with another recipe" in err and "--yes" in err
    same(home, reference)
    assert corpus("build", recipe, "--home", home, "--workers", 0, "--seed", 5, "--yes")[0] == 0


def test_a_limit_takes_the_first_records_of_each_source(
    recipe: Path, reference: dict[str, Any], tmp_path: Path, corpus: Corpus
) -> None:
    from looked import documents, stats

    assert (
        corpus("build", recipe, "--home", tmp_path / "home", "--workers", 2, "--limit", 40)[0] == 0
    )
    figures = stats(str(tmp_path / "home"))["sources"]
    assert {name: row["records"] for name, row in figures.items()} == {"novels": 40, "reuters": 40}
    for name in figures:
        whole = [
            record["id"]
            for removed in (False, True)
            for record in documents(str(reference["home"]), name, removed)
        ]
        assert {record["id"] for record in documents(str(tmp_path / "home"), name, False)} <= set(
            whole
        )
    again = corpus(
        "build",
        recipe,
        "--home",
        tmp_path / "again",
        "--workers",
        0,
        "--limit",
        40,
        "--sources.novels.slice-bytes",
        1,
    )
    assert again[0] == 0 and digests(tmp_path / "home") == digests(tmp_path / "again")


def test_the_manifest_names_nothing_of_this_machine(reference: dict[str, Any]) -> None:
    text = (reference["home"] / "shards" / "manifest.json").read_text()
    manifest = read_manifest(str(reference["home"] / "shards"))
    assert str(reference["home"]) not in text and os.uname().nodename not in text
    assert set(manifest.created_by) == {
        "corpusmill",
        "pyarrow",
        "sentencex",
        "tokenizers",
        *PAGE_PACKAGES,
    }
    assert (
        manifest.tokenizer.lossless
        and manifest.tokenizer.special["<mask>"] == manifest.tokenizer.vocab_size - 1
    )


def said_again(err: str) -> list[str]:
    return [line for line in err.splitlines() if "done again" in line]


def test_another_version_of_a_package_is_said_and_redone(
    recipe: Path,
    reference: dict[str, Any],
    tmp_path: Path,
    corpus: Corpus,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Only what rests on the package is done again, and that is said before."""
    from importlib.metadata import version

    home = tmp_path / "home"
    shutil.copytree(reference["home"], home)
    before = {path: path.stat().st_mtime_ns for path in (home / "documents").rglob("*.parquet")}
    monkeypatch.setattr(
        "pipelines.home.fingerprints.version",
        lambda name: "9.9" if name == "sentencex" else version(name),
    )
    code, _, err = corpus("build", recipe, "--home", home, "--workers", 0)
    assert code == 0, err
    slices = {
        name: len(list((home / "documents" / name).iterdir())) for name in ("novels", "reuters")
    }
    assert said_again(err) == [
        f"tokenize {name}: {n} of {n} slices are done again: another version of a package"
        for name, n in slices.items()
    ]
    assert {path: path.stat().st_mtime_ns for path in before} == before
    code, _, err = corpus("build", recipe, "--home", home, "--workers", 0)
    assert code == 0 and not said_again(err)


def test_a_changed_input_is_said_and_redone(
    small_reuters: Path, some_novels: Path, tmp_path: Path, corpus: Corpus
) -> None:
    """The slice of the changed file alone is read again; what comes out, but for the vocabulary,
    which stays until it is asked for, equals a build from nothing."""
    for source in (some_novels, small_reuters):
        shutil.copytree(source, tmp_path / source.name)
    text = RECIPE.format(texts=tmp_path / some_novels.name, reuters=tmp_path / small_reuters.name)
    recipe, home = tmp_path / "recipe.toml", tmp_path / "home"
    recipe.write_text(text)
    flags = ["--workers", 0, "--sources.novels.slice-bytes", 1, "--sources.reuters.slice-bytes", 1]
    assert corpus("build", recipe, "--home", home, *flags)[0] == 0
    path = sorted((tmp_path / some_novels.name).iterdir())[2]
    changed = path.read_bytes()
    path.write_bytes(changed[:20_000] + b"another word" + changed[20_012:])  # as long as before
    code, _, err = corpus("build", recipe, "--home", home, *flags)
    assert code == 0, err
    assert (
        said_again(err)[0] == "ingest novels: 1 of 9 slices are done again: its input files changed"
    )
    assert "kept as trained on" in err
    assert corpus("build", recipe, "--home", home, *flags, "--retrain")[0] == 0
    assert corpus("build", recipe, "--home", tmp_path / "fresh", *flags)[0] == 0
    assert digests(home) == digests(tmp_path / "fresh")
