"""How scores grow in a community: which share of its later score a post has at each age."""

from __future__ import annotations

from dataclasses import dataclass

from redpop_assets.storage.rows import Readable

_GROWTH = """
SELECT from_hours, to_hours, posts, median_age_hours, share_q25, share_median, share_q75
FROM marts.growth_curves WHERE subreddit = $subreddit AND score_scale = 'current' ORDER BY from_hours
"""


@dataclass(frozen=True)
class Age:
    """Which share of its later score a post has at some age.

    Attributes:
        from_hours, to_hours: ages that count, the first included.
        posts: labelled posts that were read at that age.
        median_hours: median of their ages.
        low, median, high: a quarter, half and three quarters of them had at most this share.
    """

    from_hours: int
    to_hours: int
    posts: int
    median_hours: float
    low: float
    median: float
    high: float


@dataclass(frozen=True)
class Growth:
    """How scores grow.

    Attributes:
        ages: the youngest first; posts are read at different ages, so each may be of other posts.
        why_unknown: why there are none, in a sentence that says what to do; None where there are.
    """

    ages: tuple[Age, ...]
    why_unknown: str | None


def growth_of(warehouse: Readable, subreddit: str) -> Growth:
    """How scores grow in a community, on the present scale of scores.

    Args:
        warehouse: what is read.
        subreddit: in lower case.
    """
    rows = warehouse.query(_GROWTH, {"subreddit": subreddit}).to_pylist()
    ages = tuple(
        Age(
            *(row["from_hours"], row["to_hours"], row["posts"], row["median_age_hours"]),
            *(row["share_q25"], row["share_median"], row["share_q75"]),
        )
        for row in rows
    )
    why = None
    if not ages:
        why = (
            f"No labelled post of r/{subreddit} was read while it grew: readings at young ages come from Reddit "
            "itself, night after night (`redpop materialize`), and archives have none."
        )
    return Growth(ages, why)
