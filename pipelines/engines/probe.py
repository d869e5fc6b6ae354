"""TODO-DOC pipelines/engines/probe.py."""

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
    """Ask for what the job will wait for. Raises `UserError` (exit 3): nobody answers at an
    address, something is missing."""
    options = engine.options
    endpoint, master = options.get("job_endpoint", ""), options.get("spark_master_url", "")
    if endpoint and endpoint != "embed":
        if not _answers(endpoint):
            raise UserError(
                f"--job_endpoint={endpoint}: no job server answers there",
                f"start one, java -jar JAR --job-port=PORT ..., as in {DOCS}",
                3,
            )
    elif engine.runner == "PortableRunner":
        raise UserError(
            "--runner=PortableRunner: no --job_endpoint",
            f"name the job server's HOST:PORT; {DOCS}",
            2,
        )
    if master.startswith("spark://") and not any(
        map(_answers, master.removeprefix("spark://").split(","))
    ):
        raise UserError(
            f"--spark_master_url={master}: no Spark master answers there",
            f"start it, or name the address on its own page; {DOCS}",
            3,
        )
    if engine.starts_java and not shutil.which("java"):
        raise UserError(
            "java: not found; Spark's job server needs it",
            "install Java 17 (Debian: apt-get install openjdk-17-jre-headless)",
            3,
        )
    jar = options.get("spark_job_server_jar", "")
    if jar and not re.match(r"[a-z0-9]+://", jar) and not os.path.isfile(jar):
        raise UserError(
            f"--spark_job_server_jar={jar}: no such file", f"build it by the command in {DOCS}", 3
        )
    if master.startswith("spark://") and jar:
        spark.check_versions(master, jar, options.get("job_server_jvm_properties", ""))
    environment, config = (
        options.get("environment_type", "").upper(),
        options.get("environment_config", ""),
    )
    if (
        environment == "EXTERNAL"
        and engine.runner == "SparkRunner"
        and engine._local_master
        and not engine.jar
        and not _answers(config)
    ):
        raise UserError(
            f"--environment_config={config}: no worker pool answers there",
            f"python -m apache_beam.runners.worker.worker_pool_main --service_port=PORT, as in {DOCS}",
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
    """Options that make Beam's own job server end with this process, even when that is killed:
    pipelines/engines/java.py starts it, by a script, since Beam takes one name for `java`."""
    if not engine.starts_java:
        yield []
        return
    starter = os.path.join(os.path.dirname(os.path.abspath(__file__)), "java.py")
    with tempfile.TemporaryDirectory(prefix="corpusmill-") as folder:
        script = os.path.join(folder, "java")
        with open(script, "w", encoding="utf-8") as stream:
            stream.write(
                f'#!/bin/sh\nexec {shlex.quote(sys.executable)} {shlex.quote(starter)} "$@"\n'
            )
        os.chmod(script, 0o700)
        yield [f"--job_server_java_launcher={script}"]
