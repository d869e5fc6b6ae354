"""`trainer`: pretrain, evaluate, export, show, recipes.

The options of a command are a frozen dataclass whose docstrings are its help; tyro reads it, and
breaks the help where a docstring does. Heavy imports wait until a command needs them, so that help
is quick.
"""

import dataclasses
import json
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal, TypeVar

import tyro

from shards import console
from shards.config import dump_toml, to_dict
from shards.errors import UserError, in_command, nearest
from trainer.config import (
    MaskingConfig,
    Recipe,
    check,
    flatten,
    load_recipe,
    load_run_recipe,
    recipe_names,
    with_steps,
)
from trainer.run_info import read_run_info

Options = TypeVar("Options")

Repeated = Annotated[tuple[str, ...], tyro.conf.UseAppendAction]

Device = Literal["auto", "cpu", "cuda"]

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


# --- options


@dataclass(frozen=True, kw_only=True)
class Pretrain:
    """Train on shards. Every setting of the recipe is also an option, which overrides it."""

    shards: Repeated = ()
    """A home, or its shards/ folder. Repeat the option to train on several."""
    run: str = ""
    """Folder for the checkpoints and the log."""
    recipe: str = ""
    """Name of a recipe or path of a .toml file.
    The default is roberta-base, or with --resume the recipe of the run."""
    resume: bool = False
    """Continue from the newest whole checkpoint, or start at step 0 if there is none."""
    init: str | None = None
    """Start from the weights of this RoBERTa: a Hugging Face directory or a hub id."""
    mix: Repeated = ()
    """NAME=2 shows the samples of source NAME twice as often; repeat it for several sources."""
    device: Device = "auto"
    """auto is CUDA if there is a GPU, otherwise the CPU."""
    dry_run: bool = False
    """Print what the run will need (epochs, memory, time) and do not train."""
    tokens_per_second: float = 0.0
    """With --dry-run: the speed to assume. The default is 40 % of the GPU's peak."""
    json: bool = False
    """With --dry-run: print one JSON object on stdout."""
    track: Annotated[tuple[Literal["tensorboard", "wandb"], ...], tyro.conf.UseAppendAction] = ()
    """Also log to this tracker. Repeat the option for both."""
    settings: Annotated[Recipe, tyro.conf.arg(name="")] = Recipe()
    """The settings of the recipe."""


@dataclass(frozen=True, kw_only=True)
class Evaluate:
    """Compute validation perplexity and masked accuracy by source. The masked samples are stored
    and their format is fixed, so the figures of different runs can be compared."""

    run: str
    """Folder of the run."""
    shards: Repeated = ()
    """Shards with a validation split. The default is those of the run."""
    step: int | None = None
    """Step of the checkpoint. The default is the newest whole one."""
    samples: int = 0
    """Use at most this many samples of each source. The default is the number used in training."""
    masks: Literal["exact", "fairseq"] = "exact"
    """fairseq masks as fairseq does, special tokens too, to compare with its papers."""
    device: Device = "auto"
    """auto is CUDA if there is a GPU, otherwise the CPU."""
    json: bool = False
    """Print one JSON object on stdout."""


@dataclass(frozen=True, kw_only=True)
class Export:
    """Write a checkpoint as a Hugging Face directory, then read it back and compare."""

    run: str
    """Folder of the run."""
    out: str
    """Folder to write to; it must be empty or not exist."""
    step: int | None = None
    """Step of the checkpoint. The default is the newest whole one."""
    json: bool = False
    """Print one JSON object on stdout."""


@dataclass(frozen=True, kw_only=True)
class Show:
    """Draw the curves of a run as a PNG. With --sample: print a training sample with its masks.
    With --fill: print what the model fills in."""

    run: tyro.conf.Positional[str] = ""
    """Folder of the run."""
    out: str = ""
    """Path of the PNG. The default is RUN/curves.png."""
    sample: int | None = None
    """Print this sample of the endless training order, counted from 0, with its masks."""
    shards: Repeated = ()
    """With --sample: the shards. The default is those of the run."""
    recipe: str = ""
    """With --sample: the recipe. The default is that of the run."""
    fill: str = ""
    """Print the likeliest tokens for each <mask> in this text, by the newest whole checkpoint."""
    json: bool = False
    """Print one JSON object on stdout."""


@dataclass(frozen=True, kw_only=True)
class Recipes:
    """List the built-in recipes and where their numbers come from, or print one as TOML."""

    name: tyro.conf.Positional[str] = ""
    """Print this recipe, with every default written out."""
    json: bool = False
    """Print the list as one JSON object on stdout."""


def parse(kind: type[Options], arguments: list[str], default: Options | None = None) -> Options:
    """Read the options of a command; `default` overrides the defaults of the dataclass."""
    name = f"trainer {kind.__name__.lower()}"
    style = (tyro.conf.FlagCreatePairsOff,)
    if default is None:
        return tyro.cli(kind, prog=name, args=arguments, config=style)
    return tyro.cli(kind, prog=name, args=arguments, config=style, default=default)


def print_json(content: dict[str, object]) -> None:
    """Print the one object of `--json`."""
    print(json.dumps({"schema_version": 1, **content}))


# --- pretrain


def pretrain(arguments: list[str]) -> int:
    """`trainer pretrain`."""
    base = base_recipe(arguments)
    options = parse(Pretrain, arguments, Pretrain(settings=base))
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
            given=given_settings(options, recipe, arguments),
            device=options.device,
            resume=options.resume,
            init=options.init,
            track=options.track,
        )
    )


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
    if values["--run"] and "--resume" in arguments and (run / "recipe.toml").exists():
        return load_run_recipe(run)
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
        f"copy them first: {tool} {in_command(directory)} shards/",
    )


def dry_run(options: Pretrain, recipe: Recipe) -> int:
    """Print what a run will cost."""
    from trainer import budget
    from trainer.data.order import make_order
    from trainer.data.samples import open_training
    from trainer.metrics import peak_flops
    from trainer.pretrained import find_pretrained
    from trainer.ranks import choose_device
    from trainer.run import resolve

    device = choose_device(options.device)
    data = open_training(options.shards, recipe.data)
    init = None if options.init is None else str(find_pretrained(options.init))
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
    options = parse(Evaluate, arguments)
    directories = options.shards or tuple(read_run_info(Path(options.run)).shards)

    from trainer.evaluate import evaluate_run
    from trainer.ranks import choose_device

    step, scores = evaluate_run(
        Path(options.run),
        directories,
        options.step,
        options.samples,
        MaskingConfig(style=options.masks),
        choose_device(options.device),
    )
    if options.json:
        sources = {name: vars(score) for name, score in scores.items()}
        print_json({"step": step, "masks": options.masks, "sources": sources})
        return 0

    print(f"step {step}")
    for name, score in scores.items():
        print(
            f"{name:20} perplexity {score.perplexity:10.3f}   accuracy {score.accuracy:.4f}   "
            f"on {score.masked:,} masked tokens"
        )
    return 0


def export(arguments: list[str]) -> int:
    """`trainer export`."""
    options = parse(Export, arguments)

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
    options = parse(Show, arguments)
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

    masks = fill(Path(options.run), options.fill)
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
    if options.run and not options.recipe:
        recipe = load_run_recipe(Path(options.run))
    else:
        recipe = load_recipe(options.recipe or "roberta-base")

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
    options = parse(Recipes, arguments)
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
    arguments = console.expanded(sys.argv[1:] if argv is None else argv)
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
        # The reader of our output has left, as `head` does.
        return console.broken_pipe()
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
    """Print an error and its hint; a rank other than the first puts its number before it."""
    rank = os.environ.get("RANK", "0")
    prefix = "" if rank == "0" else f"rank {rank}: "
    print(f"{prefix}error: {error.what}", file=sys.stderr)
    if error.hint:
        print(f"{prefix}hint: {error.hint}", file=sys.stderr)


def entry() -> None:
    """The console script."""
    sys.exit(console.ended(main))


if __name__ == "__main__":
    entry()
