"""`corpus forget` of one document, one host and 1 % of all, out of a home of all five corpora:
seconds, and the shards that are written anew. Each is compared with a build with the list, file by
file.

    python benchmarks/bench_forget.py [--megabytes N] [--no-compare]
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

import pyarrow.parquet as pq
from tokenizers import ByteLevelBPETokenizer

from benchmarks.common import RESULTS
from benchmarks.large_inputs import sentences, write_inputs
from shards.storage import files

ROOT = Path(__file__).parent.parent

SHARD_TOKENS = 1_000_000


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--megabytes", type=int, default=100)
    parser.add_argument("--no-compare", action="store_true", help="do not build with the lists")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        bench(Path(folder), arguments.megabytes, not arguments.no_compare)


def bench(folder: Path, megabytes: int, compared: bool) -> None:
    """Print and store the figures."""
    # A given vocabulary: one of their own would be trained without the documents.
    vocabulary = folder / "tokenizer.json"
    tokenizer = ByteLevelBPETokenizer()
    tokenizer.train_from_iterator(sentences()[:20_000], vocab_size=8_000, show_progress=False)
    tokenizer.save(str(vocabulary))
    settings = f'[tokenizer]\npath = "{vocabulary}"\n'
    settings += f"[shards]\nshard_tokens = {SHARD_TOKENS}\n"
    recipe = write_inputs(folder / "inputs", megabytes, settings)
    base = folder / "home"
    seconds = corpus("build", recipe, "--home", base)
    ids = documents(base)
    shards = len(list((base / "shards").glob("*.arrow")))
    print(f"built: {len(ids):,} documents, {shards} shards, {seconds:.0f} s", flush=True)

    results: dict[str, object] = {"documents": len(ids), "shards": shards, "build": seconds}
    lists = {"one document": ids[777:778], "one host": ["host3.example"], "1 %": ids[::100]}
    for name, lines in lists.items():
        results[name] = forget(folder, recipe, lines, compared)
        print(name, results[name], flush=True)
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "forget.json").write_text(json.dumps(results, indent=1) + "\n")


def forget(folder: Path, recipe: Path, lines: list[str], compared: bool) -> dict[str, object]:
    """Forget the documents of a list out of a copy of the home; what it took and what differs."""
    home, listed = folder / "copy", folder / "list.txt"
    shutil.rmtree(home, ignore_errors=True)
    shutil.copytree(folder / "home", home)
    listed.write_text("\n".join(lines) + "\n")
    before = written(home)
    found: dict[str, object] = {"seconds": round(corpus("forget", home, listed), 1)}
    after = written(home)
    found["shards"] = sum(after[path] != when for path, when in before.items())
    if not compared:
        return found

    with_list = recipe.with_name("with-list.toml")
    with_list.write_text(f'forget = ["{listed}"]\n{recipe.read_text()}')
    other = folder / "other"
    shutil.rmtree(other, ignore_errors=True)
    found["build"] = round(corpus("build", with_list, "--home", other), 1)
    mine, wanted = digests(home), digests(other)
    found["files"] = len(wanted)
    found["differing"] = sorted(p for p in {*mine, *wanted} if mine.get(p) != wanted.get(p))
    return found


def corpus(*arguments: object) -> float:
    """Run a command; the seconds that it took."""
    start = time.perf_counter()
    command = [sys.executable, "-c", "from pipelines.cli import entry; entry()"]
    command += (
        [*map(str, arguments), "--yes"] if arguments[0] == "build" else [*map(str, arguments)]
    )
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT)
    if done.returncode:
        raise SystemExit(f"corpus {arguments[0]}: exit {done.returncode}\n{done.stderr[-2000:]}")
    return time.perf_counter() - start


def documents(home: Path) -> list[str]:
    """The ids of all documents of a home."""
    found: list[str] = []
    for path in sorted((home / "documents").rglob("*.parquet")):
        found += pq.read_table(path, columns=["id"])["id"].to_pylist()
    return found


def written(home: Path) -> dict[str, int]:
    """When each shard was written."""
    return {path.name: os.stat(path).st_mtime_ns for path in (home / "shards").glob("*.arrow")}


def digests(home: Path) -> dict[str, str]:
    """The digest of each file of a home but for `work/` and what tells of processes."""
    found = {}
    for path, _, _ in files.walk(str(home)):
        if not path.startswith("work/") and path != "lock":
            found[path] = files.digest(files.join(str(home), path))
    return found


if __name__ == "__main__":
    main()
