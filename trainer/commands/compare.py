"""`trainer compare`: the rows of a table of the RoBERTa paper."""

import sys
from pathlib import Path

from shards.errors import UserError
from trainer.commands.checks import refuse_remote, required
from trainer.commands.printing import print_json
from trainer.flags import parse
from trainer.options import Compare
from trainer.tables import TABLES


def compare(arguments: list[str]) -> int:
    """`trainer compare`."""
    options = parse(Compare, "compare", arguments)
    tables = {str(number): table for number, table in TABLES.items()}
    if options.table not in tables:
        raise UserError(
            f"TABLE: {options.table!r} is not one of {', '.join(tables)}",
            "for example: trainer compare 2 --shards DIR",
        )
    required("--shards", options.shards, "name a home or its shards/ folder: --shards DIR")
    if options.seeds < 1:
        raise UserError(f"--seeds: {options.seeds} is not at least 1", "for example --seeds 3")
    for directory in options.shards:
        refuse_remote(directory)
    if options.tasks and not Path(options.tasks).is_dir():
        raise UserError(f"--tasks {options.tasks}: no such folder", "check the path")

    from trainer import compare
    from trainer.scales import SCALES

    plan = compare.Comparison(
        table=tables[options.table],
        scale_name=options.scale,
        scale=SCALES[options.scale],
        shards=options.shards,
        seeds=options.seeds,
        out=Path(options.out or f"compare-{options.scale}"),
        device=options.device,
        base=options.base,
        tasks=options.tasks,
    )
    results = compare.compare(plan, lambda text: print(text, file=sys.stderr, flush=True))
    if options.json:
        print_json(compare.as_json(plan, results))
    else:
        print(compare.describe(plan, results))
    return 1 if any(result.errors for result in results) else 0
