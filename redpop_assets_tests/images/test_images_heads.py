"""Odd heads and packed bodies: fetched as browsers fetch them, or given up in a sentence that holds its cause."""

import gzip
import zlib

import pytest
import zstandard

from redpop_assets.images.encodings import TooBig, Undecodable, packings, unpacked
from redpop_assets.images.fetch import FetchPolicy, fetch

LIMIT = 1_000_000


@pytest.fixture(scope="module")
def jpeg(photo, encode):
    return encode(photo, "JPEG")


def raw(server, path, answer):
    async def handler(_, writer):
        writer.write(answer)

    return server.on(path, handler)


def fetched(server, answers):
    """What became of raw answers, by their name; none of them takes longer because another one does."""
    names = {raw(server, f"/{number}", answer): name for number, (name, answer) in enumerate(answers.items())}
    policy = FetchPolicy(allowed_hosts=frozenset({server.host}), deadline=10.0, decoders=1, per_host=16)
    return {names[result.url]: result for result in fetch(names, policy)}


def head(*lines, status="HTTP/1.1 200 OK"):
    return "\r\n".join([status, *lines, "", ""]).encode("latin-1")


def chunked(data, extension=b""):
    pieces = [data[start : start + 1_000] for start in range(0, len(data), 1_000)]
    return b"".join(b"%x%s\r\n%s\r\n" % (len(piece), extension, piece) for piece in pieces) + b"0\r\n\r\n"


def raw_deflate(data):
    packing = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return packing.compress(data) + packing.flush()


@pytest.mark.integration
def test_what_browsers_show(server, jpeg):
    length = f"Content-Length: {len(jpeg)}"
    encoded = "Content-Encoding: {}".format
    answers = {
        "one large header": head(length, "Content-Security-Policy: " + "https://a.example " * 6_000) + jpeg,
        "many headers": head(length, *(f"X-{number}: {'v' * 50}" for number in range(400))) + jpeg,
        "a long status line": head(length, status=f"HTTP/1.1 200 {'x' * 10_000}") + jpeg,
        "no reason": head(length, status="HTTP/1.1 200") + jpeg,
        "HTTP/1.0": head(status="HTTP/1.0 200 OK") + jpeg,
        "hints before": head("Link: </a.css>", status="HTTP/1.1 103 Early Hints") + head(length) + jpeg,
        "no length": head() + jpeg,
        "too large a length": head(f"Content-Length: {len(jpeg) + 99}") + jpeg,
        "chunks": head("Transfer-Encoding: chunked") + chunked(jpeg, b";name=value"),
        "chunks without the last": head("Transfer-Encoding: chunked") + chunked(jpeg)[:-5],
        "the type of a page": head(length, "Content-Type: text/html") + jpeg,
        "another success": head(length, status="HTTP/1.1 203 Transformed") + jpeg,
        "a part that is all": head(length, status="HTTP/1.1 206 Partial Content") + jpeg,
        "gzip that is none": head(length, encoded("gzip")) + jpeg,
        "br that is none": head(length, encoded("br")) + jpeg,
        "gzip": head(encoded("gzip")) + gzip.compress(jpeg),
        "deflate": head(encoded("deflate")) + zlib.compress(jpeg),
        "zstd": head(encoded("zstd")) + zstandard.compress(jpeg),
        "two headers": head(encoded("identity"), encoded("X-GZIP")) + gzip.compress(jpeg),
        "twice": head(encoded("gzip, deflate")) + zlib.compress(gzip.compress(jpeg)),
        **{
            f"encoded as {name!r}": head(length, encoded(name)) + jpeg
            for name in (
                "none",
                "utf-8",
                "UTF8",
                "binary",
                "identity",
                "8bit",
                "aws-chunked",
                "image/jpeg",
                "",
                ",",
                "*",
            )
        },
    }
    results = fetched(server, answers)
    assert {name: result.detail for name, result in results.items() if result.status != "ok"} == {}
    assert len({result.sha256 for result in results.values()}) == 1
    assert results["a part that is all"].http_status == 206


@pytest.mark.integration
def test_what_cannot_be_read_says_why(server, jpeg):
    length = f"Content-Length: {len(jpeg)}"
    answers = {
        ("retry", "connection_failed", "Got more than 131072 bytes"): head(length, f"X: {'a' * 300_000}") + jpeg,
        ("retry", "connection_failed", "Too many headers"): head(length, *(f"X{n}: v" for n in range(900))) + jpeg,
        ("retry", "connection_failed", "Duplicate Content-Length"): head(length, "Content-Length: 9") + jpeg,
        ("retry", "connection_failed", "Invalid character in Content-Length"): head("Content-Length: -1") + jpeg,
        ("retry", "connection_failed", "Invalid character in chunk size"): head("Transfer-Encoding: chunked") + jpeg,
        ("retry", "connection_failed", "Bad status line"): head(length, status="ICY 200 OK") + jpeg,
        ("retry", "connection_failed", "hung up before it had answered"): b"HTTP/1.1 200 OK\r\nContent-",
        ("retry", "connection_failed", "hung up within the body"): head(length) + jpeg[:-99],
        ("retry", "server_error", "202"): head(status="HTTP/1.1 202 Accepted") + b"please wait a moment",
        ("failed", "not_image_bytes", "encoded as br"): head("Content-Encoding: br") + b"\x8b\x02\x80hello\x03",
        ("failed", "not_image_bytes", "text/html"): head("Content-Type: text/html") + b"<html>" * 9,
        ("failed", "not_image_bytes", "begins with b'<html>"): head("Content-Encoding: gzip")
        + gzip.compress(b"<html>"),
        ("failed", "not_image_bytes", "empty"): head("Content-Length: 0"),
        ("failed", "too_big", "exceeds 20000000"): head("Content-Encoding: gzip") + gzip.compress(bytes(30_000_000)),
        ("failed", "decode_error", "ends within its pixels"): head("Content-Encoding: gzip")
        + gzip.compress(jpeg)[:-2_000],
    }
    for (status, reason, cause), result in fetched(server, answers).items():
        assert (result.status, result.reason) == (status, reason), cause
        assert cause in result.detail
        assert "\n" not in result.detail
        assert "RequestInfo" not in result.detail


@pytest.mark.integration
def test_redirects_to_names_in_other_encodings(server, jpeg):
    server.answers("/m%FCcke.jpg", jpeg)
    server.answers("/m%C3%BCcke.jpg", jpeg)
    answers = {
        name: b"HTTP/1.1 302 Found\r\nContent-Length: 0\r\nLocation: /" + "mücke.jpg".encode(name) + b"\r\n\r\n"
        for name in ("latin-1", "utf-8")
    }
    assert {result.status for result in fetched(server, answers).values()} == {"ok"}


@pytest.mark.parametrize("pack", [gzip.compress, zlib.compress, raw_deflate, zstandard.compress])
def test_packed_bodies(pack):
    data = bytes(range(256)) * 1_000
    name = "zstd" if pack is zstandard.compress else "gzip" if pack is gzip.compress else "deflate"
    assert unpacked(pack(data), [name], max_bytes=LIMIT) == data
    assert unpacked(pack(b""), [name], max_bytes=LIMIT) == b""
    with pytest.raises(TooBig):
        unpacked(pack(data), [name], max_bytes=len(data) - 1)
    with pytest.raises(TooBig):
        unpacked(pack(pack(bytes(50_000_000))), [name, name], max_bytes=LIMIT)
    cut = unpacked(pack(data)[:-1], [name], max_bytes=LIMIT)
    assert data.startswith(cut)
    if name != "deflate":
        assert unpacked(pack(data) + pack(b"more"), [name], max_bytes=LIMIT) == data + b"more"
    if name != "zstd":
        assert unpacked(pack(data) + b"\x00garbage", [name], max_bytes=LIMIT) == data
    assert unpacked(b"garbage", [name], max_bytes=LIMIT) == b""


def test_names_of_packings():
    assert packings("") == packings("identity, none, UTF-8,, image/jpeg") == []
    assert packings("GZIP, x-gzip , deflate,br") == ["gzip", "gzip", "deflate", "br"]
    with pytest.raises(Undecodable, match="br"):
        unpacked(b"x", ["br"], max_bytes=LIMIT)
    with pytest.raises(Undecodable, match="6 times"):
        unpacked(b"x", ["gzip"] * 6, max_bytes=LIMIT)
