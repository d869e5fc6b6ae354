"""Measures of a document's text: whole numbers, so that shares of them compare exactly. The rules
that read them are in `corpora.quality.rules`.

A word is a run between white space that holds a letter or a digit; it reaches from the first of
these to the last, so that punctuation marks are neither words nor parts of them. (Tools that count
marks as words refuse 23 of 161 good English news pages by Gopher's share of words with letters.) In
scripts without spaces each letter is a word. A line is what line feeds separate, without blanks at
its ends, unless it is empty; a paragraph is what empty lines separate.

Time and memory are linear in the text; `REPETITION_WORDS` bounds the memory of n-grams. The kernels
are numba over code points; their slow twin in plain Python is tests/helpers/measures_twin.py.
"""

import datetime
import re

import numpy as np
from numpy.typing import NDArray

from corpora.quality.rules import DUPLICATE_N, MEASURES, STOP_WORDS, TOP_N
from corpora.quality.word_lengths import place_of
from corpora.text.characters import (
    CLOSER,
    END_MARK,
    LETTER,
    MARK,
    NUMBER,
    SPACE,
    UNSPACED,
    UPPER,
    flags,
)
from corpora.text.jit import jit
from corpora.text.language_codes import is_english

VERSION = 1
"""Rises when the same text gives other numbers."""

REPETITION_WORDS = 1_000_000
"""Only so many words from the start are searched for n-grams: this bounds memory, and no page has
as many."""

C4_WORD_CHARACTERS = 1000
"""C4 drops a line with a longer word."""

FULL_WIDTH = 0x3000
"""A mark from this code point on ends a sentence even if no space follows it."""

SHORT_LINE = 30
"""FineWeb calls a line of fewer characters short."""

BOILERPLATE_LINE_WORDS = 10
"""A boilerplate phrase counts at the beginning of a line of at most this many words
(RefinedWeb)."""

C4_PHRASES = (
    "lorem ipsum",
    "javascript",
    "terms of use",
    "privacy policy",
    "cookie policy",
    "uses cookies",
    "use of cookies",
    "use cookies",
)
"""Phrases of C4, in any case. The first is counted per page; a line with one of the others is
dropped."""

BOILERPLATE_PHRASES = (
    "read more",
    "read also",
    "also read",
    "read next",
    "more on this",
    "related:",
    "related stories",
    "related articles",
    "see also:",
    "click here",
    "sign up",
    "sign in",
    "sign-in",
    "log in",
    "subscribe",
    "share this",
    "follow us",
    "advertisement",
    "photo:",
    "photo by",
    "image:",
    "picture:",
    "getty images",
    "all rights reserved",
    "copyright",
    "(c) ",
    "items in cart",
    "loading",
)
"""Beginnings, in any case, of lines that belong to the page and not to the article: credits,
invitations, shop and share bars."""

COUNTED = (
    "likes",
    "shares",
    "comments",
    "retweets",
    "reposts",
    "quotes",
    "bookmarks",
    "upvotes",
    "downvotes",
    "downloads",
    "views",
    "followers",
)
"""A line of a number and one of these is a counter (RefinedWeb)."""

_URL_ENDINGS = re.compile(r"\.(?:com|co\.uk|net|org)")

_URL_SECTIONS = re.compile(
    r"/(?:videos?|allvideo|video\.aspx|audio|images?|photos?|(?:photo|picture)?-?galler(?:y|ies)"
    r"|slideshows?|tags?|topics?|search|forums?|blogs?|posts|reply|users?|member|register|enter"
    r"|donate|events?|calendar|bookmark|products|resources|apps|plugins|ads|advertising|feed"
    r"|oembed|ajax|wp-json|cgi-bin)(?=[/?]|$)",
    re.IGNORECASE | re.ASCII,
)
"""Parts of an address that are no article, after the list in the code of RealNews."""

_CITATION = re.compile(r"\[[0-9]*\]|\[edit\]|\[citation needed\]")

_BULLETS = np.array([ord(character) for character in "•-*"], np.uint32)


def _packed(phrases: tuple[str, ...]) -> tuple[NDArray[np.uint32], NDArray[np.int64]]:
    """All code points, and where each phrase begins; it ends where the next one begins."""
    codes = np.array([ord(character) for character in "".join(phrases)], np.uint32)
    return codes, np.cumsum([0, *map(len, phrases)])


_PHRASES, _PHRASE_STARTS = _packed(C4_PHRASES)

_BOILER, _BOILER_STARTS = _packed(BOILERPLATE_PHRASES)

_COUNTED, _COUNTED_STARTS = _packed(COUNTED)

_STOPS, _STOP_STARTS = _packed(STOP_WORDS)


# The kernels. They call each other, so they share this file: numba's cache watches only the file of
# the function itself.


@jit
def _mixed(hashed: np.uint64, code: np.uint64) -> np.uint64:
    """The hash with one more code point or hash mixed in; the order counts. Never 0, which marks an
    empty slot of a table."""
    hashed = (hashed ^ (hashed >> np.uint64(32))) * np.uint64(0x9E3779B97F4A7C15)
    hashed = (hashed ^ code) * np.uint64(0xBF58476D1CE4E5B9)
    return (hashed ^ (hashed >> np.uint64(29))) | np.uint64(1)


@jit
def _lower(code: np.uint32) -> np.uint32:
    """The code point, with A to Z in lower case."""
    return np.uint32(code + 32) if 65 <= code <= 90 else code


@jit
def _is_at(
    codes: NDArray[np.uint32], at: int, stop: int, phrases: NDArray[np.uint32], begin: int, end: int
) -> bool:
    """Whether codes[at:stop] begins with phrases[begin:end], in any case."""
    if stop - at < end - begin:
        return False
    for place in range(end - begin):
        if _lower(codes[at + place]) != phrases[begin + place]:
            return False
    return True


@jit
def _seen(table: NDArray[np.uint64], key: np.uint64) -> bool:
    """Whether the open-addressed table already holds the key; adds it if not."""
    mask = np.uint64(len(table) - 1)
    place = (key >> np.uint64(20)) & mask
    while table[place] != 0:
        if table[place] == key:
            return True
        place = (place + np.uint64(1)) & mask
    table[place] = key
    return False


@jit
def _room(count: int) -> int:
    """A power of two of at least twice the count."""
    size = 16
    while size < 2 * count:
        size *= 2
    return size


@jit
def _words(
    codes: NDArray[np.uint32], kinds: NDArray[np.uint8], most: int, out: NDArray[np.int64]
) -> None:
    """Write the measures of words, characters and n-grams into `out`, in the order of `MEASURES`.
    N-grams are searched for among the first `most` words."""
    capacity = min(len(codes), most)
    hashes = np.empty(capacity, np.uint64)
    lengths = np.empty(capacity, np.int64)
    gaps = np.empty(capacity, np.int64)  # 1 before a word that a space precedes, else 0
    count = spaced = characters = with_letters = stops = 0
    broken = number_signs = ellipses = line_feeds = braces = lorem = 0
    reached = 0  # the end of the last word that is searched for n-grams

    # `begin` is the start of the open word; `last` and `at_last` are its last letter or digit so
    # far, and its hash up to there.
    begin = last = -1
    letters = False
    hashed = at_last = np.uint64(1)
    dots = 0
    for place in range(len(codes) + 1):
        code = codes[place] if place < len(codes) else np.uint32(32)
        kind = kinds[code] if code < len(kinds) else np.uint8(0)
        alone = kind & UNSPACED != 0
        if (kind & SPACE != 0 or alone) and begin >= 0:  # the word has ended
            if count < capacity:
                hashes[count] = at_last
                lengths[count] = last + 1 - begin
                gaps[count] = 1
                reached = last + 1
            count += 1
            spaced += 1
            characters += last + 1 - begin
            with_letters += letters
            if last + 1 - begin <= 4:  # no stop word is longer
                for stop in range(len(_STOP_STARTS) - 1):
                    length = _STOP_STARTS[stop + 1] - _STOP_STARTS[stop]
                    if length == last + 1 - begin and _is_at(
                        codes, begin, last + 1, _STOPS, _STOP_STARTS[stop], _STOP_STARTS[stop + 1]
                    ):
                        stops |= 1 << stop
            begin = -1
            letters = False
        if alone:
            if count < capacity:
                hashes[count] = _mixed(np.uint64(1), np.uint64(code))
                lengths[count] = 1
                gaps[count] = 0
                reached = place + 1
            count += 1
            with_letters += 1
        elif kind & (LETTER | NUMBER) != 0:
            if begin < 0:
                begin = place
                hashed = np.uint64(1)
            letters |= kind & LETTER != 0
            hashed = _mixed(hashed, np.uint64(code))
            last = place
            at_last = hashed
        elif begin >= 0:
            hashed = _mixed(hashed, np.uint64(code))
            if kind & MARK != 0:
                last = place
                at_last = hashed

        # characters that are counted one by one: . # { and others
        if code == 46:
            dots += 1
            if dots == 3:
                ellipses += 1
                dots = 0
        else:
            dots = 0
        if code == 0x2026:
            ellipses += 1
        elif code == 35:
            number_signs += 1
        elif code == 123:
            braces += 1
        elif code == 10:
            line_feeds += 1
        elif code == 0xFFFD or (code < 32 and code != 9) or 127 <= code < 160:
            broken += 1
        elif (code == 108 or code == 76) and _is_at(
            codes, place, len(codes), _PHRASES, 0, _PHRASE_STARTS[1]
        ):
            lorem += 1

    in_reach = len(codes) if count <= capacity else reached
    if count - spaced > spaced:
        # A script without spaces: runs between spaces are not words there, so word length and
        # n-grams mean nothing.
        spaced = characters = in_reach = 0
    distinct = 0
    for stop in range(len(_STOP_STARTS) - 1):
        distinct += (stops >> stop) & 1

    out[0] = len(codes)
    out[1] = count
    out[2] = spaced
    out[3] = characters
    out[4] = with_letters
    out[5] = distinct
    out[6] = broken
    out[7] = number_signs
    out[8] = ellipses
    out[9] = line_feeds
    out[10] = braces
    out[11] = lorem
    out[12] = in_reach
    _repetition(hashes[: min(count, capacity)], lengths, gaps, out[13:])


@jit
def _repetition(
    hashes: NDArray[np.uint64],
    lengths: NDArray[np.int64],
    gaps: NDArray[np.int64],
    out: NDArray[np.int64],
) -> None:
    """Write the characters of the most frequent 2-, 3- and 4-gram and of repeated 5- to 10-grams
    (Gopher) into `out`.

    The most frequent n-gram, if it occurs twice, counts its occurrences times its length with a
    space between words; among equally frequent ones the first in the text counts. A repeated n-gram
    counts the characters of its words; the search continues after it.
    """
    count = len(hashes)
    grams = hashes.copy()
    size = _room(count)
    table = np.zeros(size, np.uint64)
    counts = np.zeros(size, np.int64)
    slots = np.empty(count, np.int64)

    # sums of lengths and gaps of the words before each place, so that a range is one subtraction
    until = np.zeros(count + 1, np.int64)
    gaps_until = np.zeros(count + 1, np.int64)
    for place in range(count):
        until[place + 1] = until[place] + lengths[place]
        gaps_until[place + 1] = gaps_until[place] + gaps[place]

    mask = np.uint64(size - 1)
    for n in range(2, DUPLICATE_N[1] + 1):
        grams_now = count - n + 1
        for place in range(grams_now):
            grams[place] = _mixed(grams[place], hashes[place + n - 1])
        if n > 2:
            table[:] = 0
        if n <= TOP_N[1]:
            counts[:] = 0
            often = 0
            for place in range(grams_now):
                key = grams[place]
                slot = (key >> np.uint64(20)) & mask
                while table[slot] != 0 and table[slot] != key:
                    slot = (slot + np.uint64(1)) & mask
                table[slot] = key
                slots[place] = slot
                counts[slot] += 1
                often = max(often, counts[slot])
            place = 0
            while often >= 2 and counts[slots[place]] < often:
                place += 1
            length = (
                until[place + n] - until[place] + gaps_until[place + n] - gaps_until[place + 1]
                if often >= 2
                else 0
            )
            out[n - 2] = often * length
        else:
            place = repeated = 0
            while place < grams_now:
                if _seen(table, grams[place]):
                    repeated += until[place + n] - until[place]
                    place += n
                else:
                    place += 1
            out[n - 2] = repeated


@jit
def _lines(codes: NDArray[np.uint32], kinds: NDArray[np.uint8], out: NDArray[np.int64]) -> None:
    """Write the measures of lines and paragraphs into `out`."""
    feeds = 1
    for code in codes:
        feeds += code == 10
    lines_seen = np.zeros(_room(feeds), np.uint64)
    paragraphs_seen = np.zeros(_room(feeds), np.uint64)
    out[:] = 0

    paragraph = np.uint64(1)
    paragraph_begin = -1
    paragraph_end = 0
    begin = 0
    while begin <= len(codes):
        stop = begin
        while stop < len(codes) and codes[stop] != 10:
            stop += 1
        first = begin
        end = stop
        begin = stop + 1
        while first < end and kinds[codes[first]] & SPACE != 0:
            first += 1
        while end > first and kinds[codes[end - 1]] & SPACE != 0:
            end -= 1
        if first == end or stop == len(codes):  # a paragraph has ended, perhaps with this line
            if first < end:
                paragraph = _line(codes, kinds, first, end, lines_seen, paragraph, out)
                paragraph_begin = first if paragraph_begin < 0 else paragraph_begin
                paragraph_end = end
            if paragraph_begin >= 0:
                out[8] += 1
                if _seen(paragraphs_seen, paragraph):
                    out[9] += 1
                    out[10] += paragraph_end - paragraph_begin
            paragraph = np.uint64(1)
            paragraph_begin = -1
            continue
        paragraph = _line(codes, kinds, first, end, lines_seen, paragraph, out)
        paragraph_begin = first if paragraph_begin < 0 else paragraph_begin
        paragraph_end = end


@jit
def _line(
    codes: NDArray[np.uint32],
    kinds: NDArray[np.uint8],
    first: int,
    end: int,
    seen: NDArray[np.uint64],
    paragraph: np.uint64,
    out: NDArray[np.int64],
) -> np.uint64:
    """Add the line codes[first:end] to the measures. Returns the paragraph's hash with the line
    mixed in."""
    hashed = np.uint64(1)
    upper = tokens = alphanumeric = numbers = words = 0
    in_word = False
    for place in range(first, end):
        code = codes[place]
        kind = kinds[code]
        hashed = _mixed(hashed, np.uint64(code))
        upper += kind & UPPER != 0
        if kind & SPACE != 0:
            in_word = False
        else:
            tokens += place == first or kinds[codes[place - 1]] & SPACE != 0
            if kind & (LETTER | NUMBER) != 0:
                alphanumeric += 1
                numbers += kind & NUMBER != 0
                if kind & UNSPACED != 0:
                    words += 1
                    in_word = False
                elif not in_word:
                    words += 1
                    in_word = True

    length = end - first
    out[0] += 1
    out[1] += length
    if _seen(seen, hashed):
        out[2] += 1
        out[3] += length
    for bullet in _BULLETS:
        out[4] += codes[first] == bullet
    out[5] += _ends_with_ellipsis(codes, first, end)
    out[6] += length < SHORT_LINE
    at = end - 1
    while at > first and kinds[codes[at]] & CLOSER != 0:
        at -= 1
    out[7] += kinds[codes[at]] & END_MARK != 0

    boilerplate = 2 * upper > length or words <= 1 or (alphanumeric > 0 and alphanumeric == numbers)
    if not boilerplate and words <= BOILERPLATE_LINE_WORDS:
        start = first
        # phrases begin behind bullets and quotation marks; `(c)` begins with its bracket
        while start < end and kinds[codes[start]] & (LETTER | NUMBER) == 0 and codes[start] != 40:
            start += 1
        for phrase in range(len(_BOILER_STARTS) - 1):
            boilerplate |= _is_at(
                codes, start, end, _BOILER, _BOILER_STARTS[phrase], _BOILER_STARTS[phrase + 1]
            )

        # a counter: a number and what it counts
        if tokens == 2 and start < end and kinds[codes[start]] & NUMBER != 0:
            while start < end and kinds[codes[start]] & SPACE == 0:
                start += 1
            while start < end and kinds[codes[start]] & SPACE != 0:
                start += 1
            for word in range(len(_COUNTED_STARTS) - 1):
                boilerplate |= _is_at(
                    codes, start, end, _COUNTED, _COUNTED_STARTS[word], _COUNTED_STARTS[word + 1]
                )
    if boilerplate:
        out[11] += words
    return _mixed(paragraph, hashed)


@jit
def _ends_with_ellipsis(codes: NDArray[np.uint32], first: int, end: int) -> bool:
    return codes[end - 1] == 0x2026 or (
        end - first >= 3 and codes[end - 1] == 46 and codes[end - 2] == 46 and codes[end - 3] == 46
    )


@jit
def _c4(
    codes: NDArray[np.uint32], kinds: NDArray[np.uint8], least_words: int, out: NDArray[np.int64]
) -> None:
    """Write C4's counts into `out`: sentences in the lines that its rules keep, the same without
    the rule on how a line ends (FineWeb), and the characters of the kept lines."""
    out[:] = 0
    begin = 0
    while begin < len(codes):
        end = begin
        while end < len(codes) and codes[end] != 10:
            end += 1
        first = begin
        stop = end
        begin = end + 1
        while first < stop and kinds[codes[first]] & SPACE != 0:
            first += 1
        while stop > first and kinds[codes[stop - 1]] & SPACE != 0:
            stop -= 1
        tokens = sentences = token = 0
        dropped = False
        for place in range(first, stop):
            code = codes[place]
            if kinds[code] & SPACE != 0:
                token = 0
                continue
            if kinds[code] & UNSPACED != 0:  # a word of its own
                tokens += 1
                token = 0
            else:
                tokens += token == 0
                token += 1
            dropped |= token > C4_WORD_CHARACTERS
            code = _lower(code)
            # the phrases begin with j, t, p, c and u: a test of the letter saves most comparisons
            if code == 106 or code == 116 or code == 112 or code == 99 or code == 117:
                for phrase in range(1, len(_PHRASE_STARTS) - 1):
                    dropped |= _is_at(
                        codes,
                        place,
                        stop,
                        _PHRASES,
                        _PHRASE_STARTS[phrase],
                        _PHRASE_STARTS[phrase + 1],
                    )
            if kinds[code] & END_MARK != 0:
                after = place + 1
                while after < stop and kinds[codes[after]] & CLOSER != 0:
                    after += 1
                if after == stop or kinds[codes[after]] & SPACE != 0 or code >= FULL_WIDTH:
                    sentences += 1
        if dropped or tokens == 0 or tokens < least_words:
            continue
        at = stop - 1
        while at > first and kinds[codes[at]] & CLOSER != 0:
            at -= 1
        marked = kinds[codes[at]] & END_MARK != 0
        sentences += not marked  # what stands after the last mark
        out[1] += sentences
        quoted = codes[stop - 1] in (0x22, 0x27, 0xBB, 0x201C, 0x201D, 0x2019)
        if (marked or quoted) and not _ends_with_ellipsis(codes, first, stop):
            out[0] += sentences
            out[2] += stop - first


def measure_record(
    language: str | None, date: datetime.date | None, title: str | None, url: str | None
) -> tuple[int, ...]:
    """The `RECORD_MEASURES` of a document, in their order."""
    english = -1 if language is None else int(is_english(language))
    address = url or ""
    path = address.partition("://")[2].partition("#")[0]
    return (
        english,
        int(date is not None),
        len(title or ""),
        len(address),
        len(_URL_ENDINGS.findall(address)),
        len(_URL_SECTIONS.findall(path)),
        place_of(language),
    )


def measure(text: str, c4_line_words: int = 3) -> NDArray[np.int64]:
    """(len(MEASURES),) every measure of one text. C4 drops lines of fewer than `c4_line_words`
    words."""
    row: NDArray[np.int64] = measure_all([text], c4_line_words)[0]
    return row


def measure_all(
    texts: list[str], c4_line_words: int = 3, most: int = REPETITION_WORDS
) -> NDArray[np.int64]:
    """(D, len(MEASURES)) every measure of each text."""
    out = np.zeros((len(texts), len(MEASURES)), np.int64)
    kinds = flags()
    lines = MEASURES.index("lines")
    c4 = MEASURES.index("c4_sentences")
    for row, text in zip(out, texts):
        codes = _codes(text)
        _words(codes, kinds, most, row)
        _lines(codes, kinds, row[lines:c4])

        # C4 removes marks of citations and edit links before it looks at lines
        if "[" in text:
            codes = _codes(_CITATION.sub("", text))
        _c4(codes, kinds, c4_line_words, row[c4:])
    return out


def _codes(text: str) -> NDArray[np.uint32]:
    return np.frombuffer(text.encode("utf-32-le", "surrogatepass"), np.uint32)
