"""Stage `tokenizer`: a byte-level BPE vocabulary, trained on a sample of the kept text, or a given
one.

A document is in the sample by the hash of its id, so that the sample does not depend on slices,
order or workers. Ids of a trained vocabulary: `<s>` 0, `<pad>` 1, `</s>` 2, `<unk>` 3, then 256
bytes and the merges, `<mask>` last.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.parquet as pq
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, trainers

from pipelines.chance import CHANCES, chance
from pipelines.home.decisions import attribute_digests, kept_rows
from pipelines.home.documents import row_groups
from pipelines.home.fingerprints import fingerprint, package_versions
from pipelines.home.layout import TOKENIZER, Home, recipe_key
from pipelines.home.summaries import (
    SliceTask,
    Summary,
    bulk,
    done,
    ordered_slices,
    prune,
    read_summary,
)
from pipelines.progress.ticks import tick
from pipelines.recipe import Recipe, TokenizerConfig
from pipelines.stages.accounts import total
from pipelines.stages.given_tokenizer import given_digest, load_given, with_special_tokens
from pipelines.stages.job import Job
from pipelines.stages.stage import Pass, Result, Stage, Work, run_task
from shards.errors import UserError
from shards.format import SPECIAL
from shards.storage import files

SAMPLE = "sample"

VERSION = 2

_ENDLESS_WORD = re.compile(r"\w{2000,}|[^\w\s]{2000,}|[^\S\n]{2000,}")
"""Base64, rulers of signs, blanks: the trainer's work is the square of a word's length (a word of 1
MB takes hours), and there is nothing to learn from them."""

SAMPLE_SCHEMA = pa.schema([("text", pa.large_string())])


# --- the pass: a sample of each slice


@dataclass(frozen=True, kw_only=True)
class SampleTask(SliceTask):
    """One slice to sample: its documents whose chance is under `threshold` (of 2**64)."""

    threshold: int


@dataclass(frozen=True)
class Training:
    """The slices to train on, and for each the digests of what decides which documents are kept."""

    slices: list[Summary]
    attributes: list[list[str]]


def training(home: Home, recipe: Recipe) -> Training:
    """What the vocabulary of a recipe is trained on."""
    names = recipe.tokenizer.sources or tuple(recipe.sources)
    slices = [summary for summary in ordered_slices(home, recipe) if summary.source in names]
    read = bulk(home)

    def digests(summary: Summary) -> list[str]:
        return attribute_digests(home, recipe, summary, read=read)

    return Training(slices, files.each(home.root, digests, slices))


def plan(home: Home, recipe: Recipe) -> list[SampleTask]:
    """The slices to sample: none for a given vocabulary, or when the trained one is up to date."""
    wanted = {(summary.source, summary.slice) for summary in ordered_slices(home, recipe)}
    prune(home, SAMPLE, wanted, (f"work/{SAMPLE}",))
    if recipe.tokenizer.path:
        return []

    found = training(home, recipe)
    address = home.file("tokenizer", "tokenizer.json")
    if done(home, TOKENIZER, "all", "tokenizer", _trained_fingerprint(recipe, found), address):
        return []

    # The share is that of all the text, not of the kept: that would need each document's size.
    size = total(found.slices, "bytes")
    threshold = min(CHANCES, CHANCES * recipe.tokenizer.sample_bytes // max(size, 1))
    key = recipe_key(recipe)
    tasks = []

    for summary, digests in zip(found.slices, found.attributes):
        wanted_now = fingerprint(
            stage=VERSION,
            seed=recipe.seed,
            threshold=threshold,
            documents=summary.output,
            attributes=digests,
        )
        task = SampleTask(
            home=home.root,
            recipe=key,
            ingested=summary,
            fingerprint=wanted_now,
            threshold=threshold,
        )
        tasks.append(task)

    return tasks


def sample_address(home: Home, recipe: Recipe, task: SliceTask) -> str:
    """Where the sampled texts of a slice are stored."""
    return home.work(SAMPLE, task.source, f"{task.name}.parquet")


def sample(home: Home, recipe: Recipe, task: SampleTask, output: files.Output) -> Result:
    """Write the sampled texts of one slice."""
    kept = kept_rows(home, recipe, task.ingested)
    all_documents = task.ingested.counts["documents"]
    documents = size = 0

    with pq.ParquetWriter(output, SAMPLE_SCHEMA, compression="zstd") as writer:
        for first, table in row_groups(home, task.ingested, ("id", "text")):
            # A document is in the sample by its id alone, whatever the slices are.
            texts = []
            identities = table.column("id").to_pylist()

            for row, (identity, text) in enumerate(zip(identities, table.column("text")), first):
                if kept[row] and chance(recipe.seed, "tokenizer", identity) < task.threshold:
                    texts.append(text.as_py())
                    size += len(texts[-1].encode())

            documents += len(texts)
            rows = first + table.num_rows
            tick(rows, task.size * rows // max(all_documents, 1))
            column = pa.array(texts, pa.large_string())
            writer.write_table(pa.table([column], schema=SAMPLE_SCHEMA))

    return Result(counts={"documents": documents, "bytes": size})


# --- what needs all samples: the vocabulary


@dataclass(frozen=True, kw_only=True)
class TokenizerTask:
    """The vocabulary to make; `samples` are those that it is trained on, none for a given one."""

    home: str
    recipe: str
    fingerprint: str
    samples: tuple[Summary, ...] = ()
    source: str = "all"
    name: str = "tokenizer"
    key: tuple[str, int] = ("", 0)
    size: int = 0


def train(home: Home, recipe: Recipe) -> list[Summary]:
    """Train on the sample, or take the given vocabulary; write `tokenizer/tokenizer.json`.

    Raises `UserError`: no text to train on, a given file that cannot be used.
    """
    key = recipe_key(recipe)
    path = recipe.tokenizer.path
    if path:
        wanted = fingerprint(
            stage=VERSION, given=given_digest(path), packages=package_versions("tokenizers")
        )
        task = TokenizerTask(home=home.root, recipe=key, fingerprint=wanted)
    else:
        found = training(home, recipe)
        task = TokenizerTask(
            home=home.root,
            recipe=key,
            fingerprint=_trained_fingerprint(recipe, found),
            samples=_samples(home, found),
        )
    return [run_task(VOCABULARY, task)]


def _trained_fingerprint(recipe: Recipe, found: Training) -> str:
    inputs = [
        [summary.source, summary.output, digests]
        for summary, digests in zip(found.slices, found.attributes)
    ]
    return fingerprint(
        stage=VERSION,
        seed=recipe.seed,
        vocab_size=recipe.tokenizer.vocab_size,
        sample_bytes=recipe.tokenizer.sample_bytes,
        packages=package_versions("tokenizers"),
        inputs=inputs,
    )


def _samples(home: Home, found: Training) -> tuple[Summary, ...]:
    """The samples that are there."""
    read = bulk(home)
    samples = [read(SAMPLE, summary.source, summary.slice) for summary in found.slices]
    return tuple(summary for summary in samples if summary is not None)


def tokenizer_address(home: Home, recipe: Recipe, task: TokenizerTask) -> str:
    """Where the vocabulary is stored."""
    return home.file("tokenizer", "tokenizer.json")


def make_tokenizer(home: Home, recipe: Recipe, task: TokenizerTask, output: files.Output) -> Result:
    """Write the vocabulary, trained on the samples or given."""
    config = recipe.tokenizer
    counts = {}

    if config.path:
        tokenizer = load_given(config.path)
        wanted = tokenizer.get_vocab_size()
    else:
        counts = {name: total(task.samples, name) for name in ("documents", "bytes")}
        if not counts["documents"]:
            raise UserError(
                f"{home.root}: no text to train a vocabulary on",
                f"corpus stats {home.quoted} shows where it went; or set tokenizer.path",
            )
        tokenizer = train_bpe(_texts(home, task.samples), config)
        wanted = config.vocab_size

    output.write(tokenizer.to_str(pretty=True).encode())
    return Result(counts={**counts, "vocab_size": tokenizer.get_vocab_size(), "wanted": wanted})


def _texts(home: Home, samples: tuple[Summary, ...]) -> Iterator[str]:
    for summary in samples:
        address = home.work(SAMPLE, summary.source, f"{summary.slice}.parquet")
        with files.open_input(address) as stream:
            for batch in pq.ParquetFile(stream).iter_batches(batch_size=64):
                for text in batch.column(0):
                    # Paragraph by paragraph, as `tokenize` encodes: no merge may cross a line end.
                    yield from _ENDLESS_WORD.sub(" ", text.as_py()).split("\n")


def train_bpe(texts: Iterator[str], config: TokenizerConfig) -> Tokenizer:
    """Byte-level BPE like GPT-2's, with RoBERTa's special tokens.

    `config.vocab_size` counts them; there are fewer ids when the text has fewer merges.
    """
    tokenizer = Tokenizer(models.BPE())
    byte_level = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.pre_tokenizer = byte_level  # type: ignore[assignment]
    tokenizer.decoder = decoders.ByteLevel()  # type: ignore[assignment]
    # `<mask>` is appended afterwards, so that it has the last id, as in RoBERTa.
    special = [AddedToken(token, special=True, normalized=False) for token in SPECIAL[:-1]]
    trainer = trainers.BpeTrainer(
        vocab_size=config.vocab_size - 1,
        special_tokens=special,
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    return with_special_tokens(tokenizer)


SAMPLE_TEXTS = Pass(name=SAMPLE, plan=plan, address=sample_address, work=sample, finish=train)

VOCABULARY = Work(name=TOKENIZER, address=tokenizer_address, work=make_tokenizer)


# --- the stage


def account(job: Job) -> None:
    """Say how many ids the vocabulary has, and whether the text had merges for all of them."""
    summary = read_summary(job.home.summary(TOKENIZER, "all", "tokenizer"))
    assert summary is not None

    size, wanted = summary.counts["vocab_size"], summary.counts["wanted"]
    # A small corpus has fewer pairs to merge than the recipe asks for; ids stay dense.
    if size < wanted:
        job.say(f"warning: the text has merges for a vocabulary of {size:,} ids, not of {wanted:,}")
    job.say(f"tokenizer: {size:,} ids")


STAGE = Stage(name=TOKENIZER, transform="TrainTokenizer", passes=(SAMPLE_TEXTS,), account=account)
