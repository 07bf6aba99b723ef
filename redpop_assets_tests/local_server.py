"""An HTTP server on the loopback that answers as a test says, in a thread of its own."""

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class LocalServer:
    """Serves until it is stopped; `handler` answers each request.

    Attributes:
        url: scheme, host and port.
    """

    def __init__(self, handler: type[BaseHTTPRequestHandler]) -> None:
        self.http = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self.url = f"http://127.0.0.1:{self.http.server_port}"
        self._thread = threading.Thread(target=self.http.serve_forever, args=(0.02,))
        self._thread.start()

    def stop(self) -> None:
        """End the thread and give the port back."""
        self.http.shutdown()
        self._thread.join()
        self.http.server_close()
