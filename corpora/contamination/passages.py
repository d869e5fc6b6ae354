"""Passages of test sets in documents (Brown et al. 2020, appendix C).

A passage is `words` words in a row of a text of a test set, or a whole text of fewer words that has
at least `SHORTEST` of them. Words are runs of ASCII letters and digits in lower case, so that
punctuation, quotation marks and tokenization ("doesn 't") make no difference; texts in scripts
without them hold no passage. The search is exact: passages are compared word by word.

Cost: words of a document times `words`, a few nanoseconds each; memory some 40 bytes per word of
the test sets. The same for every document, whatever its slice.
"""

import functools
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from corpora.contamination.kernels import find_passages, number_passages
from corpora.contamination.test_sets import (
    Stamps,
    TestText,
    find_test_files,
    read_texts,
    stamps,
)
from corpora.stories.kernels import known_words, number_words, split_words
from corpora.text.normalise import normalise

WORDS = 13
"""Words of a passage, as GPT-3 has them."""

SHORTEST = 8
"""Words of the shortest text that is looked for as a whole."""

VERSION = 1
"""Raised when the same texts give other passages."""

_ROOM = 256
"""Hits that one search has room for at first."""


Kind = TypeVar("Kind", bound=np.generic)


def _classes() -> NDArray[np.uint8]:
    """(256,) the letter in lower case that a byte is in a word; 0 for a byte that is in no word."""
    classes = np.zeros(256, np.uint8)
    for letter in b"abcdefghijklmnopqrstuvwxyz0123456789":
        classes[letter] = letter
    classes[ord("A") : ord("Z") + 1] = classes[ord("a") : ord("z") + 1]
    return classes


_CLASSES = _classes()


@dataclass(frozen=True)
class Passages:
    """The passages of test sets as tables: V different words, P passages, X texts.

    In open-addressed tables key 0 is an empty place.
    """

    words: int
    texts: Sequence[TestText]
    letters: NDArray[np.uint8]
    """The different words, end to end."""
    letter_starts: NDArray[np.int64]
    """(V + 1,) where each word begins in `letters`."""
    word_keys: NDArray[np.uint64]
    word_numbers: NDArray[np.int32]
    """An open-addressed table: the words by their hashes."""
    numbers: NDArray[np.int32]
    """The words of all texts as numbers, end to end."""
    keys: NDArray[np.uint64]
    passages: NDArray[np.int32]
    """An open-addressed table: the passages by the hashes of their words."""
    begins: NDArray[np.int64]
    lengths: NDArray[np.int32]
    """(P,) where each passage stands in `numbers`, and how many words it has."""
    wanted: NDArray[np.bool_]
    """(words + 1,) which lengths there are."""
    heads: NDArray[np.bool_]
    """Where the hashes of the first words of passages fall."""
    holder_starts: NDArray[np.int64]
    """(P + 1,) where the texts of each passage begin in `holders`."""
    holders: NDArray[np.int32]
    """The places in `texts` of the texts that have a passage, in their order."""

    @property
    def count(self) -> int:
        """How many different passages there are."""
        return len(self.lengths)


@dataclass(frozen=True, slots=True)
class Hits:
    """The passages of one task in a document: `begins`, the numbers of the words of the document at
    which one begins; `examples`, those of the test set that have one, in its order; `first`, the
    text, and `words`, the words, of the first one in the document."""

    begins: tuple[int, ...]
    examples: tuple[str, ...]
    first: str
    words: str


def split(text: str) -> tuple[NDArray[np.uint8], NDArray[np.int32], NDArray[np.uint64]]:
    """The W words of a text: their letters end to end, (W,) where each ends, (W,) their hashes."""
    encoded = np.frombuffer(text.encode("utf-8", "surrogatepass"), np.uint8)
    most = len(encoded) // 2 + 1
    letters = np.empty(len(encoded), np.uint8)
    ends = np.empty(most, np.int32)
    hashes = np.empty(most, np.uint64)
    count = split_words(encoded, _CLASSES, letters, ends, hashes)
    letter_count = int(ends[count - 1]) if count else 0
    return letters[:letter_count], ends[:count], hashes[:count]


def make_passages(texts: Sequence[TestText], words: int = WORDS) -> Passages:
    """The tables of the texts of test sets. Raises ValueError for `words` below `SHORTEST`."""
    if words < SHORTEST:
        raise ValueError(f"{words} words are fewer than {SHORTEST}")
    parts = [split(normalise(text.text)) for text in texts]
    counts = np.array([len(ends) for _, ends, _ in parts], np.int64)
    sizes = np.array([len(letters) for letters, _, _ in parts], np.int64)
    before = np.cumsum(sizes) - sizes

    letters = _joined([part[0] for part in parts], np.uint8)
    ends = _joined(
        [part[1].astype(np.int64) + start for part, start in zip(parts, before)], np.int64
    )
    hashes = _joined([part[2] for part in parts], np.uint64)
    word_ends = ends.astype(np.int32)
    word_keys, firsts = _empty_table(len(hashes))
    numbers = np.empty(len(hashes), np.int32)
    different = number_words(letters, word_ends, hashes, word_keys, firsts, numbers)

    # Numbers are given in the order of first occurrence, so the first places are in order too.
    first_places = np.unique(numbers, return_index=True)[1]
    starts = np.concatenate([np.zeros(1, np.int64), ends])
    spelled = [letters[starts[at] : starts[at + 1]] for at in first_places]
    lengths = np.array([len(word) for word in spelled], np.int64)
    assert len(spelled) == different
    is_full = word_keys != 0
    word_numbers = np.zeros(len(word_keys), np.int32)
    word_numbers[is_full] = numbers[firsts[is_full]]

    keys, passages = _empty_table(len(numbers))
    begins = np.empty(len(numbers), np.int64)
    passage_lengths = np.empty(len(numbers), np.int32)
    passage_of = np.empty(len(numbers), np.int32)
    text_of = np.empty(len(numbers), np.int32)
    heads = np.zeros(4 * len(keys), np.bool_)
    count, occurrences = number_passages(
        numbers,
        np.cumsum(counts),
        words,
        SHORTEST,
        keys,
        passages,
        begins,
        passage_lengths,
        heads,
        passage_of,
        text_of,
    )
    holder_starts, holders = _holders(passage_of[:occurrences], text_of[:occurrences], count)
    wanted = np.zeros(words + 1, np.bool_)
    wanted[passage_lengths[:count]] = True
    return Passages(
        words=words,
        texts=texts,
        letters=_joined(spelled, np.uint8),
        letter_starts=np.concatenate([np.zeros(1, np.int64), np.cumsum(lengths)]),
        word_keys=word_keys,
        word_numbers=word_numbers,
        numbers=numbers,
        keys=keys,
        passages=passages,
        begins=begins[:count].copy(),
        lengths=passage_lengths[:count].copy(),
        wanted=wanted,
        heads=heads,
        holder_starts=holder_starts,
        holders=holders,
    )


def _joined(parts: Sequence[NDArray[Kind]], kind: type[Kind]) -> NDArray[Kind]:
    """Arrays end to end; there may be none."""
    return np.concatenate([np.empty(0, kind), *parts])


def _empty_table(count: int) -> tuple[NDArray[np.uint64], NDArray[np.int32]]:
    """An open-addressed table for at most `count` keys."""
    size = 1 << max(4, (2 * count).bit_length())
    return np.zeros(size, np.uint64), np.zeros(size, np.int32)


def _holders(
    passage_of: NDArray[np.int32], text_of: NDArray[np.int32], count: int
) -> tuple[NDArray[np.int64], NDArray[np.int32]]:
    """The texts of each passage, each once, from all occurrences."""
    pairs = np.unique(passage_of.astype(np.int64) << 32 | text_of)
    starts = np.searchsorted(pairs >> 32, np.arange(count + 1))
    return starts.astype(np.int64), (pairs & 0xFFFFFFFF).astype(np.int32)


def search(passages: Passages, text: str) -> dict[str, Hits]:
    """The passages in a document, by task, in the order of the test sets."""
    letters, ends, hashes = split(text)
    words = np.empty(len(ends), np.int32)
    known_words(
        letters,
        ends,
        hashes,
        passages.letters,
        passages.letter_starts,
        passages.word_keys,
        passages.word_numbers,
        words,
    )

    room = _ROOM
    while True:
        places = np.empty(room, np.int64)
        found = np.empty(room, np.int32)
        count = find_passages(
            words,
            passages.numbers,
            passages.wanted,
            passages.heads,
            passages.keys,
            passages.passages,
            passages.begins,
            passages.lengths,
            places,
            found,
        )
        if count <= room:
            return _by_task(passages, places[:count], found[:count])
        room = count


def _by_task(
    passages: Passages, places: NDArray[np.int64], found: NDArray[np.int32]
) -> dict[str, Hits]:
    begins: dict[str, set[int]] = {}
    holding: dict[str, set[int]] = {}
    first: dict[str, tuple[int, int]] = {}
    for place, passage in zip(places.tolist(), found.tolist()):
        first_holder, last = passages.holder_starts[passage : passage + 2]
        for number in passages.holders[first_holder:last].tolist():
            task = passages.texts[number].task
            begins.setdefault(task, set()).add(place)
            holding.setdefault(task, set()).add(number)
            first.setdefault(task, (number, passage))

    hits = {}
    for task in sorted(holding, key=lambda task: min(holding[task])):
        # An example may have several of the texts.
        examples: dict[str, None] = {}
        for number in sorted(holding[task]):
            examples.update(dict.fromkeys(passages.texts[number].examples))
        number, passage = first[task]
        text = passages.texts[number]
        hits[task] = Hits(
            begins=tuple(sorted(begins[task])),
            examples=tuple(examples),
            first=f"{text.examples[0]}, {text.part}",
            words=spelled(passages, passage),
        )
    return hits


def spelled(passages: Passages, passage: int) -> str:
    """The words of a passage."""
    begin = passages.begins[passage]
    words = []
    for number in passages.numbers[begin : begin + passages.lengths[passage]]:
        start, end = passages.letter_starts[number : number + 2]
        words.append(passages.letters[start:end].tobytes().decode("ascii"))
    return " ".join(words)


def ngrams(found: Mapping[str, Hits]) -> int:
    """At how many words of a document passages begin, of whatever task."""
    return len(set().union(*(hits.begins for hits in found.values())))


def as_json(found: Mapping[str, Hits]) -> str | None:
    """What is kept beside a document: by task the numbers of n-grams and of examples, the first
    text and the words of its passage. None where nothing was found."""
    if not found:
        return None
    kept = {}
    for task, hits in found.items():
        kept[task] = {
            "ngrams": len(hits.begins),
            "examples": len(hits.examples),
            "first": hits.first,
            "words": hits.words,
        }
    return json.dumps(kept, ensure_ascii=True, separators=(",", ":"))


def read_passages(against: tuple[str, ...], words: int) -> Passages:
    """The passages of the test sets in folders and files, made once per process for the files as
    they are. Raises `UserError`."""
    return _made(against, words, stamps(find_test_files(against)))


@functools.lru_cache(maxsize=2)
def _made(against: tuple[str, ...], words: int, _: Stamps) -> Passages:
    return make_passages(read_texts(find_test_files(against)), words)
