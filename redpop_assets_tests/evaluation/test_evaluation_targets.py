"""Targets: what is true of the test posts, by a loop; and that nothing of the test part decides a threshold."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import rankdata

from redpop_assets.evaluation.targets import (
    MIN_AUTHOR,
    MIN_MONTH,
    MIN_TRAILING,
    Posts,
    author_quarters,
    community_quarters,
    month_percentile,
    per_subscriber,
    targets_of,
    trailing_ratio,
)

NAMES = (
    *("log_score", "month_percentile", "trailing_ratio", "per_subscriber"),
    *("top_quarter", "extreme_quarters", "author_top_quarter", "author_extreme_quarters"),
)
DAY = np.timedelta64(1, "D")


def make_posts(n=600, days=150, authors=25, seed=0, spread=1.5):
    rng = np.random.default_rng(seed)
    created = np.datetime64("2026-01-01", "s") + np.sort(rng.integers(0, days * 86_400, n)).astype("timedelta64[s]")
    part = np.select([np.arange(n) < 0.6 * n, np.arange(n) < 0.7 * n, np.arange(n) < 0.75 * n], ["train", "validation", "embargo"], "test")  # noqa: E501  # fmt: skip
    return Posts(
        created_at=created,
        log_score=np.log1p(np.rint(np.exp(rng.normal(4, spread, n)))),
        authors=np.array([f"author{number}" for number in rng.zipf(1.5, n) % authors]),
        groups=np.array([f"group{number}" for number in range(n)]),
        split=part,
        log_subscribers=np.where(rng.random(n) < 0.5, np.nan, 10 + np.arange(n) / n),
    )


@pytest.fixture
def posts():
    return make_posts()


def test_names_are_the_same_whatever_there_is(posts):
    nothing = replace(posts, split=np.full(len(posts), "train"))
    nobody = replace(posts, split=np.full(len(posts), "test"))
    for given in (posts, nothing, nobody, make_posts(3)):
        assert tuple(target.name for target in targets_of(given)) == NAMES
    assert all(target.note for target in targets_of(nobody) if target.kind == "class")
    for target in targets_of(posts):
        assert target.note is None
        assert len(target.rows) == len(target.truth) == len(target.score(posts.log_score)) > 0
        assert set(target.rows) <= set(posts.test)


def test_percentiles_are_among_the_posts_of_the_month(posts):
    target = month_percentile(posts)
    months = posts.created_at.astype("datetime64[M]")
    for row, value in zip(target.rows, target.truth, strict=True):
        members = posts.log_score[months == months[row]]
        rank = rankdata(members)[np.flatnonzero(members == posts.log_score[row])[0]]
        assert value == pytest.approx((rank - 0.5) / len(members))
    known = posts.log_score[posts.learnt]
    score = target.score(posts.log_score)
    assert score[0] == pytest.approx(((known < posts.log_score[target.rows[0]]).mean()
                                      + (known <= posts.log_score[target.rows[0]]).mean()) / 2)  # fmt: skip


def test_a_month_of_few_posts_has_no_percentile(posts):
    late = replace(posts, created_at=posts.created_at.copy())
    late.created_at[-5:] = np.datetime64("2027-03-01", "s")
    assert set(late.test) - set(month_percentile(late).rows) >= set(range(len(posts) - 5, len(posts)))
    small = make_posts(MIN_MONTH - 1, days=20)
    assert month_percentile(small).note == "no month of the test part has 20 labelled posts"


def test_the_usual_score_is_of_strictly_earlier_posts(posts):
    target = trailing_ratio(posts)
    for row, value in zip(target.rows, target.truth, strict=True):
        age = posts.created_at[row] - posts.created_at
        before = (age > np.timedelta64(0, "s")) & (age <= 30 * DAY)
        assert before.sum() >= MIN_TRAILING
        assert value == pytest.approx(posts.log_score[row] - np.median(posts.log_score[before]))
    expected = np.arange(len(posts), dtype=float)
    np.testing.assert_array_equal(target.score(expected), expected[target.rows])
    later = replace(posts, log_score=posts.log_score.copy())
    later.log_score[-1] += 5
    np.testing.assert_allclose(trailing_ratio(later).truth[:-1], target.truth[:-1])


def test_only_posts_with_known_subscribers_count(posts):
    target = per_subscriber(posts)
    assert np.isfinite(posts.log_subscribers[target.rows]).all()
    assert len(target.rows) == np.isfinite(posts.log_subscribers[posts.test]).sum()
    np.testing.assert_allclose(target.truth, (posts.log_score - posts.log_subscribers)[target.rows])
    unknown = replace(posts, log_subscribers=np.full(len(posts), np.nan))
    assert per_subscriber(unknown).note == "the number of members is not known for any test post"


def test_quarters_of_the_community(posts):
    top, extreme = community_quarters(posts)
    learnt = posts.learnt
    recent = learnt[posts.created_at[learnt] >= posts.created_at[learnt].max() - 90 * DAY]
    low, high = np.quantile(posts.log_score[recent], (0.25, 0.75))
    scores = posts.log_score[posts.test]
    np.testing.assert_array_equal(top.rows, posts.test)
    np.testing.assert_array_equal(top.truth, scores >= high)
    np.testing.assert_array_equal(extreme.rows, posts.test[(scores >= high) | (scores <= low)])
    np.testing.assert_array_equal(extreme.truth, posts.log_score[extreme.rows] >= high)
    assert 0.15 < top.truth.mean() < 0.35
    # A perfect predictor on another scale is right about all of them.
    perfect = 3.0 + 0.1 * posts.log_score
    np.testing.assert_array_equal(top.decide(perfect), top.truth)
    assert (extreme.decide(perfect) == extreme.truth).mean() > 0.95


def test_no_threshold_comes_from_the_test_part(posts):
    expected = np.random.default_rng(1).normal(size=len(posts))
    others = replace(posts, log_score=posts.log_score.copy())
    judged = ~np.isin(posts.split, ("train", "validation"))
    one = posts.test[0]
    changed = judged & (np.arange(len(posts)) != one)
    others.log_score[changed] += 4.0
    moved = np.where(changed, expected - 3.0, expected)
    for before, after in zip(targets_of(posts), targets_of(others), strict=True):
        if before.kind == "class" and one in before.rows and one in after.rows:
            at = [list(target.rows).index(one) for target in (before, after)]
            assert before.truth[at[0]] == after.truth[at[1]]
            assert before.decide(expected)[at[0]] == after.decide(moved)[at[1]]
            assert before.score(expected)[at[0]] == after.score(moved)[at[1]]
    assert before.kind == "class"


def test_quarters_of_authors(posts):
    top, extreme = author_quarters(posts)
    judged = {}
    for row, value in zip(top.rows, top.truth, strict=True):
        own = posts.learnt[posts.authors[posts.learnt] == posts.authors[row]]
        assert len(own) >= MIN_AUTHOR
        low, high = np.quantile(posts.log_score[own], (0.25, 0.75))
        assert value == (posts.log_score[row] >= high)
        judged[row] = low
    others = set(posts.test) - set(top.rows)
    sizes = {name: (posts.authors[posts.learnt] == name).sum() for name in posts.authors}
    assert all(sizes[posts.authors[row]] < MIN_AUTHOR for row in others)
    assert len(others) > 0
    expected_rows = [row for row, value in zip(top.rows, top.truth, strict=True)
                     if value or posts.log_score[row] <= judged[row]]  # fmt: skip
    assert extreme.rows.tolist() == expected_rows
    # What only knows the author says nothing of an author's posts.
    names, author = np.unique(posts.authors, return_inverse=True)
    assert np.ptp(top.score(np.arange(len(names), dtype=float)[author])) == 0


def test_there_are_no_quarters_of_equal_scores(posts):
    flat = replace(posts, log_score=np.where(np.arange(len(posts)) % 5 == 0, posts.log_score, 0.0))
    assert community_quarters(flat)[0].note == "half of the posts that were learnt from have the same score"
    assert len(community_quarters(flat)[0].rows) == 0


def test_a_predictor_that_expects_the_same_of_all_has_no_quarters(posts):
    for target in (*community_quarters(posts), *author_quarters(posts)):
        assert target.decide(np.full(len(posts), 3.0)) is None


def test_few_posts_have_no_quarters():
    small = make_posts(50)
    assert community_quarters(small)[0].note == "35 of 40 posts to find quarters among"
    alone = make_posts(60)
    alone = replace(alone, authors=np.array([f"a{number}" for number in range(60)]))
    assert "8 posts were learnt from" in author_quarters(alone)[1].note


def test_wrong_input_is_refused(posts):
    with pytest.raises(ValueError, match="must each be"):
        replace(posts, groups=posts.groups[1:])
    with pytest.raises(ValueError, match="finite"):
        replace(posts, log_score=np.full(len(posts), np.nan))
