"""From texts to sentences, and from sentences to token ids.

sentencex finds the sentences. `tokenizers` is the reference for the ids; fastokens gives the same
about 15 times as fast, for the versions that the tests compare.
"""

import itertools
from collections.abc import Callable, Iterator
from importlib.metadata import version

import numpy as np
import pyarrow as pa
import sentencex
from numpy.typing import NDArray
from tokenizers import Tokenizer

from shards.format import token_schema
from shards.storage import files
from shards.writer import token_batch

PACKAGES = ("sentencex", "tokenizers")
"""Distributions that decide sentences and ids."""

FASTOKENS_VERSIONS = ("0.3.5",)
"""Those whose ids the tests compare with `tokenizers`; any other is not used."""

COMPARED_SENTENCES = 1000
"""How many sentences each process compares, to be safe with any vocabulary."""

Encoded = tuple[NDArray[np.uint32], NDArray[np.int64]]
"""(T,) ids of S sentences, and (S + 1,) offsets into them."""

Encoder = Callable[[list[str]], Encoded]
"""Encodes S sentences."""


def read_tokenizer(address: str) -> Tokenizer:
    """A tokenizer that encodes text as text: special tokens in it are ordinary characters."""
    tokenizer = Tokenizer.from_str(files.read_bytes(address).decode())
    # A page that contains </s> must not be able to end a document.
    tokenizer.encode_special_tokens = True
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return tokenizer


def vocab_size(tokenizer: Tokenizer) -> int:
    """One more than the highest id: a given vocabulary may leave ids out."""
    return max(tokenizer.get_vocab().values()) + 1


def split_sentences(text: str, language: str, whitespace: str) -> list[str]:
    """The sentences of a normalised text, as they are encoded.

    `whitespace` is that of the recipe. With `keep`, the sentences joined are the text. With
    `space`, a run of white space is one space, and a sentence after the first begins with one where
    white space is before it (in Chinese there is none). `strip` is the same without that space.
    `language` is any code of a language; an unknown one is split like English.
    """
    # sentencex knows Chinese as one language, langdetect as two; a country makes no difference.
    base = language.lower().partition("-")[0]
    code = "en" if base == "any" else base
    spans = list(_sentence_spans(text, code))
    if whitespace == "keep":
        return _whole_text(text, spans)

    sentences: list[str] = []
    end = 0
    for begin, stop in spans:
        sentence = " ".join(text[begin:stop].split())
        if whitespace == "space" and end < begin and sentences:
            sentence = " " + sentence
        sentences.append(sentence)
        end = stop
    return sentences


def _whole_text(text: str, spans: list[tuple[int, int]]) -> list[str]:
    """The text in pieces: each begins where the one before ends, the last reaches to the end."""
    if not spans:
        return []

    ends = [stop for _, stop in spans[:-1]] + [len(text)]
    begins = [0, *ends[:-1]]
    return [text[begin:end] for begin, end in zip(begins, ends)]


def _sentence_spans(text: str, language: str) -> Iterator[tuple[int, int]]:
    """(begin, end) of each sentence without the white space around it."""
    offset = 0
    for paragraph in text.split("\n"):
        position = offset
        for sentence in sentencex.segment(language, paragraph):
            bare = sentence.strip()
            if bare:
                begin = position + len(sentence) - len(sentence.lstrip())
                yield begin, begin + len(bare)
            position += len(sentence)
        offset += len(paragraph) + 1


def encode(
    encoder: Encoder, identities: list[str], documents: list[list[str]], dtype: str
) -> pa.RecordBatch:
    """The shard columns of D documents, each a list of sentences; a sentence without tokens is left
    out."""
    sentences = list(itertools.chain.from_iterable(documents))
    tokens, ends = encoder(sentences)
    lengths = np.diff(ends)
    is_filled = lengths > 0

    # Where each document begins, counted in sentences, then in tokens and in filled sentences.
    first_sentences = _ends(np.fromiter(map(len, documents), np.int64, len(documents)))
    return token_batch(
        pa.array(identities, pa.string()),
        tokens.astype(dtype),
        ends[first_sentences],
        lengths[is_filled].astype(np.uint32),
        _ends(is_filled)[first_sentences],
        token_schema(dtype),
    )


def plain_encoder(tokenizer: Tokenizer) -> Encoder:
    """Sentences by `tokenizers`: the reference."""

    def encode_sentences(sentences: list[str]) -> Encoded:
        encodings = tokenizer.encode_batch_fast(sentences, add_special_tokens=False)
        ids = [encoding.ids for encoding in encodings]
        ends = _ends(np.fromiter(map(len, ids), np.int64, len(ids)))
        flat = itertools.chain.from_iterable(ids)
        return np.fromiter(flat, np.uint32, int(ends[-1])), ends

    return encode_sentences


def fastest_encoder(address: str) -> Encoder:
    """Sentences by fastokens where it can be trusted, else by `tokenizers`; the same ids.

    It is trusted in a version that the tests compare, for a vocabulary that it can read, and once
    the first sentences of the process came out the same.
    """
    plain = plain_encoder(read_tokenizer(address))
    try:
        import fastokens

        if version("fastokens") not in FASTOKENS_VERSIONS:
            return plain
        fast = fastokens.Tokenizer.from_json_str(files.read_bytes(address).decode())
    except (ImportError, ValueError, RuntimeError):
        return plain

    compared = 0
    is_equal = True

    def encode_sentences(sentences: list[str]) -> Encoded:
        nonlocal compared, is_equal
        if not is_equal:
            return plain(sentences)

        # Special tokens in the text are split like any text, as the reference does.
        content, offsets = fast.encode_batch_flat(
            sentences, add_special_tokens=False, split_special_tokens=True
        )
        ids = np.frombuffer(content, np.uint32)
        ends = np.frombuffer(offsets, np.uint64).astype(np.int64)
        if compared < COMPARED_SENTENCES:
            compared += len(sentences)
            is_equal = _begins_with(ids, ends, plain(sentences[:COMPARED_SENTENCES]))
        return (ids, ends) if is_equal else plain(sentences)

    return encode_sentences


def _begins_with(ids: NDArray[np.uint32], ends: NDArray[np.int64], expected: Encoded) -> bool:
    """Whether the first sentences have the expected ids."""
    expected_ids, expected_ends = expected
    same_ends = np.array_equal(ends[: len(expected_ends)], expected_ends)
    return same_ends and np.array_equal(ids[: expected_ends[-1]], expected_ids)


def _ends(lengths: NDArray[np.generic]) -> NDArray[np.int64]:
    """(N + 1,) offsets from 0."""
    return np.concatenate([[0], np.cumsum(lengths, dtype=np.int64)]).astype(np.int64)
