"""Overlap of a text's n-grams with those of questions: how documents of Stories are chosen (Trinh &
Le 2018).

    score = (1 F1(1) + 2 F1(2) + 3 F1(3) + 4 F1(4)) / 10,   F1(n) = 2 overlap(n) / (n-grams of the text + n-grams of the question)

Words are the matches of `[a-z0-9']+` in the lower-cased text. A text of fewer than n words has
F1(n) = 0. The overlap of multisets counts an n-gram as often as both have it; that of sets once.
The overlaps are whole numbers, so the score is a fraction of whole numbers; it is kept as
`floor(score * 2**62)`, reckoned with whole numbers alone. Of two texts the one that scores more by
the fraction never has the smaller number; fractions that differ by less than 2**-62 may share one.

The kernels are numba over UTF-8 bytes and are exact: words are compared byte by byte, n-grams by
the numbers of their words. Their slow twin in plain Python stands in tests/corpora/stories/ngrams_twin.py.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from corpora.text.jit import jit

MOST = 4
"""Words of the longest n-gram."""

WEIGHTS = (1, 2, 3, 4)

ONE = 1 << 62
"""The score of a text that is its question."""

TOKEN_PATTERN = "[a-z0-9']+"
"""What the kernel takes as a word; with another pattern Python looks for the words, ten times as
slow."""

VERSION = 1
"""Goes up when the same text and questions give another score."""

_SEED, _PRIME = 0xCBF29CE484222325, 0x100000001B3

_NEAR = 1e-9
"""Far above what 64-bit floats are wrong by here: questions that score so near to the best are
compared as whole numbers."""


def _classes() -> NDArray[np.uint8]:
    """(256,) the letter, lower-cased, that a byte is in a word; 0: it is in none."""
    found = np.zeros(256, np.uint8)
    for letter in b"abcdefghijklmnopqrstuvwxyz0123456789'":
        found[letter] = letter
    found[ord("A") : ord("Z") + 1] = found[ord("a") : ord("z") + 1]
    return found


_CLASSES = _classes()


@dataclass(frozen=True, kw_only=True)
class Query:
    """Questions as tables: Q questions of V different words, with G different n-grams. The n-gram
    of one word has its word's number."""

    pattern: str
    as_sets: bool
    words: dict[str, int]
    letters: NDArray[np.uint8]
    letter_starts: NDArray[np.int64]
    """(V + 1,) where each word begins in `letters`."""
    word_hashes: NDArray[np.uint64]
    word_numbers: NDArray[np.int32]
    """Open-addressed, 0 is an empty place."""
    gram_keys: NDArray[np.uint64]
    gram_numbers: NDArray[np.int32]
    """Open-addressed: the n-gram that a shorter one becomes with a word more; 0 is an empty
    place."""
    lengths: NDArray[np.uint8]
    """(G,) words of each n-gram."""
    most: NDArray[np.int32]
    """(G,) how often the question that has it most often has it."""
    holder_starts: NDArray[np.int64]
    holders: NDArray[np.int32]
    counts: NDArray[np.int32]
    """(G + 1,), (H,), (H,) the questions that hold an n-gram, and how often; those that hold it
    most often first."""
    totals: NDArray[np.int64]
    """(Q, 4) n-grams of each question."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scored:
    """`words` of a text; `score` in units of 2**-62, of the question that scores most; `longest`:
    n-grams of four words that it shares with one question, at most."""

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
    """Questions, each as its words, as one after the other or (`joined`) as one long one, with the
    n-grams that cross its seams."""
    asked = [[word for question in questions for word in question]] if joined else questions
    words = {
        word: number
        for number, word in enumerate(
            dict.fromkeys(word for question in asked for word in question)
        )
    }
    longer: dict[tuple[int, int], int] = {}
    lengths = [1] * len(words)
    held: list[dict[int, int]] = [{} for _ in words]
    for index, question in enumerate(asked):
        ended: list[int] = []  # the n-grams, one to four words, that end with the word before
        for word in question:
            number = words[word]
            now = [number]
            for shorter in ended[: MOST - 1]:
                gram = longer.setdefault((shorter, number), len(lengths))
                if gram == len(lengths):
                    lengths.append(lengths[shorter] + 1)
                    held.append({})
                now.append(gram)
            for gram in now:
                held[gram][index] = 1 if as_sets else held[gram].get(index, 0) + 1
            ended = now
    totals = np.zeros((len(asked), MOST), np.int64)
    for gram, of_gram in enumerate(held):
        for index, count in of_gram.items():
            totals[index, lengths[gram] - 1] += count
    sorted_holders = [
        sorted(of_gram.items(), key=lambda item: (-item[1], item[0])) for of_gram in held
    ]
    flat = [pair for holders in sorted_holders for pair in holders]
    spelled = [word.encode("utf-8", "surrogatepass") for word in words]
    word_hashes, word_numbers = _table([_hash(word) for word in spelled])
    gram_keys, gram_numbers = _table(
        [(shorter << 32 | word) + 1 for shorter, word in longer], list(longer.values())
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
        lengths=np.array(lengths, np.uint8),
        most=np.array([max(of_gram.values()) for of_gram in held], np.int32),
        holder_starts=np.cumsum([0, *map(len, held)]),
        holders=np.array([index for index, _ in flat], np.int32),
        counts=np.array([count for _, count in flat], np.int32),
        totals=totals,
    )


def _hash(word: bytes) -> int:
    """FNV-1a of 64 bits; never 0."""
    found = _SEED
    for letter in word:
        found = (found ^ letter) * _PRIME % (1 << 64)
    return found | 1


def _table(
    keys: Sequence[int], numbers: Sequence[int] | None = None
) -> tuple[NDArray[np.uint64], NDArray[np.int32]]:
    """An open-addressed table of keys, which need not differ, and their numbers."""
    size = 16
    while size < 2 * len(keys):
        size *= 2
    table, values = np.zeros(size, np.uint64), np.zeros(size, np.int32)
    for number, key in zip(range(len(keys)) if numbers is None else numbers, keys):
        place = _first_place(key) & (size - 1)
        while table[place]:
            place = (place + 1) & (size - 1)
        table[place], values[place] = key, number
    return table, values


def _first_place(key: int) -> int:
    return ((key ^ key >> 29) * 0x9E3779B97F4A7C15 % (1 << 64)) >> 32


@jit
def _place(key: np.uint64, mask: np.uint64) -> np.uint64:
    """As `_first_place`."""
    return ((key ^ (key >> np.uint64(29))) * np.uint64(0x9E3779B97F4A7C15)) >> np.uint64(32) & mask


@jit
def _split(
    text: NDArray[np.uint8],
    classes: NDArray[np.uint8],
    letters: NDArray[np.uint8],
    ends: NDArray[np.int32],
    hashes: NDArray[np.uint64],
) -> int:
    """The number of words of a text in UTF-8; their letters, lower-cased, end to end, where each
    ends, and its hash.

    Two characters beyond ASCII have a letter of ASCII as their lower case: U+212A (Kelvin) is a k;
    U+0130 an i, and then a mark that ends the word.
    """
    count = at = begin = end = 0
    hashed = np.uint64(_SEED)
    while at <= len(text):
        letter, step, last = np.uint8(0), 1, True
        if at < len(text):
            byte = text[at]
            letter = classes[byte]
            last = letter == 0
            if (
                byte == 0xE2
                and at + 2 < len(text)
                and text[at + 1] == 0x84
                and text[at + 2] == 0xAA
            ):
                letter, step, last = np.uint8(107), 3, False
            elif byte == 0xC4 and at + 1 < len(text) and text[at + 1] == 0xB0:
                letter, step = np.uint8(105), 2
        at += step
        if letter != 0:
            letters[end] = letter
            end += 1
            hashed = (hashed ^ np.uint64(letter)) * np.uint64(_PRIME)
        if last and end > begin:
            ends[count], hashes[count] = end, hashed | np.uint64(1)
            count += 1
            begin = end
            hashed = np.uint64(_SEED)
    return count


@jit
def _same(
    letters: NDArray[np.uint8],
    begin: int,
    end: int,
    others: NDArray[np.uint8],
    first: int,
    last: int,
) -> bool:
    if end - begin != last - first:
        return False
    for index in range(end - begin):
        if letters[begin + index] != others[first + index]:
            return False
    return True


@jit
def _known(
    letters: NDArray[np.uint8],
    ends: NDArray[np.int32],
    hashes: NDArray[np.uint64],
    others: NDArray[np.uint8],
    starts: NDArray[np.int64],
    table: NDArray[np.uint64],
    numbers: NDArray[np.int32],
    out: NDArray[np.int32],
) -> None:
    """Into `out` the number of each word in the questions, -1 where none of them has it."""
    mask = np.uint64(len(table) - 1)
    begin = 0
    for at in range(len(ends)):
        end = ends[at]
        found = np.int32(-1)
        place = _place(hashes[at], mask)
        while table[place] != 0:
            number = numbers[place]
            if table[place] == hashes[at] and _same(
                letters, begin, end, others, starts[number], starts[number + 1]
            ):
                found = number
                break
            place = (place + np.uint64(1)) & mask
        out[at] = found
        begin = end


@jit
def _number(
    letters: NDArray[np.uint8],
    ends: NDArray[np.int32],
    hashes: NDArray[np.uint64],
    table: NDArray[np.uint64],
    firsts: NDArray[np.int32],
    out: NDArray[np.int32],
) -> int:
    """Number the words of a text as they come, the same ones alike; how many differ. `table` and
    `firsts`: an empty table."""
    mask = np.uint64(len(table) - 1)
    begin = different = 0
    for at in range(len(ends)):
        end = ends[at]
        place = _place(hashes[at], mask)
        while table[place] != 0:
            first = firsts[place]
            if table[place] == hashes[at] and _same(
                letters, begin, end, letters, ends[first - 1] if first > 0 else 0, ends[first]
            ):
                break
            place = (place + np.uint64(1)) & mask
        if table[place] == 0:
            table[place], firsts[place] = hashes[at], at
            out[at] = different
            different += 1
        else:
            out[at] = out[firsts[place]]
        begin = end
    return different


@jit
def _longer(shorter: int, word: int, keys: NDArray[np.uint64], numbers: NDArray[np.int32]) -> int:
    """The n-gram of the questions that another becomes with a word more; -1: none."""
    mask = np.uint64(len(keys) - 1)
    key = (np.uint64(shorter) << np.uint64(32) | np.uint64(word)) + np.uint64(1)
    place = _place(key, mask)
    while keys[place] != 0:
        if keys[place] == key:
            return int(numbers[place])
        place = (place + np.uint64(1)) & mask
    return -1


@jit
def _overlaps(
    words: NDArray[np.int32],
    keys: NDArray[np.uint64],
    numbers: NDArray[np.int32],
    most: NDArray[np.int32],
    starts: NDArray[np.int64],
    holders: NDArray[np.int32],
    counts: NDArray[np.int32],
    seen: NDArray[np.int32],
    out: NDArray[np.int64],
) -> None:
    """Into `out`, (Q, 4) zeros, the n-grams that a text shares with each question, each as often as
    both have it.

    `words`: numbers in the questions, -1 for none. `seen`: (G,) zeros.
    """
    before = np.full(
        3, -1, np.int64
    )  # the n-grams of one, two, three words that end with the word before
    now = np.full(4, -1, np.int64)
    for word in words:
        if word < 0:
            before[:] = -1
            continue
        now[:] = -1
        now[0] = word
        for n in range(1, 4):  # an n-gram of theirs ends with a shorter one of theirs
            if before[n - 1] >= 0:
                now[n] = _longer(before[n - 1], word, keys, numbers)
            if now[n] < 0:
                break
        for n in range(4):
            gram = now[n]
            if gram < 0:
                break
            rank = seen[gram]
            if rank < most[gram]:
                seen[gram] = rank + 1
                for place in range(starts[gram], starts[gram + 1]):
                    if counts[place] <= rank:
                        break
                    out[holders[place], n] += 1
        before[:] = now[:3]


@jit
def _different(
    grams: NDArray[np.int32],
    words: NDArray[np.int32],
    keys: NDArray[np.uint64],
    numbers: NDArray[np.int32],
) -> int:
    """Number the n-grams that are `grams[:-1]` with the word after each, in the place of `grams`;
    how many differ. `keys` and `numbers`: room for a table."""
    mask = np.uint64(len(keys) - 1)
    keys[:] = 0
    different = 0
    for at in range(len(grams) - 1):
        key = (np.uint64(grams[at]) << np.uint64(32) | np.uint64(words[at])) + np.uint64(1)
        place = _place(key, mask)
        while keys[place] != 0 and keys[place] != key:
            place = (place + np.uint64(1)) & mask
        if keys[place] == 0:
            keys[place], numbers[place] = key, different
            different += 1
        grams[at] = numbers[place]
    return different


def score(query: Query, text: str) -> Scored:
    """How much a text shares with the questions."""
    words, numbered = (
        _in_words(query, text) if query.pattern == TOKEN_PATTERN else _in_words_by(query, text)
    )
    sizes = (
        _set_sizes(*numbered) if query.as_sets else [max(0, len(words) - n) for n in range(MOST)]
    )
    shared = np.zeros(query.totals.shape, np.int64)
    _overlaps(
        words,
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
        words=len(words),
        score=_best(shared, sizes, query.totals),
        longest=int(shared[:, MOST - 1].max()),
    )


Numbered = tuple[NDArray[np.int32], int]
"""A number for each word of a text, the same for the same words, and how many differ."""

_NONE: Numbered = (np.empty(0, np.int32), 0)


def _in_words(query: Query, text: str) -> tuple[NDArray[np.int32], Numbered]:
    """(W,) the number in the questions of each word of a text, -1 for none; and for sets the text's
    own."""
    encoded = np.frombuffer(text.encode("utf-8", "surrogatepass"), np.uint8)
    most = len(encoded) // 2 + 1
    letters, all_ends, all_hashes = (
        np.empty(len(encoded), np.uint8),
        np.empty(most, np.int32),
        np.empty(most, np.uint64),
    )
    count = _split(encoded, _CLASSES, letters, all_ends, all_hashes)
    ends, hashes = all_ends[:count], all_hashes[:count]
    words = np.empty(count, np.int32)
    _known(
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
        return words, _NONE
    own = np.empty(count, np.int32)
    return words, (own, _number(letters, ends, hashes, *_empty_table(count), own))


def _in_words_by(query: Query, text: str) -> tuple[NDArray[np.int32], Numbered]:
    """The same by a pattern of the user's own."""
    found = tokens(text, query.pattern)
    words = np.array([query.words.get(word, -1) for word in found], np.int32)
    if not query.as_sets:
        return words, _NONE
    numbers: dict[str, int] = {}
    return words, (
        np.array([numbers.setdefault(word, len(numbers)) for word in found], np.int32),
        len(numbers),
    )


def _empty_table(count: int) -> tuple[NDArray[np.uint64], NDArray[np.int32]]:
    size = 1 << max(4, (2 * count).bit_length())
    return np.zeros(size, np.uint64), np.empty(size, np.int32)


def _set_sizes(words: NDArray[np.int32], different: int) -> list[int]:
    """Different n-grams of one to four words."""
    sizes, grams = [different], words.copy()
    keys, numbers = _empty_table(len(words))
    for n in range(1, MOST):
        grams = grams[: max(0, len(words) - n + 1)]
        sizes.append(int(_different(grams, words[n:], keys, numbers)) if len(grams) > 1 else 0)
    return sizes


def _best(shared: NDArray[np.int64], sizes: Sequence[int], totals: NDArray[np.int64]) -> int:
    """The highest score of any question."""
    rows = [0]
    if len(shared) > 1:
        rough = (2 * shared / np.maximum(totals + np.array(sizes, np.int64), 1)) @ np.array(
            WEIGHTS, np.float64
        )
        rows = np.flatnonzero(rough >= rough.max() - _NEAR).tolist()
    return max(exact_score(shared[row].tolist(), sizes, totals[row].tolist()) for row in rows)


def exact_score(shared: Sequence[int], of_text: Sequence[int], of_question: Sequence[int]) -> int:
    """`floor(score * 2**62)`, from the numbers of n-grams that text and question share, that the
    text has, that the question has."""
    top, bottom = 0, 1
    for weight, both, left, right in zip(WEIGHTS, shared, of_text, of_question):
        if both:
            top, bottom = top * (left + right) + 2 * weight * both * bottom, bottom * (left + right)
    return (top << 62) // (bottom * sum(WEIGHTS))
