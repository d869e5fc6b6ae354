"""TODO-DOC pipelines/commands/recipes.py."""

from pathlib import Path

from shards.errors import UserError, nearest


def recipes(name: str | None = None, /) -> int:
    """[NAME]: the recipes in the package; with a name, its text.

    Args:
        name: Print this one.
    """
    known = packaged_recipes()
    if name is not None:
        if name not in known:
            raise UserError(f"{name}: no such recipe in the package", nearest(name, known))
        print(known[name].read_text("utf-8"), end="")
        return 0
    for key, path in known.items():
        print(f"{key:20} {path.read_text('utf-8').splitlines()[0].lstrip('# ')}")
    return 0


def packaged_recipes() -> dict[str, Path]:
    """Name -> file of the recipes in the package."""
    return {
        path.stem: path for path in sorted((Path(__file__).parents[1] / "recipes").glob("*.toml"))
    }
