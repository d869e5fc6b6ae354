"""The command line `corpus`: its commands, and how their errors are reported.

Each command is a function in its own file of `pipelines/commands`. stdout is data, stderr is
progress and errors. Exit codes: 0 done, 1 incomplete or a check failed, 2 usage, recipe or input,
3 environment, 130 interrupted. Nothing heavy is imported before it is needed.
"""

import errno
import logging
import os
import signal
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass

from pipelines.commands.attest import attest
from pipelines.commands.build import build
from pipelines.commands.clean import clean
from pipelines.commands.contamination import contamination
from pipelines.commands.dedup import dedup
from pipelines.commands.diff import diff
from pipelines.commands.export import export
from pipelines.commands.fetch import fetch
from pipelines.commands.flags import (
    call_with_arguments,
    call_with_flags,
    call_with_home,
    call_with_recipe,
)
from pipelines.commands.forget import forget
from pipelines.commands.ingest import ingest
from pipelines.commands.recipes import recipes
from pipelines.commands.report import report
from pipelines.commands.sample import sample
from pipelines.commands.show import show
from pipelines.commands.stats import stats
from pipelines.commands.status import status
from pipelines.commands.summary import summary
from pipelines.commands.tokenize import tokenize
from pipelines.commands.train_tokenizer import train_tokenizer
from pipelines.commands.urls import urls
from pipelines.commands.verify import verify
from pipelines.commands.why import why
from pipelines.engines import interrupt
from shards import console
from shards.errors import REMEDIES, UserError, nearest


@dataclass(frozen=True)
class Command:
    """One command: its arguments as the help shows them, its function, and who parses them."""

    arguments: str
    function: Callable[..., int]
    call: Callable[[str, Callable[..., int], list[str]], int]


COMMANDS: dict[str, Command] = {
    "build": Command("RECIPE --home DIR", build, call_with_recipe),
    "ingest": Command("RECIPE --home DIR", ingest, call_with_recipe),
    "urls": Command("RECIPE --home DIR", urls, call_with_recipe),
    "dedup": Command("HOME", dedup, call_with_home),
    "train-tokenizer": Command("HOME", train_tokenizer, call_with_home),
    "tokenize": Command("HOME", tokenize, call_with_home),
    "status": Command("HOME", status, call_with_flags),
    "stats": Command("HOME", stats, call_with_flags),
    "show": Command("HOME", show, call_with_flags),
    "why": Command("HOME RECORD", why, call_with_flags),
    "diff": Command("HOME HOME", diff, call_with_flags),
    "verify": Command("HOME | SHARDS", verify, call_with_flags),
    "attest": Command("HOME | SHARDS", attest, call_with_flags),
    "summary": Command("HOME", summary, call_with_flags),
    "export": Command("HOME OUT", export, call_with_flags),
    "report": Command("HOME", report, call_with_flags),
    "contamination": Command("HOME --against DIR", contamination, call_with_flags),
    "forget": Command("HOME LIST", forget, call_with_flags),
    "clean": Command("HOME", clean, call_with_flags),
    "fetch": Command("KIND ... DIR", fetch, call_with_arguments),
    "recipes": Command("[NAME]", recipes, call_with_flags),
    "sample": Command("FOLDER", sample, call_with_flags),
}

USAGE = """usage: corpus COMMAND ...

Turn text archives into deduplicated, tokenized, memory-mapped shards.

{commands}
`corpus COMMAND --help` explains a command. Unknown options of `build`, `ingest`, `urls`, `dedup`,
`train-tokenizer` and `tokenize` are passed to Apache Beam (such as --runner=SparkRunner).
"""

_NO_FOLDER = (
    errno.ENOTDIR,
    errno.EISDIR,
    errno.EEXIST,
    errno.ENAMETOOLONG,
    errno.ELOOP,
    errno.EINVAL,
)
"""Errors of the operating system about an address that cannot be the folder it should be."""

_NO_ROOM_OR_RIGHT = (errno.ENOSPC, errno.EACCES, errno.EPERM, errno.EROFS)


def main(argv: list[str] | None = None) -> int:
    """Run one command; returns the exit code."""
    arguments = console.expanded(sys.argv[1:] if argv is None else argv)
    # Python allows handlers in the main thread only; tests and programs call this from others
    if threading.current_thread() is threading.main_thread():
        interrupt.interrupted.clear()
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, _interrupt)

    sys.path.append(os.getcwd())  # a recipe may name a module:function of the user's own

    try:
        if sys.platform == "win32":
            raise UserError("Windows is not supported", "use Linux, macOS or WSL 2", 3)
        return _dispatch(arguments)
    except UserError as error:
        return _fail(error.what, error.hint, error.exit_code)
    except KeyboardInterrupt:
        print("interrupted: run the same command again to resume", file=sys.stderr)
        return 130
    except BrokenPipeError:  # the reader of our output has left, as `head` does
        return console.broken_pipe()
    except FileNotFoundError as error:
        name = error.filename or str(error).splitlines()[0]
        return _fail(
            f"{name}: no such file", "corpus build restores the missing files of a home", 1
        )
    except OSError as error:  # after its subclasses above
        return _fail_of_system(error)
    finally:
        interrupt.end()  # the children, even after an error


def _fail(what: str, hint: str, code: int) -> int:
    """Report an error; returns its exit code."""
    print(f"error: {what}", file=sys.stderr)
    if hint:
        print(f"hint: {hint}", file=sys.stderr)
    return code


def _fail_of_system(error: OSError) -> int:
    """Report an error of the operating system or of an object store."""
    if error.errno is None:  # an object store's
        hint = "check the address, the network and your access rights"
        return _fail(str(error).splitlines()[0], hint, 3)
    if error.errno in _NO_FOLDER:
        return _fail(f"{error.filename}: {error.strerror}", "name a folder", 2)
    if error.errno in _NO_ROOM_OR_RIGHT:
        return _fail(f"{error.filename or 'output'}: {error.strerror}", _remedy(error), 3)
    hint = REMEDIES.get(error.errno, "run the same command again to resume")
    return _fail(f"{error.filename or 'output'}: {error.strerror or error}", hint, 3)


def _remedy(error: OSError) -> str:
    """The hint for a full disk or a missing right to read or to write."""
    name = os.fspath(error.filename) if isinstance(error.filename, (str, os.PathLike)) else ""
    is_unreadable = os.path.exists(name) and not os.access(name, os.R_OK)
    is_in_no_folder = not os.path.isdir(os.path.dirname(name) or ".")

    no_right = error.errno in (errno.EACCES, errno.EPERM)
    readable = "give yourself the right to read it and to enter the folders above it"
    if no_right and name and (is_unreadable or is_in_no_folder):
        return readable
    if no_right and name and not os.access(os.path.dirname(name) or ".", os.X_OK):
        return f"{readable}, or name a folder that you may write to"
    return "free some space, or name a folder that you may write to"


def _interrupt(*_: object) -> None:
    """Handle Ctrl-C and SIGTERM, which end a build alike."""
    interrupt.interrupted.set()
    if not interrupt.starting:  # else `children` raises it as soon as they are started
        raise KeyboardInterrupt


def _dispatch(arguments: list[str]) -> int:
    if not arguments or arguments[0] in ("-h", "--help", "--help-all"):
        print(_usage())
        return 0 if arguments else 2
    if arguments[0] == "--version":
        from shards import __version__

        print(f"corpusmill {__version__}")
        return 0

    name, *rest = arguments
    if name not in COMMANDS:
        raise UserError(f"{name}: no such command", nearest(name, COMMANDS))
    command = COMMANDS[name]
    return command.call(name, command.function, rest)


def _usage() -> str:
    lines = []
    for name, command in COMMANDS.items():
        purpose = (command.function.__doc__ or "").strip().splitlines()[0]
        lines.append(f"  {name + ' ' + command.arguments:26} {purpose}\n")
    return USAGE.format(commands="".join(lines))


class _Plain(logging.Formatter):
    """A warning of a library or of a source as `corpus` writes its own: `warning: what`."""

    def format(self, record: logging.LogRecord) -> str:
        return f"{record.levelname.lower()}: {record.getMessage()}"


def _say_warnings() -> None:
    """Write what is logged in our form. Beam would otherwise choose one that shows module names."""
    handler = logging.StreamHandler()
    handler.setFormatter(_Plain())
    logging.basicConfig(handlers=[handler])


def entry() -> None:
    """The console script."""
    _say_warnings()
    code = console.ended(main)
    if interrupt.abandoned:  # do not wait for threads that an engine left hanging
        os._exit(code)
    sys.exit(code)


if __name__ == "__main__":
    entry()
