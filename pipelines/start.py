"""The console script `corpus`."""

from shards import console


def entry() -> None:
    """Run `corpus`."""
    console.start("pipelines.cli")
