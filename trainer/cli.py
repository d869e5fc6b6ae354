"""`trainer`: pretrain, evaluate, export, show, seen, step, compare, finetune, predict, ensemble,
score, submit, recipes.

The options of each command are in `trainer/options.py`. Heavy imports wait until a command needs
them, so that help is quick.
"""

import dataclasses
import faulthandler
import json
import math
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

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
    require,
    with_steps,
)
from trainer.display import report, tell
from trainer.flags import parse
from trainer.options import (
    Compare,
    Evaluate,
    Export,
    Pretrain,
    Recipes,
    Score,
    Seen,
    Show,
    Step,
    Submit,
)
from trainer.run_info import find_shards
from trainer.tables import TABLES, recipes_of, tables_of
from trainer.wording import several

if TYPE_CHECKING:
    from trainer.budget import Corpus

HELP = """usage: trainer COMMAND [OPTIONS]

Pretrain a RoBERTa, a BERT or a SpanBERT on shards.

  pretrain   train on shards:               trainer pretrain --shards DIR --run RUN
  evaluate   compute validation perplexity: trainer evaluate --run RUN
  export     write a Hugging Face model:    trainer export --run RUN --out DIR
  show       draw curves, print a sample, or fill in masks: trainer show RUN
  seen       tell when a document was trained on: trainer seen RUN ID
  step       tell what a step was trained on: trainer step RUN N
  compare    train the rows of a table of the RoBERTa paper: trainer compare 2 --shards DIR
  finetune   fine-tune on a task:           trainer finetune --task TASK --data DIR --init RUN ...
  predict    predict new examples:          trainer predict --run RUN --data FILE --out FILE
  ensemble   average several models:        trainer ensemble RUN RUN --data FILE --out FILE
  score      score predictions:             trainer score --task TASK --data FILE --predictions FILE
  submit     write a leaderboard's file:    trainer submit --predictions DIR --out glue.zip
  recipes    list the built-in recipes by table, or print one: trainer recipes [NAME]

trainer COMMAND --help lists the options of a command. On several GPUs (the -- keeps torchrun from
reading the trainer's options):

  torchrun --nproc-per-node 8 -m trainer.cli -- pretrain --shards DIR --run RUN
"""

# A week in minutes; torch refuses longer ones.
LONGEST_TIMEOUT = 7 * 24 * 60

# What of the model may be chosen for weights that are there already.
FREE_WITH_INIT = ("--model.dropout", "--model.attention-dropout", "--model.span-targets")

COPY_TOOLS = {"s3": "aws s3 cp --recursive", "gs": "gcloud storage cp -r", "hdfs": "hdfs dfs -get"}


def print_json(content: dict[str, object]) -> None:
    """Print the one object of `--json`."""
    print(json.dumps(without_nan({"schema_version": 1, **content})))


def without_nan(value: object) -> object:
    """A value for JSON, which has neither nan nor the infinities: they become null."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {key: without_nan(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [without_nan(item) for item in value]
    return value


def required(name: str, value: object, hint: str) -> None:
    """Raise `UserError` when an option that a command needs is not given."""
    if not value:
        raise UserError(f"{name}: missing", hint)


# --- pretrain


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


# --- the other commands


def evaluate(arguments: list[str]) -> int:
    """`trainer evaluate`."""
    options = parse(Evaluate, "evaluate", arguments)
    required("--run", options.run, "name the run: trainer evaluate --run RUN")
    require(options.samples >= 0, "--samples", options.samples, "at least 0")
    run = Path(options.run)
    directories = options.shards or find_shards(run, f"trainer evaluate --run {in_command(run)}")

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
        tell(f"warning: {warning}")
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

    from trainer.tasks.info import has_task

    if has_task(Path(options.run)):
        from trainer.tasks.export import export_task as export
    else:
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


def seen(arguments: list[str]) -> int:
    """`trainer seen`."""
    options = parse(Seen, "seen", arguments)
    required("RUN", options.run, "name a run: trainer seen RUN ID")
    required("ID", options.ids, "name documents: trainer seen RUN ID")
    run = Path(options.run)
    directories = options.shards or find_shards(run, f"trainer seen {in_command(run)} ID")

    from trainer.history import read_history
    from trainer.seen import as_json, describe, seen

    found = seen(run, directories, read_history(run, options.until), options.ids)
    if options.json:
        print_json({"documents": [as_json(document) for document in found]})
    else:
        print("\n".join(describe(document) for document in found))
    return 0


def step(arguments: list[str]) -> int:
    """`trainer step`."""
    options = parse(Step, "step", arguments)
    required("RUN", options.run, "name a run: trainer step RUN N")
    required("N", options.step, "name a step: trainer step RUN 100")
    run = Path(options.run)
    command = f"trainer step {in_command(run)} {in_command(options.step)}"
    directories = options.shards or find_shards(run, command)

    from trainer.history import read_history, step_number
    from trainer.seen import describe_step, step_documents

    history = read_history(run, "end")
    number = step_number(options.step, history.recipe.steps, "N")
    found = step_documents(run, directories, history, number)
    if options.json:
        print_json({"step": number, "documents": [vars(document) for document in found]})
    else:
        print(describe_step(number, history.batch_of(number), found))
    return 0


def compare(arguments: list[str]) -> int:
    """`trainer compare`."""
    options = parse(Compare, "compare", arguments)
    tables = {str(number): table for number, table in TABLES.items()}
    if options.table not in tables:
        raise UserError(
            f"TABLE: {options.table!r} is not one of {', '.join(tables)}",
            "for example: trainer compare 2 --shards DIR",
        )
    required("--shards", options.shards, "name a home or its shards/ folder: --shards DIR")
    if options.seeds < 1:
        raise UserError(f"--seeds: {options.seeds} is not at least 1", "for example --seeds 3")
    for directory in options.shards:
        refuse_remote(directory)
    if options.tasks and not Path(options.tasks).is_dir():
        raise UserError(f"--tasks {options.tasks}: no such folder", "check the path")

    from trainer import compare
    from trainer.scales import SCALES

    plan = compare.Comparison(
        table=tables[options.table],
        scale_name=options.scale,
        scale=SCALES[options.scale],
        shards=options.shards,
        seeds=options.seeds,
        out=Path(options.out or f"compare-{options.scale}"),
        device=options.device,
        base=options.base,
        tasks=options.tasks,
    )
    results = compare.compare(plan, lambda text: print(text, file=sys.stderr, flush=True))
    if options.json:
        print_json(compare.as_json(plan, results))
    else:
        print(compare.describe(plan, results))
    return 1 if any(result.errors for result in results) else 0


def finetune(arguments: list[str]) -> int:
    """`trainer finetune`."""
    from trainer.tasks.commands import finetune

    return finetune(arguments)


def predict(arguments: list[str]) -> int:
    """`trainer predict`."""
    from trainer.tasks.commands import predict

    return predict(arguments)


def ensemble(arguments: list[str]) -> int:
    """`trainer ensemble`."""
    from trainer.tasks.commands import ensemble

    return ensemble(arguments)


def score(arguments: list[str]) -> int:
    """`trainer score`."""
    options = parse(Score, "score", arguments)
    for name in ("task", "data", "predictions"):
        hint = "trainer score --task TASK --data FILE --predictions FILE"
        required(f"--{name}", getattr(options, name), hint)

    from trainer.tasks.scoring.score import as_json, score_options, shown

    scored = score_options(options)
    for note in scored.notes:
        tell(f"note: {note}")
    if options.json:
        print_json({"task": scored.task, **as_json(scored)})
    else:
        print(shown(scored))
    return 0


def submit(arguments: list[str]) -> int:
    """`trainer submit`."""
    options = parse(Submit, "submit", arguments)
    for name in ("predictions", "out"):
        hint = "trainer submit --predictions DIR --out glue.zip"
        required(f"--{name}", getattr(options, name), hint)

    from trainer.tasks.submit import submit_options

    done = submit_options(options)
    for note in done.notes:
        tell(f"note: {note}")
    if options.json:
        print_json(vars(done))
    else:
        rows = sum(done.rows.values())
        print(f"{done.out}: {several(len(done.rows), 'file')}, {several(rows, 'prediction')}")
    return 0


def recipes(arguments: list[str]) -> int:
    """`trainer recipes`."""
    options = parse(Recipes, "recipes", arguments)
    if options.name:
        print(dump_toml(load_recipe(options.name)), end="")
        return 0

    sources = {name: load_recipe(name).source for name in recipe_names()}
    if options.json:
        named = {str(number): recipes_of(table) for number, table in TABLES.items()}
        print_json({"recipes": sources, "tables": named})
        return 0

    # A recipe that serves two tables is listed in both.
    groups = {}
    for number, table in TABLES.items():
        groups[f"RoBERTa paper, table {number}: {table.title}"] = recipes_of(table)
    groups["Others"] = [name for name in sources if not tables_of(name)]
    for title, names in groups.items():
        print(title)
        for name in names:
            print(f"  {name:26} {sources[name]}")
    return 0


# --- the command line

COMMANDS: dict[str, Callable[[list[str]], int]] = {
    "pretrain": pretrain,
    "evaluate": evaluate,
    "export": export,
    "show": show,
    "seen": seen,
    "step": step,
    "compare": compare,
    "finetune": finetune,
    "predict": predict,
    "ensemble": ensemble,
    "score": score,
    "submit": submit,
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
        tell("interrupted")
        return 130
    except BrokenPipeError:
        # The reader of our output has left, as `head` does.
        return console.broken_pipe()
    except OSError as error:
        report(UserError(str(error), "check the path, its rights and the room on its disk", 3))
        return 3


def run_command(arguments: list[str]) -> int:
    """Run the command that the arguments name; return its exit code."""
    if not arguments or arguments[0] in ("-h", "--help"):
        print(HELP, end="")
        return 0 if arguments else 2
    if arguments[0] == "--version":
        from importlib.metadata import version

        print(f"corpusmill {version('corpusmill')}")
        return 0

    name = arguments[0]
    if name not in COMMANDS:
        raise UserError(f"trainer {name}: no such command", nearest(name, COMMANDS))
    return COMMANDS[name](arguments[1:])


def entry() -> None:
    """The console script."""
    # A crash in C, which has no other words, then says at least where.
    faulthandler.enable()
    code = console.ended(main)
    # After an error, threads of gloo may still wait for another rank, and would abort the process
    # as Python ends.
    if code and int(os.environ.get("WORLD_SIZE", "1")) > 1:
        os._exit(code)
    sys.exit(code)


if __name__ == "__main__":
    entry()
