"""The index of a shard: where each sample begins. Packed by a kernel from the sentence lengths,
cached by digest.

FULL-SENTENCES (paper, section 4.2): whole sentences, across documents, up to the length; about 4 %
of a sample is padding at 26 tokens a sentence. Packing ends at a shard's end, so a shard's index
depends on that shard alone, and its cache file is named by the shard's digest and the format. Cost:
about 1 ns a sentence; 32 bytes a sample.
"""

import os
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from shards.errors import UserError
from shards.reader import Shard
from shards.storage import files
from trainer.formats.full_sentences import pack

VERSION = 1


def cache_folder() -> Path:
    """`$CORPUSMILL_CACHE`, else `corpusmill` below `$XDG_CACHE_HOME` or `~/.cache`."""
    base = os.environ.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache")
    return Path(os.environ.get("CORPUSMILL_CACHE") or os.path.join(base, "corpusmill"))


def shard_index(shard: Shard, length: int, sentence_eos: bool, name: str = "") -> NDArray[np.int64]:
    """The index of a shard (N + 1, 4) int64, see `kernels.pack`: read from the cache, else packed
    and put there.

    Where no cache can be written it stays in memory. Raises `UserError` when the lengths do not fit
    the tokens.
    """
    path = (
        cache_folder()
        / "index"
        / f"{shard.entry.digest}-{length}-{'eos' if sentence_eos else 'doc'}-{VERSION}.npy"
    )
    try:
        # A memory map, so that the ranks of a host share its pages.
        index: NDArray[np.int64] = np.load(path, mmap_mode="r")
        if (
            index.ndim == 2
            and index.shape[1:] == (4,)
            and index.dtype == np.int64
            and len(index)
            and index[-1, 0] == len(shard.tokens)
        ):
            return index
    except (OSError, ValueError, EOFError):
        pass
    index = pack_shard(shard, length, sentence_eos, name)
    try:
        with files.open_output(str(path)) as stream:
            np.save(stream, index)  # type: ignore[arg-type]
    except OSError:
        pass
    return index


def pack_shard(shard: Shard, length: int, sentence_eos: bool, name: str = "") -> NDArray[np.int64]:
    """The index of a shard, packed now."""
    ends = shard.sentence_offsets
    # Checked here, once, since the kernels that read by this index trust it.
    if (
        int(shard.sentences.sum(dtype=np.int64)) != len(shard.tokens)
        or int(ends[-1]) != len(shard.sentences)
        or np.any(np.diff(ends) < 0)
    ):
        raise UserError(
            f"{name or shard.entry.file}: the sentence lengths do not add up to the tokens",
            "corpus verify the shards, then build or copy them again",
            1,
        )
    count = pack(shard.sentences, ends, length, sentence_eos, np.zeros((0, 4), np.int64))
    index = np.zeros((count + 1, 4), np.int64)
    pack(shard.sentences, ends, length, sentence_eos, index)
    return index
