"""TODO-DOC pipelines/commands/verify.py."""

from pipelines.wording import print_json
from shards.errors import UserError


def verify(folder: str, /, json: bool = False) -> int:
    """HOME or SHARDS: is every byte of the shards as it was written?

    Args:
        folder: A home, or a folder of shards.
        json: Print one JSON object.
    """
    from pipelines.wording import several
    from shards.manifest import read_manifest, shards_directory
    from shards.verify import verify as check

    faults = check(folder)
    if json:
        print_json({"schema_version": 1, "whole": not faults, "faults": faults})
    else:
        for fault in faults:
            print(fault)
        entries = read_manifest(shards_directory(folder)).shards
        if not faults:
            documents, tokens = (
                sum(getattr(entry, key) for entry in entries) for key in ("documents", "tokens")
            )
            print(
                f"whole: {several(len(entries), 'shard')}, {several(documents, 'document')}, {several(tokens, 'token')}"
            )
    if faults:
        raise UserError(
            f"{folder}: {several(len(faults), 'fault')}",
            "copy the shards again, or delete the named files and run corpus build again",
            1,
        )
    return 0
