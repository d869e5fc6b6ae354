"""A safetensors file that is hashed while it is written, so that no byte is read again.

The bytes are those that the library writes: eight bytes with the length of the header, the header
(JSON, filled up with spaces to a multiple of eight), then the tensors by dtype and name.
"""

import hashlib
import json
import os
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypedDict

import torch
from torch import Tensor

# Bytes that are hashed and written at once.
PIECE = 1 << 22

# In the order in which the library puts them.
DTYPES = {torch.float64: "F64", torch.float32: "F32", torch.bfloat16: "BF16", torch.float16: "F16"}


class FileDigest(TypedDict):
    """The size of a file and its blake2b-32."""

    bytes: int
    digest: str


def write_tensors(path: Path, tensors: Mapping[str, Tensor]) -> FileDigest:
    """Write contiguous tensors of the CPU, flush the file to the disk, and return its digest.
    Raises `OSError`."""
    ranks = {dtype: rank for rank, dtype in enumerate(DTYPES)}
    names = sorted(tensors, key=lambda name: (ranks[tensors[name].dtype], name))
    with HashedFile(path) as file:
        file.write(header(tensors, names))
        for name in names:
            data = tensors[name].reshape(-1).view(torch.uint8).numpy()
            file.write(data.data)
    return file.digest()


def header(tensors: Mapping[str, Tensor], names: list[str]) -> bytes:
    """The bytes before the tensors, which come in the order of `names`."""
    content: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    at = 0
    for name in names:
        tensor = tensors[name]
        end = at + tensor.numel() * tensor.element_size()
        content[name] = {
            "dtype": DTYPES[tensor.dtype],
            "shape": list(tensor.shape),
            "data_offsets": [at, end],
        }
        at = end
    text = json.dumps(content, separators=(",", ":"), ensure_ascii=False).encode()
    text += b" " * (-len(text) % 8)
    return struct.pack("<Q", len(text)) + text


class HashedFile:
    """A new file, hashed as it is written, and flushed to the disk at the end."""

    def __init__(self, path: Path) -> None:
        self._stream = open(path, "wb")
        self._state = hashlib.blake2b(digest_size=32)
        self._bytes = 0

    def __enter__(self) -> "HashedFile":
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        with self._stream:
            if kind is None:
                self._stream.flush()
                os.fsync(self._stream.fileno())

    def write(self, data: bytes | memoryview) -> None:
        """Append some bytes. Raises `OSError`."""
        whole = memoryview(data)
        for start in range(0, len(whole), PIECE):
            piece = whole[start : start + PIECE]
            self._state.update(piece)
            self._stream.write(piece)
        self._bytes += len(whole)

    def digest(self) -> FileDigest:
        """The size and the digest of what was written."""
        return {"bytes": self._bytes, "digest": self._state.hexdigest()}
