"""The format between the pipelines and the trainer: Arrow shards, their manifest, and their reader.

`shards.open(directory, split)` is all that most readers need; `docs/format.md` specifies the bytes.
The reader is imported when it is first asked for, so that `corpus --help` stays quick.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from shards.reader import Shard, open

__version__ = "0.1.0"
__all__ = ["Shard", "open"]


def __getattr__(name: str) -> object:
    if name in __all__:
        from shards import reader

        return getattr(reader, name)
    raise AttributeError(f"module 'shards' has no attribute {name!r}")
