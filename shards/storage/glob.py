"""TODO-DOC shards/storage/glob.py."""

import os
import re
from collections.abc import Iterator

from pyarrow import fs as pafs

from shards.errors import UserError
from shards.storage import http, http_file, object_store
from shards.storage.files import SPECIAL, exists, file_info, is_remote, join, listing, resolve


def glob(pattern: str) -> list[tuple[str, int]]:
    """(address, bytes) of every file that matches, sorted by address. `**` crosses folders, a
    leading dot must be written.

    A pattern without wildcards names a file, or a folder and all below it. Raises `UserError` when
    the folder before the first wildcard is not there. An address of a web server names one file.
    """
    if http.is_web(pattern):
        return http_file.glob(pattern)
    fixed = pattern if _is_file(pattern) else fixed_part(pattern)
    info = file_info(fixed)
    kind = info.type
    if kind == pafs.FileType.NotFound:
        bucket = "/".join(fixed.split("/")[:3])
        if is_remote(fixed) and not exists(bucket):
            raise object_store.no_bucket(bucket)
        what = "file or folder" if fixed == pattern else f"folder: {fixed}"
        raise UserError(
            f"{pattern}: no such {what}", "give an existing path or a glob such as 'texts/**/*.txt'"
        )
    if kind == pafs.FileType.File:
        return [(fixed, int(info.size))]
    if kind == pafs.FileType.Unknown:
        raise UserError(f"{fixed}: {SPECIAL}", "write what it gives to a file, and name that")
    rest = pattern[len(fixed) :].strip("/") if fixed != "." or pattern.startswith("./") else pattern
    rest = rest or "**"
    matches = re.compile(_translate(rest)).fullmatch
    deep = "/" in rest or "**" in rest
    found = [
        (join(fixed, relative), size)
        for relative, size in (
            _walk_remote(fixed, deep) if is_remote(pattern) else _walk(resolve(fixed)[1], deep)
        )
        if matches(relative)
    ]
    return sorted(found)


def _is_file(address: str) -> bool:
    """A name with brackets may be just a name."""
    return not is_remote(address) and os.path.isfile(address.removeprefix("file://"))


def _walk_remote(folder: str, deep: bool) -> Iterator[tuple[str, int]]:
    """(path below `folder`, bytes) of its files."""
    root = resolve(folder)[1].rstrip("/")
    for info in listing(folder, recursive=deep, allow_not_found=False):
        if info.type == pafs.FileType.File:
            yield info.path[len(root) :].strip("/"), int(info.size)


def _walk(root: str, deep: bool) -> Iterator[tuple[str, int]]:
    """The same on this machine: links are followed, but not into a folder that is being walked
    already; names that are no UTF-8 come with surrogates."""
    for folder, folders, names in os.walk(root, followlinks=True, onerror=_cannot_list):
        real = os.path.realpath(folder)
        folders[:] = [
            name
            for name in folders
            if deep
            and not (real + os.sep).startswith(
                os.path.realpath(os.path.join(folder, name)) + os.sep
            )
        ]
        for name in names:
            path = os.path.join(folder, name)
            if not os.path.isdir(
                path
            ):  # a link to nowhere, a pipe and their like are read to a reject
                yield (
                    os.path.relpath(path, root).replace(os.sep, "/"),
                    os.path.getsize(path) if os.path.isfile(path) else 0,
                )


def _cannot_list(error: OSError) -> None:
    """A folder that cannot be listed holds who knows what: nothing is passed over in silence."""
    raise UserError(
        f"{error.filename}: cannot be listed: {error.strerror}",
        "give yourself the right to read it, or leave it out of the input",
        3,
    )


def fixed_part(pattern: str) -> str:
    """The folder of a glob before its first wildcard; the pattern itself where there is none."""
    if http.is_web(pattern):
        return pattern
    wild = re.search(r"[*?\[]", pattern)
    if wild is None:
        return pattern.rstrip("/") or "/"
    head = pattern[: wild.start()]
    return head.rsplit("/", 1)[0] or "/" if "/" in head else "."


def _translate(pattern: str) -> str:
    """A glob as a regular expression; `**` stands for any number of folders, and a wildcard never
    for a leading dot."""
    folders, name = r"(?:[^./][^/]*/)*", r"[^./][^/]*"
    parts = pattern.split("/")
    regex = [folders if part == "**" else _translate_part(part) + "/" for part in parts[:-1]]
    return "".join(regex) + (folders + name if parts[-1] == "**" else _translate_part(parts[-1]))


def _translate_part(part: str) -> str:
    regex = "" if part.startswith(".") else r"(?!\.)"
    for token in re.findall(r"\[!?[^]]+\]|.", part, flags=re.DOTALL):
        if token == "*":
            regex += "[^/]*"
        elif token == "?":
            regex += "[^/]"
        elif len(token) > 1:
            regex += "[^" + token[2:] if token[1] == "!" else token
        else:
            regex += re.escape(token)
    return regex
