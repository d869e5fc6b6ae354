"""TODO-DOC pipelines/commands/report.py."""

from pipelines.wording import print_json, say


def report(home: str, /, out: str | None = None, json: bool = False) -> int:
    """HOME: one page that shows what went in, what went and why, with examples.

    Args:
        home: The folder of a build. out: The HTML file to write; default report.html in the home.
        json: Print the figures as one JSON object; the page is then written only where --out names
        it.
    """
    if json and out is None:
        from pipelines.look.report.figures import figures

        print_json(figures(home))
        return 0
    from pipelines.look.report.page import report as write

    found = write(home, out)
    if json:
        print_json(found)
    say(f"report: {out or home.rstrip('/') + '/report.html'}")
    return 0
