# ruff: noqa: E402  (the path and the environment come first)
"""A training step against transformers' RobertaForMaskedLM on the same batches: interleaved, ratios
with min, median, max.

    python benchmarks/bench_trainer_step.py      # CPU: a small model, fp32
    python benchmarks/bench_trainer_step.py --device cuda --recipe roberta-base --batch 64
        --precision bf16 [--compile]

Both sides do forward, backward and AdamW (fused) on the same masked samples, dropout on. On a GPU
it also prints MFU by `model.flops_per_token`, which counts the head on the masked tokens only; the
same count is used for both.
"""

import argparse
import contextlib
import json
import os
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tests" / "helpers")]
os.environ.setdefault("HF_HUB_OFFLINE", "1")

import dataclasses

import torch
from trainer_fixtures import random_documents, small_tokenizer, write_shards

from trainer import export
from trainer.config import MaskingConfig, ModelConfig, load_recipe
from trainer.data.gather import Masker
from trainer.data.loader import Loader
from trainer.data.order import make_order
from trainer.data.samples import open_data
from trainer.masking.tokens import IGNORED
from trainer.metrics import peak_flops
from trainer.models.roberta import build, flops_per_token, published_state
from trainer.objectives.masked_lm import masked_lm_sum
from trainer.optim import flatten_gradients, make_adamw


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--device", default="cpu")
    parser.add_argument(
        "--recipe", default="", help="shape of the model; default 4 layers of 256, length 128"
    )
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--precision", choices=["fp32", "bf16"], default="fp32")
    parser.add_argument("--compile", action="store_true")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--json", default="")
    options = parser.parse_args()
    device = torch.device(options.device)
    shape = (
        load_recipe(options.recipe).model
        if options.recipe
        else ModelConfig(layers=4, hidden=256, intermediate=1024, heads=4, positions=128)
    )
    with tempfile.TemporaryDirectory() as name:
        os.environ["CORPUSMILL_CACHE"] = f"{name}/cache"
        tokenizer = small_tokenizer(1000)
        tokenizer.add_tokens([f"word{i}" for i in range(50_265 - tokenizer.get_vocab_size())])
        folder = write_shards(
            Path(name) / "shards", tokenizer, {("train", "a"): [random_documents(0, 1500, 50_265)]}
        )
        data = open_data([str(folder)], "train", shape.positions, True)
        found = measure(
            options, device, dataclasses.replace(shape, vocab_size=data.tokenizer.vocab_size), data
        )
    if options.json:
        Path(options.json).write_text(json.dumps({"schema_version": 1, **found}, indent=1) + "\n")


def measure(options: Any, device: torch.device, shape: ModelConfig, data: Any) -> dict[str, Any]:
    """Interleaved steps of both; prints and returns the ratios."""
    from transformers import RobertaConfig, RobertaForMaskedLM

    recipe = load_recipe("roberta-base")
    masker = Masker(data, MaskingConfig(), 0)
    loader = Loader(
        masker,
        make_order(data, 0, {}),
        options.batch,
        options.batch,
        0,
        1,
        0,
        pinned=device.type == "cuda",
    )
    ours = build(shape, 0).to(device).train()
    fields = {
        key: value
        for key, value in export.hugging_face_config(shape, {"<s>": 0, "</s>": 2}).items()
        if key not in ("torch_dtype", "architectures", "model_type")
    }
    theirs = RobertaForMaskedLM(RobertaConfig(**fields))
    theirs.load_state_dict(published_state(ours.cpu()), strict=False)
    theirs.to(device).train()
    ours.to(device)
    flat = flatten_gradients(ours)
    own_adam, their_adam = (
        make_adamw(ours, recipe.optim),
        torch.optim.AdamW(theirs.parameters(), lr=1e-4, fused=True),
    )
    if options.compile:
        ours.compile()
        theirs.compile()

    def autocast() -> Any:
        return (
            torch.autocast(device.type, torch.bfloat16)
            if options.precision == "bf16"
            else contextlib.nullcontext()
        )

    def our_step(
        ids: torch.Tensor, places: torch.Tensor, labels: torch.Tensor, masked: int
    ) -> None:
        flat.zero_()
        with autocast():
            logits = ours(ids, places)
        (masked_lm_sum(logits, labels) / masked).backward()
        own_adam.step()

    def their_step(
        ids: torch.Tensor, places: torch.Tensor, labels: torch.Tensor, masked: int
    ) -> None:
        their_adam.zero_grad()
        full = torch.full((ids.numel(),), IGNORED, device=device)
        real = labels != IGNORED
        full[places[real]] = labels[real]
        with autocast():
            loss = theirs(
                input_ids=ids, attention_mask=(ids != 1).long(), labels=full.reshape(ids.shape)
            ).loss
        loss.backward()
        their_adam.step()

    def clock(step: Any) -> float:
        batch = loader.next()
        moved = [tensor.clone().to(device) for tensor in (batch.ids, batch.places, batch.labels)]
        masked = batch.masked
        loader.release(batch)
        if device.type == "cuda":
            torch.cuda.synchronize()
        begun = time.perf_counter()
        for _ in range(repeat):
            step(*moved, masked)
        if device.type == "cuda":
            torch.cuda.synchronize()
        return (time.perf_counter() - begun) / repeat

    repeat = 10 if device.type == "cuda" else 1
    for _ in range(3):
        clock(our_step), clock(their_step)
    pairs = [(clock(our_step), clock(their_step)) for _ in range(options.rounds)]
    loader.close()
    ratios = [b / a for a, b in pairs]
    tokens, flops, peak = (
        options.batch * shape.positions,
        flops_per_token(shape, shape.positions, 0.15),
        peak_flops(device),
    )
    found: dict[str, Any] = {
        "name": "a training step: transformers",
        "min": min(ratios),
        "median": statistics.median(ratios),
        "max": max(ratios),
        "options": vars(options),
        "torch": torch.__version__,
    }
    for side, seconds in (
        ("ours", statistics.median(a for a, _ in pairs)),
        ("theirs", statistics.median(b for _, b in pairs)),
    ):
        found[side] = {
            "seconds": seconds,
            "tokens_per_second": tokens / seconds,
            "mfu": tokens / seconds * flops / peak if peak else None,
        }
    print(
        f"a training step: median {found['median']:.2f}x (min {found['min']:.2f}, max "
        f"{found['max']:.2f}) transformers'; aim 1.2x on a CPU; ours {found['ours']}, theirs "
        f"{found['theirs']}"
    )
    return found


if __name__ == "__main__":
    main()
