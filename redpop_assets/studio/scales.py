"""Where numbers lie in the pictures that templates draw: scores by their logarithm, titles by their ratio."""

import math
from dataclasses import dataclass


@dataclass(frozen=True)
class Axis:
    """A logarithmic axis.

    Attributes:
        low, high: its ends, on the axis's own scale.
        ticks: (place from 0 to 100, label) of each mark.
    """

    low: float
    high: float
    ticks: tuple[tuple[float, str], ...]

    def at(self, value: float) -> float:
        """Where a value of the axis's scale lies, from 0 to 100; what is beyond an end lies on it."""
        return round(100 * min(max((value - self.low) / (self.high - self.low), 0.0), 1.0), 2)

    def score(self, points: float) -> float:
        """Where a score lies."""
        return self.at(math.log1p(max(points, 0.0)))


def scores(largest: float) -> Axis:
    """An axis for scores in points from 0 to beyond the largest, with a mark at each power of ten."""
    powers = max(2, math.ceil(math.log10(max(largest, 1.0) + 1)))
    high = math.log1p(10.0**powers)
    marks = (0, *(10**power for power in range(powers + 1)))
    return Axis(0.0, high, tuple((round(100 * math.log1p(mark) / high, 2), _short(mark)) for mark in marks))


def ratios(smallest: float) -> Axis:
    """An axis for ratios, as differences of log scores, from below the smallest to a little above 1."""
    doublings = min(max(1, math.ceil(-smallest / math.log(2))), 6)
    low, high = -doublings * math.log(2), 0.5 * math.log(2)
    marks = [-step * math.log(2) for step in range(doublings, -1, -1)]
    axis = Axis(low, high, ())
    return Axis(low, high, tuple((axis.at(mark), f"×{math.exp(mark):.3g}") for mark in marks))


def _short(number: int) -> str:
    return f"{number // 1000}k" if number >= 1000 else str(number)
