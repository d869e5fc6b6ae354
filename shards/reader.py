"""Reading shards: numpy views on the memory map. No copy, no `take`, no `as_py`.

`open` reads the manifest and maps the files of a split: a few system calls and one schema per file;
no token is read until it is touched. It checks the manifest's version and each file's size and
schema. It does not check digests and values, which `corpus verify` reads in full.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from shards.errors import UserError, in_command, nearest
from shards.format import SPLITS, shard_schema
from shards.manifest import Manifest, ShardEntry, read_manifest, shards_directory
from shards.storage import files


@dataclass(frozen=True)
class Shard:
    """One shard of D documents, T tokens and S sentences, as read-only views.

    `tokens` (T,) uint16 or uint32; `token_offsets` (D + 1,) int64: document d is
    `tokens[token_offsets[d]:token_offsets[d + 1]]`; `sentences` (S,) uint32: lengths in tokens;
    `sentence_offsets` (D + 1,) int64, likewise into `sentences`; `ids`: D strings.
    """

    entry: ShardEntry
    ids: pa.StringArray
    tokens: NDArray[np.generic]
    token_offsets: NDArray[np.int64]
    sentences: NDArray[np.uint32]
    sentence_offsets: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.ids)

    def document(self, index: int) -> NDArray[np.generic]:
        """The token ids of one document."""
        return self.tokens[self.token_offsets[index] : self.token_offsets[index + 1]]


@dataclass(frozen=True)
class Shards:
    """The shards of one split, in the manifest's order. `directory` is the manifest's folder."""

    directory: str
    manifest: Manifest
    shards: tuple[Shard, ...]

    def __len__(self) -> int:
        return len(self.shards)

    def __iter__(self) -> Iterator[Shard]:
        return iter(self.shards)

    def __getitem__(self, index: int) -> Shard:
        return self.shards[index]


def open(directory: str, split: str = "train", source: str | None = None) -> Shards:
    """Map the shards of `split`, or only those of `source`, below a home or its `shards/`.

    Raises `UserError` for an unknown split or source, a missing manifest, a newer format, and a
    file that is missing or has another size or schema than the manifest says.
    """
    directory = shards_directory(str(directory))
    if files.is_remote(directory):
        raise UserError(
            f"{directory}: shards are memory-mapped and must be on this machine",
            f"copy them first: aws s3 cp --recursive {in_command(directory)} shards/",
        )

    manifest = read_manifest(directory)
    if split not in SPLITS:
        raise UserError(f"{directory}: no split {split!r}", nearest(split, SPLITS))
    sources = {entry.source for entry in manifest.shards}
    if source is not None and source not in sources:
        raise UserError(f"{directory}: no source {source!r}", nearest(source, sources))

    entries = [
        entry
        for entry in manifest.shards
        if entry.split == split and source in (None, entry.source)
    ]
    shards = tuple(open_shard(directory, manifest, entry) for entry in entries)
    return Shards(directory, manifest, shards)


def open_shard(directory: str, manifest: Manifest, entry: ShardEntry) -> Shard:
    """Map one shard. Raises `UserError` like `open`."""
    address = files.join(directory, entry.file)
    remedy = f"corpus verify {in_command(directory)}"

    # The size is a cheap check, and finds what a copy that broke off left behind.
    try:
        length = files.size(address)
    except FileNotFoundError:
        raise UserError(
            f"{address}: missing", "copy the shards folder again, or rebuild: corpus build", 1
        ) from None
    if length != entry.bytes:
        what = f"{address}: {length} bytes, the manifest says {entry.bytes}"
        raise UserError(what, remedy, 1)

    try:
        reader = pa.ipc.open_file(files.map_file(address))
        batch = reader.get_batch(0)
    except (pa.ArrowException, OSError) as error:
        raise UserError(f"{address}: not a shard: {error}", remedy, 1) from None

    # The metadata names the source, the split and the vocabulary: a swapped file differs in it.
    expected = shard_schema(manifest.dtype, entry.source, entry.split, manifest.tokenizer.digest)
    if not reader.schema.equals(expected, check_metadata=True) or batch.num_rows != entry.documents:
        raise UserError(f"{address}: not the file that the manifest describes", remedy, 1)

    # zero_copy_only: a copy would hold the whole shard in memory, so it must be an error instead.
    tokens = batch.column("tokens")
    sentences = batch.column("sentences")
    return Shard(
        entry,
        batch.column("id"),
        tokens.values.to_numpy(zero_copy_only=True),
        tokens.offsets.to_numpy(zero_copy_only=True),
        sentences.values.to_numpy(zero_copy_only=True),
        sentences.offsets.to_numpy(zero_copy_only=True),
    )
