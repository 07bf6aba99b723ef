"""A web server for the image benchmarks: answers GET /<name> with a file, late and sometimes not at all, as hosts do.

Fast on purpose, so that clients are what is measured: files stay in memory and leave in one write. `GET /stats` tells
and resets what has happened since it was last asked. Run: `python benchmarks/image_server.py FOLDER --latency 0.05
--failures 0.05`; the first line printed is the port.
"""

import argparse
import asyncio
import json
import time
import zlib
from pathlib import Path


class Server:
    """The files, the misbehaviour, and what has been asked."""

    def __init__(self, folder: Path, latency: float, failures: float) -> None:
        self.files = {path.name: path.read_bytes() for path in folder.iterdir()}
        self.latency = latency
        self.failures = failures
        self.requests = 0
        self.refused = 0
        self.first: float | None = None
        self.connections = 0
        self.most_connections = 0

    def answer(self, target: str) -> list[bytes]:
        """Head and body for a request target. `?<n>` after a name makes a URL of its own of the same file."""
        if target == "/stats":
            stats = {name: value for name, value in vars(self).items() if name not in ("files", "latency", "failures")}
            self.requests = self.refused = self.most_connections = 0
            self.first = None
            body = json.dumps(stats).encode()
        else:
            self.requests += 1
            self.first = self.first or time.time()
            # By the URL and not by chance, so that everyone meets the same failures.
            if zlib.crc32(target.encode()) % 10_000 < self.failures * 10_000:
                self.refused += 1
                return [b"HTTP/1.1 500 Internal Server Error\r\nContent-Length: 0\r\n\r\n"]
            body = self.files[target.partition("?")[0].lstrip("/")]
        return [b"HTTP/1.1 200 OK\r\nContent-Type: image/jpeg\r\nContent-Length: %d\r\n\r\n" % len(body), body]


class Connection(asyncio.Protocol):
    """One HTTP/1.1 connection: requests come one after the other and have no body."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.head = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Count it."""
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        self.server.connections += 1
        self.server.most_connections = max(self.server.connections, self.server.most_connections)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - the protocol's signature
        """Uncount it."""
        self.server.connections -= 1

    def data_received(self, data: bytes) -> None:
        """Answer after the latency."""
        self.head += data
        if self.head.endswith(b"\r\n\r\n"):
            head, self.head = self.head, b""
            asyncio.get_running_loop().call_later(self.server.latency, self.respond, head)

    def respond(self, head: bytes) -> None:
        """Write the whole answer."""
        if self.transport.is_closing():
            return
        self.transport.writelines(self.server.answer(head.split(b" ", 2)[1].decode("ascii")))
        if b"\r\nconnection: close" in head.lower():
            self.transport.close()


async def serve(server: Server) -> None:
    """Serve on a free port of the loopback until the process is ended."""
    loop = asyncio.get_running_loop()
    listening = await loop.create_server(lambda: Connection(server), "127.0.0.1", 0, backlog=1024)
    print(listening.sockets[0].getsockname()[1], flush=True)
    await listening.serve_forever()


def main() -> None:
    """Read the command line and serve."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--latency", type=float, default=0.0, help="seconds before an answer")
    parser.add_argument("--failures", type=float, default=0.0, help="share of URLs answered with 500")
    arguments = parser.parse_args()
    asyncio.run(serve(Server(arguments.folder, arguments.latency, arguments.failures)))


if __name__ == "__main__":
    main()
