"""A checkpoint as a Hugging Face directory: `config.json`, `model.safetensors`, the tokenizer, a
model card; and `heads.safetensors` where a head was trained that transformers has no place for.

Weights have their published names, so `model.safetensors` is the same to the byte for the same
weights. An export is read back and compared before the command succeeds.
"""

import importlib.util
from dataclasses import dataclass
from pathlib import Path

import safetensors.torch
import torch
from torch import Tensor

from shards.errors import UserError
from shards.storage import files
from trainer import checkpoint
from trainer.checkpoint import State
from trainer.config import ModelConfig
from trainer.export_tokenizer import write_json, write_tokenizer
from trainer.models.encoder import first_position, token_types
from trainer.models.names import is_ours
from trainer.models.pretraining import PretrainingModel, build, published_state
from trainer.models.sizes import count_parameters
from trainer.pretrained import load_pretrained, read_config
from trainer.run_info import RunInfo, read_run_info
from trainer.weight_files import HEADS, WEIGHTS

# The largest difference to the logits of transformers, which adds in another order.
TOLERANCE = 1e-4

FAMILIES = {"roberta": "RoBERTa", "bert": "BERT"}


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
        raise UserError(f"{out}: not an empty folder", "name another folder with --out")

    model = checkpoint.load_model(path, state).eval()
    try:
        out.mkdir(parents=True, exist_ok=True)
        roles = write_tokenizer(run, out, model.config.positions, model.config.family)
        write_json(out / "config.json", hugging_face_config(model.config, roles))
        write_weights(model, out)
        files.write_bytes(str(out / "README.md"), model_card(run, state, model.config).encode())
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
def compare(model: PretrainingModel, out: Path) -> float | None:
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
    logits = all_logits(model, ids)
    logits_again = all_logits(again, ids)

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
    difference = float((transformers_logits(out, ids, config) - logits).abs().max())
    if difference > TOLERANCE:
        raise UserError(
            f"{out}: transformers gives logits that differ by {difference:.2g}",
            "please report this",
            1,
        )
    return difference


def all_logits(model: PretrainingModel, ids: Tensor) -> Tensor:
    """Every logit that transformers has too for `ids` (B, T) int64, in one row: those of the
    vocabulary, then those of the next sentence where a BERT has that head."""
    hidden = model.encoder(ids)
    logits = model.masked_logits(hidden, torch.arange(ids.numel()))
    found = logits[:, : model.config.vocab_size].reshape(-1)

    if architecture(model.config) != "BertForPreTraining":
        return found
    first = torch.arange(len(ids)) * ids.shape[1]
    return torch.cat([found, model.next_logits(hidden, first).reshape(-1)])


def transformers_logits(directory: Path, ids: Tensor, config: ModelConfig) -> Tensor:
    """`all_logits` as transformers computes them."""
    import transformers
    from transformers.utils import logging

    logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    kind = getattr(transformers, architecture(config))
    model = kind.from_pretrained(str(directory)).eval()
    answer = model(input_ids=ids, attention_mask=torch.ones_like(ids))
    if architecture(config) == "BertForPreTraining":
        parts = [answer.prediction_logits, answer.seq_relationship_logits]
    else:
        parts = [answer.logits]
    return torch.cat([part.reshape(-1) for part in parts])


# --- the files


def architecture(config: ModelConfig) -> str:
    """The class of transformers that the weights fit."""
    if config.family == "roberta":
        return "RobertaForMaskedLM"
    return "BertForPreTraining" if config.next_head else "BertForMaskedLM"


def write_weights(model: PretrainingModel, out: Path) -> None:
    """Write the weights: those that transformers has, and the heads that it lacks, if any."""
    theirs: dict[str, Tensor] = {}
    ours: dict[str, Tensor] = {}
    for name, tensor in published_state(model).items():
        part = ours if is_ours(name) else theirs
        part[name] = tensor.contiguous()

    files.write_bytes(str(out / WEIGHTS), safetensors.torch.save(theirs, {"format": "pt"}))
    if ours:
        files.write_bytes(str(out / HEADS), safetensors.torch.save(ours, {"format": "pt"}))


def hugging_face_config(config: ModelConfig, roles: dict[str, int]) -> dict[str, object]:
    """`config.json` with every field, since the defaults of the class are not RoBERTa's (512
    positions, 2 token types, eps 1e-12). `roles` holds the ids of `start` and `end`."""
    return {
        "architectures": [architecture(config)],
        "model_type": config.family,
        "vocab_size": config.vocab_size,
        "hidden_size": config.hidden,
        "num_hidden_layers": config.layers,
        "num_attention_heads": config.heads,
        "intermediate_size": config.intermediate,
        "hidden_act": "gelu",
        "hidden_dropout_prob": config.dropout,
        "attention_probs_dropout_prob": config.attention_dropout,
        "max_position_embeddings": config.positions + first_position(config),
        "type_vocab_size": token_types(config),
        "initializer_range": 0.02,
        "layer_norm_eps": config.layer_norm_eps,
        "pad_token_id": config.pad_id,
        "bos_token_id": roles["start"],
        "eos_token_id": roles["end"],
        "position_embedding_type": "absolute",
        "classifier_dropout": None,
        "is_decoder": False,
        "add_cross_attention": False,
        "use_cache": True,
        "tie_word_embeddings": True,
        "torch_dtype": "float32",
    }


def model_card(run: Path, state: State, config: ModelConfig) -> str:
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

# {FAMILIES[config.family]}, step {state.step} of {state.recipe.get("steps")}

Pretrained with corpusmill on {state.tokens:,} tokens, without padding.

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
