"""The settings of fine-tuning, as frozen dataclasses, and the presets of the papers by task.

The docstrings of the fields are the help of the command line and the reference. Nothing heavy is
imported here, so that `trainer --help` stays quick.
"""

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from shards.config import from_dict, parse_toml
from shards.errors import UserError
from trainer.config import (
    DataConfig,
    EvaluationConfig,
    GuardConfig,
    ModelConfig,
    OptimConfig,
    Recipe,
    require,
)

# The losses of the last steps that tell whether a run is at chance.
CHANCE_WINDOW = 50


@dataclass(frozen=True, kw_only=True)
class TuningOptim:
    """AdamW with linear warmup and linear decay to 0."""

    lr: float = 1e-5
    """Peak learning rate."""
    warmup: float = 0.06
    """Share of the steps that are warmup."""
    weight_decay: float = 0.1
    """Decoupled weight decay; it is multiplied by the learning rate."""
    beta1: float = 0.9
    """Decay rate of the first moment."""
    beta2: float = 0.98
    """Decay rate of the second moment."""
    eps: float = 1e-6
    """Added to the root of the second moment, after its bias correction."""
    decay: Literal["all", "matrices"] = "all"
    """all: decay every parameter, as fairseq. matrices: decay neither biases nor LayerNorm, as
    BERT."""
    clip: float = 0.0
    """Largest norm of the gradient; larger ones are scaled down. 0 is off."""


@dataclass(frozen=True, kw_only=True)
class InputConfig:
    """How examples become sequences. Lengths are in tokens; those that the model has no positions
    for are made shorter."""

    length: int = 512
    """Tokens in a sequence, with special ids; longer texts are cut and counted."""
    question_length: int = 0
    """Tokens of a question: of RACE with its option, of SQuAD alone. 0 takes 128 for RACE and 64
    for SQuAD."""
    stride: int = 128
    """SQuAD: tokens from the start of one window of a passage to the next."""
    answer_length: int = 30
    """SQuAD: tokens of the longest answer that is predicted."""
    answerable: Literal["classifier", "null"] = "classifier"
    """SQuAD 2.0: how a question is found to have no answer.
    classifier: by a classifier of its own, whose loss is added to that of the span, as the RoBERTa
    paper. null: by the score of the first token against that of the best span, as BERT's code."""


@dataclass(frozen=True, kw_only=True)
class RankingConfig:
    """How candidates are ranked (WNLI by WSC), and whether QNLI is."""

    loss: Literal["margin", "cross-entropy"] = "margin"
    """WSC: margin: -log p(right) + alpha * max(0, log p(wrong) - log p(right) + beta), as the
    RoBERTa paper. cross-entropy: over all candidates, as fairseq's later recipe."""
    alpha: float = 10.0
    """WSC: weight of the margin."""
    beta: float = 0.2
    """WSC: width of the margin, in nats per token."""
    qnli: bool = False
    """QNLI: rank the sentences of a question, as the papers' test submissions did. Otherwise each
    pair is classified, as for their development set."""


@dataclass(frozen=True, kw_only=True)
class Finetuning:
    """Everything that decides a fine-tuning run but the data, the first weights and the folder."""

    source: str = ""
    """Where the numbers come from, for the reader."""
    epochs: float = 10.0
    """How often each example is seen."""
    batch: int = 16
    """Examples in one update, over all ranks."""
    micro_batch: int = 16
    """Compute at most this many examples at once on a device.
    The largest divisor of a rank's share of the batch is used."""
    seed: int = 0
    """Decides the order of the examples, dropout and the first weights of the head."""
    precision: Literal["auto", "fp32", "bf16", "fp16"] = "auto"
    """auto: bf16 on CUDA (fp16 before Ampere), fp32 on a CPU. Weights and their moments are always
    fp32."""
    evaluations: int = 1
    """Evaluations on the development set in an epoch. The best checkpoint is kept."""
    patience: int = 0
    """End after this many evaluations without a better one; 0 trains to the last step. Either way
    the best checkpoint counts."""
    keep: int = 1
    """Number of checkpoints to keep beside the best one, the newest ones."""
    log_every: int = 10
    """Steps between lines of the log."""
    max_hours: float = 0.0
    """Save and stop after this many hours; 0 never stops."""
    chance_steps: int = 0
    """After this many steps, say so if the loss is that of a guess; 0 takes a quarter of the
    steps."""
    restarts: int = 0
    """Start again with the next seed, at most this often, when a run is at chance then."""
    dropout: float = 0.1
    """Dropout after the embeddings and after each sublayer."""
    attention_dropout: float = 0.1
    """Dropout on the attention weights."""
    head_dropout: float = 0.0
    """Dropout in the head: 0.0 in fairseq, 0.1 in BERT's code."""
    inputs: InputConfig = InputConfig()
    optim: TuningOptim = TuningOptim()
    ranking: RankingConfig = RankingConfig()


# --- the papers' numbers

GLUE_SOURCE = "RoBERTa paper, table 10; batch and rate as fairseq's files for the task"

# Batch and rate by task, as fairseq's files for RoBERTa have them: values of the paper's grid.
GLUE_VALUES = {
    "cola": (16, 1e-5),
    "sst2": (32, 1e-5),
    "mrpc": (16, 1e-5),
    "stsb": (16, 2e-5),
    "qqp": (32, 1e-5),
    "mnli": (32, 1e-5),
    "mnli-mm": (32, 1e-5),
    "qnli": (32, 1e-5),
    "rte": (16, 2e-5),
    "wnli": (16, 1e-5),
}

# The grid of the paper's sweep over GLUE (section 5.1).
GRID_BATCHES = (16, 32)
GRID_RATES = (1e-5, 2e-5, 3e-5)

# Tasks that the paper starts from the model of MNLI.
FROM_MNLI = ("rte", "stsb", "mrpc")


def preset(task: str) -> Finetuning:
    """The papers' settings for a task; those of GLUE for one that they do not have."""
    if task.startswith("squad"):
        optim = TuningOptim(lr=1.5e-5, weight_decay=0.01)
        return Finetuning(
            source="RoBERTa paper, table 10", epochs=2.0, batch=48, micro_batch=12, optim=optim
        )
    if task.startswith("race"):
        return Finetuning(source="RoBERTa paper, table 10", epochs=4.0, batch=16, micro_batch=4)
    if task == "wsc":
        optim = TuningOptim(lr=2e-5, weight_decay=0.01)
        return Finetuning(
            source="fairseq's recipe for WSC, in epochs", epochs=30.0, batch=64, optim=optim
        )

    batch, rate = GLUE_VALUES.get(task, (16, 1e-5))
    optim = TuningOptim(lr=rate)
    return Finetuning(source=GLUE_SOURCE, batch=batch, micro_batch=batch, optim=optim)


def load_tuning(path: Path) -> Finetuning:
    """The settings in a TOML file, such as `RUN/finetuning.toml`. Raises `UserError`."""
    try:
        text = path.read_text("utf-8")
    except OSError as error:
        raise UserError(f"{path}: cannot be read: {error.strerror}", "check the path") from None
    except UnicodeError as error:
        raise UserError(f"{path}: not UTF-8: {error}", "write it as TOML in UTF-8") from None
    try:
        return from_dict(Finetuning, parse_toml(text, str(path)))
    except UserError as error:
        what = error.what if error.what.startswith(str(path)) else f"{path}: {error.what}"
        raise UserError(what, error.hint) from None


def check_tuning(settings: Finetuning) -> None:
    """Refuse what cannot work, whatever the data. Raises `UserError` naming the key."""
    for name in ("batch", "micro_batch", "evaluations", "keep", "log_every"):
        value = getattr(settings, name)
        require(value >= 1, name, value, "at least 1")
    for name in ("patience", "chance_steps", "restarts"):
        value = getattr(settings, name)
        require(value >= 0, name, value, "at least 0")
    for name in ("dropout", "attention_dropout", "head_dropout"):
        value = getattr(settings, name)
        require(0 <= value < 1, name, value, "in [0, 1)")

    require(settings.epochs > 0, "epochs", settings.epochs, "above 0")
    require(0 <= settings.seed < 2**63, "seed", settings.seed, "from 0 to 2^63 - 1")
    inputs = settings.inputs
    require(inputs.length >= 16, "inputs.length", inputs.length, "at least 16")
    require(inputs.stride >= 1, "inputs.stride", inputs.stride, "at least 1")
    require(inputs.answer_length >= 1, "inputs.answer_length", inputs.answer_length, "at least 1")

    optim = settings.optim
    require(optim.lr > 0 and math.isfinite(optim.lr), "optim.lr", optim.lr, "above 0")
    require(0 <= optim.warmup < 1, "optim.warmup", optim.warmup, "in [0, 1)")
    for name in ("weight_decay", "clip", "eps"):
        value = getattr(optim, name)
        require(value >= 0, f"optim.{name}", value, "at least 0")
    for name in ("beta1", "beta2"):
        value = getattr(optim, name)
        require(0 <= value < 1, f"optim.{name}", value, "in [0, 1)")


def steps_of(settings: Finetuning, items: int) -> int:
    """The updates of a run over so many items."""
    return max(1, math.ceil(settings.epochs * items / settings.batch))


# Fewer steps say nothing of a loss, so that a short trial is not warned.
LEAST_CHANCE_STEPS = 5


def chance_step(settings: Finetuning, steps: int) -> int:
    """The step after which a run at chance is said so."""
    return min(settings.chance_steps or max(LEAST_CHANCE_STEPS, steps // 4), steps)


def as_recipe(settings: Finetuning, model: ModelConfig, items: int) -> Recipe:
    """The settings as the training loop takes them, for a training set of so many items."""
    optim = settings.optim
    steps = steps_of(settings, items)
    every = max(1, math.ceil(items / settings.batch / settings.evaluations))
    return Recipe(
        source=settings.source,
        steps=steps,
        batch=settings.batch,
        micro_batch=settings.micro_batch,
        seed=settings.seed,
        precision=settings.precision,
        save_every=every,
        keep=settings.keep,
        keep_best=True,
        log_every=settings.log_every,
        max_hours=settings.max_hours,
        model=model,
        data=DataConfig(length=min(settings.inputs.length, model.positions)),
        optim=OptimConfig(
            lr=optim.lr,
            warmup_steps=min(round(optim.warmup * steps), steps - 1),
            beta1=optim.beta1,
            beta2=optim.beta2,
            eps=optim.eps,
            weight_decay=optim.weight_decay,
            decay=optim.decay,
            clip=optim.clip,
        ),
        evaluation=EvaluationConfig(every=every),
        # Losses of single examples differ widely: they are kept to tell chance, and none is a
        # spike.
        guard=GuardConfig(spike_window=CHANCE_WINDOW, spike_deviations=math.inf),
    )


# The settings that may change when a run is resumed, since they change no weight.
RUNTIME = ("source", "micro_batch", "keep", "log_every", "max_hours", "patience", "restarts")


def fixed(settings: Mapping[str, object]) -> dict[str, object]:
    """The settings, flat, that are equal in a run and its resumption."""
    return {key: value for key, value in settings.items() if key not in RUNTIME}


def with_grid(settings: Finetuning, batch: int, rate: float, seed: int) -> Finetuning:
    """The settings of one run of a sweep."""
    optim = dataclasses.replace(settings.optim, lr=rate)
    micro = min(settings.micro_batch, batch)
    return dataclasses.replace(settings, batch=batch, micro_batch=micro, seed=seed, optim=optim)
