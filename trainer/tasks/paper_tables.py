"""Tables 5 to 7 of the RoBERTa paper, with our rows above theirs.

Figures are texts as printed; "-" where there is none. The row of RoBERTa base is of fairseq's own
page on its models.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class PaperTable:
    """A table: what it tells, its columns by task and metric, and the papers' rows."""

    number: int
    title: str
    columns: tuple[tuple[str, str, str], ...]
    """Heading, task, and metric of our results; a metric is a fraction unless the task is SQuAD."""
    rows: tuple[tuple[str, tuple[str, ...]], ...]


TABLES = {
    5: PaperTable(
        5,
        "GLUE, development sets, single models, median over seeds",
        (
            ("MNLI", "mnli", "accuracy"),
            ("MNLI-mm", "mnli", "dev_mismatched accuracy"),
            ("QNLI", "qnli", "accuracy"),
            ("QQP", "qqp", "accuracy"),
            ("RTE", "rte", "accuracy"),
            ("SST", "sst2", "accuracy"),
            ("MRPC", "mrpc", "accuracy"),
            ("CoLA", "cola", "matthews_correlation"),
            ("STS", "stsb", "pearson"),
        ),
        (
            (
                "BERT large",
                ("86.6", "-", "92.3", "91.3", "70.4", "93.2", "88.0", "60.6", "90.0"),
            ),
            (
                "XLNet large",
                ("89.8", "-", "93.9", "91.8", "83.8", "95.6", "89.2", "63.6", "91.8"),
            ),
            (
                "RoBERTa large",
                ("90.2", "90.2", "94.7", "92.2", "86.6", "96.4", "90.9", "68.0", "92.4"),
            ),
            (
                "RoBERTa base",
                ("87.6", "-", "92.8", "91.9", "78.7", "94.8", "90.2", "63.6", "91.2"),
            ),
        ),
    ),
    6: PaperTable(
        6,
        "SQuAD, development sets (2.0 at threshold 0)",
        (
            ("1.1 EM", "squad1", "exact_match"),
            ("1.1 F1", "squad1", "f1"),
            ("2.0 EM", "squad2", "exact"),
            ("2.0 F1", "squad2", "f1"),
            ("2.0 EM at best threshold on dev", "squad2", "best_exact"),
            ("2.0 F1 at best threshold on dev", "squad2", "best_f1"),
        ),
        (
            ("BERT large", ("84.1", "90.9", "79.0", "81.8", "-", "-")),
            ("XLNet large", ("89.0", "94.5", "86.1", "88.8", "-", "-")),
            ("RoBERTa large", ("88.9", "94.6", "86.5", "89.4", "-", "-")),
        ),
    ),
    7: PaperTable(
        7,
        "RACE (the papers' rows: test set)",
        (
            ("accuracy", "race", "accuracy"),
            ("middle", "race", "middle"),
            ("high", "race", "high"),
        ),
        (
            ("BERT large", ("72.0", "76.6", "70.1")),
            ("XLNet large", ("81.7", "85.4", "80.2")),
            ("RoBERTa large", ("83.2", "86.5", "81.3")),
        ),
    ),
}


def table_of(task: str) -> PaperTable | None:
    """The table that a task or a group of tasks stands in."""
    if task.startswith("squad"):
        return TABLES[6]
    if task.startswith("race"):
        return TABLES[7]
    in_glue = any(name == task for _, name, _ in TABLES[5].columns)
    return TABLES[5] if task == "glue" or in_glue else None


def own_row(table: PaperTable, found: Mapping[str, Mapping[str, float]]) -> tuple[str, ...]:
    """Our figures in percent, from the metrics by task."""
    row = []
    for _, task, metric in table.columns:
        value = found.get(task, {}).get(metric)
        factor = 1.0 if task.startswith("squad") else 100.0
        row.append("-" if value is None else f"{value * factor:.1f}")
    return tuple(row)


def describe_table(table: PaperTable, ours: Sequence[tuple[str, tuple[str, ...]]]) -> str:
    """The table as text, our rows first."""
    rows = [*ours, *table.rows]
    width = max(len(label) for label, _ in rows)
    widths = [max(len(heading), 5) for heading, _, _ in table.columns]
    headings = [heading for heading, _, _ in table.columns]
    lines = [f"Table {table.number}: {table.title}", ""]
    for label, figures in [("", tuple(headings)), *rows]:
        cells = [f"{figure:>{size}}" for figure, size in zip(figures, widths, strict=True)]
        lines.append(f"{label:{width}}  {'  '.join(cells)}")
    return "\n".join(lines)
