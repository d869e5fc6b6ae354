"""The strict loader: every wrong key and value is named with its path and the nearest right one."""

from dataclasses import dataclass, field
from typing import Any, Literal

import pytest

from shards.config import dump_toml, from_dict, parse_toml
from shards.errors import UserError


@dataclass(frozen=True, kw_only=True)
class Inner:
    rate: float = 0.5
    names: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not 0 <= self.rate <= 1:
            raise ValueError(f"rate: {self.rate} is not in [0, 1]")


@dataclass(frozen=True, kw_only=True)
class Outer:
    count: int
    mode: Literal["fast", "slow"] = "fast"
    flag: bool = False
    limit: int | None = None
    inner: Inner = field(default_factory=Inner)
    table: dict[str, Inner] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Kind(Outer):
    inner: Inner = field(default_factory=lambda: Inner(rate=0.25, names=("own",)))


def test_keys_that_a_table_leaves_out_keep_the_defaults_of_their_place() -> None:
    assert from_dict(Kind, {"count": 1, "inner": {"rate": 0.5}}).inner == Inner(
        rate=0.5, names=("own",)
    )
    assert from_dict(Kind, {"count": 1, "inner": {}}).inner == Inner(rate=0.25, names=("own",))
    assert from_dict(Outer, {"count": 1, "inner": {"names": ["x"]}}).inner == Inner(names=("x",))
    with pytest.raises(UserError, match="inner.rate: 2.0 is not in"):
        from_dict(Kind, {"count": 1, "inner": {"rate": 2}})


def test_round_trip() -> None:
    value = Outer(
        count=3,
        mode="slow",
        limit=None,
        inner=Inner(rate=1, names=("a", "b")),
        table={"x": Inner()},
    )
    assert from_dict(Outer, parse_toml(dump_toml(value), "t")) == value


@pytest.mark.parametrize(
    ("text", "what", "hint"),
    [
        ("", "count: missing", "set count"),
        ("count = 1\nmodes = 'fast'", "modes: unknown key", "did you mean mode?"),
        ("count = '1'", "count: '1' is not a whole number", ""),
        ("count = true", "count: True is not a whole number", ""),
        (
            "count = 1\nmode = 'fats'",
            "mode: 'fats' is not one of 'fast', 'slow'",
            "did you mean fast?",
        ),
        ("count = 1\nflag = 1", "flag: 1 is not true or false", ""),
        ("count = 1\nlimit = 'x'", "limit: 'x' is not a whole number", ""),
        ("count = 1\n[inner]\nrate = 2", "inner.rate: 2.0 is not in [0, 1]", ""),
        ("count = 1\n[inner]\nnames = [1]", "inner.names[0]: 1 is not a string", ""),
        ("count = 1\n[inner]\nnames = 1", "inner.names: 1 is not a list", ""),
        ("count = 1\ninner = 3", "inner: 3 is not a table", ""),
        ("count = 1\n[table.x]\nrat = 1", "table.x.rat: unknown key", "did you mean rate?"),
    ],
)
def test_errors_name_the_path(text: str, what: str, hint: str) -> None:
    with pytest.raises(UserError) as caught:
        from_dict(Outer, parse_toml(text, "t"))
    assert (caught.value.what, caught.value.hint, caught.value.exit_code) == (what, hint, 2)


def test_one_text_may_stand_for_a_list() -> None:
    assert from_dict(Inner, {"names": "a"}).names == ("a",)


def test_bad_toml_is_named() -> None:
    with pytest.raises(UserError, match="recipe.toml: not valid TOML"):
        parse_toml("a = [", "recipe.toml")


def test_an_error_survives_pickling() -> None:
    import pickle

    error: Any = pickle.loads(pickle.dumps(UserError("what", "hint", 3)))
    assert (error.what, error.hint, error.exit_code) == ("what", "hint", 3)
