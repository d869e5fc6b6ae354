"""The key of an address: row 40 of the list of defects."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from corpora.text.urls import canonical_url, domain_of, host_of

KEY = "example.com/news/story?id=3"


@pytest.mark.parametrize(
    "url",
    [
        "http://example.com/news/story?id=3",
        "https://example.com/news/story?id=3",
        "https://www.example.com/news/story?id=3",
        "HTTPS://WWW.Example.COM:443/news/story?id=3",
        "http://example.com./news/story/?id=3",
        "http://example.com/news/story?id=3#comments",
        "http://example.com/news/story?id=3&utm_source=x&utm_medium=y",
        "http://example.com/news/story?fbclid=IwAR0&id=3",
        "http://example.com//news/./old/../story?id=3",
        "http://example.com/ne%77s/%73tory?id=%33",
        "http://user:secret@example.com/news/story?id=3&",
        "  http://example.com:80/news/story?id=3  ",
    ],
)
def test_spellings_of_one_address(url: str) -> None:
    assert canonical_url(url) == KEY


@pytest.mark.parametrize(
    "url",
    [
        "http://example.com/news/story?id=4",
        "http://example.com/News/story?id=3",
        "http://example.com:8080/news/story?id=3",
        "http://blog.example.com/news/story?id=3",
        "http://example.com/news/story?id=3&page=2",
        "http://example.com/news%2Fstory?id=3",
        "http://example.com/news/story?id=3#!page2",
        "http://www.com/news/story?id=3",
    ],
)
def test_other_addresses(url: str) -> None:
    assert canonical_url(url) != KEY


def test_order_of_parameters_and_other_rules() -> None:
    assert (
        canonical_url("http://a.com/x?b=2&a=1")
        == canonical_url("https://a.com/x/?a=1&b=2")
        == "a.com/x?a=1&b=2"
    )
    assert (
        canonical_url("http://a.com/%7eb/%c3%a9")
        == canonical_url("http://a.com/~b/é")
        == "a.com/~b/%C3%A9"
    )
    assert canonical_url("http://bücher.example/") == "xn--bcher-kva.example"
    assert canonical_url("http://[::1]:8080/x") == "[::1]:8080/x"
    for other in (
        "hard://:x",
        "dns:example.com",
        "",
        "http://",
        "http://a.com:99999/x",
        "http://[::1/",
    ):
        assert canonical_url(other) == other


@given(st.text(alphabet="abz/.?&=#%20éA:@[]~+!", max_size=40))
def test_the_key_is_its_own_key(tail: str) -> None:
    key = canonical_url(f"http://a.com/{tail}")
    assert (
        key.startswith(("a.com", "http://"))
        and canonical_url(f"https://www.{key}" if key.startswith("a.com") else key) == key
    )


@pytest.mark.parametrize(
    ("url", "host", "domain"),
    [
        ("https://www.BBC.co.uk:443/news", "bbc.co.uk", "bbc.co.uk"),
        ("http://news.bbc.co.uk./x", "news.bbc.co.uk", "bbc.co.uk"),
        ("http://www2.example.com/", "example.com", "example.com"),
        ("http://someone.blogspot.com/", "someone.blogspot.com", "someone.blogspot.com"),
        ("http://bücher.de/x", "xn--bcher-kva.de", "xn--bcher-kva.de"),
        ("http://192.0.2.7:8080/x", "192.0.2.7", ""),
        ("http://[2001:db8::1]/x", "2001:db8::1", ""),
        ("http://localhost/x", "localhost", ""),
        ("http://co.uk/x", "co.uk", "co.uk"),
        ("http://example.notatld/x", "example.notatld", ""),
        ("dns:example.com", "", ""),
        ("http://[", "", ""),
        ("", "", ""),
    ],
)
def test_host_and_domain(url: str, host: str, domain: str) -> None:
    assert (host_of(url), domain_of(url)) == (host, domain)
