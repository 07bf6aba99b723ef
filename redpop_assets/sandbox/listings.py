"""The listings of a community: which posts, in which order, a page at a time."""

import math
from collections import OrderedDict
from dataclasses import dataclass

from redpop_assets.sandbox.world import Post, World

LISTINGS = ("new", "hot", "rising", "top", "controversial")
WINDOWS = {"hour": 3600, "day": 86_400, "week": 604_800, "month": 2_592_000, "year": 31_536_000, "all": math.inf}
LONGEST = 1000
_HOT_SECONDS = 45_000
_RISING_AGE = 86_400
_KEPT_ORDERS = 16


@dataclass(frozen=True)
class Page:
    """One page: its posts, and the fullname to go on after, or None at the end."""

    posts: list[Post]
    after: str | None


class Listings:
    """Ordered views of a world; the last few orders are kept, since paging asks for the same one again and again."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._kept: OrderedDict[tuple[str, str, str, float], list[Post]] = OrderedDict()

    def page(self, subreddit: str, listing: str, now: float, *, window: str, limit: int, after: str | None) -> Page:
        """One page of at most `limit` posts, plus the sticky post on top of the first page of hot.

        A removed post is not shown, but its place is remembered, so paging can go on after it. After an item that the
        listing does not hold (any more) there is nothing. No listing goes beyond 1,000 posts.
        """
        order = self._order(subreddit, listing, now, window)
        shown = [place for place, post in enumerate(order) if now < post.removed_at][:LONGEST]
        if after:
            at = next((place for place, post in enumerate(order) if f"t3_{post.id}" == after), len(order))
            shown = [place for place in shown if place > at]
        posts = [order[place] for place in shown[:limit]]
        last = f"t3_{posts[-1].id}" if len(shown) > limit else None
        sticky = self._world.sticky(subreddit, now)
        if listing == "hot" and not after and sticky is not None:
            posts = [self._world.post(subreddit, sticky), *posts]
        return Page(posts, last)

    def _order(self, subreddit: str, listing: str, now: float, window: str) -> list[Post]:
        key = (subreddit, listing, window, now)
        kept = self._kept.get(key)
        if kept is None:
            kept = self._sorted(subreddit, listing, now, window)
            self._kept[key] = kept
            while len(self._kept) > _KEPT_ORDERS:
                self._kept.popitem(last=False)
        return kept

    def _sorted(self, subreddit: str, listing: str, now: float, window: str) -> list[Post]:
        world, posts = self._world, self._world.posts(subreddit, now)
        if listing == "new":
            return posts[::-1]
        if listing == "hot":
            sticky = world.sticky(subreddit, now)
            heat = {
                post.index: math.log10(max(1.0, world.score(post, now))) + post.created / _HOT_SECONDS
                for post in posts
                if post.index != sticky
            }
            return sorted((post for post in posts if post.index in heat), key=lambda post: -heat[post.index])
        if listing == "rising":
            young = [post for post in posts if now - post.created < _RISING_AGE and post.kind != "moderator"]
            return sorted(young, key=lambda post: world.score(post, now - 3600) - world.score(post, now))
        inside = [post for post in posts if now - post.created < WINDOWS[window]]
        if listing == "top":
            return sorted(inside, key=lambda post: -world.score(post, now))
        return sorted(
            inside, key=lambda post: -_controversy(world.score(post, now), world.read(post, now).upvote_ratio)
        )


def _controversy(score: float, ratio: float) -> float:
    """Many votes, evenly split: votes to the power of the balance between the two sides."""
    if ratio <= 0.5 or ratio >= 1:
        return 0.0
    ups = score * ratio / (2 * ratio - 1)
    downs = ups - score
    return float((ups + downs) ** (downs / ups)) if ups > 0 else 0.0
