"""What becomes of posts and accounts beyond the seed: deleted by hand, or struck by a situation of chaos.

The world stays as it is; this is the layer through which the endpoints look at it. What is done by hand lasts: it is
kept in a file beside the clock's.
"""

import json
import math
import threading
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from redpop_assets.errors import RedPopError
from redpop_assets.sandbox.captions import Caption
from redpop_assets.sandbox.chaos import Chaos
from redpop_assets.sandbox.world import Post, Reading, World, base36

REASONS = ("deleted", "author", "moderator", "reddit", "copyright_takedown", "missing")
"""What can be done to a post: values of removed_by_category, and `missing`: no answer holds it any more."""

BURST_POSTS = 1100
_BURST_SECONDS = 3 * 3600.0
_BURST_FIRST = int("9000000", 36)
_DAY = 86_400.0
_REVERSED_AFTER = 36 * 3600.0
_MASKED = _DAY
_BY_AUTHOR = ("deleted", "author")
_TAKING = ("deleted", "author", "copyright_takedown", "missing")


@dataclass(frozen=True)
class Fate:
    """What has become of a post.

    Attributes:
        removed: value of removed_by_category.
        author_gone: whether it shows no author any more.
        missing: whether no answer holds it any more.
        taken: whether its title, text and pictures were taken away (the world's own deletions leave the title).
    """

    removed: str | None
    author_gone: bool
    missing: bool = False
    taken: bool = False


class Fates:
    """The posts of a world as they stand.

    Args:
        world: the communities.
        chaos: what may befall them.
        directory: where deletions by hand are kept, in `deletions.json`; None keeps them in memory.

    Raises:
        RedPopError: the file cannot be read.
    """

    def __init__(self, world: World, chaos: Chaos, directory: Path | None = None) -> None:
        self._world, self._chaos = world, chaos
        self._epoch = world.epoch.timestamp()
        self._lock = threading.Lock()
        self._file = directory / "deletions.json" if directory else None
        self._deleted: dict[str, tuple[str, float]] = {}
        self._closed: dict[str, float] = {}
        self._bursts: dict[tuple[str, int, float], list[Post]] = {}
        if self._file and self._file.exists():
            try:
                kept = json.loads(self._file.read_text())
                self._deleted = {key: (str(reason), float(at)) for key, (reason, at) in kept["posts"].items()}
                self._closed = {key: float(at) for key, at in kept["authors"].items()}
            except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
                raise RedPopError(
                    f"the sandbox's deletions {self._file} cannot be read ({error}): delete it to start again"
                ) from error

    def delete(self, post_id: str, now: float, reason: str = "deleted") -> Post | None:
        """Take a post away from `now` on, for one of `REASONS`; None if there is no such post."""
        post = self.find(post_id, now)
        if post is not None:
            with self._lock:
                self._deleted[post.id] = (reason, now)
                self._keep()
        return post

    def close_account(self, author: str, now: float) -> list[Post]:
        """Close an account from `now` on; returns its posts so far. Whatever it posts later has no author either."""
        posts = [
            post for name in self._world.subreddits for post in self._world.posts(name, now) if post.author == author
        ]
        if posts:
            with self._lock:
                self._closed[author] = now
                self._keep()
        return posts

    def of(self, post: Post, now: float) -> Fate:
        """What has become of `post` by `now`."""
        removed = post.removal if now >= post.removed_at else None
        author_gone = now >= min(post.account_closed, self._closed.get(post.author, math.inf)) or removed == "deleted"
        reason, at = self._deleted.get(post.id, ("", math.inf))
        if now >= at:
            removed = None if reason == "missing" else reason
            return Fate(removed, author_gone or reason in _BY_AUTHOR, reason == "missing", reason in _TAKING)
        if post.kind == "moderator" or post.index < 0:
            return Fate(removed, author_gone)
        chaos = self._chaos
        if chaos.befalls("missing-posts", post.id) and now >= self._moment("missing-posts", post):
            chaos.count("missing-posts", post.id)
            return Fate(removed, author_gone, missing=True, taken=True)
        if chaos.befalls("closed-accounts", post.author) and now >= self._epoch + 20 * _DAY * chaos.share(
            "closing", post.author
        ):
            chaos.count("closed-accounts", post.author)
            author_gone = True
        if chaos.befalls("deleted-posts", post.id) and now >= self._moment("deleted-posts", post):
            chaos.count("deleted-posts", post.id)
            return Fate("author" if chaos.share("deleter", post.id) < 0.25 else "deleted", True, taken=True)
        if removed is None and chaos.befalls("reversed-removals", post.id):
            since = self._moment("reversed-removals", post)
            if now >= since:
                chaos.count("reversed-removals", post.id)
                removed = "moderator" if now < since + _REVERSED_AFTER else None
        return Fate(removed, author_gone)

    def read(self, post: Post, now: float) -> Reading:
        """As `World.read`, with what has become of the post since."""
        reading, fate = self._world.read(post, now), self.of(post, now)
        if now - post.created < _MASKED and self._chaos.befalls("hidden-scores", post.id):
            self._chaos.count("hidden-scores", post.id)
            reading = replace(reading, score=1, hidden=True)
        return replace(reading, removed=fate.removed, author_gone=fate.author_gone)

    def is_listed(self, post: Post, now: float) -> bool:
        """Whether listings show the post."""
        fate = self.of(post, now)
        return fate.removed is None and not fate.missing

    def picture(self, media_id: str, now: float) -> str | None:
        """The situation that has befallen a picture by `now`, if any; some befall it only after some days."""
        trait = self._chaos.trait("pictures", media_id)
        changes = self._epoch + 10 * _DAY * self._chaos.share("turning", media_id)
        if trait == "changed-images" and now < changes:
            return None
        if trait == "dead-images" and self._chaos.share("dying", media_id) < 0.5 and now < changes:
            return None
        if trait:
            self._chaos.count(trait, media_id)
        return trait

    def posts(self, subreddit: str, now: float) -> list[Post]:
        """All posts made by `now`, those of bursts included, the oldest first."""
        posts = self._world.posts(subreddit, now)
        remarks = [
            post
            for number in range(self._bursts_until(now))
            for post in self._burst(subreddit, number)
            if post.created <= now
        ]
        if not remarks:
            return posts
        self._chaos.count("post-bursts", f"{subreddit}|{len(remarks) // BURST_POSTS}")
        return sorted([*posts, *remarks], key=lambda post: post.created)

    def find(self, post_id: str, now: float) -> Post | None:
        """The post with this base36 id, or None if there is none yet, or none any more."""
        post = self._world.find(post_id, now) or self._find_in_bursts(post_id.lower(), now)
        return None if post is None or self.of(post, now).missing else post

    def _moment(self, name: str, post: Post) -> float:
        """When a situation befalls a post: some days after the post was made, or after the world's beginning."""
        delay = -3 * _DAY * math.log(1 - self._chaos.share(f"{name} delay", post.id))
        return max(post.created, self._epoch) + delay

    def _bursts_until(self, now: float) -> int:
        """Bursts that may have begun by `now`; the first one two days after the epoch at the earliest."""
        if not self._chaos.is_on("post-bursts") or now < self._epoch:
            return 0
        return int((now - self._epoch) / _DAY * self._chaos.rate("post-bursts")) + 1

    def _burst(self, subreddit: str, number: int) -> list[Post]:
        """The posts of one burst in a community: nothing but talk, all within three hours."""
        rate = self._chaos.rate("post-bursts")
        key = (subreddit.lower(), number, rate)
        if key not in self._bursts:
            world, name = self._world, self._world.subreddit(subreddit) or subreddit
            place = 0.3 + 0.6 * self._chaos.share("burst", f"{name}|{number}")
            start = self._epoch + (number + place) * _DAY / rate
            order = [each.lower() for each in world.subreddits].index(name.lower())
            first = _BURST_FIRST + (number * len(world.subreddits) + order) * BURST_POSTS
            self._bursts[key] = [
                _remark(name, first + place, float(int(start + place * _BURST_SECONDS / BURST_POSTS)))
                for place in range(BURST_POSTS)
            ]
        return self._bursts[key]

    def _find_in_bursts(self, post_id: str, now: float) -> Post | None:
        try:
            burst, place = divmod(int(post_id, 36) - _BURST_FIRST, BURST_POSTS)
        except ValueError:
            return None
        number, order = divmod(burst, len(self._world.subreddits))
        if not 0 <= number < self._bursts_until(now):
            return None
        post = self._burst(self._world.subreddits[order], number)[place]
        return post if post.id == post_id and post.created <= now else None

    def _keep(self) -> None:
        if self._file:
            self._file.parent.mkdir(parents=True, exist_ok=True)
            fresh = self._file.with_suffix(".json.new")
            fresh.write_text(json.dumps({"posts": self._deleted, "authors": self._closed}))
            fresh.replace(self._file)


def _remark(subreddit: str, number: int, created: float) -> Post:
    """One of very many text posts about the same event; nobody votes for it."""
    terms: Mapping[str, float] = {"image": 0.0, "caption": 0.0, "time": 0.0, "author": 0.0}
    return Post(
        subreddit=subreddit,
        index=_BURST_FIRST - number - 1,
        id=base36(number),
        number=number,
        kind="self",
        created=created,
        author=f"{subreddit}_visitor{number % 400}",
        author_id=f"t2_{base36(36**7 + number % 400)}",
        account_closed=math.inf,
        caption=Caption(f"Did you all see that? {number % BURST_POSTS + 1}", "daily", "calm", "plain", "short"),
        original_content=False,
        looks=(),
        quality=86,
        failed_item=None,
        source=None,
        terms=terms,
        noise=0.0,
        base=math.log1p(1),
        pace=3600.0,
        liking=0.7,
        talk=-0.4,
        removal=None,
        removed_at=math.inf,
        picture_dies=math.inf,
        over_18=False,
    )
