"""TODO-DOC pipelines/commands/status.py."""

import shutil

from pipelines.wording import print_json


def status(home: str, /, json: bool = False) -> int:
    """HOME: how far a build is.

    Args:
        home: The folder of a build.
        json: Print one JSON object.
    """
    from pipelines.look.status import status as figures

    found = figures(home)
    if json:
        print_json(found)
    else:
        for stage, count in found["done"].items():
            print(
                f"{stage:10} {count}"
                + (
                    f" of {found['slices']} slices"
                    if stage in ("ingest", "exact", "near", "tokenize")
                    else ""
                )
            )
        for note in found["set_aside"]:
            print(
                f"set aside: {note['stage']} {note['source']}/{note['slice']}: {note['why']}"
                + (f", in or after {note['record']}" if note["record"] else "")
            )
            print(note["trace"], end="")
        for reason, count in found["safety_net"].items():
            print(
                f"safety net: {count} rejected by {reason}, which another machine might not reach: corpus show {home} --rejects --reason {reason}"
            )
        if found["running"]:
            from pipelines.progress.display import lines

            print("\n".join(lines(found["running"], shutil.get_terminal_size().columns)))
        elif found["at_work"]:
            print(f"{found['at_work']} is at work in it")
        else:
            if found["stopped"]:
                print(f"stopped: {found['stopped']}")
            print(
                "complete: the manifest is there"
                if found["complete"]
                else f"not complete: corpus build {home}/recipe.toml --home {home}"
            )
    return 0
