"""The pool: a worker is one core's."""

import errno
import os
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from multiprocessing.popen_spawn_posix import Popen
from multiprocessing.process import BaseProcess
from pathlib import Path
from types import SimpleNamespace

import pytest
from sentence_twin import as_sentences
from tokenizers import Tokenizer, decoders, models, pre_tokenizers

from pipelines.engines import children
from pipelines.stages.encoder import fastest_encoder
from shards.errors import UserError

Corpus = Callable[..., tuple[int, str, str]]


@dataclass(frozen=True)
class EncodeTask:
    """Something to encode, for a child."""

    home: str
    tokenizer: str
    source: str = "a"
    name: str = "b"
    size: int = 0


def threads_that_encoded(task: EncodeTask) -> list[str]:
    """Encode enough for every thread that there is; the names of the threads that have used time
    since."""
    fastest_encoder(task.tokenizer)(
        as_sentences(
            [["The trophy does not fit in the brown suitcase because it is too big. " * 20] * 5000]
        )
    )
    folder = Path("/proc/self/task")
    stats = [(folder / thread / "stat").read_text() for thread in os.listdir(folder)]
    used = {
        line[line.index("(") + 1 : line.rindex(")")]: int(line[line.rindex(")") :].split()[12])
        for line in stats
    }
    return sorted(name for name, ticks in used.items() if ticks)


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_a_worker_encodes_with_one_thread(tmp_path: Path) -> None:
    tokenizer = Tokenizer(
        models.BPE(
            vocab={
                token: number
                for number, token in enumerate(sorted(pre_tokenizers.ByteLevel.alphabet()))
            },
            merges=[],
        )
    )
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.save(str(tmp_path / "tokenizer.json"))
    job = children.submit(
        1, threads_that_encoded, EncodeTask(str(tmp_path), str(tmp_path / "tokenizer.json"))
    )
    try:
        names = job.future.result(timeout=120)
        job.end()
    finally:
        children.stop()
    assert not [name for name in names if name.startswith(("fastokens", "tokio", "rayon"))]


# --- children that cannot be started


def recipe_of(folder: Path) -> Path:
    (folder / "a.txt").write_text("A text of a few words.")
    path = folder / "recipe.toml"
    path.write_text(
        f'[sources.mine]\nkind = "files"\ninput = "{folder}/*.txt"\n[tokenizer]\nvocab_size = 300\n'
    )
    return path


@pytest.fixture
def no_pool() -> Iterator[None]:
    """Without the children of an earlier test, and none left afterwards."""
    children.stop()
    yield
    children.stop()


def test_children_that_die_as_they_start_end_the_build(
    tmp_path: Path, corpus: Corpus, monkeypatch: pytest.MonkeyPatch, no_pool: None
) -> None:
    """The pool would replace them for ever. Then the same command does it all."""
    monkeypatch.setattr("multiprocessing.spawn._python_exe", b"/bin/false")
    build = ("build", recipe_of(tmp_path), "--home", tmp_path / "home", "--workers", 2)
    code, _, err = corpus(*build)
    assert code == 3
    what, hint = err.splitlines()[-2:]
    assert what == (
        "error: no worker process can be started: each of them ended before it took up a slice"
    )
    assert hint.startswith("hint: look at what they print") and "--workers 0" in hint
    assert "set aside" not in err

    monkeypatch.undo()
    assert corpus(*build[:-1], 0)[0] == 0


def test_no_room_for_another_process_ends_the_build(
    tmp_path: Path, corpus: Corpus, monkeypatch: pytest.MonkeyPatch, no_pool: None
) -> None:
    """The first child starts and the second does not: the first must not wait for ever."""
    launch = Popen._launch
    started: list[int] = []

    def fail_at_the_second(self: Popen, process: BaseProcess) -> None:
        if len(started) % 2:
            started.append(0)
            raise OSError(errno.EAGAIN, os.strerror(errno.EAGAIN))
        launch(self, process)
        started.append(self.pid)

    monkeypatch.setattr(Popen, "_launch", fail_at_the_second)
    code, _, err = corpus("build", recipe_of(tmp_path), "--home", tmp_path / "home", "--workers", 2)
    assert code == 3
    assert f"no worker process can be started: {os.strerror(errno.EAGAIN)}\n" in err
    assert len(started) == 2 * children.MAX_STARTS
    for pid in filter(None, started):
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)


def test_tasks_that_nobody_takes_up_have_a_deadline(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 100.0
    alive: list[SimpleNamespace] = []
    monkeypatch.setattr("pipelines.engines.children.time.monotonic", lambda: now)
    monkeypatch.setattr("multiprocessing.active_children", lambda: alive)
    starts = children.Starts()

    # two children that live and start slowly
    alive += [SimpleNamespace(pid=1), SimpleNamespace(pid=2)]
    now += children.START_S
    starts.look(False)
    # one of them works, for hours: the tasks that wait have time
    now += 10_000
    starts.look(True)
    now += children.START_S
    starts.look(False)
    now += 1
    with pytest.raises(UserError, match="none has taken up a slice within 180 s") as found:
        starts.look(False)
    assert found.value.exit_code == 3

    # children that are replaced again and again
    starts = children.Starts()
    for pid in range(3, 3 + children.MAX_DEATHS + 1):
        alive[:] = [SimpleNamespace(pid=pid)]
        starts.look(False)
    alive[:] = [SimpleNamespace(pid=1000)]
    with pytest.raises(UserError, match="each of them ended before it took up a slice"):
        starts.look(False)
