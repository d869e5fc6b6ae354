"""The command `corpus`. What a command does stands in its own module; here are names, flags and what is printed.

stdout is data, stderr is progress and errors. Exit: 0 done, 1 incomplete or a check failed, 2 usage, recipe or input,
3 environment, 130 interrupted. Nothing heavy is imported before it is needed.
"""

import errno
import json as jsonlib
import os
import shutil
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from typing import TYPE_CHECKING, Any, Literal

from pipelines.flags import Run, packaged_recipes, parse_with_recipe, quiet_beam, refuse_unknown
from shards.config import UserError, nearest

if TYPE_CHECKING:
    from pipelines.recipe import Recipe

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
        print(f"error: {error.what}" + (f"\nhint: {error.hint}" if error.hint else ""), file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        print("interrupted: the same command goes on where it stopped", file=sys.stderr)
        return 130
    except BrokenPipeError:  # the reader of our output has gone, as `head` does
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except FileNotFoundError as error:
        print(f"error: {error.filename or str(error).splitlines()[0]}: not there\nhint: corpus build makes again what is missing in a home", file=sys.stderr)
        return 1
    except OSError as error:
        if error.errno is None:  # an object store's
            print(f"error: {str(error).splitlines()[0]}\nhint: check the address, the network and your rights there", file=sys.stderr)
            return 3
        if error.errno in (errno.ENOTDIR, errno.EISDIR, errno.EEXIST, errno.ENAMETOOLONG, errno.ELOOP, errno.EINVAL):
            print(f"error: {error.filename}: {error.strerror}\nhint: name a folder", file=sys.stderr)
            return 2
        if error.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EACCES, errno.EPERM, errno.EROFS):
            raise
        print(f"error: {error.filename or 'output'}: {error.strerror}\nhint: make room, or name a folder that you may write to", file=sys.stderr)
        return 3
    finally:
        if "pipelines.workers" in sys.modules:
            sys.modules["pipelines.workers"].stop()


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
        lines = (f"  {name:16} {(function.__doc__ or '').strip().splitlines()[0]}\n" for name, function in COMMANDS.items())
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
    if name in ("build", "ingest"):
        recipe, run, beam_arguments = parse_with_recipe(name, command.__doc__ or "", rest)
        return int(command(recipe, run, beam_arguments))
    import tyro

    if name in ON_BEAM:
        parsed, beam_arguments = tyro.cli(command, args=rest, prog=f"corpus {name}", return_unknown_args=True)
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


def _run_recipe(recipe: "Recipe", run: Run, beam_arguments: list[str], stages: Callable[..., None]) -> int:
    from pipelines.build import adopt_recipe

    if run.dry_run:
        return _dry_run(recipe, run)
    from pipelines.home import Home
    from pipelines.lock import locked

    num_workers = _workers(run.workers, beam_arguments)
    if not run.home:
        raise UserError("--home: no folder named", "corpus build RECIPE --home DIR")
    with locked(Home(run.home)):
        adopt_recipe(run.home, recipe, _confirmed(run.yes), say)
        quiet_beam()
        with _swept(run.home):
            stages(run.home, num_workers, beam_arguments, say)
    if run.json:
        _print_json(_stats(run.home))
    return 0


def _dry_run(recipe: "Recipe", run: Run) -> int:
    """What a build would read, a line a source, and the whole recipe as TOML that can be fed back."""
    from corpora.sources import load_source
    from pipelines.build import changes
    from pipelines.home import Home, open_home
    from shards import files
    from shards.config import dump_toml, to_dict

    if files.exists(Home(run.home).file("recipe.toml")):
        for line in changes(open_home(run.home)[1], recipe):
            say(line)
    reading = {}
    for name, options in recipe.sources.items():
        slices = list(load_source(options.kind).slices(options))
        reading[name] = {
            "files": len({part.path for piece in slices for part in piece.parts}),
            "slices": len(slices),
            "bytes": sum(piece.bytes for piece in slices),
        }
        say(f"{name}: {reading[name]['files']:,} files, {reading[name]['bytes']:,} bytes, in {len(slices):,} slices")
    if run.json:
        _print_json({"schema_version": 1, "sources": reading, "recipe": to_dict(recipe)})
    else:
        print(dump_toml(recipe), end="")
    return 0


def _confirmed(yes: bool) -> Callable[[list[str]], bool]:
    def confirm(_: list[str]) -> bool:
        return yes or (sys.stdin.isatty() and input("go on? [y/N] ").strip().lower() in ("y", "yes"))

    return confirm


def _workers(workers: int | None, beam_arguments: list[str]) -> int:
    """Children of each worker process: a child a core where that process is this one, else one, and the engine has the cores."""
    from pipelines.engine import engine_of
    from pipelines.workers import default_workers

    if workers is not None and workers < 0:
        raise UserError(f"--workers {workers}: less than 0", "0 works in this process, N with N children")
    if workers is not None:
        return workers
    return default_workers() if engine_of(beam_arguments).shares_process else 1


@contextmanager
def _swept(home: str) -> Iterator[None]:
    """Remove what a killed build left behind, and at the end what killed workers of this one did: with the lock in hand
    nobody else is at work."""
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


def say(line: str) -> None:
    """A line about the progress."""
    print(line, file=sys.stderr, flush=True)


def _print_json(value: Any) -> None:
    print(jsonlib.dumps(value, ensure_ascii=False, indent=1))


def _stats(home: str) -> dict[str, Any]:
    from pipelines.stats import stats

    return stats(home)


# the other commands: tyro reads the flags from the signatures


def _stage(function_name: str) -> Callable[..., Callable[[list[str]], int]]:
    def command(home: str, /, workers: int | None = None) -> Callable[[list[str]], int]:
        def run(beam_arguments: list[str]) -> int:
            from pipelines import build as composition
            from pipelines.home import open_home
            from pipelines.lock import locked

            quiet_beam()
            with locked(open_home(home)[0]), _swept(home):
                getattr(composition, function_name)(home, _workers(workers, beam_arguments), beam_arguments, say)
            return 0

        return run

    return command


dedup = _stage("run_dedup")
dedup.__doc__ = """HOME: which documents are copies of others.

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


def status(home: str, /, json: bool = False) -> int:
    """HOME: how far a build is.

    Args:
        home: The folder of a build.
        json: Print one JSON object.
    """
    from pipelines.stats import status as figures

    found = figures(home)
    if json:
        _print_json(found)
    else:
        for stage, count in found["done"].items():
            print(f"{stage:10} {count}" + (f" of {found['slices']} slices" if stage in ("ingest", "exact", "tokenize") else ""))
        for note in found["set_aside"]:
            print(f"set aside: {note['stage']} {note['source']}/{note['slice']}: {note['why']}" + (f", in or after {note['record']}" if note["record"] else ""))
            print(note["trace"], end="")
        for reason, count in found["safety_net"].items():
            print(f"safety net: {count} rejected by {reason}, which another machine might not reach: corpus show {home} --rejects --reason {reason}")
        if found["running"]:
            from pipelines.progress import lines

            print("\n".join(lines(found["running"], shutil.get_terminal_size().columns)))
        else:
            print("complete: the manifest is there" if found["complete"] else f"not complete: corpus build {home}/recipe.toml --home {home}")
    return 0


def stats(home: str, /, json: bool = False) -> int:
    """HOME: what went in, what came out, what was dropped and why.

    Args:
        home: The folder of a build.
        json: Print one JSON object.
    """
    figures = _stats(home)
    if json:
        _print_json(figures)
        return 0
    keys = ("records", "rejected", "documents", "removed", "kept", "bytes", "sentences", "tokens")
    rows: list[tuple[str, ...]] = [("source", *keys)]
    for name, row in [*figures["sources"].items(), ("total", figures["total"])]:
        flat = {**row, "rejected": sum(row["rejects"].values()), "removed": None if None in row["removed"].values() else sum(row["removed"].values())}
        rows.append((name, *("-" if flat[key] is None else f"{flat[key]:,}" for key in keys)))
    _print_table(rows)
    dropped = [(f"rejected: {reason}", f"{count:,}") for reason, count in figures["total"]["rejects"].items()]
    dropped += [(f"removed: {stage}", f"{count:,}") for stage, count in figures["total"]["removed"].items() if count]
    if dropped:
        print()
        _print_table([("dropped", "records"), *dropped])
    return 0


def _print_table(rows: list[tuple[str, ...]]) -> None:
    widths = [max(map(len, column)) for column in zip(*rows)]
    for row in rows:
        print("  ".join([row[0].ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(row[1:], widths[1:]))]).rstrip())


def show(
    home: str, /, source: str | None = None, rejects: bool = False, reason: str | None = None, removed: bool = False, n: int = 3, json: bool = False
) -> int:
    """HOME: documents, or what was dropped.

    Args:
        home: The folder of a build.
        source: Of this source only.
        rejects: Records that gave no document.
        reason: Rejects of this reason only.
        removed: Documents that dedup removes, with their twins.
        n: How many.
        json: Print one JSON object, texts in full.
    """
    from pipelines import show as look

    if n < 0:
        raise UserError(f"--n {n}: less than 0", "name how many to show")
    found = look.rejects(home, source, reason) if rejects or reason else look.documents(home, source, removed)
    records = [record for _, record in zip(range(n), found)]
    if json:
        _print_json({"schema_version": 1, "records": records})
        return 0
    for record in records:
        _print_record(record)
    if not records:
        say("nothing to show")
    return 0


def _print_record(record: dict[str, Any], limit: int = 600) -> None:
    text = record.get("text") or ""
    for name, value in record.items():
        if name not in ("text", "difference") and value not in (None, ""):
            print(f"{name}: {value}")
    if text:
        print("\n" + text[:limit] + (f" ... ({len(text):,} characters)" if len(text) > limit else ""))
    print("-" * 60)


def why(home: str, identity: str, /, json: bool = False) -> int:
    """HOME ID: what became of one record, and why.

    Args:
        home: The folder of a build.
        identity: 32 hex digits or their beginning, or your own id where the recipe sets id_field.
        json: Print one JSON object.
    """
    from pipelines import show as look

    found = look.why(home, identity)
    if json:
        _print_json({"schema_version": 1, "records": found})
        return 0
    for record in found:
        _print_record(record, 200)
        for line in record.get("difference", []):
            print(line)
    return 0


def verify(folder: str, /, json: bool = False) -> int:
    """HOME or SHARDS: is every byte of the shards as it was written?

    Args:
        folder: A home, or a folder of shards.
        json: Print one JSON object.
    """
    from shards.manifest import read_manifest, shards_directory
    from shards.verify import verify as check

    faults = check(folder)
    if json:
        _print_json({"schema_version": 1, "whole": not faults, "faults": faults})
    else:
        for fault in faults:
            print(fault)
        entries = read_manifest(shards_directory(folder)).shards
        if not faults:
            print(f"whole: {len(entries)} shards, {sum(entry.documents for entry in entries):,} documents, {sum(entry.tokens for entry in entries):,} tokens")
    if faults:
        raise UserError(f"{folder}: {len(faults)} faults", "copy the shards again, or delete the named files and run corpus build again", 1)
    return 0


def export(home: str, out: str, /, format: Literal["jsonl.zst", "parquet"] = "parquet") -> int:
    """HOME OUT: the kept text for other tools, with a data card.

    Args:
        home: The folder of a build.
        out: A new folder.
        format: Of the files.
    """
    from pipelines.export import export as write

    say(f"exported {write(home, out, format):,} documents to {out}")
    return 0


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
    "dedup": dedup,
    "train-tokenizer": train_tokenizer,
    "tokenize": tokenize,
    "status": status,
    "stats": stats,
    "show": show,
    "why": why,
    "verify": verify,
    "export": export,
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
