"""Which tokens of which documents a sample holds, and which samples hold a document.

A sample is read by the same kernels that make a batch, from numbers in place of tokens: each place
of it then tells which token of the shard stands there.
"""

from typing import NamedTuple

import numpy as np

from trainer.data.samples import Data, Member
from trainer.formats.full_sentences import unpack
from trainer.formats.index import Index
from trainer.formats.rows import Parts, unpack_row
from trainer.jit import Int64

# What stands at a special token. No id of a shard is above it.
NO_TOKEN = -1

NO_LIMIT = 2**62


class Stretch(NamedTuple):
    """Tokens of one document that stand together in a sample: `tokens` of them from `first` of the
    document on, from `place` of the sample on. Separators between them are passed over, so that
    `end`, the place behind the last, may be further than `tokens`."""

    document: int
    first: int
    tokens: int
    place: int
    end: int


def member_of(data: Data, shard: int) -> Member:
    """A shard of the split and its indexes."""
    member = data.keep[shard]
    assert isinstance(member, Member)
    return member


def find_sample(data: Data, plan: int, sample: int) -> tuple[int, int]:
    """The shard that holds a sample of a plan, and the number of the sample in it."""
    starts = data.starts[plan]
    shard = int(np.searchsorted(starts, sample, side="right") - 1)
    return shard, sample - int(starts[shard])


def samples_with(data: Data, shard: int, document: int, plan: int) -> Int64:
    """The samples of a plan, rising, that hold tokens of a document of a shard."""
    member = member_of(data, shard)
    first, end = member.shard.token_offsets[document : document + 2].tolist()
    index = member.indexes[plan]
    if first == end:
        return np.zeros(0, np.int64)

    if data.form.name == "full-sentences":
        begins = index.samples[:, 0]
        low = int(np.searchsorted(begins, first, side="right")) - 1
        high = int(np.searchsorted(begins, end, side="left"))
        return np.arange(low, high, dtype=np.int64) + int(data.starts[plan, shard])

    token: Int64 = index.parts[:, 0].astype(np.int64)
    after = token + index.parts[:, 1]
    parts = np.flatnonzero((token < end) & (after > first))
    rows = np.searchsorted(index.rows, parts, side="right") - 1
    return np.unique(rows).astype(np.int64) + int(data.starts[plan, shard])


def tokens_at(data: Data, shard: int, plan: int, number: int) -> Int64:
    """(L,) for each place of sample `number` of a shard: the token of the shard that stands there,
    NO_TOKEN for a special token and for padding."""
    member = member_of(data, shard)
    index = member.indexes[plan]
    row = np.full(data.length, NO_TOKEN, np.int64)
    begins = np.empty(data.length, np.uint8)

    if data.form.name == "full-sentences":
        used = index.samples[number : number + 2].copy()
        origin = int(used[0, 0])
        used[:, 0] -= origin
        unpack(
            np.arange(int(used[1, 0]), dtype=np.uint32), member.shard.sentences,
            member.shard.sentence_offsets, used, 0, data.sentence_eos, NO_TOKEN, NO_TOKEN,
            NO_LIMIT, row, begins,
        )  # fmt: skip
        row[row >= 0] += origin
        return row

    numbers, rows, parts = numbered(index, number)
    lengths = np.zeros(data.most_sequences, np.int64)
    classes = np.zeros(data.most_sequences, np.int64)
    sentence_eos = data.sentence_eos and not data.form.has_pairs
    unpack_row(
        np.arange(len(numbers), dtype=np.uint32), member.shard.sentences, rows, parts, 0,
        sentence_eos, NO_TOKEN, NO_TOKEN, NO_LIMIT, row, begins, lengths, classes,
    )  # fmt: skip
    row[row >= 0] = numbers[row[row >= 0]]
    return row


def numbered(index: Index, number: int) -> tuple[Int64, Parts, Parts]:
    """The tokens that row `number` is made of, one part after the other, and the index of a shard
    that has this row alone and only these tokens."""
    low, high = index.rows[number : number + 2].tolist()
    parts = index.parts[low:high].copy()
    sizes = parts[:, 1].astype(np.int64)
    before = np.cumsum(sizes) - sizes

    places = np.arange(int(sizes.sum())) - np.repeat(before, sizes)
    numbers = np.repeat(parts[:, 0].astype(np.int64), sizes) + places
    parts[:, 0] = before
    return numbers, np.array([0, high - low], np.uint32), parts


def stretches(data: Data, shard: int, tokens: Int64) -> list[Stretch]:
    """The stretches of the documents of a shard in a sample, given its `tokens_at`, by place."""
    offsets = member_of(data, shard).shard.token_offsets
    places = np.flatnonzero(tokens >= 0)
    values = tokens[places]
    documents = np.searchsorted(offsets, values, side="right") - 1

    # A stretch ends where the next token is of another document, or is not the next one of it.
    breaks = (np.diff(documents) != 0) | (np.diff(values) != 1)
    starts = np.concatenate([[0], np.flatnonzero(breaks) + 1]).astype(np.int64)
    stops = np.append(starts[1:], len(values))
    found = []
    for start, stop in zip(starts.tolist(), stops.tolist(), strict=True):
        if start == stop:
            continue
        document = int(documents[start])
        found.append(
            Stretch(
                document=document,
                first=int(values[start] - offsets[document]),
                tokens=stop - start,
                place=int(places[start]),
                end=int(places[stop - 1]) + 1,
            )
        )
    return found
