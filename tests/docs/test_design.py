"""The walks through the code in docs/design.md name files and functions that are there."""

import importlib
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
HEADING = re.compile(r"^(#+) .*how a document flows.*$", re.MULTILINE | re.IGNORECASE)

FILE = r"(?:corpora|pipelines|shards|trainer)/[\w/]+\.py"
NAME = r"[A-Za-z_][\w.]*(?:\(\))?"
REFERENCE = re.compile(
    rf"`(?P<file>{FILE})(?::\s*(?P<inside>{NAME}))?`"  # `a/b.py`, or `a/b.py: name`
    rf"(?P<names>(?:(?:[\s:|]|,|and)*`{NAME}`)*)"  # then `name`, or several, in the same line
)


def references(text: str) -> list[tuple[str, list[str]]]:
    """Each file that a row of a table or an item of a list names, with the names that follow it."""
    unwrapped = re.sub(r"\n +(?![-*] |\d+\. )", " ", text)
    found = []
    for line in unwrapped.splitlines():
        for match in REFERENCE.finditer(line):
            names = re.findall(rf"`({NAME})`", match["names"])
            if match["inside"]:
                names.insert(0, match["inside"])
            found.append((match["file"], [name.removesuffix("()") for name in names]))
    return found


def section() -> str | None:
    """The text below the heading, up to the next heading of its level; None where it is not
    written yet."""
    page = (ROOT / "docs" / "design.md").read_text("utf-8")
    heading = HEADING.search(page)
    if heading is None:
        return None

    rest = page[heading.end() :]
    end = re.search(rf"^#{{1,{len(heading[1])}}} ", rest, re.MULTILINE)
    return rest[: end.start()] if end else rest


def is_there(module: object, name: str) -> bool:
    """Does a module have this name? `Class.field` of a dataclass counts: without a default it is
    no attribute."""
    owner, _, last = name.rpartition(".")
    for part in filter(None, owner.split(".")):
        module = getattr(module, part, None)
    return hasattr(module, last) or last in getattr(module, "__dataclass_fields__", {})


@pytest.mark.parametrize(
    "line, expected",
    [
        ("| 1 | `pipelines/build.py` | `build` | text |", [("pipelines/build.py", ["build"])]),
        ("- `pipelines/build.py`: `build`, `plan()`", [("pipelines/build.py", ["build", "plan"])]),
        ("1. `shards/reader.py: Shard.document`", [("shards/reader.py", ["Shard.document"])]),
        (
            "- `shards/writer.py` then `shards/verify.py` `verify`, with `corpus verify`",
            [("shards/writer.py", []), ("shards/verify.py", ["verify"])],
        ),
        ("1. A page, by `shards/reader.py`\n   `open`.\n", [("shards/reader.py", ["open"])]),
        ("- `corpus build` runs `build`", []),
    ],
)
def test_references_are_found(line: str, expected: list[tuple[str, list[str]]]) -> None:
    assert references(line) == expected


def test_every_reference_exists() -> None:
    text = section()
    if text is None:
        pytest.skip("docs/design.md has no walk through the code")

    found = references(text)
    assert any(names for _, names in found), "the section names no function of a file"

    for file, names in found:
        assert (ROOT / file).is_file(), f"docs/design.md names {file}, which is not there"

        module = importlib.import_module(file.removesuffix(".py").replace("/", "."))
        for name in names:
            assert is_there(module, name), f"docs/design.md names {file}: {name}"
