"""The folder of a fine-tuning run: begun, continued, set aside and finished. Rank 0 alone writes.

RUN/task.json           what it is of (`info.TaskInfo`)
RUN/finetuning.toml     its settings
RUN/tokenizer.json      the tokenizer of the first weights
RUN/log.jsonl           as in pretraining, with `dev` lines
RUN/checkpoints/        the newest ones, and the best one
RUN/at-chance/seed-N/   what was trained with an earlier seed, where it was restarted
RUN/result.json         written last: the metrics of the best checkpoint
"""

import dataclasses
import hashlib
import json
import os
from pathlib import Path

from corpora.tasks.catalogue import Task
from shards.config import dump_toml, to_dict
from shards.errors import UserError
from shards.storage import files
from trainer import checkpoint
from trainer.checkpoint import State
from trainer.config import Recipe, flatten
from trainer.display import Display
from trainer.log import NAME as LOG
from trainer.log import read_log
from trainer.tasks.features import Features
from trainer.tasks.info import NAME as TASK
from trainer.tasks.info import TaskInfo, read_info
from trainer.tasks.settings import Finetuning, fixed, load_tuning
from trainer.tasks.texts import open_encoder

SETTINGS = "finetuning.toml"

RESULT = "result.json"

AT_CHANCE = "at-chance"


def features_digest(features: Features) -> str:
    """The identity of a training set: a digest of its tokens, sequences and labels."""
    state = hashlib.blake2b(digest_size=16)
    for array in (features.tokens, features.starts, features.items, features.labels):
        state.update(array.tobytes())
    return state.hexdigest()


# --- begin or continue


def begin_or_continue(
    run: Path,
    settings: Finetuning,
    state: State,
    info: TaskInfo,
    tokenizer: bytes,
    display: Display,
) -> tuple[State, Path | None]:
    """The state to begin with, and the checkpoint that it is from, None for a new run. `state` is
    that of a new run.

    Raises `UserError` when the stored run is of other settings, data or labels, or the folder
    cannot be written.
    """

    def warn(fault: str) -> None:
        display.say(f"warning: {fault}; trying the one before")

    newest = checkpoint.newest_whole(run, warn)
    if newest is None:
        begin(run, settings, info, tokenizer)
        return state, None

    path, found = newest
    refuse_other(path, found, state)
    if found.micro_batch != state.micro_batch:
        display.say(
            f"note: micro-batches of {state.micro_batch} examples instead of "
            f"{found.micro_batch}: the batches stay the same, dropout differs"
        )
    display.say(f"{path}: going on after step {found.step}")
    return dataclasses.replace(found, micro_batch=state.micro_batch), path


def first_state(
    settings: Finetuning, recipe: Recipe, info: TaskInfo, digest: str, tokenizer: bytes
) -> State:
    """The state of a new run."""
    keys = {
        **fixed(flatten(to_dict(settings))),
        "steps": recipe.steps,
        "task": info.task,
        "labels": list(info.labels),
        "new_weights": info.new_weights,
    }
    # To JSON and back, so that it compares with what a checkpoint holds.
    plain = json.loads(json.dumps([keys, dataclasses.asdict(info.model)]))
    return State(
        data=digest,
        tokenizer=hashlib.blake2b(tokenizer, digest_size=32).hexdigest(),
        recipe=plain[0],
        model=plain[1],
        micro_batch=recipe.micro_batch,
    )


def refuse_other(path: Path, found: State, fresh: State) -> None:
    """Raise `UserError` naming what differs between a checkpoint and the run as it would be new."""
    for key in sorted({*fresh.recipe, *found.recipe}):
        before, now = found.recipe.get(key), fresh.recipe.get(key)
        if before != now:
            raise UserError(
                f"{key}: {now!r}, the run was started with {before!r}",
                "leave out the flags: --resume takes the settings of the run; or name another "
                "--run",
            )
    if found.tokenizer != fresh.tokenizer or found.model != fresh.model:
        raise UserError(
            f"{path}: started from another model than --init", "name the --init of the run"
        )
    if found.data != fresh.data:
        raise UserError(
            f"{path}: trained on other examples than these",
            "give the files that the run was started with",
        )


def refuse_existing(run: Path) -> None:
    """Raise `UserError` when a folder holds a run."""
    trained = any(line.get("kind") != "start" for line in read_log(run))
    begun = bool(checkpoint.list_checkpoints(run)) or trained or (run / AT_CHANCE).exists()
    is_run = (run / TASK).exists() or (run / "recipe.toml").exists()
    if begun and is_run:
        raise UserError(
            f"{run}: there is a run in it", "continue it with --resume, or name another --run"
        )


def refuse_pretraining(run: Path) -> None:
    """Raise `UserError` when a folder holds a run of `trainer pretrain`."""
    if (run / "recipe.toml").exists():
        raise UserError(f"{run}: there is a pretraining run in it", "name another --run")


def begin(run: Path, settings: Finetuning, info: TaskInfo, tokenizer: bytes) -> None:
    """Write the files of a new run. Raises `UserError` (exit 3) when the folder cannot be
    written."""
    try:
        run.mkdir(parents=True, exist_ok=True)
        files.write_bytes(str(run / "tokenizer.json"), tokenizer)
        files.write_bytes(str(run / SETTINGS), dump_toml(settings).encode())
        files.write_bytes(str(run / TASK), info.to_bytes())
    except OSError as error:
        raise UserError(
            f"{run}: cannot be written: {error.strerror}", "name another --run", 3
        ) from None


def tokenizer_bytes(directory: Path) -> bytes:
    """The `tokenizer.json` of a model: its own file, or that of its vocabulary in another form."""
    folder = directory.parents[1] if checkpoint.DIGESTS in os.listdir(directory) else directory
    path = folder / "tokenizer.json"
    if path.exists():
        return path.read_bytes()
    return open_encoder(directory).tokenizer.to_str(pretty=True).encode()


# --- at chance


def restarts_done(run: Path) -> int:
    """How often the run has been started again."""
    folder = run / AT_CHANCE
    return len(list(folder.iterdir())) if folder.is_dir() else 0


def stored_seed(run: Path, default: int) -> int:
    """The seed that the run has come to."""
    path = run / SETTINGS
    seed = load_tuning(path).seed if path.exists() else default
    # It was set aside, and killed before the next seed had begun.
    while (run / AT_CHANCE / f"seed-{seed}").exists():
        seed += 1
    return seed


def set_aside(run: Path, seed: int) -> None:
    """Move what was trained with a seed to `RUN/at-chance/seed-N`."""
    target = run / AT_CHANCE / f"seed-{seed}"
    target.mkdir(parents=True, exist_ok=True)
    for name in ("checkpoints", LOG, SETTINGS):
        if (run / name).exists():
            os.replace(run / name, target / name)


# --- the end


def is_finished(run: Path) -> bool:
    """Whether a run has its result."""
    return (run / RESULT).exists()


def scores_at(run: Path, step: int) -> dict[str, dict[str, float]]:
    """The metrics of each development set at a step, from the log."""
    found = {}
    for line in read_log(run):
        if line["kind"] == "dev" and line["step"] == step:
            values = {k: v for k, v in line.items() if k not in ("kind", "step", "source")}
            found[str(line["source"])] = values
    return found


def write_result(run: Path, task: Task, settings: Finetuning, state: State) -> None:
    """Write `result.json`."""
    content = {
        "task": task.name,
        "metric": task.main,
        "value": None if state.best_loss is None else -state.best_loss,
        "best_step": state.best_step,
        "steps": state.step,
        "seed": settings.seed,
        "batch": settings.batch,
        "lr": settings.optim.lr,
        "scores": scores_at(run, state.best_step),
    }
    files.write_bytes(str(run / RESULT), (json.dumps(content, indent=1) + "\n").encode())


@dataclasses.dataclass(frozen=True)
class Result:
    """The result of a run: the task's metric of the best checkpoint, and all its metrics by
    development set."""

    task: str
    metric: str
    value: float | None
    best_step: int
    steps: int
    seed: int
    batch: int
    lr: float
    scores: dict[str, dict[str, float]]


def read_result(run: Path) -> Result | None:
    """The result of a run, None where it is not finished."""
    try:
        content = json.loads((run / RESULT).read_text("utf-8"))
        return Result(**content)
    except (OSError, ValueError, TypeError):
        return None


def best_checkpoint(run: Path, step: str = "") -> tuple[Path, State, TaskInfo]:
    """The checkpoint of a step, by default the best one, and what the run is of. Raises `UserError`
    when there is none."""
    info = read_info(run)
    if not step:
        _, newest = checkpoint.choose(run)
        step = checkpoint.BEST if newest.best_step else ""
    path, state = checkpoint.choose(run, step)
    return path, state, info
