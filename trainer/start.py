"""The console script `trainer`."""

from shards import console


def entry() -> None:
    """Run `trainer`."""
    console.start("trainer.cli")
