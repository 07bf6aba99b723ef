"""What goes with high and low scores in a community: words of titles, things in pictures, how pictures look.

Read from the training set and the features as they are, so that nothing need be analysed first. What goes with a score
need not cause it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from redpop_assets.evaluation.lifts import Lift, lifts
from redpop_assets.features.class_families import families
from redpop_assets.features.registry import BLOCKS
from redpop_assets.features.tokens import CODE_VERSION, EMOJI
from redpop_assets.storage.rows import Readable

LEAST_POSTS: Final = 10
"""Fewest posts of something that is looked at …"""

LEAST_AUTHORS: Final = 5
"""… and fewest authors: what fewer write says more of them than of words."""

NEWEST_POSTS: Final = 10_000
"""Of how many labelled posts, the newest ones, titles and pictures are looked at."""

SHOWN: Final = 12
"""Most things that are shown at either end."""

SEEN_AT: Final = 0.5
"""Probability from which a thing counts as seen in a picture."""

_Z95 = 1.959964

# The variance of a mean less the mean of all: squared sums by author of what each post adds to either (Liang & Zeger).
_LIFTS = """
WITH newest AS (
    SELECT post_id, cluster AS author, log_score FROM models.training_set
    WHERE subreddit = $subreddit ORDER BY created_at DESC, post_id LIMIT $newest
),
scored AS MATERIALIZED (SELECT post_id, author, log_score - avg(log_score) OVER () AS above FROM newest),
held AS ({held}),
by_author AS MATERIALIZED (
    SELECT thing, author, count(*) AS posts, sum(above) AS total FROM scored JOIN held USING (post_id) GROUP BY ALL
),
things AS (
    SELECT thing, sum(posts)::BIGINT AS posts, count(*) AS authors, sum(total) / sum(posts) AS lift
    FROM by_author GROUP BY thing HAVING sum(posts) >= $least_posts AND count(*) >= $least_authors
),
everybody AS (
    SELECT author, sum(above) / sum(count(*)) OVER () AS share FROM scored GROUP BY author
),
parts AS (
    SELECT thing, a.total / t.posts - a.posts * t.lift / t.posts AS part, e.share
    FROM by_author AS a JOIN things AS t USING (thing) JOIN everybody AS e USING (author)
)
SELECT
    thing, any_value(t.posts) AS posts, any_value(t.authors) AS authors, any_value(t.lift) AS lift,
    sqrt(greatest(
        sum(part ** 2) * any_value(t.authors / (t.authors - 1)) - 2 * sum(part * share)
        + (SELECT sum(share ** 2) FROM everybody),
        0
    )) AS error
FROM parts JOIN things AS t USING (thing) GROUP BY thing ORDER BY thing
"""
_WORDS = """
SELECT p.post_id, unnest(list_distinct(k.tokens)) AS thing
FROM scored JOIN core.posts AS p USING (post_id)
JOIN features.caption_tokens AS k ON k.caption_sha256 = p.caption_sha256 AND k.code_version = $version
"""
_THINGS = """
SELECT
    i.post_id,
    unnest(list_filter(generate_series(1, len(o.families)), lambda number: o.families[number] >= $seen_at)) AS thing
FROM scored JOIN core.primary_images AS i USING (post_id)
JOIN features.image_objects AS o ON o.image_sha256 = i.image_sha256 AND o.code_version = $version
    AND o.encoder = (SELECT encoder FROM features.image_objects WHERE code_version = $version GROUP BY 1
                     ORDER BY count(*) DESC, encoder LIMIT 1)
"""
_LOOKS = """
SELECT feature, description, labelled_posts, spearman, spearman_low, spearman_high
FROM marts.feature_catalogue
WHERE subreddit = $subreddit AND list_contains($blocks, block) AND width = 1 AND spearman IS NOT NULL
ORDER BY block, feature
"""


@dataclass(frozen=True)
class Thing:
    """A word of titles, or a kind of thing in pictures, and how the posts that have it score.

    Attributes:
        name: the word in lower case, the emoji, the tag in square brackets, or the noun of WordNet.
        posts: labelled posts that have it.
        authors: of these.
        lift: mean log score of these less that of all labelled posts.
    """

    name: str
    posts: int
    authors: int
    lift: Lift


@dataclass(frozen=True)
class Things:
    """Those that go with scores.

    Attributes:
        looked_at: how many were compared: what p-values are corrected for.
        high: those with higher scores than usual, the surest first, at most `SHOWN`.
        low: those with lower ones, likewise.
        why_unknown: why there are none, in a sentence that says what to do; None where there are.
    """

    looked_at: int
    high: tuple[Thing, ...]
    low: tuple[Thing, ...]
    why_unknown: str | None


@dataclass(frozen=True)
class Look:
    """A number that describes pictures, and how it goes with the score.

    Attributes:
        feature: column of `marts.feature_catalogue`.
        meaning: what it is, a sentence.
        posts: labelled posts for which it is known.
        spearman: rank correlation with the log score.
        low, high: its interval of 95 %, which knows nothing of the other numbers.
        told_apart: whether it is beyond chance, however many numbers were looked at.
    """

    feature: str
    meaning: str
    posts: int
    spearman: float
    low: float
    high: float
    told_apart: bool


def words_of(warehouse: Readable, subreddit: str) -> Things:
    """The words, emoji and tags of titles that go with high and low scores.

    Args:
        warehouse: what is read.
        subreddit: in lower case.
    """
    trained = _is_trained(warehouse, subreddit)
    if trained is not None:
        return Things(0, (), (), trained)
    found = _things(warehouse, subreddit, _WORDS, {"version": CODE_VERSION}, str, _is_word)
    if not found:
        reason = (
            f"No word is in the titles of {LEAST_POSTS} labelled posts by {LEAST_AUTHORS} authors of r/{subreddit}."
        )
        return Things(0, (), (), reason)
    return _both_ends(found)


def things_of(warehouse: Readable, subreddit: str) -> Things:
    """The things in pictures that go with high and low scores, as far as a classifier has looked at the pictures.

    Args:
        warehouse: what is read.
        subreddit: in lower case.
    """
    trained = _is_trained(warehouse, subreddit)
    if trained is not None:
        return Things(0, (), (), trained)
    names = [family.lemma.replace("_", " ") for family in families()]
    values = {"version": BLOCKS["objects"].version, "seen_at": SEEN_AT}
    found = _things(warehouse, subreddit, _THINGS, values, lambda number: names[number - 1], lambda _: True)
    if not found:
        reason = (
            f"No kind of thing was seen in the pictures of {LEAST_POSTS} labelled posts by {LEAST_AUTHORS} authors of "
            f"r/{subreddit}: pictures that no classifier of ImageNet-1k has looked at (features.image_objects) count "
            "for nothing here."
        )
        return Things(0, (), (), reason)
    return _both_ends(found)


def looks_of(warehouse: Readable, subreddit: str) -> tuple[Look, ...]:
    """How pictures look that score high: the numbers that go with the score most surely, at most `SHOWN`.

    Args:
        warehouse: what is read.
        subreddit: in lower case; without pictures, or before anything was trained, there are none.
    """
    from scipy.special import ndtr

    from redpop_assets.evaluation.comparison import SIGNIFICANT, holm

    blocks = [name for name, family in BLOCKS.items() if family.grain == "picture"]
    rows = warehouse.query(_LOOKS, {"subreddit": subreddit, "blocks": blocks}).to_pylist()
    known = [row for row in rows if row["spearman_high"] is not None and row["spearman_high"] > row["spearman_low"]]
    errors = [(row["spearman_high"] - row["spearman_low"]) / (2.0 * _Z95) for row in known]
    chance = [2.0 * float(ndtr(-abs(row["spearman"]) / error)) for row, error in zip(known, errors, strict=True)]
    order = sorted(range(len(known)), key=lambda at: (chance[at], known[at]["feature"]))
    corrected = holm(chance)
    return tuple(
        Look(
            feature=known[at]["feature"],
            meaning=known[at]["description"],
            posts=known[at]["labelled_posts"],
            spearman=known[at]["spearman"],
            low=known[at]["spearman_low"],
            high=known[at]["spearman_high"],
            told_apart=(corrected[at] or 0.0) < SIGNIFICANT,
        )
        for at in order[:SHOWN]
    )


def _is_trained(warehouse: Readable, subreddit: str) -> str | None:
    """Why nothing can be compared; None where it can."""
    scope = {"subreddit": subreddit}
    if warehouse.scalar("SELECT count(*) FROM models.training_set WHERE subreddit = $subreddit", scope):
        return None
    return (
        f"r/{subreddit} has no training set yet: `redpop materialize --no-harvest --subreddit {subreddit}` makes one "
        "as soon as scores have matured."
    )


def _things(
    warehouse: Readable,
    subreddit: str,
    held: str,
    values: dict[str, Any],
    named: Callable[[Any], str],
    counts: Callable[[str], bool],
) -> list[Thing]:
    rows = warehouse.query(
        _LIFTS.format(held=held),
        {
            "subreddit": subreddit,
            "newest": NEWEST_POSTS,
            "least_posts": LEAST_POSTS,
            "least_authors": LEAST_AUTHORS,
            **values,
        },
    ).to_pylist()
    rows = [row for row in rows if counts(named(row["thing"]))]
    judged = lifts([row["lift"] for row in rows], [row["error"] for row in rows], [row["authors"] for row in rows])
    return [
        Thing(named(row["thing"]), row["posts"], row["authors"], lift) for row, lift in zip(rows, judged, strict=True)
    ]


def _both_ends(things: Sequence[Thing]) -> Things:
    surest = sorted(things, key=lambda thing: (thing.lift.p_value, -abs(_strength(thing.lift)), thing.name))
    high = tuple(thing for thing in surest if thing.lift.estimate > 0)[:SHOWN]
    low = tuple(thing for thing in surest if thing.lift.estimate <= 0)[:SHOWN]
    return Things(len(things), high, low, None)


def _strength(lift: Lift) -> float:
    """How many half intervals it is away from nothing."""
    return lift.estimate / max(lift.high - lift.estimate, 1e-12)


def _is_word(token: str) -> bool:
    return token.startswith("[") or any(map(str.isalpha, token)) or EMOJI.fullmatch(token) is not None
