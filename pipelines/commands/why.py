"""`corpus why`: what became of one record."""

from typing import TYPE_CHECKING, Annotated

import tyro

from pipelines.commands.arguments import HomeFolder
from pipelines.commands.show import print_record
from pipelines.wording import print_json

if TYPE_CHECKING:
    from pipelines.look.show import Record

EXCERPT = 200
"""Characters of a text that are printed."""


def why(
    home: HomeFolder, identity: Annotated[str, tyro.conf.arg(metavar="ID")], /, json: bool = False
) -> int:
    """Show what became of one record, and why.

    Args:
        identity: The record's id: 32 hex digits, the first 6 or more of them, or your own id if the
            recipe sets id_field.
        json: Print one JSON object.
    """
    from pipelines.home.layout import open_home
    from pipelines.look.show import why as look_up

    records = look_up(*open_home(home, for_reading=True), identity)
    if json:
        print_json({"schema_version": 1, "records": records})
        return 0
    # several, where the beginning of an id fits more than one record
    for record in records:
        print_record(record, EXCERPT)
        if "twin_record" in record:
            _print_twin(record["twin_record"], record["difference"])
    return 0


def _print_twin(twin: "Record", difference: list[str]) -> None:
    """Print the document that was kept instead of a removed one."""
    names = ("source", "id", "url", "path", "title", "crawled")
    known = dict(twin)
    print("kept instead: " + ", ".join(str(known[name]) for name in names if name in known))
    print("\n".join(difference) if difference else "The two texts are identical.")
    print("-" * 60)
