"""The kernels of corpora.stories.overlap: numba over UTF-8 bytes and numbers, exact.

Words are compared byte by byte and n-grams by the numbers of their words; hashes only say where to
look. Tables are open-addressed, with a power of two places, at least half of them empty; key 0 is
an empty place. A slow twin in plain Python, `ngrams_twin.py` among the tests, checks them.
"""

import numpy as np
from numpy.typing import NDArray

from corpora.text.jit import jit

SEED = 0xCBF29CE484222325
"""The start of FNV-1a with 64 bits, by which words are hashed."""

PRIME = 0x100000001B3
"""The factor of FNV-1a with 64 bits."""

MIX = 0x9E3779B97F4A7C15
"""2**64 divided by the golden ratio: spreads keys over a table (Knuth 6.4)."""


@jit
def _place(key: np.uint64, mask: np.uint64) -> np.uint64:
    """The first place of a key in an open-addressed table; `mask` is the table's size less one."""
    return ((key ^ (key >> np.uint64(29))) * np.uint64(MIX)) >> np.uint64(32) & mask


@jit
def split_words(
    text: NDArray[np.uint8],
    classes: NDArray[np.uint8],
    letters: NDArray[np.uint8],
    ends: NDArray[np.int32],
    hashes: NDArray[np.uint64],
) -> int:
    """Split a text in UTF-8 into words; returns their number W.

    Written are the letters of the words in lower case, end to end (`letters`), where each word ends
    in them (`ends`), and its hash (`hashes`). `classes`, (256,), is the letter of a byte, 0 for a
    byte that is in no word.

    Two characters beyond ASCII have a lower case in ASCII: U+212A (Kelvin) is a k; U+0130 is an i
    and a combining mark, which ends the word.
    """
    # One step past the end, so that the last word ends as all others do.
    count = at = begin = end = 0
    hashed = np.uint64(SEED)
    while at <= len(text):
        letter, step, last = np.uint8(0), 1, True
        if at < len(text):
            byte = text[at]
            letter = classes[byte]
            last = letter == 0
            # U+212A is E2 84 AA in UTF-8; U+0130 is C4 B0.
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
            hashed = (hashed ^ np.uint64(letter)) * np.uint64(PRIME)
        if last and end > begin:
            ends[count], hashes[count] = end, hashed | np.uint64(1)
            count += 1
            begin = end
            hashed = np.uint64(SEED)
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
def known_words(
    letters: NDArray[np.uint8],
    ends: NDArray[np.int32],
    hashes: NDArray[np.uint64],
    others: NDArray[np.uint8],
    starts: NDArray[np.int64],
    table: NDArray[np.uint64],
    numbers: NDArray[np.int32],
    out: NDArray[np.int32],
) -> None:
    """Write the number of each word in the questions into `out`, -1 for a word of none.

    The words of the text are `letters`, `ends` and `hashes`, (W,), as `split_words` writes them;
    those of the questions are `others`, `starts` and the table of `table` and `numbers`.
    """
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
def number_words(
    letters: NDArray[np.uint8],
    ends: NDArray[np.int32],
    hashes: NDArray[np.uint64],
    table: NDArray[np.uint64],
    firsts: NDArray[np.int32],
    out: NDArray[np.int32],
) -> int:
    """Number the words of a text by their first occurrence, into `out`, (W,); returns how many
    differ. `table` and `firsts` are an empty table of a power of two places."""
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
    """The n-gram of the questions that is a shorter one and a word; -1 when there is none."""
    mask = np.uint64(len(keys) - 1)
    key = (np.uint64(shorter) << np.uint64(32) | np.uint64(word)) + np.uint64(1)
    place = _place(key, mask)
    while keys[place] != 0:
        if keys[place] == key:
            return int(numbers[place])
        place = (place + np.uint64(1)) & mask
    return -1


@jit
def overlaps(
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
    """Count the n-grams that a text shares with each question, each as often as both have it, into
    `out`, (Q, 4) zeros.

    `words`, (W,), are numbers in the questions, -1 for none; `seen` is (G,) zeros; the other arrays
    are those of `overlap.Query`.
    """
    # The n-grams of one, two and three words that end with the word before.
    before = np.full(3, -1, np.int64)
    now = np.full(4, -1, np.int64)
    for word in words:
        if word < 0:
            before[:] = -1
            continue
        now[:] = -1
        now[0] = word
        # An n-gram is only in the questions when the shorter one that it begins with is.
        for n in range(1, 4):
            if before[n - 1] >= 0:
                now[n] = _longer(before[n - 1], word, keys, numbers)
            if now[n] < 0:
                break
        for n in range(4):
            gram = now[n]
            if gram < 0:
                break
            rank = seen[gram]
            # Holders are sorted by their counts: only the first ones have it once more.
            if rank < most[gram]:
                seen[gram] = rank + 1
                for place in range(starts[gram], starts[gram + 1]):
                    if counts[place] <= rank:
                        break
                    out[holders[place], n] += 1
        before[:] = now[:3]


@jit
def number_grams(
    grams: NDArray[np.int32],
    words: NDArray[np.int32],
    keys: NDArray[np.uint64],
    numbers: NDArray[np.int32],
) -> int:
    """Replace each n-gram of `grams`, but the last, by the number of the longer one that it and the
    word after it make; returns how many of these differ. `keys` and `numbers` hold a table of a
    power of two places, which is cleared first."""
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
