"""TODO-DOC pipelines/stages/source_tasks.py."""

import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import accumulate
from typing import Any

from corpora.document import LATER_FIELDS, LOCATION_FIELDS, Part, Slice, SourceOptions
from corpora.sources import load_source, module_file
from pipelines.home.fingerprints import fingerprint, package_versions
from pipelines.home.layout import recipe_key
from pipelines.recipe import Recipe
from shards.config import to_dict
from shards.errors import UserError
from shards.storage import files


@dataclass(frozen=True, kw_only=True)
class Task:
    """One slice of one source, and the fingerprint its summary must have. `recipe`: `recipe_key` of
    the plan's."""

    home: str
    source: str
    slice: Slice
    fingerprint: str
    stage: str
    recipe: str = ""

    @property
    def name(self) -> str:
        """The slice's name."""
        return self.slice.name

    @property
    def size(self) -> int:
        """Bytes of input."""
        return self.slice.bytes


def plan_slices(
    home_root: str,
    recipe: Recipe,
    name: str,
    slices: Callable[[Any], Iterable[Slice]],
    stage: str,
    decided: dict[str, Any],
    beside: frozenset[str] = frozenset(),
) -> list[Task]:
    """The tasks of a stage that reads the input of a source. `decided`: its own parts of their
    fingerprints; `beside`: options that it does not depend on."""
    options = recipe.sources[name]
    pieces = list(slices(options))
    _refuse_the_home(home_root, name, pieces)
    if recipe.limit is not None and pieces:
        pieces = [Slice(parts=tuple(part for piece in pieces for part in piece.parts))]
    parts = list({part.address: part for piece in pieces for part in piece.parts}.values())
    root = parts[0].address if parts else ""
    identities = dict(zip((part.address for part in parts), files.each(root, _identity, parts)))
    common = fingerprint(**decided, **source_parts(recipe, options, beside))
    key = recipe_key(recipe)
    return [
        Task(
            home=home_root,
            recipe=key,
            source=name,
            slice=piece,
            stage=stage,
            fingerprint=f"{common} {fingerprint(inputs=_inputs(piece, identities))}",
        )
        for piece in pieces
    ]


def _refuse_the_home(home_root: str, name: str, pieces: list[Slice]) -> None:
    """A glob that takes in the home would read its own output at the next build."""
    root = _place(home_root) + "/"
    for part in (part for piece in pieces for part in piece.parts):
        if _place(part.address).startswith(root):
            raise UserError(
                f"sources.{name}.input takes in the home: {part.address}",
                "name a home outside of the inputs",
            )


def _place(address: str) -> str:
    return address.rstrip("/") if files.is_remote(address) else os.path.abspath(address)


def source_parts(
    recipe: Recipe, options: SourceOptions, beside: frozenset[str] = frozenset()
) -> dict[str, Any]:
    """Parts of a fingerprint: what decides what is read of a source, but for its input; `beside`:
    options that do not."""
    source = load_source(options.kind)
    left_out = {*LOCATION_FIELDS, *LATER_FIELDS, *options.place_fields, *beside}
    own = module_file(options.kind)
    contents = {
        name: [files.digest(address) for address in named(options, name)]
        for name in options.content_fields
        if name not in beside
    }
    return {
        "source": source.version,
        "module": files.digest(own) if own else "",
        "settings": {
            name: value for name, value in to_dict(options).items() if name not in left_out
        },
        "limit": recipe.limit,
        "packages": package_versions(
            "tokenizers", *source.packages, *(("ftfy",) if options.ftfy else ())
        ),
        **({"contents": contents} if contents else {}),
    }


def named(options: SourceOptions, name: str) -> tuple[str, ...]:
    """The addresses that an option holds, one or several or none."""
    value = getattr(options, name)
    return (value,) if isinstance(value, str) else tuple(value or ())


def _inputs(piece: Slice, identities: dict[str, str]) -> list[list[Any]]:
    return [
        [part.path, part.start, part.stop, part.size, identities[part.address]]
        for part in piece.parts
    ]


def _identity(part: Part) -> str:
    try:
        return files.identity(part.address, part.size)
    except (OSError, UnicodeError) as error:  # reading it makes the reject
        return f"unreadable: {type(error).__name__}"


def bytes_until(piece: Slice) -> Callable[[str, int], int]:
    """A function of (path, position): about how many bytes of the slice come before."""
    sizes = [part.size if part.share is None else part.share for part in piece.parts]
    begins = {
        part.path: (begin, size)
        for part, begin, size in zip(piece.parts, accumulate(sizes, initial=0), sizes)
    }

    def reached(path: str, position: int) -> int:
        begin, length = begins.get(path, (0, 0))
        return begin + min(position, length)

    return reached


def storable(text: str) -> str:
    """Text that UTF-8 can hold (a file's name may hold lone surrogates)."""
    return text.encode("utf-8", "backslashreplace").decode()
