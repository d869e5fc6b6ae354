"""Vocabularies, sentences and tokens: the text comes back, special tokens are text, given files
give their published ids."""

import json
import tarfile
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from realdata import data_file
from sentence_twin import as_sentences, split_text
from tokenizers import Tokenizer, models, pre_tokenizers

from corpora.text.normalise import normalise
from pipelines.recipe import TokenizerConfig
from pipelines.stages import encoder as encoder_module
from pipelines.stages.encoder import (
    Encoded,
    compared,
    encode,
    fastest_encoder,
    fastokens_encoder,
    gigatoken_encoder,
    plain_encoder,
    read_tokenizer,
)
from pipelines.stages.given_tokenizer import load_given, with_special_tokens
from pipelines.stages.sentences import Sentences
from pipelines.stages.train_tokenizer import train_bpe
from shards.errors import UserError
from shards.roles import ROBERTA, is_lossless

SPECIAL = tuple(ROBERTA.values())
LANGUAGES = ["en", "de", "zh-cn", "ja", "any", "ar", "xx"]
TEXTS = st.text(st.one_of(st.characters(), st.sampled_from("ab. !?\n\t\"'()…。 <s></s>"))).map(
    normalise
)


def english() -> list[str]:
    return ["The cat sat on the mat. " * 3 + f"It was number {number}!" for number in range(200)]


@pytest.fixture(scope="module")
def tokenizer_file(tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("tokenizer") / "tokenizer.json"
    path.write_text(train_bpe(iter(english()), TokenizerConfig(vocab_size=400)).to_str())
    return str(path)


@given(text=TEXTS, language=st.sampled_from(LANGUAGES))
def test_sentences_hold_the_whole_text(text: str, language: str) -> None:
    assert "".join(split_text(text, language, "keep")) == text
    assert "".join(split_text(text, language, "space")).split() == text.split()
    assert "".join("".join(split_text(text, language, "strip")).split()) == "".join(text.split())
    for sentence in split_text(text, language, "strip"):
        assert sentence and sentence == " ".join(sentence.split())


def test_sentences_are_found_by_paragraph() -> None:
    text = "Dr. Smith went.  He said hi!\nA new line\n\nends here. So?"
    assert split_text(text, "en", "strip") == [
        "Dr. Smith went.",
        "He said hi!",
        "A new line",
        "ends here.",
        "So?",
    ]
    assert split_text(text, "en", "keep") == [
        "Dr. Smith went.",
        "  He said hi!",
        "\nA new line",
        "\n\nends here.",
        " So?",
    ]
    assert split_text("你好。再见。", "zh-cn", "space") == ["你好。", "再见。"]
    assert split_text("One. Two.\nThree.", "en", "space") == ["One.", " Two.", " Three."]


@given(documents=st.lists(TEXTS, max_size=5))
def test_tokens_come_back_as_text(documents: list[str], tokenizer_file: str) -> None:
    tokenizer = read_tokenizer(tokenizer_file)
    pieces = [split_text(text, "en", "keep") for text in documents]
    batch = encode(
        fastest_encoder(tokenizer_file),
        pa.array([f"{number}" for number in range(len(documents))], pa.string()),
        as_sentences(pieces),
        "uint16",
    )
    assert [tokenizer.decode(ids) for ids in batch.column("tokens").to_pylist()] == documents
    for lengths, sentences in zip(batch.column("sentences").to_pylist(), pieces):
        assert len(lengths) == len(sentences)
    special = [tokenizer.token_to_id(token) for token in SPECIAL]
    assert not np.isin(batch.column("tokens").flatten().to_numpy(), special).any()


@pytest.mark.parametrize(
    "text", ["</s>", "a <mask> b", "<|endoftext|>", "<s><pad></s><unk><mask>", "x</s>\n<s>y"]
)
def test_special_tokens_in_a_page_are_text(text: str, tokenizer_file: str) -> None:
    tokenizer = read_tokenizer(tokenizer_file)
    sentences = as_sentences([split_text(text, "en", "keep")])
    batch = encode(fastest_encoder(tokenizer_file), pa.array(["1"]), sentences, "uint16")
    ids = batch.column("tokens").to_pylist()[0]
    assert tokenizer.decode(ids, skip_special_tokens=False) == text
    assert not set(ids) & {tokenizer.token_to_id(token) for token in SPECIAL}


def test_a_trained_vocabulary_has_roberta_s_layout(tokenizer_file: str) -> None:
    tokenizer = read_tokenizer(tokenizer_file)
    size = tokenizer.get_vocab_size()
    assert [tokenizer.token_to_id(token) for token in SPECIAL] == [0, 1, 2, 3, size - 1]
    assert sorted(tokenizer.get_vocab().values()) == list(range(size))
    assert is_lossless(json.loads(Path(tokenizer_file).read_text()))
    assert train_bpe(iter(english()), TokenizerConfig(vocab_size=300)).get_vocab_size() == 300
    assert (
        train_bpe(iter(["ab"]), TokenizerConfig(vocab_size=300)).get_vocab_size() == 262
    )  # 256 bytes, 5 special, 1 merge


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Path:
    archive = data_file("tokenizer/gpt2_bpe.tar.xz")
    if archive is None:
        pytest.skip("needs the published vocabularies of the test data")
    folder = tmp_path_factory.mktemp("published")
    with tarfile.open(archive) as tar:
        tar.extractall(folder, filter="data")
    return folder / "tokenizer"


def folder_with(source: Path, target: Path, names: list[str]) -> str:
    target.mkdir()
    for name in names:
        (target / name).write_bytes((source / name).read_bytes())
    return str(target)


def test_roberta_s_own_files_give_the_published_ids(published: Path, tmp_path: Path) -> None:
    tokenizer = load_given(
        folder_with(published, tmp_path / "roberta", ["encoder.json", "vocab.bpe", "dict.txt"])
    )
    assert tokenizer.get_vocab_size() == 50265
    assert [tokenizer.token_to_id(token) for token in SPECIAL] == [0, 1, 2, 3, 50264]
    assert tokenizer.get_vocab() == json.loads(
        (published / "roberta_vocab_derived.json").read_text("utf-8")
    )
    assert tokenizer.encode("Hello world!", add_special_tokens=False).ids == [31414, 232, 328]
    pairs = json.loads((published / "vectors.json").read_text("utf-8"))["published_pairs"]
    assert len(pairs) == 15
    for pair in pairs:
        texts = [text for text in (pair.get("a"), pair.get("b")) if text is not None]
        ids = [0, *tokenizer.encode(texts[0], add_special_tokens=False).ids, 2]
        for text in texts[1:]:
            ids += [2, *tokenizer.encode(text, add_special_tokens=False).ids, 2]
        assert ids == pair["roberta_ids_with_specials"], pair


def test_gpt2_s_own_files_get_the_special_tokens_as_roberta_did(
    published: Path, tmp_path: Path
) -> None:
    tokenizer = load_given(folder_with(published, tmp_path / "gpt2", ["encoder.json", "vocab.bpe"]))
    assert [tokenizer.token_to_id(token) for token in SPECIAL] == [0, 1, 2, 3, 50261]
    tokenizer.encode_special_tokens = True
    assert tokenizer.token_to_id("<|endoftext|>") == 50260
    assert 50260 not in tokenizer.encode("<|endoftext|>", add_special_tokens=False).ids
    for vector in json.loads((published / "vectors.json").read_text("utf-8"))["published"]:
        ids = tokenizer.encode(vector["text"], add_special_tokens=False).ids
        assert [number - 4 for number in ids] == vector["gpt2_ids"], vector


def test_a_given_tokenizer_json_is_kept(tokenizer_file: str, tmp_path: Path) -> None:
    assert load_given(tokenizer_file).get_vocab() == Tokenizer.from_file(tokenizer_file).get_vocab()
    assert (
        load_given(str(Path(tokenizer_file).parent)).get_vocab()
        == Tokenizer.from_file(tokenizer_file).get_vocab()
    )


def test_tokenizers_that_cannot_serve_are_refused(tmp_path: Path) -> None:
    prefixed = Tokenizer(models.BPE())
    prefixed.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=True)
    (tmp_path / "prefix.json").write_text(prefixed.to_str())
    (tmp_path / "noise.json").write_text("{}")
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match="adds a space"):
        load_given(str(tmp_path / "prefix.json"))
    with pytest.raises(UserError, match="noise.json"):
        load_given(str(tmp_path / "noise.json"))
    with pytest.raises(UserError, match="no vocabulary in this folder"):
        load_given(str(tmp_path / "empty"))
    with pytest.raises(UserError, match="nowhere"):
        load_given(str(tmp_path / "nowhere"))


def test_a_tokenizer_that_loses_text_is_known_as_lossy() -> None:
    words = with_special_tokens(
        Tokenizer(models.WordLevel({"a": 0, "[UNK]": 1}, unk_token="[UNK]"))
    )
    assert not is_lossless(json.loads(words.to_str()))


@given(sentences=st.lists(TEXTS, min_size=1, max_size=20))
def test_the_fast_encoder_gives_the_reference_s_ids(
    sentences: list[str], tokenizer_file: str
) -> None:
    same_ids(sentences, tokenizer_file)


def same_ids(sentences: list[str], tokenizer_file: str) -> None:
    given = as_sentences([sentences])
    ids, ends = plain_encoder(read_tokenizer(tokenizer_file))(given)
    content = Path(tokenizer_file).read_text("utf-8")
    encoders = [fastest_encoder(tokenizer_file), fastokens_encoder(content)]
    for encoder in (*encoders, gigatoken_encoder(content)):
        assert encoder is not None
        found = encoder(given)
        assert np.array_equal(found[1], ends) and np.array_equal(found[0], ids)


@pytest.mark.parametrize("last", [0x3000, pytest.param(0x110000, marks=pytest.mark.long)], ids=hex)
def test_the_fast_encoder_on_every_code_point(last: int, tokenizer_file: str) -> None:
    letters = [
        f"a{chr(number)}a1{chr(number)}1!{chr(number)}?"
        for number in range(last)
        if not 0xD800 <= number < 0xE000
    ]
    same_ids(
        [" ".join(letters[begin : begin + 1000]) for begin in range(0, len(letters), 1000)],
        tokenizer_file,
    )


@pytest.mark.builds
def test_the_fast_encoder_on_real_text(tokenizer_file: str, novels: Path, sentences: Path) -> None:
    import bz2

    import fastokens

    assert fastokens is not None
    same_ids([json.loads(line)["text"] for line in bz2.open(sentences)], tokenizer_file)
    same_ids(
        split_text(normalise(sorted(novels.iterdir())[0].read_text("utf-8")), "en", "keep"),
        tokenizer_file,
    )


def test_an_encoder_that_differs_is_not_used() -> None:
    right = as_sentences([["some words", "and more"]])
    expected = (np.array([7, 8], np.uint32), np.array([0, 1, 2]))
    calls = []

    def wrong(sentences: Sentences) -> Encoded:
        calls.append("wrong")
        return np.array([7, 9], np.uint32), np.array([0, 1, 2])

    encoder = compared(wrong, lambda _: expected, lambda: lambda _: expected)
    for _ in range(3):
        assert np.array_equal(encoder(right)[0], expected[0])
    assert calls == ["wrong"]


def test_encoders_are_compared_on_a_bounded_number_of_bytes() -> None:
    """`tokenizers` sees the sentences before the long one alone."""
    sentences = as_sentences([["some words", "x" * 1_000_000, "and more"]])
    seen = []

    def fast(_: Sentences) -> Encoded:
        return np.array([7, 8, 9], np.uint32), np.array([0, 1, 2, 3])

    def plain(first: Sentences) -> Encoded:
        seen.append(first.strings())
        return np.array([7], np.uint32), np.array([0, 1])

    ids, _ = compared(fast, plain, lambda: plain)(sentences)
    assert ids.tolist() == [7, 8, 9]
    assert seen == [["some words"]]


def test_other_versions_of_encoders_are_not_used(
    tokenizer_file: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = Path(tokenizer_file).read_text("utf-8")
    assert gigatoken_encoder(content) is not None and fastokens_encoder(content) is not None
    monkeypatch.setattr(encoder_module, "version", lambda _: "99.0")
    assert gigatoken_encoder(content) is None and fastokens_encoder(content) is None


def test_gigatoken_reads_byte_level_vocabularies_alone(tokenizer_file: str) -> None:
    data = json.loads(Path(tokenizer_file).read_text("utf-8"))
    assert gigatoken_encoder(json.dumps(data)) is not None
    data["model"]["ignore_merges"] = True
    assert gigatoken_encoder(json.dumps(data)) is None
    words = Tokenizer(models.WordLevel({"a": 0, "[UNK]": 1}, unk_token="[UNK]"))
    assert gigatoken_encoder(words.to_str()) is None


def test_gigatoken_s_cache_is_emptied(tokenizer_file: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """After so much text a new object begins, which gives the same ids."""
    import gigatoken

    made = []
    real = gigatoken.Tokenizer.from_json
    monkeypatch.setattr(encoder_module, "RENEWED_AFTER", 100)
    monkeypatch.setattr(
        gigatoken.Tokenizer, "from_json", lambda content: made.append(1) or real(content)
    )
    encoder = gigatoken_encoder(Path(tokenizer_file).read_text("utf-8"))
    assert encoder is not None
    given = as_sentences([["The cat sat on the mat. " * 2]])
    found = [encoder(given)[0].tolist() for _ in range(7)]
    assert all(ids == found[0] for ids in found)
    assert len(made) == 4  # 48 bytes each: two sentences for one object
