"""How the code is written: lines that fit, steps that can be read one at a time.

What a formatter cannot see is counted here, over the four packages.
"""

import ast
import io
import tokenize
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]

PACKAGES = ("corpora", "pipelines", "shards", "trainer")

COLUMNS = 100

MOST_PARAMETERS = 6

MOST_ANY = 60
"""Parameters and results whose type names `Any`: what really may be anything."""

LEAST_COMMENTED = 0.02
"""The share of lines that bear a comment."""

COMPREHENSIONS = (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)

TABLES = {
    "corpora/text/charset.py",
    "tests/corpora/books/test_gutenberg.py",
    "tests/corpora/books/test_kinds_of_books.py",
    "tests/corpora/books/test_unwrap.py",
    "tests/corpora/quality/test_rules.py",
    "tests/corpora/stories/test_stories_source.py",
    "tests/corpora/text/test_language.py",
    "tests/corpora/web/test_extract.py",
    "tests/corpora/wikipedia/test_wikipedia_source.py",
    "tests/corpora/wikipedia/test_wikis.py",
    "tests/corpora/wikipedia/test_wikitext.py",
    "tests/fuzz/test_fuzz_epub.py",
    "tests/fuzz/test_fuzz_wikipedia.py",
}
"""Files that hold tables of data or patterns whose lines may be longer."""


def files() -> list[Path]:
    """Every Python file of the packages."""
    return sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def functions(path: Path) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            yield node


def is_kernel(function: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    return any("jit" in ast.unparse(decorator) for decorator in function.decorator_list)


def parameters(function: ast.FunctionDef | ast.AsyncFunctionDef) -> list[ast.arg]:
    arguments = function.args
    named = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs]
    return [argument for argument in named if argument.arg not in ("self", "cls")]


@pytest.mark.parametrize(
    "folder", ["corpora", "pipelines", "shards", "trainer", "tests", "benchmarks", "docs"]
)
def test_lines_fit(folder: str) -> None:
    long = []
    for path in sorted((ROOT / folder).rglob("*.py")):
        if name_of(path) in TABLES:
            continue
        for number, line in enumerate(path.read_text("utf-8").splitlines(), 1):
            if len(line) > COLUMNS:
                long.append(f"{name_of(path)}:{number}")
    assert long == []


def test_one_comprehension_at_a_time() -> None:
    nested = []
    for path in files():
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, COMPREHENSIONS):
                inner = [child for child in ast.walk(node) if isinstance(child, COMPREHENSIONS)]
                if len(inner) > 1:
                    nested.append(f"{name_of(path)}:{node.lineno}")
    assert nested == []


def test_no_choice_within_a_choice() -> None:
    chained = []
    for path in files():
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.IfExp):
                parts = (node.test, node.body, node.orelse)
                if any(isinstance(part, ast.IfExp) for part in parts):
                    chained.append(f"{name_of(path)}:{node.lineno}")
    assert chained == []


def test_functions_take_few_parameters() -> None:
    many = []
    for path in files():
        for function in functions(path):
            if len(parameters(function)) > MOST_PARAMETERS and not is_kernel(function):
                many.append(f"{name_of(path)}:{function.lineno} {function.name}")
    assert many == []


def test_types_are_named() -> None:
    found = []
    for path in files():
        for function in functions(path):
            hints = [argument.annotation for argument in parameters(function)]
            hints += [function.args.vararg and function.args.vararg.annotation]
            hints += [function.args.kwarg and function.args.kwarg.annotation]
            hints += [function.returns]
            for hint in hints:
                names = ast.walk(hint) if hint is not None else ()
                if any(isinstance(name, ast.Name) and name.id == "Any" for name in names):
                    found.append(f"{name_of(path)}:{function.lineno} {function.name}")
    assert len(found) < MOST_ANY, "\n".join(found)


@pytest.mark.parametrize("package", PACKAGES)
def test_comments_say_why(package: str) -> None:
    lines = comments = 0
    for path in (ROOT / package).rglob("*.py"):
        text = path.read_text("utf-8")
        lines += len(text.splitlines())
        for token in tokenize.generate_tokens(io.StringIO(text).readline):
            is_remark = token.type == tokenize.COMMENT and "type: ignore" not in token.string
            comments += is_remark
    assert comments >= LEAST_COMMENTED * lines, f"{comments} comments in {lines} lines"
