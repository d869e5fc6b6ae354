"""A mistake in the flags of a command becomes a `UserError`: two lines, as every other error.

tyro would print a box. Its hook for errors is not yet part of its public interface, therefore
`pyproject.toml` bounds its version.
"""

import re
import sys
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from tyro import _errors

from shards.errors import UserError, nearest

if TYPE_CHECKING:
    from tyro._arguments import ArgumentDefinition

PLAIN_WORDS = (
    (r"invalid literal for int\(\) with base 10: (.+)", "not a whole number"),
    (r"could not convert string to float: (.+)", "not a number"),
)
"""Python's messages about a value, which they quote, and what we say of it."""


@contextmanager
def plain_mistakes(command: str, flags: Collection[str]) -> Iterator[None]:
    """Raise `UserError` for what tyro would refuse meanwhile. `flags`: those of the command."""

    def refuse(event: _errors.ParseErrorEvent) -> None:
        raise _refusal(event, command, flags) from None

    with _errors.on_parse_error(refuse):
        yield


def _refusal(event: "_errors.ParseErrorEvent", command: str, flags: Collection[str]) -> UserError:
    see = f"{command} --help"
    if isinstance(event, _errors.MissingArgs):
        names = ", ".join(_name(missing.arg) for missing in event.missing_arguments)
        return UserError(f"{names}: missing", see)
    if isinstance(event, _errors.UnrecognizedArgs):
        return refusal_of_unknown(event.tokens, command, flags)
    if isinstance(event, _errors.InvalidChoice):
        name = f"{_name(event.argument)} {event.value}"
        return UserError(f"{name}: no such choice", nearest(event.value, event.choices))
    if isinstance(event, _errors.BadValue):
        its_value = "" if event.argument.is_positional() else "its value is "
        return UserError(f"{_name(event.argument)}: {its_value}missing", see)
    if isinstance(event, _errors.InstantiationFailure):
        return _refusal_of_value(event, see)
    return UserError(f"{command}: the arguments do not fit together", see)


def refusal_of_unknown(tokens: Collection[str], command: str, flags: Collection[str]) -> UserError:
    """The error for arguments that no parameter takes."""
    first = next((token for token in tokens if token.startswith("-")), "")
    if not first:
        return UserError(f"{next(iter(tokens))}: unexpected argument", f"{command} --help")

    option = first.split("=", 1)[0]
    hint = nearest(option, flags)
    # a list of all flags is longer than the help is
    return UserError(
        f"{option}: no such option", f"{command} --help" if hint.startswith("known: ") else hint
    )


def _refusal_of_value(event: "_errors.InstantiationFailure", see: str) -> UserError:
    """The error for a value of the wrong type, or one that a table refuses."""
    if event.argument is not None:
        name = _name(event.argument)
        for pattern, words in PLAIN_WORDS:
            found = re.search(pattern, event.message)
            if found:
                return UserError(f"{name}: {found[1]} is {words}", see)
        return UserError(f"{name}: {event.message}", see)

    # the event does not say which table refuses: only the exception that it stands for does
    raised = sys.exc_info()[1]
    place = getattr(raised, "arg", "")
    # and the table's own exception, from which that was raised, knows the remedy
    refusal = raised and (raised.__cause__ or raised.__context__)
    hint = getattr(refusal, "hint", "") or see
    return UserError(f"{place}: {event.message}" if place else event.message, hint)


def _name(argument: "ArgumentDefinition") -> str:
    """An argument as it is typed."""
    if argument.is_positional():
        return str(argument.lowered.metavar)
    return argument.lowered.name_or_flags[0]
