"""One key for the many spellings of an address, by a table of rules.

The key says that two addresses fetch the same page; it is no address itself (it has no scheme). It
is made of the fetched address alone: a page's own `rel=canonical` is often wrong and is kept as a
column only.

    rule                         example                                   becomes
    scheme and www               https://www.a.com/x                       a.com/x
    case of the host, dot, port  http://A.COM.:80/x                        a.com/x
    trailing slash               http://a.com/x/                           a.com/x
    fragment                     http://a.com/x#top                        a.com/x     (a `#!` stays: it names a page)
    tracking parameters          http://a.com/x?utm_source=b&id=3          a.com/x?id=3
    order of parameters          http://a.com/x?b=2&a=1                    a.com/x?a=1&b=2
    percent signs                http://a.com/%7eb/%c3%a9 and http://a.com/~b/é     a.com/~b/%C3%A9
    dots and double slashes      http://a.com//x/../y                      a.com/y
"""

import posixpath
import re
from urllib.parse import quote, unquote, unquote_to_bytes, urlsplit

from tld import get_fld

TRACKING = frozenset(
    """
    fbclid gclid gclsrc dclid gbraid wbraid msclkid yclid ysclid twclid ttclid igshid igsh mc_cid mc_eid mkt_tok _ga _gl
    _hsenc _hsmi hsctatracking vero_id oly_anon_id oly_enc_id wickedid rb_clickid s_cid cmpid cmp icid ncid ocid smid
    soc_src soc_trk sr_share taid xtor wt_mc wt.mc_id wt.mc_ev zanpid __twitter_impression ns_campaign ns_mchannel ns_source
    ns_linkname ns_fee at_medium at_campaign at_custom1 at_custom2 at_custom3 at_custom4 spm feature_share trk trkcampaign
    """.split()
)
"""Query parameters, in lower case, that say where a reader came from and not what is read."""

TRACKING_PREFIXES = ("utm_", "pk_", "piwik_", "mtm_", "hsa_", "matomo_")

_PORTS = {"http": "80", "https": "443"}

_WWW = re.compile(r"^www\d?\.(?=[^.]+\.)")

_IP = re.compile(r"[\d.]+")

_KEPT = "!$&'()*+,;=:@/?%[]"


def canonical_url(url: str) -> str:
    """The key of an address. An address that is not http(s), or that cannot be read, is its own
    key."""
    url = url.strip()
    try:
        parts = urlsplit(url)
        host = (parts.hostname or "").rstrip(".")
        port = str(parts.port or "")
    except ValueError:
        return url
    if parts.scheme.lower() not in _PORTS or not host:
        return url
    host = _WWW.sub("", _ascii_host(host.lower())) if ":" not in host else f"[{host}]"
    if port and port != _PORTS[parts.scheme.lower()]:
        host += f":{port}"
    path = _escaped(parts.path)
    path = posixpath.normpath(path).lstrip("/") if path.strip("/") else ""
    query = "&".join(
        sorted(_escaped(item) for item in parts.query.split("&") if item and not _is_tracking(item))
    )
    fragment = f"#{_escaped(parts.fragment)}" if parts.fragment.startswith("!") else ""
    return "/".join(filter(None, (host, path))) + (f"?{query}" if query else "") + fragment


def host_of(url: str) -> str:
    """The host of an address in one spelling: lower case, ASCII, without `www.`, port and dot at
    its end; "" where there is none."""
    try:
        host = (urlsplit(url.strip()).hostname or "").rstrip(".")
    except ValueError:
        return ""
    return _WWW.sub("", _ascii_host(host.lower()))


def domain_of(url: str) -> str:
    """The name that was registered for an address's host, by the public suffix list (`bbc.co.uk`);
    "" for an IP address and the like."""
    host = host_of(url)
    return (
        (get_fld(host, fix_protocol=True, fail_silently=True) or "")
        if "." in host and not _IP.fullmatch(host)
        else ""
    )


def _is_tracking(item: str) -> bool:
    name = unquote(item.partition("=")[0]).lower()
    return name in TRACKING or name.startswith(TRACKING_PREFIXES)


def _ascii_host(host: str) -> str:
    try:
        return host.encode("idna").decode("ascii")
    except UnicodeError:
        return host


def _escaped(text: str) -> str:
    """Every character one spelling: escapes of plain characters undone, all else escaped, in
    capitals; `%2F` stays itself."""
    kept = re.sub(
        r"%(2[0-9A-CFa-cf]|3[A-Fa-f]|40|5[BDbd])", lambda match: f"%25{match[1].upper()}", text
    )
    kept = re.sub(r"%(?![0-9A-Fa-f]{2})", "%25", kept)
    return quote(unquote_to_bytes(kept), safe=_KEPT)
