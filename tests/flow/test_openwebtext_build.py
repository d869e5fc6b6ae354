"""OpenWebText end to end: from its release, and rebuilt from submissions and pages; exact tallies,
the join by hand, the same bytes."""

import csv
import gzip
import json
import lzma
from collections.abc import Callable
from pathlib import Path
from typing import Any

import archives
import looked
import pyarrow.parquet as pq
import pytest
from realdata import DATA, data_file

from corpora.text.urls import canonical_url
from shards.manifest import read_manifest

Corpus = Callable[..., tuple[int, str, str]]

RELEASE = """
[sources.owt]
kind = "openwebtext"
input = {inputs}
language = "en"
{more}
[tokenizer]
vocab_size = 300
sample_bytes = 200000
[dedup]
max_removed = 1.0
"""
REDDIT = """
[sources.owt]
kind = "openwebtext"
source = "reddit"
input = "reddit/*"
{pages}
language = "en"
[tokenizer]
vocab_size = 300
"""


def shards(home: Path) -> list[Any]:
    return [(entry.file, entry.digest) for entry in read_manifest(str(home / "shards")).shards]


def figures(corpus: Corpus, home: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(corpus("stats", home, "--json")[1])["sources"]["owt"]
    return found


# --- the release
# ----------------------------------------------------------------------------


def rows_of_gold() -> dict[str, dict[str, str]]:
    path = data_file("openwebtext/gold.json.gz")
    assert path is not None
    return {row["member"]: row for row in json.loads(gzip.decompress(path.read_bytes()))}


def removed(home: Path, stage: str) -> list[str]:
    """The addresses, by gold.json.gz, of the texts that a stage removes: of two copies the one in
    the earlier archive stays, whichever was planted."""
    gold = rows_of_gold()
    return sorted(
        gold[row["extra"]["member"]]["source"]
        for row in looked.documents(str(home), "owt", removed=True)
        if row["stage"] == stage
    )


def planted(kind: str) -> list[str]:
    return sorted(row["source"] for row in rows_of_gold().values() if row["kind"].startswith(kind))


@pytest.fixture(scope="module")
def release(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if data_file("openwebtext/openwebtext") is None:
        pytest.skip("no test data: openwebtext")
    from pipelines.cli import main

    folder = tmp_path_factory.mktemp("owt_release")
    (folder / "recipe.toml").write_text(
        RELEASE.format(inputs=json.dumps(f"{DATA}/openwebtext/openwebtext/*.xz"), more="")
    )
    assert (
        main(
            ["build", str(folder / "recipe.toml"), "--home", str(folder / "home"), "--workers", "0"]
        )
        == 0
    )
    return folder


def test_tallies_of_the_release(release: Path, corpus: Corpus) -> None:
    found = figures(corpus, release / "home")
    assert (found["records"], found["rejects"], found["documents"]) == (130, {}, 130)
    assert found["removed"] == {"rules": 15, "exact": 3, "near": 0}
    assert found["rules"] == {"min_words": 15}
    assert found["kept"] == 112


def test_near_copies_within_the_release_only_when_asked(release: Path, corpus: Corpus) -> None:
    """The three exact and six near duplicates that gold.json.gz names. And a text that a list of
    hashes names goes."""
    assert removed(release / "home", "exact") == planted("exact") and len(planted("exact")) == 3
    excluded = next(
        row
        for row in looked.documents(str(release / "home"), "owt", removed=False)
        if row["extra"]["member"].startswith("0000091")
    )
    (release / "hashes.txt").write_text(excluded["digest"] + "\n")
    more = (
        '[sources.owt.dedup]\nscope = "across"\n[sources.owt.rules]\nexclude_hashes = "hashes.txt"'
    )
    (release / "again.toml").write_text(
        RELEASE.format(inputs=json.dumps(f"{DATA}/openwebtext/openwebtext/*.xz"), more=more)
    )
    assert (
        corpus("ingest", release / "again.toml", "--home", release / "again", "--workers", 0)[0]
        == 0
    )
    assert corpus("dedup", release / "again", "--workers", 0)[0] == 0
    assert removed(release / "again", "near") == planted("near") and len(planted("near")) == 6
    assert figures(corpus, release / "again")["rules"] == {
        "exclude_hashes": 1,
        "min_words": 15,
    }  # row 60


# --- rebuilt from submissions and pages
# ------------------------------------------------------------------------------


def submissions() -> list[dict[str, Any]]:
    """Those of July 2005, or as many that are generated."""
    path = data_file("openwebtext/reddit/RS_v2_2005-07.xz")
    if path is not None:
        return [json.loads(line) for line in lzma.open(path)]
    return [
        {
            "url": f"http://www.site-{n % 7}.example/story-{n % 90}.html?a={n}&amp;b=1",
            "score": n % 11,
            "over_18": n % 13 == 0,
            "is_self": False,
            "author": f"a{n}",
        }
        for n in range(1079)
    ]


def listed_by_hand(rows: list[dict[str, Any]]) -> dict[str, int]:
    """Canonical address -> the highest score, of those with a score of 3 and more; what is excluded
    by domain or ending is not in these."""
    from corpora.openwebtext.excluded_links import EXCLUDED_DOMAINS, EXCLUDED_EXTENSIONS

    found: dict[str, int] = {}
    for row in rows:
        url = row["url"].replace("&amp;", "&")
        host = canonical_url(url).split("/")[0].split("?")[0].split(":")[0]
        ending = url.split("?")[0].split("#")[0].rpartition("/")[2].rpartition(".")
        excluded = any(host == name or host.endswith(f".{name}") for name in EXCLUDED_DOMAINS) or (
            ending[1] and ending[2].lower() in EXCLUDED_EXTENSIONS
        )
        if (
            url.startswith("http")
            and row["score"] >= 3
            and not row["over_18"]
            and row["author"] != "[deleted]"
            and not excluded
        ):
            found[canonical_url(url)] = max(row["score"], found.get(canonical_url(url), 0))
    return found


SPELLINGS = ("http://{}", "https://www.{}", "http://{}#top", "https://{}")


@pytest.fixture(scope="module")
def reddit(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Dumps in two files, and archives with a page for every tenth address, in another spelling,
    among other pages."""
    folder = tmp_path_factory.mktemp("owt_reddit")
    rows = submissions()
    lines = [json.dumps(row).encode() for row in rows]
    twice = [
        json.dumps({"url": url, "score": 2}).encode()
        for url in ("http://twice.example/story", "https://www.twice.example/story/")
    ]
    (folder / "reddit").mkdir()
    (folder / "reddit" / "RS_2005-07.xz").write_bytes(lzma.compress(b"\n".join(lines[:700])))
    (folder / "reddit" / "RS_2005-08").write_bytes(
        b"\n".join([*lines[700:], lines[0][:50], b"\xff{}", *twice, b""])
    )
    wanted = sorted(listed_by_hand(rows))
    records = [archives.record("warcinfo", b"x")]
    for number, key in enumerate(wanted[::10]):
        url = SPELLINGS[number % 4].format(key)
        status = "HTTP/1.1 404 Not Found" if number % 10 == 9 else "HTTP/1.1 200 OK"
        records.append(
            archives.response(
                archives.page(archives.english(number, 4 if number % 10 == 8 else 30)),
                url,
                status=status,
            )
        )
        records.append(
            archives.response(
                archives.page(archives.english(5000 + number, 30)),
                f"http://not-listed.example/{number}",
            )
        )
    (folder / "pages").mkdir()
    third = len(records) // 3
    for name, start, stop in (
        ("a", 0, third),
        ("b", third, 2 * third),
        ("c", 2 * third, len(records)),
    ):
        (folder / "pages" / f"{name}.warc.gz").write_bytes(archives.members(*records[start:stop]))
    (folder / "recipe.toml").write_text(REDDIT.format(pages='pages = "pages/*.warc.gz"'))
    (folder / "list.toml").write_text(REDDIT.format(pages=""))
    return folder


def test_the_list_for_a_crawler_by_one_command(
    reddit: Path, tmp_path: Path, corpus: Corpus
) -> None:
    code, _, said = corpus(
        "urls", reddit / "list.toml", "--home", tmp_path / "home", "--workers", 0
    )
    assert code == 0, said
    with open(tmp_path / "home" / "urls" / "owt.csv", newline="") as stream:
        rows = list(csv.DictReader(stream))
    by_hand = listed_by_hand(submissions())
    assert {row["key"]: int(row["score"]) for row in rows} == by_hand and len(rows) == len(by_hand)
    assert all(canonical_url(row["url"]) == row["key"] for row in rows)
    survey = figures(corpus, tmp_path / "home")["survey"]
    assert (
        survey["records"] == 1083
        and survey["rejects"]["bad_json"] == survey["rejects"]["bad_encoding"] == 1
    )
    assert (
        survey["urls"] == len(by_hand)
        and sum(int(row["submissions"]) for row in rows) == survey["linked"]
    )
    assert survey["records"] == survey["linked"] + survey["unlisted"] + sum(
        survey["rejects"].values()
    )
    code, _, said = corpus(
        "build", reddit / "list.toml", "--home", tmp_path / "home", "--workers", 0
    )
    assert code == 2 and "pages: no archive is named" in said and "corpus urls" in said


def test_pages_are_looked_for_before_the_submissions_are_read(
    reddit: Path, tmp_path: Path, corpus: Corpus
) -> None:
    (tmp_path / "recipe.toml").write_text(
        REDDIT.format(pages='pages = "none/*.warc.gz"').replace('"reddit/', f'"{reddit}/reddit/')
    )
    code, _, said = corpus(
        "build", tmp_path / "recipe.toml", "--home", tmp_path / "home", "--workers", 0
    )
    assert code == 2 and "none" in said and "survey" not in said
    assert not (tmp_path / "home" / "summaries").exists()


def test_submissions_without_a_link_are_an_error(tmp_path: Path, corpus: Corpus) -> None:
    (tmp_path / "RS_2005-09").write_text("no JSON\n" * 3)
    (tmp_path / "recipe.toml").write_text(
        '[sources.owt]\nkind = "openwebtext"\nsource = "reddit"\ninput = "RS_*"\n'
    )
    code, _, said = corpus(
        "urls", tmp_path / "recipe.toml", "--home", tmp_path / "home", "--workers", 0
    )
    assert code == 2 and "sources.owt.input: not one wanted link in it" in said


@pytest.fixture(scope="module")
def built(reddit: Path) -> Path:
    from pipelines.cli import main

    assert (
        main(
            ["build", str(reddit / "recipe.toml"), "--home", str(reddit / "home"), "--workers", "0"]
        )
        == 0
    )
    return reddit / "home"


def test_the_join_against_a_count_by_hand(built: Path, corpus: Corpus) -> None:
    by_hand = listed_by_hand(submissions())
    pages = len(sorted(by_hand)[::10])
    missing, short = (
        sum(number % 10 == 9 for number in range(pages)),
        sum(number % 10 == 8 for number in range(pages)),
    )
    found = figures(corpus, built)
    assert found["records"] == 2 * pages + 1
    assert found["rejects"] == {"http_4xx": missing, "not_listed": pages}
    assert found["not_pages"] == {"warcinfo": 1}
    assert found["documents"] == pages - missing and found["rules"] == {"min_words": short}
    assert found["kept"] == pages - missing - short - found["removed"]["near"]
    rows = [
        row
        for path in sorted((built / "documents").rglob("*.parquet"))
        for row in pq.read_table(path).to_pylist()
    ]
    for row in rows:
        assert (
            json.loads(row["extra"])["score"] == by_hand[canonical_url(row["url"])]
            and json.loads(row["extra"])["submissions"] >= 1
        )
    assert len({canonical_url(row["url"]) for row in rows}) == len(rows)
    rejected = [
        row
        for path in sorted((built / "rejects").rglob("*.parquet"))
        for row in pq.read_table(path).to_pylist()
    ]
    assert all(
        not row["text"] and row["url"].startswith("http://not-listed.example/")
        for row in rejected
        if row["reason"] == "not_listed"
    )


@pytest.mark.parametrize(
    "flags",
    [["--workers", 2, "--sources.owt.slice-bytes", 60_000]],
    ids=["2 workers, small slices"],
)
def test_the_same_bytes(
    reddit: Path, built: Path, flags: list[object], tmp_path: Path, corpus: Corpus
) -> None:
    code, _, err = corpus("build", reddit / "recipe.toml", "--home", tmp_path / "home", *flags)
    assert code == 0, err
    assert shards(tmp_path / "home") == shards(built)


def test_another_score_reads_again_what_it_must(
    reddit: Path, tmp_path: Path, corpus: Corpus
) -> None:
    """The sum over all submissions of an address lists more; the pages are joined anew."""
    flags = ["--home", tmp_path / "home", "--workers", 0]
    assert corpus("urls", reddit / "recipe.toml", *flags)[0] == 0
    assert corpus("ingest", reddit / "recipe.toml", *flags)[0] == 0
    first = figures(corpus, tmp_path / "home")
    assert (
        corpus("ingest", reddit / "recipe.toml", *flags, "--sources.owt.score-of", "url", "--yes")[
            0
        ]
        == 0
    )
    second = figures(corpus, tmp_path / "home")
    assert (
        second["survey"]["urls"] == first["survey"]["urls"] + 1
        and "low_score" not in second["survey"]["rejects"]
    )
    assert second["survey"]["records"] == second["survey"]["linked"] + second["survey"][
        "unlisted"
    ] + sum(second["survey"]["rejects"].values())
    assert second["documents"] >= first["documents"]
    table = (tmp_path / "home" / "urls" / "owt.csv").read_text()
    assert (
        len(table.splitlines()) == 1 + second["survey"]["urls"]
    )  # written anew: a table beside another list would mislead
