"""A whole build and a training run that need no data.

    python docs/demo.py FOLDER

The demo serves Python's own documentation as web pages, crawls them into a web archive, builds
shards from the archive, shows what is in them, trains a tiny RoBERTa on them, and lets it fill in
masked words. It uses no network but this machine's own address. It prints each command before it
runs it, so that you can repeat it by hand.
"""

import functools
import html
import http.server
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

from warcio.capture_http import capture_http  # must come before http.client, which it wraps

import http.client  # isort: skip

from pipelines.commands.sample import python_documentation

STEPS = "1500"
"""Steps of training: about four minutes on two cores, enough to learn the sentences of a manual."""

SENTENCES = (
    "If the file does not exist, an exception is <mask>.",
    "Return a <mask> of strings.",
    "Open the <mask> for reading.",
)
"""What the trained model fills in."""

RECIPE = """# Python's documentation, from a crawl of its pages
[sources.python]
kind = "cc_news"
input = "archive/*.warc.gz"
language = "en"

[tokenizer]
vocab_size = 2000

[shards]
valid_fraction = 0.15
"""

STOPPED = "stopped; make demo begins anew"


def main(folder: Path) -> None:
    started = time.monotonic()
    shutil.rmtree(folder, ignore_errors=True)
    with serve() as address:
        crawl(address, folder / "archive" / "python.warc.gz")

    (folder / "recipe.toml").write_text(RECIPE)
    print(f"{folder / 'recipe.toml'}:\n\n{RECIPE}")
    os.chdir(folder)

    run("corpus", "build", "recipe.toml", "--home", "home")
    run("corpus", "stats", "home")
    run("corpus", "show", "home", "--n", "1")
    run("corpus", "verify", "home")
    run("corpus", "report", "home")

    pretrain = "trainer pretrain --shards home --run run --recipe tiny --device cpu --steps"
    run(*pretrain.split(), STEPS)
    run("trainer", "evaluate", "--run", "run")
    run("trainer", "show", "run")
    for text in SENTENCES:
        run("trainer", "show", "run", "--fill", text)
    run("trainer", "export", "--run", "run", "--out", "model")

    print(
        f"\ndone in {time.monotonic() - started:.0f} s\n"
        f"  the report of the corpus   {folder / 'home' / 'report.html'}\n"
        f"  the curves of the training {folder / 'run' / 'curves.png'}\n"
        f"  the model                  {folder / 'model'}"
    )


@contextmanager
def serve() -> Iterator[str]:
    """Yield the loopback address of a server of the pages, which ends with the block."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Pages)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


@functools.cache
def documentation() -> dict[str, str]:
    """Each page by its path."""
    return {f"/{name}.html": page(name, paragraphs(text)) for name, text in python_documentation()}


class Pages(http.server.BaseHTTPRequestHandler):
    """`/` links to every page of the documentation; any other path is a 404."""

    def do_GET(self) -> None:
        pages = documentation()
        if self.path == "/":
            links = "".join(f'<li><a href="{path}">{path}</a></li>' for path in pages)
            self.answer(200, page("Contents", f"<nav><ul>{links}</ul></nav>"))
        elif self.path in pages:
            self.answer(200, pages[self.path])
        else:
            self.answer(404, page("Not here", "<p>There is no such page.</p>"))

    def answer(self, status: int, page: str) -> None:
        content = page.encode()
        self.send_response(status)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: object) -> None:
        """Print nothing: `crawl` reports what it fetched."""


def page(title: str, body: str) -> str:
    """A whole page."""
    head = f"<head><title>{html.escape(title)}</title></head>"
    return f"<!DOCTYPE html><html>{head}<body><article>{body}</article></body></html>"


def paragraphs(text: str) -> str:
    """A text as HTML: its blocks are paragraphs; those that are indented or examples stay as they
    are."""
    parts = []
    for block in text.split("\n\n"):
        tag = "pre" if block.startswith((" ", ">>>")) else "p"
        parts.append(f"<{tag}>{html.escape(block)}</{tag}>")
    return "".join(parts)


def crawl(host: str, archive: Path) -> None:
    """Fetch the first page and every page that it leads to on the same host into one WARC file.

    The order is breadth first, and each page is fetched once.
    """
    archive.parent.mkdir(parents=True)
    waiting = ["/"]
    seen = {"/"}

    with capture_http(str(archive)):
        while waiting:
            path = waiting.pop(0)
            connection = http.client.HTTPConnection(host, timeout=60)
            connection.request("GET", path)
            text = connection.getresponse().read().decode("utf-8", "replace")
            connection.close()
            for link in re.findall(r'href="(/[^"]*)"', text):
                if link not in seen:
                    seen.add(link)
                    waiting.append(link)

    size = archive.stat().st_size
    print(f"{len(seen)} pages of http://{host}/ crawled into {archive}, {size:,} bytes")


def run(*command: str) -> None:
    """Print a command, and run it from the environment of this interpreter.

    Raises `KeyboardInterrupt` once the command and its children are dead: they have a session of
    their own, so that Ctrl-C reaches the demo alone, which begins anew anyhow.
    """
    print(f"\n$ {shlex.join(command)}", flush=True)
    program = Path(sys.executable).with_name(command[0])
    child = subprocess.Popen([str(program), *command[1:]], start_new_session=True)
    try:
        code = child.wait()
    except KeyboardInterrupt:
        os.killpg(child.pid, signal.SIGKILL)
        child.wait()
        raise
    if code:
        sys.exit(f"{shlex.join(command)} ended with {code}")


def interrupt(number: int, frame: FrameType | None) -> None:
    """Handle Ctrl-C, SIGTERM and a closed terminal alike."""
    raise KeyboardInterrupt(number)


def entry(folder: Path) -> int:
    """Run the demo in a folder; returns the exit code, 128 + N after a signal N as a shell does."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, interrupt)
    try:
        main(folder)
    except KeyboardInterrupt as stop:
        show_cursor = "\x1b[?25h" if sys.stderr.isatty() else ""  # a display may have hidden it
        print(f"{show_cursor}\n{STOPPED}" if show_cursor else STOPPED, file=sys.stderr)
        return 128 + int(stop.args[0])
    return 0


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    sys.exit(entry(Path(sys.argv[1]).resolve()))
