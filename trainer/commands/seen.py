"""`trainer seen`: when documents were trained on."""

from pathlib import Path

from shards.errors import in_command
from trainer.commands.checks import required
from trainer.commands.printing import print_json
from trainer.flags import parse
from trainer.options import Seen
from trainer.run_info import find_shards


def seen(arguments: list[str]) -> int:
    """`trainer seen`."""
    options = parse(Seen, "seen", arguments)
    required("RUN", options.run, "name a run: trainer seen RUN ID")
    required("ID", options.ids, "name documents: trainer seen RUN ID")
    run = Path(options.run)
    directories = options.shards or find_shards(run, f"trainer seen {in_command(run)} ID")

    from trainer.history import read_history
    from trainer.seen import as_json, describe, seen

    found = seen(run, directories, read_history(run, options.until), options.ids)
    if options.json:
        print_json({"documents": [as_json(document) for document in found]})
    else:
        print("\n".join(describe(document) for document in found))
    return 0
