"""Which documents are held out for validation, and that they stay held out."""

from pathlib import Path

import pytest
from plain_build import plain_build

import shards
from corpora.document import document_id
from pipelines.chance import chance

RECIPE = """
seed = {seed}
[sources.a]
kind = "files"
input = "in/*.txt"
[tokenizer]
vocab_size = 300
[dedup]
near = false
[shards]
valid_fraction = {fraction}
"""


def build(folder: Path, *names: str, seed: int = 0, fraction: float = 0.005) -> set[str]:
    """Add texts of these names and build; the ids of the documents that are held out."""
    (folder / "in").mkdir(parents=True, exist_ok=True)
    for name in names:
        (folder / "in" / f"{name}.txt").write_text(f"The text of {name} and of no other.")
    recipe = folder / "recipe.toml"
    recipe.write_text(RECIPE.format(seed=seed, fraction=fraction))
    plain_build(recipe, folder / "home")
    return held_out(folder / "home")


def held_out(home: Path) -> set[str]:
    """The ids of the validation documents."""
    opened = shards.open(str(home / "shards"), "valid")
    return {shard.ids[row].as_py() for shard in opened for row in range(shard.entry.documents)}


def draw(name: str, seed: int = 0) -> float:
    """The draw of a text's document, in [0, 1)."""
    return chance(seed, "valid", identity(name)) / 2**64


def identity(name: str) -> str:
    """The id of a text's document."""
    return document_id("a", f"{name}.txt", 0)


@pytest.fixture(scope="module")
def by_draw() -> list[str]:
    """Names in the order of their draws; none is under the fraction."""
    names = sorted(map(str, range(40)), key=draw)
    assert draw(names[0]) > 0.005
    return names


def test_the_lowest_draw_is_held_out_where_none_is_low_enough(
    tmp_path: Path, by_draw: list[str]
) -> None:
    assert build(tmp_path, *by_draw[5:15]) == {identity(by_draw[5])}


def test_it_stays_held_out_when_lower_draws_are_added(tmp_path: Path, by_draw: list[str]) -> None:
    first = build(tmp_path, *by_draw[5:15])
    assert build(tmp_path) == first
    assert build(tmp_path, *by_draw[1:5]) == first
    assert build(tmp_path, by_draw[0]) == first
    assert build(tmp_path, *by_draw[15:20]) == first
    # A recipe that asks for others forgets it.
    lowest = {identity(name) for name in by_draw[:20] if draw(name) < 0.05}
    assert len(lowest) == 4 and not first & lowest
    assert build(tmp_path, fraction=0.05) == lowest


def test_one_that_is_gone_is_replaced(tmp_path: Path, by_draw: list[str]) -> None:
    build(tmp_path, *by_draw[5:15])
    (tmp_path / "in" / f"{by_draw[5]}.txt").unlink()
    assert build(tmp_path) == {identity(by_draw[6])}
    assert build(tmp_path, by_draw[5]) == {identity(by_draw[6])}


def test_other_seeds_draw_again(tmp_path: Path, by_draw: list[str]) -> None:
    build(tmp_path, *by_draw[5:15])
    lowest = min(by_draw[5:15], key=lambda name: draw(name, seed=1))
    assert build(tmp_path, seed=1) == {identity(lowest)}


def test_a_lonely_document_is_trained_on(tmp_path: Path, by_draw: list[str]) -> None:
    assert build(tmp_path, by_draw[7]) == set()
    assert build(tmp_path, by_draw[3]) == {identity(by_draw[3])}
    assert build(tmp_path, fraction=0.0) == set()
