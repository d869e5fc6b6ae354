"""Is a shards folder whole? Every byte is read once, and everything that is wrong is named.

Checked: the digest and size of each file, that the lengths of the sentences add up to the
documents, that each id is in the vocabulary and none is special, and that the folder has no shard
that the manifest does not name. The unknown tokens of a vocabulary that is not lossless are
counted. Memory: one shard, and the cumulated lengths of its sentences.
"""

import os
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from shards.errors import UserError
from shards.format import MANIFEST, TOKENIZER
from shards.manifest import Manifest, ShardEntry, read_manifest, shards_directory
from shards.reader import Shard, open_shard
from shards.storage import files


@dataclass
class Findings:
    """What was found in a shards folder: its faults, one line each, and its unknown tokens, None
    where the vocabulary is lossless and has none."""

    faults: list[str]
    unknown: int | None


def verify(directory: str) -> list[str]:
    """The faults of a shards folder (or of a home's `shards/`), one line each; empty when it is
    whole.

    Raises `UserError` when there is no manifest that can be read.
    """
    return examine(directory).faults


def examine(directory: str) -> Findings:
    """`verify`, and the number of unknown tokens."""
    directory = shards_directory(directory)
    manifest = read_manifest(directory)
    faults = list(_tokenizer_faults(directory, manifest))
    findings = Findings(faults, None if manifest.tokenizer.lossless else 0)

    names = [entry.file for entry in manifest.shards]
    faults += [f"{name}: named twice" for name in sorted(set(names)) if names.count(name) > 1]
    for entry in manifest.shards:
        # A manifest that someone else wrote must not lead to files outside the folder.
        if "/" in entry.file:
            faults.append(f"{entry.file}: outside the folder")
        else:
            faults += _shard_faults(directory, manifest, entry, findings)

    shards = {address.rsplit("/", 1)[1] for address in files.list_files(directory, ".arrow")}
    faults += [f"{name}: not in the manifest" for name in sorted(shards - set(names))]
    return findings


def _tokenizer_faults(directory: str, manifest: Manifest) -> Iterator[str]:
    size = manifest.tokenizer.vocab_size
    for token, number in manifest.tokenizer.special.items():
        if not 0 <= number < size:
            yield f"{MANIFEST}: {token} has the id {number}, beyond the vocabulary of {size}"
    for role, number in manifest.tokenizer.roles.items():
        if number not in manifest.tokenizer.special.values():
            yield f"{MANIFEST}: the id {number} for {role} is none of the special tokens"

    address = files.join(directory, TOKENIZER)
    if not files.exists(address):
        yield f"{TOKENIZER}: missing"
    elif files.digest(address) != manifest.tokenizer.digest:
        yield f"{TOKENIZER}: its digest is not the manifest's"


def _shard_faults(
    directory: str, manifest: Manifest, entry: ShardEntry, findings: Findings
) -> list[str]:
    address = files.join(directory, entry.file)
    try:
        length = files.size(address)
        if length != entry.bytes:
            return [f"{entry.file}: {length} bytes, the manifest says {entry.bytes}"]

        # The digest comes first: Arrow must not parse damaged bytes.
        with files.local_copy(address) as path:
            if files.digest(path) != entry.digest:
                return [f"{entry.file}: its digest is not the manifest's"]
            shard = open_shard(os.path.dirname(path), manifest, entry)
            if findings.unknown is not None:
                unknown = shard.tokens == manifest.tokenizer.roles.get("unknown", -1)
                findings.unknown += int(np.count_nonzero(unknown))
            return [f"{entry.file}: {fault}" for fault in _value_faults(manifest, entry, shard)]
    except FileNotFoundError:
        return [f"{entry.file}: missing"]
    except OSError as error:
        return [f"{entry.file}: {error.strerror}"]
    except UserError as error:
        if error.exit_code == 3:  # the store's fault, not the shard's
            raise
        return [error.what.removeprefix(directory + "/")]


def _value_faults(manifest: Manifest, entry: ShardEntry, shard: Shard) -> Iterator[str]:
    vocab_size = manifest.tokenizer.vocab_size
    tokens = len(shard.tokens)
    sentences = len(shard.sentences)
    if tokens != entry.tokens or sentences != entry.sentences:
        yield (
            f"{tokens} tokens in {sentences} sentences, "
            f"the manifest says {entry.tokens} in {entry.sentences}"
        )

    # Document d ends at sentence_offsets[d + 1], and there its last token must end too.
    ends = np.concatenate([[0], np.cumsum(shard.sentences, dtype=np.int64)])
    if not np.array_equal(ends[shard.sentence_offsets], shard.token_offsets):
        yield "the sentence lengths do not add up to the documents' tokens"

    if tokens and int(shard.tokens.max()) >= vocab_size:
        yield f"an id beyond the vocabulary of {vocab_size}"

    numbers = [number for number in manifest.tokenizer.reserved if 0 <= number < vocab_size]
    special = np.array(numbers, dtype=shard.tokens.dtype)
    count = int(np.isin(shard.tokens, special).sum())
    if count:
        yield f"{count} special ids among the tokens"
