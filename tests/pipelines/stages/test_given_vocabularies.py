"""Given vocabularies of every kind: special tokens by role and first, unknown tokens that are
ordinary, text that stays text, nothing left to chance; or refused at the start."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import (
    AddedToken,
    Tokenizer,
    models,
    normalizers,
    pre_tokenizers,
    processors,
    trainers,
)

from pipelines.stages.encoder import read_tokenizer
from pipelines.stages.given_tokenizer import load_given
from shards.errors import UserError
from shards.roles import BERT, ROBERTA, ROLES, is_lossless, roles_of, special_tokens

TEXTS = ["The cat sat on the mat.", "A dog barked; it ran away!", "Cats and dogs, 1 2 3."] * 5


def trained(model: Any, trainer: Any, before: Any, special: list[str]) -> Tokenizer:
    tokenizer = Tokenizer(model)
    tokenizer.pre_tokenizer = before
    tokenizer.train_from_iterator(TEXTS, trainer(special_tokens=special, show_progress=False))
    return tokenizer


def byte_level(special: list[str]) -> Tokenizer:
    before = pre_tokenizers.ByteLevel(add_prefix_space=False)

    def trainer(**options: Any) -> Any:
        alphabet = pre_tokenizers.ByteLevel.alphabet()
        return trainers.BpeTrainer(vocab_size=300, initial_alphabet=alphabet, **options)

    return trained(models.BPE(), trainer, before, special)


def wordpiece(special: list[str], before: Any = None) -> Tokenizer:
    unknown = special[1] if len(special) > 1 else "[UNK]"
    return trained(
        models.WordPiece(unk_token=unknown),
        trainers.WordPieceTrainer,
        before or pre_tokenizers.BertPreTokenizer(),
        special,
    )


def unigram(special: list[str], unknown: str | None) -> Tokenizer:
    pieces = [(name, 0.0) for name in special]
    pieces += [(piece, -3.0) for piece in ["▁", "▁the", "▁cat", *"Theacsdogm.<>/[]SEP"]]
    number = special.index(unknown) if unknown else None
    tokenizer = Tokenizer(models.Unigram(list(dict(pieces).items()), number, False))
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="never")
    return tokenizer


def load(tokenizer: Tokenizer, tmp_path: Path) -> dict[str, Any]:
    """The content of the home's tokenizer.json, and nothing of the file's own chance in it."""
    (tmp_path / "given.json").write_text(tokenizer.to_str())
    made = load_given(str(tmp_path / "given.json"))
    (tmp_path / "made.json").write_text(made.to_str())
    data: dict[str, Any] = json.loads(made.to_str())
    assert data["truncation"] is None and data["padding"] is None
    assert data["model"].get("dropout") is None
    assert set(roles_of(data)) == set(ROLES)

    numbers = sorted(made.get_vocab().values())
    assert numbers == list(range(len(numbers)))
    return data


def text_stays_text(tmp_path: Path, data: dict[str, Any], text: str) -> None:
    special = special_tokens(data)
    reserved = set(special.values())
    if not is_lossless(data):
        reserved.discard(roles_of(data)["unknown"])
    tokenizer = read_tokenizer(str(tmp_path / "made.json"))
    ids = tokenizer.encode(text, add_special_tokens=False).ids
    assert not reserved & set(ids), (text, ids)


HOSTILE = [f"{name}" for name in [*ROBERTA.values(), *BERT.values()]]


def check(tmp_path: Path, tokenizer: Tokenizer) -> dict[str, Any]:
    data = load(tokenizer, tmp_path)
    for name in HOSTILE:
        for text in (name, f"the {name} cat", f"cat{name}cat", name * 3, f"{name}\n{name.lower()}"):
            text_stays_text(tmp_path, data, text)
    text_stays_text(tmp_path, data, "漢字 😀 Ж")
    return data


@pytest.mark.parametrize(
    "special, first, roles",
    [
        ([], ["<s>", "<pad>", "</s>", "<unk>"], [0, 1, 2, 3, -1]),
        (["<unk>"], ["<s>", "<pad>", "</s>", "<unk>"], [0, 1, 2, 3, -1]),
        (["</s>", "<unk>", "<pad>"], ["<s>", "</s>", "<unk>"], [0, 3, 1, 2, -1]),
        (["<mask>", "<s>"], ["<pad>", "</s>", "<unk>", "<mask>"], [4, 0, 1, 2, 3]),
        (list(ROBERTA.values()), list(ROBERTA.values()), [0, 1, 2, 3, 4]),
        (["[PAD]", "[CLS]"], ["[UNK]", "[SEP]", "[MASK]", "[PAD]", "[CLS]"], [4, 3, 1, 0, 2]),
    ],
)
def test_missing_tokens_go_first(
    special: list[str], first: list[str], roles: list[int], tmp_path: Path
) -> None:
    given_tokenizer = byte_level(special)
    data = check(tmp_path, given_tokenizer)
    vocabulary = load_given(str(tmp_path / "given.json")).get_vocab()
    size = len(vocabulary)
    assert [name for name, number in sorted(vocabulary.items(), key=lambda x: x[1])][
        : len(first)
    ] == first
    wanted = [number if number >= 0 else size - 1 for number in roles]
    assert list(roles_of(data).values()) == wanted
    assert is_lossless(data)

    # All else keeps its order.
    moved = len([name for name in first if name not in special])
    text = "The cat sat; 漢字 on the mat."
    before = given_tokenizer.encode(text, add_special_tokens=False).ids
    after = load_given(str(tmp_path / "given.json")).encode(text, add_special_tokens=False).ids
    assert [number - moved for number in after] == before


def test_bert_s_own_tokens_are_its_roles(tmp_path: Path) -> None:
    tokenizer = wordpiece(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"])
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    tokenizer.enable_truncation(7)
    tokenizer.enable_padding(pad_id=0, pad_token="[PAD]", length=16)
    size = tokenizer.get_vocab_size()
    data = check(tmp_path, tokenizer)
    assert roles_of(data) == {"start": 2, "pad": 0, "end": 3, "unknown": 1, "mask": 4}
    assert len(data["model"]["vocab"]) == size and not is_lossless(data)


def test_a_model_without_its_unknown_token_gets_one(tmp_path: Path) -> None:
    """WordPiece and Unigram would fail at the first such character, BPE would leave it out."""
    data = check(tmp_path, wordpiece([]))
    assert data["model"]["unk_token"] == "[UNK]"
    made = read_tokenizer(str(tmp_path / "made.json"))
    assert made.encode("漢").ids == [roles_of(data)["unknown"]]

    letters = trained(models.BPE(), trainers.BpeTrainer, pre_tokenizers.Whitespace(), [])
    data = check(tmp_path, letters)
    made = read_tokenizer(str(tmp_path / "made.json"))
    assert made.encode("漢").ids == [roles_of(data)["unknown"]]

    data = check(tmp_path, unigram([], None))
    made = read_tokenizer(str(tmp_path / "made.json"))
    assert roles_of(data)["unknown"] in made.encode("漢").ids


def test_a_model_s_own_name_for_unknown(tmp_path: Path) -> None:
    tokenizer = wordpiece(["[PAD]", "<oov>"])
    data = check(tmp_path, tokenizer)
    assert data["model"]["unk_token"] == "<oov>"
    assert special_tokens(data)["<oov>"] == roles_of(data)["unknown"]


@pytest.mark.parametrize("special", [["<s>", "<pad>", "</s>", "<unk>"], ["<unk>", "<s>", "</s>"]])
def test_unigram(special: list[str], tmp_path: Path) -> None:
    """Its special tokens are pieces like any other, which a page must not be able to name."""
    data = check(tmp_path, unigram(special, "<unk>"))
    made = read_tokenizer(str(tmp_path / "made.json"))
    assert made.encode("the </s> cat").tokens == ["t", "h", "e", "▁", "<", "/", "s", ">", "▁cat"]
    assert roles_of(data)["pad"] < 4


@given(
    text=st.text(st.sampled_from("<>/[]spadunkmSEPCLMAK the\n"), max_size=40)
    | st.lists(st.sampled_from([*HOSTILE, " ", "a"]), max_size=8).map("".join)
)
def test_no_text_gives_a_special_id(text: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    for number, tokenizer in enumerate(
        [
            unigram(["<s>", "<pad>", "</s>", "<unk>"], "<unk>"),
            wordpiece(["[PAD]", "[UNK]", "[CLS]", "[SEP]"], pre_tokenizers.WhitespaceSplit()),
        ]
    ):
        folder = tmp_path_factory.getbasetemp() / f"hostile{number}"
        folder.mkdir(exist_ok=True)
        data = load(tokenizer, folder)
        text_stays_text(folder, data, text)


def test_a_special_token_that_the_file_calls_ordinary(tmp_path: Path) -> None:
    tokenizer = byte_level(["<s>", "<pad>", "</s>", "<unk>"])
    data = json.loads(tokenizer.to_str())
    for token in data["added_tokens"]:
        token["special"] = False
    assert special_tokens(check(tmp_path, Tokenizer.from_str(json.dumps(data))))["</s>"] == 2


def test_dropout_is_turned_off(tmp_path: Path) -> None:
    data = json.loads(byte_level(["<s>"]).to_str())
    data["model"]["dropout"] = 0.5
    dropping = Tokenizer.from_str(json.dumps(data))
    data["model"]["dropout"] = None
    whole = Tokenizer.from_str(json.dumps(data))
    text = "The cat sat on the mat. " * 20
    assert dropping.encode(text).ids != dropping.encode(text).ids
    assert check(tmp_path, dropping)["model"] == check(tmp_path, whole)["model"]


@pytest.mark.parametrize("scheme", ["always", "first"])
def test_metaspace_that_adds_a_space_is_refused(scheme: Any, tmp_path: Path) -> None:
    tokenizer = unigram(["<unk>"], "<unk>")
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme=scheme)
    (tmp_path / "t.json").write_text(tokenizer.to_str())
    with pytest.raises(UserError, match="pre_tokenizer adds a space") as caught:
        load_given(str(tmp_path / "t.json"))
    assert caught.value.hint == 'set prepend_scheme to "never" in it'


def test_the_name_of_an_added_token_inside_a_text_of_its_own(tmp_path: Path) -> None:
    """More special tokens than the roles need: none of them can come from a text."""
    tokenizer = byte_level([])
    tokenizer.add_special_tokens([AddedToken("<|endoftext|>", special=True), "<extra>"])
    data = check(tmp_path, tokenizer)
    for text in ("<|endoftext|>", "a<extra>b", "<extra"):
        text_stays_text(tmp_path, data, text)


def test_a_vocabulary_that_leaves_ids_out(tmp_path: Path) -> None:
    """The library would put an appended token at the number of tokens, which may be taken."""
    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {letter: number for number, letter in enumerate(letters)}
    vocabulary["\u0120"] = 261
    tokenizer = Tokenizer(models.BPE(vocabulary, []))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    (tmp_path / "t.json").write_text(tokenizer.to_str())
    made = load_given(str(tmp_path / "t.json"))
    numbers = made.get_vocab()
    assert len(set(numbers.values())) == len(numbers) == 261
    assert [numbers[name] for name in ROBERTA.values()] == [0, 1, 2, 3, 4]
    assert numbers["\u0120"] == 266 and numbers["A"] == vocabulary["A"] + 5
