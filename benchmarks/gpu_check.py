# ruff: noqa: E402  (the path and the environment come first)
"""Every check that needs a GPU, in one go: prints one JSON object, and says on stderr what it does.

    python benchmarks/gpu_check.py > gpu.json          # within 12 minutes on one GPU
    python benchmarks/gpu_check.py --small             # small sizes, for a CPU: do the checks work?

It needs torch and this folder. numba is not needed; `resume` needs what `trainer` needs, and the
peers of `throughput` need transformers: what is missing is named under "skipped".

    attention    each kernel against the one of the CPU in fp32, gradients too; its dropout
    kernels      which kernels a step runs: none with a mask
    curves       the losses of 50 steps on the GPU (fp32, and its 16 bits) against the CPU
    resume       a run that is killed and resumed against one that is not
    fit          the memory of a step against the estimate of `trainer --dry-run`
    throughput   a step beside that of transformers and of ModernBERT, in turns
    variants     tokens per second and MFU of the step by compiler, dropout and micro-batch
"""

import argparse
import contextlib
import dataclasses
import json
import math
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tests" / "helpers")]
os.environ.setdefault("HF_HUB_OFFLINE", "1")

import numpy as np
import torch
import without_numba  # noqa: F401  (before the trainer)
from torch import Tensor, nn

from trainer.all_reduce import Gradients
from trainer.compiled import Step
from trainer.config import ModelConfig, load_recipe
from trainer.metrics import kind_of, peak_flops
from trainer.models.attention import FLASH_CAPABILITY, HAS_VARLEN, attend
from trainer.models.layout import grid
from trainer.models.pretraining import build, published_state
from trainer.models.sizes import count_parameters, flops_per_token
from trainer.objectives.batch import Batch
from trainer.objectives.losses import Losses
from trainer.optim import make_adamw
from trainer.ranks import World

RATE = 0.15

IGNORED = -100

# The largest differences that pass, relative to the largest number; measured where a GPU was at
# hand, else from the number of bits.
ATTENTION_BOUND = {torch.float32: 1e-4, torch.float16: 4e-3, torch.bfloat16: 3e-2}

CURVE_BOUND = {"fp32": 2e-3, "bf16": 5e-2, "fp16": 5e-2}

# A GPU adds in another order each time, so a resumed run has other last digits.
RESUME_BOUND = 5e-3


@dataclasses.dataclass(frozen=True)
class Size:
    """How large the checks are."""

    shape: ModelConfig
    micro: tuple[int, ...]
    steps: int
    rounds: int
    curve_steps: int


def full_size() -> Size:
    """roberta-base at 512 tokens."""
    shape = dataclasses.replace(load_recipe("roberta-base").model, vocab_size=50265)
    return Size(shape, micro=(32, 64, 128), steps=8, rounds=5, curve_steps=50)


def small_size() -> Size:
    """A model of a moment."""
    shape = ModelConfig(
        layers=2, hidden=64, intermediate=128, heads=2, positions=64, vocab_size=300
    )
    return Size(shape, micro=(2, 4), steps=1, rounds=2, curve_steps=50)


def main() -> int:
    """Run the checks; exit code 1 when one fails."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--small", action="store_true", help="small sizes, as on a CPU")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--only", default="", help="checks to run, with commas between them")
    parser.add_argument("--minutes", type=float, default=12.0, help="begin no check after these")
    options = parser.parse_args()
    device = torch.device(options.device)
    size = small_size() if options.small else full_size()

    checks: dict[str, Callable[[torch.device, Size], dict[str, Any]]] = {
        "attention": check_attention,
        "kernels": check_kernels,
        "curves": check_curves,
        "resume": check_resume,
        "fit": check_fit,
        "throughput": check_throughput,
        "variants": check_variants,
    }
    wanted = options.only.split(",") if options.only else list(checks)
    begun = time.monotonic()
    results: dict[str, dict[str, Any]] = {}
    for name in wanted:
        spent = time.monotonic() - begun
        if spent > options.minutes * 60:
            results[name] = {"skipped": f"{spent / 60:.1f} minutes were spent before it"}
            continue
        print(f"{name} ...", file=sys.stderr, flush=True)
        results[name] = run_check(checks[name], device, size)
        results[name]["seconds"] = round(time.monotonic() - begun - spent, 1)

    failed = [name for name, result in results.items() if result.get("ok") is False]
    report = {
        "schema_version": 1,
        "ok": not failed,
        "failed": failed,
        "minutes": round((time.monotonic() - begun) / 60, 2),
        "machine": describe(device),
        "small": options.small,
        **results,
    }
    print(json.dumps(report, indent=1, default=str))
    return 1 if failed else 0


def run_check(
    check: Callable[[torch.device, Size], dict[str, Any]], device: torch.device, size: Size
) -> dict[str, Any]:
    """The result of a check; an error in it is a failure of its own, and the others go on."""
    try:
        return check(device, size)
    except Exception as error:  # whatever a driver, a compiler or a peer may raise
        return {"ok": False, "error": f"{type(error).__name__}: {error}"[:2000]}
    finally:
        torch._dynamo.reset()
        if device.type == "cuda":
            torch.cuda.empty_cache()


def describe(device: torch.device) -> dict[str, Any]:
    """What the figures depend on."""
    found: dict[str, Any] = {"torch": torch.__version__, "device": device.type}
    if device.type == "cuda":
        found["name"] = torch.cuda.get_device_name(device)
        found["kind"] = kind_of(found["name"])
        found["capability"] = torch.cuda.get_device_capability(device)
        found["cuda"] = torch.version.cuda
        found["cudnn"] = torch.backends.cudnn.version()
        found["memory"] = torch.cuda.get_device_properties(device).total_memory
    found["peak_flops"] = peak_flops(device)
    found["varlen"] = HAS_VARLEN
    return found


# --- what the checks share


def batch_of(shape: ModelConfig, rows: int, seed: int, step: int = 1) -> Batch:
    """Rows of one sequence each, as full as those of full-sentences, with 15 % of their tokens
    masked; on the CPU, with its layout."""
    generator = torch.Generator().manual_seed(seed)
    T = shape.positions
    lengths = torch.randint(int(0.85 * T), T + 1, (rows, 1), generator=generator)
    ids = torch.randint(4, shape.vocab_size, (rows, T), generator=generator)
    ids[torch.arange(T) >= lengths] = shape.pad_id

    K = round(RATE * T)
    places = torch.zeros((rows, K), dtype=torch.int64)
    labels = torch.full((rows, K), IGNORED)
    for row in range(rows):
        length = int(lengths[row])
        count = round(RATE * length)
        chosen = torch.randperm(length, generator=generator)[:count].sort().values
        places[row] = row * T
        places[row, :count] += chosen
        labels[row, :count] = ids[row, chosen]
    return Batch(ids, lengths, places.reshape(-1), labels.reshape(-1)).laid_out(step)


def move(batch: Batch, device: torch.device) -> Batch:
    """A batch on the device."""
    moved = {
        name: tensor.to(device)
        for name, tensor in batch._asdict().items()
        if isinstance(tensor, Tensor)
    }
    assert batch.layout is not None  # `batch_of` makes one
    return Batch(**moved, layout=batch.layout.to(device))


def half_precision(device: torch.device) -> str:
    """The 16 bits of a device: bf16, or fp16 on a GPU before Ampere."""
    if device.type == "cuda" and torch.cuda.get_device_capability(device) < FLASH_CAPABILITY:
        return "fp16"
    return "bf16"


def autocast(device: torch.device, precision: str) -> AbstractContextManager[None]:
    """A context that computes products in this precision."""
    if precision == "fp32":
        return contextlib.nullcontext()
    dtype = torch.bfloat16 if precision == "bf16" else torch.float16
    return torch.autocast(device.type, dtype)


class OurStep:
    """A training step: forward, losses, backward, norm, update."""

    def __init__(
        self, shape: ModelConfig, device: torch.device, precision: str, compile: str
    ) -> None:
        self.device = device
        self.precision = precision
        self.model = build(shape, 0).to(device).train()
        self.gradients = Gradients(self.model, World(0, 1, 0, device))
        self.adam = make_adamw(self.model, load_recipe("roberta-base").optim)
        losses = Losses(self.model, ("mlm",), pairs=False)
        self.losses = Step(losses, compile, device, lambda text: print(text, file=sys.stderr))

    def grid(self, shape: ModelConfig, rows: int) -> int:
        """The step in which the line grows."""
        return grid(rows, shape.positions) if self.losses.is_compiled else 1

    def __call__(self, batch: Batch, masked: int) -> Tensor:
        self.gradients.clear()

        def once() -> Tensor:
            with autocast(self.device, self.precision):
                loss = self.losses(batch)["mlm"] / masked
            loss.backward()  # type: ignore[no-untyped-call]
            return loss.detach()

        loss = self.losses.retry(once)
        self.gradients.meet()
        self.gradients.norm()
        self.adam.step()
        return loss


def synchronize(device: torch.device) -> None:
    """Wait for the device."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def seconds(device: torch.device, work: Callable[[], object], times: int) -> float:
    """How long some work takes, on average of so many times."""
    synchronize(device)
    begun = time.perf_counter()
    for _ in range(times):
        work()
    synchronize(device)
    return (time.perf_counter() - begun) / times


def without_dropout(shape: ModelConfig) -> ModelConfig:
    """The same without dropout."""
    return dataclasses.replace(shape, dropout=0.0, attention_dropout=0.0)


# --- right?


def kernels_here(device: torch.device) -> Iterator[tuple[str, torch.dtype]]:
    """The kernels of attention that a device has, with a dtype for each."""
    if device.type != "cuda":
        yield "blocks", torch.float32
        return
    if torch.cuda.get_device_capability(device) >= FLASH_CAPABILITY:
        if HAS_VARLEN:
            yield "varlen", torch.bfloat16
        yield "flash", torch.bfloat16
        yield "flash", torch.float16
    yield "efficient", torch.float32
    yield "efficient", torch.float16


def check_attention(device: torch.device, size: Size) -> dict[str, Any]:
    """Each kernel against a plain product with a mask, on the CPU in fp32: the largest difference
    of values and gradients, over the largest number."""
    heads, width = size.shape.heads, size.shape.hidden // size.shape.heads
    T = size.shape.positions
    lengths = [T, 1, T // 3, 7, T // 2 + 1, 2]
    ends = torch.tensor([0, *np.cumsum(lengths)], dtype=torch.int32)
    generator = torch.Generator().manual_seed(0)
    exact = torch.randn((sum(lengths), 3, heads, width), generator=generator)
    exact.requires_grad_(True)
    weights = torch.randn((sum(lengths), heads, width), generator=generator)
    wanted = masked_attention(exact, lengths)
    wanted_gradient = torch.autograd.grad((wanted * weights).sum(), exact)[0]

    found = []
    for kernel, dtype in kernels_here(device):
        qkv = exact.detach().to(device, dtype).requires_grad_(True)
        mixed = attend(qkv, ends.to(device), T, 0.0, kernel)  # type: ignore[arg-type]
        gradient = torch.autograd.grad((mixed * weights.to(device, dtype)).sum(), qkv)[0]
        row = {
            "kernel": kernel,
            "dtype": str(dtype),
            "value": difference(mixed, wanted),
            "gradient": difference(gradient, wanted_gradient),
            "bound": ATTENTION_BOUND[dtype],
        }
        if kernel != "varlen":
            row["dropout"] = dropout_fault(qkv, ends.to(device), T, kernel)
        worst = max(row["value"], row["gradient"], row.get("dropout", 0.0))
        row["ok"] = worst <= row["bound"]
        found.append(row)
    return {"ok": all(row["ok"] for row in found), "kernels": found}


def masked_attention(qkv: Tensor, lengths: list[int]) -> Tensor:
    """Plain attention over the whole line with a mask that keeps the sequences apart."""
    owner = torch.repeat_interleave(torch.arange(len(lengths)), torch.tensor(lengths))
    q, k, v = qkv.unbind(1)
    scores = torch.einsum("qhd,khd->hqk", q, k) / q.shape[-1] ** 0.5
    scores = scores.masked_fill(owner[:, None] != owner[None, :], -torch.inf)
    return torch.einsum("hqk,khd->qhd", torch.softmax(scores, -1), v)


def difference(found: Tensor, wanted: Tensor) -> float:
    """The largest difference over the largest number."""
    far = (found.detach().float().cpu() - wanted.detach()).abs().max()
    return float(far / wanted.detach().abs().max())


def dropout_fault(qkv: Tensor, ends: Tensor, longest: int, kernel: str) -> float:
    """With dropout the mix is linear in the values, so the sum of values times their gradient is
    the sum of the mix only if the backward pass drops what the forward pass dropped. The difference
    of the two, over the sum of absolute values."""
    mixed = attend(qkv, ends, longest, 0.1, kernel)  # type: ignore[arg-type]
    gradient = torch.autograd.grad(mixed.sum(), qkv)[0]
    product = (gradient[:, 2].double() * qkv[:, 2].double()).sum()
    far = (product - mixed.double().sum()).abs() / mixed.double().abs().sum()
    return float(far.detach())


def check_kernels(device: torch.device, size: Size) -> dict[str, Any]:
    """The kernels of attention in a step, by the profiler."""
    from torch.profiler import ProfilerActivity, profile

    precision = half_precision(device) if device.type == "cuda" else "fp32"
    found: dict[str, Any] = {"ok": True}
    for dropout in (0.0, 0.1):
        shape = dataclasses.replace(size.shape, layers=1, attention_dropout=dropout)
        step = OurStep(shape, device, precision, "off")
        batch = move(batch_of(shape, 2, 0), device)
        step(batch, 1)
        activity = ProfilerActivity.CUDA if device.type == "cuda" else ProfilerActivity.CPU
        with profile(activities=[activity]) as profiled:
            step(batch, 1)
            synchronize(device)

        names = [event.key for event in profiled.key_averages()]
        words = ("flash", "fmha", "cudnn", "attention", "sdp")
        shown = [name for name in names if any(word in name.lower() for word in words)]
        fast = any("flash" in name.lower() or "cudnn" in name.lower() for name in shown)
        found[f"attention_dropout {dropout}"] = [name[:120] for name in shown]
        if device.type == "cuda" and precision == "bf16" and not fast:
            found["ok"] = False
    return found


def curve(shape: ModelConfig, device: torch.device, precision: str, steps: int) -> list[float]:
    """The losses of some steps of eight rows."""
    step = OurStep(shape, device, precision, "auto")
    losses = []
    for number in range(steps):
        batch = batch_of(shape, 8, number % 4, step.grid(shape, 8))
        masked = int((batch.labels != IGNORED).sum())
        losses.append(step(move(batch, device), masked))
    return [float(loss) for loss in losses]


def check_curves(device: torch.device, size: Size) -> dict[str, Any]:
    """The losses of 50 steps on the device beside those of the CPU in fp32, eager, on the same four
    batches over and over, without dropout."""
    shape = ModelConfig(
        layers=4, hidden=128, intermediate=512, heads=2, positions=128, vocab_size=2000
    )
    if size.shape.hidden < shape.hidden:
        shape = dataclasses.replace(size.shape, positions=32)
    shape = without_dropout(shape)
    wanted = curve(shape, torch.device("cpu"), "fp32", size.curve_steps)
    found: dict[str, Any] = {"ok": True, "first": wanted[0], "last": wanted[-1]}
    # The 16 bits of a CPU are no target, and slow on most.
    precisions = ("fp32", half_precision(device)) if device.type == "cuda" else ("fp32",)
    for precision in precisions:
        losses = curve(shape, device, precision, size.curve_steps)
        far = max(abs(one - other) for one, other in zip(losses, wanted, strict=True))
        bound = CURVE_BOUND[precision]
        found[precision] = {"difference": far, "bound": bound, "last": losses[-1]}
        found["ok"] = found["ok"] and far <= bound
    return found


def check_resume(device: torch.device, size: Size) -> dict[str, Any]:
    """`trainer pretrain`, killed and resumed, against a run that was not killed."""
    try:
        import safetensors.torch
        from trainer_fixtures import random_documents, small_tokenizer, write_shards
    except ImportError as error:
        return {"skipped": f"{error.name} is not installed"}

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        os.environ["CORPUSMILL_CACHE"] = f"{name}/cache"
        tokenizer = small_tokenizer()
        documents = random_documents(0, 200, tokenizer.get_vocab_size())
        shards = write_shards(folder / "shards", tokenizer, {("train", "a"): [documents]})
        whole = pretrain(shards, folder / "whole", device)
        whole.wait(300)
        killed = pretrain(shards, folder / "killed", device)
        step = kill_after_a_checkpoint(folder / "killed", killed)
        again = pretrain(shards, folder / "killed", device)
        again.wait(300)
        if whole.returncode or again.returncode:
            return {"ok": False, "error": (folder / "killed.log").read_text()[-2000:]}

        last = "checkpoints/step-00000040/model.safetensors"
        one, other = folder / "whole" / last, folder / "killed" / last
        before, after = safetensors.torch.load_file(one), safetensors.torch.load_file(other)
        far = max(float((before[key] - after[key]).abs().max()) for key in before)
        same = one.read_bytes() == other.read_bytes()

    ok = far <= RESUME_BOUND and (same or device.type == "cuda")
    return {
        "ok": ok,
        "killed_after": step,
        "difference": far,
        "bound": RESUME_BOUND,
        "same_bytes": same,
    }


def pretrain(shards: Path, run: Path, device: torch.device) -> subprocess.Popen[bytes]:
    """Start or continue a short run."""
    command = [sys.executable, "-m", "trainer.cli", "pretrain", "--shards", str(shards)]
    command += ["--run", str(run), "--recipe", "tiny", "--device", device.type, "--resume"]
    command += ["--steps", "40", "--batch", "16", "--save-every", "5", "--keep", "9"]
    command += ["--data.length", "64", "--optim.warmup-steps", "5", "--compile", "off"]
    command += ["--evaluation.every", "0", "--log-every", "1"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    with open(f"{run}.log", "ab") as log:
        return subprocess.Popen(command, stdout=log, stderr=log, env=environment, cwd=ROOT)


def kill_after_a_checkpoint(run: Path, process: subprocess.Popen[bytes]) -> int:
    """Kill a run once it has a checkpoint; how many it had."""
    limit = time.monotonic() + 200
    while time.monotonic() < limit and process.poll() is None:
        found = list((run / "checkpoints").glob("step-*")) if run.exists() else []
        if found:
            process.send_signal(signal.SIGKILL)
            process.wait(30)
            return len(found)
        time.sleep(0.02)
    return 0


# --- how fast, how large?


def check_fit(device: torch.device, size: Size) -> dict[str, Any]:
    """The peak of the memory of a step beside the estimate."""
    try:
        from trainer.budget import memory_per_device
    except ImportError as error:
        return {"skipped": f"{error.name} is not installed"}

    precision = half_precision(device) if device.type == "cuda" else "fp32"
    recipe = dataclasses.replace(load_recipe("roberta-base"), model=size.shape)
    data = dataclasses.replace(recipe.data, length=size.shape.positions)
    recipe = dataclasses.replace(recipe, data=data, precision=precision)  # type: ignore[arg-type]
    rows = []
    for micro in size.micro:
        estimate = memory_per_device(recipe, micro)
        row: dict[str, Any] = {"micro_batch": micro, "estimate": estimate}
        if device.type == "cuda":
            torch.cuda.empty_cache()
            torch.cuda.reset_peak_memory_stats(device)
            step = OurStep(size.shape, device, precision, "auto")
            batch = move(batch_of(size.shape, micro, 0, step.grid(size.shape, micro)), device)
            for _ in range(3):
                step(batch, 1)
            synchronize(device)
            row["measured"] = torch.cuda.max_memory_allocated(device)
            row["ratio"] = row["measured"] / estimate
            del step, batch
        rows.append(row)
    ratios = [row["ratio"] for row in rows if "ratio" in row]
    ok = all(0.5 < ratio < 1.5 for ratio in ratios)
    return {"ok": ok, "parameters": count_parameters(size.shape), "steps": rows}


def check_throughput(device: torch.device, size: Size) -> dict[str, Any]:
    """Our step beside those of the peers, in turns: tokens without padding per second."""
    precision = half_precision(device) if device.type == "cuda" else "fp32"
    micro = size.micro[1]
    ours = OurStep(size.shape, device, precision, "auto")
    batches = [
        move(batch_of(size.shape, micro, seed, ours.grid(size.shape, micro)), device)
        for seed in range(4)
    ]
    tokens = sum(int(batch.lengths.sum()) for batch in batches) / len(batches)
    steps: dict[str, Callable[[], object]] = {"ours": turns(batches, lambda one: ours(one, 1))}

    skipped = {}
    for name, make in (("transformers", roberta_peer), ("modernbert", modernbert_peer)):
        try:
            steps[name] = turns(batches, make(size.shape, device, precision))
        except Exception as error:  # not installed, or not for this device
            skipped[name] = f"{type(error).__name__}: {error}"[:300]

    for work in steps.values():
        seconds(device, work, 2 if device.type == "cpu" else 5)
    times: dict[str, list[float]] = {name: [] for name in steps}
    for _ in range(size.rounds):
        for name, work in steps.items():
            times[name].append(seconds(device, work, size.steps))

    rows = {}
    for name, found in times.items():
        ratios = [theirs / mine for mine, theirs in zip(times["ours"], found, strict=True)]
        rows[name] = {
            "tokens_per_second": tokens / statistics.median(found),
            "ours_is": {
                "min": min(ratios),
                "median": statistics.median(ratios),
                "max": max(ratios),
            },
        }
    return {"ok": True, "micro_batch": micro, "precision": precision, **rows, "skipped": skipped}


def turns(batches: list[Batch], step: Callable[[Batch], object]) -> Callable[[], object]:
    """A function that takes a step with the next of the batches, over and over."""
    numbers = iter(range(10**9))
    return lambda: step(batches[next(numbers) % len(batches)])


def roberta_peer(
    shape: ModelConfig, device: torch.device, precision: str
) -> Callable[[Batch], object]:
    """The step of transformers' Trainer for a RobertaForMaskedLM: padded rows, labels at every
    place, gradients clipped, AdamW; compiled on a GPU, as `torch_compile=True`."""
    from transformers import RobertaConfig, RobertaForMaskedLM

    config = RobertaConfig(
        vocab_size=shape.vocab_size,
        hidden_size=shape.hidden,
        num_hidden_layers=shape.layers,
        num_attention_heads=shape.heads,
        intermediate_size=shape.intermediate,
        max_position_embeddings=shape.positions + shape.pad_id + 1,
        type_vocab_size=1,
        layer_norm_eps=shape.layer_norm_eps,
        pad_token_id=shape.pad_id,
    )
    model = RobertaForMaskedLM(config)
    model.load_state_dict(published_state(build(shape, 0)), strict=False)
    return peer_step(model, shape, device, precision)


def modernbert_peer(
    shape: ModelConfig, device: torch.device, precision: str
) -> Callable[[Batch], object]:
    """A ModernBertForMaskedLM of the same shape. It leaves padding out where flash-attn is
    installed; its config says whether that is so."""
    from transformers import ModernBertConfig, ModernBertForMaskedLM

    config = ModernBertConfig(
        vocab_size=shape.vocab_size,
        hidden_size=shape.hidden,
        num_hidden_layers=shape.layers,
        num_attention_heads=shape.heads,
        # Its feed-forward is gated: two thirds of the width have the same arithmetic.
        intermediate_size=shape.intermediate * 2 // 3,
        max_position_embeddings=shape.positions,
        pad_token_id=shape.pad_id,
        bos_token_id=0,
        eos_token_id=2,
        cls_token_id=0,
        sep_token_id=2,
        sparse_prediction=True,
    )
    return peer_step(ModernBertForMaskedLM(config), shape, device, precision)


def peer_step(
    model: nn.Module, shape: ModelConfig, device: torch.device, precision: str
) -> Callable[[Batch], object]:
    """The training step of a model of transformers."""
    model = model.to(device).train()
    adam = torch.optim.AdamW(model.parameters(), lr=1e-4, fused=True)
    if device.type == "cuda":
        model.compile()

    def step(batch: Batch) -> None:
        adam.zero_grad()
        labels = torch.full_like(batch.ids.reshape(-1), IGNORED)
        real = batch.labels != IGNORED
        labels[batch.places[real]] = batch.labels[real]
        mask = (batch.ids != shape.pad_id).long()
        with autocast(device, precision):
            loss = model(
                input_ids=batch.ids, attention_mask=mask, labels=labels.view_as(batch.ids)
            ).loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        adam.step()

    return step


def check_variants(device: torch.device, size: Size) -> dict[str, Any]:
    """Tokens per second, without padding, and MFU by compiler, attention dropout and
    micro-batch."""
    precision = half_precision(device) if device.type == "cuda" else "fp32"
    peak = peak_flops(device)
    rows = []
    for compiled in ("auto", "off"):
        for dropout in (0.1, 1 / 16, 0.0):
            for micro in size.micro:
                if (compiled == "off" or dropout == 1 / 16) and micro != size.micro[1]:
                    continue
                shape = dataclasses.replace(size.shape, attention_dropout=dropout)
                rows.append(
                    {
                        "compile": compiled,
                        "attention_dropout": dropout,
                        "micro_batch": micro,
                        **speed(shape, device, precision, compiled, micro, size.steps, peak),
                    }
                )
    best = max((row["mfu"] or 0.0 for row in rows), default=0.0)
    return {"ok": True, "precision": precision, "best_mfu": best or None, "rows": rows}


def speed(  # a row of the table has this many sides
    shape: ModelConfig,
    device: torch.device,
    precision: str,
    compiled: str,
    micro: int,
    steps: int,
    peak: float | None,
) -> dict[str, Any]:
    """The speed of one variant."""
    step = OurStep(shape, device, precision, compiled)
    batches = [batch_of(shape, micro, seed, step.grid(shape, micro)) for seed in range(4)]
    moved = [move(batch, device) for batch in batches]
    lengths = torch.cat([batch.lengths.reshape(-1) for batch in batches]).double()
    tokens = float(lengths.sum()) / len(batches)
    length = float(lengths.square().sum() / lengths.sum())
    computed = sum(batch.layout.source.numel() for batch in batches if batch.layout) / len(batches)

    work = turns(moved, lambda batch: step(batch, 1))
    seconds(device, work, 2 if device.type == "cpu" else 5)
    taken = min(seconds(device, work, steps) for _ in range(2))
    rate = tokens / taken
    mfu = rate * flops_per_token(shape, length, RATE) / peak if peak else None
    return {
        "tokens_per_second": rate,
        "mfu": mfu,
        "padding": 1.0 - tokens / computed,
        "seconds": taken if math.isfinite(taken) else None,
    }


if __name__ == "__main__":
    sys.exit(main())
