"""`trainer pretrain --dry-run`: what a run will cost."""

import math
import os
from typing import TYPE_CHECKING

from shards.errors import UserError
from trainer.commands.printing import print_json
from trainer.config import Recipe, require
from trainer.options import Pretrain

if TYPE_CHECKING:
    from trainer.budget import Corpus


def dry_run(options: Pretrain, recipe: Recipe) -> int:
    """Print what a run will cost."""
    from trainer import budget
    from trainer.pretrained import find_pretrained
    from trainer.ranks import choose_device

    devices = options.devices or int(os.environ.get("WORLD_SIZE", "1"))
    require(1 <= devices <= 10**6, "--devices", devices, "from 1 to 1,000,000")
    speed = options.tokens_per_second
    require(0 <= speed and math.isfinite(speed), "--tokens-per-second", speed, "at least 0")
    if options.device_kind:
        machine = budget.assumed_machine(options.device_kind, devices)
    else:
        machine = budget.this_machine(choose_device(options.device), devices)
    device_type = "cpu" if machine.kind == "cpu" else "cuda"

    init = str(find_pretrained(options.init, options.init_step)) if options.init else None
    if options.tokens:
        recipe, corpus = plan_tokens(options, recipe, device_type, init)
    else:
        recipe, corpus = plan_shards(options, recipe, device_type, init)

    figures = budget.plan(recipe, corpus, machine, options.tokens_per_second)
    if options.json:
        print_json(vars(figures))
    else:
        print(budget.describe(figures))
    return 0


def plan_shards(
    options: Pretrain, recipe: Recipe, device_type: str, init: str | None
) -> "tuple[Recipe, Corpus]":
    """The whole recipe, and the corpus in shards."""
    import torch

    import shards
    from trainer import budget
    from trainer.data.order import make_order
    from trainer.data.samples import open_training, refuse_same_twice
    from trainer.run import resolve

    data = open_training(options.shards, recipe.data)
    refuse_same_twice(data)
    # A run reads these too, so a plan finds what is missing.
    for directory in options.shards:
        shards.open(directory, "valid")
    recipe = resolve(recipe, data, torch.device(device_type), init)
    order = make_order(data, recipe.seed, recipe.data.mix)
    return recipe, budget.read_corpus(recipe, data, order)


def plan_tokens(
    options: Pretrain, recipe: Recipe, device_type: str, init: str | None
) -> "tuple[Recipe, Corpus]":
    """The whole recipe, and a corpus of so many tokens that need not exist."""
    from trainer import budget
    from trainer.run import resolve_without_data

    if options.shards or recipe.data.mix:
        other = "--shards" if options.shards else "--mix"
        raise UserError(f"--tokens: cannot be used with {other}", f"leave out --tokens or {other}")
    recipe = resolve_without_data(recipe, device_type, init)
    return recipe, budget.stated_corpus(recipe, options.tokens)


def refuse_plan_flags(options: Pretrain) -> None:
    """Raise `UserError` for flags that only a plan can use."""
    given = {
        "--tokens": options.tokens,
        "--devices": options.devices,
        "--device-kind": options.device_kind,
        "--tokens-per-second": options.tokens_per_second,
        "--json": options.json,
    }
    for name, value in given.items():
        if value and not options.dry_run:
            raise UserError(
                f"{name}: only a plan can use it", f"add --dry-run, or leave out {name}"
            )
