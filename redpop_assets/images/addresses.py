"""Which network addresses may be asked for an image: public ones, and hosts that a setting names.

Image URLs are written by strangers, so a URL must not become a request to this machine, to its network or to a cloud's
metadata service. The rule is about addresses and not about spellings, and it is kept at three places that do not rely
on one another: literal addresses in a URL (`parse_literal`), names when they are resolved, and every socket at the
moment it is opened (`GuardedResolver`).
"""

import ipaddress
import socket
from collections.abc import Collection
from ipaddress import IPv4Address, IPv6Address

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult

from redpop_assets.errors import RedPopError

# Python 3.11 counts these as global. IPv4: protocol assignments (RFC 6890) and the abandoned 6to4 relays (RFC 7526).
_REFUSED_V4 = (ipaddress.IPv4Network("192.0.0.0/24"), ipaddress.IPv4Network("192.88.99.0/24"))
# Everything unicast that the internet routes lies in 2000::/3 (RFC 4291); inside it, protocol assignments with Teredo
# (RFC 2928) and documentation (RFC 9637) are taken out again.
_GLOBAL_V6 = ipaddress.IPv6Network("2000::/3")
_REFUSED_V6 = (ipaddress.IPv6Network("2001::/23"), ipaddress.IPv6Network("3fff::/20"))
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")  # RFC 6052; the local-use prefix 64:ff9b:1::/48 stays refused


class BlockedAddress(RedPopError):
    """The address is not on the public internet and no setting allows it."""


def is_public(address: str | IPv4Address | IPv6Address) -> bool:
    """Say whether an IP address is a unicast address of the public internet.

    IPv4 addresses inside IPv6 ones (mapped, 6to4, NAT64) are judged as the IPv4 address that the packet would reach.
    Text that is no canonical address, and a link-local address with a zone, are not public.
    """
    try:
        ip = ipaddress.ip_address(address)
    except ValueError:
        return False
    if isinstance(ip, IPv4Address):
        ordinary = ip.is_global and not (ip.is_multicast or ip.is_reserved or ip.is_unspecified)
        return ordinary and not any(ip in network for network in _REFUSED_V4)
    if ip.scope_id is not None:
        return False
    embedded = ip.ipv4_mapped or ip.sixtofour or (IPv4Address(int(ip) & 0xFFFFFFFF) if ip in _NAT64 else None)
    if embedded is not None:
        return is_public(embedded)
    return ip in _GLOBAL_V6 and ip.is_global and not any(ip in network for network in _REFUSED_V6)


def parse_literal(host: str) -> IPv4Address | IPv6Address | None:
    """Read a URL's host as an address in any spelling a system resolver accepts, or return None for a name.

    Knows `127.1`, `0x7f.1`, `2130706433`, `0177.0.0.1`, a trailing dot and bracketed IPv6.

    Raises:
        ValueError: The host ends in a number, so it cannot be a name, yet it is no address (`1.2.3.4.5`, `08.1.1.1`).
    """
    bare = host.removeprefix("[").removesuffix("]").rstrip(".")
    if ":" in bare:
        return ipaddress.ip_address(bare)
    last = bare.rpartition(".")[2].lower()
    if not (last.isdigit() or last.startswith("0x")):
        return None
    try:
        return IPv4Address(socket.inet_aton(bare))
    except OSError as error:
        raise ValueError(f"{host!r} is neither a name nor an address") from error


def is_allowed(host: str, port: int, allowed_hosts: Collection[str]) -> bool:
    """Say whether a setting names this endpoint: `host` (any port) or `host:port`, for IPv6 `[::1]:8080`."""
    name = host.removeprefix("[").removesuffix("]").rstrip(".").lower()
    with_port = f"[{name}]:{port}" if ":" in name else f"{name}:{port}"
    entries = {entry.strip().lower() for entry in allowed_hosts}
    return bool(entries & {name, f"[{name}]", with_port})


def check_literal(host: str, port: int, allowed_hosts: Collection[str]) -> IPv4Address | IPv6Address | None:
    """Return the address if the host is one and may be asked, None if the host is a name.

    Raises:
        BlockedAddress: The address is neither public nor allowed.
        ValueError: The host is neither a name nor an address.
    """
    address = parse_literal(host)
    if address is not None and not is_public(address) and not is_allowed(str(address), port, allowed_hosts):
        raise BlockedAddress(
            f"{host} is the non-public address {address}; add it to the allowed hosts to fetch from it."
        )
    return address


class GuardedResolver(AbstractResolver):
    """Resolves names for aiohttp and refuses a name unless every one of its addresses may be asked.

    aiohttp connects to the very addresses that `resolve` returns, so a second answer of the name server (DNS rebinding)
    is never used. aiohttp does not ask a resolver about literal addresses: `open_socket` therefore judges each address
    once more when its socket is made, whatever way led there. `connector` wires both.

    Args:
        allowed_hosts: Endpoints that may be private, each `host` or `host:port`.
        inner: Who answers for names; the system's resolver, in threads, by default.
    """

    def __init__(self, allowed_hosts: Collection[str] = frozenset(), inner: AbstractResolver | None = None) -> None:
        self._allowed_hosts = frozenset(allowed_hosts)
        self._inner = inner if inner is not None else aiohttp.ThreadedResolver()
        self._approved: set[tuple[str, int]] = set()

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        """Resolve a name to addresses that may all be asked.

        Raises:
            BlockedAddress: At least one address is not public and the endpoint is not allowed.
            OSError: The name does not resolve.
        """
        results = await self._inner.resolve(host, port, family)
        if is_allowed(host, port, self._allowed_hosts):
            self._approved.update((result["host"], result["port"]) for result in results)
            return results
        for result in results:
            if not is_public(result["host"]):
                raise BlockedAddress(
                    f"{host} resolves to the non-public address {result['host']}; "
                    f"add {host}:{port} to the allowed hosts to fetch from it."
                )
        return results

    def open_socket(self, addr_info: tuple[int, int, int, str, tuple[str | int, ...]]) -> socket.socket:
        """Make the socket for one address of `getaddrinfo` form (aiohttp's `socket_factory`).

        Behind `resolve` and `check_literal` nothing should ever be refused here. If it is, and the host has several
        addresses, aiohttp surfaces the refusal as an error of its own making; no connection is made in either case.

        Raises:
            BlockedAddress: The address is neither public, nor allowed, nor one to which an allowed name resolved.
        """
        family, kind, protocol, _, endpoint = addr_info
        address, port = str(endpoint[0]), int(endpoint[1])
        if not (
            is_public(address) or (address, port) in self._approved or is_allowed(address, port, self._allowed_hosts)
        ):
            raise BlockedAddress(f"{address} is not public; add it to the allowed hosts to fetch from it.")
        return socket.socket(family, kind, protocol)

    def connector(self, *, connections: int, per_host: int) -> aiohttp.TCPConnector:
        """Return a connector (bound to the running loop) that reaches addresses only through this guard."""
        return aiohttp.TCPConnector(
            resolver=self,
            socket_factory=self.open_socket,
            limit=connections,
            limit_per_host=per_host,
            ttl_dns_cache=300,
        )

    async def close(self) -> None:
        """Release the inner resolver."""
        await self._inner.close()
