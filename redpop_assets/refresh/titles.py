"""Several titles of one post that is not made yet, compared: which is best, and whether that can be told at all.

A predictor is asked about all titles at once. How much its differences are worth is learnt, once for all drafts, from
posts that it has not learnt from: the test part of the split, and the embargo before it. What of an expectation is due
to the title is the mean of what the predictor expects of that title under the pictures, times and authors of several of
those posts. The rest is `redpop_assets.predictors.parts.differences`.

The test part also chose the champion, which flatters it a little; how often the intervals hold what they promise is
measured where the truth is known (`benchmarks/title_intervals.py`).
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from redpop_assets.evaluation.measurement import LEVELS
from redpop_assets.features.family import Encoders
from redpop_assets.features.registry import BLOCKS
from redpop_assets.predictors.base import Predictor
from redpop_assets.predictors.dataset import Block, Dataset
from redpop_assets.predictors.parts.differences import FEWEST, Differences
from redpop_assets.refresh.blocks import read_dataset
from redpop_assets.refresh.draft import Answer, Forecast, asked
from redpop_assets.refresh.new_post import Draft
from redpop_assets.refresh.speakers import Speaker, Speakers
from redpop_assets.storage.models import ModelStore
from redpop_assets.storage.rows import Readable

SURE_LEVEL = 90
"""Coverage (percent) of the interval that has to leave out 0 for two titles to be told apart."""

MOST_HELD_OUT = 300
"""Posts, the newest, that the worth of differences is learnt from: enough for what can be learnt, a second's work."""

PLACES = 12
"""Posts under which each of their titles is tried, to find what is due to it."""

_Doubles = npt.NDArray[np.float64]
_Rows = npt.NDArray[np.intp]

_HELD_OUT = """
SELECT post_id, log_score FROM (
    FROM models.training_set WHERE subreddit = $subreddit AND split IN ('test', 'embargo')
    ORDER BY created_at DESC, post_id DESC LIMIT $most
) ORDER BY post_id
"""
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
    learnt, why = worth(answer.speaker) if looks else (None, "the predictor does not look at titles")
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
    warehouse, subreddit, predictor = speaker.warehouse, speaker.subreddit, speaker.predictor
    encoder = caption_encoder(speaker)
    if not encoder:
        return None, "no caption encoder has seen the titles of this community"
    held_out = warehouse.query(_HELD_OUT, {"subreddit": subreddit, "most": MOST_HELD_OUT})
    post_ids: Sequence[str] = held_out.column("post_id").to_pylist()
    seen = read_dataset(warehouse, subreddit, Encoders("", encoder), ["caption"], post_ids).blocks["caption"]
    there = np.flatnonzero(seen.present)
    if len(there) < FEWEST:
        return None, f"{FEWEST} matured posts that were not learnt from are needed to tell, and there are {len(there)}"
    data = read_dataset(warehouse, subreddit, speaker.encoders, list(predictor.columns), post_ids)
    data = data.take(there)
    residuals = held_out.column("log_score").to_numpy()[there] - predictor.predict(data)
    learnt = Differences.fit(residuals, parts_of_titles(predictor, data), seen.values[there], data.authors)
    return learnt, "" if learnt is not None else "titles make no difference to the predictor"


def parts_of_titles(predictor: Predictor, data: Dataset, places: int = PLACES) -> _Doubles:
    """What a predictor expects of each title, whatever it stands under: (n,) means over some of the posts, log scores.

    The posts are spread evenly over the data.
    """
    under = np.unique(np.linspace(0, len(data) - 1, min(places, len(data))).round().astype(np.intp))
    titles = np.arange(len(data))
    sums = np.zeros(len(data))
    for place in under:
        sums += predictor.predict(retitled(data, np.full(len(data), place), titles))
    return sums / len(under)


def retitled(data: Dataset, posts: _Rows, titles: _Rows) -> Dataset:
    """Posts with the titles of others, as far as columns tell: those that follow from the title alone are exchanged.

    What follows from picture and title together stays that of the post.

    Args:
        data: n posts.
        posts, titles: (m,) row numbers.
    """
    blocks = {}
    for name, block in data.blocks.items():
        of_title = np.array(
            [
                BLOCKS[name].is_of("caption", column) and not BLOCKS[name].is_of("picture", column)
                for column in block.columns
            ],
            dtype=np.bool_,
        )
        if of_title.all():
            blocks[name] = block.take(titles)
            continue
        values, present = block.values[posts], block.present[posts]
        values[:, of_title] = block.values[titles][:, of_title]
        values[~present] = np.nan
        blocks[name] = Block(values, block.columns, present)
    return replace(
        data,
        post_ids=tuple(str(number) for number in range(len(posts))),
        blocks=blocks,
        created_at=data.created_at[posts],
        log_score=None,
        captions=tuple(data.captions[row] for row in titles),
        authors=tuple(data.authors[row] for row in posts),
    )
