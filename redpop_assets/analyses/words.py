"""`marts.words`: which words, emoji and tags go with a high or a low score.

Origin: the text statistics of Zhang et al. ("dual attention"): the difference between the numbers of positive and
negative captions with a token, in three bands of words and two halves of emoji. Their positive and negative posts are
the top and bottom quarters of `dual_attention.quarter_labels`. Added here: the mean log score of all posts with the
token, less that of all posts, with an interval that resamples authors.

Function words are left out (spaCy's list), and so is what fewer than `LEAST_TOKEN_POSTS` posts or
`LEAST_TOKEN_AUTHORS` authors write: it would say more of them than of words.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from typing import Any, Final

from redpop_assets.analyses.drawings import interval_chart
from redpop_assets.analyses.study import LEAST_POSTS, Analysis, Doubles, Finding, Row, Study
from redpop_assets.arrays import np, npt
from redpop_assets.evaluation.bootstrap import author_clusters, resampled_weights
from redpop_assets.features.tokens import EMOJI, caption_tokens
from redpop_assets.predictors.systems.dual_attention import quarter_labels

LEAST_TOKEN_POSTS: Final = 10
LEAST_TOKEN_AUTHORS: Final = 5
DRAWN: Final = 15
"""Tokens at either end of the figure."""

RESAMPLES: Final = 1_000


def measure(study: Study) -> Finding:
    """One row per token that enough authors use."""
    data, _ = study.read([])
    if len(data) < LEAST_POSTS:
        return Finding((), notes=(f"too few labelled posts: {len(data)} of {LEAST_POSTS}",))
    clusters = author_clusters([author or post for author, post in zip(data.authors, data.post_ids, strict=True)])
    rows = token_statistics(
        data.captions, data.labels.astype(np.float64), quarter_labels(data), clusters, seed=study.seed
    )
    if not rows:
        reason = f"no word is in {LEAST_TOKEN_POSTS} captions of {LEAST_TOKEN_AUTHORS} authors"
        return Finding((), notes=(reason,))
    ranked = sorted(rows, key=lambda row: -row["lift"])
    drawn = ranked if len(ranked) <= 2 * DRAWN else [*ranked[:DRAWN], *ranked[-DRAWN:]]
    png = interval_chart(
        {f"{row['token']} ({row['posts']})": row for row in drawn},
        "lift",
        title=f"r/{study.subreddit}: words of the best and the worst posts (number of posts)",
        axis="mean log score less that of all posts (95 %)",
    )
    return Finding(rows, {WORDS.figure_name(study): png})


def token_statistics(
    captions: Sequence[str],
    log_scores: Doubles,
    quarters: npt.NDArray[np.floating[Any]],
    clusters: npt.NDArray[np.int64],
    *,
    seed: int,
) -> list[Row]:
    """Count tokens and compare the posts that have them with all posts.

    Args:
        captions: n titles.
        log_scores: (n,).
        quarters: (n,) 1 in a top quarter, 0 in a bottom quarter, NaN between.
        clusters: (n,) cluster numbers: authors.
        seed: of the resamples.

    Returns:
        Rows by kind and token: posts, authors, share (of captions), lift with its interval, top_posts, bottom_posts,
        difference and band.
    """
    from scipy.sparse import csc_array

    holders: dict[str, list[int]] = defaultdict(list)
    for row, tokens in enumerate(caption_tokens(captions).tokens):
        for token in sorted(set(tokens)):
            holders[token].append(row)
    function_words = _function_words()
    kept = [
        token
        for token, rows in sorted(holders.items())
        if len(rows) >= LEAST_TOKEN_POSTS
        and len(set(clusters[rows].tolist())) >= LEAST_TOKEN_AUTHORS
        and kind_of(token) is not None
        and token not in function_words
    ]
    if not kept:
        return []
    counts = [len(holders[token]) for token in kept]
    rows_of = np.concatenate([holders[token] for token in kept])
    has = csc_array((np.ones(len(rows_of)), rows_of, np.r_[0, np.cumsum(counts)]), shape=(len(captions), len(kept)))
    lift = _lift(np.ones((1, len(captions))), has, log_scores)[0]
    resampled = np.concatenate(
        [_lift(weights, has, log_scores) for weights in resampled_weights(clusters, RESAMPLES, seed)]
    )
    low, high = np.nanquantile(resampled, (0.025, 0.975), axis=0)
    found = []
    for at, token in enumerate(kept):
        members = np.array(holders[token])
        top, bottom = int((quarters[members] == 1).sum()), int((quarters[members] == 0).sum())
        found.append(
            {
                "kind": kind_of(token),
                "token": token,
                "posts": len(members),
                "authors": len(np.unique(clusters[members])),
                "share": len(members) / len(captions),
                "lift": float(lift[at]),
                "lift_low": float(low[at]),
                "lift_high": float(high[at]),
                "top_posts": top,
                "bottom_posts": bottom,
                "difference": top - bottom,
            }
        )
    return _banded(found)


def kind_of(token: str) -> str | None:
    """word, emoji or tag; None for what is neither, such as a number."""
    if token.startswith("["):
        return "tag"
    if EMOJI.fullmatch(token):
        return "emoji"
    return "word" if any(character.isalpha() for character in token) else None


def _lift(weights: Doubles, has: Any, log_scores: Doubles) -> Doubles:
    """(b, k) mean log score with each token less that of all posts; NaN where no post with it is drawn."""
    drawn, total = weights @ has, (weights * log_scores) @ has
    mean = np.divide(total, drawn, out=np.full(drawn.shape, np.nan), where=drawn > 0)
    lift: Doubles = mean - (weights @ log_scores / weights.sum(axis=1))[:, None]
    return lift


def _banded(rows: list[Row]) -> list[Row]:
    """Bands by the difference: the top quarter of words is positive, the bottom quarter negative; of emoji halves."""
    sizes = Counter(row["kind"] for row in rows)
    place: Counter[str] = Counter()
    for row in sorted(rows, key=lambda row: (-row["difference"], row["token"])):
        kind = row["kind"]
        standing = (place[kind] + 0.5) / sizes[kind]
        place[kind] += 1
        edge = 0.5 if kind == "emoji" else 0.25
        row["band"] = "positive" if standing < edge else "negative" if standing > 1 - edge else "neutral"
    return rows


def _function_words() -> frozenset[str]:
    from spacy.lang.en.stop_words import STOP_WORDS

    return frozenset(STOP_WORDS)


WORDS = Analysis(
    name="words",
    question=(
        "Which words, emoji and tags go with a high or a low score? For each that at least ten posts of five authors "
        "have: how many captions, the mean log score less that of all posts, and how many more top than bottom posts "
        "have it (after Zhang et al.). What goes with a score need not cause it."
    ),
    measure=measure,
    version="1",
    sources=(),
    draws=True,
    order="subreddit, lift DESC, token",
    shown={
        "subreddit": "subreddit",
        "kind": "kind",
        "token": "token",
        "posts": "posts",
        "authors": "authors",
        "lift": "lift (95 %)",
        "difference": "top less bottom posts",
        "band": "band",
    },
)
