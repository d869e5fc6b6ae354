"""The pool: a worker is one core's."""

import os
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
from tokenizers import Tokenizer, decoders, models, pre_tokenizers

from pipelines.engines import children
from pipelines.stages.encoder import fastest_encoder


@dataclass(frozen=True)
class EncodeTask:
    """Something to encode, for a child."""

    home: str
    tokenizer: str
    source: str = "a"
    name: str = "b"
    size: int = 0


def threads_that_encoded(task: EncodeTask) -> list[str]:
    """Encode enough for every thread that there is; the names of the threads that have used time
    since."""
    fastest_encoder(task.tokenizer)(
        ["The trophy does not fit in the brown suitcase because it is too big. " * 20] * 5000
    )
    folder = Path("/proc/self/task")
    stats = [(folder / thread / "stat").read_text() for thread in os.listdir(folder)]
    used = {
        line[line.index("(") + 1 : line.rindex(")")]: int(line[line.rindex(")") :].split()[12])
        for line in stats
    }
    return sorted(name for name, ticks in used.items() if ticks)


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_a_worker_encodes_with_one_thread(tmp_path: Path) -> None:
    tokenizer = Tokenizer(
        models.BPE(
            vocab={
                token: number
                for number, token in enumerate(sorted(pre_tokenizers.ByteLevel.alphabet()))
            },
            merges=[],
        )
    )
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.save(str(tmp_path / "tokenizer.json"))
    job = children.submit(
        1, threads_that_encoded, EncodeTask(str(tmp_path), str(tmp_path / "tokenizer.json"))
    )
    try:
        names = job.future.result(timeout=120)
        job.end()
    finally:
        children.stop()
    assert not [name for name in names if name.startswith(("fastokens", "tokio", "rayon"))]
