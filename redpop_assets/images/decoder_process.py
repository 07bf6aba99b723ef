"""The other side of `redpop_assets.images.decoder`, run as a module: what it says of one file after the other.

It imports what decoding takes and nothing that asking takes: it is started for a few pictures.
"""

import contextlib
import hashlib
import json
import mmap
import resource
import signal
import socket
import sys
import traceback
from dataclasses import asdict
from pathlib import Path

from redpop_assets.images.decode import ImageRejected, StoredForm, inspect

READY = b"ready\n"
"""What it says first."""

# What decoding needs beside the interpreter: the pixels in RGB and RGBA, on white, and turned; the file, twice; tables.
_BYTES_PER_PIXEL = 24
_MEMORY = 256_000_000


def _limit_memory(max_pixels: int) -> None:
    """Let this process have only so much more address space than it has now."""
    with contextlib.suppress(OSError):  # without /proc, as on macOS, the limit would not be kept either
        pages = int(Path("/proc/self/statm").read_text().split()[0])
        limit = pages * resource.getpagesize() + _MEMORY + _BYTES_PER_PIXEL * max_pixels
        resource.setrlimit(resource.RLIMIT_AS, (limit, limit))


def _serve(asking: socket.socket, memory: mmap.mmap, limits: str) -> None:
    """Answer until the other side hangs up."""
    wanted = json.loads(limits)
    wanted["store"] = StoredForm(**wanted["store"])
    _limit_memory(wanted["max_pixels"])
    asking.sendall(READY)
    for line in asking.makefile("rb"):
        data = memory[: int(line)]
        kept = b""
        try:
            image, kept = inspect(data, **wanted)
            verdict: dict[str, object] = {"sha256": hashlib.sha256(data).hexdigest(), "image": asdict(image)}
        except ImageRejected as error:
            verdict = {"rejected": [error.reason, str(error)]}
        except MemoryError:
            verdict = {"rejected": ["decode_error", "Decoding takes more memory than a picture may."]}
        except Exception:  # noqa: BLE001 - told to the other side, which tells it to people
            verdict = {"bug": traceback.format_exc()[-5_000:]}
        size = None if kept == data else len(kept)
        if size is not None:
            memory[:size] = kept
        asking.sendall(json.dumps({**verdict, "kept": size}).encode() + b"\n")


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # whoever interrupts, interrupts the other side, which then hangs up
    with (
        socket.socket(fileno=int(sys.argv[1])) as _asking,
        mmap.mmap(int(sys.argv[2]), 0) as _memory,
        contextlib.suppress(ConnectionError),  # nobody is left to be answered
    ):
        _serve(_asking, _memory, sys.argv[3])
