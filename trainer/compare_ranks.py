"""Do all ranks train one model? Rank 0's recipe is sent to the others; what their commands name and
the shards that they hold are compared, and a difference names the rank, its host and what differs.
"""

import dataclasses
import socket

from shards.errors import UserError
from shards.manifest import read_manifest
from trainer.data.samples import Data
from trainer.ranks import World
from trainer.run import Job

# How many ranks an error names.
MOST = 3

# How much of a digest tells two files apart, and can be read.
SHOWN = 16


def with_recipe_of_rank_0(job: Job, world: World) -> Job:
    """The job with rank 0's recipe, so that hosts need not share the folder of the run.

    Raises `UserError` on every rank where another rank's command names other settings.
    """
    told = (job.recipe, job.resume, job.init)
    recipe, resume, init = world.from_rank_0(lambda: told)

    settings = {**job.given, "--resume": job.resume, "--init": job.init}
    lines = [f"{name} {value!r}" for name, value in settings.items()]
    refuse_different(world, "settings", lines, "start every rank with the same command")
    return dataclasses.replace(job, recipe=recipe, resume=resume, init=init)


def refuse_other_shards(data: Data, world: World) -> None:
    """Raise `UserError` on every rank where the shards of one, in either split, are not those of
    rank 0."""
    lines = [f"tokenizer {data.tokenizer.digest[:SHOWN]}"]
    for directory in data.directories:
        for entry in read_manifest(directory).shards:
            lines.append(f"{entry.file} with digest {entry.digest[:SHOWN]}")
    hint = "give every host a copy of the same shards, named in the same order"
    refuse_different(world, "shards", lines, hint)


def refuse_micro_batch(micro: int, world: World) -> None:
    """Raise `UserError` on every rank where the micro-batch of one is not that of rank 0."""
    lines = [f"micro-batches of {micro}"]
    refuse_different(world, "micro-batches", lines, "start every rank with the same command")


def refuse_different(world: World, kind: str, lines: list[str], hint: str) -> None:
    """Raise `UserError` on every rank unless all of them have the same lines."""
    everyone = world.gather((socket.gethostname(), lines))
    first = everyone[0][1]

    faults = []
    for rank, (host, own) in enumerate(everyone):
        if own != first:
            difference = first_difference(own, first)
            faults.append(f"rank {rank} ({host}) has other {kind} than rank 0: {difference}")
    if not faults:
        return

    more = len(faults) - MOST
    named = faults[:MOST] + ([f"and {more} more ranks"] if more > 0 else [])
    # Where every rank sees the same, the first alone gives the hint.
    raise UserError("; ".join(named), hint if world.is_first else "")


def first_difference(own: list[str], first: list[str]) -> str:
    """The first line that one of two lists has and the other has not."""
    extra = [line for line in own if line not in first]
    missing = [line for line in first if line not in own]
    if not extra and not missing:
        return "the same in another order"
    return f"{extra[0] if extra else 'nothing'} instead of {missing[0] if missing else 'nothing'}"
