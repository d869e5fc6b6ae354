"""The main job from nothing: Python's own documentation as text, built into shards and looked at.

    python docs/demo.py FOLDER

No network and no data are needed. Each command is printed before it runs; all can be run again by hand.
"""

import os
import pydoc
import re
import shlex
import shutil
import subprocess
import sys
import time
from pathlib import Path

MODULES = """abc argparse ast asyncio asyncio.events asyncio.streams asyncio.tasks base64 bdb binascii bisect builtins bz2 calendar cmath
cmd code codecs collections collections.abc compileall concurrent.futures configparser contextlib contextvars copy cProfile csv ctypes
dataclasses datetime decimal difflib dis doctest email email.header email.message email.mime.text email.parser email.policy email.utils
enum errno fileinput filecmp fnmatch fractions ftplib functools gc getopt getpass gettext glob graphlib gzip hashlib heapq hmac html
html.parser http.client http.cookiejar http.cookies http.server imaplib importlib importlib.abc importlib.metadata importlib.util inspect
io ipaddress itertools json json.decoder json.encoder keyword linecache locale logging logging.config logging.handlers lzma mailbox math
mimetypes mmap multiprocessing multiprocessing.managers multiprocessing.pool netrc numbers operator optparse os os.path pathlib pdb pickle
pickletools pkgutil platform plistlib poplib posixpath pprint profile pstats pty pyclbr pydoc queue quopri random re reprlib rlcompleter
runpy sched secrets select selectors shelve shlex shutil signal smtplib socket socketserver sqlite3 ssl stat statistics string
stringprep struct subprocess symtable sys sysconfig tarfile tempfile textwrap threading time timeit token tokenize trace traceback
tracemalloc turtle types typing unicodedata unittest unittest.case unittest.mock unittest.suite urllib.error urllib.parse urllib.request
uuid venv warnings wave weakref webbrowser wsgiref.handlers wsgiref.simple_server xml.dom.minidom xml.dom.pulldom xml.etree.ElementTree
xml.sax xml.sax.handler xml.sax.saxutils xmlrpc.client xmlrpc.server zipapp zipfile zipimport zlib""".split()

RECIPE = """# Python's documentation as text
[sources.python]
kind = "files"
input = "texts/*.txt"

[tokenizer]
vocab_size = 4000

[shards]
valid_fraction = 0.02
"""


def main(folder: Path) -> None:
    started = time.monotonic()
    shutil.rmtree(folder, ignore_errors=True)
    write_texts(folder / "texts")
    (folder / "recipe.toml").write_text(RECIPE)
    print(f"{folder / 'recipe.toml'}:\n\n{RECIPE}")
    os.chdir(folder)
    run("corpus", "build", "recipe.toml", "--home", "home")
    run("corpus", "stats", "home")
    run("corpus", "show", "home", "--n", "2")
    run("corpus", "verify", "home")
    print(f"done in {time.monotonic() - started:.0f} s; everything is in {folder}")


def write_texts(folder: Path) -> None:
    """A text a module, as `pydoc NAME` prints it, without the places of its files."""
    folder.mkdir(parents=True)
    for name in MODULES:
        text = pydoc.plain(pydoc.render_doc(name))
        text = re.sub(r"\n(FILE|MODULE REFERENCE)\n(    .*\n|\n)*", "\n", text)  # the one holds a path, the other says the same on every page
        places = (sys.prefix, sys.base_prefix, os.getcwd(), str(Path.home()))
        text = "\n".join(line for line in text.split("\n") if not any(place in line for place in places))
        (folder / f"{name}.txt").write_text(text, "utf-8")
    print(f"{len(MODULES)} texts in {folder}")


def run(*command: str) -> None:
    """Print a command and run it, from the environment of this interpreter."""
    print(f"\n$ {shlex.join(command)}", flush=True)
    program = Path(sys.executable).with_name(command[0])
    done = subprocess.run([str(program), *command[1:]])
    if done.returncode:
        sys.exit(f"{shlex.join(command)} ended with {done.returncode}")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    main(Path(sys.argv[1]).resolve())
