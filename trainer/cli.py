"""`trainer`: pretrain, evaluate, export, show, recipes. Heavy imports wait until a command needs
them."""

import dataclasses
import json
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

import tyro

from shards.config import dump_toml
from shards.errors import UserError, nearest
from trainer.config import MaskingConfig, Recipe, check, load_recipe, recipe_names, with_steps

C = TypeVar("C")

Repeated = Annotated[tuple[str, ...], tyro.conf.UseAppendAction]

Device = Literal["auto", "cpu", "cuda"]

HELP = """usage: trainer COMMAND [OPTIONS]

From shards to a RoBERTa.

  pretrain   train on shards:             trainer pretrain --shards DIR --run RUN --recipe roberta-base
  evaluate   validation perplexity:       trainer evaluate --shards DIR --run RUN
  export     to a Hugging Face directory: trainer export --run RUN --out DIR
  show       curves, or one sample:       trainer show RUN [--sample N]
  recipes    the recipes that come along

trainer COMMAND --help tells the rest. On several GPUs (the -- keeps torchrun from reading our flags):
torchrun --nproc-per-node 8 -m trainer.cli -- pretrain --shards DIR --run RUN
"""


@dataclass(frozen=True, kw_only=True)
class Pretrain:
    """Train on shards, from a recipe; flags override the recipe."""

    shards: Repeated = ()
    """A home, or its shards/ folder; can be given several times."""
    run: str = ""
    """Where checkpoints and the log go."""
    recipe: str = ""
    """A recipe's name or the path of a .toml; default roberta-base, with --resume that of the
    run."""
    resume: bool = False
    """Go on from the newest whole checkpoint; from step 0 where there is none."""
    init: str | None = None
    """First weights: a Hugging Face directory of a RoBERTa, or a hub id."""
    mix: Repeated = ()
    """NAME=2: show the samples of this source twice as often; can be given several times."""
    device: Device = "auto"
    """auto is CUDA where there is one."""
    dry_run: bool = False
    """Say what the run would be, and stop."""
    tokens_per_second: float = 0.0
    """For --dry-run: the speed to reckon with; default 40 % of the GPU's peak."""
    json: bool = False
    """--dry-run as one JSON object on stdout."""
    track: Annotated[tuple[Literal["tensorboard", "wandb"], ...], tyro.conf.UseAppendAction] = ()
    """Log there as well."""
    settings: Annotated[Recipe, tyro.conf.arg(name="")] = Recipe()
    """The recipe's own settings."""


@dataclass(frozen=True, kw_only=True)
class Evaluate:
    """Validation perplexity and masked accuracy by source, on stored masks in one fixed format."""

    run: str
    """The run; its newest whole checkpoint is read."""
    shards: Repeated = ()
    """Shards with a validation split; default those of the run."""
    step: int | None = None
    """Another checkpoint than the newest."""
    samples: int = 0
    """At most so many samples of a source; default as in training."""
    masks: Literal["exact", "fairseq"] = "exact"
    """fairseq masks as fairseq does, which the papers' perplexities count: special ids can be
    masked."""
    device: Device = "auto"
    """auto is CUDA where there is one."""
    json: bool = False
    """One JSON object on stdout."""


@dataclass(frozen=True, kw_only=True)
class Export:
    """Write a checkpoint as a Hugging Face directory, read it back and compare."""

    run: str
    """The run; its newest whole checkpoint is read."""
    out: str
    """A directory that is empty or not there."""
    step: int | None = None
    """Another checkpoint than the newest."""
    json: bool = False
    """One JSON object on stdout."""


@dataclass(frozen=True, kw_only=True)
class Show:
    """Draw the curves of a run as a PNG, print a training sample with its masks, or fill masked
    words in."""

    run: tyro.conf.Positional[str] = ""
    """The run."""
    out: str = ""
    """Where the PNG goes; default RUN/curves.png."""
    sample: int | None = None
    """Print this sample of the endless training order: what the model sees, and what was there."""
    shards: Repeated = ()
    """For --sample: default those of the run."""
    recipe: str = ""
    """For --sample: default that of the run."""
    fill: str = ""
    """Print the likeliest tokens for each <mask> of this text, by the newest whole checkpoint."""
    json: bool = False
    """One JSON object on stdout."""


@dataclass(frozen=True, kw_only=True)
class Recipes:
    """List the recipes that come along, with their source; or print one as TOML."""

    name: tyro.conf.Positional[str] = ""
    """Print this one with every default written out."""
    json: bool = False
    """One JSON object on stdout."""


def main(argv: list[str] | None = None) -> int:
    """Run a command; returns the exit code: 0 done, 1 incomplete, 2 usage, 3 environment, 130
    interrupted."""
    arguments = sys.argv[1:] if argv is None else argv
    arguments = (
        arguments[1:] if arguments[:1] == ["--"] else arguments
    )  # torchrun's separator, where it is left in
    commands = {
        "pretrain": pretrain,
        "evaluate": evaluate,
        "export": export,
        "show": show,
        "recipes": recipes,
    }
    try:
        if not arguments or arguments[0] in ("-h", "--help"):
            print(HELP, end="")
            return 0 if arguments else 2
        if arguments[0] == "--version":
            from importlib.metadata import version

            print(version("corpusmill"))
            return 0
        if arguments[0] not in commands:
            raise UserError(
                f"trainer {arguments[0]}: no such command", nearest(arguments[0], commands)
            )
        return commands[arguments[0]](arguments[1:])
    except UserError as error:
        rank = os.environ.get("RANK", "0")
        if (
            rank == "0" or error.exit_code != 2
        ):  # what is wrong with the call is the same on every rank
            print(f"{'' if rank == '0' else f'rank {rank}: '}error: {error.what}", file=sys.stderr)
            if error.hint:
                print(f"hint: {error.hint}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130
    except OSError as error:
        if isinstance(error, BrokenPipeError):  # the reader of our output has gone, as `head` does
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return 0
        print(
            f"error: {error}\nhint: check the path, its rights and the room on its disk",
            file=sys.stderr,
        )
        return 3


def _parse(kind: type[C], arguments: list[str], default: C | None = None) -> C:
    name = kind.__name__.lower()
    settings: dict[str, Any] = {} if default is None else {"default": default}
    parsed: C = tyro.cli(
        kind,
        prog=f"trainer {name}",
        args=arguments,
        config=(tyro.conf.FlagCreatePairsOff,),
        **settings,
    )
    return parsed


def _need(value: Any, flag: str, what: str) -> None:
    if not value:
        raise UserError(
            f"{flag}: missing", f"name {what}: {flag} {'DIR' if flag != '--run' else 'RUN'}"
        )


def pretrain(arguments: list[str]) -> int:
    """`trainer pretrain`."""
    base = load_recipe(_recipe_name(arguments))
    options = _parse(Pretrain, arguments, Pretrain(settings=base))
    _need(options.shards, "--shards", "a home or its shards/ folder")
    recipe = with_steps(
        options.settings,
        base,
        any(word.replace("_", "-").startswith("--optim.warmup-steps") for word in arguments),
    )
    if options.mix:
        recipe = dataclasses.replace(
            recipe, data=dataclasses.replace(recipe.data, mix=_mix(options.mix))
        )
    check(recipe)
    for directory in options.shards:
        _refuse_remote(directory)
    if options.dry_run:
        return _dry_run(options, recipe)
    _need(options.run, "--run", "a folder for the run")
    from trainer.pretrain import pretrain
    from trainer.run import Job

    return pretrain(
        Job(
            shards=options.shards,
            run=Path(options.run),
            recipe=recipe,
            device=options.device,
            resume=options.resume,
            init=options.init,
            track=options.track,
        )
    )


def _recipe_name(arguments: list[str]) -> str:
    """The recipe must be known before the flags that override it can be read."""
    values = {"--recipe": "", "--run": ""}
    for word, following in zip(arguments, [*arguments, ""][1:], strict=True):
        flag, equals, value = word.partition("=")
        if flag in values:
            values[flag] = value if equals else following
    stored = Path(values["--run"]) / "recipe.toml"
    if not values["--recipe"] and values["--run"] and "--resume" in arguments and stored.exists():
        return str(stored)
    return values["--recipe"] or "roberta-base"


def _mix(words: tuple[str, ...]) -> dict[str, float]:
    weights = {}
    for word in words:
        name, _, weight = word.partition("=")
        try:
            weights[name] = float(weight)
        except ValueError:
            raise UserError(f"--mix {word}: not NAME=WEIGHT", "for example --mix news=2") from None
    return weights


def _refuse_remote(directory: str) -> None:
    if "://" in directory and not directory.startswith("file://"):
        raise UserError(
            f"--shards {directory}: shards are memory-mapped and must lie on this machine",
            f"copy them first: {_copy(directory)}",
        )


def _copy(directory: str) -> str:
    tools = {"s3": "aws s3 cp --recursive", "gs": "gcloud storage cp -r", "hdfs": "hdfs dfs -get"}
    return f"{tools.get(directory.split('://')[0], 'copy')} {directory} shards/"


def _dry_run(options: Pretrain, recipe: Recipe) -> int:
    from trainer import budget
    from trainer import export as exports
    from trainer.data.order import make_order
    from trainer.data.samples import open_data
    from trainer.metrics import peak_flops
    from trainer.ranks import choose_device
    from trainer.run import resolve

    device = choose_device(options.device)
    data = open_data(options.shards, "train", recipe.data.length, recipe.data.sentence_eos)
    init = None if options.init is None else str(exports.find_pretrained(options.init))
    recipe = resolve(recipe, data, device, init)
    order = make_order(data, recipe.seed, recipe.data.mix)
    figures = budget.plan(
        recipe,
        data,
        order,
        int(os.environ.get("WORLD_SIZE", "1")),
        options.tokens_per_second,
        peak_flops(device),
    )
    if options.json:
        print(json.dumps({"schema_version": 1, **figures}))
    else:
        print(budget.describe(figures))
    return 0


def _of_run(run: str) -> dict[str, Any]:
    try:
        return dict(json.loads((Path(run) / "run.json").read_text()))
    except (OSError, ValueError):
        raise UserError(
            f"{run}: no run in it (no run.json that can be read)",
            "name the --run of trainer pretrain, or give --shards",
        ) from None


def evaluate(arguments: list[str]) -> int:
    """`trainer evaluate`."""
    options = _parse(Evaluate, arguments)
    directories = options.shards or tuple(_of_run(options.run)["shards"])
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
        print(
            json.dumps(
                {
                    "schema_version": 1,
                    "step": step,
                    "masks": options.masks,
                    "sources": {name: vars(score) for name, score in scores.items()},
                }
            )
        )
        return 0
    print(f"step {step}")
    for name, score in scores.items():
        print(
            f"{name:20} perplexity {score.perplexity:10.3f}   accuracy {score.accuracy:.4f}   of {score.masked:,} masked tokens"
        )
    return 0


def export(arguments: list[str]) -> int:
    """`trainer export`."""
    options = _parse(Export, arguments)
    from trainer.export import export

    done = export(Path(options.run), Path(options.out), options.step)
    if options.json:
        print(json.dumps({"schema_version": 1, **done}))
        return 0
    checked = (
        f"transformers' logits differ by {done['difference']:.1g}"
        if done["transformers"]
        else "transformers is not installed, so only our own reading was compared"
    )
    print(
        f"{options.out}: step {done['step']}, {done['parameters']:,} parameters; read back, equal to the bit; {checked}"
    )
    return 0


def show(arguments: list[str]) -> int:
    """`trainer show`."""
    options = _parse(Show, arguments)
    if options.fill:
        _need(options.run, "RUN", "a run")
        from trainer.show import as_json, as_lines, fill

        filled = fill(Path(options.run), options.fill)
        print(
            json.dumps({"schema_version": 1, "masks": as_json(filled)})
            if options.json
            else "\n".join(as_lines(filled))
        )
        return 0
    if options.sample is None:
        _need(options.run, "RUN", "a run")
        from trainer.show import curves

        path = curves(Path(options.run), Path(options.out or f"{options.run}/curves.png"))
        print(json.dumps({"schema_version": 1, "png": str(path)}) if options.json else path)
        return 0
    directories = options.shards or tuple(_of_run(options.run)["shards"])
    recipe = load_recipe(
        options.recipe or (f"{options.run}/recipe.toml" if options.run else "roberta-base")
    )
    from trainer.show import sample

    found = sample(directories, recipe, options.sample)
    if options.json:
        print(json.dumps({"schema_version": 1, **found}))
    else:
        print(
            f"sample {found['sample']}: epoch {found['epoch']}, index {found['index']}, {len(found['ids'])} tokens, {len(found['masked'])} masked\n{found['text']}"
        )
    return 0


def recipes(arguments: list[str]) -> int:
    """`trainer recipes`."""
    options = _parse(Recipes, arguments)
    if options.name:
        print(dump_toml(load_recipe(options.name)), end="")
        return 0
    found = {name: load_recipe(name) for name in recipe_names()}
    if options.json:
        print(
            json.dumps(
                {
                    "schema_version": 1,
                    "recipes": {name: recipe.source for name, recipe in found.items()},
                }
            )
        )
        return 0
    for name, recipe in found.items():
        print(f"{name:22} {recipe.source}")
    return 0


def entry() -> None:
    """The console script."""
    sys.exit(main())


if __name__ == "__main__":
    entry()
