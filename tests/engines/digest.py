"""One digest over the values of every work file of a home, and one over the bytes of its shards.

Values, not bytes, since Parquet's bytes depend on pyarrow's version; whole sources, not slices,
since no result may depend on how slices were cut. What names a slice or the packages (fingerprints,
created_by) is left out.
"""

import hashlib
import json
from collections import Counter
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq


def _rows(path: Path) -> list[dict[str, Any]]:
    if path.suffix == ".parquet":
        return pq.read_table(path).to_pylist()  # type: ignore[no-any-return]
    with pa.memory_map(str(path)) as source:
        return pa.ipc.open_file(source).read_all().to_pylist()  # type: ignore[no-any-return]


def _slices(home: Path, source: str) -> list[str]:
    found = [
        json.loads(path.read_text()) for path in (home / "summaries" / "ingest" / source).iterdir()
    ]
    return [
        summary["slice"]
        for summary in sorted(found, key=lambda summary: (summary["path"], summary["start"]))
    ]


def values(home: Path) -> dict[str, str]:
    """What -> digest: every kind of work file of every source, the vocabulary, the counts, the
    shards, the manifest."""
    found: dict[str, str] = {}
    for source in sorted(path.name for path in (home / "documents").iterdir()):
        names = _slices(home, source)
        kinds = [
            "documents",
            "rejects",
            *(f"attributes/{path.name}" for path in sorted((home / "attributes").iterdir())),
        ]
        kinds += [
            f"work/{path.name}"
            for path in sorted((home / "work").iterdir())
            if (path / source).is_dir()
        ]
        for kind in kinds:
            paths = [
                home / kind / source / f"{name}{suffix}"
                for name in names
                for suffix in (".parquet", ".arrow")
            ]
            found[f"{kind}/{source}"] = _digest(
                [row for path in paths if path.exists() for row in _rows(path)]
            )
        for stage in sorted(path.name for path in (home / "summaries").iterdir()):
            counts: Counter[str] = Counter()
            for path in sorted((home / "summaries" / stage / source).glob("*.json")):
                summary = json.loads(path.read_text())
                counts.update(summary["counts"])
                counts.update(
                    {f"reject {reason}": count for reason, count in summary["rejects"].items()}
                )
                counts.update(
                    {f"twins in {name}": count for name, count in summary["twins_in"].items()}
                )
            found[f"counts/{stage}/{source}"] = _digest(sorted(counts.items()))
    found["tokenizer"] = _digest((home / "tokenizer" / "tokenizer.json").read_text())
    for path in sorted((home / "shards").glob("*.arrow")):
        with pa.memory_map(str(path)) as source_file:
            metadata = sorted((pa.ipc.open_file(source_file).schema.metadata or {}).items())
        found[f"shards/{path.name}"] = _digest([[str(item) for item in metadata], _rows(path)])
    manifest = json.loads((home / "shards" / "manifest.json").read_text())
    manifest.pop("created_by")
    for entry in manifest["shards"]:
        entry.pop("digest"), entry.pop("bytes")
    found["manifest"] = _digest(manifest)
    return found


def _digest(value: Any) -> str:
    return hashlib.blake2b(
        json.dumps(value, sort_keys=True, default=str, ensure_ascii=True).encode(), digest_size=16
    ).hexdigest()


def shard_bytes(home: Path) -> dict[str, str]:
    """File -> digest of everything in shards/."""
    return {
        path.name: hashlib.blake2b(path.read_bytes(), digest_size=16).hexdigest()
        for path in sorted((home / "shards").iterdir())
    }


def one(digests: dict[str, str]) -> str:
    """All digests as one."""
    return _digest(sorted(digests.items()))
