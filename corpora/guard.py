"""A function run in a child process that can be killed: one bad input costs one input, never the
worker.

A parser in C cannot be stopped from inside: a signal waits until it returns, and a crash ends its
process. So `Guard` keeps one child alive, sends it the arguments and waits for the answer, at most
`deadline_s` seconds and with at most `memory_bytes` of address space. A child that exceeds either,
or dies, is replaced, and the same call is tried once more in the fresh child; if that fails too,
the answer is a `Refusal`. A call costs about 0.1 ms and a copy of what is sent; a child starts in
less than a second.

These limits are a safety net, ten times wider than anything measured. What decides about an input
must be counted in its bytes, since time and memory differ between machines (law 2 of the design).
"""

import atexit
import functools
import gc
import importlib
import json
import logging
import os
import resource
import signal
import subprocess
import sys
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import Any

from corpora.document import Refusal
from shards.errors import UserError

DEADLINE_S = 100.0
"""Seconds that a call may take."""

MEMORY_BYTES = 1_500_000_000
"""Address space of a child."""

_START_S = 120.0
"""Seconds that a child may take to start."""

_ORPHAN_CHECK_S = 10.0
"""Seconds after which an idle child looks whether its parent is alive."""

_ALARM_S = 10
"""Seconds after the deadline at which a child ends itself, if its parent has not ended it."""

_WARM_AFTER = 20
"""Calls after which a function has loaded what it loads lazily, such as the profiles of languages:
the garbage collector need not look at it again."""

_READY = "ready"

_RESULT = "result"

_CHILD = (
    "import json, sys; setup = json.loads(sys.argv[1]); sys.path[:] = setup[0]; "
    "from corpora.guard import serve; serve(*setup[1:])"
)
"""The program of a child; its argument is the path of imports and the arguments of `serve`."""


class Guard:
    """Calls of one function, given as `module:name`, in a child. Use it as a context manager, from
    one thread."""

    def __init__(
        self, function: str, *, deadline_s: float = DEADLINE_S, memory_bytes: int = MEMORY_BYTES
    ) -> None:
        self._function = function
        self._deadline_s = deadline_s
        self._memory_bytes = memory_bytes
        self._process: subprocess.Popen[bytes] | None = None
        self._requests: Connection | None = None
        self._answers: Connection | None = None
        self.restarts = 0

    def __enter__(self) -> "Guard":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def pid(self) -> int | None:
        """The child's process id, while there is one."""
        return self._process.pid if self._process is not None else None

    def call(self, *args: object, **kwargs: object) -> Any:
        """The function's result; a `Refusal` when the call fails twice.

        Its reason is timeout, memory, crash (the child died) or error (the function raised, which
        is not tried again). Raises `UserError` when no child can be started: the input is not at
        fault.
        """
        answered, value = self._try(args, kwargs)

        # A function that raises would do so again; time and memory may have been short only once.
        if not answered and value.reason != "error":
            self._restart()
            answered, value = self._try(args, kwargs)
            if not answered:
                self.close()

        return value

    def close(self) -> None:
        """End the child."""
        process = self._process
        self._process = None
        for connection in (self._requests, self._answers):
            if connection is not None:
                connection.close()
        self._requests = self._answers = None
        if process is not None:
            process.kill()
            process.wait()

    def _restart(self) -> None:
        self.close()
        self.restarts += 1

    def _try(self, args: tuple[object, ...], kwargs: dict[str, object]) -> tuple[bool, Any]:
        """(True, the function's result) or (False, a `Refusal`)."""
        if self._process is None:
            self._start()
        assert self._requests is not None and self._answers is not None
        try:
            self._requests.send((args, kwargs))
            # `recv` alone would wait for ever.
            if not self._answers.poll(self._deadline_s):
                return False, Refusal("timeout", f"no answer in {self._deadline_s:g} s")
            kind, value = self._answers.recv()
        except (EOFError, OSError):
            return False, Refusal("crash", self._how_it_died())
        except BaseException:
            # Interrupted: the answer to come must not be taken for that of the next call.
            self.close()
            raise
        return (True, value) if kind == _RESULT else (False, Refusal(kind, value))

    def _start(self) -> None:
        """Start a child, as a plain interpreter with pipes.

        Not with `multiprocessing`: a worker of a pool may be a daemon, which may have no children.
        """
        request_out, request_in = os.pipe()
        answer_out, answer_in = os.pipe()
        setup = json.dumps(
            [sys.path, request_out, answer_in, self._function, self._memory_bytes, self._deadline_s]
        )
        try:
            self._process = subprocess.Popen(
                [sys.executable, "-c", _CHILD, setup],
                pass_fds=(request_out, answer_in),
                # What a library prints must not mix with the output of the command.
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
        finally:
            # The child has copies of these ends; ours would hide that it closed them.
            os.close(request_out)
            os.close(answer_in)
            self._requests = Connection(request_in, readable=False)
            self._answers = Connection(answer_out, writable=False)

        greeting = self._greeting(self._answers)
        if greeting != _READY:
            self.close()
            raise UserError(
                f"the parser's process, {self._function}: {greeting}",
                "pip install '.[pipelines]' in the checkout; check ulimit -v and the free memory",
                3,
            )

    def _greeting(self, answers: Connection) -> str:
        """`_READY`, or why a new child cannot be used."""
        try:
            if answers.poll(_START_S):
                return str(answers.recv())
            return f"it did not start in {_START_S:g} s"
        except (EOFError, OSError):
            return self._how_it_died()

    def _how_it_died(self) -> str:
        if self._process is None:
            return "the child did not start"
        try:
            code = self._process.wait(5)
        except subprocess.TimeoutExpired:
            return "the child closed its pipe"
        if code < 0:
            return f"the child was ended by {signal.Signals(-code).name}"
        return f"the child ended with code {code}"


_shared: dict[tuple[int, str], Guard] = {}


def shared_guard(function: str) -> Guard:
    """This process's guard for a function: one child for all slices that the process reads, ended
    when it exits."""
    # By the process id too: a forked worker must not use its parent's child.
    key = (os.getpid(), function)
    if key not in _shared:
        _shared[key] = Guard(function)
        atexit.register(_shared[key].close)
    return _shared[key]


def serve(
    request_fd: int, answer_fd: int, function: str, memory_bytes: int, deadline_s: float
) -> None:
    """The program of a child: answer calls until the parent is gone.

    If the parent dies during a call, an alarm ends the child.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent handles Ctrl-C
    logging.disable(logging.CRITICAL)  # libraries report every bad page; the answer says enough
    requests = Connection(request_fd, writable=False)
    answers = Connection(answer_fd, readable=False)

    module, _, name = function.partition(":")
    try:
        call = getattr(importlib.import_module(module), name)
    except Exception as error:  # whatever a broken installation raises
        answers.send(f"{type(error).__name__}: {error}")
        return

    _limit_memory(memory_bytes)
    # What was imported stays for good: the collector need not visit it after every page.
    gc.collect()
    gc.freeze()
    parent = os.getppid()
    calls = 0
    answers.send(_READY)
    while True:
        while not requests.poll(_ORPHAN_CHECK_S):
            if os.getppid() != parent:
                return
        try:
            args, kwargs = requests.recv()
        except EOFError:
            return

        # Without a handler the kernel ends the process, even inside C.
        signal.alarm(int(deadline_s) + _ALARM_S)
        answer = _answer(functools.partial(call, *args, **kwargs), memory_bytes)
        signal.alarm(0)
        answers.send(answer)

        calls += 1
        if calls == _WARM_AFTER:
            gc.collect()
            gc.freeze()


def _answer(call: Callable[[], object], memory_bytes: int) -> tuple[str, object]:
    """(`_RESULT`, the result), or the reason and detail of a failure."""
    try:
        return _RESULT, call()
    except MemoryError:
        return "memory", f"more than {memory_bytes:,} bytes"
    except Exception as error:  # a parser may raise anything
        return "error", f"{type(error).__name__}: {error}"[:500]


def _limit_memory(memory_bytes: int) -> None:
    hard = resource.getrlimit(resource.RLIMIT_AS)[1]
    soft = memory_bytes if hard == resource.RLIM_INFINITY else min(memory_bytes, hard)
    try:
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))
    except (OSError, ValueError):
        pass  # macOS accepts no limit below what is in use: there only the deadline guards
