"""Runs variants of one piece of work in turn (A B C A B C ...), so that what else the machine does
falls on all of them.

`compare` prints, for each variant, the rate as median [min to max] over the rounds, and our rate
over its rate: of the medians, and as median [min to max] of the rounds. The same goes as JSON to
`benchmarks/results/NAME.json`.
"""

import json
import os
import platform
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).parent / "results"


@dataclass(frozen=True, kw_only=True)
class Variant:
    """One way to do the work. `run` is timed; `prepare` comes before each round and is not; `work`:
    units that one run does."""

    name: str
    work: float
    run: Callable[[], object]
    prepare: Callable[[], object] | None = None


def compare(
    name: str,
    unit: str,
    variants: Sequence[Variant],
    *,
    rounds: int = 5,
    warm: bool = True,
    packages: Sequence[str] = (),
) -> dict[str, Any]:
    """Time `variants`, the first of which is ours, print the table and write the JSON. One more
    round goes first, uncounted, unless `warm` is False."""
    rates: dict[str, list[float]] = {variant.name: [] for variant in variants}
    for number in range(0 if warm else 1, rounds + 1):
        for variant in variants:
            if variant.prepare:
                variant.prepare()
            start = time.perf_counter()
            variant.run()
            rate = variant.work / (time.perf_counter() - start)
            if number:
                rates[variant.name].append(rate)
    ours = rates[variants[0].name]
    rows = {}
    for variant in variants:
        of_rounds = [mine / theirs for mine, theirs in zip(ours, rates[variant.name])]
        rows[variant.name] = {
            "rate": spread(rates[variant.name]),
            "ratio_of_medians": statistics.median(ours) / statistics.median(rates[variant.name]),
            "ratio_of_rounds": spread(of_rounds),
        }
    result = {
        "name": name,
        "unit": unit,
        "rounds": rounds,
        "machine": machine(packages),
        "variants": rows,
    }
    show(result)
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / f"{name}.json").write_text(json.dumps(result, indent=1) + "\n")
    return result


def spread(values: Sequence[float]) -> dict[str, float]:
    """Minimum, median, maximum."""
    return {"min": min(values), "median": statistics.median(values), "max": max(values)}


def show(result: dict[str, Any]) -> None:
    """The table of one comparison."""
    print(
        f"{result['name']}: {result['unit']}, {result['rounds']} rounds, "
        f"{result['machine']['cores']} cores"
    )
    width = max(map(len, result["variants"]))
    for name, row in result["variants"].items():
        rate, ratio = row["rate"], row["ratio_of_rounds"]
        form = ",.0f" if rate["median"] >= 1000 else ".3g"
        figures = f"{rate['median']:12{form}} [{rate['min']:{form}} to {rate['max']:{form}}]"
        against = (
            f"ours is {row['ratio_of_medians']:.2f}x of it; by round {ratio['median']:.2f}x "
            f"[{ratio['min']:.2f} to {ratio['max']:.2f}]"
        )
        print(f"  {name.ljust(width)}  {figures}   {against}", flush=True)


def machine(packages: Sequence[str]) -> dict[str, Any]:
    """What the figures depend on: cores that this process may use, processor, load, interpreter,
    versions."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return {
        "cores": cores,
        "processor": platform.machine(),
        "system": platform.system(),
        "load": round(os.getloadavg()[0], 1),
        "python": platform.python_version(),
        "packages": {package: version(package) for package in packages},
        "date": time.strftime("%Y-%m-%d"),
    }
