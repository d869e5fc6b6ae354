"""Exact dedup: the packed, partitioned decision against a plain one, in any order of blocks and for
any slicing."""

import random
import shutil
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest
from home_slices import write_slice
from hypothesis import given, settings
from hypothesis import strategies as st
from plain_build import exchange, run_step

from corpora.document import document_id
from corpora.files.source import FilesOptions
from corpora.text.normalise import casefold
from pipelines.home.decisions import twins
from pipelines.home.layout import Home, open_home, write_recipe
from pipelines.home.summaries import summaries
from pipelines.recipe import DedupConfig, Recipe
from pipelines.stages import exact
from shards.errors import UserError

# (source, path, crawled or None, text): what decides who survives
DOCUMENT = st.tuples(
    st.sampled_from("ab"),
    st.integers(0, 3),
    st.one_of(st.none(), st.integers(-5, 5)),
    st.sampled_from(["x", "X", "x ", "y", "Y z", "y  Z", "w", "v", "u"]),
)


def write_home(
    root: Path,
    documents: list[tuple[str, int, int | None, str]],
    cuts: int,
    priority: tuple[str, ...],
) -> Home:
    """A home whose documents are cut into slices after every `cuts` of a source."""
    home = Home(str(root))
    sources = {name: FilesOptions(input=("x",)) for name in priority}
    write_recipe(home, Recipe(sources=sources, dedup=DedupConfig(priority=priority)))
    for source in sources:
        rows = sorted(
            (f"{path}", position, crawled, text)
            for position, (name, path, crawled, text) in enumerate(documents)
            if name == source
        )  # type: ignore[type-var]
        for begin in range(0, len(rows), cuts):
            write_slice(home, source, f"{begin:04d}", rows[begin : begin + cuts])
    return home


def removals(home: Home, partitions: int, draw: random.Random) -> dict[str, str]:
    """Removed id -> twin's id, from all steps of the stage, tasks and blocks in an order that
    `draw` gives."""
    run_step(exact.WRITE_KEYS, home.root, draw)
    planned = exact.tasks(*open_home(home.root))
    tasks = [replace(task, partitions=partitions) for task in planned]
    exchange(exact.MEET, tasks, draw)

    found = {}
    for task in tasks:
        for row in twins(home, "exact", task.ingested).to_pylist():
            if row["twin"]:
                found[row["id"]] = row["twin"]
    return found


def plain_removals(
    documents: list[tuple[str, int, int | None, str]], priority: tuple[str, ...]
) -> dict[str, str]:
    """The slow twin: sort by the survivor order, the first of each folded text stays."""
    rows = []
    for position, (source, path, crawled, text) in enumerate(documents):
        rows.append(
            (
                (priority.index(source), crawled is None, crawled or 0, str(path), position),
                document_id(source, str(path), position),
                " ".join(casefold(text).split()),
            )
        )
    first: dict[str, str] = {}
    found = {}
    for _, identity, text in sorted(rows):
        if text in first:
            found[identity] = first[text]
        else:
            first[text] = identity
    return found


@settings(max_examples=60)
@given(
    documents=st.lists(DOCUMENT, min_size=1, max_size=25),
    cuts=st.integers(1, 30),
    partitions=st.integers(1, 4),
    priority=st.permutations("ab"),
    seed=st.integers(0, 9),
)
def test_equal_to_the_plain_twin(
    documents: list[tuple[str, int, int | None, str]],
    cuts: int,
    partitions: int,
    priority: list[str],
    seed: int,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    root = tmp_path_factory.getbasetemp() / "exact"
    shutil.rmtree(root, ignore_errors=True)
    home = write_home(root, documents, cuts, tuple(priority))
    expected = plain_removals(documents, tuple(priority))
    assert removals(home, partitions, random.Random(seed)) == expected
    source_of = {
        document_id(source, str(path), position): source
        for position, (source, path, _, _) in enumerate(documents)
    }
    twins_in = Counter(
        (summary.source, source)
        for summary in summaries(home, "exact")
        for source in Counter(summary.twins_in).elements()
    )
    assert twins_in == Counter(
        (source_of[identity], source_of[twin]) for identity, twin in expected.items()
    )


def test_equal_keys_of_different_texts_are_told_apart(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """64 bits of the digest are the key; texts whose keys collide are compared by all 128."""

    def digest(text: str) -> bytes:
        return b"collides" + text[:1].encode().ljust(8, b"\0")

    monkeypatch.setattr(exact, "exact_digest", digest)
    documents = [
        ("a", 0, None, "x"),
        ("a", 0, None, "y"),
        ("a", 0, None, "y2"),
        ("a", 0, None, "x2"),
        ("a", 0, None, "z"),
    ]
    home = write_home(tmp_path, documents, 2, ("a",))
    ids = [document_id("a", "0", position) for position in range(5)]
    assert removals(home, 1, random.Random(0)) == {ids[2]: ids[1], ids[3]: ids[0]}


def test_a_record_is_24_bytes() -> None:
    assert (
        exact.RECORD.itemsize == 24 and exact.REMOVAL.itemsize == 24 and exact.ASKED.itemsize == 12
    )


def test_the_guard_stops_and_can_be_told_not_to(tmp_path: Path) -> None:
    home = write_home(tmp_path, [("a", 0, None, "x")] * 5 + [("b", 0, None, "y")], 10, ("a", "b"))
    removals(home, 1, random.Random(0))
    _, recipe = open_home(home.root)
    with pytest.raises(UserError, match=r"a: 4 of 5 documents \(80%\) are duplicates") as caught:
        exact.guard(home, recipe, print)
    assert "--dedup.max-removed 0.81" in caught.value.hint and caught.value.exit_code == 1
    exact.guard(home, replace(recipe, dedup=replace(recipe.dedup, max_removed=0.8)), print)


def test_attributes_of_other_documents_are_refused(tmp_path: Path) -> None:
    home = write_home(tmp_path, [("a", 0, None, "x")], 10, ("a",))
    removals(home, 1, random.Random(0))
    (task,) = exact.tasks(*open_home(home.root))
    with pytest.raises(UserError, match="made from other documents"):
        twins(home, "exact", replace(task.ingested, output="other"))
