"""The predictor of removals as a job: trained when something changed, measured, asked, and silent about too little."""

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from redpop_assets.encoders.judges import Judges
from redpop_assets.evaluation.probabilities import average_precision_of
from redpop_assets.labels import LabelRule
from redpop_assets.refresh.new_post import NewPost
from redpop_assets.refresh.posts import refresh_posts
from redpop_assets.refresh.published import refresh_published
from redpop_assets.refresh.removal_metrics import refresh_removal_metrics
from redpop_assets.refresh.removal_predictors import LEAST, refresh_removal_predictor
from redpop_assets.refresh.removal_risk import RemovalOracle, removal_risk
from redpop_assets.storage.edition import Edition
from redpop_assets.storage.models import ModelStore
from redpop_assets.storage.warehouse import Warehouse
from redpop_assets.testing.moderated import fill_moderated, moderated_world
from redpop_assets.testing.warehouses import blank_warehouse

pytestmark = pytest.mark.integration

RULE = LabelRule(timedelta(days=7), timedelta(days=2))


def train(warehouse, models, said=None, **changes):
    options = {"test_share": 0.25, "validation_share": 0.2, "most": 10_000, "seed": 7, **changes}
    told = (said if said is not None else []).append
    return refresh_removal_predictor(warehouse, models, "pics", RULE, progress=told, **options)


def measure(warehouse, said=None):
    told = (said if said is not None else []).append
    return refresh_removal_metrics(warehouse, seed=7, resamples=200, progress=told)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """(warehouse, models, posts by id, state) of a community whose moderators have reasons."""
    folder = tmp_path_factory.mktemp("moderated")
    warehouse, models = blank_warehouse(folder / "home"), ModelStore(folder / "models")
    with warehouse.kept():
        posts = fill_moderated(warehouse, moderated_world(1300, seed=3))
        refresh_posts(warehouse, "pics", allow_over_18=False, progress=lambda _: None)
        state = train(warehouse, models)
        measure(warehouse)
        yield warehouse, models, posts, state


def draft(warehouse, *titles, author=None, at=datetime(2026, 6, 1, 13, tzinfo=UTC)):
    judges = Judges("", ("", ""), "", "", "", "cpu", lambda _: None)
    options = {"posted_at": at, "author": author, "matured_after": RULE.final_age, "device": "cpu", "judges": judges}
    return NewPost(warehouse, "pics", titles, None, **options)


def test_it_is_close_to_the_ceiling_and_calibrated(trained):
    warehouse, _, posts, state = trained
    assert state.row["status"] == "trained"
    (row,) = warehouse.query("FROM marts.removal_metrics").to_pylist()
    judged = warehouse.query(
        "SELECT post_id, removed, probability FROM models.removal_posts WHERE split = 'test' ORDER BY post_id"
    ).to_pydict()
    removed, said = np.array(judged["removed"]), np.array(judged["probability"])
    chance = np.array([posts[post_id].removal_chance for post_id in judged["post_id"]])
    one = np.ones((1, len(removed)))
    ceiling = float(average_precision_of(removed, chance)(one)[0])
    assert row["pr_auc"] == pytest.approx(float(average_precision_of(removed, said)(one)[0]))
    assert row["pr_auc_low"] < row["pr_auc"] < row["pr_auc_high"]
    assert row["pr_auc"] > 2 * row["base_rate"]
    assert row["pr_auc"] > 0.6 * ceiling
    assert row["brier_skill"] > 0
    assert row["brier"] < row["brier_of_base_rate"]
    assert said.mean() == pytest.approx(chance.mean(), rel=0.3)
    groups = warehouse.query("FROM marts.removal_calibration ORDER BY bin").to_pylist()
    assert sum(group["posts"] for group in groups) == row["test_posts"] == len(removed)
    assert sum(group["removed"] for group in groups) == row["test_removed"]
    held = [group["removed_share_low"] <= group["mean_probability"] <= group["removed_share_high"] for group in groups]
    assert sum(held) >= len(held) - 1


def test_parts_follow_each_other_in_time_and_learnt_from_posts_have_no_probability(trained):
    warehouse, _, posts, _ = trained
    rows = warehouse.query("FROM models.removal_posts").to_pylist()
    made = {
        part: [posts[row["post_id"]].created for row in rows if row["split"] == part]
        for part in ("train", "validation", "test", "embargo")
    }
    assert max(made["train"]) <= min(made["validation"])
    assert max(made["validation"]) + RULE.final_age.total_seconds() <= min(made["test"])
    assert {row["split"] for row in rows if row["probability"] is not None} == {"validation", "test"}


def test_what_was_made_from_the_same_is_left_alone(trained):
    warehouse, models, _, state = trained
    said = []
    assert train(warehouse, models, said).trained_because is None
    measure(warehouse, said)
    assert said == []
    assert state.trained_because == "there is none yet"


def test_what_is_asked_of_a_draft(trained):
    warehouse, models, _, state = trained
    plain, asking = RemovalOracle(warehouse, models, "pics").risks(
        draft(warehouse, "A quiet lake in Norway", "A quiet lake in Norway, what do you think?")
    )
    assert 0 < plain.probability < asking.probability < 1
    assert plain.base_rate == state.row["base_rate"]
    assert plain.age_days == 7
    assert plain.record.test_removed == state.row["test_removed"]
    assert plain.why_unknown is None
    assert "usual here: " in plain.says
    night = removal_risk(warehouse, models, draft(warehouse, "A lake", at=datetime(2026, 6, 1, 2, tzinfo=UTC)))
    assert night.probability > removal_risk(warehouse, models, draft(warehouse, "A lake")).probability
    with pytest.raises(ValueError, match="one title"):
        removal_risk(warehouse, models, draft(warehouse, "A", "B"))


def test_an_author_whose_posts_were_removed_is_not_like_one_whose_posts_stood(trained):
    warehouse, models, posts, _ = trained
    by_author = {}
    for post in posts.values():
        by_author.setdefault(post.author_id, []).append(post.removal == "moderator")
    busy = {author: np.mean(down) for author, down in by_author.items() if len(down) >= 8}
    worst, best = max(busy, key=busy.get), min(busy, key=busy.get)
    oracle = RemovalOracle(warehouse, models, "pics")
    (careless,) = oracle.risks(draft(warehouse, "A quiet lake", author=worst))
    (careful,) = oracle.risks(draft(warehouse, "A quiet lake", author=best))
    assert careless.probability > careful.probability


def test_the_published_file_answers_as_the_warehouse_does_and_keeps_the_model(trained):
    warehouse, models, _, state = trained
    refresh_published(warehouse, models)
    edition = Edition(warehouse.live.parents[1])
    try:
        post = draft(edition, "A quiet lake in Norway")
        assert removal_risk(edition, models, post) == removal_risk(warehouse, models, post)
        assert models.folder("pics", "removal", state.row["digest"]).is_dir()
    finally:
        edition.close()


def test_where_nothing_was_ever_trained_nothing_is_known(trained):
    warehouse, models, _, _ = trained
    elsewhere = RemovalOracle(warehouse, models, "nowhere").risks(draft(warehouse, "A lake"))[0]
    assert (elsewhere.probability, elsewhere.base_rate, elsewhere.record) == (None, None, None)
    assert "never trained" in elsewhere.says


@pytest.fixture
def small(tmp_path, keep):
    """A community with a dozen removals."""
    warehouse = keep(blank_warehouse(tmp_path / "home"))
    fill_moderated(warehouse, moderated_world(200, seed=3, days=100))
    refresh_posts(warehouse, "pics", allow_over_18=False, progress=lambda _: None)
    return warehouse, ModelStore(tmp_path / "models")


def test_too_few_removals_are_said_with_their_number(small):
    warehouse, models = small
    state = train(warehouse, models)
    assert state.row["status"] == "not_trained"
    assert state.row["reason"].startswith("too few removals here: ")
    assert f"{state.row['train_removed']} removals of {LEAST['train']} in the train part" in state.row["reason"]
    assert train(warehouse, models).trained_because is None
    (row,) = measure(warehouse)
    assert (row["status"], row["pr_auc"], row["reason"]) == ("not_trained", None, state.row["reason"])
    assert row["test_posts"] == state.row["test_posts"] > 0
    risk = removal_risk(warehouse, models, draft(warehouse, "A lake"))
    assert risk.probability is None
    assert risk.base_rate == pytest.approx(state.row["removed"] / state.row["posts"])
    assert "too few removals here" in risk.says
    assert warehouse.scalar("SELECT count(*) FROM models.removal_posts") == 0


def test_nothing_at_all_is_said_as_well(tmp_path):
    warehouse = Warehouse(tmp_path / "home", source="test")
    with warehouse.write():
        pass
    state = train(warehouse, ModelStore(tmp_path / "models"))
    assert state.row["reason"].startswith("too few posts")
    assert state.row["base_rate"] is None
    assert measure(warehouse)[0]["status"] == "not_trained"
