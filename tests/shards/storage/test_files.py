"""The file layer: globs, and nothing half-written under a final name."""

import os
from pathlib import Path

import pytest

from shards.errors import UserError
from shards.storage import files
from shards.storage.glob import glob


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    for name in (
        "a.txt",
        "b.jsonl",
        ".hidden.txt",
        "x/c.txt",
        "x/y/d.txt",
        "x/.git/e.txt",
        "x/f[1].txt",
    ):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(name)
    return tmp_path


@pytest.mark.parametrize(
    ("pattern", "names"),
    [
        ("*.txt", ["a.txt"]),
        ("*", ["a.txt", "b.jsonl"]),
        ("**/*.txt", ["a.txt", "x/c.txt", "x/f[1].txt", "x/y/d.txt"]),
        ("**", ["a.txt", "b.jsonl", "x/c.txt", "x/f[1].txt", "x/y/d.txt"]),
        ("x/*.txt", ["x/c.txt", "x/f[1].txt"]),
        ("x/**", ["x/c.txt", "x/f[1].txt", "x/y/d.txt"]),
        ("x/[cd].txt", ["x/c.txt"]),
        ("x/[!c]*", ["x/f[1].txt"]),
        ("?.txt", ["a.txt"]),
        (".*.txt", [".hidden.txt"]),
        ("a.txt", ["a.txt"]),
        ("x", ["x/c.txt", "x/f[1].txt", "x/y/d.txt"]),
        ("*.nothing", []),
    ],
)
def test_globs(pattern: str, names: list[str], tree: Path) -> None:
    found = glob(str(tree / pattern))
    assert [address for address, _ in found] == [str(tree / name) for name in names]
    assert all(size == os.path.getsize(address) for address, size in found)


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no such folder"):
        glob(str(tmp_path / "no" / "*.txt"))
    with pytest.raises(UserError, match="no such file"):
        glob(str(tmp_path / "no"))


def test_an_error_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    target = tmp_path / "f"
    files.write_bytes(str(target), b"old")
    with pytest.raises(RuntimeError), files.open_output(str(target)) as stream:
        stream.write(b"new")
        assert target.read_bytes() == b"old"
        raise RuntimeError
    assert target.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["f"]
    with files.open_output(str(target)) as stream:
        stream.write(b"new")
    assert target.read_bytes() == b"new"


def test_both_ends_tell_files_apart(tmp_path: Path) -> None:
    content = bytearray(3 << 20)
    path = tmp_path / "f"
    path.write_bytes(content)
    first = files.both_ends_digest(str(path), len(content))
    content[-1] = 1
    path.write_bytes(content)
    assert files.both_ends_digest(str(path), len(content)) != first
    assert files.both_ends_digest(str(path), len(content)) == files.both_ends_digest(
        str(path), len(content)
    )
