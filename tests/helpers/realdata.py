"""Where the test data lies."""

import os
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
DATA = Path(os.environ.get("CORPUSMILL_TEST_DATA", ROOT.parent / "shared" / "data"))


def data_file(name: str) -> Path | None:
    """A file of the test data, or None where there is none and generated data must serve."""
    path = DATA / name
    if path.exists():
        return path
    assert os.environ.get("CI") != "true", (
        f"{path}: the test data must be there in CI; set CORPUSMILL_TEST_DATA"
    )
    return None
