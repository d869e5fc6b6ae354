"""Stage `near` on real text with seeded mutations, and on many synthetic documents.

    python benchmarks/bench_near.py stage [--documents N] [--rounds N] [--peers PYTHON]
    [--peer-documents N] python benchmarks/bench_near.py memory [--documents N ...] [--workers N]

`stage`: N documents (default 100,000) made of Reuters stories and pieces of novels: a fifth differ
from an earlier one in 2 % of their words, the others in 60 %. Two workers against one, and both
against datatrove's four steps (signatures, buckets, cluster, filter) as shipped, each step with two
tasks at once where it allows them, on the first `--peer-documents` of the same documents (default
all: its first step takes two milliseconds a document and core, or ten). Timed is the stage alone,
from documents to attributes; its files are removed before each round. Targets: 1.7x for two
workers, 10x against datatrove.

`memory`: N documents (default 1, 3 and 10 million) of 24 words each, a fifth of them
near-duplicates: the peak of driver and children together while the stage runs, with what it took.
Target: 10 million on two cores within 4 GB.

PYTHON: an interpreter with `datatrove[processing]`, `xxhash<4` and spacy. Needs an idle machine,
and room below TMPDIR: 1 GB, and 0.7 kB a document for `memory`.
"""

import argparse
import json
import logging
import os
import random
import re
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent.parent))

from benchmarks.bench_minhash import real_texts
from benchmarks.common import RESULTS, Variant, compare, machine
from pipelines.engines import children as engines_children
from pipelines.engines.run import run_stage
from pipelines.home.layout import NEAR, Home, open_home, write_recipe
from pipelines.home.summaries import Summary, summaries, write_summary
from pipelines.recipe import parse_recipe
from pipelines.stages.job import Job
from pipelines.stages.near.groups import DECISION, SCORES
from pipelines.stages.near.stage import STAGE
from shards.storage import files

OUTPUTS = [
    f"{folder}/{stage}"
    for folder in ("work", "summaries")
    for stage in (*(step.name for step in STAGE.passes), DECISION)
] + ["attributes/near"]
SLICE_DOCUMENTS = 20_000


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("what", choices=["stage", "memory"], nargs="?", default="stage")
    parser.add_argument("--documents", type=int, nargs="*")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--peers", help="default: no peer")
    parser.add_argument("--peer-documents", type=int)
    arguments = parser.parse_args()
    logging.disable(logging.CRITICAL)
    with tempfile.TemporaryDirectory() as folder:
        if arguments.what == "stage":
            bench_stage(
                folder,
                (arguments.documents or [100_000])[0],
                arguments.rounds,
                arguments.peers,
                arguments.peer_documents,
            )
        else:
            bench_memory(
                folder, arguments.documents or [1_000_000, 3_000_000, 10_000_000], arguments.workers
            )
    engines_children.stop()


def bench_stage(
    folder: str, count: int, rounds: int, peers: str | None, peer_count: int | None
) -> None:
    """Two workers, one, and datatrove."""
    texts = mutations(count)
    home = make_home(
        files.join(folder, "home"),
        [texts[begin : begin + SLICE_DOCUMENTS] for begin in range(0, count, SLICE_DOCUMENTS)],
    )
    size = sum(len(text.encode()) for text in texts) / 1e6
    print(f"{count:,} documents, {size:.0f} MB")

    def prepare(num_workers: int) -> None:
        run_near(home, num_workers)  # brings up the children, compiled
        clear(home)

    variants = [
        Variant(
            name=f"{number} workers",
            work=count,
            run=partial(run_near, home, number),
            prepare=partial(prepare, number),
        )
        for number in (2, 1)
    ]
    if peers:
        some = texts[: peer_count or count]
        variants.append(
            Variant(
                name="datatrove", work=len(some), run=partial(run_datatrove, peers, folder, some)
            )
        )
    compare(
        "near",
        "documents a second",
        variants,
        rounds=rounds,
        warm=False,
        packages=("apache-beam", "numba", "numpy"),
    )
    removed = sum(summary.counts["removed"] for summary in summaries(home, NEAR))
    print(f"  {removed:,} of {count:,} removed")


def mutations(count: int) -> list[str]:
    """`count` texts of real words: a fifth near an earlier one, the others far from all."""
    draw = random.Random(0)
    bases = [re.findall(r"\S+", text.decode()) for text in real_texts(12.0)]
    vocabulary = sorted({word for base in bases[:2000] for word in base})
    texts: list[str] = []
    sources: list[list[str]] = []
    while len(texts) < count:
        near_duplicate = bool(sources) and draw.random() < 0.2
        words = list(draw.choice(sources) if near_duplicate else draw.choice(bases))
        for place in range(len(words)):
            if draw.random() < (0.02 if near_duplicate else 0.6):
                words[place] = draw.choice(vocabulary)
        if not near_duplicate and len(sources) < 20_000:
            sources.append(words)
        texts.append(" ".join(words))
    return texts


def make_home(root: str, slices: list[list[str]]) -> Home:
    """A home whose only stage done is `ingest`."""
    home = Home(root)
    write_recipe(
        home,
        parse_recipe(
            '[sources.a]\nkind = "files"\ninput = "x"\n[dedup]\nexact = false\n', "recipe", root
        ),
    )
    for number, texts in enumerate(slices):
        write_slice(home, number, texts, sum(map(len, texts)))
    return home


def write_slice(home: Home, number: int, texts: Any, size: int) -> None:
    """The documents of one slice, of `size` bytes of text, in row groups of 5,000."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    name, count = f"{number:06d}", len(texts)
    address = home.documents("a", name)
    columns = {
        "id": pa.array([f"{number:016x}{row:016x}" for row in range(count)]),
        "text": texts if isinstance(texts, pa.Array) else pa.array(texts, pa.large_string()),
        "crawled": pa.nulls(count, pa.timestamp("s", "UTC")),
    }
    with files.open_output(address) as stream:
        pq.write_table(pa.table(columns), stream, compression="zstd", row_group_size=5_000)
    counts = {"records": count, "documents": count, "bytes": size}
    summary = Summary(
        stage="ingest",
        source="a",
        slice=name,
        path=name,
        start=0,
        fingerprint="",
        output=files.digest(address),
        output_bytes=files.size(address),
        counts=counts,
    )
    write_summary(home, summary)


def run_near(home: Home, num_workers: int) -> None:
    """The stage, as a build runs it."""
    _, recipe = open_home(home.root)
    run_stage(Job(home, recipe, num_workers, (), print), STAGE)


def clear(home: Home) -> None:
    """Remove what the stage wrote."""
    for gone in OUTPUTS:
        files.remove(home.file(gone))


def run_datatrove(python: str, folder: str, texts: list[str]) -> None:
    """Its four steps in a process of its own, its texts in two files."""
    data = Path(folder, "datatrove")
    if not data.exists():
        (data / "in").mkdir(parents=True)
        for part in range(2):
            lines = (
                json.dumps({"text": text, "id": str(number)}) + "\n"
                for number, text in enumerate(texts)
                if number % 2 == part
            )
            (data / "in" / f"{part}.jsonl").write_text("".join(lines))
    subprocess.run(
        [python, __file__.replace("bench_near", "peer_near"), str(data)],
        check=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


def bench_memory(folder: str, counts: list[int], num_workers: int) -> None:
    """The memory curve."""
    rows = []
    for count in counts:
        home = synthetic_home(files.join(folder, f"home-{count}"), count)
        engines_children.stop()
        peak, seconds = watched(partial(run_near, home, num_workers))
        removed, compared = (
            sum(summary.counts[key] for summary in summaries(home, stage))
            for stage, key in ((NEAR, "removed"), (SCORES, "compared"))
        )
        work = sum(
            path.stat().st_size for path in Path(home.file("work")).rglob("*") if path.is_file()
        )
        rows.append(
            {
                "documents": count,
                "peak_mb": peak / 1e6,
                "seconds": seconds,
                "removed": removed,
                "compared": compared,
                "work_mb": work / 1e6,
            }
        )
        print(
            (
                f"{count:>12,} documents: peak {peak / 1e6:,.0f} MB, {seconds:,.0f} s, "
                f"{removed:,} removed, {compared:,} pairs compared, work {work / 1e6:,.0f} MB"
            ),
            flush=True,
        )
        files.remove(home.root)
    RESULTS.mkdir(exist_ok=True)
    result = {
        "name": "near_memory",
        "workers": num_workers,
        "machine": machine(("apache-beam", "numba", "numpy")),
        "rows": rows,
    }
    (RESULTS / "near_memory.json").write_text(json.dumps(result, indent=1) + "\n")


def synthetic_home(root: str, count: int) -> Home:
    """Documents of 24 random words of 6 letters; every fifth is the one before it but for the last
    word (Jaccard 0.90)."""
    import numpy as np
    import pyarrow as pa

    home = make_home(root, [])
    draw = np.random.default_rng(0)
    size = 100_000
    for number in range((count + size - 1) // size):
        rows = min(size, count - number * size)
        letters = draw.integers(97, 123, (rows, 24, 7), np.uint8)
        letters[4::5, :23] = letters[3::5, :23][: len(letters[4::5])]
        letters[:, :, 6] = 32
        content, ends = letters.tobytes(), np.arange(rows + 1, dtype=np.int64) * 24 * 7
        texts = pa.LargeStringArray.from_buffers(
            rows, pa.py_buffer(ends.tobytes()), pa.py_buffer(content)
        )
        write_slice(home, number, texts, rows * 24 * 7)
    return home


def watched(run: Callable[[], object]) -> tuple[int, float]:
    """The peak of this process and all below it, in bytes of resident memory (shared pages once for
    each), and seconds."""
    peak, stop = 0, threading.Event()

    def watch() -> None:
        nonlocal peak
        while not stop.wait(0.1):
            peak = max(peak, sum(map(resident, tree(os.getpid()))))

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    start = time.perf_counter()
    run()
    seconds = time.perf_counter() - start
    stop.set()
    thread.join()
    return peak, seconds


def tree(pid: int) -> list[int]:
    """A process and all below it."""
    try:
        children = [
            int(child)
            for task in Path(f"/proc/{pid}/task").iterdir()
            for child in (task / "children").read_text().split()
        ]
    except OSError:
        return []
    return [pid, *(below for child in children for below in tree(child))]


def resident(pid: int) -> int:
    """Bytes of a process in memory, without those of files it maps."""
    try:
        found = re.search(r"RssAnon:\s+(\d+)", Path(f"/proc/{pid}/status").read_text())
    except OSError:
        return 0
    return int(found.group(1)) * 1024 if found else 0


if __name__ == "__main__":
    main()
