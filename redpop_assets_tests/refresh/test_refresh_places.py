"""What is said of communities and of stored posts: read from a warehouse that was filled by hand."""

from datetime import date, datetime

import numpy as np
import pytest
from scipy.stats import t

from redpop_assets.evaluation.metrics import wilson
from redpop_assets.refresh.community_page import Size, community_page, listed
from redpop_assets.refresh.going_with import looks_of, things_of, words_of
from redpop_assets.refresh.growth import growth_of
from redpop_assets.refresh.post_page import ALIKE, post_page
from redpop_assets.testing.warehouses import blank_warehouse

pytestmark = pytest.mark.integration


def test_all_communities_are_listed(places):
    found = {one.subreddit: one for one in listed(places)}
    assert list(found) == ["aww", "later", "pics"]
    assert (found["pics"].title, found["pics"].subscribers, found["pics"].posts) == ("Pictures", 12, 240)
    assert (found["pics"].champion, found["pics"].spearman) == ("fusion", 0.5)
    assert (found["later"].posts, found["later"].newest_post_at, found["later"].champion) == (0, None, None)


def test_a_page_says_what_a_community_is_and_asks(places):
    page = community_page(places, "pics")
    assert page.about.sizes == (Size(date(2026, 5, 1), 10), Size(date(2026, 5, 2), 12))
    assert [rule.short_name for rule in page.about.rules] == ["Be kind"]
    assert (page.about.asks.title_min_length, page.about.asks.flair_required) == (5, True)
    assert page.about.asks.title_required == ()
    stock = page.stock
    assert (stock.posts, stock.labelled, stock.pictures) == (240, 223, 216)
    assert stock.a_day == pytest.approx(2, abs=0.7)
    assert stock.newest_reading_at is not None


def test_growth_is_that_of_the_view(places):
    view = places.query(
        "SELECT from_hours, to_hours, posts, median_age_hours, share_q25, share_median, share_q75 "
        "FROM marts.growth_curves WHERE subreddit = 'pics' ORDER BY from_hours"
    ).to_pylist()
    ages = growth_of(places, "pics").ages
    assert [age.from_hours for age in ages] == [1, 6, 24, 48]
    assert [tuple(vars(age).values()) for age in ages] == [pytest.approx(tuple(row.values())) for row in view]


def test_who_speaks_and_who_did_before(places):
    page = community_page(places, "pics")
    assert (page.champion.now.predictor, page.champion.now.reason) == ("fusion", "it holds")
    assert [one.reason for one in page.champion.before] == ["better", "the first"]
    board = page.leaderboard
    assert [one.predictor for one in board.standings] == ["fusion", "median", "broken"]
    assert [one.lenders for one in board.standings] == [12, None, None]
    assert (board.standings[0].mark, board.standings[2].reason, board.left_out) == ("best", "no pictures", 7)


def test_forecasts_are_held_against_what_came(places):
    record = community_page(places, "pics").record
    scores = places.query("SELECT log_score FROM core.labels WHERE subreddit = 'pics'").column(0).to_numpy()
    inside = int(((scores >= 1) & (scores <= 5)).sum())
    assert (record.forecasts, record.scored) == (240, 223)
    held = {one.level: one for one in record.ranges}
    assert held[80].held == pytest.approx(inside / 223)
    assert (held[80].low, held[80].high) == pytest.approx(wilson(inside, 223))
    assert (held[90].scored, held[90].held) == (0, None)
    assert sum(month.scored for month in record.months) == 223


def test_gaps_are_named_the_newest_first(places):
    gaps = community_page(places, "pics").gaps
    assert [(gap.kind, gap.begin) for gap in gaps] == [
        ("listing", datetime(2026, 4, 1)),
        ("gap", datetime(2026, 2, 1)),
    ]
    assert "0.1 a day where 8.0 would be usual; about 20 are missing" in gaps[1].says


def test_what_is_not_known_is_said_with_what_to_do(places):
    page = community_page(places, "later")
    reasons = [
        page.growth.why_unknown,
        page.leaderboard.why_unknown,
        page.champion.why_unknown,
        page.record.why_unknown,
    ]
    assert all("redpop materialize" in reason for reason in reasons)
    assert (page.stock.posts, page.stock.a_day, page.about.asks, page.gaps) == (0, None, None, ())
    assert "redpop materialize" in words_of(places, "later").why_unknown
    assert "redpop materialize" in things_of(places, "later").why_unknown
    assert looks_of(places, "later") == ()
    assert community_page(places, "nowhere") is None


def test_a_word_that_goes_with_scores_is_told_from_chance(places):
    words = words_of(places, "pics")
    assert words.looked_at == 3
    best = words.high[0]
    assert (best.name, best.lift.told_apart) == ("sunset", True)
    assert not any(word.lift.told_apart for word in (*words.high[1:], *words.low) if word.name != "sunset")


def test_lifts_are_cluster_robust(places):
    rows = places.query(
        "SELECT t.cluster, t.log_score, list_contains(k.tokens, 'picture') AS has FROM models.training_set AS t "
        "JOIN core.posts AS p USING (post_id) JOIN features.caption_tokens AS k USING (caption_sha256) "
        "WHERE t.subreddit = 'pics'"
    ).to_pylist()
    above = np.array([row["log_score"] for row in rows]) - np.mean([row["log_score"] for row in rows])
    has = np.array([row["has"] for row in rows])
    _, author = np.unique([row["cluster"] for row in rows], return_inverse=True)
    mean, authors = above[has].mean(), len(np.unique(author[has]))
    own = np.bincount(author, np.where(has, above - mean, 0) / has.sum())
    share = np.bincount(author, above / len(above))
    error = np.sqrt((own**2).sum() * authors / (authors - 1) - 2 * (own * share).sum() + (share**2).sum())
    words = words_of(places, "pics")
    (found,) = [word for word in (*words.high, *words.low) if word.name == "picture"]
    assert found.lift.estimate == pytest.approx(mean)
    assert found.lift.high - found.lift.estimate == pytest.approx(t.ppf(0.975, authors - 1) * error)
    assert (found.posts, found.authors) == (has.sum(), authors)


def test_things_are_those_that_were_seen(places):
    assert "features.image_objects" in things_of(places, "aww").why_unknown
    things = things_of(places, "pics")  # noise, of which half is beyond 0.5
    assert things.looked_at > 50
    assert not any("_" in thing.name for thing in things.high)


def test_a_post_is_shown_with_all_that_is_known_of_it(places):
    page = post_page(places, "pi00000")
    assert (page.title, page.subreddit, page.kind) == ("pics 0", "pics", "image")
    assert page.pictures[0].image_sha256 is not None
    assert page.noted.ranges[80].low == pytest.approx(np.expm1(1))
    assert page.noted.inside[80] == (np.expm1(1) <= page.label.score <= np.expm1(5))
    assert (page.noted.ranges[90], page.noted.inside[90]) == (None, None)
    (said,) = page.expected
    assert (said.champion, said.learnt_from_it) == (True, True)
    assert (said.range_80.low, said.range_80.high) == pytest.approx((10, 100))
    assert page.others_by_author == 7
    assert page.link is None  # the source is none of Reddit


def test_readings_stand_beside_the_usual_growth(places):
    (post,) = (
        places.query(
            "SELECT post_id FROM core.labels SEMI JOIN raw.observations USING (post_id) WHERE score > 50 LIMIT 1"
        )
        .column(0)
        .to_pylist()
    )
    page = post_page(places, post)
    assert [(round(one.age_hours), one.masked) for one in page.readings][:3] == [(1, False), (2, False), (5, True)]
    assert page.usual_is_of == "label"
    assert page.usual[0].median == pytest.approx(page.label.score * growth_of(places, "pics").ages[0].median)


@pytest.mark.parametrize(
    ("content", "table", "key"), [("picture", "image", "image"), ("caption", "caption", "caption")]
)
def test_neighbours_are_the_most_alike_of_the_labelled_posts(places, content, table, key):
    vectors = {
        row["sha"]: np.array(row["embedding"], dtype=np.float64)
        for row in places.query(f"SELECT {key}_sha256 AS sha, embedding FROM features.{table}_embeddings").to_pylist()
    }
    posts = places.query(
        "SELECT p.post_id, p.caption_sha256 AS caption, i.image_sha256 AS image FROM core.posts AS p "
        "JOIN core.primary_images AS i USING (post_id) WHERE p.subreddit = 'pics' "
        "AND p.post_id IN (SELECT post_id FROM core.labels)"
    ).to_pylist()
    own = vectors[next(post[key] for post in posts if post["post_id"] == "pi00000")]
    alike = sorted({float(own @ vectors[post[key]]) for post in posts if post[key] and post["post_id"] != "pi00000"})
    page = post_page(places, "pi00000")
    found = page.by_picture if content == "picture" else page.by_title
    assert len(found) == ALIKE
    assert all(post.score is not None and post.alike == content for post in found)
    expected = np.minimum(alike[::-1][:ALIKE], 1.0)
    assert [post.similarity for post in found] == pytest.approx(list(expected), abs=1e-5)


def test_the_same_picture_is_found_elsewhere_and_is_no_neighbour(places):
    page = post_page(places, "pi00039")
    assert [post.post_id for post in page.copies] == ["pi00038"]
    assert "pi00038" not in {post.post_id for post in page.by_picture}


def test_a_post_without_a_picture_says_why(places):
    page = post_page(places, "pi00003")
    assert page.picture_missing == "failed: url_dead"
    assert page.by_picture == ()


def test_no_hash_of_an_author_leaves(places):
    for post in ("pi00000", "pi00007", "pi00039"):
        assert "author" not in repr(post_page(places, post)).replace("others_by_author", "")
    assert post_page(places, "pi00007").others_by_author is None


def test_an_unknown_post_is_nothing(places):
    assert post_page(places, "zzz") is None


def test_posts_of_reddit_are_linked(tmp_path, fill):
    warehouse = blank_warehouse(tmp_path / "home", source="reddit")
    fill(warehouse, "aww", posts=3, images=False)
    assert post_page(warehouse, "aw00000").link == "https://www.reddit.com/comments/aw00000"


def test_pictures_of_posts_are_found_by_hashes(places):
    """The view joins two sets of addresses: compared one by one, 100,000 posts take seconds instead of a moment."""
    plan = places.query("EXPLAIN FROM core.primary_images").column(1).to_pylist()
    assert "HASH_JOIN" in plan[0]
    assert "NL_JOIN" not in plan[0]
    assert "NESTED_LOOP" not in plan[0]
