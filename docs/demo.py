"""A whole build and a training run that need no data.

    python docs/demo.py FOLDER

The demo serves Python's own documentation as web pages, crawls them into a web archive, builds
shards from the archive, shows what is in them, and trains a tiny RoBERTa on them. It uses no
network but this machine's own address. It prints each command before it runs it, so that you can
repeat it by hand.
"""

import http.server
import os
import pydoc
import re
import shlex
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from warcio.capture_http import capture_http  # must come before http.client, which it wraps

import http.client  # isort: skip

MODULES = """
abc argparse ast asyncio asyncio.events asyncio.streams asyncio.tasks base64 bdb binascii bisect
builtins bz2 calendar cmath cmd code codecs collections collections.abc compileall
concurrent.futures configparser contextlib contextvars copy cProfile csv ctypes dataclasses datetime
decimal difflib dis doctest email email.header email.message email.mime.text email.parser
email.policy email.utils enum errno fileinput filecmp fnmatch fractions ftplib functools gc getopt
getpass gettext glob graphlib gzip hashlib heapq hmac html html.parser http.client http.cookiejar
http.cookies http.server imaplib importlib importlib.abc importlib.metadata importlib.util inspect
io ipaddress itertools json json.decoder json.encoder keyword linecache locale logging
logging.config logging.handlers lzma mailbox math mimetypes mmap multiprocessing
multiprocessing.managers multiprocessing.pool netrc numbers operator optparse os os.path pathlib pdb
pickle pickletools pkgutil platform plistlib poplib posixpath pprint profile pstats pty pyclbr pydoc
queue quopri random re reprlib rlcompleter runpy sched secrets select selectors shelve shlex shutil
signal smtplib socket socketserver sqlite3 ssl stat statistics string stringprep struct subprocess
symtable sys sysconfig tarfile tempfile textwrap threading time timeit token tokenize trace
traceback tracemalloc turtle types typing unicodedata unittest unittest.case unittest.mock
unittest.suite urllib.error urllib.parse urllib.request uuid venv warnings wave weakref webbrowser
wsgiref.handlers wsgiref.simple_server xml.dom.minidom xml.dom.pulldom xml.etree.ElementTree xml.sax
xml.sax.handler xml.sax.saxutils xmlrpc.client xmlrpc.server zipapp zipfile zipimport zlib
""".split()

STEPS = "400"  # about two minutes on two cores: the loss falls, but the model learns little

RECIPE = """# Python's documentation, from a crawl of its pages
[sources.python]
kind = "cc_news"
input = "archive/*.warc.gz"
language = "en"

[tokenizer]
vocab_size = 4000

[shards]
valid_fraction = 0.02
"""


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
    run("corpus", "show", "home", "--n", "2")
    run("corpus", "verify", "home")

    pretrain = "trainer pretrain --shards home --run run --recipe tiny --device cpu --steps"
    run(*pretrain.split(), STEPS)
    run("trainer", "evaluate", "--run", "run")
    for text in (
        "Return the <mask> of the object.",
        "If the file does not exist, an exception is <mask>.",
    ):
        run("trainer", "show", "run", "--fill", text)
    run("trainer", "export", "--run", "run", "--out", "model")
    print(f"done in {time.monotonic() - started:.0f} s; everything is in {folder}")


@contextmanager
def serve() -> Iterator[str]:
    """Yield the loopback address of a server of pydoc's pages, which ends with the block."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Pages)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


class Pages(http.server.BaseHTTPRequestHandler):
    """`/` links to every module, and `/NAME.html` is a module's page; any other path is a 404."""

    def do_GET(self) -> None:
        name = self.path.strip("/").removesuffix(".html")
        if not name:
            links = "".join(f'<li><a href="{module}.html">{module}</a></li>' for module in MODULES)
            body = f"<nav><ul>{links}</ul></nav>"
            self.answer(200, html("Modules", body))
        elif name in MODULES:
            writer = pydoc.HTMLDoc()
            page = writer.page(name, writer.document(pydoc.locate(name), name))
            # pydoc links to the module's file on this machine.
            self.answer(200, re.sub('<a href="file:[^"]*">[^<]*</a>', "", page))
        else:
            self.answer(404, html("Not here", "<p>There is no such page.</p>"))

    def answer(self, status: int, page: str) -> None:
        content = page.encode()
        self.send_response(status)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: object) -> None:
        """Print nothing: `crawl` reports what it fetched."""


def html(title: str, body: str) -> str:
    """A whole page."""
    head = f"<head><title>{title}</title></head>"
    return f"<!DOCTYPE html><html>{head}<body>{body}</body></html>"


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
            page = connection.getresponse().read().decode("utf-8", "replace")
            connection.close()
            for link in re.findall(r'href="([A-Za-z0-9_.]+\.html)(?:#[^"]*)?"', page):
                if f"/{link}" not in seen:
                    seen.add(f"/{link}")
                    waiting.append(f"/{link}")

    size = archive.stat().st_size
    print(f"{len(seen)} pages of http://{host}/ crawled into {archive}, {size:,} bytes")


def run(*command: str) -> None:
    """Print a command, and run it from the environment of this interpreter."""
    print(f"\n$ {shlex.join(command)}", flush=True)
    program = Path(sys.executable).with_name(command[0])
    done = subprocess.run([str(program), *command[1:]])
    if done.returncode:
        sys.exit(f"{shlex.join(command)} ended with {done.returncode}")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    main(Path(sys.argv[1]).resolve())
