"""A detached signature over `manifest.json`, and through its digests over every byte of the shards.

Ed25519 (RFC 8032), with a key of the user's, in PEM or OpenSSH form; `manifest.json.sig` holds the
64 bytes of the signature alone, so that `openssl pkeyutl -verify -rawin` reads it too. The package
`cryptography` does the work.
"""

from typing import Any

from shards.errors import UserError
from shards.format import MANIFEST, SIGNATURE
from shards.manifest import read_manifest, shards_directory
from shards.storage import files

_OTHER_KEY = "name the file with the public key of the one who signed (PEM or OpenSSH)"

_MAKE_KEY = (
    "make one: openssl genpkey -algorithm ed25519 -out key.pem; its public key: "
    "openssl pkey -in key.pem -pubout -out key.pub"
)

_HINTS = {"private": _MAKE_KEY, "public": _OTHER_KEY}


def attest(directory: str, key: str) -> str:
    """Sign the manifest of a folder of shards, or of a home, with the private key in a file.

    Returns the address of the signature. Raises `UserError`.
    """
    directory = shards_directory(directory)
    read_manifest(directory)  # raises where there is none
    signature = _private_key(key).sign(files.read_bytes(files.join(directory, MANIFEST)))
    address = files.join(directory, SIGNATURE)
    files.write_bytes(address, signature)
    return address


def signature_faults(directory: str, key: str) -> list[str]:
    """What is wrong with the signature of a folder of shards, or of a home, by the public key in a
    file. Raises `UserError` for a key that cannot be read."""
    from cryptography.exceptions import InvalidSignature

    directory = shards_directory(directory)
    public = _public_key(key)
    try:
        signature = files.read_bytes(files.join(directory, SIGNATURE))
    except FileNotFoundError:
        return [f"{SIGNATURE}: missing"]
    except IsADirectoryError:
        return [f"{SIGNATURE}: a folder, not a signature"]
    try:
        public.verify(signature, files.read_bytes(files.join(directory, MANIFEST)))
    except InvalidSignature:
        return [f"{SIGNATURE}: not the signature of this manifest by this key"]
    return []


def _private_key(address: str) -> Any:
    """The Ed25519 private key in a file: PEM or OpenSSH, without a password."""
    serialization = _serialization()
    content = _content(address, "private")
    is_ssh = content.startswith(b"-----BEGIN OPENSSH")
    load = serialization.load_ssh_private_key if is_ssh else serialization.load_pem_private_key
    try:
        key = load(content, password=None)
    except TypeError:
        raise UserError(
            f"{address}: the key has a password", "sign with a key without one"
        ) from None
    except Exception:  # the library raises several kinds
        raise _no_key(address, "private") from None
    return _checked(address, key, "private")


def _public_key(address: str) -> Any:
    """The Ed25519 public key in a file: PEM or OpenSSH."""
    serialization = _serialization()
    content = _content(address, "public")
    is_ssh = content.startswith(b"ssh-")
    load = serialization.load_ssh_public_key if is_ssh else serialization.load_pem_public_key
    try:
        key = load(content)
    except Exception:  # the library raises several kinds
        raise _no_key(address, "public") from None
    return _checked(address, key, "public")


def _serialization() -> Any:
    try:
        from cryptography.hazmat.primitives import serialization
    except ModuleNotFoundError:
        raise UserError(
            "signing needs the package cryptography", "pip install '.[sign]' in the checkout", 3
        ) from None
    return serialization


def _content(address: str, kind: str) -> bytes:
    try:
        return files.read_bytes(address)
    except OSError as error:
        what = error.strerror or error
        raise UserError(f"{address}: cannot read this key: {what}", _HINTS[kind]) from None


def _no_key(address: str, kind: str) -> UserError:
    return UserError(f"{address}: not a {kind} key in PEM or OpenSSH form", _HINTS[kind])


def _checked(address: str, key: Any, kind: str) -> Any:
    """The key, which must be one of Ed25519: only these sign without further choices."""
    from cryptography.hazmat.primitives.asymmetric import ed25519

    if isinstance(key, (ed25519.Ed25519PrivateKey, ed25519.Ed25519PublicKey)):
        return key
    raise UserError(f"{address}: not a key of Ed25519", _HINTS[kind])
