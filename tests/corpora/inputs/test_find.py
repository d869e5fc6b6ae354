"""The names of input files: what the ids of all documents rest on."""

import itertools
import shutil
from pathlib import Path
from random import Random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from corpora.inputs.find import find
from shards.errors import UserError
from shards.storage.glob import name_in


def make(root: Path, *names: str) -> None:
    """Write an empty file of each name."""
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()


def names(root: Path, *patterns: str) -> list[str]:
    """The names of the files that the patterns match below `root`."""
    return [part.path for part in find(tuple(str(root / pattern) for pattern in patterns))]


@pytest.mark.parametrize(
    ("pattern", "address", "name"),
    [
        ("/in/*.txt", "/in/a.txt", "a.txt"),
        ("/in/*/*.txt", "/in/week1/a.txt", "a.txt"),
        ("/in/week[12]/*.txt", "/in/week1/a.txt", "a.txt"),
        ("/in/**/*.txt", "/in/week1/x/a.txt", "week1/x/a.txt"),
        ("/in/week*/**/*.txt", "/in/week1/x/a.txt", "x/a.txt"),
        ("/in/week*/**", "/in/week1/a.txt", "a.txt"),
        ("/in", "/in/week1/a.txt", "week1/a.txt"),
        ("/in/", "/in/week1/a.txt", "week1/a.txt"),
        ("/in/week1/a.txt", "/in/week1/a.txt", "a.txt"),
        ("**/*.txt", "week1/a.txt", "week1/a.txt"),
        ("./**/*.txt", "./week1/a.txt", "week1/a.txt"),
        ("*/*.txt", "week1/a.txt", "a.txt"),
        ("*.txt", "a.txt", "a.txt"),
        ("s3://bucket/in/*/*.txt", "s3://bucket/in/week1/a.txt", "a.txt"),
        ("s3://bucket/in/**", "s3://bucket/in/week1/a.txt", "week1/a.txt"),
        ("s3://bucket/in/a.txt", "s3://bucket/in/a.txt", "a.txt"),
        ("https://host/x/a.txt", "https://host/x/a.txt", "a.txt"),
    ],
)
def test_the_name_of_a_file(pattern: str, address: str, name: str) -> None:
    assert name_in(pattern, address) == name


def test_another_folder_beside_the_first_changes_no_name(tmp_path: Path) -> None:
    make(tmp_path, "week1/a.txt", "week1/b.txt", "week2/c.txt", "disk/deep/er/d.txt")
    first = ["a.txt", "b.txt"]
    assert names(tmp_path, "week1/*.txt") == first
    assert names(tmp_path, "week1/*.txt", "week2/*.txt") == [*first, "c.txt"]
    assert names(tmp_path, "week2/*.txt", "week1/*.txt") == [*first, "c.txt"]
    assert names(tmp_path, "week*/*.txt") == [*first, "c.txt"]
    assert names(tmp_path, "week1/*.txt", "disk/deep/er/*.txt") == [*first, "d.txt"]
    assert names(tmp_path, "week1") == first
    assert names(tmp_path, "week1", "week2") == [*first, "c.txt"]


def test_two_files_of_one_name_are_refused_in_any_order(tmp_path: Path) -> None:
    make(tmp_path, "week1/part-0.txt", "week2/part-0.txt")
    said = set()
    for patterns in itertools.permutations(["week1/*.txt", "week2/*.txt"]):
        with pytest.raises(
            UserError, match="two input files have the same name, 'part-0.txt'"
        ) as it:
            names(tmp_path, *patterns)
        said.add((it.value.what, it.value.hint))
    assert len(said) == 1
    with pytest.raises(UserError, match="week1/part-0.txt and .*week2/part-0.txt"):
        names(tmp_path, "*/*.txt")
    # The remedy that the hint names.
    assert 'input = "FOLDER/**/*.jsonl"' in it.value.hint
    assert names(tmp_path, "**/*.txt") == ["week1/part-0.txt", "week2/part-0.txt"]


def test_one_file_of_two_names_is_refused_in_any_order(tmp_path: Path) -> None:
    make(tmp_path, "x/a.txt", "b.txt")
    said = set()
    for patterns in itertools.permutations(["**/*.txt", "x/*.txt"]):
        with pytest.raises(UserError, match="two inputs give this file different names") as it:
            names(tmp_path, *patterns)
        said.add(it.value.what)
    assert len(said) == 1
    assert names(tmp_path, "**/*.txt", "*.txt") == ["b.txt", "x/a.txt"]  # one name by both


def test_a_list_names_files_by_their_last_part(tmp_path: Path) -> None:
    make(tmp_path, "x/a.txt", "y/z/b.txt", "y/b.txt")
    (tmp_path / "list").write_text("x/a.txt\ny/z/b.txt\nx/a.txt\n")
    assert names(tmp_path, "x/*.txt") == ["a.txt"]
    assert [part.path for part in find((f"@{tmp_path}/list",))] == ["a.txt", "b.txt"]
    (tmp_path / "list").write_text("y/b.txt\ny/z/b.txt\n")
    with pytest.raises(UserError, match="'b.txt'") as refused:
        find((f"@{tmp_path}/list",))
    assert "**" not in refused.value.hint  # a list has no wildcards


def test_a_list_that_is_empty_or_missing(tmp_path: Path) -> None:
    (tmp_path / "list").write_text("# nothing yet\n\n")
    with pytest.raises(UserError) as refused:
        find((f"@{tmp_path}/list",))
    assert refused.value.what == f"@{tmp_path}/list: an empty list"
    assert refused.value.hint == "write a path or an address on each line"

    (tmp_path / "list").unlink()
    with pytest.raises(UserError) as refused:
        find((f"@{tmp_path}/list",))
    assert refused.value.what == f"{tmp_path}/list: cannot be read: No such file or directory"
    assert refused.value.hint == "check the path of the list"


FOLDERS = ("", "a/", "b/", "a/c/", "b/c/")
PATTERNS = (
    "a/*", "b/*", "*/*", "a/c/*", "*/c/*", "a", "b", "a/**", "*/**", "**", "**/1*", "a/**/*",
    "?/[12]*",
)  # fmt: skip

trees = st.sets(
    st.tuples(st.sampled_from(FOLDERS), st.sampled_from("123456789")).map("".join),
    min_size=1,
    max_size=8,
)


def by_place(root: Path, patterns: list[str]) -> dict[str, str] | None:
    """Where each file lies below `root` -> its name; None where the inputs are refused."""
    matching = []
    for pattern in patterns:
        try:
            find((str(root / pattern),))
        except UserError as error:
            if "no file matches" in error.what or "no such" in error.what:
                continue
        matching.append(pattern)
    try:
        parts = find(tuple(str(root / pattern) for pattern in matching))
    except UserError as error:
        assert "same name" in error.what or "different names" in error.what
        return None
    return {str(Path(part.address).relative_to(root)): part.path for part in parts}


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(trees, st.lists(st.sampled_from(PATTERNS), min_size=1, max_size=4), trees, st.randoms())
def test_names_stand_whatever_else_is_read(
    tmp_path: Path, tree: set[str], patterns: list[str], more: set[str], random: Random
) -> None:
    """Any globs over any tree: moved, reordered, extended."""
    for folder in ("here", "elsewhere"):
        shutil.rmtree(tmp_path / folder, ignore_errors=True)
    here = tmp_path / "here"
    make(here, *tree)
    before = by_place(here, patterns)

    assert by_place(here, random.sample(patterns, len(patterns))) == before  # reordered
    if before is not None:
        assert len(set(before.values())) == len(before)

    moved = tmp_path / "elsewhere" / "deep"
    shutil.copytree(here, moved)
    assert by_place(moved, patterns) == before  # moved

    make(moved, *more)
    longer = [*patterns, random.choice(PATTERNS)]
    for wider in (by_place(moved, patterns), by_place(moved, longer)):  # extended
        if before is not None and wider is not None:
            assert before.items() <= wider.items()
            assert len(set(wider.values())) == len(wider)
