"""Writes docs/reference.md from the source.

    python docs/make_reference.py            # write the page
    python docs/make_reference.py --check    # exit 1 if the page is out of date

It reads the dataclasses, and the docstrings below their fields, with `ast`. It imports nothing of
the project, so it needs neither Beam nor torch nor any other package.
"""

import ast
import re
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
TARGET = ROOT / "docs" / "reference.md"

TABLES = (
    ("", "pipelines/recipe.py", "Recipe"),
    ("sources.NAME", "corpora/document.py", "SourceOptions"),
    ("sources.NAME", "corpora/files/source.py", "FilesOptions"),
    ("sources.NAME", "corpora/cc_news/source.py", "CcNewsOptions"),
    ("sources.NAME", "corpora/wikipedia/source.py", "WikipediaOptions"),
    ("sources.NAME", "corpora/books/source.py", "BooksOptions"),
    ("sources.NAME", "corpora/openwebtext/source.py", "OpenWebTextOptions"),
    ("sources.NAME", "corpora/stories/source.py", "StoriesOptions"),
    ("sources.NAME.rules", "corpora/quality/rules.py", "RulesConfig"),
    ("sources.NAME.dedup", "corpora/document.py", "SourceDedup"),
    ("dedup", "pipelines/recipe.py", "DedupConfig"),
    ("tokenizer", "pipelines/recipe.py", "TokenizerConfig"),
    ("shards", "pipelines/recipe.py", "ShardsConfig"),
    ("expected.NAME", "pipelines/recipe.py", "ExpectedConfig"),
)
"""Table of the recipe, file, dataclass."""

KINDS = {
    "FilesOptions": "files",
    "CcNewsOptions": "cc_news",
    "WikipediaOptions": "wikipedia",
    "BooksOptions": "books",
    "OpenWebTextOptions": "openwebtext",
    "StoriesOptions": "stories",
}

MANIFEST = (("", "Manifest"), ("tokenizer", "TokenizerInfo"), ("shards[]", "ShardEntry"))

REJECT_FILES = (
    "corpora/files/source.py",
    "corpora/files/tables.py",
    "corpora/cc_news/source.py",
    "corpora/guard.py",
    "corpora/web/extract.py",
    "corpora/web/page.py",
    "corpora/web/records.py",
    "corpora/web/warc.py",
    "corpora/wikipedia/source.py",
    "corpora/wikipedia/page.py",
    "corpora/wikipedia/wikitext.py",
    "corpora/wikipedia/dump.py",
    "corpora/books/source.py",
    "corpora/books/epub.py",
    "corpora/inputs/archives.py",
    "corpora/inputs/nested_archives.py",
    "corpora/openwebtext/source.py",
    "corpora/openwebtext/release.py",
    "corpora/openwebtext/submissions.py",
    "corpora/stories/source.py",
    "pipelines/stages/ingest.py",
)
"""The files that reject records."""

COMPUTED = {
    "bad_csv",
    "error",
    "http_Nxx",
    "memory",
    "not_a_file",
    "not_selected",
    "other_record",
    "too_short",
    "unsupported_compression",
    "forgotten",
}
"""The reasons that the code does not write out as constants."""

STATS = (
    ("schema_version", "1"),
    ("sources.NAME.records", "records that ingest read: documents + rejects + not_pages"),
    ("sources.NAME.rejects.REASON", "records that became no document"),
    (
        "sources.NAME.not_pages.KIND",
        "records that hold no page by their kind, if there are any: they are no rejects",
    ),
    ("sources.NAME.documents", "documents: kept + removed"),
    (
        "sources.NAME.removed.rules",
        "documents that the rules of quality remove, for sources that have rules",
    ),
    (
        "sources.NAME.removed.exact",
        "documents that exact dedup removes from those that the rules keep",
    ),
    (
        "sources.NAME.removed.near",
        "documents that near dedup removes from those that exact dedup keeps",
    ),
    ("sources.NAME.rules.RULE", "the documents in `removed.rules`, by the first rule that applies"),
    (
        "sources.NAME.marks.MARK",
        "documents that have a mark of their source, if any have: for stories, what they "
        "contain of the questions",
    ),
    (
        "sources.NAME.survey",
        "for a source that is read twice: `records` and `rejects` of the first reading, and "
        "the counts of its conclusion: for stories `candidates` and `chosen`",
    ),
    ("sources.NAME.kept", "documents in the shards"),
    ("sources.NAME.bytes", "UTF-8 bytes of their text"),
    ("sources.NAME.sentences", "their sentences"),
    ("sources.NAME.tokens", "their tokens"),
    ("total", "the same keys, summed over the sources"),
    (
        "shares.NAME.documents",
        "the source's share of the total's documents, from 0 to 1, six digits; likewise "
        "`kept`, `bytes`, `tokens`",
    ),
    (
        "overlap.exact.NAME.OTHER",
        "documents of NAME that exact dedup removes because the kept document is in OTHER, "
        "which may be NAME; pairs without any are left out",
    ),
    (
        "overlap.near.NAME.OTHER",
        "the same for near dedup; the sum over OTHER is `sources.NAME.removed.near`",
    ),
    (
        "vocabulary",
        "the report of the vocabulary, if there is one: `kind` of the model, `ids`, "
        "`trained_on` (sample, all or given)",
    ),
    (
        "vocabulary.unused, vocabulary.rare",
        "the ids, special tokens apart, that the shards never hold, and fewer than 100 times; "
        "null before there are shards",
    ),
    (
        "vocabulary.sources.NAME",
        "how the source is encoded: `bytes`, `tokens`, `bytes_per_token`, and of vocabularies "
        "of bytes `single_bytes` (tokens of one byte) and `single_share`; likewise "
        "`languages.CODE` and `total`",
    ),
    (
        "vocabulary.sample",
        "for a vocabulary that was trained on a part of the text: `sample` and `others` as "
        "above, and `lost`, about the largest share of tokens that training on all would save",
    ),
    (
        "vocabulary.longest[]",
        "entries: `text` as it is shown, `id`, `bytes`, `uses` in the shards, 100 for more; "
        "likewise `unused_examples[]`",
    ),
    ("vocabulary.odd[]", "odd entries: `kind`, `entries`, the longest as `examples[]`"),
)
STATS_CODE = (
    "records",
    "rejects",
    "not_pages",
    "documents",
    "removed",
    "rules",
    "marks",
    "survey",
    "kept",
    "bytes",
    "sentences",
    "tokens",
    "shares",
    "overlap",
)

EXIT_CODES = (
    ("0", "done; damage inside inputs is counted, not an error"),
    ("1", "ran but incomplete, stopped by the guard, or a check failed"),
    ("2", "usage, recipe, or no input that could be read"),
    ("3", "environment: disk, rights"),
    ("130", "interrupted; run the same command again to resume"),
)


def main(arguments: list[str]) -> int:
    """Write or check the page; the exit code."""
    text = page()
    if arguments == ["--check"]:
        if TARGET.exists() and TARGET.read_text("utf-8") == text:
            return 0
        print(
            "error: docs/reference.md is out of date\nhint: python docs/make_reference.py",
            file=sys.stderr,
        )
        return 1
    if arguments:
        print(
            f"error: {arguments[0]}: unknown argument\n"
            "hint: python docs/make_reference.py [--check]",
            file=sys.stderr,
        )
        return 2
    TARGET.write_text(text, "utf-8")
    return 0


def page() -> str:
    """The whole of docs/reference.md."""
    lines = [
        "# Reference",
        "",
        "Made by `python docs/make_reference.py`; do not edit.",
        "",
        "## Commands of `corpus`",
        "",
    ]
    lines += table(("command", "what it does"), commands())
    lines += [
        "`corpus COMMAND --help` lists the flags that are often given, and",
        "`corpus build RECIPE --help-all` every one: each key of a recipe is a flag of `build` and",
        "`ingest`, such as `--limit 100`, `--tokenizer.vocab-size 8000` or",
        "`--sources.NAME.language de`. A switch has two flags, `--dedup.exact` and",
        "`--dedup.no-exact`. A flag that `corpus` does not know is passed to Beam; one that",
        "neither knows is an error.",
        "",
        "## Exit codes",
        "",
        *table(("code", "meaning"), EXIT_CODES),
        "## Recipe keys",
        "",
        "A recipe is TOML. An unknown key is an error. A key without a default is required.",
        "",
    ]
    for name, file, cls in TABLES:
        kind = f' with `kind = "{KINDS[cls]}"`' if cls in KINDS else ""
        lines += [
            f"### `[{name}]`{kind}" if name else "### Top",
            "",
            docstring(file, cls),
            "",
            *fields(file, cls),
        ]
    lines += ["## Reject reasons", ""]
    lines += table(("reason", "meaning"), meanings("REJECTS"))
    lines += ["A source of your own adds its reasons.", "", "## Records that are no pages", ""]
    lines += [
        "They hold no text by their kind, and are neither documents nor rejects: they are counted",
        "in a line of their own, and in no share.",
        "",
    ]
    lines += table(("kind", "meaning"), meanings("ARCHIVE_KINDS"))
    lines += [
        "The survey of a list of addresses counts its lines that begin with # in the same way, as",
        "`comment`.",
        "",
        "## Reasons of removal",
        "",
        "The rules of quality are those of `[sources.NAME.rules]` above. Duplicates are of four",
        "kinds, the first two of `exact`, the others of `near`:",
        "",
    ]
    lines += table(("kind", "meaning"), meanings("DUPLICATES"))
    lines += ["## `corpus stats HOME --json`", ""]
    lines += [
        "The command prints one object. A number that no stage has counted yet is null.",
        "",
        *table(("key", "meaning"), [(f"`{key}`", text) for key, text in checked_stats()]),
    ]
    lines += [
        "## Manifest keys",
        "",
        "These are the keys of `shards/manifest.json`. [format.md](format.md) describes the rest.",
        "",
    ]
    for name, cls in MANIFEST:
        lines += [
            f"### `{name}`" if name else "### Top",
            "",
            docstring("shards/manifest.py", cls),
            "",
            *fields("shards/manifest.py", cls),
        ]
    lines += trainer_commands()
    lines += trainer_keys()
    lines += tuning_keys()
    return "\n".join(lines).rstrip("\n") + "\n"


def trainer_commands() -> list[str]:
    """The commands of `trainer` with their options."""
    lines = [
        "## Commands of `trainer`",
        "",
        "`trainer COMMAND --help` lists the common options, `--help-all` lists all of them.",
        "",
    ]
    file = "trainer/options.py"
    commands = [node.name for node in tree(file).body if isinstance(node, ast.ClassDef)]
    for name in commands:
        lines += [f"### `trainer {name.lower()}`", "", docstring(file, name), ""]
        lines += table(("option", "default", "text"), trainer_options(name))
    return lines


def trainer_options(name: str) -> Iterator[tuple[str, str, str]]:
    """Each option of a command: its flag with what the value is called, its default, its text."""
    body = class_of("trainer/options.py", name).body
    for node, after in zip(body, body[1:]):
        is_flag = isinstance(node, ast.AnnAssign) and isinstance(node.value, ast.Call)
        if not is_flag or ast.unparse(node.value.func) != "flag":  # type: ignore[attr-defined]
            continue
        assert isinstance(node, ast.AnnAssign) and isinstance(node.value, ast.Call)
        assert isinstance(after, ast.Expr) and isinstance(after.value, ast.Constant)

        key = ast.unparse(node.target).replace("_", "-")
        default, *more = node.value.args
        value = ast.literal_eval(more[0]) if more else ""
        is_positional = any(keyword.arg == "positional" for keyword in node.value.keywords)
        shown = value if is_positional else f"--{key} {value}".rstrip()
        given = ast.literal_eval(default)
        text = prose(str(after.value.value))
        yield f"`{shown}`", f"`{given}`" if isinstance(given, str) and given else "", text


def trainer_keys() -> list[str]:
    """The keys of a recipe of `trainer`."""
    lines = [
        "## Recipe keys of `trainer`",
        "",
        "Each is also a flag of `trainer pretrain`: `--steps 1000`, `--optim.lr 1e-3`. A switch",
        "has two flags, `--data.sentence-eos` and `--data.no-sentence-eos`. A key that a recipe",
        "leaves out has the default in this table; `optim.warmup_steps` has it scaled to the",
        "recipe's `steps`. `trainer recipes NAME` prints a recipe with every key.",
        "",
    ]
    file = "trainer/config.py"
    tables = [("", "Recipe")]
    for node in class_of(file, "Recipe").body:
        if isinstance(node, ast.AnnAssign) and ast.unparse(node.annotation).endswith("Config"):
            tables.append((ast.unparse(node.target), ast.unparse(node.annotation)))
    for name, cls in tables:
        heading = f"### `[{name}]` of `trainer`" if name else "### Top of a recipe of `trainer`"
        lines += [heading, "", docstring(file, cls), "", *fields(file, cls)]
    return lines


def tuning_keys() -> list[str]:
    """The settings of fine-tuning."""
    lines = [
        "## Settings of `trainer finetune`",
        "",
        "Each is also a flag: `--epochs 3`, `--optim.lr 2e-5`, `--inputs.length 256`. A new run",
        "begins with the preset of its task ([tasks.md](tasks.md#presets)), which differs from the",
        "defaults here in a few of them; `RUN/finetuning.toml` holds those of a run.",
        "",
    ]
    file = "trainer/tasks/settings.py"
    tables = {
        "": "Finetuning",
        "inputs": "InputConfig",
        "optim": "TuningOptim",
        "ranking": "RankingConfig",
    }
    for name, cls in tables.items():
        heading = f"### `[{name}]` of fine-tuning" if name else "### Top of fine-tuning"
        lines += [heading, "", docstring(file, cls), "", *fields(file, cls)]
    return lines


def table(head: tuple[str, ...], rows: object) -> list[str]:
    """A Markdown table and an empty line."""
    cells = [head, tuple("---" for _ in head), *rows]  # type: ignore[misc]
    return [
        "| " + " | ".join(cell.replace("|", "\\|").replace("\n", " ") for cell in row) + " |"
        for row in cells
    ] + [""]


def tree(file: str) -> ast.Module:
    """The syntax of a file of the project."""
    return ast.parse((ROOT / file).read_text("utf-8"))


def class_of(file: str, name: str) -> ast.ClassDef:
    """A class at the top of a file."""
    return next(
        node for node in tree(file).body if isinstance(node, ast.ClassDef) and node.name == name
    )


def docstring(file: str, name: str) -> str:
    """The docstring of a class, on one line."""
    return prose(ast.get_docstring(class_of(file, name)) or "")


def fields(file: str, name: str) -> list[str]:
    """Table of a dataclass's fields; the text of each is the string that follows it."""
    body = class_of(file, name).body
    rows = []
    for node, after in zip(body, [*body[1:], ast.Pass()]):
        if (
            not isinstance(node, ast.AnnAssign)
            or "ClassVar" in ast.unparse(node.annotation)
            or (own_options(name) and ast.unparse(node.target) == "kind")
        ):
            continue
        text = ""
        if isinstance(after, ast.Expr) and isinstance(after.value, ast.Constant):
            text = str(after.value.value)
        default = "" if node.value is None else shown_default(file, node.value)
        rows.append(
            (
                f"`{ast.unparse(node.target)}`",
                shown_type(alias_of(file, node.annotation)),
                default,
                prose(text),
            )
        )
    head = ("key", "type", "default", "text")
    wanted = [index for index in range(len(head)) if any(row[index] for row in rows)]
    return table(
        tuple(head[index] for index in wanted),
        [tuple(row[index] for index in wanted) for row in rows],
    )


def prose(text: str) -> str:
    """A text on one line; tokens such as <s> as code, since a browser takes them for tags."""
    return re.sub(r"(?<!`)(</?\w+>)", r"`\1`", " ".join(text.split()))


def alias_of(file: str, annotation: ast.expr) -> ast.expr:
    """What a type that has a name of its own stands for; any other type as it is."""
    if isinstance(annotation, ast.BinOp):  # X | None
        left = alias_of(file, annotation.left)
        return ast.BinOp(left, annotation.op, annotation.right)
    if not isinstance(annotation, ast.Name):
        return annotation

    for source in (file, "corpora/web/page.py"):
        for node in tree(source).body:
            if isinstance(node, ast.Assign):
                name = node.targets[0]
            elif isinstance(node, ast.AnnAssign):
                name = node.target
            else:
                continue
            if ast.unparse(name) == annotation.id and node.value is not None:
                return node.value
    return annotation


def own_options(name: str) -> bool:
    """True for the options of one kind of source, whose `kind` is in the heading."""
    return name.endswith("Options") and name != "SourceOptions"


def shown_type(annotation: ast.expr) -> str:
    """A type as a reader of TOML knows it."""
    if isinstance(annotation, ast.BinOp):  # X | None, X | Literal["word"]
        left = shown_type(annotation.left)
        is_none = ast.unparse(annotation.right) == "None"
        return left if is_none else f"{left} or {shown_type(annotation.right)}"
    if isinstance(annotation, ast.Name):
        return {
            "bool": "true or false",
            "int": "whole number",
            "float": "number",
            "str": "text",
        }.get(annotation.id, "table")
    if isinstance(annotation, ast.Subscript):
        kind = ast.unparse(annotation.value)
        items = (
            annotation.slice.elts if isinstance(annotation.slice, ast.Tuple) else [annotation.slice]
        )
        if kind == "Literal":
            return ", ".join(f"`{toml(ast.literal_eval(item))}`" for item in items)
        if kind == "tuple":
            return (
                "list of tables"
                if shown_type(items[0]) == "table"
                else f"list of {shown_type(items[0])}s"
            )
        if kind == "dict":
            return "table" if shown_type(items[1]) != "table" else "tables"
    return f"`{ast.unparse(annotation)}`"


def shown_default(file: str, value: ast.expr) -> str:
    """A default as a reader of TOML knows it; for a table, that of its keys."""
    if isinstance(value, ast.Name):  # a constant of the same file or of the format
        for source in (file, "shards/format.py", "corpora/web/page.py"):
            for node in tree(source).body:
                if isinstance(node, ast.Assign) and any(
                    isinstance(target, ast.Name) and target.id == value.id
                    for target in node.targets
                ):
                    shown = ast.unparse(node.value)
                    return f"`{shown}`" if len(shown) < 200 else f"`{value.id}` of {source}"
    if isinstance(value, ast.Call):
        function = ast.unparse(value.func)
        if function == "setting":
            return shown_default(file, value.args[0])
        if "default_factory=" in ast.unparse(value) and "Config" in ast.unparse(value):
            return "see its keys"
        if function in ("_rule", "field", "dataclasses.field"):
            return ""
        first = ast.unparse(value.args[0]) if value.args else ""
        is_empty = first == "dict" or "default_factory=dict" in ast.unparse(value)
        return "empty" if is_empty else "see its keys"
    if isinstance(value, ast.Constant) and value.value is None:
        return "not set"
    if isinstance(value, ast.Tuple):
        return "`[" + ", ".join(ast.unparse(item) for item in value.elts) + "]`"
    if isinstance(value, ast.Constant):
        return (
            f"`{str(value.value).lower() if isinstance(value.value, bool) else toml(value.value)}`"
        )
    return f"`{ast.unparse(value)}`"


def toml(value: object) -> str:
    """A text in double quotes, a large whole number with underscores."""
    if isinstance(value, str):
        return f'"{value}"'
    if isinstance(value, int) and value >= 100_000:
        return f"{value:_}"
    return str(value)


def commands() -> Iterator[tuple[str, str]]:
    """Each command with its arguments, and the first line of its function's docstring.

    Commands and arguments are those of the table COMMANDS in `pipelines/cli.py`; each function is
    in a file of `pipelines/commands`.
    """
    texts: dict[str, str] = {}
    for path in sorted((ROOT / "pipelines/commands").glob("*.py")):
        for node in tree(str(path.relative_to(ROOT))).body:
            if isinstance(node, ast.FunctionDef) and node.name == path.stem:
                texts[node.name] = (ast.get_docstring(node) or "").splitlines()[0]

    for node in tree("pipelines/cli.py").body:
        if isinstance(node, ast.AnnAssign) and ast.unparse(node.target) == "COMMANDS":
            assert isinstance(node.value, ast.Dict)
            for key, value in zip(node.value.keys, node.value.values):
                assert key is not None and isinstance(value, ast.Call)
                name = ast.literal_eval(key)
                arguments = ast.literal_eval(value.args[0])
                yield f"`corpus {name} {arguments}`", texts[ast.unparse(value.args[1])]


def meanings(name: str) -> list[tuple[str, str]]:
    """The words of a table of `corpora/quality/reasons.py` and their sentences, sorted.

    A reject reason of the code without a sentence, and one with a sentence that the code does not
    have, is an error.
    """
    sentences: dict[str, str] = {}
    for node in tree("corpora/quality/reasons.py").body:
        if isinstance(node, ast.AnnAssign) and ast.unparse(node.target) == name:
            assert node.value is not None
            sentences = ast.literal_eval(node.value)

    if name == "REJECTS" and reasons() != set(sentences):
        differences = sorted(reasons() ^ set(sentences))
        raise SystemExit(
            f"error: corpora/quality/reasons.py: REJECTS and the code differ: {differences}"
        )
    return [(f"`{word}`", sentences[word]) for word in sorted(sentences)]


def reasons() -> set[str]:
    """Every reject reason in the code."""
    found: set[str] = set()
    for file in REJECT_FILES:
        makers = {"Refusal", *functions_of_a_reason(file)}
        for node in ast.walk(tree(file)):
            if isinstance(node, ast.keyword) and node.arg == "reason":
                found |= constants(node.value)
            elif isinstance(node, ast.Call) and ast.unparse(node.func) in makers:
                found |= constants(node.args[0])
            elif isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "reason":
                found |= constants(node.value)

    return found | COMPUTED


def functions_of_a_reason(file: str) -> Iterator[str]:
    """The names of the functions of a file whose first parameter is `reason`."""
    for node in ast.walk(tree(file)):
        if isinstance(node, ast.FunctionDef) and node.args.args:
            if node.args.args[0].arg == "reason":
                yield node.name


def constants(value: ast.expr) -> set[str]:
    """The constants that an expression may be: itself, or either side of a conditional."""
    choices = [value.body, value.orelse] if isinstance(value, ast.IfExp) else [value]
    return {str(choice.value) for choice in choices if isinstance(choice, ast.Constant)}


def checked_stats() -> tuple[tuple[str, str], ...]:
    """`STATS`, after a check that the code has its keys."""
    text = (ROOT / "pipelines/look/stats.py").read_text("utf-8")
    missing = [key for key in STATS_CODE if f"    {key}: " not in text]
    if missing:
        raise SystemExit(
            f"error: docs/make_reference.py: not in pipelines/look/stats.py: {missing}"
        )
    return STATS


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
