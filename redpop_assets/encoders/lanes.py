"""Batches side by side: several threads compute, and results come in order while the caller does something else.

On a processor every lane runs the network with its own share of the cores. Lanes never wait for each other, so that
reading and decoding pictures in other threads slows them down no more than the work it is; the threads inside a forward
pass meet at every layer, and one of them losing its core holds up all. On a GPU one lane copies while another computes.
"""

import contextlib
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

import torch

Batch = TypeVar("Batch")
Result = TypeVar("Result")


def in_lanes(
    batches: Iterable[Batch], compute: Callable[[Batch], Result], *, lanes: int, ahead: int
) -> Generator[Result, None, None]:
    """Results of the batches, in their order.

    Args:
        batches: Taken one by one, in the caller's thread.
        compute: Called in a thread of its own, for `lanes` batches at the same time.
        lanes: Number of these threads.
        ahead: Batches that are begun before the oldest result is asked for; they go on while the caller is busy.

    Raises:
        Exception: Whatever a call of `compute` raised, in its turn; what was begun after it is given up.
    """
    pending: deque[Future[Result]] = deque()
    pool = ThreadPoolExecutor(lanes, thread_name_prefix="redpop-lane")
    try:
        for batch in batches:
            pending.append(pool.submit(compute, batch))
            if len(pending) > ahead:
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


@contextlib.contextmanager
def threads_per_pass(count: int) -> Iterator[None]:
    """Inside, a forward pass in torch uses so many threads, in whatever thread it is begun."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)
