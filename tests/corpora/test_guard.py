"""A child that hangs, eats memory, dies or raises costs one call: row 30 of the list of defects."""

import os
import signal
import subprocess
import sys
import time

import pytest

from corpora.document import Refusal
from corpora.guard import Guard
from shards.errors import UserError


def echo(value: object) -> object:
    return value


def echo_later(value: object, seconds: float) -> object:
    time.sleep(seconds)
    return value


def process_id() -> int:
    return os.getpid()


def sleep(seconds: float) -> str:
    time.sleep(seconds)
    return "slept"


def hang_in_c() -> int:
    return len(str(7 ** (10**8)))  # one call into C, which no signal handler of Python's interrupts


def eat() -> int:
    return len(bytearray(10_000_000_000))


def die() -> None:
    os.kill(os.getpid(), signal.SIGSEGV)


def leave() -> None:
    os._exit(3)


def fail() -> None:
    raise ValueError("no such page")


def fail_once(path: str) -> str:
    """Dies on the first call, and not when the call is tried again."""
    if not os.path.exists(path):
        open(path, "w").close()
        os.kill(os.getpid(), signal.SIGKILL)
    return "alive"


@pytest.mark.parametrize(
    ("name", "reason", "word"),
    [
        ("hang_in_c", "timeout", "0.5 s"),
        ("eat", "memory", "bytes"),
        ("die", "crash", "SIGSEGV"),
        ("leave", "crash", "code 3"),
        ("fail", "error", "no such page"),
    ],
)
@pytest.mark.builds
def test_what_goes_wrong_is_named_and_the_next_call_works(
    name: str, reason: str, word: str
) -> None:
    with Guard(f"test_guard:{name}", deadline_s=0.5) as guard:
        start = time.monotonic()
        outcome = guard.call()
        assert isinstance(outcome, Refusal) and outcome.reason == reason and word in outcome.detail
        assert time.monotonic() - start < 10
        assert isinstance(guard.call(), Refusal)


@pytest.mark.parametrize(
    ("function", "word"),
    [("no_such_module:f", "ModuleNotFoundError"), ("test_guard:no_such_name", "AttributeError")],
)
def test_a_child_that_cannot_start_is_no_fault_of_the_input(function: str, word: str) -> None:
    with Guard(function) as guard, pytest.raises(UserError, match=word) as caught:
        guard.call()
    assert caught.value.exit_code == 3


def test_one_child_serves_many_calls_and_dies_with_the_guard() -> None:
    with Guard("test_guard:process_id") as guard:
        pids = {guard.call() for _ in range(50)}
        assert pids == {guard.pid} and os.getpid() not in pids
    (child,) = pids
    with pytest.raises(ProcessLookupError):
        os.kill(child, 0)


def test_a_call_that_fails_is_tried_once_more_alone(tmp_path: object) -> None:
    with Guard("test_guard:fail_once") as guard:
        assert guard.call(f"{tmp_path}/tried") == "alive" and guard.restarts == 1


def test_a_child_killed_between_calls_is_replaced() -> None:
    with Guard("test_guard:echo") as guard:
        assert guard.call("a") == "a"
        assert guard.pid is not None
        os.kill(guard.pid, signal.SIGKILL)
        assert guard.call("b") == "b"


def test_an_interrupted_call_leaves_no_answer_for_the_next_one() -> None:
    with Guard("test_guard:echo_later") as guard:
        assert guard.call("a", 0) == "a"

        def interrupt(*_: object) -> None:
            raise KeyboardInterrupt

        before = signal.signal(signal.SIGALRM, interrupt)
        signal.setitimer(signal.ITIMER_REAL, 0.2)
        with pytest.raises(KeyboardInterrupt):
            guard.call("b", 0.6)
        signal.signal(signal.SIGALRM, before)
        assert guard.call("c", 0) == "c"


def test_large_arguments_and_strange_texts_come_back() -> None:
    with Guard("test_guard:echo") as guard:
        for value in (bytes(3_000_000), "\ud800\x00é", {"a": [1, None]}):
            assert guard.call(value) == value


def test_the_deadline_holds_for_each_try() -> None:
    with Guard("test_guard:sleep", deadline_s=0.4) as guard:
        assert guard.call(0.01) == "slept"
        start = time.monotonic()
        outcome = guard.call(30)
        assert (
            isinstance(outcome, Refusal)
            and outcome.reason == "timeout"
            and 0.8 <= time.monotonic() - start < 10
        )


@pytest.mark.builds
@pytest.mark.parametrize("busy", [False, True], ids=["idle", "busy"])
def test_a_child_does_not_outlive_its_parent(busy: bool) -> None:
    """Killed without a chance to clean up: an idle child sees its pipe close, a busy one is ended
    by its alarm or at its next answer."""
    code = (
        "import sys, threading, time; from corpora.guard import Guard; guard = "
        "Guard('test_guard:sleep', deadline_s=2); guard.call(0);"
        f"threading.Thread(target=guard.call, args=({3 if busy else 0},), "
        "daemon=True).start(); time.sleep(0.3); print(guard.pid, flush=True); time.sleep(60)"
    )
    path = os.pathsep.join(sys.path)
    with subprocess.Popen(
        [sys.executable, "-c", code],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": path},
    ) as parent:
        assert parent.stdout is not None
        child = int(parent.stdout.readline())
        parent.kill()
    deadline = time.monotonic() + 15
    while time.monotonic() < deadline and os.path.exists(f"/proc/{child}"):
        time.sleep(0.05)
    assert not os.path.exists(f"/proc/{child}")
