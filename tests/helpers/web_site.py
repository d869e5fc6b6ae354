"""A web server on loopback that serves files as the real sites do, counts what it sends, and
misbehaves where it is told to."""

import hashlib
import os
import re
import threading
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote

os.environ["no_proxy"] = os.environ["NO_PROXY"] = "127.0.0.1"  # whatever proxy the machine has

Fault = Callable[["Handler", bytes], None]
"""Answers one request in place of the file."""


class Site:
    """`files`: path -> bytes. `faults`: path -> what befalls the next requests for it, in turn; the
    last stays when `for_good`."""

    def __init__(self, files: dict[str, bytes]) -> None:
        self.files = files
        self.faults: dict[str, list[Fault]] = defaultdict(list)
        self.for_good: dict[str, Fault] = {}
        self.ranges = self.etags = self.heads = True
        self.sent: dict[str, int] = defaultdict(int)
        self.requests: list[tuple[str, str, str | None]] = []
        self.agents: set[str] = set()
        self.signed: list[bool] = []
        self.stalled = threading.Event()
        self.closing = threading.Event()
        self.url = ""

    def gets(self, path: str) -> list[str | None]:
        """The Range headers of the GET requests for a path."""
        return [
            ranged for method, asked, ranged in self.requests if method == "GET" and asked == path
        ]


class Handler(BaseHTTPRequestHandler):
    """One connection."""

    protocol_version = "HTTP/1.1"
    timeout = 20
    site: Site

    def do_HEAD(self) -> None:
        self._answer()

    def do_GET(self) -> None:
        self._answer()

    def _answer(self) -> None:
        site, path = self.site, unquote(self.path.lstrip("/"))
        site.requests.append((self.command, path, self.headers.get("Range")))
        site.agents.add(self.headers.get("User-Agent", ""))
        site.signed.append("Authorization" in self.headers)
        content = site.files.get(path)
        if self.command == "HEAD":
            if not site.heads:
                return status(405)(self, b"")
        else:
            if site.faults[path]:
                return site.faults[path].pop(0)(self, content or b"")
            if path in site.for_good:
                return site.for_good[path](self, content or b"")
        if content is None:
            return status(404, body=b"<html>no such file</html>")(self, b"")
        self.whole(content)

    def whole(self, content: bytes, sent: int | None = None, claimed: int | None = None) -> None:
        """The file or the range asked for. `sent`: break off after so many bytes; `claimed`:
        another length than the true one."""
        start, stop, total = 0, len(content), len(content) if claimed is None else claimed
        tag = '"' + hashlib.md5(content).hexdigest() + '"'
        ranged = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", ""))
        if ranged and self.site.ranges and self.headers.get("If-Range") in (None, tag):
            start, stop = int(ranged[1]), min(int(ranged[2]) + 1 if ranged[2] else total, total)
            if start >= total:
                self.send_response(416)
                self.send_header("Content-Range", f"bytes */{total}")
                self.send_header("Content-Length", "0")
                self.end_headers()
                return
            self.send_response(206)
            self.send_header("Content-Range", f"bytes {start}-{stop - 1}/{total}")
        else:
            stop = total
            self.send_response(200)
        self.send_header("Content-Length", str(stop - start))
        if self.site.ranges:
            self.send_header("Accept-Ranges", "bytes")
        if self.site.etags:
            self.send_header("ETag", tag)
        self.end_headers()
        if self.command == "HEAD":
            return
        body = content[start:stop] if sent is None else content[start : start + sent]
        self.push(body)
        if len(body) < stop - start:
            self.close_connection = True

    def push(self, body: bytes) -> bool:
        """Send, and count; False where the client has gone."""
        path = unquote(self.path.lstrip("/"))
        try:
            for at in range(0, len(body), 1 << 16):
                self.wfile.write(body[at : at + (1 << 16)])
                self.site.sent[path] += len(body[at : at + (1 << 16)])
            self.wfile.flush()
        except OSError:
            self.close_connection = True
            return False
        return True

    def log_message(self, *_: object) -> None:
        """Silence."""


def status(code: int, headers: dict[str, str] | None = None, body: bytes = b"") -> Fault:
    """An answer that is no file."""

    def fault(handler: Handler, _: bytes) -> None:
        handler.send_response(code)
        for name, value in {"Content-Length": str(len(body)), **(headers or {})}.items():
            handler.send_header(name, value)
        handler.end_headers()
        if handler.command != "HEAD":
            handler.push(body)

    return fault


def broken(after: int) -> Fault:
    """The connection ends after some bytes of what was asked for."""
    return lambda handler, content: handler.whole(content, sent=after)


def stalled(after: int) -> Fault:
    """No byte more after some, and the connection stays open."""

    def fault(handler: Handler, content: bytes) -> None:
        handler.whole(content, sent=after)
        handler.site.stalled.set()
        handler.site.closing.wait(20)

    return fault


def trickling(handler: Handler, content: bytes) -> None:
    """A byte now and then."""
    handler.whole(content, sent=1)
    for at in range(1, 2000):
        if handler.site.closing.wait(0.01) or not handler.push(content[at : at + 1]):
            return


def claiming(size: int) -> Fault:
    """The same bytes under another length."""
    return lambda handler, content: handler.whole(content, claimed=size)


def in_place(other: bytes) -> Fault:
    """Other bytes, with status 200 and their right length."""

    def fault(handler: Handler, _: bytes) -> None:
        handler.send_response(200)
        handler.send_header("Content-Length", str(len(other)))
        handler.end_headers()
        handler.push(other)

    return fault


def redirect(to: str) -> Fault:
    """To another address."""
    return status(302, {"Location": to})


def unmeasured(handler: Handler, content: bytes) -> None:
    """The whole file in chunks, without a length."""
    handler.send_response(200)
    handler.send_header("Transfer-Encoding", "chunked")
    handler.end_headers()
    for at in range(0, len(content), 50_000):
        piece = content[at : at + 50_000]
        handler.push(f"{len(piece):x}\r\n".encode() + piece + b"\r\n")
    handler.push(b"0\r\n\r\n")


@contextmanager
def serve(files: dict[str, bytes]) -> Iterator[Site]:
    """A running site; ends with the block, however many connections hang."""
    site = Site(files)
    handler = type("SiteHandler", (Handler,), {"site": site})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    # A client that breaks off is what is tested, and no error to print.
    server.handle_error = lambda *_: None  # type: ignore[method-assign]
    server.daemon_threads = True
    server.block_on_close = False
    site.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(
        target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True
    )
    thread.start()
    try:
        yield site
    finally:
        site.closing.set()
        server.shutdown()
        server.server_close()
        thread.join(5)
