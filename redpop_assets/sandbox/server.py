"""Serving the local Reddit: in the foreground for people, in a thread for tests."""

import contextlib
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import uvicorn
from starlette.applications import Starlette

from redpop_assets.errors import RedPopError
from redpop_assets.sandbox.app import create_app
from redpop_assets.sandbox.arctic_shift import Traits
from redpop_assets.sandbox.chaos import Chaos
from redpop_assets.sandbox.clock import Clock
from redpop_assets.sandbox.connections import Protocol
from redpop_assets.sandbox.world import World

_START_SECONDS = 15.0


def serve(
    world: World,
    clock: Clock,
    host: str = "127.0.0.1",
    port: int = 8765,
    *,
    base_url: str | None = None,
    secret: str = "sandbox",
    budget: int = 996,
    chaos: Chaos | None = None,
    directory: Path | None = None,
    archive: Traits | None = None,
    on_ready: Callable[[str], None] | None = None,
) -> None:
    """Serve until interrupted. `on_ready` gets the base URL once the port is open.

    `base_url` is how clients reach the server when that is not http://host:port; `chaos`, `directory` and `archive`
    are those of `create_app`. Raises `RedPopError` if the port is taken.
    """
    with _bound(host, port) as listener:
        url = base_url or _url(listener)
        app = create_app(
            world, clock, url, secret=secret, budget=budget, chaos=chaos, directory=directory, archive=archive
        )
        server = _server(app)
        if on_ready:
            on_ready(url)
        with contextlib.suppress(KeyboardInterrupt):
            server.run(sockets=[listener])


@contextlib.contextmanager
def running(
    world: World,
    clock: Clock,
    *,
    host: str = "127.0.0.1",
    port: int = 0,
    secret: str = "sandbox",
    budget: int = 996,
    chaos: Chaos | None = None,
    directory: Path | None = None,
    archive: Traits | None = None,
) -> Iterator[str]:
    """Serve from a background thread and yield the base URL; port 0 takes any free one. Stops when the block ends."""
    with _bound(host, port) as listener:
        url = _url(listener)
        app = create_app(
            world, clock, url, secret=secret, budget=budget, chaos=chaos, directory=directory, archive=archive
        )
        server = _server(app)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, name="sandbox", daemon=True)
        thread.start()
        try:
            deadline = time.monotonic() + _START_SECONDS
            while not server.started:
                if not thread.is_alive() or time.monotonic() > deadline:
                    raise RedPopError("the sandbox server did not start: see its log above")
                time.sleep(0.01)
            yield url
        finally:
            server.should_exit = True
            thread.join()


def _server(app: Starlette) -> uvicorn.Server:
    config = uvicorn.Config(
        app,
        http=Protocol,
        log_level="warning",
        access_log=False,
        date_header=False,
        server_header=False,
        lifespan="off",
        ws="none",
        timeout_graceful_shutdown=2,
    )
    return uvicorn.Server(config)


@contextlib.contextmanager
def _bound(host: str, port: int) -> Iterator[socket.socket]:
    """A socket that holds the port, so that nobody can take it between asking and serving."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((host, port))
            listener.listen(128)
        except OSError as error:
            raise RedPopError(
                f"the sandbox cannot listen on {host}:{port} ({error.strerror}): choose another port with --port"
            ) from error
        yield listener


def _url(listener: socket.socket) -> str:
    host, port = listener.getsockname()
    return f"http://{'127.0.0.1' if host == '0.0.0.0' else host}:{port}"
