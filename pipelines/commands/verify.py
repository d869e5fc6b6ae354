"""`corpus verify`: check the shards against their manifest."""

from typing import Annotated

import tyro

from pipelines.wording import print_json, several
from shards.errors import UserError


def verify(
    folder: Annotated[str, tyro.conf.arg(metavar="HOME|SHARDS")],
    /,
    signed: str | None = None,
    json: bool = False,
) -> int:
    """Check every byte of the shards against the digests in their manifest.

    Args:
        folder: A home, or a folder of shards.
        signed: Also check the signature that `corpus attest` made, by the public key in this file.
        json: Print one JSON object.
    """
    from shards.manifest import read_manifest, shards_directory
    from shards.signature import signature_faults
    from shards.verify import examine

    # First: what an unsigned manifest says of the shards counts for nothing.
    unsigned = signature_faults(folder, signed) if signed else []
    found = examine(folder)
    faults = unsigned + found.faults
    # the faults are data and go to stdout; the error below counts them on stderr
    if json:
        unknown = {} if found.unknown is None else {"unknown": found.unknown}
        print_json({"schema_version": 1, "whole": not faults, "faults": faults, **unknown})
    elif faults:
        print("\n".join(faults))
    else:
        entries = read_manifest(shards_directory(folder)).shards
        documents = sum(entry.documents for entry in entries)
        tokens = sum(entry.tokens for entry in entries)
        print(
            f"whole: {several(len(entries), 'shard')}, {several(documents, 'document')}, "
            f"{several(tokens, 'token')}"
            + ("" if found.unknown is None else f", {found.unknown:,} of them unknown")
            + (f"; signed by the key in {signed}" if signed else "")
        )

    if faults:
        hint = "copy the shards again, or delete the named files and run corpus build again"
        if unsigned == faults:
            hint = (
                "check whose key it is; if the shards are yours: corpus attest HOME --key key.pem"
            )
        raise UserError(f"{folder}: {several(len(faults), 'fault')}", hint, 1)
    return 0
