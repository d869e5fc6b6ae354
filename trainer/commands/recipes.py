"""`trainer recipes`."""

from shards.config import dump_toml
from trainer.commands.printing import print_json
from trainer.config import load_recipe, recipe_names
from trainer.flags import parse
from trainer.options import Recipes
from trainer.tables import TABLES, recipes_of, tables_of


def recipes(arguments: list[str]) -> int:
    """`trainer recipes`."""
    options = parse(Recipes, "recipes", arguments)
    if options.name:
        print(dump_toml(load_recipe(options.name)), end="")
        return 0

    sources = {name: load_recipe(name).source for name in recipe_names()}
    if options.json:
        named = {str(number): recipes_of(table) for number, table in TABLES.items()}
        print_json({"recipes": sources, "tables": named})
        return 0

    # A recipe that serves two tables is listed in both.
    groups = {}
    for number, table in TABLES.items():
        groups[f"RoBERTa paper, table {number}: {table.title}"] = recipes_of(table)
    groups["Others"] = [name for name in sources if not tables_of(name)]
    for title, names in groups.items():
        print(title)
        for name in names:
            print(f"  {name:26} {sources[name]}")
    return 0
