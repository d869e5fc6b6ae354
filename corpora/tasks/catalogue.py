"""The tasks: the kind, labels, metrics and official files of each.

The order of the labels is the order of the outputs of a model. Names of metrics are those of the
official scorers: of SQuAD's own scripts, of `evaluate`'s `glue` for GLUE. GLUE (Wang et al. 2019,
section 3 and table 1) names the metrics; where it reports two, `main`, by which a checkpoint is
chosen, is the one that the RoBERTa paper's table 5 reports.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from shards.errors import UserError, nearest

Kind = Literal["classification", "regression", "span", "choice", "referent"]


@dataclass(frozen=True)
class Columns:
    """The names that a column may have in a table, the first that is there counts. No names: the
    table has no such column."""

    first: tuple[str, ...]
    second: tuple[str, ...] = ()
    label: tuple[str, ...] = ("label",)
    id: tuple[str, ...] = ("index",)
    headless: tuple[str, ...] = ()
    """The names of all columns of a file that has no line of names."""


@dataclass(frozen=True)
class Task:
    """A task as it was published, or one of the user's own."""

    name: str
    """As a command takes it: `sst2`."""
    title: str
    """As it is published: `SST-2`."""
    kind: Kind
    metrics: tuple[str, ...]
    main: str
    """The metric by which a checkpoint is chosen: the higher the better."""
    labels: tuple[str, ...] = ()
    """The labels as the files spell them."""
    folder: str = ""
    """The folder of its files in the published archive."""
    files: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """The names that the file of a split may have, by split."""
    columns: Columns | None = None
    """Of a task that is a table."""
    own: bool = False
    """A task of the user's own, whose files may be JSON lines, TSV or Parquet."""
    short_rows: bool = False
    """Whether the published files hold rows with too few columns, which every reader leaves out."""

    @property
    def is_pair(self) -> bool:
        """Whether an example has two texts."""
        return self.columns is not None and bool(self.columns.second)


SPLITS = ("train", "dev", "test")

PAIR = Columns(("sentence1",), ("sentence2",))

BINARY = ("0", "1")

ENTAILMENT = ("entailment", "not_entailment")

MNLI_LABELS = ("contradiction", "neutral", "entailment")
"""In the order of the published RoBERTa of MNLI."""

MNLI_COLUMNS = Columns(
    ("sentence1", "Premise"), ("sentence2", "Hypothesis"), ("gold_label", "label", "Label")
)


def _files(train: str, dev: str, test: str) -> dict[str, tuple[str, ...]]:
    return {"train": (train,), "dev": (dev,), "test": (test,)}


_TSV = _files("train.tsv", "dev.tsv", "test.tsv")

_MNLI = {
    "train": ("train.tsv", "multinli_1.0_train.txt"),
    "dev": ("dev_matched.tsv", "multinli_1.0_dev_matched.txt"),
    "test": ("test_matched.tsv",),
}

_MISMATCHED = {
    "dev": ("dev_mismatched.tsv", "multinli_1.0_dev_mismatched.txt"),
    "test": ("test_mismatched.tsv",),
}

_ALL = (
    Task(
        name="cola",
        title="CoLA",
        kind="classification",
        metrics=("matthews_correlation",),
        main="matthews_correlation",
        labels=BINARY,
        folder="CoLA",
        files=_TSV,
        columns=Columns(("sentence",), headless=("source", "label", "mark", "sentence")),
    ),
    Task(
        name="sst2",
        title="SST-2",
        kind="classification",
        metrics=("accuracy",),
        main="accuracy",
        labels=BINARY,
        folder="SST-2",
        files=_TSV,
        columns=Columns(("sentence",)),
    ),
    Task(
        name="mrpc",
        title="MRPC",
        kind="classification",
        metrics=("accuracy", "f1"),
        main="accuracy",
        labels=BINARY,
        folder="MRPC",
        files={
            "train": ("train.tsv", "msr_paraphrase_train.txt"),
            "dev": ("dev.tsv",),
            "test": ("test.tsv", "msr_paraphrase_test.txt"),
        },
        columns=Columns(("#1 String",), ("#2 String",), ("Quality",)),
    ),
    Task(
        name="stsb",
        title="STS-B",
        kind="regression",
        metrics=("pearson", "spearmanr"),
        main="pearson",
        folder="STS-B",
        files=_TSV,
        columns=Columns(("sentence1",), ("sentence2",), ("score",)),
    ),
    Task(
        name="qqp",
        title="QQP",
        kind="classification",
        metrics=("accuracy", "f1"),
        main="accuracy",
        labels=BINARY,
        folder="QQP",
        files=_TSV,
        columns=Columns(("question1",), ("question2",), ("is_duplicate",), ("id",)),
        short_rows=True,
    ),
    Task(
        name="mnli",
        title="MNLI",
        kind="classification",
        metrics=("accuracy",),
        main="accuracy",
        labels=MNLI_LABELS,
        folder="MNLI",
        files={
            **_MNLI,
            "dev_mismatched": _MISMATCHED["dev"],
            "test_mismatched": _MISMATCHED["test"],
        },
        columns=MNLI_COLUMNS,
    ),
    Task(
        name="mnli-mm",
        title="MNLI-mm",
        kind="classification",
        metrics=("accuracy",),
        main="accuracy",
        labels=MNLI_LABELS,
        folder="MNLI",
        files={"train": _MNLI["train"], **_MISMATCHED},
        columns=MNLI_COLUMNS,
    ),
    Task(
        name="qnli",
        title="QNLI",
        kind="classification",
        metrics=("accuracy",),
        main="accuracy",
        labels=ENTAILMENT,
        folder="QNLI",
        files=_TSV,
        columns=Columns(("question",), ("sentence",)),
    ),
    Task(
        name="rte",
        title="RTE",
        kind="classification",
        metrics=("accuracy",),
        main="accuracy",
        labels=ENTAILMENT,
        folder="RTE",
        files=_TSV,
        columns=PAIR,
    ),
    Task(
        name="wnli",
        title="WNLI",
        kind="classification",
        metrics=("accuracy",),
        main="accuracy",
        labels=BINARY,
        folder="WNLI",
        files=_TSV,
        columns=PAIR,
    ),
    Task(
        name="ax",
        title="AX",
        kind="classification",
        metrics=("matthews_correlation",),
        main="matthews_correlation",
        labels=MNLI_LABELS,
        folder="diagnostic",
        files={"test": ("diagnostic.tsv", "AX.tsv", "diagnostic-full.tsv")},
        columns=MNLI_COLUMNS,
    ),
    Task(
        name="squad1",
        title="SQuAD 1.1",
        kind="span",
        metrics=("exact_match", "f1"),
        main="f1",
        folder="squad",
        files={"train": ("train-v1.1.json",), "dev": ("dev-v1.1.json",)},
    ),
    Task(
        name="squad2",
        title="SQuAD 2.0",
        kind="span",
        metrics=("exact", "f1"),
        main="f1",
        folder="squad",
        files={"train": ("train-v2.0.json",), "dev": ("dev-v2.0.json",)},
    ),
    Task(
        name="race",
        title="RACE",
        kind="choice",
        metrics=("accuracy",),
        main="accuracy",
        folder="RACE",
        files=dict.fromkeys(SPLITS, ("middle", "high")),
    ),
    Task(
        name="race-middle",
        title="RACE-M",
        kind="choice",
        metrics=("accuracy",),
        main="accuracy",
        folder="RACE",
        files=dict.fromkeys(SPLITS, ("middle",)),
    ),
    Task(
        name="race-high",
        title="RACE-H",
        kind="choice",
        metrics=("accuracy",),
        main="accuracy",
        folder="RACE",
        files=dict.fromkeys(SPLITS, ("high",)),
    ),
    Task(
        name="wsc",
        title="WSC",
        kind="referent",
        metrics=("accuracy",),
        main="accuracy",
        labels=("false", "true"),
        folder="WSC",
        files=_files("train.jsonl", "val.jsonl", "test.jsonl"),
    ),
)

TASKS: dict[str, Task] = {task.name: task for task in _ALL}
"""Every published task by its name."""

GLUE = ("cola", "sst2", "mrpc", "stsb", "qqp", "mnli", "qnli", "rte", "wnli")
"""The tasks of `--task glue`."""

_ALIASES = {"mnlim": "mnli", "squad": "squad1", "squad11": "squad1", "squad20": "squad2"}


def find_task(name: str) -> Task:
    """The task of a name, in any case, with or without dashes: `SST-2` is `sst2`. Raises
    `UserError`."""
    spelled = {_plain(known): task for known, task in TASKS.items()}
    plain = _plain(name)
    plain = _ALIASES.get(plain, plain)
    if plain not in spelled:
        raise UserError(f"--task {name}: no such task", nearest(name.lower(), TASKS))
    return spelled[plain]


def _plain(name: str) -> str:
    return "".join(letter for letter in name.lower() if letter.isalnum())
