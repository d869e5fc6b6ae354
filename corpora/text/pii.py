"""Personal data in texts: mail addresses, phone numbers, addresses of computers, and numbers of
cards and accounts whose check digits are right.

By patterns alone: a name or a street is not found. A number counts as one of a phone when it is
written internationally (+49 30 1234567) or as in North America (555-123-4567), since others cannot
be told from years, sizes and ids. Time is linear in the text: no pattern repeats without a bound.
"""

import ipaddress
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

KINDS = ("mail", "account", "card", "ip", "phone")
"""In this order a piece of text is looked at: digits of an account are no phone number."""


@dataclass(frozen=True)
class Found:
    """Personal data of a kind: where it begins and ends in its text, in characters."""

    begin: int
    end: int
    kind: str


_MAIL = re.compile(
    r"(?<![\w.+-])[A-Za-z0-9](?:[\w.+-]{0,62}[A-Za-z0-9_])?"
    r"@(?:[A-Za-z0-9-]{1,63}\.){1,6}[A-Za-z]{2,24}(?![\w-])",
    re.ASCII,
)

_ACCOUNT = re.compile(
    r"(?<!\w)[A-Z]{2}\d{2}(?: ?[A-Z0-9]{4}){2,7}(?: ?[A-Z0-9]{1,3})?(?!\w)", re.ASCII
)

_CARD = re.compile(r"(?<![\w.,+-])[3-6]\d{3}(?:[ -]?\d){9,15}(?![\w-])", re.ASCII)

_IP4 = re.compile(r"(?<![\w.])\d{1,3}(?:\.\d{1,3}){3}(?![\w.-]*\w)", re.ASCII)

_IP6 = re.compile(r"(?<![\w:.])[0-9A-Fa-f:]{2,39}(?![\w:])", re.ASCII)

_PHONE = re.compile(
    r"(?<![\w+])(?:\+\d{1,3}(?:[ ./-]?\(?\d{1,5}\)?){2,6}|(?:\(\d{3}\) ?|\d{3}[-.])\d{3}[-.]\d{4})"
    r"(?![\w-])",
    re.ASCII,
)

LENGTHS_OF_ACCOUNTS = (15, 34)
"""The least and most characters of an IBAN (ISO 13616)."""


def passes_luhn(digits: str) -> bool:
    """Whether the last digit of a card's number is the check digit of the others (ISO 7812)."""
    total = 0
    for place, digit in enumerate(reversed(digits)):
        value = int(digit) * (1 + place % 2)
        total += value - 9 if value > 9 else value
    return total % 10 == 0


def passes_mod_97(account: str) -> bool:
    """Whether the check digits of an IBAN are right (ISO 7064): 1 modulo 97, letters as numbers."""
    turned = account[4:] + account[:4]
    return int("".join(str(int(character, 36)) for character in turned)) % 97 == 1


def _is_account(text: str) -> bool:
    account = text.replace(" ", "")
    least, most = LENGTHS_OF_ACCOUNTS
    return least <= len(account) <= most and passes_mod_97(account)


def _is_card(text: str) -> bool:
    digits = re.sub("[ -]", "", text)
    return 13 <= len(digits) <= 19 and len(set(digits)) > 1 and passes_luhn(digits)


def _is_address(text: str) -> bool:
    if ":" in text and text.count(":") < 2:
        return False
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    # The name of the loop alone, such as `::` in source code, is no address of anybody.
    return len(text) > 4


def _is_phone(text: str) -> bool:
    return 8 <= sum(character.isdigit() for character in text) <= 15


def _always(text: str) -> bool:
    return True


_PATTERNS: tuple[tuple[str, re.Pattern[str], Callable[[str], bool]], ...] = (
    ("mail", _MAIL, _always),
    ("account", _ACCOUNT, _is_account),
    ("card", _CARD, _is_card),
    ("ip", _IP4, _is_address),
    ("ip", _IP6, _is_address),
    ("phone", _PHONE, _is_phone),
)

_HINT = re.compile(r"@|\d{3}|::|:[0-9A-Fa-f]{1,4}:|\d\.\d", re.ASCII)
"""What every text with personal data has: most texts need no more than this look."""


def find(text: str, kinds: tuple[str, ...] = KINDS) -> list[Found]:
    """The personal data of these kinds in a text, in order; no two overlap."""
    if not _HINT.search(text):
        return []

    found: list[Found] = []
    for kind, pattern, is_right in _PATTERNS:
        if kind not in kinds:
            continue
        for match in pattern.finditer(text):
            if is_right(match[0]) and not _overlaps(found, match.start(), match.end()):
                found.append(Found(match.start(), match.end(), kind))
    return sorted(found, key=lambda one: one.begin)


def _overlaps(found: list[Found], begin: int, end: int) -> bool:
    return any(begin < one.end and one.begin < end for one in found)


def masked(text: str, found: list[Found]) -> str:
    """The text with the name of its kind, as [mail], in place of all that was found."""
    return "".join(_pieces(text, found))


def without(text: str, kinds: tuple[str, ...] = KINDS) -> str:
    """The text with the personal data of these kinds masked."""
    return masked(text, find(text, kinds))


def _pieces(text: str, found: list[Found]) -> Iterator[str]:
    at = 0
    for one in found:
        yield text[at : one.begin]
        yield f"[{one.kind}]"
        at = one.end
    yield text[at:]


def example(text: str) -> str:
    """Personal data as it may be shown: its first letter or digit of each part, the rest as
    stars."""
    return re.sub(r"(\w)(\w*)", lambda match: match[1] + "*" * len(match[2]), text)
