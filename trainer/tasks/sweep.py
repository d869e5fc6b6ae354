"""Several runs: a sweep over batches, rates and seeds, and all tasks of a group.

Every run is `trainer finetune --resume` in a process of its own, in a folder of its own: what was
stopped goes on, what is finished is not done again, and a run that fails does not end the others.
The best setting is that of the highest median over its seeds.

    RUN/TASK/batch-16-lr-1e-05/seed-0       a run of a sweep
    RUN/TASK/seed-0                         a run with the settings of the task
    RUN/results.json                        all of them, with the medians
"""

import dataclasses
import json
import statistics
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from corpora.tasks.catalogue import GLUE, Task, find_task
from corpora.tasks.race import passages
from corpora.tasks.read import find_file
from shards.errors import UserError
from shards.storage import files
from trainer.child import run_child
from trainer.display import tell
from trainer.options import Finetune
from trainer.tasks.folder import Result, read_result
from trainer.tasks.paper_tables import describe_table, own_row, table_of
from trainer.tasks.settings import FROM_MNLI, GRID_BATCHES, GRID_RATES

GROUPS = {"glue": GLUE, "squad": ("squad1", "squad2")}

# The options of the command that its runs do not take: those with a value, and those without.
OWN_VALUES = ("--task", "--run", "--seeds", "--seed", "--init", "--init-step")

OWN_SWITCHES = ("--sweep", "--json", "--resume")


@dataclass(frozen=True)
class Cell:
    """A setting of a task: its name in the folder, and the flags that it adds."""

    name: str
    flags: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class CellResult:
    """What the seeds of a setting came to: the task's metric in the order of the seeds, its median,
    and a line for each run that failed."""

    task: str
    cell: str
    values: list[float]
    median: float | None
    errors: list[str]


def run_several(options: Finetune, arguments: list[str]) -> int:
    """`trainer finetune` for several runs; return the exit code: 1 when one of them failed. Raises
    `UserError`."""
    group = options.task.lower()
    names = GROUPS.get(group, (options.task,))
    passed = without_own(arguments)
    results: list[CellResult] = []
    best: dict[str, CellResult] = {}

    for name in in_order(names):
        if group in GROUPS and not has_files(find_task(name), Path(options.data)):
            tell(f"{name}: no files in {options.data}, so it is left out")
            continue
        init = init_of(name, options, best)
        found = [run_cell(options, name, cell, init, passed) for cell in cells(options)]
        results += found
        known = [result for result in found if result.median is not None]
        if known:
            best[name] = max(known, key=lambda result: result.median or 0.0)
    if not results:
        raise UserError(f"{options.data}: no files of {group}", "name the folder of the files")

    content = {
        "task": group,
        "seeds": options.seeds,
        "results": [dataclasses.asdict(result) for result in results],
        "best": {name: dataclasses.asdict(result) for name, result in best.items()},
    }
    text = json.dumps(content, indent=1) + "\n"
    files.write_bytes(str(Path(options.run) / "results.json"), text.encode())
    if options.json:
        print(json.dumps({"schema_version": 1, **content}))
    else:
        print(describe(options, results, best))
    return 1 if any(result.errors for result in results) else 0


def in_order(names: tuple[str, ...]) -> list[str]:
    """The tasks, MNLI before those that start from its model."""
    return sorted(names, key=lambda name: name != "mnli")


def has_files(task: Task, data: Path) -> bool:
    """Whether the folder has the training and the development file of a task."""
    return has_split(task, data, "train") and has_split(task, data, "dev")


def has_split(task: Task, data: Path, split: str) -> bool:
    """Whether the folder has the file or the files of a split."""
    try:
        if task.kind == "choice":
            passages(task, data, split)
        else:
            find_file(task, data, split)
    except UserError:
        return False
    return True


def cells(options: Finetune) -> Iterator[Cell]:
    """The settings of each task: the grid of a sweep, or the task's own."""
    if not options.sweep:
        yield Cell("")
        return
    for batch in GRID_BATCHES:
        for rate in GRID_RATES:
            flags = ("--batch", str(batch), "--optim.lr", f"{rate:g}")
            yield Cell(f"batch-{batch}-lr-{rate:g}", flags)


def init_of(name: str, options: Finetune, best: dict[str, CellResult]) -> str:
    """The model that a task starts from: RTE, STS-B and MRPC from the best run of MNLI, where this
    command has trained one (RoBERTa paper, section 5.1)."""
    if name not in FROM_MNLI or "mnli" not in best:
        return options.init
    mnli = best["mnli"]
    seed = mnli.values.index(max(mnli.values))
    return str(cell_folder(options, "mnli", Cell(mnli.cell)) / f"seed-{seed}")


def cell_folder(options: Finetune, name: str, cell: Cell) -> Path:
    """The folder of the runs of a setting."""
    folder = Path(options.run) / name
    return folder / cell.name if cell.name else folder


def without_own(arguments: list[str]) -> list[str]:
    """The arguments without those that are the command's own."""
    kept = []
    skip = False
    for word in arguments:
        name, equals, _ = word.replace("_", "-").partition("=")
        if skip:
            skip = False
        elif name in OWN_VALUES:
            skip = not equals
        elif name not in OWN_SWITCHES:
            kept.append(word)
    return kept


def run_cell(options: Finetune, name: str, cell: Cell, init: str, passed: list[str]) -> CellResult:
    """Train the seeds of a setting."""
    folder = cell_folder(options, name, cell)
    values = []
    errors = []
    for seed in range(options.seeds):
        run = folder / f"seed-{seed}"
        title = " ".join(filter(None, [name, cell.name, f"seed {seed}"]))
        fault = ""
        if read_result(run) is None:
            tell(f"{title}: training")
            own = ["--task", name, "--run", str(run), "--init", init, "--seed", str(seed)]
            fault = run_child(["finetune", *passed, *own, *cell.flags, "--resume"], run)

        result = read_result(run)
        if result is None or result.value is None:
            errors.append(f"seed {seed}: {fault or 'no result'}")
            tell(f"{title}: {errors[-1]}")
        else:
            tell(f"{title}: {result.metric} {result.value:.4f}")
            values.append(result.value)
    median = statistics.median(values) if values else None
    return CellResult(task=name, cell=cell.name, values=values, median=median, errors=errors)


# --- the result


def seed_results(options: Finetune, result: CellResult) -> list[Result]:
    """The results of the seeds of a setting."""
    folder = cell_folder(options, result.task, Cell(result.cell))
    found = [read_result(folder / f"seed-{seed}") for seed in range(options.seeds)]
    return [one for one in found if one is not None]


def median_scores(options: Finetune, result: CellResult) -> dict[str, float]:
    """The median of every metric over the seeds; those of a second development set have its name
    before them."""
    columns: dict[str, list[float]] = {}
    for one in seed_results(options, result):
        for split, scores in one.scores.items():
            for name, value in scores.items():
                key = name if split == "dev" else f"{split} {name}"
                columns.setdefault(key, []).append(value)
    return {name: statistics.median(values) for name, values in columns.items()}


def describe(options: Finetune, results: list[CellResult], best: dict[str, CellResult]) -> str:
    """Every setting with its median, and the paper's table with our row."""
    width = max(len(f"{result.task} {result.cell}") for result in results)
    lines = [f"{'':{width}}  {'median':>8}  {'min to max':>17}  seeds"]
    for result in results:
        title = f"{result.task} {result.cell}"
        mark = " *" if best.get(result.task) is result and options.sweep else ""
        if result.median is None:
            lines.append(f"{title:{width}}  {'-':>8}")
        else:
            low, high = min(result.values), max(result.values)
            lines.append(
                f"{title:{width}}  {result.median:8.4f}  {low:8.4f} {high:8.4f}  "
                f"{len(result.values)}{mark}"
            )
        lines += [f"{title}: {error}" for error in result.errors]

    table = table_of(options.task.lower())
    if table is not None and best:
        ours = own_row(table, {name: median_scores(options, cell) for name, cell in best.items()})
        lines += ["", describe_table(table, [("ours", ours)])]
    return "\n".join(lines)
