"""Web archives and pages for the tests, made by hand so that each fault in them is meant."""

import gzip
import random

DATE = "2018-03-30T10:10:24Z"
_SUBJECTS = (
    "the committee",
    "a spokesman",
    "the minister",
    "her neighbour",
    "the old teacher",
    "every farmer",
    "the young judge",
    "our reporter",
)
_VERBS = (
    "announced",
    "denied",
    "remembered",
    "described",
    "had always known",
    "would not believe",
    "explained",
    "questioned",
)
_OBJECTS = (
    "the new plan for the harbour",
    "that the bridge was closed",
    "what the children had seen",
    "how the money was spent",
    "the long delay",
)
_ENDS = (
    "on Tuesday morning",
    "before the vote",
    "after a long night",
    "in front of the court",
    "while it was raining",
    "without any doubt",
)


def english(number: int, sentences: int = 12) -> str:
    """A paragraph of English that no other number gives."""
    draw = random.Random(number)
    lines = [
        (
            f"{draw.choice(_SUBJECTS)} {draw.choice(_VERBS)} {draw.choice(_OBJECTS)} "
            f"{draw.choice(_ENDS)}."
        )
        for _ in range(sentences)
    ]
    return f"Report {number}: " + " ".join(line[0].upper() + line[1:] for line in lines)


def page(text: str, head: str = "", title: str = "A page") -> bytes:
    """A page with the text as one paragraph, in UTF-8."""
    return (
        f"<!DOCTYPE html><html><head><title>{title}</title>{head}</head>"
        f"<body><article><p>{text}</p></article></body></html>"
    ).encode()


def record(
    kind: str,
    block: bytes,
    url: str | None = None,
    date: str = DATE,
    *,
    content_type: str = "",
    length: int | None = None,
    extra: str = "",
) -> bytes:
    """One WARC record, not compressed."""
    lines = [
        "WARC/1.0",
        f"WARC-Type: {kind}",
        f"WARC-Date: {date}",
        "WARC-Record-ID: <urn:uuid:00000000-0000-0000-0000-000000000000>",
    ]
    lines += [f"WARC-Target-URI: {url}"] if url else []
    lines += [f"Content-Type: {content_type}"] if content_type else []
    lines += [extra] if extra else []
    lines.append(f"Content-Length: {len(block) if length is None else length}")
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + block + b"\r\n\r\n"


def response(
    body: bytes,
    url: str = "http://example.com/",
    date: str = DATE,
    *,
    headers: str = "Content-Type: text/html",
    status: str = "HTTP/1.1 200 OK",
    **fields: object,
) -> bytes:
    """A response record; `headers` one a line."""
    lines = "\r\n".join([status, *headers.split("\n")]).strip("\r\n")
    return record(
        "response",
        lines.encode("latin-1") + b"\r\n\r\n" + body,
        url,
        date,
        content_type="application/http; msgtype=response",
        **fields,
    )  # type: ignore[arg-type]


def members(*records: bytes) -> bytes:
    """Records as a `.warc.gz`, a member each, the same bytes on every run."""
    return b"".join(gzip.compress(one, mtime=0) for one in records)


def articles(count: int, first: int = 0) -> list[bytes]:
    """Responses with English articles, all different."""
    return [
        response(page(english(number)), f"http://example.com/{number}")
        for number in range(first, first + count)
    ]
