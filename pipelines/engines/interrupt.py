"""Ctrl-C, SIGTERM and the end of the process: what the command line and the engines share.

The command line installs its signal handlers before it knows whether a stage will run, so it must
not import an engine for them. An engine that starts children registers here how to stop them.
Nothing heavy is imported.
"""

import threading
from collections.abc import Callable

interrupted = threading.Event()
"""Set by Ctrl-C and SIGTERM: an engine may turn the KeyboardInterrupt into an error of its own."""

starting = False
"""True while children are being started. The signal handler then only sets `interrupted`, since an
exception at this moment would leave a child half started; `children` raises it afterwards."""

abandoned = False
"""True when a job was ended that may still hold threads of this process: the process must then exit
without waiting for them."""

_at_end: list[Callable[[], None]] = []


def at_end(stop: Callable[[], None]) -> None:
    """Register what to call when a command ends, however it ends."""
    _at_end.append(stop)


def end() -> None:
    """Call everything that was registered, in order."""
    for stop in _at_end:
        stop()
