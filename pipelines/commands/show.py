"""`corpus show`: records of a home, as text or JSON."""

import itertools
from typing import TYPE_CHECKING

from corpora.document import REMOVED_TEXTS
from pipelines.commands.arguments import HomeFolder
from pipelines.look.wanted import Wanted
from pipelines.wording import print_json, printable, say, several
from shards.errors import UserError

if TYPE_CHECKING:
    from pipelines.look.show import Record, Step

EXCERPT = 600
"""Characters of a text that are printed."""

FATE = ("stage", "reason", "twin", "score", "rule", "value", "threshold", "matched", "outcome")
"""Keys of a removed document that are printed as one sentence."""

LIKENESS = {
    "text": "exact copy of",
    "address": "same address as",
    "near": "near-duplicate of",
    "contained": "contained in",
    "contains": "contains",
}
"""What kinds of duplicates are called, before the id of the document that is kept."""

WITHOUT_TWIN = {
    "too_little_left": "too few words are left without its repeated passages",
    "too_many_of_host": "its host has more documents than max_per_host; this one has a higher draw",
    "not_emitted": "its source is only compared with (emit = false)",
    "not_sampled": "its draw is not in the share that is kept (keep, keep_shares)",
}
"""Why documents are removed that no other document replaces."""

COMPARED = ("near", "contained", "contains")
"""Kinds whose similarity is a number between 0 and 1 that says something."""


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
    if records.rejects and records.removed_text:
        raise UserError("--rejects and --removed-text exclude each other", "give only one of them")

    shown = look_up(*open_home(home, for_reading=True), records)
    # records are read as they are asked for: a large home is not read to its end
    first = list(itertools.islice(shown, n))
    if json:
        print_json({"schema_version": 1, "records": first})
        return 0
    for record in first:
        print_record(record, EXCERPT)
    # None was asked for: that says nothing of what there is.
    if not first and n:
        say("no such record")
    return 0


def fate_words(record: "Record | Step") -> str:
    """Why a document was removed, in words."""
    if "rule" in record:
        measured = f"{record['value']:g}, threshold {record['threshold']:g}"
        measured = str(record.get("matched", measured))
        return f"by the rule {record['rule']} ({measured})"
    if "twin" not in record:
        return WITHOUT_TWIN.get(record["reason"], record["reason"])
    words = LIKENESS.get(record["reason"], f"{record['reason']} of")
    similar = f" (similarity {record['score']:.3f})" if record["reason"] in COMPARED else ""
    return f"{words} {record['twin']}{similar}"


def print_record(record: "Record", characters: int) -> None:
    """Print what is known of a record, and the beginning of its text."""
    text = record.get("text") or ""
    # the text comes below; `corpus why` prints the difference to the document that was kept
    hidden = {"text", "difference", "twin_record", "test_sets", "way", "passages", "removed_text"}
    hidden.add("copies")
    hidden |= set(FATE if "stage" in record else ())
    for name, value in record.items():
        if name == "extra" and isinstance(value, dict):
            # Long, and shown by --removed-text.
            value = {key: held for key, held in value.items() if key not in REMOVED_TEXTS}
        if name not in hidden and value not in (None, ""):
            print(printable(f"{name}: {value}"))
    if "stage" in record:
        print(f"removed: {fate_words(record)}")
    if record.get("copies", 1) > 1:
        print(
            f"in the training shards {record['copies']} times, or once if held out for validation"
        )
    for task, held in record.get("test_sets", {}).items():
        grams = several(held["ngrams"], "n-gram")
        examples = several(held["examples"], "example")
        first = f'the first "{held["words"]}" ({held["first"]})'
        print(f"holds passages of {task}: {grams}, {examples}; {first}")
    for lost in record.get("removed_text", []):
        shown = lost["text"][:characters]
        print(printable(f"\nremoved {lost['what']}, {lost['characters']:,} characters:\n{shown}"))
    if text and "removed_text" not in record:
        rest = f" ... ({len(text):,} characters)" if len(text) > characters else ""
        print(printable(f"\n{text[:characters]}{rest}"))
    print("-" * 60)
