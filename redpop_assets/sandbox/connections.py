"""Connections that misbehave: what no answer can express, because the server breaks its own protocol.

`Protocol` is the server's usual one, except that an application finds the connection in its scope; `hang_up` and
`Raw` use it to break off, or to say what is not true.
"""

import asyncio
import socket
import struct
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, cast

from starlette.responses import Response
from uvicorn.protocols.http.auto import AutoHTTPProtocol

Message = MutableMapping[str, Any]
Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Application = Callable[[Scope, Receive, Send], Awaitable[None]]

_RESET = struct.pack("ii", 1, 0)


class Protocol(AutoHTTPProtocol):  # type: ignore[valid-type,misc]
    """HTTP as uvicorn speaks it, with the connection in `scope["state"]["connection"]`."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Put the connection where the application finds it."""
        self.app_state: dict[str, Any] = {**self.app_state, "connection": transport}
        super().connection_made(transport)


async def hang_up(scope: Scope, receive: Receive, said: bytes = b"") -> None:
    """Send `said` as it is, then break the connection: reset before an answer, closed within one."""
    connection = cast(asyncio.Transport, scope["state"]["connection"])
    if said:
        connection.write(said)
        connection.close()
    else:
        raw = connection.get_extra_info("socket")
        if raw is not None:
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        connection.abort()
    await gone(receive)


async def gone(receive: Receive) -> None:
    """Wait until the connection is gone, so that the server does not try to answer."""
    while (await receive())["type"] != "http.disconnect":
        pass


class Raw(Response):
    """An answer of exactly these bytes, head included, after which the connection is closed."""

    def __init__(self, said: bytes) -> None:
        super().__init__()
        self._said = said

    async def __call__(self, scope: Scope, receive: Receive, _send: Send) -> None:
        """Say it and hang up."""
        await hang_up(scope, receive, self._said)
