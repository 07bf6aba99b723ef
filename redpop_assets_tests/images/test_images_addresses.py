import asyncio
import ipaddress
import socket

import aiohttp
import pytest
from aiohttp.abc import AbstractResolver, ResolveResult
from hypothesis import given
from hypothesis import strategies as st

from redpop_assets.images.addresses import (
    BlockedAddress,
    GuardedResolver,
    check_literal,
    is_allowed,
    is_public,
    parse_literal,
)
from redpop_assets.images.urls import UrlRefused, redirect_of, target_of

# IANA special-purpose registries, and the multicast and reserved blocks.
PRIVATE_V4 = [
    "0.0.0.0/8",
    "10.0.0.0/8",
    "100.64.0.0/10",
    "127.0.0.0/8",
    "169.254.0.0/16",
    "172.16.0.0/12",
    "192.0.0.0/24",
    "192.0.2.0/24",
    "192.88.99.0/24",
    "192.168.0.0/16",
    "198.18.0.0/15",
    "198.51.100.0/24",
    "203.0.113.0/24",
    "224.0.0.0/4",
    "240.0.0.0/4",
]
PRIVATE_V6 = [
    "::/8",
    "100::/8",
    "64:ff9b:1::/48",
    "2001::/23",
    "2001:db8::/32",
    "3fff::/20",
    "4000::/3",
    "5f00::/16",
    "fc00::/7",
    "fe80::/10",
    "fec0::/10",
    "ff00::/8",
]
PUBLIC_V4 = ["1.1.1.1", "8.8.8.8", "99.255.255.255", "100.128.0.0", "151.101.1.140", "172.32.0.1", "223.255.255.255"]


def inside(networks):
    parsed = [ipaddress.ip_network(network) for network in networks]
    return st.sampled_from(parsed).flatmap(
        lambda network: st.integers(int(network[0]), int(network[-1])).map(type(network[0]))
    )


@given(inside(PRIVATE_V4))
def test_no_special_ipv4_address_is_public_however_it_is_wrapped(ip):
    number = int(ip)
    assert not is_public(ip)
    assert not is_public(str(ip))
    for wrapped in (0xFFFF << 32 | number, 0x64FF9B << 96 | number, 0x2002 << 112 | number << 80, number):
        assert not is_public(ipaddress.IPv6Address(wrapped))


@given(inside(PRIVATE_V6).filter(lambda ip: ip.ipv4_mapped is None))
def test_no_special_ipv6_address_is_public(ip):
    assert not is_public(ip)


@pytest.mark.parametrize("text", PUBLIC_V4)
def test_public_ipv4_is_public_also_through_nat64_and_6to4(text):
    number = int(ipaddress.IPv4Address(text))
    assert is_public(text)
    for wrapped in (0xFFFF << 32 | number, 0x64FF9B << 96 | number, 0x2002 << 112 | number << 80):
        assert is_public(ipaddress.IPv6Address(wrapped))


def test_other_addresses():
    assert is_public("2606:4700::1111")
    assert is_public("2a04:4e42::396")
    assert not is_public("2606:4700::1111%eth0")
    assert not is_public("not an address")
    assert not is_public("127.1")


LOOPBACK_SPELLINGS = [
    "127.0.0.1",
    "127.1",
    "127.0.1",
    "0x7f.1",
    "0x7f.0.0.1",
    "0x7f000001",
    "0X7F000001",
    "2130706433",
    "0177.0.0.1",
    "017700000001",
    "127.0.0.1.",
    "0",
    "0.0.0.0",
    "１２７.０.０.１",
    "127。0。0。1",
    "①②⑦.0.0.1",
    "[::1]",
    "[::]",
    "[0:0:0:0:0:0:0:1]",
    "[::ffff:127.0.0.1]",
    "[::ffff:7f00:1]",
    "[::127.0.0.1]",
    "[64:ff9b::127.0.0.1]",
    "[2002:7f00:1::]",
    "[fe80::1%25lo]",
]


@pytest.mark.parametrize("host", LOOPBACK_SPELLINGS)
def test_every_spelling_of_this_machine_is_refused(host):
    with pytest.raises(UrlRefused) as refused:
        target_of(f"http://{host}/x.png")
    assert refused.value.reason == "blocked_address"


@given(inside(["0.0.0.0/0"]), st.sampled_from(["{:d}", "0x{:x}", "0{:o}"]))
def test_numeric_spellings_are_read_as_the_system_reads_them(ip, spelling):
    text = spelling.format(int(ip))
    assert str(parse_literal(text)) == socket.getaddrinfo(text, 80, type=socket.SOCK_STREAM)[0][4][0] == str(ip)


def test_names_and_non_addresses():
    assert parse_literal("i.redd.it") is None
    assert parse_literal("1.2.3.4.example") is None
    for nonsense in ("1.2.3.4.5", "08.1.1.1", "4294967296", "a.0x7f", "999.1"):
        with pytest.raises(ValueError, match="neither"):
            parse_literal(nonsense)


def test_allow_list_names_hosts_or_endpoints():
    allowed = frozenset({"LocalHost:81", "sandbox", "[::1]:90", "10.0.0.7"})
    assert is_allowed("localhost.", 81, allowed)
    assert not is_allowed("localhost", 82, allowed)
    assert is_allowed("sandbox", 5, allowed)
    assert not is_allowed("sandbox.example", 5, allowed)
    assert is_allowed("::1", 90, allowed)
    assert is_allowed("[::1]", 90, allowed)
    assert not is_allowed("::1", 91, allowed)
    assert str(check_literal("10.7", 1, allowed)) == "10.0.0.7"
    with pytest.raises(BlockedAddress, match="allowed hosts"):
        check_literal("10.0.0.8", 1, allowed)


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("ftp://example.com/a.png", "unsupported_scheme"),
        ("file:///etc/passwd", "unsupported_scheme"),
        ("//example.com/a.png", "unsupported_scheme"),
        ("/r/pics/comments/x", "unsupported_scheme"),
        ("", "unsupported_scheme"),
        ("http://", "bad_url"),
        ("http://user:secret@example.com/", "bad_url"),
        ("http://example.com\\@127.0.0.1/", "bad_url"),
        ("http://exa\tmple.com/", "bad_url"),
        ("http://example.com/\r\nHost: x", "bad_url"),
        ("http://exa mple.com/", "bad_url"),
        ("http://%31%32%37.0.0.1/", "bad_url"),
        ("http://1.2.3.4.5/", "bad_url"),
        ("http://[::1/", "bad_url"),
        ("http://example.com:99999/", "bad_url"),
        ("http://" + "a" * 64 + ".com/", "bad_url"),
        ("http://example.com/" + "a" * 2048, "bad_url"),
        ("http://example.com:22/", "blocked_address"),
    ],
)
def test_refused_urls(url, reason):
    with pytest.raises(UrlRefused) as refused:
        target_of(url)
    assert refused.value.reason == reason


@pytest.mark.parametrize(
    ("url", "asked"),
    [
        ("HTTPS://I.Redd.it/Abc.JPG#top", "https://i.redd.it/Abc.JPG"),
        (" http://example.com ", "http://example.com/"),
        ("http://bücher.example/ä b.png", "http://xn--bcher-kva.example/%C3%A4%20b.png"),
        ("https://preview.redd.it/x.jpg?width=9&s=a%2Cb+c%3D", "https://preview.redd.it/x.jpg?width=9&s=a%2Cb+c%3D"),
        ("http://134744072/", "http://8.8.8.8/"),
        ("http://[2606:4700::1111]/", "http://[2606:4700::1111]/"),
    ],
)
def test_normal_form(url, asked):
    assert str(target_of(url).url) == asked


def test_redirects_are_checked_like_urls_and_never_leave_https():
    here = target_of("https://example.com/a/b")
    assert str(redirect_of(here, "../c d").url) == "https://example.com/c%20d"
    assert str(redirect_of(here, "//other.example/x").url) == "https://other.example/x"
    assert str(redirect_of(target_of("http://example.com/"), "https://example.com/").url) == "https://example.com/"
    for location, reason in {
        "http://example.com/": "insecure_redirect",
        "https://169.254.169.254/latest/meta-data": "blocked_address",
        "https://[64:ff9b::a9fe:a9fe]/": "blocked_address",
        "file:///etc/passwd": "unsupported_scheme",
        "https://x@example.com/": "bad_url",
        "https://[": "bad_url",
    }.items():
        with pytest.raises(UrlRefused) as refused:
            redirect_of(here, location)
        assert refused.value.reason == reason, location


class Answers(AbstractResolver):
    """A name server that gives its answers one after the other."""

    def __init__(self, *answers: list[str]) -> None:
        self.answers = list(answers)
        self.asked = 0

    async def resolve(self, host, port=0, family=socket.AF_INET):  # noqa: ARG002
        addresses = self.answers[min(self.asked, len(self.answers) - 1)]
        self.asked += 1
        return [
            ResolveResult(hostname=host, host=address, port=port, family=socket.AF_INET, proto=0, flags=0)
            for address in addresses
        ]

    async def close(self) -> None:
        pass


def test_resolver_wants_every_address_public():
    async def run():
        assert len(await GuardedResolver(inner=Answers(["1.1.1.1", "8.8.8.8"])).resolve("good.example", 80)) == 2
        for addresses in (["1.1.1.1", "10.0.0.1"], ["127.0.0.1"], ["::ffff:169.254.169.254"], ["nonsense"]):
            with pytest.raises(BlockedAddress, match=r"bad\.example"):
                await GuardedResolver(inner=Answers(addresses)).resolve("bad.example", 80)
        allowed = GuardedResolver({"box.example:81"}, Answers(["127.0.0.1"]))
        assert await allowed.resolve("box.example", 81)
        with pytest.raises(BlockedAddress):
            await allowed.resolve("box.example", 82)

    asyncio.run(run())


def test_localhost_is_refused_by_the_real_resolver():
    async def run():
        with pytest.raises(BlockedAddress):
            await GuardedResolver().resolve("localhost", 80)

    asyncio.run(run())


def test_sockets_are_guarded_even_where_aiohttp_skips_the_resolver(server):
    """The last line of defence, without the URL check in front of it."""
    server.answers("/x.png", b"secret")

    async def get(url, guard):
        connector = guard.connector(connections=2, per_host=2)
        async with aiohttp.ClientSession(connector=connector) as session, session.get(url) as response:
            return await response.read()

    async def run():
        for host in ("127.0.0.1", "[::ffff:127.0.0.1]"):
            with pytest.raises(BlockedAddress):
                await get(f"http://{host}:{server.port}/x.png", GuardedResolver())
        assert not server.requests
        allowed = GuardedResolver({server.host})
        assert await get(f"http://{server.host}/x.png", allowed) == b"secret"
        named = GuardedResolver({f"box.example:{server.port}"}, Answers(["127.0.0.1"]))
        assert await get(f"http://box.example:{server.port}/x.png", named) == b"secret"

    asyncio.run(run())


def test_open_socket_refuses_what_no_rule_allows():
    async def run():
        guard = GuardedResolver({"box.example:80"}, Answers(["10.0.0.1"]))
        info = (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("10.0.0.1", 80))
        with pytest.raises(BlockedAddress):
            guard.open_socket(info)
        await guard.resolve("box.example", 80)
        guard.open_socket(info).close()
        with pytest.raises(BlockedAddress):
            guard.open_socket((*info[:4], ("10.0.0.1", 81)))

    asyncio.run(run())
