"""The overlap of a text's n-grams with those of questions, by which documents of Stories are chosen
(Trinh & Le 2018).

    score = (1 F1(1) + 2 F1(2) + 3 F1(3) + 4 F1(4)) / 10
    F1(n) = 2 overlap(n) / (n-grams of the text + n-grams of the question)

Words are the matches of `[a-z0-9']+` in the lower-cased text. A text of fewer than n words has
F1(n) = 0. The overlap of multisets counts an n-gram as often as both have it; that of sets counts
it once. Overlaps are whole numbers, so the score is a fraction of whole numbers. It is kept as
`floor(score * 2**62)`, computed with whole numbers only: a higher fraction never has the smaller
number, and fractions that differ by less than 2**-62 may have the same one.

The kernels (corpora.stories.kernels) are exact.
"""

import itertools
import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from corpora.stories.kernels import (
    MIX,
    PRIME,
    SEED,
    known_words,
    number_grams,
    number_words,
    overlaps,
    split_words,
)

MOST = 4
"""Words of the longest n-gram."""

WEIGHTS = (1, 2, 3, 4)

ONE = 1 << 62
"""The score of a text that is its question."""

TOKEN_PATTERN = "[a-z0-9']+"
"""The words that the kernel finds; any other pattern runs in Python, ten times slower."""

VERSION = 1
"""Raised when the same text and questions give another score."""

_NEAR = 1e-9
"""Far above the error of 64-bit floats here: questions whose score is this near to the best are
compared as whole numbers."""


def _classes() -> NDArray[np.uint8]:
    """(256,) the letter in lower case that a byte is in a word; 0 for a byte that is in no word."""
    classes = np.zeros(256, np.uint8)
    for letter in b"abcdefghijklmnopqrstuvwxyz0123456789'":
        classes[letter] = letter
    classes[ord("A") : ord("Z") + 1] = classes[ord("a") : ord("z") + 1]
    return classes


_CLASSES = _classes()


@dataclass(frozen=True, kw_only=True)
class Query:
    """Questions as tables: Q questions with V different words and G different n-grams, and H pairs
    of an n-gram and a question that contains it.

    The n-gram of one word has the number of its word. In open-addressed tables key 0 is an empty
    place.
    """

    pattern: str
    as_sets: bool
    words: dict[str, int]
    letters: NDArray[np.uint8]
    """The words in UTF-8, end to end."""
    letter_starts: NDArray[np.int64]
    """(V + 1,) where each word begins in `letters`."""
    word_hashes: NDArray[np.uint64]
    word_numbers: NDArray[np.int32]
    """An open-addressed table: the words by their hashes."""
    gram_keys: NDArray[np.uint64]
    gram_numbers: NDArray[np.int32]
    """An open-addressed table: the n-grams by a shorter n-gram and the word after it."""
    lengths: NDArray[np.uint8]
    """(G,) words of each n-gram."""
    most: NDArray[np.int32]
    """(G,) the highest count of an n-gram in one question."""
    holder_starts: NDArray[np.int64]
    """(G + 1,) where the questions of each n-gram begin in `holders` and `counts`."""
    holders: NDArray[np.int32]
    """(H,) the questions that contain an n-gram, highest count first."""
    counts: NDArray[np.int32]
    """(H,) how often they contain it."""
    totals: NDArray[np.int64]
    """(Q, 4) n-grams of each question, by their words."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scored:
    """`words` of a text; `score`, in units of 2**-62, with the question that scores highest;
    `longest`, the highest number of n-grams of four words that it shares with one question."""

    words: int
    score: int
    longest: int


def tokens(text: str, pattern: str = TOKEN_PATTERN) -> list[str]:
    """The words of a text."""
    return [match[0] for match in re.finditer(pattern, text.lower())]


def make_query(
    questions: Sequence[Sequence[str]],
    *,
    joined: bool = True,
    as_sets: bool = False,
    pattern: str = TOKEN_PATTERN,
) -> Query:
    """The tables of questions, each given as its words.

    With `joined` they are one long question, with the n-grams that cross the seams.
    """
    if joined:
        questions = [list(itertools.chain.from_iterable(questions))]
    words: dict[str, int] = {}
    for word in itertools.chain.from_iterable(questions):
        words.setdefault(word, len(words))
    grams = _count_grams(questions, words, as_sets)

    totals = np.zeros((len(questions), MOST), np.int64)
    holders: list[tuple[int, int]] = []  # (question, count), by n-gram
    for length, count_of in zip(grams.lengths, grams.counts):
        for index, count in count_of.items():
            totals[index, length - 1] += count
        # The kernel stops at the first question that contains the n-gram too rarely.
        holders += sorted(count_of.items(), key=lambda item: (-item[1], item[0]))

    spelled = [word.encode("utf-8", "surrogatepass") for word in words]
    word_hashes, word_numbers = _table([_hash(word) for word in spelled], range(len(spelled)))
    gram_keys, gram_numbers = _table(
        [(shorter << 32 | word) + 1 for shorter, word in grams.longer], list(grams.longer.values())
    )
    return Query(
        pattern=pattern,
        as_sets=as_sets,
        words=words,
        letters=np.frombuffer(b"".join(spelled) or b"\0", np.uint8),
        letter_starts=np.cumsum([0, *map(len, spelled)]),
        word_hashes=word_hashes,
        word_numbers=word_numbers,
        gram_keys=gram_keys,
        gram_numbers=gram_numbers,
        lengths=np.array(grams.lengths, np.uint8),
        most=np.array([max(count_of.values()) for count_of in grams.counts], np.int32),
        holder_starts=np.cumsum([0, *map(len, grams.counts)]),
        holders=np.array([index for index, _ in holders], np.int32),
        counts=np.array([count for _, count in holders], np.int32),
        totals=totals,
    )


@dataclass(frozen=True)
class _Grams:
    """The n-grams of questions: by (a shorter n-gram, the word after it); the words of each; and
    how often each question contains it."""

    longer: dict[tuple[int, int], int]
    lengths: list[int]
    counts: list[dict[int, int]]


def _count_grams(
    questions: Sequence[Sequence[str]], words: dict[str, int], as_sets: bool
) -> _Grams:
    grams = _Grams({}, [1] * len(words), [{} for _ in words])
    for index, question in enumerate(questions):
        ended: list[int] = []  # the n-grams, of one to four words, that end with the word before
        for word in question:
            number = words[word]
            ending = [number]
            for shorter in ended[: MOST - 1]:
                gram = grams.longer.setdefault((shorter, number), len(grams.lengths))
                if gram == len(grams.lengths):
                    grams.lengths.append(grams.lengths[shorter] + 1)
                    grams.counts.append({})
                ending.append(gram)
            for gram in ending:
                count = grams.counts[gram].get(index, 0)
                grams.counts[gram][index] = 1 if as_sets else count + 1
            ended = ending
    return grams


def _hash(word: bytes) -> int:
    """FNV-1a with 64 bits, as the kernel computes it; never 0."""
    hashed = SEED
    for letter in word:
        hashed = (hashed ^ letter) * PRIME % (1 << 64)
    return hashed | 1


def _table(
    keys: Sequence[int], numbers: Sequence[int]
) -> tuple[NDArray[np.uint64], NDArray[np.int32]]:
    """An open-addressed table of keys, which need not differ, and their numbers."""
    size = 16
    while size < 2 * len(keys):
        size *= 2

    table = np.zeros(size, np.uint64)
    values = np.zeros(size, np.int32)
    for number, key in zip(numbers, keys):
        place = _first_place(key) & (size - 1)
        while table[place]:
            place = (place + 1) & (size - 1)
        table[place] = key
        values[place] = number
    return table, values


def _first_place(key: int) -> int:
    """The first place of a key, as the kernels compute it."""
    return ((key ^ key >> 29) * MIX % (1 << 64)) >> 32


# --- the score of a text


def score(query: Query, text: str) -> Scored:
    """How much a text shares with the questions."""
    numbered = _numbered(query, text)
    words = len(numbered.words)
    if query.as_sets:
        sizes = _set_sizes(numbered.own, numbered.different)
    else:
        sizes = [max(0, words - n) for n in range(MOST)]

    shared = np.zeros(query.totals.shape, np.int64)
    overlaps(
        numbered.words,
        query.gram_keys,
        query.gram_numbers,
        query.most,
        query.holder_starts,
        query.holders,
        query.counts,
        np.zeros(len(query.most), np.int32),
        shared,
    )
    return Scored(
        words=words,
        score=_best(shared, sizes, query.totals),
        longest=int(shared[:, MOST - 1].max()),
    )


@dataclass(frozen=True)
class _Numbered:
    """The W words of a text as numbers; `own` and `different` are for sets only."""

    words: NDArray[np.int32]
    """(W,) their numbers in the questions, -1 for a word of none."""
    own: NDArray[np.int32]
    """(W,) their numbers in the text itself: equal words have equal numbers."""
    different: int
    """How many words of the text differ."""


_NOT_NUMBERED = np.empty(0, np.int32)


def _numbered(query: Query, text: str) -> _Numbered:
    if query.pattern != TOKEN_PATTERN:
        return _numbered_by_pattern(query, text)

    encoded = np.frombuffer(text.encode("utf-8", "surrogatepass"), np.uint8)
    most_words = len(encoded) // 2 + 1
    letters = np.empty(len(encoded), np.uint8)
    all_ends = np.empty(most_words, np.int32)
    all_hashes = np.empty(most_words, np.uint64)
    count = split_words(encoded, _CLASSES, letters, all_ends, all_hashes)
    ends = all_ends[:count]
    hashes = all_hashes[:count]

    words = np.empty(count, np.int32)
    known_words(
        letters,
        ends,
        hashes,
        query.letters,
        query.letter_starts,
        query.word_hashes,
        query.word_numbers,
        words,
    )
    if not query.as_sets:
        return _Numbered(words, _NOT_NUMBERED, 0)
    own = np.empty(count, np.int32)
    different = number_words(letters, ends, hashes, *_empty_table(count), own)
    return _Numbered(words, own, different)


def _numbered_by_pattern(query: Query, text: str) -> _Numbered:
    """The same for a pattern of the user's own."""
    spelled = tokens(text, query.pattern)
    words = np.array([query.words.get(word, -1) for word in spelled], np.int32)
    if not query.as_sets:
        return _Numbered(words, _NOT_NUMBERED, 0)

    numbers: dict[str, int] = {}
    own = [numbers.setdefault(word, len(numbers)) for word in spelled]
    return _Numbered(words, np.array(own, np.int32), len(numbers))


def _empty_table(count: int) -> tuple[NDArray[np.uint64], NDArray[np.int32]]:
    """An open-addressed table for at most `count` keys."""
    size = 1 << max(4, (2 * count).bit_length())
    return np.zeros(size, np.uint64), np.empty(size, np.int32)


def _set_sizes(words: NDArray[np.int32], different: int) -> list[int]:
    """How many n-grams of one to four words differ."""
    sizes = [different]
    grams = words.copy()
    keys, numbers = _empty_table(len(words))
    for n in range(1, MOST):
        grams = grams[: max(0, len(words) - n + 1)]
        size = number_grams(grams, words[n:], keys, numbers) if len(grams) > 1 else 0
        sizes.append(int(size))
    return sizes


def _best(shared: NDArray[np.int64], sizes: Sequence[int], totals: NDArray[np.int64]) -> int:
    """The highest score with any question."""
    # Floats pick the questions that may be the best; whole numbers decide between them.
    rows = [0]
    if len(shared) > 1:
        both = np.maximum(totals + np.array(sizes, np.int64), 1)
        rough = (2 * shared / both) @ np.array(WEIGHTS, np.float64)
        rows = np.flatnonzero(rough >= rough.max() - _NEAR).tolist()

    best = 0
    for row in rows:
        best = max(best, exact_score(shared[row].tolist(), sizes, totals[row].tolist()))
    return best


def exact_score(shared: Sequence[int], of_text: Sequence[int], of_question: Sequence[int]) -> int:
    """`floor(score * 2**62)`, from the numbers of n-grams, by their words, that text and question
    share, that the text has, and that the question has."""
    top = 0
    bottom = 1
    for weight, both, text_size, question_size in zip(WEIGHTS, shared, of_text, of_question):
        if both:
            size = text_size + question_size
            top = top * size + 2 * weight * both * bottom
            bottom *= size
    return (top << 62) // (bottom * sum(WEIGHTS))
