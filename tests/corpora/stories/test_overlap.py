"""The scores of Stories: the published vector, the kernel against its slow twin, and the order of
the scores against that of the fractions."""

import random
import sys
from collections.abc import Sequence
from fractions import Fraction

import ngrams_twin
import pytest
from hypothesis import given
from hypothesis import strategies as st
from stories_data import questions as all_questions

from corpora.stories import overlap
from corpora.stories.overlap import ONE, exact_score, make_query, score, tokens

QUESTION = "The trophy does not fit in the brown suitcase because it is too big."
DOCUMENT = "The cup does not fit in the box because the box is too small."
WAYS = [(joined, as_sets) for joined in (True, False) for as_sets in (True, False)]
HOSTILE = [
    "",
    "\x00",
    "a\x00b \x00 the",
    "\u212a \u212aelvin o\u212a",
    "\u0130 \u0130t \u0130\u0130the",
    "\u017f the \u017ft",
    "tr\u00e8s \u00e9t\u00e9 d'\u00e9t\u00e9 THE'S",
    "\ud800 the \udfff",
    "''' ' the",
    "it\u2019s it's",
    "x" * 100_000,
    "the " * 50_000,
    "\u4e2d\u6587 the \u65e5\u672c 42",
    "THE THE THE the",
    "\xe2\x84 \xc4",
]


def query_of(questions: Sequence[str], joined: bool = True, as_sets: bool = False) -> overlap.Query:
    return make_query(
        [words for question in questions if (words := tokens(question))] or [[]],
        joined=joined,
        as_sets=as_sets,
    )


def floor(fraction: Fraction) -> int:
    return int(fraction * ONE)


@pytest.mark.parametrize(
    ("as_sets", "f1", "whole"),
    [
        (True, (0.666667, 0.4, 0.25, 0.181818), 0.294394),
        (False, (0.642857, 0.384615, 0.25, 0.181818), 0.288936),
    ],
)
def test_the_published_vector(as_sets: bool, f1: tuple[float, ...], whole: float) -> None:
    for n, value in enumerate(f1, 1):
        assert float(
            ngrams_twin.f1(tokens(DOCUMENT), tokens(QUESTION), n, as_sets)
        ) == pytest.approx(value, abs=1e-6)
    for joined in (True, False):
        assert score(query_of([QUESTION], joined, as_sets), DOCUMENT).score / ONE == pytest.approx(
            whole, abs=1e-6
        )


@pytest.mark.parametrize(("joined", "as_sets"), WAYS)
def test_the_ends_of_the_scale(joined: bool, as_sets: bool) -> None:
    query = query_of([QUESTION], joined, as_sets)
    assert score(query, QUESTION).score == ONE
    assert score(query, "Nobody knows anything here").score == 0
    assert score(query, "trophy").score == floor(
        Fraction(2, (13 if as_sets else 14) + 1) / 10
    )  # F1 of longer n-grams is 0, the weights stay 10
    assert score(query, "").score == 0


@pytest.mark.parametrize(("joined", "as_sets"), WAYS)
def test_hostile_texts_score_as_the_twin_says(joined: bool, as_sets: bool) -> None:
    questions = [
        QUESTION,
        "Kelvin's it was; the kelvin, it's 42",
        "the the the the",
        "i it the",
        "a b THE",
        "x",
    ]
    query = query_of(questions, joined, as_sets)
    for text in HOSTILE:
        found = score(query, text)
        expected = ngrams_twin.score_of(questions, text, joined=joined, as_sets=as_sets)
        assert (found.words, found.score) == (len(tokens(text)), floor(expected)), repr(text[:40])


def test_every_character_ends_or_spells_a_word_as_in_python() -> None:
    """Lower-casing makes letters of ASCII of two characters beyond it; the kernel knows them by
    their bytes."""
    query = query_of(["a ab b k ak kb akb i ai"])
    for code in range(sys.maxunicode + 1):
        if code < 0x3000 or chr(code).lower() != chr(code) or code % 997 == 0:
            text = f"a{chr(code)}b"
            assert score(query, text).words == len(tokens(text)), hex(code)


ALPHABET = st.sampled_from(
    [
        "the",
        "a",
        "it's",
        "The",
        "K",
        "\u212a",
        "\u0130",
        "\u017f",
        "\u00e9",
        " ",
        ",",
        "\n",
        "\x00",
        "'",
        "7",
        "big",
        "box",
    ]
)


@given(
    st.lists(st.lists(ALPHABET, max_size=12), min_size=1, max_size=5),
    st.lists(ALPHABET, max_size=40),
    st.sampled_from(["", " "]),
    st.sampled_from(WAYS),
)
def test_any_text_scores_as_the_twin_says(
    questions: list[list[str]], parts: list[str], between: str, way: tuple[bool, bool]
) -> None:
    joined, as_sets = way
    asked, text = [between.join(question) for question in questions], between.join(parts)
    expected = ngrams_twin.score_of(asked, text, joined=joined, as_sets=as_sets)
    found = score(query_of(asked, joined, as_sets), text)
    assert (found.words, found.score) == (len(tokens(text)), floor(expected))


FEW = st.lists(st.sampled_from("abc"), max_size=9).map(" ".join)


@given(
    st.lists(FEW, min_size=1, max_size=4),
    st.lists(st.sampled_from("abcd"), max_size=25).map(" ".join),
    st.sampled_from(WAYS),
)
def test_words_again_and_again_score_as_the_twin_says(
    questions: list[str], text: str, way: tuple[bool, bool]
) -> None:
    """Each question takes a repeated n-gram as often as it has it itself."""
    joined, as_sets = way
    assert score(query_of(questions, joined, as_sets), text).score == floor(
        ngrams_twin.score_of(questions, text, joined=joined, as_sets=as_sets)
    )


@given(st.text(max_size=60), st.sampled_from(WAYS))
def test_any_characters_score_as_the_twin_says(text: str, way: tuple[bool, bool]) -> None:
    questions = [QUESTION, text[:20]]
    joined, as_sets = way
    assert score(query_of(questions, joined, as_sets), text).score == floor(
        ngrams_twin.score_of(questions, text, joined=joined, as_sets=as_sets)
    )


@pytest.mark.parametrize(("joined", "as_sets"), WAYS)
@pytest.mark.builds
def test_real_text_scores_as_the_twin_says(joined: bool, as_sets: bool) -> None:
    questions = all_questions()
    pattern = (
        overlap.TOKEN_PATTERN.replace("'", "") + "|'"
    )  # another spelling of about the same, for the slow path
    query = query_of(questions, joined, as_sets)
    draw = random.Random(3)
    words = " ".join(questions).split()
    texts = (
        [" ".join(draw.choices(words, k=draw.randrange(300))) for _ in range(6)]
        + questions[:3]
        + ["\n".join(draw.sample(questions, min(30, len(questions))))]
    )
    for text in texts:
        expected = floor(ngrams_twin.score_of(questions, text, joined=joined, as_sets=as_sets))
        assert score(query, text).score == expected
    other = make_query(
        [tokens(question, pattern) for question in questions],
        joined=joined,
        as_sets=as_sets,
        pattern=pattern,
    )
    ours = make_query(
        [tokens(question.replace("'", " ")) for question in questions],
        joined=joined,
        as_sets=as_sets,
    )
    for text in texts:
        if "'" not in text:
            assert score(other, text).words == score(ours, text).words
    same = make_query(
        [tokens(question) for question in questions],
        joined=joined,
        as_sets=as_sets,
        pattern="(?:[a-z0-9']+)",
    )
    assert [score(same, text) for text in texts] == [score(query, text) for text in texts]


SMALL = st.integers(0, 40)
SIZES = st.tuples(SMALL, SMALL, SMALL, SMALL)


@given(st.lists(st.tuples(SIZES, SIZES), min_size=2, max_size=2), SIZES)
def test_the_numbers_are_in_the_order_of_the_fractions(
    texts: list[tuple[tuple[int, ...], tuple[int, ...]]], question: tuple[int, ...]
) -> None:
    """Fractions of small numbers differ by far more than 2**-62, so the order is the same, ties
    included."""
    ranked = []
    for shared, more in texts:
        both = [min(a, b) for a, b in zip(shared, question)]
        of_text = [a + b for a, b in zip(both, more)]
        fraction = (
            sum(
                (
                    Fraction(2 * n * a, b + c)
                    for n, a, b, c in zip(range(1, 5), both, of_text, question)
                    if a
                ),
                Fraction(0),
            )
            / 10
        )
        number = exact_score(both, of_text, question)
        assert number == floor(fraction) <= ONE
        ranked.append((fraction, number))
    (one, first), (other, second) = ranked
    assert (one < other, one == other) == (first < second, first == second)


def test_the_numbers_never_turn_the_order_of_great_fractions() -> None:
    """Of great texts fractions may be nearer than 2**-62: then the numbers may be equal, but never
    the other way round."""
    draw = random.Random(0)
    question = [5_000, 4_999, 4_998, 4_997]
    rows = []
    for _ in range(3_000):
        shared = [draw.randrange(4_900, 4_997) for _ in range(4)]
        of_text = [8_000_000 - n for n in range(4)]
        rows.append(
            (
                sum(
                    Fraction(2 * n * a, b + c)
                    for n, a, b, c in zip(range(1, 5), shared, of_text, question)
                )
                / 10,
                exact_score(shared, of_text, question),
            )
        )
    rows.sort()
    numbers = [number for _, number in rows]
    assert numbers == sorted(numbers)


def test_a_long_text_scores_in_whole_numbers() -> None:
    """50 MB of one word: no number grows past what holds it."""
    query = query_of(["the the the the the"])
    text = "the " * 2_000_000
    assert score(query, text) == overlap.Scored(
        words=2_000_000,
        score=floor(
            sum(Fraction(2 * n * (6 - n), 2_000_001 - n + 6 - n) for n in range(1, 5)) / 10
        ),
        longest=2,
    )
    assert score(query_of(["the the the the the"], True, True), text).score == ONE
