"""The same home on every engine, and one digest: `make matrix`, or

    python tests/engines/matrix.py [--only WORD ...] [--keep FOLDER]

Each row builds the same recipe (news archives, novels, exact dedup, tokenizer, shards) on an engine
of its own into a home of its own, by the command `corpus`. The digest is over the values of every
work file of the whole source; shard files of one set of locked versions must be equal byte for
byte. A row that did not run fails the matrix; only Flink's may say so.
"""

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

TESTS = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(TESTS.parent), str(TESTS), str(TESTS / "helpers")]

from engines import cluster, digest, inputs  # noqa: E402
from engines.tools import ROOT, Missing, Tools, tools  # noqa: E402

DEADLINE_S = 420.0
FN_API = "apache_beam.runners.portability.fn_api_runner.FnApiRunner"


@dataclass(frozen=True)
class Bench:
    """What every row works with. `recipe`: the shared one; `other`: the same inputs in another
    order and cut."""

    folder: Path
    recipe: Path
    other: Path
    tools: Tools
    mark: str

    def home(self, name: str) -> Path:
        """The home of a row."""
        return self.folder / "homes" / name

    def log(self, name: str) -> Path:
        """What a row's commands say."""
        (self.folder / "logs").mkdir(exist_ok=True)
        return self.folder / "logs" / f"{name}.log"

    def env(self) -> dict[str, str]:
        """Of this checkout's own environment."""
        path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
        return {**cluster.environment(self.tools, self.mark), "PATH": path}


class Failed(Exception):
    """A row that did not build its home."""


@dataclass(frozen=True)
class Row:
    """`name`: for files; `versions`: "locked" (this environment) or "spark"; `run`: builds the
    row's home; `processes`: how many worker processes must have had slices of stage `ingest`, where
    that is set."""

    name: str
    engine: str
    versions: str
    run: Callable[[Bench, "Row"], None]
    processes: int | None = None


def run(bench: Bench, row: Row, command: list[str], env: dict[str, str]) -> str:
    """Run one command under a deadline; what it said. Raises `Failed`."""
    with open(bench.log(row.name), "a", encoding="utf-8") as log:
        log.write(f"\n$ {' '.join(command)}\n")
        log.flush()
        begin = log.tell()
        process = subprocess.Popen(
            command,
            env=env,
            cwd=bench.folder,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
        try:
            code = process.wait(DEADLINE_S)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, 9)
            process.wait()
            raise Failed(f"not done within {DEADLINE_S:.0f} s; {bench.log(row.name)}") from None
    said = bench.log(row.name).read_bytes()[begin:].decode("utf-8", "replace")
    if code:
        raise Failed(
            f"exit {code}: {said.strip().splitlines()[-1][:300] if said.strip() else ''}; "
            f"{bench.log(row.name)}"
        )
    return said


def build(
    bench: Bench,
    row: Row,
    *options: str,
    script: tuple[str, ...] = ("-m", "pipelines.cli"),
    recipe: Path | None = None,
) -> None:
    """`corpus build` into the row's home."""
    python, env = (
        (sys.executable, bench.env())
        if row.versions == "locked"
        else (str(bench.tools.python), cluster.environment(bench.tools, bench.mark))
    )
    said = run(
        bench,
        row,
        [
            python,
            *script,
            "build",
            str(recipe or bench.recipe),
            "--home",
            str(bench.home(row.name)),
            *options,
        ],
        env,
    )
    if row.processes is not None:
        found = re.search(r"^ingest: worker processes (\d+)", said, re.MULTILINE)
        if not found or int(found[1]) != row.processes:
            raise Failed(
                f"the slices of ingest were done in {found[1] if found else 'no'} worker "
                f"processes, not {row.processes}"
            )


def in_memory(*options: str) -> Callable[[Bench, Row], None]:
    """The default runner."""
    return lambda bench, row: build(bench, row, *options)


def twice(bench: Bench, row: Row) -> None:
    """Two children of the pool take each slice at once."""
    build(bench, row, "--workers", "2", script=(str(ROOT / "tests" / "engines" / "twice.py"),))


def other_order(bench: Bench, row: Row) -> None:
    """Inputs elsewhere, in another order, cut into other slices."""
    build(bench, row, "--workers", "2", recipe=bench.other)


def prism(bench: Bench, row: Row) -> None:
    """Prism, workers in this process."""
    build(bench, row, "--runner=PrismRunner", f"--prism_location={bench.tools.prism}")


def spark_local(bench: Bench, row: Row) -> None:
    """Spark in the job server's own JVM, workers in the driver's process."""
    build(bench, row, *cluster.spark_options(bench.tools, "local[2,4]"))


def spark_process(bench: Bench, row: Row) -> None:
    """A standalone cluster; executors start Beam's boot program."""
    with _standalone(bench, row) as (master, _):
        options = [
            *cluster.process_options(bench.tools, bench.folder),
            "--sdk_worker_parallelism=2",
        ]
        build(bench, row, *cluster.spark_options(bench.tools, master), *options)


def spark_external(bench: Bench, row: Row) -> None:
    """A standalone cluster; executors ask a worker pool for workers; the job server stands by
    itself."""
    with (
        _standalone(bench, row) as (master, env),
        cluster.worker_pool(bench.tools, env, bench.log(f"{row.name}-pool")) as pool,
    ):
        build(
            bench,
            row,
            *cluster.spark_options(bench.tools, master),
            "--environment_type=EXTERNAL",
            f"--environment_config={pool}",
            "--sdk_worker_parallelism=2",
        )


@contextmanager
def _standalone(bench: Bench, row: Row) -> Iterator[tuple[str, dict[str, str]]]:
    env = cluster.environment(bench.tools, bench.mark)
    with cluster.standalone(bench.tools, env, bench.folder / "clusters" / row.name) as found:
        yield found.master, env


def one_jar(bench: Bench, row: Row) -> None:
    """The whole build as one jar, submitted by pyspark's spark-submit; the same command then checks
    the accounts."""
    env = cluster.environment(bench.tools, bench.mark)
    jar = bench.folder / "build.jar"
    build(
        bench,
        row,
        *cluster.spark_options(bench.tools, "local[2,4]"),
        f"--output_executable_path={jar}",
        *cluster.process_options(bench.tools, bench.folder),
    )
    submit = [
        str(bench.tools.pyspark / "bin" / "spark-submit"),
        "--driver-memory",
        "1g",
        "--master",
        "local[2,4]",
        str(jar),
    ]
    run(bench, row, submit, env)
    jar.unlink()
    if not (bench.home(row.name) / "shards" / "manifest.json").exists():
        raise Failed(f"spark-submit wrote no manifest; {bench.log(row.name)}")
    before = {
        path: path.stat().st_mtime_ns
        for path in (bench.home(row.name) / "documents").rglob("*.parquet")
    }
    build(bench, row)
    if any(path.stat().st_mtime_ns != then for path, then in before.items()):
        raise Failed("the build after the jar did again what the jar had done")


def not_run(why: str) -> Callable[[Bench, Row], None]:
    """A row that nothing here can run."""

    def refuse(bench: Bench, row: Row) -> None:
        raise NotImplementedError(why)

    return refuse


ROWS = (
    Row("pool-1", "FnApiRunner in memory, pool of 1", "locked", in_memory("--workers", "1")),
    Row("pool-2", "FnApiRunner in memory, pool of 2", "locked", in_memory("--workers", "2")),
    Row("twice", "the same, every slice twice at once", "locked", twice),
    Row("order", "the same, other order, other slices", "locked", other_order),
    Row(
        "processes",
        "FnApiRunner multi_processing, 2 workers",
        "locked",
        in_memory(
            f"--runner={FN_API}", "--direct_running_mode=multi_processing", "--direct_num_workers=2"
        ),
        processes=2,
    ),
    Row("prism", "Prism, LOOPBACK", "locked", prism),
    Row("spark-memory", "FnApiRunner in memory, pool of 2", "spark", in_memory("--workers", "2")),
    Row("spark-local", "Spark local[2,4], LOOPBACK", "spark", spark_local),
    Row(
        "spark-process",
        "Spark standalone, PROCESS, 2 a worker",
        "spark",
        spark_process,
        processes=2,
    ),
    Row(
        "spark-external",
        "Spark standalone, EXTERNAL, 2 a worker",
        "spark",
        spark_external,
        processes=2,
    ),
    Row("spark-jar", "Spark, one jar by spark-submit, PROCESS", "spark", one_jar),
    Row("flink", "Flink", "none", not_run("its job server does not resolve from Maven Central")),
)


def versions(python: str) -> str:
    """The versions that a row's environment has, for the table."""
    script = (
        "from importlib.metadata import version, PackageNotFoundError\nimport sys\n"
        "print('Python {}.{}, Beam '.format(*sys.version_info) + version('apache-beam') + ', "
        "pyarrow ' + version('pyarrow'), end='')\n"
        "try:\n    print(', Spark ' + version('pyspark'))\nexcept PackageNotFoundError:\n    "
        "print()\n"
    )
    return subprocess.run(
        [python, "-c", script], capture_output=True, text=True, check=True, timeout=60
    ).stdout.strip()


def main() -> int:
    """Run the rows, print the table; 0 when all that must run ran and agree."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument(
        "--only",
        nargs="*",
        default=[],
        help="rows whose name holds one of these words; the table is then no verdict",
    )
    parser.add_argument(
        "--keep",
        help="a new folder for homes and logs; default one that goes again when all is well",
    )
    arguments = parser.parse_args()
    try:
        made = tools()
    except Missing as error:
        print(f"matrix: {error}", file=sys.stderr)
        return 3
    folder = Path(arguments.keep or tempfile.mkdtemp(prefix="corpusmill-matrix-")).resolve()
    folder.mkdir(parents=True, exist_ok=True)
    recipe = inputs.prepare(folder / "inputs")
    bench = Bench(
        folder,
        recipe,
        inputs.in_another_order(folder / "inputs", folder / "elsewhere"),
        made,
        cluster.new_mark(),
    )
    rows = [
        row
        for row in ROWS
        if not arguments.only or any(word in row.name for word in arguments.only)
    ]
    good = True
    found: dict[str, dict[str, str]] = {}
    lines: list[tuple[str, ...]] = []
    known = {"locked": versions(sys.executable), "spark": versions(str(made.python)), "none": ""}
    for row in rows:
        started = time.monotonic()
        try:
            row.run(bench, row)
            left = cluster.wait_none(bench.mark)
            if left:
                raise Failed(f"processes left: {left}")
            found[row.name] = digest.values(bench.home(row.name))
            shown = digest.one(found[row.name])[:16]
        except NotImplementedError as why:
            good, shown = good and row.name == "flink", f"not run: {why}"
        except (Failed, AssertionError, OSError, subprocess.SubprocessError) as error:
            good, shown = False, f"failed: {error}"
            cluster.kill_marked(bench.mark)
        lines.append(
            (row.engine, known[row.versions], shown, f"{(time.monotonic() - started) / 60:.1f}")
        )
        print(" | ".join(lines[-1]), file=sys.stderr, flush=True)
    print()
    print(table([("engine", "versions", "digest", "minutes"), *lines]))
    good = agree(found) and bytes_agree(bench, [row for row in rows if row.name in found]) and good
    digests = {digest.one(values) for values in found.values()}
    if not arguments.keep and good:
        shutil.rmtree(folder)
    elif not good:
        print(f"homes and logs: {folder}", file=sys.stderr)
    print(f"matrix: {len(found)} engines, {len(digests)} digest{'' if len(digests) == 1 else 's'}")
    return 0 if good else 1


def table(lines: list[tuple[str, ...]]) -> str:
    """Columns, aligned."""
    widths = [max(map(len, column)) for column in zip(*lines)]
    return "\n".join(
        " | ".join(cell.ljust(width) for cell, width in zip(line, widths)).rstrip()
        for line in lines
    )


def agree(found: dict[str, dict[str, str]]) -> bool:
    """Say which values differ from the first row's."""
    if not found:
        return False
    first, *others = found
    good = True
    for name in others:
        different = sorted(
            key
            for key in found[first].keys() | found[name].keys()
            if found[first].get(key) != found[name].get(key)
        )
        if different:
            good = False
            print(f"{name} differs from {first} in: {', '.join(different)}")
    return good


def bytes_agree(bench: Bench, rows: list[Row]) -> bool:
    """Shard files, manifest and vocabulary are the same bytes within each set of versions."""
    good = True
    for kind in ("locked", "spark"):
        of_kind = [row for row in rows if row.versions == kind]
        found = {row.name: digest.shard_bytes(bench.home(row.name)) for row in of_kind}
        for name, digests in found.items():
            first = found[of_kind[0].name]
            if digests != first:
                good = False
                keys = sorted(first.keys() | digests.keys())
                other = [key for key in keys if first.get(key) != digests.get(key)]
                print(f"{name}: other bytes than {of_kind[0].name} in {other}")
        if good and found:
            print(
                f"{len(found)} engines with {kind} versions: "
                f"{len(next(iter(found.values())))} files in shards/ equal byte for byte"
            )
    return good


if __name__ == "__main__":
    sys.exit(main())
