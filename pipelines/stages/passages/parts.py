"""Tasks over a part of all keys, by their top bits."""

import json
from dataclasses import dataclass

from pipelines.home.layout import PASSAGES, Home, recipe_key
from pipelines.home.summaries import Summary, prune
from pipelines.recipe import Recipe
from pipelines.stages.near.groups import write_if_new
from pipelines.stages.passages.keys import TOPS
from shards.storage import files


@dataclass(frozen=True, kw_only=True)
class PartTask:
    """The part `part` of `parts` of the keys. `recipe` is the `recipe_key` of the recipe it was
    planned by."""

    home: str
    recipe: str
    part: int
    parts: int
    size: int
    fingerprint: str
    source: str = "all"

    @property
    def name(self) -> str:
        """Of its file and summary."""
        return f"{self.part:03d}-of-{self.parts:03d}"

    @property
    def key(self) -> tuple[str, int]:
        """Its name stands for its place."""
        return self.name, 0

    @property
    def tops(self) -> tuple[int, int]:
        """The top bytes of its keys: the first, and the one after the last."""
        return tops_of(self.part, self.parts)


def tops_of(part: int, parts: int) -> tuple[int, int]:
    """The top bytes of a part of the keys: the first, and the one after the last."""
    return TOPS * part // parts, TOPS * (part + 1) // parts


def part_tasks(
    home: Home, recipe: Recipe, stage: str, keys: tuple[int, int], fingerprint: str
) -> list[PartTask]:
    """The tasks of a pass over all keys; removes the files of other divisions. `keys`: how many
    there are, and how many a task shall take."""
    count, most = keys
    # A power of two, so that a part is a whole number of top bytes.
    parts = 1
    while parts * most < count and parts < TOPS:
        parts *= 2

    tasks = []
    for part in range(parts):
        task = PartTask(
            home=home.root,
            recipe=recipe_key(recipe),
            part=part,
            parts=parts,
            size=count // parts,
            fingerprint=fingerprint,
        )
        tasks.append(task)
    prune(home, stage, {("all", task.name) for task in tasks}, (f"work/{stage}",))
    return tasks


def list_slices(home: Home, slices: list[Summary]) -> list[tuple[str, str]]:
    """Store (source, slice) of those whose passages are compared, in order, for the tasks."""
    listed = [(summary.source, summary.slice) for summary in slices]
    write_if_new(home.file("work", PASSAGES, "slices.json"), json.dumps(listed).encode())
    return listed


def listed_slices(home: Home) -> list[tuple[str, str]]:
    """(source, slice) of those whose passages are compared, in order."""
    content = json.loads(files.read_bytes(home.file("work", PASSAGES, "slices.json")))
    return [(source, name) for source, name in content]
