"""All of a build as one pipeline that is started and left alone, as a Dataflow flex template must
be: docs/dataflow.md.

    python docs/flex_template.py --recipe=gs://BUCKET/recipe.toml --home=gs://BUCKET/home
--runner=DataflowRunner ...

`corpus build` waits for each stage, counts the records after it and verifies the shards; a template
may not wait. Do that when the job has ended: corpus status HOME, corpus stats HOME, corpus verify
HOME.
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
    """Make the folder a home and start the pipeline; what is not ours goes to Beam."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--recipe", required=True, help="a .toml file, best with absolute inputs")
    parser.add_argument(
        "--home", required=True, help="where everything goes; workers must reach it"
    )
    ours, for_beam = parser.parse_known_args(arguments)
    recipe = parse_recipe(
        files.read_bytes(ours.recipe).decode(), ours.recipe, ours.recipe.rpartition("/")[0]
    )
    write_recipe(Home(ours.home), recipe)
    pipeline = beam.Pipeline(options=options(for_beam))
    documents = pipeline | Ingest(ours.home) | Measure(ours.home)
    kept = documents | Deduplicate(ours.home) | DeduplicateNear(ours.home)
    kept | TrainTokenizer(ours.home) | Tokenize(ours.home)
    pipeline.run()  # not waited for: the launcher ends, and the service goes on


if __name__ == "__main__":
    main(sys.argv[1:])
