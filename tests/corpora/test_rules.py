"""Measures of quality: row 57 of the list of defects."""

import archives
import pytest

from corpora.rules import share_of_words_with_letters


@pytest.mark.parametrize(
    ("text", "share"),
    [
        ("Four words of text", 1.0),
        ('" Yes , " she said - - - and left ! " . . .', 1.0),
        ("It cost 3,000 in 1999 .", 0.6),
        ("1 2 3 4", 0.0),
        ("... --- !!!", 0.0),
        ("", 0.0),
        ("Straße 北京 Москва 12", 0.75),
    ],
)
def test_punctuation_is_no_word(text: str, share: float) -> None:
    """Row 57."""
    assert share_of_words_with_letters(text) == share


def test_spaced_punctuation_does_not_cost_a_good_page_its_place() -> None:
    text = archives.english(1, 30)
    spaced = text.replace(".", " . ").replace(" ", " , ")
    assert share_of_words_with_letters(text) > 0.9 and share_of_words_with_letters(spaced) == share_of_words_with_letters(text)
