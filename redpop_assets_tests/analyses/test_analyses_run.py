"""Analyses as people ask for them: through Dagster, on demand and never otherwise, and on the command line."""

import sys

import duckdb
import pytest

from redpop_assets.analyses.registry import ANALYSES
from redpop_assets.automation import KEPT_FRESH, ON_DEMAND, REFRESH
from redpop_assets.cli.app import main
from redpop_assets.definitions import build_defs
from redpop_assets.errors import SettingsError
from redpop_assets.runs import analyse, selected_keys
from redpop_assets.settings import Settings, load_settings
from redpop_assets.storage.schema import load_schema

pytestmark = pytest.mark.end_to_end


@pytest.fixture(scope="module")
def defs(tmp_path_factory):
    return build_defs(Settings(_env_file=None, home=tmp_path_factory.mktemp("home")))


@pytest.fixture
def variables(community, tmp_path):
    """The environment of a deployment on a copy of the community."""
    own = community.copy(tmp_path / "home")
    return {
        "REDPOP_HOME": str(own.home),
        "REDPOP_SOURCE": "test",
        "REDPOP_SUBREDDITS": "pics",
        "REDPOP_IMAGE_ENCODER": community.encoders.image,
        "REDPOP_CAPTION_ENCODER": community.encoders.caption,
        "REDPOP_CLIP_ENCODER": community.encoders.clip,
        "REDPOP_ANALYSED_PREDICTOR": "metadata_boosting",
    }


@pytest.fixture
def redpop(only, variables, tmp_path, monkeypatch, capfd):
    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["redpop", *arguments])
        with only({"COLUMNS": "240", **variables}, tmp_path), pytest.raises(SystemExit) as end:
            main()
        captured = capfd.readouterr()
        return int(end.value.code or 0), captured.out, captured.err

    return run


def test_every_analysis_is_an_asset_that_is_computed_on_demand_only(defs):
    graph = defs.resolve_asset_graph()
    on_demand = ON_DEMAND.resolve(graph)
    assert {".".join(key.path) for key in on_demand} >= {analysis.table for analysis in ANALYSES.values()}
    for key in on_demand:
        assert graph.get(key).automation_condition is None
        assert graph.get(key).freshness_policy is None
    kept = KEPT_FRESH.resolve(graph)
    assert kept | on_demand == set(graph.get_all_asset_keys())
    assert not kept & on_demand
    refreshed = defs.resolve_job_def(REFRESH).asset_layer.selected_asset_keys
    assert set(refreshed) == kept


def test_materialize_leaves_them_out(defs):
    tables = {analysis.table for analysis in ANALYSES.values()}
    for select in (None, "group:marts", "*"):
        assert not tables & {".".join(key.path) for key in selected_keys(defs, select, harvest=True)}
    with pytest.raises(SettingsError, match="redpop analyse"):
        selected_keys(defs, 'key:"marts/emap"', harvest=True)


def test_columns_that_are_shown_are_columns_of_the_table():
    for analysis in ANALYSES.values():
        columns = set(load_schema()[analysis.table].column_names)
        assert set(analysis.shown) <= set(load_schema()[analysis.read_from].column_names)
        assert {"subreddit", "snapshot", "measured_on"} <= columns
        assert ("predictor" in columns) or not analysis.of_one_predictor
        assert ("figure" in columns) == analysis.shows_posts


def test_all_of_them_run_publish_and_draw(only, variables, tmp_path):
    with only(variables, tmp_path):
        settings = load_settings()
        outcome = analyse(settings, subreddit="", predictor="", only=())
        assert outcome.failures == ()
        with duckdb.connect(settings.home / "redpop.duckdb", read_only=True) as connection:
            counts = {
                name: connection.execute(f"SELECT count(*) FROM {analysis.table}").fetchone()[0]
                for name, analysis in ANALYSES.items()
            }
            taken_apart = connection.execute("SELECT DISTINCT predictor FROM marts.ablation").fetchall()
        assert min(counts[name] for name in ("error_slices", "calibration", "emap", "shuffled_labels", "ablation")) > 0
        assert taken_apart == [("metadata_boosting",)]
        figures = {path.name for path in (settings.home / "figures" / "pics").iterdir()}
        assert {"calibration.png", "ablation-metadata_boosting.png"} <= figures
        published = (settings.home / "redpop.duckdb").read_bytes()
        assert analyse(settings, subreddit="pics", predictor="", only=()).failures == ()
        assert (settings.home / "redpop.duckdb").read_bytes() == published


def test_the_command_shows_tables_and_says_where_figures_are(redpop, variables):
    code, shown, _ = redpop("analyse", "pics", "--only", "calibration")
    assert code == 0
    assert "marts.calibration of r/pics" in shown
    assert "marts.emap" not in shown
    assert "metadata_boosting" in shown
    assert f"{variables['REDPOP_HOME']}/figures" in shown


def test_splits_are_compared_if_they_are_asked_for_by_name(redpop, variables):
    code, shown, _ = redpop("analyse", "pics", "--only", "split_comparison", "--predictor", "subreddit_median")
    assert code == 0
    assert "warehouse/queries/split_comparison.sql" in shown
    with duckdb.connect(f"{variables['REDPOP_HOME']}/redpop.duckdb", read_only=True) as connection:
        found = connection.execute("SELECT DISTINCT subreddit, predictor FROM marts.split_comparison").fetchall()
    assert found == [("pics", "subreddit_median")]


def test_what_cannot_be_asked_is_an_error_that_names_what_can(redpop, variables):
    code, _, said = redpop("analyse", "--only", "everything")
    assert code == 1
    assert "There is no analysis 'everything'; there are error_slices," in " ".join(said.split())
    code, shown, _ = redpop("analyse", "--only", "ablation", "--predictor", "oracle")
    assert code == 1
    assert "no predictor 'oracle'" in shown
    code, _, said = redpop("analyse", "nowhere")
    assert code == 1
    assert "r/nowhere is not configured" in said
    variables["REDPOP_SUBREDDITS"] = "pics,aww"
    code, shown, _ = redpop("analyse", "aww", "--only", "emap")
    assert code == 1
    assert "r/aww has no training set: run `redpop materialize -r aww` first" in shown
