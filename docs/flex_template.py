"""A whole build as one pipeline that nobody waits for, as a Dataflow flex template requires.

docs/dataflow.md describes how to use it:

    python docs/flex_template.py --recipe=gs://BUCKET/recipe.toml --home=gs://BUCKET/home \\
        --runner=DataflowRunner ...

`corpus build` waits for each stage, counts the records after it and verifies the shards; a template
may not wait. When the job has ended, run `corpus status HOME`, `corpus stats HOME` and
`corpus verify HOME`.
"""

import argparse
import sys

import apache_beam as beam

from pipelines.beam import (
    Deduplicate,
    DeduplicateNear,
    Ingest,
    Measure,
    Tokenize,
    TrainTokenizer,
    options,
)
from pipelines.home.layout import Home, write_recipe
from pipelines.recipe import parse_recipe
from shards.storage import files


def main(arguments: list[str]) -> None:
    """Make the folder a home and start the pipeline; all other arguments are Beam's."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--recipe", required=True, help="a .toml file with absolute inputs")
    parser.add_argument("--home", required=True, help="the output; every worker must reach it")
    ours, for_beam = parser.parse_known_args(arguments)

    text = files.read_bytes(ours.recipe).decode()
    folder = ours.recipe.rpartition("/")[0]
    write_recipe(Home(ours.home), parse_recipe(text, ours.recipe, folder))

    pipeline = beam.Pipeline(options=options(for_beam))
    documents = pipeline | Ingest(ours.home) | Measure(ours.home)
    kept = documents | Deduplicate(ours.home) | DeduplicateNear(ours.home)
    kept | TrainTokenizer(ours.home) | Tokenize(ours.home)
    pipeline.run()  # does not wait: the launcher ends, and the service continues


if __name__ == "__main__":
    main(sys.argv[1:])
