"""Stage `tokenize`: the kept documents become sentences, and sentences token ids, in a work file a
slice.

Sentences are found by sentencex, paragraph by paragraph, and encoded one by one, as text: a page
that holds `</s>` gives ordinary ids. Memory is one row group of documents and its tokens.
"""

import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from importlib.metadata import version

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import sentencex
from numpy.typing import NDArray
from tokenizers import Tokenizer

from pipelines.chance import chance
from pipelines.home import (
    SliceTask,
    Summary,
    attribute_digests,
    bulk,
    done,
    fingerprint,
    kept_rows,
    open_home,
    ordered_slices,
    package_versions,
    prune,
    read_summary,
    recipe_key,
    task_home,
    write_summary,
)
from pipelines.progress import tick
from shards import files
from shards.config import UserError
from shards.format import token_dtype, token_schema
from shards.writer import token_batch

STAGE = "tokenize"
VERSION = 1
PACKAGES = ("sentencex", "tokenizers")
FASTOKENS_VERSIONS = ("0.3.5",)
COMPARED_SENTENCES = 1000

Encoder = Callable[[list[str]], tuple[NDArray[np.uint32], NDArray[np.int64]]]
"""S sentences -> (T,) ids of all, (S + 1,) offsets into them."""


@dataclass(frozen=True, kw_only=True)
class Task(SliceTask):
    """One ingested slice to encode; `tokenizer`: digest of the vocabulary; `attributes`: digests of
    what decides which documents are kept."""

    fingerprint: str
    tokenizer: str
    attributes: tuple[str, ...]
    stage: str = STAGE


def plan(home_root: str) -> list[Task]:
    """Every ingested slice, in order. Raises `UserError` when dedup has not run or there is no
    vocabulary."""
    home, recipe = open_home(home_root)
    vocabulary = read_summary(home.summary("tokenizer", "all", "tokenizer"))
    if vocabulary is None:
        raise UserError(f"{home_root}: no vocabulary yet", f"corpus train-tokenizer {home_root}")
    slices = ordered_slices(home, recipe)
    prune(home, STAGE, {(summary.source, summary.slice) for summary in slices}, (f"work/{STAGE}",))
    read, key = bulk(home), recipe_key(recipe)
    attributes = files.each(
        home.root, lambda summary: attribute_digests(home, recipe, summary, read=read), slices
    )
    return [
        Task(
            home=home_root,
            recipe=key,
            ingested=summary,
            tokenizer=vocabulary.output,
            attributes=tuple(digests),
            fingerprint=fingerprint(
                stage=VERSION,
                seed=recipe.seed,
                whitespace=recipe.shards.whitespace,
                language=recipe.sources[summary.source].language,
                packages=package_versions(*PACKAGES),
                tokenizer=vocabulary.output,
                documents=summary.output,
                attributes=digests,
            ),
        )
        for summary, digests in zip(slices, attributes)
    ]


def process(task: Task) -> Summary:
    """Encode the kept documents of one slice: an Arrow file with a shard's columns and `chance`,
    the document's draw for the validation split."""
    home, recipe = task_home(task)
    ingested = task.ingested
    address = home.work(STAGE, ingested.source, f"{ingested.slice}.arrow")
    finished = done(home, STAGE, ingested.source, ingested.slice, task.fingerprint, address)
    if finished:
        return finished
    tokenizer_file = home.file("tokenizer", "tokenizer.json")
    encoder, vocab_size = _loaded(tokenizer_file, task.tokenizer)
    dtype = token_dtype(vocab_size)
    language = recipe.sources[ingested.source].language
    kept = kept_rows(home, recipe, ingested)
    counts = dict.fromkeys(("kept", "bytes", "sentences", "tokens"), 0)
    schema = work_schema(dtype)
    row = 0
    with (
        files.open_input(home.documents(ingested.source, ingested.slice)) as stream,
        files.open_output(address, flush=False) as output,
    ):
        documents = pq.ParquetFile(stream)
        with pa.ipc.new_file(output, schema) as writer:
            for group in range(documents.num_row_groups):
                table = documents.read_row_group(group, columns=["id", "text", "language"])
                table = table.filter(pa.array(kept[row : row + table.num_rows]))
                row += documents.metadata.row_group(group).num_rows
                tick(row, task.size * row // max(documents.metadata.num_rows, 1))
                if not table.num_rows:
                    continue
                texts = table.column("text").to_pylist()
                languages = [found or language for found in table.column("language").to_pylist()]
                pieces = [
                    split_sentences(text, code, recipe.shards.whitespace)
                    for text, code in zip(texts, languages)
                ]
                identities = table.column("id").to_pylist()
                batch = encode(encoder, identities, pieces, dtype)
                chances = np.array(
                    [chance(recipe.seed, "valid", identity) for identity in identities], np.uint64
                )
                writer.write_batch(
                    pa.record_batch([*batch.columns, pa.array(chances)], schema=schema)
                )
                counts["kept"] += len(texts)
                counts["bytes"] += sum(len(text.encode()) for text in texts)
                counts["sentences"] += sum(map(len, pieces))
                counts["tokens"] += len(batch.column("tokens").flatten())
    summary = Summary(
        stage=STAGE,
        source=ingested.source,
        slice=ingested.slice,
        path=ingested.path,
        start=ingested.start,
        fingerprint=task.fingerprint,
        output=output.digest,
        output_bytes=output.bytes,
        counts=counts,
        inputs=(ingested.output, *task.attributes),
    )
    write_summary(home, summary)
    return summary


def work_schema(dtype: str) -> pa.Schema:
    """A shard's columns and the draw for the validation split."""
    return token_schema(dtype).append(pa.field("chance", pa.uint64(), nullable=False))


@lru_cache(maxsize=1)
def _loaded(address: str, digest: str) -> tuple[Encoder, int]:
    """The encoder of a vocabulary and its number of ids; loaded once a process, since that takes
    longer than a small slice. `digest` is the file's, so that another vocabulary at the same place
    is noticed."""
    return fastest_encoder(address), vocab_size(read_tokenizer(address))


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
