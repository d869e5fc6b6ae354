"""From files to shards on real text: everything adds up, and the text comes back."""

import bz2
import json
import re
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import looked
import numpy as np
import pytest
from realdata import data_file

import shards
from corpora.text.normalise import casefold, normalise
from pipelines.stages.encoder import read_tokenizer
from shards.verify import verify

RECIPE = """
seed = 7
[sources.novels]
kind = "files"
input = "{novels}/*.txt"
[sources.reuters]
kind = "reuters:source"
input = "{reuters}/*.sgm"
slice_bytes = 2000000
[sources.sentences]
kind = "files"
input = "{sentences}"
id_field = "id"
title_field = "title"
[tokenizer]
vocab_size = 3000
sample_bytes = 2000000
[shards]
whitespace = "keep"
shard_tokens = 1000000
valid_fraction = 0.01
"""


@pytest.fixture(scope="module")
def home(
    novels: Path, reuters: Path, sentences: Path, tmp_path_factory: pytest.TempPathFactory
) -> str:
    from pipelines.cli import main

    folder = tmp_path_factory.mktemp("build")
    (folder / "recipe.toml").write_text(
        RECIPE.format(novels=novels, reuters=reuters, sentences=sentences)
    )
    assert (
        main(
            ["build", str(folder / "recipe.toml"), "--home", str(folder / "home"), "--workers", "2"]
        )
        == 0
    )
    return str(folder / "home")


@pytest.fixture(scope="module")
def figures(home: str) -> dict[str, Any]:
    from looked import stats

    return stats(home)


@pytest.fixture(scope="module")
def texts(novels: Path, reuters: Path, sentences: Path) -> list[tuple[str, str]]:
    """(source, normalised text) of every document in survivor order, by plain code of the test's
    own."""
    import html

    found = [("novels", path.read_text("utf-8")) for path in sorted(novels.iterdir())]
    for path in sorted(reuters.iterdir()):
        found += [
            ("reuters", html.unescape(body))
            for body in re.findall(r"<BODY>(.*?)</BODY>", path.read_text("latin-1"), re.DOTALL)
        ]
    found += [("sentences", json.loads(line)["text"]) for line in bz2.open(sentences)]
    return [(source, clean) for source, text in found if (clean := normalise(text))]


def test_the_figures_add_up(
    figures: dict[str, Any], texts: list[tuple[str, str]], reuters: Path
) -> None:
    documents = Counter(source for source, _ in texts)
    for name, row in figures["sources"].items():
        assert row["documents"] == documents[name]
        assert row["records"] == row["documents"] + sum(row["rejects"].values())
        assert row["documents"] == row["kept"] + sum(row["removed"].values())
    stories = sum(path.read_bytes().count(b"<REUTERS ") for path in reuters.iterdir())
    bodies = sum(path.read_bytes().count(b"<BODY>") for path in reuters.iterdir())
    assert figures["sources"]["reuters"]["rejects"].get("no_body", 0) == stories - bodies
    for key in ("records", "documents", "kept", "bytes", "sentences", "tokens"):
        assert figures["total"][key] == sum(row[key] for row in figures["sources"].values())
    if data_file("dedup/reuters21578_part.tar.xz"):
        assert (stories, bodies, documents) == (
            5578,
            4638,
            {"novels": 24, "reuters": 4638, "sentences": 9000},
        )


def test_exact_duplicates_equal_an_independent_count(
    figures: dict[str, Any], texts: list[tuple[str, str]]
) -> None:
    seen: set[str] = set()
    removed: Counter[str] = Counter()
    for source, text in texts:
        folded = " ".join(casefold(text).split())
        removed[source] += folded in seen
        seen.add(folded)
    assert {name: row["removed"]["exact"] for name, row in figures["sources"].items()} == {
        name: removed[name] for name in figures["sources"]
    }
    assert figures["total"]["removed"]["exact"] > 0


def test_every_kept_document_comes_back_exactly(home: str, figures: dict[str, Any]) -> None:
    expected = {
        record["id"]: record["text"] for record in looked.documents(home, None, removed=False)
    }
    tokenizer = read_tokenizer(f"{home}/shards/tokenizer.json")
    found = {}
    for split in ("train", "valid"):
        for shard in shards.open(home, split):
            documents = [shard.document(number).tolist() for number in range(len(shard))]
            found |= dict(
                zip(
                    shard.ids.to_pylist(),
                    tokenizer.decode_batch(documents, skip_special_tokens=False),
                )
            )
    assert found == expected
    assert len(found) == figures["total"]["kept"]
    assert sum(len(text.encode()) for text in found.values()) == figures["total"]["bytes"]


def test_shards_hold_their_source_in_order(home: str, figures: dict[str, Any]) -> None:
    order = {
        record["id"]: number
        for number, record in enumerate(looked.documents(home, None, removed=False))
    }
    for split in ("train", "valid"):
        for name in figures["sources"]:
            found = shards.open(home, split, name)
            numbers = [order[identity] for shard in found for identity in shard.ids.to_pylist()]
            assert numbers == sorted(numbers) and numbers
            begins = np.concatenate([[0], np.cumsum([shard.entry.tokens for shard in found])])[:-1]
            lengths = np.concatenate([np.diff(shard.token_offsets) for shard in found])
            where = np.repeat(np.arange(len(found)), [len(shard) for shard in found])
            wanted = (np.cumsum(lengths) - lengths) // 1_000_000  # shard_tokens
            assert np.array_equal(np.unique(wanted, return_inverse=True)[1], where), (
                split,
                name,
                begins,
            )
            assert [shard.entry.file for shard in found] == [
                f"{split}-{name}-{number:05d}.arrow" for number in range(len(found))
            ]
    kept, valid = figures["total"]["kept"], sum(len(shard) for shard in shards.open(home, "valid"))
    assert 0.5 * 0.01 * kept < valid < 2 * 0.01 * kept + 3


def test_the_shards_are_whole(home: str) -> None:
    assert verify(home) == []


def test_plain_pyarrow_sees_the_same(home: str) -> None:
    import pyarrow as pa

    for shard in shards.open(home, "valid"):
        table = pa.ipc.open_file(pa.memory_map(f"{home}/shards/{shard.entry.file}")).read_all()
        assert table.num_rows == len(shard)
        for number in range(0, len(shard), 7):
            assert table.column("tokens")[number].as_py() == shard.document(number).tolist()


def test_nothing_is_done_twice(home: str, corpus: Callable[..., tuple[int, str, str]]) -> None:
    def state() -> dict[str, int]:
        return {
            str(path): path.stat().st_mtime_ns
            for path in Path(home).rglob("*")
            if path.is_file()
            and path.name not in ("recipe.toml", "manifest.json", "tokenizer.json", "lock")
        }

    before, manifest = state(), Path(home, "shards/manifest.json").read_bytes()
    assert corpus("build", f"{home}/recipe.toml", "--home", home, "--workers", 0)[0] == 0
    assert state() == before
    assert Path(home, "shards/manifest.json").read_bytes() == manifest


def test_status_show_why_and_clean(home: str, corpus: Callable[..., tuple[int, str, str]]) -> None:
    code, out, _ = corpus("status", home, "--json")
    found = json.loads(out)
    assert (
        code == 0
        and found["complete"]
        and found["done"]["ingest"] == found["done"]["tokenize"] == found["slices"]
    )
    code, out, _ = corpus("show", home, "--removed", "--n", 1, "--json")
    (record,) = json.loads(out)["records"]
    assert record["stage"] == "exact" and record["twin"]
    code, out, _ = corpus("why", home, record["id"], "--json")
    (fate,) = json.loads(out)["records"]
    assert fate["outcome"] == "removed" and fate["twin"] == record["twin"]
    assert (
        json.loads(corpus("why", home, record["twin"][:12], "--json")[1])["records"][0]["outcome"]
        == "kept"
    )
    code, out, _ = corpus("show", home, "--reason", "no_body", "--n", 2, "--json")
    assert {record["reason"] for record in json.loads(out)["records"]} <= {"no_body"}
    assert corpus("clean", home, "--dry-run") == (0, "", "")


def test_the_user_s_own_id_is_found(home: str, corpus: Callable[..., tuple[int, str, str]]) -> None:
    own = next(looked.documents(home, "sentences", False))["extra"]["id"]
    code, out, _ = corpus("why", home, own, "--json")
    (record,) = json.loads(out)["records"]
    assert code == 0 and record["source"] == "sentences" and record["extra"] == {"id": own}


@pytest.mark.parametrize("form", ["parquet", "jsonl.zst"])
def test_export_holds_the_kept_text(
    form: str,
    home: str,
    figures: dict[str, Any],
    tmp_path: Path,
    corpus: Callable[..., tuple[int, str, str]],
) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    assert corpus("export", home, tmp_path / "out", "--format", form)[0] == 0
    paths = sorted((tmp_path / "out" / "data").iterdir())
    if form == "parquet":
        records = [
            record
            for path in paths
            for record in pq.read_table(path, columns=["id", "text"]).to_pylist()
        ]
    else:
        records = [
            json.loads(line)
            for path in paths
            for line in pa.input_stream(str(path), compression="zstd").read().splitlines()
        ]
    assert {record["id"]: record["text"] for record in records} == {
        record["id"]: record["text"] for record in looked.documents(home, None, False)
    }
    card = (tmp_path / "out" / "README.md").read_text()
    assert f"{figures['total']['tokens']:,}" in card and card.startswith("---\n")
    code, _, err = corpus("export", home, tmp_path / "out")
    assert code == 2 and "not empty" in err
