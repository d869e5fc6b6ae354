"""The engine that a job runs on, seen from outside: what is asked before a job goes out, what a
worker checks and says while it works, and when a silent job is ended.

An engine can wait for ever without a word: for a job server that is not there, for a worker that
stands still. So every port is probed before it is waited for, every worker says every `BEAT_S` that
it lives, by a file below the home, and a job none of whose workers has said anything for `STALL_S`
is ended with a line that says so. A worker ends a child of its own that stands still
(`workers.STALL_S`); this is for the workers themselves.

No Beam here: the options are read as they stand on the command line.
"""

import base64
import importlib.metadata
import json
import os
import re
import secrets
import shlex
import shutil
import signal
import socket
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from pipelines import progress, spark
from pipelines.home import Home, package_versions
from shards import files
from shards.config import UserError

PROBE_S = 5.0
BEAT_S = 10.0
STALL_S = float(os.environ.get("CORPUSMILL_ENGINE_STALL_S", "0"))
"""A job whose workers have said nothing for so long is ended; 0: 90 s, and on Dataflow, whose
machines take minutes to start, 1,200 s."""
BEGIN_S = 110.0
"""What the first word may take at least: the engine starts."""
GRACE_S = 15.0
"""What the driver has to stop in, once a job is ended; then the process is."""
DOCS = "docs/spark.md"

abandoned = False
"""True when a job was ended that may still hold threads of this process: it must then be left
without waiting for them."""


@dataclass(frozen=True)
class Engine:
    """Beam's options, as far as they say where work is done. `options`: names with underscores ->
    values."""

    runner: str
    options: dict[str, str] = field(default_factory=dict)

    @property
    def in_process(self) -> bool:
        """True for the default: one machine, in this process and the children of its pool."""
        return (
            self.runner == "FnApiRunner"
            and self.options.get("direct_running_mode", "in_memory") == "in_memory"
        )

    @property
    def shares_process(self) -> bool:
        """True when the engine's workers are threads of this process, so that they share one pool
        of children."""
        environment = self.options.get("environment_type", "").upper()
        if self.runner == "FnApiRunner":
            return self.options.get("direct_running_mode") != "multi_processing"
        if environment or self.options.get("output_executable_path"):
            return environment == "LOOPBACK"
        if self.runner == "SparkRunner":
            return self._local_master
        if self.runner == "FlinkRunner":
            return self.options.get("flink_master", "[auto]") in ("[auto]", "[local]")
        return self.runner in (
            "PrismRunner",
            "DirectRunner",
            "SwitchingDirectRunner",
            "BundleBasedDirectRunner",
        )

    @property
    def _local_master(self) -> bool:
        return (
            re.match(r"local(\[.+\])?$", self.options.get("spark_master_url", "local[4]"))
            is not None
        )

    @property
    def jar(self) -> str | None:
        """Where the job is to be written as one executable jar, instead of being run."""
        return self.options.get("output_executable_path") or None

    @property
    def starts_java(self) -> bool:
        """True when Beam starts a job server of its own for the job."""
        return (
            self.runner in ("SparkRunner", "FlinkRunner")
            and not self.options.get("job_endpoint")
            and "spark_submit_uber_jar" not in self.options
            and not self.options.get("job_server_java_launcher")
        )

    @property
    def stall_s(self) -> float:
        """Seconds of silence after which a job is ended. Writing a jar of some hundred MB is one
        long silence."""
        if self.jar:
            return 600.0
        return STALL_S or (1200.0 if self.runner == "DataflowRunner" else 90.0)


def engine_of(arguments: list[str]) -> Engine:
    """The engine that a command line's options for Beam name."""
    options = {}
    for argument, following in zip(arguments, [*arguments[1:], "--"]):
        if argument.startswith("--"):
            name, equals, value = argument[2:].partition("=")
            options[name.replace("-", "_")] = (
                value if equals else "" if following.startswith("--") else following
            )
    return Engine(options.get("runner", "FnApiRunner").rpartition(".")[2] or "FnApiRunner", options)


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
    pipelines/java.py starts it, by a script, since Beam takes one name for `java`."""
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


# what the submitter hands to every worker


@dataclass(frozen=True)
class Session:
    """One job. `token`: what the home's work/session holds, so that a worker knows the home for the
    submitter's; `run`: of this job alone; `driver`: "host-pid"; `versions`: of what decides the
    output."""

    token: str
    run: str
    driver: str
    versions: tuple[tuple[str, str], ...]


def new_session(home: Home, packages: set[str]) -> Session:
    """A session for one job over a home; `packages`: distributions that decide the output, besides
    our own."""
    address = home.file("work", "session")
    token = read_token(home)
    if not token:
        token = secrets.token_hex(16)
        files.write_bytes(address, token.encode())
    return Session(token, secrets.token_hex(8), _me(), _versions(tuple(sorted(packages))))


def read_token(home: Home) -> str:
    """What a home's work/session holds; "" where there is none."""
    try:
        return files.read_bytes(home.file("work", "session")).decode()
    except (FileNotFoundError, NotADirectoryError):
        return ""


def _versions(packages: tuple[str, ...]) -> tuple[tuple[str, str], ...]:
    found = [("Python", "{}.{}".format(*sys.version_info))]
    for name in ("corpusmill", "apache-beam", "pyarrow", "tokenizers", *packages):
        try:
            found.append((name, package_versions(name)[name]))
        except importlib.metadata.PackageNotFoundError:
            found.append((name, "none"))
    return tuple(dict.fromkeys(found))


def _me() -> str:
    return f"{socket.gethostname()}-{os.getpid()}"


# in a worker


@lru_cache(maxsize=64)
def check_worker(home_root: str, session: Session) -> None:
    """Is this worker fit for the job? Raises `UserError` (exit 3): its home is another than the
    submitter's, its packages are."""
    if _me() != session.driver:
        progress.board.begin("")
    if read_token(Home(home_root)) != session.token:
        raise UserError(
            f"{home_root}: on the worker {socket.gethostname()} this is not the submitter's folder",
            f"put the home on a disk that all workers share, at one path, or at s3://, gs://, hdfs://; {DOCS}",
            3,
        )
    mine = dict(_versions(tuple(name for name, _ in session.versions if name != "Python")))
    for name, wanted in session.versions:
        if mine[name] != wanted:
            raise UserError(
                f"the worker {socket.gethostname()} has {name} {mine[name]}, the submitter {wanted}: another output",
                f"install the submitter's versions there: one constraints file for both; {DOCS}",
                3,
            )


_beats_lock = threading.Lock()
_beats: dict[tuple[str, Session], int] = {}
_beaten = 0
_beat_thread: threading.Thread | None = None


@contextmanager
def beating(home_root: str, session: Session | None) -> Iterator[None]:
    """Say that this worker lives, now, every `BEAT_S` and at the end of the block."""
    if session is None:
        yield
        return
    begin_beating(home_root, session)
    try:
        yield
    finally:
        end_beating(home_root, session)


def begin_beating(home_root: str, session: Session) -> None:
    """The same for a block that begins and ends in two calls: `end_beating` ends it."""
    global _beat_thread
    with _beats_lock:
        _beats[home_root, session] = _beats.get((home_root, session), 0) + 1
        if _beat_thread is None or not _beat_thread.is_alive():
            _beat_thread = threading.Thread(target=_beat_on, daemon=True)
            _beat_thread.start()
    _beat(home_root, session)


def end_beating(home_root: str, session: Session) -> None:
    """The end of a block that `begin_beating` began."""
    with _beats_lock:
        _beats[home_root, session] -= 1
        if not _beats[home_root, session]:
            del _beats[home_root, session]
    _beat(home_root, session)


def _beat_on() -> None:
    while True:
        time.sleep(BEAT_S)
        with _beats_lock:
            held = list(_beats)
        for home_root, session in held:
            _beat(home_root, session)


def _beat(home_root: str, session: Session) -> None:
    """A file with a number that grows, and with what the board of this process shows."""
    global _beaten
    _beaten += 1
    content = {"beat": _beaten, "worker": _me(), **progress.board.own()}
    try:  # who cannot write here will fail where it matters
        files.write_bytes(
            Home(home_root).file("work", "beats", f"{session.run}-{_me()}.json"),
            json.dumps(content).encode(),
        )
    except OSError:
        return


_MARK = re.compile(r"corpusmill-error:([A-Za-z0-9+/=]+);")


def wire(error: UserError) -> RuntimeError:
    """The error in a form that comes through an engine's own wrapping, and over a home that is not
    shared."""
    packed = base64.b64encode(
        json.dumps([error.what, error.hint, error.exit_code]).encode()
    ).decode()
    return RuntimeError(f"{error.what} corpusmill-error:{packed};")


# in the driver


def read_beats(home: Home, session: Session) -> list[dict[str, Any]]:
    """What the workers of a job said last."""
    found = []
    for address in files.list_files(home.file("work", "beats"), ".json"):
        if address.rsplit("/", 1)[1].startswith(session.run):
            try:
                found.append(json.loads(files.read_bytes(address)))
            except (OSError, ValueError):  # it is being written anew
                continue
    return found


def forget_beats(home: Home) -> None:
    """Remove what the workers of earlier jobs said."""
    files.remove(home.file("work", "beats"))


class Watch:
    """Watches over a job from a thread of its own, since the engine has this one. `verdict`: why
    the job was ended; `said`: what threads of the engine died of; `workers`: who did slices,
    "host-pid"."""

    def __init__(self, home: Home, engine: Engine, session: Session) -> None:
        self.home, self.engine, self.session = home, engine, session
        self.verdict: UserError | None = None
        self.workers: set[str] = set()
        self.said: list[str] = []
        self._stop = threading.Event()

    @contextmanager
    def over(self) -> Iterator[None]:
        """Watch while the block runs; a job that is to end is ended as Ctrl-C ends one, by
        KeyboardInterrupt in the main thread."""
        thread = threading.Thread(target=self._run, daemon=True)
        hook, threading.excepthook = threading.excepthook, self.thread_failed
        thread.start()
        try:
            yield
            threading.excepthook = hook  # after an error Beam's threads go on dying for a while
        finally:
            self._stop.set()
            thread.join(2 * PROBE_S)
            self._look()

    def _look(self) -> list[tuple[str, int]]:
        """What the workers said last, for the display; a mark of it that changes with every
        word."""
        try:
            beats = read_beats(self.home, self.session)
        except OSError:  # a store that is away for a moment: the deadline runs on
            return []
        self.workers |= {beat["worker"] for beat in beats if beat["finished"][0]}
        progress.board.others = [beat for beat in beats if beat["worker"] != _me()]
        return sorted((beat["worker"], beat["beat"]) for beat in beats)

    def _run(self) -> None:
        seen: list[tuple[str, int]] = []
        moved = time.monotonic()
        every = 5.0 if files.is_remote(self.home.root) else 1.0
        while not self._stop.wait(every):
            mark = self._look()
            if mark and mark != seen:
                seen, moved = mark, time.monotonic()
            if time.monotonic() - moved > (
                self.engine.stall_s if seen else max(self.engine.stall_s, BEGIN_S)
            ):
                self._end(self._silence(bool(seen)))
                return

    def _silence(self, began: bool) -> UserError:
        seconds = self.engine.stall_s
        if began:
            return UserError(
                f"{self.engine.runner}: no worker has made progress for {seconds:.0f} s: the job is ended",
                f"see the engine's log for a worker or machine that stands still, end it, and run the same command again: what is done is kept; {DOCS}",
                1,
            )
        return UserError(
            f"{self.engine.runner}: no worker has begun within {max(seconds, BEGIN_S):.0f} s: the job is ended",
            f"are there executors with free cores, {self._of_spark()}and a worker pool or boot program on each, whose Python has corpusmill and this apache-beam? "
            f"Its log says more; {DOCS}",
            3,
        )

    def _of_spark(self) -> str:
        """What the executors' Spark must be, where that can matter: those of another minor version
        wait without a word."""
        if self.engine.runner != "SparkRunner" or self.engine._local_master:
            return ""
        ours = spark.jar_version(self.engine.options.get("spark_job_server_jar", ""))
        return (
            f"of Spark {spark.minor(ours)} as the jar has it, " if ours else "of the jar's Spark, "
        )

    def thread_failed(self, thread: "threading.ExceptHookArgs") -> None:
        """Instead of `threading.excepthook`: Beam's threads print traces of what is reported in one
        line; one of them is the only sign that a worker of FnApiRunner has died, after which that
        waits for ever."""
        self.said.append(f"{thread.exc_type.__name__}: {thread.exc_value}")
        if "Worker subprocess exited" in self.said[-1]:
            verdict = UserError(
                f"{self.engine.runner}: {str(thread.exc_value)[:200]}: this engine tries no task again",
                f"run the same command again: what is done is kept; {DOCS}",
                1,
            )
            threading.Thread(target=self._end, args=(verdict,), daemon=True).start()

    def _end(self, verdict: UserError) -> None:
        global abandoned
        if self._stop.is_set():
            return
        self.verdict, abandoned = verdict, True
        handled = signal.getsignal(signal.SIGTERM)
        signal.pthread_kill(
            threading.main_thread().ident or 0,
            signal.SIGTERM if callable(handled) else signal.SIGINT,
        )
        if not self._stop.wait(GRACE_S):
            print(f"error: {verdict.what}\nhint: {verdict.hint}", file=sys.stderr, flush=True)
            os._exit(verdict.exit_code)


def within(seconds: float, function: Callable[[], object]) -> None:
    """Call a function that may wait for ever, and leave it behind after `seconds`."""

    def call() -> None:
        try:
            function()
        except Exception:  # asked of an engine that is gone, it may raise anything
            return

    thread = threading.Thread(target=call, daemon=True)
    thread.start()
    thread.join(seconds)


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
