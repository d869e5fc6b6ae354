"""The format between the pipelines and the trainer: Arrow shards, their manifest, and their reader.

`shards.open(directory, split)` is all that most readers need; `docs/format.md` specifies the bytes.
The reader is imported when it is first asked for, so that `corpus --help` stays quick.
"""

from typing import TYPE_CHECKING

from shards.version import __version__

if TYPE_CHECKING:
    from shards.reader import Shard, open

__all__ = ["Shard", "__version__", "open"]


def __getattr__(name: str) -> object:
    if name in ("Shard", "open"):
        from shards import reader

        return getattr(reader, name)
    raise AttributeError(f"module 'shards' has no attribute {name!r}")
