"""What there is to say of one stored post: how it grew, what was expected of it, and what is like it.

No name of an author is known here, and the keyed hash that stands for one never leaves: of the author there is a number
of posts. Where the warehouse holds the post of another Reddit, such as a sandbox, no link leads anywhere.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from redpop_assets.evaluation.measurement import LEVELS
from redpop_assets.evaluation.metrics import raw_score
from redpop_assets.features.family import Content
from redpop_assets.refresh.growth import growth_of
from redpop_assets.refresh.likeness import PastPost, shown, with_picture
from redpop_assets.storage.rows import Readable

LEAST_SCORE: Final = 10
"""Label below which a post is not drawn beside the growth of others: there the fuzz of votes is larger than growth."""

ALIKE: Final = 8
"""Posts that are shown as most like this one, of each kind."""

MOST_COPIES: Final = 50
"""Most other posts of the same picture that are shown."""

_POST = """
SELECT
    p.post_id, p.subreddit, p.created_at, p.author, p.caption, p.caption_sha256, p.flair, p.kind, p.is_original_content,
    p.over_18, p.spoiler, p.removed_by_category, p.crosspost_parent, p.image_captions, s.source,
    i.image_sha256, i.is_preview, i.status, i.reason, m.width, m.height, d.duplicate_group,
    l.score, l.percentile, l.age_at_label_hours, l.readings AS label_readings, l.source AS label_source,
    l.post_id IN (SELECT post_id FROM core.doubtful_labels) AS doubtful
FROM core.posts AS p
CROSS JOIN (SELECT any_value(source) AS source FROM raw.source) AS s
LEFT JOIN core.primary_images AS i USING (post_id)
LEFT JOIN core.images AS m ON m.image_sha256 = i.image_sha256
LEFT JOIN core.duplicates AS d USING (post_id)
LEFT JOIN core.labels AS l USING (post_id)
WHERE p.post_id = $post_id
"""
_MORE_PICTURES = """
SELECT f.image_sha256, u.position FROM core.image_urls AS u LEFT JOIN core.image_fetches AS f USING (url)
WHERE u.post_id = $post_id AND NOT u.is_preview AND u.position > 1 ORDER BY u.position
"""
_READINGS = """
SELECT o.observed_at, epoch(o.observed_at - p.created_at) / 3600 AS age_hours, o.score, o.upvote_ratio, o.num_comments,
    coalesce(o.hide_score, FALSE) AS masked, o.endpoint
FROM raw.observations AS o JOIN core.posts AS p USING (post_id) WHERE o.post_id = $post_id ORDER BY o.observed_at
"""
_FORECAST = "SELECT * FROM marts.forecast_outcomes WHERE post_id = $post_id"
_EXPECTED = """
SELECT e.*, c.predictor IS NOT NULL AS champion
FROM marts.predictions AS e
JOIN models.predictors AS m USING (subreddit, predictor, digest)
LEFT JOIN marts.champions AS c USING (subreddit, predictor, digest)
WHERE e.post_id = $post_id ORDER BY champion DESC, e.predictor
"""
_OTHERS_BY_AUTHOR = """
SELECT count(*) FROM core.posts WHERE author = $author AND subreddit = $subreddit AND post_id <> $post_id
"""
# The encoder that was taken into use last, of those that have seen this content.
_ENCODER = """
SELECT e.encoder, e.code_version
FROM features.{table} AS e
LEFT JOIN features.encoders AS n ON n.encoder = e.encoder AND n.modality = $modality
WHERE e.{key} = $content ORDER BY n.first_used_at DESC NULLS LAST, e.code_version DESC LIMIT 1
"""
# One scalar product for each content, not for each post. Cast to arrays, lists take twice as long.
_NEAREST = """
WITH here AS ({content}),
nearest AS (
    SELECT e.{key} AS content, list_inner_product(
        e.embedding,
        (SELECT o.embedding FROM features.{table} AS o
         WHERE (o.{key}, o.encoder, o.code_version) = ($content, $encoder, $version))
    ) AS similarity
    FROM features.{table} AS e
    WHERE e.encoder = $encoder AND e.code_version = $version AND e.{key} <> $content
        AND e.{key} IN (SELECT content FROM here)
    ORDER BY similarity DESC, content LIMIT $most
)
SELECT arg_max(h.post_id, (p.created_at, h.post_id)) AS post_id, any_value(n.similarity) AS similarity
FROM nearest AS n JOIN here AS h USING (content) JOIN core.posts AS p ON p.post_id = h.post_id
GROUP BY n.content ORDER BY similarity DESC, n.content
"""
_PICTURES_HERE = """
SELECT l.post_id, f.image_sha256 AS content
FROM core.labels AS l JOIN core.posts AS p USING (post_id)
JOIN core.image_fetches AS f ON f.url = p.image_urls[1]
LEFT JOIN core.duplicates AS d USING (post_id)
WHERE l.subreddit = $subreddit AND f.image_sha256 IS NOT NULL AND d.duplicate_group IS DISTINCT FROM $group
"""
_TITLES_HERE = """
SELECT l.post_id, p.caption_sha256 AS content FROM core.labels AS l JOIN core.posts AS p USING (post_id)
WHERE l.subreddit = $subreddit AND p.post_id <> $post_id
"""


@dataclass(frozen=True)
class Reading:
    """The score of a post as it was shown at some time.

    Attributes:
        observed_at: UTC.
        age_hours: of the post.
        score: as shown, fuzzed by about 10; None where the source has none.
        upvote_ratio: share of upvotes; None where the source has none.
        comments: at that time; None likewise.
        masked: whether Reddit hid the score.
        source: listing or info (Reddit), arctic_shift, or archive (a file).
    """

    observed_at: datetime
    age_hours: float
    score: int | None
    upvote_ratio: float | None
    comments: int | None
    masked: bool
    source: str


@dataclass(frozen=True)
class Usual:
    """What a post of its community with the same score at the label age usually has at some age (points).

    Attributes:
        hours: of age.
        low, median, high: a quarter, half and three quarters of them had at most this.
    """

    hours: float
    low: float
    median: float
    high: float


@dataclass(frozen=True)
class Label:
    """The score that counts.

    Attributes:
        score: in points.
        percentile: share of the labelled posts of its community that scored less, from 0 to 1.
        age_hours: of the post at the first reading that made it.
        readings: how many made it; None where that was not counted.
        source: where they come from; None where unknown.
        doubtful: whether an archive is likely to have read it when the post was new, and never again.
    """

    score: int
    percentile: float
    age_hours: float
    readings: int | None
    source: str | None
    doubtful: bool


@dataclass(frozen=True)
class Points:
    """A range of scores (points)."""

    low: float
    high: float


@dataclass(frozen=True)
class Noted:
    """A forecast that was written down before the score could be known.

    Attributes:
        predictor: the champion at that time.
        made_at: by the clock of the machine (UTC).
        age_hours: of the post, by what had been read of the community.
        expected: points.
        percentile: where that stands in the community, from 0 to 1.
        ranges: level in percent -> points between which the score was to lie; None where too few posts could tell.
        inside: level in percent -> whether it does; None until the post has matured, or without a range.
        missing: blocks of features that the post lacked.
    """

    predictor: str
    made_at: datetime
    age_hours: float
    expected: float
    percentile: float
    ranges: Mapping[int, Points | None]
    inside: Mapping[int, bool | None]
    missing: tuple[str, ...]


@dataclass(frozen=True)
class Expected:
    """What a predictor says of the post now.

    Attributes:
        predictor: short name.
        champion: whether it speaks for the community.
        learnt_from_it: whether the post is in the part that it learnt from: what it says then flatters.
        split: that part: train, validation, test, embargo, seen_before or unlabelled.
        expected: points.
        percentile: where that stands in the community, from 0 to 1.
        range_80: points between which 80 of 100 scores lie; None where too few posts could tell.
        missing: blocks of features that the post lacks.
    """

    predictor: str
    champion: bool
    learnt_from_it: bool
    split: str
    expected: float
    percentile: float
    range_80: Points | None
    missing: tuple[str, ...]


@dataclass(frozen=True)
class Picture:
    """A picture of a post.

    Attributes:
        image_sha256: its content; None where it is not stored.
        caption: what the author wrote below it: text of strangers; None without.
    """

    image_sha256: str | None
    caption: str | None


@dataclass(frozen=True)
class PostPage:
    """A stored post.

    Attributes:
        post_id: base36 id.
        subreddit: in lower case.
        title, flair: texts of strangers; flair None without one.
        kind: image, gallery, album, self, crosspost or preview.
        created_at: UTC.
        original_content, over_18, spoiler: flags that it carries.
        removed_by: who removed it; None while it stands.
        pictures: in the order of the gallery; the first stands for the post.
        picture_is_preview: whether the copy that Reddit kept stands in for the first one.
        picture_missing: why the first one is not there: its status and reason; None where it is there.
        width, height: of the first picture (pixels).
        readings: the oldest first.
        label: the score that counts; None while it has none.
        usual: how posts of the community usually get to such a score; empty where that is unknown.
        usual_is_of: label, forecast (of a post without a label), or None without `usual`.
        noted: the forecast that was written down; None without one.
        expected: what predictors say now, the champion first.
        by_picture, by_title: labelled posts of the community that are most like it.
        copies: other posts, of whatever community, that show the same picture, the newest first.
        others_by_author: other posts of its author in the community; None where the author is unknown.
        link: to the post on Reddit; None where it is of another one.
    """

    post_id: str
    subreddit: str
    title: str
    flair: str | None
    kind: str
    created_at: datetime
    original_content: bool
    over_18: bool
    spoiler: bool
    removed_by: str | None
    pictures: tuple[Picture, ...]
    picture_is_preview: bool
    picture_missing: str | None
    width: int | None
    height: int | None
    readings: tuple[Reading, ...]
    label: Label | None
    usual: tuple[Usual, ...]
    usual_is_of: str | None
    noted: Noted | None
    expected: tuple[Expected, ...]
    by_picture: tuple[PastPost, ...]
    by_title: tuple[PastPost, ...]
    copies: tuple[PastPost, ...]
    others_by_author: int | None
    link: str | None


def post_page(warehouse: Readable, post_id: str) -> PostPage | None:
    """What there is to say of a stored post; None for one that is unknown, as forgotten ones are.

    Args:
        warehouse: what is read.
        post_id: base36 id.
    """
    row = next(iter(warehouse.query(_POST, {"post_id": post_id}).to_pylist()), None)
    if row is None:
        return None
    label, noted = label_of(row), noted_of(warehouse, post_id)
    usual, usual_is_of = _usual(warehouse, row["subreddit"], label, noted)
    return PostPage(
        post_id=row["post_id"],
        subreddit=row["subreddit"],
        title=row["caption"],
        flair=row["flair"],
        kind=row["kind"],
        created_at=row["created_at"],
        original_content=row["is_original_content"],
        over_18=row["over_18"],
        spoiler=row["spoiler"],
        removed_by=row["removed_by_category"],
        pictures=_pictures(warehouse, row),
        picture_is_preview=bool(row["is_preview"]),
        picture_missing=_picture_missing(row),
        width=row["width"],
        height=row["height"],
        readings=readings_of(warehouse, post_id),
        label=label,
        usual=usual,
        usual_is_of=usual_is_of,
        noted=noted,
        expected=_expected(warehouse, post_id),
        by_picture=nearest(warehouse, row, "picture"),
        by_title=nearest(warehouse, row, "caption"),
        copies=_copies(warehouse, row),
        others_by_author=_others_by_author(warehouse, row),
        link=f"https://www.reddit.com/comments/{row['post_id']}" if row["source"] == "reddit" else None,
    )


def nearest(warehouse: Readable, post: Mapping[str, Any], content: Content) -> tuple[PastPost, ...]:
    """Labelled posts of its community whose picture or title is most like that of a stored post.

    Vectors of one encoder are compared: the one that was taken into use last. Of posts with one title, and of those
    with one picture, the newest stands for all.

    Args:
        warehouse: what is read.
        post: columns post_id, subreddit, caption_sha256, image_sha256 and duplicate_group.
        content: what is compared.
    """
    if content == "picture":
        table, key, modality, here = "image_embeddings", "image_sha256", "image", _PICTURES_HERE
        scope = {"subreddit": post["subreddit"], "group": post["duplicate_group"]}
    else:
        table, key, modality, here = "caption_embeddings", "caption_sha256", "caption", _TITLES_HERE
        scope = {"subreddit": post["subreddit"], "post_id": post["post_id"]}
    names = {"table": table, "key": key}
    values = {"content": post[key]}
    encoder = warehouse.query(_ENCODER.format(**names), {**values, "modality": modality}).to_pylist()
    if not encoder:
        return ()
    rows = warehouse.query(
        _NEAREST.format(**{**names, "content": here}),
        {
            **{**scope, **values},
            **{"encoder": encoder[0]["encoder"], "version": encoder[0]["code_version"], "most": ALIKE},
        },
    ).to_pylist()
    return shown(warehouse, [(row["post_id"], min(row["similarity"], 1.0)) for row in rows], content)


def _pictures(warehouse: Readable, row: Mapping[str, Any]) -> tuple[Picture, ...]:
    captions = dict(enumerate(row["image_captions"] or (), start=1))
    more = warehouse.query(_MORE_PICTURES, {"post_id": row["post_id"]}).to_pylist()
    return (
        Picture(row["image_sha256"], captions.get(1)),
        *(Picture(picture["image_sha256"], captions.get(picture["position"])) for picture in more),
    )


def _picture_missing(row: Mapping[str, Any]) -> str | None:
    if row["image_sha256"] is not None:
        return None
    if row["status"] is None:
        return "it has not been fetched yet"
    return f"{row['status']}: {row['reason']}" if row["reason"] else str(row["status"])


def readings_of(warehouse: Readable, post_id: str) -> tuple[Reading, ...]:
    """The readings of a post, the oldest first."""
    return tuple(
        Reading(
            *(reading["observed_at"], reading["age_hours"], reading["score"], reading["upvote_ratio"]),
            *(reading["num_comments"], reading["masked"], reading["endpoint"]),
        )
        for reading in warehouse.query(_READINGS, {"post_id": post_id}).to_pylist()
    )


def label_of(row: Mapping[str, Any]) -> Label | None:
    """The label of a row of the post, of which `score` is None where there is none."""
    if row["score"] is None:
        return None
    return Label(
        *(row["score"], row["percentile"], row["age_at_label_hours"], row["label_readings"], row["label_source"]),
        doubtful=bool(row["doubtful"]),
    )


def noted_of(warehouse: Readable, post_id: str) -> Noted | None:
    """The forecast that was written down when the post was made."""
    row = next(iter(warehouse.query(_FORECAST, {"post_id": post_id}).to_pylist()), None)
    if row is None:
        return None
    return Noted(
        predictor=row["predictor"],
        made_at=row["made_at"],
        age_hours=row["age_hours"],
        expected=row["expected_score"],
        percentile=row["percentile"],
        ranges={level: range_of(row, level) for level in LEVELS},
        inside={level: row[f"inside_{level}"] for level in LEVELS},
        missing=tuple(row["missing_blocks"]),
    )


def _expected(warehouse: Readable, post_id: str) -> tuple[Expected, ...]:
    return tuple(
        Expected(
            predictor=row["predictor"],
            champion=row["champion"],
            learnt_from_it=row["split"] in ("train", "validation"),
            split=row["split"],
            expected=row["expected_score"],
            percentile=row["percentile"],
            range_80=range_of(row, 80),
            missing=tuple(row["missing_blocks"] or ()),
        )
        for row in warehouse.query(_EXPECTED, {"post_id": post_id}).to_pylist()
    )


def range_of(row: Mapping[str, Any], level: int) -> Points | None:
    """The ends of an interval of the log score, in points."""
    low, high = row[f"low_{level}"], row[f"high_{level}"]
    return None if low is None or high is None else Points(float(raw_score(low)), float(raw_score(high)))


def _usual(
    warehouse: Readable, subreddit: str, label: Label | None, noted: Noted | None
) -> tuple[tuple[Usual, ...], str | None]:
    score = float(label.score) if label else noted.expected if noted else 0.0
    if score < LEAST_SCORE:
        return (), None
    ages = growth_of(warehouse, subreddit).ages
    found = tuple(Usual(age.median_hours, score * age.low, score * age.median, score * age.high) for age in ages)
    return found, ("label" if label else "forecast") if found else None


def _copies(warehouse: Readable, row: Mapping[str, Any]) -> tuple[PastPost, ...]:
    if row["duplicate_group"] is None:
        return ()
    copies = with_picture(warehouse, row["duplicate_group"], MOST_COPIES + 1)
    return tuple(copy for copy in copies if copy.post_id != row["post_id"])[:MOST_COPIES]


def _others_by_author(warehouse: Readable, row: Mapping[str, Any]) -> int | None:
    if row["author"] is None:
        return None
    scope = {name: row[name] for name in ("author", "subreddit", "post_id")}
    found: int = warehouse.scalar(_OTHERS_BY_AUTHOR, scope)
    return found
