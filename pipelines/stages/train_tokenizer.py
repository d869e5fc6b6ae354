"""Stage `train-tokenizer`: a byte-level BPE vocabulary, trained on a sample of the kept text, or a
given one.

The sample is chosen by the hash of each document's id, so that it does not depend on slices, order
or workers. Ids of a trained vocabulary: `<s>` 0, `<pad>` 1, `</s>` 2, `<unk>` 3, then 256 bytes and
the merges, `<mask>` last.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.parquet as pq
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, trainers

from pipelines.chance import CHANCES, chance
from pipelines.home.decisions import attribute_digests, kept_rows
from pipelines.home.fingerprints import fingerprint, package_versions
from pipelines.home.layout import Home, open_home, recipe_key, task_home
from pipelines.home.summaries import (
    SliceTask,
    Summary,
    bulk,
    done,
    ordered_slices,
    prune,
    slice_summary,
    write_summary,
)
from pipelines.progress.ticks import tick
from pipelines.recipe import Recipe, TokenizerConfig
from pipelines.stages.given_tokenizer import given_digest, load_given, with_special_tokens
from shards.errors import UserError
from shards.format import SPECIAL
from shards.storage import files

STAGE = "tokenizer"

_ENDLESS_WORD = re.compile(r"\w{2000,}|[^\w\s]{2000,}|[^\S\n]{2000,}")
"""Base64, rulers of signs, blanks: the trainer's work is the square of a word's length (a word of 1
MB: hours), and there is nothing to learn from them."""

SAMPLE = "sample"

VERSION = 2


@dataclass(frozen=True, kw_only=True)
class Task(SliceTask):
    """One slice to take the sample from: documents whose chance is under `threshold` (of 2**64)."""

    threshold: int
    fingerprint: str
    stage: str = SAMPLE


def plan(home_root: str) -> list[Task]:
    """The slices to sample; none for a given vocabulary, or when the trained one is up to date."""
    home, recipe = open_home(home_root)
    found = ordered_slices(home, recipe)
    prune(home, SAMPLE, {(summary.source, summary.slice) for summary in found}, (f"work/{SAMPLE}",))
    if recipe.tokenizer.path:
        return []
    slices, attributes = _training_slices(home, recipe, found)
    if _trained(home, _trained_fingerprint(recipe, slices, attributes)):
        return []
    # Of all the text, not of the kept: that would need each document's size, and depend on nothing
    # else.
    size = sum(summary.counts["bytes"] for summary in slices)
    threshold = min(CHANCES, CHANCES * recipe.tokenizer.sample_bytes // max(size, 1))
    key = recipe_key(recipe)
    return [
        Task(
            home=home_root,
            recipe=key,
            ingested=summary,
            threshold=threshold,
            fingerprint=fingerprint(
                stage=VERSION,
                seed=recipe.seed,
                threshold=threshold,
                documents=summary.output,
                attributes=digests,
            ),
        )
        for summary, digests in zip(slices, attributes)
    ]


def _training_slices(
    home: Home, recipe: Recipe, found: list[Summary]
) -> tuple[list[Summary], list[list[str]]]:
    """The slices to train on, and for each the digests of what decides which of its documents are
    kept."""
    names = recipe.tokenizer.sources or tuple(recipe.sources)
    slices, read = [summary for summary in found if summary.source in names], bulk(home)
    return slices, files.each(
        home.root, lambda summary: attribute_digests(home, recipe, summary, read=read), slices
    )


def process(task: Task) -> Summary:
    """Write the sampled texts of one slice to a work file."""
    home, recipe = task_home(task)
    ingested = task.ingested
    address = home.work(SAMPLE, ingested.source, f"{ingested.slice}.parquet")
    finished = done(home, SAMPLE, ingested.source, ingested.slice, task.fingerprint, address)
    if finished:
        return finished
    kept = kept_rows(home, recipe, ingested)
    schema = pa.schema([("text", pa.large_string())])
    row = documents = size = 0
    with (
        files.open_input(home.documents(ingested.source, ingested.slice)) as stream,
        files.open_output(address) as output,
    ):
        table = pq.ParquetFile(stream)
        with pq.ParquetWriter(output, schema, compression="zstd") as writer:
            for group in range(table.num_row_groups):
                columns = table.read_row_group(group, columns=["id", "text"])
                texts = []
                for identity, text in zip(columns.column("id").to_pylist(), columns.column("text")):
                    if kept[row] and chance(recipe.seed, "tokenizer", identity) < task.threshold:
                        texts.append(text.as_py())
                        size += len(texts[-1].encode())
                    row += 1
                documents += len(texts)
                tick(row, task.size * row // max(table.metadata.num_rows, 1))
                writer.write_table(pa.table([pa.array(texts, pa.large_string())], schema=schema))
    summary = slice_summary(
        SAMPLE, ingested, task.fingerprint, output, {"documents": documents, "bytes": size}
    )
    write_summary(home, summary)
    return summary


def train(home_root: str) -> Summary:
    """Train on the sample, or take the given vocabulary; write `tokenizer/tokenizer.json`.

    Raises `UserError`: no text to train on, a given file that cannot be used.
    """
    home, recipe = open_home(home_root)
    address = home.file("tokenizer", "tokenizer.json")
    config = recipe.tokenizer
    if config.path:
        wanted = fingerprint(
            stage=VERSION, given=given_digest(config.path), packages=package_versions("tokenizers")
        )
        finished = done(home, STAGE, "all", "tokenizer", wanted, address)
        if finished:
            return finished
        tokenizer, counts = load_given(config.path), {}
    else:
        slices, attributes = _training_slices(home, recipe, ordered_slices(home, recipe))
        wanted = _trained_fingerprint(recipe, slices, attributes)
        finished = _trained(home, wanted)
        if finished:
            return finished
        read = bulk(home)
        taken = [
            summary for piece in slices if (summary := read(SAMPLE, piece.source, piece.slice))
        ]
        counts = {
            name: sum(summary.counts[name] for summary in taken) for name in ("documents", "bytes")
        }
        if not counts["documents"]:
            raise UserError(
                f"{home_root}: no text to train a vocabulary on",
                f"corpus stats {home_root} shows where it went; or set tokenizer.path",
            )
        tokenizer = train_bpe(_texts(home, taken), config)
    content = tokenizer.to_str(pretty=True).encode()
    files.write_bytes(address, content)
    counts = {
        **counts,
        "vocab_size": tokenizer.get_vocab_size(),
        "wanted": config.vocab_size if not config.path else tokenizer.get_vocab_size(),
    }
    summary = Summary(
        stage=STAGE,
        source="all",
        slice="tokenizer",
        path="",
        start=0,
        fingerprint=wanted,
        output=files.digest_of_bytes(content),
        output_bytes=len(content),
        counts=counts,
    )
    write_summary(home, summary)
    return summary


def _trained(home: Home, wanted: str) -> Summary | None:
    return done(home, STAGE, "all", "tokenizer", wanted, home.file("tokenizer", "tokenizer.json"))


def _trained_fingerprint(recipe: Recipe, slices: list[Summary], attributes: list[list[str]]) -> str:
    config = recipe.tokenizer
    inputs = [
        [summary.source, summary.output, digests] for summary, digests in zip(slices, attributes)
    ]
    return fingerprint(
        stage=VERSION,
        seed=recipe.seed,
        vocab_size=config.vocab_size,
        sample_bytes=config.sample_bytes,
        packages=package_versions("tokenizers"),
        inputs=inputs,
    )


def _texts(home: Home, samples: list[Summary]) -> Iterator[str]:
    for summary in samples:
        with files.open_input(
            home.work(SAMPLE, summary.source, f"{summary.slice}.parquet")
        ) as stream:
            for batch in pq.ParquetFile(stream).iter_batches(batch_size=64):
                for text in batch.column(0):
                    # A paragraph at a time, as `tokenize` encodes: no merge may cross a line end.
                    yield from _ENDLESS_WORD.sub(" ", text.as_py()).split("\n")


def train_bpe(texts: Iterator[str], config: TokenizerConfig) -> Tokenizer:
    """Byte-level BPE like GPT-2's, with RoBERTa's special tokens. `config.vocab_size` counts them;
    fewer ids come out when the text has fewer merges."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)  # type: ignore[assignment]
    tokenizer.decoder = decoders.ByteLevel()  # type: ignore[assignment]
    trainer = trainers.BpeTrainer(
        vocab_size=config.vocab_size - 1,
        special_tokens=[
            AddedToken(token, special=True, normalized=False) for token in SPECIAL[:-1]
        ],
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    return with_special_tokens(tokenizer)
