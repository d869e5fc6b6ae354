"""`corpus-boot ARGUMENTS`: become Beam's boot program, and see to it that nothing of it outlives
the executor that started it.

Beam's boot program starts a Python worker, and starts it again when it dies: four times, one minute
each when nobody answers any more, long after the executor or the driver that held Spark was killed.
So a watcher in a session of its own looks every `EVERY_S` whether the boot program still has the
parent that it began with; if not, it ends the boot program and its workers. A signal at the
parent's death, as `pipelines/engines/java.py` uses it, would not do: it is sent when the thread of
the executor ends, not the process.

CORPUSMILL_BOOT is the path of the boot program; by default it is where Beam's containers have it.
The folder of the Python that runs this script comes first on PATH, since the boot program starts
plain `python`. Only the standard library is imported, so that this starts quickly.
"""

import os
import secrets
import signal
import sys
import time
from contextlib import suppress

BOOT = "/opt/apache/beam/boot"

EVERY_S = 0.5

ENDS = 20
"""How often the watcher looks for processes to end: the boot program may be starting another."""

MARK = "CORPUSMILL_EXECUTOR"
"""The environment variable by which all processes of one boot program are known."""


def main() -> None:
    """The entry point. Exit 3: there is no boot program."""
    program = os.environ.get("CORPUSMILL_BOOT") or BOOT
    if not os.access(program, os.X_OK):
        print(
            f"error: {program}: no boot program\n"
            "hint: name it by CORPUSMILL_BOOT; see docs/spark.md",
            file=sys.stderr,
        )
        sys.exit(3)

    folder = os.path.dirname(os.path.abspath(sys.executable))
    os.environ["PATH"] = f"{folder}:{os.environ.get('PATH', os.defpath)}"
    os.environ.setdefault("RUN_PYTHON_SDK_IN_DEFAULT_ENVIRONMENT", "1")
    mark = secrets.token_hex(8)
    os.environ[MARK] = mark

    boot = os.getpid()
    starter = os.getppid()
    if sys.platform == "linux" and os.fork() == 0:
        try:
            watch(boot, starter, mark)
        finally:
            os._exit(0)
    os.execv(program, [program, *sys.argv[1:]])


def watch(boot: int, starter: int, mark: str) -> None:
    """Wait until `boot`, our parent, or `starter`, its parent, is gone; then end every process with
    this mark."""
    os.setsid()

    # The executor may wait for the end of these streams.
    null = os.open(os.devnull, os.O_RDWR)
    for stream in range(3):
        os.dup2(null, stream)

    while os.getppid() == boot and parent(boot) == starter:
        time.sleep(EVERY_S)

    for _ in range(ENDS):
        pids = marked(mark)
        if not pids:
            return
        for pid in pids:
            with suppress(OSError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(EVERY_S)


def parent(pid: int) -> int:
    """The parent of a process; 0 when the process is gone."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as stream:
            content = stream.read()
        # proc(5): "pid (name) state parent ...", and the name may hold anything.
        return int(content.rpartition(b")")[2].split()[1])
    except (OSError, ValueError, IndexError):
        return 0


def marked(mark: str) -> list[int]:
    """The processes, except this one, that have the mark in their environment."""
    variable = f"{MARK}={mark}".encode()
    pids = []
    for name in os.listdir("/proc"):
        if name.isdigit() and int(name) != os.getpid():
            with suppress(OSError), open(f"/proc/{name}/environ", "rb") as stream:
                if variable in stream.read().split(b"\0"):
                    pids.append(int(name))
    return pids


if __name__ == "__main__":
    main()
