"""A fine-tuned model as a Hugging Face directory: the class of transformers for its head, its
labels by name, and the tokenizer.

The scale of a regression is multiplied into the head, so that transformers gives numbers as the
data has them. The classifier of answerable questions, for which transformers has no place, goes to
`heads.safetensors`. The directory is read back and compared before the command succeeds.
"""

import importlib.util
from pathlib import Path

import safetensors.torch
import torch
from torch import Tensor

from shards.errors import UserError
from shards.storage import files
from trainer.checkpoint import State
from trainer.export import FAMILIES, TOLERANCE, Exported, hugging_face_config
from trainer.export_tokenizer import write_json, write_tokenizer
from trainer.models.pretraining import published_state
from trainer.tasks.batches import TaskBatch, make_batch
from trainer.tasks.features import Builder
from trainer.tasks.folder import best_checkpoint, scores_at
from trainer.tasks.info import NAME, TaskInfo
from trainer.tasks.model import TaskModel, options_logits
from trainer.tasks.predict import load_task
from trainer.weight_files import HEADS, WEIGHTS, read_any_weights

CLASSES = {
    "classes": "ForSequenceClassification",
    "number": "ForSequenceClassification",
    "choice": "ForMultipleChoice",
    "span": "ForQuestionAnswering",
    "candidates": "ForMaskedLM",
}

PREFIXES = {"roberta": "Roberta", "bert": "Bert"}

PIPELINES = {
    "classes": "text-classification",
    "number": "text-classification",
    "choice": "multiple-choice",
    "span": "question-answering",
    "candidates": "fill-mask",
}

# What is compared: so many sequences of so many tokens.
COMPARED = (4, 12)


def export_task(run: Path, out: Path, step: str = "") -> Exported:
    """Write the best checkpoint, or that of `step`, to `out`; read it back and compare.

    Raises `UserError` as `export.export`.
    """
    path, state, info = best_checkpoint(run, step)
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise UserError(f"{out}: not an empty folder", "name another folder with --out")

    model = load_task(path, info).eval()
    state_dict = exported_state(model)
    try:
        out.mkdir(parents=True, exist_ok=True)
        roles = write_tokenizer(run, out, model.config.positions, model.config.family)
        write_json(out / "config.json", task_config(info, roles))
        files.write_bytes(str(out / NAME), info.to_bytes())
        ours = {name: t for name, t in state_dict.items() if name.startswith("answerable.")}
        theirs = {name: t for name, t in state_dict.items() if name not in ours}
        files.write_bytes(str(out / WEIGHTS), safetensors.torch.save(theirs, {"format": "pt"}))
        if ours:
            files.write_bytes(str(out / HEADS), safetensors.torch.save(ours, {"format": "pt"}))
        card = task_card(run, info, state)
        files.write_bytes(str(out / "README.md"), card.encode())
    except OSError as error:
        raise UserError(
            f"{out}: cannot be written: {error}", "make room, or name another --out", 3
        ) from None

    difference = compare_task(model, out, state_dict, info)
    return Exported(
        step=state.step,
        parameters=sum(tensor.numel() for tensor in state_dict.values()),
        difference=difference,
        transformers=difference is not None,
    )


def exported_state(model: TaskModel) -> dict[str, Tensor]:
    """The weights by their published names, with the scale of a regression in its head."""
    found = {}
    for name, tensor in published_state(model).items():
        is_last = name.startswith(("classifier.out_proj.", "classifier."))
        is_out = is_last and not name.startswith("classifier.dense.")
        scale = model.head.scale if model.head.kind == "number" and is_out else 1.0
        found[name] = (tensor * scale if scale != 1.0 else tensor).contiguous()
    return found


def architecture(info: TaskInfo) -> str:
    """The class of transformers that the weights fit."""
    return PREFIXES[info.model.family] + CLASSES[info.head.kind]


def task_config(info: TaskInfo, roles: dict[str, int]) -> dict[str, object]:
    """`config.json` with the labels by name."""
    content = hugging_face_config(info.model, roles)
    content["architectures"] = [architecture(info)]
    content["classifier_dropout"] = info.head.dropout
    if info.head.kind == "classes":
        content["id2label"] = {str(number): label for number, label in enumerate(info.labels)}
        content["label2id"] = {label: number for number, label in enumerate(info.labels)}
        content["problem_type"] = "single_label_classification"
    elif info.head.kind == "number":
        content["id2label"] = {"0": "LABEL_0"}
        content["label2id"] = {"LABEL_0": 0}
        content["problem_type"] = "regression"
    return content


def task_card(run: Path, info: TaskInfo, state: State) -> str:
    """README.md of the export: the task, the settings and the scores."""
    keys = "\n".join(f"{key} = {value}" for key, value in sorted(state.recipe.items()))
    lines = []
    for split, scores in scores_at(run, state.step).items():
        lines += [f"| {split} | {name} | {value} |" for name, value in scores.items()]
    scores_text = "\n".join(lines)
    return f"""---
library_name: transformers
pipeline_tag: {PIPELINES[info.head.kind]}
---

# {FAMILIES[info.model.family]} fine-tuned on {info.task}, step {state.step}

Fine-tuned with corpusmill.

| data | metric | value |
| --- | --- | --- |
{scores_text}

Labels, in the order of the outputs: {", ".join(info.labels) or "none"}. Digest of the training
examples: `{state.data}`.

## Settings

```
{keys}
```
"""


# --- reading it back


@torch.no_grad()
def compare_task(
    model: TaskModel, out: Path, written: dict[str, Tensor], info: TaskInfo
) -> float | None:
    """Read an export back: its weights must equal those written to the bit, and the logits of
    transformers, where it is installed, must be within TOLERANCE of the model's.

    Returns the difference to transformers, None without it. Raises `UserError` (exit 1).
    """
    stored = read_any_weights(out, info.model.family)
    same = [name in stored and torch.equal(stored[name], t) for name, t in written.items()]
    if not all(same):
        raise UserError(
            f"{out}: what was read back is not what was written",
            "check the disk, then export again",
            1,
        )
    if importlib.util.find_spec("transformers") is None:
        return None

    ours, theirs = both_logits(model, out, info)
    largest = max(1.0, float(ours.abs().max()))
    difference = float((ours - theirs).abs().max()) / largest
    if difference > TOLERANCE:
        raise UserError(
            f"{out}: transformers gives logits that differ by {difference:.2g}",
            "please report this",
            1,
        )
    return difference


def both_logits(model: TaskModel, out: Path, info: TaskInfo) -> tuple[Tensor, Tensor]:
    """Our logits and those of transformers for the same random sequences, each flat."""
    import transformers
    from transformers.utils import logging

    logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    count, size = COMPARED
    size = min(size, model.config.positions)
    generator = torch.Generator().manual_seed(0)
    low = model.config.pad_id + 1
    ids = torch.randint(low, model.config.vocab_size, (count, size), generator=generator)
    # So that every token is of the first type.
    ids = torch.where(ids == model.config.end_id, low + 2, ids)
    builder = Builder()
    builder.add("0", [row.numpy().astype("int32") for row in ids], 0.0)
    batch = make_batch(builder.build(), torch.zeros(1, dtype=torch.int64).numpy(), {"pad": 0})

    kind = getattr(transformers, architecture(info))
    other = kind.from_pretrained(str(out)).eval()
    shaped = ids[None] if info.head.kind == "choice" else ids
    answer = other(input_ids=shaped, attention_mask=torch.ones_like(shaped))
    if info.head.kind == "span":
        theirs = torch.stack([answer.start_logits, answer.end_logits], -1)
    else:
        theirs = answer.logits
    return our_logits(model, batch, ids).reshape(-1), theirs.reshape(-1)


def our_logits(model: TaskModel, batch: TaskBatch, ids: Tensor) -> Tensor:
    """The logits that transformers has too."""
    hidden = model.hidden(batch)
    kind = model.head.kind
    if kind == "span":
        return model.span_logits(hidden, batch)[:, : ids.shape[1]]
    if kind == "choice":
        return options_logits(model.pooled(hidden, batch)[:, 0], batch.options)
    if kind == "candidates":
        assert model.masked is not None
        return model.vocabulary(model.encoder(ids).reshape(-1, model.config.hidden))
    return model.pooled(hidden, batch) * model.head.scale
