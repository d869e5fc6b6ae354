"""Flags are made of the fields of a dataclass; a wrong one is one line and a hint."""

import dataclasses
from dataclasses import dataclass
from typing import Literal

import pytest

from shards.config import to_dict
from shards.errors import UserError
from trainer import options
from trainer.cli import COMMANDS
from trainer.config import Recipe, load_recipe, recipe_names
from trainer.flags import flag, parse
from trainer.options import Pretrain

OPTIONS = {name: getattr(options, name.capitalize()) for name in COMMANDS}


@dataclass(frozen=True, kw_only=True)
class Inner:
    """A table."""

    rate: float = 0.5
    """A rate. More about it."""
    on: bool = True
    """A switch."""


@dataclass(frozen=True, kw_only=True)
class Some:
    """A command."""

    name: str = flag("", "NAME", positional=True)
    """The name."""
    many: tuple[str, ...] = flag((), "DIR")
    """Several."""
    maybe: int | None = flag(None, "N", common=False)
    """One or none."""
    kind: Literal["a", "b"] = flag("a")
    """A kind."""
    times: Literal[0, 10] = flag(0, common=False)
    """A number of choices."""
    quiet: bool = flag(False)
    """Say nothing."""
    long_name: str = flag("")
    """Two words."""
    inner: Inner = Inner()
    """The table."""


@pytest.mark.parametrize(
    "arguments, changed",
    [
        ([], {}),
        (["me"], {"name": "me"}),
        (["--many", "x", "--many=y"], {"many": ("x", "y")}),
        (["--maybe", "-3"], {"maybe": -3}),
        (["--maybe", "1_000"], {"maybe": 1000}),
        (["--kind", "b", "--times", "10"], {"kind": "b", "times": 10}),
        (["--quiet", "--long-name", "a=b"], {"quiet": True, "long_name": "a=b"}),
        (["--long_name=_x_"], {"long_name": "_x_"}),
        (["--inner.rate", "1e-3"], {"inner": Inner(rate=1e-3)}),
        (["--inner.no-on"], {"inner": Inner(on=False)}),
        (["--inner.no-on", "--inner.on"], {"inner": Inner()}),
    ],
)
def test_values(arguments: list[str], changed: dict[str, object]) -> None:
    expected = dataclasses.replace(Some(), **changed)  # type: ignore[arg-type]
    assert parse(Some, "some", arguments) == expected


@pytest.mark.parametrize(
    "arguments, what, hint",
    [
        (["--maybe", "x"], "--maybe: 'x' is not a whole number", "for example --maybe 100"),
        (["--maybe", "1.5"], "--maybe: '1.5' is not a whole number", "for example --maybe 100"),
        (["--inner.rate", "x"], "--inner.rate: 'x' is not a number", "--inner.rate 0.5"),
        (["--kind", "c"], "--kind: 'c' is not one of a, b", "known: a, b"),
        (["--times", "9"], "--times: '9' is not one of 0, 10", "0"),
        (["--maybe"], "--maybe: needs a value", "trainer some --help"),
        (["--quiet=1"], "--quiet: takes no value, not '1'", "trainer some --help"),
        (["--no-quiet"], "--no-quiet: no such option", "did you mean --quiet?"),
        (["--inner.raet", "1"], "--inner.raet: no such option", "did you mean --inner.rate?"),
        (["--zzz"], "--zzz: no such option", "trainer some --help-all lists the options"),
        (["a", "b"], "b: unexpected argument", "trainer some --help"),
        (["--man", "x"], "--man: no such option", "did you mean --many?"),
    ],
)
def test_mistakes(arguments: list[str], what: str, hint: str) -> None:
    with pytest.raises(UserError) as caught:
        parse(Some, "some", arguments)
    assert caught.value.what == what and hint in caught.value.hint
    assert caught.value.exit_code == 2


def said(capsys: pytest.CaptureFixture[str], command: str, word: str) -> str:
    with pytest.raises(SystemExit) as stop:
        parse(OPTIONS[command], command, [word])
    assert stop.value.code == 0
    return capsys.readouterr().out


@pytest.mark.parametrize("command", list(OPTIONS))
def test_help_fits_a_screen_and_reads_well(
    command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """At most 36 lines of 100 columns; no value is called by a type of Python."""
    short = said(capsys, command, "--help")
    whole = said(capsys, command, "--help-all")
    assert len(short.splitlines()) <= 36
    for text in (short, whole):
        assert max(map(len, text.splitlines())) <= 100
        for word in ("STR", "INT", "FLOAT", "{", "None", "True", "False", "()"):
            assert word not in text, word


def test_help_of_a_command(capsys: pytest.CaptureFixture[str]) -> None:
    """Common options with their first sentence; groups in the order of use."""
    short = said(capsys, "pretrain", "--help")
    whole = said(capsys, "pretrain", "--help-all")
    headings = [line for line in whole.splitlines() if line and line[0] != " " and line[-1] == ":"]
    assert headings == [
        "data and run:",
        "before a run:",
        "while training:",
        "recipe:",
        "recipe, [model]:",
        "recipe, [data]:",
        "recipe, [masking]:",
        "recipe, [phase]:",
        "recipe, [objective]:",
        "recipe, [optim]:",
        "recipe, [evaluation]:",
        "recipe, [guard]:",
    ]
    assert "--guard.spike-limit" in whole and "--guard.spike-limit" not in short
    assert "--help-all lists every option" in short
    assert "--data.sentence-eos, --data.no-sentence-eos" in whole


def test_every_setting_of_a_recipe_is_a_flag() -> None:
    """But `data.mix`, a table of sources: --mix NAME=X gives it."""
    recipe = to_dict(Recipe())
    for key, value in recipe.items():
        inner = value if isinstance(value, dict) else {"": value}
        for name, item in inner.items():
            dotted = f"{key}.{name}".rstrip(".").replace("_", "-")
            if dotted == "data.mix":
                continue
            arguments = [f"--{dotted}"] if isinstance(item, bool) else [f"--{dotted}", str(item)]
            expected = not isinstance(item, bool) or item
            found = parse(Pretrain, "pretrain", arguments)
            assert (to_dict(found.settings) == recipe) == expected, dotted


def test_flags_override_the_recipe() -> None:
    for name in recipe_names():
        recipe = load_recipe(name)
        found = parse(Pretrain, "pretrain", ["--batch", "3"], Pretrain(settings=recipe))
        assert found.settings == dataclasses.replace(recipe, batch=3)
