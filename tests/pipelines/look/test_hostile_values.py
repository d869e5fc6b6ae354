"""What went in comes out: no command dies of what a home can hold."""

import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from plain_build import plain_build

from corpora.text.normalise import whole_characters

Corpus = Callable[..., tuple[int, str, str]]

IDS = [
    "x\ud83dy",
    "\ude00",
    "a\x00b",
    "l" * 100_000,
    "\u202eabc",
    "</script>",
    "'; --",
    "\ufdd0",
    "",
    " ",
]
"""Half characters, NUL, a very long one, text from right to left, markup, a noncharacter."""


def write_inputs(folder: Path) -> None:
    rows = [
        {"text": f"Text number {number} of its own words {number}.", "id": own, "t": own, "u": own}
        for number, own in enumerate(IDS)
    ]
    rows.append({"text": "A text with a list.", "id": ["\ud800", {"\udfff": 1e999}]})
    rows.append({"text": IDS[3] * 3, "id": 12345678901234567890123})
    rows.append({"text": rows[0]["text"], "id": "a copy\ud83d"})
    lines = [json.dumps(row) for row in rows]
    lines += ['{"text": "cut \\ud83d', '{"text": null, "id": "\\udc00"}']
    (folder / "a\udcff.jsonl").write_text("\n".join(lines), "utf-8")
    with zipfile.ZipFile(folder / "b.zip", "w") as archive:
        archive.writestr(
            "caf\x82 <b>\x01.txt", "A book of one line, in a file of an odd name. " * 3
        )
        archive.writestr("n" * 3000 + ".txt", "Another book with a name that has no end. " * 3)
    (folder / "recipe.toml").write_text(
        f'[sources.a]\nkind = "files"\ninput = "{folder}/*.jsonl"\nid_field = "id"\n'
        f'title_field = "t"\nurl_field = "u"\n[sources.b]\nkind = "books"\n'
        f'input = "{folder}/*.zip"\n[dedup]\nmax_removed = 1.0\n[tokenizer]\nvocab_size = 300\n'
    )


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("hostile")
    write_inputs(folder)
    return plain_build(folder / "recipe.toml", folder / "home")


def as_an_earlier_version(home: str) -> None:
    """`extra` with halves of characters, as homes of earlier versions have it."""
    for path in Path(home, "documents", "a").glob("*.parquet"):
        table = pq.read_table(path)
        place = table.schema.get_field_index("extra")
        extra = pc.replace_substring(table["extra"], "\\ufffd", "\\ud83d")
        pq.write_table(table.set_column(place, table.schema.field(place), extra), path)


COMMANDS = [
    ("show", "{home}", "--n", "100"),
    ("show", "{home}", "--n", "100", "--json"),
    ("show", "{home}", "--rejects", "--n", "100", "--json"),
    ("show", "{home}", "--removed", "--n", "100"),
    ("stats", "{home}"),
    ("stats", "{home}", "--json"),
    ("status", "{home}"),
    ("diff", "{home}", "{home}"),
    ("report", "{home}"),
    ("report", "{home}", "--json"),
]


@pytest.mark.builds
@pytest.mark.parametrize("earlier", [False, True])
def test_every_command_works_on_a_home_of_hostile_values(
    earlier: bool, home: str, corpus: Corpus, tmp_path: Path
) -> None:
    if earlier:
        as_an_earlier_version(home)
    for words in COMMANDS:
        code, out, err = corpus(*(word.format(home=home) for word in words))
        assert (code, "Traceback" in err) == (0, False), (words, err)
        out.encode()
        if "--json" in words:
            json.loads(out)

    for form in ("jsonl.zst", "parquet"):
        code, _, err = corpus("export", home, tmp_path / form, "--format", form)
        assert code == 0, err
    found: list[dict[str, Any]] = []
    for path in sorted((tmp_path / "jsonl.zst" / "data").iterdir()):
        with pa.OSFile(str(path)) as file, pa.CompressedInputStream(file, "zstd") as stream:
            lines = stream.read()
        found += [json.loads(line) for line in lines.splitlines()]
    tables = [pq.read_table(path) for path in sorted((tmp_path / "parquet" / "data").iterdir())]
    assert pa.concat_tables(tables)["text"].to_pylist() == [record["text"] for record in found]
    ids = [json.loads(record["extra"]).get("id") for record in found]
    assert "a\x00b" in ids and "l" * 100_000 in ids and 12345678901234567890123 in ids
    if not earlier:
        assert "x\ufffdy" in ids and ["\ufffd", {"\ufffd": None}] not in ids

    shown = json.loads(corpus("show", home, "--n", "100", "--json")[1])
    for record in shown["records"]:
        code, _, err = corpus("why", home, record["id"])
        assert (code, "Traceback" in err) == (0, False), err
    for own in ("a\x00b", "l" * 100_000, "\u202eabc", "</script>"):
        assert corpus("why", home, own)[0] == 0
    code, _, err = corpus("why", home, "x\ud83dy")
    assert "Traceback" not in err


VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(st.characters(), max_size=5)
    | st.text(st.characters(whitelist_categories=("Cs",)), max_size=3),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3)
    ),
    max_leaves=6,
)


@settings(deadline=None)
@given(VALUES)
def test_any_json_value_can_be_stored(value: Any) -> None:
    whole = whole_characters(value)
    text = json.dumps(whole, ensure_ascii=False, allow_nan=False)
    assert json.loads(text.encode()) == whole == whole_characters(whole)


def test_halves_that_belong_together_become_one_character() -> None:
    assert whole_characters("a\ud83d\ude00b\ud83d") == "a😀b\ufffd"
    assert whole_characters({"\udc00": ("x", float("inf"))}) == {"\ufffd": ["x", None]}
