"""Hard-wrapped prose made whole, verse kept: row 47 of the list of defects."""

import re
import textwrap
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from corpora.books.unwrap import unwrap

PROSE = (
    "It was the best of times, it was the worst of times, it was the age of wisdom, it was the age of foolishness, it was the epoch of belief, it was the epoch of "
    "incredulity, it was the season of Light, it was the season of Darkness, it was the spring of hope, it was the winter of despair, we had everything before us."
)
SPEECH = "“You have not read it, then,” said the old gentleman to Mr. Lorry, “and yet you come here, all the way from Paris, to tell me what is in it?”"
VERSE = "How doth the little crocodile\n    Improve his shining tail,\nAnd pour the waters of the Nile\n    On every golden scale!"
LONG_VERSE = "\n".join(
    [
        "Of Mans First Disobedience, and the Fruit",
        "Of that Forbidden Tree, whose mortal tast",
        "Brought Death into the World, and all our woe,",
        "With loss of Eden, till one greater Man",
        "Restore us, and regain the blissful Seat,",
    ]
)
HEADING = "CHAPTER I.\nDown the Rabbit-Hole"
TABLE = " CHAPTER I.     Down the Rabbit-Hole, and what was found in it\n CHAPTER II.    The Pool of Tears, and who swam in it all day"


@pytest.mark.parametrize("width", [55, 65, 72, 78])
def test_prose_is_unwrapped_and_verse_kept(width: int) -> None:
    wrapped = [textwrap.fill(paragraph, width) for paragraph in (PROSE, SPEECH, PROSE)]
    text = "\n\n\n".join([HEADING, wrapped[0], VERSE, wrapped[1], LONG_VERSE, wrapped[2]])
    assert unwrap(text).split("\n\n") == [HEADING, PROSE, VERSE, SPEECH, LONG_VERSE, PROSE]


def test_what_is_not_wrapped_comes_back() -> None:
    for text in (
        PROSE + "\n" + SPEECH + "\n" + PROSE,
        VERSE,
        LONG_VERSE,
        "\n\n".join([LONG_VERSE] * 50),
        HEADING,
        "",
        "one line",
    ):
        assert unwrap(text) == text


def test_paragraphs_without_blank_lines_end_at_their_short_lines() -> None:
    paragraphs = [PROSE, "He went.", SPEECH, "She stayed, and said nothing for a while.", PROSE]
    assert unwrap(
        "\n".join(textwrap.fill(paragraph, 68) for paragraph in paragraphs * 20)
    ) == "\n".join(paragraphs * 20)


def test_a_play_keeps_its_speakers() -> None:
    text = "\n\n".join(f"NORA.\n{textwrap.fill(speech, 72)}" for speech in (PROSE, SPEECH))
    assert unwrap(text) == f"NORA.\n{PROSE}\n\nNORA.\n{SPEECH}"


def test_quotations_in_a_narrower_column_and_tables() -> None:
    quotation = textwrap.indent(textwrap.fill(PROSE, 50), "    ")
    text = "\n\n".join([textwrap.fill(PROSE, 72)] * 3 + [quotation, TABLE])
    assert unwrap(text).split("\n\n")[3:] == [PROSE, textwrap.dedent(TABLE)]


def test_hyphens_and_dashes_take_no_space() -> None:
    text = "\n\n".join([textwrap.fill(PROSE, 72)] * 3)
    for first, second, whole in (
        (
            "and then she saw that it was a quite ordinary and common waistcoat-",
            "pocket, out of which",
            "waistcoat-pocket",
        ),
        (
            "and then she saw that it was a quite ordinary and common waistcoat--",
            "so it seemed to her",
            "waistcoat--so",
        ),
        (
            "and then she saw that it was a quite ordinary and common waistcoat -",
            "so it seemed to her",
            "waistcoat - so",
        ),
    ):
        assert whole in unwrap(f"{text}\n\n{first}\n{second}")


@given(
    st.lists(
        st.lists(st.sampled_from(re.findall(r"[a-z]+,?", PROSE)), min_size=30, max_size=80),
        min_size=1,
        max_size=6,
    ),
    st.integers(50, 90),
)
def test_words_and_paragraphs_survive_any_margin(paragraphs: list[list[str]], width: int) -> None:
    whole = [" ".join(words).capitalize() for words in paragraphs]
    assert unwrap("\n\n".join(textwrap.fill(text, width) for text in whole)).split("\n\n") == whole


@given(st.text(alphabet="aB .,-—\n\t“”1", max_size=400))
def test_nothing_but_white_space_changes(text: str) -> None:
    assert re.sub(r"\s", "", unwrap(text)) == re.sub(r"\s", "", text)


def test_novels_keep_every_letter(novels: Path) -> None:
    for path in sorted(novels.iterdir()):
        text = path.read_text("utf-8-sig")
        assert re.sub(r"\s", "", unwrap(text)) == re.sub(r"\s", "", text), path.name


def test_a_novel_wrapped_anew_comes_back(novels: Path) -> None:
    """Its paragraphs of some length, each a line in the file, wrapped at 72."""
    path = novels / "Barclay_Rosary_1909.txt"
    if not path.exists():
        pytest.skip("no test data: english_novels")
    paragraphs = [
        " ".join(line.split())
        for line in path.read_text("utf-8-sig").split("\n")
        if len(line) > 300
    ]
    found = unwrap("\n\n".join(textwrap.fill(paragraph, 72) for paragraph in paragraphs)).split(
        "\n\n"
    )
    same = sum(a == b for a, b in zip(found, paragraphs))
    assert (len(found), len(paragraphs), same) == (588, 588, 588)
