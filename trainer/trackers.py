"""The curves of a run in TensorBoard and in Weights & Biases, beside its log.

The numbers of `train`, `valid` and `spike` lines go there. A resumed run goes on in the same
curves: TensorBoard is told to forget what lies after the checkpoint, and W&B, which takes each step
once, is given the same id again. A tracker is checked before the run is begun, and one that fails
later ends itself, not the run.
"""

import functools
import importlib
import os
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from shards.errors import UserError
from shards.storage import files
from trainer.display import tell

Send = Callable[[int, dict[str, float]], None]

MODULES = {"tensorboard": "torch.utils.tensorboard", "wandb": "wandb"}

# The id of the run at W&B, in the folder of the run.
WANDB_ID = "wandb-id"

# The modes of W&B that need no account, in WANDB_MODE.
WITHOUT_ACCOUNT = ("offline", "disabled", "dryrun")

KINDS = ("train", "valid", "spike")


@dataclass
class Tracker:
    """A tracker that is open: `send` takes a step and its numbers, `close` ends it."""

    name: str
    send: Send
    close: Callable[[], None]


def require_trackers(names: tuple[str, ...]) -> None:
    """Raise `UserError` (exit 3) when a tracker cannot be used; asked before a run is begun."""
    for name in names:
        try:
            module = importlib.import_module(MODULES[name])
        except ImportError:
            raise UserError(f"--track {name}: not installed", f"pip install {name}", 3) from None
        except Exception as error:  # such as protobuf of another version
            raise UserError(
                f"--track {name}: {first_line(error)}", f"pip install {name}", 3
            ) from None

        if name == "wandb" and os.environ.get("WANDB_MODE") not in WITHOUT_ACCOUNT:
            try:
                logged_in = module.login()
            except Exception as error:
                raise UserError(
                    f"--track wandb: {first_line(error)}",
                    "run wandb login, or set WANDB_MODE=offline",
                    3,
                ) from None
            if not logged_in:
                raise UserError(
                    "--track wandb: nobody is logged in",
                    "run wandb login, or set WANDB_MODE=offline",
                    3,
                )


class Trackers:
    """The trackers of a run, which goes on after step `resumed`. Rank 0 has them."""

    def __init__(self, names: tuple[str, ...], run: Path, resumed: int) -> None:
        self._open: list[Tracker] = []
        for name in dict.fromkeys(names):
            try:
                self._open.append(open_tracker(name, run, resumed))
            except Exception as error:
                raise UserError(
                    f"--track {name}: {first_line(error)}",
                    "leave out --track, or mend what it says; for W&B without a network set "
                    "WANDB_MODE=offline",
                    3,
                ) from None

    def send(self, kind: str, step: int, values: dict[str, object]) -> None:
        """Send the numbers of a line of the log."""
        if kind not in KINDS:
            return
        prefix = f"{kind}/{values['source']}" if kind == "valid" else kind
        numbers = {}
        for key, value in values.items():
            if isinstance(value, (int, float)):
                numbers[f"{prefix}/{key}"] = float(value)
        for tracker in self._open:
            self._try(tracker, functools.partial(tracker.send, step, numbers))

    def close(self) -> None:
        """End the trackers."""
        for tracker in self._open:
            self._try(tracker, tracker.close)
        self._open = []

    def _try(self, tracker: Tracker, work: Callable[[], None]) -> None:
        """Do something with a tracker; one that fails is left out from then on."""
        try:
            work()
        except Exception as error:  # a full disk, a network: each tracker has its own kinds
            tell(f"warning: --track {tracker.name} ended: {first_line(error)}; the log has it all")
            self._open = [other for other in self._open if other is not tracker]


def open_tracker(name: str, run: Path, resumed: int) -> Tracker:
    """A tracker of a run that goes on after step `resumed`, 0 for a new one."""
    return open_tensorboard(run, resumed) if name == "tensorboard" else open_wandb(run)


def open_tensorboard(run: Path, resumed: int) -> Tracker:
    """Writes to `RUN/tensorboard`."""
    from torch.utils.tensorboard import SummaryWriter  # type: ignore[attr-defined, unused-ignore]

    folder = str(run / "tensorboard")
    # Of an earlier start, TensorBoard leaves out what was written from this step on.
    writer = SummaryWriter(folder, purge_step=resumed + 1)  # type: ignore[no-untyped-call]

    def send(step: int, numbers: dict[str, float]) -> None:
        for key, value in numbers.items():
            writer.add_scalar(key, value, step)  # type: ignore[no-untyped-call]
        writer.flush()  # type: ignore[no-untyped-call]

    return Tracker("tensorboard", send, writer.close)


def open_wandb(run: Path) -> Tracker:
    """Sends to Weights & Biases under the name of the run's folder."""
    import wandb

    path = run / WANDB_ID
    if not path.exists():
        files.write_bytes(str(path), uuid.uuid4().hex.encode())
    started = wandb.init(dir=str(run), name=run.name, id=path.read_text("utf-8"), resume="allow")
    return Tracker(
        "wandb", lambda step, numbers: started.log(numbers, step=step), lambda: started.finish()
    )


def first_line(error: Exception) -> str:
    """The first line of an error."""
    return (str(error).splitlines() or [type(error).__name__])[0]
