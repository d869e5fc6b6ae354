"""`trainer compare`: the rows of a table of the RoBERTa paper, trained at a small scale.

Every row and seed is a run of its own, `OUT/RECIPE/seed-0`, trained by `trainer pretrain --resume`
in a process of its own: what was stopped goes on, what is finished is not done again, also for
another table, and a run that fails does not end the others. The rows are compared by validation
perplexity, whose format and masks are the same for all of them.
"""

import dataclasses
import json
import os
import statistics
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import shards
from shards.config import dump_toml
from shards.errors import UserError
from shards.storage import files
from trainer.child import run_child
from trainer.config import Recipe, load_recipe
from trainer.log import read_log
from trainer.scales import Scale, scaled
from trainer.tables import Row, Table, recipes_of
from trainer.tasks.downstream import finetune_run, task_columns

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# What trains on books and Wikipedia alone: the recipes of 16 GB where their table has others.
BOOKS_AND_WIKIPEDIA = ("roberta-large-16gb-100k", "bert-large")


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """What is to be compared, and where the runs go."""

    table: Table
    scale_name: str
    scale: Scale
    shards: tuple[str, ...]
    seeds: int
    out: Path
    device: str = "auto"
    base: tuple[str, ...] = ()
    tasks: str = ""


@dataclass(frozen=True)
class Trained:
    """What the seeds of a recipe came to: perplexities, a line for each run that failed, the metric
    of each task by the table's column, in percent, and what a reader must know of the runs."""

    perplexities: list[float]
    errors: list[str]
    tasks: dict[str, list[float]]
    note: str = ""


@dataclass(frozen=True, kw_only=True)
class RowResult:
    """A row of the result, by the keys of `--json`.

    `perplexities` of the seeds that are finished, in the order of the seeds; their `median`, `low`
    and `high`, None where there is none; `errors`, a line for each run that failed; `paper`, the
    paper's figures by column; `tasks`, by the same columns, the figures of the fine-tuned seeds in
    percent, and `task_medians` their medians; `note` what a reader must know of the runs.
    """

    label: str
    recipe: str | None
    perplexities: list[float]
    median: float | None
    low: float | None
    high: float | None
    errors: list[str]
    paper: dict[str, str]
    tasks: dict[str, list[float]]
    task_medians: dict[str, float]
    note: str = ""


# --- the runs


def compare(plan: Comparison, say: Callable[[str], None]) -> list[RowResult]:
    """Train every row and seed, and return the rows of the result; writes them and the picture.

    Raises `UserError` when the shards have no validation split, when `plan.base` names a source
    that they do not have, and when `plan.out` holds runs of other settings or shards.
    """
    sources = source_names(plan.shards)
    missing = [name for name in plan.base if name not in sources]
    if missing:
        raise UserError(
            f"--base {missing[0]}: the shards have no such source",
            f"they have: {', '.join(sources)}",
        )

    recipes = {}
    for name in recipes_of(plan.table):
        recipes[name] = row_recipe(plan, name, sources)
        refuse_other(plan, name, recipes[name])
    trained = {name: train_row(plan, name, recipe, say) for name, recipe in recipes.items()}

    results = []
    for row in plan.table.rows:
        found = trained.get(row.recipe or "", Trained([], [], {}))
        results.append(row_result(row, plan.table, found))
    write_result(plan, results)
    draw(plan, results)
    return results


def source_names(directories: tuple[str, ...]) -> list[str]:
    """The sources of the training shards, in order. Raises `UserError` when there are no shards to
    train on or none to validate on."""
    for split in ("valid", "train"):
        names: dict[str, None] = {}
        for directory in directories:
            for shard in shards.open(directory, split):
                names[shard.entry.source] = None
        if not names:
            raise UserError(
                f"{', '.join(directories)}: no {split} shards",
                "build them: set valid_fraction in [shards] and run corpus build",
            )
    return list(names)


def refuse_other(plan: Comparison, name: str, recipe: Recipe) -> None:
    """Raise `UserError` when the runs of a recipe there are of other settings or shards: they would
    be taken for finished ones."""
    path = plan.out / f"{name}.toml"
    if path.exists() and path.read_text("utf-8") != dump_toml(recipe):
        raise UserError(
            f"{path}: the runs there have other settings or shards than these", "name another --out"
        )


def train_row(plan: Comparison, name: str, recipe: Recipe, say: Callable[[str], None]) -> Trained:
    """Train the seeds of a recipe, and fine-tune them on the tasks whose files are given."""
    path = plan.out / f"{name}.toml"
    files.write_bytes(str(path), dump_toml(recipe).encode())

    perplexities = []
    errors = []
    note = ""
    tasks: dict[str, list[float]] = {}
    for seed in range(plan.seeds):
        run = plan.out / name / f"seed-{seed}"
        fault = ""
        if final_perplexity(run, recipe.steps) is None:
            say(f"{name}, seed {seed}: {recipe.steps:,} steps of {recipe.batch} samples")
            fault = train_run(plan, path, run, seed)

        found = final_perplexity(run, recipe.steps)
        if found is not None:
            say(f"{name}, seed {seed}: perplexity {found:.2f}")
            perplexities.append(found)
            note = static_note(recipe, run)
        else:
            errors.append(f"seed {seed}: {fault or 'not finished'}")
            say(f"{name}, {errors[-1]}")
            continue

        for column, task in task_columns(plan.table.columns, plan.tasks).items():
            value, fault = finetune_run(task, plan.tasks, run, plan.scale, plan.device)
            if value is None:
                errors.append(f"seed {seed}, {column}: {fault}")
                say(f"{name}, {errors[-1]}")
                continue
            say(f"{name}, seed {seed}: {column} {value:.1f}")
            tasks.setdefault(column, []).append(value)
    return Trained(perplexities, errors, tasks, note)


def static_note(recipe: Recipe, run: Path) -> str:
    """Why static masks of a finished run are no different from dynamic ones; empty where they
    are."""
    static = recipe.masking.static
    last = [line for line in read_log(run) if line["kind"] == "train"][-1:]
    if not static or not last or last[0]["epoch"] > static:
        return ""
    epochs = last[0]["epoch"]
    return (
        f"its {static} static masks of each sample were seen once at most, in {epochs:.1f} epochs, "
        "so it is the same as dynamic masks: use fewer --shards"
    )


def row_recipe(plan: Comparison, name: str, sources: list[str]) -> Recipe:
    """The recipe of a row at the scale; one of 16 GB shows the sources of `--base` alone. Its
    `source` names the shards."""
    folders = ", ".join(os.path.abspath(directory) for directory in plan.shards)
    source = f"{name} at scale {plan.scale_name} on {folders}"
    recipe = dataclasses.replace(scaled(load_recipe(name), plan.scale), source=source)
    if name not in BOOKS_AND_WIKIPEDIA or not plan.base:
        return recipe

    mix = {source: float(source in plan.base) for source in sources}
    return dataclasses.replace(recipe, data=dataclasses.replace(recipe.data, mix=mix))


def train_run(plan: Comparison, recipe: Path, run: Path, seed: int) -> str:
    """Train a run in a process of its own; return what went wrong, nothing if it is finished.

    Raises `KeyboardInterrupt` when the process was interrupted, which has saved the run.
    """
    command = ["pretrain"]
    for directory in plan.shards:
        command += ["--shards", directory]
    command += ["--run", str(run), "--recipe", str(recipe), "--seed", str(seed)]
    return run_child([*command, "--device", plan.device, "--resume"], run)


def validations(run: Path) -> list[tuple[int, float]]:
    """The steps and perplexities of a run's validations over all sources."""
    found = []
    for line in read_log(run):
        if line["kind"] == "valid" and line["source"] == "all":
            found.append((int(line["step"]), float(line["perplexity"] or "inf")))
    return found


def final_perplexity(run: Path, steps: int) -> float | None:
    """The validation perplexity at the last step, None where the run is not finished."""
    return dict(validations(run)).get(steps)


# --- the result


def row_result(row: Row, table: Table, found: Trained) -> RowResult:
    """A row of the result."""
    values = found.perplexities
    return RowResult(
        label=row.label,
        recipe=row.recipe,
        perplexities=values,
        median=statistics.median(values) if values else None,
        low=min(values, default=None),
        high=max(values, default=None),
        errors=found.errors,
        paper=dict(zip(table.columns, row.figures, strict=True)),
        tasks=found.tasks,
        task_medians={column: statistics.median(one) for column, one in found.tasks.items()},
        note=found.note,
    )


def as_json(plan: Comparison, results: list[RowResult]) -> dict[str, object]:
    """The result as JSON types."""
    return {
        "table": plan.table.number,
        "title": plan.table.title,
        "scale": plan.scale_name,
        "settings": dataclasses.asdict(plan.scale),
        "seeds": plan.seeds,
        "rows": [dataclasses.asdict(result) for result in results],
    }


def write_result(plan: Comparison, results: list[RowResult]) -> None:
    """Write `OUT/table-N.json`."""
    text = json.dumps(as_json(plan, results), indent=1) + "\n"
    files.write_bytes(str(plan.out / f"table-{plan.table.number}.json"), text.encode())


def describe(plan: Comparison, results: list[RowResult]) -> str:
    """The table in the paper's layout: our perplexities, then the paper's figures."""
    table = plan.table
    width = max(len(result.label) for result in results)
    columns = "".join(f"{column:>11}" for column in table.columns)
    known = {name for result in results for name in result.tasks}
    shown = [name for name in table.columns if name in known]
    ours = "".join(f"{column:>11}" for column in shown)
    lines = [
        f"Table {table.number}: {table.title}",
        f"ours at scale {plan.scale_name}: {plan.scale.describe()}; {plan.seeds} seeds",
        "",
        f"{'':{width}}  {'perplexity':>10}  {'min to max':>17}{ours}   paper:{columns}",
    ]

    for result in results:
        median = "-" if result.median is None else f"{result.median:.2f}"
        spread = "-"
        if result.low is not None and result.high is not None:
            spread = f"{result.low:.2f} to {result.high:.2f}"
        paper = "".join(f"{figure:>11}" for figure in result.paper.values())
        tasks = "".join(f"{percent(result.task_medians.get(name)):>11}" for name in shown)
        lines.append(f"{result.label:{width}}  {median:>10}  {spread:>17}{tasks}         {paper}")

    for result in results:
        for said in [result.note] * bool(result.note) + result.errors:
            lines.append(f"{result.label}: {said}")
    return "\n".join(lines)


def percent(value: float | None) -> str:
    """A figure in percent."""
    return "-" if value is None else f"{value:.1f}"


def draw(plan: Comparison, results: list[RowResult]) -> None:
    """Draw `OUT/table-N.png`: the perplexity of every seed by row, and validation during training.

    Does nothing where no run is finished or matplotlib is not installed.
    """
    rows = [result for result in results if result.perplexities]
    try:
        import matplotlib

        matplotlib.use("Agg")
        import matplotlib.pyplot as plt
    except ImportError:
        return
    if not rows:
        return

    figure, axes = plt.subplots(1, 2, figsize=(12, 4.5), layout="constrained")
    draw_rows(axes[0], rows)
    draw_curves(axes[1], plan, rows)
    figure.suptitle(f"Table {plan.table.number} at scale {plan.scale_name}: {plan.table.title}")
    figure.savefig(plan.out / f"table-{plan.table.number}.png", dpi=110)
    plt.close(figure)


def draw_rows(axis: "Axes", rows: list[RowResult]) -> None:
    """A line for each row: its seeds as dots, its median as a bar."""
    for place, result in enumerate(rows):
        axis.plot(result.perplexities, [place] * len(result.perplexities), "o", alpha=0.6)
        axis.plot([statistics.median(result.perplexities)], [place], "k|", markersize=18)
    axis.set_yticks(range(len(rows)), [result.label for result in rows])
    axis.invert_yaxis()
    axis.set(xlabel="validation perplexity")
    axis.grid(alpha=0.3)


def draw_curves(axis: "Axes", plan: Comparison, rows: list[RowResult]) -> None:
    """The validation perplexity of the first seed of each row, by the share of its steps."""
    drawn = set()
    for result in rows:
        if result.recipe is None or result.recipe in drawn:
            continue
        drawn.add(result.recipe)
        points = validations(plan.out / result.recipe / "seed-0")
        last = max((step for step, _ in points), default=1)
        shares = [step / last for step, _ in points]
        axis.plot(shares, [value for _, value in points], marker="o", label=result.label)
    axis.set(xlabel="share of the steps", ylabel="validation perplexity, seed 0", yscale="log")
    axis.grid(alpha=0.3)
    axis.legend(fontsize="small")
