"""Shards: random windows per second against numpy memmap and `datasets`; MB/s from documents to
shards.

Reads: windows of 512 tokens at offsets keyed by a seed, each copied into a row of a batch, from 50
M tokens in five files, warm in the page cache. `datasets` holds the same tokens as rows of 512 in
an Arrow file of its own, numpy format, and reads whole rows: the easier task. Targets: at least 1x
memmap, at least 20x `datasets`.

Documents to shards: stage `tokenize` (sentences, tokens, shards, manifest) of the 24 novels, twice
over (or `--copies`), with 1 and 2 workers, the children already there as they are in a build;
beside it
`tokenizers.encode_batch_fast` alone on the same sentences, with as many threads, which splits no
sentence and writes no file; a pool as Megatron-LM's `preprocess_data.py` has it (each process
splits and encodes documents, the parent writes them); `datasets.map`, which encodes whole
documents; and, where `--datatrove PYTHON` names an interpreter that has it, datatrove's
`DocumentTokenizer`. The peers always have two copies: their rates do not grow with the text.

    python benchmarks/bench_shards.py [--rounds N] [--only reads|build] [--workers 1 2]
                                      [--copies N] [--datatrove PYTHON]
"""

import argparse
import itertools
import json
import logging
import multiprocessing
import os
import random
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

sys.path.insert(0, str(Path(__file__).parent.parent))

import shards
from benchmarks.common import Variant, compare
from shards.format import TOKENIZER, token_schema
from shards.manifest import Manifest, ShardEntry, TokenizerInfo, write_manifest
from shards.storage import files
from shards.writer import token_batch, write_shard

if TYPE_CHECKING:
    from tokenizers import Tokenizer

    from pipelines.stages.job import Job

WINDOW = 512
BATCH = 32
NUM_FILES = 5
TOKENS_A_FILE = 10_000_000
VOCAB_SIZE = 50_265
READS = 200_000
DATASETS_READS = 4_000
COPIES = 2
"""Of each novel, so that a round takes seconds."""
DATA = Path(
    os.environ.get("CORPUSMILL_TEST_DATA", Path(__file__).parent.parent.parent / "shared" / "data")
)

Offsets = list[tuple[int, int]]
"""(file, first token) of each window."""


def synthetic_corpus(folder: str) -> None:
    """A shards folder of `NUM_FILES` files of random ids, in documents of 600 tokens and sentences
    of 20."""
    files.write_bytes(files.join(folder, TOKENIZER), b"{}")
    digest = files.digest(files.join(folder, TOKENIZER))
    entries: list[ShardEntry] = []
    for number in range(NUM_FILES):
        generator = np.random.Generator(np.random.Philox(key=number))
        tokens = generator.integers(5, VOCAB_SIZE, TOKENS_A_FILE, dtype=np.uint16)
        ends = np.append(np.arange(0, TOKENS_A_FILE, 600), TOKENS_A_FILE).astype(np.int64)
        sentence_ends = (ends + 19) // 20
        sentences = np.full(int(sentence_ends[-1]), 20, np.uint32)
        ids = pa.array([f"{number:08x}{row:024x}" for row in range(len(ends) - 1)], pa.string())
        batch = token_batch(ids, tokens, ends, sentences, sentence_ends, token_schema("uint16"))
        entries.append(
            write_shard(
                folder, f"train-random-{number:05d}.arrow", batch, "train", "random", digest
            )
        )
    info = TokenizerInfo(
        digest=digest, vocab_size=VOCAB_SIZE, special={}, lossless=True, whitespace="space"
    )
    write_manifest(
        folder,
        Manifest(
            created_by={}, recipe_digest="", tokenizer=info, dtype="uint16", shards=tuple(entries)
        ),
    )


def keyed_offsets(count: int, seed: int) -> Offsets:
    """Windows anywhere in the corpus; the same ones for the same seed."""
    generator = np.random.Generator(np.random.Philox(key=seed))
    return list(
        zip(
            generator.integers(0, NUM_FILES, count).tolist(),
            generator.integers(0, TOKENS_A_FILE - WINDOW, count).tolist(),
        )
    )


def read_windows(arrays: list[NDArray[Any]], offsets: Offsets) -> NDArray[Any]:
    """Copy each window into the next row of a batch, as a loader does; the last batch."""
    batch = np.zeros((BATCH, WINDOW), np.uint16)
    row = 0
    for file, offset in offsets:
        batch[row] = arrays[file][offset : offset + WINDOW]
        row = (row + 1) % BATCH
    return batch


def read_rows(dataset: Any, offsets: Offsets) -> NDArray[Any]:
    """The same with rows of a `datasets.Dataset` that holds the tokens in rows of `WINDOW`."""
    batch = np.zeros((BATCH, WINDOW), np.uint16)
    row = 0
    for file, offset in offsets:
        batch[row] = dataset[(file * TOKENS_A_FILE + offset) // WINDOW]["tokens"]
        row = (row + 1) % BATCH
    return batch


def datasets_copy(folder: str, arrays: list[NDArray[Any]]) -> Any:
    """The tokens as a memory-mapped `datasets.Dataset` in numpy format: batches of 1,000 rows, as
    that library writes them."""
    import datasets

    flat = np.concatenate(arrays)
    flat = flat[: len(flat) // WINDOW * WINDOW]
    address = os.path.join(folder, "datasets.arrow")
    rows = pa.ListArray.from_arrays(
        pa.array(np.arange(0, len(flat) + 1, WINDOW), pa.int32()), pa.array(flat)
    )
    table = pa.table({"tokens": rows})
    with pa.OSFile(address, "wb") as stream, pa.ipc.new_stream(stream, table.schema) as writer:
        writer.write_table(table, max_chunksize=1_000)
    return datasets.Dataset.from_file(address).with_format("numpy")


def bench_reads(rounds: int) -> None:
    """Windows per second."""
    with tempfile.TemporaryDirectory() as folder:
        synthetic_corpus(files.join(folder, "shards"))
        views: list[NDArray[Any]] = [shard.tokens for shard in shards.open(folder)]
        memmaps: list[NDArray[Any]] = []
        for number, view in enumerate(views):
            address = os.path.join(folder, f"{number}.bin")
            view.tofile(address)
            memmaps.append(np.memmap(address, np.uint16, mode="r"))
        dataset = datasets_copy(folder, views)
        offsets = keyed_offsets(READS, 0)
        few = offsets[:DATASETS_READS]
        assert (read_windows(views, offsets) == read_windows(memmaps, offsets)).all()
        compare(
            "window_reads",
            f"windows of {WINDOW} tokens a second",
            [
                Variant(
                    name="shards.open", work=len(offsets), run=lambda: read_windows(views, offsets)
                ),
                Variant(
                    name="numpy memmap",
                    work=len(offsets),
                    run=lambda: read_windows(memmaps, offsets),
                ),
                Variant(
                    name="numpy memmap, asarray",
                    work=len(offsets),
                    run=lambda: read_windows([np.asarray(mapped) for mapped in memmaps], offsets),
                ),
                Variant(
                    name="datasets, numpy format",
                    work=len(few),
                    run=lambda: read_rows(dataset, few),
                ),
            ],
            rounds=rounds,
            packages=("numpy", "pyarrow", "datasets"),
        )


def novels() -> Iterator[tuple[str, bytes]]:
    """(name, text) of the 24 novels of the test data; without it as many made-up ones."""
    archive = DATA / "books" / "english_novels.tar.xz"
    if archive.exists():
        with tarfile.open(archive) as tar:
            for member in tar:
                if member.isfile():
                    content = tar.extractfile(member)
                    assert content is not None
                    yield os.path.basename(member.name), content.read()
        return
    print(f"{archive} is not there: made-up words instead", flush=True)
    draw = random.Random(0)
    words = ["".join(draw.choices("etaoinshrdlu", k=draw.randint(2, 9))) for _ in range(20_000)]
    for number in range(24):
        sentences = (
            " ".join(draw.choices(words, k=draw.randint(5, 30))).capitalize() + "."
            for _ in range(4_000)
        )
        yield f"{number}.txt", "\n".join(sentences).encode()


def bench_build(rounds: int, workers: list[int], copies: int, datatrove: str | None) -> None:
    """MB of documents a second, to shards."""
    from pipelines.adopt import adopt_recipe
    from pipelines.build import ALL, run_stages
    from pipelines.engines import children
    from pipelines.home.layout import TOKENIZE, Home, open_home
    from pipelines.home.summaries import summaries
    from pipelines.recipe import parse_recipe
    from pipelines.stages.encoder import read_tokenizer

    logging.getLogger().setLevel(logging.CRITICAL)  # Beam's warnings are not of our figures
    with tempfile.TemporaryDirectory() as folder:
        os.mkdir(os.path.join(folder, "texts"))
        for name, text in novels():
            for copy in range(copies):
                Path(folder, "texts", f"{copy}-{name}").write_bytes(text)
        home = os.path.join(folder, "home")
        recipe = (
            '[sources.novels]\nkind = "files"\ninput = "texts/*.txt"\nlanguage = "en"\n'
            f"slice_bytes = {2_000_000 * copies}\n[dedup]\nexact = false\nnear = false\n"
        )
        made = parse_recipe(recipe, "recipe", folder)
        # A new home has no slices to compare.
        adopt_recipe(home, made, lambda _: [], lambda _: True, quiet)
        run_stages(job_of(home, 2), tuple(name for name in ALL if name != TOKENIZE))

        def prepare(num_workers: int) -> None:
            for gone in ("shards", "work/tokenize", "summaries/tokenize", "summaries/shards"):
                files.remove(files.join(home, gone))
            # All is done already, so this only brings up the children.
            run_stages(job_of(home, num_workers), ("ingest",))

        prepare(1)
        run_stages(job_of(home, 1), (TOKENIZE,))
        megabytes = (
            sum(summary.counts["bytes"] for summary in summaries(Home(home), TOKENIZE)) / 1e6
        )
        tokenizer = read_tokenizer(files.join(home, "tokenizer", "tokenizer.json"))
        texts = peers_texts(home)
        peers_megabytes = sum(len(text.encode()) for text in texts) / 1e6
        sentences = list(kept_sentences(texts, open_home(home)[1].shards.whitespace))
        # Two files, since datatrove gives each of its processes whole files.
        for number in range(2):
            lines = [json.dumps({"text": text}) + "\n" for text in texts[number::2]]
            Path(folder, f"documents{number}.jsonl").write_text("".join(lines))

        def encode(threads: str) -> None:
            os.environ["TOKENIZERS_PARALLELISM"] = threads
            for begin in range(0, len(sentences), 10_000):
                tokenizer.encode_batch_fast(
                    sentences[begin : begin + 10_000], add_special_tokens=False
                )

        print(
            f"{megabytes:.1f} MB of text; for the peers {peers_megabytes:.1f} MB, "
            f"{len(sentences):,} sentences",
            flush=True,
        )
        for num_workers in workers:
            peers = [
                Variant(
                    name=f"pool as Megatron's, {num_workers} processes",
                    work=peers_megabytes,
                    run=partial(megatron_pool, texts, home, num_workers, f"{folder}/pool.bin"),
                ),
                Variant(
                    name=f"datasets.map, {num_workers} processes",
                    work=peers_megabytes,
                    run=partial(datasets_map, texts, home, num_workers),
                ),
            ]
            if datatrove:
                run = partial(run_datatrove, datatrove, folder, num_workers)
                name = f"datatrove's DocumentTokenizer, {num_workers} processes"
                peers.append(Variant(name=name, work=peers_megabytes, run=run))
            compare(
                f"documents_to_shards_{num_workers}",
                "MB of UTF-8 text a second",
                [
                    Variant(
                        name=f"tokenize --workers {num_workers}",
                        work=megabytes,
                        run=partial(run_stages, job_of(home, num_workers), (TOKENIZE,)),
                        prepare=partial(prepare, num_workers),
                    ),
                    Variant(
                        name=f"encode_batch_fast, {num_workers} threads",
                        work=peers_megabytes,
                        run=partial(encode, "false" if num_workers == 1 else "true"),
                    ),
                    *peers,
                ],
                rounds=rounds,
                packages=("tokenizers", "sentencex", "apache-beam"),
            )
        children.stop()


def job_of(home: str, num_workers: int) -> "Job":
    """A run over a home that holds a recipe; it says nothing."""
    from pipelines.home.layout import open_home
    from pipelines.stages.job import Job

    return Job(*open_home(home), num_workers, (), quiet)


def peers_texts(home: str) -> list[str]:
    """Of the documents that the stage reads, those of the first copies: their files' names begin
    with the number of the copy, so they are the first in order."""
    from pipelines.home.layout import open_home
    from pipelines.look.show import show
    from pipelines.look.wanted import Wanted

    records = show(*open_home(home), Wanted())
    return [record["text"] for record in itertools.islice(records, COPIES * len(list(novels())))]


def kept_sentences(texts: list[str], whitespace: str) -> Iterator[str]:
    """Every sentence that the stage encodes of some documents."""
    from pipelines.stages.sentences import split_texts

    for text in texts:
        array = pa.array([text], pa.large_string())
        yield from split_texts(array, ["en"], whitespace).strings()


# --- peers

tokenizer_of_process: "Tokenizer"
"""Each process of the pool has one."""


def load_tokenizer(home: str) -> None:
    """Read the vocabulary, and let no process use more than one thread."""
    global tokenizer_of_process
    from pipelines.stages.encoder import read_tokenizer

    os.environ["TOKENIZERS_PARALLELISM"] = "false"
    tokenizer_of_process = read_tokenizer(files.join(home, "tokenizer", "tokenizer.json"))


def split_and_encode(text: str) -> list[list[int]]:
    """The ids of each sentence of a document, as Megatron-LM's encoder gives them."""
    import sentencex

    sentences = []
    for paragraph in text.split("\n"):
        sentences += sentencex.segment("en", paragraph)
    return [
        tokenizer_of_process.encode(sentence, add_special_tokens=False).ids
        for sentence in sentences
    ]


def megatron_pool(texts: list[str], home: str, num_workers: int, path: str) -> None:
    """Split and encode in a pool, and write the ids and the lengths of the sentences."""
    context = multiprocessing.get_context("spawn")
    with context.Pool(num_workers, load_tokenizer, (home,)) as pool, open(path, "wb") as stream:
        lengths = []
        for sentences in pool.imap(split_and_encode, texts, 1):
            for ids in sentences:
                stream.write(np.array(ids, np.uint16).tobytes())
                lengths.append(len(ids))
        stream.write(np.array(lengths, np.int32).tobytes())


def encode_rows(rows: dict[str, list[str]]) -> dict[str, list[list[int]]]:
    """Whole documents, in batches, as `datasets.map` is used."""
    found = tokenizer_of_process.encode_batch_fast(rows["text"], add_special_tokens=False)
    return {"input_ids": [encoding.ids for encoding in found]}


def datasets_map(texts: list[str], home: str, num_workers: int) -> None:
    """Encode whole documents with `datasets.map`, into an Arrow file of its own."""
    import datasets

    datasets.disable_progress_bars()
    load_tokenizer(home)
    with tempfile.TemporaryDirectory() as folder:
        table = datasets.Dataset.from_dict({"text": texts})
        table.save_to_disk(folder)
        loaded = datasets.load_from_disk(folder)
        processes = num_workers if num_workers > 1 else None
        loaded.map(
            encode_rows,
            batched=True,
            batch_size=8,
            num_proc=processes,
            remove_columns=["text"],
            load_from_cache_file=False,
        )


DATATROVE = """
import sys
from datatrove.executor import LocalPipelineExecutor
from datatrove.pipeline.readers import JsonlReader
from datatrove.pipeline.tokens import DocumentTokenizer

folder, workers = sys.argv[1], int(sys.argv[2])
LocalPipelineExecutor(
    pipeline=[
        JsonlReader(folder, glob_pattern="documents*.jsonl"),
        DocumentTokenizer(
            output_folder=f"{folder}/datatrove",
            tokenizer_name_or_path=f"{folder}/home/tokenizer/tokenizer.json",
            eos_token=None,
            shuffle_documents=False,
        ),
    ],
    tasks=workers,
    workers=workers,
    skip_completed=False,
    logging_dir=f"{folder}/logs",
).run()
"""


def run_datatrove(python: str, folder: str, num_workers: int) -> None:
    """datatrove's own step in its own interpreter, its start included."""
    environment = {**os.environ, "PYTHONPATH": ""}
    command = [python, "-c", DATATROVE, folder, str(num_workers)]
    subprocess.run(command, env=environment, check=True, capture_output=True)


def quiet(_: str) -> None:
    """Print nothing."""


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="shards: reads and building")
    parser.add_argument("--only", choices=["reads", "build"], help="default: both")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--copies", type=int, default=COPIES, help="of the novels, for ours")
    parser.add_argument("--datatrove", help="an interpreter that has datatrove")
    arguments = parser.parse_args()
    if arguments.only != "build":
        bench_reads(arguments.rounds)
    if arguments.only != "reads":
        bench_build(arguments.rounds, arguments.workers, arguments.copies, arguments.datatrove)
