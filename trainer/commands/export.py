"""`trainer export`."""

from pathlib import Path

from trainer.commands.checks import required
from trainer.commands.printing import print_json
from trainer.flags import parse
from trainer.options import Export


def export(arguments: list[str]) -> int:
    """`trainer export`."""
    options = parse(Export, "export", arguments)
    required("--run", options.run, "name the run: trainer export --run RUN --out DIR")
    required("--out", options.out, "name a new folder: trainer export --run RUN --out DIR")

    from trainer.tasks.info import has_task

    if has_task(Path(options.run)):
        from trainer.tasks.export import export_task as export
    else:
        from trainer.export import export

    done = export(Path(options.run), Path(options.out), options.step)
    if options.json:
        print_json(vars(done))
        return 0

    checked = "transformers is not installed, so its logits were not compared"
    if done.difference is not None:
        checked = f"the logits of transformers differ by {done.difference:.1g}"
    print(
        f"{options.out}: step {done.step}, {done.parameters:,} parameters; read back, equal to the "
        f"bit; {checked}"
    )
    return 0
