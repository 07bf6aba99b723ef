import asyncio
import contextlib
import gzip
import hashlib
import os
import signal
import socket
import struct
import sys
import threading
import time
import zlib
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from aiohttp.abc import AbstractResolver, ResolveResult
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from redpop_assets.errors import SettingsError
from redpop_assets.images import fetch as fetch_module
from redpop_assets.images.decode import StoredForm, open_rgb
from redpop_assets.images.decoder import DecoderUnavailable
from redpop_assets.images.fetch import FetchPolicy, Request, fetch, retry_after_seconds
from redpop_assets.images.retries import MAX_ATTEMPTS, next_attempt

pytestmark = pytest.mark.integration

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
    assert result.sha256 == hashlib.sha256(png).hexdigest()
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
        ("ftp://example.com/a.png", "unsupported_scheme"),
        ("http://2130706433/", "blocked_address"),
        ("http://[64:ff9b::a9fe:a9fe]/", "blocked_address"),
        ("http://example.com:6379/", "blocked_address"),
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
    urls = ["ftp://example.com/a", "file:///etc/passwd", "data:image/png;base64,AAAA", "gopher://x/", "javascript:1"]
    urls += ["", "http://a b/", "http://u:p@example.com/", "http://example.com:22/", "https://"]
    results = list(fetch(urls, policy()))
    assert {result.status for result in results} == {"failed"}
    assert {result.asked for result in results} == {False}
    reasons = {result.url: result.reason for result in results}
    assert [reasons[url] for url in urls[:5]] == ["unsupported_scheme"] * 5


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
        too_long: ("ok", None),  # the file has its end
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


def test_compressed_answers_do_not_grow(server):
    bomb = gzip.compress(bytes(50_000_000))
    result = one(server.answers("/bomb", bomb, Content_Encoding="gzip"), policy(server))
    assert (result.status, result.reason) == ("failed", "too_big")
    # The header may be missing, then the bytes decide.
    assert one(server.answers("/bomb2", bomb), policy(server)).reason == "not_image_bytes"


def test_html_is_no_image_whatever_it_is_called(server, png):
    assert one(server.answers("/a.png", png, content_type="text/html; charset=utf-8"), policy(server)).status == "ok"
    assert one(server.answers("/d.png", b"<html>" * 9, content_type="image/png"), policy(server)).status == "failed"
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
    monkeypatch.setattr(fetch_module, "_PLACEHOLDER_BYTES", (len(png), hashlib.md5(png).hexdigest()))
    assert one(server.answers("/a.png", png), policy(server)).reason == "placeholder_image"


@pytest.mark.parametrize("tag", ["noai", "NoImageAI, noindex", "somebot: noai", "noindex,noimageai"])
def test_opt_out_is_honoured(server, png, tag):
    result = one(server.answers("/a.png", png, X_Robots_Tag=tag), policy(server))
    assert (result.status, result.reason) == ("failed", "opted_out")


@pytest.mark.parametrize("tag", ["noindex", "noimageindex", "none", "otherbot: noindex, nofollow"])
def test_directives_for_search_engines_matter_to_those_who_want_it(server, png, tag):
    url = server.answers("/a.png", png, X_Robots_Tag=tag)
    assert one(url, policy(server)).status == "ok"
    strict = policy(server, opt_outs=frozenset({"noai", "noimageai", "noindex", "noimageindex", "none"}))
    assert one(url, strict).reason == "opted_out"


def test_one_opt_out_among_many_headers_counts(server, png):
    async def two_tags(_, writer):
        head = b"HTTP/1.1 200 X\r\nX-Robots-Tag: all\r\nX-Robots-Tag: noai\r\nContent-Length: %d\r\n\r\n"
        writer.write(head % len(png) + png)

    assert one(server.on("/a.png", two_tags), policy(server)).reason == "opted_out"


@pytest.mark.parametrize(
    "body",
    [
        b"<svg xmlns='http://www.w3.org/2000/svg'/>" * 3,
        b"\x00\x00\x00\x20ftypavif" + bytes(40),
        b"\x00\x00\x00\x20ftypheic" + bytes(40),
        b"II*\x00" + bytes(60),
        b"BM" + bytes(60),
        b"%PDF-1.7" + bytes(60),
        b"\x00\x00\x00\x18ftypmp42" + bytes(40),
        b"SIMPLE  =                    T" + bytes(60),
        b"MZ" + bytes(60),
    ],
)
def test_exotic_files_are_not_opened_whatever_they_are_called(server, body):
    result = one(server.answers("/a.jpg", body, content_type="image/jpeg"), policy(server))
    assert (result.status, result.reason) == ("failed", "not_image_bytes")


def test_what_servers_write_can_be_stored_as_text(server):
    """Bytes that are no UTF-8 arrive as lone surrogates, which no database takes."""

    async def raw(_, writer):
        writer.write(b'HTTP/1.1 200 X\r\nX-Robots-Tag: noai\xff\xfe, noai\r\nETag: "\xff"\r\nContent-Length: 0\r\n\r\n')

    result = one(server.on("/a.png", raw), policy(server))
    assert result.reason == "opted_out"
    assert result.detail.encode("utf-8")

    async def elsewhere(_, writer):
        writer.write(b"HTTP/1.1 302 X\r\nLocation: http://\xff\xfe/\r\nContent-Length: 0\r\n\r\n")

    result = one(server.on("/b.png", elsewhere), policy(server))
    assert result.reason == "bad_url"
    assert result.detail.encode("utf-8")


# What is kept


def test_personal_metadata_does_not_arrive(server, photo, encode):
    exif = Image.Exif()
    exif[0x0112] = 6
    exif.get_ifd(0x8825)[0x001D] = "2026:09:01 Jane Doe"
    data = encode(photo, "JPEG", exif=exif, comment=b"Jane Doe")
    assert b"Jane Doe" in data
    result = one(server.answers("/a", data), policy(server))
    assert b"Jane Doe" not in result.data
    assert result.sha256 == hashlib.sha256(data).hexdigest() != hashlib.sha256(result.data).hexdigest()
    assert open_rgb(result.data).tobytes() == open_rgb(data).tobytes()


def test_pictures_arrive_in_the_form_asked_for(server, photo, encode):
    store = StoredForm("webp", 120, 70)
    result = one(server.answers("/a", encode(photo, "PNG")), policy(server, store=store))
    assert (result.image.format, result.image.extension) == ("PNG", "webp")
    assert (result.image.width, result.image.height) == (300, 200)
    assert (result.image.stored_width, result.image.stored_height) == open_rgb(result.data).size == (120, 80)


# Asking again


def test_an_unchanged_picture_is_not_sent_again(server, png):
    version = {"ETag": '"v1"', "Last-Modified": "Tue, 01 Sep 2026 03:00:30 GMT"}

    async def versioned(request, writer):
        current = request.headers.get("if-none-match") == '"v1"'
        assert current == ("if-modified-since" in request.headers)
        head = b"HTTP/1.1 304 X\r\n" if current else b"HTTP/1.1 200 X\r\nContent-Length: %d\r\n" % len(png)
        head += b"".join(f"{name}: {value}\r\n".encode() for name, value in version.items())
        writer.write(head + b"Connection: close\r\n\r\n" + (b"" if current else png))

    url = server.on("/a.png", versioned)
    first = one(url, policy(server))
    assert (first.status, first.etag, first.last_modified) == ("ok", *version.values())
    server.redirects("/old.png", "/a.png")
    for asked in (url, f"http://{server.host}/old.png"):
        (again,) = fetch([Request(asked, first.etag, first.last_modified)], policy(server))
        assert (again.url, again.status, again.http_status) == (asked, "unchanged", 304)
        assert (again.etag, again.last_modified) == (first.etag, first.last_modified)
        assert (again.data, again.image, again.reason, again.asked) == (None, None, None, True)


def test_a_changed_picture_is(server, png):
    url = server.answers("/a.png", png, ETag='W/"v2"')
    (result,) = fetch([Request(url, '"v1"')], policy(server))
    assert (result.status, result.data, result.etag, result.last_modified) == ("ok", png, 'W/"v2"', None)


@pytest.mark.parametrize(
    ("etag", "last_modified"),
    [
        ("*", None),
        ("v1", None),
        ('"a\nb"', "x\r\nHost: y"),
        ('"' + "a" * 999 + '"', "a" * 999),
        ('"ü"', ""),
        ("", None),
    ],
)
def test_odd_versions_are_neither_sent_nor_kept(server, png, etag, last_modified):
    url = server.answers("/a.png", png)
    (result,) = fetch([Request(url, etag, last_modified)], policy(server))
    assert result.status == "ok"
    assert not {"if-none-match", "if-modified-since"} & set(server.requests[0].headers)
    if "\n" not in etag and (etag or "").isascii():
        given = server.answers("/b.png", png, ETag=etag, Last_Modified=last_modified or "")
        result = one(given, policy(server))
        assert (result.status, result.etag, result.last_modified) == ("ok", None, None)


def test_unchanged_without_a_question_is_odd(server):
    assert one(server.answers("/a.png", status=304), policy(server)).reason == "unexpected_status"


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
        (205, "failed", "unexpected_status"),
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


def test_a_pause_is_kept_by_redirects_too(server, png):
    server.answers("/a.png", png)
    server.answers("/busy", status=429, Retry_After="3600")
    names = Names({"other.example": ["127.0.0.1"]})
    allowed = frozenset({server.host, "other.example"})
    detour = server.redirects("/0", f"http://other.example:{server.port}/a.png")
    urls = [f"http://other.example:{server.port}/busy", detour]
    busy, redirected = fetch(urls, policy(allowed_hosts=allowed, concurrency=1), resolver=names)
    assert (busy.status, busy.retry_after) == ("retry", 3600)
    assert (redirected.status, redirected.reason) == ("retry", "rate_limited")
    assert 3500 < redirected.retry_after <= 3600
    assert [request.path for request in server.requests] == ["/busy", "/0"]


def test_delay_between_requests_to_one_host(server, png):
    server.answers("/a.png", png)
    server.answers("/b.png", png)
    names = Names({"other.example": ["127.0.0.1"]})
    urls = [f"http://{host}:{server.port}/a.png?{n}" for n in range(4) for host in ("127.0.0.1", "other.example")]
    limits = policy(allowed_hosts=frozenset({server.host, "other.example"}), per_host_delay=0.2)
    began = time.monotonic()
    results = list(fetch(urls, limits, resolver=names))
    assert [result.status for result in results] == ["ok"] * 8
    for host in (server.host, f"other.example:{server.port}"):
        # Counted from the beginning: on a busy machine one request may arrive late and the next one in time.
        times = [request.at - began for request in server.requests if request.headers["host"] == host]
        assert len(times) == 4
        assert all(arrived >= 0.2 * earlier for earlier, arrived in enumerate(times))


def test_dead_urls_are_asked_once(server):
    one(server.answers("/gone", status=404), policy(server))
    one(server.answers("/broken", status=500), policy(server))
    assert len(server.requests) == 2


def test_a_name_is_looked_up_once_for_many_urls(server, png):
    server.answers("/a.png", png)
    names = Names({"box.example": ["127.0.0.1"]})
    urls = [f"http://box.example:{server.port}/a.png?{n}" for n in range(40)]
    results = list(fetch(urls, policy(allowed_hosts=frozenset({"box.example"})), resolver=names))
    assert {result.status for result in results} == {"ok"}
    assert names.asked == 1


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
    """The slow host answers when all of the fast one are there: whoever waited for it would wait until it fails."""
    all_fast = threading.Event()

    async def slow(_, writer):
        await asyncio.to_thread(all_fast.wait, 60)
        writer.write(b"HTTP/1.1 404 X\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")

    server.on("/slow", slow)
    server.answers("/fast", status=404)
    names = Names({"slow.example": ["127.0.0.1"], "fast.example": ["127.0.0.1"]})
    urls = [f"http://slow.example:{server.port}/slow?{n}" for n in range(4)]
    urls += [f"http://fast.example:{server.port}/fast?{n}" for n in range(10)]
    allowed = frozenset({"slow.example", "fast.example"})
    order = []
    for result in fetch(urls, policy(allowed_hosts=allowed, concurrency=8, per_host=2), resolver=names):
        order.append((result.url, result.http_status))
        if len(order) == 10:
            all_fast.set()
    assert server.most_open <= 4
    assert all("fast" in url for url, _ in order[:10])
    assert {status for _, status in order} == {404}


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


def decoding():
    """Ids of the decoding processes of this one."""
    children = "".join(path.read_text() for path in Path("/proc/self/task").glob("*/children")).split()
    return [int(child) for child in children if "images.decoder" in Path(f"/proc/{child}/cmdline").read_text()]


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
        assert decoding()
        if raised:
            raise raised
    assert time.monotonic() - started < 5
    assert not threads_alive()
    assert not decoding()


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


def test_a_bug_becomes_a_result_and_is_logged(server, monkeypatch, caplog):
    def broken(*_, **__):
        raise ZeroDivisionError

    monkeypatch.setattr(fetch_module, "redirect_of", broken)
    result = one(server.redirects("/a.png", "/b.png"), policy(server))
    assert (result.status, result.reason) == ("retry", "internal_error")
    assert "ZeroDivisionError" in caplog.text


def test_a_machine_that_cannot_decode_ends_the_work(server, png, monkeypatch):
    monkeypatch.setattr(sys, "executable", "/bin/false")
    with pytest.raises(DecoderUnavailable):
        list(fetch([server.answers("/a.png", png)], policy(server)))
    assert not threads_alive()


def test_a_decoder_that_is_killed_costs_one_picture(server, png):
    urls = [server.answers(f"/{n}.png", png) for n in range(6)]
    outcomes = []
    with contextlib.closing(fetch(urls, policy(server, concurrency=1, decoders=1))) as results:
        for n, result in enumerate(results):
            outcomes.append((result.status, result.reason))
            if n == 1:
                os.kill(*decoding(), signal.SIGKILL)
    assert outcomes.count(("retry", "decoder_died")) <= 1
    assert outcomes.count(("ok", None)) >= 5


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
