"""OpenWebText as it was released: `openwebtext.tar.xz`, the tars of its subsets, or single
`urlsf_subsetNN-MMM_data.xz`.

Such an `_data.xz` is an xz-compressed tar of texts, `NNNNNNN-<md5 of the address>.txt`, in every
form of the release; the codec is told by the name, since there are members whose first bytes look
like another format's. Plain tars are cut between members, by their headers, so that a worker
inflates its own members alone; a `.tar.xz` can only be read from its beginning, by one worker.

The position of a text is the offset of its header in the (inflated) tar; of a text in an archive in
a tar, that of the archive's header plus its number in it. Some texts are empty or hold NULs: empty
ones are rejects, `empty`; those of which more than one byte in a hundred is NUL are rejects, `nul`;
others lose their NULs, which `extra.nul` counts, and bear the mark `nul`.
"""

import functools
import hashlib
import re
from collections.abc import Iterable, Iterator
from typing import Any

from corpora.document import MAX_DOCUMENT_BYTES, Document, Part, Refusal, Reject
from corpora.inputs.nested_archives import Found, Layout, form_of, in_file, tar_edges
from shards.storage import files

_NAME = re.compile(r"^\d+-([0-9a-f]{32})\.txt$")

_SUBSET = re.compile(r"urlsf_subset(\d+)")

_LINE_FEEDS = re.compile(r"\n{3,}")


def _form(name: str) -> tuple[str, str]:
    """As by its endings, but that what is compressed and names no format is a tar."""
    form, compression = form_of(name)
    return (
        (form, compression)
        if not compression or form in (".txt", ".tar", ".zip")
        else (".tar", compression)
    )


LAYOUT = Layout(leaves={".txt": MAX_DOCUMENT_BYTES}, form=_form)


def cut(parts: Iterable[Part], slice_bytes: int) -> Iterator[Part]:
    """The files; plain tars that are larger than a slice in parts of about `slice_bytes`."""
    held = list(parts)
    large = [part for part in held if _form(part.path) == (".tar", "") and part.size > slice_bytes]
    found = (
        dict(
            zip(large, files.each(large[0].address, lambda part: _edges(part, slice_bytes), large))
        )
        if large
        else {}
    )
    for part in held:
        if part not in found:
            yield part
            continue
        edges = found[part]
        for start, stop in zip(edges, [*edges[1:], None]):
            share = (part.size if stop is None else stop) - start
            yield Part(
                address=part.address,
                path=part.path,
                size=part.size,
                start=start,
                stop=stop,
                share=share,
            )


@functools.lru_cache(maxsize=256)
def _edges(part: Part, about: int) -> tuple[int, ...]:
    """Looked up once: a build asks for the slices twice."""
    return tuple(tar_edges(part, about))


def read_part(part: Part) -> Iterator[Document | Reject]:
    """The texts of a file, or of a part of one, in order."""
    position = part.start - 1
    full = -1  # the offset of the last member that held more texts than it has bytes for positions
    for found in in_file(part, LAYOUT):
        if found.offset == full:
            continue
        position = max(found.offset, position + 1)
        if found.extent and position + 1 >= found.offset + found.extent:
            full = found.offset
            refusal = found.refuse(Refusal("bomb", "more members than the archive has bytes"))
            yield refusal.at(part.path, position)
        else:
            yield _record(part.path, position, found)


def _record(path: str, position: int, found: Found) -> Document | Reject:
    name = found.name
    content = found.content
    if isinstance(content, Refusal):
        return found.refuse(content).at(path, position)
    nul = content.count(0)
    if 100 * nul > len(content):
        refusal = Refusal("nul", f"{name[:300]}: {nul:,} NULs in {len(content):,} bytes")
        return refusal.at(path, position)
    try:
        text = content.decode("utf-8-sig")
    except UnicodeError as error:
        beginning = content[:1000].decode("utf-8", "replace")
        refusal = Refusal("bad_encoding", f"{name[:300]}: {error}"[:500], beginning)
        return refusal.at(path, position)
    text = loaded(text.replace("\0", ""))
    if not text:
        return Refusal("empty", name[:300]).at(path, position)
    digest = hashlib.blake2b(content, digest_size=16).hexdigest()
    extra = _provenance(path, name) | ({"nul": nul} if nul else {})
    return Document(
        path=path,
        position=position,
        text=text,
        digest=digest,
        extra=extra,
        marks=("nul",) if nul else (),
    )


def loaded(text: str) -> str:
    """A text as the loader that is in general use gives it: at most one empty line in a row, none
    at both ends."""
    return _LINE_FEEDS.sub("\n\n", text.replace("\r\n", "\n").replace("\r", "\n")).strip()


def _provenance(path: str, name: str) -> dict[str, Any]:
    """Subset, inner archive, member, and the md5 of the address, as far as the names tell them."""
    names = [*path.split("/"), *(name.split("/") if name else [])]
    depth = max((i for i, one in enumerate(names[:-1]) if _form(one)[0] == ".tar"), default=-1)
    subset, hashed = _SUBSET.search("/".join(names)), _NAME.search(names[-1])
    found = {
        "subset": subset[1] if subset else "",
        "archive": names[depth] if depth >= 0 else "",
        "member": "/".join(names[depth + 1 :]) if depth >= 0 else "",
        "md5": hashed[1] if hashed else "",
    }
    return {key: value for key, value in found.items() if value}
