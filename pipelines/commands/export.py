"""`corpus export`: the kept text for other tools."""

from typing import Annotated, Literal

import tyro

from pipelines.commands.arguments import HomeFolder
from pipelines.wording import say, several


def export(
    home: HomeFolder,
    out: Annotated[str, tyro.conf.arg(metavar="OUT")],
    /,
    format: Literal["jsonl.zst", "parquet"] = "parquet",
) -> int:
    """Export the kept documents as Parquet or JSON lines, with a data card.

    Args:
        out: The folder to write, new or empty.
        format: The format of the files.
    """
    from pipelines.home.layout import open_home
    from pipelines.look.export import export as write

    count = write(*open_home(home, for_reading=True), out, format)
    say(f"exported {several(count, 'document')} to {out}")
    return 0
