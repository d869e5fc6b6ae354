"""A vocabulary of all of a large text: CPU time and memory of counting its words slice by slice,
and of adding them up and training.

The text is the 24 novels again and again, one copy a slice; in each copy a fifth of the novels have
other letters by a key, so that the distinct words grow as those of new books do. Counting is done
by the same tables that `sample_bytes = "all"` uses, in one process; adding up and training in
another. Each says its CPU time without that of making the text, and its peak of memory.

    python benchmarks/bench_vocabulary.py [--megabytes N] [--vocab-size N]
"""

import argparse
import multiprocessing
import os
import random
import resource
import string
import sys
import tempfile
import time
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

sys.path.insert(0, str(Path(__file__).parent.parent))

from benchmarks.bench_shards import novels
from corpora.text.normalise import normalise
from pipelines.stages.bpe import train_from_counts
from pipelines.stages.train_tokenizer import as_encoded
from pipelines.stages.word_counts import ROWS, SCHEMA, WordCounts

SLICE = 64_000_000
"""Bytes of a slice, as the product cuts them by default."""


def changed(text: bytes, key: str) -> bytes:
    """The text with the small letters exchanged among each other, by a key."""
    letters = string.ascii_lowercase
    others = "".join(random.Random(key).sample(letters, len(letters)))
    return text.translate(bytes.maketrans(letters.encode(), others.encode()))


def copy_of(originals: list[tuple[str, bytes]], copy: int) -> list[str]:
    """All novels, a fifth of them with other letters; the first copy is as it was."""
    texts = []
    for number, (name, text) in enumerate(originals):
        is_changed = copy > 0 and (number + copy) % 5 == 0
        texts.append((changed(text, f"{copy} {name}") if is_changed else text).decode())
    return texts


def peak() -> int:
    """The most memory of this process so far, in bytes."""
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def count(folder: str, wanted: int) -> tuple[int, int, float, int]:
    """(slices, bytes, CPU seconds, peak): count words until there is so much text, one file a
    slice."""
    originals = [(name, as_encoded(normalise(text.decode()), "space")) for name, text in novels()]
    encoded = [(name, text.encode()) for name, text in originals]
    slices = size = copy = 0
    taken = 0.0
    while size < wanted:
        words, of_slice = WordCounts(), 0
        while of_slice < SLICE and size + of_slice < wanted:
            texts = pa.array(copy_of(encoded, copy), pa.large_string())
            copy += 1
            of_slice += sum(len(text) for _, text in encoded)
            begin = time.process_time()
            words.add_texts(texts)
            taken += time.process_time() - begin

        begin = time.process_time()
        path = os.path.join(folder, f"{slices:05d}.parquet")
        with pq.ParquetWriter(path, SCHEMA, compression="zstd") as writer:
            for batch in words.batches():
                writer.write_batch(batch)
        taken += time.process_time() - begin
        slices += 1
        size += of_slice
    return slices, size, taken, peak()


def train(folder: str, vocab_size: int) -> tuple[int, int, int, float, float, int]:
    """(words, occurrences, ids, CPU seconds of adding up, of training, peak)."""
    begin = time.process_time()
    words = WordCounts()
    for path in sorted(Path(folder).iterdir()):
        for batch in pq.ParquetFile(path).iter_batches(batch_size=ROWS):
            words.add_batch(batch)
    added = time.process_time()
    found = train_from_counts(words, vocab_size).get_vocab_size()
    trained = time.process_time()
    occurrences = int(words.counts[: words.used].sum())
    return int(words.used), occurrences, found, added - begin, trained - added, peak()


def main(megabytes: int, vocab_size: int) -> None:
    """Print the figures of both steps."""
    context = multiprocessing.get_context("spawn")
    with tempfile.TemporaryDirectory() as folder:
        with context.Pool(1) as pool:
            slices, size, taken, most = pool.apply(count, (folder, megabytes * 1_000_000))
        rate = size / 1e6 / taken
        print(
            f"{size / 1e6:,.0f} MB in {slices} slices counted in {taken:.1f} s of CPU "
            f"({rate:.0f} MB a second), peak {most / 1e6:,.0f} MB",
            flush=True,
        )
        with context.Pool(1) as pool:
            used, all_words, ids, added, trained, most = pool.apply(train, (folder, vocab_size))
        print(
            f"{used:,} distinct of {all_words:,} words added up in {added:.1f} s, {ids:,} ids "
            f"trained in {trained:.1f} s of CPU, peak {most / 1e6:,.0f} MB",
            flush=True,
        )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="a vocabulary of all of a large text")
    parser.add_argument("--megabytes", type=int, default=1000)
    parser.add_argument("--vocab-size", type=int, default=50_265)
    arguments = parser.parse_args()
    main(arguments.megabytes, arguments.vocab_size)
