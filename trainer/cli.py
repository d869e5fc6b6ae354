"""`trainer`: pretrain, evaluate, export, show, seen, step, compare, finetune, predict, ensemble,
score, submit, recipes.

Each command is a file of `trainer/commands`, and its options are in `trainer/options.py`. Heavy
imports wait until a command needs them, so that help is quick.
"""

import faulthandler
import os
import sys
from collections.abc import Callable

from shards import console
from shards.errors import UserError, nearest
from trainer.commands.compare import compare
from trainer.commands.evaluate import evaluate
from trainer.commands.export import export
from trainer.commands.pretrain import pretrain
from trainer.commands.recipes import recipes
from trainer.commands.score import score
from trainer.commands.seen import seen
from trainer.commands.show import show
from trainer.commands.step import step
from trainer.commands.submit import submit
from trainer.display import report, tell

HELP = """usage: trainer COMMAND [OPTIONS]

Pretrain a RoBERTa, a BERT or a SpanBERT on shards.

  pretrain   train on shards:               trainer pretrain --shards DIR --run RUN
  evaluate   compute validation perplexity: trainer evaluate --run RUN
  export     write a Hugging Face model:    trainer export --run RUN --out DIR
  show       draw curves, print a sample, or fill in masks: trainer show RUN
  seen       tell when a document was trained on: trainer seen RUN ID
  step       tell what a step was trained on: trainer step RUN N
  compare    train the rows of a table of the RoBERTa paper: trainer compare 2 --shards DIR
  finetune   fine-tune on a task:           trainer finetune --task TASK --data DIR --init RUN ...
  predict    predict new examples:          trainer predict --run RUN --data FILE --out FILE
  ensemble   average several models:        trainer ensemble RUN RUN --data FILE --out FILE
  score      score predictions:             trainer score --task TASK --data FILE --predictions FILE
  submit     write a leaderboard's file:    trainer submit --predictions DIR --out glue.zip
  recipes    list the built-in recipes by table, or print one: trainer recipes [NAME]

trainer COMMAND --help lists the options of a command. On several GPUs (the -- keeps torchrun from
reading the trainer's options):

  torchrun --nproc-per-node 8 -m trainer.cli -- pretrain --shards DIR --run RUN
"""


def finetune(arguments: list[str]) -> int:
    """`trainer finetune`."""
    from trainer.tasks.commands import finetune

    return finetune(arguments)


def predict(arguments: list[str]) -> int:
    """`trainer predict`."""
    from trainer.tasks.commands import predict

    return predict(arguments)


def ensemble(arguments: list[str]) -> int:
    """`trainer ensemble`."""
    from trainer.tasks.commands import ensemble

    return ensemble(arguments)


COMMANDS: dict[str, Callable[[list[str]], int]] = {
    "pretrain": pretrain,
    "evaluate": evaluate,
    "export": export,
    "show": show,
    "seen": seen,
    "step": step,
    "compare": compare,
    "finetune": finetune,
    "predict": predict,
    "ensemble": ensemble,
    "score": score,
    "submit": submit,
    "recipes": recipes,
}


def main(argv: list[str] | None = None) -> int:
    """Run a command; return the exit code: 0 done, 1 incomplete, 2 usage, 3 environment, 130
    interrupted."""
    arguments = console.expanded(sys.argv[1:] if argv is None else argv)
    # torchrun passes its separator on.
    if arguments[:1] == ["--"]:
        arguments = arguments[1:]

    try:
        return run_command(arguments)
    except UserError as error:
        report(error)
        return error.exit_code
    except KeyboardInterrupt:
        tell("interrupted")
        return 130
    except BrokenPipeError:
        # The reader of our output has left, as `head` does.
        return console.broken_pipe()
    except OSError as error:
        report(UserError(str(error), "check the path, its rights and the room on its disk", 3))
        return 3


def run_command(arguments: list[str]) -> int:
    """Run the command that the arguments name; return its exit code."""
    if not arguments or arguments[0] in ("-h", "--help"):
        print(HELP, end="")
        return 0 if arguments else 2
    if arguments[0] == "--version":
        from importlib.metadata import version

        print(f"corpusmill {version('corpusmill')}")
        return 0

    name = arguments[0]
    if name not in COMMANDS:
        raise UserError(f"trainer {name}: no such command", nearest(name, COMMANDS))
    return COMMANDS[name](arguments[1:])


def entry() -> None:
    """The console script."""
    # A crash in C, which has no other words, then says at least where.
    faulthandler.enable()
    # oneDNN, which computes on CPUs, keeps a compiled kernel of some 5 MB for each shape, 1,024 by
    # default; rows of uneven length bring a new shape with almost every micro-batch.
    os.environ.setdefault("ONEDNN_PRIMITIVE_CACHE_CAPACITY", "128")
    code = console.ended(main)
    # After an error, threads of gloo may still wait for another rank, and would abort the process
    # as Python ends.
    if code and int(os.environ.get("WORLD_SIZE", "1")) > 1:
        os._exit(code)
    sys.exit(code)


if __name__ == "__main__":
    entry()
