"""The file layer on an object store (moto's S3 on loopback): whole objects or none, patience, and
errors in words."""

import os
import signal
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import s3
from s3 import BUCKET, Request, Store

from shards.errors import UserError
from shards.storage import files, object_store
from shards.storage.glob import glob

PART = 10 << 20
"""Bytes of a part of a large upload."""


@pytest.fixture(scope="module")
def server() -> Iterator[Store]:
    with s3.running() as running:
        yield running


@pytest.fixture
def bucket(server: Store, monkeypatch: pytest.MonkeyPatch) -> Iterator[Store]:
    """An empty bucket, and a store that gives up after three tries."""
    monkeypatch.setattr(object_store, "MAX_TRIES", 3)
    with s3.environment(monkeypatch, server.url):
        s3.make_bucket()
        server.forget()
        yield server
        server.forget()


NAMES = [
    "plain.txt",
    "with space",
    "per%20cent",
    "hash#sign",
    "question?mark",
    "ümläut",
    "plus+sign",
    "a/deep/er/name",
    "[brackets]",
    "trailing.gz",
]


@pytest.mark.parametrize("name", NAMES)
def test_a_key_is_taken_as_it_stands(name: str, bucket: Store) -> None:
    address = f"s3://{BUCKET}/folder/{name}"
    files.write_bytes(address, name.encode())
    assert bucket.objects() == {f"folder/{name}": name.encode()}
    assert files.read_bytes(address) == name.encode()
    assert files.exists(address) and files.size(address) == len(name.encode())
    assert [found for found, _ in glob(f"s3://{BUCKET}/folder/**")] == [address]
    files.remove(address)
    assert not files.exists(address) and not any(bucket.objects().values())


@pytest.mark.parametrize("size", [0, 1, PART // 2, PART, 2 * PART + 1, 35 << 20])
def test_bytes_come_back(size: int, bucket: Store) -> None:
    content = os.urandom(size)
    with files.open_output(f"s3://{BUCKET}/f") as stream:
        for start in range(0, size, 7_000_000):
            stream.write(content[start : start + 7_000_000])
    assert bucket.objects() == {"f": content}
    assert (stream.bytes, stream.digest) == (size, files.digest(f"s3://{BUCKET}/f"))
    assert files.read_bytes(f"s3://{BUCKET}/f") == content
    with files.open_input(f"s3://{BUCKET}/f") as source:
        assert source.size() == size
        for start in (size // 2, 0, max(size - 5, 0)):
            source.seek(start)
            assert source.read(5) == content[start : start + 5]


def test_requests_are_few(bucket: Store) -> None:
    """One to write and two to read, whatever is read; what `docs/scale.md` reckons with."""
    address = f"s3://{BUCKET}/t.parquet"
    table = pa.table({name: [f"{name} {number}" for number in range(20_000)] for name in "abcdef"})
    with files.open_output(address) as stream:
        pq.write_table(table, stream, row_group_size=1000)
    assert bucket.counts() == {"PUT": 1}
    bucket.forget()
    with files.open_input(address) as source:
        file = pq.ParquetFile(source)
        for group in range(file.num_row_groups):
            assert file.read_row_group(group, columns=["e", "b"]).num_rows == 1000
    assert bucket.counts() == {"HEAD": 1, "GET": 1}
    bucket.forget()
    assert files.identity(address, 0).startswith("etag ")
    assert bucket.counts() == {"HEAD": 1}


def test_a_large_file_is_read_by_blocks(bucket: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(object_store, "BLOCK", 1 << 20)
    content = os.urandom(5_500_000)
    bucket.fill({"f": content})
    with files.open_input(f"s3://{BUCKET}/f") as source:
        assert b"".join(iter(lambda: source.read(10_000), b"")) == content
    assert bucket.counts() == {"HEAD": 1, "GET": 6}


def test_listings_beyond_a_page_are_complete(bucket: Store) -> None:
    names = [f"d/{number % 7}/{number:05d}.txt" for number in range(2345)] + [
        f"flat/{number:04d}" for number in range(1500)
    ]
    bucket.fill(dict.fromkeys(names, b"x"))
    assert [address for address, _ in glob(f"s3://{BUCKET}/d/**/*.txt")] == sorted(
        f"s3://{BUCKET}/{name}" for name in names if name.startswith("d/")
    )
    assert files.list_files(f"s3://{BUCKET}/flat") == [
        f"s3://{BUCKET}/flat/{number:04d}" for number in range(1500)
    ]
    assert files.list_folders(f"s3://{BUCKET}/d") == list("0123456")
    assert bucket.counts()["LIST"] < 12


def test_an_error_in_the_block_leaves_the_old_object(bucket: Store) -> None:
    files.write_bytes(f"s3://{BUCKET}/f", b"old")
    bucket.forget()
    with pytest.raises(ZeroDivisionError), files.open_output(f"s3://{BUCKET}/f") as stream:
        stream.write(os.urandom(3 * PART))
        raise ZeroDivisionError
    assert bucket.objects() == {"f": b"old"} and not bucket.requests


def failing_parts(request: Request) -> tuple[str, str] | None:
    return ("503 Slow Down", "SlowDown") if "partNumber=2" in request.query else None


@pytest.mark.parametrize(
    "fault",
    [
        failing_parts,
        lambda request: ("503 Slow Down", "SlowDown") if request.method == "POST" else None,
    ],
    ids=["a part", "begin"],
)
def test_a_put_that_fails_shows_nothing_and_returns(fault: object, bucket: Store) -> None:
    """Nor does it later, when the garbage collector closes what is open: the client would publish
    it then, or wait half a minute."""
    bucket.fault = fault  # type: ignore[assignment]
    start = time.monotonic()
    with pytest.raises(UserError, match="no answer in 3 tries: SlowDown"):
        files.write_bytes(f"s3://{BUCKET}/f", os.urandom(4 * PART))
    assert time.monotonic() - start < 10 and bucket.objects() == {}
    bucket.forget()
    object_store._down.clear()
    import gc

    gc.collect()
    assert bucket.objects() == {}
    files.write_bytes(f"s3://{BUCKET}/f", b"again")
    assert bucket.objects() == {"f": b"again"}


def test_ctrl_c_while_a_put_runs_shows_all_or_nothing(bucket: Store) -> None:
    content = os.urandom(3 * PART)
    begun, go = threading.Event(), threading.Event()

    def hold(request: Request) -> None:
        if "partNumber=1" in request.query:
            begun.set()
            go.wait(10)

    bucket.fault = hold
    handler = signal.signal(signal.SIGINT, signal.default_int_handler)
    main = threading.main_thread()

    def interrupt() -> None:
        begun.wait(10)
        signal.pthread_kill(main.ident or 0, signal.SIGINT)

    threading.Thread(target=interrupt).start()
    try:
        with pytest.raises(KeyboardInterrupt):
            files.write_bytes(f"s3://{BUCKET}/f", content)
    finally:
        signal.signal(signal.SIGINT, handler)
    assert bucket.objects() == {}
    go.set()
    assert bucket.wait_for("f")
    assert bucket.objects() == {"f": content}


def test_the_same_bytes_twice_at_once(bucket: Store) -> None:
    content = os.urandom(PART + 5)
    seen = set()
    done = threading.Event()

    def read() -> None:
        while not done.is_set():
            seen.add(bucket.objects().get("f"))

    reader = threading.Thread(target=read)
    reader.start()
    object_store.side_by_side(
        lambda _: files.write_bytes(f"s3://{BUCKET}/f", content), list(range(4))
    )
    done.set()
    reader.join()
    assert seen <= {None, content} and bucket.objects() == {"f": content}


BUSY = [
    ("503 Slow Down", "SlowDown"),
    ("500 Internal Server Error", "InternalError"),
    ("429 Too Many Requests", "TooManyRequests"),
]


@pytest.mark.builds
@pytest.mark.parametrize("answer", BUSY, ids=lambda answer: answer[0][:3])
def test_a_busy_store_is_asked_again_ever_later(
    answer: tuple[str, str], bucket: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(object_store, "MAX_TRIES", 6)
    object_store._client.cache_clear()
    bucket.fill({"f": b"content"})
    bucket.fault = lambda request: answer if request.nth < 4 else None
    assert files.read_bytes(f"s3://{BUCKET}/f") == b"content"
    files.write_bytes(f"s3://{BUCKET}/g", b"more")
    assert len(files.list_files(f"s3://{BUCKET}")) == 2
    files.remove(f"s3://{BUCKET}/g")
    for kind in ("HEAD", "GET", "PUT", "LIST", "DELETE"):
        times = [request.at for request in bucket.requests if request.kind == kind][:5]
        gaps = [after - before for before, after in zip(times, times[1:])]
        assert len(gaps) == 4 and gaps[3] > gaps[1] > 0.04 and gaps[3] > 0.18, (kind, gaps)


@pytest.mark.builds
@pytest.mark.parametrize("kind", ["HEAD", "GET", "PUT", "LIST"])
def test_silence_is_ended_and_asked_again(
    kind: str, bucket: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(object_store, "REQUEST_TIMEOUT_S", 1.0)
    object_store._client.cache_clear()
    bucket.fill({"f": b"content"})
    held = threading.Event()

    def silent(request: Request) -> None:
        if request.kind == kind and request.nth == 0:
            held.wait(20)

    bucket.fault = silent
    start = time.monotonic()
    if kind == "PUT":
        files.write_bytes(f"s3://{BUCKET}/g", b"more")
    elif kind == "LIST":
        files.list_files(f"s3://{BUCKET}")
    else:
        assert files.read_bytes(f"s3://{BUCKET}/f") == b"content"
    assert time.monotonic() - start < 10  # after sending something curl notices 5 s later
    assert bucket.counts()[kind] == 2
    held.set()


@pytest.mark.parametrize(
    ("answer", "what", "hint"),
    [
        (("403 Forbidden", "AccessDenied"), "the store refuses: no rights there", "s3:PutObject"),
        (("403 Forbidden", "InvalidAccessKeyId"), "credentials", "AWS_ACCESS_KEY_ID"),
        (
            ("400 Bad Request", "ExpiredToken"),
            "refuse|does not take these credentials",
            "AWS_ACCESS_KEY_ID",
        ),
        (("301 Moved Permanently", "PermanentRedirect"), "the store refuses: 301", "AWS_REGION"),
        (
            ("404 Not Found", "NoSuchBucket"),
            "no such bucket|No such file",
            "make it, or name another",
        ),
        (("503 Slow Down", "SlowDown"), "no answer in 3 tries: (503|SlowDown)", "AWS_ENDPOINT_URL"),
    ],
    ids=lambda value: value[1] if isinstance(value, tuple) else "",
)
def test_refusals_are_one_line_with_the_remedy(
    answer: tuple[str, str], what: str, hint: str, bucket: Store
) -> None:
    bucket.fill({"f": b"content"})
    bucket.fault = lambda request: answer
    for action in (
        lambda: files.write_bytes(f"s3://{BUCKET}/g", b"x"),
        lambda: files.read_bytes(f"s3://{BUCKET}/f"),
        lambda: files.list_files(f"s3://{BUCKET}/d"),
        lambda: glob(f"s3://{BUCKET}/d/*"),
        lambda: files.remove(f"s3://{BUCKET}/f"),
    ):
        object_store._down.clear()
        if answer[1] == "NoSuchBucket":
            try:
                action()
            except (UserError, FileNotFoundError) as error:
                assert "no such bucket" in str(error) or isinstance(error, FileNotFoundError)
            continue
        with pytest.raises(UserError, match=what) as caught:
            action()
        assert (
            caught.value.exit_code == 3
            and hint in caught.value.hint
            and "\n" not in caught.value.what + caught.value.hint
        )


def test_nobody_there(bucket: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """Found out once: what is asked next is answered at once."""
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{port}")
    with pytest.raises(UserError, match="no answer in 3 tries: Could not connect") as caught:
        files.read_bytes(f"s3://{BUCKET}/f")
    assert caught.value.exit_code == 3 and "AWS_ENDPOINT_URL" in caught.value.hint
    start = time.monotonic()
    for _ in range(20):
        with pytest.raises(UserError, match="no answer"):
            files.write_bytes(f"s3://{BUCKET}/g", b"x")
    assert time.monotonic() - start < 0.5


def test_addresses_that_mean_nothing(bucket: Store) -> None:
    for address, what in (
        ("s3://", "names no bucket"),
        ("nosuch://a/b", "cannot open this address"),
        ("s3a://b/c", "cannot open this address"),
    ):
        with pytest.raises(UserError, match=what):
            files.exists(address)


def test_a_missing_object_is_a_missing_file(bucket: Store) -> None:
    with pytest.raises(FileNotFoundError, match="No such file"):
        files.read_bytes(f"s3://{BUCKET}/nothing")
    with pytest.raises(FileNotFoundError):
        files.size(f"s3://{BUCKET}/nothing")
    with pytest.raises(UserError, match="s3://another: no such bucket"):
        glob("s3://another/d/*.txt")
    with pytest.raises(UserError, match="s3://another: no such bucket"):
        files.write_bytes("s3://another/f", b"")
    assert (
        not files.exists(f"s3://{BUCKET}/nothing")
        and files.list_files(f"s3://{BUCKET}/nothing") == []
    )


def test_a_local_copy_goes_with_its_block(bucket: Store, tmp_path: Path) -> None:
    bucket.fill({"d/f.arrow": b"content"})
    with files.local_copy(f"s3://{BUCKET}/d/f.arrow") as path:
        assert Path(path).read_bytes() == b"content" and Path(path).name == "f.arrow"
    assert not Path(path).exists()
    (tmp_path / "f").write_bytes(b"x")
    with files.local_copy(str(tmp_path / "f")) as path:
        assert path == str(tmp_path / "f")
    assert (tmp_path / "f").exists()
