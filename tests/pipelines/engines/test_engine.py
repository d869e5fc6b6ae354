"""What is known of an engine without one: options, where work is done, what errors mean, and the
watch over silent jobs."""

import threading
import time
from pathlib import Path

import pytest

from pipelines.engines import engine as engines
from pipelines.engines import watch as watch_module
from pipelines.engines.engine import Engine, engine_of
from pipelines.engines.errors import explain, wire
from pipelines.engines.heartbeat import beating, forget_beats, read_beats
from pipelines.engines.session import Session, check_worker, new_session
from pipelines.engines.watch import Watch
from pipelines.home.layout import Home
from shards.errors import UserError
from shards.storage import files


@pytest.mark.parametrize(
    ("arguments", "runner", "in_process", "shares_process"),
    [
        ([], "FnApiRunner", True, True),
        (
            ["--runner=apache_beam.runners.portability.fn_api_runner.FnApiRunner"],
            "FnApiRunner",
            True,
            True,
        ),
        (
            ["--runner", "FnApiRunner", "--direct_running_mode", "multi_processing"],
            "FnApiRunner",
            False,
            False,
        ),
        (
            ["--runner=FnApiRunner", "--direct-running-mode=multi_threading"],
            "FnApiRunner",
            False,
            True,
        ),
        (["--runner=PrismRunner"], "PrismRunner", False, True),
        (["--runner=SparkRunner"], "SparkRunner", False, True),
        (["--runner=SparkRunner", "--spark_master_url=local[2,4]"], "SparkRunner", False, True),
        (
            ["--runner=SparkRunner", "--spark_master_url=local[2,4]", "--environment_type=PROCESS"],
            "SparkRunner",
            False,
            False,
        ),
        (
            ["--runner=SparkRunner", "--spark_master_url=spark://a:7077"],
            "SparkRunner",
            False,
            False,
        ),
        (["--runner=SparkRunner", "--output_executable_path=a.jar"], "SparkRunner", False, False),
        (
            ["--runner=PortableRunner", "--job_endpoint=a:1", "--environment_type", "LOOPBACK"],
            "PortableRunner",
            False,
            True,
        ),
        (["--runner=DataflowRunner"], "DataflowRunner", False, False),
    ],
)
def test_where_work_is_done(
    arguments: list[str], runner: str, in_process: bool, shares_process: bool
) -> None:
    found = engine_of(arguments)
    assert (found.runner, found.in_process, found.shares_process) == (
        runner,
        in_process,
        shares_process,
    )


def test_children_by_default() -> None:
    from pipelines.commands.work import worker_count
    from pipelines.engines.children import default_workers

    assert worker_count(None, []) == default_workers()
    assert worker_count(None, ["--runner=SparkRunner", "--spark_master_url=spark://a:1"]) == 1
    assert worker_count(3, ["--runner=DataflowRunner"]) == 3


def test_silence_that_is_borne() -> None:
    assert engine_of(["--runner=SparkRunner"]).stall_s == 90.0
    assert engine_of(["--runner=DataflowRunner"]).stall_s == 1200.0


STOPPED = """Pipeline BeamApp-root-1121124122-5b14d5eb failed in state FAILED: \
java.lang.IllegalStateException: Cannot call methods on a stopped SparkContext.
This stopped SparkContext was created at:

org.apache.spark.api.java.JavaSparkContext.<init>(JavaSparkContext.scala:58)
java.base/java.lang.Thread.run(Thread.java:840)

The currently active SparkContext was created at:

org.apache.spark.api.java.JavaSparkContext.<init>(JavaSparkContext.scala:58)
java.base/java.lang.Thread.run(Thread.java:840)
"""
"""What the driver says of a master of Spark 4.0.1, after a minute."""


@pytest.mark.parametrize(
    ("text", "log", "what", "hint"),
    [
        (
            "RuntimeError: ModuleNotFoundError: No module named 'pipelines'\n\nat org.apache",
            [],
            "a worker's Python lacks the package: No module named 'pipelines'",
            "install corpusmill",
        ),
        (
            "Task 0 in stage 1.0 failed 4 times",
            ["x", "ModuleNotFoundError: No module named 'shards'"],
            "lacks the package",
            "install corpusmill",
        ),
        (
            "job failed",
            ["java.io.InvalidClassException: org.apache.spark.rpc; local class incompatible"],
            "not of the jar's minor version",
            "Spark 3.5",
        ),
        (
            "Application has been killed. Reason: All masters are unresponsive! Giving up.",
            [],
            "not of the jar's minor version",
            "Spark 3.5",
        ),
        (
            "<_Rendezvous StatusCode.UNAVAILABLE, details = 'Socket closed'>",
            [],
            "the job server has gone",
            "start it again",
        ),
        (
            "Only one SparkContext should be running in this JVM",
            [],
            "at work on another job",
            "one job at a time",
        ),
        (
            "Task 1 in stage 2.0 failed 1 times, most recent failure",
            ["Connection refused"],
            "a task failed as often as Spark tries",
            "local[N,4]",
        ),
        (
            STOPPED,
            [],
            (
                "the cluster did not take the application, or ended it: Cannot call methods on a "
                "stopped SparkContext."
            ),
            "minor version (3.5)",
        ),
        ("first\nlast line", [], "last line", "again to resume"),
        (
            (
                "java.io.IOException: No space left\n\tat a.b.C$D.run(C.java:1)\n"
                "java.base/java.lang.Thread.run(Thread.java:840)\n"
            ),
            [],
            "No space left",
            "resume",
        ),
        ("", [], "RuntimeError", "again to resume"),
    ],
)
def test_what_an_error_means(text: str, log: list[str], what: str, hint: str) -> None:
    found = explain(RuntimeError(text), Engine("SparkRunner"), log)
    assert found.what.startswith("SparkRunner: ") and what in found.what and hint in found.hint
    assert "\n" not in found.what + found.hint


def test_an_error_comes_through_an_engine() -> None:
    """Whatever wraps it: its words, its remedy and its exit code."""
    error = UserError('a "quoted" thing, ünd more', "a\nhint", 3)
    for text in (
        f"java.lang.RuntimeException: {wire(error)} at java:1\n\tat",
        repr(str(wire(error))),
    ):
        for found in (
            explain(RuntimeError(text), Engine("SparkRunner"), []),
            explain(RuntimeError("failed"), Engine("SparkRunner"), ["a", text]),
        ):
            assert (found.what, found.hint, found.exit_code) == (error.what, error.hint, 3)


def new_home(folder: Path) -> Home:
    return Home(str(folder / "home"))


def test_a_worker_is_checked(tmp_path: Path) -> None:
    home = new_home(tmp_path)
    session = new_session(home, {"lxml"})
    assert new_session(home, {"lxml"}).token == session.token
    check_worker(home.root, session)
    assert {name for name, _ in session.versions} == {
        "Python",
        "corpusmill",
        "apache-beam",
        "pyarrow",
        "tokenizers",
        "lxml",
    }
    older = tuple(
        (name, "0.1" if name == "lxml" else version) for name, version in session.versions
    )
    with pytest.raises(
        UserError, match=r"has lxml [\d.]+, the submitter 0\.1: the output would differ"
    ):
        check_worker(home.root, Session(session.token, "run", "other-1", older))
    with pytest.raises(UserError, match="not the submitter's folder"):
        check_worker(str(tmp_path / "elsewhere"), session)
    assert not (tmp_path / "elsewhere").exists()


def test_beats_tell_what_a_worker_does(tmp_path: Path) -> None:
    home = new_home(tmp_path)
    session = new_session(home, set())
    with beating(home.root, session):
        (first,) = read_beats(home, session)
    (last,) = read_beats(home, session)
    assert (
        last["beat"] > first["beat"]
        and last["worker"] == session.driver
        and len(last["finished"]) == 3
    )
    assert read_beats(home, new_session(home, set())) == []  # another run
    forget_beats(home)
    assert files.list_files(home.file("work", "beats")) == []


def test_a_silent_job_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engines, "STALL_S", 0.5)
    monkeypatch.setattr(watch_module, "BEGIN_S", 0.5)
    monkeypatch.setattr("pipelines.engines.interrupt.abandoned", False)
    monkeypatch.setattr(
        "pipelines.engines.interrupt.interrupted", threading.Event()
    )  # which the command's handler sets
    home = new_home(tmp_path)
    watch = Watch(home, Engine("SparkRunner"), new_session(home, set()))
    started = time.monotonic()
    with pytest.raises(KeyboardInterrupt), watch.over():
        while time.monotonic() < started + 30:
            time.sleep(0.1)
    assert (
        watch.verdict
        and "no worker has begun within 0 s" in watch.verdict.what
        and watch.verdict.exit_code == 3
    )


@pytest.mark.builds
def test_a_job_that_gives_signs_is_not(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engines, "STALL_S", 1.5)
    home = new_home(tmp_path)
    session = new_session(home, set())
    watch = Watch(home, Engine("SparkRunner"), session)
    with watch.over():
        for _ in range(30):
            with beating(home.root, session):
                time.sleep(0.1)
    assert watch.verdict is None
