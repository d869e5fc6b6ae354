"""How both commands begin and end: Ctrl-C while their modules load, `~` in an option, and a pipe
whose reader has left, as `head` does.

Nothing but the standard library is imported here, so that it is loaded in a moment.
"""

import importlib
import io
import os
import re
import select
import signal
import sys
from collections.abc import Callable, Iterable
from typing import TextIO

INTERRUPTED = 130


def start(module: str) -> None:
    """Load the module of a command and run its `entry`. Ctrl-C meanwhile ends in one line."""
    # A terminal or file of another encoding shows what it cannot write as an escape.
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    signal.signal(signal.SIGINT, _leave)
    loaded = importlib.import_module(module)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    loaded.entry()


def _leave(*_: object) -> None:
    # Not an exception: it would come out of the middle of an import, and some modules catch it.
    os.write(2, b"interrupted\n")
    os._exit(INTERRUPTED)


def ended(main: Callable[[], int]) -> int:
    """Run a command and flush what it printed; returns its exit code."""
    try:
        code = main()
    except SystemExit as end:  # tyro, after help or an error in the arguments
        code = end.code if isinstance(end.code, int) else int(end.code is not None)
    silence()
    return code


def silence() -> None:
    """Flush stdout and stderr, and drop what they still hold if nobody reads it: Python would
    complain at exit."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except BrokenPipeError:
            _drop(stream)


def broken_pipe() -> int:
    """The exit code of a command whose output nobody reads: 0 if that was what the command shows; 1
    if it was the progress of work that is not done."""
    code = 0 if _has_left(sys.stdout) else 1
    for stream in (sys.stdout, sys.stderr):
        if _has_left(stream):
            _drop(stream)
    return code


def _drop(stream: TextIO) -> None:
    """Let a stream end in nothing."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def _has_left(stream: TextIO) -> bool:
    """Whether the stream is a pipe that nobody reads any more."""
    poll = select.poll()
    poll.register(stream.fileno(), 0)  # errors are always told
    return bool(poll.poll(0))


def expanded(arguments: Iterable[str]) -> list[str]:
    """The arguments with `~` in the values of options expanded. A shell expands `--home ~/h`, but
    not `--home=~/h`."""
    found = []
    for argument in arguments:
        option = re.fullmatch(r"(--[\w.-]+=)(~.*)", argument, re.DOTALL)
        found.append(option[1] + os.path.expanduser(option[2]) if option else argument)
    return found
