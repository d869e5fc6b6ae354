"""The samples of a split: shards opened, indexed, and laid out for the kernels.

Sample k of epoch e is a pure function of (shards, format, length, seed, e, k), and so are its
masks: a batch is a range of the endless order, whatever ranks and micro-batches divide it. Shards
are memory-mapped and never read as a whole. Sources follow each other in the order in which they
are first met, whatever folders they come from.
"""

import contextlib
import itertools
import os
import resource
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

import shards
from shards.errors import UserError
from shards.manifest import TokenizerInfo
from shards.reader import Shard, Shards
from trainer.formats.index import shard_index
from trainer.jit import Int64

# The open files that are asked for where the hard limit is "unlimited", which macOS refuses.
MANY_FILES = 65536


@dataclass(frozen=True)
class Data:
    """The samples of a split over N shards, one source after the other."""

    directories: tuple[str, ...]
    """The folders of the shards, as absolute paths."""
    tokenizer: TokenizerInfo
    """The one tokenizer of all shards."""
    wide: bool
    """Whether tokens are uint32, for vocabularies above 65,536."""
    length: int
    """L: tokens in a sample."""
    sentence_eos: bool
    """Whether </s> follows every sentence."""
    starts: Int64
    """(N + 1,) the first sample of each shard, then the number of samples."""
    sources: dict[str, tuple[int, int]]
    """The samples [start, end) of each source."""
    table: Int64
    """(N, 7) the addresses and counts that `gather.fill` reads."""
    identity: tuple[str, ...]
    """Source and digest of each shard."""
    tokens: dict[str, int]
    """Tokens of each source."""
    keep: tuple[object, ...] = field(repr=False)
    """The memory maps that `table` points into, so that they stay alive."""

    def __len__(self) -> int:
        return int(self.starts[-1])


@dataclass(frozen=True)
class Member:
    """A shard of the split and its index."""

    shard: Shard
    index: Int64

    @property
    def samples(self) -> int:
        """How many samples begin in the shard."""
        return len(self.index) - 1

    @property
    def identity(self) -> str:
        """The source and the digest of the shard."""
        return f"{self.shard.entry.source} {self.shard.entry.digest}"

    def table_row(self) -> list[int]:
        """Addresses of tokens, sentences, document ends and index, then the first three counts."""
        tokens = self.shard.tokens
        sentences = self.shard.sentences
        ends = self.shard.sentence_offsets
        addresses = [array.ctypes.data for array in (tokens, sentences, ends, self.index)]
        return [*addresses, len(tokens), len(sentences), len(ends)]


def open_data(
    directories: Sequence[str],
    split: str,
    length: int,
    sentence_eos: bool,
    source: str | None = None,
) -> Data:
    """Open the shards of a split, or those of one source of it.

    Raises `UserError` when a folder has no manifest or another tokenizer than the first one, and
    when a file is missing or damaged.
    """
    allow_many_files()
    opened = open_all(directories, split)
    manifest = opened[0].manifest

    by_source: dict[str, list[Member]] = {}
    for part in opened:
        for shard in part:
            if source is None or shard.entry.source == source:
                path = f"{part.directory}/{shard.entry.file}"
                member = Member(shard, shard_index(shard, length, sentence_eos, path))
                by_source.setdefault(shard.entry.source, []).append(member)
    members = list(itertools.chain.from_iterable(by_source.values()))

    counts = np.array([member.samples for member in members], np.int64)
    starts = np.concatenate([np.zeros(1, np.int64), np.cumsum(counts)])
    rows = [member.table_row() for member in members]

    return Data(
        directories=tuple(os.path.abspath(part.directory) for part in opened),
        tokenizer=manifest.tokenizer,
        wide=manifest.dtype == "uint32",
        length=length,
        sentence_eos=sentence_eos,
        starts=starts,
        sources=source_ranges(by_source, starts),
        table=np.array(rows, np.int64).reshape(len(members), 7),
        identity=tuple(member.identity for member in members),
        tokens=source_tokens(by_source),
        keep=tuple(members),
    )


def open_all(directories: Sequence[str], split: str) -> list[Shards]:
    """Open the shards of each folder. Raises `UserError` when their tokenizers differ."""
    opened = [shards.open(directory, split) for directory in directories]
    digest = opened[0].manifest.tokenizer.digest
    for other in opened[1:]:
        if other.manifest.tokenizer.digest != digest:
            raise UserError(
                f"{other.directory}: its tokenizer is not that of {opened[0].directory}",
                "build both with one tokenizer: [tokenizer] path",
            )
    return opened


def source_ranges(by_source: dict[str, list[Member]], starts: Int64) -> dict[str, tuple[int, int]]:
    """The samples [start, end) of each source, given the first sample of each shard."""
    ranges = {}
    done = 0
    for source, group in by_source.items():
        ranges[source] = (int(starts[done]), int(starts[done + len(group)]))
        done += len(group)
    return ranges


def source_tokens(by_source: dict[str, list[Member]]) -> dict[str, int]:
    """The tokens of each source, as the manifest counts them."""
    tokens = {}
    for source, group in by_source.items():
        tokens[source] = sum(member.shard.entry.tokens for member in group)
    return tokens


def allow_many_files() -> None:
    """Raise the soft limit on open files: a mapped shard keeps one open, and 1,024 is usual."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == hard:
        return

    wanted = hard if hard != resource.RLIM_INFINITY else max(soft, MANY_FILES)
    with contextlib.suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
