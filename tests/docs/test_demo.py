"""The demo: what it serves and crawls, and how it ends when it is interrupted. (`make demo` runs it
whole.)"""

import importlib.util
import os
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parents[2]

INTERRUPTED = """
import sys
sys.path[:0] = [{docs!r}, {root!r}]
import demo
from pathlib import Path

def main(folder):
    {body}

demo.main = main
sys.exit(demo.entry(Path({folder!r})))
"""

WAITING = "import os, signal; print(os.getpid(), flush=True); signal.pause()"


@pytest.fixture(scope="module")
def demo() -> ModuleType:
    spec = importlib.util.spec_from_file_location("demo", ROOT / "docs" / "demo.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
@pytest.mark.parametrize("inside", ["a command", "the demo itself"])
def test_an_interrupt_ends_in_one_line(number: int, inside: str, tmp_path: Path) -> None:
    """Whatever runs, a command and its children included, is dead when the demo ends."""
    child = f"demo.run(Path(sys.executable).name, '-c', {WAITING!r})"
    body = child if inside == "a command" else WAITING
    script = INTERRUPTED.format(
        docs=str(ROOT / "docs"), root=str(ROOT), folder=str(tmp_path), body=body
    )
    process = subprocess.Popen(
        [sys.executable, "-c", script], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout
    lines = iter(process.stdout.readline, "")
    waiting = int(next(line for line in lines if line.strip().isdigit()))

    process.send_signal(number)
    _, err = process.communicate()
    assert err == "stopped; make demo begins anew\n"
    assert process.returncode == 128 + number
    with pytest.raises(ProcessLookupError):
        os.kill(waiting, 0)


def test_a_command_that_fails_ends_the_demo(demo: ModuleType) -> None:
    with pytest.raises(SystemExit, match="-c 'exit.3.' ended with 3"):
        demo.run(Path(sys.executable).name, "-c", "exit(3)")


def test_the_crawl_meets_no_missing_page(
    demo: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from warcio.archiveiterator import ArchiveIterator

    texts = [("one", "A word.\n\n    an example <b>"), ("topic-two", "More & more.")]
    monkeypatch.setattr(demo, "python_documentation", lambda: iter(texts))
    archive = tmp_path / "archive" / "pages.warc.gz"
    with demo.serve() as address:
        demo.crawl(address, archive)
        connection = demo.http.client.HTTPConnection(address)
        connection.request("GET", "/three.html")
        assert connection.getresponse().status == 404

    found = {}
    with archive.open("rb") as file:
        for record in ArchiveIterator(file):
            if record.rec_type == "response":
                url = record.rec_headers.get_header("WARC-Target-URI")
                status = record.http_headers.get_statuscode()
                found[url.partition(address)[2]] = (status, record.content_stream().read().decode())
    assert Counter(status for status, _ in found.values()) == {"200": 3}
    assert list(found) == ["/", "/one.html", "/topic-two.html"]
    assert "<p>A word.</p><pre>    an example &lt;b&gt;</pre>" in found["/one.html"][1]
    assert "<p>More &amp; more.</p>" in found["/topic-two.html"][1]
