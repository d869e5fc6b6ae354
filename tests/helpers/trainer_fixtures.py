"""Shards for tests: synthetic ones in a moment, and the novels cut into sentences and encoded by a
trained byte-BPE."""

import hashlib
import os
import tarfile
from pathlib import Path

import numpy as np
import pyarrow as pa
import tokenizers
import torch
from numpy.typing import NDArray

from shards.format import SPECIAL, TOKENIZER, shard_name, token_dtype, token_schema
from shards.manifest import Manifest, ShardEntry, TokenizerInfo, write_manifest
from shards.reader import Shard
from shards.storage import files
from shards.writer import token_batch, write_shard
from trainer.config import ModelConfig

TEST_DATA = Path(
    os.environ.get("CORPUSMILL_TEST_DATA", Path(__file__).parents[3] / "shared" / "data")
)

Documents = list[list[NDArray[np.int64]]]  # documents of sentences of ids


def byte_bpe(texts: list[str], vocab_size: int) -> tokenizers.Tokenizer:
    """A byte-level BPE with the five special tokens where RoBERTa has them: 0 to 3, and <mask>
    last."""
    tokenizer = tokenizers.Tokenizer(tokenizers.models.BPE())
    tokenizer.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = tokenizers.decoders.ByteLevel()
    trainer = tokenizers.trainers.BpeTrainer(
        vocab_size=vocab_size - 1,
        special_tokens=list(SPECIAL[:4]),
        initial_alphabet=tokenizers.pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    tokenizer.add_special_tokens(["<mask>"])
    return tokenizer


def small_tokenizer(vocab_size: int = 300, salt: str = "") -> tokenizers.Tokenizer:
    """A byte-BPE over a few words, made in milliseconds."""
    return byte_bpe([f"the quick brown fox jumps over the lazy dog {salt}"] * 3, vocab_size)


def write_shards(
    directory: Path, tokenizer: tokenizers.Tokenizer, splits: dict[tuple[str, str], list[Documents]]
) -> Path:
    """A shards folder; `splits` maps (split, source) to the documents of each shard."""
    directory.mkdir(parents=True, exist_ok=True)
    content = tokenizer.to_str(pretty=True).encode()
    files.write_bytes(str(directory / TOKENIZER), content)
    digest = hashlib.blake2b(content, digest_size=32).hexdigest()
    size = tokenizer.get_vocab_size()
    entries: list[ShardEntry] = []
    for (split, source), groups in splits.items():
        for number, documents in enumerate(groups):
            entries.append(
                _write(
                    directory,
                    shard_name(split, source, number),
                    split,
                    source,
                    documents,
                    digest,
                    token_dtype(size),
                )
            )
    special = {name: tokenizer.token_to_id(name) for name in SPECIAL}
    info = TokenizerInfo(
        digest=digest, vocab_size=size, special=special, lossless=True, whitespace="space"
    )
    write_manifest(
        str(directory),
        Manifest(
            created_by={"corpusmill": "test"},
            recipe_digest="0" * 64,
            tokenizer=info,
            dtype=token_dtype(size),
            shards=tuple(entries),
        ),
    )
    return directory


def _write(
    directory: Path,
    name: str,
    split: str,
    source: str,
    documents: Documents,
    digest: str,
    dtype: str,
) -> ShardEntry:
    ids = pa.array(
        [
            hashlib.blake2b(f"{name} {i}".encode(), digest_size=16).hexdigest()
            for i in range(len(documents))
        ],
        pa.string(),
    )
    sentences = [sentence for document in documents for sentence in document]
    tokens = np.concatenate([np.zeros(0, np.int64), *sentences]).astype(dtype)
    lengths = np.array([len(sentence) for sentence in sentences], np.uint32)
    token_ends = np.cumsum(
        [0, *(sum(map(len, document)) for document in documents)], dtype=np.int64
    )
    sentence_ends = np.cumsum([0, *map(len, documents)], dtype=np.int64)
    batch = token_batch(ids, tokens, token_ends, lengths, sentence_ends, token_schema(dtype))
    return write_shard(str(directory), name, batch, split, source, digest)


def memory_shard(documents: list[list[list[int]]]) -> Shard:
    """A shard that is in memory alone, of documents as lists."""
    sentences = [sentence for document in documents for sentence in document]
    tokens = [value for sentence in sentences for value in sentence]
    entry = ShardEntry(
        file="train-a-00000.arrow",
        split="train",
        source="a",
        bytes=0,
        digest=hashlib.blake2b(repr(documents).encode(), digest_size=32).hexdigest(),
        documents=len(documents),
        sentences=len(sentences),
        tokens=len(tokens),
    )
    sizes = [sum(map(len, document)) for document in documents]
    return Shard(
        entry,
        pa.array([str(number) for number in range(len(documents))], pa.string()),
        np.array(tokens, np.uint16),
        np.cumsum([0, *sizes], dtype=np.int64),
        np.array([len(sentence) for sentence in sentences], np.uint32),
        np.cumsum([0, *map(len, documents)], dtype=np.int64),
    )


def random_documents(
    seed: int, count: int, vocab_size: int, sentences: int = 12, tokens: int = 24
) -> Documents:
    """Documents of random ids that are not special; a few sentences are empty or very long."""
    generator = np.random.Generator(np.random.PCG64(seed))
    documents = []
    for _ in range(count):
        lengths = generator.integers(1, 2 * tokens, generator.integers(1, 2 * sentences))
        lengths = np.where(
            generator.random(len(lengths)) < 0.02,
            generator.integers(100, 400, len(lengths)),
            lengths,
        )
        documents.append([generator.integers(4, vocab_size - 1, length) for length in lengths])
    return documents


def patterned_documents(seed: int, count: int, vocab_size: int) -> Documents:
    """Documents that a small model can learn: counting sequences with a step of their own."""
    generator = np.random.Generator(np.random.PCG64(seed))
    span = vocab_size - 5
    documents = []
    for _ in range(count):
        start, step = int(generator.integers(span)), int(generator.integers(1, 4))
        documents.append(
            [
                4 + (start + step * np.arange(n * 10, n * 10 + 10)) % span
                for n in range(int(generator.integers(4, 12)))
            ]
        )
    return documents


def random_shards(
    directory: Path, seed: int = 0, vocab_size: int = 300, count: int = 60, salt: str = ""
) -> Path:
    """Two sources, three training shards, validation of both."""
    tokenizer = small_tokenizer(vocab_size, salt)
    size = tokenizer.get_vocab_size()
    make = patterned_documents
    return write_shards(
        directory,
        tokenizer,
        {
            ("train", "news"): [make(seed, count, size), make(seed + 1, count // 2, size)],
            ("valid", "news"): [make(seed + 2, max(count // 4, 2), size)],
            ("train", "books"): [make(seed + 3, count, size)],
            ("valid", "books"): [make(seed + 4, max(count // 4, 2), size)],
        },
    )


def novels(limit: int = 100) -> dict[str, str]:
    """The English novels of the test data, name -> text."""
    found = {}
    with tarfile.open(TEST_DATA / "books" / "english_novels.tar.xz") as archive:
        for member in archive:
            stream = archive.extractfile(member)
            if stream is not None and len(found) < limit:
                found[member.name] = stream.read().decode("utf-8", "replace")
    return found


def novel_shards(directory: Path, vocab_size: int = 8000, books: int = 100) -> Path:
    """The novels as shards: paragraphs split into sentences by sentencex, encoded one by one; every
    tenth chapter-sized part is for validation."""
    import sentencex

    texts = list(novels(books).values())
    tokenizer = byte_bpe(texts, vocab_size)
    train, valid = [], []
    for text in texts:
        paragraphs = [" ".join(block.split()) for block in text.replace("\r", "").split("\n\n")]
        sentences = [
            sentence.strip()
            for block in paragraphs
            if block
            for sentence in sentencex.segment("en", block)
        ]
        encoded = tokenizer.encode_batch_fast(
            [f" {sentence}" for sentence in sentences if sentence], add_special_tokens=False
        )
        arrays = [np.array(one.ids, np.int64) for one in encoded]
        parts = [arrays[i : i + 200] for i in range(0, len(arrays), 200)]
        for number, part in enumerate(parts):
            (valid if number % 20 == 7 else train).append(part)
    return write_shards(
        directory, tokenizer, {("train", "novels"): [train], ("valid", "novels"): [valid]}
    )


def batch(config: ModelConfig) -> tuple[torch.Tensor, torch.Tensor]:
    """Random ids with padding in two rows, and labels on a fifth of them."""
    generator = torch.Generator().manual_seed(1)
    ids = torch.randint(4, config.vocab_size - 1, (4, config.positions), generator=generator)
    ids[0, 30:] = config.pad_id
    ids[2, 5:] = config.pad_id
    labels = torch.where(torch.rand(ids.shape, generator=generator) < 0.2, ids, -100)
    return ids, labels.masked_fill(ids == config.pad_id, -100)
