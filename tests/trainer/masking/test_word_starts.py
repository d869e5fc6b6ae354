"""Where words begin: the tables on real vocabularies of each kind, against BERT's own rule."""

import json

import numpy as np
import pytest
import tokenizers
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import models, normalizers, pre_tokenizers, trainers
from trainer_fixtures import byte_bpe

from shards.errors import UserError
from trainer.masking.word_starts import word_ends, word_starts

TEXT = [
    'The cat (a big one) didn\'t see 1,234 mice in 2016; "hello," said covid-19. Naïve café!',
    "你好世界 今天是2016年。 こんにちは 東京タワー ภาษาไทย 한국어 문장 русский язык",
]


def words_of(text: str) -> list[str]:
    """BERT's words."""
    spaced = normalizers.BertNormalizer(
        clean_text=False, handle_chinese_chars=True, strip_accents=False, lowercase=False
    )
    pieces = pre_tokenizers.BertPreTokenizer().pre_tokenize_str(spaced.normalize_str(text))
    return [word for word, _ in pieces]


def groups(tokenizer: tokenizers.Tokenizer, text: str) -> list[str]:
    """The words of a text by the two tables."""
    content = tokenizer.to_str()
    starts, ends = word_starts(content), word_ends(content)
    ids = tokenizer.encode(text, add_special_tokens=False).ids
    found: list[list[int]] = []
    for place, number in enumerate(ids):
        if place == 0 or starts[number] or ends[ids[place - 1]]:
            found.append([])
        found[-1].append(number)
    words = [tokenizer.decode(word).strip().removeprefix("##") for word in found]
    # A lone space is one where a vocabulary has no token for it and the mark after it.
    return [word for word in words if word]


def wordpiece(texts: list[str], size: int) -> tokenizers.Tokenizer:
    tokenizer = tokenizers.Tokenizer(models.WordPiece(unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=False)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    trainer = trainers.WordPieceTrainer(
        vocab_size=size, special_tokens=["[PAD]", "[UNK]"], show_progress=False
    )
    tokenizer.train_from_iterator(texts, trainer)
    tokenizer.decoder = tokenizers.decoders.WordPiece()
    return tokenizer


def check_words(tokenizer: tokenizers.Tokenizer, text: str) -> None:
    """Words are BERT's; but one token is one word, as `'t` and `),` are of byte-level BPE."""
    found = groups(tokenizer, text)
    parts = [part for word in found for part in words_of(word)]
    assert parts == words_of(text)

    for word in found:
        is_token = len(tokenizer.encode(word, add_special_tokens=False).ids) == 1
        assert is_token or len(words_of(word)) == 1, word


@pytest.mark.parametrize("size", [300, 330, 400, 600])
def test_words_of_byte_level_bpe_are_bert_s(size: int) -> None:
    tokenizer = byte_bpe(TEXT * 3, size)
    for text in (TEXT[0], "(hello) [x]y-z...", "a  b", "x\ny", "是的你好!", "don't"):
        check_words(tokenizer, text)
    assert groups(tokenizer, "русский язык, 한국어") == ["русский", "язык", ",", "한국어"]
    assert groups(tokenizer, "we don't") == ["we", "don", "'t"]  # GPT-2 has a token for 't


@pytest.mark.parametrize("size", [120, 200, 400])
def test_words_of_wordpiece_are_bert_s(size: int) -> None:
    tokenizer = wordpiece(TEXT * 3, size)
    assert groups(tokenizer, TEXT[0]) == words_of(TEXT[0])


def test_each_token_begins_a_word_in_scripts_without_spaces() -> None:
    tokenizer = wordpiece(["ภาษาไทย こんにちは" * 3, "ไทย"], 200)
    starts = word_starts(tokenizer.to_str())
    vocabulary = tokenizer.get_vocab()
    assert starts[vocabulary["##ท"]] == 1 and starts[vocabulary["##ん"]] == 1
    # A mark over the letter before it never stands alone.
    marked = wordpiece(["กำลัง ลัง ัง"], 60)
    assert word_starts(marked.to_str())[marked.get_vocab()["##ั"]] == 0


def test_chinese_characters_are_words_beside_latin_ones() -> None:
    tokenizer = byte_bpe(["它\n是\n年\n的\n版"] * 5, 300)
    text = "它是2016年的Python3.12版"
    assert groups(tokenizer, text) == words_of(text)


def test_single_values() -> None:
    tokenizer = byte_bpe(["hello hello hello (2016) 2016 2016 你你你 don't ...", " ("] * 5, 330)
    starts, ends = word_starts(tokenizer.to_str()), word_ends(tokenizer.to_str())
    assert starts.dtype == ends.dtype == np.uint8
    assert len(starts) == len(ends) == tokenizer.get_vocab_size()

    vocabulary = tokenizer.get_vocab()
    wanted = {"Ġhello": (1, 0), "h": (0, 0), "(": (1, 1), "Ġ(": (1, 1), "Ġ": (1, 0), "Ċ": (1, 1)}
    wanted |= {
        "2": (0, 0),
        "Ġ2016": (1, 0),
        "'": (1, 1),
        "ä": (1, 0),
        "à": (0, 0),
        "å": (1, 0),
        "½": (0, 0),
    }
    wanted |= {"ä½ł": (1, 1), "<s>": (1, 1), "<mask>": (1, 1)}
    for piece, values in wanted.items():
        number = vocabulary[piece]
        assert (starts[number], ends[number]) == values, piece


@given(text=st.text(st.sampled_from("ab1 .,(-'é你ж"), max_size=30))
def test_any_text_falls_into_bert_s_words(text: str) -> None:
    tokenizer = byte_bpe(["ab ab1 (b) a-b é你 ж, жж b(a 1.1 11 你ab"] * 3, 320)
    check_words(tokenizer, text)


def test_metaspace_and_whole_words() -> None:
    vocabulary = [("<unk>", 0.0), ("▁the", -1.0), ("the", -2.0), ("<0xA4>", -3.0), (".", -1.0)]
    unigram = tokenizers.Tokenizer(models.Unigram(vocabulary, 0, True))
    unigram.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="never")
    unigram.add_special_tokens(["<unk>"])
    assert word_starts(unigram.to_str()).tolist() == [1, 1, 0, 0, 1]

    level = tokenizers.Tokenizer(models.WordLevel({"a": 0, "b": 1}, "a"))
    assert word_starts(level.to_str().encode()).tolist() == [1, 1]


def test_a_vocabulary_without_word_starts_is_refused() -> None:
    letters = tokenizers.Tokenizer(models.BPE({"a": 0, "b": 1, "ab": 2}, [("a", "b")]))
    letters.pre_tokenizer = pre_tokenizers.Whitespace()
    with pytest.raises(UserError, match="does not tell where words begin"):
        word_starts(letters.to_str())

    spaceless = tokenizers.Tokenizer(models.BPE({"a": 0, "b": 1}, []))
    spaceless.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    with pytest.raises(UserError, match="does not tell where words begin"):
        word_ends(spaceless.to_str())


def test_ids_that_are_left_out_and_numbers_of_a_wide_vocabulary() -> None:
    content = byte_bpe(["ab ab"], 300).to_str()
    data = json.loads(content)
    data["added_tokens"].append({**data["added_tokens"][0], "id": 1000, "content": "<x>"})
    starts = word_starts(json.dumps(data))
    assert len(starts) == 1001 and starts[999] == 1
