"""The tables of the RoBERTa paper whose rows are pretraining runs, with the paper's figures.

A row names the recipe that trains it, or none where the paper cites a model of another kind. One
recipe may serve two rows: the dynamic masks of table 1 are the segment pairs of table 2, with the
same figures. Figures are texts as printed; "-" where the paper has none.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Row:
    """A row of a table: its label, its recipe if it has one, and the paper's figures."""

    label: str
    recipe: str | None
    figures: tuple[str, ...]


@dataclass(frozen=True)
class Table:
    """A table of the paper: what it compares, the columns of its figures, and its rows."""

    number: int
    title: str
    columns: tuple[str, ...]
    rows: tuple[Row, ...]


TABLES = {
    1: Table(
        1,
        "static against dynamic masks (BERT base, median of 5 seeds)",
        ("SQuAD 2.0", "MNLI-m", "SST-2"),
        (
            Row("reference (BERT base)", "bert-base", ("76.3", "84.3", "92.8")),
            Row("static", "bert-base-static", ("78.3", "84.3", "92.5")),
            Row("dynamic", "bert-base-segment-pair", ("78.7", "84.0", "92.9")),
        ),
    ),
    2: Table(
        2,
        "input formats and next sentence prediction (256 x 1M, median of 5 seeds)",
        ("SQuAD 1.1", "SQuAD 2.0", "MNLI-m", "SST-2", "RACE"),
        (
            Row(
                "SEGMENT-PAIR, NSP",
                "bert-base-segment-pair",
                ("90.4", "78.7", "84.0", "92.9", "64.2"),
            ),
            Row(
                "SENTENCE-PAIR, NSP",
                "bert-base-sentence-pair",
                ("88.7", "76.2", "82.9", "92.1", "63.0"),
            ),
            Row(
                "FULL-SENTENCES",
                "bert-base-full-sentences",
                ("90.4", "79.1", "84.7", "92.5", "64.8"),
            ),
            Row(
                "DOC-SENTENCES",
                "bert-base-doc-sentences",
                ("90.6", "79.7", "84.7", "92.7", "65.6"),
            ),
            Row("BERT base", "bert-base", ("88.5", "76.3", "84.3", "92.8", "64.3")),
            Row("XLNet base (K = 7)", None, ("-", "81.3", "85.8", "92.7", "66.1")),
            Row("XLNet base (K = 6)", None, ("-", "81.0", "85.6", "93.4", "66.7")),
        ),
    ),
    3: Table(
        3,
        "batch sizes at equal compute (base)",
        ("ppl", "MNLI-m", "SST-2"),
        (
            Row("256 x 1M, lr 1e-4", "roberta-base-256-1m", ("3.99", "84.7", "92.7")),
            Row("2K x 125K, lr 7e-4", "roberta-base-2k-125k", ("3.68", "85.2", "92.9")),
            Row("8K x 31K, lr 1e-3", "roberta-base-8k-31k", ("3.77", "84.6", "92.8")),
        ),
    ),
    4: Table(
        4,
        "more data and longer training (large)",
        ("SQuAD 1.1", "SQuAD 2.0", "MNLI-m", "SST-2"),
        (
            Row("16 GB, 8K x 100K", "roberta-large-16gb-100k", ("93.6", "87.3", "89.0", "95.3")),
            Row("160 GB, 8K x 100K", "roberta-large-160gb-100k", ("94.0", "87.7", "89.3", "95.6")),
            Row("160 GB, 8K x 300K", "roberta-large-160gb-300k", ("94.4", "88.7", "90.0", "96.1")),
            Row("160 GB, 8K x 500K", "roberta-large", ("94.6", "89.4", "90.2", "96.4")),
            Row("BERT large, 13 GB", "bert-large", ("90.9", "81.8", "86.6", "93.7")),
            Row("XLNet large, 13 GB", None, ("94.0", "87.8", "88.4", "94.4")),
            Row("XLNet large, 126 GB", None, ("94.5", "88.8", "89.8", "95.6")),
        ),
    ),
}


def recipes_of(table: Table) -> list[str]:
    """The recipes of the rows of a table, in order."""
    return [row.recipe for row in table.rows if row.recipe is not None]


def tables_of(recipe: str) -> list[int]:
    """The tables that have a row of this recipe."""
    found = []
    for number, table in TABLES.items():
        if recipe in recipes_of(table):
            found.append(number)
    return found
