"""The functions of `pipelines.build` by their coming names, until they take a `Job` themselves."""

from pipelines import build as composition
from pipelines.stages.job import Job

_RUNS = {
    ("survey", "ingest"): composition.run_ingest,
    ("rules", "exact", "near"): composition.run_dedup,
    ("tokenizer",): composition.run_tokenizer,
    ("tokenize",): composition.run_tokenize,
}


def build(job: Job) -> None:
    """Run every stage."""
    composition.build(job.home.root, job.workers, list(job.beam_arguments), job.say)


def run_stages(job: Job, names: tuple[str, ...]) -> None:
    """Run the named stages."""
    _RUNS[names](job.home.root, job.workers, list(job.beam_arguments), job.say)


def write_url_tables(job: Job) -> None:
    """Survey the sources and write their tables of addresses."""
    composition.run_urls(job.home.root, job.workers, list(job.beam_arguments), job.say)
