"""TODO-DOC trainer/data/order.py."""

from dataclasses import dataclass

import numpy as np

from shards.errors import UserError, nearest
from trainer.chance import MIX, make_key, order, shuffle
from trainer.data.samples import Data, Int64

MIX_BLOCK = 4096  # samples in a block of mixed sources; shares are exact to 1 in so many


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
            order(places, self.ranges[-1][1], self.seed, 0, epochs, samples)
            return epochs, samples
        chosen, within = self._mixed(places)
        for source, (start, end) in enumerate(self.ranges):
            mine = np.flatnonzero(chosen == source)
            # `order` wants rising places (within a block they are shuffled), so it is asked in
            # their order.
            mine = mine[np.argsort(within[mine], kind="stable")]
            if len(mine):
                own_epochs, own = np.empty(len(mine), np.int64), np.empty(len(mine), np.int64)
                order(within[mine], end - start, self.seed, source + 1, own_epochs, own)
                epochs[mine], samples[mine] = own_epochs, own + start
        return epochs, samples

    def _mixed(self, places: Int64) -> tuple[Int64, Int64]:
        """For each place: its source, and its place in that source's own endless order."""
        bounds = np.concatenate([[0], np.cumsum(self.counts)]).astype(np.int64)
        chosen, within = np.empty_like(places), np.empty_like(places)
        for block in range(int(places[0]) // MIX_BLOCK, int(places[-1]) // MIX_BLOCK + 1):
            here = (places // MIX_BLOCK) == block
            table = shuffle(MIX_BLOCK, np.uint64(make_key(self.seed, MIX, block, 0)))
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
