"""Which batch each step of a run was trained on: the numbers that tie steps to the endless order.

A step is a batch, but a batch whose loss was not finite is skipped and makes no step; the log names
those. On how many ranks a step ran is in the log too.
"""

import bisect
import json
import math
from dataclasses import dataclass
from pathlib import Path

from shards.errors import UserError
from trainer import checkpoint
from trainer.config import Recipe, load_run_recipe, phase_ends
from trainer.log import read_log

Skip = tuple[int, int]


@dataclass(frozen=True)
class Stage:
    """The batches [first, end) of a run that have samples of `length` tokens."""

    first: int
    end: int
    length: int


@dataclass(frozen=True)
class History:
    """Steps are counted from 1: step n is the n-th update.

    `until` is the last step that is looked at; `skips` the steps done before each skipped batch,
    and its number, rising; `ranks` from which step on (counted as steps done) there were how many
    ranks.
    """

    recipe: Recipe
    until: int
    skips: tuple[Skip, ...]
    ranks: tuple[tuple[int, int], ...]

    def batch_of(self, step: int) -> int:
        """The batch that step was trained on."""
        return step - 1 + bisect.bisect_right(self.skips, (step - 1, math.inf))

    def step_of(self, batch: int) -> int:
        """The step that a batch made; for a skipped one the step that it would have made."""
        return batch + 1 - sum(number < batch for _, number in self.skips)

    def is_skipped(self, batch: int) -> bool:
        """Whether a batch made no step."""
        return any(number == batch for _, number in self.skips)

    def ranks_at(self, step: int) -> int:
        """The number of ranks that a step ran on."""
        after = [count for done, count in self.ranks if done < step]
        return after[-1] if after else 1

    def stages(self) -> list[Stage]:
        """The phases of the run up to `until`, as batches."""
        found = []
        first = 0
        for done, length in phase_ends(self.recipe):
            last = min(done, self.until)
            # A batch that was skipped after the last step of a phase belongs to the next one.
            end = last + bisect.bisect_left(self.skips, (last, -1))
            if end > first:
                found.append(Stage(first, end, length))
                first = end
        return found


def read_history(run: Path, until: str = "") -> History:
    """The history of a run up to its newest checkpoint, to step `until`, or to the "end".

    Raises `UserError` when there is no run, or `until` is no step of it.
    """
    recipe = load_run_recipe(run)
    checkpoints = checkpoint.list_checkpoints(run)
    reached = int(checkpoints[0].name.removeprefix("step-")) if checkpoints else 0
    last = reached
    if until == "end":
        last = recipe.steps
    elif until:
        last = step_number(until, recipe.steps, "--until")

    # A batch that was skipped, and skipped again after a resume, is logged twice.
    lines = read_log(run)
    skips = {(int(line["step"]), int(line["batch"])) for line in lines if line["kind"] == "skip"}
    refuse_lost_lines(run, skips, checkpoints[0] if checkpoints else None)
    starts = [line for line in lines if line["kind"] == "start"]
    ranks = tuple((int(line["step"]), int(line.get("devices", 1))) for line in starts)
    return History(recipe, last, tuple(sorted(skips)), ranks)


def refuse_lost_lines(run: Path, skips: set[Skip], newest: Path | None) -> None:
    """Raise `UserError` (exit 1) when the log lacks batches that the newest checkpoint knows to be
    skipped: without them later steps cannot be told."""
    try:
        state = json.loads((newest / checkpoint.STATE).read_text("utf-8")) if newest else {}
    except (OSError, ValueError):
        return
    if not isinstance(state, dict):
        return

    known = sum(done < state.get("step", 0) for done, _ in skips)
    if known < state.get("skipped", 0):
        raise UserError(
            f"{run}: {state['skipped']} batches were skipped, and its log names {known}",
            "the log was cut or edited, so what each step saw can no longer be told",
            1,
        )


def step_number(text: str, steps: int, name: str) -> int:
    """A step of a run of so many. Raises `UserError` for anything else."""
    if not text.isdecimal() or not 1 <= int(text) <= steps:
        raise UserError(
            f"{name}: {text!r} is no step of the run, which has {steps:,}",
            f"a step is a number from 1 to {steps:,}",
        )
    return int(text)
