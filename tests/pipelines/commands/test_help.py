"""What `--help` and `--help-all` say: every argument by name, in the order of use, on one screen,
and exactly the flags that are taken."""

import dataclasses
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from pipelines.cli import COMMANDS
from pipelines.commands.fetch_flags import KINDS
from pipelines.commands.flags import Run, parse_with_recipe
from pipelines.commands.help import Option, Section, page, sections_of_dataclass, usage
from pipelines.recipe import DedupConfig, ShardsConfig, TokenizerConfig

Corpus = Callable[..., tuple[int, str, str]]

RECIPE = """
[sources.my-texts]
kind = "files"
input = "in/*.txt"
[dedup]
near = false
"""

HELPS = [[name] for name in COMMANDS] + [["fetch", kind] for kind in KINDS]


@pytest.mark.parametrize("words", HELPS, ids=" ".join)
@pytest.mark.parametrize("columns", ["64", "80", "200"])
def test_every_help_fits_on_a_screen(
    words: list[str], columns: str, corpus: Corpus, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", columns)
    code, out, err = corpus(*words, "--help")
    assert (code, err) == (0, "")
    assert out.startswith(f"usage: corpus {' '.join(words)}")
    assert max(map(len, out.splitlines())) <= min(int(columns), 100)
    assert len(out.splitlines()) <= 42 or columns == "64"
    assert not re.search(r"[╭│╰]|\bSTR\b|None", out)
    assert corpus(*words, "-h")[1] == out
    assert corpus(*words, "--help-all")[0] == 0


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["build"], "usage: corpus build RECIPE --home DIR [OPTIONS]"),
        (["dedup"], "usage: corpus dedup HOME [OPTIONS]"),
        (["why"], "usage: corpus why HOME RECORD [OPTIONS]"),
        (["diff"], "usage: corpus diff HOME HOME [OPTIONS]"),
        (["verify"], "usage: corpus verify HOME|SHARDS [OPTIONS]"),
        (["export"], "usage: corpus export HOME OUT [OPTIONS]"),
        (["recipes"], "usage: corpus recipes [NAME]"),
        (["fetch"], "usage: corpus fetch KIND ... DIR [OPTIONS]"),
        (["fetch", "urls"], "usage: corpus fetch urls LIST DIR [OPTIONS]"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_arguments_have_names(words: list[str], line: str, corpus: Corpus) -> None:
    assert corpus(*words, "--help")[1].splitlines()[0] == line


def test_the_help_of_a_build_is_in_the_order_of_use(corpus: Corpus) -> None:
    titles = re.findall(r"^(\S.*):$", corpus("build", "--help")[1], re.MULTILINE)
    assert titles == ["arguments", "the build", "keys of the recipe that are often set"]
    flags = re.findall(r"^  (--[\w.-]+)", corpus("build", "--help")[1], re.MULTILINE)
    assert flags[0] == "--home" and flags.index("--yes") < flags.index("--limit")
    assert flags.index("--dedup.near") < flags.index("--tokenizer.path")
    assert flags[-1] == "--shards.valid-fraction"


def test_help_all_lists_every_key_and_those_of_the_recipes_sources(
    corpus: Corpus, tmp_path: Path
) -> None:
    code, out, _ = corpus("build", "--help-all")
    assert code == 0
    expected = [f"--{field.name}" for field in dataclasses.fields(Run)] + ["--limit", "--seed"]
    for name, table in (
        ("dedup", DedupConfig),
        ("tokenizer", TokenizerConfig),
        ("shards", ShardsConfig),
    ):
        expected += [f"--{name}.{field.name}" for field in dataclasses.fields(table)]
    listed = re.findall(r"^  (--[\w.-]+)", out, re.MULTILINE)
    assert listed == [flag.replace("_", "-") for flag in expected]
    assert "--dedup.near, --dedup.no-near" in out and "(default: on)" in out

    (tmp_path / "recipe.toml").write_text(RECIPE)
    out = corpus("build", tmp_path / "recipe.toml", "--help-all")[1]
    more = re.findall(r"^  (--[\w.-]+)", out, re.MULTILINE)
    sources = [flag for flag in more if flag.startswith("--sources.my-texts.")]
    assert [flag for flag in more if flag not in sources] == listed
    assert {
        "--sources.my-texts.input",
        "--sources.my-texts.rules.min-words",
        "--sources.my-texts.dedup.threshold",
    } <= set(sources)
    assert "--dedup.near, --dedup.no-near\n" in out
    assert re.search(r"--dedup\.near, .*\n(?: {20}.*\n)*? {20}.*\(default: off\)", out)


def test_every_flag_of_the_help_is_taken(corpus: Corpus, tmp_path: Path) -> None:
    """All in one command line, but for those whose value is a word that the recipe checks."""
    recipe = tmp_path / "recipe.toml"
    recipe.write_text(RECIPE)
    lines = re.findall(r"^  (--\S+(?: \S+)?)", corpus("build", recipe, "--help-all")[1], re.M)
    lines = [line for line in lines if not line.endswith(("TEXT", "NAME"))]
    assert len(lines) > 60

    values = {"N": "300", "NUMBER": "0.5", "PATH": "x", "DIR": "x", "--dedup.ngram": "5"}
    values["--sources.my-texts.rules.top-n-grams"] = "2"
    values["--sources.my-texts.repeat"] = "2.5"
    on, off = [str(recipe)], [str(recipe)]
    for line in lines:
        flag, _, value = line.replace(", ", ",").partition(" ")
        first, *no = flag.split(",")
        first_choice = values.get(value.split("|")[0], value.split("|")[0])
        on += [first, values.get(first, values.get(value, first_choice))] if value else [first]
        off += no

    read, run, beam = parse_with_recipe("build", on)
    assert (read.dedup.near, read.dedup.containment, run.home, run.json) == (True, 0.5, "x", True)
    assert beam == []
    read, run, beam = parse_with_recipe("build", off)
    assert (read.dedup.near, read.dedup.exact, run.home, beam) == (False, False, "", [])


@dataclasses.dataclass(frozen=True, kw_only=True)
class Base:
    """A table."""

    depth: int | None = None
    """How deep.
    Not more."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Table(Base):
    """A table with more."""

    loud: bool = False
    """Whether it is loud."""
    names: tuple[str, ...] = ("a", "b")
    """Some names."""
    a_flag_with_a_long_name: float = 0.5
    """Its meaning
    begins below."""


def test_a_dataclass_gives_its_fields_in_order_and_those_it_inherits(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    sections = sections_of_dataclass(Table)
    assert usage("corpus try", sections) == "corpus try [OPTIONS]"
    assert page("corpus try", "Try it.", sections) == (
        "usage: corpus try\n\nTry it.\n\noptions:\n"
        "  --depth N               How deep. Not more.\n"
        "  --loud                  Whether it is loud.\n"
        "  --names TEXT ...        Some names. (default: a b)\n"
        "  --a-flag-with-a-long-name NUMBER\n"
        "                          Its meaning begins below. (default: 0.5)"
    )


def test_an_option_without_a_word_on_it_is_listed_all_the_same() -> None:
    section = Section("options", (Option("a", "--a", ""),))
    assert page("corpus try", "", [section]).splitlines()[-1] == "  --a"
