"""The numba kernels of near-deduplication: words and shingles from UTF-8 bytes, sketches, band
keys, runs, exact Jaccard.

**What is compared** (plain twin: `tests/pipelines/stages/near/minhash_twins.py`): a word of a text
is what `\\w+` matches in `text.lower()`, digits as they are, with the combining marks in it; each
letter of a script that sets no spaces is a word of its own, with its marks. A shingle is `ngram`
words in a row; a text is the set of its shingles, each as 64 bits. Shorter texts have none: they
are left to the stage `exact`.

**The sketch** is fast similarity sketching (Dahlgaard, Knudsen, Thorup 2017) with `BINS` values. In
round 0 the top bits of a shingle choose its bin, and the least shingle of a bin stays. While bins
are empty, each round hashes all shingles anew and fills only bins that were empty when it began;
the rounds after `BINS` put every shingle into one bin, so that it ends. Two sketches agree in each
place with the chance of the texts' Jaccard similarity, whatever their lengths.

The kernels call each other, so they share one file: numba's cache watches only a function's own
file. Arrays in, arrays out; serial and `nogil`.
"""

import numpy as np
from numpy.typing import NDArray

from corpora.text.jit import jit

U64 = NDArray[np.uint64]

Int = int | np.int64

BINS = 256
"""Values of a sketch."""

SCALE = 1_000_000_000
"""Similarities are whole numbers of billionths, rounded down: the same on every machine, and 0.8 is
exactly 0.8."""

COMMON_STEPS = 16
"""Steps of a walk over two sets between two looks at whether they can still share enough."""

WORD_FACTOR = np.uint64(0x9FB21C651E98DF25)

WORD_SEED = np.uint64(0xD6E8FEB86659FD93)

SHINGLE_FACTOR = np.uint64(0xA0761D6478BD642F)

GOLDEN = np.uint64(0x9E3779B97F4A7C15)

EMPTY = np.uint64(0xFFFFFFFFFFFFFFFF)


@jit
def mix(x: np.uint64) -> np.uint64:
    """MurmurHash3's finalizer: a bijection of 64 bits."""
    x = np.uint64(x)
    x ^= x >> np.uint64(33)
    x *= np.uint64(0xFF51AFD7ED558CCD)
    x ^= x >> np.uint64(33)
    x *= np.uint64(0xC4CEB9FE1A85EC53)
    return x ^ (x >> np.uint64(33))


@jit
def decode(text: NDArray[np.uint8], i: Int) -> Int:
    """The code point that begins at byte i of UTF-8; of a character that the end cuts, its first
    bits."""
    byte = np.int64(text[i])
    if byte < 0xC0:
        return byte
    length = 2
    if byte >= 0xF0:
        length = 4
    elif byte >= 0xE0:
        length = 3
    code = byte & (0x7F >> length)
    for j in range(i + 1, min(i + length, len(text))):
        code = code << 6 | (np.int64(text[j]) & 0x3F)
    return code & 0xFFFFF if code > 0x10FFFF else code


@jit
def is_final_sigma(text: NDArray[np.uint8], i: Int, table: NDArray[np.uint32]) -> bool:
    """Whether the sigma at byte i ends a word as `str.lower` sees it: a cased letter is before it
    and none after it; ignorable characters are passed over."""
    before = i - 1
    while before >= 0:
        # Back over the continuation bytes to where the character begins.
        while before > 0 and text[before] & 0xC0 == 0x80:
            before -= 1
        entry = table[decode(text, before)]
        if not entry & np.uint32(1 << 29):
            if not entry & np.uint32(1 << 28):
                return False
            break
        before -= 1
    if before < 0:
        return False
    after = i + 2
    while after < len(text):
        if text[after] & 0xC0 != 0x80:
            entry = table[decode(text, after)]
            if not entry & np.uint32(1 << 29):
                return not entry & np.uint32(1 << 28)
        after += 1
    return True


@jit
def hash_words(text: NDArray[np.uint8], table: NDArray[np.uint32], out: U64) -> Int:
    """Write a hash of each word of a text in valid UTF-8, in order; returns how many.

    `out` has room for half the bytes and 2 more.

    The hash is a polynomial over the lowered code points, not mixed yet. There is no branch on a
    word's end, which makes it 2.4 times as fast. Unsigned indices, and a mask in place of a choice,
    make it a third faster again: numba tests a signed index for being negative, and the choice
    would wait for the product.
    """
    n = np.uint64(0)
    i, size, one = np.uint64(0), np.uint64(len(text)), np.uint64(1)
    before = np.uint32(0)
    h = WORD_SEED
    while i < size:
        byte = np.uint32(text[i])
        if byte < np.uint32(0x80):
            code = np.uint64(byte)
            i += one
        else:
            code = np.uint64(decode(text, np.int64(i)))
            i += np.uint64(2)
            if byte >= np.uint32(0xE0):
                i += one
            if byte >= np.uint32(0xF0):
                i += one
        entry = table[code]
        if entry & np.uint32(1 << 30):
            if entry & np.uint32(1 << 27):  # a letter that is a word: it ends the one before it
                out[n] = h
                n += np.uint64(before)
                h = WORD_SEED * WORD_FACTOR + np.uint64(entry & np.uint32(0x1FFFFF))
                # Its marks belong to it; their first bytes are 0xCC (U+0300) and up.
                while i < size and text[i] >= np.uint8(0xCC):
                    mark = decode(text, np.int64(i))
                    if not table[mark] & np.uint32(1 << 26):
                        break
                    h = h * WORD_FACTOR + np.uint64(mark)
                    i += np.uint64(2 + (mark >= 0x800) + (mark >= 0x10000))
                out[n] = h
                n += one
                h = WORD_SEED
                before = np.uint32(0)
                continue
            if entry & np.uint32(1 << 26):  # a mark belongs to the word before it, if there is one
                if before:
                    h = h * WORD_FACTOR + code
                continue
            if code == np.uint64(0x130):  # i, and a dot that belongs to it
                h = (h if before else WORD_SEED) * WORD_FACTOR + np.uint64(0x69)
                h = h * WORD_FACTOR + np.uint64(0x307)
                before = np.uint32(1)
                continue
            entry = np.uint32(1 << 31) | np.uint32(
                0x3C2 if is_final_sigma(text, np.int64(i) - 2, table) else 0x3C3
            )
        word = entry >> np.uint32(31)
        inside = np.uint64(0) - np.uint64(word)  # all ones in a word
        out[n] = h
        n += np.uint64(before & ~word)
        h = h * (WORD_FACTOR & inside) + (
            WORD_SEED + ((np.uint64(entry & np.uint32(0x1FFFFF)) - WORD_SEED) & inside)
        )
        before = word
    out[n] = h
    return np.int64(n + np.uint64(before))


@jit
def spare_letters(text: NDArray[np.uint8], table: NDArray[np.uint32]) -> Int:
    """By how much the words of a text that are single letters exceed the words that they stand
    for: two letters of Han or kana count as one word, and four letters of Thai and its like."""
    quarters: Int = 0
    i: Int = 0
    while i < len(text):
        byte = text[i]
        if byte >= 0xE0:
            entry = table[decode(text, i)]
            if entry & np.uint32(1 << 27):
                quarters += 3 if entry & np.uint32(1 << 25) else 2
            i += 3 + (byte >= 0xF0)
        else:
            i += 1 + (byte >= 0xC0)
    return quarters // 4


@jit
def hash_shingles(words: U64, n: Int, ngram: Int) -> Int:
    """Turn the hashes of n words into those of their shingles, in place; returns how many. `words`
    has room for n + 1."""
    if n < ngram:
        return 0
    power = np.uint64(1)
    for _ in range(ngram - 1):
        power *= SHINGLE_FACTOR
    total = np.uint64(0)
    for i in range(n):
        words[i] = mix(words[i])
    for i in range(ngram):
        total = total * SHINGLE_FACTOR + words[i]
    words[n] = np.uint64(0)
    # A rolling hash: the oldest word leaves, the next one enters.
    for i in range(n - ngram + 1):
        first = words[i]
        words[i] = mix(total)
        total = (total - first * power) * SHINGLE_FACTOR + words[i + ngram]
    return n - ngram + 1


@jit
def sketch(shingles: U64, n: Int, out: U64) -> None:
    """The sketch of n > 0 shingles, of a set or of a list with repeats alike.

    Shingles are well mixed, so that a product with an odd number, another in each round, hashes
    them anew. No branch on what is empty: a round fills a sketch of its own, of which only the
    places are taken that were empty.
    """
    fresh = np.empty(len(out), np.uint64)
    out[:] = EMPTY
    number, empty = 0, len(out)
    while empty:
        factor = mix(np.uint64(number)) | np.uint64(1) if number else np.uint64(1)
        if number < len(out):
            fresh[:] = EMPTY
            for i in range(n):
                h = shingles[i] * factor
                place = h >> np.uint64(56)
                fresh[place] = min(fresh[place], h)
            empty = 0
            for j in range(len(out)):
                out[j] = fresh[j] if out[j] == EMPTY else out[j]
                empty += out[j] == EMPTY
        else:
            j = number - len(out)
            if out[j] == EMPTY:
                for i in range(n):
                    out[j] = min(out[j], shingles[i] * factor)
                empty -= 1
        number += 1


@jit
def band_keys(values: U64, rows: Int, out: U64) -> None:
    """A key for each `rows` values of a sketch."""
    for band in range(len(out)):
        key = np.uint64(band)
        for row in range(band * rows, band * rows + rows):
            key = mix(key * GOLDEN + values[row])
        out[band] = key


@jit
def sign(
    text: NDArray[np.uint8],
    ends: NDArray[np.int64],
    chosen: NDArray[np.bool_],
    ngram: Int,
    table: NDArray[np.uint32],
    keys: U64,
    words: NDArray[np.uint32],
) -> None:
    """The band keys of those of D texts that are `chosen` (D,). `text` holds their bytes, `ends`
    (D + 1,) the offsets into them.

    Writes `keys` (D, bands) and the number of words of each text, `words` (D,); a text of fewer
    words than `ngram` gets no keys.
    """
    room = 0
    for d in range(len(chosen)):
        if chosen[d]:
            room = max(room, ends[d + 1] - ends[d])
    scratch = np.empty(room // 2 + 3, np.uint64)
    values = np.empty(BINS, np.uint64)
    for d in range(len(chosen)):
        if chosen[d]:
            n = hash_words(text[ends[d] : ends[d + 1]], table, scratch)
            words[d] = n
            count = hash_shingles(scratch, n, ngram)
            if count:
                sketch(scratch, count, values)
                band_keys(values, BINS // keys.shape[1], keys[d])


@jit
def sign_sets(shingles: U64, ends: NDArray[np.int64], rows: Int, keys: U64) -> None:
    """Keys of D sets of shingles, from as many sketches as the room in `keys` (D, tables) asks for,
    each of hashes of its own. The sets are end to end, none empty; `ends` (D + 1,) their offsets.
    """
    longest = 0
    for d in range(len(keys)):
        longest = max(longest, ends[d + 1] - ends[d])
    hashes = np.empty(longest, np.uint64)
    values = np.empty(BINS, np.uint64)
    per_sketch = BINS // rows
    for d in range(len(keys)):
        own = shingles[ends[d] : ends[d + 1]]
        for number in range(keys.shape[1] // per_sketch):
            seed = mix(np.uint64(number + 1) * GOLDEN)
            for i in range(len(own)):
                hashes[i] = mix(own[i] ^ seed)
            sketch(hashes, len(own), values)
            begin = number * per_sketch
            band_keys(values, rows, keys[d, begin : begin + per_sketch])


@jit
def shingles_of(text: NDArray[np.uint8], ngram: Int, table: NDArray[np.uint32]) -> U64:
    """The hashes of a text's shingles, in order, repeats and all."""
    scratch = np.empty(len(text) // 2 + 3, np.uint64)
    count = hash_shingles(scratch, hash_words(text, table, scratch), ngram)
    return scratch[:count]


@jit
def common(left: U64, right: U64, least: Int) -> Int:
    """How many numbers two rising arrays share; where those are fewer than `least`, any number
    below it."""
    i, j, n = 0, 0, 0
    while i < len(left) and j < len(right):
        rest = min(len(left) - i, len(right) - j)
        if n + rest < least:
            return n
        # So many steps stay inside of both arrays, and the bound is reckoned once for them.
        for _ in range(min(rest, COMMON_STEPS)):
            x, y = left[i], right[j]
            n += x == y
            i += x <= y
            j += y <= x
    return n


@jit
def similarities(
    left: U64,
    left_ends: NDArray[np.int64],
    right: U64,
    right_ends: NDArray[np.int64],
    pairs: NDArray[np.int64],
    least: tuple[Int, Int],
    out: NDArray[np.int64],
) -> None:
    """For each pair of sets (P, 2), a left one and a right one: `out` (P, 3) their Jaccard
    similarity, the part of the left one that the right one holds, and the part of the right one
    that the left one holds, in billionths.

    `least` are the Jaccard similarity and the part that are asked for, in billionths: of pairs that
    reach neither, `out` holds numbers below them. So sets that share little are given up early.
    Sets are rising arrays end to end, none empty; `ends` their offsets.
    """
    jaccard, part = least
    for p in range(len(pairs)):
        a = left[left_ends[pairs[p, 0]] : left_ends[pairs[p, 0] + 1]]
        b = right[right_ends[pairs[p, 1]] : right_ends[pairs[p, 1] + 1]]
        alike = jaccard * (len(a) + len(b)) // (SCALE + jaccard)
        contained = part * min(len(a), len(b)) // SCALE
        shared = common(a, b, min(alike, contained)) * SCALE
        out[p, 0] = shared // (len(a) + len(b) - shared // SCALE)
        out[p, 1] = shared // len(a)
        out[p, 2] = shared // len(b)


@jit
def pair_runs(
    keys: U64, order: U64, places: U64, first: Int, most: Int, out: U64
) -> tuple[Int, Int, Int]:
    """Pairs of records with equal keys: each with those before it in its run, of which only the
    first `most` count.

    Records come sorted by key; `out` (N, 2) receives places (later, earlier), by order and place,
    from record `first` on until it is full, in whole records. Returns (next record, pairs written,
    pairs of long runs left out).
    """
    written: Int = 0
    left_out: Int = 0
    begin: Int = first
    # A call may start in the middle of a run that the call before left.
    while begin > 0 and keys[begin - 1] == keys[first]:
        begin -= 1
    for i in range(first, len(keys)):
        if keys[i] != keys[begin]:
            begin = i
        count = min(i - begin, most)
        if written + count > len(out):
            return i, written, left_out
        for j in range(begin, begin + count):
            is_later = order[i] > order[j] or (order[i] == order[j] and places[i] > places[j])
            out[written, 0] = places[i] if is_later else places[j]
            out[written, 1] = places[j] if is_later else places[i]
            written += 1
        left_out += i - begin - count
    return len(keys), written, left_out


@jit
def not_among(pairs: U64, known: U64, out: NDArray[np.bool_]) -> None:
    """`out` (P,): which of the pairs (P, 2) are not among the known ones (K, 2); both are sorted by
    their first number, then by their second one."""
    k = 0
    for p in range(len(pairs)):
        first, second = pairs[p, 0], pairs[p, 1]
        while k < len(known) and (
            known[k, 0] < first or (known[k, 0] == first and known[k, 1] < second)
        ):
            k += 1
        is_known = k < len(known) and known[k, 0] == first and known[k, 1] == second
        out[p] = not is_known


@jit
def join_keys(keys: U64, others: U64, out: U64) -> None:
    """A key for each pair of keys."""
    for i in range(len(keys)):
        out[i] = mix(keys[i] ^ mix(others[i] + GOLDEN))


@jit
def removals(
    document: NDArray[np.int64],
    other: NDArray[np.int64],
    score: NDArray[np.uint32],
    gone: NDArray[np.bool_],
    best: NDArray[np.int64],
) -> None:
    """Which documents are removed, in one walk over the verified pairs.

    The pairs of a document come together, and every document that a pair names as the other is
    decided before. A document is removed when a pair names another that is kept: of such pairs the
    index of the one with the highest score, then the first, is written to `best`, or -1 where the
    document is kept. Documents that are `gone` already take no part.
    """
    best[:] = -1
    for p in range(len(document)):
        d, o = document[p], other[p]
        if gone[d] or gone[o] or best[o] >= 0:
            continue
        if best[d] < 0 or score[p] > score[best[d]]:
            best[d] = p


@jit
def best_kept(
    document: NDArray[np.int64],
    other: NDArray[np.int64],
    score: NDArray[np.uint32],
    gone: NDArray[np.bool_],
    near: NDArray[np.int64],
    best: NDArray[np.int64],
) -> None:
    """The best pair of each document that is `gone`: highest score, then first, else -1.

    Only pairs count whose other document is kept: not `gone`, and -1 in `near`.
    """
    best[:] = -1
    for p in range(len(document)):
        d, o = document[p], other[p]
        if gone[d] and not gone[o] and near[o] < 0 and (best[d] < 0 or score[p] > score[best[d]]):
            best[d] = p


@jit
def root_of(root: NDArray[np.int64], i: Int) -> Int:
    """The lowest document that i is connected with so far; halves the path to it."""
    while root[i] != i:
        root[i] = root[root[i]]
        i = root[i]
    return i


@jit
def unite(root: NDArray[np.int64], left: NDArray[np.int64], right: NDArray[np.int64]) -> None:
    """Connect documents by pairs; `root` (N,) begins as 0 to N - 1."""
    for p in range(len(left)):
        a, b = root_of(root, left[p]), root_of(root, right[p])
        root[max(a, b)] = min(a, b)


@jit
def roots(root: NDArray[np.int64], documents: NDArray[np.int64]) -> NDArray[np.int64]:
    """The root of each document."""
    out = np.empty(len(documents), np.int64)
    for i in range(len(documents)):
        out[i] = root_of(root, documents[i])
    return out


@jit
def bucket_sort(keys: U64, order: NDArray[np.int64], bounds: NDArray[np.uint32]) -> None:
    """`order`: the numbers 0 to N - 1 by the top 8 bits of their keys, stable; `bounds` (257,)
    where each of the 256 begins."""
    counts = np.zeros(257, np.int64)
    for i in range(len(keys)):
        counts[np.int64(keys[i] >> np.uint64(56)) + 1] += 1
    for b in range(256):
        counts[b + 1] += counts[b]
    for b in range(257):
        bounds[b] = counts[b]
    for i in range(len(keys)):
        top = np.int64(keys[i] >> np.uint64(56))
        order[counts[top]] = i
        counts[top] += 1


@jit
def may_repeat(keys: U64, slots: NDArray[np.uint8], out: NDArray[np.bool_]) -> None:
    """`out` (N,): False for keys that occur once, True for all others and for about one in nine of
    those that occur once.

    `slots` are 2**k zeros, more than 8 N. Keys that cannot repeat need not be sorted.
    """
    mask = np.uint64(len(slots) - 1)
    for i in range(len(keys)):
        slot = keys[i] & mask
        slots[slot] = min(slots[slot] + 1, 2)
    for i in range(len(keys)):
        out[i] = slots[keys[i] & mask] > 1
