"""Spark with two Python workers on an executor against one: stage `ingest` over web archives, by
`corpus ingest` on a standalone cluster of this machine with one executor of 2 cores. The start of
it all, measured on an input of one page, is taken off.

Needs an idle machine, Java 17, Maven and Go; makes its environment and jar as `make matrix` does.

    python benchmarks/bench_spark.py [--rounds N] [--seconds S]
"""

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "tests"), str(ROOT / "tests" / "helpers")]

import archives  # noqa: E402
from engines import cluster  # noqa: E402
from engines.tools import Missing, tools  # noqa: E402

from benchmarks.bench_shards import DATA  # noqa: E402
from benchmarks.common import RESULTS, machine, spread  # noqa: E402

NUM_SLICES = 16


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=8.0, help="of one worker, a slice")
    arguments = parser.parse_args()
    try:
        made = tools()
    except Missing as error:
        sys.exit(f"error: {error}")
    found = sorted(DATA.glob("cc-news/**/2016/09/*.warc.gz"))
    archive = found[0].read_bytes() if found else archives.members(*archives.articles(48))
    mark = cluster.new_mark()
    env = cluster.environment(made, mark)
    with (
        tempfile.TemporaryDirectory() as temporary,
        cluster.standalone(made, env, Path(temporary) / "cluster") as standalone,
    ):
        folder = Path(temporary)

        def ingest(name: str, workers: int) -> float:
            """Seconds of `corpus ingest` over the inputs in a folder."""
            home = folder / "home"
            shutil.rmtree(home, ignore_errors=True)
            recipe = folder / f"{name}.toml"
            recipe.write_text(
                f'[sources.news]\nkind = "cc_news"\ninput = "{folder}/{name}/*.warc.gz"\n'
                "slice_bytes = 1\n"
            )
            command = [
                str(made.python),
                "-m",
                "pipelines.cli",
                "ingest",
                str(recipe),
                "--home",
                str(home),
                *cluster.spark_options(made, standalone.master),
            ]
            command += [
                *cluster.process_options(made, folder),
                f"--sdk_worker_parallelism={workers}",
            ]
            started = time.perf_counter()
            done = subprocess.run(
                command,
                env=env,
                cwd=folder,
                capture_output=True,
                text=True,
                timeout=900,
                stdin=subprocess.DEVNULL,
            )
            if done.returncode:
                sys.exit(done.stderr)
            print(
                (
                    f"  {name}, {workers}: {time.perf_counter() - started:.1f} s; "
                    f"{[line for line in done.stderr.splitlines() if 'worker processes' in line]}"
                ),
                flush=True,
            )
            return time.perf_counter() - started

        for name, slices, copies in (
            ("empty", 2, 0),
            ("full", NUM_SLICES, round(arguments.seconds * 2)),
        ):
            (folder / name).mkdir()
            for number in range(slices):
                content = (
                    archives.members(*archives.articles(1, number))
                    if not copies
                    else archive * copies
                )
                (folder / name / f"{number:02d}.warc.gz").write_bytes(content)
        seconds: dict[int, list[float]] = {1: [], 2: []}
        for _ in range(arguments.rounds):
            for workers, taken in seconds.items():
                start = ingest("empty", workers)
                taken.append(ingest("full", workers) - start)
    ratios = [one / two for one, two in zip(seconds[1], seconds[2])]
    result = {
        "name": "spark",
        "rounds": arguments.rounds,
        "machine": machine(()),
        "seconds": {str(key): value for key, value in seconds.items()},
        "speed_up": spread(ratios),
    }
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "spark.json").write_text(json.dumps(result, indent=1) + "\n")
    ratio = result["speed_up"]
    print(
        f"Spark, 2 Python workers against 1: {ratio['median']:.2f}x [{ratio['min']:.2f} to "
        f"{ratio['max']:.2f}], {machine(())['cores']} cores"
    )  # type: ignore[index]


if __name__ == "__main__":
    main()
