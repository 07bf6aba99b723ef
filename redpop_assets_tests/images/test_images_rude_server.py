"""The server of these tests itself: what it leaves open would be found in whichever test collects the garbage."""

import gc
import socket
import warnings

import pytest

from redpop_assets_tests.images.conftest import RudeServer

pytestmark = pytest.mark.integration


def test_stopping_closes_connections_in_every_state():
    for _ in range(3):
        server = RudeServer()
        server.answers("/large", b"x" * 5_000_000)
        clients = [socket.create_connection(("127.0.0.1", server.port)) for _ in range(30)]
        for client in clients[:10]:
            client.sendall(b"GET /large HTTP/1.1\r\n\r\n")  # and reads nothing
        with warnings.catch_warnings(record=True) as seen:
            warnings.simplefilter("always")
            server.stop()
            gc.collect()
        for client in clients:
            client.close()
        assert not [str(warning.message) for warning in seen]
