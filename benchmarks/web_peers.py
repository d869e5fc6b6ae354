"""Other tools on the same pages, in an environment of their own: `bench_extraction.py` and
`bench_gold.py --peers PYTHON` start this.

    uv venv --python 3.11 PEERS && uv pip install --python PEERS/bin/python 'datatrove[io]==0.10.1'
'trafilatura==1.11.0' 'resiliparse==2.0.1' 'rs-trafilatura==0.1.1' 'xxhash<4' lxml_html_clean

and the library libmagic of the system (Debian: libmagic1). datatrove 0.10.1 cannot use a
trafilatura of 2.x, whence the environment. Answers a line of JSON for each line of JSON: {"do":
"texts", "with": NAME, "pages": PICKLE} or {"do": "path", "with": NAME, "folder": DIR}.
"""

import contextlib
import json
import logging
import multiprocessing
import pickle
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

HOW_TO_MAKE_ONE = __doc__.split("\n\n")[1].strip()


class Peers:
    """This side of the pipe: the other tools, in the environment of the interpreter `python`."""

    def __init__(self, python: str) -> None:
        self._process = subprocess.Popen(
            [python, __file__],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )

    def ask(self, **question: Any) -> dict[str, Any]:
        assert self._process.stdin is not None and self._process.stdout is not None
        print(json.dumps(question), file=self._process.stdin, flush=True)
        answer = self._process.stdout.readline()
        if not answer:
            sys.exit(
                f"error: the peers' process ended with code {self._process.wait()}\nhint: "
                f"{HOW_TO_MAKE_ONE}"
            )
        return dict(json.loads(answer))

    def texts(self, name: str, pages: list[bytes]) -> tuple[list[str], float]:
        """The text of each page, and seconds of CPU for all."""
        with tempfile.NamedTemporaryFile() as file:
            file.write(pickle.dumps(pages))
            file.flush()
            answer = self.ask(**{"do": "texts", "with": name, "pages": file.name})
        return answer["texts"], answer["cpu"]

    def close(self) -> None:
        """End it."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait()


def resiliparse_text(content: bytes) -> str:
    from resiliparse.extract.html2text import extract_plain_text
    from resiliparse.parse.encoding import detect_encoding
    from resiliparse.parse.html import HTMLTree

    return str(
        extract_plain_text(
            HTMLTree.parse_from_bytes(content, detect_encoding(content)),
            main_content=True,
            comments=False,
        )
    )


def rs_trafilatura_text(content: bytes) -> str:
    import rs_trafilatura

    return str(rs_trafilatura.extract_bytes(content, include_comments=False).main_content)


def _extractor(name: str) -> Any:
    """datatrove's Trafilatura: as configured (precision, fallback, deduplication), and without
    fallback and deduplication."""
    from datatrove.pipeline.extractors import Trafilatura

    return (
        Trafilatura() if name == "datatrove" else Trafilatura(deduplicate=False, no_fallback=True)
    )


def decoded(content: bytes) -> str:
    """As its reader does it."""
    import cchardet

    try:
        return content.decode()
    except UnicodeDecodeError:
        return content.decode(cchardet.detect(content)["encoding"] or "utf-8", "replace")


def texts(name: str, pages: list[bytes]) -> dict[str, Any]:
    extract: Callable[[bytes], str | None] = resiliparse_text
    if name == "rs-trafilatura":
        extract = rs_trafilatura_text
    elif name != "resiliparse":
        extractor = _extractor(name)
        extract = lambda content: extractor.extract(decoded(content))  # noqa: E731
    start = time.process_time()
    found = []
    for content in pages:
        try:
            found.append(extract(content) or "")
        except Exception:  # the peer's own failures are its score
            found.append("")
    return {"cpu": time.process_time() - start, "texts": found}


def path(name: str, folder: str) -> dict[str, Any]:
    """Addresses of the pages that a text is made of, reader and extractor together."""
    import trafilatura
    from datatrove.pipeline.readers import WarcReader

    trafilatura.extract(
        "<html><body><p>what it loads at its first page</p></body></html>"
    )  # here, before its child is forked
    before, start = seconds(), time.perf_counter()
    kept = [
        document.metadata["url"]
        for document in _extractor(name).run(WarcReader(folder, glob_pattern="*.warc.gz").run())
    ]
    multiprocessing.active_children()  # those that have ended are waited for, so that they count
    return {"cpu": seconds() - before, "wall": time.perf_counter() - start, "kept": kept}


def seconds() -> float:
    """Of CPU, of this process and of children that have ended."""
    return sum(
        used.ru_utime + used.ru_stime
        for used in map(resource.getrusage, (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    )


def main() -> None:
    logging.disable(logging.CRITICAL)
    with contextlib.suppress(ImportError):
        from loguru import logger

        logger.remove()
    answers, sys.stdout = sys.stdout, sys.stderr
    for line in sys.stdin:
        asked = json.loads(line)
        if asked["do"] == "texts":
            answer = texts(asked["with"], pickle.loads(Path(asked["pages"]).read_bytes()))
        else:
            answer = path(asked["with"], asked["folder"])
        print(json.dumps(answer), file=answers, flush=True)


if __name__ == "__main__":
    main()
