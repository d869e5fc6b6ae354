"""Documents that are in the training shards more than once: `repeat`, `repeat_by`, `repeats`."""

import json
from collections import Counter
from pathlib import Path

import looked
import pyarrow.parquet as pq
import pytest
from plain_build import job_of, plain_build

from corpora.document import SourceOptions
from pipelines.chance import CHANCES, chance
from pipelines.home.layout import open_home
from pipelines.look.export import export
from pipelines.look.provenance.eu_summary import eu_summary
from pipelines.look.provenance.facts import read_facts
from pipelines.look.stats import stats
from pipelines.stages.tokenize import account
from shards.format import copy_id, document_id
from shards.manifest import read_manifest
from shards.reader import open_shard
from shards.verify import verify
from trainer.seen import find_copies

RECIPE = """
seed = 3
[sources.mine]
kind = "files"
input = "in/*.jsonl"
id_field = "n"
language_field = "lang"
extra_field = "extra"
slice_bytes = {slice_bytes}
{settings}
[dedup]
near = false
[tokenizer]
vocab_size = 300
[shards]
valid_fraction = 0.1
shard_tokens = {shard_tokens}
"""


def build(folder: Path, settings: str, slice_bytes: int = 10**6, shard_tokens: int = 10**6) -> str:
    """40 documents in four files; every fifth is Latvian; one more is a copy."""
    (folder / "in").mkdir(parents=True, exist_ok=True)
    for name in range(4):
        rows = []
        for number in range(name * 10, name * 10 + 10):
            text = f"The text of document {number} is its own. It has words{' more' * number}."
            row = {"n": number, "text": text, "lang": "lv" if number % 5 == 0 else "en"}
            rows.append(json.dumps({**row, "extra": json.dumps({"stars": number % 3})}))
        if name == 3:
            rows.append(json.dumps({**row, "n": 40}))
        (folder / "in" / f"{name}.jsonl").write_text("\n".join(rows))
    text = RECIPE.format(settings=settings, slice_bytes=slice_bytes, shard_tokens=shard_tokens)
    (folder / "recipe.toml").write_text(text)
    return plain_build(folder / "recipe.toml", folder / "home")


def ids_of(home: str, split: str) -> list[str]:
    """The ids of a split, in the order of its shards."""
    folder = str(Path(home) / "shards")
    ids: list[str] = []
    manifest = read_manifest(folder)
    for entry in manifest.shards:
        if entry.split == split:
            ids += open_shard(folder, manifest, entry).ids.to_pylist()
    return ids


def numbers(home: str) -> dict[str, int]:
    """The number of each kept document by its id."""
    return {one["id"]: int(str(one["extra"]["id"])) for one in looked.documents(home)}


def test_twice_is_every_training_document_and_no_other_twice(tmp_path: Path) -> None:
    once = build(tmp_path / "once", "")
    twice = build(tmp_path / "twice", "repeat = 2")
    train, valid = ids_of(once, "train"), ids_of(once, "valid")
    assert (len(train), len(valid)) == (36, 4)
    # second copies come after all first ones, in the same order
    assert ids_of(twice, "train") == [*train, *(f"{id}#2" for id in train)]
    assert ids_of(twice, "valid") == valid
    assert list(verify(str(Path(twice) / "shards"))) == []

    before, after = (stats(*open_home(home)) for home in (once, twice))
    assert before.total.repeated is None
    assert after.sources["mine"].repeated == 36
    manifest = read_manifest(str(Path(once) / "shards"))
    tokens = {entry.split: entry.tokens for entry in manifest.shards}
    assert after.total.repeated_tokens == tokens["train"]
    # what is kept is counted once, and the copy is removed as before
    assert (after.total.kept, after.total.tokens) == (40, before.total.tokens)
    assert after.total.removed == before.total.removed == {"exact": 1}
    shards = read_manifest(str(Path(twice) / "shards")).shards
    assert {entry.split: entry.documents for entry in shards} == {"train": 72, "valid": 4}

    card = (Path(twice) / "shards" / "README.md").read_text()
    assert "36 of the training documents are further copies of others, `ID#2` and so on" in card

    said: list[str] = []
    account(job_of(twice, say=said.append))
    (line,) = said
    assert line.startswith("tokenize mine: 40 documents kept, ")
    assert line.endswith(f"; 36 further copies of documents with {tokens['train']:,} tokens")


@pytest.mark.parametrize("slices", [(10**6, 10**6), (200, 150)])
def test_a_fraction_is_drawn_by_the_id(slices: tuple[int, int], tmp_path: Path) -> None:
    home = build(tmp_path, "repeat = 2.25", *slices)
    train, valid = ids_of(home, "train"), ids_of(home, "valid")
    own = {document_id(id) for id in train}
    drawn = {id for id in own if chance(3, "repeat", id) < CHANCES // 4}
    assert 2 < len(drawn) < 30 and len(own) == 36 and len(valid) == 4
    wanted = [*own, *(copy_id(id, 2) for id in own), *(copy_id(id, 3) for id in drawn)]
    assert sorted(train) == sorted(wanted)
    assert list(verify(str(Path(home) / "shards"))) == []


@pytest.mark.parametrize(
    ("settings", "times"),
    [
        ('repeat_by = "language"\nrepeats = { lv = 4 }', lambda n: 4 if n % 5 == 0 else 1),
        (
            'repeat = 2\nrepeat_by = "extra.stars"\nrepeats = { 1 = 1, 2 = 3 }',
            lambda n: (2, 1, 3)[n % 3],
        ),
        ('repeat = 3\nkeep_by = "language"\nkeep_shares = { en = 0 }', lambda n: 3),
    ],
)
def test_by_the_value_of_a_field(settings: str, times: object, tmp_path: Path) -> None:
    assert callable(times)
    home = build(tmp_path, settings)
    number_of = numbers(home)
    found = Counter(number_of[document_id(id)] for id in ids_of(home, "train"))
    held_out = {number_of[id] for id in ids_of(home, "valid")}
    wanted = {n: times(n) for n in number_of.values() if n not in held_out}
    assert dict(found) == wanted
    assert sum(found.values()) - len(found) == stats(*open_home(home)).total.repeated


def test_an_export_has_each_document_once_and_why_tells_of_copies(tmp_path: Path) -> None:
    home = build(tmp_path, "repeat = 3")
    export(*open_home(home), str(tmp_path / "out"), "parquet")
    rows = [pq.read_table(path).num_rows for path in tmp_path.glob("out/data/*.parquet")]
    assert sum(rows) == 40

    id = ids_of(home, "train")[0]
    (record,) = looked.why(home, f"{id}#3")
    assert (record["id"], record["outcome"], record["copies"]) == (id, "kept", 3)
    # `trainer seen` looks for all of them
    found = list(find_copies((str(Path(home) / "shards"),), id))
    assert [name for name, _ in found] == [id, f"{id}#2", f"{id}#3"]
    assert [place[2] for _, place in found] == [0, 36, 72]


def test_the_public_summary_counts_each_document_once(tmp_path: Path) -> None:
    home = build(tmp_path, "repeat = 3")
    tokens = sum(entry.tokens for entry in read_manifest(str(Path(home) / "shards")).shards)
    page = eu_summary(read_facts(*open_home(home)))
    size = next(line for line in page.splitlines() if line.startswith("- Size: "))
    assert f"in 40 documents, {tokens:,} tokens, among them those of 72 further copies" in size


def test_a_forgotten_document_leaves_no_copy(tmp_path: Path) -> None:
    home = build(tmp_path, "repeat = 3")
    gone = ids_of(home, "train")[5]
    (tmp_path / "forget.txt").write_text(f"{gone}\n")
    recipe = tmp_path / "recipe.toml"
    recipe.write_text('forget = ["forget.txt"]\n' + recipe.read_text())
    plain_build(recipe, home)
    train = ids_of(home, "train")
    assert len(train) == 35 * 3 and gone not in {document_id(id) for id in train}


def test_a_changed_number_moves_no_document_between_the_splits(tmp_path: Path) -> None:
    """Also where a source is so small that its validation document is chosen and remembered."""
    home = build(tmp_path, "")
    recipe = tmp_path / "recipe.toml"
    recipe.write_text(recipe.read_text().replace("0.1", "0.000001"))
    plain_build(recipe, home)
    (valid,) = ids_of(home, "valid")
    (tmp_path / "in" / "9.jsonl").write_text(
        "\n".join(json.dumps({"n": n, "text": f"Another text, number {n}."}) for n in range(50, 90))
    )
    recipe.write_text(recipe.read_text().replace("[dedup]", "repeat = 1.5\n[dedup]"))
    plain_build(recipe, home)
    assert ids_of(home, "valid") == [valid]


@pytest.mark.parametrize(
    ("settings", "complaint"),
    [
        ({"repeat": 0.5}, r"repeat: 0.5 is not in \[1, 100\]"),
        ({"repeat": 101.0}, r"repeat: 101.0 is not in \[1, 100\]"),
        ({"repeat_by": "language"}, "repeat_by: it names the field of repeats; set both"),
        ({"repeats": {"en": 2.0}}, "repeat_by: it names the field of repeats; set both"),
        ({"repeat_by": "age", "repeats": {"en": 2.0}}, "repeat_by: 'age' is not one of url, "),
        ({"repeat_by": "host", "repeats": {"x": 0.5}}, r"repeats: x: 0.5 is not in \[1, 100\]"),
    ],
)
def test_settings_that_mean_nothing(settings: dict[str, object], complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        SourceOptions(kind="files", input=("a",), **settings)  # type: ignore[arg-type]
