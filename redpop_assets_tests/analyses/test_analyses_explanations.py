"""SHAP, words, kinds of pictures and families of objects: what is planted comes first, and small data say so."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest, spearmanr

from redpop_assets.analyses import image_categories, object_families, shap, words
from redpop_assets.analyses.asking import refresh
from redpop_assets.analyses.image_categories import pick_out
from redpop_assets.analyses.shap import SHAP, importance
from redpop_assets.analyses.words import kind_of, token_statistics
from redpop_assets.evaluation.bootstrap import interval, mean_of
from redpop_assets.evaluation.metrics import wilson
from redpop_assets.predictors.parts.contributions import Contributions
from redpop_assets.storage.figures import FigureStore

pytestmark = pytest.mark.integration

# What moves a prediction


@pytest.fixture(scope="module")
def explained(community, tmp_path_factory):
    own = community.copy(tmp_path_factory.mktemp("explained") / "home")
    return own, refresh(SHAP, [own.study()], own.warehouse)


def test_the_planted_feature_comes_first_and_goes_up(explained):
    rows = explained[1].rows
    assert {row["predictor"] for row in rows} == {"metadata_boosting", "fusion_lightgbm"}
    first = next(row for row in rows if (row["predictor"], row["rank"]) == ("metadata_boosting", 1))
    assert (first["block"], first["input"]) == ("text", "words")
    assert first["direction"] > 0.9
    assert first["share"] > 0.3
    kernels = {row["block"]: row["rank"] for row in rows if row["input"] == "kernel"}
    assert min(kernels, key=kernels.__getitem__) == "text"


def test_each_model_has_a_figure(explained):
    own, outcome = explained
    assert outcome.figures == ("pics/shap-fusion_lightgbm.png", "pics/shap-metadata_boosting.png")
    assert all(FigureStore(own.home / "figures").read(path).startswith(b"\x89PNG") for path in outcome.figures)
    assert refresh(SHAP, [own.study()], own.warehouse).measured == 0


def test_a_model_that_is_gone_takes_its_figure_along(explained, tmp_path):
    own = explained[0].copy(tmp_path / "home")
    with own.warehouse.write() as writer:
        writer.execute("UPDATE models.predictors SET status = 'not_trained' WHERE predictor = 'fusion_lightgbm'")
    assert refresh(SHAP, [own.study()], own.warehouse).figures == ("pics/shap-metadata_boosting.png",)


def test_importance_is_the_mean_size():
    rng = np.random.default_rng(0)
    added, values = rng.normal(size=(50, 3)) * [1.0, 3.0, 0.0], rng.normal(size=(50, 3))
    values[:5, 1] = np.nan
    rows = importance(Contributions(1.0, (("a", "x"), ("b", "y"), ("c", "z")), added, values))
    assert [(row["block"], row["input"], row["rank"]) for row in rows] == [("b", "y", 1), ("a", "x", 2)]
    assert rows[0]["mean_abs"] == pytest.approx(np.abs(added[:, 1]).mean())
    assert rows[0]["direction"] == pytest.approx(spearmanr(values[5:, 1], added[5:, 1]).statistic)
    assert sum(row["share"] for row in rows) == pytest.approx(1.0)


def test_nobody_to_explain(untrained):
    finding = shap.measure(untrained.study())
    assert finding.notes == ("no trained predictor can explain itself",)
    assert list(finding.rows) == []


# Words


def captions_with(rng, n=300):
    """A good and a bad word, an emoji, a tag, function words, a number, and a word that one author is fond of."""
    good, bad, fire = rng.random((3, n)) < 0.2
    clusters = np.arange(n) % 40
    captions = [
        " ".join(
            ["the", "photo", "1984"]
            + ["sunset"] * int(good[i])
            + ["blurry"] * int(bad[i])
            + ["🔥"] * int(fire[i])
            + ["[OC]"] * (i % 3 == 0)
            + ["zorblax"] * int(clusters[i] == 7)
            + ["rare"] * (i < 5)
        )
        for i in range(n)
    ]
    scores = 3 + 1.5 * good - 1.5 * bad + 0.5 * rng.normal(size=n)
    low, high = np.quantile(scores, (0.25, 0.75))
    return captions, scores, np.select([scores >= high, scores <= low], [1.0, 0.0], np.nan), clusters


def test_planted_words_are_at_either_end_with_intervals():
    captions, scores, quarters, clusters = captions_with(np.random.default_rng(5))
    rows = {row["token"]: row for row in token_statistics(captions, scores, quarters, clusters, seed=7)}
    assert set(rows) == {"photo", "sunset", "blurry", "🔥", "[oc]"}
    assert rows["sunset"]["lift_low"] > 0.5
    assert rows["blurry"]["lift_high"] < -0.5
    assert rows["photo"]["lift"] == pytest.approx(0.0)
    assert (rows["sunset"]["band"], rows["blurry"]["band"]) == ("positive", "negative")
    assert (rows["🔥"]["kind"], rows["[oc]"]["kind"], rows["photo"]["kind"]) == ("emoji", "tag", "word")


def test_counts_and_lift_are_those_of_a_plain_loop():
    captions, scores, quarters, clusters = captions_with(np.random.default_rng(6))
    for row in token_statistics(captions, scores, quarters, clusters, seed=7):
        members = [i for i, caption in enumerate(captions) if row["token"] in caption.lower().split()]
        assert row["posts"] == len(members)
        assert row["authors"] == len(set(clusters[members]))
        assert row["share"] == pytest.approx(len(members) / len(captions))
        assert row["lift"] == pytest.approx(scores[members].mean() - scores.mean())
        assert row["top_posts"] == sum(quarters[i] == 1 for i in members)
        assert row["bottom_posts"] == sum(quarters[i] == 0 for i in members)
        assert row["difference"] == row["top_posts"] - row["bottom_posts"]
        assert row["lift_low"] <= row["lift"] <= row["lift_high"]


def test_intervals_are_those_of_the_bootstrap_for_one_token_alone():
    captions, scores, quarters, clusters = captions_with(np.random.default_rng(8))
    row = next(
        row for row in token_statistics(captions, scores, quarters, clusters, seed=7) if row["token"] == "sunset"
    )
    has = np.array(["sunset" in caption for caption in captions])
    inside, everywhere = mean_of(scores[has]), mean_of(scores)
    found = interval(lambda drawn: inside(drawn[:, has]) - everywhere(drawn), clusters, seed=7)
    assert (row["lift_low"], row["lift_high"]) == pytest.approx((found.low, found.high))


@pytest.mark.parametrize(
    ("token", "kind"), [("sunset", "word"), ("[oc]", "tag"), ("🔥", "emoji"), ("####", None), ("#rd", "word")]
)
def test_kinds_of_tokens(token, kind):
    assert kind_of(token) == kind


def test_words_that_hardly_anybody_shares_are_said_to_be_none(community):
    # Its captions are a name and a number, which all share but for the number.
    finding = words.measure(community.study())
    assert {row["token"] for row in finding.rows} == {"pics"}
    assert list(finding.figures) == ["words"]


# Kinds of pictures


def planted_clusters(rng, sizes=(60, 60, 60, 60), unpopular=(0.95, 0.05, 0.5, 0.5), width=8):
    """Well separated clusters with a share of unpopular pictures each."""
    centres = 10 * np.eye(len(sizes), width)
    vectors = np.vstack([centre + rng.normal(size=(size, width)) for centre, size in zip(centres, sizes, strict=True)])
    bad = np.concatenate([np.arange(size) < share * size for size, share in zip(sizes, unpopular, strict=True)])
    return vectors.astype(np.float32), bad, np.repeat(np.arange(len(sizes)), sizes)


@pytest.fixture
def four_clusters(monkeypatch):
    monkeypatch.setattr(image_categories, "CLUSTERS", 4)


@pytest.mark.usefixtures("four_clusters")
def test_planted_clusters_are_found_and_those_away_from_one_half_picked_out():
    vectors, unpopular, truth = planted_clusters(np.random.default_rng(1))
    found = pick_out(vectors, unpopular, seed=7)
    first, last = found.category[truth == 0], found.category[truth == 1]
    assert set(first) == {1}  # the least popular
    assert set(last) == {found.category.max()}
    assert set(found.turn[truth <= 1]) == {1}
    # What is left has no share of its own, and is clustered once more.
    assert set(found.turn[truth > 1]) == {0}
    shares = [unpopular[found.category == number].mean() for number in range(1, found.category.max() + 1)]
    assert shares == sorted(shares, reverse=True)
    again = pick_out(vectors, unpopular, seed=7)
    assert np.array_equal(found.category, again.category)
    assert np.array_equal(found.distance, again.distance)


@pytest.mark.usefixtures("four_clusters")
def test_distances_are_to_the_centre_of_the_category():
    vectors, unpopular, truth = planted_clusters(np.random.default_rng(2))
    found = pick_out(vectors, unpopular, seed=7)
    members = vectors[truth == 0].astype(float)
    assert found.distance[truth == 0] == pytest.approx(np.linalg.norm(members - members.mean(axis=0), axis=1), rel=1e-4)


@given(st.integers(1, 60), st.integers(0, 20))
def test_every_picture_has_a_category_whatever_there_is(pictures, seed):
    rng = np.random.default_rng(seed)
    found = pick_out(rng.normal(size=(pictures, 3)).astype(np.float32), rng.random(pictures) < 0.5, seed=seed)
    assert set(found.category) == set(range(1, found.category.max() + 1))
    for number in set(found.category):
        assert len(set(found.turn[found.category == number])) == 1


@given(st.integers(1, 500), st.data())
def test_wilson_is_that_of_scipy(trials, data):
    successes = data.draw(st.integers(0, trials))
    expected = binomtest(successes, trials).proportion_ci(0.95, method="wilson")
    assert wilson(successes, trials) == pytest.approx((expected.low, expected.high), abs=1e-6)


def test_too_few_pictures_are_said(community, monkeypatch):
    monkeypatch.setattr(image_categories, "LEAST_IN_A_CLUSTER", 1000)
    finding = image_categories.measure(community.study())
    assert "too few pictures of top and bottom quarters" in finding.notes[0]


def test_the_view_counts_and_bounds(empty_warehouse):
    import pyarrow as pa

    rows = [
        {
            "post_id": f"p{n}", "subreddit": "pics", "category": 1 + n % 2, "unpopular": n % 4 == 0,
            "distance": float(n), "picked_out": n % 2 == 0, "turn": 1 if n % 2 == 0 else None,
            "snapshot": "s", "measured_on": "m",
        }
        for n in range(40)
    ]  # fmt: skip
    with empty_warehouse.write() as writer:
        schema = writer.query("SELECT * FROM marts.image_category_posts LIMIT 0").schema
        writer.append("marts.image_category_posts", pa.Table.from_pylist(rows, schema=schema))
    one, other = empty_warehouse.query("FROM marts.image_categories ORDER BY category").to_pylist()
    assert (one["posts"], one["unpopular_share"], one["picked_out"], one["turn"]) == (20, 0.5, True, 1)
    assert (one["typical_post"], other["typical_post"]) == ("p0", "p1")
    for row in (one, other):
        low, high = wilson(round(20 * row["unpopular_share"]), 20)
        assert (row["unpopular_share_low"], row["unpopular_share_high"]) == pytest.approx((low, high))


# Families of objects


def test_without_its_predictor_it_says_so(community):
    finding = object_families.measure(community.study())
    assert finding.notes == ("learn_deeply is not trained on the present training set",)
