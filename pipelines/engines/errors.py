"""TODO-DOC pipelines/engines/errors.py."""

import base64
import json
import re

from pipelines.engines.engine import DOCS, Engine
from shards.errors import UserError

_MARK = re.compile(r"corpusmill-error:([A-Za-z0-9+/=]+);")


def wire(error: UserError) -> RuntimeError:
    """The error in a form that comes through an engine's own wrapping, and over a home that is not
    shared."""
    packed = base64.b64encode(
        json.dumps([error.what, error.hint, error.exit_code]).encode()
    ).decode()
    return RuntimeError(f"{error.what} corpusmill-error:{packed};")


_GONE = r"StatusCode\.UNAVAILABLE|failed to connect to all addresses|Socket closed|Connection reset|Connection refused|Cannot invoke RPC"
"""Only what the driver itself met: in a job server's log such lines are ordinary."""

_FRAME = re.compile(r"\s*(at )?[\w.$/<>]+\([\w.]+(:\d+)?\)\s*$")
"""A line of Java's stack."""

_KNOWN: tuple[tuple[str, str, str], ...] = (
    (
        r"No module named '?(?:pipelines|corpora|shards|trainer|apache_beam)\b",
        "a worker's Python lacks the package",
        "install corpusmill in the worker image, or in the Python that the worker pool and boot program start, as the submitter has it",
    ),
    (
        r"InvalidClassException|local class incompatible|All masters are unresponsive|serialVersionUID|NoSuchMethodError: .*spark|NoClassDefFoundError: org/apache/spark",
        "the cluster's Spark is not of the jar's minor version",
        "use a cluster of Spark 3.5, or build the jar with the cluster's version (spark.version in the pom)",
    ),
    (
        r"Cannot call methods on a stopped SparkContext",
        "the cluster did not take the application, or ended it",
        "is its Spark of the jar's minor version (3.5)? The master's log says more (InvalidClassException where it is not)",
    ),
    (
        _GONE,
        "the job server has gone",
        "see its log, start it again, and run the same command: what is done is kept",
    ),
    (
        r"Only one SparkContext",
        "the job server is still at work on another job",
        "wait for that job, or start the job server again: it holds one job at a time",
    ),
    (
        r"Task \d+ in stage [\d.]+ failed \d+ times",
        "a task failed as often as Spark tries",
        "see the executor's log; allow more tries by local[N,4] or spark.task.maxFailures, and run the same command again: what is done is kept",
    ),
)


def explain(error: BaseException, engine: Engine, log: list[str]) -> UserError:
    """What an engine's error means to the user; `log`: the last lines of the job server, where we
    have them."""
    text = f"{type(error).__name__}: {error}"
    found = _MARK.search(text) or next(
        (match for line in reversed(log) if (match := _MARK.search(line))), None
    )
    if found:
        what, hint, exit_code = json.loads(base64.b64decode(found[1]))
        return UserError(what, hint, exit_code)
    lines_of_log = "\n".join(log)
    for pattern, what, hint in _KNOWN:
        match = re.search(pattern, text) or (
            re.search(pattern, lines_of_log) if pattern != _GONE else None
        )
        if match:
            line = match.string[match.start() :].splitlines()[0]
            return UserError(f"{engine.runner}: {what}: {line[:200]}", f"{hint}; {DOCS}", 3)
    lines = [
        line.strip() for line in str(error).splitlines() if line.strip() and not _FRAME.match(line)
    ] or [type(error).__name__]
    return UserError(
        f"{engine.runner}: {lines[-1][:300]}",
        f"see the engine's log, and run the same command again: what is done is kept; {DOCS}",
        1,
    )
