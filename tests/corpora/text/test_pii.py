"""Personal data: what is found and what is not, check digits, masks; time is linear."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from corpora.text.pii import KINDS, example, find, masked, passes_luhn, passes_mod_97

FOUND = [
    ("write to jane.doe+news@mail.example.org.", "mail", "jane.doe+news@mail.example.org"),
    ("<a_b@x-y.de>", "mail", "a_b@x-y.de"),
    ("call +49 30 901820 now", "phone", "+49 30 901820"),
    ("(555) 123-4567", "phone", "(555) 123-4567"),
    ("tel. 555-123-4567,", "phone", "555-123-4567"),
    ("tel:+1 (212) 555 0199", "phone", "+1 (212) 555 0199"),
    ("from 192.168.0.1: refused", "ip", "192.168.0.1"),
    ("at 2001:db8::ff00:42:8329 it", "ip", "2001:db8::ff00:42:8329"),
    ("card 4111 1111 1111 1111, valid", "card", "4111 1111 1111 1111"),
    ("card 5500-0000-0000-0004", "card", "5500-0000-0000-0004"),
    ("IBAN DE89 3704 0044 0532 0130 00 please", "account", "DE89 3704 0044 0532 0130 00"),
    ("GB82WEST12345698765432.", "account", "GB82WEST12345698765432"),
]

NOT_FOUND = [
    "card 4111 1111 1111 1112",  # a wrong check digit
    "DE88 3704 0044 0532 0130 00",
    "0000 0000 0000 0000",
    "version 1.2.3.4.5 and 300.1.1.1 and 1.2.3",
    "std::vector<int>, a::b and 10:30:00",
    "on 2019-04-25, 12:30, pages 1234-5678",
    "ISBN 978-3-16-148410-0 and 1,234,567 of 12345678901234",
    "@jane, jane@home, a@b.c",
    "x = y @ z.shape",
]


@pytest.mark.parametrize(("text", "kind", "wanted"), FOUND)
def test_what_is_found(text: str, kind: str, wanted: str) -> None:
    (one,) = find(text)
    assert (one.kind, text[one.begin : one.end]) == (kind, wanted)
    assert masked(text, [one]) == text.replace(wanted, f"[{kind}]")
    assert find(masked(text, [one])) == []
    assert find(text, tuple(other for other in KINDS if other != kind)) == []


@pytest.mark.parametrize("text", NOT_FOUND)
def test_what_is_none(text: str) -> None:
    assert find(text) == []


def test_several_in_one_text_in_order() -> None:
    text = "; ".join(text for text, _, _ in FOUND)
    assert [one.kind for one in find(text)] == [kind for _, kind, _ in FOUND]


@given(digits=st.text("0123456789", min_size=12, max_size=18))
def test_one_of_ten_last_digits_passes(digits: str) -> None:
    assert sum(passes_luhn(digits + str(last)) for last in range(10)) == 1


def test_check_digits_of_accounts() -> None:
    accounts = ["GB82WEST12345698765432", "FR1420041010050500013M02606", "NO9386011117947"]
    assert all(passes_mod_97(account) for account in accounts)
    wrong = [
        account[:2] + f"{(int(account[2:4]) + 1) % 100:02d}" + account[4:] for account in accounts
    ]
    assert not any(passes_mod_97(account) for account in wrong)


@given(text=st.text(st.sampled_from("a1@. +-:()4DE"), max_size=80))
def test_masks_of_any_text(text: str) -> None:
    found = find(text)
    assert all(left.end <= right.begin for left, right in zip(found, found[1:]))
    assert find(masked(text, found)) == [] or found


@pytest.mark.parametrize(
    "piece", ["a", "1", "1.", "+1 ", "a.b", "a@", "4 ", "DE89 ", "::", "(1", "f:"]
)
def test_time_is_linear(piece: str) -> None:
    text = piece * (200_000 // len(piece)) + " @ 123 ::"
    begin = time.process_time()
    find(text)
    assert time.process_time() - begin < 5


def test_examples_show_no_more_than_first_letters() -> None:
    assert example("jane.doe@mail.example.org") == "j***.d**@m***.e******.o**"
    assert example("+49 30 901820") == "+4* 3* 9*****"
