"""The communities of the local Reddit: who posts what and when, and what becomes of it.

Everything follows from the seed. Each draw has its own generator, seeded by (seed, community, purpose, index), so any
post can be computed without the others and in any order. Posts are numbered by time within their community. What a
post is worth is decided by `popularity`; this module adds the people, the calendar, the oddities and the course of
time: votes that arrive, fuzzed readings, removals, closed accounts and dead pictures.

All times are Unix seconds (UTC) of the world's own clock.
"""

import hashlib
import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property

import numpy as np

from redpop_assets.errors import SettingsError
from redpop_assets.sandbox import captions, moderation, popularity
from redpop_assets.sandbox.captions import Caption
from redpop_assets.sandbox.pictures import Look

_DAY = 86_400.0
_MONDAY = 4 * _DAY
_ALPHABET = "0123456789abcdefghijklmnopqrstuvwxyz"
_FIRST_NUMBER = int("1tq0000", 36)
_NUMBER_STEP = 997
_MEDIA_SPACE = 36**13
_MEDIA_FACTOR = 982_451_653 * 1_000_003
_MEDIA_PER_POST = 8
_FIRST_QUALITY, _REUPLOAD_QUALITY = 86, 68

# Shares of the unusual kinds; the rest are plain posts with one picture.
_KINDS = (("gallery", 0.015), ("repost", 0.02), ("crosspost", 0.01), ("self", 0.007), ("video", 0.008), ("link", 0.006))
_REMOVALS = (
    ("moderator", 0.016, 0.4),
    ("deleted", 0.02, 18.0),
    ("reddit", 0.003, 1.0),
    ("automod_filtered", 0.003, 0.01),
)
_DYING_PICTURES = 0.025
_LEAVING_AUTHORS = 0.08
_OVER_18 = 0.005

HIDDEN = 3600.0
"""Age below which the score of a post is not shown (seconds)."""
PACE = (10.5, 0.25)
"""Median of the pace of growth (hours), and deviation of its logarithm."""
LIKING = (0.86, 0.03, 0.04)
"""Share of upvotes under a usual post, how it follows the log score, and its own deviation."""
TALK = (-0.4, 0.4)
"""Mean and deviation of how much is said under a post, beyond what its score explains."""

_ADJECTIVES = ("Quiet", "Rusty", "Solar", "Velvet", "Bold", "Lucky", "Misty", "Odd", "Plain", "Royal", "Salty", "Wild")
_CREATURES = ("Otter", "Falcon", "Badger", "Walrus", "Heron", "Lynx", "Moth", "Pike", "Raven", "Toad", "Yak", "Wren")


@dataclass(frozen=True)
class Post:
    """Everything about a post that does not depend on when one looks."""

    subreddit: str
    index: int
    id: str
    number: int
    kind: str
    """image, gallery, crosspost, self, video, link or moderator"""
    created: float
    author: str
    author_id: str
    account_closed: float
    """when the author's account goes, or infinity"""
    caption: Caption
    original_content: bool
    looks: tuple[Look, ...]
    quality: int
    failed_item: int | None
    """the item of a gallery whose upload failed"""
    source: tuple[str, int] | None
    """(community, index) of the post whose picture this one shows again"""
    terms: Mapping[str, float]
    """image, caption, time and author term of the log score"""
    noise: float
    base: float
    pace: float
    """time scale of the growing score, seconds"""
    liking: float
    talk: float
    removal: str | None
    removed_at: float
    picture_dies: float
    over_18: bool
    removal_chance: float = 0.0
    """probability that moderators take it down, if its author leaves it; 0 where they have no reasons"""

    @property
    def expected_log_score(self) -> float:
        """The log score that perfect knowledge of picture, caption, time and author would predict."""
        return self.base + sum(self.terms.values())

    @property
    def final_score(self) -> float:
        """Score when all votes are in, before rounding and fuzzing."""
        return max(0.0, math.expm1(self.expected_log_score + self.noise))


@dataclass(frozen=True)
class Reading:
    """What the API shows of a post's reception at one moment."""

    score: int
    upvote_ratio: float
    num_comments: int
    num_crossposts: int
    hidden: bool
    removed: str | None
    author_gone: bool


class World:
    """Communities generated from a seed.

    At `epoch` each community has exactly `posts_per_subreddit` posts, made during the `history` before; posting goes on
    at the same rate afterwards. Where it is `moderated`, posts are taken down for reasons (`moderation`), else by
    chance. The tastes of communities differ by `bend` (`popularity.BEND`). Raises `SettingsError` for values that make
    no world.
    """

    def __init__(
        self,
        seed: int = 7,
        subreddits: tuple[str, ...] = ("pics", "EarthPorn"),
        posts_per_subreddit: int = 1000,
        epoch: datetime = datetime(2026, 6, 1, 12, tzinfo=UTC),
        history: timedelta = timedelta(days=60),
        moderated: bool = False,
        bend: float = popularity.BEND,
    ) -> None:
        if not subreddits or len({name.lower() for name in subreddits}) != len(subreddits):
            raise SettingsError("the sandbox needs one or more different subreddits: check the list of names")
        if posts_per_subreddit < 1 or history <= timedelta(0) or epoch.tzinfo is None:
            raise SettingsError("the sandbox needs at least one post, a positive history and an epoch with a time zone")
        self.seed, self.subreddits, self.posts_per_subreddit = seed, tuple(subreddits), posts_per_subreddit
        self.epoch, self.history, self.moderated = epoch, history, moderated
        self.bend = bend
        self._communities = {name.lower(): _Community(self, name, order) for order, name in enumerate(self.subreddits)}
        self._posts: dict[tuple[str, int], Post] = {}

    def subreddit(self, name: str) -> str | None:
        """The community as it spells itself, or None if there is no such community; case does not matter."""
        community = self._communities.get(name.lower())
        return community.name if community else None

    def taste(self, name: str) -> popularity.Taste:
        """What a community likes."""
        return self._communities[name.lower()].taste

    def subreddit_id(self, name: str) -> str:
        """Fullname of the community (t5_...)."""
        return "t5_" + base36(int.from_bytes(self.digest(name, "subreddit", 0)[:4], "big") % 36**5 + 36**4)

    def subscribers(self, name: str, now: float) -> int:
        """Members of the community: a growing number."""
        start = 2_000_000 + int.from_bytes(self.digest(name, "subscribers", 0)[:4], "big") % 30_000_000
        return start + int(max(0.0, now - self.epoch.timestamp()) / _DAY * 900)

    def count(self, subreddit: str, now: float) -> int:
        """How many posts the community has had by `now`, removed ones included: their indices are 0 to count - 1."""
        return self._communities[subreddit.lower()].count(now)

    def post(self, subreddit: str, index: int) -> Post:
        """The post with this index, counted from 0 in the order of time."""
        key = (subreddit.lower(), index)
        if key not in self._posts:
            self._posts[key] = self._communities[key[0]].post(index)
        return self._posts[key]

    def posts(self, subreddit: str, now: float) -> list[Post]:
        """All posts made by `now`, the oldest first."""
        return [self.post(subreddit, index) for index in range(self.count(subreddit, now))]

    def sticky(self, subreddit: str, now: float) -> int | None:
        """Index of the moderator post that is pinned at `now`: always the latest one; None before the first."""
        every, offset = self.moderator_rhythm
        latest = (self.count(subreddit, now) - 1 - offset) // every
        return latest * every + offset if latest >= 0 else None

    def find(self, post_id: str, now: float) -> Post | None:
        """The post with this base36 id, or None if there is none yet."""
        try:
            step = (int(post_id, 36) - _FIRST_NUMBER) // _NUMBER_STEP
        except ValueError:
            return None
        index, order = divmod(step, len(self.subreddits))
        name = self.subreddits[order]
        if not 0 <= index < self.count(name, now):
            return None
        post = self.post(name, index)
        return post if post.id == post_id.lower() else None

    def media_id(self, post: Post, item: int = 0) -> str:
        """Name of a picture at the image host."""
        slot = (post.index * len(self.subreddits) + self._order(post.subreddit)) * _MEDIA_PER_POST + item
        return base36((slot * _MEDIA_FACTOR + self._media_offset) % _MEDIA_SPACE).rjust(13, "0")

    def media(self, media_id: str, now: float) -> tuple[Look, int] | None:
        """Look and JPEG quality of a picture, or None if it does not exist, not yet or no longer."""
        shown = self.shown(media_id, now)
        if shown is None:
            return None
        post, item = shown
        if now >= post.picture_dies or (post.removal == "deleted" and now >= post.removed_at):
            return None
        return post.looks[item], post.quality

    def shown(self, media_id: str, now: float) -> tuple[Post, int] | None:
        """The post that shows a picture and the picture's place in it, or None if there is none yet."""
        try:
            value = int(media_id, 36)
        except ValueError:
            return None
        slot = (value - self._media_offset) * pow(_MEDIA_FACTOR, -1, _MEDIA_SPACE) % _MEDIA_SPACE
        rest, item = divmod(slot, _MEDIA_PER_POST)
        index, order = divmod(rest, len(self.subreddits))
        name = self.subreddits[order]
        if index >= self.count(name, now):
            return None
        post = self.post(name, index)
        if post.kind not in ("image", "gallery") or item >= len(post.looks) or item == post.failed_item:
            return None
        return post, item

    def score(self, post: Post, now: float) -> float:
        """Votes that have arrived by `now`, before rounding and fuzzing; voting ends with a removal."""
        age = min(now, post.removed_at) - post.created
        return max(0.0, 1 + (post.final_score - 1) * popularity.growth(age, post.pace))

    def read(self, post: Post, now: float) -> Reading:
        """What the API shows in the second of `now`; reads in one second agree, others differ by the vote fuzzing."""
        true = self.score(post, now)
        hidden = now - post.created < HIDDEN
        ratio = min(0.99, max(0.5, post.liking))
        comments = math.expm1(0.6 * math.log1p(true) + post.talk)
        removed = post.removal if now >= post.removed_at else None
        return Reading(
            score=1 if hidden else self._fuzzed(post, round(true), int(now)),
            upvote_ratio=1.0 if true < 2 else round(ratio, 2),
            num_comments=max(0, int(comments)),
            num_crossposts=int(true / 900),
            hidden=hidden,
            removed=removed,
            author_gone=now >= post.account_closed or removed == "deleted",
        )

    def digest(self, subreddit: str, purpose: str, index: int) -> bytes:
        """32 bytes that only the seed, the community, the purpose and the index decide."""
        return hashlib.sha256(f"{self.seed}|{subreddit.lower()}|{purpose}|{index}".encode()).digest()

    def rng(self, subreddit: str, purpose: str, index: int) -> np.random.Generator:
        """A generator of its own for each purpose."""
        return np.random.default_rng(int.from_bytes(self.digest(subreddit, purpose, index)[:16], "big"))

    def original(self, subreddit: str, before: float, rng: np.random.Generator) -> tuple[str, int] | None:
        """An earlier plain picture post to show again, of this community or another; None if there is none."""
        others = [name for name in self.subreddits if name.lower() != subreddit.lower()]
        name = others[int(rng.integers(len(others)))] if others and rng.random() < 0.4 else subreddit
        community = self._communities[name.lower()]
        candidates = community.count(before)
        if not candidates:
            return None
        for index in range(int(rng.integers(candidates)), -1, -1):
            if community.kind(index) == "image":
                return name, index
        return None

    @property
    def moderator_rhythm(self) -> tuple[int, int]:
        """(every, offset): a moderator posts whenever index % every == offset, twice in the history."""
        every = max(2, self.posts_per_subreddit // 2)
        return every, every * 4 // 5

    @cached_property
    def _media_offset(self) -> int:
        return int.from_bytes(self.digest("", "media", 0)[:16], "big") % _MEDIA_SPACE

    def _order(self, subreddit: str) -> int:
        return self._communities[subreddit.lower()].order

    def _fuzzed(self, post: Post, score: int, second: int) -> int:
        """Vote fuzzing: nearly none below 10 votes, then growing slowly; never more than 10 either way, floor 0."""
        rng = self.rng(post.subreddit, f"fuzz {post.index}", second)
        if score < 10:
            noise = int(rng.integers(0, 40) == 0) - int(rng.integers(0, 40) == 0)
        else:
            deviation = min(3.2, 0.45 * score**0.25)
            limit = min(10, max(2, score // 10))
            noise = max(-limit, min(limit, round(float(rng.normal(0, deviation)))))
        return max(0, score + noise)


class _Community:
    """One subreddit: its calendar, its authors and its taste."""

    def __init__(self, world: World, name: str, order: int) -> None:
        self.world, self.name, self.order = world, name, order
        hours = np.arange(168)
        self._cumulated = np.concatenate([[0.0], np.cumsum(popularity.posting_rate(hours + 0.5))])
        start = world.epoch.timestamp() - world.history.total_seconds()
        self._start = self._work(start)
        self._work_per_post = (self._work(world.epoch.timestamp()) - self._start) / world.posts_per_subreddit

        rng = world.rng(name, "authors", 0)
        authors = max(3, round(world.posts_per_subreddit / 8))
        activity = (np.arange(authors) + 4.0) ** -0.8
        subjects = popularity.subject_odds(name)
        favourite = rng.choice(len(subjects), size=authors, p=subjects)
        prefers = np.tile(subjects, (authors, 1))
        prefers[np.arange(authors), favourite] *= 3
        tones = np.tile(np.asarray(popularity.ODDS["tone"]), (authors, 1))
        tones[np.arange(authors), rng.integers(0, tones.shape[1], authors)] *= 2
        self.habits = popularity.Habits(
            activity=activity / activity.sum(),
            hour=(15 + rng.normal(0, 5, authors)) % 24,
            subject=prefers / prefers.sum(axis=1, keepdims=True),
            tone=tones / tones.sum(axis=1, keepdims=True),
        )
        self.taste = popularity.Taste.of(name, self.habits, world.rng(name, "taste", 0), world.bend)
        leaves = world.epoch.timestamp() + rng.uniform(-world.history.total_seconds(), 180 * _DAY, authors)
        self._leaves = np.where(rng.random(authors) < _LEAVING_AUTHORS, leaves, np.inf)
        self._careless = world.rng(name, "careless authors", 0).random(authors) < moderation.CARELESS

    def count(self, now: float) -> int:
        """How many posts there are: those whose time, cut to the second, has come."""
        index = int((self._work(now + 1) - self._start) // self._work_per_post)
        while index >= 0 and self._arrival(index) > now:
            index -= 1
        return max(0, index + 1)

    def kind(self, index: int) -> str:
        """What sort of post this is; `repost` is a plain picture post whose picture is not new."""
        every, offset = self.world.moderator_rhythm
        if index % every == offset:
            return "moderator"
        roll = int.from_bytes(self.world.digest(self.name, "kind", index)[:7], "big") / 2**56
        for kind, share in _KINDS:
            roll -= share
            if roll < 0:
                return kind
        return "image"

    def post(self, index: int) -> Post:
        world, rng = self.world, self.world.rng(self.name, "post", index)
        number = _FIRST_NUMBER + (index * len(world.subreddits) + self.order) * _NUMBER_STEP
        number += int.from_bytes(world.digest(self.name, "id", index)[:4], "big") % _NUMBER_STEP
        created = self._arrival(index)
        week_hour = (created - _MONDAY) / 3600 % 168

        author = int(rng.choice(len(self.habits.hour), p=self.habits.at_hour(np.asarray([week_hour % 24]))[0]))
        returned = created >= self._leaves[author]
        kind = self.kind(index)
        source = world.original(self.name, created - 6 * 3600, rng) if kind in ("repost", "crosspost") else None
        shown = world.post(*source) if source else None
        if kind == "repost" or (kind == "crosspost" and source is None):
            kind = "image"

        items = int(rng.integers(2, 6)) if kind == "gallery" else 1
        failed = int(rng.integers(items)) if items >= 3 and rng.random() < 0.5 else None
        looks = tuple(self._look(rng, author) for _ in range(items))
        if shown:
            looks = shown.looks
        subject = (
            looks[0].subject if rng.random() < 0.9 else self._value(rng, "subject", popularity.subject_odds(self.name))
        )
        original_content = source is None and rng.random() < 0.12
        caption = self._caption(rng, author, subject, original_content)
        if kind == "moderator":
            caption = Caption("Monthly rules reminder and picture contest thread", "daily", "calm", "plain", "medium")

        visible = next(item for item in range(items) if item != failed)
        terms = {
            "image": self.taste.of_look(looks[visible]) if kind in ("image", "gallery", "crosspost") else 0.0,
            "caption": self.taste.of_caption(caption) if kind != "moderator" else 0.0,
            "time": self.taste.of_time(week_hour),
            "author": float(self.taste.author[author]) if kind != "moderator" else 0.0,
        }
        noise = float(rng.normal(0, self.taste.noise_scale))
        removal, removed_at = self._removal(rng, created)
        chance = moderation.probability(caption, created, bool(self._careless[author])) if world.moderated else 0.0
        if world.moderated and removal != "deleted":
            removal, removed_at = self._moderation(index, created, chance)
        if kind == "moderator":
            removal, removed_at, chance = None, math.inf, 0.0
        return Post(
            subreddit=self.name,
            index=index,
            id=base36(number),
            number=number,
            kind=kind,
            created=created,
            author=f"{self.name}_moderators" if kind == "moderator" else self._author_name(author, returned),
            author_id=f"t2_{base36(36**6 + (self.order * 1_000_003 + author) * 7919 + int(returned))}",
            account_closed=math.inf if returned or kind == "moderator" else float(self._leaves[author]),
            caption=caption,
            original_content=original_content,
            looks=() if kind in ("self", "video", "link", "moderator") else looks,
            quality=_REUPLOAD_QUALITY if source and rng.random() < 0.4 else _FIRST_QUALITY,
            failed_item=failed,
            source=source,
            terms=terms,
            noise=noise,
            base=self.taste.base,
            pace=3600 * float(rng.lognormal(math.log(PACE[0]), PACE[1])),
            liking=LIKING[0] + LIKING[1] * (sum(terms.values()) + noise) + float(rng.normal(0, LIKING[2])),
            talk=TALK[0] + float(rng.normal(0, TALK[1])),
            removal=removal,
            removed_at=removed_at,
            picture_dies=created + float(rng.exponential(25 * _DAY)) if rng.random() < _DYING_PICTURES else math.inf,
            over_18=kind == "image" and rng.random() < _OVER_18,
            removal_chance=chance,
        )

    def _look(self, rng: np.random.Generator, author: int) -> Look:
        return Look(
            subject=self._value(rng, "subject", self.habits.subject[author]),
            palette=self._value(rng, "palette"),
            sharpness=self._value(rng, "sharpness"),
            overlay=self._value(rng, "overlay"),
            framing=self._value(rng, "framing"),
            composition=self._value(rng, "composition"),
            detail=int(rng.integers(2**48)),
        )

    def _caption(self, rng: np.random.Generator, author: int, subject: str, tag: bool) -> Caption:
        return captions.write(
            rng,
            subject=subject,
            theme=self._value(rng, "theme"),
            tone=self._value(rng, "tone", self.habits.tone[author]),
            story=self._value(rng, "story"),
            length=self._value(rng, "length"),
            tag=tag,
        )

    def _value(self, rng: np.random.Generator, name: str, odds: np.ndarray | None = None) -> str:
        values = popularity.IMAGE_PROPERTIES.get(name) or popularity.CAPTION_PROPERTIES[name]
        cumulated = np.cumsum(popularity.ODDS[name] if odds is None else odds)
        return values[min(len(values) - 1, int(np.searchsorted(cumulated, rng.random() * cumulated[-1], side="right")))]

    def _removal(self, rng: np.random.Generator, created: float) -> tuple[str | None, float]:
        roll = rng.random()
        for category, share, days in _REMOVALS:
            roll -= share
            if roll < 0:
                return category, created + float(rng.exponential(days * _DAY))
        return None, math.inf

    def _moderation(self, index: int, created: float, chance: float) -> tuple[str | None, float]:
        """What moderators do, drawn apart from everything else."""
        rng = self.world.rng(self.name, "moderation", index)
        if rng.random() >= chance:
            return None, math.inf
        return "moderator", created + float(rng.exponential(moderation.DELAY * _DAY))

    def _author_name(self, author: int, returned: bool) -> str:
        """A name that no other author has; one who closed the account comes back under another."""
        first, rest = divmod(author, len(_CREATURES))
        digits = int.from_bytes(self.world.digest(self.name, "name", author)[:2], "big") % 90 + 10
        home = self.order + 1 if self.order else ""
        name = f"{_ADJECTIVES[first % len(_ADJECTIVES)]}{_CREATURES[rest]}{digits}{home}"
        generation = first // len(_ADJECTIVES)
        return name + ("" if not generation else f"_{generation}") + ("_again" if returned else "")

    def _work(self, moment: float) -> float:
        """Integral of the posting rate up to a moment, in arbitrary units."""
        weeks, hours = divmod((moment - _MONDAY) / 3600, 168)
        return float(weeks * self._cumulated[-1] + np.interp(hours, np.arange(169), self._cumulated))

    def _arrival(self, index: int) -> float:
        """When the post with this index is made, in whole seconds: at a random place in its own slice of equal work."""
        place = int.from_bytes(self.world.digest(self.name, "arrival", index)[:7], "big") / 2**56
        weeks, rest = divmod(self._start + (index + place) * self._work_per_post, self._cumulated[-1])
        return float(int(_MONDAY + 3600 * (weeks * 168 + np.interp(rest, self._cumulated, np.arange(169)))))


def base36(number: int) -> str:
    """Digits and lower-case letters, as in Reddit's ids."""
    digits = ""
    while True:
        number, digit = divmod(number, 36)
        digits = _ALPHABET[digit] + digits
        if not number:
            return digits
