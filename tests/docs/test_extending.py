"""The worked examples of docs/extending.md: each is taken from the page and run."""

import json
import re
import sys
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from pipelines import build as composition
from pipelines import cli
from pipelines.commands.flags import call_with_flags
from pipelines.home.layout import Home
from pipelines.home.summaries import summaries

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "extending.md").read_text("utf-8")

RECIPE = """
[sources.texts]
kind = "{kind}"
input = "in/*.txt"
{rules}
[tokenizer]
vocab_size = 300
[dedup]
near = false
"""

PARAGRAPHS = ("The quick brown fox jumps over the lazy dog.", "STOP SHOUTING AT ME!", "Once more.")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the page's modules in it, and one file of three paragraphs."""
    for block in re.findall(r"^```python\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL):
        name = re.match(r'"""(\w+\.py):', block)
        if name:
            (tmp_path / name[1]).write_text(block, "utf-8")
            monkeypatch.delitem(sys.modules, name[1].removesuffix(".py"), raising=False)

    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.txt").write_text("\n\n".join(PARAGRAPHS), "utf-8")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def build(folder: Path, kind: str, rules: str = "") -> dict[str, int]:
    """Build a home by a recipe of the page; the figures of its source."""
    (folder / "recipe.toml").write_text(RECIPE.format(kind=kind, rules=rules))
    assert cli.main(["build", "recipe.toml", "--home", "home", "--workers", "1"]) == 0
    manifest = json.loads((folder / "home" / "shards" / "manifest.json").read_text())
    return {"kept": sum(shard["documents"] for shard in manifest["shards"])}


def test_a_source(folder: Path) -> None:
    assert build(folder, "paragraphs:source") == {"kept": 3}
    documents = pq.read_table(next((folder / "home" / "documents").rglob("*.parquet")))
    assert documents.column("text").to_pylist() == list(PARAGRAPHS)


def test_a_stage(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    import lengths

    survey, ingest, *others = composition.STAGES
    monkeypatch.setattr(composition, "STAGES", (survey, ingest, lengths.STAGE, *others))
    monkeypatch.setattr(composition, "ALL", (*composition.ALL, "lengths"))
    assert build(folder, "paragraphs:source") == {"kept": 3}

    characters = sum(map(len, PARAGRAPHS))
    assert f"lengths texts: {characters} characters" in capsys.readouterr().err
    (summary,) = summaries(Home("home"), "lengths")
    assert summary.counts == {"documents": 3, "characters": characters}
    table = pq.read_table(Home("home").attributes("lengths", "texts", summary.slice))
    assert table.column("characters").to_pylist() == [len(text) for text in PARAGRAPHS]


def test_a_rule(folder: Path) -> None:
    block = re.search(r"^\[sources\.texts\.rules\]\n.*?$", PAGE, re.MULTILINE)
    assert block
    assert build(folder, "paragraphs:source", block[0]) == {"kept": 2}


def test_the_rule_of_the_page_is_the_package_s() -> None:
    line = re.search(r"^    max_bullet_lines.*$", PAGE, re.MULTILINE)
    rules = Path(__file__).resolve().parents[2] / "corpora" / "quality" / "rules.py"
    assert line and line[0] in rules.read_text("utf-8")


def test_a_command(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from sources import sources

    build(folder, "paragraphs:source")
    capsys.readouterr()
    entry = re.search(r'Command\("(\w+)", sources, call_with_flags\)', PAGE)
    assert entry
    command = cli.Command(entry[1], sources, call_with_flags)
    monkeypatch.setitem(cli.COMMANDS, "sources", command)
    assert cli.main(["sources", "home"]) == 0
    assert capsys.readouterr().out.split() == ["texts", "paragraphs:source"]
    assert cli.main(["sources", "home", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found == {"schema_version": 1, "sources": {"texts": "paragraphs:source"}}
    assert cli.main(["--help"]) == 0
    assert "List the sources of a home and their kinds." in capsys.readouterr().out
