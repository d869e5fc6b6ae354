"""TODO-DOC pipelines/stages/near/bands.py."""

from pipelines.recipe import Recipe

BINS = 256


def band_scheme(threshold: float) -> tuple[int, int]:
    """(bands, rows of each) of 256 values: the most selective in which a pair at the threshold
    meets with a chance of 0.98."""
    for rows in (16, 8, 4, 2, 1):
        if found_chance(threshold, BINS // rows, rows) >= 0.98:
            return BINS // rows, rows
    raise ValueError(f"no scheme for {threshold}")


def found_chance(similarity: float, bands: int, rows: int) -> float:
    """The chance that a pair of this Jaccard similarity meets in any band: the S-curve."""
    return float(1 - (1 - similarity**rows) ** bands)


def lowest_threshold(rows: int) -> float:
    """The lowest threshold, in steps of 0.01, that a scheme of these rows serves."""
    return next(
        step / 100 for step in range(1, 101) if found_chance(step / 100, BINS // rows, rows) >= 0.98
    )


def s_curve(bands: int, rows: int) -> str:
    """The S-curve as a line for people."""
    points = ", ".join(
        f"{similarity} {found_chance(similarity, bands, rows):.3f}"
        for similarity in (0.3, 0.5, 0.6, 0.7, 0.8, 0.9)
    )
    return f"{bands} bands of {rows}; chance that a pair is compared, by its similarity: {points}"


def thresholds(recipe: Recipe) -> dict[str, float]:
    """The threshold of each source."""
    own = {name: options.dedup.threshold for name, options in recipe.sources.items()}
    return {name: recipe.dedup.threshold if value is None else value for name, value in own.items()}


def billionths(share: float) -> int:
    """A threshold as similarities are stored."""
    return round(share * 1e9)
