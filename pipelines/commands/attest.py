"""`corpus attest`: sign the manifest of the shards."""

from typing import Annotated

import tyro


def attest(
    folder: Annotated[str, tyro.conf.arg(metavar="HOME|SHARDS")], /, key: str = "key.pem"
) -> int:
    """Sign the manifest of the shards with a key of yours; `corpus verify --signed` checks it.

    Args:
        folder: A home, or a folder of shards.
        key: The file with your private key of Ed25519, in PEM or OpenSSH form.
    """
    from shards.signature import attest as sign

    print(sign(folder, key))
    return 0
