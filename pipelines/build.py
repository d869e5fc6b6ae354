"""The composition: read this first. `build` runs the stages one after the other, each a Beam
pipeline.

    (survey) -> ingest -> dedup -> train-tokenizer -> tokenize -> verify

Each stage does only what its fingerprints say is not done. After each the records are counted:
every one must be somewhere (law 4).
"""

import shutil
import time
from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from corpora.document import SourceOptions
from corpora.sources import load_source, survey_of
from pipelines.engines.engine import engine_of
from pipelines.home import layout as homes
from pipelines.home.decisions import RULES, removed_by_rule, removed_count, removing_stages
from pipelines.home.layout import Home, open_home
from pipelines.home.set_aside import slices_aside
from pipelines.home.summaries import Summary, bulk, read_summary, summaries
from pipelines.look.cards import write_shards_card
from pipelines.recipe import Recipe
from pipelines.stages import (
    exact,
    ingest,
    rules,
    shards,
    survey,
    tokenize,
    train_tokenizer,
    url_table,
)
from pipelines.stages.near import groups
from pipelines.stages.near.bands import band_scheme, s_curve, thresholds
from pipelines.stages.near.groups import PAIRS, RECORD, SCORES
from pipelines.stages.near.guard import guard
from pipelines.wording import several
from shards.errors import UserError
from shards.storage import files
from shards.verify import verify

DAMAGE = ("damaged", "truncated", "unreadable")
"""Reasons of rejects that speak of a file, not of a record."""

SAID_MARKS = 4
"""Marks of documents that are said, the most frequent ones."""

Say = Callable[[str], None]


def build(home_root: str, num_workers: int, beam_arguments: list[str], say: Say) -> None:
    """Everything, from the sources to verified shards; the home's recipe is written. Raises
    `UserError`.

    With Beam's `--output_executable_path` only the jar is written that does it all; the same
    command without that option then finds everything done, and checks it.
    """
    jar = engine_of(beam_arguments).jar
    if jar:
        from pipelines.engines.transforms import Build

        _run(home_root, Build, num_workers, beam_arguments)
        say(
            f"wrote {jar}: submit it (spark-submit {jar}), then run this command again without --output_executable_path: it checks the accounts and verifies"
        )
        return
    run_ingest(home_root, num_workers, beam_arguments, say)
    run_dedup(home_root, num_workers, beam_arguments, say)
    run_tokenizer(home_root, num_workers, beam_arguments, say)
    run_tokenize(home_root, num_workers, beam_arguments, say)
    faults = verify(files.join(home_root, "shards"))
    if faults:
        raise UserError(f"{home_root}: {faults[0]}", f"corpus verify {home_root}", 1)
    say(f"verify: {files.join(home_root, 'shards')} is whole")
    _complain_of_aside(home_root)


def run_ingest(home_root: str, num_workers: int, beam_arguments: list[str], say: Say) -> None:
    """Sources to documents and rejects; those that are read twice are surveyed first."""
    from pipelines.engines.transforms import Ingest

    home, recipe = open_home(home_root)
    for name in survey.surveyed(
        recipe
    ):  # what the second reading cannot find is said before the first, which may take hours
        list(load_source(recipe.sources[name].kind).slices(recipe.sources[name]))
    run_survey(home_root, num_workers, beam_arguments, say)
    stored = [
        options for name, options in recipe.sources.items() if name not in survey.surveyed(recipe)
    ]  # of the others who knows how little
    _check_disk(home, sum(map(options_bytes, stored)) // 2, "half the bytes of the inputs")
    _run(home_root, Ingest, num_workers, beam_arguments)
    _say_aside(home_root, (ingest.STAGE,), say)
    ingested = _by_source(home, ingest.STAGE, recipe)
    for name, found in ingested.items():
        records, documents = (
            sum(summary.counts[key] for summary in found) for key in ("records", "documents")
        )
        rejects = _sums(summary.rejects for summary in found)
        _account(f"{name}: records", records, documents + sum(rejects.values()))
        say(
            f"ingest {name}: {several(records, 'record')}, {several(documents, 'document')}{_listed(rejects)}"
        )
        if marks := _sums(summary.marks for summary in found):
            most = dict(sorted(marks.items(), key=lambda item: (-item[1], item[0]))[:SAID_MARKS])
            more = (
                f" and {len(marks) - len(most)} other marks: corpus stats {home_root}"
                if len(marks) > len(most)
                else ""
            )
            say(f"ingest {name}: of the documents{_listed(most)}{more}")
        if (
            records
            and set(rejects) <= {*DAMAGE, "unknown_format", "not_an_archive", "not_a_dump"}
            and not documents
        ):
            say(
                f"warning: {name}: nothing in its {several(len(found), 'slice')} could be read; corpus show {home_root} --rejects --source {name}"
            )
    if not any(summary.counts["documents"] for found in ingested.values() for summary in found):
        raise UserError(
            f"{home_root}: no input could be read: not one document",
            f"corpus show {home_root} --rejects",
        )


def run_survey(home_root: str, num_workers: int, beam_arguments: list[str], say: Say) -> None:
    """The first reading of the sources that are read twice. One slice less would come to something
    else: it ends the build."""
    from pipelines.engines.transforms import SURVEY_STEPS, Survey

    home, recipe = open_home(home_root)
    survey.forget(home, recipe)
    if not survey.surveyed(recipe):
        return
    before = {
        name: read_summary(home.summary(homes.CONCLUSION, name, homes.CONCLUSION))
        for name in survey.surveyed(recipe)
    }
    _run(home_root, Survey, num_workers, beam_arguments)
    _stop_if_aside(home_root, SURVEY_STEPS, say)
    for name, last in before.items():
        found, concluded = (
            summaries(home, survey.STAGE, name),
            read_summary(home.summary(homes.CONCLUSION, name, homes.CONCLUSION)),
        )
        assert concluded is not None
        if last and last.output != concluded.output and files.exists(url_table.table(home, name)):
            url_table.write_table(home, name)  # never stale
        records, passed = (
            sum(summary.counts[key] for summary in found) for key in ("records", "passed")
        )
        rejects = _sums(summary.rejects for summary in found)
        _account(f"{name}: records surveyed", records, passed + sum(rejects.values()))
        say(
            f"survey {name}: {records:,} records, {passed:,} passed{_listed(rejects | concluded.counts)}"
        )
        for summary in found:
            damage = {
                reason: count for reason, count in summary.rejects.items() if reason in DAMAGE
            }
            if damage:
                say(
                    f"warning: {name}: in {summary.path}, or the files after it of its slice{_listed(damage)}"
                )


def run_urls(home_root: str, num_workers: int, beam_arguments: list[str], say: Say) -> None:
    """Survey the sources and write `urls/NAME.csv` for each that reads submissions. Raises
    `UserError` where none does or none links."""
    home, recipe = open_home(home_root)
    wanted = [
        name
        for name, options in recipe.sources.items()
        if options.kind == "openwebtext" and survey_of(options)
    ]
    if not wanted:
        raise UserError(
            "no source of this recipe reads submissions",
            'set kind = "openwebtext" and source = "reddit"',
        )
    run_survey(home_root, num_workers, beam_arguments, say)
    for name in wanted:
        count = url_table.write_table(home, name)
        say(f"urls {name}: {count:,} addresses in {url_table.table(home, name)}")
        if not count:
            raise UserError(
                f"sources.{name}.input: not one wanted link in it",
                'is it dumps of submissions, JSON lines or CSV? The release is read with source = "release"',
            )


def _sums(counted: Iterable[dict[str, int]]) -> dict[str, int]:
    """The sums by key, in the order of the keys."""
    total = Counter[str]()
    for counts in counted:
        total.update(counts)
    return dict(sorted(total.items()))


def _listed(counts: dict[str, int]) -> str:
    return "".join(f", {count:,} {reason}" for reason, count in counts.items())


def run_dedup(home_root: str, num_workers: int, beam_arguments: list[str], say: Say) -> None:
    """What the rules remove and which documents are copies, exact and near, proposed; stops when
    too many of a source would go."""
    _run_rules(home_root, num_workers, beam_arguments, say)
    _, recipe = open_home(home_root)
    if not recipe.dedup.exact and not recipe.dedup.near:
        say("dedup: off")
    if recipe.dedup.exact:
        _run_exact(home_root, num_workers, beam_arguments, say)
    if recipe.dedup.near:
        _run_near(home_root, num_workers, beam_arguments, say)


def _run_exact(home_root: str, num_workers: int, beam_arguments: list[str], say: Say) -> None:
    from pipelines.engines.transforms import Deduplicate

    home, recipe = open_home(home_root)
    _run(home_root, Deduplicate, num_workers, beam_arguments)
    _stop_if_aside(home_root, (exact.KEYS,), say)
    ingested, decided = (
        _by_source(home, ingest.STAGE, recipe),
        _by_source(home, exact.STAGE, recipe),
    )
    for name, of_source in decided.items():
        documents, removed = (
            sum(summary.counts[key] for summary in of_source) for key in ("documents", "removed")
        )
        _account(
            f"{name}: documents",
            sum(summary.counts["documents"] for summary in ingested[name]),
            documents,
        )
        _account(
            f"{name}: copies and their twins",
            removed,
            sum(sum(summary.twins_in.values()) for summary in of_source),
        )
        say(f"dedup {name}: {removed:,} of {documents:,} documents are copies")
    exact.guard(home, recipe, [summary for found in decided.values() for summary in found])


def _run_near(home_root: str, num_workers: int, beam_arguments: list[str], say: Say) -> None:
    from pipelines.engines.transforms import NEAR_STEPS, DeduplicateNear

    home, recipe = open_home(home_root)
    bands, rows = band_scheme(min(thresholds(recipe).values()))
    say(f"near: {s_curve(bands, rows)}")
    documents, size = (
        sum(summary.counts[key] for summary in summaries(home, ingest.STAGE))
        for key in ("documents", "bytes")
    )
    keys = bands * RECORD.itemsize
    _check_disk(
        home,
        keys * documents + size // 2,
        f"{keys} bytes a document and half a byte a byte of text",
    )
    _run(home_root, DeduplicateNear, num_workers, beam_arguments)
    _stop_if_aside(home_root, NEAR_STEPS, say)
    proposed, scored = summaries(home, PAIRS), summaries(home, SCORES)
    left_out, compared = (
        sum(summary.counts["left_out"] for summary in proposed),
        sum(summary.counts["compared"] for summary in scored),
    )
    say(
        f"near: {several(compared, 'pair')} compared"
        + (f", {left_out:,} of long runs left out" if left_out else "")
    )
    found = summaries(home, groups.STAGE)
    for name in recipe.sources:
        of_source = [summary for summary in found if summary.source == name]
        documents, removed, contained = (
            sum(summary.counts[key] for summary in of_source)
            for key in ("documents", "removed", "contained")
        )
        _account(
            f"{name}: documents",
            sum(summary.counts["documents"] for summary in summaries(home, ingest.STAGE, name)),
            documents,
        )
        _account(
            f"{name}: near-copies and their twins",
            removed,
            sum(sum(summary.twins_in.values()) for summary in of_source),
        )
        say(
            f"near {name}: {removed:,} of {documents:,} documents are near-copies"
            + (f", {contained:,} of them contained in another" if contained else "")
        )
    guard(home, recipe, found, say)


def _run_rules(home_root: str, num_workers: int, beam_arguments: list[str], say: Say) -> None:
    """Measures, for the sources that have rules."""
    from pipelines.engines.transforms import Measure

    home, recipe = open_home(home_root)
    if RULES not in removing_stages(recipe):
        return
    _run(home_root, Measure, num_workers, beam_arguments)
    _stop_if_aside(home_root, (rules.STAGE,), say)
    for name in recipe.sources:
        if RULES not in removing_stages(recipe, source=name):
            continue
        found, ingested, read = (
            summaries(home, rules.STAGE, name),
            summaries(home, ingest.STAGE, name),
            bulk(home),
        )
        documents = sum(summary.counts["documents"] for summary in ingested)
        _account(
            f"{name}: documents", documents, sum(summary.counts["documents"] for summary in found)
        )
        removed: dict[str, int] = {}
        for summary in ingested:
            for rule, count in removed_by_rule(home, recipe, summary, read).items():
                removed[rule] = removed.get(rule, 0) + count
        total = sum(removed.values())
        by_rule = "".join(
            f", {count:,} {rule}"
            for rule, count in sorted(removed.items(), key=lambda item: -item[1])
        )
        say(f"rules {name}: {total:,} of {documents:,} documents go{by_rule}")
        if 2 * total > documents:
            say(
                f"warning: {name}: the rules remove more than half; corpus show {home_root} --removed --source {name}"
            )


def run_tokenizer(home_root: str, num_workers: int, beam_arguments: list[str], say: Say) -> None:
    """The vocabulary."""
    from pipelines.engines.transforms import TrainTokenizer

    _run(home_root, TrainTokenizer, num_workers, beam_arguments)
    _stop_if_aside(home_root, (train_tokenizer.SAMPLE,), say)
    summary = read_summary(Home(home_root).summary(train_tokenizer.STAGE, "all", "tokenizer"))
    assert summary is not None
    size, wanted = summary.counts["vocab_size"], summary.counts["wanted"]
    if size < wanted:
        say(f"warning: the text has merges for a vocabulary of {size:,}, not of {wanted:,}")
    say(f"tokenizer: {size:,} ids")


def run_tokenize(home_root: str, num_workers: int, beam_arguments: list[str], say: Say) -> None:
    """Kept documents to shards and their manifest."""
    from pipelines.engines.transforms import Tokenize

    home, recipe = open_home(home_root)
    ingested = _by_source(home, ingest.STAGE, recipe)
    _check_disk(
        home,
        sum(summary.counts["bytes"] for found in ingested.values() for summary in found),
        "one byte a byte of text",
    )
    _run(home_root, Tokenize, num_workers, beam_arguments)
    _stop_if_aside(home_root, (tokenize.STAGE, shards.STAGE), say)
    read = bulk(home)
    for name in recipe.sources:
        encoded, written = (
            summaries(home, tokenize.STAGE, name),
            summaries(home, shards.STAGE, name),
        )
        kept, tokens = (
            sum(summary.counts[key] for summary in encoded) for key in ("kept", "tokens")
        )
        documents = sum(summary.counts["documents"] for summary in ingested[name])
        removed = sum(
            removed_count(home, recipe, stage, summary, read)
            for stage in removing_stages(recipe, source=name)
            for summary in ingested[name]
        )
        _account(f"{name}: documents", documents, kept + removed)
        _account(
            f"{name}: kept documents", kept, sum(summary.counts["documents"] for summary in written)
        )
        _account(f"{name}: tokens", tokens, sum(summary.counts["tokens"] for summary in written))
        say(
            f"tokenize {name}: {several(kept, 'document')} kept, {several(tokens, 'token')} in {several(len(written), 'shard')}"
        )
    write_shards_card(home, recipe)


def _run(home_root: str, stage: Any, num_workers: int, beam_arguments: list[str]) -> None:
    from pipelines.engines.run import run_stage
    from pipelines.engines.transforms import Build

    if stage is not Build and engine_of(beam_arguments).jar:
        raise UserError(
            "--output_executable_path: a jar holds a whole build",
            "corpus build RECIPE --home DIR --output_executable_path=APP.jar ...",
        )
    run_stage(home_root, stage, num_workers, beam_arguments)


def options_bytes(options: SourceOptions) -> int:
    """Bytes of a source's input, as far as they are known."""
    return sum(piece.bytes for piece in load_source(options.kind).slices(options))


def _check_disk(home: Home, needed: int, reckoning: str) -> None:
    """Stop before the work when the disk cannot hold what it will write. Raises `UserError` (exit
    3). What is there already is counted as room, since it is written over."""
    if files.is_remote(home.root):
        return
    free = shutil.disk_usage(home.root).free
    there = sum(
        path.stat().st_size
        for name in ("documents", "work", "shards")
        for path in Path(home.file(name)).rglob("*")
        if path.is_file()
    )
    if needed > free + there:
        raise UserError(
            f"{home.root}: {free + there:,} bytes free, about {needed:,} needed ({reckoning})",
            "make room, or name a home on another disk",
            3,
        )


def _stop_if_aside(home_root: str, stages: tuple[str, ...], say: Say) -> None:
    """After ingest every document must go through every stage: a slice set aside there ends the
    build. The others are done."""
    if _say_aside(home_root, stages, say):
        _complain_of_aside(home_root)


def _say_aside(home_root: str, stages: tuple[str, ...], say: Say) -> list[dict[str, str]]:
    """Name the slices of these stages that failed at every try."""
    found = [note for note in slices_aside(Home(home_root)) if note["stage"] in stages]
    for note in found:
        at = f", in or after {note['record']}" if note["record"] else ""
        say(f"set aside: {note['stage']} {note['source']}/{note['slice']}: {note['why']}{at}")
    return found


def _complain_of_aside(home_root: str) -> None:
    found = slices_aside(Home(home_root))
    if found:
        what = f"{several(len(found), 'slice')} set aside, first {found[0]['stage']} {found[0]['source']}/{found[0]['slice']}"
        raise UserError(
            f"{home_root}: {what}: {found[0]['why']}",
            f"corpus status {home_root} says more; the same command tries them again and completes the build",
            1,
        )


def _by_source(home: Home, stage: str, recipe: Recipe) -> dict[str, list[Summary]]:
    """The summaries of a stage, read once: of 100,000 slices that takes its time."""
    return {name: summaries(home, stage, name) for name in recipe.sources}


def _account(what: str, expected: int, found: int) -> None:
    if expected != found:
        raise RuntimeError(f"{what}: {expected} went in and {found} came out: a bug in corpusmill")


def seconds_since(start: float) -> str:
    """A duration for people."""
    return f"{time.monotonic() - start:.1f} s"
