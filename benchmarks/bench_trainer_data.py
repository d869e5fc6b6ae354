# ruff: noqa: E402  (the path and the environment come first)
"""Loader and masking against what people use: interleaved rounds in one process, ratios with min,
median and max.

    python benchmarks/bench_trainer_data.py [--json FILE] [--rounds 9]

Peers: transformers' DataCollatorForLanguageModeling (its masking step alone on ready tensors, and
from lists), `datasets`' numpy reads of a list of rows, torch's DataLoader with 2 workers that reads
the same memory map and masks nothing. Ours: the fused kernel (gathers and masks, so it does more
than each peer), and the loader's thread.
"""

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tests" / "helpers")]
os.environ.setdefault("HF_HUB_OFFLINE", "1")

import numpy as np
import tokenizers
import torch
from numpy.typing import NDArray
from trainer_fixtures import random_documents, small_tokenizer, write_shards

from shards.roles import ROBERTA
from trainer.config import MaskingConfig
from trainer.data.gather import Masker
from trainer.data.loader import Loader, Share
from trainer.data.order import make_order
from trainer.data.samples import Data, open_data
from trainer.export_tokenizer import SPECIAL_TOKENS
from trainer.masking.tokens import mask

# Samples in a batch, tokens in a sample, batches in a round of ours.
B = 32
L = 512
BATCHES = 60

NOTHING = MaskingConfig(rate=0.0)

Work = Callable[[], object]
Result = dict[str, object]


def clock(work: Work) -> float:
    """Seconds of one call."""
    begun = time.perf_counter()
    work()
    return time.perf_counter() - begun


def compare(
    name: str, aim: float, ours: Work, peer: Work, rounds: int, tokens: tuple[int, int]
) -> Result:
    """Interleaved rounds of both; `tokens` of one call of each. The ratio of a round is the peer's
    seconds per token over ours."""
    ours()
    peer()
    mine = []
    other = []
    for _ in range(rounds):
        mine.append(clock(ours) / tokens[0])
        other.append(clock(peer) / tokens[1])

    ratios = [b / a for a, b in zip(mine, other, strict=True)]
    median = statistics.median(ratios)
    our_speed = 1e-6 / statistics.median(mine)
    peer_speed = 1e-6 / statistics.median(other)
    mark = "ok " if median >= aim else "MISSED"
    print(
        f"{mark} {name}: median {median:.1f}x (min {min(ratios):.1f}, max {max(ratios):.1f}), "
        f"aim {aim:g}x; ours {our_speed:.1f} M tokens/s, peer {peer_speed:.2f}",
        flush=True,
    )
    return {
        "name": name,
        "aim": aim,
        "min": min(ratios),
        "median": median,
        "max": max(ratios),
        "ours_million_tokens_per_second": our_speed,
        "peer_million_tokens_per_second": peer_speed,
    }


def make_data(
    folder: Path, shards: int = 4, documents: int = 400
) -> tuple[Path, tokenizers.Tokenizer]:
    """Shards of random documents with a vocabulary of about 50,000, and their tokenizer."""
    tokenizer = small_tokenizer(1000)
    tokenizer.add_tokens([f"word{i}" for i in range(49_000)])
    size = tokenizer.get_vocab_size()
    groups = [random_documents(i, documents, size) for i in range(shards)]
    write_shards(folder, tokenizer, {("train", "a"): groups})
    return folder, tokenizer


def masking(data: Data, tokenizer: tokenizers.Tokenizer, rounds: int) -> list[Result]:
    """The masking kernel against the collator's masking step, and gather and mask against the
    collator from lists."""
    from transformers import DataCollatorForLanguageModeling, PreTrainedTokenizerFast

    special = {name: ROBERTA[role] for name, role in SPECIAL_TOKENS.items()}
    peer_tokenizer = PreTrainedTokenizerFast(tokenizer_object=tokenizer, **special)
    collator = DataCollatorForLanguageModeling(peer_tokenizer, mlm_probability=0.15)

    epochs, samples = make_order(data, 0, {}).samples(0, B)
    plain = Masker(data, NOTHING, 0)
    unmasked = plain.buffers(B)
    plain.fill(epochs, samples, unmasked)
    rows = [row[:n].tolist() for row, n in zip(unmasked.ids, unmasked.lengths, strict=True)]
    tensor = torch.from_numpy(unmasked.ids.copy())
    is_special = torch.from_numpy(np.isin(unmasked.ids, plain.special))

    masker = Masker(data, MaskingConfig(), 0)
    buffers = masker.buffers(B)
    scratch = np.empty(L, np.int64)
    specials = masker.special[5:]
    vocab_size = data.tokenizer.vocab_size

    def one_by_one() -> None:
        for _ in range(BATCHES):
            # The collator clones its labels; we restore what we mask in place.
            np.copyto(buffers.ids, unmasked.ids)
            for i in range(B):
                mask(
                    buffers.ids[i], unmasked.lengths[i], np.uint64(i), 0.15, False, vocab_size,
                    specials, 4, scratch, buffers.places[i], buffers.labels[i],
                )  # fmt: skip

    def fused() -> None:
        for _ in range(BATCHES):
            masker.fill(epochs, samples, buffers)

    def peer() -> None:
        collator.torch_mask_tokens(tensor.clone(), special_tokens_mask=is_special)

    def peer_from_lists() -> None:
        collator([{"input_ids": row} for row in rows])

    tokens = (BATCHES * B * L, B * L)
    step = "the collator's masking step"
    return [
        compare(f"masking rows one by one: {step}", 15, one_by_one, peer, rounds, tokens),
        compare(f"gather and mask, fused: {step}", 15, fused, peer, rounds, tokens),
        compare(
            "gather and mask, fused: the collator from lists",
            150,
            fused,
            peer_from_lists,
            rounds,
            tokens,
        ),
    ]


def gather(data: Data, rounds: int, folder: Path) -> Result:
    """Random samples from the shards against `datasets`' reads of a list of rows in numpy
    format."""
    import datasets

    masker = Masker(data, NOTHING, 0)
    every = np.arange(len(data))
    whole = masker.buffers(len(data))
    masker.fill(np.zeros_like(every), every, whole)
    datasets.disable_progress_bars()
    table = datasets.Dataset.from_dict({"ids": whole.ids.astype(np.uint16)})
    table.save_to_disk(str(folder / "hf"))
    stored = datasets.load_from_disk(str(folder / "hf")).with_format("numpy")

    order = np.random.Generator(np.random.PCG64(0)).permutation(len(data))
    picks = [order[i * B : (i + 1) * B] for i in range(min(40, len(data) // B))]
    buffers = masker.buffers(B)
    epochs = np.zeros(B, np.int64)

    def ours() -> None:
        for pick in picks:
            masker.fill(epochs, pick, buffers)

    def peer() -> None:
        for pick in picks:
            stored[pick.tolist()]["ids"]

    tokens = len(picks) * B * L
    name = "gather of random samples: datasets' list reads (numpy)"
    return compare(name, 3, ours, peer, rounds, (tokens, tokens))


class Rows(torch.utils.data.Dataset[torch.Tensor]):
    """Rows of packed samples in a memory-mapped file: the usual way, without masks."""

    def __init__(self, path: str, count: int) -> None:
        self.path = path
        self.count = count
        self.rows: NDArray[np.uint16] | None = None

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, i: int) -> torch.Tensor:
        # Mapped at the first read, so that each worker has its own.
        if self.rows is None:
            self.rows = np.memmap(self.path, np.uint16, "r").reshape(-1, L)
        return torch.from_numpy(self.rows[i].astype(np.int64))


def through_the_thread(data: Data, rounds: int, folder: Path) -> Result:
    """Masked batches from the loader's thread against DataLoader with 2 workers, rows only, no
    masks."""
    count = 64 * B
    generator = np.random.Generator(np.random.PCG64(0))
    rows = generator.integers(4, 50_000, (count, L)).astype(np.uint16)
    rows.tofile(folder / "rows.bin")
    loader = torch.utils.data.DataLoader(
        Rows(str(folder / "rows.bin"), count),
        batch_size=B,
        shuffle=True,
        num_workers=2,
        persistent_workers=True,
    )
    own = Loader(Masker(data, MaskingConfig(), 0), make_order(data, 0, {}), Share(B, B), 0)

    def ours() -> None:
        for _ in range(200):
            own.release(own.next())

    def peer() -> None:
        for _ in loader:
            pass

    name = "masked batches through the thread: DataLoader, 2 workers, no masks"
    result = compare(name, 4, ours, peer, rounds, (200 * B * L, count * L))
    own.close()
    return result


START = """
import sys, time
from trainer import pretrain
from shards.roles import ROBERTA
from trainer.config import MaskingConfig
from trainer.data.gather import Masker
from trainer.data.loader import Loader, Share
from trainer.data.order import make_order
from trainer.data.samples import open_data
begun = time.perf_counter()
data = open_data([sys.argv[1]], "train", 512, True)
order = make_order(data, 0, {})
loader = Loader(Masker(data, MaskingConfig(), 0), order, Share(32, 32), 0)
loader.next()
print(time.perf_counter() - begun)
loader.close()
"""


def start(folder: Path, rounds: int) -> Result:
    """Seconds from after the imports to the first masked batch, with 1,000 shards and their index
    cached, in new processes."""
    make_data(folder / "thousand", shards=1000, documents=3)
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "CORPUSMILL_CACHE": str(folder / "cache")}
    command = [sys.executable, "-c", START, str(folder / "thousand")]

    seconds = []
    for _ in range(rounds + 1):
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
        seconds.append(float(done.stdout))

    uncached = seconds[0]
    cached = seconds[1:]
    median = statistics.median(cached)
    mark = "ok " if median < 2 else "MISSED"
    print(
        f"{mark} start with 1,000 shards, cached: median {median:.2f} s (min {min(cached):.2f}, "
        f"max {max(cached):.2f}), aim < 2 s; uncached {uncached:.2f} s",
        flush=True,
    )
    return {
        "name": "start with 1,000 shards, index cached: seconds to the first batch",
        "aim": 2.0,
        "min": min(cached),
        "median": median,
        "max": max(cached),
        "uncached": uncached,
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
        data = open_data([str(path)], "train", L, True)
        results = [
            *masking(data, tokenizer, options.rounds),
            gather(data, options.rounds, folder),
            through_the_thread(data, options.rounds, folder),
            start(folder, 5),
        ]

    if options.json:
        packages = ("torch", "numpy", "numba", "transformers", "datasets")
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
