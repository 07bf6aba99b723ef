import asyncio
import contextlib
import gzip
import hashlib
import socket
import struct
import threading
import time
import zlib
from datetime import UTC, datetime, timedelta

import pytest
from aiohttp.abc import AbstractResolver, ResolveResult
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from redpop_assets.errors import SettingsError
from redpop_assets.images import fetch as fetch_module
from redpop_assets.images.fetch import FetchPolicy, fetch, retry_after_seconds
from redpop_assets.images.retries import MAX_ATTEMPTS, next_attempt

NOW = datetime(2026, 9, 1, 3, tzinfo=UTC)


def policy(server=None, **changes):
    """Less patience than by default, and the test server allowed."""
    defaults = {
        "connect_timeout": 5.0,
        "read_timeout": 5.0,
        "deadline": 10.0,
        "allowed_hosts": frozenset({server.host}) if server else frozenset(),
    }
    return FetchPolicy(**(defaults | changes))


def one(url, limits, **options):
    (result,) = list(fetch([url], limits, **options))
    assert result.url == url
    if result.status == "ok":
        assert result.reason is None
        assert result.detail == ""
        assert result.image is not None
    else:
        assert result.reason
        assert result.detail
        assert result.data is None
        assert result.image is None
    return result


class Names(AbstractResolver):
    """A name server in which each name's answers rotate: a rebinding one."""

    def __init__(self, answers):
        self.answers = answers
        self.asked = 0

    async def resolve(self, host, port=0, family=socket.AF_INET):  # noqa: ARG002
        if host not in self.answers:
            raise OSError(f"no such name: {host}")
        address = self.answers[host][self.asked % len(self.answers[host])]
        self.asked += 1
        return [ResolveResult(hostname=host, host=address, port=port, family=socket.AF_INET, proto=0, flags=0)]

    async def close(self):
        pass


@pytest.fixture(scope="module")
def png(photo, encode):
    return encode(photo, "PNG")


# What works


def test_an_image(server, png):
    result = one(server.answers("/a.png", png), policy(server, user_agent="test:redpop:1 (by /u/someone)"))
    assert result.status == "ok"
    assert result.http_status == 200
    assert result.data == png
    assert (result.image.format, result.image.width, result.image.height) == ("PNG", 300, 200)
    headers = server.requests[0].headers
    assert headers["user-agent"] == "test:redpop:1 (by /u/someone)"
    assert headers["accept"] == "image/*,*/*;q=0.8"
    assert headers["accept-encoding"] == "identity"
    assert headers["host"] == server.host
    assert "cookie" not in headers


@pytest.mark.parametrize(
    "content_type", ["image/jpeg", "text/plain", "application/octet-stream", "video/mp4", "nonsense"]
)
def test_bytes_count_and_not_the_content_type(server, png, content_type):
    assert one(server.answers("/a.jpg", png, content_type=content_type), policy(server)).image.extension == "png"


def test_redirects_are_followed(server, png):
    server.answers("/end.png", png)
    server.redirects("/2", "end.png", 307)
    server.redirects("/1", f"http://{server.host}/2", 301)
    assert one(server.redirects("/0", "/1"), policy(server)).status == "ok"
    assert [request.path for request in server.requests] == ["/0", "/1", "/2", "/end.png"]


def test_exif_rotation_arrives(server, photo, encode):
    exif = Image.Exif()
    exif[0x0112] = 6
    image = one(server.answers("/a", encode(photo, "JPEG", exif=exif)), policy(server)).image
    assert (image.width, image.height) == (200, 300)


def test_signed_queries_arrive_unchanged(server, png):
    url = server.answers("/a.png", png) + "?width=640&s=a%2Cb%3D+c"
    assert one(url, policy(server)).status == "ok"
    assert server.requests[0].path == "/a.png?width=640&s=a%2Cb%3D+c"


# Where it may not go


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1",
        "127.1",
        "0x7f.1",
        "2130706433",
        "0177.0.0.1",
        "localhost",
        "[::ffff:127.0.0.1]",
        "0",
        "[::1]",
        "１２７.1",
    ],
)
def test_loopback_is_refused_by_default_in_every_spelling(server, png, host):
    server.answers("/a.png", png)
    # The port is allowed for another name only, so that the address is what decides.
    result = one(f"http://{host}:{server.port}/a.png", policy(allowed_hosts=frozenset({f"box.example:{server.port}"})))
    assert (result.status, result.reason) == ("failed", "blocked_address")
    assert not server.requests


def test_names_of_private_addresses_are_refused():
    names = Names({"intern.example": ["10.0.0.1"], "localhost": ["127.0.0.1"], "meta.example": ["169.254.169.254"]})
    for name in names.answers:
        result = one(f"http://{name}/a.png", policy(), resolver=names)
        assert (result.status, result.reason) == ("failed", "blocked_address")


def test_the_real_localhost_is_refused():
    assert one("http://localhost/a.png", policy()).reason == "blocked_address"


def test_rebinding_name_cannot_lead_to_a_private_address(server, png):
    """A name server that changes its mind: the address that was checked is the address connected to."""
    server.answers("/a.png", png)
    names = Names({"rebind.example": ["127.0.0.1", "192.0.2.1"], "evil.example": ["1.1.1.1", "127.0.0.1"]})
    allowed = policy(allowed_hosts=frozenset({f"rebind.example:{server.port}"}))
    assert one(f"http://rebind.example:{server.port}/a.png", allowed, resolver=names).status == "ok"
    assert names.asked == 1  # a second look-up, which would lie, never happens
    names.asked = 1
    assert one("http://evil.example/a.png", policy(), resolver=names).reason == "blocked_address"


@pytest.mark.parametrize(
    ("location", "reason"),
    [
        ("http://127.0.0.1:1/x", "blocked_address"),
        ("http://169.254.169.254/latest/meta-data", "blocked_address"),
        ("http://[::1]/", "blocked_address"),
        ("http://0x7f.1/", "blocked_address"),
        ("http://intern.example/x.png", "blocked_address"),
        ("file:///etc/passwd", "unsupported_scheme"),
        ("http://user@example.com/", "bad_url"),
        ("http://[", "bad_url"),
        ("https://i.imgur.com/removed.png", "placeholder_image"),
    ],
)
def test_redirects_are_checked_again(server, location, reason):
    names = Names({"intern.example": ["10.0.0.1"]})
    result = one(server.redirects("/0", location), policy(server), resolver=names)
    assert (result.status, result.reason) == ("failed", reason)


def test_redirect_loops_end(server):
    result = one(server.redirects("/0", "/0"), policy(server, max_redirects=3))
    assert (result.status, result.reason) == ("failed", "too_many_redirects")
    assert len(server.requests) == 4


def test_a_refused_redirect_keeps_the_status_of_the_last_answer(server):
    assert one(server.redirects("/0", "http://10.0.0.1/"), policy(server)).http_status == 302


def test_redirect_to_nowhere(server):
    assert one(server.answers("/0", status=302), policy(server)).reason == "unexpected_status"


def test_urls_that_are_never_asked():
    results = list(fetch(["ftp://example.com/a", "", "http://a b/", "http://u:p@example.com/"], policy()))
    assert {result.status for result in results} == {"failed"}
    assert {result.asked for result in results} == {False}


# How much, and how long


def test_dripping_server_meets_the_deadline(server, png):
    async def drip(_, writer):
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
        for byte in png:
            writer.write(bytes([byte]))
            await writer.drain()
            await asyncio.sleep(0.1)

    started = time.monotonic()
    result = one(server.on("/drip", drip), policy(server, deadline=0.8))
    assert (result.status, result.reason) == ("retry", "timeout")
    assert time.monotonic() - started < 3


def test_dripping_header_and_silence(server):
    async def slow_head(_, writer):
        for byte in b"HTTP/1.1 200 OK\r\nContent-Type: image/png\r\n" * 10:
            writer.write(bytes([byte]))
            await writer.drain()
            await asyncio.sleep(0.1)

    async def silence(_, writer):  # noqa: ARG001
        await asyncio.sleep(30)

    urls = [server.on("/head", slow_head), server.on("/silence", silence)]
    results = list(fetch(urls, policy(server, deadline=0.8)))
    assert {(result.status, result.reason) for result in results} == {("retry", "timeout")}


@pytest.mark.parametrize("chunked", [True, False])
def test_endless_body_is_cut(server, png, chunked):
    sent = 0

    async def endless(_, writer):
        nonlocal sent
        writer.write(b"HTTP/1.1 200 OK\r\n" + (b"Transfer-Encoding: chunked\r\n\r\n" if chunked else b"\r\n"))
        block = png[:65_536].ljust(65_536, b"x")
        while True:
            writer.write((b"10000\r\n" + block + b"\r\n") if chunked else block)
            sent += len(block)
            await writer.drain()

    result = one(server.on("/endless", endless), policy(server, max_bytes=1_000_000))
    assert (result.status, result.reason) == ("failed", "too_big")
    assert sent < 20_000_000


def test_content_length_that_lies(server, png):
    too_short = server.answers("/short", png, Content_Length=str(len(png) // 2))
    too_long = server.answers("/long", png, Content_Length=str(len(png) + 10_000))
    huge = server.answers("/huge", png, Content_Length="99999999999")
    broken = server.answers("/broken", png, Content_Length="-7")
    results = {
        result.url: (result.status, result.reason)
        for result in fetch([too_short, too_long, huge, broken], policy(server))
    }
    # Bytes beyond the announced length arrive in time to break the connection, or too late to matter.
    assert results.pop(too_short) in {("failed", "decode_error"), ("retry", "connection_failed")}
    assert results == {
        too_long: ("retry", "connection_failed"),
        huge: ("failed", "too_big"),
        broken: ("retry", "connection_failed"),
    }


def test_reset_and_garbage(server):
    async def reset(_, writer):
        writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        writer.transport.abort()

    async def garbage(_, writer):
        writer.write(b"\x00\xff SSH-2.0 hello\r\n\r\n")

    for path, handler in (("/reset", reset), ("/garbage", garbage)):
        result = one(server.on(path, handler), policy(server))
        assert (result.status, result.reason) == ("retry", "connection_failed")


def test_nobody_there():
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        host = f"127.0.0.1:{unused.getsockname()[1]}"
        result = one(f"http://{host}/a.png", policy(allowed_hosts=frozenset({host})))
    assert (result.status, result.reason, result.asked) == ("retry", "connection_failed", True)
    assert one("http://nowhere.example/", policy(), resolver=Names({})).reason == "dns_failed"


def test_https_that_is_none():
    with socket.create_server(("127.0.0.1", 0)) as listening:
        host = f"127.0.0.1:{listening.getsockname()[1]}"

        def talk_plainly():
            connection, _ = listening.accept()
            with connection:
                connection.recv(4096)
                connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")

        thread = threading.Thread(target=talk_plainly)
        thread.start()
        result = one(f"https://{host}/a.png", policy(allowed_hosts=frozenset({host})))
        thread.join()
    assert (result.status, result.reason) == ("retry", "tls_failed")


# What it may be


def test_compressed_answers_are_not_unpacked(server):
    bomb = gzip.compress(bytes(50_000_000))
    result = one(server.answers("/bomb", bomb, Content_Encoding="gzip"), policy(server))
    assert (result.status, result.reason) == ("failed", "not_image_bytes")
    # The header may be missing, then the bytes decide.
    assert one(server.answers("/bomb2", bomb), policy(server)).reason == "not_image_bytes"


def test_html_is_no_image_whatever_follows(server, png):
    result = one(server.answers("/a.png", png, content_type="text/html; charset=utf-8"), policy(server))
    assert (result.status, result.reason) == ("failed", "not_image_bytes")
    assert one(server.answers("/b.png", b"<!doctype html><html>" * 9), policy(server)).reason == "not_image_bytes"
    assert one(server.answers("/c.png", b""), policy(server)).reason == "not_image_bytes"


def test_rejections_of_decoding_arrive(server, photo, encode, png):
    def bomb(width, height):
        def chunk(kind, payload):
            return struct.pack(">I", len(payload)) + kind + payload + struct.pack(">I", zlib.crc32(kind + payload))

        header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
        return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(bytes(1000)))

    bodies = {
        "too_many_pixels": bomb(50_000, 50_000),
        "animated": encode(photo, "GIF", save_all=True, append_images=[photo.transpose(Image.Transpose.ROTATE_180)]),
        "decode_error": png[: len(png) // 2],
        "too_small": encode(photo.resize((100, 100)), "PNG"),
        "aspect_extreme": encode(photo.resize((900, 130)), "PNG"),
    }
    expected = {server.answers(f"/{reason}", body): reason for reason, body in bodies.items()}
    results = {result.url: result for result in fetch(expected, policy(server))}
    assert {url: result.reason for url, result in results.items()} == expected
    assert {(result.status, result.http_status) for result in results.values()} == {("failed", 200)}


def test_placeholder_is_known_by_its_bytes(server, png, monkeypatch):
    monkeypatch.setattr(fetch_module, "_PLACEHOLDER_MD5", {hashlib.md5(png).hexdigest()})
    assert one(server.answers("/a.png", png), policy(server)).reason == "placeholder_image"


@pytest.mark.parametrize("tag", ["noai", "NoImageAI, noindex", "somebot: noai", "noindex,noimageai"])
def test_opt_out_is_honoured(server, png, tag):
    result = one(server.answers("/a.png", png, X_Robots_Tag=tag), policy(server))
    assert (result.status, result.reason) == ("failed", "opted_out")


def test_other_robots_tags_do_not_matter(server, png):
    assert one(server.answers("/a.png", png, X_Robots_Tag="noindex"), policy(server)).status == "ok"


# What servers say


@pytest.mark.parametrize(
    ("status", "outcome", "reason"),
    [
        (400, "failed", "url_dead"),
        (401, "failed", "url_dead"),
        (403, "retry", "forbidden"),
        (404, "failed", "url_dead"),
        (408, "retry", "server_error"),
        (410, "failed", "url_dead"),
        (418, "failed", "url_dead"),
        (425, "retry", "server_error"),
        (429, "retry", "rate_limited"),
        (451, "failed", "url_dead"),
        (500, "retry", "server_error"),
        (503, "retry", "server_error"),
        (520, "retry", "server_error"),
        (204, "failed", "unexpected_status"),
        (206, "failed", "unexpected_status"),
        (304, "failed", "unexpected_status"),
    ],
)
def test_statuses(server, png, status, outcome, reason):
    result = one(server.answers("/a.png", b"" if status in (204, 304) else png, status=status), policy(server))
    assert (result.status, result.reason, result.http_status) == (outcome, reason, status)
    assert result.retry_after is None


def test_retry_after_as_number_and_as_date(server):
    number = server.answers("/n", status=429, Retry_After="120")
    assert one(number, policy(server)).retry_after == 120
    date = (datetime.now(UTC) + timedelta(hours=1)).strftime("%a, %d %b %Y %H:%M:%S GMT")
    assert 3500 < one(server.answers("/d", status=503, Retry_After=date), policy(server)).retry_after <= 3600


def test_retry_after_seconds():
    assert retry_after_seconds(None, NOW) is None
    assert retry_after_seconds(" 7 ", NOW) == 7
    assert retry_after_seconds("999999999", NOW) == 7 * 86_400
    assert retry_after_seconds("Tue, 01 Sep 2026 03:00:30 GMT", NOW) == 30
    assert retry_after_seconds("Tue, 01 Sep 2026 03:00:30 -0000", NOW) == 30
    assert retry_after_seconds("Tue, 01 Sep 2020 03:00:30 GMT", NOW) == 0
    for nonsense in ("soon", "-3", "1.5", "", "²"):
        assert retry_after_seconds(nonsense, NOW) is None


def test_a_long_pause_spares_the_host_and_gives_its_urls_back_unasked(server):
    server.answers("/busy", status=429, Retry_After="3600")
    urls = [f"http://{server.host}/busy?{n}" for n in range(100)]
    results = list(fetch(urls, policy(server, per_host=2)))
    assert sorted(result.url for result in results) == sorted(urls)
    assert {(result.status, result.reason) for result in results} == {("retry", "rate_limited")}
    assert all(3590 < result.retry_after <= 3600 for result in results)
    assert 1 <= sum(result.asked for result in results) == len(server.requests) <= 2


def test_a_short_pause_is_waited_for(server, png):
    async def busy_then_fine(request, writer):
        if request.at < server.requests[0].at + 0.9:
            writer.write(b"HTTP/1.1 429 X\r\nRetry-After: 1\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        else:
            writer.write(b"HTTP/1.1 200 X\r\nContent-Length: %d\r\nConnection: close\r\n\r\n" % len(png) + png)

    server.on("/", busy_then_fine)
    results = list(fetch([f"http://{server.host}/?{n}" for n in range(20)], policy(server, per_host=2)))
    assert len(results) == 20
    assert 18 <= sum(result.status == "ok" for result in results) < 20
    assert all(result.asked for result in results)


# Many


def test_every_url_gives_exactly_one_result_in_whatever_order(server, png):
    async def at_leisure(request, writer):
        await asyncio.sleep(int(request.path[2:]) % 5 * 0.01)
        writer.write(b"HTTP/1.1 200 X\r\nContent-Length: %d\r\nConnection: close\r\n\r\n" % len(png) + png)

    server.on("/", at_leisure)
    dead = server.answers("/dead", status=404)
    urls = [f"http://{server.host}/?{n}" for n in range(60)] + [dead, dead, "ftp://x", "http://10.0.0.1/"]
    limits = policy(server)
    forward = sorted((r.url, r.status, str(r.reason)) for r in fetch(urls, limits))
    backward = sorted((r.url, r.status, str(r.reason)) for r in fetch(reversed(urls), limits))
    assert forward == backward
    assert [url for url, *_ in forward] == sorted(urls)
    assert sum(status == "ok" for _, status, _ in forward) == 60


def test_per_host_limit_and_no_waiting_behind_a_slow_host(server):
    async def slow(_, writer):
        await asyncio.sleep(0.5)
        writer.write(b"HTTP/1.1 404 X\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")

    server.on("/slow", slow)
    server.answers("/fast", status=404)
    names = Names({"slow.example": ["127.0.0.1"], "fast.example": ["127.0.0.1"]})
    urls = [f"http://slow.example:{server.port}/slow?{n}" for n in range(4)]
    urls += [f"http://fast.example:{server.port}/fast?{n}" for n in range(10)]
    allowed = frozenset({"slow.example", "fast.example"})
    order = [r.url for r in fetch(urls, policy(allowed_hosts=allowed, concurrency=8, per_host=2), resolver=names)]
    assert server.most_open <= 4
    assert all("fast" in url for url in order[:10])


def test_memory_is_bounded_by_counts(server, encode):
    """2,000 URLs and a consumer that dawdles: neither URLs drawn nor images asked for run ahead of it."""
    server.answers("/a", encode(Image.new("L", (8, 8)), "PNG"))
    drawn = 0

    def urls():
        nonlocal drawn
        for number in range(2000):
            drawn += 1
            yield f"http://{server.host}/a?{number}"

    limits = policy(server, concurrency=8, per_host=8, min_edge=8, deadline=30.0, read_timeout=30.0)
    taken = 0
    for result in fetch(urls(), limits):
        assert result.status == "ok"
        taken += 1
        if taken % 100 == 0:
            time.sleep(0.05)
        assert len(server.requests) <= taken + limits.concurrency
        assert drawn <= taken + 4 * limits.concurrency
    assert taken == drawn == len(server.requests) == 2000
    assert server.most_open <= limits.concurrency


def threads_alive():
    return [thread for thread in threading.enumerate() if thread.name.startswith("redpop-")]


@pytest.mark.parametrize("how", ["close", "exception", "interrupt"])
def test_stopping_early_leaves_nothing_behind(server, png, how):
    async def never(_, writer):  # noqa: ARG001
        await asyncio.sleep(30)

    server.answers("/a", png)
    server.on("/never", never)
    urls = [f"http://{server.host}/a"] + [f"http://{server.host}/never?{n}" for n in range(50)]
    started = time.monotonic()
    raised = {"close": None, "exception": ValueError, "interrupt": KeyboardInterrupt}[how]
    with (
        pytest.raises(raised) if raised else contextlib.nullcontext(),
        contextlib.closing(fetch(urls, policy(server, deadline=30.0, read_timeout=30.0))) as results,
    ):
        assert next(results).status == "ok"
        assert threads_alive()
        if raised:
            raise raised
    assert time.monotonic() - started < 5
    assert not threads_alive()


def test_errors_of_the_iterable_are_raised_and_end_the_work(server, png):
    def urls():
        yield server.answers("/a", png)
        raise LookupError("the list broke")

    with pytest.raises(LookupError, match="the list broke"):
        list(fetch(urls(), policy(server)))
    assert not threads_alive()


def test_nothing_to_do():
    assert list(fetch([], policy())) == []
    assert not threads_alive()


def test_works_inside_a_running_loop(server, png):
    url = server.answers("/a", png)

    async def caller():
        return [result.status for result in fetch([url], policy(server))]

    assert asyncio.run(caller()) == ["ok"]


def test_a_bug_becomes_a_result_and_is_logged(server, png, monkeypatch, caplog):
    def broken(*_, **__):
        raise ZeroDivisionError

    monkeypatch.setattr(fetch_module, "inspect", broken)
    result = one(server.answers("/a", png), policy(server))
    assert (result.status, result.reason) == ("retry", "internal_error")
    assert "ZeroDivisionError" in caplog.text


def test_proxies_of_the_environment_are_not_used(server, png, monkeypatch):
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    assert one(server.answers("/a", png), policy(server)).status == "ok"


def test_limits_that_would_do_nothing_are_refused():
    for name in ("concurrency", "per_host", "decoders"):
        with pytest.raises(SettingsError, match=name):
            policy(**{name: 0})


# When to come back


def test_attempts_end():
    delays = []
    for attempts in range(1, MAX_ATTEMPTS):
        delays.append((next_attempt(attempts, None, NOW) - NOW) / timedelta(hours=1))
    assert delays == [1, 6, 23, 71]
    assert next_attempt(MAX_ATTEMPTS, None, NOW) is None
    assert next_attempt(99, 5.0, NOW) is None
    assert next_attempt(0, None, NOW) == NOW + timedelta(hours=1)
    assert next_attempt(1, None, NOW, http_status=403) is not None
    assert next_attempt(2, None, NOW, http_status=403) is None
    with pytest.raises(ValueError, match="counts from 0"):
        next_attempt(-1, None, NOW)


@given(st.integers(0, 10), st.none() | st.floats(0, 1e6))
def test_never_earlier_than_the_server_asked(attempts, retry_after):
    when = next_attempt(attempts, retry_after, NOW)
    assert (when is None) == (attempts >= MAX_ATTEMPTS)
    if when is not None:
        assert when >= NOW + timedelta(hours=1)
        assert when >= NOW + timedelta(seconds=retry_after or 0)
