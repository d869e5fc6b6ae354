"""The tokenizer of an export: the run's `tokenizer.json` with special tokens around a text, and the
settings by which transformers loads it.

A RoBERTa's byte-level BPE is a RobertaTokenizerFast, BERT's WordPiece a BertTokenizerFast, so that
what they offer works: `add_prefix_space` for texts that are cut into words, `do_lower_case`. Any
other tokenizer is a PreTrainedTokenizerFast, which takes the file as it is.
"""

import json
from dataclasses import dataclass
from pathlib import Path

from shards.errors import UserError, in_command
from shards.roles import TokenizerFile, roles_of, special_tokens
from shards.storage import files

SPECIAL_TOKENS = {
    "bos_token": "start",
    "eos_token": "end",
    "unk_token": "unknown",
    "sep_token": "end",
    "pad_token": "pad",
    "cls_token": "start",
    "mask_token": "mask",
}
"""The names that transformers gives to special tokens, and their roles."""

INPUTS = {
    "roberta": ["input_ids", "attention_mask"],
    "bert": ["input_ids", "token_type_ids", "attention_mask"],
}
"""What a model of a family takes."""

NOT_OF_BERT = ("bos_token", "eos_token")
"""Names that BertTokenizerFast does not have."""


@dataclass(frozen=True)
class TokenizerClass:
    """A class of transformers, and the settings that are its own."""

    name: str
    settings: dict[str, object]


def write_tokenizer(run: Path, out: Path, length: int, family: str) -> dict[str, int]:
    """Write the run's tokenizer for transformers; return the ids of the special tokens by role.

    `length` is the longest sequence in tokens. Of a pair of texts the `family` "roberta" makes
    `<s> A </s> </s> B </s>`, "bert" makes `<s> A </s> B </s>` with two token types; WordPiece makes
    BERT's for both, without the types for a RoBERTa, which has one. Raises `UserError` when the run
    has no tokenizer or it is damaged.
    """
    path = run / "tokenizer.json"
    hint = f"copy it from the shards: cp SHARDS/tokenizer.json {in_command(run)}"
    try:
        tokenizer = json.loads(path.read_text("utf-8"))
        roles = roles_of(tokenizer)
        names = {number: name for name, number in special_tokens(tokenizer).items()}
        special = {name: names[roles[role]] for name, role in SPECIAL_TOKENS.items()}
    except OSError:
        raise UserError(f"{path}: missing", hint) from None
    except (ValueError, KeyError, TypeError, AttributeError):
        raise UserError(f"{path}: not a tokenizer", hint, 1) from None

    kind = class_of(tokenizer, family)
    if kind.name == "BertTokenizerFast":
        special = {name: token for name, token in special.items() if name not in NOT_OF_BERT}
    else:
        take_space_before(tokenizer, roles["mask"])

    around = {
        "sep": [special["sep_token"], roles["end"]],
        "cls": [special["cls_token"], roles["start"]],
    }
    tokenizer["post_processor"] = {"type": "BertProcessing", **around}
    if family == "roberta" and kind.name != "BertTokenizerFast":
        offsets = {"trim_offsets": True, "add_prefix_space": False}
        tokenizer["post_processor"] = {"type": "RobertaProcessing", **around, **offsets}

    settings = {
        "tokenizer_class": kind.name,
        "model_max_length": length,
        "model_input_names": INPUTS[family],
        "clean_up_tokenization_spaces": False,
        **kind.settings,
        **special,
    }
    write_json(out / "tokenizer.json", tokenizer)
    write_json(out / "tokenizer_config.json", settings)
    write_json(out / "special_tokens_map.json", special)
    return roles


def class_of(tokenizer: TokenizerFile, family: str) -> TokenizerClass:
    """The class of transformers for a `tokenizer.json`.

    The named classes build their own pre-tokenizer from the settings, so each is for the very kind
    of vocabulary that it was made for.
    """
    before = tokenizer.get("pre_tokenizer") or {}
    normalizer = tokenizer.get("normalizer") or {}
    model = tokenizer["model"]

    is_byte_level = model["type"] == "BPE" and before.get("type") == "ByteLevel"
    if is_byte_level and not normalizer and before.get("use_regex", True) and family == "roberta":
        return TokenizerClass("RobertaTokenizerFast", {"add_prefix_space": False})

    is_bert = (
        before.get("type") == "BertPreTokenizer" and normalizer.get("type") == "BertNormalizer"
    )
    prefix = model.get("continuing_subword_prefix")
    if model["type"] == "WordPiece" and is_bert and prefix == "##":
        settings = {
            "do_lower_case": normalizer["lowercase"],
            "strip_accents": normalizer["strip_accents"],
            "tokenize_chinese_chars": normalizer["handle_chinese_chars"],
        }
        return TokenizerClass("BertTokenizerFast", settings)
    return TokenizerClass("PreTrainedTokenizerFast", {})


def take_space_before(tokenizer: TokenizerFile, number: int) -> None:
    """Let a token take the space before it, as RoBERTa's mask does, for text that is masked by
    hand."""
    for token in tokenizer["added_tokens"]:
        if token["id"] == number:
            token["lstrip"] = True


def write_json(path: Path, content: object) -> None:
    """Write JSON with an indent of two spaces."""
    text = json.dumps(content, indent=2, ensure_ascii=False) + "\n"
    files.write_bytes(str(path), text.encode())
