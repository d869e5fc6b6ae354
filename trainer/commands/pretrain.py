"""`trainer pretrain`: from options to a run, or to a plan of one."""

import dataclasses
import os
from pathlib import Path

from shards.config import to_dict
from shards.errors import UserError, in_command
from trainer.commands.checks import refuse_remote, required
from trainer.commands.dry_run import dry_run, refuse_plan_flags
from trainer.config import Recipe, check, flatten, load_recipe, load_run_recipe, require, with_steps
from trainer.flags import parse
from trainer.options import Pretrain
from trainer.run_info import find_shards

# A week in minutes; torch refuses longer ones.
LONGEST_TIMEOUT = 7 * 24 * 60

# What of the model may be chosen for weights that are there already.
FREE_WITH_INIT = ("--model.dropout", "--model.attention-dropout", "--model.span-targets")


def pretrain(arguments: list[str]) -> int:
    """`trainer pretrain`."""
    base = base_recipe(arguments)
    options = parse(Pretrain, "pretrain", arguments, Pretrain(settings=base))
    refuse_plan_flags(options)
    options = with_shards(options)
    recipe = complete_recipe(options, base, arguments)
    if options.init:
        refuse_shape_flags(arguments)
    if options.dry_run:
        return dry_run(options, recipe)
    required("--run", options.run, "name a folder for the run: --run RUN")
    limit = options.ranks_timeout
    require(0 < limit <= LONGEST_TIMEOUT, "--ranks-timeout", limit, "above 0, at most 10080")

    from trainer import pretrain
    from trainer.run import Job

    return pretrain.pretrain(
        Job(
            shards=options.shards,
            run=Path(options.run),
            recipe=recipe,
            given=given_settings(options, recipe, arguments),
            device=options.device,
            resume=options.resume,
            init=options.init or None,
            init_step=options.init_step,
            track=options.track,
            ranks_timeout=options.ranks_timeout,
        )
    )


def with_shards(options: Pretrain) -> Pretrain:
    """The options with the shards of the run where it is resumed without naming them. Raises
    `UserError` when there are none, or when they are not on this machine."""
    if options.resume and options.run and not options.shards:
        found = find_shards(
            Path(options.run), f"trainer pretrain --run {in_command(options.run)} --resume"
        )
        options = dataclasses.replace(options, shards=found)
    if not options.shards and not options.tokens:
        hint = "name a home or its shards/ folder: --shards DIR"
        if options.dry_run:
            hint += "; or plan without one: --tokens N"
        raise UserError("--shards: missing", hint)

    for directory in options.shards:
        refuse_remote(directory)
    return options


def base_recipe(arguments: list[str]) -> Recipe:
    """The recipe that the arguments name. It must be known before its settings can be options, so
    these few are read by hand. Raises `UserError` when there is none."""
    values = {"--recipe": "", "--run": ""}
    for word, following in zip(arguments, [*arguments[1:], ""]):
        flag, equals, value = word.partition("=")
        if flag in values:
            values[flag] = value if equals else following
    if values["--recipe"]:
        return load_recipe(values["--recipe"])

    run = Path(values["--run"])
    if values["--run"] and "--resume" in arguments:
        if (run / "recipe.toml").exists():
            return load_run_recipe(run)
        if (run / "checkpoints").is_dir():
            raise UserError(
                f"{run / 'recipe.toml'}: missing, so the settings of the run are not known",
                "give the --recipe and the flags that it was started with",
            )
        # The other hosts need no folder of the run: they get the recipe of rank 0.
        if os.environ.get("RANK", "0") == "0":
            raise UserError(
                f"{run}: no run in it to resume",
                "name the folder of the run, or the recipe of a new one: --recipe NAME",
            )
    return load_recipe("roberta-base")


def complete_recipe(options: Pretrain, base: Recipe, arguments: list[str]) -> Recipe:
    """The recipe with all options applied to it; checked."""
    flags = [word.replace("_", "-") for word in arguments]
    warmup_given = any(flag.startswith("--optim.warmup-steps") for flag in flags)
    recipe = with_steps(options.settings, base, warmup_given)
    if options.mix:
        data = dataclasses.replace(recipe.data, mix=parse_mix(options.mix))
        recipe = dataclasses.replace(recipe, data=data)

    check(recipe)
    return recipe


def given_settings(options: Pretrain, recipe: Recipe, arguments: list[str]) -> dict[str, object]:
    """The recipe and the settings that the arguments name, by which ranks are compared."""
    flags = {word.partition("=")[0].replace("_", "-") for word in arguments}
    given: dict[str, object] = {"recipe": options.recipe} if options.recipe else {}
    if options.mix:
        given["data.mix"] = recipe.data.mix

    for key, value in flatten(to_dict(recipe)).items():
        flag = key.replace("_", "-")
        table, dot, name = flag.rpartition(".")
        if flags & {f"--{flag}", f"--{table}{dot}no-{name}"}:
            given[key] = value
    return given


def refuse_shape_flags(arguments: list[str]) -> None:
    """Raise `UserError` for a flag that --init has no use for: the shape is that of the weights."""
    for word in arguments:
        flag = word.partition("=")[0].replace("_", "-")
        if flag.startswith("--model.") and flag not in FREE_WITH_INIT:
            raise UserError(
                f"{flag}: with --init the model has the shape of the weights that it starts from",
                f"leave out {flag}, or --init",
            )


def parse_mix(words: tuple[str, ...]) -> dict[str, float]:
    """Weights by source from words of the form NAME=WEIGHT. Raises `UserError`."""
    weights = {}
    for word in words:
        name, _, weight = word.partition("=")
        try:
            weights[name] = float(weight)
        except ValueError:
            raise UserError(f"--mix {word}: not NAME=WEIGHT", "for example --mix news=2") from None
    return weights
