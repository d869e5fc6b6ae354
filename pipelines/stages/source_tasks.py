"""Tasks of the stages that read the sources themselves, `survey` and `ingest`: one per slice."""

import dataclasses
import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from itertools import accumulate, islice
from typing import Any

from corpora.document import Part, Slice, SourceOptions, slice_names
from corpora.sources import load_source, module_file
from pipelines.home.fingerprints import fingerprint, package_versions
from pipelines.home.inputs import Seen, identity_now, is_local, seen_inputs
from pipelines.home.layout import INGEST, Home, recipe_key
from pipelines.home.summaries import Summary, summaries
from pipelines.recipe import Recipe
from shards.config import setting_of, to_dict
from shards.errors import UserError
from shards.storage import files, reached


@dataclass(frozen=True, kw_only=True)
class SourceTask:
    """One slice of one source. `recipe` is the `recipe_key` of the recipe it was planned by."""

    home: str
    recipe: str
    source: str
    slice: Slice
    fingerprint: str
    identities: tuple[tuple[str, str], ...] = ()
    """(address, identity) of its local files."""

    @property
    def name(self) -> str:
        """The slice's name."""
        return self.slice.name

    @property
    def key(self) -> tuple[str, int]:
        """The slice's place in the order of its source."""
        return self.slice.key

    @property
    def size(self) -> int:
        """Bytes of input."""
        return self.slice.bytes


@dataclass(frozen=True)
class Reading:
    """How a stage reads one source: its slices, and what its results depend on.

    `depends` holds the stage's own parts of the fingerprints; `ignores` names options that do not
    matter to it.
    """

    source: str
    slices: Iterable[Slice]
    depends: dict[str, Any]
    ignores: frozenset[str] = field(default_factory=frozenset)


def plan_slices(home: Home, recipe: Recipe, reading: Reading) -> list[SourceTask]:
    """The tasks of one source, in order.

    With a `limit` a source is one slice, since its first records are counted in its own order.
    Raises `UserError` where an input lies inside the home.
    """
    slices = list(reading.slices)
    _refuse_the_home(home, reading.source, slices)

    if recipe.limit is not None and slices:
        slices = [Slice(parts=_parts(slices))]
    else:
        slices = keep_cuts(slices, summaries(home, INGEST, reading.source))

    identities = _identities(slices, seen_inputs(home, reading.source))
    options = recipe.sources[reading.source]
    # In two parts: that of the source costs more, and is the same for all of its slices.
    of_source = fingerprint(**reading.depends, **source_parts(recipe, options, reading.ignores))
    key = recipe_key(recipe)
    tasks = []

    for piece in slices:
        of_slice = fingerprint(inputs=_inputs(piece, identities))
        task = SourceTask(
            home=home.root,
            recipe=key,
            source=reading.source,
            slice=piece,
            fingerprint=f"{of_source} {of_slice}",
            identities=tuple(
                (part.address, identities[part.address]) for part in piece.parts if is_local(part)
            ),
        )
        tasks.append(task)

    return tasks


def keep_cuts(slices: list[Slice], ingested: list[Summary]) -> list[Slice]:
    """The slices, cut again so that each slice that was ingested stays as it is.

    Files that are added later then form slices of their own, and the files beside them are not read
    again, unless a new file comes between the files of an old slice in the order of the source. No
    result depends on the cuts. Planning again during a build gives the same slices, since those
    done meanwhile are kept as they are.
    """
    names: dict[tuple[str, int], set[str]] = {}
    for summary in ingested:
        names.setdefault(summary.key, set()).add(summary.slice)

    parts = _parts(slices)
    cuts = set(accumulate(len(piece.parts) for piece in slices))
    kept: list[Slice] = []
    begin = 0  # of the files that are in no slice yet
    place = 0
    while place < len(parts):
        count = _ingested_from(parts, place, names)
        if count:
            if begin < place:
                kept.append(Slice(parts=parts[begin:place]))
            kept.append(Slice(parts=parts[place : place + count]))
            begin = place = place + count
            continue

        place += 1
        if place in cuts:
            kept.append(Slice(parts=parts[begin:place]))
            begin = place
    return kept


def _ingested_from(
    parts: tuple[Part, ...], place: int, names: dict[tuple[str, int], set[str]]
) -> int:
    """How many of the parts from `place` on form a slice that was ingested; 0 if none does."""
    wanted = names.get((parts[place].path, parts[place].start))
    if wanted is None:
        return 0

    for count, name in enumerate(slice_names(islice(parts, place, None)), 1):
        if name in wanted:
            return count
        # Another ingested slice begins at the next part, so this one has ended or is gone.
        after = place + count
        if after < len(parts) and (parts[after].path, parts[after].start) in names:
            return 0
    return 0


def _parts(slices: list[Slice]) -> tuple[Part, ...]:
    return tuple(part for piece in slices for part in piece.parts)


def _refuse_the_home(home: Home, source: str, slices: list[Slice]) -> None:
    """Refuse inputs inside the home: the next build would read its own output."""
    # With the slash: `texts-home` is not inside `texts`.
    root = _place(home.root) + "/"
    for part in _parts(slices):
        if _place(part.address).startswith(root):
            raise UserError(
                f"sources.{source}.input matches a file inside the home: {part.address}",
                "choose a home outside of the inputs",
            )


def _place(address: str) -> str:
    return address.rstrip("/") if files.is_remote(address) else os.path.abspath(address)


def source_parts(
    recipe: Recipe, options: SourceOptions, ignores: frozenset[str] = frozenset()
) -> dict[str, Any]:
    """Parts of a fingerprint: everything that decides what is read of a source, except its inputs.

    `ignores` names options that do not matter to the stage that asks.
    """
    source = load_source(options.kind)
    module = module_file(options.kind)
    packages = ["tokenizers", *source.packages]
    if options.ftfy:
        packages.append("ftfy")

    settings, contents = {}, {}
    for option in dataclasses.fields(options):
        affected = setting_of(option)
        if option.name in ignores or affected.affects != "ingest":
            continue
        if affected.content:
            addresses = addresses_in(options, option.name)
            contents[option.name] = [files.digest(address) for address in addresses]
        if affected.decides:
            settings[option.name] = getattr(options, option.name)

    parts = {
        "source": source.version,
        "module": files.digest(module) if module else "",
        "settings": to_dict(settings),
        "limit": recipe.limit,
        "packages": package_versions(*packages),
    }
    if contents:
        parts["contents"] = contents

    return parts


def addresses_in(options: SourceOptions, name: str) -> tuple[str, ...]:
    """The addresses that an option holds: none, one or several."""
    value = getattr(options, name)
    return (value,) if isinstance(value, str) else tuple(value or ())


def _identities(slices: list[Slice], seen: dict[str, Seen]) -> dict[str, str]:
    """Address -> identity of its content, for every input file, each asked for once."""
    by_address = {part.address: part for part in _parts(slices)}
    # On an object store each identity is a request, so they are asked for side by side.
    addresses, parts = list(by_address), list(by_address.values())
    root = addresses[0] if addresses else ""

    def identity(part: Part) -> str:
        return _identity(part, seen.get(part.address))

    return dict(zip(addresses, files.each(root, identity, parts)))


def _identity(part: Part, seen: Seen | None) -> str:
    try:
        ends = files.identity(part.address, part.size)
        return identity_now(part, ends, seen) if is_local(part) else ends
    except (OSError, UnicodeError) as error:  # the stage that reads it makes the reject
        return f"unreadable: {type(error).__name__}"


def _inputs(piece: Slice, identities: dict[str, str]) -> list[list[Any]]:
    return [
        [part.path, part.start, part.stop, part.size, identities[part.address]]
        for part in piece.parts
    ]


def bytes_until(piece: Slice) -> Callable[[str, int], int]:
    """A function of (path, position) of the record at hand that tells about how many bytes of the
    slice were read, as they are stored.

    A position says little: it may be an offset in inflated text, or the number of a row. So the
    open file is asked; only for one that its source opened by other means is the position taken.
    """
    sizes = [part.bytes for part in piece.parts]
    begins = list(accumulate(sizes, initial=0))
    places: dict[str, list[int]] = {}
    for index, part in enumerate(piece.parts):
        places.setdefault(part.path, []).append(index)

    # Where a part begins in the stored file; of one that is cut by rows its first record tells.
    edges = {index: part.start for index, part in enumerate(piece.parts) if part.stored is None}

    def read_so_far(path: str, position: int) -> int:
        of_path = places.get(path)
        if of_path is None:
            return 0

        # With a limit, a slice may have several parts of one file.
        index = of_path[0]
        for other in of_path[1:]:
            if piece.parts[other].start <= position:
                index = other

        part = piece.parts[index]
        offset = reached.reached(part.address)
        if offset is None:
            done = position - part.start
        else:
            done = offset - edges.setdefault(index, offset)
        return begins[index] + min(max(done, 0), sizes[index])

    return read_so_far


def storable(text: str) -> str:
    """Text that UTF-8 can hold: the name of a file may contain lone surrogates."""
    return text.encode("utf-8", "backslashreplace").decode()
