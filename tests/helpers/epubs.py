"""EPUBs and archives made for tests."""

import io
import tarfile
import zipfile
from collections.abc import Mapping, Sequence

CONTAINER = (
    '<container xmlns="urn:oasis:names:tc:opendocument:xmlns:container"><rootfiles><rootfile '
    'full-path="{}" media-type="application/oebps-package+xml"/></rootfiles></container>'
)


def zipped(files: Mapping[str, str | bytes]) -> bytes:
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(zipfile.ZipInfo(name), content, zipfile.ZIP_DEFLATED)
    return held.getvalue()


def tarred(files: Mapping[str, bytes], extra: Sequence[tarfile.TarInfo] = ()) -> bytes:
    held = io.BytesIO()
    with tarfile.open(fileobj=held, mode="w") as archive:
        for info in extra:
            archive.addfile(info)
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return held.getvalue()


def page(body: str, attributes: str = "") -> str:
    return (
        '<?xml version="1.0" encoding="utf-8"?><html xmlns="http://www.w3.org/1999/xhtml" '
        'xmlns:epub="http://www.idpf.org/2007/ops"><head><title>no text</title></head><body '
        f"{attributes}>{body}</body></html>"
    )


def package(
    spine: Sequence[str],
    *,
    metadata: str = "",
    manifest: str = "",
    guide: str = "",
    linear: Mapping[str, str] | None = None,
) -> str:
    """A package document with the files of the spine, whose ids are their names."""
    items = "".join(
        f'<item id="{name}" href="{name}" media-type="application/xhtml+xml"/>'
        for name in dict.fromkeys(spine)
    )
    references = "".join(
        f'<itemref idref="{name}" linear="{(linear or {}).get(name, "yes")}"/>' for name in spine
    )
    return (
        '<package xmlns="http://www.idpf.org/2007/opf" version="3.0"><metadata '
        f'xmlns:dc="http://purl.org/dc/elements/1.1/">{metadata}</metadata>'
        f"<manifest>{items}{manifest}</manifest><spine>{references}</spine>"
        f"<guide>{guide}</guide></package>"
    )


def epub(
    pages: Mapping[str, str],
    *,
    spine: Sequence[str] | None = None,
    files: Mapping[str, str | bytes] | None = None,
    opf: str = "OEBPS/book.opf",
    **settings: object,
) -> bytes:
    """An EPUB of pages, name -> body; `files` are added, or put in the place of others."""
    folder = opf.rpartition("/")[0]
    content: dict[str, str | bytes] = {
        "mimetype": "application/epub+zip",
        "META-INF/container.xml": CONTAINER.format(opf),
        opf: package(list(spine or pages), **settings),
    }  # type: ignore[arg-type]
    content |= {
        (f"{folder}/{name}" if folder else name): page(body) for name, body in pages.items()
    }
    return zipped({**content, **(files or {})})
