"""TODO-DOC pipelines/stages/encoder.py."""

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

COMPARED_SENTENCES = 1000

Encoder = Callable[[list[str]], tuple[NDArray[np.uint32], NDArray[np.int64]]]
"""S sentences -> (T,) ids of all, (S + 1,) offsets into them."""


def read_tokenizer(address: str) -> Tokenizer:
    """A tokenizer that encodes text as text: special tokens in it are ordinary characters."""
    tokenizer = Tokenizer.from_str(files.read_bytes(address).decode())
    tokenizer.encode_special_tokens = True
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return tokenizer


def vocab_size(tokenizer: Tokenizer) -> int:
    """The highest id and one: a given vocabulary may leave ids out."""
    return max(tokenizer.get_vocab().values()) + 1


def split_sentences(text: str, language: str, whitespace: str) -> list[str]:
    """The sentences of a normalised text, as they are encoded; `whitespace` is that of the recipe.

    `keep`: their concatenation is the text. `space`: runs of white space are one space, and a
    sentence after the first begins with one where white space is before it (in Chinese there is
    none). `strip`: the same without that space. `language`: a langdetect code; unknown is split as
    English.
    """
    code = {"zh-cn": "zh", "zh-tw": "zh", "any": "en"}.get(language, language)
    sentences = []
    end = 0
    for begin, stop in _sentence_spans(text, code):
        if whitespace == "keep":
            sentences.append(text[end:stop])
        else:
            bare = " ".join(text[begin:stop].split())
            sentences.append(
                " " + bare if whitespace == "space" and end < begin and sentences else bare
            )
        end = stop
    if whitespace == "keep" and sentences and end < len(text):
        sentences[-1] += text[end:]
    return sentences


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
    tokens, ends = encoder([sentence for sentences in documents for sentence in sentences])
    lengths = np.diff(ends)
    sentence_ends = _ends(np.fromiter(map(len, documents), np.int64, len(documents)))
    token_ends = ends[sentence_ends]
    filled = lengths > 0
    sentence_ends = _ends(filled)[sentence_ends]
    return token_batch(
        pa.array(identities, pa.string()),
        tokens.astype(dtype),
        token_ends,
        lengths[filled].astype(np.uint32),
        sentence_ends,
        token_schema(dtype),
    )


def plain_encoder(tokenizer: Tokenizer) -> Encoder:
    """Sentences by `tokenizers`: the reference."""

    def encode_sentences(sentences: list[str]) -> tuple[NDArray[np.uint32], NDArray[np.int64]]:
        ids = [
            encoding.ids
            for encoding in tokenizer.encode_batch_fast(sentences, add_special_tokens=False)
        ]
        ends = _ends(np.fromiter(map(len, ids), np.int64, len(ids)))
        return np.fromiter(itertools.chain.from_iterable(ids), np.uint32, int(ends[-1])), ends

    return encode_sentences


def fastest_encoder(address: str) -> Encoder:
    """The same ids by fastokens, about 15 times as fast, where the version that the tests compare
    is installed and it knows the vocabulary; the first sentences of each process are compared with
    `tokenizers`, else that encodes all."""
    plain = plain_encoder(read_tokenizer(address))
    try:
        import fastokens

        if version("fastokens") not in FASTOKENS_VERSIONS:
            return plain
        fast = fastokens.Tokenizer.from_json_str(files.read_bytes(address).decode())
    except (ImportError, ValueError, RuntimeError):
        return plain
    compared = 0
    equal = True

    def encode_sentences(sentences: list[str]) -> tuple[NDArray[np.uint32], NDArray[np.int64]]:
        nonlocal compared, equal
        if not equal:
            return plain(sentences)
        ids, ends = fast.encode_batch_flat(
            sentences, add_special_tokens=False, split_special_tokens=True
        )
        found = np.frombuffer(ids, np.uint32), np.frombuffer(ends, np.uint64).astype(np.int64)
        if compared < COMPARED_SENTENCES:
            compared += len(sentences)
            expected = plain(sentences[:COMPARED_SENTENCES])
            count = len(expected[1])
            equal = np.array_equal(found[1][:count], expected[1]) and np.array_equal(
                found[0][: expected[1][-1]], expected[0]
            )
            return found if equal else plain(sentences)
        return found

    return encode_sentences


def _ends(lengths: NDArray[np.generic]) -> NDArray[np.int64]:
    """(N + 1,) offsets from 0."""
    return np.concatenate([[0], np.cumsum(lengths, dtype=np.int64)]).astype(np.int64)
