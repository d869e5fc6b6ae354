"""What the commands say when something is not as it should be: the right place, the right remedy,
and nothing left behind."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from plain_build import plain_build

ROOT = Path(__file__).resolve().parents[2]
Corpus = Callable[..., tuple[int, str, str]]
TEXT = (
    '[sources.my-texts]\nkind = "files"\ninput = "{folder}/in/*.txt"\n{more}[tokenizer]\n'
    "vocab_size = {size}\n"
)


def write(folder: Path, texts: int = 6, more: str = "", size: int = 300) -> Path:
    (folder / "in").mkdir(parents=True, exist_ok=True)
    for number in range(texts):
        (folder / "in" / f"{number}.txt").write_text(f"text number {number % 4}")
    path = folder / "recipe.toml"
    path.write_text(TEXT.format(folder=folder, more=more, size=size))
    return path


def build(folder: Path, recipe: Path, corpus: Corpus, *flags: object) -> tuple[int, str, str]:
    return corpus("build", recipe, "--home", folder / "home", "--workers", 0, *flags)


def test_verify_names_the_manifest_of_a_home_without_shards(tmp_path: Path, corpus: Corpus) -> None:
    home = plain_build(write(tmp_path), tmp_path / "home", "dedup")
    code, _, err = corpus("verify", home)
    assert code == 2 and f"{home}/shards/manifest.json: no manifest" in err


@pytest.mark.parametrize(
    ("content", "what"),
    [
        ("", "it is empty"),
        ("{}", "it has no format"),
        ("[1]", "it has no format"),
        ("{cut", "not a manifest"),
    ],
)
def test_a_manifest_that_is_none(content: str, what: str, tmp_path: Path, corpus: Corpus) -> None:
    home = plain_build(write(tmp_path), tmp_path / "home")
    Path(home, "shards", "manifest.json").write_text(content)
    code, _, err = corpus("verify", home)
    assert code == 2 and what in err and "rebuild: corpus build" in err and "upgrade" not in err


def test_one_fault_and_two(tmp_path: Path, corpus: Corpus) -> None:
    home = plain_build(write(tmp_path), tmp_path / "home")
    shards = sorted(Path(home, "shards").glob("*.arrow"))
    for count, word in ((1, "1 fault\n"), (2, "2 faults\n")):
        shards[count - 1].write_bytes(b"cut")
        code, _, err = corpus("verify", home)
        assert code == 1 and f": {word}" in err


def test_export_to_a_file(tmp_path: Path, corpus: Corpus) -> None:
    home = plain_build(write(tmp_path), tmp_path / "home")
    (tmp_path / "file").write_text("mine")
    code, _, err = corpus("export", home, tmp_path / "file")
    assert code == 2 and f"{tmp_path}/file: a file" in err and "None" not in err


@pytest.mark.parametrize(
    "content",
    [
        "[sources",
        "[sources.a]\nkind = 3\n",
        "seeed = 1\n[sources.a]\nkind = 'files'\ninput = 'x'\n",
        b"\xff\xfe",
    ],
)
def test_a_broken_recipe_of_a_home_is_written_again(
    content: str | bytes, tmp_path: Path, corpus: Corpus
) -> None:
    from pipelines.home.layout import RECIPE_MARK

    recipe = write(tmp_path)
    home = Path(plain_build(recipe, tmp_path / "home"))
    raw = content if isinstance(content, bytes) else content.encode()
    (home / "recipe.toml").write_bytes(RECIPE_MARK.encode() + raw)
    for command in (["stats"], ["show"], ["report"]):
        code, _, err = corpus(*command, home)
        assert (
            code == 2
            and f"corpus build RECIPE --home {home}" in err
            and len(err.strip().splitlines()) == 2
        )
    code, _, err = build(tmp_path, recipe, corpus)
    assert code == 0 and "the recipe is replaced" in err
    assert corpus("stats", home)[0] == 0


@pytest.mark.parametrize("more", ["", "[dedup]\nmax_removed = 0.1\n"])
def test_status_after_a_guard_stopped_a_rebuild(more: str, tmp_path: Path, corpus: Corpus) -> None:
    """2 of 6 go: within the first recipe's bound, beyond the second's; with it the vocabulary is to
    be another, or not."""
    assert build(tmp_path, write(tmp_path), corpus)[0] == 0
    assert json.loads(corpus("status", tmp_path / "home", "--json")[1])["complete"]
    code, _, err = build(
        tmp_path,
        write(tmp_path, more="[dedup]\nmax_removed = 0.1\n", size=290 if more else 300),
        corpus,
    )
    assert code == 1 and "max_removed" in err
    found = json.loads(corpus("status", tmp_path / "home", "--json")[1])
    assert not found["complete"] and "max_removed" in found["stopped"]
    assert "not complete" in corpus("status", tmp_path / "home")[1]


def test_status_of_shards_of_other_settings(tmp_path: Path, corpus: Corpus) -> None:
    from pipelines.home.layout import Home, write_recipe
    from pipelines.recipe import load_recipe

    assert build(tmp_path, write(tmp_path), corpus)[0] == 0
    write_recipe(
        Home(str(tmp_path / "home")), load_recipe(str(write(tmp_path, size=290)))
    )  # as a build that was ended early leaves it
    found = json.loads(corpus("status", tmp_path / "home", "--json")[1])
    assert not found["complete"] and found["stopped"] == "the shards were built with other settings"


@pytest.mark.parametrize("name", ["my-texts", "2016", "class", "2016-a"])
def test_a_wrong_value_names_the_source(name: str, tmp_path: Path, corpus: Corpus) -> None:
    """Also one whose name Python would not take."""
    recipe = write(tmp_path)
    recipe.write_text(recipe.read_text().replace("my-texts", name))
    code, _, err = build(tmp_path, recipe, corpus, f"--sources.{name}.slice-bytes", 0)
    assert code == 2 and f"sources.{name}: slice_bytes: 0 is less than 1" in err
    code, _, err = build(tmp_path, recipe, corpus, f"--sources.{name}.dedup.threshold", 7)
    assert code == 2 and f"sources.{name}.dedup: threshold: 7.0 is not in [0.1, 1]" in err
    code, _, err = build(tmp_path, recipe, corpus, f"--sources.{name}.slice-byte", 7)
    assert code == 2 and f"did you mean --sources.{name}.slice-bytes?" in err


def test_a_source_that_is_gone_leaves_nothing(tmp_path: Path, corpus: Corpus) -> None:
    more = (
        f'[sources.old]\nkind = "files"\ninput = "{tmp_path}/in/0.txt"\n[dedup]\nmax_removed = '
        "1.0\n"
    )
    home = tmp_path / "home"
    assert build(tmp_path, write(tmp_path, more=more), corpus)[0] == 0
    assert len([path for path in home.rglob("old") if path.is_dir()]) > 3
    without = write(tmp_path, more="[dedup]\nmax_removed = 1.0\n")
    code, _, err = build(tmp_path, without, corpus)
    assert code == 2 and "removed: 1 document of source old\n" in err  # it asks
    assert build(tmp_path, without, corpus, "--yes")[0] == 0
    assert list(home.rglob("old")) == [] and not list(home.glob("shards/*-old-*"))


def test_a_refused_home_is_left_as_it_was(tmp_path: Path, corpus: Corpus) -> None:
    recipe = write(tmp_path)
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "mine.txt").write_text("mine")
    assert build(tmp_path, recipe, corpus)[0] == 2
    assert [path.name for path in (tmp_path / "home").iterdir()] == ["mine.txt"]
    assert (
        corpus(
            "build",
            recipe,
            "--home",
            tmp_path / "new",
            "--workers",
            0,
            "--tokenizer.path",
            tmp_path / "none.json",
        )[0]
        == 2
    )
    assert not (tmp_path / "new").exists()


def test_a_missing_month_is_said_once(
    tmp_path: Path, corpus: Corpus, caplog: pytest.LogCaptureFixture
) -> None:
    for month in ("2017/11", "2018/01"):
        folder = tmp_path / "in" / "crawl-data" / "CC-NEWS" / month
        folder.mkdir(parents=True)
        (folder / f"CC-NEWS-{month.replace('/', '')}01000000-00000.warc.gz").write_bytes(b"")
    recipe = tmp_path / "recipe.toml"
    recipe.write_text(f'[sources.news]\nkind = "cc_news"\ninput = "{tmp_path}/in/**/*.warc.gz"\n')
    corpus("build", recipe, "--home", tmp_path / "home", "--workers", 0)
    assert sum("2017/12" in record.getMessage() for record in caplog.records) == 1


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
def test_no_right_to_read(tmp_path: Path) -> None:
    home = plain_build(write(tmp_path), tmp_path / "home")
    for at in [*tmp_path.rglob("*"), tmp_path, *tmp_path.parents[:-2]]:
        at.chmod(at.stat().st_mode | (0o055 if at.is_dir() else 0o044))
    (path,) = Path(home, "documents", "my-texts").iterdir()
    path.chmod(0)
    script = (
        "import os, sys, typeguard, tyro, corpora.files.source, pipelines.look.show, "
        "pipelines.look.stats; os.setgid(65534); os.setuid(65534); from pipelines.cli import "
        "main; sys.exit(main(sys.argv[1:]))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, "show", home],
        cwd=ROOT,
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    assert (
        done.returncode == 3
        and f"{path}: Permission denied" in done.stderr
        and "right to read" in done.stderr
    ), done.stderr


def test_pipes_and_devices_among_inputs_are_named(tmp_path: Path, corpus: Corpus) -> None:
    """To open a pipe would wait for ever, and a device may never end: each is a reject; one that is
    all the input is refused."""
    recipe = write(tmp_path)
    os.mkfifo(tmp_path / "in" / "pipe.txt")
    (tmp_path / "in" / "device.txt").symlink_to("/dev/zero")
    assert build(tmp_path, recipe, corpus)[0] == 0
    figures = json.loads(corpus("stats", tmp_path / "home", "--json")[1])["total"]
    assert (figures["records"], figures["documents"], figures["rejects"]) == (
        8,
        6,
        {"unreadable": 2},
    )
    rejects = json.loads(corpus("show", tmp_path / "home", "--rejects", "--json")[1])["records"]
    assert [(record["path"], record["detail"]) for record in rejects] == [
        ("device.txt", "a pipe, a socket or a device, not a file"),
        ("pipe.txt", "a pipe, a socket or a device, not a file"),
    ]
    for kind in ("files", "books", "wikipedia", "cc_news"):
        recipe.write_text(f'[sources.a]\nkind = "{kind}"\ninput = "{tmp_path}/in/pipe.txt"\n')
        code, _, err = corpus("build", recipe, "--home", tmp_path / kind, "--workers", 0)
        assert (
            code == 2 and f"{tmp_path}/in/pipe.txt: a pipe, a socket or a device, not a file" in err
        )


@pytest.mark.parametrize("kind", ["books", "wikipedia", "cc_news"])
def test_a_pipe_is_a_reject_of_every_source(kind: str, tmp_path: Path, corpus: Corpus) -> None:
    ending = {"books": "txt", "wikipedia": "xml", "cc_news": "warc"}[kind]
    (tmp_path / "in").mkdir()
    os.mkfifo(tmp_path / "in" / f"pipe.{ending}")
    (tmp_path / "recipe.toml").write_text(
        f'[sources.a]\nkind = "{kind}"\ninput = "{tmp_path}/in/*"\n'
    )
    code, _, err = corpus(
        "build", tmp_path / "recipe.toml", "--home", tmp_path / "home", "--workers", 0
    )
    assert (
        code == 2 and "no input could be read: not one document" in err and "Traceback" not in err
    )
    assert json.loads(corpus("stats", tmp_path / "home", "--json")[1])["total"]["rejects"] == {
        "unreadable": 1
    }


def test_a_report_to_a_place_where_none_can_be(tmp_path: Path, corpus: Corpus) -> None:
    home = plain_build(write(tmp_path), tmp_path / "home")
    (tmp_path / "file").write_text("mine")
    for out, what in (
        (
            tmp_path / "file" / "report.html",
            f"cannot write the report: {tmp_path}/file is not a folder",
        ),
        (
            tmp_path / "file" / "deep" / "report.html",
            f"cannot write the report: {tmp_path}/file is not a folder",
        ),
        ("/proc/none/report.html", "/proc/none/report.html: cannot write the report: "),
        (tmp_path, "a folder"),
        ("", "--out: no file named"),
        (tmp_path / ("x" * 300), "cannot write the report: File name too long"),
    ):
        code, _, err = corpus("report", home, "--out", out)
        assert (
            code in (2, 3)
            and what in err
            and "hint: name" in err
            and len(err.strip().splitlines()) == 2
        ), err
    assert corpus("report", home, "--out", tmp_path / "new" / "deep" / "report.html")[0] == 0
    assert (tmp_path / "new" / "deep" / "report.html").exists()


def test_one_and_several(tmp_path: Path, corpus: Corpus) -> None:
    code, _, err = build(tmp_path, write(tmp_path, texts=1), corpus)
    assert code == 0
    assert (
        "ingest my-texts: 1 record, 1 document\n" in err
        and "1 document kept, " in err
        and " in 1 shard\n" in err
    )
    code, _, err = build(tmp_path, tmp_path / "recipe.toml", corpus, "--dry-run")
    assert code == 0 and "my-texts: 1 file, 13 bytes, in 1 slice\n" in err
    assert corpus("verify", tmp_path / "home")[1].startswith("whole: 1 shard, 1 document, ")


def test_changes_are_said_as_the_recipe_would(tmp_path: Path, corpus: Corpus) -> None:
    recipe = write(tmp_path)
    home = tmp_path / "home"
    plain_build(recipe, home, "ingest")
    flags = [
        "--dedup.no-near",
        "--limit",
        3,
        "--sources.my-texts.text-field",
        "bo\ndy",
        "--sources.my-texts.rules.off",
        "min_words",
        "max_words",
        "--shards.valid-fraction",
        0.25,
    ]
    code, _, err = corpus("build", recipe, "--home", home, "--dry-run", *flags)
    assert code == 0, err
    said = dict(re.findall(r"changed: ([\w.-]+) from (.*); redone", err))
    assert said == {
        "dedup.near": "true to false",
        "limit": "none to 3",
        "sources.my-texts.text_field": '"text" to "bo\\ndy"',
        "sources.my-texts.rules.off": '[] to ["min_words", "max_words"]',
        "shards.valid_fraction": "0.005 to 0.25",
    }
    other = tmp_path / "other"
    plain_build(recipe, other, "ingest")
    text = Path(other, "recipe.toml").read_text()
    Path(other, "recipe.toml").write_text(text.replace("near = true", "near = false"))
    assert "setting dedup.near: true | false\n" in corpus("diff", home, other)[1]


def test_an_option_like_no_other_gets_a_short_hint(corpus: Corpus, tmp_path: Path) -> None:
    """Beam has hundreds of options; naming all of them helps nobody."""
    code, _, err = corpus("dedup", tmp_path, "--foo")
    assert code == 2
    assert err.splitlines()[-1] == "hint: corpus dedup --help lists the options"
