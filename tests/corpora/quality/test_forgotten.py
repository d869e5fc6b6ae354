"""The list of what a corpus forgets: its entries in every spelling, and what they name."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from corpora.quality.forgotten import Forgotten, read_forgotten
from corpora.text.normalise import exact_digest
from corpora.text.urls import canonical_url
from shards.errors import UserError

ID = "0123456789abcdef0123456789abcdef"


def read(folder: Path, *lines: str) -> Forgotten:
    path = folder / "list.txt"
    path.write_text("\n".join(lines), "utf-8")
    return read_forgotten((str(path),))


def test_every_kind_of_entry(tmp_path: Path) -> None:
    found = read(
        tmp_path,
        "# people who asked",
        ID.upper(),
        "a" * 40 + "  # a payload",
        "example.com",
        "*.Other.example",
        "https://www.news.example/a/?utm_source=x#top",
        "news.example/b",
        "http://front.example/",
        "bücher.example",
        "",
    )
    assert found.hashes == {ID, "a" * 40}
    assert found.hosts == {"example.com", "other.example", "xn--bcher-kva.example"}
    assert found.urls == {"news.example/a", "news.example/b", "front.example"}


@pytest.mark.parametrize("line", ["word", "0123", "two words.example", "a b/c", "g" * 32])
def test_a_line_that_is_no_entry_is_named(tmp_path: Path, line: str) -> None:
    with pytest.raises(UserError) as error:
        read(tmp_path, "example.com", line)
    assert f"list.txt, line 2: '{line}' is neither" in error.value.what


def test_a_missing_list_and_one_that_is_not_text(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="cannot read"):
        read_forgotten((str(tmp_path / "none.txt"),))
    (tmp_path / "list.txt").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(UserError, match=r"list\.txt"):
        read_forgotten((str(tmp_path / "list.txt"),))


def test_what_a_list_names() -> None:
    text = "Some text,  of WORDS."
    listed = Forgotten(
        hashes=frozenset({ID, exact_digest(text).hex()}),
        urls=frozenset({"a.example/x"}),
        hosts=frozenset({"b.example"}),
    )
    assert listed.names(ID, None, None)
    assert listed.names("", ID, None)
    assert listed.names("", None, "HTTPS://www.A.example/x/?utm_medium=y")
    assert listed.names("", None, "http://sub.b.example:8080/any")
    assert not listed.names("", None, "http://a.example/y")
    assert not listed.names("", None, "http://notb.example/")
    assert not listed.names("f" * 32, None, None)
    assert listed.names_text("some TEXT, of words.")
    assert not listed.names_text("some text")
    assert not Forgotten().names_text(text)


WORDS = st.text("abcü%/?=&:.-_~ é#!", max_size=12)


@given(
    st.frozensets(st.text("0123456789abcdef", min_size=32, max_size=40), max_size=3),
    st.frozensets(st.tuples(st.sampled_from(["a.example", "b.example:81"]), WORDS), max_size=4),
    st.frozensets(st.sampled_from(["a.example", "xn--bcher-kva.example"]), max_size=2),
)
def test_a_list_reads_back_as_itself(
    tmp_path_factory: pytest.TempPathFactory,
    hashes: frozenset[str],
    pages: frozenset[tuple[str, str]],
    hosts: frozenset[str],
) -> None:
    keys = {canonical_url(f"http://{host}/{path}") for host, path in pages}
    urls = frozenset(key for key in keys if "//" not in key.partition("/")[0])
    listed = Forgotten(hashes=hashes, urls=urls, hosts=hosts)
    path = tmp_path_factory.mktemp("list") / "list.txt"
    path.write_text(listed.lines(), "utf-8")
    assert read_forgotten((str(path),)) == listed
