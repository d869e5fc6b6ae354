"""The composition: read this first.

    survey -> ingest -> rules -> exact -> near -> tokenizer -> tokenize -> verify

A build runs its stages one after the other, each as a Beam pipeline (`pipelines.engines.run`). A
stage does only what its fingerprints say is not done yet. After each, every record is accounted
for: it must be somewhere (law 4). What a stage is, `pipelines/stages/stage.py` says.
"""

from corpora.sources import survey_of
from pipelines.engines.engine import engine_of
from pipelines.home.layout import INGEST, SURVEY, TOKENIZE
from pipelines.home.set_aside import complain_of_aside, slices_aside
from pipelines.look.cards import write_shards_card
from pipelines.stages import url_table
from pipelines.stages.forget import complete_forgetting
from pipelines.stages.job import Job
from pipelines.stages.stage import Stage
from pipelines.stages.table import STAGES
from shards.errors import UserError
from shards.verify import verify

ALL = tuple(stage.name for stage in STAGES)


def build(job: Job) -> None:
    """Everything, from the sources to verified shards. Raises `UserError`.

    With Beam's `--output_executable_path` this only writes a jar that does it all; the same command
    without that option then finds everything done, and checks it.
    """
    jar = engine_of(job.beam_arguments).jar
    if jar:
        write_jar(job, jar)
        return

    run_stages(job, ALL)
    check_shards(job)


def check_shards(job: Job) -> None:
    """Verify the shards of a build that has ended. Raises `UserError`.

    They are read again from the disk: what is there, not what was meant to be written.
    """
    shards = job.home.file("shards")
    faults = verify(shards)
    if faults:
        raise UserError(f"{job.home.root}: {faults[0]}", f"corpus verify {job.home.quoted}", 1)

    job.say(f"verify: {shards} is whole")
    complain_of_aside(job.home)


def run_stages(job: Job, names: tuple[str, ...]) -> None:
    """Run the named stages that the recipe asks for, in order. Raises `UserError`."""
    # Beam takes seconds to import, which `corpus --help` need not wait for.
    from pipelines.engines.run import run_stage

    if engine_of(job.beam_arguments).jar:
        raise UserError(
            "--output_executable_path: a jar holds a whole build",
            "corpus build RECIPE --home DIR --output_executable_path=APP.jar ...",
        )

    complete_forgetting(job)

    # What a later reading cannot find is said now, not after a survey of hours.
    if INGEST in names:
        for source in job.recipe.sources:
            job.slices(source)

    for stage in STAGES:
        if stage.name in names and is_on(job, stage):
            stage.prepare(job)
            run_stage(job, stage)
            check_aside(job, stage)
            stage.account(job)

    # The card belongs to the output: it is written anew with every change of the shards.
    if TOKENIZE in names:
        write_shards_card(job.home, job.recipe)


def is_on(job: Job, stage: Stage) -> bool:
    """Whether the recipe asks for a stage; says so where it is switched off."""
    if stage.wanted(job.recipe):
        return True
    if stage.off:
        job.say(stage.off)
    return False


def write_jar(job: Job, jar: str) -> None:
    """Write a jar that does the whole build. Raises `UserError`."""
    from pipelines.engines.run import run_build

    run_build(job, STAGES)
    job.say(
        f"wrote {jar}: submit it (spark-submit {jar}), then run this command again without "
        "--output_executable_path: it checks the accounts and verifies the shards"
    )


def write_url_tables(job: Job) -> None:
    """Survey the sources and write `urls/NAME.csv` for each that reads submissions.

    Raises `UserError` where no source does, or none of them links to anything.
    """
    wanted = [
        name
        for name, options in job.recipe.sources.items()
        if options.kind == "openwebtext" and survey_of(options)
    ]
    if not wanted:
        raise UserError(
            "no source of this recipe reads submissions",
            'set kind = "openwebtext" and source = "reddit"',
        )

    run_stages(job, (SURVEY,))
    for name in wanted:
        count = url_table.write_table(job.home, name)
        job.say(f"urls {name}: {count:,} addresses in {url_table.table(job.home, name)}")
        if not count:
            raise UserError(
                f"sources.{name}.input: not one wanted link in it",
                "is it dumps of submissions, JSON lines or CSV? "
                'The release is read with source = "release"',
            )


def check_aside(job: Job, stage: Stage) -> None:
    """Name the slices of a stage that failed at every try, and stop where the next stage needs all
    of them. Raises `UserError` (exit 1)."""
    passes = [step.name for step in stage.passes]
    aside = [note for note in slices_aside(job.home) if note.stage in passes]
    for note in aside:
        at = f", in or after {note.record}" if note.record else ""
        job.say(f"set aside: {note.name}: {note.why}{at}")

    if aside and not stage.loses_slices:
        complain_of_aside(job.home)
