"""Assets of the marts on a community that needs no graph: which age of the label rule forecasts go by."""

from datetime import timedelta

import dagster as dg
import pytest

from redpop_assets.assets.marts import mart_assets
from redpop_assets.assets.tables import TableAssets, asset_key
from redpop_assets.partitions import subreddit_partitions
from redpop_assets.predictors.registry import MEDIAN
from redpop_assets.refresh.champions import refresh_champion
from redpop_assets.refresh.predictions import refresh_predictions
from redpop_assets.refresh.predictors import refresh_predictor
from redpop_assets.refresh.training_set import refresh_training_set
from redpop_assets.settings import Settings
from redpop_assets.storage.models import ModelStore
from redpop_assets.storage.schema import load_schema

pytestmark = pytest.mark.integration


def test_a_post_that_could_have_been_labelled_and_was_not_is_not_forecast(
    empty_warehouse, fill, encoders, tmp_path, only, keep
):
    """Its score can be known from the label age on, two days before the label would be final."""
    with only({}, tmp_path):
        settings = Settings(_env_file=None, home=empty_warehouse.live.parents[1], subreddits="pics")
    rule = settings.label_rule
    fill(empty_warehouse)
    keep(empty_warehouse)
    age = "(SELECT max(created_at) FROM core.posts) - created_at"
    between = f"SELECT post_id FROM core.posts WHERE {age} >= $age AND {age} < $final"
    with empty_warehouse.write() as writer:
        lost = writer.query(between, {"age": rule.age, "final": rule.final_age}).column(0).to_pylist()
        assert lost
        writer.execute("DELETE FROM core.labels WHERE list_contains($lost, post_id)", {"lost": lost})
    models = ModelStore(tmp_path / "models")
    refresh_training_set(
        empty_warehouse,
        "pics",
        encoders,
        matured_after=rule.final_age,
        test_share=0.2,
        validation_share=0.15,
        most=1000,
        predictors=[MEDIAN],
    )
    refresh_predictor(MEDIAN, "pics", empty_warehouse, models, encoders, seed=7)
    refresh_predictions(empty_warehouse, models, progress=str)
    refresh_champion(empty_warehouse, models, "pics", [MEDIAN], seed=7, progress=str)

    tables = TableAssets(settings, load_schema(), subreddit_partitions(settings))
    done = dg.materialize(
        [asset for asset in mart_assets(tables) if asset_key("marts.forecasts") in asset.keys],
        resources={"warehouse": empty_warehouse},
    )
    assert done.success
    assert all(found.passed for found in done.get_asset_check_evaluations())
    made = empty_warehouse.query("SELECT post_id, age_hours FROM marts.forecasts").to_pydict()
    assert len(made["post_id"]) > 5
    assert not set(made["post_id"]) & set(lost)
    assert max(made["age_hours"]) < rule.age / timedelta(hours=1)
