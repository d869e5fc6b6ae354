"""What Beam's boot program starts ends with the process that started it, whether the worker has
begun or not."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from engines import cluster
from engines.tools import ROOT

BOOT = """#!{python}
import os, subprocess, sys
while True:  # a boot program: it starts its worker again whenever that ends
    command = [sys.executable, "-c", "import sys, time; time.sleep(600)", *sys.argv[1:]]
    worker = subprocess.Popen(command, preexec_fn=os.setpgrp)
    open("worker", "a").write(f"{{worker.pid}}\\n")
    worker.wait()
"""
EXECUTOR = (
    "import subprocess, sys; subprocess.Popen([sys.executable, '-m', 'pipelines.engines.boot', "
    "'--id=1']).wait()"
)


@pytest.mark.skipif(sys.platform != "linux", reason="it looks into /proc")
@pytest.mark.parametrize("victim", ["executor", "boot program"])
def test_nothing_outlives_the_executor(victim: str, tmp_path: Path) -> None:
    program = tmp_path / "boot"
    program.write_text(BOOT.format(python=sys.executable))
    program.chmod(0o755)
    mark = cluster.new_mark()
    env = {
        **os.environ,
        "PYTHONPATH": str(ROOT),
        "CORPUSMILL_BOOT": str(program),
        cluster.MARK: mark,
    }
    executor = subprocess.Popen(
        [sys.executable, "-c", EXECUTOR], env=env, cwd=tmp_path, stdin=subprocess.DEVNULL
    )
    try:
        end = time.monotonic() + 20
        while (
            len(started := [pid for pid, command in cluster.marked(mark) if "--id=1" in command])
            < 3
            and time.monotonic() < end
        ):
            time.sleep(0.05)
        (boot,) = [
            pid
            for pid in started
            if executor.pid == int(Path(f"/proc/{pid}/stat").read_text().split()[3])
        ]
        assert Path(f"/proc/{boot}/cmdline").read_bytes().split(b"\0")[1:3] == [
            str(program).encode(),
            b"--id=1",
        ]  # became it
        end = time.monotonic() + 5
        while (
            victim == "boot program"
            and time.monotonic() < end
            and not (tmp_path / "worker").exists()
        ):
            time.sleep(0.05)
        os.kill(executor.pid if victim == "executor" else boot, signal.SIGKILL)
        executor.wait(20)
        assert cluster.wait_none(mark) == []
        # an executor may die before its worker has begun; none is begun again
        workers = tmp_path / "worker"
        begun = workers.read_text().split() if workers.exists() else []
        assert len(begun) == 1 or (victim == "executor" and not begun)
    finally:
        cluster.kill_marked(mark)
        executor.wait(20)


def test_no_boot_program(tmp_path: Path) -> None:
    env = {**os.environ, "PYTHONPATH": str(ROOT), "CORPUSMILL_BOOT": str(tmp_path / "none")}
    done = subprocess.run(
        [sys.executable, "-m", "pipelines.engines.boot"],
        env=env,
        capture_output=True,
        text=True,
        timeout=60,
        stdin=subprocess.DEVNULL,
    )
    assert done.returncode == 3
    assert done.stderr == (
        f"error: {tmp_path}/none: no boot program\nhint: name it by CORPUSMILL_BOOT; see "
        "docs/spark.md\n"
    )
