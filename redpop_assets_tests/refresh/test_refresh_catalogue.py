"""The catalogue of a whole warehouse: measured when a training set changed, and only then."""

from dataclasses import replace
from datetime import timedelta

import numpy as np
import pytest

from redpop_assets.evaluation import catalogue as evaluation
from redpop_assets.evaluation.catalogue import out_of_fold
from redpop_assets.features.registry import BLOCKS
from redpop_assets.pages.catalogue import catalogue_by_subreddit
from redpop_assets.refresh import catalogue as feature_catalogue
from redpop_assets.refresh.catalogue import refresh_catalogue
from redpop_assets.storage.facts import Missing
from redpop_assets.storage.schema import Schema, load_schema
from redpop_assets.storage.warehouse import Warehouse

pytestmark = pytest.mark.integration

FINAL_AGE = timedelta(days=9)


def refresh(warehouse, encoders, seed=0, progress=str):
    rows, measured = refresh_catalogue(warehouse, encoders, seed=seed, progress=progress)
    return {(row["subreddit"], row["block"], row["feature"]): row for row in rows}, measured


@pytest.fixture(scope="module")
def first(tmp_path_factory, fill, learn_from, encoders):
    """(folder, what the first refresh returned) of two communities."""
    folder = tmp_path_factory.mktemp("catalogue")
    warehouse = Warehouse(folder / "home", source="test", lock_timeout=30)
    for subreddit in ("pics", "aww"):
        fill(warehouse, subreddit, posts=120)
    with warehouse.kept():
        for subreddit in ("pics", "aww"):
            learn_from(warehouse, subreddit, matured_after=FINAL_AGE, test_share=0.15)
        return folder, refresh(warehouse, encoders)


@pytest.fixture
def filled(first, copy_of):
    """The two communities with their catalogue."""
    return copy_of(first[0])


def test_every_feature_of_every_community_is_there_and_the_planted_one_is_first(first, filled):
    rows, measured = first[1]
    features = {
        (block, column.name)
        for block, table in ((name, family.table) for name, family in BLOCKS.items())
        for column in load_schema()[table].features
    }
    assert measured == 2
    assert set(rows) == {(subreddit, *feature) for subreddit in ("pics", "aww") for feature in features}
    for subreddit in ("pics", "aww"):
        words = rows[subreddit, "text", "words"]
        assert (words["rank_in_block"], words["leakage"], words["posts"]) == (1, "suspicious", 120)
        assert words["spearman"] > 0.8
        own = [row for key, row in rows.items() if key[0] == subreddit and row["known_at"] != "after_post"]
        assert [row["feature"] for row in own if row["leakage"] != "none"] == ["words"]
        assert words["labelled_posts"] == filled.scalar(
            "SELECT count(*) FROM models.training_set WHERE subreddit = $s", {"s": subreddit}
        )
    text = catalogue_by_subreddit(list(rows.values()))
    assert text.startswith("### r/aww\n\n| block |")
    assert text.count("| text | words |") == 2


def test_nothing_new_measures_and_writes_nothing(filled, encoders, monkeypatch):
    rows, _ = refresh(filled, encoders)
    before = filled.fingerprint("marts.feature_catalogue")
    monkeypatch.setattr(feature_catalogue, "_measure", lambda *given: pytest.fail(f"measured {given}"))
    filled.publish()
    assert refresh(filled, encoders) == (rows, 0)
    assert filled.fingerprint("marts.feature_catalogue") == before
    assert not filled.publish().changed


def test_only_the_community_that_changed_is_measured_again(filled, encoders, learn_from, monkeypatch):
    said = []
    before, _ = refresh(filled, encoders)
    with filled.write() as writer:
        writer.execute("UPDATE core.labels SET log_score = log_score + random() WHERE subreddit = 'aww'")
    assert refresh(filled, encoders)[1] == 0  # predictors have not seen that either
    learn_from(filled, "aww", matured_after=FINAL_AGE, test_share=0.15)
    after, measured = refresh(filled, encoders, progress=said.append)
    assert measured == 1
    assert said == [f"{len(after) // 2} features of r/aww measured because the training set changed"]
    assert after["pics", "text", "words"] == before["pics", "text", "words"]
    assert after["aww", "text", "words"]["spearman"] < before["aww", "text", "words"]["spearman"]
    assert refresh(filled, encoders, seed=1)[1] == 2
    assert refresh(filled, encoders, seed=1)[1] == 0
    monkeypatch.setattr("redpop_assets.versions.CATALOGUE", "another")
    assert refresh(filled, encoders, seed=1, progress=said.append)[1] == 2
    assert said[-1].endswith("because the code, the seed or the definitions changed")


def test_only_the_columns_that_changed_are_measured_again(filled, encoders, learn_from, monkeypatch):
    refresh(filled, encoders)
    with filled.write() as writer:
        writer.execute("UPDATE features.caption_features SET words = words + 1 WHERE caption_sha256 > '8'")
        writer.execute("DELETE FROM features.seen_before WHERE post_id LIKE '%7' AND subreddit = 'aww'")
        # Of a post without a label: it is counted and no more.
        unlabelled = "SELECT min(post_id) FROM core.posts ANTI JOIN models.training_set USING (post_id)"
        assert writer.execute(f"DELETE FROM features.post_flags WHERE post_id = ({unlabelled})") == 1
    for subreddit in ("pics", "aww"):
        learn_from(filled, subreddit, matured_after=FINAL_AGE, test_share=0.15)
    looked = []
    correlate = evaluation.rank_correlations

    def counted(features, *given, **options):
        looked.append(sum(not np.isnan(feature).all() for feature in features))
        return correlate(features, *given, **options)

    with monkeypatch.context() as patched:
        patched.setattr(evaluation, "rank_correlations", counted)
        after, measured = refresh(filled, encoders)
    assert measured == 2
    assert looked == [1, len(load_schema()["features.seen_before"].features), 1]  # aww, aww, pics
    with filled.write() as writer:
        writer.execute("DELETE FROM marts.feature_catalogue")
    assert refresh(filled, encoders)[0] == after


def test_rows_of_an_older_home_are_measured_once(filled, encoders):
    rows, _ = refresh(filled, encoders)
    with filled.write() as writer:
        writer.execute("ALTER TABLE marts.feature_catalogue DROP COLUMN inputs")
        writer.execute("UPDATE marts.feature_catalogue SET metrics_version = '1-0-abc', spearman = 0.1")
        writer.execute("UPDATE main.warehouse_state SET ddl_digest = ''")
    assert refresh(filled, encoders) == (rows, 2)
    assert refresh(filled, encoders) == (rows, 0)


def test_words_are_renewed_without_measuring_and_facts_are_measured(filled, encoders):
    before, _ = refresh(filled, encoders)
    schema = load_schema()

    def told(**facts):
        """Other code on the same warehouse, whose schema says something else of the number of words."""
        table = schema["features.caption_features"]
        columns = tuple(replace(each, **facts) if each.name == "words" else each for each in table.columns)
        tables = {**schema, table.name: replace(table, columns=columns, ddl=table.ddl + "-- reworded")}
        other = Warehouse(filled.published.parent, source=filled.source, schema=Schema(tuple(tables.values())))
        return refresh(other, encoders)

    words = {"description": "How long it is.", "unit": "count", "source": "Zipf 1935"}
    after, measured = told(**words)
    assert measured == 0
    assert after == {key: {**row, **words} if key[1:] == ("text", "words") else row for key, row in before.items()}
    after, measured = told(known_at="after_post")
    assert measured == 2
    assert after["pics", "text", "words"]["leakage"] == "after_post"
    assert told(missing=Missing("has_year", 1.0))[1] == 2


def test_a_community_that_is_gone_leaves_the_catalogue(filled, encoders):
    refresh(filled, encoders)
    with filled.write() as writer:
        writer.execute("DELETE FROM models.training_set WHERE subreddit = 'aww'")
    assert {key[0] for key in refresh(filled, encoders)[0]} == {"pics"}


def test_without_any_training_set_it_is_empty(empty_warehouse, encoders):
    with empty_warehouse.write():
        pass
    assert refresh(empty_warehouse, encoders) == ({}, 0)


def test_ridge_never_saw_the_picture_it_speaks_of():
    random = np.random.default_rng(3)
    # Forty pictures, each posted by five people: what is learnt of one post is no news of the next.
    pictures = np.repeat(np.arange(40), 5)
    vectors = np.eye(40)[pictures] + 0.01 * random.normal(size=(200, 40))
    truth = random.normal(size=40)[pictures]
    people = np.arange(200)
    assert np.corrcoef(out_of_fold(vectors, truth, people), truth)[0, 1] > 0.9
    apart = out_of_fold(vectors, truth, people, groups=pictures)
    assert abs(np.corrcoef(apart, truth)[0, 1]) < 0.4
    assert np.array_equal(out_of_fold(vectors, truth, people, groups=people), out_of_fold(vectors, truth, people))
    assert not out_of_fold(vectors, truth, people, groups=np.zeros(200, dtype=np.int64)).any()
