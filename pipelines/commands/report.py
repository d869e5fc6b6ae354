"""`corpus report`: the figures of a home as a page or JSON."""

from pipelines.commands.arguments import HomeFolder
from pipelines.wording import print_json, say


def report(home: HomeFolder, /, out: str | None = None, json: bool = False) -> int:
    """Write one HTML page about a home: counts, reasons, charts and examples.

    Args:
        out: The HTML file to write. Default: report.html in the home.
        json: Print the figures as one JSON object. Then the page is only written if --out is given.
    """
    from pipelines.home.layout import open_home
    from pipelines.look.report.figures import figures
    from pipelines.look.report.page import refuse_place, write_report

    address = home.rstrip("/") + "/report.html" if out is None else out
    writes_page = out is not None or not json
    if writes_page:
        refuse_place(address)  # before the figures, which take minutes in a large home

    opened, recipe = open_home(home, for_reading=True)
    found = figures(opened, recipe)
    if writes_page:
        write_report(opened, found, address)
        say(f"report: {address}")
    if json:
        print_json(found)
    return 0
