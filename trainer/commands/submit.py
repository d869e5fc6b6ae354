"""`trainer submit`."""

from trainer.commands.checks import required
from trainer.commands.printing import print_json
from trainer.display import tell
from trainer.flags import parse
from trainer.options import Submit
from trainer.wording import several


def submit(arguments: list[str]) -> int:
    """`trainer submit`."""
    options = parse(Submit, "submit", arguments)
    for name in ("predictions", "out"):
        hint = "trainer submit --predictions DIR --out glue.zip"
        required(f"--{name}", getattr(options, name), hint)

    from trainer.tasks.submit import submit_options

    done = submit_options(options)
    for note in done.notes:
        tell(f"note: {note}")
    if options.json:
        print_json(vars(done))
    else:
        rows = sum(done.rows.values())
        print(f"{done.out}: {several(len(done.rows), 'file')}, {several(rows, 'prediction')}")
    return 0
