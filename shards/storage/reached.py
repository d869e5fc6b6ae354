"""How far the inputs of this process have been read, in bytes of the stored files.

For displays alone: nothing may depend on it. A reader knows the place of a record, which may be an
offset in inflated text or the number of a row; how much of the stored file that is, only the open
stream knows. Costs about a microsecond.
"""

import weakref

import pyarrow as pa

_streams: "weakref.WeakValueDictionary[str, pa.NativeFile]" = weakref.WeakValueDictionary()

_told: dict[str, int] = {}


def watch(address: str, stream: pa.NativeFile) -> pa.NativeFile:
    """Ask this stream from now on, until it is closed, how far the file has been read."""
    _streams[address] = stream
    _told.pop(address, None)  # of an earlier reading
    return stream


def tell(address: str, offset: int) -> None:
    """For readers by ranges, whose stream stays where it is: bytes up to `offset` were read."""
    _told.clear()  # one file is read at a time
    _told[address] = offset


def reached(address: str) -> int | None:
    """Bytes of a stored file that were read; None for one that is not open here."""
    stream = _streams.get(address)
    if stream is None or stream.closed:
        return None

    told = _told.get(address)
    return int(stream.tell()) if told is None else told
