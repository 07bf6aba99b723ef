"""Pictures, and a web server on the loopback that misbehaves on request."""

import asyncio
import io
import threading
import time
import weakref
from collections.abc import Awaitable, Callable, Iterator

import numpy as np
import pytest
from PIL import Image

Handler = Callable[["Request", asyncio.StreamWriter], Awaitable[None]]


class Request:
    def __init__(self, path: str, headers: dict[str, str]) -> None:
        self.path = path
        self.headers = headers
        self.at = time.monotonic()


class RudeServer:
    """Raw HTTP/1.1, one request per connection: a handler writes whatever bytes it likes, a lie included."""

    def __init__(self) -> None:
        self.handlers: dict[str, Handler] = {}
        self.requests: list[Request] = []
        self.open_now = 0
        self.most_open = 0
        self.port = 0
        self._answering: set[asyncio.Task[None]] = set()
        self._transports: weakref.WeakSet[asyncio.WriteTransport] = weakref.WeakSet()
        self._ready = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()), daemon=True)
        self._thread.start()
        self._ready.wait()

    async def _serve(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._stopped = asyncio.Event()
        server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        self._ready.set()
        await self._stopped.wait()
        # A connection that asyncio is about to accept would be nobody's if that were cancelled, or the server closed.
        while tasks := asyncio.all_tasks() - {asyncio.current_task()}:
            for task in self._answering:
                task.cancel()
            await asyncio.wait(tasks)
        server.close()
        for transport in self._transports:
            transport.abort()
        await asyncio.sleep(0)  # the loop closes what was aborted

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        # A task that is cancelled before it starts runs no line of its own, so its connection is closed here.
        task = asyncio.get_running_loop().create_task(self._answer(reader, writer))
        self._answering.add(task)
        self._transports.add(writer.transport)
        task.add_done_callback(self._answering.discard)
        task.add_done_callback(lambda _: writer.close())

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.open_now += 1
        self.most_open = max(self.most_open, self.open_now)
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
            headers = {k.lower(): v for k, v in (line.split(": ", 1) for line in head[1:] if line)}
            request = Request(head[0].split(" ")[1], headers)
            self.requests.append(request)
            await self.handlers[request.path.split("?")[0]](request, writer)
            await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            self.open_now -= 1

    def on(self, path: str, handler: Handler) -> str:
        self.handlers[path] = handler
        return f"http://127.0.0.1:{self.port}{path}"

    def answers(
        self, path: str, body: bytes = b"", *, status: int = 200, content_type: str = "image/png", **headers: str
    ) -> str:
        lines = [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
        if "Content_Length" not in headers:
            lines.append(f"Content-Length: {len(body)}")
        head = [f"HTTP/1.1 {status} X", f"Content-Type: {content_type}", "Connection: close", *lines]
        raw = "\r\n".join(head).encode("latin-1") + b"\r\n\r\n" + body

        async def handler(_: Request, writer: asyncio.StreamWriter) -> None:
            writer.write(raw)

        return self.on(path, handler)

    def redirects(self, path: str, to: str, status: int = 302) -> str:
        return self.answers(path, status=status, Location=to)

    @property
    def host(self) -> str:
        return f"127.0.0.1:{self.port}"

    def stop(self) -> None:
        self._loop.call_soon_threadsafe(self._stopped.set)
        self._thread.join(timeout=5)


@pytest.fixture
def server() -> Iterator[RudeServer]:
    rude = RudeServer()
    yield rude
    rude.stop()


@pytest.fixture(scope="session")
def photo() -> Image.Image:
    """A smooth picture of 300x200 pixels whose left half is red-ish and whose right half is blue-ish."""
    rng = np.random.default_rng(7)
    soft = Image.fromarray(rng.integers(60, 196, (6, 9, 3), dtype=np.uint8)).resize(
        (300, 200), Image.Resampling.BICUBIC
    )
    pixels = np.asarray(soft).astype(int)
    pixels[:, :150, 0] += 59
    pixels[:, 150:, 2] += 59
    return Image.fromarray(pixels.clip(0, 255).astype(np.uint8))


@pytest.fixture(scope="session")
def encode() -> Callable[..., bytes]:
    def to_bytes(image: Image.Image, image_format: str, **options: object) -> bytes:
        file = io.BytesIO()
        image.save(file, image_format, **options)
        return file.getvalue()

    return to_bytes
