"""Stage `tokenizer`: a vocabulary of byte-level BPE, WordPiece or Unigram, trained on a sample of
the kept text, or byte-level BPE on all of it, or a given one.

A document is in the sample by the hash of its id, so that the sample does not depend on slices,
order or workers. Where no document is in it by its hash, the one with the lowest hash is.

A home keeps its vocabulary when documents are added: tokens of what was there, and a model trained
on them, stay as they are. It is trained anew when the recipe changes what it is trained on, or when
the user asks for it (`forget_vocabulary`).

Ids of a trained byte-level BPE: `<s>` 0, `<pad>` 1, `</s>` 2, `<unk>` 3, then 256 bytes and the
merges, `<mask>` last. Those of WordPiece and Unigram: `pipelines.stages.wordpiece` and `.unigram`.
"""

import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

from pipelines.chance import chance
from pipelines.home.cuts import text_groups
from pipelines.home.decisions import attribute_digests, kept_rows
from pipelines.home.fingerprints import fingerprint, package_versions
from pipelines.home.layout import TOKENIZER, Home, recipe_key
from pipelines.home.set_aside import slices_aside
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
from pipelines.recipe import Recipe, ShardsConfig, TokenizerConfig, deciding, digest_of
from pipelines.stages.accounts import total
from pipelines.stages.bpe import train_from_counts
from pipelines.stages.given_tokenizer import given_digest, load_vocabulary, special
from pipelines.stages.job import Job
from pipelines.stages.stage import Pass, Result, Stage, Work, run_task
from pipelines.stages.token_counts import sample_threshold
from pipelines.stages.unigram import train_unigram
from pipelines.stages.word_counts import ENDLESS_WORD, ROWS, WordCounts
from pipelines.stages.word_counts import SCHEMA as WORD_SCHEMA
from pipelines.stages.wordpiece import train_wordpiece
from pipelines.wording import amount, several
from shards.errors import UserError
from shards.roles import ROBERTA, ROLES
from shards.storage import files

SAMPLE = "sample"

VERSION = 3

WORDPIECE_VERSION = 1

UNIGRAM_VERSION = 1

GIVEN_VERSION = 3
"""Of what is done to a given vocabulary, which changes no trained one."""

COUNTS_VERSION = 1
"""Of how words are counted and vocabularies trained from counts."""

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

    if kept_vocabulary(home, recipe) is not None:
        return []
    found = training(home, recipe)
    address = home.file("tokenizer", "tokenizer.json")
    wanted_now = _wanted_fingerprint(home, recipe, found)
    if done(home, TOKENIZER, "all", "tokenizer", wanted_now, address):
        return []

    # The share is that of all the text, not of the kept: that would need each document's size.
    threshold = sample_threshold(recipe, total(found.slices, "bytes"))
    key = recipe_key(recipe)
    tasks = []

    for summary, digests in zip(found.slices, found.attributes):
        wanted_now = fingerprint(
            stage=VERSION,
            seed=recipe.seed,
            threshold=threshold,
            documents=summary.output,
            attributes=digests,
            whitespace=recipe.shards.whitespace,
            **_of_counts(recipe.tokenizer),
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
    """Where the sampled texts of a slice are stored, or its counted words."""
    return home.work(SAMPLE, task.source, f"{task.name}.parquet")


def sample(home: Home, recipe: Recipe, task: SampleTask, output: files.Output) -> Result:
    """Write the sampled texts of one slice, or all its words with their counts."""
    if recipe.tokenizer.sample_bytes == "all":
        return count_slice(home, recipe, task, output)

    kept = kept_rows(home, recipe, task.ingested)
    all_documents = task.ingested.counts["documents"]
    documents = size = 0

    with pq.ParquetWriter(output, SAMPLE_SCHEMA, compression="zstd") as writer:
        for first, table in text_groups(home, recipe, task.ingested, ("id", "text")):
            # A document is in the sample by its id alone, whatever the slices are.
            texts = []
            identities = table.column("id").to_pylist()

            for row, (identity, text) in enumerate(zip(identities, table.column("text")), first):
                if kept[row] and chance(recipe.seed, "tokenizer", identity) < task.threshold:
                    texts.append(as_encoded(text.as_py(), recipe.shards.whitespace))
                    size += len(texts[-1].encode())

            documents += len(texts)
            rows = first + table.num_rows
            tick(rows, task.size * rows // max(all_documents, 1))
            column = pa.array(texts, pa.large_string())
            writer.write_table(pa.table([column], schema=SAMPLE_SCHEMA))

    return Result(counts={"documents": documents, "bytes": size})


def count_slice(home: Home, recipe: Recipe, task: SampleTask, output: files.Output) -> Result:
    """Write the words of the kept documents of one slice with their counts, in byte order."""
    kept = kept_rows(home, recipe, task.ingested)
    all_documents = task.ingested.counts["documents"]
    words = WordCounts()
    documents = size = 0

    for first, group in text_groups(home, recipe, task.ingested, ("text",)):
        rows = first + group.num_rows
        tick(rows, task.size * rows // max(all_documents, 1))
        own = group.column("text").filter(pa.array(kept[first:rows])).to_pylist()
        encoded = [as_encoded(text, recipe.shards.whitespace) for text in own]
        texts = pa.array(encoded, pa.large_string())
        words.add_texts(texts)
        documents += len(texts)
        size += pc.sum(pc.binary_length(texts)).as_py() or 0

    with pq.ParquetWriter(output, WORD_SCHEMA, compression="zstd") as writer:
        for batch in words.batches():
            writer.write_batch(batch)
    return Result(counts={"documents": documents, "bytes": size, "endless": words.left_out})


def as_encoded(text: str, whitespace: str) -> str:
    """A text as its sentences are encoded; no merge crosses a line end.

    With `space` the sentences one after the other are the text with each run of white space as one
    space, so they need not be found. With `strip` a line begins a sentence, which has no space
    before it; other sentences, which have none either, are not told apart.
    """
    if whitespace == "keep":
        return text
    if whitespace == "strip":
        return "\n".join(" ".join(line.split()) for line in text.split("\n"))
    return " ".join(text.split())


# --- what needs all samples: the vocabulary


@dataclass(frozen=True, kw_only=True)
class TokenizerTask:
    """The vocabulary to make; `samples` are those that it is trained on, none for a given one.

    `text_bytes` is the size of the text that they were taken from.
    """

    home: str
    recipe: str
    fingerprint: str
    samples: tuple[Summary, ...] = ()
    text_bytes: int = 0
    source: str = "all"
    name: str = "tokenizer"
    key: tuple[str, int] = ("", 0)
    size: int = 0


def train(home: Home, recipe: Recipe) -> list[Summary]:
    """Train on the sample, take the given vocabulary, or keep the one that is there; write
    `tokenizer/tokenizer.json`.

    Raises `UserError`: no text to train on, a given file that cannot be used.
    """
    kept = kept_vocabulary(home, recipe)
    if kept is not None:
        return [kept]

    key = recipe_key(recipe)
    path = recipe.tokenizer.path
    if path:
        wanted = fingerprint(
            stage=GIVEN_VERSION,
            given=given_digest(path),
            packages=package_versions("tokenizers"),
            **_of_kind(recipe.tokenizer),
        )
        task = TokenizerTask(home=home.root, recipe=key, fingerprint=wanted)
    else:
        found = training(home, recipe)
        task = TokenizerTask(
            home=home.root,
            recipe=key,
            fingerprint=_wanted_fingerprint(home, recipe, found),
            samples=_samples(home, found),
            text_bytes=total(found.slices, "bytes"),
        )
    return [run_task(VOCABULARY, task)]


def kept_vocabulary(home: Home, recipe: Recipe) -> Summary | None:
    """The summary of a trained vocabulary that stays, although documents may have been added or
    changed since; None where one must be trained.

    It stays while the recipe asks for the same text and the same vocabulary. Not one that was
    trained while slices were set aside: then the build completed later would differ from one that
    never failed.
    """
    summary = read_summary(home.summary(TOKENIZER, "all", "tokenizer"))
    if summary is None or recipe.tokenizer.path:
        return None
    _, _, asked = summary.fingerprint.rpartition(" ")
    if asked != _asked(recipe) or summary.counts["aside"]:
        return None
    address = home.file("tokenizer", "tokenizer.json")
    return done(home, TOKENIZER, "all", "tokenizer", summary.fingerprint, address)


def forget_vocabulary(home: Home) -> None:
    """Make the next build train the vocabulary anew."""
    files.remove(home.summary(TOKENIZER, "all", "tokenizer"))


def is_outdated(home: Home, recipe: Recipe, summary: Summary) -> bool:
    """Whether a vocabulary was trained on other text than there is now."""
    if "text_bytes" not in summary.counts:  # a given one, or of an earlier version
        return False
    trained, _, _ = summary.fingerprint.rpartition(" ")
    return trained != _trained_fingerprint(recipe, training(home, recipe))


def _asked(recipe: Recipe) -> str:
    """A digest of the settings that decide on which text what vocabulary is trained: those of the
    sources that it is trained on, of deduplication, and its own."""
    names = recipe.tokenizer.sources or tuple(recipe.sources)
    sources = {name: recipe.sources[name] for name in names}
    priority = tuple(name for name in recipe.dedup.priority if name in names)
    dedup = dataclasses.replace(recipe.dedup, priority=priority)
    # How text is encoded decides what a vocabulary is trained on.
    shards = ShardsConfig(whitespace=recipe.shards.whitespace)
    trained_on = dataclasses.replace(recipe, sources=sources, dedup=dedup, shards=shards)
    return digest_of(deciding(trained_on, only_chosen=True))


def _wanted_fingerprint(home: Home, recipe: Recipe, found: Training) -> str:
    """What the vocabulary depends on, and behind a space what the recipe asks for."""
    trained = _trained_fingerprint(recipe, found)
    summary = read_summary(home.summary(TOKENIZER, "all", "tokenizer"))
    # Homes of earlier versions have the first part alone.
    if summary is not None and summary.fingerprint == trained:
        return trained
    return f"{trained} {_asked(recipe)}"


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
        whitespace=recipe.shards.whitespace,
        packages=package_versions("tokenizers"),
        inputs=inputs,
        **_of_kind(recipe.tokenizer),
        **_of_counts(recipe.tokenizer),
    )


def _of_counts(config: TokenizerConfig) -> dict[str, object]:
    """What a fingerprint needs of training from counts; nothing of training on a sample."""
    return {"counts": COUNTS_VERSION} if config.sample_bytes == "all" else {}


def _of_kind(config: TokenizerConfig) -> dict[str, object]:
    """What a fingerprint needs of WordPiece and Unigram; nothing of byte-level BPE, whose homes are
    older."""
    if config.kind == "bpe" and not config.lowercase:
        return {}
    if config.kind == "unigram":
        packages = package_versions("sentencepiece") if config.path is None else {}
        return {"kind": config.kind, "unigram": UNIGRAM_VERSION, "trained_by": packages}
    return {"kind": config.kind, "lowercase": config.lowercase, "wordpiece": WORDPIECE_VERSION}


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
        tokenizer = load_vocabulary(config)
        wanted = tokenizer.get_vocab_size()
    else:
        counts = {name: total(task.samples, name) for name in ("documents", "bytes")}
        counts["text_bytes"] = task.text_bytes
        counts["aside"] = len(slices_aside(home))
        # A sample is never empty where there is text.
        spare = None if counts["documents"] else _nearest_to_the_sample(home, recipe)
        if spare is not None:
            counts.update(documents=1, bytes=len(spare.encode()))
        if not counts["documents"]:
            raise UserError(
                f"{home.root}: no text to train a vocabulary on",
                f"corpus stats {home.quoted} shows where it went; or set tokenizer.path",
            )
        if config.sample_bytes == "all":
            counts["endless"] = total(task.samples, "endless")

        def texts() -> Iterator[str]:
            return _texts(home, task.samples) if spare is None else _paragraphs(spare)

        if config.sample_bytes == "all":
            tokenizer = train_from_counts(_words(home, task.samples), config.vocab_size)
        elif config.kind == "wordpiece":
            tokenizer = train_wordpiece(texts, config.vocab_size, config.lowercase)
        elif config.kind == "unigram":
            tokenizer = train_unigram(texts(), config.vocab_size)
        else:
            tokenizer = train_bpe(texts(), config)
        wanted = config.vocab_size

    output.write(tokenizer.to_str(pretty=True).encode())
    return Result(counts={**counts, "vocab_size": tokenizer.get_vocab_size(), "wanted": wanted})


def _nearest_to_the_sample(home: Home, recipe: Recipe) -> str | None:
    """The text with the lowest chance of all, for a sample that would be empty: documents are few
    and large, or little is asked for. None where no document is kept."""
    lowest: tuple[int, str] | None = None
    slices = training(home, recipe).slices
    for number, summary in enumerate(slices):
        kept = kept_rows(home, recipe, summary)
        for first, table in text_groups(home, recipe, summary, ("id", "text")):
            tick(number, 0)
            for row, identity in enumerate(table.column("id").to_pylist(), first):
                draw = chance(recipe.seed, "tokenizer", identity)
                if kept[row] and (lowest is None or draw < lowest[0]):
                    text = table.column("text")[row - first].as_py()
                    lowest = draw, as_encoded(text, recipe.shards.whitespace)
    return None if lowest is None else lowest[1]


def _words(home: Home, samples: tuple[Summary, ...]) -> WordCounts:
    """The words of all slices."""
    words = WordCounts()
    for number, summary in enumerate(samples):
        address = home.work(SAMPLE, summary.source, f"{summary.slice}.parquet")
        with files.open_input(address) as stream:
            for batch in pq.ParquetFile(stream).iter_batches(batch_size=ROWS):
                tick(number, 0)
                words.add_batch(batch)
    return words


def _texts(home: Home, samples: tuple[Summary, ...]) -> Iterator[str]:
    for summary in samples:
        address = home.work(SAMPLE, summary.source, f"{summary.slice}.parquet")
        with files.open_input(address) as stream:
            for batch in pq.ParquetFile(stream).iter_batches(batch_size=64):
                for text in batch.column(0):
                    yield from _paragraphs(text.as_py())


def _paragraphs(text: str) -> Iterator[str]:
    """What `as_encoded` gives, line by line: no merge may cross a line end."""
    yield from ENDLESS_WORD.sub(" ", text).split("\n")


def train_bpe(texts: Iterator[str], config: TokenizerConfig) -> Tokenizer:
    """Byte-level BPE like GPT-2's, with RoBERTa's special tokens.

    `config.vocab_size` counts them; there are fewer ids when the text has fewer merges.
    """
    tokenizer = Tokenizer(models.BPE())
    byte_level = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.pre_tokenizer = byte_level  # type: ignore[assignment]
    tokenizer.decoder = decoders.ByteLevel()  # type: ignore[assignment]
    # `<mask>` is appended afterwards, so that it has the last id, as in RoBERTa.
    first = [special(ROBERTA[role]) for role in ROLES[:-1]]
    trainer = trainers.BpeTrainer(
        vocab_size=config.vocab_size - 1,
        special_tokens=first,
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    tokenizer.add_special_tokens([special(ROBERTA["mask"])])
    return tokenizer


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
    job.say(f"tokenizer: {size:,} ids{_kept_since(job, summary)}")
    endless = summary.counts.get("endless", 0)
    if endless:
        job.say(f"tokenizer: left out {several(endless, 'word')} of 2,000 or more characters")


def _kept_since(job: Job, summary: Summary) -> str:
    """Tells that a vocabulary was kept although its text has changed; "" where it has not."""
    if not is_outdated(job.home, job.recipe, summary):
        return ""

    before = amount(summary.counts["text_bytes"])
    now = amount(total(training(job.home, job.recipe).slices, "bytes"))
    return (
        f", kept as trained on {before} of text; now there is {now}: "
        "corpus build --retrain trains it again"
    )


STAGE = Stage(name=TOKENIZER, transform="TrainTokenizer", passes=(SAMPLE_TEXTS,), account=account)
