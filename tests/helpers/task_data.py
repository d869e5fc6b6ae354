"""The official files of GLUE, SQuAD and RACE: of the test data, unpacked once."""

import functools
import tarfile
import tempfile
from pathlib import Path

import pytest
from realdata import data_file

_ARCHIVES = {
    "glue_data": "glue/glue_data.tar.xz",
    "squad": "squad/squad_excerpt.tar.xz",
    "RACE": "race/RACE_excerpt.tar.xz",
}


@functools.cache
def _unpacked(name: str) -> tempfile.TemporaryDirectory[str] | None:
    archive = data_file(_ARCHIVES[name])
    if archive is None:
        return None
    folder = tempfile.TemporaryDirectory(prefix="corpusmill-tasks-")
    with tarfile.open(archive) as tar:
        tar.extractall(folder.name, filter="data")
    return folder


def task_folder(name: str) -> Path:
    """`glue_data`, `squad` or `RACE`; the test is skipped where the data is not at hand, which it
    must be in CI."""
    folder = _unpacked(name)
    if folder is None:
        pytest.skip("the official files are not at hand")
    return Path(folder.name) / name
