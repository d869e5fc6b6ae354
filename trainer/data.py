"""From shards to masked micro-batches: open, order, and one background thread that stays a few
batches ahead.

Sample k of epoch e is a pure function of (shards, format, length, seed, e, k), and so are its
masks: a batch is a range of the endless order, whatever ranks and micro-batches divide it. Cost:
tens of millions of tokens a second on one core, some hundred times what a GPU eats; no loader
processes.
"""

import contextlib
import os
import queue
import resource
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

import shards
from shards.config import UserError, nearest
from shards.manifest import TokenizerInfo
from shards.reader import Shard
from trainer import kernels
from trainer.config import MaskingConfig
from trainer.formats import shard_index

Int64 = NDArray[np.int64]
MIX_BLOCK = 4096  # samples in a block of mixed sources; shares are exact to 1 in so many


@dataclass(frozen=True)
class Data:
    """The samples of a split over all shards, sources one after the other.

    `starts` (N + 1,) first sample of each shard; `sources` name -> (first sample, end); `table` the
    addresses that `kernels.fill` reads; `identity` names each shard by its digest. `keep` holds the
    memory maps alive.
    """

    directories: tuple[str, ...]
    tokenizer: TokenizerInfo
    wide: bool
    length: int
    sentence_eos: bool
    starts: Int64
    sources: dict[str, tuple[int, int]]
    table: Int64
    identity: tuple[str, ...]
    tokens: dict[str, int]
    keep: tuple[Any, ...] = field(repr=False)

    def __len__(self) -> int:
        return int(self.starts[-1])


def open_data(
    directories: Sequence[str],
    split: str,
    length: int,
    sentence_eos: bool,
    source: str | None = None,
) -> Data:
    """Open the shards of a split (and of one source). Raises `UserError`: no manifest, another
    tokenizer, a file missing or damaged."""
    _allow_many_files()
    opened = [shards.open(directory, split) for directory in directories]
    first = opened[0]
    for other in opened[1:]:
        if other.manifest.tokenizer.digest != first.manifest.tokenizer.digest:
            raise UserError(
                f"{other.directory}: its tokenizer is not that of {first.directory}",
                "build both with one tokenizer: [tokenizer] path",
            )
    found: dict[str, list[tuple[str, Shard]]] = {}
    for part in opened:
        for shard in (shard for shard in part if source in (None, shard.entry.source)):
            found.setdefault(shard.entry.source, []).append(
                (f"{part.directory}/{shard.entry.file}", shard)
            )
    members = [(name, shard) for group in found.values() for name, shard in group]
    indexes = [shard_index(shard, length, sentence_eos, name) for name, shard in members]
    counts = np.array([len(index) - 1 for index in indexes], np.int64)
    starts = np.concatenate([np.zeros(1, np.int64), np.cumsum(counts)])
    table = np.array(
        [_row(shard, index) for (_, shard), index in zip(members, indexes, strict=True)], np.int64
    ).reshape(len(members), 7)
    sources, done = {}, 0
    for source, group in found.items():
        sources[source] = (int(starts[done]), int(starts[done + len(group)]))
        done += len(group)
    tokens = {
        source: sum(shard.entry.tokens for _, shard in group) for source, group in found.items()
    }
    identity = tuple(f"{shard.entry.source} {shard.entry.digest}" for _, shard in members)
    keep = tuple(
        (shard.tokens, shard.sentences, shard.sentence_offsets, index)
        for (_, shard), index in zip(members, indexes)
    )
    directories = tuple(os.path.abspath(part.directory) for part in opened)
    return Data(
        directories,
        first.manifest.tokenizer,
        first.manifest.dtype == "uint32",
        length,
        sentence_eos,
        starts,
        sources,
        table,
        identity,
        tokens,
        keep,
    )


def _allow_many_files() -> None:
    """A mapped shard holds a file open, and the usual soft limit is 1,024."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        with contextlib.suppress(ValueError, OSError):  # macOS refuses "unlimited"
            resource.setrlimit(
                resource.RLIMIT_NOFILE,
                (hard if hard != resource.RLIM_INFINITY else max(soft, 65536), hard),
            )


def _row(shard: Shard, index: Int64) -> list[int]:
    ends = shard.sentence_offsets
    addresses = [array.ctypes.data for array in (shard.tokens, shard.sentences, ends, index)]
    return [*addresses, len(shard.tokens), len(shard.sentences), len(ends)]


@dataclass(frozen=True)
class Order:
    """The endless order of samples: each source's own, mixed in keyed blocks where weights are
    given.

    Without weights all samples form one order, each once an epoch. With weights every block of
    MIX_BLOCK samples holds an exact count of each source (`counts`), shuffled by a key of the
    block; each source has its own epochs.
    """

    seed: int
    ranges: tuple[tuple[int, int], ...]
    counts: tuple[int, ...]

    def samples(self, first: int, count: int) -> tuple[Int64, Int64]:
        """Epochs and samples, both (count,) int64, of the places [first, first + count)."""
        places = np.arange(first, first + count, dtype=np.int64)
        epochs, samples = np.empty(count, np.int64), np.empty(count, np.int64)
        if not self.counts:
            kernels.order(places, self.ranges[-1][1], self.seed, 0, epochs, samples)
            return epochs, samples
        chosen, within = self._mixed(places)
        for source, (start, end) in enumerate(self.ranges):
            mine = np.flatnonzero(chosen == source)
            # `order` wants rising places (within a block they are shuffled), so it is asked in
            # their order.
            mine = mine[np.argsort(within[mine], kind="stable")]
            if len(mine):
                own_epochs, own = np.empty(len(mine), np.int64), np.empty(len(mine), np.int64)
                kernels.order(within[mine], end - start, self.seed, source + 1, own_epochs, own)
                epochs[mine], samples[mine] = own_epochs, own + start
        return epochs, samples

    def _mixed(self, places: Int64) -> tuple[Int64, Int64]:
        """For each place: its source, and its place in that source's own endless order."""
        bounds = np.concatenate([[0], np.cumsum(self.counts)]).astype(np.int64)
        chosen, within = np.empty_like(places), np.empty_like(places)
        for block in range(int(places[0]) // MIX_BLOCK, int(places[-1]) // MIX_BLOCK + 1):
            here = (places // MIX_BLOCK) == block
            table = kernels.shuffle(
                MIX_BLOCK, np.uint64(kernels.make_key(self.seed, kernels.MIX, block, 0))
            )
            slots = table[places[here] % MIX_BLOCK]
            source = np.searchsorted(bounds, slots, side="right") - 1
            chosen[here] = source
            within[here] = block * np.array(self.counts, np.int64)[source] + slots - bounds[source]
        return chosen, within


def make_order(data: Data, seed: int, mix: dict[str, float]) -> Order:
    """The order of `data`; `mix` maps sources to weights. Raises `UserError` for a source that is
    not there."""
    for name in mix:
        if name not in data.sources:
            raise UserError(
                f"--mix {name}: no such source in the shards", nearest(name, data.sources)
            )
    ranges = tuple(data.sources.values())
    if not mix:
        return Order(seed, ranges, ())
    sizes = [end - start for start, end in ranges]
    wanted = [size * mix.get(name, 1.0) for name, size in zip(data.sources, sizes)]
    if sum(wanted) <= 0:
        raise UserError(
            "--mix: no source has a weight above 0", "give at least one source a weight"
        )
    return Order(seed, ranges, _shares(wanted))


def _shares(wanted: list[float]) -> tuple[int, ...]:
    """Counts in a block, by largest remainder; whatever is wanted at all is there at least once."""
    exact = [value * MIX_BLOCK / sum(wanted) for value in wanted]
    counts = [max(int(value), 1) if value > 0 else 0 for value in exact]
    while sum(counts) != MIX_BLOCK:
        step = 1 if sum(counts) < MIX_BLOCK else -1
        able = [i for i, value in enumerate(exact) if value > 0 and (step > 0 or counts[i] > 1)]
        counts[max(able, key=lambda i: step * (exact[i] - counts[i]))] += step
    return tuple(counts)


@dataclass(frozen=True)
class Masker:
    """Gathers and masks: the fused kernel with all that does not change from batch to batch."""

    data: Data
    masking: MaskingConfig
    seed: int

    @property
    def most(self) -> int:
        """K: the most masked tokens a sample can have, the width of `places` and `labels`."""
        if self.masking.style == "fairseq":
            return int(self.masking.rate * self.data.length) + 1
        return max(1, int(self.masking.rate * (self.data.length - 2) + 0.5))

    def special(self) -> Int64:
        """The special ids in the order <s>, <pad>, </s>, <unk>, <mask>, then all of them rising."""
        ids = self.data.tokenizer.special
        named = [ids[name] for name in ("<s>", "<pad>", "</s>", "<unk>", "<mask>")]
        return np.array(named + sorted(set(ids.values())), np.int64)

    def fill(
        self,
        epochs: Int64,
        samples: Int64,
        ids: Int64,
        places: Int64,
        labels: Int64,
        lengths: Int64,
    ) -> int:
        """Fill the buffers, see `kernels.fill`; returns the number of masked tokens. Raises
        `UserError` on damaged shards."""
        data = self.data
        scratch = np.empty(data.length, np.int64)
        status = kernels.fill(
            samples, epochs, self.seed, data.starts, data.table, data.wide, data.sentence_eos, self.special(), data.tokenizer.vocab_size,
            self.masking.rate, self.masking.style == "fairseq", scratch, ids, places, labels, lengths,
        )  # fmt: skip
        if status < 0:
            what = (
                "an id beyond the vocabulary"
                if status == kernels.TOO_LARGE
                else "sentence lengths that do not fit the tokens"
            )
            raise UserError(
                f"{', '.join(data.directories)}: {what}", f"corpus verify {data.directories[0]}", 1
            )
        return int(status)


@dataclass
class MicroBatch:
    """B samples of length L: `ids` (B, L), `places` and `labels` (B * K,), all int64; `masked`
    labels count, `tokens` are no padding."""

    ids: torch.Tensor
    places: torch.Tensor
    labels: torch.Tensor
    lengths: torch.Tensor
    masked: int = 0
    tokens: int = 0
    copied: "torch.cuda.Event | None" = None


def make_buffer(samples: int, length: int, most: int, pinned: bool) -> MicroBatch:
    """An empty micro-batch; pinned memory is what a GPU can copy from while it computes."""
    shapes = ((samples, length), (samples * most,), (samples * most,), (samples,))
    ids, places, labels, lengths = (
        torch.zeros(shape, dtype=torch.int64, pin_memory=pinned) for shape in shapes
    )
    return MicroBatch(ids, places, labels, lengths)


class Loader:
    """Micro-batches of one rank in training order, made by one thread in a ring of buffers.

    Batch s is places [s * batch, (s + 1) * batch); rank r takes the r-th part, in micro-batches of
    `micro` samples. `waited` adds up the seconds in which nothing was ready.
    """

    def __init__(
        self,
        masker: Masker,
        order: Order,
        batch: int,
        micro: int,
        rank: int,
        ranks: int,
        first: int,
        ahead: int = 4,
        pinned: bool = False,
    ) -> None:
        self.masker, self.order = masker, order
        self.batch, self.micro, self.rank, self.ranks, self.first = batch, micro, rank, ranks, first
        self.waited = 0.0
        self._ready: queue.Queue[MicroBatch | BaseException] = queue.Queue()
        self._free: queue.Queue[MicroBatch | None] = queue.Queue()
        for _ in range(ahead):
            self._free.put(make_buffer(micro, masker.data.length, masker.most, pinned))
        self._thread = threading.Thread(target=self._run, name="loader", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        try:
            for place in self._places():
                buffer = self._free.get()
                if buffer is None:
                    return
                if buffer.copied is not None:
                    buffer.copied.synchronize()
                epochs, samples = self.order.samples(place, self.micro)
                arrays = (
                    buffer.ids.numpy(),
                    buffer.places.numpy().reshape(self.micro, -1),
                    buffer.labels.numpy().reshape(self.micro, -1),
                    buffer.lengths.numpy(),
                )
                buffer.masked = self.masker.fill(epochs, samples, *arrays)
                buffer.tokens = int(arrays[3].sum())
                self._ready.put(buffer)
        except BaseException as error:  # handed to the training thread, which raises it
            self._ready.put(error)

    def _places(self) -> Iterator[int]:
        share, batch = self.batch // self.ranks, self.first
        while True:
            start = batch * self.batch + self.rank * share
            yield from range(start, start + share, self.micro)
            batch += 1

    def next(self) -> MicroBatch:
        """The next micro-batch; give it back by `release` when it is no longer read."""
        start = time.perf_counter()
        item = self._ready.get()
        self.waited += time.perf_counter() - start
        if isinstance(item, BaseException):
            raise item
        return item

    def release(self, buffer: MicroBatch, copied: "torch.cuda.Event | None" = None) -> None:
        """Let the thread fill this buffer again, once `copied` has happened."""
        buffer.copied = copied
        self._free.put(buffer)

    def close(self) -> None:
        """End the thread."""
        self._free.put(None)
        self._thread.join(timeout=10)
