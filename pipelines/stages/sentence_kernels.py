"""The numba kernels of sentence splitting: where sentencex would split, for paragraphs whose rules
are plain, and the sentences as they are encoded.

sentencex looks for an end at each full stop, question or exclamation mark. What it asks there is
local: the word before, the characters behind, and whether a pair of quotes or brackets is around.
`find_ends` follows it in one pass over the bytes. It leaves a paragraph to sentencex itself
wherever anything is uncertain: a character that it does not know, unbalanced or overlapping quotes,
an initial, a marker such as `5 ft.`, spaced dots. Which words are abbreviations it cannot know
either: it looks them up in a table that is filled by asking sentencex about each word once
(`pipelines.stages.sentences`).

The rules are those of sentencex 1.0.32 (its `find_boundary`, `inner_terminator_boundary`,
`extend_past_orphan_closer` and `detect_list_items`); the tests compare them with the library.
"""

import numpy as np
from numpy.typing import NDArray

from corpora.text.jit import jit, jit_part

Bytes = NDArray[np.uint8]

Ends = NDArray[np.int64]

Int = int | np.int64

# Classes of characters. UNKNOWN leaves the paragraph to sentencex.
UNKNOWN, WORD, OTHER, DOT, EXCLAMATION, STOP, SPACE = range(7)

DOUBLE_QUOTE, APOSTROPHE, OPENER, RIGHT_QUOTE, CLOSER, OPEN_PAREN, CLOSE_PAREN, ELLIPSIS = range(
    7, 15
)

# What a word before a full stop does to the end of a sentence.
BREAKS, KEEPS, KEEPS_BUT_STARTER, UNSURE = range(1, 5)

# What the word behind an abbreviation is.
STARTER, NO_STARTER = 1, 2

# How a language tells that a sentence goes on behind a full stop.
ENGLISH, PLAIN, GERMAN, RUSSIAN = range(4)

LONGEST_WORD = 40

MOST_SPACES = 8
"""sentencex looks 30 bytes ahead; within this many spaces a word is always seen."""

LOOK_AHEAD = 24


@jit_part
def decode(values: Bytes, at: Int, end: Int) -> tuple[Int, Int]:
    """(code point, bytes) of the character at a place in UTF-8; 0 beyond the basic plane."""
    first = np.int64(values[at])
    if first < 0x80:
        return first, np.int64(1)
    if first < 0xE0 and at + 1 < end:
        return ((first & 0x1F) << 6) | np.int64(values[at + 1] & 0x3F), np.int64(2)
    if first < 0xF0 and at + 2 < end:
        high = ((first & 0x0F) << 12) | (np.int64(values[at + 1] & 0x3F) << 6)
        return high | np.int64(values[at + 2] & 0x3F), np.int64(3)
    return np.int64(0), np.int64(4)


@jit_part
def word_hash(values: Bytes, begin: Int, end: Int) -> np.uint64:
    """FNV-1a of a word."""
    found = np.uint64(0xCBF29CE484222325)
    for at in range(begin, end):
        found = (found ^ np.uint64(values[at])) * np.uint64(0x100000001B3)
    return found ^ (found >> np.uint64(29))


@jit_part
def look_up(
    values: Bytes,
    begin: Int,
    end: Int,
    slots: NDArray[np.int32],
    pool: Bytes,
    pool_ends: Ends,
    states: NDArray[np.int8],
) -> Int:
    """The state of a word in a table, 0 where it is not there. The words are compared whole."""
    mask = np.uint64(len(slots) - 1)
    slot = word_hash(values, begin, end) & mask
    while slots[slot] >= 0:
        number = slots[slot]
        start = pool_ends[number]
        if pool_ends[number + 1] - start == end - begin:
            is_same = True
            for place in range(end - begin):
                if pool[start + place] != values[begin + place]:
                    is_same = False
                    break
            if is_same:
                return np.int64(states[number])
        slot = (slot + np.uint64(1)) & mask
    return np.int64(0)


@jit
def fill_slots(slots: NDArray[np.int32], pool: Bytes, pool_ends: Ends) -> None:
    """Enter all words of a table into its slots, whose number is a power of two."""
    mask = np.uint64(len(slots) - 1)
    for number in range(len(pool_ends) - 1):
        slot = word_hash(pool, pool_ends[number], pool_ends[number + 1]) & mask
        while slots[slot] >= 0:
            slot = (slot + np.uint64(1)) & mask
        slots[slot] = number


@jit_part
def is_low(byte: Int) -> bool:
    """Whether a byte is a lower-case letter or digit of ASCII."""
    return bool(0x61 <= byte <= 0x7A or 0x30 <= byte <= 0x39)


@jit_part
def low_ahead(values: Bytes, begin: Int, end: Int, classes: Bytes) -> Int:
    """Whether the first letter or digit behind any other characters is a lower-case letter or digit
    of ASCII: 1 or 0; -1 where it is too far away to be sure."""
    at = np.int64(begin)
    while at < end:
        if at - begin > LOOK_AHEAD:
            return np.int64(-1)
        point, size = decode(values, at, end)
        kind = classes[point]
        if kind == UNKNOWN:
            return np.int64(-1)
        if kind == WORD:
            return np.int64(1) if is_low(values[at]) else np.int64(0)
        at += size
    return np.int64(0)


@jit_part
def comma_ahead(values: Bytes, begin: Int, end: Int) -> bool:
    """Whether a comma follows, behind spaces and at most one straight quote."""
    at = np.int64(begin)
    while at < end and values[at] == 0x20:
        at += 1
    if at < end and (values[at] == 0x22 or values[at] == 0x27):
        at += 1
        while at < end and values[at] == 0x20:
            at += 1
    return bool(at < end and values[at] == 0x2C)


@jit_part
def maybe_month(values: Bytes, at: Int, end: Int) -> bool:
    """Whether the three bytes at a place begin the name of a German month."""
    if at + 3 > end:
        return False
    one, two, three = values[at], values[at + 1], values[at + 2]
    if one == 0x4A:  # J
        return bool(
            (two == 0x61 and three == 0x6E) or (two == 0x75 and (three == 0x6E or three == 0x6C))
        )
    if one == 0x46:  # F
        return bool(two == 0x65 and three == 0x62)
    if one == 0x4D:  # M
        return bool((two == 0xC3 and three == 0xA4) or (two == 0x61 and three == 0x69))
    if one == 0x41:  # A
        return bool((two == 0x70 and three == 0x72) or (two == 0x75 and three == 0x67))
    if one == 0x53:  # S
        return bool(two == 0x65 and three == 0x70)
    if one == 0x4F:  # O
        return bool(two == 0x6B and three == 0x74)
    if one == 0x4E:  # N
        return bool(two == 0x6F and three == 0x76)
    return bool(one == 0x44 and two == 0x65 and three == 0x7A)  # D


@jit_part
def goes_on(values: Bytes, stop: Int, after: Int, end: Int, language: Int, classes: Bytes) -> Int:
    """Whether a sentence goes on behind `stop`, by what follows alone: 1 or 0, -1 where it is not
    sure. `after` is the first byte that is no space."""
    if language == RUSSIAN:
        point, _ = decode(values, stop, end)
        return np.int64(1) if is_low(values[stop]) or 0x430 <= point <= 0x44F else np.int64(0)
    if language == GERMAN:
        ahead = low_ahead(values, stop, end, classes)
        if ahead != 0:
            return ahead
        return np.int64(-1) if maybe_month(values, after, end) else np.int64(0)
    if is_low(values[stop]):
        return np.int64(1)
    return np.int64(1) if comma_ahead(values, stop, end) else np.int64(0)


@jit_part
def resumes(values: Bytes, closed: Int, after: Int, end: Int, language: Int, classes: Bytes) -> Int:
    """As `goes_on`, behind the quote that closes at `closed`."""
    ahead = low_ahead(values, closed, end, classes)
    if ahead != 0:
        return ahead
    return goes_on(values, after, after, end, language, classes)


@jit_part
def is_list_marker(values: Bytes, begin: Int, end: Int) -> bool:
    """Whether what stands before a closing bracket may be the mark of a list: a short number, one
    letter, a roman numeral."""
    if end > begin and values[end - 1] == 0x2E:
        end -= 1
    if end - begin <= 2:
        return True
    are_digits = True
    are_roman = True
    for at in range(begin, end):
        byte = values[at]
        if not 0x30 <= byte <= 0x39:
            are_digits = False
        low = byte | 0x20
        # c d i l m v x
        if not (
            low == 0x63
            or low == 0x64
            or low == 0x69
            or low == 0x6C
            or low == 0x6D
            or low == 0x76
            or low == 0x78
        ):
            are_roman = False
    return are_digits or are_roman


@jit_part
def last_word(values: Bytes, begin: Int, stop: Int) -> tuple[Int, Int, Int]:
    """(first byte, 0 where it can be looked up or else its state, its end) of the word before a
    full stop at `stop`."""
    at = np.int64(stop)
    is_marked = False
    has_digit = False
    while at > begin:
        byte = values[at - 1]
        if byte == 0x20:
            break
        if byte == 0x2E or byte == 0x2F or stop - at >= LONGEST_WORD:
            return at, np.int64(UNSURE), np.int64(stop)
        if byte == 0x22 or byte == 0x28 or byte == 0x29 or byte == 0xC2 or 0xE2 <= byte <= 0xE3:
            is_marked = True
        if 0x30 <= byte <= 0x39:
            has_digit = True
        at -= 1

    # No word before a full stop; a word of quotes is in no table.
    if at == stop:
        return at, np.int64(UNSURE), np.int64(stop)
    if is_marked:
        return at, np.int64(UNSURE if has_digit else BREAKS), np.int64(stop)

    # A marker may be of two words, such as `p. m.` and `5 in.`
    before = at
    while before > begin and values[before - 1] == 0x20:
        before -= 1
    if before > begin:
        byte = values[before - 1]
        if byte == 0x2E or 0x30 <= byte <= 0x39:
            return at, np.int64(UNSURE), np.int64(stop)
    return at, np.int64(0), np.int64(stop)


@jit_part
def ends_in_exclamation(values: Bytes, begin: Int, stop: Int) -> bool:
    """Whether the word before a mark may be one of those that sencentex knows to have one, `Yahoo!`
    and `Yum!`."""
    if stop - begin < 3:
        return False
    one, two, three = values[stop - 3], values[stop - 2], values[stop - 1]
    is_yahoo = one == 0x68 and two == 0x6F and three == 0x6F
    is_yum = one == 0x59 and two == 0x75 and three == 0x6D
    return bool(is_yahoo or is_yum)


@jit_part
def closer_of(point: Int) -> Int:
    """The quote that closes one."""
    if point == 0x22:
        return np.int64(0x22)
    if point == 0xAB:
        return np.int64(0xBB)
    if point == 0xBB:
        return np.int64(0xAB)
    if point == 0x2018:
        return np.int64(0x2019)
    if point == 0x201C:
        return np.int64(0x201D)
    if point == 0x201E:
        return np.int64(0x201C)
    if point == 0x2039:
        return np.int64(0x203A)
    if point == 0x300A:
        return np.int64(0x300B)
    return np.int64(0x300D)  # of U+300C


@jit_part
def closes_too(point: Int) -> bool:
    """Whether a quote that opens one pair closes another."""
    return point == 0x22 or point == 0xAB or point == 0xBB or point == 0x201C


@jit_part
def is_plain(kind: Int) -> bool:
    """Whether a character means nothing but itself."""
    return kind == WORD or kind == SPACE or kind == OTHER


@jit_part
def next_closing_bracket(values: Bytes, begin: Int, end: Int) -> Int:
    """The place of the first closing bracket, of either width; `end` where there is none."""
    for at in range(begin, end):
        if values[at] == 0x29:
            return np.int64(at)
        if (
            values[at] == 0xEF
            and at + 2 < end
            and values[at + 1] == 0xBC
            and values[at + 2] == 0x89
        ):
            return np.int64(at)
    return np.int64(end)


@jit_part
def is_closed(values: Bytes, begin: Int, end: Int, closer: Int) -> bool:
    """Whether a closing quote follows."""
    at = np.int64(begin)
    if closer < 0x80:
        while at < end:
            if values[at] == closer:
                return True
            at += 1
        return False
    while at < end:
        if values[at] < 0x80:
            at += 1
            continue
        point, size = decode(values, at, end)
        if point == closer:
            return True
        at += size
    return False


@jit_part
def count_byte(values: Bytes, begin: Int, end: Int, byte: Int) -> Int:
    """How often a byte occurs."""
    found = np.int64(0)
    for at in range(begin, end):
        found += values[at] == byte
    return found


@jit_part
def is_word(values: Bytes, at: Int, end: Int, classes: Bytes) -> bool:
    """Whether a letter, digit or mark begins at a place."""
    if at >= end:
        return False
    point, _ = decode(values, at, end)
    return bool(classes[point] == WORD)


@jit_part
def closing_apostrophe(values: Bytes, begin: Int, end: Int, classes: Bytes) -> Int:
    """The first apostrophe that can close a quote: it stands behind neither white space nor an
    apostrophe, and before no letter. `end` where there is none."""
    at = np.int64(begin)
    while at < end:
        if values[at] == 0x27 and values[at - 1] != 0x20 and values[at - 1] != 0x27:
            if not is_word(values, at + 1, end, classes):
                return at
        at += 1
    return np.int64(end)


LAST_LATIN = 0x2C1
"""Word characters up to here are letters and digits; beyond, some are marks."""

PLAIN_APOSTROPHE, CONTRACTION, UNSURE_APOSTROPHE = range(3)


@jit_part
def apostrophe_kind(values: Bytes, begin: Int, at: Int, end: Int, classes: Bytes) -> Int:
    """Whether an apostrophe that is in no quote stands between two letters. Not sure next to
    another one, between spaces, where it may open a quote of another kind, and next to what is no
    letter of the Latin alphabet or digit."""
    before: Int = np.int64(0x20)
    if at > begin:
        place = at - 1
        while place > begin and values[place] & 0xC0 == 0x80:
            place -= 1
        before, _ = decode(values, place, at)
    behind: Int = np.int64(0x20)
    if at + 1 < end:
        behind, _ = decode(values, at + 1, end)
    if before == 0x27 or behind == 0x27 or before == 0x5F or behind == 0x5F:
        return np.int64(UNSURE_APOSTROPHE)
    if before == 0x20 and behind == 0x20:
        return np.int64(UNSURE_APOSTROPHE)
    is_before = classes[before] == WORD
    is_behind = classes[behind] == WORD
    if (is_before and before > LAST_LATIN) or (is_behind and behind > LAST_LATIN):
        return np.int64(UNSURE_APOSTROPHE)
    return np.int64(CONTRACTION if is_before and is_behind else PLAIN_APOSTROPHE)


@jit_part
def is_lone(values: Bytes, at: Int, end: Int, classes: Bytes) -> Int:
    """Whether no apostrophe but those between letters follows the one at a place: 1 or 0, -1 where
    it is not sure."""
    for place in range(at + 1, end):
        if values[place] == 0x27:
            if apostrophe_kind(values, at, place, end, classes) != CONTRACTION:
                return np.int64(-1)
    return np.int64(1)


@jit_part
def past_closer(values: Bytes, begin: Int, end: Int, classes: Bytes) -> Int:
    """Where a sentence ends that has a closing quote behind its mark, which ends at `begin`; -1
    where more marks follow."""
    at = np.int64(begin)
    while at < end and values[at] == 0x20:
        at += 1
    if at < end:
        point, _ = decode(values, at, end)
        kind = classes[point]
        if kind == UNKNOWN or kind == ELLIPSIS or DOT <= kind <= STOP:
            return np.int64(-1)
    return at


@jit_part
def find_ends(
    values: Bytes,
    begin: Int,
    end: Int,
    language: Int,
    classes: Bytes,
    plain: NDArray[np.bool_],
    slots: NDArray[np.int32],
    pool: Bytes,
    pool_ends: Ends,
    states: NDArray[np.int8],
    starter_slots: NDArray[np.int32],
    starter_pool: Bytes,
    starter_ends: Ends,
    starters: NDArray[np.int8],
    ends: Ends,
    first: Int,
    asked: Ends,
    num_asked: Int,
) -> tuple[Int, Int]:
    """Where sentencex splits one paragraph, `values[begin:end]`.

    `plain` says of each byte whether it is a character that means nothing but itself. Writes the
    end of each piece but the last to `ends[first:]`. Returns their number, or -1 where
    sentencex must be asked, and the number of words in `asked`, which holds (begin, end, kind) of
    words that are in no table: kind 0 stands before a full stop, 1 behind an abbreviation.
    """
    count = np.int64(0)
    last_end = begin
    quote: Int = np.int64(0)  # the closer that is waited for
    quote_start: Int = np.int64(-1)
    paren_start: Int = np.int64(-1)
    paren_end: Int = np.int64(-1)  # the next closing bracket
    inner: Int = np.int64(-1)  # where a sentence ends right before its quote does
    absent = np.int64(0)  # closers that do not follow any more, by their number modulo 31
    doubles: Int = np.int64(-1)  # the straight double quotes of the paragraph, once counted
    singles: Int = np.int64(-1)  # and its apostrophes
    loose = np.int64(0)  # apostrophes so far that are in no quote and not between letters
    closer_at: Int = np.int64(-1)  # the next apostrophe that can close a quote
    is_sure = True
    previous = np.int64(SPACE)
    at: Int = np.int64(begin)

    while at < end:
        # Nearly all bytes are of these.
        run = at
        while at < end and plain[values[at]]:
            at += 1
        if at > run:
            previous = np.int64(classes[values[at - 1]])
            if at == end:
                break

        point, size = decode(values, at, end)
        kind = np.int64(classes[point])

        if is_plain(kind):
            previous = kind
            at += size
            continue

        if kind == UNKNOWN:
            return np.int64(-1), num_asked

        if kind == APOSTROPHE and quote != 0x27:
            if quote == 0:
                if previous != WORD and is_word(values, at + 1, end, classes):
                    if closer_at < at + 2:
                        closer_at = closing_apostrophe(values, at + 2, end, classes)
                    if closer_at < end:
                        if at > begin and values[at - 1] == 0x27:
                            return np.int64(-1), num_asked
                        if singles < 0:
                            singles = count_byte(values, begin, end, 0x27)
                        quote = np.int64(0x27)
                        quote_start = at
                        inner = np.int64(-1)
                        previous = np.int64(OTHER)
                        at += 1
                        continue
                    # Quotes may also reach from the first to the last character.
                    if at == begin and values[end - 1] == 0x27:
                        return np.int64(-1), num_asked
                elif at == begin:
                    return np.int64(-1), num_asked
                of_kind = apostrophe_kind(values, begin, at, end, classes)
                if of_kind == UNSURE_APOSTROPHE:
                    return np.int64(-1), num_asked
                if of_kind == PLAIN_APOSTROPHE:
                    loose += 1
            elif values[at - 1] == 0x27:
                return np.int64(-1), num_asked
            previous = np.int64(OTHER)
            at += 1
            continue

        if kind == APOSTROPHE and at != closer_at:
            if values[at - 1] == 0x27:
                return np.int64(-1), num_asked
            previous = np.int64(OTHER)
            at += 1
            continue

        if kind == ELLIPSIS:
            ahead = at + size
            while ahead < end and values[ahead] == 0x20:
                ahead += 1
            if ahead < end:
                next_point, _ = decode(values, ahead, end)
                next_kind = classes[next_point]
                if next_kind == ELLIPSIS or DOT <= next_kind <= STOP:
                    return np.int64(-1), num_asked
            previous = np.int64(OTHER)
            at += size
            continue

        if kind == OPEN_PAREN:
            # A bracket inside of brackets opens nothing.
            if paren_start < 0:
                if paren_end < at:
                    paren_end = next_closing_bracket(values, at + size, end)
                if paren_end < end:
                    paren_start = at
            previous = np.int64(OTHER)
            at += size
            continue

        if kind == CLOSE_PAREN:
            if quote != 0 and paren_start >= 0 and quote_start > paren_start:
                return np.int64(-1), num_asked
            if point == 0x29:
                word = at
                while word > begin and values[word - 1] != 0x20 and values[word - 1] != 0x28:
                    word -= 1
                    if at - word > LONGEST_WORD:
                        break
                if is_list_marker(values, word, at):
                    return np.int64(-1), num_asked
                if paren_start >= 0 and is_list_marker(values, paren_start + 1, at):
                    return np.int64(-1), num_asked
            paren_start = np.int64(-1)
            previous = np.int64(OTHER)
            at += size
            continue

        if (
            kind == DOUBLE_QUOTE
            or kind == OPENER
            or kind == RIGHT_QUOTE
            or kind == CLOSER
            or kind == APOSTROPHE
        ):
            previous = np.int64(OTHER)
            if quote == 0:
                if kind == DOUBLE_QUOTE or kind == OPENER:
                    closer = closer_of(point)
                    if absent >> (closer % 31) & 1:
                        pass
                    elif is_closed(values, at + size, end, closer):
                        quote = closer
                        quote_start = at
                        inner = np.int64(-1)
                        if point == 0x22 and doubles < 0:
                            doubles = count_byte(values, begin, end, 0x22)
                    else:
                        # A quote that nothing closes opens none. Remembered, so that many of them
                        # take no square of the time.
                        absent |= np.int64(1) << (closer % 31)
                at += size
                continue

            if point != quote:
                at += size
                continue

            if paren_start > quote_start:
                return np.int64(-1), num_asked
            quote = np.int64(0)
            closed = at + size
            if inner == at and paren_start < 0:
                after = closed
                while after < end and values[after] == 0x20:
                    after += 1
                if after < end:
                    if after - closed > MOST_SPACES:
                        return np.int64(-1), num_asked
                    next_point, _ = decode(values, after, end)
                    if DOT <= classes[next_point] <= STOP:
                        return np.int64(-1), num_asked
                    is_on = resumes(values, closed, after, end, language, classes)
                    if is_on < 0:
                        return np.int64(-1), num_asked
                    if is_on == 0 and after > last_end:
                        ends[first + count] = after
                        count += 1
                        last_end = after
            at = closed
            continue

        # A run of marks.
        stop = at
        marks = np.int64(0)
        while stop < end:
            mark, mark_size = decode(values, stop, end)
            if not DOT <= classes[mark] <= STOP:
                break
            marks += 1
            stop += mark_size

        after = stop
        while after < end and values[after] == 0x20:
            after += 1
        previous_byte = values[at - 1] if at > begin else 0x20
        if previous_byte == 0x20 or after - stop > MOST_SPACES:
            if after < end:
                return np.int64(-1), num_asked
        if after == end:
            # The paragraph ends here anyway.
            at = end
            continue

        next_point, next_size = decode(values, after, end)
        next_kind = np.int64(classes[next_point])
        if next_kind == ELLIPSIS or DOT <= next_kind <= STOP:
            return np.int64(-1), num_asked
        if next_kind == UNKNOWN:
            return np.int64(-1), num_asked

        previous = np.int64(OTHER)
        ends_here = True
        # Quotes that open and close alike may be paired wrongly where their number is odd: then a
        # plain end inside of one is an end.
        is_doubtful = (quote == 0x22 and doubles % 2 == 1) or (quote == 0x27 and singles % 2 == 1)
        is_strong = False
        if marks > 1:
            if is_low(values[after]):
                ends_here = False
            elif language == ENGLISH and after > stop and values[after] == 0x49:
                # `... I` goes on.
                behind = np.int64(SPACE)
                if after + 1 < end:
                    behind_point, _ = decode(values, after + 1, end)
                    behind = np.int64(classes[behind_point])
                if behind == SPACE or behind == APOSTROPHE or behind == RIGHT_QUOTE:
                    ends_here = False
        else:
            is_on = goes_on(values, stop, after, end, language, classes)
            if is_on < 0:
                return np.int64(-1), num_asked
            if is_on == 1:
                ends_here = False
            elif kind == DOT:
                if 0x30 <= previous_byte <= 0x39 and after == stop and next_kind == WORD:
                    return np.int64(-1), num_asked
                word, state, _ = last_word(values, begin, at)
                if state == 0:
                    state = look_up(values, word, at, slots, pool, pool_ends, states)
                    if state == 0:
                        if num_asked < len(asked) // 3:
                            asked[3 * num_asked] = word
                            asked[3 * num_asked + 1] = at
                            asked[3 * num_asked + 2] = 0
                            num_asked += 1
                        is_sure = False
                        state = np.int64(BREAKS)
                if state == UNSURE:
                    return np.int64(-1), num_asked
                if state != BREAKS:
                    ends_here = False
                    if 0x30 <= values[after] <= 0x39:
                        return np.int64(-1), num_asked
                is_asked = state == KEEPS_BUT_STARTER and next_kind != DOUBLE_QUOTE
                if is_doubtful and state == BREAKS and 0x41 <= values[after] <= 0x5A:
                    if word + 1 == at:
                        return np.int64(-1), num_asked
                    is_asked = language == ENGLISH
                if is_asked:
                    token = after
                    while token < end:
                        token_point, token_size = decode(values, token, end)
                        token_kind = classes[token_point]
                        if token_kind == SPACE or token_point == 0x2C:
                            break
                        if DOT <= token_kind <= STOP:
                            break
                        is_letter = token_kind == WORD and token_size == 1
                        if not is_letter and not (token_point == 0x27 and token > after):
                            return np.int64(-1), num_asked
                        token += token_size
                    if token - after > 16:
                        return np.int64(-1), num_asked
                    if token > after:
                        found = look_up(
                            values,
                            after,
                            token,
                            starter_slots,
                            starter_pool,
                            starter_ends,
                            starters,
                        )
                        if found == 0:
                            if num_asked < len(asked) // 3:
                                asked[3 * num_asked] = after
                                asked[3 * num_asked + 1] = token
                                asked[3 * num_asked + 2] = 1
                                num_asked += 1
                            is_sure = False
                        if found == STARTER:
                            ends_here = True
                            is_strong = state == BREAKS

        if ends_here and ends_in_exclamation(values, begin, at):
            return np.int64(-1), num_asked

        if ends_here and paren_start < 0:
            if quote != 0 and not (is_doubtful and is_strong):
                if next_point == quote and (quote != 0x27 or after == closer_at):
                    inner = after
            else:
                place = after
                closed = after + next_size
                moves = False
                if quote != 0:
                    moves = False
                elif next_kind == RIGHT_QUOTE or next_kind == CLOSER:
                    moves = True
                elif next_kind == DOUBLE_QUOTE or (next_kind == OPENER and closes_too(next_point)):
                    closer = closer_of(next_point)
                    moves = bool(absent >> (closer % 31) & 1) or not is_closed(
                        values, closed, end, closer
                    )
                elif next_kind == APOSTROPHE:
                    is_opener = is_word(values, closed, end, classes)
                    if is_opener and closer_at < after + 2:
                        closer_at = closing_apostrophe(values, after + 2, end, classes)
                    if not is_opener or closer_at == end:
                        # One without a partner belongs to the sentence before.
                        moves = loose % 2 == 1
                        if loose == 0:
                            alone = is_lone(values, after, end, classes)
                            if alone < 0:
                                return np.int64(-1), num_asked
                            moves = True
                if moves:
                    # Between spaces it may open the next sentence.
                    if (
                        after > stop
                        and closed < end
                        and values[closed] == 0x20
                        and (next_kind == APOSTROPHE or next_kind == DOUBLE_QUOTE)
                    ):
                        return np.int64(-1), num_asked
                    place = past_closer(values, closed, end, classes)
                    if place < 0:
                        return np.int64(-1), num_asked
                if last_end < place < end:
                    ends[first + count] = place
                    count += 1
                    last_end = place
        at = stop

    if quote != 0 or paren_start >= 0 or not is_sure:
        return np.int64(-1), num_asked
    return count, num_asked


@jit
def count_marks(values: Bytes) -> tuple[Int, Int]:
    """(line ends, bytes that may be the last of a mark that ends a sentence or of a quote behind
    it)."""
    lines = np.int64(0)
    marks = np.int64(0)
    for byte in values:
        lines += byte == 0x0A
        marks += (
            (byte == 0x21)
            | (byte == 0x2E)
            | (byte == 0x3F)
            | (byte == 0x82)
            | (byte == 0x81)
            | (byte == 0x9F)
        )
    return lines, marks


@jit
def split_all(
    values: Bytes,
    texts: Ends,
    language: Int,
    classes: Bytes,
    slots: NDArray[np.int32],
    pool: Bytes,
    pool_ends: Ends,
    states: NDArray[np.int8],
    starter_slots: NDArray[np.int32],
    starter_pool: Bytes,
    starter_ends: Ends,
    starters: NDArray[np.int8],
    paragraphs: Ends,
    counts: Ends,
    ends: Ends,
    asked: Ends,
) -> tuple[Int, Int, Int]:
    """`find_ends` for all paragraphs of D texts, (D + 1,) offsets into `values`.

    Writes to `paragraphs` their ends (a line end belongs to none), to `counts` the number of ends
    in each, -1 for those that sentencex must be asked about, and to `ends` these one after another.
    With a negative language sentencex is asked about all. Returns how many paragraphs, ends and
    words to ask about there are.
    """
    plain = np.zeros(256, np.bool_)
    for byte in range(0x80):
        plain[byte] = is_plain(np.int64(classes[byte]))
    paragraph = np.int64(0)
    total = np.int64(0)
    num_asked: Int = np.int64(0)
    for text in range(len(texts) - 1):
        begin = texts[text]
        last = texts[text + 1]
        while begin <= last:
            end = begin
            while end < last and values[end] != 0x0A:
                end += 1
            found: Int = np.int64(-1)
            if end == begin:
                found = np.int64(0)
            elif language >= 0:
                found, num_asked = find_ends(
                    values,
                    begin,
                    end,
                    language,
                    classes,
                    plain,
                    slots,
                    pool,
                    pool_ends,
                    states,
                    starter_slots,
                    starter_pool,
                    starter_ends,
                    starters,
                    ends,
                    total,
                    asked,
                    num_asked,
                )
            paragraphs[paragraph] = end
            counts[paragraph] = found
            paragraph += 1
            if found > 0:
                total += found
            begin = end + 1
    return paragraph, total, num_asked


@jit_part
def space_at(values: Bytes, at: Int, end: Int) -> Int:
    """The bytes of the white space at a place, as Python's `str.split` knows it; 0 for none."""
    byte = values[at]
    if byte < 0x80:
        is_space = byte == 0x20 or 0x09 <= byte <= 0x0D or 0x1C <= byte <= 0x1F
        return np.int64(1) if is_space else np.int64(0)
    if byte == 0xC2 and at + 1 < end:
        two = values[at + 1]
        return np.int64(2) if two == 0x85 or two == 0xA0 else np.int64(0)
    if 0xE1 <= byte <= 0xE3 and at + 2 < end:
        two = values[at + 1]
        three = values[at + 2]
        if byte == 0xE1:
            return np.int64(3) if two == 0x9A and three == 0x80 else np.int64(0)
        if byte == 0xE3:
            return np.int64(3) if two == 0x80 and three == 0x80 else np.int64(0)
        if two == 0x80:
            is_space = three <= 0x8A or three == 0xA8 or three == 0xA9 or three == 0xAF
            return np.int64(3) if is_space else np.int64(0)
        return np.int64(3) if two == 0x81 and three == 0x9F else np.int64(0)
    return np.int64(0)


@jit_part
def has_single_spaces(values: Bytes, begin: Int, end: Int) -> bool:
    """Whether all white space in a piece, which begins with none, is single spaces of ASCII.

    Without a branch for each byte, so that the compiler takes many at once.
    """
    piece = values[begin:end]
    found = np.uint8(0)
    before = np.uint8(0)

    for byte in piece:
        is_control = byte < 0x20
        is_second = (byte == 0x20) & (before == 0x20)
        begins_wide = (byte == 0xC2) | ((byte >= 0xE1) & (byte <= 0xE3))
        found |= np.uint8(is_control | is_second | begins_wide)
        before = byte

    return bool(found == 0 or has_single_spaces_only(piece))


@jit_part
def has_single_spaces_only(piece: Bytes) -> bool:
    """The same for a piece with any characters; white space as in `space_at`."""
    found = np.uint8(0)
    first = np.uint8(0)
    second = np.uint8(0)

    for third in piece:
        is_control = ((third >= 0x09) & (third <= 0x0D)) | ((third >= 0x1C) & (third <= 0x1F))
        is_second_space = (third == 0x20) & (second == 0x20)
        of_two = (second == 0xC2) & ((third == 0x85) | (third == 0xA0))
        is_general = (third <= 0x8A) | (third == 0xA8) | (third == 0xA9) | (third == 0xAF)
        of_three = (first == 0xE2) & (second == 0x80) & is_general
        of_three |= (first == 0xE2) & (second == 0x81) & (third == 0x9F)
        of_three |= (first == 0xE1) & (second == 0x9A) & (third == 0x80)
        of_three |= (first == 0xE3) & (second == 0x80) & (third == 0x80)
        found |= np.uint8(is_control | is_second_space | of_two | of_three)
        first = second
        second = third

    return bool(found == 0)


@jit_part
def copy(values: Bytes, begin: Int, end: Int, out: Bytes, place: Int) -> None:
    """Copy bytes to a place in `out`."""
    source = values[begin:end]
    target = out[place : place + len(source)]
    for number in range(len(source)):
        target[number] = source[number]


SPACED, STRIPPED, KEPT = range(3)


@jit
def write_sentences(
    values: Bytes,
    texts: Ends,
    mode: Int,
    paragraphs: Ends,
    counts: Ends,
    ends: Ends,
    answer_counts: Ends,
    answers: Ends,
    out: Bytes,
    out_ends: Ends,
    firsts: Ends,
) -> tuple[Int, Int]:
    """The sentences of D texts as they are encoded, from the ends of their pieces.

    `counts` and `ends` are those of `split_all`; the lengths in bytes of the pieces of those
    paragraphs that it left open are `answers`, `answer_counts` of them in each. Writes the
    sentences' bytes to `out`, the end of each to `out_ends`, and to `firsts` (D + 1,) the number of
    sentences before each text. Returns the number of bytes and of sentences.
    """
    may_be_space = np.zeros(256, np.bool_)
    may_be_space[0x09:0x0E] = True
    may_be_space[0x1C:0x21] = True
    may_be_space[0xC2] = True
    may_be_space[0xE1:0xE4] = True
    size = np.int64(0)
    sentences = np.int64(0)
    paragraph = np.int64(0)
    end_at = np.int64(0)
    answer = np.int64(0)
    answer_at = np.int64(0)

    for text in range(len(texts) - 1):
        firsts[text] = sentences
        begin = texts[text]
        last = texts[text + 1]
        kept_to = begin  # with KEPT: what is written already
        bare_end = begin  # where the sentence before ends
        is_first = True
        while begin <= last:
            end = paragraphs[paragraph]
            count = counts[paragraph]
            is_open = count < 0
            pieces = answer_counts[answer] if is_open else count + 1
            if end == begin:
                pieces = np.int64(0)
            piece_begin = begin
            for piece in range(pieces):
                if is_open:
                    piece_end = piece_begin + answers[answer_at]
                    answer_at += 1
                elif piece < count:
                    piece_end = ends[end_at]
                    end_at += 1
                else:
                    piece_end = end

                at = piece_begin
                while at < piece_end:
                    space = space_at(values, at, piece_end)
                    if space == 0:
                        break
                    at += space
                if at < piece_end:
                    if mode == KEPT:
                        if not is_first:
                            copy(values, kept_to, bare_end, out, size)
                            size += bare_end - kept_to
                            kept_to = bare_end
                            out_ends[sentences] = size
                            sentences += 1
                    elif mode == SPACED and not is_first and at > bare_end:
                        out[size] = 0x20
                        size += 1
                    is_first = False

                    is_tidy = has_single_spaces(values, at, piece_end)
                    if is_tidy:
                        bare_end = piece_end - (values[piece_end - 1] == 0x20)
                        if mode != KEPT:
                            copy(values, at, bare_end, out, size)
                            size += bare_end - at
                        at = piece_end

                    gap = False
                    while at < piece_end:
                        # What is written as it stands, single spaces included, is copied at once.
                        run = at
                        while at < piece_end:
                            byte = values[at]
                            if not may_be_space[byte]:
                                at += 1
                            elif byte == 0x20:
                                if at + 1 == piece_end or may_be_space[values[at + 1]] or at == run:
                                    break
                                at += 2
                            elif space_at(values, at, piece_end) > 0:
                                break
                            else:
                                at += 1
                        if at > run:
                            if mode != KEPT:
                                if gap:
                                    out[size] = 0x20
                                    size += 1
                                copy(values, run, at, out, size)
                                size += at - run
                            gap = False
                            bare_end = at
                            if at == piece_end:
                                break
                        space = space_at(values, at, piece_end)
                        if space > 0:
                            gap = True
                            at += space
                            continue
                        if mode != KEPT:
                            if gap:
                                out[size] = 0x20
                                size += 1
                            out[size] = values[at]
                            size += 1
                        gap = False
                        at += 1
                        bare_end = at
                    if mode != KEPT:
                        out_ends[sentences] = size
                        sentences += 1
                piece_begin = piece_end
            if is_open:
                answer += 1
            paragraph += 1
            begin = end + 1

        if mode == KEPT and not is_first:
            copy(values, kept_to, last, out, size)
            size += last - kept_to
            out_ends[sentences] = size
            sentences += 1
    firsts[len(texts) - 1] = sentences
    return size, sentences
