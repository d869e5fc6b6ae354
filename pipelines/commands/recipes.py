"""`corpus recipes`: the recipes in the package."""

from pathlib import Path
from typing import Annotated

import tyro

from shards.errors import UserError, nearest

RECIPES = Path(__file__).parents[1] / "recipes"


def recipes(name: Annotated[str | None, tyro.conf.arg(metavar="[NAME]")] = None, /) -> int:
    """List the recipes in the package, or print one.

    Args:
        name: The recipe to print.
    """
    known = packaged_recipes()
    if name is None:
        for key, path in known.items():
            # the first line of each recipe is a comment that names it
            title = path.read_text("utf-8").splitlines()[0].lstrip("# ")
            print(f"{key:20} {title}")
        return 0

    if name not in known:
        raise UserError(f"{name}: no such recipe in the package", nearest(name, known))
    print(known[name].read_text("utf-8"), end="")
    return 0


def packaged_recipes() -> dict[str, Path]:
    """Name -> file of the recipes in the package."""
    return {path.stem: path for path in sorted(RECIPES.glob("*.toml"))}
