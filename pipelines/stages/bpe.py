"""Byte-level BPE, trained from counted words: the same vocabulary as `tokenizers` trains on the
text, merge for merge."""

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer, decoders, models, pre_tokenizers

from pipelines.stages import bpe_kernels as kernels
from pipelines.stages.given_tokenizer import special
from pipelines.stages.word_counts import WordCounts
from shards.roles import ROBERTA, ROLES, byte_letters

FIRST = tuple(ROBERTA[role] for role in ROLES[:-1])
"""The special tokens before all others."""


def train_from_counts(words: WordCounts, vocab_size: int) -> Tokenizer:
    """The vocabulary of counted words, with RoBERTa's special tokens.

    `vocab_size` counts them; there are fewer ids when the words have fewer pairs to merge.
    """
    letters = sorted(byte_letters().items())
    tokens = [name.encode() for name in FIRST] + [bytes([byte]) for _, byte in letters]
    ids = np.zeros(256, np.int32)
    ids[[byte for _, byte in letters]] = np.arange(len(FIRST), len(tokens))

    size = vocab_size - 1
    pool, ends = _token_room(tokens, size, words)
    starts = words.ends[: words.used + 1]
    symbols = ids[words.pool[: starts[-1]]]
    merges = np.empty((2 * size + 1000, 2), np.int32)
    num_tokens, num_merges = kernels.train(
        symbols, starts, words.counts[: words.used], pool, ends, len(tokens), size, merges
    )
    return _tokenizer(pool, ends[: num_tokens + 1], merges[:num_merges])


def _token_room(
    tokens: list[bytes], size: int, words: WordCounts
) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Room for the bytes of all tokens, none of which is longer than the longest word."""
    longest = int(np.diff(words.ends[: words.used + 1]).max(initial=1))
    given = b"".join(tokens)
    pool = np.zeros(len(given) + (size + 1) * (longest + 1), np.uint8)
    pool[: len(given)] = np.frombuffer(given, np.uint8)
    ends = np.zeros(max(size, len(tokens)) + 2, np.int64)
    np.cumsum([len(token) for token in tokens], out=ends[1 : len(tokens) + 1])
    return pool, ends


def _tokenizer(
    pool: NDArray[np.uint8], ends: NDArray[np.int64], merges: NDArray[np.int32]
) -> Tokenizer:
    """The tokenizer of trained tokens and merges."""
    letter_of = {byte: letter for letter, byte in byte_letters().items()}
    names = list(FIRST)
    for begin, end in zip(ends[len(FIRST) :].tolist(), ends[len(FIRST) + 1 :].tolist()):
        names.append("".join(letter_of[byte] for byte in pool[begin:end].tolist()))

    vocabulary = {name: number for number, name in enumerate(names)}
    pairs = [(names[left], names[right]) for left, right in merges.tolist()]
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=pairs))
    byte_level = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.pre_tokenizer = byte_level  # type: ignore[assignment]
    tokenizer.decoder = decoders.ByteLevel()  # type: ignore[assignment]
    tokenizer.add_special_tokens([special(name) for name in FIRST])
    tokenizer.add_special_tokens([special(ROBERTA["mask"])])
    return tokenizer
