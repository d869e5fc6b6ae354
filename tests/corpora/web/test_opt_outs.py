"""The signs of a page that it is not to be used for training, wherever they may stand."""

from pathlib import Path

import archives
import pyarrow.parquet as pq
import pytest
from looked import stats
from plain_build import plain_build

from corpora.web.opt_outs import opt_outs


@pytest.mark.parametrize(
    ("headers", "signs"),
    [
        ({}, []),
        ({"x-robots-tag": "noindex, nofollow"}, []),
        ({"x-robots-tag": "noai"}, ["noai"]),
        ({"x-robots-tag": "noindex, NoImageAI,noai"}, ["noai", "noimageai"]),
        ({"x-robots-tag": "otherbot: noindex, GPTBot: noai"}, ["noai"]),
        ({"x-robots-tag": "noaimages"}, []),
        ({"tdm-reservation": "1"}, ["tdm-reservation"]),
        ({"tdm-reservation": "0"}, []),
        ({"tdm-reservation": "10"}, []),
    ],
)
def test_headers(headers: dict[str, str], signs: list[str]) -> None:
    assert opt_outs(headers, b"<html><body>noai and tdm-reservation as words</body>") == signs


@pytest.mark.parametrize(
    ("element", "signs"),
    [
        ('<meta name="robots" content="noai, noimageai">', ["noai", "noimageai"]),
        ("<META CONTENT='index,NOAI' NAME=Robots />", ["noai"]),
        ("<meta name=robots content=noai>", ["noai"]),
        ('<meta\nname = "robots"\ncontent = "noai">', ["noai"]),
        ('<meta name="googlebot" content="noimageai">', ["noimageai"]),
        ('<meta name="tdm-reservation" content="1">', ["tdm-reservation"]),
        ('<meta name="tdm-reservation" content="0">', []),
        ('<meta name="description" content="What noai means">', []),
        ('<meta name="robots" content="index, follow">noai', []),
        ('<!-- <meta name="robots" content="noai"> -->', []),
        ('<meta name="robots" content="noaix">', []),
    ],
)
def test_elements(element: str, signs: list[str]) -> None:
    page = f"<html><head>{element}</head><body><p>Text</p></body></html>"
    assert opt_outs({}, page.encode()) == signs
    assert opt_outs({}, page.encode("utf-16")) == signs


def test_the_time_is_linear() -> None:
    assert opt_outs({}, b"noai" + b"<meta " * 500_000) == []
    assert opt_outs({}, b"noai<!--" * 100_000) == []


def test_they_are_kept_counted_and_removed_when_asked(tmp_path: Path) -> None:
    heads = ["", '<meta name="robots" content="noai">', '<meta name="tdm-reservation" content="1">']
    pages = [
        archives.response(
            archives.page(archives.english(number), head), f"http://page.example/{number}"
        )
        for number, head in enumerate(heads)
    ]
    (tmp_path / "a.warc.gz").write_bytes(archives.members(*pages))
    recipe = tmp_path / "recipe.toml"
    table = f'[sources.news]\nkind = "cc_news"\ninput = "{tmp_path}/*.warc.gz"\n'
    recipe.write_text(table + "[dedup]\nnear = false\n")
    home = plain_build(recipe, tmp_path / "home", "dedup")

    [path] = Path(home, "documents", "news").glob("*.parquet")
    extras = pq.read_table(path).column("extra").to_pylist()
    assert ["opt_outs" in extra for extra in extras] == [False, True, True]
    assert '"opt_outs": ["noai"]' in extras[1]
    found = stats(home)["sources"]["news"]
    assert found["marks"] == {"opt-out: noai": 1, "opt-out: tdm-reservation": 1}

    recipe.write_text(
        f"{table}[sources.news.rules]\nmax_opt_outs = 0\n[dedup]\nnear = false\nmax_removed = 1.0\n"
    )
    plain_build(recipe, home, "dedup")
    found = stats(home)["sources"]["news"]
    assert found["removed"] == {"rules": 2, "exact": 0} and found["documents"] == 3
