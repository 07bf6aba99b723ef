"""The seam between the graph and the services that posts come from: what a source is asked for, and what it says.

The asset of the raw tables opens the source of the settings and asks it for a harvest of one community; it cannot tell
which one it is. A source writes what it is answered into the raw tables by itself, every answer in one transaction
before the next is asked for, because what an answer says of posts that it lacks only the source can judge. Files come
in by `redpop_assets.sources.archives`, when somebody imports one.

Whoever adds a source writes one class with these two methods, a row of `services.SERVICES` (its label age, and its
limits in words), and a line in `redpop_assets/resources.py`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from redpop_assets.sources.listings import ListingRead


@dataclass(frozen=True)
class Asked:
    """What a harvest is asked for.

    Attributes:
        listings: to read whether they are due or not, such as `top/week:300`; empty for what the source reads anyhow.
        due_only: whether listings are read only when they are due.
        reobserve: whether known posts are asked for as well: maturing scores, and whether they still stand.
    """

    listings: tuple[str, ...] = ()
    due_only: bool = True
    reobserve: bool = True


@dataclass(frozen=True)
class Harvested:
    """What came of a harvest, in numbers.

    Attributes:
        new_posts, new_sightings, new_observations: rows appended to the raw tables.
        forgotten: posts dropped because they were forgotten.
        requests: made.
        requests_remaining: that the service still allows at present; None where it does not say so.
        scores_read, scores_left_over: posts whose score was due, and those for which the budget was not enough.
        posts_checked, checks_left_over: the same of posts that were asked whether they still stand.
        posts_missing: of all these, posts that were not there, where that says something.
        readings: of listings, in their order.
        listings_left_over: listings that the budget did not reach.
        community_answers, community_days: what was new of the community itself, and of how many members it had.
    """

    new_posts: int
    new_observations: int
    forgotten: int
    requests: int
    new_sightings: int = 0
    requests_remaining: int | None = None
    scores_read: int = 0
    scores_left_over: int = 0
    posts_checked: int = 0
    checks_left_over: int = 0
    posts_missing: int = 0
    readings: Sequence[ListingRead] = ()
    listings_left_over: int = 0
    community_answers: int = 0
    community_days: int = 0

    @property
    def left_over(self) -> int:
        """Everything that comes first in the next harvest."""
        return self.listings_left_over + self.scores_left_over + self.checks_left_over


class Listener(Protocol):
    """Who is told how far a harvest is."""

    def progress(self, message: str) -> None:
        """Hear how far it is."""

    def warn(self, message: str) -> None:
        """Hear what a person should look at."""


class Source(Protocol):
    """A service that posts come from, ready to be asked."""

    def harvest(self, subreddit: str, asked: Asked, listener: Listener) -> Harvested:
        """Bring the raw tables of a community up to date: its new posts, the scores that are due, what still stands.

        What was written before an error or a kill is kept, and the next harvest goes on from there. Within the budget
        of requests; what it does not reach comes first the next time.

        Args:
            subreddit: in lower case.
            asked: what to read.
            listener: is told how far it is.

        Raises:
            RedditBusy: asking again later helps.
            RedPopError: it does not; the message says what to do.
        """
        ...

    def answer(self) -> str:
        """Ask for as little as possible, and say in a sentence how it answered.

        Raises:
            RedPopError: as `harvest`.
        """
        ...
