"""Signals, the time limit and ranks that hang: a batch that is not done is dropped, the run is
saved, and no rank waits for ever without a word."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import trainer_runs as runs
from trainer_runs import Child

from trainer import checkpoint, stop
from trainer.cli import main
from trainer.objectives import losses
from trainer.objectives.cross_entropy import cross_entropy_sum

STEPS = 6

# Micro-batches in a batch of one rank: 128 samples, 4 at once.
MICRO = 32


def command(shards: Path, run: Path, *more: str) -> list[str]:
    paths = ["pretrain", "--shards", str(shards), "--run", str(run)]
    sizes = ["--batch", "128", "--micro-batch", "4", "--evaluation.every", "3"]
    return [*paths, *runs.MINI, *sizes, "--steps", str(STEPS), "--log-every", "1", *more]


@pytest.fixture(scope="module")
def whole(small: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that nothing disturbed."""
    run = tmp_path_factory.mktemp("whole") / "run"
    runs.train(command(small, run))
    return run


def assert_same_bytes(run: Path, other: Path, step: int = STEPS) -> None:
    """The last checkpoints of two runs have the same files, byte for byte."""
    name = checkpoint.folder_name(step)
    for file in (*checkpoint.FILES, checkpoint.DIGESTS):
        ours = (run / "checkpoints" / name / file).read_bytes()
        assert ours == (other / "checkpoints" / name / file).read_bytes(), file


def at_micro_batch(
    monkeypatch: pytest.MonkeyPatch, number: int, act: Callable[[], None]
) -> list[int]:
    """Call `act` in the forward pass of this micro-batch of the run, counted from 0; returns a list
    that will hold one number for each micro-batch computed."""
    computed: list[int] = []

    def loss(*tensors: Any) -> Any:
        if len(computed) == number:
            act()
        computed.append(len(computed))
        return cross_entropy_sum(*tensors)

    monkeypatch.setattr(losses, "cross_entropy_sum", loss)
    return computed


@pytest.mark.parametrize("number", [2 * MICRO, 2 * MICRO + 11, 3 * MICRO - 2])
def test_a_signal_in_a_batch_drops_the_batch(
    small: Path, whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    run = tmp_path / "run"
    with monkeypatch.context() as patch:
        computed = at_micro_batch(patch, number, lambda: os.kill(os.getpid(), signal.SIGTERM))
        assert main(command(small, run)) == 1
        assert len(computed) == number + 1

    assert [path.name for path in checkpoint.list_checkpoints(run)] == ["step-00000002"]
    assert runs.log(run)[-1] == {"kind": "stop", "step": 2, "reason": "SIGTERM"}
    assert main(command(small, run, "--resume")) == 0
    assert_same_bytes(run, whole)
    assert runs.losses(run) == runs.losses(whole)


def test_a_signal_in_the_last_micro_batch_keeps_the_batch(
    small: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = tmp_path / "run"
    at_micro_batch(monkeypatch, 2 * MICRO - 1, lambda: os.kill(os.getpid(), signal.SIGINT))
    assert main(command(small, run)) == 130
    assert checkpoint.list_checkpoints(run)[0].name == "step-00000002"


def test_the_time_limit_is_seen_in_a_batch(
    small: Path, whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = tmp_path / "run"
    late = 0.0

    def pass_hours() -> None:
        nonlocal late
        late = 7200.0

    with monkeypatch.context() as patch:
        patch.setattr(stop.time, "monotonic", lambda: time.perf_counter() + late)
        computed = at_micro_batch(patch, MICRO + 5, pass_hours)
        assert main(command(small, run, "--max-hours", "1")) == 1
        assert len(computed) == MICRO + 6

    assert checkpoint.list_checkpoints(run)[0].name == "step-00000001"
    assert main(command(small, run, "--resume")) == 0
    assert_same_bytes(run, whole)


def test_a_signal_in_the_first_batch_saves_step_0(
    small: Path, whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = tmp_path / "run"
    with monkeypatch.context() as patch:
        at_micro_batch(patch, 3, lambda: os.kill(os.getpid(), signal.SIGTERM))
        assert main(command(small, run)) == 1
    assert checkpoint.list_checkpoints(run)[0].name == "step-00000000"
    assert main(command(small, run, "--resume")) == 0
    assert_same_bytes(run, whole)


# --- several ranks


def wait_for(condition: Callable[[], bool], children: list[Child], seconds: float = 120) -> None:
    """Wait until something is so; fail when a rank ends before."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not happen in time"
        assert all(child.code is None for child in children), "a rank ended before"
        time.sleep(0.01)


def end_of(children: list[Child], seconds: float = 60) -> tuple[list[int | None], list[str]]:
    """The exit codes and what each rank said, once all have ended."""
    for child in children:
        child.process.join(seconds)
    codes = [child.code for child in children]
    said = [child.output.read_text() for child in children]
    runs.finish(children, timeout=1)
    return codes, said


def assert_one_error(text: str, rank: int) -> None:
    """One error in one line, with its rank, and at most a hint."""
    prefix = f"rank {rank}: " if rank else ""
    lines = [line for line in text.splitlines() if "error" in line or "hint" in line]
    assert lines[0].startswith(f"{prefix}error: "), text
    assert len(lines) <= 2 and "Traceback" not in text, text


LONG = ["--batch", "512", "--steps", "5", "--optim.warmup-steps", "1"]


@pytest.fixture(scope="module")
def whole_of_two(small: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of two ranks that nothing disturbed."""
    run = tmp_path_factory.mktemp("whole_of_two") / "run"
    runs.train([*command(small, run), *LONG], 2)
    return run


@pytest.mark.builds
@pytest.mark.parametrize("told", [[1], [0, 1]])
def test_ranks_agree_to_drop_a_batch(
    small: Path, whole_of_two: Path, tmp_path: Path, told: list[int]
) -> None:
    """One rank alone is signalled, or all of them are; the run goes on as if nothing had been."""
    run = tmp_path / "run"
    children = runs.begin([*command(small, run), *LONG], 2)
    wait_for(lambda: runs.logged(run) >= 1, children)
    for rank in told:
        children[rank].process.terminate()
    codes, said = end_of(children)
    assert codes == [1, 1], said
    stopped = runs.log(run)[-1]["step"]
    assert 1 <= stopped < 5
    assert checkpoint.list_checkpoints(run)[0].name == checkpoint.folder_name(stopped)

    runs.train([*command(small, run), *LONG, "--resume"], 2)
    assert_same_bytes(run, whole_of_two, 5)


@pytest.fixture
def stuck(small: Path, tmp_path: Path) -> Any:
    """Two ranks, of which the second was stopped after the first step."""
    children = runs.begin([*command(small, tmp_path / "run", "--steps", "5000")], 2)
    wait_for(lambda: runs.logged(tmp_path / "run") >= 1, children)
    os.kill(children[1].process.pid or 0, signal.SIGSTOP)
    yield children
    for child in children:
        if child.process.is_alive():
            child.process.kill()


@pytest.mark.builds
@pytest.mark.parametrize("sent, code", [(signal.SIGTERM, 1), (signal.SIGINT, 130)])
def test_a_second_signal_ends_a_rank_that_waits(stuck: list[Child], sent: int, code: int) -> None:
    pid = stuck[0].process.pid or 0
    os.kill(pid, sent)
    os.kill(pid, sent)  # as timeout(1) does: the same signal
    stuck[0].process.join(1.5)
    assert stuck[0].code is None

    os.kill(pid, sent)
    stuck[0].process.join(15)
    text = stuck[0].output.read_text()
    assert stuck[0].code == code, text
    assert_one_error(text, 0)
    assert "error: ended by a signal, without saving: waited " in text
    assert " for the other ranks to " in text and "hint: look at the other ranks" in text

    os.kill(stuck[1].process.pid or 0, signal.SIGCONT)
    codes, said = end_of(stuck)
    assert codes[1] == 1, said
    assert_one_error(said[1], 1)
    assert "rank 1: error: the connection to the other ranks was lost" in said[1]


@pytest.mark.builds
def test_a_rank_does_not_wait_for_ever(small: Path, tmp_path: Path) -> None:
    more = ["--steps", "5000", "--ranks-timeout", "0.05"]
    run = tmp_path / "run"
    children = runs.begin([*command(small, run, *more)], 2)
    wait_for(lambda: runs.logged(run) >= 1, children)
    os.kill(children[1].process.pid or 0, signal.SIGSTOP)
    children[0].process.join(30)
    os.kill(children[1].process.pid or 0, signal.SIGCONT)
    codes, said = end_of(children)
    assert codes == [1, 1], said
    for rank, text in enumerate(said):
        assert_one_error(text, rank)
    assert "error: gave up: waited 4 s for the other ranks to " in said[0]


@pytest.mark.builds
def test_a_rank_that_never_comes(small: Path, tmp_path: Path) -> None:
    found = runs.begin_each([command(small, tmp_path / "run", "--ranks-timeout", "0.05")] * 2)
    found[1].process.kill()
    codes, said = end_of(found)
    assert codes[0] in (1, 3), said
    assert_one_error(said[0], 0)


def start_alone(shards: Path, run: Path, **world: str) -> "subprocess.CompletedProcess[str]":
    words = [sys.executable, "-m", "trainer.cli", *command(shards, run)]
    return subprocess.run(
        words,
        env=runs.environment(RANK="0", WORLD_SIZE="2", LOCAL_RANK="0", **world),
        capture_output=True,
        text=True,
        cwd=runs.ROOT,
        timeout=100,
    )


@pytest.mark.builds
def test_ranks_that_cannot_meet(small: Path, tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        done = start_alone(small, tmp_path / "a", MASTER_ADDR="127.0.0.1", MASTER_PORT=port)
    assert done.returncode == 3 and "error: the 2 ranks cannot meet: " in done.stderr
    assert_one_error(done.stderr, 0)

    done = start_alone(small, tmp_path / "b")
    assert done.returncode == 3 and "MASTER_ADDR" in done.stderr
    assert_one_error(done.stderr, 0)


@pytest.mark.builds
def test_torchrun_restarts_and_resumes(small: Path, tmp_path: Path) -> None:
    """With --resume from the first start, a rank that is killed costs the steps since the last
    checkpoint."""
    more = ["--save-every", "1", "--steps", "10"]
    runs.train(command(small, tmp_path / "whole", *more), 2)

    run = tmp_path / "run"
    launch = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    words = [sys.executable, *launch, "--max-restarts", "1", "-m", "trainer.cli", "--"]
    process = subprocess.Popen(
        [*words, *command(small, run, *more, "--resume")],
        env=runs.environment(),
        cwd=runs.ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    end = time.monotonic() + 100
    while runs.logged(run) < 3 and process.poll() is None and time.monotonic() < end:
        time.sleep(0.01)
    ranks = subprocess.run(
        ["pgrep", "-P", str(process.pid)], capture_output=True, text=True, check=True
    )
    os.kill(int(ranks.stdout.split()[-1]), signal.SIGKILL)
    said = process.communicate(timeout=200)[0]

    assert process.returncode == 0, said
    assert "going on after step" in said
    assert_same_bytes(run, tmp_path / "whole", 10)
