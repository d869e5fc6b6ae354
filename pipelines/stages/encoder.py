"""From sentences to token ids.

`tokenizers` is the reference. gigatoken gives the same ids about 60 times as fast, and fastokens
about 20 times, for the versions that the tests compare.
"""

import itertools
import json
from collections.abc import Callable
from functools import lru_cache, partial
from importlib.metadata import version
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from tokenizers import Tokenizer

from pipelines.stages.sentences import Sentences
from shards.format import token_schema
from shards.roles import is_lossless
from shards.storage import files
from shards.writer import token_batch

PACKAGES = ("sentencex", "tokenizers")
"""Distributions that decide sentences and ids."""

FASTOKENS_VERSIONS = ("0.3.5",)
"""Those whose ids the tests compare with `tokenizers`; any other is not used."""

GIGATOKEN_VERSIONS = ("0.10.0",)
"""Those whose ids the tests compare with `tokenizers`; any other is not used."""

RENEWED_AFTER = 128_000_000
"""Bytes of text after which gigatoken's cache of words is emptied: it has no limit of its own."""

COMPARED_SENTENCES = 1000
"""How many sentences each process compares, to be safe with any vocabulary."""

COMPARED_BYTES = 1_000_000
"""How many bytes at a time at most: `tokenizers` takes 300 bytes of memory for each byte of a
sentence. A longer sentence, and those behind it in the batch, are not compared."""

Encoded = tuple[NDArray[np.uint32], NDArray[np.int64]]
"""(T,) ids of S sentences, and (S + 1,) offsets into them."""

Encoder = Callable[[Sentences], Encoded]
"""Encodes S sentences."""

Maker = Callable[[str], Encoder | None]
"""Makes an encoder of the content of a `tokenizer.json`; None where it must not be used."""


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


@lru_cache(maxsize=4)
def vocab_size_at(address: str, digest: str) -> int:
    """`vocab_size` of a file, read once in a process. `digest` is the file's, so that another
    vocabulary at the same place is noticed."""
    return vocab_size(read_tokenizer(address))


def encode(
    encoder: Encoder, identities: pa.Array, sentences: Sentences, dtype: str
) -> pa.RecordBatch:
    """The shard columns of D documents with their sentences; a sentence without tokens is left
    out."""
    tokens, ends = encoder(sentences)
    lengths = np.diff(ends)
    is_filled = lengths > 0

    return token_batch(
        identities,
        tokens.astype(dtype),
        ends[sentences.firsts],
        lengths[is_filled].astype(np.uint32),
        _ends(is_filled)[sentences.firsts],
        token_schema(dtype),
    )


def plain_encoder(tokenizer: Tokenizer) -> Encoder:
    """Sentences by `tokenizers`: the reference."""

    def encode_sentences(sentences: Sentences) -> Encoded:
        encodings = tokenizer.encode_batch_fast(sentences.strings(), add_special_tokens=False)
        ids = [encoding.ids for encoding in encodings]
        ends = _ends(np.fromiter(map(len, ids), np.int64, len(ids)))
        flat = itertools.chain.from_iterable(ids)
        return np.fromiter(flat, np.uint32, int(ends[-1])), ends

    return encode_sentences


def fastest_encoder(address: str, tokenizer: Tokenizer | None = None) -> Encoder:
    """Sentences by gigatoken or fastokens where they can be trusted, else by `tokenizers`; the same
    ids. `tokenizer` is what `read_tokenizer` made of the file, where it is read already.

    One is trusted in a version that the tests compare, for a vocabulary that it can read, and once
    the first sentences of the process came out the same.
    """
    content = files.read_bytes(address).decode()
    plain = plain_encoder(tokenizer or read_tokenizer(address))
    return _first_trusted(content, plain, (gigatoken_encoder, fastokens_encoder))


def _first_trusted(content: str, plain: Encoder, makers: tuple[Maker, ...]) -> Encoder:
    """The encoder of the first that can be trusted. The others are made only when they are needed,
    since each takes half a second."""
    for number, make in enumerate(makers):
        try:
            fast = make(content)
        except (ImportError, ValueError, RuntimeError):
            continue
        if fast is not None:
            others = makers[number + 1 :]
            return compared(fast, plain, partial(_first_trusted, content, plain, others))
    return plain


def compared(fast: Encoder, plain: Encoder, make_other: Callable[[], Encoder]) -> Encoder:
    """Sentences by `fast` as long as the first ones come out as by `plain`; else by the other."""
    num_compared = 0
    encoder = fast

    def encode_sentences(sentences: Sentences) -> Encoded:
        nonlocal num_compared, encoder
        ids, ends = encoder(sentences)
        if encoder is not fast or num_compared >= COMPARED_SENTENCES:
            return ids, ends

        first = sentences.first(COMPARED_SENTENCES, COMPARED_BYTES)
        num_compared += len(first.ends) - 1
        if _begins_with(ids, ends, plain(first)):
            return ids, ends
        encoder = make_other()
        return encoder(sentences)

    return encode_sentences


def fastokens_encoder(content: str) -> Encoder | None:
    """Sentences by fastokens, None where its version is not compared."""
    import fastokens

    if version("fastokens") not in FASTOKENS_VERSIONS:
        return None
    fast = fastokens.Tokenizer.from_json_str(content)

    def encode_sentences(sentences: Sentences) -> Encoded:
        # Special tokens in the text are split like any text, as the reference does.
        ids, offsets = fast.encode_batch_flat(
            sentences.strings(), add_special_tokens=False, split_special_tokens=True
        )
        return np.frombuffer(ids, np.uint32), np.frombuffer(offsets, np.uint64).astype(np.int64)

    return encode_sentences


def gigatoken_encoder(content: str) -> Encoder | None:
    """Sentences by gigatoken, None where its version is not compared, or for any vocabulary but a
    byte-level BPE like GPT-2's."""
    import gigatoken

    plain = _gpt2_kind(content)
    if version("gigatoken") not in GIGATOKEN_VERSIONS or plain is None:
        return None

    import awkward as ak

    # It would find special tokens in text; those of the model are never merged from text.
    content = json.dumps({**plain, "added_tokens": []})
    fast = gigatoken.Tokenizer.from_json(content)
    encoded_bytes = 0

    def encode_sentences(sentences: Sentences) -> Encoded:
        nonlocal fast, encoded_bytes
        encoded_bytes += len(sentences.values)
        if encoded_bytes > RENEWED_AFTER:
            fast = gigatoken.Tokenizer.from_json(content)
            encoded_bytes = len(sentences.values)

        texts = ak.contents.ListOffsetArray(
            ak.index.Index64(sentences.ends),
            ak.contents.NumpyArray(sentences.values, parameters={"__array__": "char"}),
            parameters={"__array__": "string"},
        )
        # Not its own threads: a worker is one process per core.
        found = fast._backend.encode_batch(ak.Array(texts), parallel=False).layout
        return found.content.data, found.offsets.data.astype(np.int64)

    return encode_sentences


def _gpt2_kind(content: str) -> dict[str, Any] | None:
    """The content of a `tokenizer.json` where it is a byte-level BPE exactly like GPT-2's."""
    data: dict[str, Any] = json.loads(content)
    model, before = data["model"], data["pre_tokenizer"] or {}
    is_plain_model = model["type"] == "BPE" and not any(
        model.get(name)
        for name in (
            "dropout",
            "unk_token",
            "continuing_subword_prefix",
            "end_of_word_suffix",
            "fuse_unk",
            "byte_fallback",
            "ignore_merges",
        )
    )
    is_byte_level = (
        before.get("type") == "ByteLevel"
        and not before.get("add_prefix_space")
        and before.get("use_regex", True)
    )
    return data if is_plain_model and is_byte_level and is_lossless(data) else None


def _begins_with(ids: NDArray[np.uint32], ends: NDArray[np.int64], expected: Encoded) -> bool:
    """Whether the first sentences have the expected ids."""
    expected_ids, expected_ends = expected
    same_ends = np.array_equal(ends[: len(expected_ends)], expected_ends)
    return same_ends and np.array_equal(ids[: expected_ends[-1]], expected_ids)


def _ends(lengths: NDArray[np.generic]) -> NDArray[np.int64]:
    """(N + 1,) offsets from 0."""
    return np.concatenate([[0], np.cumsum(lengths, dtype=np.int64)]).astype(np.int64)
