"""Kernels are compiled with bounds checks and a cache of their own."""

import os
import sys
import tempfile
from pathlib import Path

if "numba" not in sys.modules:
    os.environ.setdefault("NUMBA_BOUNDSCHECK", "1")
    os.environ.setdefault("NUMBA_CACHE_DIR", str(Path(tempfile.gettempdir()) / f"corpusmill-numba-{os.getuid()}"))
sys.path.insert(0, str(Path(__file__).parent))
