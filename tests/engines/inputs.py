"""What the matrix builds: news archives, a wiki and novels of the test data, else generated ones,
and some documents of the other corpora; small, with copies among them. Personal data is masked,
repeated passages are measured or cut, and one source is only compared with."""

import shutil
import tarfile
from pathlib import Path

import archives
import dumps
import five_corpora
from realdata import data_file

NOVELS, NOVEL_BYTES = 6, 60_000
MORE = ("books", "openwebtext", "stories")
"""The corpora of which planted texts are there (tests/helpers/five_corpora.py)."""

RECIPE = """
[sources.news]
kind = "cc_news"
input = "{news}/**/*.warc.gz"
slice_bytes = {news_slice}
[sources.news.pii]
mask = true
[sources.news.dedup]
passages = "remove"
[sources.wiki]
kind = "wikipedia"
input = "{wiki}/*.bz2"
slice_bytes = {wiki_slice}
[sources.novels]
kind = "files"
input = [{novels}]
document = "blank-line"
slice_bytes = {novels_slice}
[sources.novels.dedup]
passages = "measure"
[sources.tests]
kind = "files"
input = "{tests}/*.txt"
document = "blank-line"
emit = false
{more}[dedup]
max_removed = 0.9
[tokenizer]
vocab_size = 2000
sample_bytes = 400000
[shards]
shard_tokens = 60000
valid_fraction = 0.02
"""


def prepare(folder: Path) -> Path:
    """Inputs below `folder`, and the recipe that the rows share."""
    news, novels = folder / "news", folder / "novels"
    novels.mkdir(parents=True)
    found = data_file("cc-news/crawl-data")
    if found:
        shutil.copytree(found, news)
    else:
        for number in range(5):
            path = (
                news
                / "CC-NEWS"
                / "2018"
                / "03"
                / f"CC-NEWS-2018033010101{number}-0000{number}.warc.gz"
            )
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(
                archives.members(*archives.articles(30, number * 25))
            )  # five of each are in the next one too
    (folder / "wiki").mkdir()
    dump = data_file("wikipedia/smallwiki-part-even-multistream.xml.bz2")
    content = (
        dump.read_bytes()
        if dump
        else dumps.multistream(
            dumps.head(), [dumps.page(n, f"Page {n}", dumps.prose(n, 90)) for n in range(60)], 20
        )[0]
    )
    (folder / "wiki" / "smallwiki-20180101-pages-articles.xml.bz2").write_bytes(content)
    for number, text in enumerate(_texts()):
        (novels / f"novel-{number}.txt").write_text(text, "utf-8")
    first = (novels / "novel-0.txt").read_text("utf-8").split("\n\n")
    (novels / "copies.txt").write_text(
        "\n\n".join(paragraph.upper().replace(" ", "  ") for paragraph in first[:40]), "utf-8"
    )
    (folder / "tests").mkdir()
    (folder / "tests" / "evaluation.txt").write_text("\n\n".join(first[40:60]), "utf-8")
    for name in MORE:
        (folder / name).mkdir()
        five_corpora.PLANT[name](folder / name, five_corpora.planted(name))
    (folder / "questions.txt").write_text("\n".join(five_corpora.QUESTIONS) + "\n")
    return write_recipe(folder / "recipe.toml", folder, [f"{novels}/*.txt"], 1, 100_000, 60_000, 1)


def _texts() -> list[str]:
    archive = data_file("books/english_novels.tar.xz")
    if archive is None:
        return [
            "\n\n".join(archives.english(1000 * number + part, 6) for part in range(120))
            for number in range(NOVELS)
        ]
    with tarfile.open(archive) as tar:
        members = sorted(
            (member for member in tar.getmembers() if member.isfile()),
            key=lambda member: member.name,
        )[:NOVELS]
        return [
            tar.extractfile(member).read(NOVEL_BYTES).decode("utf-8", "ignore")
            for member in members
        ]  # type: ignore[union-attr]


def write_recipe(
    path: Path,
    folder: Path,
    novels: list[str],
    news_slice: int,
    wiki_slice: int,
    novels_slice: int,
    more_slice: int,
) -> Path:
    """The recipe over inputs in some place, cut in some way."""
    listed = ", ".join(f'"{pattern}"' for pattern in novels)
    tables = (
        five_corpora.TABLES[name].format(fraction=0.5)
        + f'input = "{folder}/{name}/*"\nslice_bytes = {more_slice}\n'
        for name in MORE
    )
    more = "".join(f"[sources.{name}]\n{table}" for name, table in zip(MORE, tables))
    slices = {"news_slice": news_slice, "wiki_slice": wiki_slice, "novels_slice": novels_slice}
    path.write_text(
        RECIPE.format(
            news=folder / "news",
            wiki=folder / "wiki",
            tests=folder / "tests",
            novels=listed,
            more=more,
            **slices,
        )
    )
    return path


def in_another_order(folder: Path, other: Path) -> Path:
    """The same inputs in another place, written in reverse order, named in another order, cut into
    other slices."""
    for path in sorted(
        (path for path in folder.rglob("*") if path.is_file() and path.name != "recipe.toml"),
        reverse=True,
    ):
        target = other / path.relative_to(folder)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, target)
    novels = other / "novels"
    patterns = [f"{novels}/novel-[3-9].txt", f"{novels}/novel-[!3-9].txt", f"{novels}/c*.txt"]
    return write_recipe(other / "recipe.toml", other, patterns, 1_500_000, 10**9, 1, 10**9)
