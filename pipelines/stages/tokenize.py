"""Stage `tokenize`: the kept documents become sentences, sentences become token ids in one work
file per slice, and these become the shards (`pipelines.stages.shards`).

Sentences are found by sentencex, paragraph by paragraph, and encoded one by one, as text: a page
that contains `</s>` gives ordinary ids. Memory is one row group of documents and its tokens.
"""

import json
from collections import Counter
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from corpora.document import SourceOptions
from corpora.text.language_codes import UNKNOWN
from pipelines.chance import chance
from pipelines.home.cuts import text_groups
from pipelines.home.decisions import (
    attribute_digests,
    kept_rows,
    removed_count,
    removing_stages,
)
from pipelines.home.fingerprints import fingerprint, package_versions
from pipelines.home.layout import INGEST, SHARDS, TOKENIZE, TOKENIZER, Home, recipe_key
from pipelines.home.shares import copies_of, share_columns
from pipelines.home.summaries import (
    SliceTask,
    Summary,
    bulk,
    ordered_slices,
    prune,
    read_summary,
    summaries,
)
from pipelines.progress.ticks import tick
from pipelines.recipe import Recipe
from pipelines.stages.accounts import check, check_disk, total
from pipelines.stages.encoder import (
    PACKAGES,
    Encoder,
    encode,
    fastest_encoder,
    read_tokenizer,
    vocab_size,
)
from pipelines.stages.job import Job
from pipelines.stages.sentences import large_strings, split_texts
from pipelines.stages.shards import WRITE_SHARDS
from pipelines.stages.stage import Pass, Result, Stage
from pipelines.stages.token_counts import TokenCounts, sampled_of, single_byte_ids
from pipelines.wording import several, share
from shards.errors import UserError
from shards.format import token_dtype, token_schema
from shards.roles import is_lossless, roles_of
from shards.storage import files

VERSION = 1


@dataclass(frozen=True, kw_only=True)
class Task(SliceTask):
    """One ingested slice to encode. `tokenizer` is the digest of the vocabulary; `attributes` are
    the digests of what decides which documents are kept. Documents whose chance is under `sampled`
    are those that the vocabulary was trained on, if that was a sample."""

    tokenizer: str
    attributes: tuple[str, ...]
    sampled: int = 0


def plan(home: Home, recipe: Recipe) -> list[Task]:
    """Every ingested slice, in order.

    Raises `UserError` when dedup has not run or there is no vocabulary.
    """
    vocabulary = read_summary(home.summary(TOKENIZER, "all", "tokenizer"))
    if vocabulary is None:
        raise UserError(f"{home.root}: no vocabulary yet", f"corpus train-tokenizer {home.quoted}")

    slices = ordered_slices(home, recipe)
    wanted = {(summary.source, summary.slice) for summary in slices}
    prune(home, TOKENIZE, wanted, (f"work/{TOKENIZE}",))
    read = bulk(home)

    def digests(summary: Summary) -> list[str]:
        return attribute_digests(home, recipe, summary, read=read)

    packages = package_versions(*PACKAGES)
    key = recipe_key(recipe)
    tasks = []

    for summary, attributes in zip(slices, files.each(home.root, digests, slices)):
        wanted_now = fingerprint(
            stage=VERSION,
            seed=recipe.seed,
            whitespace=recipe.shards.whitespace,
            language=recipe.sources[summary.source].told,
            packages=packages,
            tokenizer=vocabulary.output,
            documents=summary.output,
            attributes=attributes,
            **_repeats(recipe.sources[summary.source]),
        )
        task = Task(
            home=home.root,
            recipe=key,
            ingested=summary,
            fingerprint=wanted_now,
            tokenizer=vocabulary.output,
            attributes=tuple(attributes),
            sampled=sampled_of(recipe, vocabulary, summary.source),
        )
        tasks.append(task)

    return tasks


def _repeats(options: SourceOptions) -> dict[str, object]:
    """The settings that decide how often documents are in the shards; none where each is there
    once, as in homes of earlier versions."""
    if not options.repeats_any:
        return {}
    return {"repeat": options.repeat, "repeat_by": options.repeat_by, "repeats": options.repeats}


def tokens_address(home: Home, recipe: Recipe, task: Task) -> str:
    """Where the tokens of a slice are stored."""
    return home.work(TOKENIZE, task.source, f"{task.name}.arrow")


def tokenize(home: Home, recipe: Recipe, task: Task, output: files.Output) -> Result:
    """Encode the kept documents of one slice: an Arrow file with a shard's columns and `chance`,
    the document's draw for the validation split; of a source that repeats documents also `copies`,
    how often each is in the training shards."""
    # The digest is that of the plan: a vocabulary that was replaced meanwhile is loaded anew.
    loaded = _loaded(home.file("tokenizer", "tokenizer.json"), task.tokenizer)
    unknown = loaded.unknown
    dtype = token_dtype(loaded.size)
    options = recipe.sources[task.source]
    schema = work_schema(dtype, options.repeats_any)
    kept = kept_rows(home, recipe, task.ingested)
    language = options.told
    documents = task.ingested.counts["documents"]
    counts = Counter[str](kept=0, bytes=0, sentences=0, tokens=0)
    found_tokens = TokenCounts(loaded.size, loaded.singles, recipe.seed, task.sampled)
    if unknown is not None:
        counts["unknown"] = 0
    if options.repeats_any:
        counts["repeated"] = 0

    with pa.ipc.new_file(output, schema) as writer:
        columns = {"id", "text", "language", *share_columns(options.repeat_by)}
        for first, group in text_groups(home, recipe, task.ingested, sorted(columns)):
            rows = first + group.num_rows
            tick(rows, task.size * rows // max(documents, 1))

            # Removals are applied here alone: a changed threshold reads no archive again.
            kept_here = kept[first:rows]
            table = group if kept_here.all() else group.filter(pa.array(kept_here))
            if not table.num_rows:
                continue

            texts = large_strings(table.column("text"))
            languages = [
                language if found in (None, UNKNOWN) else found
                for found in table.column("language").to_pylist()
            ]
            identities = table.column("id").to_pylist()
            sentences = split_texts(texts, languages, recipe.shards.whitespace)
            batch = encode(loaded.encoder, pa.array(identities, pa.string()), sentences, dtype)
            # Drawn from the id, so that the split of a document never changes with its neighbours.
            draws = [chance(recipe.seed, "valid", identity) for identity in identities]
            arrays = [*batch.columns, pa.array(np.array(draws, np.uint64))]
            if options.repeats_any:
                copies = copies_of(options, recipe.seed, table)
                arrays.append(pa.array(copies, pa.uint8()))
                counts["repeated"] += sum(copies) - len(copies)
            writer.write_batch(pa.record_batch(arrays, schema=schema))

            found_tokens.add(texts, languages, batch)
            counts["kept"] += len(texts)
            counts["bytes"] += pc.sum(pc.binary_length(texts)).as_py()
            counts["sentences"] += len(sentences.ends) - 1
            tokens = batch.column("tokens").flatten().to_numpy()
            counts["tokens"] += len(tokens)
            if unknown is not None:
                counts["unknown"] += int(np.count_nonzero(tokens == unknown))

    return Result(
        counts={**counts, **found_tokens.of_sample()},
        languages=found_tokens.by_language(),
        inputs=(task.ingested.output, *task.attributes),
    )


def work_schema(dtype: str, repeats: bool = False) -> pa.Schema:
    """A shard's columns, the draw for the validation split, and the number of copies where a source
    repeats documents."""
    schema = token_schema(dtype).append(pa.field("chance", pa.uint64(), nullable=False))
    return schema.append(pa.field("copies", pa.uint8(), nullable=False)) if repeats else schema


@dataclass(frozen=True)
class Loaded:
    """A vocabulary: its encoder, its number of ids, the ids of single bytes (None where it has no
    bytes), and the id of its unknown token where it is not lossless."""

    encoder: Encoder
    size: int
    singles: list[int] | None
    unknown: int | None


@lru_cache(maxsize=1)
def _loaded(address: str, digest: str) -> Loaded:
    """The vocabulary at an address.

    Loaded once per process, since that takes longer than a small slice. `digest` is the file's, so
    that another vocabulary at the same place is noticed.
    """
    content = json.loads(files.read_bytes(address))
    unknown = None if is_lossless(content) else roles_of(content)["unknown"]
    tokenizer = read_tokenizer(address)
    encoder = fastest_encoder(address, tokenizer)
    return Loaded(encoder, vocab_size(tokenizer), single_byte_ids(content), unknown)


ENCODE = Pass(name=TOKENIZE, plan=plan, address=tokens_address, work=tokenize, flush=False)


# --- the stage


def prepare(job: Job) -> None:
    """Check that the disk can hold the tokens."""
    size = total(summaries(job.home, INGEST), "bytes")
    check_disk(job.home, size, "one byte for each byte of text")


def account(job: Job) -> None:
    """Check that every kept document and every token is in a shard, and say how many there are."""
    home, recipe, read = job.home, job.recipe, bulk(job.home)
    for name in recipe.sources:
        ingested = summaries(home, INGEST, name)
        encoded, written = summaries(home, TOKENIZE, name), summaries(home, SHARDS, name)
        kept, tokens = total(encoded, "kept"), total(encoded, "tokens")

        removed = 0
        for stage in removing_stages(recipe, source=name):
            for summary in ingested:
                removed += removed_count(home, recipe, stage, summary, read)

        check(f"{name}: documents", total(ingested, "documents"), kept + removed)
        repeated, repeated_tokens = _counted(written, "repeated"), _counted(written, "again")
        check(f"{name}: kept documents", kept, total(written, "documents") - repeated)
        check(f"{name}: tokens", tokens, total(written, "tokens") - repeated_tokens)
        # Validation documents, which are in the shards once, have copies that are not taken.
        wanted = _counted(encoded, "repeated") - _counted(written, "held_out")
        check(f"{name}: copies of documents", wanted, repeated)
        job.say(
            f"tokenize {name}: {several(kept, 'document')} kept, "
            f"{several(tokens, 'token')} in {several(len(written), 'shard')}"
            f"{_unknown_share(encoded, tokens)}{_copies(repeated, repeated_tokens)}"
        )


def _unknown_share(encoded: list[Summary], tokens: int) -> str:
    """The end of a line that tells how many tokens are unknown; empty for a lossless
    vocabulary."""
    counted = [summary.counts["unknown"] for summary in encoded if "unknown" in summary.counts]
    if not counted:
        return ""
    return f", {sum(counted):,} of them unknown ({share(sum(counted), tokens)})"


def _counted(found: list[Summary], count: str) -> int:
    """The sum of a count that only summaries of sources with repeated documents have."""
    return sum(summary.counts.get(count, 0) for summary in found)


def _copies(repeated: int, tokens: int) -> str:
    """The end of a line that tells of repeated documents; empty where there are none."""
    if not repeated:
        return ""
    copies = "1 further copy" if repeated == 1 else f"{repeated:,} further copies"
    return f"; {copies} of documents with {several(tokens, 'token')}"


STAGE = Stage(
    name=TOKENIZE,
    transform="Tokenize",
    passes=(ENCODE, WRITE_SHARDS),
    prepare=prepare,
    account=account,
)
