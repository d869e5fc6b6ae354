"""Errors on their way from a worker or an engine to the user.

An engine wraps the error of a worker in its own text, and its own errors are pages of Java. `wire`
packs a `UserError` so that it survives the wrapping; `explain` finds it again in the driver, or
recognises an error of the engine, or else shows the last line of it that is no stack frame.
"""

import base64
import json
import re
from dataclasses import dataclass

from pipelines.engines.engine import DOCS, Engine
from shards.errors import UserError

RESUME = "run the same command again to resume"

_MARK = re.compile(r"corpusmill-error:([A-Za-z0-9+/=]+);")

_FRAME = re.compile(r"\s*(at )?[\w.$/<>]+\([\w.]+(:\d+)?\)\s*$")
"""One line of a Java stack."""


def wire(error: UserError) -> RuntimeError:
    """The error in a form that comes through an engine's own wrapping, for a home that is not
    shared with the driver."""
    content = json.dumps([error.what, error.hint, error.exit_code])
    packed = base64.b64encode(content.encode()).decode()
    return RuntimeError(f"{error.what} corpusmill-error:{packed};")


@dataclass(frozen=True, kw_only=True)
class KnownError:
    """An error of an engine: `pattern` recognises it, `what` and `hint` are for the user.

    `in_log` is False for one that only the driver can meet: the log of a job server may show such
    lines in ordinary work.
    """

    pattern: str
    what: str
    hint: str
    in_log: bool = True


# The patterns are texts of Python, Spark, Java and gRPC, as their logs have them.
_KNOWN = (
    KnownError(
        pattern=r"No module named '?(?:pipelines|corpora|shards|trainer|apache_beam)\b",
        what="a worker's Python lacks the package",
        hint="install corpusmill in the worker image, or in the Python that the worker pool and "
        "boot program start, as the submitter has it",
    ),
    KnownError(
        pattern=r"InvalidClassException|local class incompatible|All masters are unresponsive"
        r"|serialVersionUID|NoSuchMethodError: .*spark|NoClassDefFoundError: org/apache/spark",
        what="the cluster's Spark is not of the jar's minor version",
        hint="use a cluster of Spark 3.5, or build the jar with the cluster's version "
        "(spark.version in the pom)",
    ),
    KnownError(
        pattern=r"Cannot call methods on a stopped SparkContext",
        what="the cluster did not take the application, or ended it",
        hint="check that its Spark is of the jar's minor version (3.5); if it is not, the master's "
        "log has InvalidClassException",
    ),
    KnownError(
        pattern=r"StatusCode\.UNAVAILABLE|failed to connect to all addresses|Socket closed"
        r"|Connection reset|Connection refused|Cannot invoke RPC",
        what="the job server has gone",
        hint=f"see its log, start it again, and {RESUME}",
        in_log=False,
    ),
    KnownError(
        pattern=r"Only one SparkContext",
        what="the job server is still at work on another job",
        hint="wait for that job, or start the job server again: it holds one job at a time",
    ),
    KnownError(
        pattern=r"Task \d+ in stage [\d.]+ failed \d+ times",
        what="a task failed as often as Spark tries",
        hint="see the executor's log; allow more tries by local[N,4] or spark.task.maxFailures, "
        f"and {RESUME}",
    ),
)


def explain(error: BaseException, engine: Engine, log: list[str]) -> UserError:
    """What an engine's error means to the user; `log` has the last lines of the job server, where
    they are known."""
    text = f"{type(error).__name__}: {error}"
    # Of a log the latest line counts: earlier ones may be of a task that was tried again.
    from_worker = _from_worker([text, *reversed(log)])
    if from_worker is not None:
        return from_worker

    for known in _KNOWN:
        match = re.search(known.pattern, text)
        if match is None and known.in_log:
            match = re.search(known.pattern, "\n".join(log))
        if match is not None:
            line = match.string[match.start() :].splitlines()[0]
            what = f"{engine.runner}: {known.what}: {line[:200]}"
            return UserError(what, f"{known.hint}; {DOCS}", 3)

    line = _last_line(str(error)) or type(error).__name__
    return UserError(
        f"{engine.runner}: {line[:300]}", f"see the engine's log, and {RESUME}; {DOCS}", 1
    )


def _from_worker(texts: list[str]) -> UserError | None:
    """The error that a worker packed into the first of the texts that has one."""
    for text in texts:
        match = _MARK.search(text)
        if match:
            what, hint, exit_code = json.loads(base64.b64decode(match[1]))
            return UserError(what, hint, exit_code)
    return None


def _last_line(text: str) -> str:
    """The last line that says something; "" if there is none."""
    for line in reversed(text.splitlines()):
        if line.strip() and not _FRAME.match(line):
            return line.strip()
    return ""
