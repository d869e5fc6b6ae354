"""`corpus summary`: what a corpus is made of, for others to read."""

from typing import Literal

from pipelines.commands.arguments import HomeFolder


def summary(
    home: HomeFolder,
    /,
    template: Literal["eu", "croissant", "spdx"] = "eu",
    out: str | None = None,
) -> int:
    """Tell what the shards are made of, in a form that others read.

    Args:
        template: eu: the public summary of training content of the EU's AI Act, as Markdown;
            croissant: MLCommons' Croissant 1.1; spdx: SPDX 3.0 with its profile for datasets.
        out: The file to write. Default: the standard output.
    """
    import json

    from pipelines.home.layout import open_home
    from pipelines.look.provenance.croissant import croissant
    from pipelines.look.provenance.eu_summary import eu_summary
    from pipelines.look.provenance.facts import read_facts
    from pipelines.look.provenance.spdx import spdx
    from shards.storage import files

    opened, recipe = open_home(home, for_reading=True)
    facts = read_facts(opened, recipe)
    if template == "eu":
        text = eu_summary(facts)
    else:
        found = croissant(opened, facts) if template == "croissant" else spdx(facts)
        text = json.dumps(found, indent=1, ensure_ascii=False) + "\n"

    if out is None:
        print(text, end="")
    else:
        files.write_bytes(out, text.encode())
    return 0
