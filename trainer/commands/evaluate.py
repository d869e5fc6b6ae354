"""`trainer evaluate`."""

from pathlib import Path

from shards.errors import in_command
from trainer.commands.checks import required
from trainer.commands.printing import print_json
from trainer.config import MaskingConfig, require
from trainer.display import tell
from trainer.flags import parse
from trainer.options import Evaluate
from trainer.run_info import find_shards


def evaluate(arguments: list[str]) -> int:
    """`trainer evaluate`."""
    options = parse(Evaluate, "evaluate", arguments)
    required("--run", options.run, "name the run: trainer evaluate --run RUN")
    require(options.samples >= 0, "--samples", options.samples, "at least 0")
    run = Path(options.run)
    directories = options.shards or find_shards(run, f"trainer evaluate --run {in_command(run)}")

    from trainer.evaluate import evaluate_run
    from trainer.ranks import choose_device
    from trainer.scores import describe

    done = evaluate_run(
        Path(options.run),
        directories,
        options.step,
        options.samples,
        MaskingConfig(style=options.masks),
        choose_device(options.device),
    )
    for warning in done.warnings:
        tell(f"warning: {warning}")
    if options.json:
        print_json(done.to_dict())
        return 0

    print(f"step {done.step}, {done.masks} masks")
    print(describe(done.sources))
    return 0
