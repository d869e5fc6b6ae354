"""The kernels of corpora.contamination.passages: numba over the numbers of words, exact.

A passage is looked up by a hash of its words and then compared word by word. The table is
open-addressed, with a power of two places, at least half of them empty; key 0 is an empty place.
Most words of a document begin no passage: a table of the first four words of passages tells, which
fits a processor's cache.
A slow twin in plain Python, `passages_twin.py` among the tests, checks them.
"""

import numpy as np
from numpy.typing import NDArray

from corpora.stories.kernels import MIX, PRIME, SEED
from corpora.text.jit import jit

HEAD = 4
"""Words of the beginning of a passage."""


@jit
def _slot(key: np.uint64, mask: np.uint64) -> np.uint64:
    """The first place of a key; `mask` is the table's size less one."""
    return ((key ^ (key >> np.uint64(29))) * np.uint64(MIX)) >> np.uint64(32) & mask


@jit
def _extend(key: np.uint64, word: int) -> np.uint64:
    """The hash of a passage and one more word."""
    key = (key ^ np.uint64(word + 1)) * np.uint64(PRIME)
    # The high bits, which the factor mixes best, reach the low ones too.
    return key ^ (key >> np.uint64(31))


@jit
def _is_same(
    words: NDArray[np.int32], at: int, others: NDArray[np.int32], begin: int, length: int
) -> bool:
    for step in range(length):
        if words[at + step] != others[begin + step]:
            return False
    return True


@jit
def _find(
    key: np.uint64,
    words: NDArray[np.int32],
    at: int,
    length: int,
    others: NDArray[np.int32],
    keys: NDArray[np.uint64],
    numbers: NDArray[np.int32],
    begins: NDArray[np.int64],
    lengths: NDArray[np.int32],
) -> tuple[int, np.uint64]:
    """The number of the passage that stands at `words[at : at + length]`, -1 for none; and the
    place in the table where it is, or where it belongs."""
    mask = np.uint64(len(keys) - 1)
    place = _slot(key, mask)
    while keys[place] != 0:
        if keys[place] == key:
            number = int(numbers[place])
            if lengths[number] == length and _is_same(words, at, others, begins[number], length):
                return number, place
        place = (place + np.uint64(1)) & mask
    return -1, place


@jit
def number_passages(
    words: NDArray[np.int32],
    ends: NDArray[np.int64],
    longest: int,
    shortest: int,
    keys: NDArray[np.uint64],
    numbers: NDArray[np.int32],
    begins: NDArray[np.int64],
    lengths: NDArray[np.int32],
    heads: NDArray[np.bool_],
    passage_of: NDArray[np.int32],
    text_of: NDArray[np.int32],
) -> tuple[int, int]:
    """Number the passages of texts by their first occurrence: every `longest` words in a row, and a
    text of fewer words as a whole if it has `shortest` of them.

    `words` (W,) are the texts end to end, `ends` (X,) where each of them ends. `keys` and `numbers`
    are an empty table of at least 2 W places. Filled are `begins` and `lengths`, (W,), where the
    passage of each number stands; `heads`, a power of two places, at those of their beginnings;
    and for each of the O occurrences its passage and its text, `passage_of` and `text_of`, (W,).
    Returns the number of different passages and O.
    """
    passages = 0
    occurrences = 0
    begin = 0
    for text in range(len(ends)):
        end = ends[text]
        length = min(longest, end - begin)
        if length >= shortest:
            for at in range(begin, end - length + 1):
                key = head = np.uint64(SEED)
                for step in range(length):
                    key = _extend(key, words[at + step])
                    if step + 1 == HEAD:
                        head = key
                key |= np.uint64(1)
                number, place = _find(key, words, at, length, words, keys, numbers, begins, lengths)
                if number < 0:
                    number = passages
                    keys[place] = key
                    numbers[place] = number
                    begins[number] = at
                    lengths[number] = length
                    heads[_slot(head, np.uint64(len(heads) - 1))] = True
                    passages += 1
                passage_of[occurrences] = number
                text_of[occurrences] = text
                occurrences += 1
        begin = end
    return passages, occurrences


@jit
def find_passages(
    words: NDArray[np.int32],
    others: NDArray[np.int32],
    wanted: NDArray[np.bool_],
    heads: NDArray[np.bool_],
    keys: NDArray[np.uint64],
    numbers: NDArray[np.int32],
    begins: NDArray[np.int64],
    lengths: NDArray[np.int32],
    places: NDArray[np.int64],
    passages: NDArray[np.int32],
) -> int:
    """Find the passages in a text; returns how many there are, H.

    `words` (W,) are numbers in the test sets, -1 for a word of none; `wanted` (longest + 1,) tells
    which lengths passages have, `heads` is that of `number_passages`. The first hits that have room
    are written: the word where each begins, `places`, and its passage, in the order of the text.
    """
    hits = 0
    longest = len(wanted) - 1
    for at in range(len(words)):
        key = np.uint64(SEED)
        for step in range(min(longest, len(words) - at)):
            word = words[at + step]
            if word < 0:
                break
            key = _extend(key, word)
            length = step + 1
            if length == HEAD and not heads[_slot(key, np.uint64(len(heads) - 1))]:
                break
            if wanted[length]:
                number, _ = _find(
                    key | np.uint64(1), words, at, length, others, keys, numbers, begins, lengths
                )
                if number >= 0:
                    if hits < len(places):
                        places[hits] = at
                        passages[hits] = number
                    hits += 1
    return hits
