"""The endless order of samples: any part of it is computed from its place alone.

Without weights all samples form one order, each of them once an epoch. With weights the sources are
mixed in blocks, each with an exact count of every source, and each source has its own order and its
own epochs. The plans of a format with pairs differ in their number of samples, and so do its
epochs; ten in a row always have the same number. Nothing is stored and nothing depends on what was
drawn before, so resuming costs as little as starting. Memory: O(1) per request, or one epoch's
table below 10,000 samples.
"""

from dataclasses import dataclass

import numpy as np

from shards.errors import UserError, nearest
from trainer.chance import MIX, make_key, order, shuffle
from trainer.data.samples import Data
from trainer.jit import Int64

# Samples in a block of mixed sources; the shares of the sources are exact to one in so many.
MIX_BLOCK = 4096


@dataclass(frozen=True)
class Order:
    """The order for one seed. `ranges` are the samples [start, end) of each source in each plan of
    the format, `counts` how many of a block are from each source; no counts where the sources are
    not mixed."""

    seed: int
    ranges: tuple[tuple[tuple[int, int], ...], ...]
    counts: tuple[int, ...]

    def samples(self, first: int, count: int) -> tuple[Int64, Int64]:
        """Epochs and samples, both (count,) int64, of the places [first, first + count)."""
        places = np.arange(first, first + count, dtype=np.int64)
        epochs = np.empty(count, np.int64)
        samples = np.empty(count, np.int64)
        if not self.counts:
            sizes = np.array([end for _, end in self.ranges[-1]], np.int64)
            order(places, sizes, self.seed, 0, epochs, samples)
            return epochs, samples

        sources, own_places = self._mixed(places)
        for source, plans in enumerate(self.ranges):
            mine = np.flatnonzero(sources == source)
            # `order` needs rising places, and within a block they are shuffled.
            mine = mine[np.argsort(own_places[mine], kind="stable")]
            if not len(mine):
                continue

            own_epochs = np.empty(len(mine), np.int64)
            own_samples = np.empty(len(mine), np.int64)
            stream = source + 1
            starts = np.array([start for start, _ in plans], np.int64)
            sizes = np.array([end for _, end in plans], np.int64) - starts
            order(own_places[mine], sizes, self.seed, stream, own_epochs, own_samples)
            epochs[mine] = own_epochs
            samples[mine] = own_samples + starts[own_epochs % len(plans)]

        return epochs, samples

    def _mixed(self, places: Int64) -> tuple[Int64, Int64]:
        """For each of `places` (P,): its source, and its place in the order of that source."""
        counts = np.array(self.counts, np.int64)
        # Slots [bounds[s], bounds[s + 1]) of a block belong to source s, before the shuffle.
        bounds = np.concatenate([[0], np.cumsum(self.counts)]).astype(np.int64)
        sources = np.empty_like(places)
        own_places = np.empty_like(places)

        first_block = int(places[0]) // MIX_BLOCK
        last_block = int(places[-1]) // MIX_BLOCK
        for block in range(first_block, last_block + 1):
            here = (places // MIX_BLOCK) == block
            table = shuffle(MIX_BLOCK, np.uint64(make_key(self.seed, MIX, block, 0)))
            slots = table[places[here] % MIX_BLOCK]
            source = np.searchsorted(bounds, slots, side="right") - 1
            sources[here] = source
            own_places[here] = block * counts[source] + slots - bounds[source]

        return sources, own_places


def make_order(data: Data, seed: int, mix: dict[str, float]) -> Order:
    """The order of `data`; `mix` maps sources to weights, and a source without one has weight 1.

    Raises `UserError` for a source that the shards do not have, or when no weight is above 0.
    """
    for name in mix:
        if name not in data.sources:
            raise UserError(
                f"--mix {name}: no such source in the shards", nearest(name, data.sources)
            )

    ranges = tuple(data.ranges(name) for name in data.shards)
    if not mix:
        return Order(seed, ranges, ())

    wanted = []
    for name, plans in zip(data.shards, ranges, strict=True):
        samples = sum(end - start for start, end in plans) / len(plans)
        wanted.append(samples * mix.get(name, 1.0))
    if sum(wanted) <= 0:
        raise UserError(
            "--mix: no source has a weight above 0", "give at least one source a weight"
        )
    return Order(seed, ranges, shares(wanted))


def shares(wanted: list[float]) -> tuple[int, ...]:
    """How many samples of a block each source gets: in proportion to `wanted`, rounded by largest
    remainder, and at least one where anything is wanted."""
    exact = [value * MIX_BLOCK / sum(wanted) for value in wanted]
    counts = [max(int(value), 1) if value > 0 else 0 for value in exact]

    while sum(counts) != MIX_BLOCK:
        step = 1 if sum(counts) < MIX_BLOCK else -1
        able = [i for i, value in enumerate(exact) if value > 0 and (step > 0 or counts[i] > 1)]
        furthest = max(able, key=lambda i: step * (exact[i] - counts[i]))
        counts[furthest] += step

    return tuple(counts)
