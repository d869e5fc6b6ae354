"""`corpus sample`: a folder of text to try things on."""

import ast
import re
import sysconfig
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import tyro

from pipelines.wording import amount, say, several
from shards.errors import UserError

LEFT_OUT = {"test", "tests", "site-packages", "idlelib", "lib2to3", "turtledemo", "ensurepip"}
"""Folders of Python's library that hold no modules for a reader."""

SHORT = 300
"""A module of which fewer characters are said gives no text."""


def sample(folder: Annotated[str, tyro.conf.arg(metavar="FOLDER")], /) -> int:
    """Write Python's own documentation as some 400 small text files, to try a build on.

    It comes with Python: nothing is downloaded. The text is English, about 2 MB.

    Args:
        folder: The folder to write, new or empty.
    """
    target = Path(folder)
    if target.is_file() or (target.is_dir() and any(target.iterdir())):
        raise UserError(f"{folder}: it is not an empty folder", "name a new folder")
    target.mkdir(parents=True, exist_ok=True)

    count = size = 0
    for name, text in python_documentation():
        size += Path(target, f"{name}.txt").write_bytes(text.encode())
        count += 1
    say(f"{several(count, 'file')}, {amount(size)} of text in {folder}")
    return 0


def python_documentation() -> Iterator[tuple[str, str]]:
    """Yield what `help()` prints of the language and of the library: (name, text).

    A topic of the language is named `topic-NAME`, and a module of the library by its own name. The
    modules are read, not imported.
    """
    from pydoc_data import topics

    for name, text in sorted(topics.topics.items()):
        yield f"topic-{name}", _without_underlines(text)

    library = Path(sysconfig.get_paths()["stdlib"])
    for file in sorted(library.rglob("*.py")):
        parts = file.relative_to(library).with_suffix("").parts
        is_private = any(part.startswith("_") and part != "__init__" for part in parts)
        if is_private or LEFT_OUT & set(parts):
            continue
        text = _without_underlines(_docstrings(file))
        if len(text) >= SHORT:
            yield ".".join(parts).removesuffix(".__init__"), text


def _docstrings(file: Path) -> str:
    """The docstrings of a module, each below the name of what it describes."""
    tree = ast.parse(file.read_text("utf-8", "replace"))
    parts = [ast.get_docstring(tree) or ""]
    for node in ast.walk(tree):
        if isinstance(node, (ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)):
            text = ast.get_docstring(node)
            if text:
                parts += [node.name, text]
    return "\n\n".join(parts) + "\n"


def _without_underlines(text: str) -> str:
    """A text without the lines that only underline a title."""
    return re.sub(r'^[*=~^"-]{3,}$\n?', "", text, flags=re.MULTILINE)
