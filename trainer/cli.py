"""`trainer`: pretrain, evaluate, export, show, recipes.

The options of each command are in `trainer/options.py`. Heavy imports wait until a command needs
them, so that help is quick.
"""

import dataclasses
import json
import os
import sys
from collections.abc import Callable
from pathlib import Path

from shards.config import dump_toml
from shards.errors import UserError, nearest
from trainer.config import MaskingConfig, Recipe, check, load_recipe, recipe_names, with_steps
from trainer.flags import parse
from trainer.options import Evaluate, Export, Pretrain, Recipes, Show
from trainer.run_info import read_run_info

HELP = """usage: trainer COMMAND [OPTIONS]

Pretrain a RoBERTa on shards.

  pretrain   train on shards:               trainer pretrain --shards DIR --run RUN
  evaluate   compute validation perplexity: trainer evaluate --run RUN
  export     write a Hugging Face model:    trainer export --run RUN --out DIR
  show       draw curves, print a sample, or fill in masks: trainer show RUN
  recipes    list the built-in recipes, or print one: trainer recipes [NAME]

trainer COMMAND --help lists the options of a command. On several GPUs (the -- keeps torchrun from
reading the trainer's options):

  torchrun --nproc-per-node 8 -m trainer.cli -- pretrain --shards DIR --run RUN
"""

COPY_TOOLS = {"s3": "aws s3 cp --recursive", "gs": "gcloud storage cp -r", "hdfs": "hdfs dfs -get"}


def print_json(content: dict[str, object]) -> None:
    """Print the one object of `--json`."""
    print(json.dumps({"schema_version": 1, **content}))


def required(name: str, value: object, hint: str) -> None:
    """Raise `UserError` when an option that a command needs is not given."""
    if not value:
        raise UserError(f"{name}: missing", hint)


# --- pretrain


def pretrain(arguments: list[str]) -> int:
    """`trainer pretrain`."""
    base = load_recipe(recipe_name(arguments))
    options = parse(Pretrain, "pretrain", arguments, Pretrain(settings=base))
    if not options.shards:
        raise UserError("--shards: missing", "name a home or its shards/ folder: --shards DIR")
    for directory in options.shards:
        refuse_remote(directory)
    recipe = complete_recipe(options, base, arguments)
    if options.dry_run:
        return dry_run(options, recipe)
    if not options.run:
        raise UserError("--run: missing", "name a folder for the run: --run RUN")

    from trainer import pretrain
    from trainer.run import Job

    return pretrain.pretrain(
        Job(
            shards=options.shards,
            run=Path(options.run),
            recipe=recipe,
            device=options.device,
            resume=options.resume,
            init=options.init or None,
            track=options.track,
        )
    )


def recipe_name(arguments: list[str]) -> str:
    """The recipe that the arguments name. It must be known before its settings can be options, so
    these few are read by hand."""
    values = {"--recipe": "", "--run": ""}
    for word, following in zip(arguments, [*arguments[1:], ""]):
        flag, equals, value = word.partition("=")
        if flag in values:
            values[flag] = value if equals else following
    if values["--recipe"]:
        return values["--recipe"]

    stored = Path(values["--run"]) / "recipe.toml"
    if values["--run"] and "--resume" in arguments and stored.exists():
        return str(stored)
    return "roberta-base"


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


def refuse_remote(directory: str) -> None:
    """Raise `UserError` for shards in an object store, with the command that copies them."""
    if "://" not in directory or directory.startswith("file://"):
        return

    tool = COPY_TOOLS.get(directory.split("://")[0], "copy")
    raise UserError(
        f"--shards {directory}: shards are memory-mapped and must be on this machine",
        f"copy them first: {tool} {directory} shards/",
    )


def dry_run(options: Pretrain, recipe: Recipe) -> int:
    """Print what a run will cost."""
    from trainer import budget
    from trainer.data.order import make_order
    from trainer.data.samples import open_data
    from trainer.metrics import peak_flops
    from trainer.pretrained import find_pretrained
    from trainer.ranks import choose_device
    from trainer.run import resolve

    device = choose_device(options.device)
    data = open_data(options.shards, "train", recipe.data.length, recipe.data.sentence_eos)
    init = str(find_pretrained(options.init)) if options.init else None
    recipe = resolve(recipe, data, device, init)
    order = make_order(data, recipe.seed, recipe.data.mix)
    ranks = int(os.environ.get("WORLD_SIZE", "1"))
    peak = peak_flops(device)

    figures = budget.plan(recipe, data, order, ranks, options.tokens_per_second, peak)
    if options.json:
        print_json(vars(figures))
    else:
        print(budget.describe(figures))
    return 0


# --- the other commands


def evaluate(arguments: list[str]) -> int:
    """`trainer evaluate`."""
    options = parse(Evaluate, "evaluate", arguments)
    required("--run", options.run, "name the run: trainer evaluate --run RUN")
    directories = options.shards or tuple(read_run_info(Path(options.run)).shards)

    from trainer.evaluate import evaluate_run
    from trainer.ranks import choose_device
    from trainer.scores import describe

    done = evaluate_run(
        Path(options.run),
        directories,
        options.step,
        options.samples,
        MaskingConfig(style=options.masks),
        choose_device(options.device),
    )
    for warning in done.warnings:
        print(f"warning: {warning}", file=sys.stderr)
    if options.json:
        print_json(done.to_dict())
        return 0

    print(f"step {done.step}, {done.masks} masks")
    print(describe(done.sources))
    return 0


def export(arguments: list[str]) -> int:
    """`trainer export`."""
    options = parse(Export, "export", arguments)
    required("--run", options.run, "name the run: trainer export --run RUN --out DIR")
    required("--out", options.out, "name a new folder: trainer export --run RUN --out DIR")

    from trainer.export import export

    done = export(Path(options.run), Path(options.out), options.step)
    if options.json:
        print_json(vars(done))
        return 0

    checked = "transformers is not installed, so its logits were not compared"
    if done.difference is not None:
        checked = f"the logits of transformers differ by {done.difference:.1g}"
    print(
        f"{options.out}: step {done.step}, {done.parameters:,} parameters; read back, equal to the "
        f"bit; {checked}"
    )
    return 0


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
    directories = options.shards or tuple(read_run_info(Path(options.run)).shards)
    of_run = f"{options.run}/recipe.toml" if options.run else "roberta-base"
    recipe = load_recipe(options.recipe or of_run)

    from trainer.show import sample

    shown = sample(directories, recipe, place)
    if options.json:
        print_json(vars(shown))
        return 0

    print(
        f"sample {shown.sample}: epoch {shown.epoch}, index {shown.index}, "
        f"{len(shown.ids)} tokens, {len(shown.masked)} masked\n{shown.text}"
    )
    return 0


def recipes(arguments: list[str]) -> int:
    """`trainer recipes`."""
    options = parse(Recipes, "recipes", arguments)
    if options.name:
        print(dump_toml(load_recipe(options.name)), end="")
        return 0

    sources = {name: load_recipe(name).source for name in recipe_names()}
    if options.json:
        print_json({"recipes": sources})
        return 0
    for name, source in sources.items():
        print(f"{name:22} {source}")
    return 0


# --- the command line

COMMANDS: dict[str, Callable[[list[str]], int]] = {
    "pretrain": pretrain,
    "evaluate": evaluate,
    "export": export,
    "show": show,
    "recipes": recipes,
}


def main(argv: list[str] | None = None) -> int:
    """Run a command; return the exit code: 0 done, 1 incomplete, 2 usage, 3 environment, 130
    interrupted."""
    arguments = sys.argv[1:] if argv is None else argv
    # torchrun passes its separator on.
    if arguments[:1] == ["--"]:
        arguments = arguments[1:]

    try:
        return run_command(arguments)
    except UserError as error:
        report(error)
        return error.exit_code
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130
    except BrokenPipeError:
        # The reader of our output has ended, as `head` does. Python would complain when it flushes
        # stdout at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except OSError as error:
        print(f"error: {error}", file=sys.stderr)
        print("hint: check the path, its rights and the room on its disk", file=sys.stderr)
        return 3


def run_command(arguments: list[str]) -> int:
    """Run the command that the arguments name; return its exit code."""
    if not arguments or arguments[0] in ("-h", "--help"):
        print(HELP, end="")
        return 0 if arguments else 2
    if arguments[0] == "--version":
        from importlib.metadata import version

        print(version("corpusmill"))
        return 0

    name = arguments[0]
    if name not in COMMANDS:
        raise UserError(f"trainer {name}: no such command", nearest(name, COMMANDS))
    return COMMANDS[name](arguments[1:])


def report(error: UserError) -> None:
    """Print an error and its hint. What is wrong with the call is the same on every rank, so only
    rank 0 prints it."""
    rank = os.environ.get("RANK", "0")
    if rank != "0" and error.exit_code == 2:
        return

    prefix = "" if rank == "0" else f"rank {rank}: "
    print(f"{prefix}error: {error.what}", file=sys.stderr)
    if error.hint:
        print(f"hint: {error.hint}", file=sys.stderr)


def entry() -> None:
    """The console script."""
    sys.exit(main())


if __name__ == "__main__":
    entry()
