"""WSC as SuperGLUE publishes it (Wang et al. 2019): JSON lines, one noun phrase a row."""

from pathlib import Path

from corpora.tasks.examples import Referent
from corpora.tasks.faults import Read, fault
from corpora.tasks.json_files import bool_field, has, json_lines, text_field, whole_field


def read_wsc(path: Path, split: str) -> Read[Referent]:
    """The rows of a file. Raises `UserError` that names file and line."""
    rows = []
    for number, row in json_lines(path):
        rows.append(read_row(path, f"line {number}", row, needs_label=split != "test"))
    if not rows:
        raise fault(path, "", "an empty file")
    return Read(tuple(rows))


def read_row(path: Path, place: str, row: object, needs_label: bool) -> Referent:
    """A row. Raises `UserError` for a missing field and for a place outside the text."""
    text = text_field(path, place, row, "text")
    target = row.get("target") if isinstance(row, dict) else None
    label = None
    if needs_label or has(row, "label"):
        label = int(bool_field(path, place, row, "label"))

    referent = Referent(
        id=str(whole_field(path, place, row, "idx")),
        text=text,
        phrase=text_field(path, place, target, "span1_text"),
        phrase_word=whole_field(path, place, target, "span1_index"),
        pronoun=text_field(path, place, target, "span2_text"),
        pronoun_word=whole_field(path, place, target, "span2_index"),
        label=label,
    )
    words = len(text.split())
    for name, word in (("span1", referent.phrase_word), ("span2", referent.pronoun_word)):
        if not 0 <= word < words:
            raise fault(path, place, f"{name}_index is {word}, but the text has {words} words")
    return referent
