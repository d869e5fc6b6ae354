"""When the watching thread ends a process, and what it says: by a clock that stands still."""

import os
import signal
from collections.abc import Iterator
from types import SimpleNamespace

import pytest

from shards.errors import UserError
from trainer import watch as module
from trainer.watch import GRACE, PATIENCE, Watch


class Ended(Exception):
    """The process would have ended."""


@pytest.fixture
def now(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The time, which a test moves."""
    clock = [1000.0]
    monkeypatch.setattr(module, "time", SimpleNamespace(monotonic=lambda: clock[0]))
    return clock


@pytest.fixture
def said(monkeypatch: pytest.MonkeyPatch) -> list[UserError]:
    """What was said, and an end that can be caught."""
    found: list[UserError] = []

    def end(code: int) -> None:
        raise Ended(code)

    monkeypatch.setattr(module, "report", found.append)
    monkeypatch.setattr(os, "_exit", end)
    return found


@pytest.fixture
def watch(now: list[float], said: list[UserError], monkeypatch: pytest.MonkeyPatch) -> Watch:
    """A watch without its thread: the tests look themselves, for ten minutes at most."""
    monkeypatch.setattr(Watch, "_run", lambda self: None)
    found = Watch(10)
    found.close()
    return found


def looks(watch: Watch) -> int | None:
    """The exit code by which a look ends the process, None where it goes on."""
    try:
        watch._look()
    except Ended as end:
        return int(end.args[0])
    return None


def test_a_wait_that_is_too_long(watch: Watch, now: list[float], said: list[UserError]) -> None:
    with watch.waiting("add up the gradients of step 7"):
        now[0] += 600
        assert looks(watch) is None
        now[0] += 1
        assert looks(watch) == 1
    expected = "gave up: waited 10 min for the other ranks to add up the gradients of step 7"
    assert said[0].what == expected and "--resume" in said[0].hint

    now[0] += 10_000
    assert looks(watch) is None


def test_a_first_signal_gives_the_others_a_minute(
    watch: Watch, now: list[float], said: list[UserError]
) -> None:
    watch.saves = True
    with watch.waiting("add up", patient=False):
        watch._take(signal.SIGTERM)
        now[0] += PATIENCE
        assert looks(watch) is None
        now[0] += 1
        assert looks(watch) == 1
    assert said[0].what.startswith("ended a minute after a signal, without saving: waited 1 min")


def test_the_minute_begins_with_the_wait(watch: Watch, now: list[float]) -> None:
    """A signal long ago and a wait that has just begun: the other ranks may be at their batch."""
    watch.saves = True
    watch._take(signal.SIGTERM)
    now[0] += 500
    with watch.waiting("add up", patient=False):
        assert looks(watch) is None
        now[0] += PATIENCE + 1
        assert looks(watch) == 1


def test_a_wait_for_a_checkpoint_has_no_minute(watch: Watch, now: list[float]) -> None:
    watch.saves = True
    with watch.waiting("get as far as this one"):
        watch._take(signal.SIGTERM)
        now[0] += PATIENCE + 100
        assert looks(watch) is None


@pytest.mark.parametrize("sent, code", [(signal.SIGTERM, 1), (signal.SIGINT, 130)])
def test_a_second_signal(
    watch: Watch, now: list[float], said: list[UserError], sent: signal.Signals, code: int
) -> None:
    """The same signal twice within a second is one; a second one has a moment to be answered."""
    watch.saves = True
    watch._take(sent)
    watch._take(sent)
    now[0] += GRACE + 1
    assert looks(watch) is None

    watch._take(sent)
    assert looks(watch) is None
    now[0] += GRACE + 1
    assert looks(watch) == code
    # The innermost place of ours that the main thread is at, which here is the look itself.
    assert said[0].what.startswith("ended by a signal, without saving: in trainer/watch.py, line ")


def test_before_the_steps_one_signal_is_enough(
    watch: Watch, now: list[float], said: list[UserError]
) -> None:
    with watch.waiting("start"):
        watch._take(signal.SIGINT)
        now[0] += GRACE + 1
        assert looks(watch) == 130
    expected = "ended by a signal, without saving: waited 4 s for the other ranks to start"
    assert said[0].what == expected


def test_other_signals_are_not_counted(watch: Watch, now: list[float]) -> None:
    watch._take(signal.SIGCHLD)
    now[0] += 100
    assert looks(watch) is None and watch.signalled == 0


@pytest.fixture
def handler() -> Iterator[list[int]]:
    """A handler of SIGTERM in Python, as the training loop has one."""
    seen: list[int] = []
    before = signal.signal(signal.SIGTERM, lambda number, frame: seen.append(number))
    yield seen
    signal.signal(signal.SIGTERM, before)


def test_the_thread_sees_a_signal(handler: list[int]) -> None:
    watch = Watch(10)
    watch.saves = True
    os.kill(os.getpid(), signal.SIGTERM)
    watch.close()
    assert handler == [signal.SIGTERM] and watch.signalled == 1
