"""A post that is followed: its curve so far, where it stands among posts of its age, and where it will end.

The command line, the studio's page and its API say the same: all of them show a `Following`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from redpop_assets.evaluation.measurement import LEVELS
from redpop_assets.refresh.early_forecasts import EarlyForecast
from redpop_assets.refresh.growth import LEAST_POSTS, Band, Standing, bands_of, standing_of
from redpop_assets.refresh.post_page import (
    Label,
    Noted,
    Points,
    Reading,
    label_of,
    noted_of,
    range_of,
    readings_of,
)
from redpop_assets.storage.rows import Readable

_POST: Final = """
SELECT
    p.post_id, p.subreddit, p.created_at, p.caption, p.removed_by_category, s.source,
    l.score, l.percentile, l.age_at_label_hours, l.readings AS label_readings, l.source AS label_source,
    l.post_id IN (SELECT post_id FROM core.doubtful_labels) AS doubtful
FROM core.posts AS p
CROSS JOIN (SELECT any_value(source) AS source FROM raw.source) AS s
LEFT JOIN core.labels AS l USING (post_id)
WHERE p.post_id = $post_id
"""
_SAID: Final = "SELECT * FROM marts.early_forecast_outcomes WHERE post_id = $post_id ORDER BY age_hours"
_NOT_A_POST: Final = """
SELECT s.subreddit, r.reason
FROM raw.submissions AS s LEFT JOIN core.rejected_posts AS r USING (post_id) WHERE s.post_id = $post_id
"""


@dataclass(frozen=True)
class Said:
    """What was written down of a post once its readings by an age had arrived.

    Attributes:
        age_hours: of the post; nothing that was read later was looked at.
        predictor: the one that spoke at that age.
        made_at: by the clock of the machine (UTC).
        expected: points at the label age.
        percentile: where that stands in the community, from 0 to 1.
        ranges: level in percent -> points between which the score was to lie; None where too few posts could tell.
        inside: level in percent -> whether it does; None until the post has matured, or without a range.
    """

    age_hours: int
    predictor: str
    made_at: datetime
    expected: float
    percentile: float
    ranges: Mapping[int, Points | None]
    inside: Mapping[int, bool | None]


@dataclass(frozen=True)
class Following:
    """A post that is followed.

    Attributes:
        post_id: base36 id.
        subreddit: in lower case.
        title: text of strangers.
        created_at: UTC.
        removed_by: who removed it; None while it stands.
        link: to the post on Reddit; None where it is of another one.
        readings: the oldest first.
        standing: where it stands among posts of its age, by its newest open reading at about whose age enough others
            were read; None where that is not known.
        why_unranked: why not, as a sentence; None where it is known.
        bands: the scores of other posts of the community at each age.
        label: the score that counts; None until it has settled.
        noted: the forecast that was written down without any reading; None without one.
        said: those that were written down at ages since then.
        ahead: what is expected now, by the readings so far; None once the score has settled.
    """

    post_id: str
    subreddit: str
    title: str
    created_at: datetime
    removed_by: str | None
    link: str | None
    readings: tuple[Reading, ...]
    standing: Standing | None
    why_unranked: str | None
    bands: tuple[Band, ...]
    label: Label | None
    noted: Noted | None
    said: tuple[Said, ...]
    ahead: EarlyForecast | None


def following(warehouse: Readable, ahead_of: Callable[[str], EarlyForecast | None], post_id: str) -> Following | None:
    """A post of the warehouse; None for one that is unknown, as forgotten ones are.

    Args:
        warehouse: what is read.
        ahead_of: who says what is expected of a post now, such as `EarlyOracle.of`; asked while there is no label.
        post_id: base36 id.
    """
    row = next(iter(warehouse.query(_POST, {"post_id": post_id}).to_pylist()), None)
    if row is None:
        return None
    readings, label = readings_of(warehouse, post_id), label_of(row)
    standing = _standing(warehouse, row["subreddit"], post_id, row["created_at"], readings)
    return Following(
        post_id=post_id,
        subreddit=row["subreddit"],
        title=row["caption"],
        created_at=row["created_at"],
        removed_by=row["removed_by_category"],
        link=f"https://www.reddit.com/comments/{post_id}" if row["source"] == "reddit" else None,
        readings=readings,
        standing=standing if isinstance(standing, Standing) else None,
        why_unranked=standing if isinstance(standing, str) else None,
        bands=bands_of(warehouse, row["subreddit"], post_id),
        label=label,
        noted=noted_of(warehouse, post_id),
        said=_said(warehouse, post_id),
        ahead=ahead_of(post_id) if label is None else None,
    )


def why_unknown(warehouse: Readable, post_id: str) -> str:
    """Why nothing is said of a post that is none of the warehouse, and what to do, in a sentence or two."""
    row = next(iter(warehouse.query(_NOT_A_POST, {"post_id": post_id}).to_pylist()), None)
    if row is not None and row["reason"] is not None:
        return (
            f"The post {post_id} of r/{row['subreddit']} is left out ({row['reason']}): it is no image post that "
            "stands, and nothing is expected of it."
        )
    if row is not None:
        where = row["subreddit"]
        return (
            f"The post {post_id} of r/{where} was read, and not looked at yet: "
            f"`redpop materialize --no-harvest --subreddit {where}` does so, and publishes it."
        )
    return (
        f"No post {post_id} is published here. If it is new, `redpop materialize --subreddit NAME` reads what its "
        "community has posted, and publishes it; a file that holds the post, and its readings, comes in by `redpop "
        "import FILE`. What is not made yet is asked about with `redpop predict`."
    )


def _standing(
    warehouse: Readable, subreddit: str, post_id: str, created_at: datetime, readings: tuple[Reading, ...]
) -> Standing | str:
    shown = [(one.age_hours, one.score) for one in readings if one.score is not None and not one.masked]
    if not shown:
        return "Its score was never read while it was shown."
    found = standing_of(warehouse, subreddit, post_id, created_at, shown)
    if isinstance(found, Standing):
        return found
    return (
        f"{found} other posts of r/{subreddit} were read at about that age, and it takes {LEAST_POSTS} to say where it "
        "stands."
    )


def _said(warehouse: Readable, post_id: str) -> tuple[Said, ...]:
    return tuple(
        Said(
            *(row["age_hours"], row["predictor"], row["made_at"], row["expected_score"], row["percentile"]),
            ranges={level: range_of(row, level) for level in LEVELS},
            inside={level: row[f"inside_{level}"] for level in LEVELS},
        )
        for row in warehouse.query(_SAID, {"post_id": post_id}).to_pylist()
    )
