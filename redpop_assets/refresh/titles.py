"""Several titles of one post that is not made yet, compared: which is best, and whether that can be told at all.

A predictor is asked about all titles at once. How much its differences are worth is learnt, once for all drafts, from
posts that it has not learnt from: the test part of the split, and the embargo before it. What of an expectation is due
to the title is the mean of what the predictor expects of that title under the pictures, times and authors of several of
those posts. The rest is `redpop_assets.predictors.parts.differences`.

The test part also chose the champion, which flatters it a little; how often the intervals hold what they promise is
measured where the truth is known (`benchmarks/title_intervals.py`).
"""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from redpop_assets.evaluation.measurement import LEVELS
from redpop_assets.features.family import Encoders
from redpop_assets.predictors.parts.differences import FEWEST, Differences
from redpop_assets.refresh.blocks import read_dataset
from redpop_assets.refresh.draft import Answer, Forecast, asked
from redpop_assets.refresh.held_out import held_out, parts_of
from redpop_assets.refresh.new_post import Draft
from redpop_assets.refresh.speakers import Speaker, Speakers
from redpop_assets.storage.models import ModelStore
from redpop_assets.storage.rows import Readable

SURE_LEVEL = 90
"""Coverage (percent) of the interval that has to leave out 0 for two titles to be told apart."""

# The one that most predictors here look through, rather than the words' half of a CLIP.
_ENCODERS = """
SELECT e.encoder
FROM features.encoders AS e
LEFT JOIN (
    SELECT caption_encoder AS encoder, count(*) AS used FROM models.predictors WHERE subreddit = $subreddit GROUP BY ALL
) AS m USING (encoder)
WHERE e.modality = 'caption'
ORDER BY coalesce(m.used, 0) DESC, e.encoder LIKE 'open_clip:%', e.encoder
LIMIT 1
"""


@dataclass(frozen=True)
class Difference:
    """How much less a title is expected to get than the best one, in log score: of 1 + points, the ratio.

    Attributes:
        expected: 0 or less, by the predictor.
        intervals: by level in percent, where the true difference lies; None where too few posts could tell.
    """

    expected: float
    intervals: Mapping[int, tuple[float, float] | None]

    @property
    def told_apart(self) -> bool:
        """Whether the title is worse beyond what chance and ignorance explain, at `SURE_LEVEL`."""
        bounds = self.intervals[SURE_LEVEL]
        return bounds is not None and bounds[1] < 0.0


@dataclass(frozen=True)
class TitleForecast:
    """One of the titles: what is expected of it, and how far it is from the best one (which is 0 from itself)."""

    title: str
    forecast: Forecast
    difference: Difference


@dataclass(frozen=True)
class Comparison:
    """What one predictor says of several titles.

    Attributes:
        predictor: its name.
        titles: the best first, by expectation; equal ones as they were given.
        looks_at_titles: whether it can tell titles apart at all.
        held_out_posts: posts that the intervals of differences were learnt from; 0 where there are none.
        why_unknown: why there are no intervals, in a sentence; None where there are.
    """

    predictor: str
    titles: tuple[TitleForecast, ...]
    looks_at_titles: bool
    held_out_posts: int
    why_unknown: str | None


def compare_titles(
    warehouse: Readable, models: ModelStore, post: Draft, only: Collection[str] = ()
) -> Iterator[Comparison]:
    """Compare the titles of one draft; see `compared`, which learns nothing twice where there are more."""
    return compared(Speakers(warehouse, models), post, only)


def compared(speakers: Speakers, post: Draft, only: Collection[str] = ()) -> Iterator[Comparison]:
    """Compare the titles of a draft by trained predictors, the champion first, then as they rank unseen posts.

    Each predictor is asked when its comparison is taken from the iterator. The first time it is asked about its
    held-out posts as well, `PLACES` times; memory is that of `MOST_HELD_OUT` posts.

    Args:
        speakers: of the communities.
        post: the draft with its titles; titles that are equal count as one, and their difference is 0.
        only: names of the predictors to ask; empty for all.

    Raises:
        NotTrainable: no predictor is trained in this subreddit, or not one of these names.
        WeightsUnavailable, ArtifactError: an encoder or a model cannot be loaded.
    """
    return (comparison(answer, post) for answer in asked(speakers, post, only))


def comparison(answer: Answer, post: Draft) -> Comparison:
    """What an answer about a draft with several titles says of their differences.

    Raises:
        WeightsUnavailable: an encoder cannot be loaded.
    """
    first = {title: row for row, title in reversed(list(enumerate(post.captions)))}
    forecasts = [answer.forecasts[first[title]] for title in post.captions]
    order = sorted(range(len(forecasts)), key=lambda row: -forecasts[row].expected_log_score)
    looks = forecasts[0].used_caption
    learnt, why = None, "the predictor does not look at titles"
    if looks:
        learnt, why = worth(answer.speaker) if len(first) > 1 else (None, "")
    vectors = None if learnt is None else post.block("caption", Encoders("", caption_encoder(answer.speaker)))
    best = order[0]
    titles = []
    for row in order:
        difference = forecasts[row].expected_log_score - forecasts[best].expected_log_score
        if post.captions[row] == post.captions[best]:
            bounds: Mapping[int, tuple[float, float] | None] = dict.fromkeys(LEVELS, (0.0, 0.0))
        elif learnt is None or vectors is None:
            bounds = dict.fromkeys(LEVELS, None)
        else:
            likeness = float(vectors.values[first[post.captions[row]]] @ vectors.values[first[post.captions[best]]])
            bounds = _intervals(learnt, difference, likeness)
        titles.append(TitleForecast(post.captions[row], forecasts[row], Difference(difference, bounds)))
    return Comparison(answer.speaker.name, tuple(titles), looks, 0 if learnt is None else learnt.posts, why or None)


def _intervals(learnt: Differences, difference: float, likeness: float) -> dict[int, tuple[float, float] | None]:
    found: dict[int, tuple[float, float] | None] = {}
    for level in LEVELS:
        low, high = learnt.interval(np.array([difference]), np.array([likeness]), level)
        found[level] = float(low[0]), float(high[0])
    return found


def caption_encoder(speaker: Speaker) -> str:
    """The encoder by whose vectors titles of a community are alike; "" where none has seen them."""
    scope = {"subreddit": speaker.subreddit}
    return speaker.kept_as("caption encoder", lambda: str(speaker.warehouse.scalar(_ENCODERS, scope) or ""))


def worth(speaker: Speaker) -> tuple[Differences | None, str]:
    """What the differences that a predictor expects between titles are worth; or None, and why that is not known."""
    return speaker.kept_as("worth of differences", lambda: _worth(speaker))


def _worth(speaker: Speaker) -> tuple[Differences | None, str]:
    warehouse, subreddit = speaker.warehouse, speaker.subreddit
    encoder = caption_encoder(speaker)
    if not encoder:
        return None, "no caption encoder has seen the titles of this community"
    found = held_out(speaker)
    seen = read_dataset(warehouse, subreddit, Encoders("", encoder), ["caption"], found.data.post_ids)
    vectors = seen.blocks["caption"]
    there = np.flatnonzero(vectors.present)
    if len(there) < FEWEST:
        return None, f"{FEWEST} matured posts that were not learnt from are needed to tell, and there are {len(there)}"
    data = found.data.take(there)
    learnt = Differences.fit(
        found.residuals[there], parts_of("title", speaker.predictor, data), vectors.values[there], data.authors
    )
    return learnt, "" if learnt is not None else "titles make no difference to the predictor"
