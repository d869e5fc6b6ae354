"""The one exception for what a user can cause, and the hint that names the nearest right word.

Every package raises `UserError` for a mistake in a command, a recipe, an input or the environment,
and each command prints it as two lines. Any other exception is a defect of the program and keeps
its traceback. Nothing but the standard library is imported here, so that every module can use it.
"""

import difflib
import errno
import os
import shlex
from collections.abc import Iterable

_RESUME = "run the same command again to resume"

REMEDIES = {
    errno.ENOSPC: f"make room and {_RESUME}",
    errno.EDQUOT: f"raise the quota and {_RESUME}",
    errno.EMFILE: f"allow more open files (ulimit -n 65536) and {_RESUME}",
    errno.ENFILE: f"close programs that hold many files and {_RESUME}",
    errno.ENOMEM: f"give the machine more memory and {_RESUME}",
    errno.EINTR: _RESUME,
    errno.EIO: f"check the disk, whose errors the system's log names, and {_RESUME}",
    errno.ESTALE: f"mount the network's folder again and {_RESUME}",
    errno.EROFS: "name a folder that you may write to",
}
"""What to do about an error of the system that no path is to blame for."""

NO_FAULT_OF_A_FILE = (errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.EINTR)
"""Errors at opening a file that say nothing about the file: it must not be counted as damaged."""


class UserError(Exception):
    """A mistake that a user can mend, shown as `error: what` and `hint: remedy`, never as a
    traceback.

    `what` names the thing and the place, `hint` the remedy in one imperative sentence. `exit_code`:
    1 the work ran but is incomplete, or a check failed; 2 the command, the recipe or an input is
    wrong; 3 the environment is at fault.
    """

    def __init__(self, what: str, hint: str = "", exit_code: int = 2) -> None:
        super().__init__(what)
        self.what = what
        self.hint = hint
        self.exit_code = exit_code

    # Children send errors to their parent: exceptions pickle by `args`, which hold `what` alone.
    def __reduce__(self) -> tuple[type["UserError"], tuple[object, ...]]:
        return UserError, (self.what, self.hint, self.exit_code)


def unreadable(what: str, error: OSError, hint: str) -> UserError:
    """The error of a file that a user named and that cannot be read. `what` names it; where the
    system is at fault (`REMEDIES`) the exit code is 3 and the hint that of the system, else `hint`
    and 2."""
    reason = os.strerror(error.errno) if error.errno else str(error)
    remedy = REMEDIES.get(error.errno or 0)
    return UserError(f"{what}: {reason}", remedy or hint, 3 if remedy else 2)


def in_command(path: object) -> str:
    """A path as a printed command holds it: in quotes where a shell would split it."""
    return shlex.quote(str(path))


def nearest(name: str, known: Iterable[str]) -> str:
    """A hint that names the nearest of `known`, or all of them when none is near."""
    names = sorted(known)
    if not names:
        return "none is known"

    close = difflib.get_close_matches(name, names, n=1, cutoff=0.6)
    if close:
        return f"did you mean {close[0]}?"
    return f"known: {', '.join(names)}"
