"""What a pretraining run is made of, as frozen dataclasses; recipes are TOML files of the same
keys.

The docstrings of the fields are the help of the command line and the reference. Nothing heavy is
imported here, so that `trainer --help` stays quick. `load_recipe` reads a recipe by name or path;
`check` refuses what cannot work before anything starts; `run.resolve` fills in what only the data
and the device can tell.
"""

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Literal

from shards.config import from_dict, parse_toml, to_dict
from shards.errors import UserError, nearest

FormatName = Literal["full-sentences", "doc-sentences", "segment-pair", "sentence-pair"]


@dataclass(frozen=True, kw_only=True)
class ModelConfig:
    """The shape of the encoder (post-LN, learned positions, tied heads)."""

    family: Literal["roberta", "bert"] = "roberta"
    """roberta: positions from pad_id + 1, one token type that is never trained.
    bert: positions from 0 and two token types, for BERT and SpanBERT."""
    layers: int = 12
    """Number of encoder layers."""
    hidden: int = 768
    """Width of the hidden states."""
    intermediate: int = 3072
    """Width inside the feed-forward layers."""
    heads: int = 12
    """Number of attention heads; the width must be a multiple of it."""
    positions: int = 512
    """Longest sequence in tokens; a RoBERTa's position table has pad_id + 1 rows more."""
    vocab_size: int = 0
    """Size of the vocabulary; 0 takes that of the shards."""
    pad_id: int = 1
    """Id of <pad>, from which a RoBERTa counts positions. Always taken from the shards."""
    end_id: int = 2
    """Id of </s>, which tells the two parts of a pair. Always taken from the shards."""
    dropout: float = 0.1
    """Dropout after the embeddings and after each sublayer."""
    attention_dropout: float = 0.1
    """Dropout on the attention weights."""
    layer_norm_eps: float = 1e-5
    """Epsilon of every LayerNorm: 1e-5 in RoBERTa, 1e-12 in BERT."""
    init: Literal["normal", "truncated"] = "normal"
    """The first weights of matrices have deviation 0.02.
    normal: as fairseq and SpanBERT. truncated: none beyond 0.04, as BERT's code."""
    next_head: bool = False
    """Whether the model has a pooler and a next-sentence head. Always taken from objective.nsp."""
    span_head: bool = False
    """Whether the model has a span boundary head. Always taken from objective.sbo."""
    span_targets: int = 15
    """Positions in a span that the span boundary head knows.
    Tokens further from the start of their span have no such loss; they are counted."""


@dataclass(frozen=True, kw_only=True)
class DataConfig:
    """How documents become samples and how sources are mixed."""

    format: FormatName = "full-sentences"
    """The input formats of the RoBERTa paper (section 4.2, table 2).
    full-sentences: whole sentences across documents.
    doc-sentences: whole sentences of one document; short sequences share a sample.
    segment-pair: one pair of segments, as BERT, for next sentence prediction.
    sentence-pair: pairs of single sentences; several share a sample."""
    length: int = 512
    """Tokens in a sample, including <s> and </s>."""
    sentence_eos: bool = True
    """Put </s> after every sentence, as in the data of the published checkpoints.
    Otherwise </s> stands only between documents and at the end of a sample.
    Pairs have one </s> after each part, whatever this says."""
    nsp: Literal["paper", "bert"] = "paper"
    """How the second part of a pair is chosen.
    paper: exactly half of the pairs of an epoch are random, as the BERT paper says.
    bert: as BERT's released code, by whose rules more than half are random."""
    short_seq_prob: float = 0.1
    """Share of the documents whose segment pairs are made shorter, as in BERT's code."""
    mix: dict[str, float] = dataclasses.field(default_factory=dict)
    """Weights of sources; a source without one has weight 1.
    Samples of a source with weight 2 are shown twice as often; those with weight 0, never."""


@dataclass(frozen=True, kw_only=True)
class MaskingConfig:
    """Which tokens are masked (RoBERTa paper, section 3.1: 15 %; 80 % of them become <mask>, 10 % a
    random token, 10 % stay)."""

    rate: float = 0.15
    """Share of the tokens that the model predicts."""
    unit: Literal["token", "word", "span"] = "token"
    """token: mask single tokens.
    word: mask whole words.
    span: mask spans of words, as SpanBERT."""
    style: Literal["exact", "bernoulli", "fairseq"] = "exact"
    """exact: mask the rounded share of the tokens that are not special.
    bernoulli: mask each of them with the same chance.
    fairseq: mask as fairseq does, special tokens too, to compare with its papers."""
    static: int = 0
    """0: draw new masks in every epoch.
    N: repeat the masks after N epochs, as BERT's ten copies of the data do with 10."""
    span_p: float = 0.2
    """The lengths of spans in words are geometric with this parameter."""
    span_words: int = 10
    """Words in the longest span."""


@dataclass(frozen=True, kw_only=True)
class ObjectiveConfig:
    """What the model learns. The loss is the weighted sum of the objectives, each the mean over all
    that it predicts in a batch."""

    mlm: bool = True
    """Predict the masked tokens (masked language model)."""
    nsp: bool = False
    """Predict whether the second part of a pair follows the first (next sentence prediction)."""
    sbo: bool = False
    """Predict each token of a span from the tokens beside the span (span boundary objective)."""
    mlm_weight: float = 1.0
    """Weight of the masked language model."""
    nsp_weight: float = 1.0
    """Weight of next sentence prediction."""
    sbo_weight: float = 1.0
    """Weight of the span boundary objective."""


@dataclass(frozen=True, kw_only=True)
class OptimConfig:
    """AdamW with linear warmup and linear decay to 0."""

    lr: float = 6e-4
    """Peak learning rate."""
    warmup_steps: int = 24000
    """Steps of warmup; if --steps changes and this does not, it is scaled by the same factor."""
    beta1: float = 0.9
    """Decay rate of the first moment."""
    beta2: float = 0.98
    """Decay rate of the second moment."""
    eps: float = 1e-6
    """Added to the root of the second moment, after its bias correction."""
    weight_decay: float = 0.01
    """Decoupled weight decay; it is multiplied by the learning rate."""
    bias_correction: bool = True
    """Whether Adam corrects its moments for their start at 0, as in Adam's paper; BERT's code does
    not."""
    schedule: Literal["peak", "start"] = "peak"
    """Where the linear decay begins.
    peak: at the end of the warmup, from the peak. start: at step 0, as in BERT's code; the rate
    falls from the peak to peak * (1 - warmup_steps / steps) when the warmup ends."""
    decay: Literal["all", "matrices"] = "all"
    """all: decay every parameter, as fairseq trained RoBERTa.
    matrices: decay neither biases nor LayerNorm, as BERT."""
    clip: float = 0.0
    """Largest norm of the gradient; larger ones are scaled down. 0 is off, as in the paper."""


@dataclass(frozen=True, kw_only=True)
class PhaseConfig:
    """A first phase with shorter samples, as BERT trained: 90 % of the steps at 128 tokens."""

    share: float = 0.0
    """Share of the steps that belong to the first phase; 0 trains at data.length throughout."""
    length: int = 128
    """Tokens in a sample of the first phase."""


@dataclass(frozen=True, kw_only=True)
class EvaluationConfig:
    """Validation during training. Its format is fixed (FULL-SENTENCES with </s> after sentences,
    exact masks at 15 %), whatever the training format."""

    every: int = 1000
    """Steps between validations; 0 validates only at the end."""
    samples: int = 512
    """Validate on at most this many samples of each source."""


@dataclass(frozen=True, kw_only=True)
class GuardConfig:
    """When a run is ended because its loss went wrong."""

    nonfinite_limit: int = 20
    """End the run after this many batches with a loss or gradient that is not finite.
    Until then such batches are skipped."""
    spike_window: int = 200
    """Number of past losses that each loss is compared with; 0 turns the spike guard off."""
    spike_deviations: float = 12.0
    """A loss this many median absolute deviations above the median is a spike.
    The deviation counts as at least 0.02."""
    spike_limit: int = 50
    """End the run after this many spikes in a row."""


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """Everything that decides a pretraining run except the data and the folder of the run."""

    source: str = ""
    """Where the numbers come from, for the reader."""
    steps: int = 500_000
    """Number of updates; the learning rate reaches 0 at the last one."""
    batch: int = 8192
    """Samples in one update, over all ranks."""
    micro_batch: int = 32
    """Compute at most this many samples at once on a device.
    The largest divisor of a rank's share of the batch is used, on a GPU the largest that fits into
    its memory."""
    seed: int = 0
    """Decides the order of the samples, the masks, dropout and the first weights."""
    precision: Literal["auto", "fp32", "bf16", "fp16"] = "auto"
    """auto: bf16 on CUDA (fp16 before Ampere), fp32 on a CPU. Weights and their moments are always
    fp32."""
    compile: Literal["auto", "on", "off"] = "auto"
    """Compile the forward pass and the losses with torch.compile; auto: on a GPU."""
    save_every: int = 1000
    """Steps between checkpoints; the last step is always saved."""
    save_minutes: float = 0.0
    """Save too when this many minutes have passed since the last checkpoint; 0 is off."""
    keep: int = 3
    """Number of checkpoints to keep, the newest ones."""
    keep_best: bool = False
    """Also keep the checkpoint with the lowest validation loss, whatever `keep` is.
    One is saved at every validation that is better than those before."""
    log_every: int = 10
    """Steps between lines of the log."""
    max_hours: float = 0.0
    """Save and stop after this many hours; 0 never stops."""
    model: ModelConfig = ModelConfig()
    data: DataConfig = dataclasses.field(default_factory=DataConfig)
    masking: MaskingConfig = MaskingConfig()
    phase: PhaseConfig = PhaseConfig()
    objective: ObjectiveConfig = ObjectiveConfig()
    optim: OptimConfig = OptimConfig()
    evaluation: EvaluationConfig = EvaluationConfig()
    guard: GuardConfig = GuardConfig()


# The largest number of steps or samples; places in the endless order, their product, fit 64 bits.
LARGEST = 1_000_000_000

# The largest size of a part of a model.
WIDEST = 1_000_000

# The settings that may change when a run is resumed, since they change neither the samples nor the
# masks nor the trained model. (Another micro_batch draws other dropout; `run.start` warns of it.)
RUNTIME = (
    "source",
    "micro_batch",
    "compile",
    "save_every",
    "save_minutes",
    "keep",
    "keep_best",
    "log_every",
    "max_hours",
    "evaluation",
    "guard",
)


def recipe_names() -> list[str]:
    """The names of the built-in recipes, sorted."""
    folder = resources.files("trainer") / "recipes"
    files = [entry.name for entry in folder.iterdir()]
    return sorted(name.removesuffix(".toml") for name in files if name.endswith(".toml"))


def load_recipe(name: str) -> Recipe:
    """The built-in recipe of this name, or the file at this path if it ends in `.toml`.

    A key that it leaves out has the default of `Recipe`; so has the warmup, scaled to its steps.
    Raises `UserError` when there is none, or when a key or a value in it is wrong.
    """
    content = parse_toml(read_recipe(name), name)
    try:
        recipe = from_dict(Recipe, content)
        warmup_given = "warmup_steps" in content.get("optim", {})
        return with_steps(recipe, Recipe(), warmup_given)
    except UserError as error:
        what = error.what if error.what.startswith(name) else f"{name}: {error.what}"
        raise UserError(what, error.hint) from None


def read_recipe(name: str) -> str:
    """The TOML text of a recipe. Raises `UserError` when there is none."""
    if name.endswith(".toml"):
        try:
            return Path(name).read_text("utf-8")
        except OSError as error:
            raise UserError(
                f"{name}: cannot be read: {error.strerror}",
                "give the name or the path of a recipe; trainer recipes lists the names",
            ) from None
        except UnicodeError as error:
            raise UserError(f"{name}: not UTF-8: {error}", "write it as TOML in UTF-8") from None

    if name not in recipe_names():
        raise UserError(f"{name}: no such recipe", nearest(name, recipe_names()))
    return (resources.files("trainer") / "recipes" / f"{name}.toml").read_text("utf-8")


def load_run_recipe(run: Path) -> Recipe:
    """The recipe that a run has stored in `recipe.toml`, also one of an older version.

    Raises `UserError` when there is none or a value in it is wrong.
    """
    path = str(run / "recipe.toml")
    keys, _ = known_keys(flatten(parse_toml(read_recipe(path), path)))
    try:
        return from_dict(Recipe, nest(keys))
    except UserError as error:
        raise UserError(f"{path}: {error.what}", error.hint) from None


def with_steps(recipe: Recipe, base: Recipe, warmup_given: bool) -> Recipe:
    """`recipe` with its warmup scaled to the new number of steps, unless the warmup was given."""
    same_steps = recipe.steps == base.steps
    if warmup_given or same_steps or recipe.optim.warmup_steps != base.optim.warmup_steps:
        return recipe

    warmup = base.optim.warmup_steps * recipe.steps // base.steps
    return dataclasses.replace(recipe, optim=dataclasses.replace(recipe.optim, warmup_steps=warmup))


def check(recipe: Recipe) -> None:
    """Refuse what cannot work, whatever the data. Raises `UserError` naming the key."""
    for name in ("steps", "batch", "micro_batch", "save_every", "keep", "log_every"):
        value = getattr(recipe, name)
        require(value >= 1, name, value, "at least 1")

    for name in ("steps", "batch", "micro_batch", "save_every", "keep", "log_every"):
        value = getattr(recipe, name)
        require(value <= LARGEST, name, value, f"at most {LARGEST:,}")

    require(0 <= recipe.seed < 2**63, "seed", recipe.seed, "from 0 to 2^63 - 1")
    for name in ("max_hours", "save_minutes"):
        value = getattr(recipe, name)
        require(value >= 0 and math.isfinite(value), name, value, "at least 0")
    for source, weight in recipe.data.mix.items():
        require(weight >= 0 and math.isfinite(weight), f"data.mix.{source}", weight, "at least 0")

    check_masking(recipe.masking)
    short = recipe.data.short_seq_prob
    require(0 <= short <= 1, "data.short_seq_prob", short, "in [0, 1]")

    check_model(recipe.model)
    length, positions = recipe.data.length, recipe.model.positions
    bound = f"from 8 to model.positions ({positions})"
    require(8 <= length <= positions, "data.length", length, bound)

    phase = recipe.phase
    require(0 <= phase.share < 1, "phase.share", phase.share, "in [0, 1)")
    if phase.share:
        bound = f"from 8 to data.length ({length})"
        require(8 <= phase.length <= length, "phase.length", phase.length, bound)

    check_objective(recipe)
    check_labels(recipe)
    check_optim(recipe.optim)
    check_evaluation(recipe.evaluation)
    check_guard(recipe.guard)
    if recipe.optim.warmup_steps >= recipe.steps:
        raise UserError(
            f"optim.warmup_steps: {recipe.optim.warmup_steps} steps of warmup are not fewer than "
            f"the run's {recipe.steps} steps",
            "raise --steps or lower --optim.warmup-steps",
        )


def check_masking(masking: MaskingConfig) -> None:
    """Refuse masks that cannot be drawn. Raises `UserError` naming the key."""
    require(0 < masking.rate <= 0.9, "masking.rate", masking.rate, "in (0, 0.9]")
    static = masking.static
    require(0 <= static <= LARGEST, "masking.static", static, f"from 0 to {LARGEST:,}")
    require(0 < masking.span_p < 1, "masking.span_p", masking.span_p, "in (0, 1)")
    require(1 <= masking.span_words <= 100, "masking.span_words", masking.span_words, "1 to 100")

    if masking.unit != "token" and masking.style != "exact":
        raise UserError(
            f"masking.style: {masking.style} masks single tokens, and masking.unit is "
            f"{masking.unit}",
            "use --masking.style exact, or --masking.unit token",
        )


def check_model(model: ModelConfig) -> None:
    """Refuse a shape that cannot be built. Raises `UserError` naming the key."""
    for name in ("layers", "hidden", "intermediate", "heads", "positions", "span_targets"):
        value = getattr(model, name)
        require(1 <= value <= WIDEST, f"model.{name}", value, f"from 1 to {WIDEST:,}")
    for name in ("vocab_size", "pad_id", "end_id"):
        value = getattr(model, name)
        require(0 <= value < 2**31, f"model.{name}", value, "from 0 to 2^31 - 1")
    epsilon = model.layer_norm_eps
    require(0 < epsilon <= 1, "model.layer_norm_eps", epsilon, "above 0, at most 1")

    bound = f"a multiple of model.heads ({model.heads})"
    require(model.hidden % model.heads == 0, "model.hidden", model.hidden, bound)

    for name in ("dropout", "attention_dropout"):
        value = getattr(model, name)
        require(0 <= value < 1, f"model.{name}", value, "in [0, 1)")


def check_objective(recipe: Recipe) -> None:
    """Refuse objectives that the format or the masks cannot serve. Raises `UserError`."""
    objective = recipe.objective
    if not (objective.mlm or objective.nsp or objective.sbo):
        raise UserError("objective: no objective is on", "leave --objective.mlm on")
    for name in ("mlm_weight", "nsp_weight", "sbo_weight"):
        value = getattr(objective, name)
        require(value > 0 and math.isfinite(value), f"objective.{name}", value, "above 0")

    name = recipe.data.format
    unit = recipe.masking.unit
    if objective.nsp and not has_pairs(recipe.data):
        raise UserError(
            f"objective.nsp: the samples of data.format {name} are not pairs",
            "use --data.format segment-pair or sentence-pair, or --objective.no-nsp",
        )
    if name == "sentence-pair" and not objective.nsp:
        raise UserError(
            "data.format: sentence-pair is for next sentence prediction, and objective.nsp is off",
            "use --objective.nsp, or --data.format doc-sentences",
        )
    if objective.sbo and unit != "span":
        raise UserError(
            f"objective.sbo: masks of masking.unit {unit} have no spans",
            "use --masking.unit span, or --objective.no-sbo",
        )
    if has_pairs(recipe.data) and recipe.masking.style == "fairseq":
        raise UserError(
            "masking.style: fairseq masks </s> too, which tells the two parts of a pair apart",
            "use --masking.style exact with pairs",
        )


def check_optim(optim: OptimConfig) -> None:
    """Refuse numbers that AdamW cannot use. Raises `UserError` naming the key."""
    for name in ("lr", "eps"):
        value = getattr(optim, name)
        require(value > 0 and math.isfinite(value), f"optim.{name}", value, "above 0")
    for name in ("warmup_steps", "weight_decay", "clip"):
        value = getattr(optim, name)
        require(value >= 0 and math.isfinite(value), f"optim.{name}", value, "at least 0")

    for name in ("beta1", "beta2"):
        value = getattr(optim, name)
        require(0 <= value < 1, f"optim.{name}", value, "in [0, 1)")


def check_labels(recipe: Recipe) -> None:
    """Refuse masks that choose no token of any sample. Raises `UserError` naming the key."""
    masking = recipe.masking
    if masking.style != "exact":
        return  # these draw the number, which is 1 now and then
    lengths = [length for _, length in phase_ends(recipe)]
    # Two tokens of a sample are special and never masked.
    most = math.floor(masking.rate * (max(lengths) - 2) + 0.5)
    if most < 1:
        raise UserError(
            f"masking.rate: {masking.rate} masks no token of a sample of {max(lengths)} tokens",
            "raise --masking.rate or --data.length",
        )


def check_evaluation(evaluation: EvaluationConfig) -> None:
    """Refuse validations that cannot be. Raises `UserError` naming the key."""
    every, samples = evaluation.every, evaluation.samples
    require(0 <= every <= LARGEST, "evaluation.every", every, f"from 0 to {LARGEST:,}")
    require(1 <= samples <= LARGEST, "evaluation.samples", samples, f"from 1 to {LARGEST:,}")


def check_guard(guard: GuardConfig) -> None:
    """Refuse guards that cannot work. Raises `UserError` naming the key."""
    for name in ("nonfinite_limit", "spike_limit"):
        value = getattr(guard, name)
        require(1 <= value <= LARGEST, f"guard.{name}", value, f"from 1 to {LARGEST:,}")

    window = guard.spike_window
    # The losses of the window are part of every checkpoint.
    require(0 <= window <= 100_000, "guard.spike_window", window, "from 0 to 100,000")
    deviations = guard.spike_deviations
    holds = deviations > 0 and math.isfinite(deviations)
    require(holds, "guard.spike_deviations", deviations, "above 0")


def require(holds: bool, key: str, value: float, bound: str) -> None:
    """Raise `UserError` naming the key unless its bound holds."""
    if not holds:
        raise UserError(f"{key}: {value} is not {bound}", "change the recipe or the flag")


def micro_batch(recipe: Recipe, ranks: int) -> int:
    """Samples at once on a device: the largest divisor of a rank's share of the batch that is at
    most `recipe.micro_batch`. Raises `UserError` when the ranks cannot share the batch."""
    if recipe.batch % ranks:
        raise UserError(
            f"batch: {recipe.batch} samples cannot be shared among {ranks} ranks",
            "change --batch or the number of ranks",
        )

    share = recipe.batch // ranks
    return max(size for size in range(1, min(share, recipe.micro_batch) + 1) if share % size == 0)


def phase_ends(recipe: Recipe) -> list[tuple[int, int]]:
    """The phases of a run: the number of steps done when each ends, and its length in tokens."""
    last = (recipe.steps, recipe.data.length)
    steps = round(recipe.phase.share * recipe.steps)
    return [(steps, recipe.phase.length), last] if steps else [last]


def has_pairs(data: DataConfig) -> bool:
    """Whether a sequence of the format is a pair."""
    return data.format in ("segment-pair", "sentence-pair")


def fixed_keys(recipe: Recipe) -> dict[str, object]:
    """The settings that decide which model is trained, flat: {"optim.lr": 0.0006, ...}. They are
    equal in a run and its resumption."""
    flat = flatten(to_dict(recipe))
    return {key: value for key, value in flat.items() if key.split(".")[0] not in RUNTIME}


def flatten(table: Mapping[str, object]) -> dict[str, object]:
    """The tables of a recipe as one: {"optim": {"lr": 1}} becomes {"optim.lr": 1}."""
    flat: dict[str, object] = {}
    for key, value in table.items():
        if isinstance(value, dict):
            for inner, item in value.items():
                flat[f"{key}.{inner}"] = item
        else:
            flat[key] = value
    return flat


def nest(flat: Mapping[str, object]) -> dict[str, object]:
    """The tables of a recipe: the inverse of `flatten`."""
    outer: dict[str, object] = {}
    tables: dict[str, dict[str, object]] = {}
    for key, value in flat.items():
        table, _, inner = key.rpartition(".")
        if table:
            tables.setdefault(table, {})[inner] = value
        else:
            outer[inner] = value
    return {**outer, **tables}


# --- runs of older versions

# What was in effect before a setting existed, where that is not the setting's default.
BEFORE: dict[str, object] = {}

# Settings that have another name now, by the name that older runs have stored.
RENAMED: dict[str, str] = {}

# Settings of older runs that are gone, since they no longer decide anything.
REMOVED: tuple[str, ...] = ()


# What `compile` was before it could be auto.
COMPILE: dict[object, str] = {True: "on", False: "off"}


def known_keys(stored: Mapping[str, object]) -> tuple[dict[str, object], list[str]]:
    """The flat settings of a stored run in the terms of this version, and the keys that it does
    not know at all, as those of a newer version.

    A setting that the run lacks had the value in effect before the setting existed: that of
    BEFORE, or the default.
    """
    keys = {**flatten(to_dict(Recipe())), **BEFORE}
    known = set(keys)
    unknown = []

    for old, value in stored.items():
        key = RENAMED.get(old, old)
        if key in known:
            keys[key] = COMPILE.get(value, value) if key == "compile" else value
        elif old not in REMOVED:
            unknown.append(old)
    return keys, unknown
