"""The comparison of splits as an asset: made when somebody asks for it, and never otherwise."""

from datetime import timedelta

import dagster as dg
import pytest

from redpop_assets.automation import ANALYSE, KEPT_FRESH, ON_DEMAND, REFRESH
from redpop_assets.definitions import build_defs
from redpop_assets.errors import SettingsError
from redpop_assets.refresh.training_set import build_training_set
from redpop_assets.resources import open_warehouse
from redpop_assets.runs import selected_keys
from redpop_assets.settings import load_settings

pytestmark = pytest.mark.integration

KEY = dg.AssetKey(["marts", "split_comparison"])


@pytest.fixture
def settings(only, tmp_path, fill, encoders):
    variables = {
        "REDPOP_HOME": str(tmp_path / "home"),
        "REDPOP_SOURCE": "test",
        "REDPOP_SUBREDDITS": "pics",
        "REDPOP_IMAGE_ENCODER": encoders.image,
        "REDPOP_CAPTION_ENCODER": encoders.caption,
    }
    with only(variables, tmp_path):
        settings = load_settings()
        warehouse = open_warehouse(settings)
        fill(warehouse, posts=300, days=200)
        built = build_training_set(
            warehouse,
            "pics",
            encoders,
            matured_after=timedelta(days=7),
            test_share=0.2,
            validation_share=0.15,
            most=1000,
        )
        with warehouse.write() as writer:
            writer.replace("models.training_set", built.rows, "TRUE")
        yield settings


def test_it_is_neither_nightly_nor_part_of_materialize(settings):
    defs = build_defs(settings)
    graph = defs.resolve_asset_graph()
    assert KEY in ON_DEMAND.resolve(graph)
    assert graph.get(KEY).automation_condition is None
    assert graph.get(KEY).freshness_policy is None
    assert set(defs.resolve_job_def(REFRESH).asset_layer.selected_asset_keys) == KEPT_FRESH.resolve(graph)
    for select in (None, "group:marts", "*"):
        assert KEY not in selected_keys(defs, select, harvest=True)
    with pytest.raises(SettingsError, match="redpop analyse"):
        selected_keys(defs, 'key:"marts/split_comparison"', harvest=True)


def test_asked_for_it_trains_and_says_so(settings):
    job = build_defs(settings).resolve_job_def(ANALYSE)
    asked = {"ops": {"marts__split_comparison": {"config": {"predictor": "subreddit_median", "subreddit": "pics"}}}}
    counts = []
    with dg.DagsterInstance.ephemeral() as instance:
        for _ in range(2):
            result = job.execute_in_process(instance=instance, asset_selection=[KEY], run_config=asked)
            assert result.success
            assert all(check.passed for check in result.get_asset_check_evaluations())
            (event,) = result.get_asset_materialization_events()
            metadata = {name: value.value for name, value in event.materialization.metadata.items()}
            assert metadata["dagster/row_count"] == 5
            assert "| pics | subreddit_median |" in metadata["table"]
            counts.append(metadata["models_trained"])
    assert counts == [5, 0]
