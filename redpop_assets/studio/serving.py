"""Serving the studio: in the foreground for people, in a thread for tests."""

import contextlib
import ipaddress
import socket
import threading
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import uvicorn

from redpop_assets.errors import RedPopError, SettingsError
from redpop_assets.features.family import Networks
from redpop_assets.kept import Recent
from redpop_assets.storage.edition import Edition
from redpop_assets.studio.app import create_app
from redpop_assets.studio.editions import Editions
from redpop_assets.studio.guard import Door
from redpop_assets.studio.pictures import Pictures
from redpop_assets.studio.pool import Workers
from redpop_assets.studio.rendering import Templates
from redpop_assets.studio.site import Site

if TYPE_CHECKING:
    import pyarrow as pa

    from redpop_assets.refresh.desk import Desk
    from redpop_assets.settings import Settings
    from redpop_assets.storage.rows import Params

_START_SECONDS = 15.0
_THUMBNAILS = 300


def open_site(settings: "Settings") -> Site:
    """The studio of a deployment; nothing is opened before the first question.

    Raises:
        SettingsError: it would listen on the network without a token.
    """
    from redpop_assets.resources import open_images

    check_exposure(settings)
    return Site(
        settings=settings,
        editions=Editions(settings.home, _desks(settings)),
        workers=Workers(settings.studio_threads),
        pictures=Pictures(
            max_bytes=settings.image_max_bytes,
            max_pixels=settings.image_max_pixels,
            min_edge=settings.image_min_edge,
        ),
        images=open_images(settings),
        thumbnails=Recent(_THUMBNAILS),
        templates=Templates(),
        door=Door(settings.studio_token.get_secret_value()),
        digest=_digest(settings),
    )


def check_exposure(settings: "Settings") -> None:
    """Refuse to be reached from other machines without a token.

    Raises:
        SettingsError: there is none.
    """
    if not is_loopback(settings.studio_host) and not settings.studio_token.get_secret_value():
        raise SettingsError(
            f"REDPOP_STUDIO_HOST is {settings.studio_host}, so other machines could reach the studio: set a token that "
            "they have to know, REDPOP_STUDIO_TOKEN, or listen on 127.0.0.1."
        )


def is_loopback(host: str) -> bool:
    """Whether an address can be reached from this machine alone."""
    if host.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def serve(site: Site, on_ready: Callable[[str], None]) -> None:
    """Serve until interrupted. `on_ready` gets the address once the port is open.

    Raises:
        RedPopError: the port is taken, or the address is none of this machine.
    """
    with _bound(site.settings.studio_host, site.settings.studio_port) as listener:
        on_ready(_url(listener))
        threading.Thread(target=_warm, args=(site,), name="redpop-warm", daemon=True).start()
        with contextlib.suppress(KeyboardInterrupt):
            _server(site).run(sockets=[listener])


def _warm(site: Site) -> None:
    """Load what the first questions need, before somebody asks them; what is wrong is said to who asks."""
    with contextlib.suppress(RedPopError), site.editions.current() as opened:
        opened.desk.warm()


@contextlib.contextmanager
def running(site: Site) -> Iterator[str]:
    """Serve from a background thread, on any free port, and yield the address. Stops when the block ends."""
    with _bound(site.settings.studio_host, 0) as listener:
        server = _server(site)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, name="redpop-studio", daemon=True)
        thread.start()
        try:
            deadline = time.monotonic() + _START_SECONDS
            while not server.started:
                if not thread.is_alive() or time.monotonic() > deadline:
                    raise RedPopError("The studio did not start: see its log above.")
                time.sleep(0.01)
            yield _url(listener)
        finally:
            server.should_exit = True
            thread.join()


def _desks(settings: "Settings") -> Callable[[Edition], "Desk"]:
    """What makes the desk of an edition; the networks are loaded once for all of them."""
    networks: list[Networks] = []

    def query(sql: str, params: "Params" = None) -> "pa.Table":
        with contextlib.closing(Edition(settings.home)) as newest:  # a judge may be loaded when the first one is closed
            return newest.query(sql, params)

    def make(edition: Edition) -> "Desk":
        from redpop_assets.refresh.desk import Desk
        from redpop_assets.resources import judges_of, open_models

        first = not networks  # editions are opened one after the other
        if first:
            networks.append(Networks(settings.network_device, judges_of(settings, query)))
        desk = Desk(edition, open_models(settings), settings.label_rule, networks[0])
        if not first:  # the one before goes on answering meanwhile
            desk.warm()
        return desk

    return make


def _digest(settings: "Settings") -> Callable[[str], str]:
    """The keyed hash of names, by the key of the deployment, which is read when it is first needed."""

    def digest(name: str) -> str:
        from redpop_assets.resources import author_key

        return author_key(settings).digest(name)

    return digest


def _server(site: Site) -> uvicorn.Server:
    config = uvicorn.Config(
        create_app(site),
        log_level="warning",
        access_log=False,
        server_header=False,
        ws="none",
        lifespan="on",
        limit_concurrency=256,
        timeout_keep_alive=15,
        timeout_graceful_shutdown=5,
    )
    return uvicorn.Server(config)


@contextlib.contextmanager
def _bound(host: str, port: int) -> Iterator[socket.socket]:
    """A socket that holds the port, so that nobody can take it between asking and serving."""
    name = host.strip("[]")
    family = socket.AF_INET6 if ":" in name else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((name, port))
            listener.listen(128)
        except OSError as error:
            raise RedPopError(
                f"The studio cannot listen on {host}:{port} ({error.strerror}): choose another port with --port, or "
                "another address with REDPOP_STUDIO_HOST."
            ) from error
        yield listener


def _url(listener: socket.socket) -> str:
    host, port = listener.getsockname()[:2]
    shown = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(host, f"[{host}]" if ":" in host else host)
    return f"http://{shown}:{port}"
