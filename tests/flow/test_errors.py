"""What a user can cause: one clear line with the remedy, or a counted reject; never a traceback, never a hang."""

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
        ('[sources.mine]\nkind = "files"\ninput = "in/*.pdf"', "in/*.pdf: no file matches", "check the pattern"),
        ('[sources.mine]\nkind = "files"\ninput = "nowhere/*.txt"', "no such folder", "existing path"),
        ('[sources.mine]\nkind = "file"\ninput = "in/*"', "kind = 'file': no such kind of source", "did you mean files?"),
        ('[sources.mine]\nkind = "nomodule:source"\ninput = "in/*"', "No module named 'nomodule'", "module:function"),
        ('[sources.mine]\nkind = "json:loads"\ninput = "in/*"', "kind = 'json:loads': TypeError", "docs/sources.md"),
        ('[sources.mine]\nkind = "files"\ninput = "in/*"\ntext_feild = "x"', "sources.mine.text_feild: unknown key", "did you mean text_field?"),
        ('[sources.mine]\nkind = "files"\ninput = "in/*"\nencoding = "utf-99"', "encoding: 'utf-99' is unknown", ""),
        ('[sources.mine]\nkind = "files"', "sources.mine.input: missing", "set input"),
        ('[sources."a/b"]\nkind = "files"\ninput = "in/*"', "sources.a/b: not a name", "letters"),
        ("seed = 1", "names no source", "[sources.mine]"),
        ("[sources", "not TOML", "reference.md"),
        ("format = 9", "format 9 is not one this version reads", "upgrade"),
        ('[sources.mine]\nkind = "files"\ninput = "in/*"\n[tokenizer]\nvocab_size = 10', "tokenizer.vocab_size: 10 is less than 261", ""),
        ('[sources.mine]\nkind = "files"\ninput = "in/*"\n[tokenizer]\nsources = ["mime"]', "tokenizer.sources: no source 'mime'", "did you mean mine?"),
        ('[sources.mine]\nkind = "files"\ninput = "in/*"\n[tokenizer]\npath = "no.json"', "no.json", "tokenizer.json"),
        ('[sources.mine]\nkind = "files"\ninput = "in/*"\n[shards]\nwhitespace = "none"', "shards.whitespace: 'none' is not one of", "known: keep"),
    ],
)
def test_wrong_recipes(recipe: str, what: str, hint: str, tmp_path: Path, corpus: Corpus) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.txt").write_text("some text")
    (tmp_path / "recipe.toml").write_text(recipe)
    code, out, err = corpus("build", tmp_path / "recipe.toml", "--home", tmp_path / "home", "--workers", 0)
    assert code == 2 and out == ""
    assert what in err and hint in err
    lines = err.strip().splitlines()
    assert sum(line.startswith("error: ") for line in lines) == 1 and lines[-1].startswith(("error: ", "hint: "))


@pytest.mark.parametrize(
    ("arguments", "what", "hint"),
    [
        (["biuld"], "biuld: no such command", "did you mean build?"),
        (["build", "--home", "x"], "not a recipe", "RECIPE.toml"),
        (["build", "none.toml", "--home", "x"], "none.toml: no such recipe", "corpus recipes"),
        (["build", "RECIPE", "--home", "HOME", "--dedup.max-remove", "1"], "--dedup.max-remove: neither", "did you mean --dedup.max-removed?"),
        (["build", "RECIPE", "--home", "HOME", "--runer=FnApiRunner"], "--runer: neither", "did you mean --runner?"),
        (["build", "RECIPE", "--home", "HOME", "--workers", "-1"], "--workers -1", "0 works in this process"),
        (["build", "RECIPE", "--home", "HOME", "--limit", "0"], "limit: 0 is less than 1", ""),
        (["build", "RECIPE", "--home", "IN"], "not empty and not a home", "new folder"),
        (["stats", "nowhere"], "nowhere: no home here", "corpus build RECIPE --home nowhere"),
        (["verify", "nowhere"], "no manifest", "corpus build"),
        (["show", "nowhere"], "no home here", "corpus build"),
        (["recipes", "text"], "text: no such recipe", "did you mean texts?"),
        (["stats"], "Missing from corpus stats", "corpus stats --help"),
        (["show", "IN", "--sourc", "x"], "sourc", "--source"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_wrong_commands(arguments: list[str], what: str, hint: str, tmp_path: Path, corpus: Corpus, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.txt").write_text("some text")
    recipe = write_recipe(tmp_path)
    names = {"RECIPE": str(recipe), "HOME": str(tmp_path / "home"), "IN": str(tmp_path / "in")}
    code, out, err = corpus(*[names.get(argument, argument) for argument in arguments])
    assert code == 2 and "Traceback" not in err and out == ""
    assert what.lower() in err.lower() and hint in err and err.strip()


def test_damage_among_good_files_is_counted(tmp_path: Path, corpus: Corpus) -> None:
    """Noise, invalid UTF-8, a cut line, a bomb, an endless line: rejects with their reasons; the rest is delivered, exit 0."""
    folder = tmp_path / "in"
    recipe = write_recipe(tmp_path)
    folder.mkdir()
    (folder / "a.txt").write_text("A good text. " * 50)
    (folder / "b.jsonl").write_text('{"text": "Another good text."}\n{"text": "cut')
    (folder / "c.txt.gz").write_bytes(os.urandom(5000))
    (folder / "d.txt").write_bytes(b"caf\xe9")
    (folder / "e.txt.gz").write_bytes(gzip.compress(bytes(200_000_000), 1))
    (folder / "f.jsonl").write_bytes(b'{"text": "' + b"x" * 100_000_000 + b'"}\n{"text": "After a long line."}\n')
    (folder / "g.pdf").write_bytes(b"%PDF")
    (folder / "h.parquet").write_bytes(b"PAR1" + bytes(100))
    (folder / "i.txt").write_text(" \n\t")
    (folder / "j.txt.gz").write_bytes(gzip.compress(b"Some text. " * 1000)[:-40])
    code, _, err = corpus("build", recipe, "--home", tmp_path / "home", "--workers", 2)
    assert code == 0, err
    figures = json.loads(corpus("stats", tmp_path / "home", "--json")[1])["total"]
    assert figures["rejects"] == {"bad_encoding": 1, "bad_json": 1, "damaged": 2, "empty": 1, "too_large": 2, "truncated": 1, "unknown_format": 1}
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
    assert code == 1 and "4 of 6 documents (67%) are duplicates" in err and "--dedup.max-removed 0.67" in err
    assert not (tmp_path / "home" / "shards").exists()
    code, _, err = corpus("build", recipe, "--home", tmp_path / "home", "--workers", 0, "--dedup.max-removed", "0.67")
    assert code == 0, err


@pytest.mark.parametrize(
    ("file", "text", "what"),
    [
        ("recipe.toml", "format = 2\n", "format 2 is not one this version reads"),
        ("shards/manifest.json", '{"format": 2}', "format 2 is not one this version reads"),
    ],
)
def test_a_home_of_a_newer_version_is_refused(file: str, text: str, what: str, tmp_path: Path, corpus: Corpus) -> None:
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
    assert corpus("build", write_recipe(tmp_path), "--home", tmp_path / "home", "--workers", 0)[0] == 0
    path = tmp_path / "home" / "shards" / "train-mine-00000.arrow"
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    code, out, err = corpus("verify", tmp_path / "home")
    assert code == 1 and "train-mine-00000.arrow: its digest is not the manifest's" in out and "1 fault" in err


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
                "import os, sys, tomli_w, typeguard, tyro, corpora.files, pipelines.build; os.setgid(65534); os.setuid(65534); from pipelines.cli import main; sys.exit(main(sys.argv[1:]))",
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
        assert "Permission denied" in done.stderr and "hint: " in done.stderr and "Traceback" not in done.stderr
    finally:
        shutil.rmtree(shared)


def test_a_source_with_a_bug_is_named(tmp_path: Path, corpus: Corpus, monkeypatch: pytest.MonkeyPatch) -> None:
    """A user's own source that yields out of order is told so."""
    (tmp_path / "disorder.py").write_text(
        "from corpora.document import Document, Source, SourceOptions\nfrom corpora.files import find, group\n"
        "def source():\n    return Source(options=SourceOptions, slices=lambda o: group(find(o.input), o.slice_bytes), read=read)\n"
        "def read(options, piece):\n    for position in (1, 0):\n        yield Document(path=piece.parts[0].path, position=position, text='text')\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.txt").write_text("some text")
    recipe = write_recipe(tmp_path, GOOD.replace('"files"', '"disorder:source"'))
    code, _, err = corpus("build", recipe, "--home", tmp_path / "home", "--workers", 0)
    assert code == 1 and "record ('a.txt', 0) comes after ('a.txt', 1)" in err
