"""Items into rows: sequences of all lengths side by side, with little padding.

The rows of a micro-batch are as long as its longest sequence; shorter ones share a row, as in the
pretraining formats, and none attends to another. Batch s is the items [s * B, (s + 1) * B) of the
endless keyed order, each item once an epoch, so it is a pure function of the seed and s, whatever
ranks and micro-batches divide it. Shape letters: R rows, T tokens, S sequences in a row, Q
sequences, N items, K options, M masked tokens.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from trainer.data.loader import Share
from trainer.data.order import Order
from trainer.formats.rows import join
from trainer.jit import Int64
from trainer.masking.tokens import IGNORED
from trainer.tasks.features import Features

# Rows are as long as a multiple of this many tokens, which products with matrices like.
MULTIPLE = 8


class TaskBatch(NamedTuple):
    """A micro-batch, int64 but for the labels.

    `ids` (R, T); `lengths` (R, S), as the encoder takes them; `firsts` and `sizes` (Q,), the flat
    place of each sequence's first token and its tokens; `options` (N, K), the sequences of each
    item, -1 beyond the last; `labels` (N, 3) float64, see `features`. `places`, `truth` and
    `owners` (M,) are the flat places of the masked tokens of candidates, their true ids and their
    sequences; (0,) in other tasks.
    """

    ids: Tensor
    lengths: Tensor
    firsts: Tensor
    sizes: Tensor
    options: Tensor
    labels: Tensor
    places: Tensor
    truth: Tensor
    owners: Tensor

    @property
    def tokens(self) -> int:
        """Tokens without padding; on a CPU."""
        return int(self.lengths.sum())


def make_batch(features: Features, items: Int64, roles: dict[str, int]) -> TaskBatch:
    """The micro-batch of these items, in their order, on the CPU."""
    options, sequences = options_of(features, items)
    sizes = features.sizes[sequences]
    length = math.ceil(int(sizes.max()) / MULTIPLE) * MULTIPLE
    row_of = np.empty(len(sizes), np.int64)
    rows = int(join(sizes, length, row_of))

    ids = np.full((rows, length), roles["pad"], np.int64)
    truth = np.full((rows, length), IGNORED, np.int64)
    owners = np.zeros((rows, length), np.int64)
    per_row = np.bincount(row_of, minlength=rows)
    lengths = np.zeros((rows, int(per_row.max())), np.int64)
    firsts = np.empty(len(sizes), np.int64)

    filled = np.zeros(rows, np.int64)
    held = np.zeros(rows, np.int64)
    for number, (sequence, size) in enumerate(zip(sequences, sizes)):
        row = row_of[number]
        place = filled[row]
        start = features.starts[sequence]
        ids[row, place : place + size] = features.tokens[start : start + size]
        if features.truth is not None:
            truth[row, place : place + size] = features.truth[start : start + size]
            owners[row, place : place + size] = number
        firsts[number] = row * length + place
        lengths[row, held[row]] = size
        filled[row] += size
        held[row] += 1

    masked = np.flatnonzero((truth != IGNORED).reshape(-1) & (truth != ids).reshape(-1))
    return TaskBatch(
        ids=torch.from_numpy(ids),
        lengths=torch.from_numpy(lengths),
        firsts=torch.from_numpy(firsts),
        sizes=torch.from_numpy(np.ascontiguousarray(sizes)),
        options=torch.from_numpy(options),
        labels=torch.from_numpy(features.labels[items]),
        places=torch.from_numpy(masked),
        truth=torch.from_numpy(truth.reshape(-1)[masked]),
        owners=torch.from_numpy(owners.reshape(-1)[masked]),
    )


def options_of(features: Features, items: Int64) -> tuple[Int64, Int64]:
    """The sequences of items as numbers in the micro-batch, (N, K) with -1 beyond the last; and the
    number of each in the features, (Q,)."""
    counts = features.items[items + 1] - features.items[items]
    ends = np.cumsum(counts)
    options = np.full((len(items), int(counts.max())), -1, np.int64)
    sequences = np.empty(int(ends[-1]), np.int64)
    for number, (item, count, end) in enumerate(zip(items, counts, ends)):
        first = features.items[item]
        sequences[end - count : end] = np.arange(first, first + count)
        options[number, :count] = np.arange(end - count, end)
    return options, sequences


@dataclass(frozen=True)
class TaskOrder:
    """The endless order of N items for one seed: each item once an epoch."""

    seed: int
    items: int

    def take(self, place: int, count: int) -> Int64:
        """The items at the places [place, place + count), (count,)."""
        _, found = Order(self.seed, (((0, self.items),),), ()).samples(place, count)
        return found


def batch_items(order: TaskOrder, share: Share, batch: int) -> list[Int64]:
    """The items of each micro-batch of batch number `batch` on this rank."""
    part = share.batch // share.ranks
    start = batch * share.batch + share.rank * part
    return [order.take(place, share.micro) for place in range(start, start + part, share.micro)]


def by_length(features: Features, count: int) -> list[Int64]:
    """All items in groups of `count` of about one length, the longest first, to be predicted."""
    falling = np.argsort(-features.item_sizes, kind="stable")
    return [falling[first : first + count] for first in range(0, len(falling), count)]


def fill(batches: Sequence[TaskBatch]) -> float:
    """The share of tokens that are not padding."""
    room = sum(batch.ids.numel() for batch in batches)
    return sum(batch.tokens for batch in batches) / room
