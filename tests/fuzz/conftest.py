"""With HYPOTHESIS_EXAMPLES, as `make fuzz` sets it, other examples at every run; else the same ones."""

import os

from hypothesis import settings

settings.register_profile(
    "fuzz", deadline=None, derandomize="HYPOTHESIS_EXAMPLES" not in os.environ, print_blob=True, max_examples=int(os.environ.get("HYPOTHESIS_EXAMPLES", "100"))
)
settings.load_profile("fuzz")
