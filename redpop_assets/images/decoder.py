"""Decoding in processes of their own, with limited memory and time: a hostile picture can only end its decoder.

`Decoders` is the side of those who ask. The other side, `redpop_assets.images.decoder_process`, answers what
`redpop_assets.images.decode.inspect` says of one file after the other. Files travel through memory that both sides map,
since copying through a pipe costs as much as hashing; lines of JSON on a socket say whose turn it is.
"""

import asyncio
import contextlib
import json
import mmap
import os
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

from redpop_assets.errors import RedPopError
from redpop_assets.images.decode import ImageInfo, ImageRejected, StoredForm
from redpop_assets.images.decoder_process import READY


class DecoderDied(RedPopError):
    """A decoding process ended, or was ended, before it could answer."""


class DecoderUnavailable(RedPopError):
    """Decoding processes do not start on this machine."""


@dataclass
class _Process:
    """One decoding process, seen from outside."""

    process: subprocess.Popen[bytes]
    memory: mmap.mmap
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    def end(self) -> None:
        self.process.kill()
        self.process.wait()
        self.writer.close()
        self.memory.close()


class Decoders:
    """Up to `count` decoding processes; each is started when it is first needed. For one event loop.

    Args:
        count: Processes.
        timeout: For one picture (seconds).
        max_bytes: Largest file.
        max_pixels: See `inspect`, also for the others.
        min_edge: Pixels.
        max_aspect: Longer edge by shorter edge.
        store: The form to keep.
    """

    def __init__(
        self,
        count: int,
        *,
        timeout: float,
        max_bytes: int,
        max_pixels: int,
        min_edge: int,
        max_aspect: float,
        store: StoredForm,
    ) -> None:
        self._timeout = timeout
        self._limits = json.dumps(
            {"max_pixels": max_pixels, "min_edge": min_edge, "max_aspect": max_aspect, "store": asdict(store)}
        )
        # Only pages that were written to exist. A file that is encoded anew can be larger than the one that came.
        self._room = max_bytes + 4 * max_pixels + 1_000_000
        # The last one used comes first, so that a few pictures need one process only. None: not started yet.
        self._idle: asyncio.LifoQueue[_Process | None] = asyncio.LifoQueue()
        self._started: list[_Process] = []
        for _ in range(count):
            self._idle.put_nowait(None)

    async def inspect(self, data: bytes) -> tuple[str, ImageInfo, bytes]:
        """Return the SHA-256 of a file (hexadecimal), what is known of the picture, and the file to keep.

        Waits for a free process.

        Raises:
            ImageRejected: As `redpop_assets.images.decode.inspect` does.
            DecoderDied: The process crashed or did not answer in time.
            DecoderUnavailable: No process starts.
        """
        process = await self._idle.get()
        answered = False
        try:
            if process is None:
                process = await self._start()
            process.memory[: len(data)] = data
            process.writer.write(b"%d\n" % len(data))
            async with asyncio.timeout(self._timeout):
                line = await process.reader.readline()
            if not line:
                raise DecoderDied("The decoder crashed.")
            verdict: dict[str, Any] = json.loads(line)
            kept = data if verdict["kept"] is None else process.memory[: verdict["kept"]]
            answered = True
        except TimeoutError as error:
            raise DecoderDied(f"The decoder did not answer within {self._timeout:g} s.") from error
        except ConnectionError as error:
            raise DecoderDied(f"The decoder crashed: {error!r}.") from error
        finally:
            if process is not None and not answered:
                self._started.remove(process)
                process.end()
            self._idle.put_nowait(process if answered else None)
        if "rejected" in verdict:
            raise ImageRejected(*verdict["rejected"])
        if "bug" in verdict:
            raise RuntimeError(verdict["bug"])
        return verdict["sha256"], ImageInfo(**verdict["image"]), kept

    def close(self) -> None:
        """End the processes, at once."""
        while self._started:
            self._started.pop().end()

    async def _start(self) -> _Process:
        try:
            process = await self._launched()
            self._started.append(process)
            if await process.reader.readline() == READY:
                return process
        except OSError as error:
            raise DecoderUnavailable(f"A process for decoding cannot be started: {error}.") from error
        raise DecoderUnavailable("A process for decoding ended at its start; its last words are above.")

    async def _launched(self) -> _Process:
        ours, theirs = socket.socketpair()
        with theirs, _shared_file() as file:
            os.ftruncate(file, self._room)
            memory = mmap.mmap(file, self._room)
            module = "redpop_assets.images.decoder_process"
            command = [sys.executable, "-m", module, str(theirs.fileno()), str(file), self._limits]
            # Who decodes what strangers made has no need of credentials, nor of threads for arithmetic.
            secret = ("REDPOP_", "REDDIT_")
            environment = {name: value for name, value in os.environ.items() if not name.startswith(secret)}
            environment |= {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
            # Keep memory from one picture to the next (glibc): the kernel takes its time to hand it out anew.
            environment |= {"MALLOC_TRIM_THRESHOLD_": "67108864", "MALLOC_MMAP_THRESHOLD_": "33554432"}
            try:
                process = subprocess.Popen(
                    command, pass_fds=[theirs.fileno(), file], env=environment, stdin=subprocess.DEVNULL
                )
            except OSError:
                ours.close()
                raise
        try:
            reader, writer = await asyncio.open_unix_connection(sock=ours)
        except BaseException:
            process.kill()
            process.wait()
            ours.close()
            raise
        return _Process(process, memory, reader, writer)


@contextlib.contextmanager
def _shared_file() -> Iterator[int]:
    """A file without a name, in memory where the system can do that; yields its descriptor."""
    if hasattr(os, "memfd_create"):
        with os.fdopen(os.memfd_create("redpop-picture"), "wb") as file:
            yield file.fileno()
    else:
        with tempfile.TemporaryFile() as file:
            yield file.fileno()
