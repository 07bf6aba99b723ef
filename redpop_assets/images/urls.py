"""What a URL must look like before it is asked, and the one spelling in which it is asked."""

import re
from collections.abc import Collection
from dataclasses import dataclass
from ipaddress import IPv6Address
from urllib.parse import quote, urljoin, urlsplit

from yarl import URL

from redpop_assets.errors import RedPopError
from redpop_assets.images.addresses import BlockedAddress, check_literal, is_allowed

MAX_URL_LENGTH = 2048
_DEFAULT_PORTS = {"http": 80, "https": 443}
_NAME = re.compile(r"(?!-)[a-z0-9_-]{1,63}(\.[a-z0-9_-]{1,63})*\.?")
# Signed URLs break when an encoder rewrites what is already encoded: only what may not stand in a URL is touched.
_PRINTABLE = "".join(map(chr, range(0x7F)))
_KEPT = "%/:?#[]@!$&'()*+,;=~"


class UrlRefused(RedPopError):
    """A URL that is not asked; `reason` is its reason code."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason


@dataclass(frozen=True)
class Target:
    """A URL that may be asked: its only spelling, its host (lower-case, IDNA) and port."""

    url: URL
    host: str
    port: int

    @property
    def site(self) -> str:
        """`host:port`, the unit of politeness."""
        return f"{self.host}:{self.port}"


def target_of(text: str, allowed_hosts: Collection[str] = frozenset()) -> Target:
    """Normalise a URL and check everything that can be checked without the network.

    The request URL is put together again from checked parts, so that no two parsers can disagree about its host. The
    fragment is dropped.

    Raises:
        UrlRefused: With reason `unsupported_scheme`, `bad_url` (malformed, too long, with credentials) or
            `blocked_address` (a literal address that is not public, a port other than 80 and 443).
    """
    text = text.strip()
    if len(text) > MAX_URL_LENGTH:
        raise UrlRefused("bad_url", f"The URL has {len(text)} characters, more than {MAX_URL_LENGTH}.")
    if "\\" in text or not text.isprintable():
        raise UrlRefused("bad_url", "The URL holds a backslash or a control character.")
    try:
        parts = urlsplit(text)
        port = parts.port or _DEFAULT_PORTS.get(parts.scheme, 0)
    except ValueError as error:
        raise UrlRefused("bad_url", f"The URL cannot be parsed: {error}.") from error
    if parts.scheme not in _DEFAULT_PORTS:
        raise UrlRefused("unsupported_scheme", f"The scheme {parts.scheme!r} is neither http nor https.")
    if "@" in parts.netloc:
        raise UrlRefused("bad_url", "The URL carries credentials.")
    host = _ascii_host(parts.hostname or "")
    try:
        address = check_literal(host, port, allowed_hosts)
    except BlockedAddress as error:
        raise UrlRefused("blocked_address", str(error)) from error
    except ValueError as error:
        raise UrlRefused("bad_url", f"The URL has no usable host: {error}.") from error
    if address is not None:
        host = f"[{address}]" if isinstance(address, IPv6Address) else str(address)
    elif not _NAME.fullmatch(host) or len(host) > 253:
        raise UrlRefused("bad_url", f"{host!r} is no host name.")
    if port != _DEFAULT_PORTS[parts.scheme] and port not in (80, 443) and not is_allowed(host, port, allowed_hosts):
        raise UrlRefused(
            "blocked_address", f"Port {port} is neither 80 nor 443; add {host}:{port} to the allowed hosts."
        )
    path = quote(parts.path, safe=_KEPT) or "/"
    query = f"?{quote(parts.query, safe=_KEPT)}" if parts.query else ""
    return Target(URL(f"{parts.scheme}://{host}:{port}{path}{query}", encoded=True), host, port)


def redirect_of(target: Target, location: str, allowed_hosts: Collection[str] = frozenset()) -> Target:
    """Return where a redirect leads, checked like any other URL.

    Raises:
        UrlRefused: As `target_of`, and `insecure_redirect` for a way from https back to http.
    """
    try:
        # Bytes that are no UTF-8 are passed on as they are.
        location = quote(location.strip(), safe=_PRINTABLE, errors="surrogateescape")
        joined = urljoin(str(target.url), location)
    except ValueError as error:
        raise UrlRefused("bad_url", f"The redirect cannot be parsed: {error}.") from error
    following = target_of(joined, allowed_hosts)
    if target.url.scheme == "https" and following.url.scheme != "https":
        raise UrlRefused("insecure_redirect", f"Redirected from https to {following.url}.")
    return following


def _ascii_host(host: str) -> str:
    """Lower-case IDNA form of a host; IPv6 literals pass unchanged."""
    if ":" in host:
        return host
    try:
        return (URL.build(scheme="http", host=host).raw_host or "").lower()
    except ValueError as error:
        raise UrlRefused("bad_url", f"{host!r} is no host name: {error}.") from error
