"""The frozen table of Unicode, and the tables that are built from it."""

import hashlib
import sys
import unicodedata

import pytest

from corpora.text import characters, unicode_table
from pipelines.stages.near.word_table import word_table


def test_the_tables_are_the_same_to_the_bit() -> None:
    """Measures, words and so the output depend on every bit. The digest of the second is that of
    version 3 of `near`, in which marks belong to their word."""
    digests = [
        hashlib.sha256(table.tobytes()).hexdigest() for table in (characters.flags(), word_table())
    ]
    assert digests == [
        "4d82487e56945b775bc55be2ceace145d3491abc3fe3ca0c4abb61735e01a52b",
        "968f3dc3a8c1a7b61b72d240afe1f44be7917e1739bc4d0a60a7a507bda17947",
    ]


def test_the_file_names_its_version() -> None:
    assert unicode_table.version() == unicode_table.UNICODE == "14.0.0"


@pytest.mark.skipif(
    unicodedata.unidata_version != unicode_table.UNICODE,
    reason="the interpreter's Unicode is another than the table's",
)
def test_the_columns_are_those_of_an_interpreter_of_that_version() -> None:
    codes = range(sys.maxunicode + 1)
    properties = unicode_table.properties()
    lowered = unicode_table.lower_case()
    assert properties.tolist() == [unicode_table.interpreter_properties(code) for code in codes]
    assert lowered.tolist() == [ord(chr(code).lower()[0]) for code in codes]


def test_another_interpreter_does_not_write_the_file(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unicodedata, "unidata_version", "13.0.0")
    with pytest.raises(SystemExit, match="has Unicode 13.0.0"):
        unicode_table.main()
