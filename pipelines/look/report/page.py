"""The page of `corpus report`: the figures of a home as one static HTML file.

The page needs no server and no network. Its own Content-Security-Policy allows nothing but its
style and its one script, by digest: text from a corpus may be hostile, and is escaped besides. The
figures are in the page as JSON too.
"""

import base64
import errno
import functools
import hashlib
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import jinja2

from pipelines.home.decisions import REMOVING_STAGES
from pipelines.home.layout import Home
from pipelines.home.test_sets import TEST_SET_MARK
from pipelines.look.report.distributions import Histogram, ValueCount
from pipelines.look.report.examples import Reason
from pipelines.look.report.figures import OverlapFigures, ReportFigures, Timeline, Totals
from pipelines.look.stats import SourceStats
from pipelines.wording import amount, apart, decimal, duration, json_value, number, share
from shards import __version__
from shards.errors import UserError
from shards.storage import files

MAX_BYTES = 2_000_000
"""Size that a page stays under: where texts are long or many, fewer and shorter examples are
shown."""

MATRIX_SOURCES = 12
"""Sources whose overlap is shown as a matrix; of more the largest cells are listed."""

TEMPLATES = Path(__file__).parent / "templates"


def write_report(home: Home, figures: ReportFigures, address: str) -> None:
    """Write the page. Raises `UserError` (exit 2 or 3) where no file can be written."""
    name = home.root.rstrip("/").rsplit("/", 1)[-1]
    if name in ("", ".", ".."):
        name = Path(home.root).resolve().name
    content = page(figures, name).encode()
    try:
        files.write_bytes(address, content)
    except OSError as error:
        if files.is_remote(address) or error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise
        raise _cannot_write(address, error.strerror or str(error)) from None


def refuse_place(address: str) -> None:
    """Raise `UserError` when no file can be written there: before the figures are gathered."""
    if not address:
        raise UserError("--out: no file named", "name a file: --out report.html")
    if not files.is_remote(address):
        _refuse_local_place(address)
    if files.is_folder(address):
        raise UserError(
            f"{address}: a folder", f"name a file: --out {files.join(address, 'report.html')}"
        )


def _refuse_local_place(address: str) -> None:
    path = os.path.abspath(address.removeprefix("file://"))
    try:
        os.lstat(path)
    except (FileNotFoundError, NotADirectoryError):
        pass  # the folder is checked below
    except OSError as error:
        raise _cannot_write(address, error.strerror or str(error)) from None

    # missing folders are created: the nearest one that is there must be writable
    folder = os.path.dirname(path)
    while not os.path.lexists(folder):
        folder = os.path.dirname(folder)
    if not os.path.isdir(folder):
        raise _cannot_write(address, f"{folder} is not a folder", 2)
    if not os.access(folder, os.W_OK | os.X_OK):
        raise _cannot_write(address, f"you may not write in {folder}")


def _cannot_write(address: str, why: str, code: int = 3) -> UserError:
    return UserError(
        f"{address}: cannot write the report: {why}",
        "name a file in a folder that you may write to: --out FILE",
        code,
    )


def page(figures: ReportFigures, name: str) -> str:
    """The HTML of the figures, smaller than `MAX_BYTES`; `name`: of the home, for the title."""
    # rendered again with less until it fits: the size of a page is not known before
    text = _render(figures, name)
    for characters, most in ((200, 12), (80, 6), (20, 2), (0, 0)):
        if len(text.encode()) < MAX_BYTES:
            break
        text = _render(_shortened(figures, characters, most), name)
    return text


def _shortened(figures: ReportFigures, characters: int, most: int) -> ReportFigures:
    """The figures with at most `most` pairs, half as many examples, and shorter texts."""

    def shorten(reason: Reason) -> Reason:
        examples = [
            replace(example, text=example.text[:characters])
            for example in reason.examples[: max(most // 2, 1)]
        ]
        return replace(reason, examples=examples)

    return replace(
        figures,
        reasons=[shorten(reason) for reason in figures.reasons[: 40 * most]],
        pairs=figures.pairs[:most],
        recipe=figures.recipe[: 20_000 * most],
    )


def _render(figures: ReportFigures, name: str) -> str:
    template, style, script = _template()
    # the policy of the page allows the script with this digest and no other
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    return template.render(
        f=figures,
        view=_view(figures),
        json=json_value(figures),
        name=name,
        version=__version__,
        style=style,
        script=script,
        script_digest=digest,
    )


@functools.lru_cache(maxsize=1)
def _template() -> tuple[jinja2.Template, str, str]:
    """The page's template, its style and its script."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    # jinja2 escapes <, >, & and ' in this JSON, so that no text can end the script element
    environment.policies["json.dumps_kwargs"] = {"ensure_ascii": False}
    environment.filters |= {
        "n": number,
        "pct": share,
        "size": _size,
        "duration": duration,
        "decimal": decimal,
        "apart": apart,
    }
    return (
        environment.get_template("report.html"),
        (TEMPLATES / "report.css").read_text("utf-8"),
        (TEMPLATES / "report.js").read_text("utf-8"),
    )


def _size(value: float | None) -> str:
    return "–" if value is None else amount(value)


# What the template draws: bars and columns in percent, and their labels.


@dataclass(frozen=True)
class Bar:
    """One part of a source's bar; `kind`: its class in the style, for a stage its name, so that a
    stage has the same colour in every report; `width`: in percent."""

    kind: str
    label: str
    count: int
    width: float


@dataclass(frozen=True)
class FunnelRow:
    """The records of a source that might be pages, as parts of a bar."""

    name: str
    stats: SourceStats
    removed: dict[str, int | None]
    bars: list[Bar]


@dataclass(frozen=True)
class Column:
    """One column of a chart: counts, heights in percent of the highest, shares as texts."""

    label: str
    kept: int
    removed: int
    kept_height: float
    removed_height: float
    kept_share: str = ""
    removed_share: str = ""


@dataclass(frozen=True)
class Chart:
    """Columns; `every`: how many of them have one label; `kept`, `removed`: sums."""

    rows: list[Column]
    every: int
    kept: int
    removed: int


@dataclass(frozen=True)
class ChartOfDates:
    """Columns by a unit of time, kept above removed."""

    unit: str
    rows: list[Column]
    every: int
    unknown_kept: int
    unknown_removed: int


@dataclass(frozen=True)
class ChartOfSimilarity:
    """The similarities of one stage and kind."""

    stage: str
    kind: str
    columns: Chart


@dataclass(frozen=True)
class BarRow:
    """One row of a bar chart; `plain`: without a bar; widths in percent of the longest."""

    label: str
    plain: bool
    kept: int
    removed: int
    kept_width: float
    removed_width: float


@dataclass(frozen=True)
class Cell:
    """Documents of `source` that were removed since `kept_in` has the kept ones."""

    count: int
    source: str
    kept_in: str


@dataclass(frozen=True)
class OverlapView:
    """`names`: the sources of the matrix, None for a list; `cells`: the largest first."""

    names: list[str] | None
    cells: list[Cell]
    highest: int
    uncounted: int


@dataclass(frozen=True)
class TestSetRow:
    """Documents of a source that hold a passage of a task's test sets; `of`: all its documents."""

    __test__ = False  # no test of pytest

    source: str
    task: str
    documents: int
    of: int | None


@dataclass(frozen=True)
class View:
    """Everything the template draws."""

    stages: list[str]
    funnel: list[FunnelRow]
    lengths: Chart
    lengths_of: dict[str, Chart]
    similarity: list[ChartOfSimilarity]
    languages: list[BarRow]
    hosts: list[BarRow]
    dates: dict[str, ChartOfDates]
    overlap: OverlapView
    kinds: list[str]
    test_sets: list[TestSetRow]


def _view(figures: ReportFigures) -> View:
    stats = figures.stats
    stages = sorted(stats.total.removed, key=REMOVING_STAGES.index)
    rows = list(stats.sources.items())
    if len(rows) > 1:
        rows.append(("total", stats.total))

    return View(
        stages=stages,
        funnel=[_funnel(name, row, stages) for name, row in rows],
        lengths=_columns(figures.lengths.total, _length_label),
        lengths_of={
            name: _columns(bins, _length_label) for name, bins in figures.lengths.sources.items()
        },
        similarity=[
            ChartOfSimilarity(
                row.stage,
                row.kind,
                _columns(
                    Histogram(edges=row.edges, kept=[0] * len(row.edges), removed=row.removed),
                    "{:.2f}".format,
                ),
            )
            for row in figures.similarity
        ],
        languages=_bars(figures.languages),
        hosts=_bars(figures.hosts.rows),
        dates={
            "published": _dates(figures.dates.published),
            "crawled": _dates(figures.dates.crawled),
        },
        overlap=_overlap(figures.overlap),
        kinds=sorted({f"{pair.stage}: {pair.kind}" for pair in figures.pairs}),
        test_sets=list(_test_sets(stats)),
    )


def _test_sets(stats: Totals) -> Iterator[TestSetRow]:
    """What each source holds of test sets."""
    for name, row in stats.sources.items():
        for mark, count in row.marks.items():
            if mark.startswith(TEST_SET_MARK):
                task = mark.removeprefix(TEST_SET_MARK)
                yield TestSetRow(name, task, count, row.documents)


def _funnel(name: str, row: SourceStats, stages: list[str]) -> FunnelRow:
    """A source's records: undecided, kept, removed by each stage, rejected."""
    removed = {stage: row.removed.get(stage) for stage in stages}
    parts = [("kept", "kept", row.kept or 0)]
    for stage in stages:
        parts.append((stage, f"removed by {stage}", removed[stage] or 0))
    parts.append(("rejected", "rejected", row.rejected))

    records = row.pages or 0
    undecided = records - sum(count for _, _, count in parts)
    # the report shows documents that no stage has decided yet apart from the kept ones
    parts.insert(0, ("undecided", "not decided yet", undecided))
    bars = [
        Bar(kind, label, count, 100 * count / records)
        for kind, label, count in parts
        if count > 0 and records
    ]
    return FunnelRow(name, row, removed, bars)


def _columns(bins: Histogram, label: Callable[[float], str]) -> Chart:
    """A histogram as columns of the shares of all kept and of all removed documents."""
    kept_total = sum(bins.kept)
    removed_total = sum(bins.removed)
    kept = [count / kept_total if kept_total else 0.0 for count in bins.kept]
    removed = [count / removed_total if removed_total else 0.0 for count in bins.removed]
    highest = max([*kept, *removed], default=0.0) or 1.0
    rows = [
        Column(
            label=label(edge),
            kept=bins.kept[place],
            removed=bins.removed[place],
            kept_height=100 * kept[place] / highest,
            removed_height=100 * removed[place] / highest,
            kept_share=share(bins.kept[place], kept_total),
            removed_share=share(bins.removed[place], removed_total),
        )
        for place, edge in enumerate(bins.edges)
    ]
    return Chart(rows, _labels_every(len(rows), 7), kept_total, removed_total)


def _labels_every(columns: int, most: int) -> int:
    """Columns per label, so that there are at most `most` labels."""
    return max(1, -(-columns // most))


def _length_label(edge: float) -> str:
    for size, unit in ((1_000_000, "M"), (1000, "k")):
        if edge >= size:
            return f"{int(edge) // size}{unit}"
    return str(int(edge))


def _bars(rows: list[ValueCount]) -> list[BarRow]:
    """A bar chart. Rows without a value and the sum of the rarer values have no bar, which would
    dwarf the others."""
    named = [row for row in rows if row.value is not None and row.values is None]
    highest = max((row.kept + row.removed for row in named), default=0) or 1
    return [
        BarRow(
            label=_bar_label(row),
            plain=row.value is None or row.values is not None,
            kept=row.kept,
            removed=row.removed,
            kept_width=100 * row.kept / highest,
            removed_width=100 * row.removed / highest,
        )
        for row in rows
    ]


def _bar_label(row: ValueCount) -> str:
    if row.value is None:
        return "unknown"
    return row.value if row.values is None else f"{row.values:,} others"


def _dates(timeline: Timeline) -> ChartOfDates:
    highest = max((row.kept + row.removed for row in timeline.rows), default=0) or 1
    ending = "s" if timeline.unit in ("decade", "century") else ""
    columns = [
        Column(
            label=f"{row.value}{ending}",
            kept=row.kept,
            removed=row.removed,
            kept_height=100 * row.kept / highest,
            removed_height=100 * row.removed / highest,
        )
        for row in timeline.rows
    ]
    unknown = timeline.unknown
    every = _labels_every(len(columns), 6)
    return ChartOfDates(timeline.unit, columns, every, unknown.kept, unknown.removed)


def _overlap(overlap: OverlapFigures) -> OverlapView:
    cells = []
    for source, row in overlap.removed.items():
        for other, count in row.items():
            cells.append(Cell(count, source, other))
    cells.sort(key=lambda cell: (-cell.count, cell.source, cell.kept_in))
    names = overlap.sources if len(overlap.sources) <= MATRIX_SOURCES else None
    highest = cells[0].count if cells else 0
    return OverlapView(names, cells[:40], highest, overlap.of - overlap.counted)
