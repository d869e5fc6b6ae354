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


def exported(tokenizer: tokenizers.Tokenizer, folder: Path) -> Any:
    (folder / "run").mkdir()
    tokenizer.save(str(folder / "run" / "tokenizer.json"))
    (folder / "out").mkdir()
    special = export.write_tokenizer(folder / "run", folder / "out", ModelConfig())
    (folder / "out" / "config.json").write_text(
        json.dumps(export.hugging_face_config(SHAPE, special))
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
