"""Real books, news and pages of the test data, as shards of three sources."""

import html
import json
import re
import tarfile
from pathlib import Path

import numpy as np
import sentencex
from trainer_fixtures import TEST_DATA, Documents, byte_bpe, novels, write_shards


def news(limit: int) -> list[str]:
    """Stories of Reuters-21578."""
    found: list[str] = []
    with tarfile.open(TEST_DATA / "dedup" / "reuters21578_part.tar.xz") as archive:
        for member in archive:
            stream = archive.extractfile(member)
            if stream is not None and member.name.endswith(".sgm") and len(found) < limit:
                text = stream.read().decode("latin-1")
                bodies = re.findall(r"<BODY>(.*?)</BODY>", text, re.DOTALL)
                found += [html.unescape(body) for body in bodies]
    return found[:limit]


def pages(limit: int) -> list[str]:
    """The main contents of web pages (WCXB), as people marked them."""
    with tarfile.open(TEST_DATA / "html" / "wcxb-dev.tar.xz") as archive:
        stream = archive.extractfile("ground-truth.json")
        assert stream is not None
        truth = json.loads(stream.read())
    rows = truth.values() if isinstance(truth, dict) else truth
    return [row["main_content"] for row in rows if row.get("main_content")][:limit]


def sentences(text: str) -> list[str]:
    """The sentences of a text, paragraph by paragraph, without the white space around them."""
    found = []
    for block in re.split(r"\n\s*\n", text.replace("\r", "")):
        line = " ".join(block.split())
        found += [one.strip() for one in sentencex.segment("en", line)] if line else []
    return [sentence for sentence in found if sentence]


def real_shards(directory: Path, books: int = 2, stories: int = 800, sites: int = 300) -> Path:
    """A source each of books (a chapter-sized part a document), news and pages, for training."""
    texts = {
        "books": list(novels(books).values()),
        "news": news(stories),
        "pages": pages(sites),
    }
    tokenizer = byte_bpe([text for group in texts.values() for text in group], 6000)
    splits: dict[tuple[str, str], list[Documents]] = {}
    for name, group in texts.items():
        documents: Documents = []
        for text in group:
            encoded = tokenizer.encode_batch_fast(
                [f" {sentence}" for sentence in sentences(text)], add_special_tokens=False
            )
            arrays = [np.array(one.ids, np.int64) for one in encoded]
            size = 200 if name == "books" else len(arrays)
            documents += [arrays[i : i + size] for i in range(0, len(arrays), size)]
        splits["train", name] = [documents]
    return write_shards(directory, tokenizer, splits)


def as_lists(shard: object) -> list[list[list[int]]]:
    """A shard as documents of sentences of ids."""
    from shards.reader import Shard

    assert isinstance(shard, Shard)
    documents = []
    for d in range(len(shard)):
        tokens = shard.document(d).tolist()
        first, end = shard.sentence_offsets[d : d + 2]
        document, at = [], 0
        for size in shard.sentences[first:end].tolist():
            document.append(tokens[at : at + size])
            at += size
        documents.append(document)
    return documents
