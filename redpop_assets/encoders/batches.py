"""Running a network over many items: a batch that does not fit into memory is halved, and stays so."""

from collections.abc import Callable
from typing import Protocol, Self, TypeVar

import torch

from redpop_assets.errors import RedPopError


class Sliceable(Protocol):
    """Items in an order: a list, an array, the rows of a table."""

    def __len__(self) -> int: ...
    def __getitem__(self, part: slice, /) -> Self: ...


Items = TypeVar("Items", bound=Sliceable)
Result = TypeVar("Result")


class ShrinkingBatches:
    """A batch size that halves each time the device runs out of memory.

    Args:
        size: Items per forward pass to begin with.
    """

    def __init__(self, size: int) -> None:
        self.size = size

    def run(self, compute: Callable[[Items], Result], items: Items) -> list[Result]:
        """Call `compute` with one slice of the items after another; returns its results in order.

        Raises:
            RedPopError: A single item does not fit into memory.
        """
        results = []
        start = 0
        while start < len(items):
            end = min(start + self.size, len(items))
            try:
                results.append(compute(items[start:end]))
            except torch.OutOfMemoryError as error:
                if end - start == 1:
                    raise RedPopError(
                        "The device has too little memory for one item: free some, or set REDPOP_DEVICE=cpu."
                    ) from error
                # Another thread may have halved it already, for a batch of the same size.
                self.size = min(self.size, (end - start) // 2)
            else:
                start = end
                continue
            # Outside the except clause: while the exception lives, its traceback keeps the tensors of the failed pass.
            torch.cuda.empty_cache()
        return results
