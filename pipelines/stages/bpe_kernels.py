"""The numba kernels of byte-level BPE: counting the words of a text, and training from counts.

They give what `tokenizers` gives on the same text, merge for merge, with counts of 64 bits (its own
are 32 bits wide within training). `count_words` is GPT-2's pattern over UTF-8; `train` is the
greedy algorithm of Sennrich et al. (2016), as `tokenizers` carries it out: the most frequent pair
first, of equal ones the one of lower ids; a pair counts where it overlaps itself; a token that
exists already keeps its id.
"""

import numpy as np
from numpy.typing import NDArray

from corpora.text.jit import jit

Bytes = NDArray[np.uint8]

I64 = NDArray[np.int64]

Int = int | np.int64

OTHER, LETTER, NUMBER, SPACE = range(4)
"""Kinds of characters in GPT-2's pattern."""

GOLDEN = np.uint64(0x9E3779B97F4A7C15)

NONE = np.uint64(0xFFFFFFFFFFFFFFFF)


@jit
def hash_of(values: Bytes, begin: Int, end: Int) -> np.uint64:
    """FNV-1a of some bytes, with its upper half mixed in."""
    found = np.uint64(0xCBF29CE484222325)
    for at in range(begin, end):
        found = (found ^ np.uint64(values[at])) * np.uint64(0x100000001B3)
    return found ^ (found >> np.uint64(31))


@jit
def slot_of(values: Bytes, begin: Int, end: Int, slots: I64, pool: Bytes, ends: I64) -> np.int64:
    """The slot of a word in a table, or the free one where it belongs."""
    mask = np.uint64(len(slots) - 1)
    slot = hash_of(values, begin, end) & mask
    while slots[slot] >= 0:
        number = slots[slot]
        start = ends[number]
        if ends[number + 1] - start == end - begin:
            is_same = True
            for place in range(end - begin):
                if pool[start + place] != values[begin + place]:
                    is_same = False
                    break
            if is_same:
                break
        slot = (slot + np.uint64(1)) & mask
    return np.int64(slot)


@jit
def fill(slots: I64, pool: Bytes, ends: I64, used: Int) -> None:
    """Enter the first words of a table into empty slots."""
    for number in range(used):
        slot = slot_of(pool, ends[number], ends[number + 1], slots, pool, ends)
        slots[slot] = number


@jit
def kind_at(values: Bytes, at: Int, end: Int, kinds: Bytes) -> tuple[np.int64, np.int64]:
    """(kind, bytes) of the character at a place."""
    first = np.int64(values[at])
    if first < 0x80:
        return np.int64(kinds[first]), np.int64(1)
    if first < 0xE0:
        point = ((first & 0x1F) << 6) | np.int64(values[at + 1] & 0x3F)
        return np.int64(kinds[point]), np.int64(2)
    if first < 0xF0:
        high = ((first & 0x0F) << 12) | (np.int64(values[at + 1] & 0x3F) << 6)
        return np.int64(kinds[high | np.int64(values[at + 2] & 0x3F)]), np.int64(3)
    high = ((first & 0x07) << 18) | (np.int64(values[at + 1] & 0x3F) << 12)
    low = (np.int64(values[at + 2] & 0x3F) << 6) | np.int64(values[at + 3] & 0x3F)
    return np.int64(kinds[high | low]), np.int64(4)


@jit
def word_end(values: Bytes, at: Int, end: Int, kinds: Bytes) -> np.int64:
    """Where the word that begins at a place ends, by GPT-2's pattern:

    `'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+`
    """
    if values[at] == 0x27 and at + 1 < end:
        one = values[at + 1]
        if one == 0x73 or one == 0x74 or one == 0x6D or one == 0x64:  # s t m d
            return np.int64(at + 2)
        if at + 2 < end:
            two = values[at + 2]
            if two == 0x65 and (one == 0x72 or one == 0x76):  # re ve
                return np.int64(at + 3)
            if one == 0x6C and two == 0x6C:  # ll
                return np.int64(at + 3)

    start = np.int64(at)
    kind, size = kind_at(values, start, end, kinds)
    if values[at] == 0x20 and at + 1 < end:
        next_kind, next_size = kind_at(values, at + 1, end, kinds)
        if next_kind != SPACE:
            start, kind, size = np.int64(at + 1), next_kind, next_size

    last = start
    stop = start + size
    while stop < end:
        next_kind, next_size = kind_at(values, stop, end, kinds)
        if next_kind != kind:
            break
        last = stop
        stop += next_size
    # The last space before a word belongs to the word, or is alone.
    if kind == SPACE and stop < end and last > start:
        return last
    return stop


@jit
def count_words(
    values: Bytes,
    at: Int,
    end: Int,
    kinds: Bytes,
    slots: I64,
    pool: Bytes,
    ends: I64,
    counts: I64,
    used: Int,
) -> tuple[np.int64, np.int64]:
    """Count the words of `values[at:end]`, line by line, in a table.

    The table has `used` words: word n is `pool[ends[n]:ends[n + 1]]`, `counts[n]` times. Returns
    where it stopped, which is before the end where the table is full, and the words then used.
    """
    used = np.int64(used)
    at = np.int64(at)
    while at < end:
        if values[at] == 0x0A:
            at += 1
            continue
        line = at
        while line < end and values[line] != 0x0A:
            line += 1
        while at < line:
            stop = word_end(values, at, line, kinds)
            slot = slot_of(values, at, stop, slots, pool, ends)
            number = slots[slot]
            if number < 0:
                size = ends[used] + stop - at
                if 2 * (used + 1) > len(slots) or used + 2 > len(ends) or size > len(pool):
                    return at, used
                for place in range(stop - at):
                    pool[ends[used] + place] = values[at + place]
                number = used
                slots[slot] = number
                ends[used + 1] = size
                counts[used] = 0
                used += 1
            counts[number] += 1
            at = stop
    return at, used


@jit
def add_counts(
    words: Bytes,
    word_ends: I64,
    word_counts: I64,
    first: Int,
    slots: I64,
    pool: Bytes,
    ends: I64,
    counts: I64,
    used: Int,
) -> tuple[np.int64, np.int64]:
    """Add counted words, from number `first` on, to a table as of `count_words`. Returns the number
    of the word where it stopped, since the table is full, and the words then used."""
    used = np.int64(used)
    for number in range(first, len(word_counts)):
        begin, stop = word_ends[number], word_ends[number + 1]
        slot = slot_of(words, begin, stop, slots, pool, ends)
        held = slots[slot]
        if held < 0:
            size = ends[used] + stop - begin
            if 2 * (used + 1) > len(slots) or used + 2 > len(ends) or size > len(pool):
                return np.int64(number), used
            for place in range(stop - begin):
                pool[ends[used] + place] = words[begin + place]
            held = used
            slots[slot] = held
            ends[used + 1] = size
            counts[used] = 0
            used += 1
        counts[held] += word_counts[number]
    return np.int64(len(word_counts)), used


@jit
def has_endless_run(values: Bytes, begin: Int, end: Int, limit: Int) -> bool:
    """Whether a text may hold so many word characters, signs or blanks in a row: so many bytes
    without white space of ASCII, or without other characters of ASCII."""
    solid = np.int64(0)
    blank = np.int64(0)
    for at in range(begin, end):
        byte = values[at]
        solid = np.int64(0) if byte <= 0x20 else solid + 1
        blank = np.int64(0) if 0x20 < byte < 0x80 or byte == 0x0A else blank + 1
        if solid >= limit or blank >= limit:
            return True
    return False


@jit
def pair_slot(key: np.uint64, keys: NDArray[np.uint64]) -> np.int64:
    """The slot of a pair, or the free one where it belongs."""
    mask = np.uint64(len(keys) - 1)
    mixed = key * GOLDEN
    slot = (mixed ^ (mixed >> np.uint64(32))) & mask
    while keys[slot] != NONE and keys[slot] != key:
        slot = (slot + np.uint64(1)) & mask
    return np.int64(slot)


@jit
def grown_pairs(
    keys: NDArray[np.uint64], amounts: I64, pending: I64
) -> tuple[NDArray[np.uint64], I64, I64]:
    """The table of pairs in twice the room."""
    size = 2 * len(keys)
    new_keys = np.full(size, NONE, np.uint64)
    new_amounts = np.zeros(size, np.int64)
    new_pending = np.full(size, -1, np.int64)
    for slot in range(len(keys)):
        if keys[slot] != NONE:
            place = pair_slot(keys[slot], new_keys)
            new_keys[place] = keys[slot]
            new_amounts[place] = amounts[slot]
            new_pending[place] = pending[slot]
    return new_keys, new_amounts, new_pending


@jit
def goes_before(count: Int, key: np.uint64, other: Int, other_key: np.uint64) -> bool:
    """Whether a pair is merged before another."""
    return bool(count > other or (count == other and key < other_key))


@jit
def sift_down(heap: I64, heap_keys: NDArray[np.uint64], lists: I64, place: Int, size: Int) -> None:
    """Restore the order of a heap below a place."""
    count, key, held = heap[place], heap_keys[place], lists[place]
    while True:
        child = 2 * place + 1
        if child >= size:
            break
        if child + 1 < size and goes_before(
            heap[child + 1], heap_keys[child + 1], heap[child], heap_keys[child]
        ):
            child += 1
        if not goes_before(heap[child], heap_keys[child], count, key):
            break
        heap[place], heap_keys[place], lists[place] = heap[child], heap_keys[child], lists[child]
        place = child
    heap[place], heap_keys[place], lists[place] = count, key, held


@jit
def sift_up(heap: I64, heap_keys: NDArray[np.uint64], lists: I64, place: Int) -> None:
    """Restore the order of a heap above a place."""
    count, key, held = heap[place], heap_keys[place], lists[place]
    while place > 0:
        parent = (place - 1) // 2
        if not goes_before(count, key, heap[parent], heap_keys[parent]):
            break
        heap[place], heap_keys[place] = heap[parent], heap_keys[parent]
        lists[place] = lists[parent]
        place = parent
    heap[place], heap_keys[place], lists[place] = count, key, held


@jit
def train(
    symbols: NDArray[np.int32],
    starts: I64,
    counts: I64,
    pool: Bytes,
    ends: I64,
    num_tokens: Int,
    vocab_size: Int,
    merges: NDArray[np.int32],
) -> tuple[np.int64, np.int64]:
    """Train on W words, `symbols[starts[w]:starts[w + 1]]`, `counts[w]` times each.

    The first `num_tokens` tokens are given as bytes `pool[ends[n]:ends[n + 1]]`; both have room for
    `vocab_size` tokens, and tokens that a merge makes are added to them. Writes the merged pairs to
    `merges` (M, 2), and overwrites `symbols`. Returns the number of tokens and of merges.
    """
    num_words = len(counts)
    lengths = np.empty(num_words, np.int32)
    slots = np.full(1 << 22 if vocab_size > 1_000_000 else 1 << 20, -1, np.int64)
    while len(slots) < 4 * vocab_size:
        slots = np.full(2 * len(slots), -1, np.int64)
    fill(slots, pool, ends, num_tokens)

    # The pairs with their counts. `pending` is the list of words in which a pair is new.
    keys: NDArray[np.uint64] = np.full(1 << 16, NONE, np.uint64)
    amounts: I64 = np.zeros(1 << 16, np.int64)
    pending: I64 = np.full(1 << 16, -1, np.int64)
    num_pairs = np.int64(0)

    # Lists of words: node n is a word and the next node; those after `free` are not used yet.
    node_words = np.empty(max(len(symbols), 16), np.int32)
    node_next = np.empty(max(len(symbols), 16), np.int64)
    num_nodes = np.int64(0)
    free = np.int64(-1)

    touched = np.empty(1 << 16, np.uint64)
    num_touched = np.int64(0)

    word: Int
    for word in range(num_words):
        lengths[word] = starts[word + 1] - starts[word]
        for at in range(starts[word], starts[word + 1] - 1):
            key = (np.uint64(symbols[at]) << np.uint64(32)) | np.uint64(symbols[at + 1])
            slot = pair_slot(key, keys)
            if keys[slot] == NONE:
                if 2 * (num_pairs + 1) > len(keys):
                    keys, amounts, pending = grown_pairs(keys, amounts, pending)
                    slot = pair_slot(key, keys)
                keys[slot] = key
                num_pairs += 1
            amounts[slot] += counts[word]
            head = pending[slot]
            if head < 0 or node_words[head] != word:
                node_words[num_nodes] = word
                node_next[num_nodes] = head
                pending[slot] = num_nodes
                num_nodes += 1

    heap = np.empty(num_pairs + 16, np.int64)
    heap_keys = np.empty(num_pairs + 16, np.uint64)
    lists = np.empty(num_pairs + 16, np.int64)
    size = np.int64(0)
    for place in range(len(keys)):
        if keys[place] != NONE and amounts[place] > 0:
            heap[size], heap_keys[size], lists[size] = amounts[place], keys[place], pending[place]
            pending[place] = -1
            size += 1
    for place in range(size // 2 - 1, -1, -1):
        sift_down(heap, heap_keys, lists, place, size)

    num_merges = np.int64(0)
    num_tokens = np.int64(num_tokens)
    while num_tokens < vocab_size and size > 0:
        key = heap_keys[0]
        amount = amounts[pair_slot(key, keys)]
        # Counts fall while a pair waits in the heap: one that is out of date sinks to its place.
        if heap[0] != amount:
            heap[0] = amount
            sift_down(heap, heap_keys, lists, 0, size)
            continue
        if amount < 1:
            break
        node = lists[0]
        size -= 1
        heap[0], heap_keys[0], lists[0] = heap[size], heap_keys[size], lists[size]
        sift_down(heap, heap_keys, lists, 0, size)

        left = np.int32(key >> np.uint64(32))
        right = np.int32(key & np.uint64(0xFFFFFFFF))
        merges[num_merges, 0] = left
        merges[num_merges, 1] = right
        num_merges += 1
        if num_merges == len(merges):
            break

        # The token's bytes, behind the others, are only kept where they are new.
        begin = ends[num_tokens]
        stop = begin
        for part in (left, right):
            for at in range(ends[part], ends[part + 1]):
                pool[stop] = pool[at]
                stop += 1
        slot = slot_of(pool, begin, stop, slots, pool, ends)
        if slots[slot] < 0:
            slots[slot] = num_tokens
            ends[num_tokens + 1] = stop
            num_tokens += 1
        token = np.int32(slots[slot])

        num_touched = np.int64(0)
        while node >= 0:
            word = np.int64(node_words[node])
            following = node_next[node]
            # The node is used again by the pairs that this merge makes.
            node_next[node] = free
            free = node
            node = following

            start = starts[word]
            length = np.int64(lengths[word])
            count = counts[word]
            read = np.int64(0)
            written = np.int64(0)
            # The word is written over itself, since it only gets shorter.
            while read < length:
                symbol = symbols[start + read]
                is_pair = symbol == left and read + 1 < length
                if not (is_pair and symbols[start + read + 1] == right):
                    symbols[start + written] = symbol
                    written += 1
                    read += 1
                    continue

                for side in range(4):
                    # The pair before and its new one, the pair behind and its new one.
                    if side < 2:
                        if written == 0:
                            continue
                        one = symbols[start + written - 1]
                        two = left if side == 0 else token
                    else:
                        if read + 2 >= length:
                            continue
                        one = right if side == 2 else token
                        two = symbols[start + read + 2]
                    change = -count if side % 2 == 0 else count
                    pair = (np.uint64(one) << np.uint64(32)) | np.uint64(two)
                    slot = pair_slot(pair, keys)
                    if keys[slot] == NONE:
                        if 2 * (num_pairs + 1) > len(keys):
                            keys, amounts, pending = grown_pairs(keys, amounts, pending)
                            slot = pair_slot(pair, keys)
                        keys[slot] = pair
                        num_pairs += 1
                    amounts[slot] += change
                    if change <= 0:
                        continue

                    head = pending[slot]
                    if head >= 0 and node_words[head] == word:
                        continue
                    if head < 0:
                        if num_touched == len(touched):
                            more = np.empty(2 * len(touched), np.uint64)
                            more[:num_touched] = touched
                            touched = more
                        touched[num_touched] = pair
                        num_touched += 1
                    if free >= 0:
                        new_node = free
                        free = node_next[free]
                    else:
                        if num_nodes == len(node_words):
                            more_words = np.empty(len(node_words) * 3 // 2, np.int32)
                            more_words[:num_nodes] = node_words
                            node_words = more_words
                            more_next = np.empty(len(node_next) * 3 // 2, np.int64)
                            more_next[:num_nodes] = node_next
                            node_next = more_next
                        new_node = num_nodes
                        num_nodes += 1
                    node_words[new_node] = word
                    node_next[new_node] = head
                    pending[slot] = new_node

                symbols[start + written] = token
                written += 1
                read += 2
            lengths[word] = written

        for number in range(num_touched):
            slot = pair_slot(touched[number], keys)
            head = pending[slot]
            pending[slot] = -1
            if amounts[slot] <= 0:
                # Nothing asks for these words any more.
                while head >= 0:
                    following = node_next[head]
                    node_next[head] = free
                    free = head
                    head = following
                continue
            if size == len(heap):
                more_heap = np.empty(2 * size, np.int64)
                more_heap[:size] = heap
                heap = more_heap
                more_keys = np.empty(2 * size, np.uint64)
                more_keys[:size] = heap_keys
                heap_keys = more_keys
                more_lists = np.empty(2 * size, np.int64)
                more_lists[:size] = lists
                lists = more_lists
            heap[size], heap_keys[size], lists[size] = amounts[slot], touched[number], head
            sift_up(heap, heap_keys, lists, size)
            size += 1

    return num_tokens, num_merges
