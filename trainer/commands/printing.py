"""The one object of `--json`."""

import json
import math


def print_json(content: dict[str, object]) -> None:
    """Print the one object of `--json`."""
    print(json.dumps(without_nan({"schema_version": 1, **content})))


def without_nan(value: object) -> object:
    """A value for JSON, which has neither nan nor the infinities: they become null."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {key: without_nan(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [without_nan(item) for item in value]
    return value
