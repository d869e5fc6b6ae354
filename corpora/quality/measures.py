"""Measures of a document's text: whole numbers, so that shares of them compare exactly. What they
decide: `corpora.quality.rules`.

A word is what white space separates and holds a letter or a digit; it reaches from the first of
these to the last, so that marks of punctuation are neither words nor parts of them. (Tools that
count marks as words refuse 23 of 161 good English news pages by Gopher's share of words with
letters.) Of scripts without spaces each letter is a word. A line is what line feeds separate,
without blanks at its ends, unless it is empty; a paragraph is what empty lines separate.

The kernels here are numba over code points; their slow twin in plain Python stands in
tests/helpers/measures_twin.py.
"""

import datetime
import re
from typing import cast

import numpy as np
from numpy.typing import NDArray

from corpora.quality.rules import DUPLICATE_N, MEASURES, STOP_WORDS, TOP_N
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

VERSION = 1
"""Goes up when the same text gives other numbers."""

REPETITION_WORDS = 1_000_000
"""N-grams are looked for in this many words from the start: memory is bounded, and no page has as
many."""

C4_WORD_CHARACTERS = 1000
"""C4 drops a line with a longer word."""

FULL_WIDTH = 0x3000
"""From here on a mark ends a sentence though no space follows it."""

SHORT_LINE = 30
"""FineWeb calls a line of fewer characters short."""

BOILERPLATE_LINE_WORDS = 10
"""A phrase of boilerplate counts at the beginning of a line of at most this many words
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
"""In any case. The first is asked of the page; a line with one of the others is dropped."""

BOILERPLATE_PHRASES = (
    *(
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
    ),
    *(
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
    ),
    *("getty images", "all rights reserved", "copyright", "(c) ", "items in cart", "loading"),
)
"""How lines begin that belong to the page and not to the article, in any case: credits,
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
    r"/(?:videos?|allvideo|video\.aspx|audio|images?|photos?|(?:photo|picture)?-?galler(?:y|ies)|slideshows?|tags?|topics?|search|forums?|blogs?|posts|reply"
    r"|users?|member|register|enter|donate|events?|calendar|bookmark|products|resources|apps|plugins|ads|advertising|feed|oembed|ajax|wp-json|cgi-bin)(?=[/?]|$)",
    re.IGNORECASE | re.ASCII,
)
"""Parts of an address that name no article; after the list of RealNews' code."""

_CITATION = re.compile(r"\[[0-9]*\]|\[edit\]|\[citation needed\]")

_BULLETS = np.array([ord(character) for character in "•-*"], np.uint32)


def _packed(phrases: tuple[str, ...]) -> tuple[NDArray[np.uint32], NDArray[np.int64]]:
    """All code points, and where each phrase begins; its end is the beginning of the next."""
    codes = np.array([ord(character) for phrase in phrases for character in phrase], np.uint32)
    return codes, np.cumsum([0, *map(len, phrases)])


_PHRASES, _PHRASE_STARTS = _packed(C4_PHRASES)

_BOILER, _BOILER_STARTS = _packed(BOILERPLATE_PHRASES)

_COUNTED, _COUNTED_STARTS = _packed(COUNTED)

_STOPS, _STOP_STARTS = _packed(STOP_WORDS)


@jit
def _mixed(hashed: np.uint64, code: np.uint64) -> np.uint64:
    """The hash with one more thing in it, which may be a hash too (the order counts); never 0,
    which marks an empty place of a table."""
    hashed = (hashed ^ (hashed >> np.uint64(32))) * np.uint64(0x9E3779B97F4A7C15)
    hashed = (hashed ^ code) * np.uint64(0xBF58476D1CE4E5B9)
    return (hashed ^ (hashed >> np.uint64(29))) | np.uint64(1)


@jit
def _lower(code: np.uint32) -> np.uint32:
    """A to Z as a to z."""
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
    """Whether the key was put into this open-addressed table before; now it is."""
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
    """The measures of words and characters, n-grams among the first `most` words, into `out`: in
    the order of `MEASURES`."""
    capacity = min(len(codes), most)
    hashes, lengths, gaps = (
        np.empty(capacity, np.uint64),
        np.empty(capacity, np.int64),
        np.empty(capacity, np.int64),
    )
    count = spaced = characters = with_letters = stops = 0
    broken = number_signs = ellipses = line_feeds = braces = lorem = 0
    reached = 0  # the end of the last word that is looked at for n-grams
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
                hashes[count], lengths[count], gaps[count] = at_last, last + 1 - begin, 1
                reached = last + 1
            count += 1
            spaced += 1
            characters += last + 1 - begin
            with_letters += letters
            if last + 1 - begin <= 4:
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
                hashes[count], lengths[count], gaps[count] = (
                    _mixed(np.uint64(1), np.uint64(code)),
                    1,
                    0,
                )
                reached = place + 1
            count += 1
            with_letters += 1
        elif kind & (LETTER | NUMBER) != 0:
            if begin < 0:
                begin, hashed = place, np.uint64(1)
            letters |= kind & LETTER != 0
            hashed = _mixed(hashed, np.uint64(code))
            last, at_last = place, hashed
        elif begin >= 0:
            hashed = _mixed(hashed, np.uint64(code))
            if kind & MARK != 0:
                last, at_last = place, hashed
        # other characters that are counted
        if code == 46:
            dots += 1
            if dots == 3:
                ellipses, dots = ellipses + 1, 0
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
    if (
        count - spaced > spaced
    ):  # a script without spaces: what stands between spaces there are not words
        spaced = characters = in_reach = 0
    distinct = 0
    for stop in range(len(_STOP_STARTS) - 1):
        distinct += (stops >> stop) & 1
    out[0], out[1], out[2], out[3], out[4], out[5] = (
        len(codes),
        count,
        spaced,
        characters,
        with_letters,
        distinct,
    )
    out[6], out[7], out[8], out[9], out[10], out[11] = (
        broken,
        number_signs,
        ellipses,
        line_feeds,
        braces,
        lorem,
    )
    out[12] = in_reach
    _repetition(hashes[: min(count, capacity)], lengths, gaps, out[13:])


@jit
def _repetition(
    hashes: NDArray[np.uint64],
    lengths: NDArray[np.int64],
    gaps: NDArray[np.int64],
    out: NDArray[np.int64],
) -> None:
    """Characters of the most frequent 2-, 3- and 4-gram and of repeated 5- to 10-grams (Gopher),
    into `out`.

    The most frequent, if it occurs twice: its occurrences times its length with a space between
    words; of equally frequent ones the one that is first in the text. A repeated one: the
    characters of its words; the search goes on after it.
    """
    count = len(hashes)
    grams = hashes.copy()
    size = _room(count)
    table, counts, slots = (
        np.zeros(size, np.uint64),
        np.zeros(size, np.int64),
        np.empty(count, np.int64),
    )
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
    """The measures of lines and paragraphs, into `out`."""
    feeds = 1
    for code in codes:
        feeds += code == 10
    lines_seen, paragraphs_seen = (
        np.zeros(_room(feeds), np.uint64),
        np.zeros(_room(feeds), np.uint64),
    )
    out[:] = 0
    paragraph, paragraph_begin, paragraph_end = np.uint64(1), -1, 0
    begin = 0
    while begin <= len(codes):
        stop = begin
        while stop < len(codes) and codes[stop] != 10:
            stop += 1
        first, end = begin, stop
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
            paragraph, paragraph_begin = np.uint64(1), -1
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
    """Add the line codes[first:end] to the measures; returns the hash of the paragraph with it."""
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
        while start < end and kinds[codes[start]] & (LETTER | NUMBER) == 0 and codes[start] != 40:
            start += 1
        for phrase in range(len(_BOILER_STARTS) - 1):
            boilerplate |= _is_at(
                codes, start, end, _BOILER, _BOILER_STARTS[phrase], _BOILER_STARTS[phrase + 1]
            )
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
    """C4's sentences: in lines that its rules keep; the same with any end of line (FineWeb); and
    the characters of the former."""
    out[:] = 0
    begin = 0
    while begin < len(codes):
        end = begin
        while end < len(codes) and codes[end] != 10:
            end += 1
        first, stop = begin, end
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
                tokens, token = tokens + 1, 0
            else:
                tokens += token == 0
                token += 1
            dropped |= token > C4_WORD_CHARACTERS
            code = _lower(code)
            if (
                code == 106 or code == 116 or code == 112 or code == 99 or code == 117
            ):  # j, t, p, c, u begin a phrase
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
    """The `RECORD_MEASURES`."""
    english = -1 if language is None else int(language == "en")
    address = url or ""
    sections = len(_URL_SECTIONS.findall(address.partition("://")[2].partition("#")[0]))
    return (
        english,
        int(date is not None),
        len(title or ""),
        len(address),
        len(_URL_ENDINGS.findall(address)),
        sections,
    )


def measure(text: str, c4_line_words: int = 3) -> NDArray[np.int64]:
    """(len(MEASURES),) every measure of a text. `c4_line_words`: C4 drops a line of fewer words."""
    (row,) = measure_all([text], c4_line_words)
    return cast(NDArray[np.int64], row)


def measure_all(
    texts: list[str], c4_line_words: int = 3, most: int = REPETITION_WORDS
) -> NDArray[np.int64]:
    """(D, len(MEASURES)) every measure of each text."""
    out = np.zeros((len(texts), len(MEASURES)), np.int64)
    kinds = flags()
    lines = 13 + DUPLICATE_N[1] - 1
    for row, text in enumerate(texts):
        codes = _codes(text)
        _words(codes, kinds, most, out[row])
        _lines(codes, kinds, out[row, lines : lines + 12])
        if "[" in text:
            codes = _codes(_CITATION.sub("", text))
        _c4(codes, kinds, c4_line_words, out[row, lines + 12 :])
    return out


def _codes(text: str) -> NDArray[np.uint32]:
    return np.frombuffer(text.encode("utf-32-le", "surrogatepass"), np.uint32)
