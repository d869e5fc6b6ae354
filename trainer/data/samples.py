"""The samples of a split: shards opened, indexed, and laid out for the kernels.

Sample k of epoch e is a pure function of (shards, format, length, seed, e, k), and so are its
masks: a batch is a range of the endless order, whatever ranks and micro-batches divide it. Shards
are memory-mapped and never read as a whole. Sources follow each other in the order in which they
are first met, whatever folders they come from.
"""

import contextlib
import dataclasses
import itertools
import os
import resource
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

import shards
from shards.errors import UserError
from shards.manifest import TokenizerInfo
from shards.reader import Shard, Shards
from trainer.config import DataConfig
from trainer.formats.index import Counts, Format, Index, shard_index
from trainer.jit import Int64

# The open files that are asked for where the hard limit is "unlimited", which macOS refuses.
MANY_FILES = 65536


@dataclass(frozen=True)
class MappedFile:
    """A file of `size` bytes that is mapped, and its number in the file system."""

    path: str
    size: int
    inode: int

    def refuse_cut(self) -> None:
        """Raise `UserError` when the file has become shorter."""
        try:
            now = os.stat(self.path)
        except OSError:
            return  # a file that was removed is still mapped
        if now.st_ino == self.inode and now.st_size < self.size:
            raise UserError(
                f"{self.path}: cut to {now.st_size} bytes while it was read, of {self.size}",
                "copy the shard again, then run the command again with --resume; do not change "
                "shards while they are in use",
                1,
            )


@dataclass(frozen=True, kw_only=True)
class Data:
    """The samples of a split over N shards, one source after the other.

    A format with pairs has Q plans, and epoch e uses plan e % Q; the others have one.
    """

    directories: tuple[str, ...]
    """The folders of the shards, as absolute paths."""
    tokenizer: TokenizerInfo
    """The one tokenizer of all shards."""
    wide: bool
    """Whether tokens are uint32, for vocabularies above 65,536."""
    form: Format
    """How documents become samples."""
    starts: Int64
    """(Q, N + 1) the first sample of each shard, then the number of samples."""
    shards: dict[str, tuple[int, int]]
    """The shards [first, end) of each source."""
    table: Int64
    """(Q, N, 10) the addresses and counts that `gather.fill` reads."""
    counts: Counts
    """What the samples hold, over all shards and plans."""
    identity: tuple[str, ...]
    """Source and digest of each shard."""
    tokens: dict[str, int]
    """Tokens of each source."""
    files: tuple[MappedFile, ...]
    """The file of each shard, as it was when it was mapped."""
    keep: tuple[object, ...] = field(repr=False)
    """The memory maps that `table` points into, so that they stay alive."""

    def __len__(self) -> int:
        """The samples of the first epoch."""
        return int(self.starts[0, -1])

    def refuse_cut(self, epochs: Int64, samples: Int64) -> None:
        """Raise `UserError` when a shard of these samples (B,) of `epochs` (B,) is shorter than
        when it was mapped: to read beyond the end of a file ends the process without a word
        (SIGBUS)."""
        plans = epochs % len(self.starts)
        touched: set[int] = set()
        for plan in np.unique(plans):
            mine = samples[plans == plan]
            numbers = np.searchsorted(self.starts[plan], mine, side="right") - 1
            touched.update(numbers.tolist())
        for number in touched:
            self.files[number].refuse_cut()

    @property
    def length(self) -> int:
        """L: tokens in a sample."""
        return self.form.length

    @property
    def sentence_eos(self) -> bool:
        """Whether </s> follows every sentence."""
        return self.form.sentence_eos

    @property
    def most_sequences(self) -> int:
        """S: the most sequences that a sample holds."""
        return max(self.counts.most_sequences, 1)

    @property
    def epoch_samples(self) -> float:
        """The samples of an epoch, in the mean of the plans."""
        return self.counts.samples / self.form.plans

    @property
    def sources(self) -> dict[str, tuple[int, int]]:
        """The samples [start, end) of each source in the first epoch."""
        return {name: self.ranges(name)[0] for name in self.shards}

    def ranges(self, source: str) -> tuple[tuple[int, int], ...]:
        """The samples [start, end) of a source in each plan."""
        first, end = self.shards[source]
        return tuple((int(row[first]), int(row[end])) for row in self.starts)


@dataclass(frozen=True)
class Member:
    """A shard of the split and its index for each plan."""

    shard: Shard
    indexes: tuple[Index, ...]

    @property
    def identity(self) -> str:
        """The source and the digest of the shard."""
        return f"{self.shard.entry.source} {self.shard.entry.digest}"

    def table_row(self, plan: int) -> list[int]:
        """Addresses of tokens, sentences, document ends and the three arrays of the index, then the
        counts of tokens, sentences, document ends and parts."""
        index = self.indexes[plan]
        tokens = self.shard.tokens
        sentences = self.shard.sentences
        ends = self.shard.sentence_offsets
        arrays = [tokens, sentences, ends, index.samples, index.rows, index.parts]
        addresses = [array.ctypes.data for array in arrays]
        return [*addresses, len(tokens), len(sentences), len(ends), len(index.parts)]


def open_training(directories: Sequence[str], config: DataConfig) -> Data:
    """Open the training shards in the format of a recipe. Raises `UserError` as `open_samples`."""
    form = Format(
        name=config.format,
        length=config.length,
        sentence_eos=config.sentence_eos,
        nsp=config.nsp,
        short_seq_prob=config.short_seq_prob,
    )
    return open_samples(directories, "train", form)


def open_data(
    directories: Sequence[str],
    split: str,
    length: int,
    sentence_eos: bool,
    source: str | None = None,
) -> Data:
    """Open the shards of a split, or those of one source of it, as FULL-SENTENCES. Raises
    `UserError` as `open_samples`."""
    form = Format(length=length, sentence_eos=sentence_eos)
    return open_samples(directories, split, form, source)


def open_samples(
    directories: Sequence[str], split: str, form: Format, source: str | None = None
) -> Data:
    """Open the shards of a split, or those of one source of it.

    Raises `UserError` when a folder has no manifest or another tokenizer than the first one, when
    a file is missing or damaged, and when the format makes no sample of a source.
    """
    allow_many_files()
    opened = open_all(directories, split)
    manifest = opened[0].manifest

    by_source: dict[str, list[Member]] = {}
    for part in opened:
        for shard in part:
            if source is None or shard.entry.source == source:
                path = f"{part.directory}/{shard.entry.file}"
                plans = range(form.plans)
                indexes = tuple(shard_index(shard, form, number, path) for number in plans)
                by_source.setdefault(shard.entry.source, []).append(Member(shard, indexes))
    members = list(itertools.chain.from_iterable(by_source.values()))

    starts = np.zeros((form.plans, len(members) + 1), np.int64)
    table = np.zeros((form.plans, len(members), 10), np.int64)
    for number, member in enumerate(members):
        for plan, index in enumerate(member.indexes):
            starts[plan, number + 1] = starts[plan, number] + index.counts.samples
            table[plan, number] = member.table_row(plan)

    counts = total([index.counts for member in members for index in member.indexes])
    data = Data(
        directories=tuple(os.path.abspath(part.directory) for part in opened),
        tokenizer=manifest.tokenizer,
        wide=manifest.dtype == "uint32",
        form=form,
        starts=starts,
        shards=source_shards(by_source),
        table=table,
        counts=counts,
        identity=tuple(member.identity for member in members),
        tokens=source_tokens(by_source),
        files=tuple(mapped_files(opened, by_source)),
        keep=tuple(members),
    )
    if form.has_pairs:
        refuse_no_pairs(data)
    return data


def mapped_files(opened: list[Shards], by_source: dict[str, list[Member]]) -> Iterator[MappedFile]:
    """The file of each shard, in the order of the sources."""
    paths = {}
    for part in opened:
        for shard in part:
            paths[id(shard)] = f"{part.directory}/{shard.entry.file}"
    for group in by_source.values():
        for member in group:
            path = paths[id(member.shard)]
            yield MappedFile(path, member.shard.entry.bytes, os.stat(path).st_ino)


def refuse_same_twice(data: Data) -> None:
    """Raise `UserError` where the same shard is there twice: it would be shown twice an epoch."""
    first: dict[str, str] = {}
    for identity, file in zip(data.identity, data.files, strict=True):
        if identity in first:
            raise UserError(
                f"the same shard is given twice: {first[identity]} and {file.path}",
                "name each set of shards once; --mix NAME=2 shows a source twice as often",
            )
        first[identity] = file.path


def refuse_no_pairs(data: Data) -> None:
    """Raise `UserError` for a source that an epoch has no pair of."""
    for name in data.shards:
        if any(start == end for start, end in data.ranges(name)):
            raise UserError(
                f"{data.directories[0]}: source {name} has no pairs for {data.form.name}: a shard "
                "needs two documents, one for the random B, and two sentences in one of them",
                "use --data.format full-sentences or doc-sentences, or build the shards again with "
                "a larger shards.shard_tokens",
            )


def total(counts: list[Counts]) -> Counts:
    """The sums of all counts; `most_sequences` is the most."""
    names = [field.name for field in dataclasses.fields(Counts)]
    sums = np.array([dataclasses.astuple(count) for count in counts], np.int64)
    sums = sums.reshape(len(counts), len(names)).sum(0)
    most = max([count.most_sequences for count in counts], default=1)
    named = dict(zip(names, sums.tolist(), strict=True))
    return Counts(**{**named, "most_sequences": most})


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


def source_shards(by_source: dict[str, list[Member]]) -> dict[str, tuple[int, int]]:
    """The shards [first, end) of each source."""
    ranges = {}
    done = 0
    for source, group in by_source.items():
        ranges[source] = (done, done + len(group))
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
