"""The texts of test sets: of official files in folders, or of single files that are named.

A folder is searched for development and test files of the tasks, by the names under which they are
published; training files are no test sets. What is looked for in documents are the texts of an
example, one by one: sentences, questions, passages, options. Labels are not needed.
"""

import hashlib
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from corpora.tasks.catalogue import TASKS, Task, find_task
from corpora.tasks.examples import Choice, Example, Question, Referent
from corpora.tasks.faults import fault
from corpora.tasks.read import read
from shards.errors import UserError

SQUAD_FILE = re.compile(r"(dev|test)-v(1|2)\.\d.*\.json")
"""Excerpts of the files of SQuAD keep the beginning of their names."""


Stamps = tuple[tuple[str, int, int], ...]
"""Path, size and time of files."""


@dataclass(frozen=True)
class TestFile:
    """A file of a task, or the folder of a split of RACE."""

    __test__ = False  # no test of pytest

    task: Task
    split: str
    path: Path


@dataclass(frozen=True, slots=True)
class TestText:
    """A text of a test set, and the examples that have it: `dev 12`."""

    __test__ = False

    task: str
    part: str
    text: str
    examples: tuple[str, ...]


def find_test_files(against: Iterable[str]) -> list[TestFile]:
    """The test files in folders, and files given as TASK=FILE. Raises `UserError` for a path that
    is not there and for one that holds no test file."""
    found: list[TestFile] = []
    for given in against:
        name, equals, path = given.partition("=")
        if equals and not Path(given).exists():
            found.append(TestFile(find_task(name), "test", existing(path)))
            continue

        folder = existing(given)
        inside = sorted(search(folder), key=lambda file: str(file.path))
        if not inside:
            hint = "name the folder of the published files, or a file: TASK=FILE"
            raise fault(folder, "", "no development or test file of a known task", hint)
        found += inside
    # A folder may be given twice, or lie in another that is given.
    return list({(file.task.name, file.path.resolve()): file for file in found}.values())


def existing(path: str) -> Path:
    """A path that is there. Raises `UserError`."""
    if "://" in path:
        raise UserError(f"{path}: test sets must be files of this machine", "copy them first")
    if not Path(path).exists():
        raise fault(Path(path), "", "no such file or folder", "check the path")
    return Path(path)


def search(folder: Path) -> Iterator[TestFile]:
    """The test files below a folder, or the file itself."""
    paths = [folder] if folder.is_file() else sorted(folder.rglob("*"))
    for path in paths:
        squad = SQUAD_FILE.fullmatch(path.name)
        if squad:
            yield TestFile(TASKS[f"squad{squad[2]}"], squad[1], path)
        elif path.is_dir() and path.name in ("middle", "high"):
            if path.parent.name in ("dev", "test"):
                yield TestFile(TASKS[f"race-{path.name}"], path.parent.name, path)
        elif path.is_file():
            yield from table_of(path)


def table_of(path: Path) -> Iterator[TestFile]:
    """The task and split of a table, by its name and that of its folder."""
    for task in TASKS.values():
        if task.kind in ("span", "choice") or task.folder.lower() != path.parent.name.lower():
            continue
        # MNLI has the two files of `mnli-mm` too.
        if task.name == "mnli-mm":
            continue
        for split, names in task.files.items():
            if split != "train" and path.name in names:
                yield TestFile(task, split, path)


def stamps(files: Iterable[TestFile]) -> Stamps:
    """What tells, within a process, that a file was changed: its size and its time."""
    found = []
    for file in files:
        for path in sorted(file.path.iterdir()) if file.path.is_dir() else [file.path]:
            status = path.stat()
            found.append((str(path), status.st_size, status.st_mtime_ns))
    return tuple(found)


def read_texts(files: Iterable[TestFile]) -> list[TestText]:
    """The texts of test sets, each one once for each task and part, in the order of the files.
    Raises `UserError` for a file that cannot be read."""
    holders: dict[tuple[str, str, str], list[str]] = {}
    for file in files:
        # The two files of MNLI are one task; read as a test file, so that no label is asked for.
        task = "mnli" if file.task.name == "mnli-mm" else file.task.name
        for item in read(file.task, file.path, "test").items:
            for part, text in parts_of(item):
                examples = holders.setdefault((task, part, text), [])
                name = f"{file.path.stem} {item.id}"
                if name not in examples[-1:]:
                    examples.append(name)
    return [TestText(*key, tuple(examples)) for key, examples in holders.items()]


def parts_of(item: Example | Question | Choice | Referent) -> Iterator[tuple[str, str]]:
    """The texts of an example, by what they are."""
    if isinstance(item, Question):
        yield "context", item.context
        yield "question", item.question
    elif isinstance(item, Choice):
        yield "passage", item.passage
        yield "question", item.question
        for option in item.options:
            yield "option", option
    elif isinstance(item, Referent):
        yield "text", item.text
    else:
        yield "first", item.first
        if item.second is not None:
            yield "second", item.second


def digest_of_texts(texts: Iterable[TestText]) -> str:
    """32 hex digits of all texts, their tasks and their examples."""
    digest = hashlib.blake2b(digest_size=16)
    for text in texts:
        for field in (text.task, text.part, text.text, *text.examples):
            digest.update(field.encode("utf-8", "surrogatepass") + b"\0")
        digest.update(b"\n")
    return digest.hexdigest()
