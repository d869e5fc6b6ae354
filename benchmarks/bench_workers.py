"""The pool: two workers against one, and one against calling `run_task` by hand, on `ingest` and on
`tokenize`.

Four equal slices of about a minute of one worker's work each, so that one worker works for four
minutes. `ingest`: four web archives, each the clean archive of the test data again and again;
`tokenize`: four files of the 24 novels. The children are there before a round begins (their start
is measured apart, and the ratio with it printed too), as is everything that a stage reads. `by
hand`: a loop over `plan` and `run_task` in this process, without Beam and without children.
Targets: two workers at least 1.7x of one; pool and Beam at most 3 % over by hand. Needs an idle
machine.

    python benchmarks/bench_workers.py [--rounds N] [--seconds S] [--only ingest|tokenize]
"""

import argparse
import json
import logging
import os
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

from benchmarks.bench_shards import DATA, job_of, novels, quiet
from benchmarks.common import RESULTS, Variant, compare
from pipelines.adopt import adopt_recipe
from pipelines.build import ALL, run_stages
from pipelines.engines import children
from pipelines.engines.run import run_stage
from pipelines.home.layout import open_home
from pipelines.recipe import parse_recipe
from pipelines.stages import ingest, tokenize
from pipelines.stages.stage import Pass, Stage, run_task
from shards.storage import files

NUM_SLICES = 4


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=62.0, help="of one worker, a slice")
    parser.add_argument("--only", choices=["ingest", "tokenize"], help="default: both")
    parser.add_argument("--pool-only", action="store_true", help="without by hand")
    arguments = parser.parse_args()
    logging.disable(logging.CRITICAL)
    for name, bench in (("ingest", bench_ingest), ("tokenize", bench_tokenize)):
        if arguments.only in (None, name):
            with tempfile.TemporaryDirectory() as folder:
                bench(folder, arguments.seconds, arguments.rounds, not arguments.pool_only)
    children.stop()


def bench_ingest(folder: str, seconds: float, rounds: int, compared: bool) -> None:
    """Archives to documents."""
    archives = sorted(DATA.glob("cc-news/**/2016/09/*.warc.gz"))
    if not archives:
        sys.exit(f"error: no archive in {DATA}/cc-news\nhint: set CORPUSMILL_TEST_DATA")
    archive = archives[0].read_bytes()

    def write(copies: int, slices: int) -> None:
        for number in range(slices):
            with open(files.join(folder, f"{number}.warc.gz"), "wb") as stream:
                for _ in range(copies):
                    stream.write(archive)

    home = files.join(folder, "home")
    adopt(
        home,
        '[sources.news]\nkind = "cc_news"\ninput = "*.warc.gz"\nlanguage = "en"\nslice_bytes = 1\n',
        folder,
    )
    stage, outputs = ingest.STAGE, ["documents", "rejects", "summaries/ingest"]
    write(8, 1)
    by_hand(home, stage)  # starts the parser's child and compiles
    clear(home, outputs)
    copies = round(8 * seconds / timed(partial(by_hand, home, stage)))
    write(copies, NUM_SLICES)
    measure(
        "ingest",
        home,
        stage,
        outputs,
        len(archive) * copies * NUM_SLICES / 1e6,
        rounds,
        compared,
    )


def bench_tokenize(folder: str, seconds: float, rounds: int, compared: bool) -> None:
    """Documents to shards."""
    texts = [text.decode(errors="replace") for _, text in novels()]

    def write(copies: int, slices: int) -> int:
        for number in range(slices):
            with open(files.join(folder, f"{number}.jsonl"), "w") as stream:
                for _ in range(copies):
                    stream.writelines(json.dumps({"text": text}) + "\n" for text in texts)
        return Path(folder, "0.jsonl").stat().st_size

    def adopt_sized(size: int) -> None:
        source = (
            '[sources.novels]\nkind = "files"\ninput = "*.jsonl"\nlanguage = "en"\nslice_bytes = '
            f"{size}\n"
        )
        adopt(
            home,
            source + "[dedup]\nexact = false\nnear = false\n[tokenizer]\nsample_bytes = 20000000\n",
            folder,
        )
        job = job_of(home, children.default_workers())
        run_stages(job, tuple(name for name in ALL if name != stage.name))

    home = files.join(folder, "home")
    stage = tokenize.STAGE
    outputs = ["shards", "work/tokenize", "summaries/tokenize", "summaries/shards"]
    adopt_sized(write(1, 1))
    by_hand(home, stage)  # compiles and loads once
    clear(home, outputs)
    copies = round(seconds / timed(partial(by_hand, home, stage)))
    size = write(copies, NUM_SLICES)
    adopt_sized(size)
    measure(
        "tokenize",
        home,
        stage,
        outputs,
        size * NUM_SLICES / 1e6,
        rounds,
        compared,
    )


def adopt(home: str, recipe: str, folder: str) -> None:
    """Make the recipe the home's."""
    made = parse_recipe(recipe, "recipe", folder)
    # A new home has no slices to compare.
    adopt_recipe(home, made, lambda _: [], lambda _: True, quiet)


def by_hand(home: str, stage: Stage) -> None:
    """The same work as a stage: no Beam, no children."""
    opened = open_home(home)
    for step in stage.passes:
        assert isinstance(step, Pass)
        for task in step.plan(*opened):
            run_task(step, task)
        if step.finish is not None:
            step.finish(*opened)


def measure(
    name: str,
    home: str,
    stage: Stage,
    outputs: list[str],
    megabytes: float,
    rounds: int,
    compared: bool,
) -> None:
    """The three ways in turn; `outputs` are removed before each."""
    idle = files.join(os.path.dirname(home), "idle")
    Path(os.path.dirname(home), "idle.txt").write_text("A home of one text, ingested.")
    adopt(idle, '[sources.one]\nkind = "files"\ninput = "idle.txt"\n', os.path.dirname(home))
    by_hand(idle, ingest.STAGE)

    def run(num_workers: int) -> None:
        run_stage(job_of(home, num_workers), stage)

    def prepare(num_workers: int) -> None:
        # Done already, so it only brings up the children.
        run_stage(job_of(idle, num_workers), ingest.STAGE)
        clear(home, outputs)

    ways = [
        Variant(
            name="2 workers",
            work=megabytes,
            run=partial(run, 2),
            prepare=partial(prepare, 2),
        ),
        Variant(
            name="1 worker",
            work=megabytes,
            run=partial(run, 1),
            prepare=partial(prepare, 1),
        ),
    ]
    if compared:
        ways.append(
            Variant(
                name="by hand",
                work=megabytes,
                run=partial(by_hand, home, stage),
                prepare=partial(clear, home, outputs),
            )
        )
    result = compare(
        f"workers_{name}",
        "MB of input a second",
        ways,
        rounds=rounds,
        warm=False,
        packages=("apache-beam", "pebble"),
    )
    starts = {}
    for num_workers in (1, 2):
        children.stop()
        both = timed(partial(run, num_workers))
        starts[num_workers] = both - timed(partial(run, num_workers))
    seconds = {way: megabytes / row["rate"]["median"] for way, row in result["variants"].items()}
    result["seconds"], result["start_of_the_pool"] = seconds, starts
    if compared:
        result["overhead"] = seconds["1 worker"] / seconds["by hand"] - 1
    result["two_workers_with_start"] = (seconds["1 worker"] + starts[1]) / (
        seconds["2 workers"] + starts[2]
    )
    (RESULTS / f"workers_{name}.json").write_text(json.dumps(result, indent=1) + "\n")
    print("  seconds:", ", ".join(f"{way} {value:.1f}" for way, value in seconds.items()))
    print(
        f"  start of the pool: 1 worker {starts[1]:.2f} s, 2 workers {starts[2]:.2f} s; with "
        f"it two workers are {result['two_workers_with_start']:.2f}x of one"
    )
    if compared:
        print(
            (
                f"  pool and Beam over by hand, slices of {seconds['by hand'] / NUM_SLICES:.0f} "
                f"s: {100 * result['overhead']:+.1f} %"
            ),
            flush=True,
        )


def clear(home: str, outputs: list[str]) -> None:
    """Remove what the stage wrote, so that it is done again."""
    for gone in outputs:
        files.remove(files.join(home, gone))


def timed(run: Callable[[], object]) -> float:
    """Seconds that `run` takes."""
    start = time.perf_counter()
    run()
    return time.perf_counter() - start


if __name__ == "__main__":
    main()
