"""What a page says against its use for the training of models.

    noai, noimageai    directives of `X-Robots-Tag` and of `<meta name="robots">` (DeviantArt, 2022)
    tdm-reservation    the header and meta element of the W3C community's TDM Reservation Protocol,
                       by which the rights to text and data mining are reserved (value 1)

Only what came with the page is read: its head of HTTP and its elements, not the site's files
robots.txt and tdmrep.json, which are not in the archive beside it.
"""

import re
from collections.abc import Iterator, Mapping

SIGNS = ("noai", "noimageai", "tdm-reservation")

_ROBOTS = frozenset({"noai", "noimageai"})

_META = re.compile(rb"<meta\s([^<>]{1,2000})>", re.IGNORECASE)

_ATTRIBUTE = re.compile(
    rb"([a-zA-Z:_-]{1,40})\s{0,9}=\s{0,9}"
    rb"(?:\"([^\"]{0,1000})\"|'([^']{0,1000})'|([^\s\"'>]{1,1000}))"
)

_WORD = re.compile(r"[^\s,;:]+")


def opt_outs(headers: Mapping[str, str], content: bytes) -> list[str]:
    """The `SIGNS` of a page, in their order. `headers` have names in lower case; `content` is the
    decoded body, in any charset."""
    found = set(_in_headers(headers))
    # Every charset of the web but UTF-16 has these words as ASCII.
    plain = content.replace(b"\0", b"")
    # Looked for in small letters: a pattern that ignores case reads a page fifty times slower.
    small = plain.lower()
    if any(sign.encode() in small for sign in SIGNS):
        found.update(_in_elements(_without_comments(plain)))
    return [sign for sign in SIGNS if sign in found]


def _in_headers(headers: Mapping[str, str]) -> Iterator[str]:
    """Several headers of one name are joined by commas; a directive may name a crawler first."""
    yield from _directives(headers.get("x-robots-tag", ""))
    if _reserves(headers.get("tdm-reservation", "")):
        yield "tdm-reservation"


def _in_elements(content: bytes) -> Iterator[str]:
    for element in _META.finditer(content):
        values: dict[str, str] = {}
        for match in _ATTRIBUTE.finditer(element[1]):
            value = next(group for group in match.groups()[1:] if group is not None)
            values.setdefault(match[1].decode().lower(), value.decode("latin-1").strip())
        name = values.get("name", "").lower()
        if name == "tdm-reservation" and _reserves(values.get("content", "")):
            yield "tdm-reservation"
        elif name == "robots" or name.endswith("bot"):
            yield from _directives(values.get("content", ""))


def _without_comments(content: bytes) -> bytes:
    """A page without its comments; one that does not end stays."""
    parts: list[bytes] = []
    at = 0
    while (begin := content.find(b"<!--", at)) >= 0:
        end = content.find(b"-->", begin + 4)
        if end < 0:
            break
        parts.append(content[at:begin])
        at = end + 3
    return b"".join([*parts, content[at:]])


def _directives(text: str) -> frozenset[str]:
    return _ROBOTS & set(_WORD.findall(text.lower()))


def _reserves(value: str) -> bool:
    """Whether the rights are reserved; of several values one is enough."""
    return "1" in _WORD.findall(value)
