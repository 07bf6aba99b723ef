"""When the score of a post is its label: the one rule that harvest, labels, training and checks go by."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Final

MOST_SCORE: Final = 10_000_000
"""Scores beyond it, up or down, are no scores of Reddit, whose highest is below a million."""


@dataclass(frozen=True)
class LabelRule:
    """The label of a post is the median of its readings from the first one at `age` until `window` later.

    Attributes:
        age: Age of a post from which a reading of its score counts. Before, nobody can know its label.
        window: How long after the first such reading further ones count.
        archive_age: Age from which a reading of Arctic Shift, which reads each post once more and then never again,
            stands in for a post that has matured without any reading at `age`; None for no such thing. It is how a home
            whose posts came from there keeps their labels when a key comes.

    Raises:
        ValueError: the age is not positive, or the window is negative.
    """

    age: timedelta
    window: timedelta
    archive_age: timedelta | None = None

    def __post_init__(self) -> None:
        if self.age <= timedelta(0) or self.window < timedelta(0):
            raise ValueError(
                f"a label needs an age above 0 and a window of 0 or more, not {self.age} and {self.window}"
            )

    @property
    def least_archive_age(self) -> timedelta:
        """Age before which no reading of Arctic Shift counts."""
        return self.age if self.archive_age is None else min(self.age, self.archive_age)

    @property
    def final_age(self) -> timedelta:
        """Age from which the label of a post that was read on time changes no more: the post has matured.

        Whoever decides what may be learnt from, or what was known of earlier posts, goes by this age: a label that is
        still moving is not known.
        """
        return self.age + self.window
