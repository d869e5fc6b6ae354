"""Masked words filled in by a checkpoint: the quickest look at what a run has learned."""

from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from tokenizers import Tokenizer

from shards.config import UserError
from trainer import checkpoint
from trainer.config import ModelConfig
from trainer.model import build, load_published


@torch.no_grad()
def fill(
    run: Path, text: str, step: int | None = None, most: int = 5
) -> list[list[tuple[str, float]]]:
    """For each `<mask>` of `text` the `most` likely tokens with their probabilities, by a run's
    newest whole checkpoint.

    Raises `UserError`: no checkpoint, no `<mask>` in the text, a text longer than the model's
    positions.
    """
    path, state = checkpoint.choose(run, step)
    try:
        tokenizer = Tokenizer.from_file(str(run / "tokenizer.json"))
    except Exception as error:  # the library raises plain Exception
        raise UserError(
            f"{run}/tokenizer.json: cannot be read: {error}",
            f"copy it from the shards: cp SHARDS/tokenizer.json {run}",
            1,
        ) from None
    start, end, mask = (tokenizer.token_to_id(token) for token in ("<s>", "</s>", "<mask>"))
    ids = [start, *tokenizer.encode(text, add_special_tokens=False).ids, end]
    places = [place for place, number in enumerate(ids) if number == mask]
    if not places:
        raise UserError(
            f"--fill {text!r}: no <mask> in it", "trainer show RUN --fill 'The <mask> is here.'"
        )
    config = ModelConfig(**state.model)
    if len(ids) > config.positions:
        raise UserError(
            f"--fill: {len(ids)} tokens, the model takes {config.positions}", "give a shorter text"
        )
    model = build(config, 0)
    load_published(model, safetensors.torch.load_file(path / checkpoint.FILES[0]))
    model.eval()
    logits = model.forward(torch.tensor([ids]), torch.tensor(places))
    best = torch.topk(torch.softmax(logits.float(), -1), most)
    return [
        [(tokenizer.decode([number]), share) for number, share in zip(row, shares, strict=True)]
        for row, shares in zip(best.indices.tolist(), best.values.tolist(), strict=True)
    ]


def as_lines(found: list[list[tuple[str, float]]]) -> list[str]:
    """A line a mask."""
    return [
        ", ".join(f"{token.strip() or repr(token)} {share:.0%}" for token, share in row)
        for row in found
    ]


def as_json(found: list[list[tuple[str, float]]]) -> list[list[dict[str, Any]]]:
    """The same as JSON types."""
    return [[{"token": token, "probability": share} for token, share in row] for row in found]
