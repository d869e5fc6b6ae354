"""`corpus diff`: what differs between two homes, as lines or JSON."""

from pipelines.commands.arguments import HomeFolder
from pipelines.wording import print_json, say


def diff(left: HomeFolder, right: HomeFolder, /, json: bool = False) -> int:
    """Compare two homes. Exit code 0: they are equal, 1: they differ.

    Args:
        json: Print one JSON object.
    """
    from pipelines.home.layout import open_home
    from pipelines.look.diff import diff as compare
    from pipelines.look.diff import lines

    found = compare(open_home(left, for_reading=True), open_home(right, for_reading=True))
    if json:  # the exit code says the same as `equal`
        print_json(found)
        return 0 if found.equal else 1

    for line in lines(found):
        print(line)
    say("equal: the same documents, vocabulary and shards" if found.equal else "different")
    return 0 if found.equal else 1
