"""What a run will cost, worked out before it starts: epochs, memory, arithmetic and time.

Memory is an estimate and leaves out what the libraries take for themselves; the rest is exact.
"""

from dataclasses import dataclass

from trainer.config import Recipe, micro_batch
from trainer.data.order import Order
from trainer.data.samples import Data
from trainer.models.roberta import count_parameters, flops_per_token

# The share of a GPU's peak that a run is assumed to reach where no speed is given.
ASSUMED_MFU = 0.4


@dataclass(frozen=True, kw_only=True)
class Budget:
    """The figures of `--dry-run`, by the keys that `--json` and the log's `start` line give them.

    `samples` of an epoch and `tokens` in the training split; `fill` the share of the samples that
    is not padding; `sequences` in them. For pairs, also of an epoch, the mean of the ten plans:
    `pairs`, the share of them that is `random`, and tokens that are `trimmed` (cut off a pair that
    was too long), `dropped` (of sentences without a pair) and `borrowed` (of random second parts,
    which are used twice). `epochs` how often each source is seen; `tokens_per_step` with padding;
    `tokens_per_second` and `hours` None where the speed is not known.
    """

    format: str
    samples: int
    tokens: int
    fill: float
    sequences: int
    pairs: int
    random: float
    trimmed: int
    dropped: int
    borrowed: int
    tokens_per_step: int
    steps: int
    warmup_steps: int
    epochs: dict[str, float]
    parameters: int
    ranks: int
    micro_batch: int
    accumulation: int
    memory_per_device_bytes: int
    flops_per_token: float
    tokens_per_second: float | None
    hours: float | None


def plan(
    recipe: Recipe, data: Data, order: Order, ranks: int, rate: float, peak: float | None
) -> Budget:
    """The figures of a run.

    `rate` is the speed to assume in tokens per second; 0 assumes 40 % of the device's `peak` in
    FLOP/s, where that is known.
    """
    micro = micro_batch(recipe, ranks)
    tokens = sum(data.tokens.values())
    tokens_per_step = recipe.batch * recipe.data.length
    flops = flops_per_token(recipe.model, recipe.data.length, recipe.masking.rate)

    speed: float | None = None
    if rate:
        speed = rate
    elif peak:
        speed = ASSUMED_MFU * peak * ranks / flops

    counts = data.counts
    plans = data.form.plans
    return Budget(
        format=recipe.data.format,
        samples=round(data.epoch_samples),
        tokens=tokens,
        fill=counts.filled / (counts.samples * recipe.data.length),
        sequences=round(counts.sequences / plans),
        pairs=round(counts.pairs / plans),
        random=counts.random / max(counts.pairs, 1),
        trimmed=round(counts.trimmed / plans),
        dropped=round(counts.dropped / plans),
        borrowed=round(counts.borrowed / plans),
        tokens_per_step=tokens_per_step,
        steps=recipe.steps,
        warmup_steps=recipe.optim.warmup_steps,
        epochs={name: round(value, 4) for name, value in epochs(recipe, data, order).items()},
        parameters=count_parameters(recipe.model),
        ranks=ranks,
        micro_batch=micro,
        accumulation=recipe.batch // ranks // micro,
        memory_per_device_bytes=memory_per_device(recipe, micro),
        flops_per_token=flops,
        tokens_per_second=speed,
        hours=tokens_per_step * recipe.steps / speed / 3600 if speed else None,
    )


def epochs(recipe: Recipe, data: Data, order: Order) -> dict[str, float]:
    """How often each source is seen in the whole run."""
    seen = recipe.steps * recipe.batch
    if not order.counts:
        return dict.fromkeys(data.shards, seen / data.epoch_samples)

    block = sum(order.counts)
    found = {}
    for name, plans, count in zip(data.shards, order.ranges, order.counts, strict=True):
        samples = sum(end - start for start, end in plans) / len(plans)
        found[name] = seen * count / block / samples
    return found


def memory_per_device(recipe: Recipe, micro: int) -> int:
    """The bytes that a device needs, estimated: the parameters and the activations.

    A parameter takes 16 bytes (weight, gradient and two moments in fp32). A layer keeps about
    11 * width + 2 * intermediate numbers per token for the backward pass: the input of each
    product, the norms, and the dropout masks at one byte. The head keeps logits, their softmax and
    the gradient of the masked tokens, two of them in fp32.
    """
    model = recipe.model
    width = 4 if recipe.precision == "fp32" else 2
    tokens = micro * recipe.data.length

    layers = model.layers * tokens * (11 * model.hidden + 2 * model.intermediate) * width
    head = tokens * recipe.masking.rate * model.vocab_size * (4 + 4 + width)
    return int(16 * count_parameters(model) + layers + head)


def describe(budget: Budget) -> str:
    """The figures as lines of text."""
    epochs_text = ", ".join(f"{name} {value:.2f}" for name, value in budget.epochs.items())
    time_text = "give --tokens-per-second for an estimate"
    if budget.hours is not None:
        time_text = f"{budget.hours:,.1f} hours at {budget.tokens_per_second:,.0f} tokens/s"

    return "\n".join(
        [
            f"data         {budget.tokens:,} tokens in {budget.samples:,} samples, "
            f"{budget.fill:.1%} full",
            f"format       {describe_format(budget)}",
            f"step         {budget.tokens_per_step:,} tokens: {budget.ranks} ranks x "
            f"{budget.accumulation} micro-batches of {budget.micro_batch} samples",
            f"run          {budget.steps:,} steps, {budget.warmup_steps:,} of them warmup; "
            f"epochs: {epochs_text}",
            f"model        {budget.parameters:,} parameters, "
            f"{budget.flops_per_token / 1e6:,.0f} MFLOP per token",
            f"memory       about {budget.memory_per_device_bytes / 2**30:.1f} GiB per device",
            f"time         {time_text}",
        ]
    )


def describe_format(budget: Budget) -> str:
    """What the format makes of the tokens, in one line."""
    if not budget.pairs:
        return f"{budget.format}: {budget.sequences:,} sequences, every token used once an epoch"

    def share(tokens: int) -> str:
        return f"{tokens / max(budget.tokens, 1):.1%}"

    return (
        f"{budget.format}: {budget.pairs:,} pairs, {budget.random:.1%} of them random; of the "
        f"tokens {share(budget.trimmed)} trimmed, {share(budget.dropped)} dropped, "
        f"{share(budget.borrowed)} borrowed (used twice)"
    )
