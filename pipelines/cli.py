"""The command `corpus`. What a command does stands in its own module; here are names, flags and
what is printed.

stdout is data, stderr is progress and errors. Exit: 0 done, 1 incomplete or a check failed, 2
usage, recipe or input, 3 environment, 130 interrupted. Nothing heavy is imported before it is
needed.
"""

import errno
import os
import signal
import sys
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from pipelines.commands.build import build, dedup, ingest, tokenize, train_tokenizer, urls
from pipelines.commands.clean import clean
from pipelines.commands.diff import diff
from pipelines.commands.export import export
from pipelines.commands.flags import parse_with_recipe, refuse_unknown
from pipelines.commands.recipes import recipes
from pipelines.commands.report import report
from pipelines.commands.show import show, why
from pipelines.commands.stats import stats
from pipelines.commands.status import status
from pipelines.commands.verify import verify
from shards.errors import UserError, nearest

if TYPE_CHECKING:
    pass

USAGE = """usage: corpus COMMAND ...

From your archives to deduplicated, tokenized, memory-mapped shards.

{commands}
corpus COMMAND --help explains one. Options that corpus does not know go to Beam (--runner=SparkRunner ...).
"""


def main(argv: list[str] | None = None) -> int:
    """Run one command; returns the exit code."""
    arguments = sys.argv[1:] if argv is None else argv
    if threading.current_thread() is threading.main_thread():
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, _interrupt)
    sys.path.append(os.getcwd())  # so that a recipe's own module:function is found
    try:
        if sys.platform == "win32":
            raise UserError("Windows is not supported", "use Linux, macOS or WSL 2", 3)
        return _dispatch(arguments)
    except UserError as error:
        print(
            f"error: {error.what}" + (f"\nhint: {error.hint}" if error.hint else ""),
            file=sys.stderr,
        )
        return error.exit_code
    except KeyboardInterrupt:
        print("interrupted: the same command goes on where it stopped", file=sys.stderr)
        return 130
    except BrokenPipeError:  # the reader of our output has gone, as `head` does
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except FileNotFoundError as error:
        print(
            f"error: {error.filename or str(error).splitlines()[0]}: not there\nhint: corpus build makes again what is missing in a home",
            file=sys.stderr,
        )
        return 1
    except OSError as error:
        if error.errno is None:  # an object store's
            print(
                f"error: {str(error).splitlines()[0]}\nhint: check the address, the network and your rights there",
                file=sys.stderr,
            )
            return 3
        if error.errno in (
            errno.ENOTDIR,
            errno.EISDIR,
            errno.EEXIST,
            errno.ENAMETOOLONG,
            errno.ELOOP,
            errno.EINVAL,
        ):
            print(
                f"error: {error.filename}: {error.strerror}\nhint: name a folder", file=sys.stderr
            )
            return 2
        if error.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EACCES, errno.EPERM, errno.EROFS):
            raise
        print(
            f"error: {error.filename or 'output'}: {error.strerror}\nhint: {_remedy(error)}",
            file=sys.stderr,
        )
        return 3
    finally:
        if "pipelines.engines.children" in sys.modules:
            sys.modules["pipelines.engines.children"].stop()


def _remedy(error: OSError) -> str:
    """What mends a disk without room or a lack of rights: to read what is there, or to write."""
    name = os.fspath(error.filename) if isinstance(error.filename, (str, os.PathLike)) else ""
    cannot_read = os.path.exists(name) and not os.access(name, os.R_OK)
    if (
        error.errno in (errno.EACCES, errno.EPERM)
        and name
        and (cannot_read or not os.path.isdir(os.path.dirname(name) or "."))
    ):
        return "give yourself the right to read it, and the folders above it"
    return "make room, or name a folder that you may write to"


def _interrupt(*_: object) -> None:
    """Ctrl-C and SIGTERM end a build alike."""
    if "pipelines.engines.children" in sys.modules:
        workers = sys.modules["pipelines.engines.children"]
        workers.interrupted.set()
        if workers.starting:  # it raises when that is done
            return
    raise KeyboardInterrupt


def _dispatch(arguments: list[str]) -> int:
    if not arguments or arguments[0] in ("-h", "--help"):
        lines = (
            f"  {name:16} {(function.__doc__ or '').strip().splitlines()[0]}\n"
            for name, function in COMMANDS.items()
        )
        print(USAGE.format(commands="".join(lines)))
        return 0 if arguments else 2
    if arguments[0] == "--version":
        from shards import __version__

        print(f"corpusmill {__version__}")
        return 0
    name, *rest = arguments
    if name not in COMMANDS:
        raise UserError(f"{name}: no such command", nearest(name, COMMANDS))
    if name == "fetch":
        return fetch(rest)
    command = COMMANDS[name]
    if name in ("build", "ingest", "urls"):
        recipe, run, beam_arguments = parse_with_recipe(name, command.__doc__ or "", rest)
        return int(command(recipe, run, beam_arguments))
    import tyro

    if name in ON_BEAM:
        parsed, beam_arguments = tyro.cli(
            command, args=rest, prog=f"corpus {name}", return_unknown_args=True
        )
        refuse_unknown(command, name, beam_arguments)
        return parsed(beam_arguments)  # type: ignore[no-any-return]
    return int(tyro.cli(command, args=rest, prog=f"corpus {name}"))


def fetch(arguments: list[str]) -> int:
    """cc-news DIR | wikipedia DIR | urls LIST DIR: download a corpus into a folder of yours."""
    from pipelines.commands.fetch import main as run

    return run(arguments)


COMMANDS: dict[str, Callable[..., Any]] = {
    "build": build,
    "ingest": ingest,
    "urls": urls,
    "dedup": dedup,
    "train-tokenizer": train_tokenizer,
    "tokenize": tokenize,
    "status": status,
    "stats": stats,
    "show": show,
    "why": why,
    "diff": diff,
    "verify": verify,
    "export": export,
    "report": report,
    "clean": clean,
    "fetch": fetch,
    "recipes": recipes,
}

ON_BEAM = ("dedup", "train-tokenizer", "tokenize")


def entry() -> None:
    """The console script."""
    code = main()
    if (
        "pipelines.engines.watch" in sys.modules
        and sys.modules["pipelines.engines.watch"].abandoned
    ):
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)  # threads that an engine left hanging are not waited for
    sys.exit(code)


if __name__ == "__main__":
    entry()
