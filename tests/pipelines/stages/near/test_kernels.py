"""The kernels of near-deduplication, each against an independent twin in plain Python."""

import random
import re
import subprocess
import sys
import unicodedata
from collections import Counter
from pathlib import Path

import minhash_twins as twins
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from corpora.text import unicode_table
from pipelines.stages.near import decision, kernels, pair_sets
from pipelines.stages.near import pairs as proposing
from pipelines.stages.near.bands import (
    band_scheme,
    found_chance,
    long_scheme,
    lowest_threshold,
)
from pipelines.stages.near.word_table import (
    ALONE,
    CASED,
    IGNORABLE,
    LOWER,
    MARK,
    SPECIAL,
    WORD,
    interpreter_entry,
    word_table,
)

ROOT = Path(__file__).resolve().parents[4]
SAME_UNICODE = pytest.mark.skipif(
    unicodedata.unidata_version != unicode_table.UNICODE,
    reason="the interpreter's Unicode is another than the table's",
)


def kernel_shingles(text: str, ngram: int = 5) -> list[int]:
    return kernels.shingles_of(np.frombuffer(text.encode(), np.uint8), ngram, word_table()).tolist()


def kernel_words(text: str) -> list[int]:
    content = np.frombuffer(text.encode(), np.uint8)
    out = np.empty(len(content) // 2 + 3, np.uint64)
    return out[: kernels.hash_words(content, word_table(), out)].tolist()


def twin_words(text: str) -> list[int]:
    return [twins.word_hash(word) for word in twins.words(text)]


# --- words
# ----------------------------------------------------------------------------


def test_the_table_is_right_for_every_code_point() -> None:
    """Of characters that both the interpreter and the table know; a later Unicode may give an older
    letter a lower form."""
    table = word_table()
    assert len(table) == sys.maxunicode + 1
    known = [code for code in range(sys.maxunicode + 1) if unicodedata.category(chr(code)) != "Cn"]
    wrong = []
    for code in known:
        lowered, flags = interpreter_entry(code)
        if (int(table[code]) & LOWER, int(table[code]) >> 28 & ~4) != (lowered, flags):
            wrong.append(code)
    if unicodedata.unidata_version == unicode_table.UNICODE:
        assert wrong == []
    else:
        assert len(wrong) < (10_000 if unicodedata.unidata_version > unicode_table.UNICODE else 1)
    for code in range(sys.maxunicode + 1):  # what a table of any year says of them
        is_rare = table[code] & np.uint32(MARK | ALONE) > 0 or code in (0x130, 0x3A3)
        assert (table[code] & np.uint32(SPECIAL) > 0) == is_rare
    assert table[ord("A")] == np.uint32(ord("a") | WORD | CASED) and table[ord(".")] == np.uint32(
        ord(".") | IGNORABLE
    )


@SAME_UNICODE
@pytest.mark.builds
def test_words_with_every_code_point() -> None:
    """Each between letters, alone, after a capital sigma and before one."""
    codes = [code for code in range(sys.maxunicode + 1) if not 0xD800 <= code < 0xE000]
    for begin in range(0, len(codes), 5000):
        text = " ".join(
            (
                f"a{chr(code)}b {chr(code)} A{chr(code)}\u03a3 \u03a3{chr(code)}A "
                f"B\u03a3{chr(code)} {chr(code)}\u03a3"
            )
            for code in codes[begin : begin + 5000]
        )
        assert kernel_words(text) == twin_words(text), hex(codes[begin])


TEXT = st.text(
    alphabet=st.one_of(
        st.sampled_from("aA1_ .'-\u03a3\u0130\u00e9\u0301\u00ad\u4e2d\U0001d400"),
        st.characters(exclude_categories=["Cs", "Cn"]),
    ),
    max_size=60,
)


@SAME_UNICODE
@given(text=TEXT)
def test_words_of_any_text(text: str) -> None:
    assert kernel_words(text) == twin_words(text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "\u039f\u0394\u039f\u03a3 \u03a3 \u03a3\u0391\u03a3.",
            ["οδος", "σ", "σας"],
        ),  # the final sigma
        ("\u0130stanbul", ["i\u0307stanbul"]),  # lower makes a dot of its own, a mark of the i
        ("½ ² snake_case don't 3.14 ١٢", ["½", "²", "snake_case", "don", "t", "3", "14", "١٢"]),
        ("क्षत्रिय हैं", ["क्षत्रिय", "हैं"]),  # vowel signs and viramas are marks
        ("नमस्\u200dते", ["नमस्\u200dते"]),
        ("\u0301a \u2764\ufe0f", ["a"]),  # a mark without a word before it
        ("東京tower2塔", ["東", "京", "tower2", "塔"]),
        ("กินข้าว", ["กิ", "น", "ข้", "า", "ว"]),
        ("パーティー・ 한국어", ["パ", "ー", "テ", "ィ", "ー", "한국어"]),
        ("", []),
        ("!?", []),
    ],
)
def test_words_that_are_easily_wrong(text: str, expected: list[str]) -> None:
    assert twins.words(text) == expected
    assert kernel_words(text) == twin_words(text)


def test_a_sigma_between_a_million_points_takes_no_time() -> None:
    text = "A" + "." * 1_000_000 + "\u03a3" + "." * 1_000_000 + "\u03a3" * 1000
    assert len(kernel_words(text)) == len(twin_words(text))


# --- shingles and sketches
# ----------------------------------------------------------------------------------------


@SAME_UNICODE
@given(text=TEXT, ngram=st.integers(1, 7))
def test_shingles_of_any_text(text: str, ngram: int) -> None:
    assert kernel_shingles(text, ngram) == twins.shingle_hashes(text, ngram)


def test_figures_are_kept_and_short_texts_have_no_shingles() -> None:
    assert kernel_shingles("one two three four") == []
    assert kernel_shingles("on page 17 of 20") != kernel_shingles("on page 18 of 20")
    assert kernel_shingles("On page, 17 OF 20!") == kernel_shingles("on page 17 of 20")


@pytest.mark.parametrize("count", [1, 2, 7, 60, 300, 3000])
def test_sketches_and_band_keys_equal_the_twin(count: int) -> None:
    draw = random.Random(count)
    hashes = [draw.getrandbits(64) for _ in range(count)]
    values = np.empty(kernels.BINS, np.uint64)
    kernels.sketch(np.array(hashes, np.uint64), count, values)
    assert values.tolist() == twins.sketch(hashes)
    again = np.empty(kernels.BINS, np.uint64)
    kernels.sketch(np.array(hashes + hashes, np.uint64), 2 * count, again)
    assert again.tolist() == values.tolist()  # of the set
    for rows in (1, 2, 4, 8, 16):
        keys = np.empty(kernels.BINS // rows, np.uint64)
        kernels.band_keys(values, rows, keys)
        assert keys.tolist() == twins.band_keys(values.tolist(), rows)


def test_sign_gives_the_keys_of_each_text() -> None:
    texts = [
        "",
        "one two three four",
        "One two three four five.",
        "x " * 3000,
        "a b c d e f g " * 40,
    ]
    content = "".join(texts).encode()
    ends = np.concatenate([[0], np.cumsum([len(text.encode()) for text in texts])])
    keys, words = np.zeros((5, 32), np.uint64), np.zeros(5, np.uint32)
    kernels.sign(
        np.frombuffer(content, np.uint8),
        ends,
        np.array([True, True, True, False, True]),
        5,
        word_table(),
        keys,
        words,
    )
    assert words.tolist() == [0, 4, 5, 0, 280]
    for number in (2, 4):
        assert keys[number].tolist() == twins.band_keys(
            twins.sketch(twins.shingle_hashes(texts[number])), 8
        )
    assert not keys[[0, 1, 3]].any()


def mutated(words: list[str], share: float, draw: random.Random) -> list[str]:
    return [draw.choice(words) + "x" if draw.random() < share else word for word in words]


@pytest.mark.parametrize(
    ("length", "share"), [(40, 0.03), (100, 0.03), (100, 0.08), (1000, 0.03), (4000, 0.03)]
)
def test_estimates_are_within_theory_on_mutated_real_text(
    length: int, share: float, novels: Path
) -> None:
    """RMSE of the estimate over 400 pairs against sqrt(J (1 - J) / 256), and a bias under three
    standard errors."""
    words = twins.words(sorted(novels.iterdir())[0].read_text("utf-8"))
    draw = random.Random(length)
    errors, theory = [], []
    count = 400 if length < 4000 else 120
    values = np.empty((2, kernels.BINS), np.uint64)
    for _ in range(count):
        begin = draw.randrange(max(1, len(words) - length))
        left = words[begin : begin + length]
        sets = []
        for side, text in enumerate((left, mutated(left, share, draw))):
            hashes = kernels.shingles_of(
                np.frombuffer(" ".join(text).encode(), np.uint8), 5, word_table()
            )
            kernels.sketch(hashes, len(hashes), values[side])
            sets.append(set(hashes.tolist()))
        true = len(sets[0] & sets[1]) / len(sets[0] | sets[1])
        errors.append(float((values[0] == values[1]).mean()) - true)
        theory.append(true * (1 - true) / kernels.BINS)
    rmse, expected = float(np.sqrt(np.mean(np.square(errors)))), float(np.sqrt(np.mean(theory)))
    assert rmse < 1.05 * expected * (1 + 2 / count**0.5), (rmse, expected)
    assert abs(float(np.mean(errors))) < 3 * expected / count**0.5


@pytest.mark.parametrize("count", [1, 40, 700])
def test_second_signatures_equal_the_twin(count: int) -> None:
    draw = random.Random(count)
    sets = [sorted({draw.getrandbits(64) for _ in range(count)}) for _ in range(2)]
    ends = np.cumsum([0, *map(len, sets)])
    keys = np.empty((2, 48), np.uint64)
    kernels.sign_sets(np.array([*sets[0], *sets[1]], np.uint64), ends, 16, keys)
    assert keys.tolist() == [twins.second_keys(shingles, 48, 16) for shingles in sets]


def test_the_schemes_of_second_signatures() -> None:
    """Twice the rows; recall at the threshold of 0.8 is that of the first signatures or better."""
    assert long_scheme(8) == (256, 16) and long_scheme(4) == (512, 8) and long_scheme(16)[1] == 32
    assert found_chance(0.8, *long_scheme(8)) > 0.999 > found_chance(0.8, 32, 8)
    assert found_chance(0.6, *long_scheme(8)) < 0.07


PLACE = st.tuples(st.integers(3, 6) | st.just(5000), st.integers(0, 9) | st.just(2**32 - 1))

PLACE_PAIRS = st.lists(st.tuples(PLACE, PLACE), max_size=30)


def places(pairs: list[tuple[tuple[int, int], tuple[int, int]]]) -> list[tuple[int, int]]:
    """Pairs of (group, row) as pairs of places."""
    return [(a << 32 | b, c << 32 | d) for (a, b), (c, d) in pairs]


@given(drawn=PLACE_PAIRS, cut=st.floats(0, 1))
def test_sets_of_pairs_equal_those_of_python(
    drawn: list[tuple[tuple[int, int], tuple[int, int]]], cut: float
) -> None:
    """Where two places fit into 64 bits, and where a row of 32 bits forbids it."""
    pairs = places(drawn)
    array = np.array(pairs, np.uint64).reshape(-1, 2)
    once = pair_sets.each_once(array)
    assert [tuple(pair) for pair in once.tolist()] == sorted(set(pairs))

    by_second = pair_sets.by_second(array)
    assert [tuple(pair) for pair in by_second.tolist()] == sorted(pairs, key=lambda p: p[::-1])

    known = sorted(set(pairs[: int(cut * len(pairs))]))
    new = pair_sets.without(once, np.array(known, np.uint64).reshape(-1, 2))
    assert [tuple(pair) for pair in new.tolist()] == sorted(set(pairs) - set(known))


# --- runs, sets, decisions
# ----------------------------------------------------------------------------------------


def test_the_schemes_and_their_curve() -> None:
    assert (
        band_scheme(0.8) == (32, 8) and band_scheme(0.5) == (64, 4) and band_scheme(1.0) == (16, 16)
    )
    assert [
        round(found_chance(similarity, 32, 8), 3) for similarity in (0.3, 0.5, 0.6, 0.7, 0.8)
    ] == [0.002, 0.118, 0.418, 0.85, 0.997]
    for step in range(10, 101):
        bands, rows = band_scheme(step / 100)
        assert bands * rows == 256 and lowest_threshold(rows) <= step / 100
        assert found_chance(step / 100, bands, rows) >= 0.98


def test_a_threshold_between_two_hundredths() -> None:
    """Every threshold that a scheme is chosen for is served by it."""
    for step in range(490, 1001):
        _, rows = band_scheme(step / 1000)
        assert lowest_threshold(rows) <= step / 1000


RECORD = st.tuples(st.integers(0, 5), st.integers(0, 3))


@given(records=st.lists(RECORD, max_size=40), most=st.integers(1, 5), room=st.integers(5, 50))
def test_runs_equal_the_twin(records: list[tuple[int, int]], most: int, room: int) -> None:
    numbered = sorted((key, order, place) for place, (key, order) in enumerate(records))
    keys, order, places = (np.array([row[i] for row in numbered], np.uint64) for i in range(3))
    out = np.empty((room, 2), np.uint64)
    found, left_out, at = [], 0, 0
    while at < len(keys):
        at, written, missed = kernels.pair_runs(keys, order, places, at, most, out)
        found += [tuple(pair) for pair in out[:written].tolist()]
        left_out += missed
    assert set(found) == twins.runs(numbered, most) and len(found) == len(set(found))
    sizes = [sum(key == row[0] for row in numbered) for key in {row[0] for row in numbered}]
    assert left_out + len(found) == sum(size * (size - 1) // 2 for size in sizes)


@given(records=st.lists(RECORD, max_size=40), draw=st.randoms())
def test_pairs_of_runs_name_the_later_one_first(
    records: list[tuple[int, int]], draw: random.Random
) -> None:
    """In whatever order the records of a run come: later and earlier are by order and place."""
    numbered = [(key, order, place) for place, (key, order) in enumerate(records)]
    draw.shuffle(numbered)
    numbered.sort(key=lambda record: record[0])
    keys, order, places = (np.array([row[i] for row in numbered], np.uint64) for i in range(3))
    out = np.empty((2000, 2), np.uint64)
    _, written, _ = kernels.pair_runs(keys, order, places, 0, 50, out)
    assert {tuple(pair) for pair in out[:written].tolist()} == twins.runs(numbered, 50)


LONG_RECORD = st.tuples(
    st.integers(0, 2), st.integers(0, 3), st.integers(0, 3), st.integers(0, 8), st.booleans()
)
"""Key, order, next key, long runs, and whether it is taken for one of a long run (by its key)."""


@given(drawn=st.lists(LONG_RECORD, max_size=40))
def test_long_runs_begin_with_the_middle_of_a_template(
    drawn: list[tuple[int, int, int, int, bool]],
) -> None:
    """Against plain Python: four records in the middle, the largest part, others in the middle;
    and the other parts as runs of their own."""
    rows = sorted((key, order, place, *more) for place, (key, order, *more) in enumerate(drawn))
    long_keys = {row[0] for row in rows if row[5]}
    columns = [np.array([row[i] for row in rows], np.uint64) for i in (0, 2, 1, 3, 4)]
    is_long = np.array([row[0] in long_keys for row in rows], np.bool_)
    short, whole, parts = proposing._split(proposing.Runs(*columns), is_long)
    assert short.places.tolist() == [row[2] for row in rows if row[0] not in long_keys]

    expected_whole, expected_parts = [], []
    for key in sorted(long_keys):
        run = [row for row in rows if row[0] == key]
        median = sorted(row[4] for row in run)[len(run) // 2]
        middle = [row for row in run if 2 * row[4] >= median]
        by_next: dict[int, list[tuple[int, ...]]] = {}
        for row in run:
            by_next.setdefault(row[3], []).append(row)
        largest = max(by_next.values(), key=len)  # the first of several
        turns = [middle[:4], largest, middle, run]
        expected_whole += list(dict.fromkeys(row[2] for turn in turns for row in turn))
        expected_parts += [
            {row[2] for row in part} for part in by_next.values() if part is not largest
        ]

    assert whole.places.tolist() == expected_whole
    found = [set(parts.places[parts.keys == key].tolist()) for key in np.unique(parts.keys)]
    assert sorted(map(sorted, found)) == sorted(map(sorted, expected_parts))


@given(bands=st.lists(st.lists(st.tuples(st.integers(0, 5), st.booleans())), max_size=5))
def test_long_runs_are_counted_for_each_document(bands: list[list[tuple[int, bool]]]) -> None:
    met = np.zeros(0, proposing.MET)
    left = Counter[int]()
    for band in map(dict, bands):
        left.update(place for place, is_left in band.items() if is_left)
        places, is_left = np.array([*band], np.uint64), np.array([*band.values()], np.bool_)
        met = proposing.added_up(met, proposing._met(places, is_left))
    runs = Counter(place for band in map(dict, bands) for place in band)
    assert met.tolist() == [(place, runs[place], left[place]) for place in sorted(runs)]


@given(keys=st.lists(st.integers(0, 2**64 - 1) | st.integers(0, 20), max_size=60))
def test_what_may_repeat_and_the_order_by_bucket(keys: list[int]) -> None:
    array = np.array(keys, np.uint64)
    repeated = np.empty(len(keys), np.bool_)
    kernels.may_repeat(array, np.zeros(1 << (8 * len(keys) + 1).bit_length(), np.uint8), repeated)
    assert all(repeated[i] for i in range(len(keys)) if keys.count(keys[i]) > 1)
    order, bounds = np.empty(len(keys), np.int64), np.zeros(257, np.uint32)
    kernels.bucket_sort(array, order, bounds)
    assert order.tolist() == sorted(range(len(keys)), key=lambda i: keys[i] >> 56)
    assert bounds.tolist() == [sum(key >> 56 < bucket for key in keys) for bucket in range(257)]


def test_few_unique_keys_are_taken_for_repeated() -> None:
    draw = np.random.default_rng(0)
    keys = draw.integers(0, 2**64, 100_000, np.uint64)
    repeated = np.empty(len(keys), np.bool_)
    kernels.may_repeat(keys, np.zeros(1 << (8 * len(keys) + 1).bit_length(), np.uint8), repeated)
    assert repeated.mean() < 0.125


SETS = st.lists(
    st.sets(st.integers(0, 30) | st.integers(2**64 - 3, 2**64 - 1), min_size=1, max_size=20),
    min_size=1,
    max_size=6,
)


@given(left=SETS, right=SETS, least=st.tuples(st.integers(0, 10**9), st.integers(0, 10**9)))
def test_similarities_equal_those_of_sets(
    left: list[set[int]], right: list[set[int]], least: tuple[int, int]
) -> None:
    """Of sets that are alike or contained to what is asked for; of others less than that."""
    pairs = [(i, j) for i in range(len(left)) for j in range(len(right))]
    out = np.empty((len(pairs), 3), np.int64)

    def packed(sets: list[set[int]]) -> tuple[np.ndarray, np.ndarray]:
        return np.array(
            [value for one in sets for value in sorted(one)], np.uint64
        ), np.concatenate([[0], np.cumsum([len(one) for one in sets])])

    kernels.similarities(*packed(left), *packed(right), np.array(pairs, np.int64), least, out)
    for (i, j), found in zip(pairs, out.tolist()):
        shared = len(left[i] & right[j])
        expected = [
            shared * 10**9 // len(left[i] | right[j]),
            shared * 10**9 // len(left[i]),
            shared * 10**9 // len(right[j]),
        ]
        if expected[0] >= least[0] or max(expected[1:]) >= least[1]:
            assert found == expected
        else:
            assert found[0] < least[0] and max(found[1:]) < least[1]


def test_long_sets_are_compared_to_the_end() -> None:
    """Over many looks at what can still be shared, at both sides of the bound."""
    left = set(range(1000))
    for shared in range(0, 1001, 7):
        right = set(range(1000 - shared, 2000 - shared))
        arrays = [np.array(sorted(side), np.uint64) for side in (left, right)]
        assert kernels.common(*arrays, shared) == shared
        assert kernels.common(*arrays, shared + 1) <= shared


@settings(max_examples=300)
@given(data=st.data(), count=st.integers(1, 9))
def test_the_decision_equals_the_twin(data: st.DataObject, count: int) -> None:
    by_words = data.draw(st.permutations(range(count)))
    everything = [(later, earlier) for later in range(count) for earlier in range(later)]
    chosen = data.draw(st.lists(st.sampled_from(everything), unique=True)) if everything else []
    kinds = data.draw(st.lists(st.booleans(), min_size=len(chosen), max_size=len(chosen)))
    scores = data.draw(
        st.lists(st.sampled_from([5, 6, 7]), min_size=len(chosen), max_size=len(chosen))
    )
    near_pairs = {pair: score for pair, is_near, score in zip(chosen, kinds, scores) if is_near}
    contained = {
        (pair if by_words[pair[0]] > by_words[pair[1]] else pair[::-1]): score
        for pair, is_near, score in zip(chosen, kinds, scores)
        if not is_near
    }

    def arrays(pairs: dict[tuple[int, int], int]) -> decision.Pairs:
        return tuple(np.array([pair[i] for pair in pairs], np.int64) for i in range(2)) + (
            np.array(list(pairs.values()), np.uint32),
        )  # type: ignore[return-value]

    marked = {pair: score | decision.CONTAINED for pair, score in contained.items()}
    twin, score = decision.settle(arrays(near_pairs), arrays(marked), np.array(by_words))
    found = {
        document: (
            int(twin[document]),
            int(score[document]) % decision.CONTAINED,
            "contained" if score[document] >= decision.CONTAINED else "near",
        )
        for document in range(count)
        if twin[document] >= 0
    }
    assert found == twins.settle(near_pairs, contained, by_words)
    assert all(kept not in found for kept, _, _ in found.values())  # every twin stays


# --- places without a cache
# ---------------------------------------------------------------------------------------


def test_it_works_where_no_cache_folder_can_be_written() -> None:
    script = (
        "import numba.core.caching as caching\n"
        "caching.CacheImpl._locator_classes = []\n"
        "import numpy as np\n"
        "from pipelines.stages.near import kernels\n"
        "a = np.array([1, 2, 3], np.uint64)\n"
        "assert kernels.common(a, a[1:], 0) == 2\n"
    )
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_the_twin_is_the_definition() -> None:
    assert (
        twins.words("Ein Über-Ding, 3x")
        == re.findall(r"\w+", "ein über-ding, 3x")
        == ["ein", "über", "ding", "3x"]
    )
