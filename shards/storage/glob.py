"""Globs over folders of this machine and of object stores, with one meaning on both.

`*` and `?` stay within a name, `**` stands for any number of folders, `[...]` for one character,
and no wildcard for a leading dot. Only the folder before the first wildcard is listed: the whole of
it when the pattern crosses folders, else its own files. Cost on a store: one request per 1,000
keys. Nothing is skipped in silence: a missing or unreadable folder is a `UserError`.
"""

import os
import re
from collections.abc import Iterator

from pyarrow import fs as pafs

from shards.errors import UserError
from shards.storage import http, http_file, object_store
from shards.storage.files import SPECIAL, exists, file_info, is_remote, join, listing, resolve


def glob(pattern: str) -> list[tuple[str, int]]:
    """(address, bytes) of every file that matches, sorted by address.

    A pattern without wildcards names a file, or a folder and everything below it. An address of a
    web server names one file. Raises `UserError` when the folder before the first wildcard is
    missing, cannot be listed or is neither a folder nor a file.
    """
    if http.is_web(pattern):
        return http_file.glob(pattern)

    fixed = pattern if _is_file(pattern) else fixed_part(pattern)
    info = file_info(fixed)
    if info.type == pafs.FileType.NotFound:
        raise _missing(pattern, fixed)
    if info.type == pafs.FileType.File:
        return [(fixed, int(info.size))]
    if info.type == pafs.FileType.Unknown:
        raise UserError(f"{fixed}: {SPECIAL}", "write its content to a file, and name that")

    rest = _below(fixed, pattern) or "**"
    matches = re.compile(_translate(rest)).fullmatch
    # A pattern within one folder must not list what may be a whole bucket below it.
    deep = "/" in rest or "**" in rest
    files = _walk_remote(fixed, deep) if is_remote(pattern) else _walk(resolve(fixed)[1], deep)
    return sorted((join(fixed, relative), size) for relative, size in files if matches(relative))


def fixed_part(pattern: str) -> str:
    """The folder of a glob before its first wildcard; the pattern itself when it has none."""
    if http.is_web(pattern):
        return pattern

    wildcard = re.search(r"[*?\[]", pattern)
    if wildcard is None:
        return pattern.rstrip("/") or "/"

    head = pattern[: wildcard.start()]
    if "/" not in head:
        return "."
    return head.rsplit("/", 1)[0] or "/"


def name_in(pattern: str, address: str) -> str:
    """The name of a file that `pattern` matches: its path from the first `**` on, else its last
    part alone.

    Folders before that, written out or matched by `*`, only tell where the file lies. A pattern
    without wildcards that names a folder ends in `**`, as `glob` reads it.
    """
    if http.is_web(pattern) or _is_file(pattern):
        return address.rsplit("/", 1)[-1]

    fixed = fixed_part(pattern)
    path = _below(fixed, address)
    if not path:  # the pattern names a file of an object store
        return address.rsplit("/", 1)[-1]

    folders = (_below(fixed, pattern) or "**").split("/")
    begin = folders.index("**") if "**" in folders else path.count("/")
    return "/".join(path.split("/")[begin:])


def _below(fixed: str, pattern: str) -> str:
    """The rest of a pattern behind its fixed part, which is "." for a pattern without folders."""
    if fixed == "." and not pattern.startswith("./"):
        return pattern
    return pattern[len(fixed) :].strip("/")


def _is_file(address: str) -> bool:
    """A local file of just this name: brackets may belong to a name."""
    return not is_remote(address) and os.path.isfile(address.removeprefix("file://"))


def _missing(pattern: str, fixed: str) -> UserError:
    bucket = "/".join(fixed.split("/")[:3])
    if is_remote(fixed) and not exists(bucket):
        return object_store.no_bucket(bucket)

    what = "file or folder" if fixed == pattern else f"folder: {fixed}"
    return UserError(
        f"{pattern}: no such {what}", "give an existing path or a glob such as 'texts/**/*.txt'"
    )


def _walk_remote(folder: str, deep: bool) -> Iterator[tuple[str, int]]:
    """(path below a folder of a store, bytes) of its files."""
    root = resolve(folder)[1].rstrip("/")
    for info in listing(folder, recursive=deep, allow_not_found=False):
        if info.type == pafs.FileType.File:
            yield info.path[len(root) :].strip("/"), int(info.size)


def _walk(root: str, deep: bool) -> Iterator[tuple[str, int]]:
    """(path below a folder of this machine, bytes) of its files.

    Links are followed, except into a folder that is being walked already. Names that are not UTF-8
    come with surrogates. A link to nowhere, a pipe and their like come too, with 0 bytes: reading
    them makes a reject.
    """
    for folder, folders, names in os.walk(root, followlinks=True, onerror=_cannot_list):
        real = os.path.realpath(folder)
        followed = [name for name in folders if deep and not _encloses(folder, name, real)]
        folders[:] = followed  # os.walk descends into what is left in its own list

        for name in names:
            path = os.path.join(folder, name)
            if os.path.isdir(path):
                continue
            relative = os.path.relpath(path, root).replace(os.sep, "/")
            yield relative, os.path.getsize(path) if os.path.isfile(path) else 0


def _encloses(folder: str, name: str, real: str) -> bool:
    """Does an entry of `folder`, whose real path is `real`, lead back to it or above it?"""
    target = os.path.realpath(os.path.join(folder, name))
    return (real + os.sep).startswith(target + os.sep)


def _cannot_list(error: OSError) -> None:
    """Raise `UserError` for a folder that cannot be listed: skipping it would lose files in
    silence."""
    raise UserError(
        f"{error.filename}: cannot be listed: {error.strerror}",
        "give yourself the right to read it, or leave it out of the input",
        3,
    )


def _translate(pattern: str) -> str:
    """A glob as a regular expression over paths."""
    any_folders = r"(?:[^./][^/]*/)*"
    any_name = r"[^./][^/]*"

    *folders, name = pattern.split("/")
    regex = ""
    for folder in folders:
        regex += any_folders if folder == "**" else _translate_part(folder) + "/"
    return regex + (any_folders + any_name if name == "**" else _translate_part(name))


def _translate_part(part: str) -> str:
    """One name of a glob as a regular expression."""
    regex = "" if part.startswith(".") else r"(?!\.)"
    for token in re.findall(r"\[!?[^]]+\]|.", part, flags=re.DOTALL):
        if token == "*":
            regex += "[^/]*"
        elif token == "?":
            regex += "[^/]"
        elif token.startswith("[!"):
            regex += "[^" + token[2:]
        elif len(token) > 1:
            regex += token
        else:
            regex += re.escape(token)
    return regex
