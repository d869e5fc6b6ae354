"""`corpus-boot ARGUMENTS`: become Beam's boot program, and see to it that nothing of it outlives
the executor that began it.

Beam's boot program starts a Python worker and starts it again when it dies, four times, a minute
each when nobody answers any more: long after the executor, or the driver that held Spark, was
killed. So a watcher in a session of its own looks every `EVERY_S` whether the boot program still
has the parent that it began with, and ends it and its workers when it has not. A signal at the
parent's death (as pipelines/engines/java.py has it) would not do: it comes when the thread of the executor
ends.

CORPUSMILL_BOOT: where the boot program lies, else where Beam's containers have it. The Python of
this script comes first on PATH, since the boot program starts plain `python`. It is light: no more
than the standard library may be imported here.
"""

import os
import secrets
import signal
import sys
import time
from contextlib import suppress

BOOT = "/opt/apache/beam/boot"

EVERY_S = 0.5


def main() -> None:
    """The entry point. Exit 3: no boot program there."""
    program = os.environ.get("CORPUSMILL_BOOT") or BOOT
    if not os.access(program, os.X_OK):
        print(
            f"error: {program}: no boot program\nhint: name it by CORPUSMILL_BOOT; docs/spark.md",
            file=sys.stderr,
        )
        sys.exit(3)
    os.environ["PATH"] = (
        f"{os.path.dirname(os.path.abspath(sys.executable))}:{os.environ.get('PATH', os.defpath)}"
    )
    os.environ.setdefault("RUN_PYTHON_SDK_IN_DEFAULT_ENVIRONMENT", "1")
    os.environ["CORPUSMILL_EXECUTOR"] = mark = secrets.token_hex(8)
    boot, starter = os.getpid(), os.getppid()
    if sys.platform == "linux" and os.fork() == 0:
        try:
            watch(boot, starter, mark)
        finally:
            os._exit(0)
    os.execv(program, [program, *sys.argv[1:]])


def watch(boot: int, starter: int, mark: str) -> None:
    """When `boot`, our parent, is gone, or `starter`, its parent, end every process that was
    started with the mark."""
    os.setsid()
    null = os.open(os.devnull, os.O_RDWR)
    for stream in range(3):
        os.dup2(null, stream)
    while os.getppid() == boot and parent(boot) == starter:
        time.sleep(EVERY_S)
    for _ in range(20):  # the boot program may be starting another while we look
        found = marked(mark)
        if not found:
            return
        for pid in found:
            with suppress(OSError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(EVERY_S)


def parent(pid: int) -> int:
    """The parent of a process; 0 where there is none."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as stream:
            return int(stream.read().rpartition(b")")[2].split()[1])
    except (OSError, ValueError, IndexError):
        return 0


def marked(mark: str) -> list[int]:
    """The processes, this one left out, in whose environment CORPUSMILL_EXECUTOR is `mark`."""
    found = []
    for name in os.listdir("/proc"):
        if name.isdigit() and int(name) != os.getpid():
            with suppress(OSError), open(f"/proc/{name}/environ", "rb") as stream:
                if f"CORPUSMILL_EXECUTOR={mark}".encode() in stream.read().split(b"\0"):
                    found.append(int(name))
    return found


if __name__ == "__main__":
    main()
