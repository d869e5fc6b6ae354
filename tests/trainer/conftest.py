# ruff: noqa: E402  (the path and the environment come first)
"""Kernels are compiled with bounds checks and a cache of their own; one thread, so that tests on a
busy machine end."""

import os
from collections.abc import Iterator
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import pytest
import torch

torch.set_num_threads(1)


@pytest.fixture(scope="session", autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """The index cache of the tests lies in a temporary folder."""
    before = os.environ.get("CORPUSMILL_CACHE")
    os.environ["CORPUSMILL_CACHE"] = str(tmp_path_factory.mktemp("cache"))
    yield
    if before is None:
        del os.environ["CORPUSMILL_CACHE"]
    else:
        os.environ["CORPUSMILL_CACHE"] = before


@pytest.fixture(scope="session")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Shards of two sources with patterns that a tiny model can learn. Read only."""
    from trainer_fixtures import random_shards

    return random_shards(tmp_path_factory.mktemp("small") / "shards")
