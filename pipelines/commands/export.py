"""TODO-DOC pipelines/commands/export.py."""

from typing import Literal

from pipelines.wording import say


def export(home: str, out: str, /, format: Literal["jsonl.zst", "parquet"] = "parquet") -> int:
    """HOME OUT: the kept text for other tools, with a data card.

    Args:
        home: The folder of a build.
        out: A new folder.
        format: Of the files.
    """
    from pipelines.look.export import export as write
    from pipelines.wording import several

    say(f"exported {several(write(home, out, format), 'document')} to {out}")
    return 0
