"""datatrove's four steps of MinHash deduplication over FOLDER/in/*.jsonl, in an interpreter that
has it: bench_near.py runs this."""

import shutil
import sys

from datatrove.executor.local import LocalPipelineExecutor
from datatrove.pipeline.dedup import MinhashDedupSignature
from datatrove.pipeline.dedup.minhash import (
    MinhashConfig,
    MinhashDedupBuckets,
    MinhashDedupCluster,
    MinhashDedupFilter,
)
from datatrove.pipeline.readers import JsonlReader
from datatrove.pipeline.writers.jsonl import JsonlWriter


def main(folder: str) -> None:
    """Run them, two tasks at once where a step allows it."""
    for gone in ("signatures", "buckets", "remove", "out"):
        shutil.rmtree(f"{folder}/{gone}", ignore_errors=True)
    config = MinhashConfig()
    steps = [
        (
            [
                JsonlReader(f"{folder}/in"),
                MinhashDedupSignature(f"{folder}/signatures", config=config),
            ],
            2,
        ),
        (
            [MinhashDedupBuckets(f"{folder}/signatures", f"{folder}/buckets", config=config)],
            config.num_buckets,
        ),
        ([MinhashDedupCluster(f"{folder}/buckets", f"{folder}/remove", config=config)], 1),
        (
            [
                JsonlReader(f"{folder}/in"),
                MinhashDedupFilter(f"{folder}/remove"),
                JsonlWriter(f"{folder}/out"),
            ],
            2,
        ),
    ]
    for pipeline, tasks in steps:
        LocalPipelineExecutor(
            pipeline=pipeline,
            tasks=tasks,
            workers=2,
            skip_completed=False,
            logging_dir=f"{folder}/logs",
        ).run()


if __name__ == "__main__":
    main(sys.argv[1])
