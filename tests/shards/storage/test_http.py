"""Files over HTTP as the rest of the program sees them: the same bytes as on a disk, whatever the
server does meanwhile."""

import gzip
import io
import random
from collections.abc import Callable, Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from realdata import DATA, data_file
from web_site import Site, broken, claiming, in_place, redirect, serve, stalled, status, unmeasured

from corpora.document import Part
from corpora.inputs import lists
from corpora.inputs.find import find
from corpora.sources import load_source
from pipelines.recipe import parse_recipe
from pipelines.stages.source_tasks import _identity
from shards.errors import UserError
from shards.storage import files, http, http_file
from shards.storage.glob import glob

CONTENT = random.Random(0).randbytes(5_000_000)
QUICK = http.Patience(attempts=4, first_attempts=4, first_wait_s=0.0, read_s=0.25)


@pytest.fixture
def site(monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    monkeypatch.setattr(http, "PATIENCE", QUICK)
    with serve({"f.bin": CONTENT}) as site:
        yield site


def test_read_whole(site: Site) -> None:
    assert files.read_bytes(f"{site.url}/f.bin") == CONTENT
    assert site.gets("f.bin") == [
        "bytes=0-1048575",
        "bytes=1048576-3145727",
        "bytes=3145728-4999999",
    ]
    assert files.size(f"{site.url}/f.bin") == len(CONTENT) and files.exists(f"{site.url}/f.bin")
    assert not files.exists(f"{site.url}/nothing") and not files.is_folder(f"{site.url}/f.bin")


@settings(max_examples=30)
@given(
    steps=st.lists(
        st.tuples(st.integers(-100, len(CONTENT) + 100), st.integers(0, 2_000_000)), max_size=6
    ),
    ranges=st.booleans(),
)
def test_any_seek_and_read_is_that_of_a_file(steps: list[tuple[int, int]], ranges: bool) -> None:
    with serve({"f": CONTENT}) as site:
        site.ranges = ranges
        twin = io.BytesIO(CONTENT)
        with http_file.open_input(f"{site.url}/f", QUICK) as stream:
            for position, count in steps:
                assert stream.seek(max(position, 0)) == twin.seek(max(position, 0))
                assert stream.read(count) == twin.read(count) and stream.tell() == twin.tell()
            assert (
                stream.seek(-10, io.SEEK_END) == len(CONTENT) - 10
                and stream.read() == CONTENT[-10:]
            )


@pytest.mark.parametrize(
    "faults",
    [
        [broken(0), broken(1), broken(70_000)],
        [status(503, {"Retry-After": "0"}), status(429)],
        [stalled(100_000)],
        [broken(100_000), status(500), broken(200_000), stalled(5)],
    ],
    ids=["breaks", "busy", "stalls", "all of it"],
)
@pytest.mark.parametrize("ranges", [True, False], ids=["ranges", "whole only"])
def test_faults_that_pass(ranges: bool, faults: list[object], site: Site) -> None:
    site.ranges = ranges
    site.faults["f.bin"] = list(faults)  # type: ignore[arg-type]
    assert files.read_bytes(f"{site.url}/f.bin") == CONTENT


def test_a_break_costs_only_what_was_not_received(site: Site) -> None:
    site.faults["f.bin"] = [broken(500_000)]
    assert files.read_bytes(f"{site.url}/f.bin") == CONTENT
    assert site.sent["f.bin"] == len(CONTENT)


def test_a_file_without_a_length(site: Site) -> None:
    site.for_good["f.bin"] = unmeasured
    assert files.read_bytes(f"{site.url}/f.bin") == CONTENT
    with (
        http_file.open_input(f"{site.url}/f.bin") as stream,
        pytest.raises(io.UnsupportedOperation),
    ):
        stream.seek(0, io.SEEK_END)


@pytest.mark.parametrize(
    ("fault", "error", "message"),
    [
        (status(404), FileNotFoundError, "HTTP 404 Not Found"),
        (status(403), PermissionError, "HTTP 403 Forbidden"),
        (status(400), OSError, "HTTP 400 Bad Request"),
        (redirect("/f.bin"), OSError, "redirects in circles"),
        (status(503), http.Unreachable, r"HTTP 503 Service Unavailable \(4 tries\)"),
        (broken(0), http.Unreachable, "broken off|ended at"),
        (claiming(len(CONTENT) * 2), http.Unreachable, "ended at 5,000,000 of"),
    ],
    ids=["gone", "forbidden", "nonsense", "circle", "busy", "nothing", "longer than it is"],
)
def test_faults_that_stay(fault: object, error: type[Exception], message: str, site: Site) -> None:
    """A server's word is an OSError, which costs a reader that file; a network that is down ends
    the work."""
    site.for_good["f.bin"] = fault  # type: ignore[assignment]
    with pytest.raises(error, match=message) as caught:
        files.read_bytes(f"{site.url}/f.bin")
    assert isinstance(caught.value, UserError) == (error is http.Unreachable)
    if isinstance(caught.value, UserError):
        assert caught.value.exit_code == 3 and site.url in caught.value.what


@pytest.mark.parametrize("ranges", [True, False], ids=["ranges", "whole only"])
def test_a_file_that_changes_while_it_is_read(ranges: bool, site: Site) -> None:
    site.ranges = ranges
    with files.open_input(f"{site.url}/f.bin") as stream:
        assert stream.read(10) == CONTENT[:10]
        site.files["f.bin"] = b"other" + CONTENT
        with pytest.raises(OSError, match="changed while it was read"):
            for position in (4_000_000, 0):  # a body that is open still gives the old bytes
                stream.seek(position)
                stream.read(10)


def test_waits_double_and_obey() -> None:
    waits: list[float] = []
    tries = http.Tries("http://h/f", http.Patience(attempts=20), waits.append)
    for after in [None, None, None, 10.0, 0.0, None, None, None, 2.0]:
        tries.again(http.Again("busy", after))
    assert waits == [1, 2, 4, 10, 0, 32, 60, 60, 60]
    tries.progress()
    tries.again(http.Again("broken off"))
    assert waits[-1] == 1
    with pytest.raises(http.Unreachable, match="asks to wait for 4,000 s"):
        tries.again(http.Again("busy", 4000))


def test_a_wrong_address_is_not_waited_for_long() -> None:
    waits: list[float] = []
    with serve({}) as site:
        pass
    with pytest.raises(http.Unreachable, match=r"Connection refused \(5 tries\)"):
        http.stat(f"{site.url}/f", http.Patience(), waits.append)
    assert waits == [1, 2, 4, 8]


def test_a_server_that_answers_no_head(site: Site) -> None:
    site.heads = False
    assert http_file.glob(f"{site.url}/f.bin") == [(f"{site.url}/f.bin", len(CONTENT))]
    assert site.gets("f.bin") == ["bytes=0-0"]


def test_identity_is_the_etag_else_both_ends(site: Site, tmp_path: Path) -> None:
    address = f"{site.url}/f.bin"
    [(_, size)] = glob(address)
    first = files.identity(address, size)
    assert site.sent["f.bin"] == 0
    site.files["f.bin"] = CONTENT[:2_500_000] + b"\0" + CONTENT[2_500_001:]
    assert files.identity(address, size) == first  # as planned
    glob(address)
    assert files.identity(address, size) != first
    site.etags = False
    glob(address)
    (tmp_path / "f").write_bytes(site.files["f.bin"])
    assert files.identity(address, size) == files.both_ends_digest(str(tmp_path / "f"), size)
    nothing = Part(address=f"{site.url}/nothing", path="nothing", size=0)
    assert _identity(nothing, None).startswith("unreadable: ")


def test_parquet(site: Site) -> None:
    buffer = io.BytesIO()
    pq.write_table(
        pa.table({"text": [f"text {number}" for number in range(100_000)]}),
        buffer,
        row_group_size=10_000,
    )
    site.files["t.parquet"] = buffer.getvalue()
    with files.open_input(f"{site.url}/t.parquet") as stream:
        assert pq.ParquetFile(stream).read_row_group(7)["text"][3].as_py() == "text 70003"


def test_a_public_bucket_is_asked_without_a_signature(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where a user has credentials of their own, which a public bucket may refuse."""
    mine = {
        "AWS_ACCESS_KEY_ID": "mine",
        "AWS_SECRET_ACCESS_KEY": "secret",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_EC2_METADATA_DISABLED": "true",
    }
    for name, value in {**mine, "AWS_ENDPOINT_URL": site.url}.items():
        monkeypatch.setenv(name, value)
    site.files["bucket/a/key"] = b"text"
    assert files.read_bytes("s3://anonymous@bucket/a/key") == b"text" and not any(site.signed)
    site.signed.clear()
    assert files.read_bytes("s3://bucket/a/key") == b"text" and all(site.signed)


# inputs of recipes


@pytest.mark.parametrize("pattern", ["x/*.txt", "**/f", "folder/", ""])
def test_a_glob_over_http_is_refused_with_the_remedy(pattern: str, site: Site) -> None:
    with pytest.raises(UserError, match="a server has no list of its files") as refusal:
        find((f"{site.url}/{pattern}",))
    assert "@LIST" in refusal.value.hint and "corpus fetch" in refusal.value.hint


def test_an_address_that_is_not_there(site: Site) -> None:
    with pytest.raises(UserError, match="HTTP 404"):
        find((f"{site.url}/nothing.txt",))


def test_nothing_is_written_over_http(site: Site) -> None:
    with pytest.raises(UserError, match="can only be read"):
        files.write_bytes(f"{site.url}/out", b"")


@pytest.mark.parametrize(
    ("listing", "line", "address"),
    [
        (
            "https://h/crawl-data/CC-NEWS/2016/09/warc.paths.gz",
            "crawl-data/CC-NEWS/2016/09/a.gz",
            "https://h/crawl-data/CC-NEWS/2016/09/a.gz",
        ),
        (
            "s3://b/crawl-data/CC-NEWS/2016/09/warc.paths.gz",
            "crawl-data/CC-NEWS/2016/09/a.gz",
            "s3://b/crawl-data/CC-NEWS/2016/09/a.gz",
        ),
        ("/d/crawl-data/x/list", "crawl-data/x/a.gz", "/d/crawl-data/x/a.gz"),
        ("/d/list", "a.gz", "/d/a.gz"),
        ("/d/list", "sub/a.gz", "/d/sub/a.gz"),
        ("/d/list", "https://h/a.gz", "https://h/a.gz"),
        ("/d/list", "/e/a.gz", "/e/a.gz"),
    ],
)
def test_the_lines_of_a_list(listing: str, line: str, address: str) -> None:
    assert lists.beside(listing, line) == address


def test_a_list_of_inputs_of_several_servers(site: Site, tmp_path: Path) -> None:
    site.files |= {"a/x.txt": b"one", "a/b/y.txt": b"two!"}
    (tmp_path / "z.txt").write_text("three")
    listing = tmp_path / "list"
    listing.write_text(
        f"# remote\n{site.url}/a/x.txt sha1:{'0' * 40}\n{site.url}/a/b/y.txt\n"
        f"{site.url}/a/x.txt\n{site.url}/gone.txt\n"
    )
    assert [(part.path, part.size) for part in find((f"@{listing}",))] == [
        ("gone.txt", 0),
        ("x.txt", 3),
        ("y.txt", 4),
    ]
    assert [part.path for part in find((f"{site.url}/a/x.txt", f"{site.url}/a/b/y.txt"))] == [
        "x.txt",
        "y.txt",
    ]
    listing.write_text(f"{site.url}/a/x.txt\nz.txt\n")
    assert [(part.path, part.size) for part in find((f"@{listing}",))] == [
        ("x.txt", 3),
        ("z.txt", 5),
    ]
    listing.write_bytes(b"\xff\xfe")
    with pytest.raises(UserError, match="not a list of addresses"):
        find((f"@{listing}",))


def test_a_list_is_relative_to_the_recipe(tmp_path: Path) -> None:
    recipe = parse_recipe(
        '[sources.a]\nkind = "files"\ninput = ["@lists/a", "@https://h/l", "@/abs"]',
        "r",
        str(tmp_path),
    )
    assert recipe.sources["a"].input == (f"@{tmp_path}/lists/a", "@https://h/l", "@/abs")


def test_the_same_records_from_a_server_as_from_a_disk(site: Site, tmp_path: Path) -> None:
    """By the bucket's own listing; one archive holds a damaged member, over which a reader steps
    back."""
    names = {
        "2018/03": "CC-NEWS-20180330101010-00055.warc.gz",
        "2024/05": "CC-NEWS-20240503120000-00100.warc.gz",
    }
    contents = {}
    for month, name in names.items():
        real = data_file(f"cc-news/crawl-data/CC-NEWS/{month}/{name}")
        contents[f"crawl-data/CC-NEWS/{month}/{name}"] = (
            real.read_bytes() if real else gzip.compress(b"no archive") * 3
        )
    (tmp_path / "paths").write_text("".join(f"{site.url}/{key}\n" for key in contents))
    for key, content in contents.items():
        site.files[key] = content
        (tmp_path / key).parent.mkdir(parents=True)
        (tmp_path / key).write_bytes(content)
    source = load_source("cc_news")

    def records(given: str) -> list[object]:
        options = source.options(kind="cc_news", input=(given,))
        return [
            record for piece in source.slices(options) for record in source.read(options, piece)
        ]

    local = records(f"{tmp_path}/crawl-data/CC-NEWS/*/*/*.warc.gz")
    assert records(f"@{tmp_path}/paths") == local
    assert not DATA.exists() or len(local) == 62


def test_a_build_reads_from_a_server(
    site: Site, tmp_path: Path, corpus: Callable[..., tuple[int, str, str]]
) -> None:
    """An error page and a file that is gone cost themselves; the same command without a network
    says so."""
    site.files |= {
        "t/a.jsonl.gz": gzip.compress(b'{"text": "one"}\n{"text": "two"}\n'),
        "t/b.jsonl": b'{"text": "three"}\n',
        "t/c.jsonl.gz": b"<Error/>",
    }
    (tmp_path / "list").write_text(
        "".join(
            f"{site.url}/t/{name}\n"
            for name in ("a.jsonl.gz", "b.jsonl", "c.jsonl.gz", "gone.jsonl")
        )
    )
    (tmp_path / "r.toml").write_text('[sources.a]\nkind = "files"\ninput = "@list"\n')
    code, out, err = corpus(
        "ingest", tmp_path / "r.toml", "--home", tmp_path / "home", "--workers", "0", "--json"
    )
    assert code == 0, err
    assert '"documents": 3' in out and '"damaged": 1' in out and '"unreadable": 1' in out
    site.for_good["t/b.jsonl"] = status(503)
    site.files["t/b.jsonl"] += b'{"text": "four"}\n'
    code, _, err = corpus(
        "ingest", tmp_path / "r.toml", "--home", tmp_path / "home", "--workers", "0", "--yes"
    )
    assert code == 3 and "HTTP 503 Service Unavailable" in err and "Traceback" not in err
    del site.for_good["t/b.jsonl"]
    code, out, _ = corpus(
        "ingest", tmp_path / "r.toml", "--home", tmp_path / "home", "--workers", "0", "--json"
    )
    assert code == 0 and '"documents": 4' in out


def test_an_error_page_is_no_archive(site: Site) -> None:
    site.for_good["f.bin"] = in_place(b"<?xml?><Error><Code>AccessDenied</Code></Error>")
    source = load_source("cc_news")
    options = source.options(kind="cc_news", input=(f"{site.url}/f.bin",))
    [record] = [
        record for piece in source.slices(options) for record in source.read(options, piece)
    ]
    assert record.reason == "not_an_archive" and record.path == "f.bin"  # type: ignore[union-attr]
