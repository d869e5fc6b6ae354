"""Stage `tokenize`: the kept documents become sentences, and sentences token ids, in a work file a
slice.

Sentences are found by sentencex, paragraph by paragraph, and encoded one by one, as text: a page
that holds `</s>` gives ordinary ids. Memory is one row group of documents and its tokens.
"""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from pipelines.chance import chance
from pipelines.home.decisions import attribute_digests, kept_rows
from pipelines.home.fingerprints import fingerprint, package_versions
from pipelines.home.layout import open_home, recipe_key, task_home
from pipelines.home.summaries import (
    SliceTask,
    Summary,
    bulk,
    done,
    ordered_slices,
    prune,
    read_summary,
    write_summary,
)
from pipelines.progress.ticks import tick
from pipelines.stages.encoder import (
    Encoder,
    encode,
    fastest_encoder,
    read_tokenizer,
    split_sentences,
    vocab_size,
)
from shards.errors import UserError
from shards.format import token_dtype, token_schema
from shards.storage import files

STAGE = "tokenize"

VERSION = 1

PACKAGES = ("sentencex", "tokenizers")


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
