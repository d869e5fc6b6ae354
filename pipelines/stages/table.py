"""The table of stages, in the order of a build. A new stage is one file and one entry here."""

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
from pipelines.stages.stage import Stage

STAGES: tuple[Stage, ...] = (
    survey.STAGE,
    ingest.STAGE,
    rules.STAGE,
    exact.STAGE,
    passages.STAGE,
    near.STAGE,
    hosts.STAGE,
    train_tokenizer.STAGE,
    tokenize.STAGE,
)
