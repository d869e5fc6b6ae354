"""What a run will cost, worked out before it starts: epochs, arithmetic, memory, disk and time.

Memory is an estimate and leaves out what the libraries take for themselves. A speed is assumed
where none is given. The rest is exact for shards that are there; for a stated number of tokens the
number of samples is estimated too.
"""

import math
from dataclasses import dataclass

import torch

from shards.errors import UserError, nearest
from trainer.config import Recipe, micro_batch, phase_ends
from trainer.data.order import Order
from trainer.data.samples import Data
from trainer.metrics import PEAKS, peak_flops
from trainer.models.sizes import count_parameters, flops_per_token
from trainer.wording import duration, size

# The share of a GPU's peak that a run is assumed to reach where no speed is given.
ASSUMED_MFU = 0.4

# The FLOP/s that a run is assumed to reach with each thread of a CPU: in fp32, between the 8e9 of a
# model of width 128 and the 26e9 of roberta-base that were measured on a server's core.
ASSUMED_CPU_FLOPS = 20e9

# The share of a sample that is not padding and no special id, where there are no shards to tell:
# 0.90 was measured on novels, in samples of 512 tokens.
ASSUMED_FILL = 0.9

# The vocabulary of the published RoBERTa, where there are no shards to tell.
ASSUMED_VOCABULARY = 50265

# More epochs than in the papers: BERT's are about 40, those of the longest RoBERTa about 55.
MANY_EPOCHS = 60

# Weight and two moments of a parameter, all fp32.
CHECKPOINT_BYTES = 12


# --- what is planned for


@dataclass(frozen=True, kw_only=True)
class Corpus:
    """`samples` of an epoch and `tokens` in the training split, `is_stated` where they were given
    in place of shards; `fill` the share of the samples that is not padding; `sequences` in them.

    For pairs, also of an epoch, the mean of the ten plans: `pairs`, the share of them that is
    `random`, and tokens that are `trimmed` (cut off a pair that was too long), `dropped` (of
    sentences without a pair) and `borrowed` (of random second parts, which are used twice).
    `epochs` how often each source is seen in a run.
    """

    samples: int
    tokens: int
    is_stated: bool = False
    fill: float
    sequences: int
    pairs: int = 0
    random: float = 0.0
    trimmed: int = 0
    dropped: int = 0
    borrowed: int = 0
    epochs: dict[str, float]


def read_corpus(recipe: Recipe, data: Data, order: Order) -> Corpus:
    """The corpus of shards."""
    counts = data.counts
    plans = data.form.plans
    return Corpus(
        samples=round(data.epoch_samples),
        tokens=sum(data.tokens.values()),
        fill=counts.filled / (counts.samples * recipe.data.length),
        sequences=round(counts.sequences / plans),
        pairs=round(counts.pairs / plans),
        random=counts.random / max(counts.pairs, 1),
        trimmed=round(counts.trimmed / plans),
        dropped=round(counts.dropped / plans),
        borrowed=round(counts.borrowed / plans),
        epochs={name: round(value, 4) for name, value in epochs(recipe, data, order).items()},
    )


def stated_corpus(recipe: Recipe, tokens: int) -> Corpus:
    """A corpus of so many tokens that does not exist yet. Raises `UserError` for less than one."""
    if tokens < 1:
        raise UserError(f"--tokens: {tokens} is not at least 1", "for example --tokens 3_000_000")

    samples = math.ceil(tokens / (recipe.data.length * ASSUMED_FILL))
    shown = whole_samples(recipe) / samples
    return Corpus(
        samples=samples,
        tokens=tokens,
        is_stated=True,
        fill=ASSUMED_FILL,
        sequences=samples,
        epochs={"all": round(shown, 4)},
    )


@dataclass(frozen=True)
class Machine:
    """`devices` of one kind, each of which is assumed to reach `flops` FLOP/s, None where that is
    not known; `assumption` says why. `has_memory`: a memory of its own, as a GPU has."""

    kind: str
    devices: int
    flops: float | None
    assumption: str
    has_memory: bool = True


def this_machine(device: torch.device, devices: int) -> Machine:
    """The machine that this process runs on."""
    if device.type != "cuda":
        return cpu(devices)

    peak = peak_flops(device)
    name = torch.cuda.get_device_name(device)
    return Machine(name, devices, None if peak is None else ASSUMED_MFU * peak, of_the_peak())


def assumed_machine(kind: str, devices: int) -> Machine:
    """A machine that need not be here: `cpu`, or a GPU by its name in PEAKS. Raises `UserError`."""
    if kind.lower() == "cpu":
        return cpu(devices)

    names = {name.lower(): name for name in PEAKS}
    if kind.lower() not in names:
        raise UserError(f"--device-kind {kind}: not known", nearest(kind, ["cpu", *PEAKS]))
    name = names[kind.lower()]
    return Machine(name, devices, ASSUMED_MFU * PEAKS[name], of_the_peak())


def cpu(devices: int) -> Machine:
    """CPUs like the one of this process."""
    threads = torch.get_num_threads()
    assumption = f"{ASSUMED_CPU_FLOPS / 1e9:.0f} GFLOP/s on each of {threads} threads"
    return Machine("cpu", devices, ASSUMED_CPU_FLOPS * threads, assumption, has_memory=False)


def of_the_peak() -> str:
    """What is assumed of a GPU."""
    return f"{ASSUMED_MFU:.0%} of the peak"


# --- the figures


@dataclass(frozen=True, kw_only=True)
class Budget(Corpus):
    """The figures of `--dry-run`, by the keys that `--json` and the log's `start` line give them.

    The figures of the corpus are those of `Corpus`. The first `first_phase_steps` have samples of
    `first_phase_length` tokens, both 0 where there is one phase; all but `epochs` and `hours` is of
    the last phase. `tokens_per_step` with padding; `ranks` the
    devices; `memory_per_device_bytes` None on a CPU; `disk_bytes` of the checkpoints while one more
    is written; `tokens_per_second` of all devices, and `hours`, None where the speed is not known;
    `assumption` where the speed comes from, empty where it was given.
    """

    format: str
    first_phase_steps: int
    first_phase_length: int
    tokens_per_step: int
    steps: int
    warmup_steps: int
    parameters: int
    vocab_size: int
    device_kind: str
    ranks: int
    micro_batch: int
    accumulation: int
    memory_per_device_bytes: int | None
    checkpoint_bytes: int
    disk_bytes: int
    flops_per_token: float
    tokens_per_second: float | None
    hours: float | None
    assumption: str
    warnings: list[str]


def plan(recipe: Recipe, corpus: Corpus, machine: Machine, rate: float = 0.0) -> Budget:
    """The figures of a run.

    `rate` is the speed to assume in tokens per second of all devices together; 0 assumes what
    `machine` reaches.
    """
    micro = micro_batch(recipe, machine.devices)
    tokens_per_step = recipe.batch * recipe.data.length
    flops = flops_per_token(recipe.model, recipe.data.length, recipe.masking.rate)
    parameters = count_parameters(recipe.model)

    speed: float | None = None
    if rate:
        speed = rate
    elif machine.flops:
        speed = machine.flops * machine.devices / flops

    checkpoint = CHECKPOINT_BYTES * parameters
    kept = recipe.keep + recipe.keep_best
    return Budget(
        format=recipe.data.format,
        **vars(corpus),
        first_phase_steps=phase_ends(recipe)[0][0] if recipe.phase.share else 0,
        first_phase_length=recipe.phase.length if recipe.phase.share else 0,
        tokens_per_step=tokens_per_step,
        steps=recipe.steps,
        warmup_steps=recipe.optim.warmup_steps,
        parameters=parameters,
        vocab_size=recipe.model.vocab_size,
        device_kind=machine.kind,
        ranks=machine.devices,
        micro_batch=micro,
        accumulation=recipe.batch // machine.devices // micro,
        memory_per_device_bytes=memory_per_device(recipe, micro) if machine.has_memory else None,
        checkpoint_bytes=checkpoint,
        disk_bytes=(kept + 1) * checkpoint,
        flops_per_token=flops,
        tokens_per_second=speed,
        hours=run_tokens(recipe) / speed / 3600 if speed else None,
        assumption="" if rate else machine.assumption,
        warnings=list(filter(None, warnings(recipe, corpus, machine.devices))),
    )


def warnings(recipe: Recipe, corpus: Corpus, ranks: int) -> tuple[str, ...]:
    """What a user should know before the run; empty texts for what is as it should be."""
    return (
        too_few(recipe, corpus.samples),
        many_epochs(corpus),
        unread_positions(recipe),
        small_micro_batch(recipe, ranks),
    )


def small_micro_batch(recipe: Recipe, ranks: int) -> str:
    """A warning that micro-batches are at most half as large as was asked for; empty where they are
    larger."""
    share = recipe.batch // ranks
    wanted = min(recipe.micro_batch, share)
    found = micro_batch(recipe, ranks)
    if 2 * found > wanted:
        return ""
    return (
        f"micro-batches are of {found} instead of {wanted} samples, since these do not divide the "
        f"{share} samples of a device, and small ones are slow on a GPU: choose --batch as a "
        f"multiple of {wanted * ranks}"
    )


def too_few(recipe: Recipe, samples: int) -> str:
    """That a corpus is too small for a batch; empty where it is not."""
    if samples >= recipe.batch:
        return ""
    return (
        f"{samples} samples of {recipe.data.length} tokens are fewer than one batch of "
        f"{recipe.batch}"
    )


def many_epochs(corpus: Corpus) -> str:
    """A warning that little data is repeated often; empty where it is not."""
    often = {name: value for name, value in corpus.epochs.items() if value > MANY_EPOCHS}
    if not often:
        return ""

    shown = ", ".join(f"{name} {value:,.0f} times" for name, value in often.items())
    return (
        f"the run repeats its data: {shown} (BERT about 40); beyond {MANY_EPOCHS} epochs a model "
        "learns it by heart: give more data or fewer --steps, and use --keep-best"
    )


def unread_positions(recipe: Recipe) -> str:
    """That a given vocabulary has its padding far behind, from whose id positions are counted;
    empty where it is among the first."""
    model = recipe.model
    if model.family != "roberta" or model.pad_id < 100:
        return ""
    unread = (model.pad_id + 1) * model.hidden
    return (
        f"the vocabulary's padding has the id {model.pad_id:,}, so {unread / 1e6:,.1f} M "
        "parameters of the table of positions are never read: build the shards with a vocabulary "
        "that has no padding of its own, and one is put first"
    )


def whole_samples(recipe: Recipe) -> float:
    """The samples of a run, where those of a first phase count by their length."""
    return run_tokens(recipe) / recipe.data.length


def run_tokens(recipe: Recipe) -> int:
    """The tokens of a whole run, with padding."""
    total = 0
    before = 0
    for until, length in phase_ends(recipe):
        total += (until - before) * recipe.batch * length
        before = until
    return total


def epochs(recipe: Recipe, data: Data, order: Order) -> dict[str, float]:
    """How often each source is seen in the whole run."""
    seen = whole_samples(recipe)
    if not order.counts:
        return dict.fromkeys(data.shards, seen / data.epoch_samples)

    block = sum(order.counts)
    found = {}
    for name, plans, count in zip(data.shards, order.ranges, order.counts, strict=True):
        samples = sum(end - start for start, end in plans) / len(plans)
        found[name] = seen * count / block / samples if samples else 0.0
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


# --- as text


def describe(budget: Budget, is_dry: bool = True) -> str:
    """The figures as lines of text; `is_dry`: for a plan, with the time, which a run itself shows
    as it goes."""
    epochs_text = ", ".join(f"{name} {value:,.2f}" for name, value in budget.epochs.items())
    checkpoints = (
        f"{size(budget.disk_bytes)}: checkpoints of {size(budget.checkpoint_bytes)}, one more "
        "than is kept while it is written"
    )
    samples_text = f"in {budget.samples:,} samples, {budget.fill:.1%} full"
    if budget.is_stated:
        samples_text = f"as given, in samples that are assumed to be {budget.fill:.0%} full"
    lines = {
        "data": f"{budget.tokens:,} tokens {samples_text}",
        "format": describe_format(budget),
        "step": f"{budget.tokens_per_step:,} tokens: {budget.ranks} x {budget.device_kind} x "
        f"{budget.accumulation} micro-batches of {budget.micro_batch} samples",
        "run": f"{budget.steps:,} steps, {budget.warmup_steps:,} of them warmup; "
        f"epochs: {epochs_text}{phase_text(budget)}",
        "model": f"{budget.parameters:,} parameters with a vocabulary of {budget.vocab_size:,}; "
        f"{budget.flops_per_token / 1e6:,.2f} MFLOP per token",
        "disk": checkpoints,
    }
    if budget.memory_per_device_bytes is not None:
        lines["memory"] = f"about {size(budget.memory_per_device_bytes)} on each device"
    if is_dry:
        lines["time"] = time_text(budget)

    shown = [f"{name:13}{text}" for name, text in lines.items()]
    return "\n".join(shown + [f"warning: {text}" for text in budget.warnings])


def time_text(budget: Budget) -> str:
    """How long a run takes, and at which speed."""
    if budget.hours is None:
        return (
            f"not known for {budget.device_kind}: give --tokens-per-second, or --device-kind to "
            "plan for another"
        )

    why = "as given" if not budget.assumption else f"assumed: {budget.assumption}"
    took = duration(budget.hours * 3600)
    if budget.hours >= 1:
        took = f"{budget.hours:,.1f} hours ({took})"
    return (
        f"{took} on {budget.ranks} x {budget.device_kind} at {budget.tokens_per_second:,.0f} "
        f"tokens/s ({why})"
    )


def phase_text(budget: Budget) -> str:
    """What is said of a first phase; empty where there is none."""
    if not budget.first_phase_steps:
        return ""
    return (
        f"; the first {budget.first_phase_steps:,} steps with samples of "
        f"{budget.first_phase_length} tokens"
    )


def describe_format(budget: Budget) -> str:
    """What the format makes of the tokens, in one line."""
    if budget.is_stated:
        return budget.format
    if not budget.pairs:
        return f"{budget.format}: {budget.sequences:,} sequences, every token used once an epoch"

    def share(tokens: int) -> str:
        return f"{tokens / max(budget.tokens, 1):.1%}"

    return (
        f"{budget.format}: {budget.pairs:,} pairs, {budget.random:.1%} of them random; of the "
        f"tokens {share(budget.trimmed)} trimmed, {share(budget.dropped)} dropped, "
        f"{share(budget.borrowed)} borrowed (used twice)"
    )
