"""CORPUSMILL_FUZZ multiplies the number of examples; above 1, as `make fuzz` sets it, they are
others at every run."""

import os

from hypothesis import settings

EFFORT = float(os.environ.get("CORPUSMILL_FUZZ", "1"))
settings.register_profile(
    "fuzz", deadline=None, derandomize=EFFORT <= 1, print_blob=True, max_examples=int(100 * EFFORT)
)
settings.load_profile("fuzz")
