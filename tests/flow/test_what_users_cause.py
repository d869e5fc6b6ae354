"""What a user can cause: one clear line with the remedy, or a counted reject; never a traceback,
never a hang."""

import gzip
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
Corpus = Callable[..., tuple[int, str, str]]

GOOD = '[sources.mine]\nkind = "files"\ninput = "{input}"\n[tokenizer]\nvocab_size = 300\n'


def write_recipe(folder: Path, text: str = GOOD, **values: Any) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "recipe.toml"
    path.write_text(text.format(**{"input": folder / "in" / "*", **values}))
    return path


@pytest.mark.parametrize(
    ("recipe", "what", "hint"),
    [
        (
            '[sources.mine]\nkind = "files"\ninput = "in/*.pdf"',
            "in/*.pdf: no file matches",
            "check the pattern",
        ),
        (
            '[sources.mine]\nkind = "files"\ninput = "nowhere/*.txt"',
            "no such folder",
            "existing path",
        ),
        (
            '[sources.mine]\nkind = "file"\ninput = "in/*"',
            "kind = 'file': no such kind of source",
            "did you mean files?",
        ),
        (
            '[sources.mine]\nkind = "nomodule:source"\ninput = "in/*"',
            "No module named 'nomodule'",
            "module:function",
        ),
        (
            '[sources.mine]\nkind = "json:loads"\ninput = "in/*"',
            "kind = 'json:loads': TypeError",
            "docs/sources.md",
        ),
        (
            '[sources.mine]\nkind = "files"\ninput = "in/*"\ntext_feild = "x"',
            "sources.mine.text_feild: unknown key",
            "did you mean text_field?",
        ),
        (
            '[sources.mine]\nkind = "files"\ninput = "in/*"\nencoding = "utf-99"',
            "encoding: 'utf-99' is unknown",
            "",
        ),
        ('[sources.mine]\nkind = "files"', "sources.mine.input: missing", "set input"),
        (
            '[sources."a/b"]\nkind = "files"\ninput = "in/*"',
            "sources.a/b: not usable as a file name",
            "letters",
        ),
        ("seed = 1", "names no source", "[sources.mine]"),
        ("[sources", "not valid TOML", "reference.md"),
        ("format = 9", "format 9 is not one this version reads", "upgrade"),
        (
            '[sources.mine]\nkind = "files"\ninput = "in/*"\n[tokenizer]\nvocab_size = 10',
            "tokenizer.vocab_size: 10 is less than 261",
            "",
        ),
        (
            '[sources.mine]\nkind = "files"\ninput = "in/*"\n[tokenizer]\nsources = ["mime"]',
            "tokenizer.sources: no source 'mime'",
            "did you mean mine?",
        ),
        (
            '[sources.mine]\nkind = "files"\ninput = "in/*"\n[tokenizer]\npath = "no.json"',
            "no.json",
            "tokenizer.json",
        ),
        (
            '[sources.mine]\nkind = "files"\ninput = "in/*"\n[shards]\nwhitespace = "none"',
            "shards.whitespace: 'none' is not one of",
            "known: keep",
        ),
    ],
)
def test_wrong_recipes(recipe: str, what: str, hint: str, tmp_path: Path, corpus: Corpus) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.txt").write_text("some text")
    (tmp_path / "recipe.toml").write_text(recipe)
    code, out, err = corpus(
        "build", tmp_path / "recipe.toml", "--home", tmp_path / "home", "--workers", 0
    )
    assert code == 2 and out == ""
    assert what in err and hint in err
    lines = err.strip().splitlines()
    assert sum(line.startswith("error: ") for line in lines) == 1 and lines[-1].startswith(
        ("error: ", "hint: ")
    )


@pytest.mark.parametrize(
    ("arguments", "what", "hint"),
    [
        (["biuld"], "biuld: no such command", "did you mean build?"),
        (["build", "--home", "x"], "no recipe named", "RECIPE.toml"),
        (["build", "none.toml", "--home", "x"], "none.toml: no such recipe file", "corpus recipes"),
        (
            ["build", "RECIPE", "--home", "HOME", "--dedup.max-remove", "1"],
            "--dedup.max-remove: neither",
            "did you mean --dedup.max-removed?",
        ),
        (
            ["build", "RECIPE", "--home", "HOME", "--runer=FnApiRunner"],
            "--runer: neither",
            "did you mean --runner?",
        ),
        (
            ["build", "RECIPE", "--home", "HOME", "--workers", "-1"],
            "--workers -1",
            "use 0 to work in this process",
        ),
        (["build", "RECIPE", "--home", "HOME", "--limit", "0"], "limit: 0 is less than 1", ""),
        (["build", "RECIPE", "--home", "IN"], "not empty and not a home", "new folder"),
        (["build", "RECIPE", "--home", ""], "--home: missing", "--home DIR"),
        (["build", "--home", "texts"], "no recipe named", "recipes in the package: "),
        (["build", "RECIPE", "--home", "HOME", "--runner=Nope"], "Beam: ", "without --runner"),
        (["build", "RECIPE", "--home", "FILE"], "File exists", "name a folder"),
        (["verify", "FILE"], "Not a directory", "name a folder"),
        (["show", "IN", "--n", "-1"], "--n -1: less than 0", ""),
        (["stats", "nowhere"], "nowhere: no home here", "corpus build RECIPE --home nowhere"),
        (["verify", "nowhere"], "no manifest", "corpus build"),
        (["show", "nowhere"], "no home here", "corpus build"),
        (["recipes", "text"], "text: no such recipe", "did you mean texts?"),
        (["stats"], "error: HOME: missing\n", "hint: corpus stats --help"),
        (["show", "IN", "--n"], "error: --n: its value is missing\n", "corpus show --help"),
        (["show", "IN", "--n", "few"], "error: --n: 'few' is not a whole number\n", "--help"),
        (["stats", "IN", "more"], "error: more: unexpected argument\n", "corpus stats --help"),
        (["stats", "IN", "--jsn"], "error: --jsn: no such option\n", "did you mean --json?"),
        (["export", "IN", "out", "--format", "parket"], "no such choice", "mean parquet?"),
        (["dedup"], "error: HOME: missing\n", "hint: corpus dedup --help"),
        (["dedup", "IN", "--workers", "two"], "--workers: 'two' is not a whole number\n", ""),
        (["dedup", "IN", "--worker", "2"], "--worker: neither", "did you mean --workers?"),
        (
            ["build", "RECIPE", "--home", "HOME", "--limit", "all"],
            "error: --limit: 'all' is not a whole number\n",
            "hint: corpus build --help",
        ),
        (
            ["build", "RECIPE", "--home", "HOME", "--dedup.threshold", "high"],
            "error: --dedup.threshold: 'high' is not a number\n",
            "hint: corpus build --help",
        ),
        (
            ["build", "RECIPE", "--home", "HOME", "--dedup.threshold", "7"],
            "error: dedup: threshold: 7.0 is not in [0.1, 1]\n",
            "hint: corpus build --help",
        ),
        (["build", "RECIPE", "--home"], "error: --home: its value is missing\n", ""),
        (["fetch"], "error: no kind of corpus named\n", "corpus fetch cc-news|wikipedia|urls"),
        (["fetch", "wikipdia", "x"], "wikipdia: no such kind", "did you mean wikipedia?"),
        (["fetch", "urls", "list.txt"], "error: DIR: missing\n", "corpus fetch urls --help"),
        (["fetch", "urls", "a", "b", "--limit", "x"], "--limit: 'x' is not a whole number\n", ""),
        (["fetch", "urls", "a", "b", "--limts", "3"], "--limts: no such", "mean --limit?"),
        (["show", "IN", "--sourc", "x"], "sourc", "--source"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_wrong_commands(
    arguments: list[str],
    what: str,
    hint: str,
    tmp_path: Path,
    corpus: Corpus,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.txt").write_text("some text")
    recipe = write_recipe(tmp_path)
    names = {
        "RECIPE": str(recipe),
        "HOME": str(tmp_path / "home"),
        "IN": str(tmp_path / "in"),
        "FILE": str(tmp_path / "in" / "a.txt"),
    }
    code, out, err = corpus(*[names.get(argument, argument) for argument in arguments])
    assert code == 2 and "Traceback" not in err and out == ""
    assert what.lower() in err.lower() and hint in err and err.strip()
    assert len(err.splitlines()) <= 2, err  # no box


def test_damage_among_good_files_is_counted(tmp_path: Path, corpus: Corpus) -> None:
    """Noise, invalid UTF-8, a cut line, a bomb, an endless line: rejects with their reasons; the
    rest is delivered, exit 0."""
    folder = tmp_path / "in"
    recipe = write_recipe(tmp_path)
    folder.mkdir()
    (folder / "a.txt").write_text("A good text. " * 50)
    (folder / "b.jsonl").write_text('{"text": "Another good text."}\n{"text": "cut')
    (folder / "c.txt.gz").write_bytes(os.urandom(5000))
    (folder / "d.txt").write_bytes(b"caf\xe9")
    (folder / "e.txt.gz").write_bytes(gzip.compress(bytes(200_000_000), 1))
    (folder / "f.jsonl").write_bytes(
        b'{"text": "' + b"x" * 100_000_000 + b'"}\n{"text": "After a long line."}\n'
    )
    (folder / "g.pdf").write_bytes(b"%PDF")
    (folder / "h.parquet").write_bytes(b"PAR1" + bytes(100))
    (folder / "i.txt").write_text(" \n\t")
    (folder / "j.txt.gz").write_bytes(gzip.compress(b"Some text. " * 1000)[:-40])
    code, _, err = corpus("build", recipe, "--home", tmp_path / "home", "--workers", 2)
    assert code == 0, err
    figures = json.loads(corpus("stats", tmp_path / "home", "--json")[1])["total"]
    assert figures["rejects"] == {
        "bad_encoding": 1,
        "bad_json": 1,
        "damaged": 2,
        "empty": 1,
        "too_large": 2,
        "truncated": 1,
        "unknown_format": 1,
    }
    assert (figures["records"], figures["documents"], figures["kept"]) == (12, 3, 3)
    code, out, _ = corpus("show", tmp_path / "home", "--rejects", "--n", 20, "--json")
    rejects = {(record["path"], record["reason"]): record for record in json.loads(out)["records"]}
    assert len(rejects) == 9 and rejects["b.jsonl", "bad_json"]["text"] == '{"text": "cut'
    some = rejects["d.txt", "bad_encoding"]
    (record,) = json.loads(corpus("why", tmp_path / "home", some["id"], "--json")[1])["records"]
    assert record["outcome"] == "rejected"


def test_no_readable_input_at_all(tmp_path: Path, corpus: Corpus) -> None:
    recipe = write_recipe(tmp_path)
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.txt.gz").write_bytes(b"noise" * 100)
    code, _, err = corpus("build", recipe, "--home", tmp_path / "home", "--workers", 0)
    assert code == 2 and "no input could be read" in err and "corpus show" in err


def test_most_of_a_source_is_copies(tmp_path: Path, corpus: Corpus) -> None:
    recipe = write_recipe(tmp_path)
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.txt").write_text("different")
    for number in range(5):
        (tmp_path / "in" / f"b{number}.txt").write_text("the same")
    code, _, err = corpus("build", recipe, "--home", tmp_path / "home", "--workers", 0)
    assert (
        code == 1
        and "4 of 6 documents (67%) are duplicates" in err
        and "--dedup.max-removed 0.67" in err
    )
    assert not (tmp_path / "home" / "shards").exists()
    code, _, err = corpus(
        "build", recipe, "--home", tmp_path / "home", "--workers", 0, "--dedup.max-removed", "0.67"
    )
    assert code == 0, err


@pytest.mark.parametrize(
    ("file", "text", "what"),
    [
        ("recipe.toml", "format = 2\n", "format 2 is not one this version reads"),
        ("shards/manifest.json", '{"format": 2}', "format 2 is not one this version reads"),
    ],
)
def test_a_home_of_a_newer_version_is_refused(
    file: str, text: str, what: str, tmp_path: Path, corpus: Corpus
) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.txt").write_text("some text")
    recipe = write_recipe(tmp_path)
    assert corpus("build", recipe, "--home", tmp_path / "home", "--workers", 0)[0] == 0
    (tmp_path / "home" / file).write_text(text)
    code, _, err = corpus("stats" if file == "recipe.toml" else "verify", tmp_path / "home")
    assert code == 2 and what in err and "upgrade" in err


def test_a_flipped_byte_is_a_failed_check(tmp_path: Path, corpus: Corpus) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.txt").write_text("some text")
    assert (
        corpus("build", write_recipe(tmp_path), "--home", tmp_path / "home", "--workers", 0)[0] == 0
    )
    path = tmp_path / "home" / "shards" / "train-mine-00000.arrow"
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    code, out, err = corpus("verify", tmp_path / "home")
    assert (
        code == 1
        and "train-mine-00000.arrow: its digest is not the manifest's" in out
        and "1 fault" in err
    )


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
def test_no_write_permission(tmp_path: Path) -> None:
    """As user nobody: exit 3 and one line."""
    shared = Path("/tmp") / f"corpusmill-{os.getpid()}"
    shared.mkdir()
    try:
        (shared / "in").mkdir()
        (shared / "in" / "a.txt").write_text("some text")
        recipe = write_recipe(shared)
        for path in (shared, shared / "in"):
            path.chmod(0o755)
        done = subprocess.run(
            [
                sys.executable,
                "-c",
                (
                    "import os, sys, tomli_w, typeguard, tyro, corpora.files.source, "
                    "pipelines.build, pipelines.engines.children, pipelines.home.lock; "
                    "os.setgid(65534); os.setuid(65534); from pipelines.cli import main; "
                    "sys.exit(main(sys.argv[1:]))"
                ),
                "build",
                str(recipe),
                "--home",
                str(shared / "home"),
            ],
            cwd=ROOT,
            capture_output=True,
            text=True,
            env={**os.environ, "HOME": "/nonexistent", "PYTHONPATH": str(ROOT)},
        )
        assert done.returncode == 3, done.stderr
        assert (
            "Permission denied" in done.stderr
            and "hint: " in done.stderr
            and "Traceback" not in done.stderr
        )
    finally:
        shutil.rmtree(shared)


def test_a_source_with_a_bug_is_named(
    tmp_path: Path, corpus: Corpus, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A user's own source that yields out of order is told so."""
    (tmp_path / "disorder.py").write_text(
        "from corpora.document import Document, Source, SourceOptions\nfrom "
        "corpora.files.source import find, group\n"
        "def source():\n    return Source(options=SourceOptions, slices=lambda o: "
        "group(find(o.input), o.slice_bytes), read=read)\n"
        "def read(options, piece):\n    for position in (1, 0):\n        yield "
        "Document(path=piece.parts[0].path, position=position, text='text')\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.txt").write_text("some text")
    recipe = write_recipe(tmp_path, GOOD.replace('"files"', '"disorder:source"'))
    code, _, err = corpus("build", recipe, "--home", tmp_path / "home", "--workers", 0)
    assert code == 1 and "record ('a.txt', 0) comes after ('a.txt', 1)" in err


def build_of(
    tmp_path: Path, corpus: Corpus, *flags: object, text: str = GOOD, home: str = "home"
) -> tuple[int, str, str]:
    return corpus(
        "build", write_recipe(tmp_path, text), "--home", tmp_path / home, "--workers", 0, *flags
    )


def test_a_home_inside_the_input_is_refused(tmp_path: Path, corpus: Corpus) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.txt").write_text("some text")
    text = GOOD.replace("{input}", f"{tmp_path}/in/**")
    code, _, err = build_of(tmp_path, corpus, text=text, home="in/home")
    assert code == 2 and "sources.mine.input matches a file inside the home" in err


def test_links_that_go_in_circles_and_names_that_are_no_utf8(
    tmp_path: Path, corpus: Corpus
) -> None:
    (tmp_path / "in" / "deep").mkdir(parents=True)
    (tmp_path / "elsewhere").mkdir()
    for path in ("in/a.txt", "in/deep/b.txt", "elsewhere/c.txt"):
        (tmp_path / path).write_text(f"text of {path}")
    (tmp_path / "in" / "deep" / "loop").symlink_to(tmp_path / "in")
    (tmp_path / "in" / "linked").symlink_to(tmp_path / "elsewhere")
    with open(os.path.join(os.fsencode(tmp_path), b"in", b"caf\xe9.txt"), "w") as stream:
        stream.write("text")
    code, _, err = build_of(tmp_path, corpus, text=GOOD.replace("{input}", f"{tmp_path}/in/**"))
    assert code == 0, err
    figures = json.loads(corpus("stats", tmp_path / "home", "--json")[1])["total"]
    assert (figures["documents"], figures["rejects"]) == (4, {})
    (record,) = json.loads(corpus("why", tmp_path / "home", "caf\\udce9.txt", "--json")[1])[
        "records"
    ]
    assert (record["path"], record["text"]) == ("caf\\udce9.txt", "text")


def test_figures_of_an_earlier_ingest_are_not_shown(tmp_path: Path, corpus: Corpus) -> None:
    (tmp_path / "in").mkdir()
    for number in range(6):
        (tmp_path / "in" / f"{number}.txt").write_text(f"text {number}")
    recipe = write_recipe(tmp_path)
    assert build_of(tmp_path, corpus)[0] == 0
    assert (
        corpus("ingest", recipe, "--home", tmp_path / "home", "--workers", 0, "--limit", 2)[0] == 0
    )
    figures = json.loads(corpus("stats", tmp_path / "home", "--json")[1])["total"]
    assert (figures["documents"], figures["removed"], figures["kept"]) == (
        2,
        {"exact": None, "near": None},
        None,
    )
    assert not json.loads(corpus("status", tmp_path / "home", "--json")[1])["complete"]


def test_a_vocabulary_with_holes(tmp_path: Path, corpus: Corpus) -> None:
    from tokenizers import Tokenizer, models, pre_tokenizers

    vocabulary = {
        letter: 70_000 + number
        for number, letter in enumerate(sorted(pre_tokenizers.ByteLevel.alphabet()))
    }
    holes = Tokenizer(models.BPE(vocabulary, []))
    holes.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    (tmp_path / "holes.json").write_text(holes.to_str())
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.txt").write_text("some text")
    code, _, err = build_of(tmp_path, corpus, "--tokenizer.path", tmp_path / "holes.json")
    assert code == 0, err
    manifest = json.loads((tmp_path / "home" / "shards" / "manifest.json").read_text())
    assert manifest["dtype"] == "uint32" and manifest["tokenizer"]["vocab_size"] == 70_261


def test_a_given_vocabulary_is_looked_at_before_the_work(tmp_path: Path, corpus: Corpus) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.txt").write_text("some text")
    code, _, err = build_of(tmp_path, corpus, "--tokenizer.path", tmp_path / "none.json")
    assert code == 2 and "none.json" in err and not (tmp_path / "home" / "documents").exists()


def test_names_of_sources_are_flags(tmp_path: Path, corpus: Corpus) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.txt").write_text("some text")
    text = (
        "".join(
            f'[sources.{name}]\nkind = "files"\ninput = "{{input}}"\n'
            for name in ("a-b", "1a", "class")
        )
        + "[dedup]\nmax_removed = 1.0\n[tokenizer]\nvocab_size = 300\n"
    )
    assert build_of(tmp_path, corpus, "--sources.class.slice-bytes", 5, text=text)[0] == 0
    assert list(json.loads(corpus("stats", tmp_path / "home", "--json")[1])["sources"]) == [
        "a-b",
        "1a",
        "class",
    ]


def test_a_folder_with_the_user_s_own_recipe_is_no_home(
    tmp_path: Path, corpus: Corpus, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.txt").write_text("some text")
    recipe = write_recipe(tmp_path)
    (tmp_path / ".tmp-mine").write_text("mine")
    before = recipe.read_text()
    monkeypatch.chdir(tmp_path)
    code, _, err = corpus("build", "recipe.toml", "--home", ".", "--workers", 0)
    assert code == 2 and "not empty and not a home" in err
    assert recipe.read_text() == before and (tmp_path / ".tmp-mine").exists()


def test_a_link_to_nowhere_is_counted(tmp_path: Path, corpus: Corpus) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.txt").write_text("some text")
    (tmp_path / "in" / "b.txt").symlink_to(tmp_path / "nowhere.txt")
    assert build_of(tmp_path, corpus)[0] == 0
    assert json.loads(corpus("stats", tmp_path / "home", "--json")[1])["total"]["rejects"] == {
        "unreadable": 1
    }


def test_before_dedup_nothing_is_called_kept(tmp_path: Path, corpus: Corpus) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.txt").write_text("some text")
    assert (
        corpus("ingest", write_recipe(tmp_path), "--home", tmp_path / "home", "--workers", 0)[0]
        == 0
    )
    record = json.loads(corpus("show", tmp_path / "home", "--json")[1])["records"][0]
    assert (
        "not decided yet"
        in json.loads(corpus("why", tmp_path / "home", record["id"], "--json")[1])["records"][0][
            "outcome"
        ]
    )
    code, _, err = corpus("export", tmp_path / "home", tmp_path / "out")
    assert code == 2 and "dedup has not run" in err


def test_clean_waits_for_nobody(tmp_path: Path, corpus: Corpus) -> None:
    from pipelines.home.layout import Home
    from pipelines.home.lock import locked

    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.txt").write_text("some text")
    assert build_of(tmp_path, corpus)[0] == 0
    with locked(Home(str(tmp_path / "home"))):
        code, _, err = corpus("clean", tmp_path / "home", "--work")
    assert code == 3 and "is at work in it" in err and (tmp_path / "home" / "work").exists()


def test_a_refused_build_leaves_nothing_behind(tmp_path: Path, corpus: Corpus) -> None:
    """Nor does it become part of the input that it was refused for."""
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.txt").write_text("A text.")
    recipe = tmp_path / "recipe.toml"
    recipe.write_text('[sources.a]\nkind = "files"\ninput = "in"\n')
    code, _, err = corpus("build", recipe, "--home", tmp_path / "in" / "home", "--workers", 0)
    assert code == 2 and "matches a file inside the home" in err
    recipe.write_text('[sources.a]\nkind = "files"\ninput = "nothing/*.txt"\n')
    assert corpus("build", recipe, "--home", tmp_path / "home", "--workers", 0)[0] == 2
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["a.txt", "in", "recipe.toml"]


def test_a_dry_run_needs_no_home_and_a_build_does(tmp_path: Path, corpus: Corpus) -> None:
    recipe = write_recipe(tmp_path)
    (tmp_path / "in").mkdir(exist_ok=True)
    (tmp_path / "in" / "a.txt").write_text("A text.")
    assert corpus("build", recipe, "--dry-run")[0] == 0
    code, _, err = corpus("build", recipe)
    assert code == 2 and "--home: missing" in err
    code, _, err = corpus("build", "wikipedia-ne", "--dry-run")
    assert code == 2 and "did you mean wikipedia-en?" in err


def test_status_names_who_is_at_work(tmp_path: Path, corpus: Corpus) -> None:
    """From another terminal, in the moments without a snapshot too; and what a killed build left
    there is no running one."""
    import json
    import os

    from shards.storage.lock import locked_folder

    (tmp_path / "in").mkdir(exist_ok=True)
    (tmp_path / "in" / "a.txt").write_text("A text of some words.")
    home = tmp_path / "home"
    assert corpus("ingest", write_recipe(tmp_path), "--home", home, "--workers", 0)[0] == 0
    (home / "work").mkdir(exist_ok=True)
    (home / "work" / "progress.json").write_text("{}")
    found = json.loads(corpus("status", home, "--json")[1])
    assert (found["at_work"], found["running"], found["stopped"]) == (None, None, None)
    (home / "work" / "progress.json").unlink()
    with locked_folder(str(home)):
        assert f"process {os.getpid()} on " in corpus("status", home)[1]
    assert "not complete" in corpus("status", home)[1]
