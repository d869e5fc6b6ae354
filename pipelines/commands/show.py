"""`corpus show`: records of a home, as text or JSON."""

import itertools
from typing import TYPE_CHECKING

from pipelines.commands.arguments import HomeFolder
from pipelines.look.wanted import Wanted
from pipelines.wording import print_json, say
from shards.errors import UserError

if TYPE_CHECKING:
    from pipelines.look.show import Record

EXCERPT = 600
"""Characters of a text that are printed."""


def show(home: HomeFolder, /, records: Wanted, n: int = 3, json: bool = False) -> int:
    """Show documents, rejects or removed documents.

    Args:
        n: The number of records to show.
        json: Print one JSON object, with the texts in full.
    """
    from pipelines.home.layout import open_home
    from pipelines.look.show import show as look_up

    if n < 0:
        raise UserError(f"--n {n}: less than 0", "give the number of records to show")
    if records.rejects and records.removed:
        raise UserError("--rejects and --removed exclude each other", "give only one of them")

    shown = look_up(*open_home(home, for_reading=True), records)
    # records are read as they are asked for: a large home is not read to its end
    first = list(itertools.islice(shown, n))
    if json:
        print_json({"schema_version": 1, "records": first})
        return 0
    for record in first:
        print_record(record, EXCERPT)
    if not first:
        say("no such record")
    return 0


def print_record(record: "Record", characters: int) -> None:
    """Print what is known of a record, and the beginning of its text."""
    text = record.get("text") or ""
    for name, value in record.items():
        # the text comes below; the other two are printed by `corpus why`
        if name not in ("text", "difference", "twin_record") and value not in (None, ""):
            print(f"{name}: {value}")
    if text:
        rest = f" ... ({len(text):,} characters)" if len(text) > characters else ""
        print(f"\n{text[:characters]}{rest}")
    print("-" * 60)
