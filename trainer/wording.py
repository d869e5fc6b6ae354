"""Numbers as a reader wants them: no more digits than are known, units that fit."""

import math


def rounded(value: float, spread: float | None) -> str:
    """A number with the digits that its `spread` leaves certain, the last one uncertain.

    The last digit shown is the second one of the spread: 87.04 with 1.3 is 87.0, 1917 with 330 is
    1,920. At most three decimals; two digits in all where the spread is not known.
    """
    if not math.isfinite(value):
        return "nan" if math.isnan(value) else "infinite"

    size = value if spread is None else spread
    decimals = 3
    if size > 0 and math.isfinite(size):
        decimals = min(3, 1 - math.floor(math.log10(size)))
    return f"{round(value, decimals):,.{max(decimals, 0)}f}"


def several(count: int, noun: str) -> str:
    """`1 file`, `2,000 files`."""
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"


def size(count: float) -> str:
    """A number of bytes in MiB, or from 1 GiB on in GiB."""
    if count < 2**30:
        return f"{max(count / 2**20, 1):,.0f} MiB"
    return f"{count / 2**30:,.1f} GiB"


def duration(seconds: float) -> str:
    """A time in the two largest units that fit it: 45 s, 12 min, 3 h 10 min, 2 days 4 h."""
    if seconds < 60:
        return f"{math.ceil(seconds)} s"

    minutes = round(seconds / 60)
    if minutes < 60:
        return f"{minutes} min"
    if minutes < 48 * 60:
        hours, rest = divmod(minutes, 60)
        return f"{hours} h {rest} min"
    days, hours = divmod(round(minutes / 60), 24)
    return f"{days:,} days {hours} h"
