"""A real HTTP server that plays Reddit: recorded answers, or whatever a test writes down."""

import gzip
import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from redpop_assets.sources.reddit.budget import RequestBudget
from redpop_assets.sources.reddit.client import RedditClient
from redpop_assets_tests.local_server import LocalServer

RECORDED = Path(__file__).resolve().parents[3] / "shared" / "data" / "reddit_recorded"
USER_AGENT = "linux:redpop-tests:0.1 (by /u/redpop_tests)"
TOKEN = {"access_token": "x", "token_type": "bearer", "expires_in": 3600, "scope": "*"}


@dataclass
class Request:
    method: str
    path: str
    params: dict[str, str]
    headers: dict[str, str]


@dataclass
class Answer:
    """One answer; a dict or list as body becomes JSON. `drip` sends the body byte by byte with that pause (seconds)."""

    body: Any = b""
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    delay: float = 0.0
    drip: float = 0.0


class RedditServer(LocalServer):
    """Serves `answer(request)`, made with `reply`; logins are answered by themselves unless `login` is set."""

    reply = Answer

    def __init__(self) -> None:
        self.requests: list[Request] = []
        self.answer: Callable[[Request], Answer] = lambda _: Answer({"kind": "Listing", "data": {"children": []}})
        self.login: Callable[[Request], Answer] = lambda _: Answer(TOKEN)
        super().__init__(_handler(self))

    def says(self, *answers: Answer) -> None:
        """Give these answers one after the other, the last one for ever."""
        remaining = list(answers)
        self.answer = lambda _: remaining.pop(0) if len(remaining) > 1 else remaining[0]

    @property
    def api_requests(self) -> list[Request]:
        return [request for request in self.requests if request.path != "/api/v1/access_token"]


def _handler(server: RedditServer) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"  # connections stay open, as Reddit's do
        disable_nagle_algorithm = True  # else a body waits 40 ms for the acknowledgement of its head

        def do_GET(self) -> None:
            self.rfile.read(int(self.headers.get("content-length", 0)))
            parts = urlsplit(self.path)
            params = {name: values[0] for name, values in parse_qs(parts.query).items()}
            request = Request(self.command, parts.path, params, {k.lower(): v for k, v in self.headers.items()})
            server.requests.append(request)
            answer = (server.login if parts.path == "/api/v1/access_token" else server.answer)(request)
            time.sleep(answer.delay)
            body = json.dumps(answer.body).encode() if isinstance(answer.body, (dict, list)) else answer.body
            headers = {"content-type": "application/json", "content-length": str(len(body)), **answer.headers}
            if request.headers.get("connection") == "close":
                headers["connection"] = "close"
            if headers.get("transfer-encoding") == "chunked":
                del headers["content-length"]
                half = len(body) // 2
                body = b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in (body[:half], body[half:], b""))
            self.send_response_only(answer.status)  # without the Date header that send_response would add
            for name, value in headers.items():
                self.send_header(name, value)
            try:
                self.end_headers()
                for piece in [body[i : i + 1] for i in range(len(body))] if answer.drip else [body]:
                    self.wfile.write(piece)
                    time.sleep(answer.drip)
            except ConnectionError:
                pass  # the client gave up, as the test wants it to

        def do_POST(self) -> None:
            self.do_GET()

        def log_message(self, *_: object) -> None:
            pass

    return Handler


class Waits(list[float]):
    """Stands in for sleeping: notes how long it would have taken, and is a clock that only sleeping moves."""

    def __call__(self, seconds: float) -> None:
        self.append(seconds)

    def clock(self) -> float:
        return 1_776_081_600.0 + sum(self)


@pytest.fixture
def server() -> Iterator[RedditServer]:
    server = RedditServer()
    yield server
    server.stop()


@pytest.fixture
def waits() -> Waits:
    return Waits()


@pytest.fixture
def connect(server: RedditServer, waits: Waits) -> Iterator[Callable[..., RedditClient]]:
    """Makes clients of the server; `sleep` does not sleep."""
    clients = []

    def make(**changes: Any) -> RedditClient:
        arguments = {
            "client_id": "id",
            "client_secret": "secret",
            "user_agent": USER_AGENT,
            "reddit_url": server.url,
            "oauth_url": server.url,
            "timeout": 5.0,
            "sleep": waits,
            "budget": RequestBudget(sleep=waits, clock=waits.clock),
            **changes,
        }
        clients.append(RedditClient(**arguments))
        return clients[-1]

    yield make
    for client in clients:
        client.close()


@pytest.fixture
def client(connect: Callable[..., RedditClient]) -> RedditClient:
    return connect()


@pytest.fixture(scope="session")
def recorded() -> Callable[[str], list[dict[str, Any]]]:
    """Reads a file of recorded answers or submissions; skips the test where the recordings are absent."""

    def read(name: str) -> list[dict[str, Any]]:
        path = RECORDED / name
        if not path.exists():
            pytest.skip(f"the recorded answers of Reddit are not here: {path}")
        data = gzip.decompress(path.read_bytes()) if name.endswith(".gz") else path.read_bytes()
        return [json.loads(line) for line in data.decode().splitlines()]

    return read
