"""What local input files were like when they were read: when they were last changed, and a digest
of all their bytes.

An input is known by its size and its two ends, which costs nothing. That misses an edit of equal
length in the middle, so a file whose time has changed since is read whole and compared. The time
itself decides nothing: copied or restored inputs are found to be the same. These notes lie in
`work/`; without them an input counts as unchanged.
"""

import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass

from corpora.document import Part
from pipelines.home.layout import Home
from shards.storage import files, http

INPUTS = "inputs"

MOST_BYTES = 1_000_000_000
"""Of larger files no digest is noted: after a change of their time they are read again."""


@dataclass(frozen=True, kw_only=True)
class Seen:
    """An input file: nanoseconds of its last change, digest of all its bytes or "", and the
    identity that stands in fingerprints."""

    modified: int
    whole: str
    identity: str


def is_local(part: Part) -> bool:
    """Whether a file has a time of its last change that can be asked for."""
    return not (files.is_remote(part.address) or http.is_web(part.address))


def note_inputs(home: Home, source: str, slice_name: str, identities: Mapping[str, str]) -> None:
    """Note what the files of a slice, address -> identity, are like."""
    noted = {}
    for address, identity in identities.items():
        try:
            status = os.stat(files.resolve(address)[1])
            whole = files.digest(address) if status.st_size <= MOST_BYTES else ""
        except (OSError, UnicodeError):
            continue  # the reject of the file says it
        noted[address] = asdict(Seen(modified=status.st_mtime_ns, whole=whole, identity=identity))

    content = json.dumps(noted).encode("utf-8", "surrogatepass")
    files.write_bytes(home.work(INPUTS, source, f"{slice_name}.json"), content)


def seen_inputs(home: Home, source: str) -> dict[str, Seen]:
    """Address -> what the file was like when it was read."""
    found: dict[str, Seen] = {}
    for address in files.list_files(home.file("work", INPUTS, source), ".json"):
        try:
            for name, seen in json.loads(files.read_bytes(address)).items():
                found[name] = Seen(**seen)
        except (ValueError, TypeError, AttributeError, FileNotFoundError):
            continue  # a note that cannot be read is none
    return found


def identity_now(part: Part, ends: str, seen: Seen | None) -> str:
    """The identity of a local file with these ends, by what it was like when it was read."""
    if seen is None or seen.identity.split()[0] != ends:
        return ends
    if os.stat(files.resolve(part.address)[1]).st_mtime_ns == seen.modified:
        return seen.identity

    whole = files.digest(part.address)
    return seen.identity if whole == seen.whole else f"{ends} {whole}"


def forget_read(home: Home, sources: Iterable[str]) -> None:
    """Make the next build read all inputs of these sources again."""
    for source in sources:
        for stage in ("survey", "ingest"):
            files.remove(home.file("summaries", stage, source))
