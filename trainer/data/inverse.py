"""From a sample back to its places in the endless order: what `Order.samples` computes, undone.

The order is a bijection, so this needs no log of what was drawn. Cost: a permutation of each epoch
for each sample; some microseconds for any number of samples above 10,000, and a table below.
"""

from typing import NamedTuple

import numpy as np

from trainer.chance import MIX, make_key, positions_in, shuffle
from trainer.data.order import MIX_BLOCK, Order
from trainer.jit import Int64


class Places(NamedTuple):
    """Where samples stand, a row for each occurrence: `place` in the endless order, `epoch`, and
    the `sample`; all (E,) int64, by rising place."""

    place: Int64
    epoch: Int64
    sample: Int64


class Stream(NamedTuple):
    """One order of samples, of its own key: epoch e has `sizes[e % len(sizes)]` samples."""

    seed: int
    number: int
    sizes: list[int]


class Epoch(NamedTuple):
    """An epoch of a stream: its number, the place in the stream at which it begins, its samples."""

    number: int
    start: int
    size: int


def places_of(order: Order, plan: int, samples: Int64, first: int, end: int) -> Places:
    """Every place in [first, end) of the endless order at which one of `samples` (P,) of the epochs
    of a plan stands."""
    if not order.counts:
        stream = Stream(order.seed, 0, [stop for _, stop in order.ranges[-1]])
        found = in_stream(stream, plan, samples, first, end)
        return in_order(found, first, end)

    parts = []
    for source, plans in enumerate(order.ranges):
        start, stop = plans[plan]
        own = samples[(samples >= start) & (samples < stop)]
        count = order.counts[source]
        if not len(own) or not count:
            continue

        # A block mixes the sources, so whole blocks are searched.
        own_first = first // MIX_BLOCK * count
        own_end = -(-end // MIX_BLOCK) * count
        sizes = [after - before for before, after in plans]
        stream = Stream(order.seed, source + 1, sizes)
        found = in_stream(stream, plan, own - start, own_first, own_end)
        place = mixed_places(order, source, found.place)
        parts.append(Places(place, found.epoch, found.sample + start))

    return in_order(join(parts), first, end)


def in_stream(stream: Stream, plan: int, samples: Int64, first: int, end: int) -> Places:
    """The places in [first, end) of a stream at which `samples` of a plan stand; the epochs of
    other plans are passed over."""
    parts = []
    for epoch in epochs_of(stream.sizes, plan, first, end):
        positions = positions_in(samples, epoch.size, stream.seed, epoch.number, stream.number)
        numbers = np.full(len(samples), epoch.number, np.int64)
        parts.append(Places(positions + epoch.start, numbers, samples))
    return in_order(join(parts), first, end)


def epochs_of(sizes: list[int], plan: int, first: int, end: int) -> list[Epoch]:
    """The epochs of a plan that have places in [first, end)."""
    cycle = sum(sizes)
    before = sum(sizes[:plan])
    size = sizes[plan]
    found = []
    for turn in range(first // cycle, -(-end // cycle)):
        start = turn * cycle + before
        if size and start < end and start + size > first:
            found.append(Epoch(turn * len(sizes) + plan, start, size))
    return found


def mixed_places(order: Order, source: int, own_places: Int64) -> Int64:
    """The places in the endless order of `own_places` (P,) in the stream of a source."""
    count = order.counts[source]
    bound = sum(order.counts[:source])
    places = np.empty_like(own_places)

    for block in np.unique(own_places // count).tolist():
        here = own_places // count == block
        slot_at = shuffle(MIX_BLOCK, np.uint64(make_key(order.seed, MIX, block, 0)))
        place_of = np.empty(MIX_BLOCK, np.int64)
        place_of[slot_at] = np.arange(MIX_BLOCK)
        slots = own_places[here] - block * count + bound
        places[here] = block * MIX_BLOCK + place_of[slots]

    return places


def join(parts: list[Places]) -> Places:
    """All occurrences together."""
    if not parts:
        none = np.zeros(0, np.int64)
        return Places(none, none, none)
    return Places(*(np.concatenate(column) for column in zip(*parts, strict=True)))


def in_order(found: Places, first: int, end: int) -> Places:
    """The occurrences in [first, end), by place."""
    kept = np.flatnonzero((found.place >= first) & (found.place < end))
    kept = kept[np.argsort(found.place[kept], kind="stable")]
    return Places(found.place[kept], found.epoch[kept], found.sample[kept])
