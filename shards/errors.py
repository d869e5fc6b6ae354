"""TODO-DOC shards/errors.py."""

import difflib
from collections.abc import Iterable
from typing import Any


class UserError(Exception):
    """Something a user can cause and mend: shown as `error: what` and `hint: remedy`, never as a
    traceback.

    `exit_code`: 1 ran but incomplete or a check failed, 2 usage or recipe or input, 3 environment.
    """

    def __init__(self, what: str, hint: str = "", exit_code: int = 2) -> None:
        super().__init__(what)
        self.what = what
        self.hint = hint
        self.exit_code = exit_code

    def __reduce__(self) -> tuple[Any, ...]:
        return (UserError, (self.what, self.hint, self.exit_code))


def nearest(name: str, known: Iterable[str]) -> str:
    """A hint that names the nearest of `known`, or all of them when none is near."""
    names = sorted(known)
    close = difflib.get_close_matches(name, names, n=1, cutoff=0.6)
    return (
        f"did you mean {close[0]}?"
        if close
        else f"known: {', '.join(names)}"
        if names
        else "none is known"
    )
