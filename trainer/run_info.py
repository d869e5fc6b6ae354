"""`RUN/run.json`: where the data of a run is stored and what it is, for the commands that come
after training."""

import json
from dataclasses import asdict, dataclass, fields
from pathlib import Path

from shards.errors import UserError

NAME = "run.json"


@dataclass(frozen=True, kw_only=True)
class RunInfo:
    """The training data of a run."""

    shards: list[str]
    """The folders, as absolute paths."""
    sources: dict[str, int]
    """The tokens of each source."""
    data: str
    """The digest of tokenizer and shards."""
    identity: list[str]
    """Source and digest of each shard, in order."""

    def to_bytes(self) -> bytes:
        """The file."""
        return (json.dumps(asdict(self), indent=1) + "\n").encode()


def read_run_info(run: Path) -> RunInfo:
    """Read `run.json`. Raises `UserError` when there is none or it is damaged."""
    try:
        content = json.loads((run / NAME).read_text())
        names = [field.name for field in fields(RunInfo)]
        return RunInfo(**{name: content[name] for name in names if name in content})
    except (OSError, ValueError, TypeError, KeyError):
        raise UserError(
            f"{run}: no run in it ({NAME} is missing or cannot be read)",
            "name the --run of trainer pretrain, or give --shards",
        ) from None
