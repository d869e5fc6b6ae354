"""A checkpoint as a Hugging Face directory: `config.json`, `model.safetensors`, the tokenizer, a
model card.

Weights keep their published names, so `model.safetensors` is the same to the byte for the same
weights. An export is read back and compared before the command succeeds.
"""

import importlib.util
import json
from dataclasses import dataclass
from pathlib import Path

import safetensors.torch
import torch
from torch import Tensor

from shards.errors import UserError, in_command
from shards.storage import files
from trainer import checkpoint
from trainer.checkpoint import State
from trainer.config import ModelConfig
from trainer.models.roberta import MaskedLM, build, count_parameters, published_state
from trainer.pretrained import WEIGHTS, load_pretrained, read_config
from trainer.run_info import RunInfo, read_run_info

# The largest difference to the logits of transformers, which adds in another order.
TOLERANCE = 1e-4

SPECIAL_TOKENS = {
    "bos_token": "<s>",
    "eos_token": "</s>",
    "unk_token": "<unk>",
    "sep_token": "</s>",
    "pad_token": "<pad>",
    "cls_token": "<s>",
    "mask_token": "<mask>",
}


@dataclass(frozen=True, kw_only=True)
class Exported:
    """What was exported, by the keys of `--json`. `difference` is the largest difference to the
    logits of transformers, None where `transformers` is false because it is not installed."""

    step: int
    parameters: int
    difference: float | None
    transformers: bool


def export(run: Path, out: Path, step: str = "") -> Exported:
    """Write the checkpoint of `step` (see `checkpoint.choose`) to `out`; read it back and compare.

    Raises `UserError` when there is no checkpoint, when `out` is not empty or cannot be written
    (exit 3), and when what was read back differs (exit 1).
    """
    path, state = checkpoint.choose(run, step)
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise UserError(f"{out}: is not an empty directory", "name another --out")

    model = checkpoint.load_model(path, state).eval()
    try:
        out.mkdir(parents=True, exist_ok=True)
        special = write_tokenizer(run, out, model.config.positions)
        write_json(out / "config.json", hugging_face_config(model.config, special))
        weights = {name: tensor.contiguous() for name, tensor in published_state(model).items()}
        files.write_bytes(str(out / WEIGHTS), safetensors.torch.save(weights, {"format": "pt"}))
        files.write_bytes(str(out / "README.md"), model_card(run, state).encode())
    except OSError as error:
        raise UserError(
            f"{out}: cannot be written: {error}", "make room, or name another --out", 3
        ) from None

    difference = compare(model, out)
    return Exported(
        step=state.step,
        parameters=count_parameters(model.config),
        difference=difference,
        transformers=difference is not None,
    )


# --- reading it back


@torch.no_grad()
def compare(model: MaskedLM, out: Path) -> float | None:
    """Read an export back: its weights and logits must equal those of `model` to the bit, and the
    logits of transformers, where it is installed, must be within TOLERANCE.

    Returns the difference to transformers, None without it. Raises `UserError` (exit 1).
    """
    config = read_config(out, model.config)
    again = build(config, 1).eval()
    load_pretrained(out, again)

    generator = torch.Generator().manual_seed(0)
    shape = (2, min(16, config.positions))
    ids = torch.randint(config.pad_id + 1, config.vocab_size, shape, generator=generator)
    lengths = torch.full((2, 1), shape[1])
    places = torch.arange(ids.numel())
    logits = model(ids, lengths, places)[:, : config.vocab_size]
    logits_again = again(ids, lengths, places)[:, : config.vocab_size]

    stored = published_state(again)
    same = [torch.equal(tensor, stored[name]) for name, tensor in published_state(model).items()]
    if not all(same) or not torch.equal(logits, logits_again):
        raise UserError(
            f"{out}: what was read back is not what was written",
            "check the disk, then export again",
            1,
        )

    if importlib.util.find_spec("transformers") is None:
        return None
    theirs = transformers_logits(out, ids, config.pad_id)
    difference = float((theirs.reshape(logits.shape) - logits).abs().max())
    if difference > TOLERANCE:
        raise UserError(
            f"{out}: transformers gives logits that differ by {difference:.2g}",
            "please report this",
            1,
        )
    return difference


def transformers_logits(directory: Path, ids: Tensor, pad_id: int) -> Tensor:
    """The logits (B, T, V) that transformers gives for `ids` (B, T) int64."""
    from transformers import AutoModelForMaskedLM
    from transformers.utils import logging

    logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    model = AutoModelForMaskedLM.from_pretrained(str(directory)).eval()
    logits: Tensor = model(input_ids=ids, attention_mask=(ids != pad_id).long()).logits
    return logits


# --- the files


def hugging_face_config(config: ModelConfig, special: dict[str, int]) -> dict[str, object]:
    """`config.json` with every field, since the defaults of the class are not RoBERTa's (512
    positions, 2 token types, eps 1e-12). `special` holds the ids of <s> and </s>."""
    return {
        "architectures": ["RobertaForMaskedLM"],
        "model_type": "roberta",
        "vocab_size": config.vocab_size,
        "hidden_size": config.hidden,
        "num_hidden_layers": config.layers,
        "num_attention_heads": config.heads,
        "intermediate_size": config.intermediate,
        "hidden_act": "gelu",
        "hidden_dropout_prob": config.dropout,
        "attention_probs_dropout_prob": config.attention_dropout,
        "max_position_embeddings": config.positions + config.pad_id + 1,
        "type_vocab_size": 1,
        "initializer_range": 0.02,
        "layer_norm_eps": config.layer_norm_eps,
        "pad_token_id": config.pad_id,
        "bos_token_id": special["<s>"],
        "eos_token_id": special["</s>"],
        "position_embedding_type": "absolute",
        "classifier_dropout": None,
        "is_decoder": False,
        "add_cross_attention": False,
        "use_cache": True,
        "tie_word_embeddings": True,
        "torch_dtype": "float32",
    }


def write_tokenizer(run: Path, out: Path, length: int) -> dict[str, int]:
    """Write the run's tokenizer with what Hugging Face expects: <s> and </s> around a text, and a
    <mask> that takes the space before it.

    `length` is the longest sequence in tokens. Returns the ids of the special tokens. Raises
    `UserError` when the run has no tokenizer or it is damaged.
    """
    path = run / "tokenizer.json"
    hint = f"copy it from the shards: cp SHARDS/tokenizer.json {in_command(run)}"
    try:
        tokenizer = json.loads(path.read_text())
        ids = {token["content"]: token["id"] for token in tokenizer["added_tokens"]}
    except OSError:
        raise UserError(f"{path}: missing", hint) from None
    except (ValueError, KeyError, TypeError):
        raise UserError(f"{path}: not a tokenizer", hint, 1) from None

    for token in tokenizer["added_tokens"]:
        if token["content"] == "<mask>":
            token["lstrip"] = True
    tokenizer["post_processor"] = {
        "type": "RobertaProcessing",
        "sep": ["</s>", ids["</s>"]],
        "cls": ["<s>", ids["<s>"]],
        "trim_offsets": True,
        "add_prefix_space": False,
    }

    settings = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "model_max_length": length,
        "clean_up_tokenization_spaces": False,
        "add_prefix_space": False,
        **SPECIAL_TOKENS,
    }
    write_json(out / "tokenizer.json", tokenizer)
    write_json(out / "tokenizer_config.json", settings)
    write_json(out / "special_tokens_map.json", SPECIAL_TOKENS)
    return ids


def write_json(path: Path, content: object) -> None:
    """Write JSON with an indent of two spaces."""
    text = json.dumps(content, indent=2, ensure_ascii=False) + "\n"
    files.write_bytes(str(path), text.encode())


def model_card(run: Path, state: State) -> str:
    """README.md of the export: what the model was trained on, by digest, and with which settings.

    A run without a readable `run.json` gives a card that lists no sources and no shards.
    """
    try:
        info = read_run_info(run)
    except UserError:
        info = RunInfo(shards=[], sources={}, data="", identity=[])

    sources = "\n".join(f"| {name} | {tokens:,} |" for name, tokens in info.sources.items())
    keys = "\n".join(f"{key} = {value}" for key, value in sorted(state.recipe.items()))
    digests = "\n".join(info.identity)
    return f"""---
library_name: transformers
pipeline_tag: fill-mask
---

# RoBERTa, step {state.step} of {state.recipe.get("steps")}

Pretrained with corpusmill by masked language modelling on {state.tokens:,} tokens, without padding.

## Training data

| source | tokens in the training split |
| --- | --- |
{sources}

Digest of the training data: `{state.data}`. Digest of the tokenizer: `{state.tokenizer}`.

## Settings

```
{keys}
```

## Shards

The source and the blake2b-32 digest of each shard, in training order:

```
{digests}
```
"""
