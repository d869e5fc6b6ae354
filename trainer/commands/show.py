"""`trainer show`: curves, a sample, or guesses for masks."""

from pathlib import Path

from shards.errors import UserError, in_command
from trainer.commands.printing import print_json
from trainer.config import load_recipe, load_run_recipe, require
from trainer.flags import parse
from trainer.options import Show
from trainer.run_info import find_shards


def show(arguments: list[str]) -> int:
    """`trainer show`."""
    options = parse(Show, "show", arguments)
    if options.sample is not None and not options.fill:
        return show_sample(options, options.sample)
    if not options.run:
        raise UserError("RUN: missing", "name a run: trainer show RUN")
    return show_fill(options) if options.fill else show_curves(options)


def show_curves(options: Show) -> int:
    """`trainer show RUN`."""
    from trainer.show import curves

    path = curves(Path(options.run), Path(options.out or f"{options.run}/curves.png"))
    if options.json:
        print_json({"png": str(path)})
    else:
        print(path)
    return 0


def show_fill(options: Show) -> int:
    """`trainer show RUN --fill TEXT`."""
    from trainer.show import as_json, describe_guesses, fill

    masks = fill(Path(options.run), options.fill, options.step)
    if options.json:
        print_json({"masks": [as_json(guesses) for guesses in masks]})
    else:
        print(describe_guesses(masks))
    return 0


def show_sample(options: Show, place: int) -> int:
    """`trainer show RUN --sample N`."""
    if not options.run and not options.shards:
        raise UserError("RUN: missing", "name a run, or give --shards")
    require(0 <= place < 2**62, "--sample", place, "from 0 to 2^62")
    command = f"trainer show {in_command(options.run)} --sample {place}"
    directories = options.shards or find_shards(Path(options.run), command)
    if options.run and not options.recipe:
        recipe = load_run_recipe(Path(options.run))
    else:
        recipe = load_recipe(options.recipe or "roberta-base")

    from trainer.show import sample

    shown = sample(directories, recipe, place)
    if options.json:
        print_json(vars(shown))
        return 0

    pairs = f", {sum(shown.next)} of {len(shown.next)} pairs random" if shown.next else ""
    print(
        f"sample {shown.sample}: epoch {shown.epoch}, index {shown.index}, "
        f"{len(shown.ids)} tokens, {len(shown.masked)} masked{pairs}\n{shown.text}"
    )
    return 0
