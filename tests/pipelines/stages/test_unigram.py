"""Unigram vocabularies: the same from any order of the text, honest about what they lose, and text
stays text, from the recipe to rows of the trainer."""

import json
import random
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from plain_build import plain_build
from tokenizers import Tokenizer

from pipelines.cli import main
from pipelines.recipe import TokenizerConfig, parse_recipe
from pipelines.stages import given_tokenizer
from pipelines.stages.encoder import fastest_encoder, plain_encoder, read_tokenizer
from pipelines.stages.given_tokenizer import check_vocabulary, load_vocabulary
from pipelines.stages.unigram import counted_words, train_unigram
from shards.errors import UserError
from shards.manifest import read_manifest
from shards.roles import ROBERTA, is_lossless, roles_of

TEXTS = [
    f"The walker number {n} was walking to the café, and {n * n} walked back; </s> 漢字 Ж."
    for n in range(200)
]


@pytest.fixture(scope="module")
def trained() -> Tokenizer:
    return train_unigram(TEXTS, 120)


def test_layout_and_order(trained: Tokenizer) -> None:
    data = json.loads(trained.to_str())
    size = trained.get_vocab_size()
    assert size <= 120
    assert sorted(trained.get_vocab().values()) == list(range(size))
    assert roles_of(data) == {"start": 0, "pad": 1, "end": 2, "unknown": 3, "mask": size - 1}
    assert not is_lossless(data) and data["model"]["unk_id"] == 3
    scores = [score for _, score in data["model"]["vocab"][4:]]
    assert scores == sorted(scores, reverse=True)

    shuffled = random.Random(0).sample(TEXTS, len(TEXTS))
    assert train_unigram(iter(shuffled), 120).to_str() == trained.to_str()


def test_words_have_the_space_before_them() -> None:
    assert counted_words(["a b", "b", "", "a  b"]) == Counter({"a": 2, " b": 2, "b": 1, " ": 1})


def test_text_comes_back_where_no_character_is_unknown(trained: Tokenizer) -> None:
    for text in ("The walker", " walked back; 17", "café"):
        ids = trained.encode(text, add_special_tokens=False).ids
        assert trained.decode(ids) == text and 3 not in ids
    assert 3 in trained.encode("😀", add_special_tokens=False).ids


@given(
    text=st.text(st.sampled_from("<>/[]spadunkm the\u2581漢😀\n"), max_size=40)
    | st.lists(st.sampled_from([*ROBERTA.values(), " ", "a"]), max_size=8).map("".join)
)
def test_no_text_gives_a_special_id(text: str, trained: Tokenizer) -> None:
    tokenizer = Tokenizer.from_str(trained.to_str())
    tokenizer.encode_special_tokens = True
    ids = tokenizer.encode(text, add_special_tokens=False).ids
    assert not set(ids) & {0, 1, 2, trained.get_vocab_size() - 1}


def test_too_few_ids_for_the_characters_are_refused() -> None:
    text = ["".join(chr(0x4E00 + n) for n in range(300))]
    with pytest.raises(UserError, match=r"tokenizer.vocab_size: 100 is not possible") as caught:
        train_unigram(text, 100)
    assert "ask for more ids" in caught.value.hint


def recipe(tokenizer: str, more: str = "") -> Any:
    source = '[sources.a]\nkind = "files"\ninput = "*.txt"\n'
    return parse_recipe(
        f'{source}[tokenizer]\nkind = "unigram"\n{tokenizer}\n{more}', "r.toml", "/"
    )


@pytest.mark.parametrize(
    "tokenizer, more, what",
    [
        ("lowercase = true", "", "tokenizer.lowercase: Unigram keeps the text as it is"),
        ("vocab_size = 99", "", "vocab_size: 99 is less than 100"),
        ('sample_bytes = "all"', "", '"all" is for byte-level BPE'),
        ("", '[shards]\nwhitespace = "keep"', "promises the exact text"),
    ],
)
def test_what_cannot_be_is_refused_at_the_start(tokenizer: str, more: str, what: str) -> None:
    with pytest.raises(UserError) as caught:
        recipe(tokenizer, more)
    assert what in caught.value.what


def test_the_default_size_and_a_missing_trainer(monkeypatch: pytest.MonkeyPatch) -> None:
    assert recipe("").tokenizer.vocab_size == 32000
    check_vocabulary(recipe(""))
    monkeypatch.setattr(given_tokenizer, "find_spec", lambda _: None)
    with pytest.raises(UserError, match="sentencepiece, which is not installed"):
        check_vocabulary(recipe(""))


def test_a_given_vocabulary_must_be_of_the_kind(trained: Tokenizer, tmp_path: Path) -> None:
    path = tmp_path / "tokenizer.json"
    path.write_text(trained.to_str())
    made = load_vocabulary(TokenizerConfig(kind="unigram", path=str(path)))
    assert made.get_vocab() == trained.get_vocab()
    with pytest.raises(UserError, match="of kind Unigram, not WordPiece"):
        load_vocabulary(TokenizerConfig(kind="wordpiece", path=str(path)))

    from test_given_vocabularies import byte_level

    path.write_text(byte_level(["<s>"]).to_str())
    with pytest.raises(UserError, match="of kind BPE, not Unigram"):
        load_vocabulary(TokenizerConfig(kind="unigram", path=str(path)))


@pytest.mark.builds
def test_from_text_to_rows_of_the_trainer(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The same bytes whatever slices; unknown tokens are counted; a model trains on the shards."""
    (tmp_path / "texts").mkdir()
    for number in range(8):
        # Rarer than one in ten thousand, so not all of them are in the alphabet.
        rare = "😀😁😂🤣😃" if number == 0 else ""
        text = "\n\n".join(f"{line} ☃{number}" for line in TEXTS[number::8]) + rare
        (tmp_path / "texts" / f"{number}.txt").write_text(text, "utf-8")
    (tmp_path / "recipe.toml").write_text(
        '[sources.a]\nkind = "files"\ninput = "texts/*.txt"\nlanguage = "en"\n'
        '[tokenizer]\nkind = "unigram"\nvocab_size = 150\n'
        "[dedup]\nmax_removed = 1.0\nnear = false\n"
    )
    told = (tmp_path / "recipe.toml").read_text()
    plain_build(tmp_path / "recipe.toml", tmp_path / "one")
    (tmp_path / "recipe.toml").write_text(told.replace("[tok", "slice_bytes = 2000\n[tok", 1))
    plain_build(tmp_path / "recipe.toml", tmp_path / "two")
    shards = [tmp_path / home / "shards" for home in ("one", "two")]
    names = sorted(path.name for path in shards[0].iterdir())
    for name in names:
        assert (shards[0] / name).read_bytes() == (shards[1] / name).read_bytes(), name

    capsys.readouterr()
    assert main(["verify", str(tmp_path / "one"), "--json"]) == 0
    verified = json.loads(capsys.readouterr().out)
    manifest = read_manifest(str(shards[0]))
    assert verified["whole"] and not manifest.tokenizer.lossless
    assert manifest.tokenizer.roles["unknown"] == 3 and manifest.tokenizer.roles["mask"] == (
        manifest.tokenizer.vocab_size - 1
    )
    assert "sentencepiece" in manifest.created_by
    assert "not lossless" in (shards[0] / "README.md").read_text("utf-8")

    unknown = 0
    for path in shards[0].glob("*.arrow"):
        tokens = pa.ipc.open_file(path).read_all().column("tokens").combine_chunks()
        unknown += np.count_nonzero(tokens.flatten().to_numpy() == 3)
    assert verified["unknown"] == unknown > 0
    address = str(shards[0] / "tokenizer.json")
    from sentence_twin import as_sentences

    sentences = as_sentences([TEXTS[:50]])
    found, expected = (
        fastest_encoder(address)(sentences),
        plain_encoder(read_tokenizer(address))(sentences),
    )
    assert np.array_equal(found[0], expected[0]) and np.array_equal(found[1], expected[1])

    from trainer.cli import main as trainer

    run = str(tmp_path / "run")
    command = ["pretrain", "--shards", str(shards[0]), "--run", run, "--recipe", "tiny"]
    command += ["--device", "cpu", "--steps", "2", "--masking.unit", "word"]
    assert trainer(command) == 0
