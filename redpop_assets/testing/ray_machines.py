"""Two machines of a Ray cluster for tests and benchmarks: addresses of their own on the loopback, and a token."""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

_WAIT_SECONDS = 180.0
_OBJECT_STORE_BYTES = 80_000_000


@contextmanager
def two_machines(folder: Path) -> Iterator[Mapping[str, str]]:
    """A head and a worker of `ray start`, of one processor each, for the time of a block.

    Args:
        folder: for their logs; it exists.

    Yields:
        The whole environment of a process that uses them; `RAY_ADDRESS` is the address of the head.
    """
    said = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": "0123456789abcdef" * 3, "RAY_USAGE_STATS_ENABLED": "0"}
    said["RAY_GRACEFUL_SHUTDOWN_DRAIN_TIMEOUT_S"] = "0"  # nobody is to be served by what ends with the block
    outer = {name: value for name, value in os.environ.items() if not name.startswith("RAY_")}
    environment = {**outer, **said, "PYTHONPATH": str(Path(__file__).resolve().parents[2])}
    small = (
        *("--num-cpus=1", "--num-gpus=0", f"--object-store-memory={_OBJECT_STORE_BYTES}", "--disable-usage-stats"),
        "--include-log-monitor=false",  # logs stay where they are
    )
    with socket.socket() as free, socket.socket() as other:
        free.bind(("127.0.0.2", 0))
        other.bind(("127.0.0.3", 0))
        port, agent = free.getsockname()[1], other.getsockname()[1]
    address = f"127.0.0.2:{port}"
    machines = (
        # Without a monitor, which would add machines.
        ("--head", f"--port={port}", "--node-ip-address=127.0.0.2", "--include-dashboard=false", "--no-monitor"),
        (f"--address={address}", "--node-ip-address=127.0.0.3", f"--dashboard-agent-listen-port={agent}"),
    )
    started: list[subprocess.Popen[bytes]] = []
    try:
        for number, options in enumerate(machines):
            command = [sys.executable, "-m", "ray.scripts.scripts", "start", *options, *small, "--block"]
            log = folder / f"machine{number}.log"
            with log.open("w") as file:
                started.append(subprocess.Popen(command, env=environment, stdout=file, stderr=file))
            _wait_for("will now block", log, started[-1])
        yield {**environment, "RAY_ADDRESS": address}
    finally:
        for process in reversed(started):
            process.terminate()
        for process in started:
            process.wait(60)


def _wait_for(words: str, log: Path, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + _WAIT_SECONDS
    while words not in log.read_text():
        if process.poll() is not None or time.monotonic() > deadline:
            raise RuntimeError(f"a machine of the cluster did not begin: {log.read_text()}")
        time.sleep(0.2)
