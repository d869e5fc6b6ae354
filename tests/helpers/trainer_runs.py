"""Run the trainer in tests: in this process, or as processes that can be killed."""

import multiprocessing
import os
import random
import resource
import signal
import socket
import sys
import tempfile
import time
from dataclasses import dataclass
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import safetensors.torch
import torch

from trainer.cli import main

ROOT = Path(__file__).resolve().parents[2]
MINI = ["--recipe", str(Path(__file__).with_name("mini.toml")), "--device", "cpu"]
"""A model that is smaller still than `tiny`, and has dropout, for proofs over many steps."""


def environment(**more: str) -> dict[str, str]:
    return {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT), **more}


@dataclass
class Child:
    """A rank of the trainer as a process of its own, and the file that it writes to."""

    process: BaseProcess
    output: Path

    @property
    def code(self) -> int | None:
        return self.process.exitcode


def context() -> Any:
    """Children are forked from a server that has imported all and run nothing: a start costs a
    moment instead of six seconds."""
    found = multiprocessing.get_context("forkserver")
    found.set_forkserver_preload(["trainer_runs", "torch", "torch._dynamo", "trainer.pretrain"])
    return found


def _child(arguments: list[str], world: dict[str, str], output: str, limit: int) -> None:
    os.environ.update(world)
    descriptor = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(descriptor, 1)
    os.dup2(descriptor, 2)
    if limit:
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
    torch.set_num_threads(1)
    sys.exit(main(arguments))


def begin(arguments: list[str], ranks: int = 1, limit: int = 0) -> list[Child]:
    """Start a process for each rank, with the environment that torchrun gives. `limit`: bytes that
    a file may have."""
    return begin_each([arguments] * ranks, limit)


def begin_each(commands: list[list[str]], limit: int = 0) -> list[Child]:
    """Start a process for each rank, each with a command of its own, as hosts have them."""
    ranks = len(commands)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    found = []
    for rank, arguments in enumerate(commands):
        world = (
            {
                "RANK": str(rank),
                "LOCAL_RANK": str(rank),
                "WORLD_SIZE": str(ranks),
                "MASTER_ADDR": "127.0.0.1",
                "MASTER_PORT": str(port),
            }
            if ranks > 1
            else {}
        )
        output = Path(tempfile.mkstemp(prefix="trainer-test-")[1])
        found.append(
            Child(
                context().Process(target=_child, args=(arguments, world, str(output), limit)),
                output,
            )
        )
        found[-1].process.start()
    return found


def finish(children: list[Child], timeout: float = 300) -> tuple[int | None, str]:
    """Exit code of rank 0 and what all ranks said."""
    for child in children:
        child.process.join(timeout)
        if child.code is None:
            child.process.kill()
            child.process.join()
    said = "\n".join(child.output.read_text() for child in children)
    for child in children:
        child.output.unlink()
    return children[0].code, said


def train(arguments: list[str], ranks: int = 1) -> None:
    """Train to the end; in this process where it is one."""
    if ranks == 1:
        assert main(arguments) == 0
    else:
        code, said = finish(begin(arguments, ranks))
        assert code == 0, said


def kill_at(arguments: list[str], run: Path, step: int, ranks: int) -> int:
    """Train until the log shows `step`, then SIGKILL every rank; returns the last step seen."""
    children = begin(arguments, ranks)
    while logged(run) < step and children[0].code is None:
        time.sleep(0.004)
    time.sleep(random.random() * 0.02)
    for child in children:
        child.process.kill()  # SIGKILL
    code, said = finish(children)
    assert code in (0, -signal.SIGKILL), said
    return logged(run)


def logged(run: Path) -> int:
    """The last step in the log of a run, 0 where there is none."""
    return max([line["step"] for line in log(run) if line["kind"] == "train"], default=0)


def log(run: Path) -> list[dict[str, Any]]:
    from trainer.log import read_log

    return read_log(run)


def losses(run: Path) -> list[float]:
    """The loss of each step, in order; a run that is logged at every step."""
    found = [(line["step"], line["loss"]) for line in log(run) if line["kind"] == "train"]
    assert [step for step, _ in found] == list(range(1, len(found) + 1))
    return [loss for _, loss in found]


def weights(run: Path, step: int, file: str = "model.safetensors") -> dict[str, torch.Tensor]:
    return safetensors.torch.load_file(run / "checkpoints" / f"step-{step:08d}" / file)


def same(a: dict[str, torch.Tensor], b: dict[str, torch.Tensor]) -> bool:
    return set(a) == set(b) and all(torch.equal(a[name], b[name]) for name in a)
