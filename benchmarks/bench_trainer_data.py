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
from typing import Any

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tests" / "helpers")]
os.environ.setdefault("HF_HUB_OFFLINE", "1")

import numpy as np
import torch
from trainer_fixtures import random_documents, small_tokenizer, write_shards

from trainer.config import MaskingConfig
from trainer.data import gather as data_gather
from trainer.data.gather import Masker
from trainer.data.loader import Loader
from trainer.data.order import make_order
from trainer.data.samples import Data, open_data
from trainer.masking.tokens import mask

B, L = 32, 512
BATCHES = 60


def clock(work: Callable[[], Any]) -> float:
    """Seconds of one call."""
    begun = time.perf_counter()
    work()
    return time.perf_counter() - begun


def compare(
    name: str,
    ours: Callable[[], Any],
    peer: Callable[[], Any],
    rounds: int,
    aim: float,
    tokens: tuple[int, int],
) -> dict[str, Any]:
    """Interleaved rounds of both; `tokens` of one call of each. The ratio of a round is peer's
    seconds a token over ours."""
    ours(), peer()
    mine, other, ratios = [], [], []
    for _ in range(rounds):
        a, b = clock(ours) / tokens[0], clock(peer) / tokens[1]
        mine.append(a)
        other.append(b)
        ratios.append(b / a)
    found = {
        "name": name,
        "aim": aim,
        "min": min(ratios),
        "median": statistics.median(ratios),
        "max": max(ratios),
        "ours_million_tokens_per_second": 1e-6 / statistics.median(mine),
        "peer_million_tokens_per_second": 1e-6 / statistics.median(other),
    }
    mark = "ok " if found["median"] >= aim else "MISSED"
    print(
        (
            f"{mark} {name}: median {found['median']:.1f}x (min {found['min']:.1f}, max "
            f"{found['max']:.1f}), aim {aim:g}x; ours "
            f"{found['ours_million_tokens_per_second']:.1f} M tokens/s, peer "
            f"{found['peer_million_tokens_per_second']:.2f}"
        ),
        flush=True,
    )
    return found


def make_data(folder: Path, shards: int = 4, documents: int = 400) -> tuple[Path, Any]:
    tokenizer = small_tokenizer(1000)
    tokenizer.add_tokens([f"word{i}" for i in range(49_000)])
    size = tokenizer.get_vocab_size()
    write_shards(
        folder,
        tokenizer,
        {("train", "a"): [random_documents(i, documents, size) for i in range(shards)]},
    )
    return folder, tokenizer


def masking(data: Data, tokenizer: Any, rounds: int) -> list[dict[str, Any]]:
    """The masking kernel against the collator's masking step, and gather and mask against the
    collator from lists."""
    from transformers import DataCollatorForLanguageModeling, PreTrainedTokenizerFast

    names = {
        "bos_token": "<s>",
        "eos_token": "</s>",
        "unk_token": "<unk>",
        "sep_token": "</s>",
        "pad_token": "<pad>",
        "cls_token": "<s>",
        "mask_token": "<mask>",
    }
    collator = DataCollatorForLanguageModeling(
        PreTrainedTokenizerFast(tokenizer_object=tokenizer, **names), mlm_probability=0.15
    )
    masker = Masker(data, MaskingConfig(), 0)
    ids, lengths = np.empty((B, L), np.int64), np.empty(B, np.int64)
    places, labels, scratch = (
        np.empty((B, masker.most), np.int64),
        np.empty((B, masker.most), np.int64),
        np.empty(L, np.int64),
    )
    epochs, samples = make_order(data, 0, {}).samples(0, B)
    masker.fill(epochs, samples, ids, places, labels, lengths)
    data_gather.fill(
        samples,
        epochs,
        0,
        data.starts,
        data.table,
        data.wide,
        True,
        masker.special(),
        data.tokenizer.vocab_size,
        0.0,
        False,
        scratch,
        ids,
        places,
        labels,
        lengths,
    )
    rows = [row[:n].tolist() for row, n in zip(ids, lengths)]
    tensor = torch.from_numpy(ids.copy())
    special = torch.from_numpy(np.isin(ids, masker.special()))
    specials = masker.special()[5:]
    pristine = ids.copy()

    def ours() -> None:
        for _ in range(BATCHES):
            np.copyto(
                ids, pristine
            )  # the collator clones its labels; we restore what we mask in place
            for i in range(B):
                mask(
                    ids[i],
                    lengths[i],
                    np.uint64(i),
                    0.15,
                    False,
                    data.tokenizer.vocab_size,
                    specials,
                    4,
                    scratch,
                    places[i],
                    labels[i],
                )

    def whole() -> None:
        for _ in range(BATCHES):
            masker.fill(epochs, samples, ids, places, labels, lengths)

    def peer() -> None:
        collator.torch_mask_tokens(tensor.clone(), special_tokens_mask=special)

    def peer_lists() -> None:
        collator([{"input_ids": row} for row in rows])

    tokens = (BATCHES * B * L, B * L)
    return [
        compare(
            "masking rows one by one: the collator's masking step", ours, peer, rounds, 15, tokens
        ),
        compare(
            "gather and mask, fused: the collator's masking step", whole, peer, rounds, 15, tokens
        ),
        compare(
            "gather and mask, fused: the collator from lists",
            whole,
            peer_lists,
            rounds,
            150,
            tokens,
        ),
    ]


def gather(data: Data, rounds: int, folder: Path) -> dict[str, Any]:
    """Random samples from the shards against `datasets`' reads of a list of rows in numpy
    format."""
    import datasets

    masker = Masker(data, MaskingConfig(), 0)
    ids, lengths = np.empty((len(data), L), np.int64), np.empty(len(data), np.int64)
    places, labels, scratch = (
        np.empty((B, masker.most), np.int64),
        np.empty((B, masker.most), np.int64),
        np.empty(L, np.int64),
    )
    every = np.arange(len(data))
    none = np.empty((len(data), masker.most), np.int64)
    data_gather.fill(
        every,
        np.zeros_like(every),
        0,
        data.starts,
        data.table,
        data.wide,
        True,
        masker.special(),
        data.tokenizer.vocab_size,
        0.0,
        False,
        scratch,
        ids,
        none,
        none.copy(),
        lengths,
    )
    datasets.disable_progress_bars()
    datasets.Dataset.from_dict({"ids": ids.astype(np.uint16)}).save_to_disk(str(folder / "hf"))
    stored = datasets.load_from_disk(str(folder / "hf")).with_format("numpy")
    order = np.random.Generator(np.random.PCG64(0)).permutation(len(data))
    picks = [order[i * B : (i + 1) * B] for i in range(min(40, len(data) // B))]
    batch, sizes, zeros = np.empty((B, L), np.int64), np.empty(B, np.int64), np.zeros(B, np.int64)

    def ours() -> None:
        for pick in picks:
            data_gather.fill(
                pick,
                zeros,
                0,
                data.starts,
                data.table,
                data.wide,
                True,
                masker.special(),
                data.tokenizer.vocab_size,
                0.0,
                False,
                scratch,
                batch,
                places,
                labels,
                sizes,
            )

    def peer() -> None:
        for pick in picks:
            stored[pick.tolist()]["ids"]

    tokens = len(picks) * B * L
    return compare(
        "gather of random samples: datasets' list reads (numpy)",
        ours,
        peer,
        rounds,
        3,
        (tokens, tokens),
    )


class Rows(torch.utils.data.Dataset[torch.Tensor]):
    """Rows of packed samples in a memory-mapped file: the usual way, without masks."""

    def __init__(self, path: str, count: int) -> None:
        self.path, self.count = path, count
        self.rows: Any = None

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, i: int) -> torch.Tensor:
        if self.rows is None:
            self.rows = np.memmap(self.path, np.uint16, "r").reshape(-1, L)
        return torch.from_numpy(self.rows[i].astype(np.int64))


def through_the_thread(data: Data, rounds: int, folder: Path) -> dict[str, Any]:
    """Masked batches from the loader's thread against DataLoader with 2 workers, rows only, no
    masks."""
    count = 64 * B
    rows = np.random.Generator(np.random.PCG64(0)).integers(4, 50_000, (count, L)).astype(np.uint16)
    rows.tofile(folder / "rows.bin")
    loader = torch.utils.data.DataLoader(
        Rows(str(folder / "rows.bin"), count),
        batch_size=B,
        shuffle=True,
        num_workers=2,
        persistent_workers=True,
    )
    own = Loader(Masker(data, MaskingConfig(), 0), make_order(data, 0, {}), B, B, 0, 1, 0)

    def ours() -> None:
        for _ in range(200):
            own.release(own.next())

    def peer() -> None:
        for _ in loader:
            pass

    found = compare(
        "masked batches through the thread: DataLoader, 2 workers, no masks",
        ours,
        peer,
        rounds,
        4,
        (200 * B * L, count * L),
    )
    own.close()
    return found


START = """
import sys, time
from trainer import pretrain
from trainer.config import MaskingConfig
from trainer.data.gather import Masker
from trainer.data.loader import Loader
from trainer.data.order import make_order
from trainer.data.samples import open_data
begun = time.perf_counter()
data = open_data([sys.argv[1]], "train", 512, True)
order = make_order(data, 0, {})
loader = Loader(Masker(data, MaskingConfig(), 0), order, 32, 32, 0, 1, 0)
loader.next()
print(time.perf_counter() - begun)
loader.close()
"""


def start(folder: Path, rounds: int) -> dict[str, Any]:
    """Seconds from after the imports to the first masked batch, with 1,000 shards and their index
    cached, in new processes."""
    make_data(folder / "thousand", shards=1000, documents=3)
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "CORPUSMILL_CACHE": str(folder / "cache")}
    seconds = []
    for _ in range(rounds + 1):
        done = subprocess.run(
            [sys.executable, "-c", START, str(folder / "thousand")],
            env=environment,
            capture_output=True,
            text=True,
            check=True,
        )
        seconds.append(float(done.stdout))
    found = {
        "name": "start with 1,000 shards, index cached: seconds to the first batch",
        "aim": 2.0,
        "min": min(seconds[1:]),
        "median": statistics.median(seconds[1:]),
        "max": max(seconds[1:]),
        "uncached": seconds[0],
    }
    print(
        (
            f"{'ok ' if found['median'] < 2 else 'MISSED'} start with 1,000 shards, cached: "
            f"median {found['median']:.2f} s (min {found['min']:.2f}, max {found['max']:.2f}), "
            f"aim < 2 s; uncached {found['uncached']:.2f} s"
        ),
        flush=True,
    )
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", default="")
    parser.add_argument("--rounds", type=int, default=9)
    options = parser.parse_args()
    torch.set_num_threads(1)  # a core against a core
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        os.environ["CORPUSMILL_CACHE"] = str(folder / "cache")
        path, tokenizer = make_data(folder / "shards")
        data = open_data([str(path)], "train", L, True)
        found = [
            *masking(data, tokenizer, options.rounds),
            gather(data, options.rounds, folder),
            through_the_thread(data, options.rounds, folder),
            start(folder, 5),
        ]
    if options.json:
        versions = {
            name: __import__(name).__version__
            for name in ("torch", "numpy", "numba", "transformers", "datasets")
        }
        Path(options.json).write_text(
            json.dumps(
                {
                    "schema_version": 1,
                    "python": platform.python_version(),
                    "processor": platform.processor(),
                    "versions": versions,
                    "results": found,
                },
                indent=1,
            )
            + "\n"
        )


if __name__ == "__main__":
    main()
