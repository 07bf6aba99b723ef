"""The listings of a community: which posts, in which order, a page at a time."""

import math
from bisect import bisect_left, bisect_right
from collections import OrderedDict
from dataclasses import dataclass

from redpop_assets.sandbox.fates import Fates
from redpop_assets.sandbox.world import Post, World

LISTINGS = ("new", "hot", "rising", "top", "controversial")
WINDOWS = {"hour": 3600, "day": 86_400, "week": 604_800, "month": 2_592_000, "year": 31_536_000, "all": math.inf}
LONGEST = 1000
_HOT_SECONDS = 45_000
_RISING_AGE = 86_400
_KEPT_ORDERS = 16
_MOVED = 3  # places that a listing moves between two pages


@dataclass(frozen=True)
class Page:
    """One page: its posts, and the fullnames to go on after and to go back before, or None at either end."""

    posts: list[Post]
    after: str | None
    before: str | None = None


class Listings:
    """Ordered views of a world; the last few orders are kept, since paging asks for the same one again and again."""

    def __init__(self, world: World, fates: Fates) -> None:
        self._world, self._fates = world, fates
        self._kept: OrderedDict[tuple[str, str, str, float], list[Post]] = OrderedDict()

    def page(
        self,
        subreddit: str,
        listing: str,
        now: float,
        *,
        window: str,
        limit: int,
        after: str | None = None,
        before: str | None = None,
        twist: str | None = None,
    ) -> Page:
        """One page of at most `limit` posts, plus the sticky post on top of the first page of hot.

        A removed post is not shown, but its place is remembered, so paging can go on after it, or back before it. After
        an item that the listing does not hold (any more) there is nothing. No listing goes beyond 1,000 posts. `twist`
        is a situation of follow-up pages: moving-pages, short-pages or empty-pages.
        """
        order = self._order(subreddit, listing, now, window)
        shown = [place for place, post in enumerate(order) if self._fates.is_listed(post, now)][:LONGEST]
        first, last = 0, len(shown)
        if after:
            first = bisect_right(shown, _place(order, after))
        elif before:
            place = _place(order, before)
            last = bisect_left(shown, place) if place < len(order) else 0
            first = max(0, last - limit)
        if twist == "moving-pages":
            first = max(0, first - min(_MOVED, limit - 1))
        size = limit * 3 // 5 if twist == "short-pages" and limit > 1 else limit
        stop = min(last, first + size)
        posts = [order[place] for place in shown[first:stop]]
        more = f"t3_{posts[-1].id}" if posts and stop < len(shown) else None
        if twist == "empty-pages" and more and first > 1:
            # Whoever goes on gets everything; the last post of the page before a second time.
            posts, more = [], f"t3_{order[shown[first - 2]].id}"
        sticky = self._world.sticky(subreddit, now)
        if listing == "hot" and first == 0 and not after and sticky is not None:
            pinned = self._world.post(subreddit, sticky)
            posts = [pinned, *posts] if self._fates.is_listed(pinned, now) else posts
        return Page(posts, more, f"t3_{posts[0].id}" if posts and first > 0 else None)

    def forget(self) -> None:
        """Drop the orders that are kept: the world is another one now."""
        self._kept.clear()

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
        world, posts = self._world, self._fates.posts(subreddit, now)
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


def _place(order: list[Post], fullname: str) -> int:
    """Where a post stands; past the end if it does not."""
    return next((place for place, post in enumerate(order) if f"t3_{post.id}" == fullname), len(order))


def _controversy(score: float, ratio: float) -> float:
    """Many votes, evenly split: votes to the power of the balance between the two sides."""
    if ratio <= 0.5 or ratio >= 1:
        return 0.0
    ups = score * ratio / (2 * ratio - 1)
    downs = ups - score
    return float((ups + downs) ** (downs / ups)) if ups > 0 else 0.0
