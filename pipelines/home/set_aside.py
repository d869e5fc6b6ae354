"""Notes that one process of a build leaves for another: slices that were set aside, and the error
that ended a worker.

A slice that failed at every try has a note in `work/set_aside`, one JSON file each, until its stage
runs again. An error that a user can mend is in `work/error.json` until the driver takes it.
"""

import json
from dataclasses import asdict, dataclass

from pipelines.home.layout import Home
from pipelines.wording import several
from shards.errors import UserError
from shards.storage import files


@dataclass(frozen=True, kw_only=True)
class Aside:
    """A slice that failed at every try.

    `stage` is the name of the pass and `why` is one line. `record` is the last record that was
    reached, as "path @ position", or "" if none was. `trace` is the Python traceback, or "" if
    there is none.
    """

    stage: str
    source: str
    slice: str
    why: str
    record: str
    trace: str

    @property
    def name(self) -> str:
        """The slice and its pass, for a message."""
        return f"{self.stage} {self.source}/{self.slice}"

    @property
    def place(self) -> str:
        """The last record that was reached, for a message; "" if none was."""
        return f", at or behind {self.record}" if self.record else ""


def set_aside(home: Home, aside: Aside) -> None:
    """Note that a slice failed at every try; the build continues without it."""
    name = f"{aside.stage}-{aside.source}-{aside.slice}.json"
    files.write_bytes(home.file("work", "set_aside", name), json.dumps(asdict(aside)).encode())


def slices_aside(home: Home) -> list[Aside]:
    """The slices that the last run of each stage set aside."""
    addresses = files.list_files(home.file("work", "set_aside"), ".json")
    return [Aside(**json.loads(files.read_bytes(address))) for address in addresses]


def forget_aside(home: Home, stages: tuple[str, ...]) -> None:
    """Remove the notes of these passes, which are about to try their slices again."""
    prefixes = tuple(f"{stage}-" for stage in stages)
    for address in files.list_files(home.file("work", "set_aside"), ".json"):
        if address.rsplit("/", 1)[1].startswith(prefixes):
            files.remove(address)


def complain_of_aside(home: Home) -> None:
    """Raise `UserError` (exit 1) where slices were set aside."""
    aside = slices_aside(home)
    if aside:
        first = aside[0]
        raise UserError(
            f"{home.root}: {several(len(aside), 'slice')} set aside, "
            f"first {first.name}: {first.why}{first.place}",
            f"corpus status {home.quoted} says more; "
            "run the same command again to try them again and complete the build",
            1,
        )


def write_error(home: Home, error: UserError) -> None:
    """Leave a worker's error for the driver: engines pass on only the text of an exception."""
    content = json.dumps([error.what, error.hint, error.exit_code])
    try:
        files.write_bytes(home.file("work", "error.json"), content.encode())
    except UserError:
        # The store that failed is the one to write to. The driver will find that out too.
        return


def take_error(home: Home) -> UserError | None:
    """The error that a worker left, which is removed; None if there is none."""
    address = home.file("work", "error.json")
    if not files.exists(address):
        return None

    what, hint, exit_code = json.loads(files.read_bytes(address))
    files.remove(address)
    return UserError(what, hint, exit_code)
