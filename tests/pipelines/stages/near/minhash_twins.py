"""The twins of `pipelines.stages.near.kernels` and of the decision, in plain Python that shares
nothing with them."""

import re
import unicodedata
from collections.abc import Iterable, Sequence

MASK = (1 << 64) - 1
BINS = 256


UNSPACED = re.compile(
    "THAI|LAO|MYANMAR|KHMER|TAI |NEW TAI|CJK|IDEOGRAPHIC|HANGZHOU|HIRAGANA|KATAKANA|HALFWIDTH KATA"
    "|BOPOMOFO|YI |NUSHU CHAR|HENTAIGANA|VERTICAL KANA|VERTICAL IDEO|MASU"
)


def is_letter_alone(character: str) -> bool:
    """A letter of a script that sets no spaces, by its name."""
    is_letter = unicodedata.category(character)[0] == "L"
    return is_letter and bool(UNSPACED.match(unicodedata.name(character, "")))


def words(text: str) -> list[str]:
    found: list[str] = []
    is_open = may_grow = False  # a letter may follow; a mark may follow
    for character in text.lower():
        if character in "\u200c\u200d" or unicodedata.category(character)[0] == "M":
            if may_grow:
                found[-1] += character
        elif is_letter_alone(character):
            found.append(character)
            is_open, may_grow = False, True
        elif re.match(r"\w", character):
            found[-1:] = [found[-1] + character] if is_open else [*found[-1:], character]
            is_open = may_grow = True
        else:
            is_open = may_grow = False
    return found


def shingles(text: str, ngram: int = 5) -> set[tuple[str, ...]]:
    found = words(text)
    return {tuple(found[i : i + ngram]) for i in range(len(found) - ngram + 1)}


def jaccard(left: set[tuple[str, ...]], right: set[tuple[str, ...]]) -> float:
    return len(left & right) / len(left | right) if left | right else 0.0


def mix(x: int) -> int:
    x ^= x >> 33
    x = x * 0xFF51AFD7ED558CCD & MASK
    x ^= x >> 33
    x = x * 0xC4CEB9FE1A85EC53 & MASK
    return x ^ x >> 33


def word_hash(word: str) -> int:
    h = 0xD6E8FEB86659FD93
    for character in word:
        h = (h * 0x9FB21C651E98DF25 + ord(character)) & MASK
    return h


def shingle_hashes(text: str, ngram: int = 5) -> list[int]:
    hashes = [mix(word_hash(word)) for word in words(text)]
    found = []
    for i in range(len(hashes) - ngram + 1):
        total = 0
        for h in hashes[i : i + ngram]:
            total = (total * 0xA0761D6478BD642F + h) & MASK
        found.append(mix(total))
    return found


def sketch(hashes: Sequence[int], bins: int = BINS) -> list[int]:
    """Fast similarity sketching, by the paper's own words: round after round, only what is empty
    when a round begins."""
    values: list[int | None] = [None] * bins
    for number in range(2 * bins):
        empty = {place for place in range(bins) if values[place] is None}
        if not empty:
            break
        for shingle in hashes:
            h = shingle if number == 0 else shingle * (mix(number) | 1) & MASK
            place = h >> 56 if number < bins else number - bins
            held = values[place]
            if place in empty and (held is None or h < held):
                values[place] = h
    return [value for value in values if value is not None]


def band_keys(values: Sequence[int], rows: int) -> list[int]:
    keys = []
    for band in range(len(values) // rows):
        key = band
        for value in values[band * rows : (band + 1) * rows]:
            key = mix((key * 0x9E3779B97F4A7C15 + value) & MASK)
        keys.append(key)
    return keys


def second_keys(shingles: Sequence[int], tables: int, rows: int) -> list[int]:
    """Keys of further sketches, each of shingles that are hashed anew."""
    keys: list[int] = []
    number = 1
    while len(keys) < tables:
        seed = mix(number * 0x9E3779B97F4A7C15 & MASK)
        keys += band_keys(sketch([mix(shingle ^ seed) for shingle in shingles]), rows)
        number += 1
    return keys


def runs(records: Iterable[tuple[int, int, int]], most: int) -> set[tuple[int, int]]:
    """Pairs of places (later, earlier) of records (key, order, place): each with the first `most`
    before it."""
    by_key: dict[int, list[tuple[int, int]]] = {}
    for key, order, place in records:
        by_key.setdefault(key, []).append((order, place))
    found = set()
    for group in by_key.values():
        group.sort()
        for i, (_, later) in enumerate(group):
            found |= {(later, earlier) for _, earlier in group[: min(i, most)]}
    return found


def settle(
    near: dict[tuple[int, int], int], contained: dict[tuple[int, int], int], by_words: Sequence[int]
) -> dict[int, tuple[int, int, str]]:
    """Document -> (twin, score, kind). `near` (later, earlier) -> score; `contained` (smaller,
    larger) -> score."""

    def best(candidates: list[tuple[int, int]]) -> tuple[int, int] | None:
        """(score, twin): the highest score; of those the candidate that comes first."""
        top = None
        for score, twin in candidates:
            if top is None or score > top[0]:
                top = (score, twin)
        return top

    inside: set[int] = set()
    for small in sorted(range(len(by_words)), key=lambda document: by_words[document]):
        if any(pair[0] == small and pair[1] not in inside for pair in contained):
            inside.add(small)
    while True:
        gone: dict[int, tuple[int, int]] = {}
        for later in range(len(by_words)):
            if later not in inside:
                found = best(
                    [
                        (near[later, earlier], earlier)
                        for earlier in range(later)
                        if (later, earlier) in near and earlier not in inside | gone.keys()
                    ]
                )
                if found:
                    gone[later] = found
        larger = {
            small: best(
                [
                    (contained[small, large], large)
                    for large in sorted(range(len(by_words)), key=lambda d: by_words[d])
                    if (small, large) in contained and large not in inside | gone.keys()
                ]
            )
            for small in inside
        }
        lost = {small for small, found in larger.items() if found is None}
        if not lost:
            break
        inside -= lost
    result = {later: (twin, score, "near") for later, (score, twin) in gone.items()}
    return result | {
        small: (found[1], found[0], "contained") for small, found in larger.items() if found
    }
