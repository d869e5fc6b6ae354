"""The pages in docs/: their examples run, the reference is what the source says, and what they
point to is there."""

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pytest

import shards
from pipelines import build
from pipelines.adopt import adopt_recipe
from pipelines.home.layout import open_home
from pipelines.recipe import load_recipe
from pipelines.stages.job import Job

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")])


def blocks(page: str, language: str) -> list[str]:
    return re.findall(
        rf"^```{language}\n(.*?)^```", (ROOT / page).read_text("utf-8"), re.MULTILINE | re.DOTALL
    )


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A home built by the example source of docs/sources.md."""
    folder = tmp_path_factory.mktemp("fortunes")
    (folder / "fortunes.py").write_text(blocks("docs/sources.md", "python")[0], "utf-8")
    (folder / "quotes").mkdir()
    (folder / "quotes" / "hamlet").write_text(
        "To be, or not to be.\nThat is the question.\n%\nok\n%\nThe rest is silence.\n"
    )
    [table] = [block for block in blocks("docs/sources.md", "toml") if "fortunes:source" in block]
    (folder / "recipe.toml").write_text(table + "\n[tokenizer]\nvocab_size = 300\n")
    sys.path.insert(0, str(folder))
    try:
        recipe = load_recipe(str(folder / "recipe.toml"))
        adopt_recipe(str(folder / "home"), recipe, lambda _: [], lambda _: True, print)
        build.build(Job(*open_home(str(folder / "home")), 0, (), print))
        yield folder / "home"
    finally:
        sys.path.remove(str(folder))


def test_the_example_source_gives_its_documents_and_rejects(home: Path) -> None:
    from looked import documents, rejects

    assert [record["text"] for record in documents(str(home), None, False)] == [
        "To be, or not to be.\nThat is the question.",
        "The rest is silence.",
    ]
    assert [
        (record["reason"], record["position"], record["text"])
        for record in rejects(str(home), None, None)
    ] == [("too_short", 45, "ok")]


def test_a_shard_opens_in_five_lines_of_plain_pyarrow(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code = blocks("docs/format.md", "python")[1]
    assert len(code.splitlines()) == 5 and "shards" not in code
    for shard in [*shards.open(str(home), "train"), *shards.open(str(home), "valid")]:
        capsys.readouterr()
        exec(code, {"path": str(home / "shards" / shard.entry.file)})
        printed = capsys.readouterr().out
        assert all(identity in printed for identity in pa.array(shard.ids).to_pylist())
        assert str(shard.document(0)[:3]).strip("[]") in printed


def test_shards_open_as_the_page_says(
    home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(home.parent)
    exec(blocks("docs/format.md", "python")[0], {})
    assert "'<mask>'" in capsys.readouterr().out


def test_the_reference_is_what_the_source_says() -> None:
    subprocess.run([sys.executable, ROOT / "docs" / "make_reference.py", "--check"], check=True)


def test_the_reference_needs_nothing_installed() -> None:
    subprocess.run(
        [sys.executable, "-I", "-S", ROOT / "docs" / "make_reference.py", "--check"], check=True
    )


def test_the_reference_lists_the_trainer() -> None:
    """Every option of its commands, and every key of its recipes with its default."""
    import dataclasses

    from shards.config import to_dict
    from trainer import config, options
    from trainer.cli import COMMANDS

    page = (ROOT / "docs" / "reference.md").read_text("utf-8")
    commands, keys = page.split("## Commands of `trainer`")[1].split("## Recipe keys of `trainer`")
    for name in COMMANDS:
        section = commands.split(f"### `trainer {name}`")[1].split("\n### ")[0]
        for field in dataclasses.fields(getattr(options, name.capitalize())):
            shown = field.metadata.get("flag")
            if shown and not shown.positional:
                assert f"`--{field.name.replace('_', '-')}" in section, (name, field.name)

    for key in config.flatten(to_dict(config.Recipe())):
        table, _, name = key.rpartition(".")
        heading = f"### `[{table}]` of `trainer`" if table else "### Top of a recipe of `trainer`"
        section = keys.split(heading)[1].split("\n### ")[0]
        assert f"| `{name}` |" in section, key


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", page.read_text("utf-8")):
        assert target.startswith("https://") or (page.parent / target).exists(), target


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_files_of_the_project_are_there(page: Path) -> None:
    folders = "corpora|pipelines|shards|trainer|tests|benchmarks|docs"
    named = re.findall(
        rf"(?<![\w/])((?:{folders})/[\w/.-]+\.(?:py|npz|xml|toml))\b", page.read_text("utf-8")
    )
    missing = [path for path in named if not (ROOT / path).exists()]
    assert not missing


def test_the_tree_of_the_design_names_files_that_are_there() -> None:
    [tree] = re.findall(
        r"^### Where things are\n\n((?:    .*\n)+)",
        (ROOT / "docs" / "design.md").read_text("utf-8"),
        re.MULTILINE,
    )
    folders = {0: ROOT}  # the folder that each depth of indentation lists
    named = 0
    for line in tree.splitlines():
        depth = (len(line) - len(line.lstrip())) // 2 - 2
        first, *others = re.findall(r"\b\w+(?:/|\.py\b|\.toml\b)", line)
        folders[depth + 1] = folders[depth] / first
        # A package's own line goes on with what is in it, every other line with its siblings.
        beside = folders[1] if depth == 0 else folders[depth]
        for path in (folders[depth] / first, *(beside / name for name in others)):
            assert path.exists(), f"{path.relative_to(ROOT)}: {line}"
            named += 1
    assert named > 50


def test_extras_are_installed_from_the_checkout() -> None:
    """The project is on no index: a name without a checkout is one that anybody may take."""
    code = [*(ROOT / "shards").rglob("*.py"), *(ROOT / "corpora").rglob("*.py")]
    code += [*(ROOT / "pipelines").rglob("*.py"), *(ROOT / "trainer").rglob("*.py")]
    pages = [page for page in PAGES if page.name != "CHANGELOG.md"]
    named = [path.name for path in [*code, *pages] if "corpusmill[" in path.read_text("utf-8")]
    assert named == []
