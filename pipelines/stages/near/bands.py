"""How the 256 values of a signature are divided into bands, and what that finds.

A band of r values is equal in two signatures with the chance s**r, where s is the Jaccard
similarity of the texts; so a pair meets in at least one of b bands with the chance
1 - (1 - s**r)**b (Leskovec, Rajaraman, Ullman, Mining of Massive Datasets, 3.4.2).
"""

import math

from pipelines.recipe import Recipe

BINS = 256
"""Values of a signature."""

WANTED_CHANCE = 0.98
"""A pair at the threshold is compared with at least this chance."""


MOST_SKETCHES = 16
"""A document of a long run gets at most this many further sketches."""

LONG_WANTED_CHANCE = 0.999
"""The chance that the second signatures are made for, at the lowest threshold of the scheme."""


def band_scheme(threshold: float) -> tuple[int, int]:
    """(bands, rows per band): the most selective scheme in which a pair at the threshold meets with
    a chance of `WANTED_CHANCE`."""
    # More rows per band make fewer false candidates, so the largest that finds enough is best.
    for rows in (16, 8, 4, 2, 1):
        if found_chance(threshold, BINS // rows, rows) >= WANTED_CHANCE:
            return BINS // rows, rows
    raise ValueError(f"no scheme for {threshold}")


def found_chance(similarity: float, bands: int, rows: int) -> float:
    """The chance that a pair of this Jaccard similarity meets in any band: the S-curve."""
    return float(1 - (1 - similarity**rows) ** bands)


def lowest_threshold(rows: int) -> float:
    """A threshold, of four digits, at or below every one that a scheme with these rows per band is
    chosen for."""
    bands = BINS // rows
    at_wanted_chance: float = (1 - (1 - WANTED_CHANCE) ** (1 / bands)) ** (1 / rows)
    return math.floor(at_wanted_chance * 10_000) / 10_000


def long_scheme(rows: int) -> tuple[int, int]:
    """(tables, rows per table) of the second signatures, which documents of long runs get, by the
    rows per band of the first ones.

    Twice the rows tell pages of one template from near-duplicates. The tables are those of as many
    sketches as a pair at the lowest threshold of the scheme needs, within `MOST_SKETCHES`.
    """
    long_rows = 2 * rows
    per_sketch = BINS // long_rows
    threshold = lowest_threshold(rows)
    for sketches in range(1, MOST_SKETCHES):
        if found_chance(threshold, sketches * per_sketch, long_rows) >= LONG_WANTED_CHANCE:
            return sketches * per_sketch, long_rows
    return MOST_SKETCHES * per_sketch, long_rows


def s_curve(bands: int, rows: int) -> str:
    """The S-curve as a line for people."""
    points = []
    for similarity in (0.3, 0.5, 0.6, 0.7, 0.8, 0.9):
        points.append(f"{similarity} {found_chance(similarity, bands, rows):.3f}")
    listed = ", ".join(points)
    return f"{bands} bands of {rows}; chance that a pair is compared, by its similarity: {listed}"


def thresholds(recipe: Recipe) -> dict[str, float]:
    """The threshold of each source: its own, else that of the recipe."""
    found = {}
    for name, options in recipe.sources.items():
        own = options.dedup.threshold
        found[name] = recipe.dedup.threshold if own is None else own
    return found


def billionths(share: float) -> int:
    """A threshold as similarities are stored."""
    return round(share * 1e9)
