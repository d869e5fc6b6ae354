"""Lists of domains, addresses and hashes as they are published: read by their column, or refused
with the line."""

from pathlib import Path

import pytest

from corpora.quality.lists import list_entries, places_of
from shards.errors import UserError

BOTH = ["tabloid.example", "fake.example"]
HASHES = ["0123456789abcdef0123456789ABCDEF", "f" * 32]


def keys(
    folder: Path, content: str, name: str = "exclude_domains", file: str = "list.csv"
) -> list[str]:
    path = folder / file
    path.write_text(content, "utf-8")
    return [entry.key for entry in list_entries((str(path),), name)]


@pytest.mark.parametrize(
    ("content", "file"),
    [
        ("tabloid.example\nfake.example\n", "list.txt"),
        ("\ufeff# a comment\n\ntabloid.example  # why\r\n  .fake.example\r\n", "list.txt"),
        ("||tabloid.example^\n! a comment\n||fake.example^\n", "blocker.txt"),
        ("127.0.0.1 localhost\n" + "".join(f"0.0.0.0 {name} # x\n" for name in BOTH), "hosts"),
        ("127.0.0.1\ttabloid.example fake.example\n255.255.255.255 broadcasthost\n", "hosts"),
        ('domain,what\ntabloid.example,"lies, and more"\nfake.example,\n', "list.csv"),
        ("Name;Domain\nThe Tabloid;tabloid.example\nFake;www.fake.example\n", "list.csv"),
        ("rank\tDomain\n1\ttabloid.example\n2\tfake.example\n", "list.tsv"),
        ("1,tabloid.example\n2,fake.example\n", "top-1m.csv"),
        ("name,url\nT,https://www.tabloid.example/\nF,http://fake.example\n", "a.csv"),
        ("domain,type\ntabloid.example,lies\nfake.example,lies\n", "list.txt"),
        ('source_url,notes\ntabloid.example,"two\nlines"\nfake.example,\n', "list.csv"),
        ("domain\ntabloid.example\nfake.example\n", "list.csv"),
    ],
)
def test_domains_as_they_are_published(content: str, file: str, tmp_path: Path) -> None:
    assert keys(tmp_path, content, file=file) == BOTH


@pytest.mark.parametrize(
    ("content", "file"),
    [
        ("https://a.example/x,y?b=1\nb.example/z\n", "list.txt"),
        ('url,x\n"https://a.example/x,y?b=1",\nhttp://www.b.example/z/,1\n', "list.csv"),
        ("7,http://b.example/z\n".join(['1,"http://a.example/x,y?b=1"\n', ""]), "list.csv"),
    ],
)
def test_addresses_as_they_are_published(content: str, file: str, tmp_path: Path) -> None:
    found = keys(tmp_path, content, "exclude_urls", file)
    assert found == ["a.example/x,y?b=1", "b.example/z"]


def test_hashes_of_a_table(tmp_path: Path) -> None:
    lower = [text.lower() for text in HASHES]
    table = "id,path\n" + "".join(f"{text},a.txt\n" for text in HASHES)
    assert keys(tmp_path, table, "exclude_hashes") == lower
    headless = "".join(f"a.txt,{text}\n" for text in HASHES)
    assert keys(tmp_path, headless, "exclude_hashes") == lower


WRONG = {
    "tabloid.example,lies\n": "line 1: 'tabloid.example,lies' is not a domain",
    "a.example\nb.example;2\n": "line 2: 'b.example;2' is not a domain",
    "||a.example^$third-party\n": "line 1: '||a.example^$third-party' is not a domain",
    "https://a.example/news\n": "line 1: 'https://a.example/news' is not a domain",
}
NO_LIST = [(content, "exclude_domains", "list.txt", what) for content, what in WRONG.items()]
NO_COLUMN = "line 1: a table in which no column can be the list: name, bias"
SEVERAL = "line 1: a table in which several columns can be the list: a.example, b.example"


@pytest.mark.parametrize(
    ("content", "name", "file", "what"),
    [
        *NO_LIST,
        ("name,bias\nThe Tabloid,left\n", "exclude_domains", "list.csv", NO_COLUMN),
        ("a.example,b.example\n", "only_domains", "list.csv", SEVERAL),
        ("domain,x\na.b,1\n\nno domain,2\n", "only_domains", "list.csv", "line 4: 'no domain' is"),
        ("http://a.b/x 1\n", "exclude_urls", "list.txt", "'http://a.b/x 1' is not an address"),
        ("id,n\nxyz,1\n", "exclude_hashes", "list.csv", "line 2: 'xyz' is not 32 hex digits"),
    ],
)
def test_what_is_no_list_is_refused_with_its_line(
    content: str, name: str, file: str, what: str, tmp_path: Path
) -> None:
    with pytest.raises(UserError) as caught:
        keys(tmp_path, content, name, file)
    assert what in caught.value.what and f"{tmp_path}/{file}, " in caught.value.what
    assert "per line" in caught.value.hint or "corpus show" in caught.value.hint


def test_an_entry_knows_its_place(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("# head\n\none.example\n")
    (tmp_path / "b.csv").write_text("n,domain\n1,two.example\n2,one.example\n")
    places = places_of((f"{tmp_path}/a.txt", f"{tmp_path}/b.csv"), "exclude_domains")
    assert {key: entry.place for key, entry in places.items()} == {
        "one.example": f"{tmp_path}/a.txt, line 3",
        "two.example": f"{tmp_path}/b.csv, line 2",
    }


def test_an_empty_table_names_nothing(tmp_path: Path) -> None:
    assert keys(tmp_path, "") == keys(tmp_path, "domain,score\n") == []
