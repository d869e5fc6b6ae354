"""TODO-DOC pipelines/home/set_aside.py."""

import json

from pipelines.home.layout import Home
from shards.errors import UserError
from shards.storage import files


def set_aside(
    home: Home, stage: str, source: str, name: str, why: str, record: str, trace: str
) -> None:
    """Name a slice that failed at every try; the build goes on without it."""
    note = {
        "stage": stage,
        "source": source,
        "slice": name,
        "why": why,
        "record": record,
        "trace": trace,
    }
    files.write_bytes(
        home.file("work", "set_aside", f"{stage}-{source}-{name}.json"), json.dumps(note).encode()
    )


def slices_aside(home: Home) -> list[dict[str, str]]:
    """What the last run of each stage set aside: stage, source, slice, why, record (reached last),
    trace."""
    return [
        json.loads(files.read_bytes(address))
        for address in files.list_files(home.file("work", "set_aside"), ".json")
    ]


def forget_aside(home: Home, stages: tuple[str, ...]) -> None:
    """A stage runs again: what it set aside gets another chance."""
    for address in files.list_files(home.file("work", "set_aside"), ".json"):
        if address.rsplit("/", 1)[1].startswith(tuple(f"{stage}-" for stage in stages)):
            files.remove(address)


def write_error(home: Home, error: UserError) -> None:
    """Leave what went wrong in a worker where the driver finds it: engines hand on only the text of
    an exception."""
    try:
        files.write_bytes(
            home.file("work", "error.json"),
            json.dumps([error.what, error.hint, error.exit_code]).encode(),
        )
    except (
        UserError
    ):  # the store that failed is the one to write to: whoever reads this finds that out too
        return


def take_error(home: Home) -> UserError | None:
    """The error that a worker left, once."""
    address = home.file("work", "error.json")
    if not files.exists(address):
        return None
    what, hint, exit_code = json.loads(files.read_bytes(address))
    files.remove(address)
    return UserError(what, hint, exit_code)
