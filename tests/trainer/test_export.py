"""The exported tokenizer gives the published ids and those of the shards."""

import io
import json
import os
import tarfile
from pathlib import Path
from typing import Any

import pytest
import tokenizers
from trainer_fixtures import TEST_DATA, novel_shards, small_tokenizer

import shards
from trainer import export
from trainer.config import ModelConfig
from trainer.export_tokenizer import write_tokenizer

transformers = pytest.importorskip("transformers")

SHAPE = ModelConfig(layers=3, hidden=64, intermediate=160, heads=4, positions=48, vocab_size=1003)


@pytest.fixture(scope="module")
def roberta_tokenizer() -> tuple[tokenizers.Tokenizer, dict[str, Any]]:
    """The published vocabulary as a tokenizer.json of the shards would have it, and its published
    id vectors."""
    path = TEST_DATA / "tokenizer" / "gpt2_bpe.tar.xz"
    if not path.exists():
        assert os.environ.get("CI") != "true", (
            f"{path}: the test data must be there in CI; set CORPUSMILL_TEST_DATA"
        )
        pytest.skip("no test data")
    with tarfile.open(path) as archive:
        files = {
            Path(member.name).name: archive.extractfile(member).read()
            for member in archive
            if member.isfile()
        }  # type: ignore[union-attr]
    vocabulary = json.loads(files["roberta_vocab_derived.json"])
    merges = [
        tuple(line.split(" "))
        for line in io.StringIO(files["vocab.bpe"].decode()).read().split("\n")[1:]
        if line
    ]
    tokenizer = tokenizers.Tokenizer(tokenizers.models.BPE(vocab=vocabulary, merges=merges))
    tokenizer.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = tokenizers.decoders.ByteLevel()
    tokenizer.add_special_tokens(["<s>", "<pad>", "</s>", "<unk>", "<mask>"])
    return tokenizer, json.loads(files["vectors.json"])


def exported(tokenizer: tokenizers.Tokenizer, folder: Path, family: str = "roberta") -> Any:
    (folder / "run").mkdir()
    tokenizer.save(str(folder / "run" / "tokenizer.json"))
    (folder / "out").mkdir()
    special = write_tokenizer(folder / "run", folder / "out", 512, family)
    (folder / "out" / "config.json").write_text(
        json.dumps({**export.hugging_face_config(SHAPE, special), "model_type": family})
    )
    return transformers.AutoTokenizer.from_pretrained(str(folder / "out"))


def test_published_id_vectors(
    roberta_tokenizer: tuple[tokenizers.Tokenizer, dict[str, Any]], tmp_path: Path
) -> None:
    tokenizer, vectors = roberta_tokenizer
    loaded = exported(tokenizer, tmp_path)
    assert loaded("Hello world!")["input_ids"] == [0, 31414, 232, 328, 2]
    for one in vectors["published"]:
        assert (
            loaded(one["text"], add_special_tokens=False)["input_ids"]
            == one["roberta_ids_without_specials"]
        ), one["text"]
    for one in vectors["published_pairs"]:
        assert loaded(one["a"], one["b"])["input_ids"] == one["roberta_ids_with_specials"], one["a"]
    assert len(vectors["published"]) + len(vectors["published_pairs"]) == 34


def test_exported_tokenizer_gives_the_ids_of_real_shards(tmp_path: Path) -> None:
    """A novel through the shards: each sentence's text, encoded by the exported tokenizer, gives
    the ids that lie in the shard."""
    pytest.importorskip("sentencex")
    if not (TEST_DATA / "books" / "english_novels.tar.xz").exists():
        assert os.environ.get("CI") != "true", (
            "the test data must be there in CI; set CORPUSMILL_TEST_DATA"
        )
        pytest.skip("no test data")
    folder = novel_shards(tmp_path / "shards", 2000, 1)
    loaded = exported(tokenizers.Tokenizer.from_file(str(folder / "tokenizer.json")), tmp_path)
    shard, count = shards.open(str(folder))[0], 0
    for d in range(len(shard)):
        tokens, at = shard.document(d).tolist(), 0
        for size in shard.sentences[
            shard.sentence_offsets[d] : shard.sentence_offsets[d + 1]
        ].tolist():
            ids = tokens[at : at + size]
            text = loaded.decode(ids)
            assert (
                text.startswith(" ") and loaded(text, add_special_tokens=False)["input_ids"] == ids
            )
            at, count = at + size, count + 1
    assert count > 1000


def test_exported_tokenizer_gives_the_ids_in_the_shards(tmp_path: Path) -> None:
    tokenizer = small_tokenizer(280)
    loaded = exported(tokenizer, tmp_path)
    for text in ("the quick brown fox", " jumps over", "caf\u00e9 \u4e2d\u6587", ""):
        ids = tokenizer.encode(text, add_special_tokens=False).ids
        assert (
            loaded(text)["input_ids"] == [0, *ids, 2]
            and loaded(text, add_special_tokens=False)["input_ids"] == ids
        )
    assert loaded("the <mask> fox")["input_ids"].count(loaded.mask_token_id) == 1
    assert (loaded.pad_token_id, loaded.bos_token_id, loaded.eos_token_id, loaded.unk_token_id) == (
        1,
        0,
        2,
        3,
    )
    assert loaded("a", "b")["input_ids"].count(2) == 3


def wordpiece(lowercase: bool) -> tokenizers.Tokenizer:
    from tokenizers import AddedToken, models, normalizers, pre_tokenizers

    pieces = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *"thequickfox.", *"日本THE"]
    pieces += [f"##{piece}" for piece in [*"thequickfox", "ox", "uick", "HE"]]
    vocabulary: dict[str, int] = {}
    for piece in pieces:
        vocabulary.setdefault(piece, len(vocabulary))

    tokenizer = tokenizers.Tokenizer(models.WordPiece(vocabulary, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=lowercase)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.decoder = tokenizers.decoders.WordPiece()
    special = [AddedToken(piece, special=True, normalized=False) for piece in pieces[:5]]
    tokenizer.add_special_tokens(special)
    return tokenizer


@pytest.mark.parametrize("lowercase", [True, False])
@pytest.mark.parametrize("family", ["bert", "roberta"])
def test_wordpiece_is_a_bert_tokenizer(lowercase: bool, family: str, tmp_path: Path) -> None:
    own = wordpiece(lowercase)
    loaded = exported(own, tmp_path, family)
    assert isinstance(loaded, transformers.BertTokenizerFast)
    for text in (
        "the quick fox.",
        "THE fox",
        "ThÉ 日本 fox",
        "[SEP] the",
        "the [MASK] fox",
        "☃",
        "",
    ):
        ids = own.encode(text, add_special_tokens=False).ids
        assert loaded(text)["input_ids"] == [2, *ids, 3], text
        assert loaded(text, add_special_tokens=False)["input_ids"] == ids
    named = ("pad", "unk", "cls", "sep", "mask")
    assert [getattr(loaded, f"{name}_token_id") for name in named] == [0, 1, 2, 3, 4]
    assert loaded.model_max_length == 512

    t, e = own.token_to_id("t"), own.token_to_id("e")
    pair = loaded("t", "e")
    assert pair["input_ids"] == [2, t, 3, e, 3]
    assert pair.get("token_type_ids") == ([0, 0, 0, 1, 1] if family == "bert" else None)
    # What is saved again is the same.
    loaded.save_pretrained(str(tmp_path / "again"))
    again = transformers.AutoTokenizer.from_pretrained(str(tmp_path / "again"))
    assert again("the quick fox")["input_ids"] == loaded("the quick fox")["input_ids"]


def test_byte_level_bpe_is_a_roberta_tokenizer(tmp_path: Path) -> None:
    """So that words that are cut already get their spaces, as run_ner.py of transformers needs."""
    own = small_tokenizer(280)
    loaded = exported(own, tmp_path)
    assert isinstance(loaded, transformers.RobertaTokenizerFast)
    assert "token_type_ids" not in loaded("a", "b")

    folder = str(tmp_path / "out")
    spaced = transformers.AutoTokenizer.from_pretrained(folder, add_prefix_space=True)
    wanted = own.encode(" the fox", add_special_tokens=False).ids
    assert spaced(["the", "fox"], is_split_into_words=True)["input_ids"] == [0, *wanted, 2]
    assert spaced("the fox")["input_ids"] == [0, *wanted, 2]


def test_byte_level_bpe_of_a_bert_keeps_its_pairs(tmp_path: Path) -> None:
    loaded = exported(small_tokenizer(280), tmp_path, "bert")
    a, b = (loaded.convert_tokens_to_ids(letter) for letter in "ab")
    pair = loaded("a", "b")
    assert pair["input_ids"] == [0, a, 2, b, 2]
    assert pair["token_type_ids"] == [0, 0, 0, 1, 1]


def test_any_other_vocabulary_is_taken_as_it_is(tmp_path: Path) -> None:
    """A class of transformers would build a pre-tokenizer of its own."""
    from tokenizers import Regex, pre_tokenizers

    own = wordpiece(True)
    split = pre_tokenizers.Split(Regex("q"), "isolated")
    own.pre_tokenizer = pre_tokenizers.Sequence([split, pre_tokenizers.BertPreTokenizer()])
    loaded = exported(own, tmp_path, "bert")
    assert not isinstance(loaded, transformers.BertTokenizerFast)
    ids = own.encode("theq fox", add_special_tokens=False).ids
    assert loaded("theq fox")["input_ids"] == [2, *ids, 3]
