"""TODO-DOC pipelines/commands/diff.py."""

from pipelines.wording import print_json, say


def diff(left: str, right: str, /, json: bool = False) -> int:
    """HOME1 HOME2: what differs between two homes; exit 0 when nothing does, 1 when something does.

    Args:
        left: The folder of a build.
        right: The folder of another.
        json: Print one JSON object.
    """
    from pipelines.look.diff import diff as compare
    from pipelines.look.diff import lines

    found = compare(left, right)
    if json:
        print_json(found)
    else:
        for line in lines(found):
            print(line)
        say("equal: the same documents, vocabulary and shards" if found["equal"] else "different")
    return 0 if found["equal"] else 1
