"""TODO-DOC pipelines/home/fingerprints.py."""

import functools
from collections.abc import Callable, Iterable, Iterator
from importlib.metadata import version
from typing import Any

from pipelines.home.layout import Home
from pipelines.home.summaries import bulk
from pipelines.recipe import digest_of
from shards import __version__


def package_versions(*names: str) -> dict[str, str]:
    """Versions of installed distributions, for fingerprints and the manifest."""
    return {
        name: __version__ if name == "corpusmill" else _installed(version, name) for name in names
    }


@functools.cache
def _installed(look_up: Callable[[str], str], name: str) -> str:
    """Looked up once: each time the metadata of the whole distribution is parsed, and a plan asks
    for every slice."""
    return look_up(name)


def fingerprint(**parts: Any) -> str:
    """The identity of a piece of work: a digest of each part that can change what it gives, so that
    two can be compared by part."""
    return " ".join(f"{name}:{digest_of(part)[:16]}" for name, part in parts.items())


PARTS = {
    "stage": "this version of corpusmill does it otherwise",
    "source": "this version of corpusmill reads it otherwise",
    "module": "the module of the source changed",
    "settings": "its settings changed",
    "limit": "the limit changed",
    "seed": "the seed changed",
    "packages": "another version of a package",
    "inputs": "its input files changed",
    "contents": "a file that its settings name changed",
    "survey": "its first reading came to something else",
    "documents": "its documents changed",
    "attributes": "other documents are removed",
    "tokenizer": "another vocabulary",
    "before": "the stages before keep other documents",
    "bands": "other bands serve the thresholds",
    "slices": "other documents are compared",
    "pairs": "other pairs are proposed",
    "candidates": "other documents are compared",
    "removals": "other documents are removed",
}
"""What it means when a part of a fingerprint is another; a part that is not here says its name."""


def stale(home: Home, tasks: Iterable[Any]) -> Iterator[str]:
    """A line for each source of which slices that were done must be done again, and why. `tasks`:
    of one stage; those without a fingerprint are passed over."""
    found: dict[tuple[str, str], list[list[str]]] = {}
    planned: dict[tuple[str, str], int] = {}
    there = bulk(home)
    for task in tasks:
        if not hasattr(task, "fingerprint"):
            continue
        key = (task.stage, task.source)
        planned[key] = planned.get(key, 0) + 1
        before = there(task.stage, task.source, task.name)
        if before is not None and before.fingerprint != task.fingerprint:
            old, new = set(before.fingerprint.split()), task.fingerprint.split()
            found.setdefault(key, []).append(
                [
                    PARTS.get(name := part.split(":")[0], f"{name} changed")
                    for part in new
                    if part not in old
                ]
            )
    for (stage, source), reasons in found.items():
        why = ", ".join(
            dict.fromkeys(reason for slice_reasons in reasons for reason in slice_reasons)
        )
        yield f"{stage} {source}: {len(reasons)} of {planned[stage, source]} slices are done again: {why}"
