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
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from pipelines.cli_look import (
    diff,
    export,
    print_json,
    report,
    say,
    show,
    stats,
    stats_of,
    status,
    table_lines,
    verify,
    why,
)
from pipelines.flags import Run, packaged_recipes, parse_with_recipe, quiet_beam, refuse_unknown
from shards.config import UserError, nearest

if TYPE_CHECKING:
    from corpora.document import Slice
    from pipelines.recipe import ExpectedConfig, Recipe

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
        if "pipelines.workers" in sys.modules:
            sys.modules["pipelines.workers"].stop()


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
    if "pipelines.workers" in sys.modules:
        workers = sys.modules["pipelines.workers"]
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


# build and ingest: the recipe's own keys are flags too


def build(recipe: "Recipe", run: Run, beam_arguments: list[str]) -> int:
    """RECIPE --home DIR: everything, from the sources to verified shards."""
    from pipelines import build as composition

    return _run_recipe(recipe, run, beam_arguments, composition.build)


def ingest(recipe: "Recipe", run: Run, beam_arguments: list[str]) -> int:
    """RECIPE --home DIR: only the documents of the sources."""
    from pipelines import build as composition

    return _run_recipe(recipe, run, beam_arguments, composition.run_ingest)


def urls(recipe: "Recipe", run: Run, beam_arguments: list[str]) -> int:
    """RECIPE --home DIR: only the addresses that submissions link to, as DIR/urls/NAME.csv."""
    from pipelines.build import run_urls

    return _run_recipe(recipe, run, beam_arguments, run_urls)


def _run_recipe(
    recipe: "Recipe", run: Run, beam_arguments: list[str], stages: Callable[..., None]
) -> int:
    from pipelines.build import adopt_recipe, forget_untouched, refuse_foreign

    if run.dry_run:
        return _dry_run(recipe, run)
    from pipelines.home import Home, is_home
    from pipelines.lock import locked

    num_workers = _workers(run.workers, beam_arguments)
    if not run.home:
        raise UserError("--home: no folder named", "corpus build RECIPE --home DIR")
    refuse_foreign(run.home)  # before a lock is laid into it
    fresh = not is_home(run.home)
    with locked(Home(run.home)):
        try:
            adopt_recipe(run.home, recipe, _confirmed(run.yes), say)
            quiet_beam()
            with _swept(run.home):
                stages(run.home, num_workers, beam_arguments, say)
        except UserError:
            if fresh:
                forget_untouched(Home(run.home))
            raise
    if run.json:
        print_json(stats_of(run.home))
    return 0


def _dry_run(recipe: "Recipe", run: Run) -> int:
    """What a build would read, a line a source, what the recipe says of the whole, of several
    sources as a table with the share of each beside that of the inputs at hand, and the whole
    recipe as TOML that can be fed back. A source with expected figures need not be there yet."""
    from corpora.sources import load_source, survey_of
    from pipelines.build import changes
    from pipelines.home import Home, open_home
    from pipelines.recipe import recipe_text
    from pipelines.reckoning import reckon, rows
    from shards import files
    from shards.config import to_dict

    if files.exists(Home(run.home).file("recipe.toml")):
        for line in changes(open_home(run.home)[1], recipe):
            say(line)
    reading: dict[str, dict[str, Any]] = {}
    for name, options in recipe.sources.items():
        expected = (recipe.expected or {}).get(name)
        survey = survey_of(options)
        own_slices = survey.slices if survey else None
        try:
            slices = list(load_source(options.kind).slices(options))
        except UserError as error:
            if expected is None and own_slices is None:
                raise
            say(f"{name}: not there yet: {error.what}")
            slices = []
        reading[name] = _size_of(slices)
        say(f"{name}: {_said(reading[name])}")
        if survey and (slices or (own_slices and expected is None)):
            reading[name]["survey"] = _size_of(list(own_slices(options)) if own_slices else slices)
            say(f"{name}: first read: {_said(reading[name]['survey'])}")
        if expected is not None:
            reading[name]["expected"] = to_dict(expected)
            say(f"{name}: expected of the whole: {_expectation(expected)}")
    reckoned = reckon(recipe, {name: figures["bytes"] for name, figures in reading.items()})
    if recipe.expected and len(recipe.sources) > 1:
        for line in table_lines(rows(reckoned)):
            say(line)
    for name in recipe.expected or ():
        reading[name]["reckoned"] = asdict(reckoned[name])
    if run.json:
        print_json({"schema_version": 1, "sources": reading, "recipe": to_dict(recipe)})
    else:
        print(recipe_text(recipe), end="")
    return 0


def _size_of(slices: "list[Slice]") -> dict[str, Any]:
    return {
        "files": len({part.path for piece in slices for part in piece.parts}),
        "slices": len(slices),
        "bytes": sum(piece.bytes for piece in slices),
    }


def _said(size: dict[str, Any]) -> str:
    from pipelines.progress import several

    return f"{several(size['files'], 'file')}, {several(size['bytes'], 'byte')}, in {several(size['slices'], 'slice')}"


def _expectation(expected: "ExpectedConfig") -> str:
    figures = (
        (expected.input_bytes, "{:,} bytes of input"),
        (expected.documents, "about {:,} documents"),
        (expected.text_bytes, "{:,} bytes of text"),
        (expected.core_hours, "{:,.3g} core-hours of ingest"),
    )
    said = ", ".join(pattern.format(figure) for figure, pattern in figures if figure is not None)
    return said + (f" ({expected.note})" if expected.note else "")


def _confirmed(yes: bool) -> Callable[[list[str]], bool]:
    def confirm(_: list[str]) -> bool:
        return yes or (
            sys.stdin.isatty() and input("go on? [y/N] ").strip().lower() in ("y", "yes")
        )

    return confirm


def _workers(workers: int | None, beam_arguments: list[str]) -> int:
    """Children of each worker process: a child a core where that process is this one, else one, and
    the engine has the cores."""
    from pipelines.engine import engine_of
    from pipelines.workers import default_workers

    if workers is not None and workers < 0:
        raise UserError(
            f"--workers {workers}: less than 0", "0 works in this process, N with N children"
        )
    if workers is not None:
        return workers
    return default_workers() if engine_of(beam_arguments).shares_process else 1


@contextmanager
def _swept(home: str) -> Iterator[None]:
    """Remove what a killed build left behind, and at the end what killed workers of this one did:
    with the lock in hand nobody else is at work."""
    from pipelines.workers import stop
    from shards.files import is_remote

    _sweep(home)
    try:
        yield
    finally:
        if not is_remote(home):  # an object store holds no halves
            stop()
            _sweep(home)


def _sweep(home: str) -> None:
    from pipelines.clean import clean as sweep

    for _ in sweep(home, work=False, lock=False, dry_run=False):
        pass


# the other commands: tyro reads the flags from the signatures


def _stage(function_name: str) -> Callable[..., Callable[[list[str]], int]]:
    def command(home: str, /, workers: int | None = None) -> Callable[[list[str]], int]:
        def run(beam_arguments: list[str]) -> int:
            from pipelines import build as composition
            from pipelines.home import open_home
            from pipelines.lock import locked

            quiet_beam()
            with locked(open_home(home)[0]), _swept(home):
                getattr(composition, function_name)(
                    home, _workers(workers, beam_arguments), beam_arguments, say
                )
            return 0

        return run

    return command


dedup = _stage("run_dedup")
dedup.__doc__ = """HOME: which documents go, by the rules of quality and as copies of others.

    Args:
        home: The folder of a build.
        workers: Child processes; default one a core, and on a cluster one for each of its Python workers.
    """
train_tokenizer = _stage("run_tokenizer")
train_tokenizer.__doc__ = """HOME: the vocabulary, trained on the kept text or as given.

    Args:
        home: The folder of a build.
        workers: Child processes; default one a core, and on a cluster one for each of its Python workers.
    """
tokenize = _stage("run_tokenize")
tokenize.__doc__ = """HOME: the kept documents as shards.

    Args:
        home: The folder of a build.
        workers: Child processes; default one a core, and on a cluster one for each of its Python workers.
    """


def clean(home: str, /, work: bool = False, lock: bool = False, dry_run: bool = False) -> int:
    """HOME: remove what a killed build left behind.

    Args:
        home: The folder of a build.
        work: Also remove work/, which the next build would make again.
        lock: Also remove the lock of a build that has ended, on an object store.
        dry_run: Only say what would go.
    """
    from pipelines.clean import clean as sweep
    from pipelines.home import open_home
    from pipelines.lock import locked

    with nullcontext() if dry_run or lock else locked(open_home(home, for_reading=True)[0]):
        for address in sweep(home, work, lock, dry_run):
            print(address)
    return 0


def recipes(name: str | None = None, /) -> int:
    """[NAME]: the recipes in the package; with a name, its text.

    Args:
        name: Print this one.
    """
    known = packaged_recipes()
    if name is not None:
        if name not in known:
            raise UserError(f"{name}: no such recipe in the package", nearest(name, known))
        print(known[name].read_text("utf-8"), end="")
        return 0
    for key, path in known.items():
        print(f"{key:20} {path.read_text('utf-8').splitlines()[0].lstrip('# ')}")
    return 0


def fetch(arguments: list[str]) -> int:
    """cc-news DIR | wikipedia DIR | urls LIST DIR: download a corpus into a folder of yours."""
    from pipelines.fetch_cli import main as run

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
    if "pipelines.engine" in sys.modules and sys.modules["pipelines.engine"].abandoned:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)  # threads that an engine left hanging are not waited for
    sys.exit(code)


if __name__ == "__main__":
    entry()
