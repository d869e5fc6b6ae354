"""The stories of a user of `datasets` (Hugging Face) and of one of datatrove: what is exported
loads with equal rows, and what they wrote builds to equal texts."""

import gzip
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import datasets
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from plain_build import plain_build

from pipelines.home.layout import open_home
from pipelines.look.export import Format, export

SOURCES: dict[str, tuple[str, list[dict[str, Any]]]] = {
    "a": ("", [{"text": f"Plain {n} {n * n} of a source without ids."} for n in range(20)]),
    "b": (
        'id_field = "uid"\nurl_field = "u"\ndate_field = "day"\ncrawled_field = "seen"\n',
        [
            {
                "text": f"Page {n} {n * n} with a whole number for its id.",
                "uid": n,
                "u": f"https://b.example/{n}",
                "day": f"2019-04-{n + 1:02d}",
                "seen": f"2020-01-02T03:04:{n:02d}Z",
            }
            for n in range(20)
        ],
    ),
    "c": (
        'id_field = "uid"\ntitle_field = "title"\nlanguage_field = "lang"\n',
        [
            {"text": f"Title {n} {n * n} is here.", "uid": f"x{n}", "title": f"T{n}", "lang": "en"}
            for n in range(20)
        ],
    ),
    "d": (
        'id_field = "uid"\n',
        [
            {"text": f"Mixed {n} {n * n} kinds of ids.", "uid": n if n % 2 else f"y{n}"}
            for n in range(20)
        ],
    ),
}


@pytest.fixture(autouse=True)
def _offline(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", True)
    datasets.disable_progress_bars()
    yield


def build(folder: Path, sources: dict[str, tuple[str, list[dict[str, Any]]]]) -> str:
    recipe = (
        "[dedup]\nnear = false\n[tokenizer]\nvocab_size = 300\n[shards]\nvalid_fraction = 0.1\n"
    )
    for name, (keys, rows) in sources.items():
        (folder / name).mkdir(parents=True)
        lines = "".join(json.dumps(row) + "\n" for row in rows)
        (folder / name / "rows.jsonl").write_text(lines)
        recipe += f'[sources.{name}]\nkind = "files"\ninput = "{name}/*.jsonl"\n{keys}'
    (folder / "recipe.toml").write_text(recipe)
    return plain_build(folder / "recipe.toml", folder / "home")


def documents(home: str) -> list[dict[str, Any]]:
    rows = []
    for source in sorted((Path(home) / "documents").iterdir()):
        for path in sorted(source.iterdir()):
            rows += pq.read_table(path).to_pylist()
    return rows


@pytest.mark.parametrize("form", ["parquet", "jsonl.zst"])
def test_an_export_of_mixed_sources_loads_with_equal_rows(form: Format, tmp_path: Path) -> None:
    home = build(tmp_path, SOURCES)
    export(*open_home(home), str(tmp_path / "out"), form)
    loaded = datasets.load_dataset(str(tmp_path / "out"), cache_dir=str(tmp_path / "cache"))
    (split,) = loaded.values()
    assert split.num_rows == 80
    wanted = documents(home)
    rows = split.to_list()
    for name in ("id", "text", "url", "title", "date", "language", "path", "position", "digest"):
        assert [row[name] for row in rows] == [row[name] for row in wanted], name
    extra = [
        row["extra"] if isinstance(row["extra"], dict) else json.loads(row["extra"]) for row in rows
    ]
    assert extra == [json.loads(row["extra"]) for row in wanted]
    only_c = datasets.load_dataset(str(tmp_path / "out"), "c", cache_dir=str(tmp_path / "cache"))
    assert only_c["train"]["title"][:2] == ["T0", "T1"]


def test_another_corpus_of_the_same_name_is_not_taken_from_the_cache(tmp_path: Path) -> None:
    """As many rows, other texts: neither exports nor shards come from the cache of another."""
    for name, word in (("one", "first"), ("two", "second")):
        rows = [{"text": f"The {word} corpus, row {n} {n * n}."} for n in range(20)]
        home = build(tmp_path / name, {"s": ("", rows)})
        export(*open_home(home), str(tmp_path / name / "exported"), "parquet")
        cache = str(tmp_path / "cache")
        loaded = datasets.load_dataset(str(tmp_path / name / "exported"), cache_dir=cache)
        assert loaded["train"]["text"] == [row["text"] for row in rows]
        shards = datasets.load_dataset(f"{home}/shards", cache_dir=cache)
        here = {row["id"] for part in shards.values() for row in part}
        assert here == {row["id"] for row in documents(home)}


def test_an_export_built_again_loses_nothing(tmp_path: Path) -> None:
    home = build(tmp_path / "first", SOURCES)
    wanted = documents(home)
    for form in ("parquet", "jsonl.zst"):
        out = tmp_path / form / "out"
        export(*open_home(home), str(out), form)  # type: ignore[arg-type]
        (tmp_path / form / "recipe.toml").write_text(
            '[sources.all]\nkind = "files"\ninput = "out/data/*"\nurl_field = "url"\n'
            'title_field = "title"\ndate_field = "date"\nlanguage_field = "language"\n'
            'crawled_field = "crawled"\nextra_field = "extra"\n'
        )
        again = documents(
            plain_build(tmp_path / form / "recipe.toml", tmp_path / form / "home", "ingest")
        )
        for name in ("text", "url", "title", "date", "language", "crawled", "extra"):
            assert [row[name] for row in again] == [row[name] for row in wanted], (form, name)


def test_files_that_datasets_and_datatrove_write(tmp_path: Path) -> None:
    """`to_parquet`, `to_json`, `to_csv`, `save_to_disk`, and datatrove's .jsonl.gz with nested
    metadata."""
    texts = [f'Row {n}, "quoted",\nwith a second line: {n * n}' for n in range(30)]
    theirs = datasets.Dataset.from_dict(
        {"text": texts, "meta": [{"url": f"https://x/{n}"} for n in range(30)]}
    )
    for name in ("parquet", "json", "csv", "disk", "trove"):
        (tmp_path / name).mkdir()
    theirs.to_parquet(str(tmp_path / "parquet" / "data.parquet"))
    theirs.to_json(str(tmp_path / "json" / "data.json"))
    theirs.to_csv(str(tmp_path / "csv" / "data.csv"))
    theirs.save_to_disk(str(tmp_path / "disk"))
    with gzip.open(tmp_path / "trove" / "00000.jsonl.gz", "wt") as stream:
        for number, text in enumerate(texts):
            row = {"text": text, "id": f"x/{number}", "metadata": {"url": f"https://x/{number}"}}
            stream.write(json.dumps(row) + "\n")

    inputs = {"parquet": "data.parquet", "json": "*", "csv": "*", "disk": "*.arrow", "trove": "*"}
    recipe = ""
    for name, pattern in inputs.items():
        url = {"trove": "metadata.url", "csv": "none"}.get(name, "meta.url")
        recipe += (
            f'[sources.{name}]\nkind = "files"\ninput = "{name}/{pattern}"\nurl_field = "{url}"\n'
        )
    (tmp_path / "recipe.toml").write_text(recipe)
    home = plain_build(tmp_path / "recipe.toml", tmp_path / "home", "ingest")
    for name in inputs:
        (path,) = (Path(home) / "documents" / name).iterdir()
        table = pq.read_table(path)
        assert table.column("text").to_pylist() == texts, name
        if name != "csv":
            assert table.column("url").to_pylist() == [f"https://x/{n}" for n in range(30)], name


def test_the_types_of_a_card_are_those_that_datasets_writes() -> None:
    from pipelines.home.documents import DOCUMENT_SCHEMA
    from pipelines.look.cards import _feature
    from shards.format import token_schema

    for schema in (DOCUMENT_SCHEMA, token_schema("uint16"), token_schema("uint32")):
        told = datasets.Features.from_arrow_schema(pa.schema(schema))._to_yaml_list()
        for field, entry in zip(schema, told):
            kind, _, value = _feature(field.type).partition(": ")
            assert entry == {"name": field.name, kind: value}
