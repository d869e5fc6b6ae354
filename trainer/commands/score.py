"""`trainer score`."""

from trainer.commands.checks import required
from trainer.commands.printing import print_json
from trainer.display import tell
from trainer.flags import parse
from trainer.options import Score


def score(arguments: list[str]) -> int:
    """`trainer score`."""
    options = parse(Score, "score", arguments)
    for name in ("task", "data", "predictions"):
        hint = "trainer score --task TASK --data FILE --predictions FILE"
        required(f"--{name}", getattr(options, name), hint)

    from trainer.tasks.scoring.score import as_json, score_options, shown

    scored = score_options(options)
    for note in scored.notes:
        tell(f"note: {note}")
    if options.json:
        print_json({"task": scored.task, **as_json(scored)})
    else:
        print(shown(scored))
    return 0
