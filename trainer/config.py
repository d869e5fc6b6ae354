"""What a pretraining run is made of, as frozen dataclasses; recipes are TOML files of the same
keys.

Nothing heavy is imported here, so that `trainer --help` stays quick. `load_recipe` reads a recipe
by name or path, `resolve` fills in what only the data can tell, `check` refuses what cannot work
before anything starts.
"""

import dataclasses
import math
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any, Literal

from shards.config import from_dict, parse_toml, to_dict
from shards.errors import UserError, nearest


@dataclass(frozen=True, kw_only=True)
class ModelConfig:
    """The shape of a RoBERTa encoder (post-LN, learned positions, tied head)."""

    layers: int = 12
    """Encoder layers."""
    hidden: int = 768
    """Width of the residual stream."""
    intermediate: int = 3072
    """Width of the feed-forward layer."""
    heads: int = 12
    """Attention heads; they divide the width."""
    positions: int = 512
    """The longest sequence in tokens; the position table has pad_id + 1 rows more."""
    vocab_size: int = 0
    """Rows of the vocabulary; 0 takes the size of the shards' vocabulary."""
    pad_id: int = 1
    """Id of <pad>, which the positions are counted from; taken from the shards."""
    dropout: float = 0.1
    """After the embeddings and each sublayer."""
    attention_dropout: float = 0.1
    """On the attention weights."""
    layer_norm_eps: float = 1e-5
    """Epsilon of every LayerNorm."""


@dataclass(frozen=True, kw_only=True)
class DataConfig:
    """How documents become samples (FULL-SENTENCES) and how sources are mixed."""

    length: int = 512
    """Tokens in a sample, with <s> and </s>."""
    sentence_eos: bool = True
    """</s> after every sentence and one more between documents, as the published checkpoints saw
    it; false: only between documents and at the end."""
    mix: dict[str, float] = dataclasses.field(default_factory=dict)
    """Weight of a source: 2 shows its samples twice as often as those of a source of weight 1 (the
    default), 0 never."""


@dataclass(frozen=True, kw_only=True)
class MaskingConfig:
    """Which tokens are hidden (RoBERTa paper, section 3.1: 15 %, of them 80 % <mask>, 10 % random,
    10 % kept)."""

    rate: float = 0.15
    """Share of the tokens to predict; the count in a sample is exact."""
    style: Literal["exact", "fairseq"] = "exact"
    """fairseq: special ids can be masked, the count is rounded at random, random ids are from [4,
    V): for comparing perplexities with its papers."""


@dataclass(frozen=True, kw_only=True)
class OptimConfig:
    """AdamW with linear warmup and linear decay to 0."""

    lr: float = 6e-4
    """Peak learning rate."""
    warmup_steps: int = 24000
    """Steps of the warmup; scaled along when --steps changes the horizon."""
    beta1: float = 0.9
    """Decay of the first moment."""
    beta2: float = 0.98
    """Decay of the second moment."""
    eps: float = 1e-6
    """Added to the root of the second moment, after its bias correction."""
    weight_decay: float = 0.01
    """Decoupled decay, times the learning rate."""
    decay: Literal["all", "matrices"] = "all"
    """all: every parameter, as fairseq trained RoBERTa; matrices: neither biases nor LayerNorm, as
    BERT."""
    clip: float = 0.0
    """Largest norm of the gradient; 0 is off, as in the paper."""


@dataclass(frozen=True, kw_only=True)
class EvaluationConfig:
    """Validation on stored masks: FULL-SENTENCES, </s> after sentences, 15 % exact, whatever the
    training format."""

    every: int = 1000
    """Steps between validations; 0 only at the end."""
    samples: int = 512
    """At most so many samples of a source."""


@dataclass(frozen=True, kw_only=True)
class GuardConfig:
    """When a run ends because the loss went wrong."""

    nonfinite_limit: int = 20
    """Batches with a loss or gradient that is not finite are skipped; so many end the run."""
    spike_window: int = 200
    """Steps whose losses say what is usual; 0 turns the spike guard off."""
    spike_deviations: float = 12.0
    """A spike lies so many median absolute deviations (at least 0.02 each) above the median."""
    spike_limit: int = 50
    """So many spikes in a row end the run."""


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """A whole pretraining run but for where its data lies."""

    source: str = ""
    """Where the numbers come from."""
    steps: int = 500_000
    """The horizon: updates until the learning rate is 0."""
    batch: int = 8192
    """Samples in one update, over all ranks."""
    micro_batch: int = 32
    """At most so many samples at once on a device; the largest divisor of a rank's share is
    taken."""
    seed: int = 0
    """Keys order, masks, dropout and the first weights."""
    precision: Literal["auto", "fp32", "bf16", "fp16"] = "auto"
    """auto: bf16 on CUDA, fp32 on a CPU. Weights and their moments are always fp32."""
    compile: bool = False
    """Compile the model (torch.compile)."""
    save_every: int = 1000
    """Steps between checkpoints; one is always made at the end."""
    keep: int = 3
    """Checkpoints kept."""
    log_every: int = 10
    """Steps between lines of the log."""
    max_hours: float = 0.0
    """Save and stop after so many hours; 0 is never."""
    model: ModelConfig = ModelConfig()
    data: DataConfig = dataclasses.field(default_factory=DataConfig)
    masking: MaskingConfig = MaskingConfig()
    optim: OptimConfig = OptimConfig()
    evaluation: EvaluationConfig = EvaluationConfig()
    guard: GuardConfig = GuardConfig()


# What may change when a run is resumed: it changes neither samples nor masks nor the model that is
# trained.
# (Another micro_batch draws other dropout; the loop says so.)
RUNTIME = (
    "source",
    "micro_batch",
    "compile",
    "save_every",
    "keep",
    "log_every",
    "max_hours",
    "evaluation",
    "guard",
)


def recipe_names() -> list[str]:
    """Names of the recipes that come along, sorted."""
    folder = resources.files("trainer") / "recipes"
    return sorted(
        entry.name.removesuffix(".toml")
        for entry in folder.iterdir()
        if entry.name.endswith(".toml")
    )


def load_recipe(name: str) -> Recipe:
    """The recipe of this name, or of this path when it ends in `.toml`. Raises `UserError`."""
    if name.endswith(".toml"):
        try:
            text = Path(name).read_text()
        except OSError as error:
            raise UserError(
                f"{name}: cannot be read: {error.strerror}",
                "give a recipe's name or its path: trainer recipes",
            ) from None
    else:
        if name not in recipe_names():
            raise UserError(f"{name}: no such recipe", nearest(name, recipe_names()))
        text = (resources.files("trainer") / "recipes" / f"{name}.toml").read_text()
    try:
        return from_dict(Recipe, parse_toml(text, name))
    except UserError as error:
        raise UserError(
            f"{name}: {error.what}" if not error.what.startswith(name) else error.what, error.hint
        ) from None


def with_steps(recipe: Recipe, base: Recipe, warmup_given: bool) -> Recipe:
    """`recipe` with its warmup scaled to the new horizon, unless the warmup itself was given."""
    if (
        warmup_given
        or recipe.steps == base.steps
        or recipe.optim.warmup_steps != base.optim.warmup_steps
    ):
        return recipe
    warmup = base.optim.warmup_steps * recipe.steps // base.steps
    return dataclasses.replace(recipe, optim=dataclasses.replace(recipe.optim, warmup_steps=warmup))


def check(recipe: Recipe) -> None:
    """Refuse what cannot work, whatever the data. Raises `UserError` naming the key."""
    model, optim = recipe.model, recipe.optim
    for name in ("steps", "batch", "micro_batch", "save_every", "keep", "log_every"):
        _require(getattr(recipe, name) >= 1, name, getattr(recipe, name), "at least 1")
    for name in ("layers", "hidden", "intermediate", "heads", "positions"):
        _require(getattr(model, name) >= 1, f"model.{name}", getattr(model, name), "at least 1")
    _require(
        model.hidden % model.heads == 0,
        "model.hidden",
        model.hidden,
        f"a multiple of model.heads ({model.heads})",
    )
    _require(0 <= recipe.seed < 2**63, "seed", recipe.seed, "from 0 to 2^63 - 1")
    _require(
        8 <= recipe.data.length <= model.positions,
        "data.length",
        recipe.data.length,
        f"from 8 to model.positions ({model.positions})",
    )
    _require(0 < recipe.masking.rate <= 0.9, "masking.rate", recipe.masking.rate, "in (0, 0.9]")
    for name in ("dropout", "attention_dropout"):
        _require(0 <= getattr(model, name) < 1, f"model.{name}", getattr(model, name), "in [0, 1)")
    for source, weight in recipe.data.mix.items():
        _require(weight >= 0 and math.isfinite(weight), f"data.mix.{source}", weight, "at least 0")
    _require(optim.lr > 0 and math.isfinite(optim.lr), "optim.lr", optim.lr, "above 0")
    for name in ("warmup_steps", "weight_decay", "clip", "eps"):
        _require(getattr(optim, name) >= 0, f"optim.{name}", getattr(optim, name), "at least 0")
    for name in ("beta1", "beta2"):
        _require(0 <= getattr(optim, name) < 1, f"optim.{name}", getattr(optim, name), "in [0, 1)")
    if optim.warmup_steps >= recipe.steps:
        raise UserError(
            f"optim.warmup_steps: {optim.warmup_steps} is not shorter than the horizon of {recipe.steps} steps",
            "raise --steps or lower --optim.warmup-steps",
        )


def _require(holds: bool, key: str, value: Any, bound: str) -> None:
    if not holds:
        raise UserError(f"{key}: {value} is not {bound}", "change the recipe or the flag")


def micro_batch(recipe: Recipe, ranks: int) -> int:
    """Samples at once on a device: the largest divisor of a rank's share of the batch, at most
    `recipe.micro_batch`."""
    if recipe.batch % ranks:
        raise UserError(
            f"batch: {recipe.batch} samples cannot be shared among {ranks} ranks",
            "change --batch or the number of ranks",
        )
    share = recipe.batch // ranks
    return max(size for size in range(1, min(share, recipe.micro_batch) + 1) if share % size == 0)


def fixed_keys(recipe: Recipe) -> dict[str, Any]:
    """The settings that decide which model is trained, flat: {"optim.lr": 0.0006, ...}; equal in a
    run and its resumption."""
    flat: dict[str, Any] = {}
    for key, value in to_dict(recipe).items():
        if key in RUNTIME:
            continue
        if isinstance(value, dict):
            flat.update({f"{key}.{inner}": item for inner, item in value.items()})
        else:
            flat[key] = value
    return flat
