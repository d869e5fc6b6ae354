"""What the looking commands give of a home, as the JSON that they print."""

from collections.abc import Iterator
from typing import Any, cast

from pipelines.home.layout import open_home
from pipelines.look import diff as diffs
from pipelines.look import show
from pipelines.look import stats as sums
from pipelines.look.report import figures as report
from pipelines.look.wanted import Wanted
from pipelines.wording import json_value


def stats(home: str) -> dict[str, Any]:
    """As `corpus stats HOME --json`."""
    return cast(dict[str, Any], json_value(sums.stats(*open_home(home, for_reading=True))))


def figures(home: str) -> dict[str, Any]:
    """As `corpus report HOME --json`."""
    return cast(dict[str, Any], json_value(gathered(home)))


def diff(left: str, right: str) -> dict[str, Any]:
    """As `corpus diff LEFT RIGHT --json`."""
    homes = [open_home(home, for_reading=True) for home in (left, right)]
    return cast(dict[str, Any], json_value(diffs.diff(homes[0], homes[1])))


def documents(
    home: str, source: str | None = None, removed: bool = False, reason: str | None = None
) -> Iterator[show.Record]:
    """The kept or the removed documents, as `corpus show` gives them."""
    wanted = Wanted(source=source, removed=removed, reason=reason)
    return show.show(*open_home(home, for_reading=True), wanted)


def rejects(
    home: str, source: str | None = None, reason: str | None = None
) -> Iterator[show.Record]:
    """The rejects, as `corpus show --rejects` gives them."""
    wanted = Wanted(source=source, rejects=True, reason=reason)
    return show.show(*open_home(home, for_reading=True), wanted)


def why(home: str, identity: str) -> list[show.Record]:
    """As `corpus why HOME ID --json`."""
    return show.why(*open_home(home, for_reading=True), identity).records


def gathered(home: str) -> report.ReportFigures:
    """What the page of `corpus report` is made of."""
    return report.figures(*open_home(home, for_reading=True))
