"""The public face for Beam pipelines of your own; `docs/beam.md` shows one.

Each stage of a build is a transform. The code behind them lives in `pipelines.engines`.
"""

from pipelines.engines.options import options
from pipelines.engines.transforms import (
    Build,
    Deduplicate,
    DeduplicateNear,
    Ingest,
    Measure,
    Survey,
    Tokenize,
    TrainTokenizer,
)

__all__ = [
    "Build",
    "Deduplicate",
    "DeduplicateNear",
    "Ingest",
    "Measure",
    "Survey",
    "Tokenize",
    "TrainTokenizer",
    "options",
]
