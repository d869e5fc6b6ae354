"""What a home tells others of itself: equal to its manifest, accepted by the validators, signed."""

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from five_corpora import CORPORA, write
from plain_build import plain_build

from shards.manifest import read_manifest

Corpus = Callable[..., tuple[int, str, str]]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("home")
    return Path(plain_build(write(folder / "inputs", with_data=False), folder / "home"))


def test_the_summary_of_the_eu_has_the_numbers_of_the_manifest(home: Path, corpus: Corpus) -> None:
    code, page, _ = corpus("summary", home)
    assert code == 0
    manifest = read_manifest(str(home / "shards"))
    stats = json.loads(corpus("stats", home, "--json")[1])
    rows = {
        cells[0]: cells
        for cells in (
            [cell.strip() for cell in line.strip("|").split("|")] for line in page.splitlines()
        )
        if cells[0] in CORPORA
    }
    for name in CORPORA:
        entries = [entry for entry in manifest.shards if entry.source == name]
        documents = sum(entry.documents for entry in entries)
        tokens = sum(entry.tokens for entry in entries)
        size = stats["sources"][name]["bytes"]
        assert rows[name][2:5] == [f"{documents:,}", f"{tokens:,}", f"{size:,}"]

    total = stats["total"]
    assert (
        f"- Size: {total['bytes']:,} bytes of text in {total['kept']:,} documents, "
        f"{total['tokens']:,} tokens" in page
    )
    # Of two domains one is the top tenth, rounded up.
    news = stats["sources"]["cc-news"]["bytes"]
    stories = stats["sources"]["stories"]["bytes"]
    largest = max((news, "planted.example"), (stories, "stories.example"))
    assert f"| {largest[1]} | {largest[0]:,} |" in page
    assert f"- exact: {total['removed']['exact']}\n" in page
    assert "- Modality: text only" in page


def test_languages_are_those_of_the_documents(home: Path, corpus: Corpus, tmp_path: Path) -> None:
    """A recipe that takes pages of any language tells of those that came."""
    told = {
        code
        for summary in (home / "summaries" / "tokenize").rglob("*.json")
        for code in json.loads(summary.read_text())["languages"]
    }
    page = corpus("summary", home)[1]
    [line] = [line for line in page.splitlines() if line.startswith("- Languages: ")]
    not_named = {"any", "unknown", "und"}
    known = sorted(told - not_named)
    assert known and line.startswith(f"- Languages: {', '.join(known)}")
    assert ("texts of which none is named" in line) == bool(told & not_named)

    form = ("summary", home, "--template", "croissant", "--out", tmp_path / "form")
    assert corpus(*form)[0] == 0
    assert json.loads((tmp_path / "form").read_text())["inLanguage"] == known


def test_croissant_and_spdx_name_every_file(home: Path, corpus: Corpus, tmp_path: Path) -> None:
    manifest = read_manifest(str(home / "shards"))
    for form in ("croissant", "spdx"):
        assert corpus("summary", home, "--template", form, "--out", tmp_path / form)[0] == 0

    found = json.loads((tmp_path / "croissant").read_text())
    objects = [item for item in found["distribution"] if item["@type"] == "cr:FileObject"]
    assert [item["contentUrl"] for item in objects] == [entry.file for entry in manifest.shards]
    sums = subprocess.run(
        ["sha256sum", *(str(home / "shards" / item["contentUrl"]) for item in objects)],
        capture_output=True,
        text=True,
        check=True,
    )
    assert [line.split()[0] for line in sums.stdout.splitlines()] == [
        item["sha256"] for item in objects
    ]

    graph = json.loads((tmp_path / "spdx").read_text())["@graph"]
    hashes = {
        item["name"]: item["verifiedUsing"][0]["hashValue"]
        for item in graph
        if item["type"] == "software_File"
    }
    assert hashes == {
        **{entry.file: entry.digest for entry in manifest.shards},
        "tokenizer.json": manifest.tokenizer.digest,
    }
    ids = {item.get("spdxId", item.get("@id")) for item in graph}
    [contains] = [item for item in graph if item["type"] == "Relationship"]
    assert {contains["from"], *contains["to"]} <= ids


def test_croissant_is_valid(home: Path, corpus: Corpus, tmp_path: Path) -> None:
    validator = pytest.importorskip("mlcroissant")
    path = tmp_path / "croissant.json"
    assert corpus("summary", home, "--template", "croissant", "--out", path)[0] == 0
    metadata = validator.Dataset(jsonld=json.loads(path.read_text())).metadata
    assert metadata.ctx.issues.errors == set()


def keys(folder: Path, name: str, ssh: bool = False) -> tuple[Path, Path]:
    """Files with a new private key and its public one."""
    key = ed25519.Ed25519PrivateKey.generate()
    form = serialization.PrivateFormat.OpenSSH if ssh else serialization.PrivateFormat.PKCS8
    private, public = folder / f"{name}.key", folder / f"{name}.pub"
    private.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption())
    )
    if ssh:
        encoding, shape = serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH
    else:
        encoding = serialization.Encoding.PEM
        shape = serialization.PublicFormat.SubjectPublicKeyInfo
    public.write_bytes(key.public_key().public_bytes(encoding, shape))
    return private, public


@pytest.mark.parametrize("ssh", [False, True])
def test_a_signature_and_what_breaks_it(
    home: Path, corpus: Corpus, tmp_path: Path, ssh: bool
) -> None:
    private, public = keys(tmp_path, "ours", ssh)
    _, other = keys(tmp_path, "other")
    signature = home / "shards" / "manifest.json.sig"
    signature.unlink(missing_ok=True)
    code, out, _ = corpus("verify", home, "--signed", public)
    assert code == 1 and out == "manifest.json.sig: missing\n"

    assert corpus("attest", home, "--key", private) == (0, f"{signature}\n", "")
    code, out, _ = corpus("verify", home, "--signed", public)
    assert code == 0 and out.endswith(f"; signed by the key in {public}\n")
    code, out, _ = corpus("verify", home, "--signed", other)
    assert (
        code == 1 and out == "manifest.json.sig: not the signature of this manifest by this key\n"
    )

    # Two shards that were exchanged; then the signature of other shards.
    assert corpus("verify", home, "--signed", public)[0] == 0
    shards = sorted((home / "shards").glob("*.arrow"))
    one, two = shards[0].read_bytes(), shards[1].read_bytes()
    shards[0].write_bytes(two)
    shards[1].write_bytes(one)
    code, out, _ = corpus("verify", home, "--signed", public)
    assert code == 1 and len(out.splitlines()) == 2
    shards[0].write_bytes(one)
    shards[1].write_bytes(two)
    ours = signature.read_bytes()
    for content in (b"", ours[:10], ours * 2, bytes(64)):
        signature.write_bytes(content)
        code, out, err = corpus("verify", home, "--signed", public)
        assert code == 1 and "hint: check whose key it is" in err
    signature.write_bytes(ours)

    # A shard that is changed together with the manifest's digest of it.
    manifest = home / "shards" / "manifest.json"
    before = manifest.read_bytes()
    manifest.write_bytes(before.replace(b'"documents": 1', b'"documents": 3', 1))
    assert manifest.read_bytes() != before
    assert corpus("verify", home, "--signed", public)[0] == 1
    manifest.write_bytes(before)
    assert corpus("verify", home, "--signed", public)[0] == 0


def test_keys_that_cannot_sign(home: Path, corpus: Corpus, tmp_path: Path) -> None:
    private, public = keys(tmp_path, "ours")
    other = ec.generate_private_key(ec.SECP256R1())
    (tmp_path / "ec.key").write_bytes(
        other.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    (tmp_path / "text").write_text("no key")
    for key, what in {
        tmp_path / "none": "cannot read this key",
        tmp_path / "text": "not a private key",
        tmp_path / "ec.key": "not a key of Ed25519",
        public: "not a private key",
    }.items():
        code, _, err = corpus("attest", home, "--key", key)
        assert code == 2 and what in err and "openssl genpkey" in err
    code, _, err = corpus("verify", home, "--signed", private)
    assert (
        code == 2 and "not a public key" in err and "hint: name the file with the public key" in err
    )
    assert err.count("\n") == 2
