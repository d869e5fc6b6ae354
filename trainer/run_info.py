"""`RUN/run.json`: where the data of a run is stored and what it is, for the commands that come
after training."""

import json
import os
from dataclasses import asdict, dataclass, field, fields
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
    beside: list[str] = field(default_factory=list)
    """The folders as paths from the run, for a run that was moved together with them."""

    def to_bytes(self) -> bytes:
        """The file."""
        return (json.dumps(asdict(self), indent=1) + "\n").encode()


def read_run_info(run: Path) -> RunInfo:
    """Read `run.json`. Raises `UserError` when there is none or it is damaged."""
    try:
        content = json.loads((run / NAME).read_text("utf-8"))
        names = [field.name for field in fields(RunInfo)]
        return RunInfo(**{name: content[name] for name in names if name in content})
    except (OSError, ValueError, TypeError, KeyError):
        raise UserError(
            f"{run}: no run in it ({NAME} is missing or cannot be read)",
            "name the folder of a run of trainer pretrain",
        ) from None


def find_shards(run: Path, command: str) -> tuple[str, ...]:
    """The folders of a run's shards, where they were or at the same place beside the run.

    Raises `UserError` when they are in neither; the hint gives `command` the flag that names them.
    """
    from shards.format import MANIFEST  # here, since pyarrow comes with it

    info = read_run_info(run)
    beside = info.beside or [""] * len(info.shards)
    found = []
    for stored, relative in zip(info.shards, beside, strict=True):
        places = [stored, os.path.normpath(run / relative)] if relative else [stored]
        present = [place for place in places if os.path.exists(os.path.join(place, MANIFEST))]
        if not present:
            raise UserError(
                f"{stored}: the shards of {run} are no longer there",
                f"name the folder where they are now: {command} --shards DIR",
            )
        found.append(present[0])
    return tuple(found)
