"""The index of a shard: which tokens each sample holds. Made from the sentence lengths alone, and
cached on disk.

Samples end at a shard's end, and the B of a random pair is from the same shard, so an index depends
on that shard alone; its cache file is named by the shard's digest, the format and every setting
that decides it. Formats with pairs have PLANS indexes, and epoch e uses plan e % PLANS (BERT's ten
copies of the data). Cost: 1 to 50 ns a sentence. Size: 32 bytes a sample of full-sentences, 20 a
sequence of doc-sentences, 40 a pair and plan.
"""

import dataclasses
import hashlib
import io
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from shards.errors import UserError
from shards.reader import Shard
from shards.storage import files
from trainer.config import FormatName
from trainer.formats.doc_sentences import cut
from trainer.formats.full_sentences import pack
from trainer.formats.pairs import BORROWED, DROPPED, PAIRS_RANDOM, TRIMMED, plan
from trainer.formats.rows import Parts, join
from trainer.jit import Int, Int64

VERSION = 3

# Bytes of the digest that ends a stored index.
DIGEST = 16

PLANS = 10

# A part names its first token in 32 bits.
MOST_TOKENS = 2**32 - 1


@dataclass(frozen=True, kw_only=True)
class Format:
    """How documents become samples, as `config.DataConfig` describes it; `length` is T."""

    name: FormatName = "full-sentences"
    length: int
    sentence_eos: bool = True
    nsp: Literal["paper", "bert"] = "paper"
    short_seq_prob: float = 0.1

    @property
    def has_pairs(self) -> bool:
        """Whether a sequence is a pair, with a class for next sentence prediction."""
        return self.name in ("segment-pair", "sentence-pair")

    @property
    def plans(self) -> int:
        """The number of plans that epochs take turns with."""
        return PLANS if self.has_pairs else 1

    def file_name(self, digest: str, number: int) -> str:
        """The cache file of plan `number` of a shard."""
        words = [digest, self.name, str(self.length)]
        if not self.has_pairs:
            words.append("eos" if self.sentence_eos else "doc")
        else:
            words.append(self.nsp)
        if self.name == "segment-pair":
            words.append(f"{self.short_seq_prob:g}")
        if self.has_pairs:
            words.append(f"plan{number}")
        return "-".join([*words, str(VERSION)]) + ".npy"


@dataclass(frozen=True, kw_only=True)
class Counts:
    """What a plan makes of a shard: `samples` of `sequences`, at most `most_sequences` in one.

    Tokens: `tokens` of the shard = those used + `trimmed` (cut off a pair that was too long) +
    `dropped` (of sentences without a pair); `borrowed` are those of random Bs, which are used where
    they stand too; `filled` are all places of the samples that are not padding.
    """

    tokens: int
    samples: int
    sequences: int
    most_sequences: int
    filled: int
    pairs: int = 0
    random: int = 0
    trimmed: int = 0
    dropped: int = 0
    borrowed: int = 0


@dataclass(frozen=True)
class Index:
    """Where the samples of a shard begin: `samples` (N + 1, 4) int64 of `full_sentences.pack`, or
    `rows` (N + 1,) and `parts` (P, 5) uint32 as `rows` describes them; the others are empty."""

    counts: Counts
    samples: Int64
    rows: Parts
    parts: Parts

    def to_array(self) -> Int64:
        """All of it as one array, as it is stored."""
        counts = np.array(dataclasses.astuple(self.counts), np.int64)
        packed = np.concatenate([self.rows, self.parts.reshape(-1)])
        packed = np.append(packed, np.zeros(len(packed) % 2, np.uint32))
        return np.concatenate([counts, self.samples.reshape(-1), packed.view(np.int64)])


def from_array(array: Int64, form: Format) -> Index:
    """The index in a stored array, whose bytes it shares. Raises `ValueError` for an array that is
    not one."""
    count = len(dataclasses.fields(Counts))
    if array.ndim != 1 or array.dtype != np.int64 or len(array) < count:
        raise ValueError("not an index")

    names = [field.name for field in dataclasses.fields(Counts)]
    counts = Counts(**dict(zip(names, array[:count].tolist(), strict=True)))
    body = array[count:]
    words = body.view(np.uint32)
    none = np.zeros(0, np.uint32)
    if form.name == "full-sentences":
        if len(body) != 4 * (counts.samples + 1):
            raise ValueError("not as long as its counts say")
        return Index(counts, body.reshape(-1, 4), none, none.reshape(0, 5))

    many = counts.sequences * (2 if form.has_pairs else 1)
    end = counts.samples + 1 + 5 * many
    if len(words) != end + end % 2:
        raise ValueError("not as long as its counts say")
    rows = words[: counts.samples + 1]
    parts = words[counts.samples + 1 : end].reshape(-1, 5)
    return Index(counts, np.zeros((0, 4), np.int64), rows, parts)


# --- the cache


def cache_folder() -> Path:
    """`$CORPUSMILL_CACHE`, else `corpusmill` in `$XDG_CACHE_HOME` or `~/.cache`."""
    base = os.environ.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache")
    return Path(os.environ.get("CORPUSMILL_CACHE") or os.path.join(base, "corpusmill"))


def shard_index(shard: Shard, form: Format, number: int = 0, name: str = "") -> Index:
    """The index of a shard for plan `number` of a format.

    Read from the cache; otherwise made and stored there. Where the cache cannot be written the
    index stays in memory. `name` is what an error calls the shard. Raises `UserError` when the
    sentence lengths do not fit the tokens, or the shard is too large for the format.
    """
    path = cache_folder() / "index" / form.file_name(shard.entry.digest, number)
    index = read_index(path, form, len(shard.tokens))
    if index is not None:
        return index

    index = make_index(shard, form, number, name)
    try:
        with files.open_output(str(path)) as stream:
            write_array(stream, index.to_array())
    except OSError:
        pass
    return index


def read_index(path: Path, form: Format, tokens: int) -> Index | None:
    """A stored index of a shard of so many tokens, memory-mapped so that the ranks of a host share
    its pages; None where there is none or a byte of it is damaged."""
    try:
        whole = np.memmap(path, np.uint8, "r")
        if bytes(whole[-DIGEST:]) != digest(whole[:-DIGEST].data):
            return None
        index = from_array(np.load(path, mmap_mode="r"), form)
    except (OSError, ValueError, EOFError):
        return None
    return index if index.counts.tokens == tokens else None


def write_array(stream: files.Output, array: Int64) -> None:
    """Write an array as a .npy file, with the digest of all its bytes after it."""
    header = io.BytesIO()
    fields = np.lib.format.header_data_from_array_1_0(array)  # type: ignore[no-untyped-call]
    np.lib.format.write_array_header_1_0(header, fields)  # type: ignore[no-untyped-call]
    begun = header.getvalue()
    stream.write(begun)
    stream.write(array.tobytes())
    stream.write(digest(begun, array.data))


def digest(*parts: bytes | memoryview) -> bytes:
    """The digest of a stored index; some two seconds for those of 30 billion tokens."""
    found = hashlib.blake2b(digest_size=DIGEST)
    for part in parts:
        found.update(part)
    return found.digest()


# --- making it


def make_index(shard: Shard, form: Format, number: int = 0, name: str = "") -> Index:
    """The index of a shard, made now. Raises `UserError` like `shard_index`."""
    ends = shard.sentence_offsets

    # Checked here, once: the kernels that read by this index trust it.
    fits = (
        int(shard.sentences.sum(dtype=np.int64)) == len(shard.tokens)
        and int(ends[-1]) == len(shard.sentences)
        and not np.any(np.diff(ends) < 0)
    )
    if not fits:
        raise UserError(
            f"{name or shard.entry.file}: the sentence lengths do not add up to the tokens",
            "run corpus verify on the shards, then build or copy them again",
            1,
        )
    if form.name == "full-sentences":
        return full_sentences_index(shard, form)

    if len(shard.tokens) > MOST_TOKENS:
        raise UserError(
            f"{name or shard.entry.file}: {form.name} takes shards of at most {MOST_TOKENS:,} "
            f"tokens, this one has {len(shard.tokens):,}",
            "build the shards again with a smaller shards.shard_tokens",
        )
    if form.name == "doc-sentences":
        return doc_sentences_index(shard, form)
    return pairs_index(shard, form, number)


def full_sentences_index(shard: Shard, form: Format) -> Index:
    """The index of FULL-SENTENCES."""
    sentences = shard.sentences
    ends = shard.sentence_offsets
    length, eos = form.length, form.sentence_eos

    count = pack(sentences, ends, length, eos, np.zeros((0, 4), np.int64))
    samples = np.zeros((count + 1, 4), np.int64)
    pack(sentences, ends, length, eos, samples)

    # <s> in each sample, and a </s> where a document begins inside one.
    full = np.diff(shard.token_offsets) > 0
    inside = ~np.isin(shard.token_offsets[:-1][full], samples[:-1, 0])
    filled = len(shard.tokens) + int(count) + int(inside.sum())
    # A </s> after each sentence or piece of one, or else at the end of each sample.
    pieces = int(((sentences.astype(np.int64) + length - 3) // (length - 2)).sum())
    filled += pieces if eos else int(count)

    counts = Counts(
        tokens=len(shard.tokens),
        samples=int(count),
        sequences=int(count),
        most_sequences=1,
        filled=filled,
    )
    none = np.zeros(0, np.uint32)
    return Index(counts, samples, none, none.reshape(0, 5))


def doc_sentences_index(shard: Shard, form: Format) -> Index:
    """The index of DOC-SENTENCES."""
    sentences = shard.sentences
    ends = shard.sentence_offsets

    none = np.zeros((0, 5), np.uint32)
    count = cut(sentences, ends, form.length, form.sentence_eos, none, np.zeros(0, np.int64))
    parts = np.zeros((count, 5), np.uint32)
    sizes = np.zeros(count, np.int64)
    cut(sentences, ends, form.length, form.sentence_eos, parts, sizes)

    counts = Counts(
        tokens=len(shard.tokens),
        samples=0,
        sequences=int(count),
        most_sequences=0,
        filled=int(sizes.sum()),
    )
    return share_rows(counts, parts, sizes, form.length)


def pairs_index(shard: Shard, form: Format, number: int) -> Index:
    """The index of SEGMENT-PAIR and SENTENCE-PAIR for plan `number`."""
    sizes = shard.sentences.astype(np.int64)
    firsts = np.cumsum(sizes) - sizes
    numbers = np.flatnonzero(sizes)
    # Offsets of the documents into the sentences that are not empty; empty documents fall away.
    before = np.concatenate([[0], np.cumsum(sizes > 0)])
    ends = np.unique(before[shard.sentence_offsets])
    solid = (sizes[numbers], firsts[numbers], numbers, ends)

    single = form.name == "sentence-pair"
    paper = form.nsp == "paper"
    # The chance of a plan is keyed by the shard, and so the same for every seed of a run.
    seed = int(shard.entry.digest[:15], 16)

    def planned(parts: NDArray[np.uint32], sums: Int64) -> Int:
        return plan(
            *solid, form.length, single, paper, form.short_seq_prob, seed, number, parts, sums
        )

    count = planned(np.zeros((0, 5), np.uint32), np.zeros(4, np.int64))
    parts = np.zeros((2 * count, 5), np.uint32)
    sums = np.zeros(4, np.int64)
    planned(parts, sums)
    pair_sizes = parts[:, 1].astype(np.int64).reshape(-1, 2).sum(1) + 3

    counts = Counts(
        tokens=len(shard.tokens),
        samples=int(count),
        sequences=int(count),
        most_sequences=1,
        filled=int(pair_sizes.sum()),
        pairs=int(count),
        random=int(sums[PAIRS_RANDOM]),
        trimmed=int(sums[TRIMMED]),
        dropped=int(sums[DROPPED]),
        borrowed=int(sums[BORROWED]),
    )
    if single:
        return share_rows(counts, parts, pair_sizes, form.length)
    rows = np.arange(count + 1, dtype=np.uint32) * np.uint32(2)
    return Index(counts, np.zeros((0, 4), np.int64), rows, parts)


def share_rows(counts: Counts, parts: Parts, sizes: Int64, length: int) -> Index:
    """The index of Q sequences of `sizes` (Q,) tokens that share rows; each has as many of `parts`
    (P, 5), and they stand in order."""
    row_of = np.zeros(len(sizes), np.int64)
    samples = int(join(sizes, length, row_of))
    in_row = np.bincount(row_of, minlength=samples)

    # Within a row sequences stay in the order of the shard.
    each = len(parts) // max(len(sizes), 1)
    by_row = np.argsort(row_of, kind="stable")
    parts = parts.reshape(len(sizes), 5 * each)[by_row].reshape(-1, 5)
    rows = np.concatenate([[0], np.cumsum(in_row) * each]).astype(np.uint32)

    most = int(in_row.max(initial=0))
    counts = dataclasses.replace(counts, samples=samples, most_sequences=most)
    return Index(counts, np.zeros((0, 4), np.int64), rows, parts)
