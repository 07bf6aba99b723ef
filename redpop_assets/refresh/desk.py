"""What somebody asks who is about to post: answered from one edition of the published file, kept warm.

Here is what a question and its answers are, and who answers: the champion of each community, by the same families of
features and the same stored model as everywhere else. How an answer is found stands in `redpop_assets.refresh.draft`
(expectations), `titles` (differences), `reasons` (why), `hours` (when) and `places` (where).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from redpop_assets.refresh.draft import Forecast
from redpop_assets.refresh.titles import Comparison, Difference

if TYPE_CHECKING:
    from PIL.Image import Image


@dataclass(frozen=True, eq=False)
class Question:
    """A post that is not made yet.

    Attributes:
        titles: those to choose from, at least one.
        picture: its RGB picture; None for a title alone.
        posted_at: when it would be made (aware).
        author: keyed hash of the author's name; None for somebody unknown.
    """

    titles: tuple[str, ...]
    picture: Image | None
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
    """

    subreddit: str
    label_age_days: float
    comparison: Comparison
    record: Record


@dataclass(frozen=True)
class Input:
    """One input of the answering predictor that counted.

    Attributes:
        block, column: where it stands in `marts.feature_catalogue`.
        meaning: what it is, a sentence of the table's comment.
        value: of the draft; None where it has none.
        usual: median of the community's posts; None where unknown.
    """

    block: str
    column: str
    meaning: str
    value: float | None
    usual: float | None


@dataclass(frozen=True)
class Part:
    """What one side of a post adds to what is expected of it.

    Attributes:
        side: picture, title, time, author, community or form, as in `redpop_assets.refresh.reasons.SIDES`.
        added: log score that it adds, on average over the ways to put a usual post together with this one (a Shapley
            value): the parts sum to the expectation less that of a usual post.
        inputs: those of this side that differ most from a usual post, at most a few.
    """

    side: str
    added: float
    inputs: tuple[Input, ...]


@dataclass(frozen=True)
class PastPost:
    """A stored post that is shown beside a draft.

    Attributes:
        post_id: base36 id.
        subreddit: in lower case.
        title: by a stranger: text, whatever is in it.
        score: its label in points; None while it has none.
        percentile: share of the labelled posts of its community that scored less; None without a label.
        created_at: UTC.
        image_sha256: its first picture; None without one.
        similarity: cosine to the draft; None where it is the same picture.
        alike: what is alike: picture or title.
    """

    post_id: str
    subreddit: str
    title: str
    score: int | None
    percentile: float | None
    created_at: datetime
    image_sha256: str | None
    similarity: float | None
    alike: str


@dataclass(frozen=True)
class Reasons:
    """Why a score is expected of a draft in a community.

    Attributes:
        predictor: whose expectation it is.
        expected_log_score: of the draft.
        usual_log_score: mean of what it expects of usual posts here.
        usual_posts: posts that stand for them.
        parts: what each side of the draft adds, the largest first.
        similar: past posts whose picture or title is most like it, and how they did.
        seen: posts, of whatever community, that showed this very picture, the newest first.
    """

    predictor: str
    expected_log_score: float
    usual_log_score: float
    usual_posts: int
    parts: tuple[Part, ...]
    similar: tuple[PastPost, ...]
    seen: tuple[PastPost, ...]


@dataclass(frozen=True)
class Slot:
    """One hour of the coming week.

    Attributes:
        at: its begin (aware, in the asked time zone).
        forecast: of the draft, if it were posted then.
        difference: from the best slot, with intervals, as of titles.
        past_posts: labelled posts of the community that were made in this hour of this weekday.
        past_percentile: mean percentile of these, drawn towards 0.5 where they are few; None without any.
        past_low, past_high: an interval of 80 % around it; None without any.
        thin: whether they are too few to say anything.
    """

    at: datetime
    forecast: Forecast
    difference: Difference
    past_posts: int
    past_percentile: float | None
    past_low: float | None
    past_high: float | None
    thin: bool


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
        percentile_low, percentile_high: where the ends of the range of 80 % stand in the community; None where unknown.
        told_apart: whether it stands lower than the first place beyond what its own uncertainty explains.
        why_silent: why nobody answers; None where somebody does.
    """

    subreddit: str
    forecast: Forecast | None
    percentile_low: float | None
    percentile_high: float | None
    told_apart: bool
    why_silent: str | None
