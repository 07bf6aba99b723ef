"""A bounded number of threads that answer questions, and a bounded number of questions that wait for one."""

import asyncio
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from redpop_assets.studio.refusals import Refusal

T = TypeVar("T")

_WAITING_PER_THREAD = 16


class Workers:
    """Threads that questions are answered in. For one event loop.

    Args:
        threads: that answer at the same time.
        waiting: questions that may wait; by default 16 for each thread.
    """

    def __init__(self, threads: int, waiting: int | None = None) -> None:
        self._most = threads + (_WAITING_PER_THREAD * threads if waiting is None else waiting)
        self._inside = 0
        self._free = asyncio.Semaphore(threads)
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix="redpop-studio")

    async def run(self, call: Callable[[], T], is_gone: Callable[[], Awaitable[bool]] | None = None) -> T:
        """What `call` returns, from a thread.

        Args:
            call: what is to be done.
            is_gone: whether nobody waits for it any more; asked when its turn has come.

        Raises:
            Refusal: too many wait already (503), or nobody waits for the answer (499).
        """
        if self._inside >= self._most:
            raise Refusal(503, "Many questions are being answered. Try again in a moment.", retry_after=2)
        self._inside += 1
        try:
            async with self._free:
                # A title that was typed on: its answer would be dropped.
                if is_gone is not None and await is_gone():
                    raise Refusal(499, "Nobody waits for this answer.")
                future = asyncio.get_running_loop().run_in_executor(self._threads, call)
                # A thread cannot be stopped: its place is taken until it is done, whoever gives up waiting.
                try:
                    return await asyncio.shield(future)
                except asyncio.CancelledError:
                    await asyncio.wait([future])
                    raise
        finally:
            self._inside -= 1

    def close(self) -> None:
        """Begin no more; what is being answered is waited for."""
        self._threads.shutdown(wait=True, cancel_futures=True)
