"""The files between the pipelines and the trainer: Arrow shards, their manifest, and how both are
read.

`shards.open(directory, split)` is all that most readers need; `docs/format.md` has the bytes.
Nothing is imported until it is asked for, so that `corpus --help` stays quick.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from shards.reader import Shard, open

__version__ = "0.1.0"
__all__ = ["Shard", "open"]


def __getattr__(name: str) -> Any:
    if name in __all__:
        from shards import reader

        return getattr(reader, name)
    raise AttributeError(f"module 'shards' has no attribute {name!r}")
