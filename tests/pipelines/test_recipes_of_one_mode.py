"""Recipes and homes of versions before the cascade, which say `fast` or `extraction = "fast"`."""

import pytest

from pipelines.recipe import parse_recipe
from shards.errors import UserError

SOURCES = [
    'kind = "cc_news"\ninput = "*.warc.gz"',
    'kind = "files"\ninput = "*.html"',
]


def extraction(source: str, line: str) -> str:
    recipe = parse_recipe(f"[sources.web]\n{source}\n{line}\n", "recipe.toml", "/")
    return str(getattr(recipe.sources["web"], "extraction"))  # noqa: B009


@pytest.mark.parametrize("source", SOURCES)
@pytest.mark.parametrize(
    ("line", "mode"),
    [
        ("", "cascade"),
        ("fast = true", "fast"),
        ("fast = false", "default"),
        ('extraction = "fast"', "fast"),
    ],
)
def test_the_mode_that_is_written_stays(source: str, line: str, mode: str) -> None:
    assert extraction(source, line) == mode


@pytest.mark.parametrize("line", ['fast = "yes"', 'fast = true\nextraction = "fast"'])
def test_what_no_version_wrote_is_refused(line: str) -> None:
    with pytest.raises(UserError, match=r"sources\.web\.fast: unknown key"):
        extraction(SOURCES[0], line)
