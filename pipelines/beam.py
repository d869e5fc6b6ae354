"""The public face for Beam pipelines of your own; `docs/beam.md` shows one.

Each stage of a build is a transform. `home` is the address of a home that holds a recipe; `workers`
is the number of child processes beside each Beam worker: the number of cores on one machine, 1 on a
cluster, where the engine starts the workers. `Survey` and `Ingest` begin a pipeline; every other
transform follows the one before, whose summaries are its barrier. The code is in
`pipelines.engines`.
"""

from pipelines.engines.options import options
from pipelines.engines.transforms import BuildTransform, StageTransform
from pipelines.stages import (
    exact,
    hosts,
    ingest,
    rules,
    survey,
    tokenize,
    train_tokenizer,
)
from pipelines.stages.near import stage as near
from pipelines.stages.passages import stage as passages
from pipelines.stages.table import STAGES

__all__ = [
    "Build",
    "Deduplicate",
    "DeduplicateNear",
    "Ingest",
    "LimitHosts",
    "Measure",
    "RemovePassages",
    "Survey",
    "Tokenize",
    "TrainTokenizer",
    "options",
]


def Survey(home: str, workers: int = 1) -> StageTransform:
    """The first reading of sources that are read twice. One summary per source."""
    return StageTransform(survey.STAGE, home, workers)


def Ingest(home: str, workers: int = 1) -> StageTransform:
    """Sources become documents and rejects. One summary per slice."""
    return StageTransform(ingest.STAGE, home, workers)


def Measure(home: str, workers: int = 1) -> StageTransform:
    """Measures the documents of sources that have rules. One summary per slice."""
    return StageTransform(rules.STAGE, home, workers)


def Deduplicate(home: str, workers: int = 1) -> StageTransform:
    """Finds exact duplicates. One summary per slice."""
    return StageTransform(exact.STAGE, home, workers)


def RemovePassages(home: str, workers: int = 1) -> StageTransform:
    """Finds repeated paragraphs and lines, and cuts them out. One summary per slice."""
    return StageTransform(passages.STAGE, home, workers)


def DeduplicateNear(home: str, workers: int = 1) -> StageTransform:
    """Finds near-duplicates. One summary per slice."""
    return StageTransform(near.STAGE, home, workers)


def LimitHosts(home: str, workers: int = 1) -> StageTransform:
    """Removes documents of hosts that have too many. One summary per slice."""
    return StageTransform(hosts.STAGE, home, workers)


def TrainTokenizer(home: str, workers: int = 1) -> StageTransform:
    """Trains the vocabulary, or takes the given one. One summary."""
    return StageTransform(train_tokenizer.STAGE, home, workers)


def Tokenize(home: str, workers: int = 1) -> StageTransform:
    """Kept documents become shards with their manifest. One summary per shard."""
    return StageTransform(tokenize.STAGE, home, workers)


def Build(home: str, workers: int = 1) -> BuildTransform:
    """All stages that the home's recipe asks for, as one pipeline."""
    return BuildTransform(STAGES, home, workers)
