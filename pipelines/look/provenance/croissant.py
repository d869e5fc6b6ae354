"""The shards as a dataset of MLCommons' Croissant 1.1, in JSON-LD."""

import hashlib
from typing import Any

from pipelines.home.layout import Home
from pipelines.look.provenance.facts import Facts
from shards.manifest import ShardEntry
from shards.storage import files

CONTEXT: dict[str, Any] = {
    "@language": "en",
    "@vocab": "https://schema.org/",
    "citeAs": "cr:citeAs",
    "column": "cr:column",
    "conformsTo": "dct:conformsTo",
    "cr": "http://mlcommons.org/croissant/",
    "rai": "http://mlcommons.org/croissant/RAI/",
    "data": {"@id": "cr:data", "@type": "@json"},
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    "dct": "http://purl.org/dc/terms/",
    "equivalentProperty": "cr:equivalentProperty",
    "examples": {"@id": "cr:examples", "@type": "@json"},
    "extract": "cr:extract",
    "field": "cr:field",
    "fileProperty": "cr:fileProperty",
    "fileObject": "cr:fileObject",
    "fileSet": "cr:fileSet",
    "format": "cr:format",
    "includes": "cr:includes",
    "isLiveDataset": "cr:isLiveDataset",
    "jsonPath": "cr:jsonPath",
    "key": "cr:key",
    "md5": "cr:md5",
    "parentField": "cr:parentField",
    "path": "cr:path",
    "recordSet": "cr:recordSet",
    "references": "cr:references",
    "regex": "cr:regex",
    "repeated": "cr:repeated",
    "replace": "cr:replace",
    "samplingRate": "cr:samplingRate",
    "sc": "https://schema.org/",
    "separator": "cr:separator",
    "source": "cr:source",
    "subField": "cr:subField",
    "transform": "cr:transform",
}
"""The context that the specification prescribes."""

ARROW = "application/vnd.apache.arrow.file"

COLUMNS = (
    ("id", "sc:Text", False, "32 hex digits, from source, path and position"),
    ("tokens", "sc:Integer", True, "token ids, without special ones"),
    ("sentences", "sc:Integer", True, "lengths of the sentences, in tokens"),
)


def croissant(home: Home, facts: Facts) -> dict[str, Any]:
    """The dataset. Reads every shard once, since Croissant asks for SHA-256."""
    objects = [_file(home, entry) for entry in facts.manifest.shards]
    licences = list(dict.fromkeys(source.licence for source in facts.sources))
    return {
        "@context": CONTEXT,
        "@type": "sc:Dataset",
        "conformsTo": "http://mlcommons.org/croissant/1.1",
        "name": "shards",
        "description": (
            f"{facts.documents:,} tokenized documents, {facts.tokens:,} tokens, of "
            f"{', '.join(source.name for source in facts.sources)}"
        ),
        "version": "1.0.0",
        "identifier": facts.manifest.recipe_digest,
        "license": licences,
        "inLanguage": facts.languages,
        "distribution": [
            *objects,
            {
                "@type": "cr:FileSet",
                "@id": "shards",
                "name": "shards",
                "encodingFormat": ARROW,
                "includes": "*.arrow",
            },
        ],
        "recordSet": [
            {
                "@type": "cr:RecordSet",
                "@id": "documents",
                "name": "documents",
                "description": "One document per row.",
                "field": [_field(*column) for column in COLUMNS],
            }
        ],
    }


def _file(home: Home, entry: ShardEntry) -> dict[str, Any]:
    state = hashlib.sha256()
    with files.open_input(home.file("shards", entry.file)) as stream:
        while block := stream.read(1 << 20):
            state.update(block)
    return {
        "@type": "cr:FileObject",
        "@id": entry.file,
        "name": entry.file,
        "description": f"{entry.split}, {entry.source}: {entry.documents:,} documents",
        "contentUrl": entry.file,
        "contentSize": f"{entry.bytes} B",
        "encodingFormat": ARROW,
        "sha256": state.hexdigest(),
    }


def _field(name: str, kind: str, repeated: bool, text: str) -> dict[str, Any]:
    field = {
        "@type": "cr:Field",
        "@id": f"documents/{name}",
        "name": name,
        "description": text,
        "dataType": kind,
        "source": {"fileSet": {"@id": "shards"}, "extract": {"column": name}},
    }
    return {**field, "repeated": True} if repeated else field
