# ruff: noqa: E402  (the path comes first)
"""Bytes that the kernels of an eager step of roberta-base read and write on a GPU in bf16, counted
on tensors without data: no GPU is needed.

    python benchmarks/traffic.py [--rows 64] [--kernel flash]

What a compiled step fuses is not counted as fused. Views cost nothing; the two kernels of attention
count their inputs and outputs alone, as they keep no scores. Of casts of weights, which a step does
once, each micro-batch has its own here.
"""

import argparse
import collections
import dataclasses
import json
import sys
from pathlib import Path
from typing import Any

sys.path[:0] = [str(Path(__file__).parents[1])]

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from trainer.config import ModelConfig, load_recipe
from trainer.models import encoder
from trainer.models.attention import Kernel, attend
from trainer.models.layout import lay_out
from trainer.models.pretraining import PretrainingModel
from trainer.objectives.batch import Batch
from trainer.objectives.losses import Losses

VIEWS = {
    "view", "transpose", "expand", "t", "detach", "slice", "select", "unsqueeze", "squeeze",
    "permute", "alias", "_unsafe_view", "split", "as_strided", "unbind", "reshape",
}  # fmt: skip

ALLOCATIONS = {"empty", "empty_like", "new_empty", "empty_strided", "lift_fresh"}


class Count(TorchDispatchMode):
    """Adds up the bytes of the inputs and outputs of each kernel, by its name."""

    def __init__(self) -> None:
        super().__init__()
        self.bytes: collections.Counter[str] = collections.Counter()
        self.calls: collections.Counter[str] = collections.Counter()

    def __torch_dispatch__(
        self, function: Any, types: Any, arguments: Any = (), named: Any = None
    ) -> Any:
        found = function(*arguments, **(named or {}))
        name = function.overloadpacket.__name__
        if name in VIEWS or name in ALLOCATIONS:
            return found
        for leaf in tree_leaves((arguments, named, found)):
            if isinstance(leaf, Tensor):
                self.bytes[name] += leaf.numel() * leaf.element_size()
        self.calls[name] += 1
        return found


class Autocast(TorchFunctionMode):
    """What CUDA's autocast does to products and the loss: bf16 in, weights cast too."""

    def __torch_function__(
        self, function: Any, types: Any, arguments: Any = (), named: Any = None
    ) -> Any:
        if function is torch.nn.functional.linear:
            arguments = [low(value) for value in arguments]
            named = {key: low(value) for key, value in (named or {}).items()}
        return function(*arguments, **(named or {}))


def low(value: Any) -> Any:
    """A tensor of fp32 as bf16."""
    if isinstance(value, Tensor) and value.dtype == torch.float32:
        return value.to(torch.bfloat16)
    return value


def count(shape: ModelConfig, rows: int, kernel: Kernel) -> dict[str, Any]:
    """The bytes for each real token by kernel, those saved for the backward pass, and the calls."""
    with torch.device("meta"):
        model = PretrainingModel(shape).train()
    T = shape.positions
    K = round(0.15 * T)
    layout = lay_out(torch.full((rows, 1), T), T)
    tokens = rows * T
    meta = type(layout)(*(tensor.to("meta") for tensor in layout))
    ids = torch.zeros((rows, T), dtype=torch.int64, device="meta")
    places = torch.zeros(rows * K, dtype=torch.int64, device="meta")
    batch = Batch(ids, torch.zeros((rows, 1), device="meta"), places, places, layout=meta)

    # The encoder asks the device for a kernel and a precision, and there is none here.
    kept = encoder.attend, encoder.product_dtype
    encoder.attend = lambda qkv, ends, longest, dropout: attend(qkv, ends, longest, dropout, kernel)
    encoder.product_dtype = lambda x: torch.bfloat16
    saved: dict[int, int] = {}

    def keep(tensor: Tensor) -> Tensor:
        if not isinstance(tensor, torch.nn.Parameter):
            storage = tensor.untyped_storage()
            saved[storage._cdata] = storage.nbytes()
        return tensor

    try:
        with Count() as counted:
            with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor), Autocast():
                loss = Losses(model, ("mlm",), pairs=False)(batch)["mlm"]
            loss.backward()  # type: ignore[no-untyped-call]
    finally:
        encoder.attend, encoder.product_dtype = kept

    products = sum(counted.bytes[name] for name in ("mm", "addmm", "bmm", "baddbmm"))
    total = counted.bytes.total()
    return {
        "kernel": kernel,
        "attention_dropout": shape.attention_dropout,
        "calls": counted.calls.total(),
        "bytes_per_token": total / tokens,
        "bytes_per_token_without_products": (total - products) / tokens,
        "saved_bytes_per_token": sum(saved.values()) / tokens,
        "kernels": {name: value / tokens for name, value in counted.bytes.most_common(20)},
        "called": dict(counted.calls),
    }


def main() -> None:
    """Print the count as JSON."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rows", type=int, default=64)
    parser.add_argument("--kernel", default="flash", choices=["flash", "varlen", "efficient"])
    options = parser.parse_args()
    shape = dataclasses.replace(load_recipe("roberta-base").model, vocab_size=50265)
    if options.kernel == "varlen":
        shape = dataclasses.replace(shape, attention_dropout=0.0)
    print(json.dumps(count(shape, options.rows, options.kernel), indent=1))


if __name__ == "__main__":
    main()
