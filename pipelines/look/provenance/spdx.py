"""The shards as a dataset of SPDX 3.0.1 (profiles core, software and dataset), in JSON-LD."""

import datetime
import os
from typing import Any

from pipelines.look.provenance.facts import Facts
from shards.format import TOKENIZER

CONTEXT = "https://spdx.org/rdf/3.0.1/spdx-context.jsonld"

CREATION = "_:creation"


def spdx(facts: Facts) -> dict[str, Any]:
    """The document. Its only time is that of its making, which the format asks for:
    SOURCE_DATE_EPOCH, else now."""
    base = f"https://spdx.org/spdxdocs/corpusmill-{facts.manifest.recipe_digest}"
    agent, package, document = f"{base}#tool", f"{base}#dataset", f"{base}#document"
    listed = [_file(base, entry.file, entry.digest) for entry in facts.manifest.shards]
    listed.append(_file(base, TOKENIZER, facts.manifest.tokenizer.digest))
    names = [element["spdxId"] for element in listed]
    contains = {
        "type": "Relationship",
        "spdxId": f"{base}#contains",
        "creationInfo": CREATION,
        "from": package,
        "relationshipType": "contains",
        "to": names,
    }
    return {
        "@context": CONTEXT,
        "@graph": [
            {
                "type": "CreationInfo",
                "@id": CREATION,
                "specVersion": "3.0.1",
                "created": _now(),
                "createdBy": [agent],
            },
            {
                "type": "SoftwareAgent",
                "spdxId": agent,
                "creationInfo": CREATION,
                "name": "corpusmill " + facts.manifest.created_by.get("corpusmill", ""),
            },
            _dataset(facts, package, agent),
            *listed,
            contains,
            {
                "type": "SpdxDocument",
                "spdxId": document,
                "creationInfo": CREATION,
                "profileConformance": ["core", "software", "dataset"],
                "rootElement": [package],
                "element": [package, f"{base}#contains", *names],
            },
        ],
    }


def _dataset(facts: Facts, identity: str, agent: str) -> dict[str, Any]:
    steps = [f"{count:,} records rejected: {reason}" for reason, count in facts.rejected.items()]
    steps += [f"{count:,} documents removed: {stage}" for stage, count in facts.removed.items()]
    sources = [f"{source.name} ({source.kind}): {source.licence}" for source in facts.sources]
    return {
        "type": "dataset_DatasetPackage",
        "spdxId": identity,
        "creationInfo": CREATION,
        "name": "shards",
        "originatedBy": [agent],
        "software_packageVersion": facts.manifest.recipe_digest,
        "software_primaryPurpose": "data",
        "dataset_datasetType": ["text"],
        "dataset_datasetSize": sum(entry.bytes for entry in facts.manifest.shards),
        "dataset_dataCollectionProcess": "; ".join(sources),
        "dataset_dataPreprocessing": steps,
        "dataset_hasSensitivePersonalInformation": "noAssertion",
        "comment": (
            f"{facts.documents:,} documents, {facts.tokens:,} tokens, {facts.bytes:,} bytes of text"
        ),
    }


def _file(base: str, name: str, digest: str) -> dict[str, Any]:
    return {
        "type": "software_File",
        "spdxId": f"{base}#{name}",
        "creationInfo": CREATION,
        "name": name,
        "software_primaryPurpose": "data",
        "verifiedUsing": [{"type": "Hash", "algorithm": "blake2b256", "hashValue": digest}],
    }


def _now() -> str:
    epoch = os.environ.get("SOURCE_DATE_EPOCH")
    utc = datetime.timezone.utc
    made = datetime.datetime.fromtimestamp(int(epoch), utc) if epoch else datetime.datetime.now(utc)
    return made.strftime("%Y-%m-%dT%H:%M:%SZ")
