# ruff: noqa: E402  (the path and the environment come first)
"""A training step against transformers' RobertaForMaskedLM on the same batches: interleaved, ratios
with min, median, max.

    python benchmarks/bench_trainer_step.py          # on a CPU: a small model, fp32
    python benchmarks/bench_trainer_step.py --device cuda --recipe roberta-base --batch 64

`--precision bf16` and `--compile` act on both sides.

Both sides do the forward and backward pass and AdamW (fused) on the same masked samples, dropout
on. On a GPU it also prints MFU by `flops_per_token`, which counts the head on the masked tokens
only; the same count is used for both.
"""

import argparse
import contextlib
import dataclasses
import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tests" / "helpers")]
os.environ.setdefault("HF_HUB_OFFLINE", "1")

import torch
from torch import Tensor
from trainer_fixtures import random_documents, small_tokenizer, write_shards

from trainer import export
from trainer.all_reduce import Gradients
from trainer.config import MaskingConfig, ModelConfig, load_recipe
from trainer.data.gather import Masker
from trainer.data.loader import Loader, Share
from trainer.data.order import make_order
from trainer.data.samples import Data, open_data
from trainer.masking.tokens import IGNORED
from trainer.metrics import peak_flops
from trainer.models.pretraining import PretrainingModel, build, published_state
from trainer.models.sizes import flops_per_token
from trainer.objectives.batch import Batch
from trainer.objectives.losses import Losses
from trainer.optim import make_adamw
from trainer.ranks import World

Step = Callable[[Tensor, Tensor, Tensor, int], None]

SMALL = ModelConfig(layers=4, hidden=256, intermediate=1024, heads=4, positions=128)


def main() -> None:
    """Measure the steps; print the ratio and write it as JSON."""
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
    shape = load_recipe(options.recipe).model if options.recipe else SMALL

    with tempfile.TemporaryDirectory() as name:
        os.environ["CORPUSMILL_CACHE"] = f"{name}/cache"
        tokenizer = small_tokenizer(1000)
        tokenizer.add_tokens([f"word{i}" for i in range(50_265 - tokenizer.get_vocab_size())])
        documents = random_documents(0, 1500, 50_265)
        folder = write_shards(Path(name) / "shards", tokenizer, {("train", "a"): [documents]})
        data = open_data([str(folder)], "train", shape.positions, True)
        shape = dataclasses.replace(shape, vocab_size=data.tokenizer.vocab_size)
        result = measure(options, shape, data)

    if options.json:
        Path(options.json).write_text(json.dumps({"schema_version": 1, **result}, indent=1) + "\n")


def models(shape: ModelConfig, device: torch.device) -> tuple[PretrainingModel, torch.nn.Module]:
    """Our model and transformers' with the same weights."""
    from transformers import RobertaConfig, RobertaForMaskedLM

    ours = build(shape, 0)
    config = export.hugging_face_config(shape, {"start": 0, "end": 2})
    for key in ("torch_dtype", "architectures", "model_type"):
        del config[key]
    theirs = RobertaForMaskedLM(RobertaConfig(**config))
    theirs.load_state_dict(published_state(ours), strict=False)
    return ours.to(device).train(), theirs.to(device).train()


def steps(options: argparse.Namespace, shape: ModelConfig) -> tuple[Step, Step]:
    """One training step of ours and one of transformers', as functions of ids (B, L), places and
    labels (M,) and the number of masked tokens."""
    device = torch.device(options.device)
    ours, theirs = models(shape, device)
    gradients = Gradients(ours, World(0, 1, 0, device))
    losses = Losses(ours, ("mlm",), pairs=False)
    our_adam = make_adamw(ours, load_recipe("roberta-base").optim)
    their_adam = torch.optim.AdamW(theirs.parameters(), lr=1e-4, fused=True)
    if options.compile:
        losses.compile()
        theirs.compile()

    def autocast() -> AbstractContextManager[None]:
        if options.precision == "bf16":
            return torch.autocast(device.type, torch.bfloat16)
        return contextlib.nullcontext()

    def our_step(ids: Tensor, places: Tensor, labels: Tensor, masked: int) -> None:
        gradients.clear()
        lengths = (ids != shape.pad_id).sum(1, keepdim=True)
        with autocast():
            sums = losses(Batch(ids, lengths, places, labels))
        (sums["mlm"] / masked).backward()
        gradients.meet()
        our_adam.step()

    def their_step(ids: Tensor, places: Tensor, labels: Tensor, masked: int) -> None:
        their_adam.zero_grad()
        # Their labels are for every place, not for the masked ones.
        full = torch.full((ids.numel(),), IGNORED, device=device)
        real = labels != IGNORED
        full[places[real]] = labels[real]
        full = full.reshape(ids.shape)
        with autocast():
            loss = theirs(input_ids=ids, attention_mask=(ids != 1).long(), labels=full).loss
        loss.backward()
        their_adam.step()

    return our_step, their_step


def measure(options: argparse.Namespace, shape: ModelConfig, data: Data) -> dict[str, object]:
    """Interleave steps of both; print and return the ratios."""
    device = torch.device(options.device)
    on_gpu = device.type == "cuda"
    repeat = 10 if on_gpu else 1
    masker = Masker(data, MaskingConfig(), 0)
    share = Share(options.batch, options.batch)
    loader = Loader(masker, make_order(data, 0, {}), share, 0, device=device)
    our_step, their_step = steps(options, shape)

    def clock(step: Step) -> float:
        batch = loader.next()
        ids, places, labels = [
            tensor.clone().to(device) for tensor in (batch.ids, batch.places, batch.labels)
        ]
        masked = batch.masked
        loader.release(batch)
        if on_gpu:
            torch.cuda.synchronize()
        begun = time.perf_counter()
        for _ in range(repeat):
            step(ids, places, labels, masked)
        if on_gpu:
            torch.cuda.synchronize()
        return (time.perf_counter() - begun) / repeat

    for _ in range(3):
        clock(our_step)
        clock(their_step)
    pairs = [(clock(our_step), clock(their_step)) for _ in range(options.rounds)]
    loader.close()

    tokens = options.batch * shape.positions
    flops = flops_per_token(shape, shape.positions, 0.15)
    peak = peak_flops(device)

    def figures(seconds: list[float]) -> dict[str, float | None]:
        speed = tokens / statistics.median(seconds)
        mfu = speed * flops / peak if peak else None
        return {"seconds": tokens / speed, "tokens_per_second": speed, "mfu": mfu}

    ratios = [theirs / ours for ours, theirs in pairs]
    median = statistics.median(ratios)
    our_figures = figures([ours for ours, _ in pairs])
    their_figures = figures([theirs for _, theirs in pairs])
    print(
        f"a training step: median {median:.2f}x (min {min(ratios):.2f}, max {max(ratios):.2f}) "
        f"transformers'; aim 1.2x on a CPU; ours {our_figures}, theirs {their_figures}"
    )
    return {
        "name": "a training step: transformers",
        "min": min(ratios),
        "median": median,
        "max": max(ratios),
        "options": vars(options),
        "torch": torch.__version__,
        "ours": our_figures,
        "theirs": their_figures,
    }


if __name__ == "__main__":
    main()
