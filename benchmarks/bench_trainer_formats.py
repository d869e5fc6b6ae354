# ruff: noqa: E402  (the path and the environment come first)
"""The input formats and the masks of words and spans, against numpy and transformers.

    python benchmarks/bench_trainer_formats.py [--rounds 9] [--json FILE]

Ours and the peer take turns in one process on one thread, on the same rows of 512 tokens:

- masking whole words and spans row by row, against the same masks in plain numpy (vectorised where
  numpy can; the search for a free place, row by row);
- masking whole words, against the masking step of transformers' DataCollatorForLanguageModeling
  with `whole_word_mask` (its word ids are ready);
- every format with every mask unit through the loader's thread, in tokens per second of CPU time
  and by the clock, in turns with that step of the collator.

The documents are random, with a vocabulary of 50,000 in which six of ten ids begin a word.
"""

import argparse
import json
import os
import platform
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tests" / "helpers"), str(ROOT / "benchmarks")]
os.environ.setdefault("HF_HUB_OFFLINE", "1")

import numpy as np
import tokenizers
import torch
from bench_trainer_data import BATCHES, NOTHING, B, L, Result, Work, clock, compare
from numpy.typing import NDArray
from trainer_fixtures import random_documents, small_tokenizer, write_shards

from shards.roles import ROBERTA
from trainer.config import MaskingConfig
from trainer.data.gather import Masker, word_kinds
from trainer.data.loader import Loader, Share
from trainer.data.order import make_order
from trainer.data.samples import Data, open_samples
from trainer.export_tokenizer import SPECIAL_TOKENS
from trainer.formats.index import Format, FormatName
from trainer.jit import Int64
from trainer.masking.spans import length_thresholds, mask_spans
from trainer.masking.words import SPECIAL, STARTS, mask_words

FORMATS: tuple[FormatName, ...] = (
    "full-sentences",
    "doc-sentences",
    "segment-pair",
    "sentence-pair",
)

# Tokens per second of CPU time through the loader's thread, in millions.
AIM = 40.0


def make_data(folder: Path) -> tuple[Path, tokenizers.Tokenizer]:
    """Four shards of random documents, and their tokenizer."""
    tokenizer = small_tokenizer(1000)
    words = [f"{' ' if i % 5 < 3 else ''}word{i}" for i in range(49_000)]
    tokenizer.add_tokens(words)
    size = tokenizer.get_vocab_size()
    groups = [random_documents(i, 400, size) for i in range(4)]
    write_shards(folder, tokenizer, {("train", "a"): groups})
    return folder, tokenizer


class Rows:
    """A batch of rows as they are, and what each side needs to mask them."""

    def __init__(self, data: Data, tokenizer: tokenizers.Tokenizer) -> None:
        self.tokenizer = tokenizer
        plain = Masker(data, NOTHING, 0)
        self.buffers = plain.buffers(B)
        epochs, samples = make_order(data, 0, {}).samples(0, B)
        plain.fill(epochs, samples, self.buffers)
        self.ids = self.buffers.ids.copy()
        self.lengths = self.buffers.lengths.sum(1)
        self.specials = plain.special[5:]
        self.vocab_size = data.tokenizer.vocab_size
        self.mask_id = int(plain.special[4])

        # The same table serves both sides.
        self.kinds = word_kinds(data)
        self.begins = np.zeros(L, np.uint8)


def numpy_words(row: Int64, rows: Rows) -> tuple[Int64, Int64, Int64]:
    """(firsts, ends, run) of the words of a row, by array operations."""
    special = (rows.kinds[row] & SPECIAL) > 0
    before = np.concatenate([[True], special[:-1]])
    starts = ~special & (((rows.kinds[row] & STARTS) > 0) | before)
    firsts = np.flatnonzero(starts)
    bounds = np.flatnonzero(starts | special)
    ends = np.append(bounds, len(row))[np.searchsorted(bounds, firsts) + 1]
    runs = np.cumsum(special)[firsts]
    return firsts, ends, runs


def replace_tokens(
    row: Int64, places: Int64, fates: NDArray[np.float64], rows: Rows, chance: np.random.Generator
) -> Int64:
    """Hide tokens in place by 80/10/10; return their labels."""
    labels = row[places]
    random = chance.integers(5, rows.vocab_size - 1, len(places))
    row[places] = np.where(fates < 0.8, rows.mask_id, np.where(fates < 0.9, random, labels))
    return labels


def numpy_mask_words(row: Int64, rows: Rows, chance: np.random.Generator) -> Int64:
    """Whole words up to the budget, in numpy."""
    firsts, ends, _ = numpy_words(row, rows)
    sizes = ends - firsts
    budget = int(0.15 * sizes.sum() + 0.5)
    order = chance.permutation(len(firsts))
    # Words in random order while they fit; the tail of the order fills what is left.
    reached = np.cumsum(sizes[order])
    taken = list(order[reached <= budget])
    left = budget - int(sizes[taken].sum())
    for w in order[len(taken) :]:
        if left == 0:
            break
        if sizes[w] <= left:
            taken.append(w)
            left -= int(sizes[w])
    places = np.concatenate([np.arange(firsts[w], ends[w]) for w in taken])
    return replace_tokens(row, places, chance.random(len(places)), rows, chance)


def numpy_mask_spans(
    row: Int64, rows: Rows, chance: np.random.Generator, lengths: Int64
) -> tuple[Int64, Int64, Int64]:
    """Spans of words up to the budget, in numpy; lengths and first words are drawn all at once."""
    firsts, ends, runs = numpy_words(row, rows)
    budget = int(0.15 * (ends - firsts).sum() + 0.5)
    wanted = lengths[chance.integers(0, len(lengths), budget + 1)]
    tries = chance.integers(0, len(firsts), 10 * budget)
    taken = np.zeros(len(firsts) + 2, bool)  # a word further on each side
    places: list[Int64] = []
    fates: list[NDArray[np.float64]] = []
    offsets: list[Int64] = []
    count = 0
    for w in tries:
        if count == budget:
            break
        stop = min(w + wanted[len(places)], len(firsts))
        stop = w + int(np.searchsorted(runs[w:stop], runs[w], side="right"))
        room = firsts[w] + budget - count
        stop = w + int(np.searchsorted(ends[w:stop], room, side="right"))
        if stop == w or taken[w : stop + 2].any():
            continue
        taken[w + 1 : stop + 1] = True
        here = np.arange(firsts[w], ends[stop - 1])
        places.append(here)
        offsets.append(here - firsts[w] + 1)
        fates.append(np.full(len(here), chance.random()))
        count += len(here)
    chosen = np.concatenate(places)
    labels = replace_tokens(row, chosen, np.concatenate(fates), rows, chance)
    return chosen, labels, np.concatenate(offsets)


def masks(rows: Rows, rounds: int) -> list[Result]:
    """The kernels of words and spans row by row, against numpy."""
    buffers = rows.buffers
    ids = rows.ids.copy()
    most = int(0.15 * (L - 2) + 0.5)
    out = [np.empty(most, np.int64) for _ in range(5)]
    scratch = np.empty((3, L), np.int64)
    thresholds = length_thresholds(0.2, 10)
    chance = np.random.Generator(np.random.PCG64(0))
    shares = 0.2 * 0.8 ** np.arange(10)
    lengths = chance.choice(np.arange(1, 11), 100_000, p=shares / shares.sum())

    def our_words() -> None:
        for _ in range(BATCHES):
            np.copyto(ids, rows.ids)
            for i in range(B):
                mask_words(
                    ids[i], rows.lengths[i], np.uint64(i), 0.15, rows.vocab_size, rows.specials,
                    rows.mask_id, rows.kinds, rows.begins, scratch, out[0], out[1],
                )  # fmt: skip

    def our_spans() -> None:
        for _ in range(BATCHES):
            np.copyto(ids, rows.ids)
            for i in range(B):
                mask_spans(
                    ids[i], rows.lengths[i], np.uint64(i), 0.15, rows.vocab_size, rows.specials,
                    rows.mask_id, rows.kinds, rows.begins, thresholds, scratch, *out,
                )  # fmt: skip

    def numpy_words_once() -> None:
        np.copyto(buffers.ids, rows.ids)
        for i in range(B):
            numpy_mask_words(buffers.ids[i, : rows.lengths[i]], rows, chance)

    def numpy_spans_once() -> None:
        np.copyto(buffers.ids, rows.ids)
        for i in range(B):
            numpy_mask_spans(buffers.ids[i, : rows.lengths[i]], rows, chance, lengths)

    tokens = (BATCHES * B * L, B * L)
    return [
        compare("whole words: numpy", 20, our_words, numpy_words_once, rounds, tokens),
        compare("spans: numpy", 25, our_spans, numpy_spans_once, rounds, tokens),
        compare("whole words: transformers' collator, its masking step", 20, our_words,
                collator_step(rows), rounds, tokens),
    ]  # fmt: skip


def collator_step(rows: Rows) -> Work:
    """transformers' whole-word masking of the same rows, from ready tensors with word ids."""
    from transformers import DataCollatorForLanguageModeling, PreTrainedTokenizerFast

    special = {name: ROBERTA[role] for name, role in SPECIAL_TOKENS.items()}
    peer = PreTrainedTokenizerFast(tokenizer_object=rows.tokenizer, **special)
    # It has no 80/10/10 for whole words.
    collator: Any = DataCollatorForLanguageModeling(
        peer, whole_word_mask=True, mask_replace_prob=1.0, random_replace_prob=0.0
    )
    tensor = torch.from_numpy(rows.ids.copy())
    special = torch.from_numpy(np.isin(rows.ids, rows.specials))
    # Characters of "words": a gap before each token that begins one.
    begins = (rows.kinds[rows.ids] & STARTS).astype(np.int64)
    starts = np.cumsum(4 + begins, 1)
    offsets = torch.from_numpy(np.stack([starts, starts + 4], -1))

    def work() -> None:
        collator.torch_mask_tokens(
            tensor.clone(), special_tokens_mask=special, offset_mapping=offsets
        )

    return work


def through_the_thread(path: Path, peer: Work, rounds: int) -> list[Result]:
    """Every format with every mask unit through the loader's thread, in turns with the collator."""
    results: list[Result] = []
    for name in FORMATS:
        data = open_samples([str(path)], "train", Format(name=name, length=L))
        for unit in ("token", "word", "span"):
            masking = MaskingConfig(unit=unit)  # type: ignore[arg-type]
            loader = Loader(Masker(data, masking, 0), make_order(data, 0, {}), Share(B, B), 0)
            drain(loader)
            speeds = []
            per_core = []
            peers = []
            for _ in range(rounds):
                seconds, cpu_seconds = drain(loader)
                speeds.append(200 * B * L / seconds / 1e6)
                per_core.append(200 * B * L / cpu_seconds / 1e6)
                peers.append(B * L / clock(peer) / 1e6)
            loader.close()
            results.append(report(f"{name}, {unit}", speeds, per_core, peers))
    return results


def drain(loader: Loader) -> tuple[float, float]:
    """Take 200 micro-batches from the thread; the seconds that it took, and those of CPU time."""
    begun = time.perf_counter()
    begun_cpu = time.process_time()
    for _ in range(200):
        loader.release(loader.next())
    return time.perf_counter() - begun, time.process_time() - begun_cpu


def report(name: str, speeds: list[float], per_core: list[float], peers: list[float]) -> Result:
    """Print and return the speeds of one way, in millions of places per second."""
    median = statistics.median(speeds)
    cpu = statistics.median(per_core)
    peer = statistics.median(peers)
    # Per second of CPU time it is what an idle machine gives, whatever else runs.
    mark = "ok " if cpu >= AIM else "MISSED"
    print(
        f"{mark} through the thread, {name}: median {cpu:.1f} M tokens per second of CPU time "
        f"(min {min(per_core):.1f}, max {max(per_core):.1f}), aim {AIM:g}; by the clock "
        f"{median:.1f}, transformers' collator {peer:.2f}",
        flush=True,
    )
    return {
        "name": f"through the thread, {name}: million tokens per second of CPU time",
        "aim": AIM,
        "min": min(per_core),
        "median": cpu,
        "max": max(per_core),
        "by_the_clock": median,
        "collator_by_the_clock": peer,
    }


def main() -> None:
    """Run all comparisons; print them and write them as JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", default="")
    parser.add_argument("--rounds", type=int, default=9)
    options = parser.parse_args()
    torch.set_num_threads(1)  # one core against one core

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        os.environ["CORPUSMILL_CACHE"] = str(folder / "cache")
        path, tokenizer = make_data(folder / "shards")
        rows = Rows(open_samples([str(path)], "train", Format(length=L)), tokenizer)
        results = masks(rows, options.rounds)
        results += through_the_thread(path, collator_step(rows), options.rounds)

    if options.json:
        packages = ("torch", "numpy", "numba", "transformers")
        content = {
            "schema_version": 1,
            "python": platform.python_version(),
            "processor": platform.processor(),
            "versions": {package: __import__(package).__version__ for package in packages},
            "results": results,
        }
        Path(options.json).write_text(json.dumps(content, indent=1) + "\n")


if __name__ == "__main__":
    main()
