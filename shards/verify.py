"""Is a shards folder whole? Every byte is read once: digests, lengths, ids; all that is wrong is
named."""

import os
from collections.abc import Iterator

import numpy as np

from shards.errors import UserError
from shards.format import MANIFEST, TOKENIZER
from shards.manifest import Manifest, ShardEntry, read_manifest, shards_directory
from shards.reader import Shard, open_shard
from shards.storage import files


def verify(directory: str) -> list[str]:
    """The faults of a shards folder (or of a home's `shards/`), a line each; empty when it is
    whole.

    Raises `UserError` when there is no manifest that can be read.
    """
    directory = shards_directory(directory)
    manifest = read_manifest(directory)
    faults = list(_tokenizer_faults(directory, manifest))
    names = [entry.file for entry in manifest.shards]
    faults += [f"{name}: named twice" for name in sorted(set(names)) if names.count(name) > 1]
    for entry in manifest.shards:
        if "/" in entry.file:
            faults.append(f"{entry.file}: lies outside the folder")
            continue
        faults += _shard_faults(directory, manifest, entry)
    named = {entry.file for entry in manifest.shards} | {MANIFEST, TOKENIZER}
    found = {address.rsplit("/", 1)[1] for address in files.list_files(directory)}
    faults += [
        f"{name}: not in the manifest" for name in sorted(found - named) if name.endswith(".arrow")
    ]
    return faults


def _tokenizer_faults(directory: str, manifest: Manifest) -> Iterator[str]:
    for token, number in manifest.tokenizer.special.items():
        if not 0 <= number < manifest.tokenizer.vocab_size:
            yield f"{MANIFEST}: {token} has the id {number}, beyond the vocabulary of {manifest.tokenizer.vocab_size}"
    address = files.join(directory, TOKENIZER)
    if not files.exists(address):
        yield f"{TOKENIZER}: missing"
    elif files.digest(address) != manifest.tokenizer.digest:
        yield f"{TOKENIZER}: its digest is not the manifest's"


def _shard_faults(directory: str, manifest: Manifest, entry: ShardEntry) -> list[str]:
    address = files.join(directory, entry.file)
    try:  # the digest first: Arrow is not asked to make sense of damaged bytes
        length = files.size(address)
        if length != entry.bytes:
            return [f"{entry.file}: {length} bytes, the manifest says {entry.bytes}"]
        with files.local_copy(address) as path:
            if files.digest(path) != entry.digest:
                return [f"{entry.file}: its digest is not the manifest's"]
            shard = open_shard(os.path.dirname(path), manifest, entry)
            return [f"{entry.file}: {fault}" for fault in _value_faults(manifest, entry, shard)]
    except OSError as error:
        return [
            f"{entry.file}: {'missing' if isinstance(error, FileNotFoundError) else error.strerror}"
        ]
    except UserError as error:
        if error.exit_code == 3:  # the store's fault, not the shard's
            raise
        return [error.what.removeprefix(directory + "/")]


def _value_faults(manifest: Manifest, entry: ShardEntry, shard: Shard) -> Iterator[str]:
    if len(shard.tokens) != entry.tokens or len(shard.sentences) != entry.sentences:
        yield f"{len(shard.tokens)} tokens in {len(shard.sentences)} sentences, the manifest says {entry.tokens} in {entry.sentences}"
    ends = np.concatenate([[0], np.cumsum(shard.sentences, dtype=np.int64)])
    if not np.array_equal(ends[shard.sentence_offsets], shard.token_offsets):
        yield "the sentence lengths do not add up to the documents' tokens"
    if len(shard.tokens) and int(shard.tokens.max()) >= manifest.tokenizer.vocab_size:
        yield f"an id beyond the vocabulary of {manifest.tokenizer.vocab_size}"
    special = np.array(
        [
            number
            for number in manifest.tokenizer.special.values()
            if 0 <= number < manifest.tokenizer.vocab_size
        ],
        dtype=shard.tokens.dtype,
    )
    count = int(np.isin(shard.tokens, special).sum())
    if count:
        yield f"{count} special ids among the tokens"
