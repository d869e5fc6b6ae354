"""A build whose inputs and home lie in an object store: the same shards, nothing half-written, few
requests, one line for what fails."""

import io
import json
import socket
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import archives
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import s3
from s3 import BUCKET, Store

Corpus = Callable[..., tuple[int, str, str]]

RECIPE = """
[sources.news]
kind = "cc_news"
input = "{inputs}/news/*.warc.gz"
language = "en"
[sources.novels]
kind = "files"
input = ["{inputs}/novels/a/*.txt", "{inputs}/novels/b/*.txt"]
document = "blank-line"
slice_bytes = 40000
[tokenizer]
vocab_size = 500
sample_bytes = 60000
[shards]
shard_tokens = 40000
"""
SMALL = (
    '[sources.mine]\nkind = "files"\ninput = "{inputs}/small/*.txt"\n[tokenizer]\nvocab_size = '
    "300\n"
)
REQUESTS_A_SLICE = 160
"""All that a build of a few slices asks for, with rules and near dedup: 156 here; 62 for each slice
more: docs/scale.md."""


@pytest.fixture(scope="module")
def inputs(some_novels: Path) -> dict[str, bytes]:
    """Path -> content of what the sources read."""
    found = {
        f"novels/{'ab'[number % 2]}/{path.name}": path.read_bytes()
        for number, path in enumerate(sorted(some_novels.iterdir()))
    }
    found["news/1.warc.gz"] = archives.members(*archives.articles(20))
    found["news/2.warc.gz"] = archives.members(*archives.articles(12, 15))[
        :-70
    ]  # some of them again, and cut
    found["small/a b%20#.txt"] = b"Some text of my own. " * 20
    return found


@pytest.fixture(scope="module")
def local(inputs: dict[str, bytes], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The undisturbed build on this machine."""
    from pipelines.cli import main

    folder = tmp_path_factory.mktemp("local")
    for name, content in inputs.items():
        (folder / "in" / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / "in" / name).write_bytes(content)
    (folder / "recipe.toml").write_text(RECIPE.format(inputs=folder / "in"))
    assert (
        main(
            ["build", str(folder / "recipe.toml"), "--home", str(folder / "home"), "--workers", "0"]
        )
        == 0
    )
    return folder / "home"


@pytest.fixture(scope="module")
def server() -> Iterator[Store]:
    with s3.running() as running:
        yield running


@pytest.fixture
def bucket(
    server: Store, inputs: dict[str, bytes], monkeypatch: pytest.MonkeyPatch
) -> Iterator[Store]:
    with s3.environment(monkeypatch, server.url):
        s3.make_bucket()
        server.forget()
        server.fill({f"in/{name}": content for name, content in inputs.items()})
        yield server
        server.forget()


def write_recipe(folder: Path, text: str = RECIPE) -> Path:
    (folder / "recipe.toml").write_text(text.format(inputs=f"s3://{BUCKET}/in"))
    return folder / "recipe.toml"


def whole(key: str, content: bytes) -> None:
    """Raises for an object that is not what its name says."""
    if key.endswith("/"):
        assert content == b""  # the client's mark of a folder
    elif key.endswith(".parquet"):
        pq.read_table(io.BytesIO(content))
    elif key.endswith(".arrow"):
        pa.ipc.open_file(io.BytesIO(content)).read_all()
    elif key.endswith(".json") or key.endswith("/lock"):
        json.loads(content)


class Poller(threading.Thread):
    """Reads whatever appears below the home while the block runs; `seen`: how many different
    objects."""

    def __init__(self, store: Store) -> None:
        super().__init__()
        self.store, self.ended, self.faults, self.seen = (
            store,
            threading.Event(),
            list[str](),
            set[tuple[str, int]](),
        )

    def run(self) -> None:
        while not self.ended.wait(0.01):
            for key, content in self.store.objects().items():
                if key.startswith("home/") and (key, hash(content)) not in self.seen:
                    self.seen.add((key, hash(content)))
                    try:
                        whole(key, content)
                    except Exception as fault:  # whatever a half file raises
                        self.faults.append(f"{key}: {fault!r}")

    def __enter__(self) -> "Poller":
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.ended.set()
        self.join()


def shards_of(store: Store) -> dict[str, bytes]:
    return {
        key.removeprefix("home/shards/"): content
        for key, content in store.objects().items()
        if key.startswith("home/shards/") and not key.endswith("/")
    }


def outputs(summaries: dict[str, bytes]) -> dict[str, Any]:
    """Summary -> the digest of its work file and all its counts."""
    return {
        name: {key: value for key, value in json.loads(content).items() if key != "fingerprint"}
        for name, content in summaries.items()
    }


def test_the_same_build(local: Path, bucket: Store, tmp_path: Path, corpus: Corpus) -> None:
    home = f"s3://{BUCKET}/home"
    with Poller(bucket) as poller:
        code, _, err = corpus("build", write_recipe(tmp_path), "--home", home, "--workers", 2)
    assert code == 0, err
    assert poller.faults == [] and len(poller.seen) > 40
    assert shards_of(bucket) == {
        path.name: path.read_bytes() for path in (local / "shards").iterdir()
    }
    remote = {
        key.removeprefix("home/"): content
        for key, content in bucket.objects().items()
        if key.startswith("home/summaries/") and not key.endswith("/")
    }
    here = {
        path.relative_to(local).as_posix(): path.read_bytes()
        for path in (local / "summaries").rglob("*.json")
    }
    assert outputs(remote) == outputs(here)
    assert bucket.unfinished() == 0 and not [
        key for key in bucket.objects() if ".tmp-" in key or key == "home/lock"
    ]
    slices = sum(name.startswith("summaries/ingest/") for name in remote)
    counts = bucket.counts()
    said = (
        f"requests of a build of {slices} slices and "
        f"{sum(name.endswith('.arrow') for name in shards_of(bucket))} shards: {dict(counts)}, "
        f"{sum(counts.values()) / slices:.1f} a slice"
    )
    assert slices >= 8 and sum(counts.values()) < REQUESTS_A_SLICE * slices

    before = bucket.objects()
    bucket.forget()
    assert corpus("build", write_recipe(tmp_path), "--home", home, "--workers", 0)[0] == 0
    changed = {key for key, content in bucket.objects().items() if before.get(key) != content}
    assert changed <= {"home/"} and {key for key in before if key not in bucket.objects()} <= set()
    said += f"; again: {dict(bucket.counts())}"

    code, out, _ = corpus("stats", home, "--json")
    assert code == 0 and json.loads(out) == json.loads(corpus("stats", local, "--json")[1])
    assert corpus("verify", home)[0] == 0
    assert json.loads(corpus("status", home, "--json")[1])["complete"]
    (shown,) = json.loads(corpus("show", home, "--removed", "--n", 1, "--json")[1])["records"]
    assert (
        json.loads(corpus("why", home, shown["id"], "--json")[1])["records"][0]["twin"]
        == shown["twin"]
    )
    assert corpus("clean", home, "--dry-run") == (0, "", "")
    assert corpus("export", home, f"s3://{BUCKET}/out", "--format", "jsonl.zst")[0] == 0
    assert corpus("export", local, tmp_path / "out", "--format", "jsonl.zst")[0] == 0
    exported = {
        key.rsplit("/", 1)[1]: content
        for key, content in bucket.objects().items()
        if key.startswith("out/data/") and not key.endswith("/")
    }
    assert exported == {
        path.name: path.read_bytes() for path in (tmp_path / "out" / "data").iterdir()
    }

    damaged = sorted(key for key in shards_of(bucket) if key.endswith(".arrow"))[0]
    content = bytearray(shards_of(bucket)[damaged])
    content[len(content) // 2] ^= 1
    bucket.fill({f"home/shards/{damaged}": bytes(content)})
    code, out, _ = corpus("verify", home)
    assert code == 1 and f"{damaged}: its digest is not the manifest's" in out
    assert corpus("clean", home, "--work")[0] == 0
    assert not [
        key
        for key in bucket.objects()
        if key.split("/")[:2] == ["home", "work"] and not key.endswith("/")
    ]
    print(said)


@pytest.mark.long
def test_a_store_that_stumbles(local: Path, bucket: Store, tmp_path: Path, corpus: Corpus) -> None:
    """Every ninth request is answered by 503: nothing is lost, nothing rejected, and the bytes are
    the same."""
    count = iter(range(10**9))
    bucket.fault = lambda request: ("503 Slow Down", "SlowDown") if next(count) % 9 == 0 else None
    with Poller(bucket) as poller:
        code, _, err = corpus(
            "build", write_recipe(tmp_path), "--home", f"s3://{BUCKET}/home", "--workers", 0
        )
    assert code == 0, err
    assert poller.faults == [] and sum(request.nth > 0 for request in bucket.requests) > 50
    assert shards_of(bucket) == {
        path.name: path.read_bytes() for path in (local / "shards").iterdir()
    }


def test_a_store_that_goes_away_ends_the_build_and_it_goes_on(
    local: Path, bucket: Store, tmp_path: Path, corpus: Corpus, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An input that cannot be had is no damaged file: the build ends, and the same command
    completes it."""
    from shards.storage import object_store

    monkeypatch.setattr(object_store, "MAX_TRIES", 3)
    bucket.fault = lambda request: (
        ("503 Slow Down", "SlowDown")
        if request.path.endswith("2.warc.gz") and request.method == "GET"
        else None
    )
    code, _, err = corpus(
        "build", write_recipe(tmp_path), "--home", f"s3://{BUCKET}/home", "--workers", 0
    )
    lines = [line for line in err.splitlines() if line.startswith(("error: ", "hint: "))]
    assert code == 3 and "Traceback" not in err and len(lines) == 2, err
    assert (
        f"s3://{BUCKET}/in/news/2.warc.gz: no answer in 3 tries" in lines[0]
        and "run the same command again to resume" in lines[1]
    )
    bucket.forget()
    object_store._down.clear()
    assert (
        corpus("build", write_recipe(tmp_path), "--home", f"s3://{BUCKET}/home", "--workers", 0)[0]
        == 0
    )
    assert shards_of(bucket) == {
        path.name: path.read_bytes() for path in (local / "shards").iterdir()
    }


def refused(code: int, err: str) -> str:
    """The error of a command that ended as it should: exit 3, one line and its remedy, no trace."""
    lines = [line for line in err.splitlines() if line.startswith(("error: ", "hint: "))]
    assert code == 3 and "Traceback" not in err, err
    assert len(lines) == 2 and err.splitlines()[-2:] == lines, err
    return lines[0] + " " + lines[1]


def test_what_a_user_can_cause(
    bucket: Store, tmp_path: Path, corpus: Corpus, monkeypatch: pytest.MonkeyPatch
) -> None:
    from shards.storage import object_store

    recipe, home = write_recipe(tmp_path, SMALL), f"s3://{BUCKET}/home"
    code, _, err = corpus("build", recipe, "--home", "s3://nowhere/home", "--workers", 0)
    assert "s3://nowhere: no such bucket hint: make it" in refused(code, err)
    (tmp_path / "away").mkdir()
    away = write_recipe(tmp_path / "away", SMALL.replace("{inputs}", "s3://nowhere/in"))
    code, _, err = corpus("build", away, "--home", tmp_path / "away" / "home", "--workers", 0)
    assert "s3://nowhere: no such bucket hint: make it" in refused(code, err)

    bucket.fault = lambda request: (
        ("403 Forbidden", "AccessDenied") if request.method == "PUT" else None
    )
    code, _, err = corpus("build", recipe, "--home", home, "--workers", 0)
    assert (
        "the store refuses: no rights there" in (told := refused(code, err))
        and "s3:PutObject" in told
    )
    bucket.fault = lambda request: (
        ("403 Forbidden", "AccessDenied")
        if request.path.startswith(f"/{BUCKET}/in") or "prefix=in" in request.query
        else None
    )
    code, _, err = corpus("build", recipe, "--home", home, "--workers", 0)
    assert "the store refuses: no rights there" in refused(code, err)
    bucket.fault = lambda request: (
        ("403 Forbidden", "AccessDenied")
        if request.method == "PUT" and "/documents/" in request.path
        else None
    )
    code, _, err = corpus("build", recipe, "--home", home, "--workers", 1)
    assert f"s3://{BUCKET}/home/documents/mine/" in refused(code, err)
    bucket.forget()

    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "another")
    code, _, err = corpus("build", recipe, "--home", home, "--workers", 0)
    assert "credentials" in (told := refused(code, err)) and "AWS_ACCESS_KEY_ID" in told
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", s3.KEY)

    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    monkeypatch.setattr(object_store, "MAX_TRIES", 4)
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{port}")
    for command in (
        ["build", recipe, "--home", home],
        ["stats", home],
        ["verify", home],
        ["status", home],
        ["clean", home],
    ):
        code, _, err = corpus(*command)
        assert "no answer in 4 tries: Could not connect" in refused(code, err), command


def test_one_writer_and_a_stale_lock(bucket: Store, tmp_path: Path, corpus: Corpus) -> None:
    recipe, home = write_recipe(tmp_path, SMALL), f"s3://{BUCKET}/home"
    assert corpus("build", recipe, "--home", home, "--workers", 0)[0] == 0
    bucket.fill({"home/lock": b'{"pid": 1, "host": "elsewhere", "since": "2026-11-21T10:00:00Z"}'})
    code, _, err = corpus("build", recipe, "--home", home, "--workers", 0)
    assert "elsewhere" in (told := refused(code, err)) and f"corpus clean {home} --lock" in told
    assert corpus("clean", home, "--lock")[:2] == (0, f"{home}/lock\n")
    assert corpus("build", recipe, "--home", home, "--workers", 0)[0] == 0
    code, _, err = corpus(
        "build",
        write_recipe(tmp_path, SMALL.replace("{inputs}/small", "{inputs}/../home")),
        "--home",
        f"{home}/x",
        "--workers",
        0,
    )
    assert code != 0


def test_a_glob_that_takes_in_the_home_is_refused(
    bucket: Store, tmp_path: Path, corpus: Corpus
) -> None:
    bucket.fill({"home/x.txt": b"text"})
    recipe = write_recipe(
        tmp_path, SMALL.replace("{inputs}/small/*.txt", f"s3://{BUCKET}/**/*.txt")
    )
    code, _, err = corpus("build", recipe, "--home", f"s3://{BUCKET}/in/small", "--workers", 0)
    assert code == 2 and ("matches a file inside the home" in err or "not empty" in err)


def test_shards_there_must_be_copied_first(
    local: Path, bucket: Store, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    import shards
    from shards.errors import UserError

    bucket.fill(
        {f"home/shards/{path.name}": path.read_bytes() for path in (local / "shards").iterdir()}
    )
    for address in (f"s3://{BUCKET}/home", f"s3://{BUCKET}/home/shards"):
        with pytest.raises(UserError, match="must be on this machine") as caught:
            shards.open(address)
        assert f"aws s3 cp --recursive s3://{BUCKET}/home/shards" in caught.value.hint
    pytest.importorskip("torch")
    from trainer.cli import main

    code = main(
        [
            "pretrain",
            "--shards",
            f"s3://{BUCKET}/home",
            "--run",
            str(tmp_path / "run"),
            "--recipe",
            "tiny",
        ]
    )
    err = capsys.readouterr().err
    assert (
        code == 2
        and "must be on this machine" in err
        and "hint: copy them first" in err
        and "Traceback" not in err
    )
    assert Counter(path.name for path in tmp_path.iterdir()) == Counter()
