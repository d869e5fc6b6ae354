"""Checks what a job would wait for before it is submitted.

An engine can wait for ever for a job server, a Spark master or a worker pool that is not there. So
every address that the options name is connected to first, which takes at most `PROBE_S` each.
"""

import os
import re
import shlex
import shutil
import socket
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager

from pipelines.engines import spark
from pipelines.engines.engine import DOCS, Engine
from shards.errors import UserError

PROBE_S = 5.0


def probe(engine: Engine) -> None:
    """Raise `UserError` when nobody answers at an address that the job needs, or something is
    missing (exit 3), and when an option is missing (exit 2)."""
    _check_job_server(engine)
    _check_spark_master(engine)
    _check_java(engine)
    _check_worker_pool(engine)


def _check_job_server(engine: Engine) -> None:
    endpoint = engine.options.get("job_endpoint", "")
    is_elsewhere = endpoint not in ("", "embed")
    if is_elsewhere and not _answers(endpoint):
        raise UserError(
            f"--job_endpoint={endpoint}: no job server answers there",
            f"start one, java -jar JAR --job-port=PORT ..., as in {DOCS}",
            3,
        )
    if engine.runner == "PortableRunner" and not is_elsewhere:
        raise UserError(
            "--runner=PortableRunner: no --job_endpoint",
            f"name the job server's HOST:PORT; {DOCS}",
            2,
        )


def _check_spark_master(engine: Engine) -> None:
    master = engine.options.get("spark_master_url", "")
    if not master.startswith("spark://"):
        return

    # A cluster may have several masters, one of them at work.
    addresses = master.removeprefix("spark://").split(",")
    if not any(_answers(address) for address in addresses):
        raise UserError(
            f"--spark_master_url={master}: no Spark master answers there",
            f"start it, or name the address on its own page; {DOCS}",
            3,
        )


def _check_java(engine: Engine) -> None:
    if engine.starts_java and not shutil.which("java"):
        raise UserError(
            "java: not found; Spark's job server needs it",
            "install Java 17 (Debian: apt-get install openjdk-17-jre-headless)",
            3,
        )

    jar = engine.options.get("spark_job_server_jar", "")
    is_local = not re.match(r"[a-z0-9]+://", jar)
    if jar and is_local and not os.path.isfile(jar):
        raise UserError(
            f"--spark_job_server_jar={jar}: no such file", f"build it by the command in {DOCS}", 3
        )

    master = engine.options.get("spark_master_url", "")
    if jar and master.startswith("spark://"):
        properties = engine.options.get("job_server_jvm_properties", "")
        spark.check_versions(master, jar, properties)


def _check_worker_pool(engine: Engine) -> None:
    # On a cluster the pool is on the executors' machines, where this one cannot ask.
    if engine.runner != "SparkRunner" or not engine.has_local_spark or engine.jar:
        return

    environment = engine.options.get("environment_type", "").upper()
    config = engine.options.get("environment_config", "")
    if environment == "EXTERNAL" and not _answers(config):
        raise UserError(
            f"--environment_config={config}: no worker pool answers there",
            "start one, python -m apache_beam.runners.worker.worker_pool_main --service_port=PORT, "
            f"as in {DOCS}",
            3,
        )


def _answers(address: str) -> bool:
    """True when something listens at HOST:PORT."""
    host, _, port = address.rpartition(":")
    try:
        with socket.create_connection((host.strip("[]") or "localhost", int(port)), PROBE_S):
            return True
    except (OSError, ValueError, OverflowError):
        return False


@contextmanager
def java_arguments(engine: Engine) -> Iterator[list[str]]:
    """Options for the block that make Beam's own job server end with this process, even when this
    process is killed.

    `pipelines/engines/java.py` starts the server, by a script, since Beam takes the name of one
    program for `java`.
    """
    if not engine.starts_java:
        yield []
        return

    starter = os.path.join(os.path.dirname(os.path.abspath(__file__)), "java.py")
    command = f"exec {shlex.quote(sys.executable)} {shlex.quote(starter)}"
    with tempfile.TemporaryDirectory(prefix="corpusmill-") as folder:
        script = os.path.join(folder, "java")
        with open(script, "w", encoding="utf-8") as stream:
            stream.write(f'#!/bin/sh\n{command} "$@"\n')
        os.chmod(script, 0o700)
        yield [f"--job_server_java_launcher={script}"]
