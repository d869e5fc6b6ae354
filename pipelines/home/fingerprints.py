"""Fingerprints: what a task depends on, so that it is done again when that changes, and only then.

A fingerprint is text, `name:digest` for each part, so that two can be compared part by part and the
user learns what has changed.
"""

import functools
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from importlib.metadata import version
from typing import Protocol

from pipelines.home.layout import Home
from pipelines.home.summaries import bulk
from pipelines.recipe import digest_of
from shards import __version__


def package_versions(*names: str) -> dict[str, str]:
    """The versions of installed distributions. Raises `PackageNotFoundError`."""
    versions = {}
    for name in names:
        # A checkout need not be installed, so our own version does not come from the metadata.
        versions[name] = __version__ if name == "corpusmill" else _installed(version, name)
    return versions


@functools.cache
def _installed(look_up: Callable[[str], str], name: str) -> str:
    """`look_up(name)`, once per process: it parses the metadata of the whole distribution, and a
    plan asks for every slice. `look_up` is part of the key so that tests can replace it."""
    return look_up(name)


def fingerprint(**parts: object) -> str:
    """A fingerprint of anything that JSON can hold: a digest of each part that can change the
    result."""
    return " ".join(f"{name}:{digest_of(part)[:16]}" for name, part in parts.items())


class Planned(Protocol):
    """What a task says about its fingerprint."""

    @property
    def source(self) -> str: ...
    @property
    def name(self) -> str: ...
    @property
    def fingerprint(self) -> str: ...


PARTS = {
    "stage": "this version of corpusmill does it differently",
    "source": "this version of corpusmill reads it differently",
    "module": "the module of the source changed",
    "settings": "its settings changed",
    "limit": "the limit changed",
    "seed": "the seed changed",
    "packages": "another version of a package",
    "inputs": "its input files changed",
    "contents": "a file that its settings name changed",
    "survey": "its survey has another result",
    "documents": "its documents changed",
    "attributes": "other documents are removed",
    "tokenizer": "another vocabulary",
    "before": "earlier stages keep other documents",
    "bands": "the thresholds need other bands",
    "slices": "other documents are compared",
    "pairs": "other pairs are candidates",
    "pieces": "other tokens belong in them",
    "threshold": "another share of the documents is chosen",
    "candidates": "other documents are compared",
    "removals": "other documents are removed",
}
"""What to tell the user when a part of a fingerprint differs. A part that is not listed here is
named as it stands."""


def stale(home: Home, stage: str, tasks: Sequence[Planned]) -> Iterator[str]:
    """One line for each source that has finished slices to do again, with the reasons."""
    reasons: dict[str, list[str]] = {}
    redone = Counter[str]()
    planned = Counter[str]()
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
