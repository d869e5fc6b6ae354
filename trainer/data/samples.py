"""From shards to masked micro-batches: open, order, and one background thread that stays a few
batches ahead.

Sample k of epoch e is a pure function of (shards, format, length, seed, e, k), and so are its
masks: a batch is a range of the endless order, whatever ranks and micro-batches divide it. Cost:
tens of millions of tokens a second on one core, some hundred times what a GPU eats; no loader
processes.
"""

import contextlib
import os
import resource
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

import shards
from shards.errors import UserError
from shards.manifest import TokenizerInfo
from shards.reader import Shard
from trainer.formats.index import shard_index

Int64 = NDArray[np.int64]


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
