"""Which Spark a cluster has, and which one a job server's jar was made with, as far as that can be
known before a job is submitted.

Spark says little when the two differ. Executors of Spark 3.4 drop the tasks of a 3.5 driver
("Inbox: Ignoring error", EOFException, in their log alone) and wait, unless the jar's classes come
first there; a master of Spark 4.0 drops the driver's first question (InvalidClassException, in its
log alone), and the driver gives up after a minute.
"""

import os
import re
import urllib.request
import zipfile

from pipelines.engines.engine import DOCS
from shards.errors import UserError

PAGE_S = 5.0


def jar_version(jar: str) -> str:
    """The version of the Spark in a jar, as "3.5.0"; "" when it cannot be known."""
    try:
        with zipfile.ZipFile(jar) as content:
            info = content.read("spark-version-info.properties")
    except (OSError, KeyError, zipfile.BadZipFile):
        return ""
    match = re.search(rb"^version=(\S+)", info, re.MULTILINE)
    return match[1].decode("ascii", "replace") if match else ""


def cluster_version(master: str) -> str:
    """The version that the web page of a standalone master shows; "" when there is none.

    The page is asked for at port 8080 or SPARK_MASTER_WEBUI_PORT, which is Spark's own variable.
    """
    host = master.removeprefix("spark://").split(",")[0].rpartition(":")[0]
    port = os.environ.get("SPARK_MASTER_WEBUI_PORT", "8080")
    # A proxy for the internet would not know the cluster.
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with direct.open(f"http://{host}:{port}/", timeout=PAGE_S) as answer:
            page = answer.read(1 << 20)
    except (OSError, ValueError):
        return ""

    match = re.search(rb'<span class="version"[^>]*>\s*(\d+\.\d+[\w.-]*)\s*</span>', page)
    return match[1].decode("ascii") if match and b"Spark Master" in page else ""


def check_versions(master: str, jar: str, jvm_properties: str) -> None:
    """Raise `UserError` (exit 3) when a cluster's Spark is known not to work with the jar's.

    The major versions must be equal, and the minor versions too unless the executors are told to
    take the jar's Spark first (`spark.executor.extraClassPath`).
    """
    ours = jar_version(jar)
    theirs = cluster_version(master) if ours else ""
    same = 1 if "spark.executor.extraClassPath=" in jvm_properties else 2
    if theirs and theirs.split(".")[:same] != ours.split(".")[:same]:
        raise UserError(
            f"--spark_master_url={master}: the cluster has Spark {theirs}, {jar} has {ours}",
            f"use a cluster of Spark {minor(ours)}, or build the jar with the cluster's version "
            f"(spark.version in the pom); {DOCS}",
            3,
        )


def minor(version: str) -> str:
    """The minor version, as 3.5 for 3.5.0."""
    return ".".join(version.split(".")[:2])
