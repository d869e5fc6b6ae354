"""TODO-DOC pipelines/commands/show.py."""

from typing import Any

from pipelines.wording import print_json, say
from shards.errors import UserError


def show(
    home: str,
    /,
    source: str | None = None,
    rejects: bool = False,
    reason: str | None = None,
    removed: bool = False,
    n: int = 3,
    json: bool = False,
) -> int:
    """HOME: documents, or what was dropped.

    Args:
        home: The folder of a build. source: Of this source only. rejects: Records that gave no
        document. reason: Rejects of this reason only; with --removed, documents that go by this
        rule or stage, or this kind of twin. removed: Documents that the rules remove, with the
        measured value, and copies, with their twins. n: How many. json: Print one JSON object,
        texts in full.
    """
    from pipelines.look import show as look

    if n < 0:
        raise UserError(f"--n {n}: less than 0", "name how many to show")
    if rejects and removed:
        raise UserError("--rejects and --removed", "name one of them")
    found = (
        look.rejects(home, source, reason)
        if rejects or (reason and not removed)
        else look.documents(home, source, removed, reason)
    )
    records = [record for _, record in zip(range(n), found)]
    if json:
        print_json({"schema_version": 1, "records": records})
        return 0
    for record in records:
        _print_record(record)
    if not records:
        say("nothing to show")
    return 0


def _print_record(record: dict[str, Any], limit: int = 600) -> None:
    text = record.get("text") or ""
    for name, value in record.items():
        if name not in ("text", "difference", "twin_record") and value not in (None, ""):
            print(f"{name}: {value}")
    if text:
        print(
            "\n" + text[:limit] + (f" ... ({len(text):,} characters)" if len(text) > limit else "")
        )
    print("-" * 60)


def why(home: str, identity: str, /, json: bool = False) -> int:
    """HOME ID: what became of one record, and why.

    Args:
        home: The folder of a build.
        identity: 32 hex digits or their beginning, or your own id where the recipe sets id_field.
        json: Print one JSON object.
    """
    from pipelines.look import show as look

    found = look.why(home, identity)
    if json:
        print_json({"schema_version": 1, "records": found})
        return 0
    for record in found:
        _print_record(record, 200)
        if "twin_record" in record:
            twin = record["twin_record"]
            print(
                "its twin: "
                + ", ".join(
                    str(twin[name])
                    for name in ("source", "id", "url", "path", "title", "crawled")
                    if name in twin
                )
            )
            print("\n".join(record["difference"]) or "the same to the letter")
            print("-" * 60)
    return 0
