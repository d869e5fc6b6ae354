"""What a build will take: hours, disk and memory for so many cores, before anything is read.

Estimates, by rates that were measured on one machine and stand in docs/scale.md; nothing of a
build depends on them.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pipelines.wording import amount, duration

if TYPE_CHECKING:
    from corpora.document import Slice
    from pipelines.recipe import ExpectedConfig, Recipe

DOCUMENT_BYTES = 2_000
"""Bytes of text of a document, on average: the assumption of docs/scale.md."""

RULES = 35e6
EXACT = 1 / (1 / 78e6 + 1 / 129e6)
NEAR = DOCUMENT_BYTES / 22e-6
SAMPLE = 64e6
COUNTED = 38e6
TOKENS = 44e6
SHARDS = 230e6
"""Bytes of text per core-second of each stage, as the rates above."""

VOCABULARY = 5e6 / 1.2
"""Bytes of the sample per second, on the one core that trains the vocabulary."""

TRAINED = 57e6
"""The same where the words of all text are counted: 71 MB of English in 1.3 s. An upper bound for
more text, since the distinct words grow with about its root."""

DISK = 1.7
"""Bytes of a home for each byte of text: documents .5, shards .6, their tokens in `work/` .6."""

DISK_NEAR = 0.8
"""More of them with near-deduplication: signatures .25, shingles .55."""

CHILD = 500_000_000
"""Memory of a child process at most, unless it writes a shard."""

BASE = 300_000_000
"""Memory of the process that plans."""

DOCUMENT_MEMORY = 150
"""Bytes that the runner of one machine holds of each document in exact dedup, at most."""


@dataclass(frozen=True, kw_only=True)
class Rate:
    """How one kind of source is read.

    `text`: bytes of text per core-second; `share`: bytes of text for each inflated byte of input;
    `inflates`: inflated bytes for each stored one of a compressed file.
    """

    text: float
    share: float
    inflates: float = 3.0


RATES = {
    "files": Rate(text=30e6, share=1.0),
    "books": Rate(text=7e6, share=1.0, inflates=2.5),
    "wikipedia": Rate(text=12e9 / (6 * 3600), share=12 / 70, inflates=70 / 16),
    "cc_news": Rate(text=76e9 / (300 * 3600), share=76 / 4500, inflates=1.0),
    "stories": Rate(text=31e9 / (600 * 3600), share=31 / 7610, inflates=1.0),
    "openwebtext": Rate(text=11e6, share=39_769 / 12_880, inflates=1.0),
}
"""By kind. For those whose inputs are always compressed the share is that of the stored bytes.
docs/scale.md has the table."""

PAGES = RATES["cc_news"]
"""For openwebtext that is rebuilt from archives of pages."""

COMPRESSED = (".epub", ".zip", ".7z", ".tgz", ".parquet")
"""Endings of files that are compressed, beside those of `corpora.inputs.find.COMPRESSIONS`."""


@dataclass(frozen=True, kw_only=True)
class Load:
    """What a source gives to do: bytes of text, core-seconds of ingest, and those of its largest
    slice, which one core does alone. `measured` by rules of quality or not."""

    text_bytes: float
    seconds: float
    longest: float
    measured: bool


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """What a build takes on `workers` cores: hours by the clock, bytes of disk below the home, and
    bytes of memory."""

    workers: int
    hours: float
    core_hours_of_ingest: float
    core_hours_after: float
    text_bytes: int
    disk_bytes: int
    memory_bytes: int


def load_of(
    recipe: "Recipe", name: str, slices: "list[Slice]", expected: "ExpectedConfig | None"
) -> Load:
    """What a source gives to do: by what the recipe expects of it, else by the rate of its kind.

    Where no input is there yet, it is the whole input that the recipe expects.
    """
    from corpora.quality.rules import is_measured

    options = recipe.sources[name]
    rate = RATES.get(options.kind, RATES["files"])
    if getattr(options, "source", None) == "reddit":
        rate = PAGES

    sizes = [_text_of(piece, rate) for piece in slices]
    text = sum(sizes)
    seconds = text / rate.text
    stored = sum(piece.bytes for piece in slices)
    if expected is not None and expected.input_bytes:
        part_there = stored / expected.input_bytes if stored else 1.0
        if expected.text_bytes:
            text = expected.text_bytes * part_there
        if expected.core_hours:
            seconds = 3600 * expected.core_hours * part_there

    share = max(sizes, default=0.0) / sum(sizes) if sum(sizes) else 0.0
    return Load(
        text_bytes=text,
        seconds=seconds,
        longest=seconds * share,
        measured=is_measured(options.rules),
    )


def _text_of(piece: "Slice", rate: Rate) -> float:
    """About how many bytes of text a slice holds."""
    from corpora.inputs.find import COMPRESSIONS

    text = 0.0
    for part in piece.parts:
        is_compressed = part.path.lower().endswith((*COMPRESSIONS, *COMPRESSED))
        text += part.bytes * rate.share * (rate.inflates if is_compressed else 1.0)
    return text


def estimate(recipe: "Recipe", loads: Iterable[Load], workers: int) -> Estimate:
    """What a build takes on `workers` cores of one machine."""
    found = list(loads)
    text = sum(load.text_bytes for load in found)
    ingest = sum(load.seconds for load in found)
    measured = sum(load.text_bytes for load in found if load.measured)

    after = measured / RULES + text / TOKENS + text / SHARDS
    if recipe.dedup.exact:
        after += text / EXACT
    if recipe.dedup.near:
        after += text / NEAR

    alone = 0.0
    if recipe.tokenizer.path is None:
        asked = recipe.tokenizer.sample_bytes
        if isinstance(asked, int):
            after += text / SAMPLE
            alone = min(text, asked) / VOCABULARY
        else:
            after += text / COUNTED
            alone = text / TRAINED

    # a slice is done by one core, however many there are
    longest = max((load.longest for load in found), default=0.0)
    seconds = max(ingest / workers, longest) + after / workers + alone
    disk = DISK + (DISK_NEAR if recipe.dedup.near else 0.0)
    documents = text / DOCUMENT_BYTES
    return Estimate(
        workers=workers,
        hours=round(seconds / 3600, 4),
        core_hours_of_ingest=round(ingest / 3600, 4),
        core_hours_after=round((after + alone) / 3600, 4),
        text_bytes=round(text),
        disk_bytes=round(disk * text),
        memory_bytes=round(BASE + workers * CHILD + documents * DOCUMENT_MEMORY),
    )


def lines(found: Estimate) -> Iterable[str]:
    """The estimate for a person."""
    cores = "1 core" if found.workers == 1 else f"{found.workers} cores"
    yield (
        f"estimate for {cores} (--workers {found.workers}): {_about(3600 * found.hours)}, "
        f"{amount(found.disk_bytes)} of disk, {amount(found.memory_bytes)} of memory"
    )
    yield (
        f"  ingest {_core_hours(found.core_hours_of_ingest)}, later stages "
        f"{_core_hours(found.core_hours_after)}, {amount(found.text_bytes)} of text; by the rates "
        "of docs/scale.md, measured on one machine: another may be twice as fast or half"
    )


def _core_hours(hours: float) -> str:
    if hours < 0.1:
        return "below 0.1 core-hours"
    return f"{hours:,.0f} core-hours" if hours >= 10 else f"{hours:.1f} core-hours"


def _about(seconds: float) -> str:
    return duration(seconds) if seconds >= 60 else "less than a minute"
