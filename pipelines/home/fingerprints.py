"""Fingerprints: what a piece of work depends on, so that it is done again when that changes and only
then."""

import functools
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from importlib.metadata import version
from typing import Any, Protocol

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


class Planned(Protocol):
    """A task, as far as its fingerprint is concerned."""

    @property
    def source(self) -> str: ...
    @property
    def name(self) -> str: ...
    @property
    def fingerprint(self) -> str: ...


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


def stale(home: Home, stage: str, tasks: Sequence[Planned]) -> Iterator[str]:
    """A line for each source some of whose finished slices must be done again, and why."""
    reasons: dict[str, list[str]] = {}
    redone, planned = Counter[str](), Counter[str]()
    read = bulk(home)

    for task in tasks:
        planned[task.source] += 1
        before = read(stage, task.source, task.name)
        if before is None or before.fingerprint == task.fingerprint:
            continue

        redone[task.source] += 1
        unchanged = set(before.fingerprint.split())
        for part in task.fingerprint.split():
            if part not in unchanged:
                name = part.split(":")[0]
                reasons.setdefault(task.source, []).append(PARTS.get(name, f"{name} changed"))

    for source, found in reasons.items():
        why = ", ".join(dict.fromkeys(found))
        counted = f"{redone[source]} of {planned[source]} slices"
        yield f"{stage} {source}: {counted} are done again: {why}"
