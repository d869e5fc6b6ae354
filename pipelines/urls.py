"""The addresses that the submissions of `openwebtext` link to, as a table for a crawler."""

import csv
import io

from corpora.links import open_links
from corpora.sources import survey_of
from pipelines.build import Say, run_survey
from pipelines.home import Home, open_home
from shards import files
from shards.config import UserError

COLUMNS = ("url", "key", "score", "submissions")
_ROWS = 10_000


def table(home: Home, source: str) -> str:
    """Where the table of a source lies."""
    return home.file("urls", f"{source}.csv")


def write_urls(home_root: str, num_workers: int, beam_arguments: list[str], say: Say) -> None:
    """Survey the sources and write `urls/NAME.csv` for each that reads submissions. Raises `UserError` where none does.

    Rows are in the order of the keys' hashes: no order of time or place, so that no host gets all its requests in a row.
    """
    home, recipe = open_home(home_root)
    wanted = [name for name, options in recipe.sources.items() if options.kind == "openwebtext" and survey_of(options)]
    if not wanted:
        raise UserError("no source of this recipe reads submissions", 'set kind = "openwebtext" and source = "reddit"')
    run_survey(home_root, num_workers, beam_arguments, say)
    for name in wanted:
        with open_links(home.conclusion(name, "arrow")) as listed, files.open_output(table(home, name)) as output:
            text = io.StringIO()
            writer = csv.writer(text, lineterminator="\n")
            writer.writerow(COLUMNS)
            count = 0
            for count, row in enumerate(listed.rows(), 1):
                writer.writerow(row)
                if count % _ROWS == 0:
                    output.write(text.getvalue().encode())
                    text.seek(0)
                    text.truncate()
            output.write(text.getvalue().encode())
        say(f"urls {name}: {count:,} addresses in {table(home, name)}")
