"""OpenWebText as it was released: `openwebtext.tar.xz`, the tars of its subsets, or single
`urlsf_subsetNN-MMM_data.xz`.

Such an `_data.xz` is an xz-compressed tar of texts, `NNNNNNN-<md5 of the address>.txt`, in every
form of the release. The name of a member decides its codec, since the first bytes of some members
look like another format's. Plain tars are cut between members, by their headers, so that a worker
inflates its own members only; a `.tar.xz` can only be read from its beginning, by one worker.

The position of a text is the offset of its header in the (inflated) tar; for a text in an archive
inside a tar, that of the archive's header plus its number in it. Some texts are empty or hold NULs.
Empty ones are rejects `empty`; those in which more than one byte in a hundred is NUL are rejects
`nul`; others lose their NULs, which `extra.nul` counts, and have the mark `nul`.
"""

import hashlib
import re
from collections.abc import Iterable, Iterator
from dataclasses import replace

from corpora.document import MAX_DOCUMENT_BYTES, Document, Part, Refusal, Reject
from corpora.inputs.complaints import in_words
from corpora.inputs.nested_archives import Found, Layout, form_of, in_file, tar_edges
from shards.storage import files

_NAME = re.compile(r"^\d+-([0-9a-f]{32})\.txt$")

_SUBSET = re.compile(r"urlsf_subset(\d+)")

_LINE_FEEDS = re.compile(r"\n{3,}")


def _form(name: str) -> tuple[str, str]:
    """(format, compression) by the endings of a name; a compressed file of no format is a tar."""
    form, compression = form_of(name)
    if compression and form not in (".txt", ".tar", ".zip"):
        return ".tar", compression
    return form, compression


LAYOUT = Layout(leaves={".txt": MAX_DOCUMENT_BYTES}, form=_form)


def cut(parts: Iterable[Part], slice_bytes: int) -> Iterator[Part]:
    """The files; plain tars larger than a slice are cut into parts of about `slice_bytes`."""
    whole = list(parts)
    large = [part for part in whole if _form(part.path) == (".tar", "") and part.size > slice_bytes]
    edges_of: dict[Part, tuple[int, ...]] = {}
    if large:
        # Reading headers from a store waits for the network: several at a time.
        edges = files.each(large[0].address, lambda part: (*tar_edges(part, slice_bytes),), large)
        edges_of = dict(zip(large, edges))

    for part in whole:
        if part not in edges_of:
            yield part
            continue
        starts = edges_of[part]
        for start, stop in zip(starts, [*starts[1:], None]):
            end = part.size if stop is None else stop
            yield replace(part, start=start, stop=stop, share=end - start)


def read_part(part: Part) -> Iterator[Document | Reject]:
    """The texts of a file, or of a part of one, in order."""
    position = part.start - 1
    full = -1  # the offset of the last member that has no byte left for a position
    for found in in_file(part, LAYOUT):
        if found.offset == full:
            continue
        # Members of an inner archive share its offset.
        position = max(found.offset, position + 1)
        if found.extent and position + 1 >= found.offset + found.extent:
            full = found.offset
            refusal = found.refuse(Refusal("bomb", "more members than the archive has bytes"))
            yield refusal.at(part.path, position)
        else:
            yield _outcome(part.path, position, found)


def _outcome(path: str, position: int, found: Found) -> Document | Reject:
    content = found.content
    if isinstance(content, Refusal):
        return found.refuse(content).at(path, position)

    text = _decoded(content, found.name[:300])
    if isinstance(text, Refusal):
        return text.at(path, position)

    extra: dict[str, object] = {**_provenance(path, found.name)}
    nul = content.count(0)
    if nul:
        extra["nul"] = nul
    return Document(
        path=path,
        position=position,
        text=text,
        digest=hashlib.blake2b(content, digest_size=16).hexdigest(),
        extra=extra,
        marks=("nul",) if nul else (),
    )


def _decoded(content: bytes, name: str) -> str | Refusal:
    """The text of a member as the loader gives it, without NULs; `name` is told in the detail."""
    # NULs are valid UTF-8: decoding would not notice them.
    nul = content.count(0)
    if 100 * nul > len(content):
        return Refusal("nul", f"{name}: {nul:,} NULs in {len(content):,} bytes")
    try:
        text = content.decode("utf-8-sig")
    except UnicodeError as error:
        beginning = content[:1000].decode("utf-8", "replace")
        return Refusal("bad_encoding", f"{name}: {in_words(error)}"[:500], beginning)
    return loaded(text.replace("\0", "")) or Refusal("empty", name)


def loaded(text: str) -> str:
    """A text as the loader in general use gives it: at most one empty line in a row, none at either
    end."""
    return _LINE_FEEDS.sub("\n\n", text.replace("\r\n", "\n").replace("\r", "\n")).strip()


def _provenance(path: str, name: str) -> dict[str, str]:
    """Subset, inner archive, member, and the md5 of the address, as far as the names tell them."""
    names = path.split("/")
    if name:
        names += name.split("/")

    depth = -1  # of the innermost archive
    for i, folder in enumerate(names[:-1]):
        if _form(folder)[0] == ".tar":
            depth = i
    subset = _SUBSET.search("/".join(names))
    hashed = _NAME.search(names[-1])

    values = {
        "subset": subset[1] if subset else "",
        "archive": names[depth] if depth >= 0 else "",
        "member": "/".join(names[depth + 1 :]) if depth >= 0 else "",
        "md5": hashed[1] if hashed else "",
    }
    return {key: value for key, value in values.items() if value}
