"""The index of a shard: where each sample begins. Packed from the sentence lengths, cached on disk.

Packing ends at a shard's end, so the index of a shard depends on that shard alone, and its cache
file is named by the shard's digest and the format. Cost: about 1 ns a sentence; 32 bytes a sample.
"""

import os
from pathlib import Path

import numpy as np

from shards.errors import UserError
from shards.reader import Shard
from shards.storage import files
from trainer.formats.full_sentences import pack
from trainer.jit import Int64

VERSION = 1


def cache_folder() -> Path:
    """`$CORPUSMILL_CACHE`, else `corpusmill` in `$XDG_CACHE_HOME` or `~/.cache`."""
    base = os.environ.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache")
    return Path(os.environ.get("CORPUSMILL_CACHE") or os.path.join(base, "corpusmill"))


def shard_index(shard: Shard, length: int, sentence_eos: bool, name: str = "") -> Int64:
    """The index of a shard, (N + 1, 4) int64 as `full_sentences.pack` writes it.

    Read from the cache; otherwise packed and stored there. Where the cache cannot be written the
    index stays in memory. `name` is what an error calls the shard. Raises `UserError` when the
    sentence lengths do not fit the tokens.
    """
    ends = "eos" if sentence_eos else "doc"
    path = cache_folder() / "index" / f"{shard.entry.digest}-{length}-{ends}-{VERSION}.npy"

    index = read_index(path, len(shard.tokens))
    if index is not None:
        return index

    index = pack_shard(shard, length, sentence_eos, name)
    try:
        with files.open_output(str(path)) as stream:
            np.save(stream, index)  # type: ignore[arg-type]
    except OSError:
        pass
    return index


def read_index(path: Path, tokens: int) -> Int64 | None:
    """A stored index of a shard of so many tokens, memory-mapped so that the ranks of a host share
    its pages; None where there is none or it is damaged."""
    try:
        index: Int64 = np.load(path, mmap_mode="r")
    except (OSError, ValueError, EOFError):
        return None

    right_form = index.ndim == 2 and index.shape[1:] == (4,) and index.dtype == np.int64
    # A file that was cut ends before the last token.
    if right_form and len(index) and index[-1, 0] == tokens:
        return index
    return None


def pack_shard(shard: Shard, length: int, sentence_eos: bool, name: str = "") -> Int64:
    """The index of a shard, (N + 1, 4) int64, packed now. Raises `UserError` like `shard_index`."""
    ends = shard.sentence_offsets

    # Checked here, once: the kernels that read by this index trust it.
    fits = (
        int(shard.sentences.sum(dtype=np.int64)) == len(shard.tokens)
        and int(ends[-1]) == len(shard.sentences)
        and not np.any(np.diff(ends) < 0)
    )
    if not fits:
        raise UserError(
            f"{name or shard.entry.file}: the sentence lengths do not add up to the tokens",
            "run corpus verify on the shards, then build or copy them again",
            1,
        )

    count = pack(shard.sentences, ends, length, sentence_eos, np.zeros((0, 4), np.int64))
    index = np.zeros((count + 1, 4), np.int64)
    pack(shard.sentences, ends, length, sentence_eos, index)
    return index
