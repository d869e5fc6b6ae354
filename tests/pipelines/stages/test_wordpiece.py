"""WordPiece: trained to the same bytes in any order and process, with BERT's words; `vocab.txt`."""

import json
import os
import random
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from tokenizers import Tokenizer

from pipelines.cli import main
from pipelines.recipe import TokenizerConfig, parse_recipe
from pipelines.stages.given_tokenizer import load_given, load_vocabulary
from pipelines.stages.wordpiece import (
    alphabet,
    read_vocab_txt,
    train_wordpiece,
    wordpiece_tokenizer,
)
from shards.errors import UserError
from shards.manifest import read_manifest
from shards.roles import BERT, is_lossless, roles_of

TEXTS = [
    f"The {word}s of {place} are {word}ing in {number}: naïve, über-{word}! 今日は{place}、{letter}."
    for number, (word, place, letter) in enumerate(
        (word, place, chr(0x400 + len(word) * 7 + len(place)))
        for word in ("walk", "talk", "sing", "play", "work", "read")
        for place in ("Rome", "Paris", "Berlin", "Oslo", "Zürich", "Kraków")
    )
]


def trained(texts: list[str], vocab_size: int = 300, lowercase: bool = True) -> Tokenizer:
    return train_wordpiece(lambda: iter(texts), vocab_size, lowercase)


def test_ids_and_words_are_bert_s() -> None:
    tokenizer = trained(TEXTS, 180)
    vocabulary = tokenizer.get_vocab()
    assert [vocabulary[name] for name in BERT.values()] == [0, 1, 2, 3, 4]
    assert sorted(vocabulary.values()) == list(range(180))
    assert roles_of(json.loads(tokenizer.to_str())) == {
        "start": 2,
        "pad": 0,
        "end": 3,
        "unknown": 1,
        "mask": 4,
    }
    assert not is_lossless(json.loads(tokenizer.to_str()))

    tokens = tokenizer.encode("Walking, in OSLO: Über 日!").tokens
    assert "".join(tokens).replace("##", "") == "walking,inoslo:uber日!"
    assert tokenizer.encode("walks").tokens == ["walks"]
    assert tokenizer.encode("a ☃ b").tokens[1] == "[UNK]"
    assert tokenizer.decode(tokenizer.encode("walking in rome").ids) == "walking in rome"


def test_cased_and_uncased() -> None:
    cased, uncased = trained(TEXTS, 400, False), trained(TEXTS, 400, True)
    assert any(piece != piece.lower() for piece in set(cased.get_vocab()) - set(BERT.values()))
    assert all(piece == piece.lower() for piece in set(uncased.get_vocab()) - set(BERT.values()))
    assert uncased.encode("KRAKÓW").ids == uncased.encode("krakow").ids
    assert cased.encode("Kraków").ids != cased.encode("krakow").ids


def test_the_order_of_the_texts_does_not_matter() -> None:
    whole = trained(TEXTS).to_str()
    for seed in range(3):
        shuffled = random.Random(seed).sample(TEXTS, len(TEXTS))
        assert trained(shuffled).to_str() == whole


@pytest.mark.builds
def test_every_process_trains_the_same_bytes() -> None:
    """The hash tables of `tokenizers` begin in another state in each process, and count on any
    number of threads."""
    script = (
        "import hashlib\nfrom test_wordpiece import TEXTS, trained\n"
        "print(hashlib.sha256(trained(TEXTS, 170).to_str().encode()).hexdigest())"
    )
    found = set()
    for threads in ("1", "2", "1", "3"):
        environment = {
            **os.environ,
            "RAYON_NUM_THREADS": threads,
            "TOKENIZERS_PARALLELISM": "true",
            "PYTHONPATH": os.pathsep.join([str(Path(__file__).parent), *sys.path]),
        }
        command = [sys.executable, "-c", script]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
        found.add(done.stdout)
    assert len(found) == 1


def test_the_alphabet() -> None:
    blank = wordpiece_tokenizer({"[UNK]": 0}, True)
    text = "a" * 400_000 + "B" * 100_000 + "cc d é"
    # 99.999 % of 500,005 characters are all but the rarest five.
    assert alphabet([text], blank, 30_000) == ["a", "b"]
    assert alphabet([text[-6:]], blank, 30_000) == ["c", "d", "e"]
    # At most a quarter of the vocabulary; of equally frequent characters the first.
    assert alphabet(["zyxw vutsrq"], blank, 20) == ["q", "r", "s", "t", "u"]
    assert alphabet(["\x00\ufffd ok"], blank, 100) == ["k", "o"]


def test_fewer_pieces_than_asked_for() -> None:
    tokenizer = trained(["ab ab abc"], 500)
    assert set(tokenizer.get_vocab()) == {
        *BERT.values(),
        *"abc",
        *("##a", "##b", "##c"),
        *("ab", "abc"),
    }
    assert trained([""], 500).get_vocab_size() == 5


def test_characters_that_bert_cuts_at_have_no_inner_piece() -> None:
    vocabulary = trained(TEXTS).get_vocab()
    assert "今" in vocabulary and "##今" not in vocabulary
    assert "," in vocabulary and "##," not in vocabulary
    assert "は" in vocabulary and "##は" in vocabulary


# --- given files


@pytest.fixture
def vocab_txt(tmp_path: Path) -> Path:
    vocabulary = trained(TEXTS).get_vocab()
    lines = sorted(vocabulary, key=lambda piece: vocabulary[piece])
    path = tmp_path / "bert" / "vocab.txt"
    path.parent.mkdir()
    path.write_text("\n".join(lines) + "\n", "utf-8")
    return path


def test_a_vocab_txt_is_the_same_vocabulary(vocab_txt: Path) -> None:
    own = trained(TEXTS)
    for path in (vocab_txt, vocab_txt.parent):
        assert load_given(str(path), lowercase=True).to_str() == own.to_str()
    cased = load_given(str(vocab_txt))
    assert cased.get_vocab() == own.get_vocab()
    assert cased.encode("Walking").tokens == ["[UNK]"]


def test_lines_of_a_vocab_txt() -> None:
    assert read_vocab_txt(b"[UNK]\r\na\r\n") == {"[UNK]": 0, "a": 1}
    content = "[UNK]\n\u2028\n\x85\n b\n".encode()
    assert read_vocab_txt(content) == {"[UNK]": 0, "\u2028": 1, "\x85": 2, " b": 3}
    with pytest.raises(ValueError, match="line 3: 'a' is there twice"):
        read_vocab_txt(b"a\nb\na\n")


def refused(what: str, hint: str, path: Path, **settings: Any) -> None:
    with pytest.raises(UserError) as caught:
        load_vocabulary(TokenizerConfig(path=str(path), **settings))
    assert what in caught.value.what and hint in caught.value.hint, caught.value.what


def test_what_a_given_file_contradicts_is_refused(vocab_txt: Path, tmp_path: Path) -> None:
    (vocab_txt.parent / "tokenizer_config.json").write_text('{"do_lower_case": true}')
    refused("says do_lower_case is true", "set lowercase to true", vocab_txt)
    load_vocabulary(TokenizerConfig(path=str(vocab_txt), lowercase=True, kind="wordpiece"))

    vocab_txt.write_text("a\na\n")
    (vocab_txt.parent / "tokenizer_config.json").unlink()
    refused("vocab.txt: line 2: 'a' is there twice", "vocab.txt of BERT", vocab_txt)

    own = tmp_path / "own.json"
    own.write_text(trained(TEXTS).to_str())
    refused("itself tells whether", "leave out tokenizer.lowercase", own, lowercase=True)

    from test_given_vocabularies import byte_level

    own.write_text(byte_level(["<s>"]).to_str())
    refused("of kind BPE, not WordPiece", "leave out tokenizer.kind", own, kind="wordpiece")


# --- the recipe


def recipe(tokenizer: str, more: str = "") -> Any:
    source = '[sources.a]\nkind = "files"\ninput = "*.txt"\n'
    return parse_recipe(f"{source}[tokenizer]\n{tokenizer}\n{more}", "r.toml", "/")


def test_the_default_size_is_that_of_the_kind() -> None:
    assert recipe("").tokenizer.vocab_size == 50265
    assert recipe('kind = "bpe"').tokenizer.vocab_size == 50265
    assert recipe('kind = "wordpiece"').tokenizer.vocab_size == 30000
    assert recipe('kind = "wordpiece"\nvocab_size = 50265').tokenizer.vocab_size == 50265


@pytest.mark.parametrize(
    "tokenizer, more, what",
    [
        ("lowercase = true", "", "tokenizer.lowercase: byte-level BPE keeps the text as it is"),
        ('kind = "wordpice"', "", "'wordpice' is not one of 'bpe', 'wordpiece'"),
        ('kind = "wordpiece"\nvocab_size = 99', "", "vocab_size: 99 is less than 100"),
        (
            'kind = "wordpiece"',
            '[shards]\nwhitespace = "keep"',
            'shards.whitespace: "keep" promises the exact text',
        ),
    ],
)
def test_what_cannot_be_is_refused_at_the_start(tokenizer: str, more: str, what: str) -> None:
    with pytest.raises(UserError) as caught:
        recipe(tokenizer, more)
    assert what in caught.value.what


def test_new_settings_leave_digests_as_they_were() -> None:
    """What a home of before them has in its manifest."""
    from pipelines.recipe import deciding, recipe_digest

    plain = recipe("")
    assert set(deciding(plain)["tokenizer"]) == {"vocab_size", "sources", "sample_bytes"}
    assert recipe_digest(plain) != recipe_digest(recipe('kind = "wordpiece"\nvocab_size = 50265'))


@pytest.mark.builds
def test_a_wordpiece_home_from_text_to_verified_shards(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The same bytes whatever slices and workers; unknown tokens are counted everywhere."""
    texts = [f"{line} ☃{number} {'x' * 101}" for number, line in enumerate(TEXTS)]
    (tmp_path / "texts").mkdir()
    for number in range(12):
        text = "\n\n".join(texts[number::12])
        (tmp_path / "texts" / f"{number}.txt").write_text(text, "utf-8")
    (tmp_path / "recipe.toml").write_text(
        '[sources.a]\nkind = "files"\ninput = "texts/*.txt"\nlanguage = "en"\n'
        '[tokenizer]\nkind = "wordpiece"\nvocab_size = 250\nlowercase = true\n'
        "[dedup]\nmax_removed = 1.0\nnear = false\n"
    )
    for home, more in (("one", []), ("two", ["--sources.a.slice-bytes", "2000"])):
        workers = ["--workers", "0" if home == "one" else "2"]
        folder = str(tmp_path / home)
        command = ["build", str(tmp_path / "recipe.toml"), "--home", folder, *workers, *more]
        assert main(command) == 0
    shards = [tmp_path / home / "shards" for home in ("one", "two")]
    names = sorted(path.name for path in shards[0].iterdir())
    assert names == sorted(path.name for path in shards[1].iterdir()) and len(names) == 5
    for name in names:
        assert (shards[0] / name).read_bytes() == (shards[1] / name).read_bytes(), name

    capsys.readouterr()
    assert main(["verify", str(tmp_path / "one"), "--json"]) == 0
    verified = json.loads(capsys.readouterr().out)
    assert main(["stats", str(tmp_path / "one"), "--json"]) == 0
    total = json.loads(capsys.readouterr().out)["total"]
    assert verified["whole"] and verified["unknown"] == total["unknown"] >= 36
    card = (shards[0] / "README.md").read_text("utf-8")
    assert f"not lossless: {total['unknown']} of {total['tokens']:,} tokens are the unknown" in card

    manifest = read_manifest(str(shards[0])).tokenizer
    assert not manifest.lossless
    assert manifest.roles == {"start": 2, "pad": 0, "end": 3, "unknown": 1, "mask": 4}
    assert main(["stats", str(tmp_path / "one")]) == 0
    assert "unknown tokens" in capsys.readouterr().out
    for form in ("jsonl.zst", "parquet"):
        out = tmp_path / form
        assert main(["export", str(tmp_path / "one"), str(out), "--format", form]) == 0
