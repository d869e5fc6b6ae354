"""What it costs a build that its files and folders are flushed to the disk: the same build with and
without `fsync`, in turn, and the seconds inside `fsync` where it is on.

In one process, stage after stage, over inputs of all five corpora; the folder must be on the disk
that is asked about, not in memory.

    python benchmarks/bench_flushes.py [--megabytes N] [--rounds N] [--folder DIR]
"""

import argparse
import json
import os
import shutil
import statistics
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))
sys.path.insert(1, str(Path(__file__).parent.parent / "tests" / "helpers"))

from plain_build import plain_build

from benchmarks.common import RESULTS
from benchmarks.large_inputs import write_inputs


class Clock:
    """Counts the flushes, and the seconds inside them; `on` False leaves them out."""

    def __init__(self) -> None:
        self.flush = os.fsync
        self.on = True
        self.reset()

    def reset(self) -> None:
        """Begin to count."""
        self.flushes = 0
        self.seconds = 0.0

    def __call__(self, descriptor: int) -> None:
        """In place of `os.fsync`."""
        self.flushes += 1
        if self.on:
            start = time.perf_counter()
            self.flush(descriptor)
            self.seconds += time.perf_counter() - start


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--megabytes", type=int, default=30)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--folder", default=None, help="where the homes are built")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=arguments.folder) as folder:
        bench(Path(folder), arguments.megabytes, arguments.rounds)


def bench(folder: Path, megabytes: int, rounds: int) -> None:
    """Print and store the figures."""
    recipe = write_inputs(folder / "inputs", megabytes, "[tokenizer]\nvocab_size = 4000\n")
    clock = Clock()
    os.fsync = clock
    found: dict[str, list[dict[str, float]]] = {"on": [], "off": []}
    for number in range(rounds):
        for name in ("on", "off") if number % 2 == 0 else ("off", "on"):
            clock.on = name == "on"
            found[name].append(one(recipe, folder / "home", clock))
            print(name, found[name][-1], flush=True)

    shares = [each["in_flushes"] / each["wall"] for each in found["on"]]
    print(f"in flushes: {statistics.median(shares):.2%} of the wall time", flush=True)
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "flushes.json").write_text(json.dumps(found, indent=1) + "\n")


def one(recipe: Path, home: Path, clock: Clock) -> dict[str, float]:
    """Build once; seconds of the clock, of the processor and inside flushes, and their number."""
    shutil.rmtree(home, ignore_errors=True)
    os.sync()
    clock.reset()
    wall, processor = time.perf_counter(), time.process_time()
    plain_build(recipe, home)
    return {
        "wall": time.perf_counter() - wall,
        "processor": time.process_time() - processor,
        "in_flushes": clock.seconds,
        "flushes": clock.flushes,
    }


if __name__ == "__main__":
    main()
