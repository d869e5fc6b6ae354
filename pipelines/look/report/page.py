"""`corpus report`: the figures of a home as one static HTML file, and the same as JSON.

The page needs no server and no network, and its own Content-Security-Policy allows nothing but its
own style and its one script, by digest: text from a corpus is hostile, and is escaped besides.
"""

import base64
import errno
import functools
import hashlib
import os
from pathlib import Path
from typing import Any

from pipelines.home.decisions import REMOVING_STAGES
from pipelines.home.layout import open_home
from pipelines.look.report import examples
from pipelines.look.report.figures import figures as gather
from pipelines.wording import amount, decimal, duration, number, share
from shards import __version__
from shards.errors import UserError
from shards.storage import files

MAX_BYTES = 2_000_000
"""A page is smaller: where texts are long or many, fewer and shorter examples are shown."""

TEMPLATES = Path(__file__).parent / "templates"

Row = dict[str, Any]


def report(home_root: str, out: str | None = None) -> Row:
    """Write the page (default `HOME/report.html`); returns its figures. Raises `UserError`: no
    home, damage in it, a folder, a place where none can be written."""
    address = files.join(home_root, "report.html") if out is None else out
    if not address:
        raise UserError("--out: no file named", "name one: --out report.html")
    _refuse_place(address)  # now, not after the figures
    if files.is_folder(address):
        raise UserError(
            f"{address}: a folder", f"name a file: --out {files.join(address, 'report.html')}"
        )
    open_home(home_root, for_reading=True)
    found = gather(home_root)
    name = home_root.rstrip("/").rsplit("/", 1)[-1]
    content = page(
        found, name if name not in ("", ".", "..") else Path(home_root).resolve().name
    ).encode()
    try:
        files.write_bytes(address, content)
    except OSError as error:
        if files.is_remote(address) or error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise
        raise _cannot_write(address, error.strerror or str(error)) from None
    return found


def _refuse_place(address: str) -> None:
    """Raise `UserError` where a file cannot have its name, or a folder above it not be made or
    written to."""
    if files.is_remote(address):
        return
    path = os.path.abspath(address.removeprefix("file://"))
    try:
        os.lstat(path)
    except (FileNotFoundError, NotADirectoryError):
        pass  # looked at below
    except OSError as error:
        raise _cannot_write(address, error.strerror or str(error)) from None
    folder = os.path.dirname(path)
    while not os.path.lexists(folder):
        folder = os.path.dirname(folder)
    if not os.path.isdir(folder):
        raise _cannot_write(address, f"{folder} is not a folder", 2)
    if not os.access(folder, os.W_OK | os.X_OK):
        raise _cannot_write(address, f"no right to write in {folder}")


def _cannot_write(address: str, why: str, code: int = 3) -> UserError:
    return UserError(
        f"{address}: cannot be written: {why}",
        "name a file in a folder that you may write to: --out FILE",
        code,
    )


def page(figures: Row, name: str) -> str:
    """The HTML of the figures; `name` of the home, for the title. Always under `MAX_BYTES`."""
    for characters, most in ((examples.EXCERPT, None), (200, 12), (80, 6), (20, 2), (0, 0)):
        text = _render(_shortened(figures, characters, most), name)
        if len(text.encode()) < MAX_BYTES:
            break
    return text


def _shortened(figures: Row, characters: int, most: int | None) -> Row:
    """The figures with fewer pairs and shorter examples; as they are when `most` is None."""
    if most is None:
        return figures
    reasons = [
        {
            **reason,
            "examples": [
                {**example, "text": example.get("text", "")[:characters]}
                for example in reason["examples"][: max(most // 2, 1)]
            ],
        }
        for reason in figures["reasons"][: 40 * most]
    ]
    return {
        **figures,
        "reasons": reasons,
        "pairs": figures["pairs"][:most],
        "recipe": figures["recipe"][: 20_000 * most],
    }


def _render(figures: Row, name: str) -> str:
    template, style, script = _template()
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    return str(
        template.render(
            f=figures,
            view=_view(figures),
            name=name,
            version=__version__,
            style=style,
            script=script,
            script_digest=digest,
        )
    )


@functools.lru_cache(maxsize=1)
def _template() -> tuple[Any, str, str]:
    """The page's template, its style and its script."""
    import jinja2  # here, since a build needs only the numbers' form

    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.policies["json.dumps_kwargs"] = {"ensure_ascii": False}
    environment.filters |= {
        "n": number,
        "pct": share,
        "size": lambda value: "–" if value is None else amount(value),
        "duration": duration,
        "decimal": decimal,
    }
    return (
        environment.get_template("report.html"),
        (TEMPLATES / "report.css").read_text("utf-8"),
        (TEMPLATES / "report.js").read_text("utf-8"),
    )


def _view(figures: Row) -> Row:
    """What the template draws: bars as percentages, labels of bins."""
    stats = figures["stats"]
    stages = sorted(stats["total"].get("removed", {}), key=REMOVING_STAGES.index)
    return {
        "stages": stages,
        "funnel": [
            _funnel(name, row, stages)
            for name, row in [
                *stats["sources"].items(),
                *([("total", stats["total"])] if len(stats["sources"]) > 1 else []),
            ]
        ],
        "lengths": _columns(figures["lengths"]["total"], _length_label),
        "lengths_of": {
            name: _columns(bins, _length_label)
            for name, bins in figures["lengths"]["sources"].items()
        },
        "similarity": [
            {
                **row,
                "columns": _columns(
                    {**row, "kept": [0] * len(row["edges"])}, lambda edge: f"{edge:.2f}"
                ),
            }
            for row in figures["similarity"]
        ],
        "languages": _bars(figures["languages"], "language"),
        "hosts": _bars(figures["hosts"]["rows"], "host"),
        "dates": {name: _dates(figures["dates"][name]) for name in ("published", "crawled")},
        "overlap": _overlap(figures["overlap"]),
        "kinds": sorted({f"{pair['stage']}: {pair['kind']}" for pair in figures["pairs"]}),
    }


def _funnel(name: str, row: Row, stages: list[str]) -> Row:
    """A source's records as parts of a bar: kept, removed by stage, rejected, and what no stage has
    decided yet."""
    records = row["records"] or 0
    rejected = sum(row["rejects"].values())
    removed = {stage: row["removed"].get(stage) for stage in stages}
    parts = [
        ("kept", "kept", row["kept"] or 0),
        *(
            (f"stage{number % 4}", f"removed: {stage}", removed[stage] or 0)
            for number, stage in enumerate(stages)
        ),
    ]
    parts.append(("rejected", "rejected", rejected))
    undecided = records - sum(count for _, _, count in parts)
    parts.insert(0, ("undecided", "not decided yet", undecided))
    bars = [
        {"class": kind, "label": label, "count": count, "width": 100 * count / records}
        for kind, label, count in parts
        if count > 0 and records
    ]
    return {"name": name, **row, "rejected": rejected, "removed": removed, "bars": bars}


def _columns(bins: Row, label: Any) -> Row:
    """A histogram as columns: heights in percent of the highest share; shares of all kept and of
    all removed."""
    totals = {series: sum(bins[series]) for series in ("kept", "removed")}
    parts = [
        {series: bins[series][row] / totals[series] if totals[series] else 0.0 for series in totals}
        for row in range(len(bins["edges"]))
    ]
    highest = max((part for row in parts for part in row.values()), default=0.0) or 1.0
    rows = [
        {
            "label": label(edge),
            "kept": bins["kept"][row],
            "removed": bins["removed"][row],
            **{f"{series}_height": 100 * parts[row][series] / highest for series in totals},
            **{f"{series}_share": share(bins[series][row], totals[series]) for series in totals},
        }
        for row, edge in enumerate(bins["edges"])
    ]
    return {"rows": rows, "every": max(1, -(-len(rows) // 7)), **totals}


def _length_label(edge: int) -> str:
    for size, unit in ((1_000_000, "M"), (1000, "k")):
        if edge >= size:
            return f"{edge // size}{unit}"
    return str(edge)


def _bars(rows: list[Row], name: str) -> list[Row]:
    """Rows of a bar chart: widths in percent of the longest; what has no name has no bar, which
    would dwarf the others."""
    named = [row for row in rows if row[name] is not None and "values" not in row]
    highest = max((row["kept"] + row["removed"] for row in named), default=0) or 1
    return [
        {
            "label": "unknown"
            if row[name] is None
            else f"{row['values']:,} others"
            if row[name] == "other" and "values" in row
            else row[name],
            "plain": row[name] is None or "values" in row,
            "kept": row["kept"],
            "removed": row["removed"],
            "kept_width": 100 * row["kept"] / highest,
            "removed_width": 100 * row["removed"] / highest,
        }
        for row in rows
    ]


def _dates(found: Row) -> Row:
    """Columns by time: heights of kept and removed documents, one above the other."""
    unit, rows = found["unit"], found["rows"]
    highest = max((row["kept"] + row["removed"] for row in rows), default=0) or 1
    ends = {"decade": "s", "century": "s"}
    columns = [
        {
            "label": row[unit] + ends.get(unit, ""),
            "kept": row["kept"],
            "removed": row["removed"],
            "kept_height": 100 * row["kept"] / highest,
            "removed_height": 100 * row["removed"] / highest,
        }
        for row in rows
    ]
    return {
        "unit": unit,
        "rows": columns,
        "every": max(1, -(-len(rows) // 6)),
        "unknown": found["unknown"],
    }


def _overlap(found: Row) -> Row:
    """The matrix for up to a dozen sources; beyond, its largest cells as a list."""
    names, matrix = found["sources"], found["removed"]
    cells = sorted(
        ((count, source, of) for source, row in matrix.items() for of, count in row.items()),
        key=lambda cell: (-cell[0], cell[1], cell[2]),
    )
    return {
        "names": names if len(names) <= 12 else None,
        "cells": cells[:40],
        "highest": cells[0][0] if cells else 0,
        "uncounted": found["of"] - found["counted"],
    }
