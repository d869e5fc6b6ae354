"""Whatever fails, nothing is lost, nothing half-written is seen, and the same command completes the
build."""

import functools
import hashlib
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from pipelines.cli import main
from pipelines.engines import transforms
from pipelines.home.summaries import Summary
from pipelines.stages.stage import Work, run_task

ROOT = Path(__file__).resolve().parents[2]
Corpus = Callable[..., tuple[int, str, str]]

RECIPE = """
[sources.mine]
kind = "{kind}"
input = "{folder}/in/*.txt"
slice_bytes = {slice_bytes}
[tokenizer]
vocab_size = 600
[shards]
shard_tokens = 30000
"""


def digest(home: Path) -> str:
    state = hashlib.blake2b()
    for path in sorted((home / "shards").iterdir()):
        state.update(path.name.encode() + path.read_bytes())
    return state.hexdigest()


def copy_texts(some_novels: Path, folder: Path) -> Path:
    """Fill in/ of a folder with 8 texts, one of them bad.txt; returns the folder."""
    (folder / "in").mkdir()
    for number, path in enumerate(sorted(some_novels.iterdir())[1:]):
        shutil.copy(path, folder / "in" / ("bad.txt" if number == 3 else path.name))
    return folder


@pytest.fixture
def texts(some_novels: Path, tmp_path: Path) -> Path:
    """A folder with in/: 8 texts, one of them bad.txt."""
    return copy_texts(some_novels, tmp_path)


@pytest.fixture(scope="module")
def good(some_novels: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str, int], str]:
    """The digest of an undisturbed build of such a folder, by kind of source and bytes per slice.

    Each is built once: where the texts lie changes no byte.
    """

    @functools.cache
    def built(kind: str, slice_bytes: int) -> str:
        folder = copy_texts(some_novels, tmp_path_factory.mktemp("good"))
        recipe = write_recipe(folder, kind, slice_bytes)
        command = ["build", str(recipe), "--home", str(folder / "home"), "--workers", "0"]
        assert main(command) == 0
        return digest(folder / "home")

    return built


def write_recipe(folder: Path, kind: str, slice_bytes: int = 1) -> Path:
    path = folder / "recipe.toml"
    path.write_text(RECIPE.format(kind=kind, folder=folder, slice_bytes=slice_bytes))
    return path


def test_a_first_build_that_loses_its_only_slice(texts: Path, corpus: Corpus) -> None:
    """The home stays, `status` tells why, and the same command tries again."""
    (only,) = [path for path in (texts / "in").iterdir() if path.name == "bad.txt"]
    for path in (texts / "in").iterdir():
        if path != only:
            path.unlink()
    recipe, home = write_recipe(texts, "faulty:source"), texts / "home"
    (texts / "FAULT").write_text("segfault")
    code, _, err = corpus("build", recipe, "--home", home, "--workers", 1)
    assert code == 1 and f"error: {home}: 1 slice set aside, first ingest mine/" in err
    (note,) = json.loads(corpus("status", home, "--json")[1])["set_aside"]
    assert note["why"] == "its process was killed by SIGSEGV"

    (texts / "FAULT").unlink()
    code, _, err = corpus("build", recipe, "--home", home, "--workers", 1)
    assert code == 0, err
    assert json.loads(corpus("stats", home, "--json")[1])["total"]["documents"] == 1


@pytest.mark.parametrize(
    ("fault", "why"),
    [
        ("segfault", "its process was killed by SIGSEGV"),
        ("memory", "MemoryError"),
        pytest.param("hang", "no progress for 20 s", marks=pytest.mark.long),
        ("raise", "ZeroDivisionError: a bug in the user's own source"),
    ],
)
def test_a_slice_that_always_fails_is_set_aside(
    fault: str,
    why: str,
    texts: Path,
    good: Callable[[str, int], str],
    corpus: Corpus,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    wanted = good("faulty:source", 1)
    monkeypatch.setenv("CORPUSMILL_WORKER_MEMORY_GB", "1.5")
    monkeypatch.setattr("pipelines.engines.children.STALL_S", 20.0 if fault == "hang" else 600.0)
    recipe, home = write_recipe(texts, "faulty:source"), texts / "home"
    (texts / "FAULT").write_text(fault)
    code, _, err = corpus("build", recipe, "--home", home, "--workers", 2)
    assert code == 1 and "set aside: ingest mine/" in err and why in err and "Traceback" not in err
    found = json.loads(corpus("status", home, "--json")[1])
    (note,) = found["set_aside"]
    assert why in note["why"] and not found["complete"]
    assert corpus("verify", home)[0] == 0  # shards of the seven others
    assert json.loads(corpus("stats", home, "--json")[1])["total"]["documents"] == 7
    (texts / "FAULT").unlink()
    assert corpus("build", recipe, "--home", home, "--workers", 2)[0] == 0
    assert json.loads(corpus("status", home, "--json")[1])["set_aside"] == []
    assert digest(home) == wanted
    assert corpus("clean", home, "--dry-run") == (0, "", "")


def test_the_record_reached_is_named(texts: Path, corpus: Corpus) -> None:
    """Several files in one slice: the last record before the death."""
    (texts / "FAULT").write_text("segfault")
    code, _, err = corpus(
        "build",
        write_recipe(texts, "faulty:source", 10**9),
        "--home",
        texts / "home",
        "--workers",
        1,
    )
    before = sorted(path.name for path in (texts / "in").iterdir())[:]
    reached = before[before.index("bad.txt") - 1] if before.index("bad.txt") else ""
    assert code != 0 and (f"in or after {reached} @ 0" in err if reached else "set aside" in err)


def test_two_builds_of_one_home(texts: Path, corpus: Corpus) -> None:
    from pipelines.home.layout import Home
    from pipelines.home.lock import locked

    recipe = write_recipe(texts, "files")
    script = (
        "import sys, time\nfrom pipelines.home.layout import Home\nfrom pipelines.home.lock "
        "import locked\nwith locked(Home(sys.argv[1])):\n    print('held', flush=True)\n    "
        "sys.stdin.read()\n"
    )
    holder = subprocess.Popen(
        [sys.executable, "-c", script, str(texts / "home")],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert holder.stdout and holder.stdout.readline() == "held\n"
    code, _, err = corpus("build", recipe, "--home", texts / "home", "--workers", 0)
    assert code == 3 and f"process {holder.pid} on " in err and "is at work in it" in err
    holder.kill()
    holder.wait()
    assert (texts / "home" / "lock").read_text()  # a stale lock stands in nobody's way
    assert corpus("build", recipe, "--home", texts / "home", "--workers", 0)[0] == 0
    with locked(Home(str(texts / "home"))):
        pass


@pytest.fixture(scope="module")
def with_a_copy(some_novels: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with texts, one of them twice but for its last words, and their home. Read only."""
    folder = copy_texts(some_novels, tmp_path_factory.mktemp("with_a_copy"))
    near_copy = sorted((folder / "in").iterdir())[0].read_text("utf-8") + " and a word more"
    (folder / "in" / "copy.txt").write_text(near_copy, "utf-8")
    recipe = write_recipe(folder, "files", 60_000)
    assert main(["build", str(recipe), "--home", str(folder / "home"), "--workers", "0"]) == 0
    return folder


@pytest.mark.parametrize("damage", ["cut", "delete", "change"])
@pytest.mark.parametrize(
    "where",
    [
        "documents/mine",
        "attributes/exact/mine",
        "attributes/near/mine",
        "work/tokenize/mine",
        "work/keys/mine",
        pytest.param("work/signatures/mine", marks=pytest.mark.long),
        pytest.param("work/pairs/all", marks=pytest.mark.long),
        pytest.param("work/candidates/mine", marks=pytest.mark.long),
        pytest.param("work/scores/mine", marks=pytest.mark.long),
        pytest.param("work/decision/mine", marks=pytest.mark.long),
        "shards",
        "tokenizer",
    ],
)
def test_a_file_damaged_by_hand_is_rebuilt_alone(
    where: str, damage: str, with_a_copy: Path, tmp_path: Path, corpus: Corpus
) -> None:
    recipe, home = with_a_copy / "recipe.toml", tmp_path / "home"
    shutil.copytree(with_a_copy / "home", home)
    wanted = digest(home)
    path = max((home / where).iterdir(), key=lambda path: path.stat().st_size)
    content = path.read_bytes()
    place = min(100, len(content) // 2)
    if damage == "delete":
        path.unlink()
    else:
        path.write_bytes(
            content[: len(content) // 2]
            if damage == "cut"
            else content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :]
        )
    others = {
        other: other.stat().st_mtime_ns
        for other in (home / "documents").rglob("*.parquet")
        if other != path
    }
    code, _, err = corpus("build", recipe, "--home", home, "--workers", 0)
    assert code == 0, err
    assert digest(home) == wanted and corpus("verify", home)[0] == 0
    assert path.read_bytes() == content
    assert all(other.stat().st_mtime_ns == then for other, then in others.items())


def test_rejects_that_were_deleted_are_made_again(tmp_path: Path, corpus: Corpus) -> None:
    (tmp_path / "in.jsonl").write_text('{"text": "The cat sat on the mat."}\n{"text": \n')
    (tmp_path / "recipe.toml").write_text(
        '[sources.a]\nkind = "files"\ninput = "in.jsonl"\n[tokenizer]\nvocab_size = 261\n'
    )
    assert (
        corpus("build", tmp_path / "recipe.toml", "--home", tmp_path / "home", "--workers", 0)[0]
        == 0
    )
    (path,) = (tmp_path / "home" / "rejects" / "a").iterdir()
    content = path.read_bytes()
    path.unlink()
    assert (
        corpus("build", tmp_path / "recipe.toml", "--home", tmp_path / "home", "--workers", 0)[0]
        == 0
    )
    assert path.read_bytes() == content


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can mount")
def test_the_disk_fills_up_and_is_freed(
    texts: Path, good: Callable[[str, int], str], corpus: Corpus
) -> None:
    wanted = good("files", 60_000)
    small = texts / "small"
    small.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=900k", "tmpfs", str(small)], check=True)
    try:
        recipe = write_recipe(texts, "files", 60_000)
        (small / "ballast").write_bytes(bytes(300_000))
        code, _, err = corpus("build", recipe, "--home", small / "home", "--workers", 1)
        assert (
            code == 3
            and ("No space left" in err or "bytes free" in err)
            and "hint: " in err
            and "Traceback" not in err
        )
        (small / "ballast").unlink()
        subprocess.run(["mount", "-o", "remount,size=20m", str(small)], check=True)
        assert corpus("build", recipe, "--home", small / "home", "--workers", 1)[0] == 0
        assert digest(small / "home") == wanted
        assert corpus("clean", small / "home", "--dry-run") == (0, "", "")
    finally:
        from pipelines.engines import children as engines_children

        engines_children.stop()
        subprocess.run(["umount", str(small)], check=True)


def start_build(recipe: Path, home: Path, mark: str) -> "subprocess.Popen[str]":
    environment = {
        **os.environ,
        "PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'tests' / 'helpers'}",
        "CORPUSMILL_MARK": mark,
    }
    command = [
        sys.executable,
        "-m",
        "pipelines.cli",
        "build",
        str(recipe),
        "--home",
        str(home),
        "--workers",
        "2",
    ]
    return subprocess.Popen(
        command,
        env=environment,
        cwd=home.parent,
        start_new_session=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def marked(mark: str) -> list[int]:
    """Living processes that a build with this mark started."""
    found = []
    for path in Path("/proc").glob("[0-9]*"):
        try:
            if (
                f"CORPUSMILL_MARK={mark}".encode() in (path / "environ").read_bytes()
                and "Z" not in (path / "stat").read_text().rsplit(")", 1)[1][:3]
            ):
                found.append(int(path.name))
        except OSError:
            continue
    return found


def wait_until(condition: Callable[[], Any], seconds: float) -> Any:
    end = time.monotonic() + seconds
    while not (found := condition()) and time.monotonic() < end:
        time.sleep(0.02)
    return found


def children(build: "subprocess.Popen[str]") -> list[int]:
    try:
        return [
            int(pid)
            for task in Path(f"/proc/{build.pid}/task").iterdir()
            for pid in (task / "children").read_text().split()
        ]
    except OSError:
        return []


KILLS: list[Any] = [
    pytest.param(number, marks=[] if number < 3 else [pytest.mark.long]) for number in range(30)
]


@pytest.fixture(scope="module")
def undisturbed(
    some_novels: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[str, Any]]:
    from looked import stats

    folder = tmp_path_factory.mktemp("chaos")
    (folder / "in").mkdir()
    for path in some_novels.iterdir():
        shutil.copy(path, folder / "in" / path.name)
    recipe = write_recipe(folder, "files", 60_000)
    begin = time.monotonic()
    build = start_build(recipe, folder / "home", "undisturbed")
    _, err = build.communicate(timeout=120)
    assert build.returncode == 0, err
    yield {
        "recipe": recipe,
        "digest": digest(folder / "home"),
        "stats": stats(str(folder / "home")),
        "seconds": time.monotonic() - begin,
        "folder": folder,
    }


@pytest.mark.parametrize("number", KILLS)
def test_killed_at_a_random_moment_and_resumed(
    number: int, undisturbed: dict[str, Any], tmp_path: Path, corpus: Corpus
) -> None:
    """SIGKILL of a child, of the driver, of the whole group: the same command again gives the
    undisturbed build."""
    from looked import stats

    draw = random.Random(number)
    victim, moment = (
        ("child", "driver", "group")[number % 3],
        draw.uniform(0.15, 0.95) * undisturbed["seconds"],
    )
    home, mark = tmp_path / "home", uuid.uuid4().hex
    build = start_build(undisturbed["recipe"], home, mark)
    wait_until(lambda: build.poll() is not None, moment)
    if victim == "child":
        found = wait_until(lambda: children(build), 10) or []
        for pid in found[:1]:
            os.kill(pid, signal.SIGKILL)
    elif build.poll() is None:
        (os.kill if victim == "driver" else os.killpg)(build.pid, signal.SIGKILL)
    _, err = build.communicate(timeout=180)
    if victim == "child":
        assert build.returncode == 0, err
    assert wait_until(lambda: not marked(mark), 10), f"left over: {marked(mark)}"
    again = start_build(undisturbed["recipe"], home, mark)
    _, err = again.communicate(timeout=180)
    assert again.returncode == 0, err
    assert digest(home) == undisturbed["digest"]
    assert stats(str(home)) == undisturbed["stats"]
    assert corpus("verify", home)[0] == 0
    assert corpus("clean", home, "--dry-run") == (0, "", "")
    assert not marked(mark)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["Ctrl-C", "SIGTERM"])
def test_an_interrupt_ends_cleanly_within_seconds(
    number: int, undisturbed: dict[str, Any], tmp_path: Path
) -> None:
    mark = uuid.uuid4().hex
    build = start_build(undisturbed["recipe"], tmp_path / "home", mark)
    wait_until(lambda: (tmp_path / "home" / "work").exists(), 30)
    build.send_signal(number)
    begin = time.monotonic()
    _, err = build.communicate(timeout=30)
    assert time.monotonic() - begin < 10
    assert build.returncode == 130, err
    assert "interrupted" in err and "Traceback" not in err
    assert wait_until(lambda: not marked(mark), 5)


BROKEN: dict[str, str] = {}
"""Name of a pass -> the name of the task that fails, "" until the first one comes."""


def failing_task(step: Work[Any], task: Any) -> Summary:
    """In place of `run_task`. Beam pickles it by its name, so that `BROKEN` is there for it."""
    if step.name in BROKEN:
        BROKEN[step.name] = BROKEN[step.name] or task.name
        if task.name == BROKEN[step.name]:
            raise ZeroDivisionError("a bug")
    return run_task(step, task)


@pytest.mark.parametrize("name", ["keys", "signatures", "scores", "sample", "tokenize", "shards"])
def test_a_slice_set_aside_after_ingest_ends_the_build(
    name: str,
    texts: Path,
    good: Callable[[str, int], str],
    corpus: Corpus,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Nothing is made of the rest: no vocabulary of a part of the sample, no shards of a part of
    the documents."""
    recipe, home = write_recipe(texts, "files", 60_000), texts / "home"
    with monkeypatch.context() as patch:
        patch.setitem(BROKEN, name, "")
        patch.setattr(transforms, "run_task", failing_task)
        code, _, err = corpus("build", recipe, "--home", home, "--workers", 0)
    assert (
        code == 1
        and "1 slice set aside" in err
        and f"set aside: {name} " in err
        and "ZeroDivisionError: a bug" in err
        and "Traceback" not in err
    )
    assert not (home / "shards" / "manifest.json").exists()
    if name == "sample":
        assert not (home / "tokenizer" / "tokenizer.json").exists()

    assert corpus("build", recipe, "--home", home, "--workers", 0)[0] == 0
    assert digest(home) == good("files", 60_000)


def test_a_pool_whose_tracker_is_killed_at_its_start_is_begun_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from pipelines.engines import children
    from pipelines.engines import children as engines_children

    real, failures = (
        engines_children._new_pool,
        [BrokenPipeError(32, "Broken pipe"), BrokenPipeError(32, "Broken pipe")],
    )

    def failing(count: int) -> Any:
        if failures:
            raise failures.pop()
        return real(count)

    engines_children.stop()
    monkeypatch.setattr(children, "_new_pool", failing)
    assert engines_children._get_pool(1).active and not failures
    engines_children.stop()
