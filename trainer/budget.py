"""What a run will cost, and what is refused before it starts."""

from typing import Any

from trainer.config import Recipe, micro_batch
from trainer.data.order import Order
from trainer.data.samples import Data
from trainer.models.roberta import count_parameters, flops_per_token


def epochs(recipe: Recipe, data: Data, order: Order) -> dict[str, float]:
    """How often each source is seen in the whole run."""
    seen = recipe.steps * recipe.batch
    if not order.counts:
        return {name: seen / len(data) for name in data.sources}
    total = sum(order.counts)
    return {
        name: seen * count / total / (end - start)
        for (name, (start, end)), count in zip(data.sources.items(), order.counts, strict=True)
    }


def memory_per_device(recipe: Recipe, micro: int) -> int:
    """Bytes a device needs, estimated: 16 a parameter (weight, gradient, two moments, fp32) and the
    activations.

    A layer keeps about 11 * width + 2 * intermediate numbers a token (inputs of each product,
    norms, dropout masks of one byte); the head keeps logits, their softmax and gradient for the
    masked tokens in fp32.
    """
    model = recipe.model
    width = 4 if recipe.precision == "fp32" else 2
    tokens = micro * recipe.data.length
    layers = model.layers * tokens * (11 * model.hidden + 2 * model.intermediate) * width
    head = tokens * recipe.masking.rate * model.vocab_size * (4 + 4 + width)
    return int(16 * count_parameters(model) + layers + head)


def plan(
    recipe: Recipe, data: Data, order: Order, ranks: int, rate: float, peak: float | None
) -> dict[str, Any]:
    """The figures of `--dry-run`. `rate`: tokens a second stated by the user, 0 for 40 % of the
    device's `peak`, where it is known."""
    micro = micro_batch(recipe, ranks)
    tokens = recipe.batch * recipe.data.length
    flops = flops_per_token(recipe.model, recipe.data.length, recipe.masking.rate)
    stated = rate or (0.4 * peak * ranks / flops if peak else 0.0)
    found = epochs(recipe, data, order)
    return {
        "samples": len(data),
        "tokens": sum(data.tokens.values()),
        "fill": sum(data.tokens.values()) / (len(data) * recipe.data.length),
        "tokens_per_step": tokens,
        "steps": recipe.steps,
        "warmup_steps": recipe.optim.warmup_steps,
        "epochs": {name: round(value, 4) for name, value in found.items()},
        "parameters": count_parameters(recipe.model),
        "ranks": ranks,
        "micro_batch": micro,
        "accumulation": recipe.batch // ranks // micro,
        "memory_per_device_bytes": memory_per_device(recipe, micro),
        "flops_per_token": flops,
        "tokens_per_second": stated or None,
        "hours": tokens * recipe.steps / stated / 3600 if stated else None,
    }


def describe(figures: dict[str, Any]) -> str:
    """The figures of `plan` as lines for people."""
    hours = figures["hours"]
    lines = [
        f"data         {figures['tokens']:,} tokens in {figures['samples']:,} samples, {figures['fill']:.1%} full",
        f"step         {figures['tokens_per_step']:,} tokens: {figures['ranks']} ranks x {figures['accumulation']} micro-batches of {figures['micro_batch']}",
        f"run          {figures['steps']:,} steps, {figures['warmup_steps']:,} of warmup; epochs: "
        + ", ".join(f"{name} {value:.2f}" for name, value in figures["epochs"].items()),
        f"model        {figures['parameters']:,} parameters, {figures['flops_per_token'] / 1e6:,.0f} MFLOP a token",
        f"memory       about {figures['memory_per_device_bytes'] / 2**30:.1f} GiB per device",
        "time         "
        + (
            f"{hours:,.1f} hours at {figures['tokens_per_second']:,.0f} tokens/s"
            if hours
            else "give --tokens-per-second for an estimate"
        ),
    ]
    return "\n".join(lines)
