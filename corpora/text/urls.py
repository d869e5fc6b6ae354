"""One key for the many spellings of an address, by a table of rules.

Two addresses with the same key fetch the same page. The key is not an address itself: it has no
scheme. It depends on the fetched address alone; a page's own `rel=canonical` is often wrong and is
kept as a column only.

    rule                         example                             becomes
    scheme and www               https://www.a.com/x                 a.com/x
    case of the host, dot, port  http://A.COM.:80/x                  a.com/x
    trailing slash               http://a.com/x/                     a.com/x
    fragment                     http://a.com/x#top                  a.com/x
                                 (`#!` stays: it names a page)
    tracking parameters          http://a.com/x?utm_source=b&id=3    a.com/x?id=3
    order of parameters          http://a.com/x?b=2&a=1              a.com/x?a=1&b=2
    percent signs                http://a.com/%7eb/%c3%a9            a.com/~b/%C3%A9
                                 http://a.com/~b/é                   a.com/~b/%C3%A9
    dots and double slashes      http://a.com//x/../y                a.com/y
"""

import posixpath
import re
from urllib.parse import quote, unquote, unquote_to_bytes, urlsplit

import idna
from tld import get_fld

TRACKING = frozenset(
    """
    fbclid gclid gclsrc dclid gbraid wbraid msclkid yclid ysclid twclid ttclid igshid igsh
    mc_cid mc_eid mkt_tok _ga _gl _hsenc _hsmi hsctatracking vero_id oly_anon_id oly_enc_id
    wickedid rb_clickid s_cid cmpid cmp icid ncid ocid smid soc_src soc_trk sr_share taid xtor
    wt_mc wt.mc_id wt.mc_ev zanpid __twitter_impression ns_campaign ns_mchannel ns_source
    ns_linkname ns_fee at_medium at_campaign at_custom1 at_custom2 at_custom3 at_custom4 spm
    feature_share trk trkcampaign
    """.split()
)
"""Query parameters, in lower case, that tell where a reader came from and not which page it is."""

TRACKING_PREFIXES = ("utm_", "pk_", "piwik_", "mtm_", "hsa_", "matomo_")

_PORTS = {"http": "80", "https": "443"}

_WWW = re.compile(r"^www\d?\.(?=[^.]+\.)")

_IP = re.compile(r"[\d.]+")

_KEPT = "!$&'()*+,;=:@/?%[]"


def canonical_url(url: str) -> str:
    """The key of an address. An address that is not http(s) or cannot be read is its own key."""
    url = url.strip()
    try:
        parts = urlsplit(url)
        host = (parts.hostname or "").rstrip(".")
        port = str(parts.port or "")
    except ValueError:
        return url
    scheme = parts.scheme.lower()
    if scheme not in _PORTS or not host:
        return url

    host = f"[{host}]" if ":" in host else _plain_host(host)  # a colon: an address of IPv6
    if port and port != _PORTS[scheme]:
        host += f":{port}"

    path = _escaped(parts.path)
    path = posixpath.normpath(path).lstrip("/") if path.strip("/") else ""

    key = f"{host}/{path}" if path else host
    items = [item for item in parts.query.split("&") if item and not _is_tracking(item)]
    if items:
        key += "?" + "&".join(sorted(map(_escaped, items)))
    if parts.fragment.startswith("!"):
        key += f"#{_escaped(parts.fragment)}"
    return key


def host_of(url: str) -> str:
    """The host of an address in one spelling: lower case, ASCII, without `www.`, port and final
    dot; "" if there is none."""
    try:
        host = (urlsplit(url.strip()).hostname or "").rstrip(".")
    except ValueError:
        return ""
    return _plain_host(host)


def domain_of(url: str) -> str:
    """The registered name of an address's host, by the public suffix list (`bbc.co.uk`); "" for an
    IP address and the like."""
    host = host_of(url)
    if "." not in host or _IP.fullmatch(host):
        return ""
    return get_fld(host, fix_protocol=True, fail_silently=True) or ""


def _is_tracking(item: str) -> bool:
    name = unquote(item.partition("=")[0]).lower()
    return name in TRACKING or name.startswith(TRACKING_PREFIXES)


def _plain_host(host: str) -> str:
    """The host in lower case and ASCII, without `www.`."""
    host = host.lower()
    if not host.isascii():
        try:
            # As browsers do (IDNA 2008 by UTS 46): ß and ss are different names.
            host = idna.encode(host, uts46=True, transitional=False).decode("ascii")
        except (idna.IDNAError, UnicodeError):
            host = _old_name(host)
    return _WWW.sub("", host)


def _old_name(host: str) -> str:
    """The ASCII form of a name that IDNA 2008 forbids, such as one with an emoji, label by label;
    the host as it is if DNS could not know it."""
    try:
        composed = idna.uts46_remap(host, std3_rules=False, transitional=False)
        labels = [_punycode(label) for label in composed.split(".")]
    except (idna.IDNAError, UnicodeError):
        return host
    return ".".join(labels) if all(0 < len(label) < 64 for label in labels) else host


def _punycode(label: str) -> str:
    return label if label.isascii() else f"xn--{label.encode('punycode').decode('ascii')}"


def _escaped(text: str) -> str:
    """Every character in one spelling: escapes of plain characters are undone, all others are
    escaped, in capitals. `%2F` stays as it is: an escaped separator separates nothing."""
    kept = re.sub(
        r"%(2[0-9A-CFa-cf]|3[A-Fa-f]|40|5[BDbd])", lambda match: f"%25{match[1].upper()}", text
    )
    kept = re.sub(r"%(?![0-9A-Fa-f]{2})", "%25", kept)
    return quote(unquote_to_bytes(kept), safe=_KEPT)
