"""A vocabulary that the user brings: files of Hugging Face tokenizers, GPT-2 or RoBERTa."""

import json
import os
import re
import tempfile
from importlib.util import find_spec
from typing import Any

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, pre_tokenizers

from pipelines.home.fingerprints import fingerprint
from pipelines.recipe import KEEP_LOSES, KEEP_REMEDY, Recipe, TokenizerConfig
from pipelines.stages.wordpiece import read_vocab_txt, wordpiece_tokenizer
from shards.errors import UserError
from shards.roles import (
    BERT,
    NAMES,
    ROBERTA,
    ROLES,
    is_lossless,
    roles_of,
    special_tokens,
    unknown_token,
    vocabulary_of,
)
from shards.storage import files

Content = dict[str, Any]
"""The content of a `tokenizer.json`."""

MODELS = {"wordpiece": "WordPiece", "unigram": "Unigram"}
"""The model of a kind that the recipe asks for. `bpe`, the default, asks for none."""

FILES = (
    "tokenizer.json",
    "vocab.txt",
    "tokenizer_config.json",
    "vocab.json",
    "merges.txt",
    "encoder.json",
    "vocab.bpe",
    "dict.txt",
)
"""What a folder of a vocabulary may hold."""


def with_special_tokens(tokenizer: Tokenizer) -> Tokenizer:
    """The tokenizer with a special token for each role, and with nothing left to chance.

    Tokens that are missing come first, as RoBERTa put its own before GPT-2's ids, so that the table
    of positions, which has a row for each id up to the padding's, stays short; `<mask>` comes last.
    They have BERT's names where the vocabulary has one of BERT's. Truncation, padding and BPE
    dropout are turned off. Raises `UserError` where text can give the id of a special token.
    """
    data = json.loads(tokenizer.to_str())
    # A file saved by someone who trained with it may still hold these.
    data["truncation"] = data["padding"] = None
    if data["model"].get("dropout") is not None:
        data["model"]["dropout"] = None

    names = role_names(data)
    vocabulary = tokenizer.get_vocab()
    # Only the id of the padding costs rows of positions; RoBERTa's mask is the last id. Where ids
    # are left out, the library would append it at one that may be taken.
    missing = [name for name in names.values() if name not in vocabulary]
    is_dense = max(vocabulary.values(), default=-1) + 1 == len(vocabulary)
    last = ROBERTA["mask"] if is_dense else ""
    first = [name for name in missing if name != last]
    if first:
        move_ids(data, first)
    write_unknown(data, names["unknown"])
    mark_special(data, list(names.values()))

    # Those at the front are in the model now, so that this only marks them.
    made = Tokenizer.from_str(json.dumps(data))
    for name in [*first, *names.values()]:
        made.add_special_tokens([special(name)])
    return keep_text_as_text(made)


def special(name: str) -> AddedToken:
    """A special token. `<mask>` takes the space before it, as RoBERTa's does, for text that is
    masked by hand."""
    return AddedToken(name, special=True, normalized=False, lstrip=name == ROBERTA["mask"])


def role_names(data: Content) -> dict[str, str]:
    """Role -> name of its token, that of the vocabulary where it has one, in the order in which
    missing ones are added."""
    added = [token["content"] for token in data["added_tokens"]]
    known = {*vocabulary_of(data["model"]), *added}
    is_bert = data["model"]["type"] == "WordPiece" or known & set(BERT.values())
    family = BERT if is_bert else ROBERTA

    names = {}
    for role in family:
        own = [name for name in NAMES[role] if name in known]
        # A vocabulary of BERT's kind has BERT's names, whatever else is in it.
        names[role] = family[role] if family[role] in own or not own else own[0]

    # The model writes this one, whatever else the file calls unknown.
    unknown = unknown_token(data["model"])
    if unknown is not None and not is_lossless(data):
        names["unknown"] = unknown
    return names


def move_ids(data: Content, first: list[str]) -> None:
    """Put tokens before all others of a `tokenizer.json`."""
    model = data["model"]
    count = len(first)
    if isinstance(model["vocab"], dict):
        moved = {piece: number + count for piece, number in model["vocab"].items()}
        model["vocab"] = {**{name: place for place, name in enumerate(first)}, **moved}
    else:
        model["vocab"] = [*([name, 0.0] for name in first), *model["vocab"]]
        if model.get("unk_id") is not None:
            model["unk_id"] += count

    for token in data["added_tokens"]:
        token["id"] += count
    # It names tokens by their ids; an export writes its own.
    data["post_processor"] = None


def write_unknown(data: Content, name: str) -> None:
    """Let a model that cannot write every text write its unknown token, rather than fail or leave
    characters out."""
    model = data["model"]
    if is_lossless(data) or unknown_token(model) is not None:
        return
    if model["type"] == "Unigram":
        model["unk_id"] = vocabulary_of(model)[name]
    elif not model.get("byte_fallback"):
        model["unk_token"] = name


def mark_special(data: Content, names: list[str]) -> None:
    """Mark tokens that the file has added without calling them special."""
    for token in data["added_tokens"]:
        if token["content"] in names:
            token["special"] = True


def keep_text_as_text(tokenizer: Tokenizer) -> Tokenizer:
    """The tokenizer, for which a page that holds `</s>` gives ordinary ids.

    A model whose vocabulary holds `</s>` can find it in a text like any other piece. Then text is
    split after the first character of such a name. Raises `UserError` where that does not help.
    """
    if not forged(tokenizer):
        return tokenizer

    # What the model sees are the pieces between splits, none of which is a whole name any more.
    names = [name for name in special_ids(tokenizer) if len(name) > 1]
    parts = [f"{re.escape(name[0])}(?={re.escape(name[1:])})" for name in names]
    split: pre_tokenizers.PreTokenizer = pre_tokenizers.Split(Regex("|".join(parts)), "isolated")
    before = tokenizer.pre_tokenizer
    steps = [split] if before is None else [split, before]
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(steps)  # type: ignore[assignment]

    still = forged(tokenizer)
    if still:
        raise UserError(
            f"tokenizer.path: a text that holds {still[0]} gets the id of that special token",
            "give a byte-level BPE or WordPiece vocabulary, or train one",
        )
    return tokenizer


def special_ids(tokenizer: Tokenizer) -> dict[str, int]:
    """Name -> id of the special tokens."""
    return special_tokens(json.loads(tokenizer.to_str()))


def forged(tokenizer: Tokenizer) -> list[str]:
    """The special tokens that a text can contain: those of the ids that no shard may hold."""
    content = json.loads(tokenizer.to_str())
    special = special_tokens(content)
    unknown = None if is_lossless(content) else roles_of(content)["unknown"]
    reserved = set(special.values()) - {unknown}

    # As `read_tokenizer` encodes: alone, at the ends and inside of words, after a line end.
    as_text = Tokenizer.from_str(tokenizer.to_str())
    as_text.encode_special_tokens = True
    found = []
    for name in special:
        texts = [name, f" {name}", f"a{name}b", f"a {name} b", f"a\n{name}", name * 2]
        encodings = as_text.encode_batch(texts, add_special_tokens=False)
        if any(reserved & set(encoding.ids) for encoding in encodings):
            found.append(name)
    return found


def check_vocabulary(recipe: Recipe) -> None:
    """Refuse at the start a given vocabulary that cannot serve, and a kind that cannot be trained
    here. Raises `UserError`."""
    if recipe.tokenizer.path is None:
        # Training comes after hours of reading.
        if recipe.tokenizer.kind == "unigram" and find_spec("sentencepiece") is None:
            raise UserError(
                'tokenizer.kind: "unigram" is trained by sentencepiece, which is not installed',
                "pip install '.[unigram]' in the checkout, or give a vocabulary: tokenizer.path",
                3,
            )
        return

    tokenizer = load_vocabulary(recipe.tokenizer)
    if recipe.shards.whitespace == "keep" and not is_lossless(json.loads(tokenizer.to_str())):
        raise UserError(KEEP_LOSES, KEEP_REMEDY)


def load_vocabulary(config: TokenizerConfig) -> Tokenizer:
    """The vocabulary at `config.path`. Raises `UserError` as `load_given`, and where it is not of
    the kind that the recipe asks for."""
    assert config.path is not None
    tokenizer = load_given(config.path, config.lowercase)
    kind = type(tokenizer.model).__name__
    wanted = MODELS.get(config.kind, kind)
    if kind != wanted:
        raise UserError(
            f"tokenizer.path: {config.path}: a vocabulary of kind {kind}, not {wanted}",
            f"leave out tokenizer.kind, which is for training, or give a {wanted} vocabulary",
        )
    return tokenizer


def load_given(path: str, lowercase: bool = False) -> Tokenizer:
    """A vocabulary from tokenizer.json or vocab.txt, or from a folder.

    The folder holds tokenizer.json, or vocab.txt, or vocab.json and merges.txt, or encoder.json and
    vocab.bpe, with dict.txt for RoBERTa's ids. `lowercase` is for vocab.txt, which does not tell.
    Raises `UserError` where it cannot be read, puts a space before every text, or cannot encode.
    """
    try:
        if files.is_folder(path):
            names = {address.rsplit("/", 1)[1] for address in files.list_files(path)}
            inner = [name for name in ("tokenizer.json", "vocab.txt") if name in names]
            if not inner:
                _refuse_lowercase(path, lowercase)
                return _from_gpt2_files(path, names)
            path = files.join(path, inner[0])

        content = files.read_bytes(path)
        if path.endswith(".txt"):
            return _checked(path, _from_vocab_txt(path, content, lowercase))
        _refuse_lowercase(path, lowercase)
        tokenizer = Tokenizer.from_str(content.decode())
    except UserError:
        raise
    except Exception as error:  # what the Rust side raises for a file it does not understand
        raise UserError(
            f"tokenizer.path: {path}: {error}",
            "give a tokenizer.json of the Hugging Face tokenizers package, or a vocab.txt of BERT",
        ) from None
    _refuse_prefix_space(path, json.loads(tokenizer.to_str()))
    return _checked(path, tokenizer)


def _from_vocab_txt(path: str, content: bytes, lowercase: bool) -> Tokenizer:
    """The WordPiece of a `vocab.txt`. Raises `UserError` where a `tokenizer_config.json` beside it
    says that it is for another case."""
    beside = files.join(path.rpartition("/")[0] or ".", "tokenizer_config.json")
    if files.exists(beside):
        said = json.loads(files.read_bytes(beside)).get("do_lower_case")
        if said is not None and bool(said) != lowercase:
            raise UserError(
                f"tokenizer.lowercase: {str(lowercase).lower()}, but {beside} says do_lower_case "
                f"is {str(bool(said)).lower()}",
                f"set lowercase to {str(bool(said)).lower()} in [tokenizer]",
            )
    return wordpiece_tokenizer(read_vocab_txt(content), lowercase)


def _refuse_lowercase(path: str, lowercase: bool) -> None:
    if lowercase:
        raise UserError(
            f"tokenizer.lowercase: {path} itself tells whether letters are made lower case",
            "leave out tokenizer.lowercase, which is for vocab.txt and for training",
        )


def _checked(path: str, tokenizer: Tokenizer) -> Tokenizer:
    """`with_special_tokens`, and the vocabulary tried on a text of many scripts: what it cannot do
    must come out now, not after hours. Raises `UserError`, which names the path."""
    try:
        tokenizer = with_special_tokens(tokenizer)
        tokenizer.encode(MANY_SCRIPTS, add_special_tokens=False)
    except UserError as error:
        what = error.what.removeprefix("tokenizer.path: ")
        raise UserError(f"tokenizer.path: {path}: {what}", error.hint) from None
    except Exception as error:  # what the Rust side raises
        raise UserError(
            f"tokenizer.path: {path}: it cannot encode text: {error}",
            "give a byte-level BPE or WordPiece vocabulary, or train one",
        ) from None
    return tokenizer


MANY_SCRIPTS = (
    "The café. Добро 你好 こんにちは ภาษา 한국어 عربي 😀 \U00012000 \uffff a\nb\tc\u00a0d"
)
"""A text that no small vocabulary can write without its unknown token."""

ADDS_SPACE = {
    '"add_prefix_space": true': "set add_prefix_space to false in it",
    '"prepend_scheme": "always"': 'set prepend_scheme to "never" in it',
    '"prepend_scheme": "first"': 'set prepend_scheme to "never" in it',
    '"type": "Prepend"': "leave out Prepend in it",
}
"""Settings of a tokenizer.json that put a space before every text, and their remedies."""


def _refuse_prefix_space(path: str, data: dict[str, object]) -> None:
    """A tokenizer that puts a space before every text would put one before every sentence."""
    for part in ("pre_tokenizer", "normalizer"):
        text = json.dumps(data.get(part))
        for setting, remedy in ADDS_SPACE.items():
            if setting in text:
                raise UserError(
                    f"tokenizer.path: {path}: its {part} adds a space before the text", remedy
                )


def _from_gpt2_files(path: str, names: set[str]) -> Tokenizer:
    """The files of GPT-2 and RoBERTa."""
    pairs = [("vocab.json", "merges.txt"), ("encoder.json", "vocab.bpe")]
    complete = [pair for pair in pairs if names >= set(pair)]
    if not complete:
        raise UserError(
            f"tokenizer.path: {path}: no vocabulary in this folder",
            "it needs tokenizer.json, vocab.txt, vocab.json and merges.txt, or encoder.json and "
            "vocab.bpe",
        )

    ids_file, merges_file = complete[0]
    vocabulary: dict[str, int] = json.loads(files.read_bytes(files.join(path, ids_file)))
    if "dict.txt" in names:
        dictionary = files.read_bytes(files.join(path, "dict.txt")).decode()
        vocabulary = _roberta_ids(vocabulary, dictionary)

    # tokenizers reads both from files of this machine.
    with tempfile.TemporaryDirectory() as folder:
        local_merges = os.path.join(folder, "merges.txt")
        with open(local_merges, "wb") as merges:
            merges.write(files.read_bytes(files.join(path, merges_file)))

        local_ids = os.path.join(folder, "vocab.json")
        with open(local_ids, "w", encoding="utf-8") as stream:
            json.dump(vocabulary, stream)
        tokenizer = Tokenizer(models.BPE.from_file(local_ids, local_merges))

    byte_level = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.pre_tokenizer = byte_level  # type: ignore[assignment]
    tokenizer.decoder = decoders.ByteLevel()  # type: ignore[assignment]
    if "<|endoftext|>" in vocabulary:
        tokenizer.add_special_tokens([AddedToken("<|endoftext|>", special=True, normalized=False)])
    return _checked(path, tokenizer)


def _roberta_ids(gpt2: dict[str, int], dictionary: str) -> dict[str, int]:
    """RoBERTa's ids: 4 + the line of dict.txt, `<mask>` last (fairseq's `Dictionary`)."""
    pieces = {number: piece for piece, number in gpt2.items()}
    vocabulary = {ROBERTA[role]: index for index, role in enumerate(ROLES[:-1])}
    first = len(vocabulary)
    words = [line.rsplit(" ", 1)[0] for line in dictionary.splitlines() if line]

    # fairseq pads with made-up words to a multiple of 8; copies of the file hold more of them than
    # the model has ids.
    real = sum(not word.startswith("madeupword") for word in words)
    padded = -(-(real + first) // 8) * 8 - first
    for number, word in enumerate(words[:padded], first):
        vocabulary[pieces[int(word)] if word.isdigit() else word] = number

    vocabulary["<mask>"] = len(vocabulary)
    return vocabulary


def given_digest(path: str) -> str:
    """A digest of the file of a given vocabulary, or of those in its folder.

    Raises `UserError` where there is none.
    """
    if not files.is_folder(path):
        try:
            return files.digest(path)
        except FileNotFoundError:
            raise UserError(
                f"tokenizer.path: {path}: no such file",
                "give a tokenizer.json or a folder with one",
            ) from None

    digests = []
    for name in FILES:
        address = files.join(path, name)
        if files.exists(address):
            digests.append([name, files.digest(address)])
    return fingerprint(files=digests)
