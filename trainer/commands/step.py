"""`trainer step`: what a step was trained on."""

from pathlib import Path

from shards.errors import in_command
from trainer.commands.checks import required
from trainer.commands.printing import print_json
from trainer.flags import parse
from trainer.options import Step
from trainer.run_info import find_shards


def step(arguments: list[str]) -> int:
    """`trainer step`."""
    options = parse(Step, "step", arguments)
    required("RUN", options.run, "name a run: trainer step RUN N")
    required("N", options.step, "name a step: trainer step RUN 100")
    run = Path(options.run)
    command = f"trainer step {in_command(run)} {in_command(options.step)}"
    directories = options.shards or find_shards(run, command)

    from trainer.history import read_history, step_number
    from trainer.seen import describe_step, step_documents

    history = read_history(run, "end")
    number = step_number(options.step, history.recipe.steps, "N")
    found = step_documents(run, directories, history, number)
    if options.json:
        print_json({"step": number, "documents": [vars(document) for document in found]})
    else:
        print(describe_step(number, history.batch_of(number), found))
    return 0
