"""What is asked about a post that is not made yet, and what is answered; by whom, says `redpop_assets.refresh.desk`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from redpop_assets.features.family import Content
from redpop_assets.refresh.community_page import PastSlot
from redpop_assets.refresh.counted import CountedPost
from redpop_assets.refresh.draft import Forecast
from redpop_assets.refresh.likeness import PastPost
from redpop_assets.refresh.new_post import Picture
from redpop_assets.refresh.reasons import Explanation
from redpop_assets.refresh.removal_risk import RemovalRisk
from redpop_assets.refresh.rules import Objection
from redpop_assets.refresh.titles import Comparison, Difference


@dataclass(frozen=True, eq=False)
class Question:
    """A post that is not made yet.

    Attributes:
        titles: those to choose from, at least one.
        picture: what is found out about it is kept with it, for the next question; None for a title alone.
        posted_at: when it would be made (aware).
        author: keyed hash of the author's name; None for a newcomer of whom nothing is said.
    """

    titles: tuple[str, ...]
    picture: Picture | None
    posted_at: datetime
    author: str | None = None


@dataclass(frozen=True)
class Community:
    """A community of the warehouse, and who speaks for it.

    Attributes:
        subreddit: in lower case.
        posts: that are stored.
        matured: those of them with a label.
        newest_post_at: creation of the newest (UTC); None without one.
        speaker: the predictor that answers: the champion, else the one that ranked unseen posts best; None without any.
        champion_since: since when it is the champion (UTC); None where it is not.
        why_silent: why nobody answers, in a sentence that says what to do; None where somebody does.
    """

    subreddit: str
    posts: int
    matured: int
    newest_post_at: datetime | None
    speaker: str | None
    champion_since: datetime | None
    why_silent: str | None


@dataclass(frozen=True)
class Record:
    """What the one who answers has shown so far, on posts that it had not learnt from.

    Attributes:
        test_posts: posts of the test part.
        spearman: how well it ranked them; None where unknown.
        factor_off: by what factor of 1 + points it was off on average; None where unknown.
        held: level in percent -> share of the test posts whose score lay in such a range; None where unknown.
        judged: forecasts that were written down before the score was known, and whose score is known by now.
        judged_held: level in percent -> share of these that lay in the range; None without any.
    """

    test_posts: int
    spearman: float | None
    factor_off: float | None
    held: Mapping[int, float | None]
    judged: int
    judged_held: Mapping[int, float | None]


@dataclass(frozen=True)
class Answered:
    """What is expected of the titles of a question in one community.

    Attributes:
        subreddit: the community.
        label_age_days: age at which the score is expected.
        comparison: the titles, the best first, each with its forecast, and with its difference from the best.
        record: of the one who says so.
        risks: title -> how likely the post is to be taken down.
    """

    subreddit: str
    label_age_days: float
    comparison: Comparison
    record: Record
    risks: Mapping[str, RemovalRisk]


@dataclass(frozen=True)
class MayI:
    """Whether a draft may be posted in a community.

    Attributes:
        subreddit: the community.
        title: that was asked about, the first one.
        objections: what its rules have against the draft, and what of them is not known; the surest first.
        risk: how likely it is to be taken down.
    """

    subreddit: str
    title: str
    objections: tuple[Objection, ...]
    risk: RemovalRisk


@dataclass(frozen=True)
class Reasons:
    """Why a score is expected of a draft in a community.

    Attributes:
        predictor: whose expectation it is.
        explanation: the expectation taken apart by sides; None where no usual post is at hand.
        similar: past posts with a settled score whose picture or title is most like it, and how they did.
        seen: posts, of whatever community, that showed this very picture, the newest first.
        counted: past posts that the predictor listened to, the most counting first; none where it does not look at
            single ones.
    """

    predictor: str
    explanation: Explanation | None
    similar: tuple[PastPost, ...]
    seen: tuple[PastPost, ...]
    counted: tuple[CountedPost, ...] = ()


@dataclass(frozen=True)
class Slot:
    """One hour of the coming week.

    Attributes:
        at: its begin (aware, in the asked time zone).
        forecast: of the draft, if it were posted then.
        difference: from the best slot, with intervals, as of titles.
        past: how posts of this hour of this weekday did.
    """

    at: datetime
    forecast: Forecast
    difference: Difference
    past: PastSlot


@dataclass(frozen=True)
class Hours:
    """When to post: 168 slots in the order of time, and the best five of them.

    Attributes:
        predictor: who says so.
        looks_at_time: whether it can tell times apart at all.
        slots: each hour of the coming seven days.
        best: positions of the five slots that are expected to be best, the best first.
        why_unknown: why differences have no intervals, in a sentence; None where they have.
    """

    predictor: str
    looks_at_time: bool
    slots: tuple[Slot, ...]
    best: tuple[int, ...]
    why_unknown: str | None


@dataclass(frozen=True)
class Place:
    """What is expected of a draft in one of several communities.

    Attributes:
        subreddit: the community.
        forecast: of the best title there; None where nobody answers.
        title: that title.
        standing: mean percentile of past posts here of which as much was expected, none of them learnt from: what
            such an expectation turned out to be worth; None where too few could tell.
        standing_low, standing_high: where the draft stands in 90 of 100 cases, luck left out; None likewise.
        unlike: the sides, picture or title, that are less like anything posted here than almost all posts were.
        told_apart: whether it stands lower than the first place, beyond what is not known; never where one of the two
            is unlike what was learnt from.
        objections: rules that such a post breaks, or may break; not those that a person has to read.
        why_silent: why nobody answers; None where somebody does.
    """

    subreddit: str
    forecast: Forecast | None
    title: str | None
    standing: float | None
    standing_low: float | None
    standing_high: float | None
    unlike: tuple[Content, ...]
    told_apart: bool
    objections: tuple[Objection, ...]
    why_silent: str | None
