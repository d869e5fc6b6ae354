"""Inputs that were edited, touched or added since the build before."""

import json
import os
from collections.abc import Callable
from pathlib import Path

import pyarrow.parquet as pq
import pytest

Corpus = Callable[..., tuple[int, str, str]]
NAME = "Alice Margaret Johnson"


@pytest.fixture
def recipe(tmp_path: Path) -> Path:
    (tmp_path / "in").mkdir()
    rows = [f"Record {n} {n * n} of many others, with words of its own." for n in range(60_000)]
    rows[30_000] = f"The patient is named {NAME} and lives at 12 Elm Street."
    write(tmp_path / "in" / "a.jsonl", rows)
    path = tmp_path / "recipe.toml"
    path.write_text('[sources.a]\nkind = "files"\ninput = "in/*.jsonl"\n')
    return path


def write(path: Path, rows: list[str]) -> None:
    path.write_text("".join(json.dumps({"text": row}) + "\n" for row in rows))


def texts(home: Path) -> str:
    tables = [pq.read_table(path) for path in (home / "documents" / "a").iterdir()]
    return "\n".join(text for table in tables for text in table.column("text").to_pylist())


@pytest.mark.builds
def test_an_edit_of_equal_length_in_the_middle_is_found(
    recipe: Path, tmp_path: Path, corpus: Corpus
) -> None:
    home, file = tmp_path / "home", tmp_path / "in" / "a.jsonl"
    ingest = ("ingest", recipe, "--home", home, "--workers", 0)
    assert corpus(*ingest)[0] == 0
    content = file.read_bytes()
    assert len(content) > 2 * (1 << 20) + 200_000 and NAME in texts(home)

    # touched, or copied back: nothing is read again
    os.utime(file, ns=(1, 1))
    assert "done again" not in corpus(*ingest)[2]

    file.write_bytes(content.replace(NAME.encode(), b"X" * len(NAME)))
    assert "a: 1 of 1 slices are done again: its input files changed" in corpus(*ingest)[2]
    assert NAME not in texts(home) and "X" * len(NAME) in texts(home)
    assert "done again" not in corpus(*ingest)[2]

    # forced: the documents are made anew, and are the same
    (documents,) = (home / "documents" / "a").iterdir()
    before, written = documents.read_bytes(), documents.stat().st_mtime_ns
    assert corpus(*ingest, "--reread")[0] == 0
    assert documents.read_bytes() == before and documents.stat().st_mtime_ns > written


@pytest.mark.builds
def test_a_dry_run_says_what_is_new(recipe: Path, tmp_path: Path, corpus: Corpus) -> None:
    home = tmp_path / "home"
    assert corpus("ingest", recipe, "--home", home, "--workers", 0)[0] == 0
    plan = ("build", recipe, "--home", home, "--dry-run")
    assert "a: new to this home: 0 files, 0 B" in corpus(*plan)[2]
    write(tmp_path / "in" / "b.jsonl", ["A second week."] * 3)
    size = (tmp_path / "in" / "b.jsonl").stat().st_size
    assert f"a: new to this home: 1 file, {size} B" in corpus(*plan)[2]


def test_ingest_trains_no_vocabulary(recipe: Path, tmp_path: Path, corpus: Corpus) -> None:
    for command in ("ingest", "urls"):
        for option in ("--help", "--help-all"):
            assert "--retrain" not in corpus(command, recipe, option)[1]
        code, _, err = corpus(command, recipe, "--home", tmp_path / "home", "--retrain")
        assert code == 2 and f"--retrain: corpus {command} trains no vocabulary" in err
    assert "--retrain" in corpus("build", recipe, "--help")[1]
