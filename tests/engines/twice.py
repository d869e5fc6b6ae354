"""`corpus`, but every slice is processed by two children at once: `python tests/engines/twice.py
build RECIPE ...`."""

import sys
from typing import Any

from pipelines.cli import main
from pipelines.engines import children


def submit_twice(pool: Any, task: Any, attempt: int) -> None:
    """In place of `Pool._submit`."""
    pool.jobs += [children.submit(pool.num_workers, pool.function, task, attempt) for _ in range(2)]


if __name__ == "__main__":
    from pipelines.engines.pool import Pool

    Pool._submit = submit_twice  # type: ignore[method-assign]
    sys.exit(main())
