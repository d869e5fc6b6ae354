"""A Spark 3.5 standalone cluster, job servers and worker pools on this machine, each probed before
it is used, all ended with the block: for the matrix and for the tests of faults."""

import contextlib
import json
import os
import shlex
import signal
import socket
import subprocess
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from engines.tools import ROOT, Tools

OPENS = [
    f"--add-opens=java.base/{name}=ALL-UNNAMED"
    for name in ("sun.nio.ch", "java.nio", "java.util", "java.lang", "java.lang.invoke")
]
READY_S = 60.0
MARK = "CORPUSMILL_TEST_MARK"


def environment(tools: Tools, mark: str, **more: str) -> dict[str, str]:
    """Of every process of a test: the Spark environment's Python first, this checkout's packages,
    and a mark to find them by."""
    return {
        **{name: value for name, value in os.environ.items() if not name.startswith("PYTEST")},
        "PATH": f"{tools.python.parent}:{os.environ['PATH']}",
        "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "tests" / "helpers")]),
        "RUN_PYTHON_SDK_IN_DEFAULT_ENVIRONMENT": "1",
        "SPARK_HOME": str(tools.pyspark),
        "SPARK_SCALA_VERSION": "2.12",
        "SPARK_LOCAL_IP": "127.0.0.1",
        MARK: mark,
        **more,
    }


def new_mark() -> str:
    """A mark that no other test has."""
    return uuid.uuid4().hex


def marked(mark: str) -> list[tuple[int, str]]:
    """(pid, command line) of every living process that carries the mark."""
    found = []
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit() and int(folder.name) != os.getpid():
            try:
                if (
                    f"{MARK}={mark}".encode() in (folder / "environ").read_bytes()
                    and "Z" not in (folder / "stat").read_text().rsplit(")", 1)[1].split()[0]
                ):
                    found.append(
                        (
                            int(folder.name),
                            (folder / "cmdline")
                            .read_bytes()
                            .replace(b"\0", b" ")
                            .decode("utf-8", "replace")
                            .strip(),
                        )
                    )
            except OSError:
                continue
    return found


def wait_none(mark: str, seconds: float = 20.0, but: str = "\n") -> list[tuple[int, str]]:
    """The marked processes that are still there after at most so long, without those whose command
    line has `but`."""
    end = time.monotonic() + seconds
    while (
        found := [process for process in marked(mark) if but not in process[1]]
    ) and time.monotonic() < end:
        time.sleep(0.2)
    return found


def kill_marked(mark: str) -> None:
    """End whatever is left."""
    for pid, _ in marked(mark):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def free_port() -> int:
    """A port that nobody listened at a moment ago."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def wait_for_port(port: int, process: "subprocess.Popen[bytes]", log: Path) -> None:
    """Until something listens, at most `READY_S`."""
    end = time.monotonic() + READY_S
    while time.monotonic() < end and process.poll() is None:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        time.sleep(0.1)
    raise AssertionError(f"nothing listens at {port}: {log.read_text('utf-8', 'replace')[-2000:]}")


@contextmanager
def started(
    command: list[str], env: dict[str, str], log: Path, port: int | None = None
) -> Iterator["subprocess.Popen[bytes]"]:
    """A process in a group of its own, its output in `log`; it and its group are ended with the
    block."""
    with open(log, "ab") as stream:
        process = subprocess.Popen(
            command,
            env=env,
            cwd=log.parent,
            stdin=subprocess.DEVNULL,
            stdout=stream,
            stderr=stream,
            start_new_session=True,
        )
    try:
        if port is not None:
            wait_for_port(port, process, log)
        yield process
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGTERM)
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            pass
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait(10)


@dataclass(frozen=True)
class Cluster:
    """A standalone cluster. `master`: its spark:// address; `page`: the port of the master's page;
    `worker`: the process of its one worker daemon."""

    master: str
    page: int
    worker: "subprocess.Popen[bytes]"


@contextmanager
def standalone(
    tools: Tools, env: dict[str, str], folder: Path, cores: int = 2
) -> Iterator[Cluster]:
    """Master and one worker of pyspark's own jars."""
    folder.mkdir(parents=True, exist_ok=True)
    port, ui, worker_port, worker_ui = (free_port() for _ in range(4))
    java = ["java", *OPENS, "-Xmx512m", "-cp", f"{tools.pyspark}/jars/*"]
    master = f"spark://127.0.0.1:{port}"
    master_command = [
        *java,
        "org.apache.spark.deploy.master.Master",
        "--host",
        "127.0.0.1",
        "--port",
        str(port),
        "--webui-port",
        str(ui),
    ]
    worker_command = [
        *java,
        "org.apache.spark.deploy.worker.Worker",
        "--host",
        "127.0.0.1",
        "--port",
        str(worker_port),
        "--webui-port",
        str(worker_ui),
    ]
    worker_command += [
        "--cores",
        str(cores),
        "--memory",
        "2g",
        "--work-dir",
        str(folder / "work"),
        master,
    ]
    with (
        started(master_command, env, folder / "master.log", port),
        started(worker_command, env, folder / "worker.log", worker_port) as worker,
    ):
        yield Cluster(master, ui, worker)


@contextmanager
def worker_pool(
    tools: Tools, env: dict[str, str], log: Path, before: tuple[str, ...] = ()
) -> Iterator[str]:
    """Beam's worker pool for EXTERNAL environments: its address. `before`: what runs it, as
    `unshare --mount`."""
    port = free_port()
    command = [
        *before,
        str(tools.python),
        "-m",
        "apache_beam.runners.worker.worker_pool_main",
        f"--service_port={port}",
    ]
    with started(command, env, log, port):
        yield f"localhost:{port}"


@contextmanager
def job_server(
    tools: Tools, env: dict[str, str], folder: Path, master: str
) -> Iterator[tuple[str, "subprocess.Popen[bytes]"]]:
    """A job server of its own: (its address, its process)."""
    folder.mkdir(parents=True, exist_ok=True)
    port, artifacts = free_port(), free_port()
    command = [
        "java",
        "-Xmx800m",
        f"-Dspark.executor.extraClassPath={tools.jar}",
        "-jar",
        str(tools.jar),
        f"--spark-master-url={master}",
    ]
    command += [
        f"--job-port={port}",
        f"--artifact-port={artifacts}",
        "--expansion-port=0",
        "--job-host=localhost",
        f"--artifacts-dir={folder}/artifacts",
    ]
    with started(command, env, folder / "job-server.log", port) as process:
        yield f"localhost:{port}", process


def spark_options(tools: Tools, master: str) -> list[str]:
    """Beam's options for its own job server on a master."""
    options = [
        "--runner=SparkRunner",
        f"--spark_job_server_jar={tools.jar}",
        f"--spark_master_url={master}",
        "--environment_cache_millis=60000",
    ]
    return (
        options
        if master.startswith("local")
        else [*options, f"--job_server_jvm_properties=-Dspark.executor.extraClassPath={tools.jar}"]
    )


def process_options(tools: Tools, folder: Path) -> list[str]:
    """Beam's options for workers that the executors start by `corpus-boot`, which `folder` gets as
    an installed package has it."""
    script = folder / "corpus-boot"
    script.write_text(
        f'#!/bin/sh\nexec {shlex.quote(str(tools.python))} -m pipelines.engines.boot "$@"\n'
    )
    script.chmod(0o755)
    config = {"command": str(script), "env": {"CORPUSMILL_BOOT": str(tools.boot)}}
    return ["--environment_type=PROCESS", f"--environment_config={json.dumps(config)}"]
