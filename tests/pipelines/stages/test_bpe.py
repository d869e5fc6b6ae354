"""Vocabularies trained from counted words: those of `tokenizers` on the same text, merge for
merge."""

import json
import random
from collections import Counter
from pathlib import Path

import pyarrow as pa
import pytest
from plain_build import plain_build
from tokenizers import pre_tokenizers

from corpora.text.normalise import normalise
from pipelines.recipe import TokenizerConfig, load_recipe
from pipelines.stages.bpe import FIRST, train_from_counts
from pipelines.stages.train_tokenizer import _paragraphs, train_bpe
from pipelines.stages.word_counts import SCHEMA, WordCounts
from shards.errors import UserError
from shards.roles import byte_letters


def counted(texts: list[str]) -> WordCounts:
    words = WordCounts()
    words.add_texts(pa.array(texts, pa.large_string()))
    return words


def table(words: WordCounts) -> dict[bytes, int]:
    found = {}
    for batch in words.batches():
        found.update(zip(batch.column(0).to_pylist(), batch.column(1).to_pylist()))
    return found


def reference(texts: list[str], vocab_size: int) -> str:
    paragraphs = (paragraph for text in texts for paragraph in _paragraphs(text))
    return train_bpe(paragraphs, TokenizerConfig(vocab_size=vocab_size)).to_str(pretty=True)


def same(texts: list[str], vocab_size: int) -> None:
    found = train_from_counts(counted(texts), vocab_size).to_str(pretty=True)
    assert found == reference(texts, vocab_size)


def random_texts(draw: random.Random) -> list[str]:
    """Few letters, so that pairs overlap, are equally frequent, and make the same token in several
    ways."""
    letters = draw.choice(["ab", "aab", "abc", "a-", "aé1", "ab. '", "你好a", "abcdefgh"])
    sizes = draw.choice([range(1, 5), range(1, 30), range(20, 90)])
    words = ["".join(draw.choices(letters, k=draw.choice(sizes))) for _ in range(40)]
    return [" ".join(draw.choices(words, k=30)) + "\n-----  ----\n\t a" for _ in range(12)]


@pytest.mark.parametrize(
    "seeds", [range(40), pytest.param(range(40, 4000), marks=pytest.mark.long)], ids=["few", "many"]
)
def test_random_texts(seeds: range) -> None:
    for seed in seeds:
        same(random_texts(random.Random(seed)), 262 + seed % 150)


@pytest.mark.builds
def test_real_text(novels: Path) -> None:
    same([normalise(path.read_text("utf-8")) for path in sorted(novels.iterdir())[:3]], 5000)


def test_words_are_those_of_the_pattern() -> None:
    """Against the library's own words, of random pieces."""
    draw = random.Random(0)
    pieces = [
        *("a", "Bé", "你", "1", "２", "Ⅷ", "'s", "'ll", "'LL", "'", "'re x"),
        *("'t's", " 's", "!'s"),
        *(" ", "  ", "   ", "\t", "\t\t ", " \u3000", "\xa0", "\u2028", "\x1c", "\x85", "-", "…"),
        *("😀", "\u0301", "\u200d", "_", "²", "\U00012000", "\U0001d7d8", "a'd", "́"),
    ]
    before = pre_tokenizers.ByteLevel(add_prefix_space=False)
    letters = byte_letters()
    texts = ["".join(draw.choices(pieces, k=draw.randint(1, 12))) for _ in range(3000)]
    expected = Counter[bytes]()
    for text in texts:
        for word, _ in before.pre_tokenize_str(text):
            expected[bytes(letters[letter] for letter in word)] += 1
    assert table(counted(texts)) == dict(expected)


@pytest.mark.parametrize("step", [41, pytest.param(1, marks=pytest.mark.long)])
def test_every_code_point_in_context(step: int) -> None:
    """All of the first plane's beginning, and every so many of the others."""
    points = [*range(1, 0x3000), *range(0x3000, 0xD800, step), *range(0xE000, 0x110000, 7 * step)]
    before = pre_tokenizers.ByteLevel(add_prefix_space=False)
    letters = byte_letters()
    texts = [f"a{chr(point)}a1{chr(point)}1!{chr(point)}" for point in points if point != 0x0A]
    expected = Counter[bytes]()
    for text in texts:
        for word, _ in before.pre_tokenize_str(text):
            expected[bytes(letters[letter] for letter in word)] += 1
    assert table(counted(texts)) == dict(expected)


def test_counts_beyond_32_bits_decide() -> None:
    """`ab` is more frequent than `cd` by one in ten billion; their sums pass 2**32 and 2**33."""
    big = 10_000_000_000
    words = [b"ab", b"cd", b"xab", b"ef", b"ef"]
    counts = [big // 2 + 1, big, big // 2, 2**32, 2**32 + 5]
    batch = pa.record_batch([pa.array(words, pa.large_binary()), pa.array(counts)], schema=SCHEMA)
    held = WordCounts()
    held.add_batch(batch)
    assert table(held)[b"ef"] == 2**33 + 5
    merges = json.loads(train_from_counts(held, 400).to_str())["model"]["merges"]
    assert merges == [["a", "b"], ["c", "d"], ["e", "f"], ["x", "ab"]]


def test_tables_of_parts_add_up() -> None:
    """Any cut of the text gives the same words, and the same vocabulary."""
    draw = random.Random(5)
    texts = [text for seed in range(3) for text in random_texts(random.Random(seed))]
    texts += ["".join(draw.choices("abcdefghij ", k=700_000))]  # the tables grow
    whole = counted(texts)
    assert whole.used > 1 << 15
    parts = WordCounts()
    for begin in range(0, len(texts), 5):
        for batch in counted(texts[begin : begin + 5]).batches():
            parts.add_batch(batch)
    assert table(parts) == table(whole)
    found = [train_from_counts(words, 600).to_str() for words in (parts, whole)]
    assert found[0] == found[1]


def test_endless_words_are_left_out_and_counted() -> None:
    texts = [
        "one " + "x" * 3000 + " two",
        "-" * 2500 + "a",
        "a" * 1999 + " b",
        "é" * 2000,
        " " * 3000,
    ]
    words = counted(texts)
    assert words.left_out == 4
    assert max(map(len, table(words))) == 1999
    same(texts, 300)


def slow_merges(words: dict[bytes, int], num_merges: int) -> list[tuple[bytes, bytes]]:
    """The twin: all pairs are counted anew before each merge."""
    order = {bytes([byte]): place for place, (_, byte) in enumerate(sorted(byte_letters().items()))}
    ids = {**{name.encode(): -9 + place for place, name in enumerate(FIRST)}, **order}
    split = {word: [bytes([byte]) for byte in word] for word in words}
    merges = []
    while len(merges) < num_merges:
        pairs = Counter[tuple[bytes, bytes]]()
        for word, parts in split.items():
            for pair in zip(parts, parts[1:]):
                pairs[pair] += words[word]
        if not pairs:
            break
        best = min(pairs, key=lambda pair: (-pairs[pair], ids[pair[0]], ids[pair[1]]))
        merges.append(best)
        ids.setdefault(b"".join(best), len(ids))
        for word, parts in split.items():
            joined: list[bytes] = []
            place = 0
            while place < len(parts):
                is_best = tuple(parts[place : place + 2]) == best
                joined.append(b"".join(best) if is_best else parts[place])
                place += 2 if is_best else 1
            split[word] = joined
    return merges


def test_against_a_slow_twin() -> None:
    """On words without repeated letters, where a pair never overlaps itself."""
    draw = random.Random(1)
    for _ in range(20):
        words = {
            "".join(draw.sample("abcdefgh", k=draw.randint(2, 7))).encode(): draw.randint(1, 5)
            for _ in range(30)
        }
        batch = pa.record_batch(
            [pa.array(list(words), pa.large_binary()), pa.array(list(words.values()))],
            schema=SCHEMA,
        )
        held = WordCounts()
        held.add_batch(batch)
        merges = json.loads(train_from_counts(held, 300).to_str())["model"]["merges"]
        expected = slow_merges(words, len(merges))
        assert [tuple(pair) for pair in merges] == [
            (left.decode(), right.decode()) for left, right in expected
        ]


RECIPE = """
[sources.a]
kind = "files"
input = "in/*.txt"
slice_bytes = {slice_bytes}
[tokenizer]
vocab_size = 320
sample_bytes = {sample_bytes}
[dedup]
near = false
"""


def test_a_build_with_all_text(tmp_path: Path) -> None:
    """The same tokenizer.json for any slices, and that of a sample that holds all text."""
    (tmp_path / "in").mkdir()
    for number in range(6):
        text = "\n".join(random_texts(random.Random(number)))
        (tmp_path / "in" / f"{number}.txt").write_text(text)
    found = []
    for slice_bytes, sample_bytes in ((1, '"all"'), (10_000_000, '"all"'), (1, "1_000_000_000")):
        recipe = tmp_path / "recipe.toml"
        recipe.write_text(RECIPE.format(slice_bytes=slice_bytes, sample_bytes=sample_bytes))
        home = tmp_path / f"home {len(found)}"
        plain_build(recipe, home)
        found.append((home / "tokenizer/tokenizer.json").read_text())
        summary = json.loads((home / "summaries/tokenizer/all/tokenizer.json").read_text())
        assert summary["counts"]["documents"] == 6
    assert found[0] == found[1] == found[2]


def test_all_is_for_byte_level_bpe_alone(tmp_path: Path) -> None:
    recipe = tmp_path / "recipe.toml"
    recipe.write_text(
        '[sources.a]\nkind = "files"\ninput = "x"\n[tokenizer]\nsample_bytes = "al"\n'
    )
    with pytest.raises(UserError, match="sample_bytes: 'al' is not a whole number"):
        load_recipe(str(recipe))
    with pytest.raises(ValueError, match='"all" is for byte-level BPE'):
        TokenizerConfig(kind="wordpiece", sample_bytes="all")
    assert TokenizerConfig(sample_bytes="all").sample_bytes == "all"


def varied(text: str, copy: int) -> str:
    """A text in which the words that a key draws are others in each copy."""
    words = text.split(" ")
    draw = random.Random(copy)
    for place in draw.sample(range(len(words)), len(words) // 5):
        word = words[place]
        cut = draw.randrange(len(word) + 1)
        words[place] = word[cut:] + draw.choice("aeiouäéжの") + word[:cut]
    return " ".join(words)


@pytest.mark.long
def test_a_hundred_megabytes(novels: Path) -> None:
    """Merge for merge at RoBERTa's size, on novels and copies of them with keyed changes."""
    originals = [normalise(path.read_text("utf-8")) for path in sorted(novels.iterdir())]
    texts = list(originals)
    size = sum(map(len, texts))
    for copy in range(1, 1000):
        if size >= 100_000_000:
            break
        more = [varied(text, copy) for text in originals]
        size += sum(map(len, more))
        texts += more
    same(texts, 50265)
