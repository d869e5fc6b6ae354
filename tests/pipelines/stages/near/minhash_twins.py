"""The twins of `pipelines.stages.near.kernels` and of the decision, in plain Python that shares
nothing with them."""

import re
from collections.abc import Iterable, Sequence

MASK = (1 << 64) - 1
BINS = 256


def words(text: str) -> list[str]:
    return re.findall(r"\w+", text.lower())


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
