"""A small home whose documents hold what breaks pages: markup, quotes, text from right to left,
endless words."""

import json
from pathlib import Path
from typing import Any

from plain_build import plain_build

HOSTILE = [
    (
        "<script>document.title = 'broken'</script> and after it </script> again, with <!-- and "
        "--> and ]]> and {{ 7 * 7 }} and {% raw %}"
    ),
    "<img src=x onerror=\"document.title='broken'\"> 'quoted' \"twice\" &amp; &lt; `back` | pipe",
    "שלום עולם \u202e reversed? مرحبا بالعالم \u2066 isolated",
    "A" * 5000 + " one long word and then a few short ones",
    "</style></title></textarea></pre><plaintext> the end of all pages",
]


def write_home(
    folder: Path, until: str = "shards", extra: list[dict[str, Any]] | None = None
) -> str:
    """Two sources: `a` with hostile texts, copies, dates and hosts; `b` with copies of a's, and
    rejects."""
    (folder / "in").mkdir(parents=True, exist_ok=True)
    rows = [
        {
            "text": f"{text} Number {number} of its kind.",
            "title": text[:40],
            "url": f"https://example-{number}.org/<b>",
        }
        for number, text in enumerate(HOSTILE)
    ]
    rows += [
        {
            "text": f"A plain text, the {number}th. It has two sentences.",
            "url": f"https://www.news.example/{number}",
        }
        for number in range(40)
    ]
    rows += [{"text": row["text"].upper()} for row in rows[:7]] + (extra or [])
    (folder / "in" / "a.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    copies = [rows[10]["text"], rows[11]["text"].replace(" ", "  "), "Only here."]
    lines = [json.dumps({"text": text}) for text in copies] + [
        '{"text": "<script>cut',
        json.dumps({"text": " "}),
        '["</script>"]',
    ]
    (folder / "in" / "b.jsonl").write_text("\n".join(lines) + "\n", "utf-8")
    (folder / "recipe.toml").write_text(
        f'[sources.a]\nkind = "files"\ninput = "{folder}/in/a.jsonl"\nlabel = "en"\n'
        'title_field = "title"\nurl_field = "url"\n'
        f'[sources.b]\nkind = "files"\ninput = "{folder}/in/b.jsonl"\n[dedup]\nmax_removed = '
        "1.0\n[tokenizer]\nvocab_size = 300\n"
    )
    return plain_build(folder / "recipe.toml", folder / "home", until)
