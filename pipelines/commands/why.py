"""`corpus why`: what became of one record."""

from typing import TYPE_CHECKING, Annotated

import tyro

from pipelines.commands.arguments import HomeFolder
from pipelines.commands.show import fate_words, print_record
from pipelines.wording import print_json, say

if TYPE_CHECKING:
    from pipelines.look.show import Record, ShownPassage

EXCERPT = 200
"""Characters of a text that are printed."""

PASSAGE = 500
"""Characters of a repeated passage that are printed."""


def why(
    home: HomeFolder, record: Annotated[str, tyro.conf.arg(metavar="RECORD")], /, json: bool = False
) -> int:
    """Show what became of one record, and why.

    Args:
        record: The record's id (32 hex digits, or the first 6 or more of them), its address, its
            path or its title, or your own id if the recipe sets id_field.
        json: Print one JSON object.
    """
    from pipelines.home.layout import open_home
    from pipelines.look.show import why as look_up

    answer = look_up(*open_home(home, for_reading=True), record)
    if json:
        print_json({"schema_version": 1, "found": answer.found, "records": answer.records})
        return 0
    # several, where the beginning of an id, a path or a title fits more than one record
    for shown in answer.records:
        print_record(shown, EXCERPT)
        for passage in shown.get("passages", []):
            _print_passage(passage)
        if "twin_record" in shown:
            _print_twin(shown)
    # On stderr: the records alone are the data.
    if answer.found > len(answer.records):
        say(
            f"{answer.found:,} records are known as this; these are the first {len(answer.records)}"
        )
    return 0


def _print_passage(passage: "ShownPassage") -> None:
    """Print a repeated passage with the text around it."""
    fate = "cut, stays" if passage["cut"] else "stays here; it is first"
    print(f"passage of {passage['documents']:,} documents ({fate} in {passage['first']}):")
    text = passage["text"].strip("\n")
    print(f"{passage['before']}[-{text[:PASSAGE]}-]{passage['after']}")
    print("-" * 60)


def _print_twin(record: "Record") -> None:
    """Print the document that is there instead of a removed one, and the way to it."""
    for step in record.get("way", []):
        print(f"which was removed itself: {step['source']}, {step['id']}: {fate_words(step)}")

    names = ("source", "id", "url", "path", "title", "crawled")
    known = dict(record["twin_record"])
    there = ", ".join(str(known[name]) for name in names if name in known)
    is_removed = record.get("way") and record["way"][-1]["id"] == known["id"]
    print(f"{'compared with' if is_removed else 'kept instead'}: {there}")
    difference = record["difference"]
    print("\n".join(difference) if difference else "The two texts are identical.")
    print("-" * 60)
