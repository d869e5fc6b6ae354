"""A build that failed or was stopped can be looked at, and what is said about it works."""

import json
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from plain_build import plain_build

from pipelines.home.layout import Home
from pipelines.home.lock import locked
from pipelines.home.set_aside import Aside, set_aside

Corpus = Callable[..., tuple[int, str, str]]

RECIPE = (
    '[sources.mine]\nkind = "{kind}"\ninput = "in/*"\nslice_bytes = 1\n'
    "[tokenizer]\nvocab_size = 300\n"
)


def write(folder: Path, kind: str = "files", texts: int = 3) -> Path:
    (folder / "in").mkdir(parents=True)
    for number in range(texts):
        (folder / "in" / f"{number}.txt").write_text(f"Text number {number}. " * 20)
    recipe = folder / "recipe.toml"
    recipe.write_text(RECIPE.format(kind=kind))
    return recipe


@pytest.mark.parametrize("fault", ["segfault", "raise"])
def test_the_first_build_loses_every_slice(fault: str, tmp_path: Path, corpus: Corpus) -> None:
    """Then the home explains itself, and the same command completes the build."""
    recipe, home = write(tmp_path, "faulty:source", texts=0), tmp_path / "home"
    (tmp_path / "in" / "bad.txt").write_text("A bad text. " * 30)
    (tmp_path / "FAULT").write_text(fault)
    command = ("build", recipe, "--home", home, "--workers", 1)
    for _ in range(2):
        code, _, err = corpus(*command)
        assert code == 1 and "1 slice set aside" in err and "no input could be read" not in err

    code, out, _ = corpus("status", home)
    assert code == 0 and "ingest     0 of 1 slices\n" in out
    assert "set aside: ingest mine/" in out and "Traceback" not in out
    assert ("its traceback: corpus status" in out) == (fault == "raise")
    for looking in ("show", "stats"):
        assert corpus(looking, home)[0] == 0
    assert corpus("show", home, "--rejects")[0] == 0

    (tmp_path / "FAULT").unlink()
    assert corpus(*command)[0] == 0
    assert json.loads(corpus("status", home, "--json")[1])["complete"]


def test_a_slice_that_is_set_aside_counts_among_all(tmp_path: Path, corpus: Corpus) -> None:
    home = plain_build(write(tmp_path), tmp_path / "home")
    note = Aside(
        stage="ingest", source="mine", slice="0" * 16, why="it died", record="", trace="Traceback x"
    )
    set_aside(Home(home), note)
    code, out, _ = corpus("status", home)
    assert code == 0 and "ingest     3 of 4 slices\n" in out and "Traceback x" not in out
    figures = json.loads(corpus("status", home, "--json")[1])
    assert figures["slices"] == 4 and figures["set_aside"][0]["trace"] == "Traceback x"


@pytest.mark.parametrize("stage", ["exact", "near"])
def test_after_a_guard_status_names_a_command_that_works(
    stage: str, tmp_path: Path, corpus: Corpus
) -> None:
    folder = tmp_path / "a folder"
    recipe = write(folder, texts=5)
    for number in range(5):
        text = "The same words again and again, said once more by the same people. " * 9
        more = f"Number {number}." if stage == "near" else ""
        (folder / "in" / f"{number}.txt").write_text(text + more)
    home = folder / "home"
    code, _, err = corpus("build", recipe, "--home", home, "--workers", 0)
    assert code == 1 and "max_removed" in err

    code, out, _ = corpus("status", home)
    (line,) = [line for line in out.splitlines() if line.startswith("not complete: ")]
    command = shlex.split(line.partition("to build all the same: ")[2])
    assert command[:2] == ["corpus", "build"] and "--dedup.max-removed" in command
    assert corpus(*command[1:], "--workers", 0)[0] == 0
    assert "complete: the shards" in corpus("status", home)[1]


@pytest.mark.parametrize("flags", [["--lock"], ["--lock", "--work"], ["--work"], []])
def test_clean_touches_no_running_build(flags: list[str], tmp_path: Path, corpus: Corpus) -> None:
    """A local lock ends with its process: none can be stale."""
    home = plain_build(write(tmp_path), tmp_path / "home")
    partial = Path(home, "documents", ".tmp-1-2")
    partial.write_text("half")
    with locked(Home(home)):
        code, _, err = corpus("clean", home, *flags)
        assert code == 3 and "is at work in it" in err
        assert partial.exists() and Path(home, "work").exists()
    assert corpus("clean", home, *flags)[0] == 0
    assert not partial.exists() and Path(home, "work").exists() == ("--work" not in flags)


@pytest.mark.parametrize("content", ["", "[sources", None])
def test_a_damaged_recipe_of_a_home_has_a_remedy_that_works(
    content: str | None, tmp_path: Path, corpus: Corpus
) -> None:
    folder = tmp_path / "a folder"
    recipe = write(folder)
    home = plain_build(recipe, folder / "home")
    copy = Path(home, "recipe.toml")
    copy.unlink()
    if content is not None:
        copy.write_text(content)

    code, _, err = corpus("stats", home)
    assert code == 2 and f"corpus build RECIPE --home '{home}'" in err
    hint = err.splitlines()[-1].partition("corpus build RECIPE --home ")[2]
    flags = shlex.split(hint)
    assert corpus("build", recipe, "--home", *flags, "--workers", 0)[0] == 0
    assert corpus("stats", home)[0] == 0


def test_a_new_home_that_was_refused_is_gone(tmp_path: Path, corpus: Corpus) -> None:
    recipe = write(tmp_path)
    (tmp_path / "disorder.py").write_text("def source():\n    return 1\n")
    recipe.write_text(recipe.read_text() + '[sources.mine.rules]\nexclude_urls = "none.txt"\n')
    assert corpus("build", recipe, "--home", tmp_path / "home", "--workers", 0)[0] == 2
    assert not (tmp_path / "home").exists()


HINTS = {
    ("show",): "corpus build RECIPE --home {}",
    ("dedup",): "corpus build RECIPE --home {}",
}


@pytest.mark.parametrize("command", HINTS)
def test_paths_with_blanks_are_quoted(
    command: tuple[str, ...], tmp_path: Path, corpus: Corpus
) -> None:
    home = tmp_path / "my own home"
    home.mkdir()
    err = corpus(*command, home)[2]
    assert HINTS[command].format(f"'{home}'") in err


def test_no_printed_command_holds_a_bare_path() -> None:
    """Every path after a command's name goes through `in_command` or `Home.quoted`."""
    root = Path(__file__).resolve().parents[2]
    of_path = re.compile(
        r"\b(corpus|trainer) [a-z-]+ \{(?!in_command|name\}|'\|')[^}]*(?<!quoted)\}"
    )
    bare = []
    for package in ("corpora", "pipelines", "shards", "trainer"):
        for path in (root / package).rglob("*.py"):
            for line in path.read_text("utf-8").splitlines():
                if of_path.search(line):
                    bare.append(f"{path.relative_to(root)}: {line.strip()}")
    assert bare == []


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
def test_a_home_without_rights(tmp_path: Path) -> None:
    """The remedy is a right, not room on the disk."""
    home = Path(plain_build(write(tmp_path), tmp_path / "home"))
    for at in [*tmp_path.rglob("*"), tmp_path, *tmp_path.parents[:-2]]:
        at.chmod(at.stat().st_mode | (0o055 if at.is_dir() else 0o044))
    home.chmod(0o700)
    root = Path(__file__).resolve().parents[2]
    script = (
        "import os, sys; sys.argv[0] = 'corpus'; import tyro, pipelines.look.stats, "
        "pipelines.look.status; from pipelines.cli import main; os.setgid(65534); "
        "os.setuid(65534); sys.exit(main(sys.argv[1:]))"
    )
    for command in ("status", "stats"):
        done = subprocess.run(
            [sys.executable, "-c", script, command, str(home)],
            cwd=root,
            capture_output=True,
            text=True,
            env={**os.environ, "PYTHONPATH": str(root)},
        )
        assert done.returncode == 3 and "Permission denied" in done.stderr, done.stderr
        assert "right to read it and to enter the folders above it" in done.stderr
