"""Hostile bytes into both readings of Stories: damaged archives of extracted text, damaged lines.
Every record comes out once in each, at the same place.

`make fuzz`; CORPUSMILL_FUZZ multiplies the number of examples, and above 1 they are new ones each
time.
"""

import json
import tempfile
from pathlib import Path

import archives
import pyarrow as pa
import pyarrow.parquet as pq
from hypothesis import given
from hypothesis import strategies as st

from corpora.document import Document, Findings, NotPage, Outcome
from corpora.stories import source
from corpora.stories.source import NOTES, StoriesOptions
from shards.storage import files

CONVERTED = [
    archives.record(
        "conversion",
        archives.english(number).encode(),
        f"http://a/{number}",
        content_type="text/plain",
    )
    for number in range(6)
]
LINES = [json.dumps({"text": archives.english(number)}).encode() + b"\n" for number in range(6)]
INPUTS = {
    "a.warc.wet": b"".join(CONVERTED),
    "a.warc.wet.gz": archives.members(*CONVERTED),
    "a.jsonl": b"".join(LINES),
    "a.txt": LINES[0],
}
damage = st.tuples(
    st.floats(0, 1, exclude_max=True),
    st.integers(0, 40),
    st.binary(max_size=40) | st.just(b"WARC/1.0\r\n") | st.just(b"\xc4\xb0\xe2\x84"),
)


def both_readings(
    folder: Path, name: str, content: bytes
) -> tuple[list[tuple[int, str]], list[tuple[int, str]], list[str]]:
    """(position, reason) of each record in the first and in the second reading, and the texts of
    the documents."""
    (folder / name).write_bytes(content)
    (folder / "questions.txt").write_text(
        "The minister had always known how the money was spent.\n"
    )
    options = StoriesOptions(
        input=(str(folder / name),),
        questions=(str(folder / "questions.txt"),),
        min_words=5,
        top_fraction=0.5,
    )
    (piece,) = source.slices(options)
    notes = list(source.look(options, piece))
    schema = NOTES.with_metadata(
        {"corpusmill.paths": json.dumps([part.path for part in piece.parts])}
    )
    rows = list(zip(*(note.values for note in notes if note.values))) or [()] * len(NOTES)
    pq.write_table(
        pa.table(
            [pa.array(column, field.type) for column, field in zip(rows, NOTES)], schema=schema
        ),
        folder / "notes",
    )
    with files.open_output(str(folder / "conclusion")) as output:
        counts = source.conclude(options, [str(folder / "notes")], output, lambda _: None)
    records = list(
        source.read(
            options,
            piece,
            Findings(conclusion=str(folder / "conclusion"), notes=str(folder / "notes")),
        )
    )
    texts = [record.text for record in records if isinstance(record, Document)]
    assert len(texts) == counts["chosen"] == (counts["candidates"] + 1) // 2
    first = [(note.position, note.reason or note.not_page) for note in notes]
    return first, [(record.position, word_of(record)) for record in records], texts


def word_of(record: Outcome) -> str:
    """Why a record is no candidate; "" for one that is."""
    if isinstance(record, NotPage):
        return record.kind
    return "" if isinstance(record, Document) or record.reason == "not_selected" else record.reason


def test_the_inputs_unharmed() -> None:
    with tempfile.TemporaryDirectory() as folder:
        for name, content in INPUTS.items():
            first, _, texts = both_readings(Path(folder), name, content)
            assert (
                len(first) == (1 if name == "a.txt" else 6)
                and not any(reason for _, reason in first)
                and len(texts) == (len(first) + 1) // 2
            )


@given(st.sampled_from(sorted(INPUTS)), st.lists(damage, min_size=1, max_size=5))
def test_both_readings_agree_on_damaged_input(
    name: str, harms: list[tuple[float, int, bytes]]
) -> None:
    content = INPUTS[name]
    for place, gone, more in harms:
        at = int(place * len(content))
        content = content[:at] + more + content[at + gone :]
    with tempfile.TemporaryDirectory() as folder:
        first, second, _ = both_readings(Path(folder), name, content)
    assert first == second and len({position for position, _ in first}) == len(first)
