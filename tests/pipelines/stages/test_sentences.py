"""Sentences by the kernels are those of sentencex, to the character."""

import bz2
import json
import random
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import sentencex
from hypothesis import given
from hypothesis import strategies as st
from sentence_twin import as_strings, split_sentences, split_text

from corpora.text.normalise import normalise
from pipelines.stages import sentence_kernels as kernels
from pipelines.stages import sentences as module
from pipelines.stages.sentences import Splitter, character_classes, split_texts, splitter

LANGUAGES = ["en", "any", "zh-cn", "de", "ru", "ja", "fr", "es", "nl", "pt", "pl", "ar", "xx"]

WORDS = (
    "the cat Mr Mrs Dr etc e.g U.S St went home I He She The A And It Smith Yahoo Yum approx No "
    "Fig vs p a.m ft 5 12 in Prof Jan Januar März Mai z.B usw Der und er он Он они т.е г стр été "
    "Été 你好 世界 こと です カナ Penn Inc Co Jones O'Neil don't can't James' well-known x i ii "
    "said—yes 1999 3.14 7 Bg5 J R Tolkien w.e.f Ph D"
).split()

PIECES = (
    '. . . . . ! ? , ... … !? ?! " ." “ ” .” ’ ‘ « » „ ( ) (1) 1) a) — - : ; 。 ！ ？ 「 」 『 』 '
    "、 《 》 （ ） ' ` [1] @ • .) _ ° ½ é ‚ / .com"
).split() + [". ", "? ", "  ", "   ", ". . .", " .", " !", "\t", " ", " ", " "]

PAIRS = [(".", ""), ("?", ""), ("...", ""), (".”", "“"), ('."', '"'), (".»", "«"), (".)", "(")]
"""What may end a sentence, and what must then begin it."""


def scattered(draw: random.Random) -> str:
    """Words and marks in any order."""
    share = draw.choice([0.5, 0.75])
    parts = []
    for _ in range(draw.choice([3, 8, 20, 40])):
        parts.append(draw.choice(WORDS if draw.random() < share else PIECES))
        parts.append(draw.choice(["", " ", " "]))
    text = "".join(parts)
    return text.replace(" ", "\n", 2) if draw.random() < 0.1 else text


def balanced(draw: random.Random) -> str:
    """Sentences as people write them."""
    parts = []
    for _ in range(draw.choice([2, 3, 4])):
        end, begin = draw.choice(PAIRS)
        parts.append(begin + " ".join(draw.choices(WORDS, k=draw.randint(2, 6))) + end)
    return draw.choice([" ", " ", "  "]).join(parts)


QUOTES = "' ' ' \" \" “ ” ‘ ’ « » „ ‹ › 「 」 《 》 ( ) （ ）".split()

QUOTED_WORDS = (
    "the Mr St Mary's I The Don't don't dogs' 'tis 'em x 5 é Été Mai он Penn _ 好".split()
)


def quoted(draw: random.Random) -> str:
    """Quotation marks and brackets that need not match, of few kinds in each text."""
    marks = [*draw.sample([*QUOTES, "? ", "!", "...", "—", ",", "  "], 6), ". ", ". "]
    parts = []
    for _ in range(draw.choice([3, 6, 10, 16])):
        parts.append(draw.choice(QUOTED_WORDS if draw.random() < 0.6 else marks))
        parts.append(draw.choice(["", " "]))
    return "".join(parts)


@pytest.mark.parametrize(
    "num_texts", [150, pytest.param(20_000, marks=pytest.mark.long)], ids=["few", "many"]
)
@pytest.mark.parametrize("whitespace", ["space", "strip", "keep"])
def test_sentences_are_those_of_sentencex(whitespace: str, num_texts: int) -> None:
    draw = random.Random(f"{whitespace} {num_texts}")
    texts = [draw.choice([scattered, balanced, quoted])(draw) for _ in range(num_texts)]
    for language in LANGUAGES:
        array = pa.array(texts, pa.large_string())
        found = as_strings(split_texts(array, [language] * len(texts), whitespace))
        for text, sentences in zip(texts, found):
            assert sentences == split_sentences(text, language, whitespace), (language, text)


@pytest.mark.parametrize("language", ["en", "de", "ru", "ja"])
def test_every_character_that_the_kernels_know(language: str) -> None:
    """In a word, behind a full stop, behind a space, before a full stop, in quotes."""
    known = [chr(point) for point in np.flatnonzero(character_classes()).tolist()]
    texts = [
        f"a{letter}b c. {letter} Now. Go.{letter} So, {letter}. Well {letter}x. Yes"
        f' ("{letter}No." {letter}) it. {letter}"Oh." Ah.'
        # Letters of Chinese and Korean are alike.
        for letter in known
        if not ("\u3400" <= letter <= "\u9fff" or "\uac00" <= letter <= "\ud7a3")
        or ord(letter) % 97 == 0
    ]
    array = pa.array(texts, pa.large_string())
    for text, found in zip(texts, as_strings(split_texts(array, [language] * len(texts), "keep"))):
        assert found == split_sentences(text, language, "keep"), text


def num_asked(texts: list[str], language: str) -> int:
    """How many paragraphs are left to sentencex."""
    array = pa.array(texts, pa.large_string())
    held = np.frombuffer(array.buffers()[2], np.uint8)
    offsets = np.frombuffer(array.buffers()[1], np.int64)
    return int((splitter(language)._find(held, offsets)[1] < 0).sum())


def test_plain_paragraphs_are_not_asked_about() -> None:
    texts = [
        'Mr. Smith (a friend) said: "I will go." Then he went home, didn\'t he? Yes!',
        "“No,” she wrote. “Not in 1999.” It was 3.14, new etc. The end…",
        "One two three. Four.",
        "'I can't,' she said. 'Not now.' The boys' house was near St. Mary's church.",
        '"Go on," he said. "It is late. Then we went on. (He (Tom) smiled.) Yes.',
        "We left.' He slept. «Oui.” They woke. ‘Tis late.’ Then “we slept on. It rained.",
    ]
    assert num_asked(texts, "en") == 0
    assert num_asked(["你好。再见！「好。」", "Это он. «Да». Он ушёл."], "ru") == 0
    assert num_asked(["He came in at 5 ft. 6 in. (1) and J. R. went. . ."], "en") == 1


def test_another_version_of_sentencex_is_asked_about_all(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "version", lambda _: "99.0")
    other = Splitter("en")
    texts = pa.array(["One. Two.", "Mr. Smith went. So?\n\nYes."], pa.large_string())
    found = as_strings(other.split(texts, "space"))
    assert found == [["One.", " Two."], ["Mr. Smith went.", " So?", " Yes."]]
    assert other.words.states == []


def test_a_full_table_of_words_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_WORDS", 2)
    small = Splitter("en")
    text = "It was new. It was old. He saw it etc. The end. Mr. Brown sat. Dr. No ran."
    for _ in range(3):
        found = as_strings(small.split(pa.array([text], pa.large_string()), "space"))[0]
        assert found == split_sentences(text, "en", "space")


@pytest.mark.parametrize("language", ["en", "de", "ru", "ja", "fr"])
def test_signs_in_place_of_unclosed_quotes_change_no_sentence(language: str) -> None:
    draw = random.Random(language)
    changed = 0
    for _ in range(3000):
        text = quoted(draw)
        for mark in draw.choices("[<{(\uff08\u2018\u201e\u2039\u300a\u300c\u201c\xab\xbb", k=4):
            place = draw.randrange(len(text) + 1)
            text = text[:place] + mark + text[place:]
        signs = module.tamed(text)
        lengths = [len(piece.encode()) for piece in sentencex.segment(language, text)]
        assert lengths == [len(piece.encode()) for piece in sentencex.segment(language, signs)], (
            text
        )
        changed += signs != text
    assert changed > 2000


@pytest.mark.parametrize("mark", [*"[<{(\uff08\u2018\u201e\u2039\u300a\u300c\u201c\xab\xbb"])
def test_many_unclosed_quotes_take_no_square_of_the_time(mark: str) -> None:
    """Each text holds a character that leaves it to sentencex, which alone takes the square."""
    for count in (12_000, 1_000_000):
        text = "\U0001f600 So. " + mark * count
        found = split_text(text, "en", "keep")
        assert "".join(found) == text
        if count == 12_000:
            assert found == split_sentences(text, "en", "keep")


def test_texts_of_many_languages_keep_their_order() -> None:
    texts = ["Hallo. Am 3. Mai.", "One. Two.", "", "你好。再见。", "Да. Нет.", "A. B.\nC."] * 3
    languages = ["de", "en", "en", "zh-tw", "ru", "EN-us"] * 3
    found = as_strings(split_texts(pa.array(texts, pa.large_string()), languages, "space"))
    assert found == [split_sentences(*each, "space") for each in zip(texts, languages)]


@pytest.mark.parametrize("text", ["", " ", "\n\n", " \n a", "a\n\n", "\xa0a\u2003b\x85c\x1cd. E"])
def test_white_space(text: str) -> None:
    for whitespace in ("space", "strip", "keep"):
        assert split_text(text, "en", whitespace) == split_sentences(text, "en", whitespace)


SPACES = "\t\x0b\x1c\x1f\x85\xa0\u1680\u2000\u2003\u200a\u2028\u2029\u202f\u205f\u3000"

NEARLY_SPACES = (
    "\x08\x0e\x1b\x7f\x86\xa1\xc2\u1681\u1640\u200b\u2010\u201c\u2060\u2080\u3001\u3040\u3080"
)
"""Characters of nearly the same bytes."""


@given(st.text(f"ab.  {SPACES}{NEARLY_SPACES}", max_size=40))
def test_white_space_of_every_kind(text: str) -> None:
    for whitespace in ("space", "strip", "keep"):
        assert split_text(text, "xx", whitespace) == split_sentences(text, "xx", whitespace)


@given(st.text(f"ab  {SPACES}{NEARLY_SPACES}", max_size=40))
def test_single_spaces_are_told_from_other_white_space(text: str) -> None:
    piece = text.lstrip()
    content = np.frombuffer(piece.encode() or b"a", np.uint8)

    others = any(letter.isspace() and letter != " " for letter in piece)
    is_tidy = not others and "  " not in piece
    assert kernels.has_single_spaces(content, 0, len(content)) == is_tidy
    assert kernels.has_single_spaces_only(content) == is_tidy


@pytest.mark.builds
def test_sentences_of_real_text(novels: Path, sentences: Path) -> None:
    texts = [json.loads(line)["text"] for line in bz2.open(sentences)][:4000]
    texts += [normalise(path.read_text("utf-8")) for path in sorted(novels.iterdir())[:2]]
    array = pa.array(texts, pa.large_string())
    for language in ("en", "de"):
        found = as_strings(split_texts(array, [language] * len(texts), "space"))
        for text, each in zip(texts, found):
            assert each == split_sentences(text, language, "space")
