"""The scales of `trainer compare`: a paper's recipe made smaller, the same way for every row.

A scale gives the shape of the model, its dropout, the length and the share of the warmup, and
divides batches and steps. What the rows of a table differ in stays: formats, masks, objectives, the
ratios of batches, steps and rates, and the share of a first phase.
"""

import dataclasses
from dataclasses import dataclass

from trainer.config import Recipe


@dataclass(frozen=True, kw_only=True)
class Scale:
    """A scale. The rate of a recipe is multiplied by `rate`, since smaller models and batches want
    a higher one; `warmup` is a share of the steps, and `samples` of each source validate a run."""

    layers: int
    hidden: int
    heads: int
    length: int
    dropout: float
    batch_divisor: int
    steps_divisor: int
    rate: float
    warmup: float
    micro_batch: int
    samples: int

    def describe(self) -> str:
        """The scale in words."""
        return (
            f"{self.layers} layers of {self.hidden}, dropout {self.dropout:g}, "
            f"{self.length} tokens, batches / {self.batch_divisor}, "
            f"steps / {self.steps_divisor}, rates x {self.rate:g}, {self.warmup:.0%} warmup"
        )


SCALES = {
    # Minutes a run on a CPU: 256 x 1M becomes 64 x 2,500. With less, with the papers' short warmup
    # or with dropout, a model this small learns little more than the frequency of words.
    "tiny": Scale(
        layers=2,
        hidden=128,
        heads=2,
        length=64,
        dropout=0.0,
        batch_divisor=4,
        steps_divisor=400,
        rate=20.0,
        warmup=0.13,
        micro_batch=32,
        samples=256,
    ),
    # For a GPU: 256 x 1M becomes 64 x 20,000.
    "small": Scale(
        layers=6,
        hidden=512,
        heads=8,
        length=256,
        dropout=0.1,
        batch_divisor=4,
        steps_divisor=50,
        rate=4.0,
        warmup=0.06,
        micro_batch=64,
        samples=512,
    ),
}

# Validations, checkpoints and lines of the log in a run.
VALIDATIONS = 10

SAVES = 4

LINES = 50


def scaled(recipe: Recipe, scale: Scale) -> Recipe:
    """The recipe at a scale; its first phase keeps its share of the steps and of the length."""
    steps = max(2, recipe.steps // scale.steps_divisor)
    model = dataclasses.replace(
        recipe.model,
        layers=scale.layers,
        hidden=scale.hidden,
        intermediate=4 * scale.hidden,
        heads=scale.heads,
        positions=scale.length,
        dropout=scale.dropout,
        attention_dropout=scale.dropout,
    )
    first_length = recipe.phase.length * scale.length // recipe.data.length
    optim = dataclasses.replace(
        recipe.optim,
        lr=recipe.optim.lr * scale.rate,
        warmup_steps=max(1, int(scale.warmup * steps)),
    )
    return dataclasses.replace(
        recipe,
        steps=steps,
        batch=max(1, recipe.batch // scale.batch_divisor),
        micro_batch=scale.micro_batch,
        save_every=max(1, steps // SAVES),
        keep=1,
        log_every=max(1, steps // LINES),
        model=model,
        data=dataclasses.replace(recipe.data, length=scale.length),
        phase=dataclasses.replace(recipe.phase, length=first_length),
        optim=optim,
        evaluation=dataclasses.replace(
            recipe.evaluation, every=max(1, steps // VALIDATIONS), samples=scale.samples
        ),
    )
