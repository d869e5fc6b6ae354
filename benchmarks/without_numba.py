"""Where numba is not installed, the few keyed draws that `gpu_check.py` needs run as plain Python:
importing this puts a stand-in in the place of `trainer/jit.py`."""

import importlib.util
import sys
import types
from typing import Any

import numpy as np


def stand_in() -> None:
    """Take the place of `trainer.jit`."""
    module: Any = types.ModuleType("trainer.jit")
    module.jit = lambda function: function
    module.Int = int
    module.Int64 = np.ndarray
    sys.modules["trainer.jit"] = module
    # The draws wrap around at 64 bits.
    np.seterr(over="ignore")


if importlib.util.find_spec("numba") is None:
    stand_in()
