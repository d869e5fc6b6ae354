"""Workers, executors, servers and drivers that die or stand still, and what a user can get wrong on
a cluster: a verdict within two minutes, one line with the remedy, and after it the same command
completes the build with the same bytes.

Those on Spark need its environment and jar (tests/engines/tools.py makes them) and are long; the
others run everywhere.
"""

import contextlib
import hashlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from engines import cluster
from engines.tools import ROOT, Missing, Tools, other_spark, tools

VERDICT_S = 120.0
RUN_S = 400.0
FN_API = "apache_beam.runners.portability.fn_api_runner.FnApiRunner"
MULTI = [f"--runner={FN_API}", "--direct_running_mode=multi_processing", "--direct_num_workers=2"]
Corpus = Callable[..., tuple[int, str, str]]

RECIPE = """
[sources.mine]
kind = "gated:source"
input = "{folder}/in/*.txt"
slice_bytes = 1
[tokenizer]
vocab_size = 600
[shards]
shard_tokens = 30000
"""


@pytest.fixture(scope="session")
def made() -> Tools:
    try:
        return tools()
    except Missing as error:
        pytest.skip(str(error))


def of_this_python() -> Tools:
    """For the tests that need nothing but this environment."""
    return Tools(python=Path(sys.executable), pyspark=Path(), jar=Path(), prism=Path(), boot=Path())


@dataclass(frozen=True)
class Job:
    """`corpus` over texts with a gate. `env`: of every process of the test."""

    folder: Path
    tools: Tools
    env: dict[str, str]
    mark: str

    @property
    def home(self) -> Path:
        return self.folder / "home"

    def start(self, *arguments: str) -> "subprocess.Popen[bytes]":
        """`corpus ingest` with these options, into the test's home; its output in log."""
        command = [
            str(self.tools.python),
            "-m",
            "pipelines.cli",
            "ingest",
            str(self.folder / "recipe.toml"),
            "--home",
            str(self.home),
            *arguments,
        ]
        with open(self.folder / "log", "wb") as log:
            return subprocess.Popen(
                command,
                env=self.env,
                cwd=self.folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def end(
        self, process: "subprocess.Popen[bytes]", seconds: float = VERDICT_S
    ) -> tuple[int, str]:
        """(exit code, what it said), within so long."""
        try:
            code = process.wait(seconds)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            raise AssertionError(f"no verdict within {seconds:.0f} s: {self.said()}") from None
        return code, self.said()

    def run(self, *arguments: str, seconds: float = VERDICT_S) -> tuple[int, str]:
        return self.end(self.start(*arguments), seconds)

    def said(self) -> str:
        return (self.folder / "log").read_text("utf-8", "replace")

    def close_gate(self) -> None:
        (self.folder / "GATE").touch()

    def open_gate(self) -> None:
        (self.folder / "GO").touch()

    def reached(self, process: "subprocess.Popen[bytes]", seconds: float = 90.0) -> tuple[int, int]:
        """(pid of the worker, pid of its child) that stand before the gate."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            found = list(self.folder.glob("reached-*"))
            if found:
                _, worker, child = found[0].name.split("-")
                return int(worker), int(child)
            assert process.poll() is None, self.said()
            time.sleep(0.05)
        raise AssertionError(f"nobody came to the gate: {self.said()}")


def digest(home: Path) -> str:
    state = hashlib.blake2b()
    for path in sorted((home / "shards").iterdir()):
        state.update(path.name.encode() + path.read_bytes())
    return state.hexdigest()


@contextlib.contextmanager
def new_job(folder: Path, texts: Path, made: Tools) -> Iterator[Job]:
    """A job, and at the end a look for processes that it left."""
    (folder / "in").mkdir()
    for number, path in enumerate(sorted(texts.iterdir())[1:]):
        (folder / "in" / ("gate.txt" if number == 3 else path.name)).write_bytes(
            path.read_bytes()[:15_000]
        )
    (folder / "recipe.toml").write_text(RECIPE.format(folder=folder))
    mark = cluster.new_mark()
    try:
        yield Job(folder, made, cluster.environment(made, mark), mark)
    finally:
        left = cluster.wait_none(mark)
        cluster.kill_marked(mark)
    assert not left, left


@pytest.fixture
def job(tmp_path: Path, some_novels: Path) -> Iterator[Job]:
    with new_job(tmp_path, some_novels, of_this_python()) as found:
        yield found


@pytest.fixture
def spark_job(tmp_path: Path, some_novels: Path, made: Tools) -> Iterator[Job]:
    with new_job(tmp_path, some_novels, made) as found:
        yield found


def completes(job: Job) -> None:
    """The build in memory over this home equals the undisturbed one; the home is whole and nothing
    is left in it."""
    job.open_gate()

    def corpus(*arguments: object) -> str:
        command = [str(job.tools.python), "-m", "pipelines.cli", *map(str, arguments)]
        env = {name: value for name, value in job.env.items() if name != cluster.MARK}
        done = subprocess.run(
            command,
            env=env,
            cwd=job.folder,
            capture_output=True,
            text=True,
            timeout=VERDICT_S,
            stdin=subprocess.DEVNULL,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    recipe = job.folder / "recipe.toml"
    corpus("build", recipe, "--home", job.home, "--workers", 1)
    corpus("build", recipe, "--home", job.folder / "undisturbed", "--workers", 1)
    assert digest(job.home) == digest(job.folder / "undisturbed")
    corpus("verify", job.home)
    assert corpus("clean", job.home, "--dry-run") == ""


def one_line(said: str, *wanted: str) -> None:
    """Exactly one error with one hint, no traceback, and these words in them."""
    assert "Traceback" not in said, said
    errors = [line for line in said.splitlines() if line.startswith("error: ")]
    hints = [line for line in said.splitlines() if line.startswith("hint: ")]
    assert len(errors) == 1 and len(hints) == 1, said
    for words in wanted:
        assert words in errors[0] + "\n" + hints[0], said


def documents(home: Path) -> int:
    return sum(
        json.loads(path.read_text())["counts"]["documents"]
        for path in (home / "summaries" / "ingest" / "mine").glob("*.json")
    )


# everywhere


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (
            ["--runner=PortableRunner", "--job_endpoint=localhost:9"],
            ("--job_endpoint=localhost:9: no job server answers", "java -jar JAR"),
        ),
        (["--runner", "PortableRunner"], ("no --job_endpoint", "HOST:PORT")),
        (
            ["--runner=SparkRunner", "--spark_master_url=spark://localhost:9"],
            ("spark://localhost:9: no Spark master answers", "start it"),
        ),
        (
            ["--runner=SparkRunner", "--spark_job_server_jar=/nowhere/a.jar"],
            ("/nowhere/a.jar: no such file", "docs/spark.md"),
        ),
        (
            [
                "--runner=SparkRunner",
                "--environment_type=EXTERNAL",
                "--environment_config=localhost:9",
            ],
            ("localhost:9: no worker pool answers", "worker_pool_main --service_port"),
        ),
    ],
    ids=["no job server", "no endpoint", "no master", "no jar", "no pool"],
)
def test_what_is_not_there_is_said_before_it_is_waited_for(
    options: list[str], words: tuple[str, ...], job: Job, corpus: Corpus
) -> None:
    if (
        not shutil.which("java")
        and "SparkRunner" in options[0]
        and "spark_master_url" not in options[1]
    ):
        words = ("java: not found", "Java 17")
    started = time.monotonic()
    code, _, err = corpus("ingest", job.folder / "recipe.toml", "--home", job.home, *options)
    assert code in (2, 3) and time.monotonic() - started < 30
    one_line(err, *words)


def test_a_worker_that_stands_still_ends_the_job(job: Job) -> None:
    """The engine would wait for ever; the deadline is on what the workers say."""
    job.close_gate()
    job.env["CORPUSMILL_ENGINE_STALL_S"] = "12"
    process = job.start(*MULTI)
    worker, _ = job.reached(process)
    stopped = [pid for pid, command in cluster.marked(job.mark) if "sdk_worker_main" in command]
    assert worker in stopped
    for pid in stopped:
        os.kill(pid, signal.SIGSTOP)
    code, said = job.end(process)
    assert code == 1
    one_line(
        said,
        "FnApiRunner: no worker has made progress for 12 s: the job is ended",
        "run the same command again to resume",
    )
    cluster.kill_marked(job.mark)
    completes(job)


def test_a_worker_that_dies_where_the_engine_does_not_try_again(job: Job) -> None:
    """FnApiRunner's own worker processes: the job is lost, and what is done is kept."""
    job.close_gate()
    process = job.start(*MULTI)
    worker, _ = job.reached(process)
    os.kill(worker, signal.SIGKILL)
    code, said = job.end(process)
    assert code == 1
    ours = [
        line for line in said.splitlines() if line.startswith(("error: ", "hint: "))
    ]  # the other worker's trace is Beam's
    one_line(
        "\n".join(ours),
        (
            "FnApiRunner: Worker subprocess exited with return code 137: this engine tries no "
            "task again"
        ),
        "run the same command again",
    )
    cluster.kill_marked(job.mark)
    completes(job)


# on Spark


def process_environment(job: Job) -> list[str]:
    return [*cluster.process_options(job.tools, job.folder), "--sdk_worker_parallelism=2"]


@pytest.mark.long
@pytest.mark.parametrize("victim", ["worker", "child"])
def test_a_python_worker_or_its_child_is_killed(victim: str, spark_job: Job) -> None:
    job = spark_job
    job.close_gate()
    process = job.start(*cluster.spark_options(job.tools, "local[2,4]"), *process_environment(job))
    worker, child = job.reached(process)
    job.open_gate()
    os.kill(worker if victim == "worker" else child, signal.SIGKILL)
    code, said = job.end(process, RUN_S)
    assert code == 0 and documents(job.home) == 8, said
    completes(job)


@pytest.mark.long
def test_an_executor_is_killed(spark_job: Job) -> None:
    job = spark_job
    job.close_gate()
    with cluster.standalone(job.tools, job.env, job.folder / "cluster") as found:
        process = job.start(
            *cluster.spark_options(job.tools, found.master), *process_environment(job)
        )
        job.reached(process)
        (executor,) = [
            pid
            for pid, command in cluster.marked(job.mark)
            if "CoarseGrainedExecutorBackend" in command
        ]
        os.kill(executor, signal.SIGKILL)
        job.open_gate()
        code, said = job.end(process, RUN_S)
        assert code == 0 and documents(job.home) == 8, said
    completes(job)


@pytest.mark.long
def test_a_spark_worker_stands_still(spark_job: Job) -> None:
    job = spark_job
    job.close_gate()
    job.env["CORPUSMILL_ENGINE_STALL_S"] = "30"
    process = job.start(*cluster.spark_options(job.tools, "local[2,4]"), *process_environment(job))
    worker, _ = job.reached(process)
    stopped = [
        pid for pid, command in cluster.marked(job.mark) if "sdk_worker_main" in command
    ]  # not the driver, whose options name it
    assert worker in stopped
    for pid in stopped:
        os.kill(pid, signal.SIGSTOP)
    code, said = job.end(process)
    assert code == 1
    one_line(said, "SparkRunner: no worker has made progress for 30 s: the job is ended")
    cluster.kill_marked(job.mark)
    completes(job)


@pytest.mark.long
@pytest.mark.parametrize("place", ["local", "standalone"])
def test_the_driver_is_killed(place: str, spark_job: Job) -> None:
    """Its job server and Spark in it go too, on a cluster the application's executors, and the
    workers of either; the same command completes the stage."""
    job = spark_job
    job.close_gate()
    with contextlib.ExitStack() as stack:
        master = "local[2,4]"
        if place == "standalone":
            master = stack.enter_context(
                cluster.standalone(job.tools, job.env, job.folder / "cluster")
            ).master
        options = [*cluster.spark_options(job.tools, master), *process_environment(job)]
        process = job.start(*options)
        job.reached(process)
        process.kill()
        process.wait()
        assert cluster.wait_none(job.mark, 20.0, but="org.apache.spark.deploy.") == []
        job.open_gate()
        code, said = job.run(*options, seconds=RUN_S)
        assert code == 0 and documents(job.home) == 8, said
    completes(job)


@pytest.mark.long
@pytest.mark.parametrize("known", [True, False], ids=["version known", "version not known"])
def test_a_cluster_of_another_spark(known: bool, spark_job: Job) -> None:
    """Its executors drop what they are told and wait: Spark 3.4 says so in their log alone."""
    job = spark_job
    try:
        other = replace(job.tools, pyspark=other_spark())
    except Missing as error:
        pytest.skip(str(error))
    with cluster.standalone(
        other, {**job.env, "SPARK_HOME": str(other.pyspark)}, job.folder / "cluster"
    ) as found:
        job.env["SPARK_MASTER_WEBUI_PORT"] = str(found.page if known else cluster.free_port())
        options = [
            option
            for option in cluster.spark_options(job.tools, found.master)
            if "extraClassPath" not in option
        ]
        started = time.monotonic()
        code, said = job.run(*options, *process_environment(job))
    assert code == 3
    if known:
        one_line(
            said,
            "the cluster has Spark 3.4.4",
            "has 3.5.0",
            "use a cluster of Spark 3.5, or build the jar with the cluster's version",
        )
        assert time.monotonic() - started < 30
    else:
        one_line(
            said,
            "no worker has begun within 110 s",
            "executors with free cores, of Spark 3.5 as the jar has it",
        )
        (log,) = (job.folder / "cluster").glob("work/*/*/stderr")
        assert "ERROR Inbox: Ignoring error\njava.io.EOFException" in log.read_text()
    completes(job)


@pytest.mark.long
def test_a_job_server_dies(spark_job: Job) -> None:
    job = spark_job
    job.close_gate()
    with contextlib.ExitStack() as stack:
        pool = stack.enter_context(cluster.worker_pool(job.tools, job.env, job.folder / "pool.log"))
        endpoint, server = stack.enter_context(
            cluster.job_server(job.tools, job.env, job.folder / "server", "local[2,4]")
        )
        process = job.start(
            "--runner=PortableRunner",
            f"--job_endpoint={endpoint}",
            "--environment_type=EXTERNAL",
            f"--environment_config={pool}",
        )
        job.reached(process)
        server.kill()
        code, said = job.end(process)
        assert code in (1, 3)
        one_line(
            said,
            "PortableRunner: the job server has gone",
            "run the same command again to resume",
        )
    cluster.kill_marked(job.mark)
    completes(job)


def with_pool(job: Job, env: dict[str, str], before: tuple[str, ...] = ()) -> tuple[int, str]:
    """`corpus ingest` on Spark with the workers of a pool of such an environment."""
    with cluster.worker_pool(job.tools, env, job.folder / "pool.log", before) as pool:
        return job.run(
            *cluster.spark_options(job.tools, "local[2,4]"),
            "--environment_type=EXTERNAL",
            f"--environment_config={pool}",
        )


@pytest.mark.long
def test_a_pool_without_the_package(spark_job: Job) -> None:
    job = spark_job
    code, said = with_pool(job, {**job.env, "PYTHONPATH": ""})
    assert code == 3
    one_line(
        said,
        "SparkRunner: a worker's Python lacks the package: No module named 'pipelines'",
        "install corpusmill in the worker image",
    )
    completes(job)


@pytest.mark.long
def test_a_pool_without_beam(spark_job: Job) -> None:
    """Its workers die at once and say so in the pool's log alone."""
    job = spark_job
    (job.folder / "bin").mkdir()
    (job.folder / "bin" / "python").symlink_to("/bin/false")
    code, said = with_pool(job, {**job.env, "PATH": f"{job.folder / 'bin'}:{job.env['PATH']}"})
    assert code == 3
    one_line(
        said,
        "SparkRunner: no worker has begun within 110 s: the job is ended",
        "whose Python has corpusmill and this apache-beam",
    )
    cluster.kill_marked(job.mark)
    completes(job)


@pytest.mark.long
def test_a_pool_of_another_version(spark_job: Job) -> None:
    job = spark_job
    other = job.folder / "other"
    for name in ("corpora", "pipelines", "shards"):
        shutil.copytree(ROOT / name, other / name)
    path = other / "shards" / "version.py"
    path.write_text(re.sub(r'__version__ = ".*"', '__version__ = "0.0.1"', path.read_text()))
    code, said = with_pool(job, {**job.env, "PYTHONPATH": f"{other}:{ROOT / 'tests' / 'helpers'}"})
    assert code == 3
    one_line(said, "has corpusmill 0.0.1, the submitter", "one constraints file for both")
    completes(job)


@pytest.mark.long
@pytest.mark.skipif(os.geteuid() != 0, reason="only root can mount")
def test_a_home_that_workers_do_not_share(spark_job: Job) -> None:
    """The pool sees an empty disk where the submitter sees the home."""
    job = spark_job
    job.home.mkdir()
    before = (
        "unshare",
        "--mount",
        "sh",
        "-c",
        f'mount -t tmpfs tmpfs {job.home} && exec "$@"',
        "sh",
    )
    code, said = with_pool(job, job.env, before)
    assert code == 3
    one_line(
        said, "this is not the submitter's folder", "put the home on a disk that all workers share"
    )
    completes(job)
