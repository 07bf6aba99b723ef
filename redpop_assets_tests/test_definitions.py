"""The code location as Dagster loads it: what is in it, that it is complete, and what loading it costs.

`definitions_snapshot.json` is the graph as a person reviews it. After an intended change, write it anew with
`REDPOP_WRITE_SNAPSHOT=1 pytest redpop_assets_tests/test_definitions.py` and read the difference.
"""

import json
import os
import subprocess
import sys
import tomllib
import warnings
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from redpop_assets.automation import DISCOVER, NIGHT
from redpop_assets.checks import LOOKS_AS_BEFORE
from redpop_assets.definitions import build_defs
from redpop_assets.features.registry import FAMILIES
from redpop_assets.partitions import TOGETHER
from redpop_assets.predictors.registry import predictor_names
from redpop_assets.settings import Settings
from redpop_assets.storage.schema import LAYERS, load_schema

ROOT = Path(__file__).resolve().parents[1]
SNAPSHOT = Path(__file__).with_name("definitions_snapshot.json")

LOADED_BY_IMPORT = {"dotenv", "platformdirs", "pydantic_settings"}
"""Packages of others that importing the definitions may load, beside those that `import dagster` loads."""

LOADED_BY_BUILDING = {"_duckdb", "duckdb"}
"""And these to build them: DuckDB executes the SQL files of the tables."""

LOADED_ROOMS = {"redpop_assets.refresh.partition"}
"""Modules of the rooms that compute, read or show, of which nothing else is loaded until a step runs."""

WATCH = '''
"""Prints what is loaded beside Dagster by importing the definitions and by building them, and by which of our lines."""
import dagster
import json, sys, traceback

known = {name.partition(".")[0] for name in sys.modules} | set(sys.stdlib_module_names)
loaded = {"import": {}, "build": {}}


class Watch:
    def find_spec(name, path=None, target=None):
        package = name.partition(".")[0]
        if package not in known and package != "redpop_assets":
            lines = [f"{line.filename}:{line.lineno}: {line.line}" for line in traceback.extract_stack()]
            ours = [line for line in lines if "/redpop_assets/" in line and "/redpop_assets/arrays.py" not in line]
            loaded[stage].setdefault(package, ours[-1] if ours else "")


sys.meta_path.insert(0, Watch)
stage = "import"
from redpop_assets import definitions
stage = "build"
definitions.defs().resolve_asset_graph()
print(json.dumps([loaded, [name for name in sys.modules if name.startswith("redpop_assets.")]]))
'''


@pytest.fixture(scope="module")
def settings(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.startswith(("REDPOP_", "REDDIT_"))]:
            patch.delenv(name)
        return Settings(_env_file=None, home=tmp_path_factory.mktemp("home"))


@pytest.fixture(scope="module")
def defs(settings):
    return build_defs(settings)


@pytest.fixture(scope="module")
def graph(defs):
    return defs.resolve_asset_graph()


def described(defs: dg.Definitions) -> dict[str, Any]:
    """The graph in a form that a person can read and compare."""
    graph = defs.resolve_asset_graph()
    repository = defs.get_repository_def()
    pools = {
        key: node.pool for asset in repository.assets_defs_by_key.values() for key in asset.keys for node in [asset.op]
    }
    return {
        "assets": {
            key.to_user_string(): {
                "group": graph.get(key).group_name,
                "deps": sorted(parent.to_user_string() for parent in graph.get(key).parent_keys),
                "kinds": sorted(graph.get(key).kinds),
                "owners": list(graph.get(key).owners),
                "partitioned": graph.get(key).is_partitioned,
                "code_version": bool(graph.get(key).code_version),
                "pool": pools.get(key),
                "condition": graph.get(key).automation_condition and graph.get(key).automation_condition.get_label(),
                "checks": sorted(check.name for check in graph.get(key).check_keys),
            }
            for key in sorted(graph.get_all_asset_keys())
        },
        "jobs": sorted(job.name for job in defs.jobs or []),
        "schedules": {
            schedule.name: {
                "job": schedule.job_name,
                "cron": schedule.cron_schedule,
                "timezone": schedule.execution_timezone,
                "default_status": schedule.default_status.value,
            }
            for schedule in repository.schedule_defs
        },
        "sensors": {sensor.name: sensor.default_status.value for sensor in repository.sensor_defs},
        "resources": sorted(defs.resources or {}),
    }


def test_the_graph_is_the_one_that_was_reviewed(defs):
    found = described(defs)
    if os.environ.get("REDPOP_WRITE_SNAPSHOT"):
        SNAPSHOT.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    assert found == json.loads(SNAPSHOT.read_text(encoding="utf-8"))


def test_it_loads_without_a_warning(settings):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        dg.Definitions.validate_loadable(build_defs(settings))


def test_the_decorated_definitions_are_those_of_the_environment(tmp_path, only):
    from redpop_assets import definitions

    with only({"REDPOP_HOME": str(tmp_path), "REDPOP_SUBREDDITS": "cats,r/Aww"}, tmp_path):
        graph = definitions.defs().resolve_asset_graph()
    partitions = graph.get(dg.AssetKey(["core", "posts"])).partitions_def
    assert partitions.get_partition_keys() == ["cats", "aww"]


def test_every_asset_says_what_it_is(graph):
    for key in graph.get_all_asset_keys():
        node = graph.get(key)
        name = key.to_user_string()
        assert len(node.description or "") >= 30, name
        assert node.description.rstrip().endswith("."), name
        assert node.owners == ["team:redpop"], name
        assert node.kinds, name
        assert node.code_version, name
        assert node.group_name == key.path[0], name


def test_asset_keys_are_tables_of_the_warehouse(graph):
    schema = load_schema()
    others = {f"models.{name}" for name in predictor_names()} | {"marts.published_warehouse"}
    keys = {".".join(key.path) for key in graph.get_all_asset_keys()}
    assert keys - others <= set(schema)
    # What has no asset of its own: the mark of the source, the placeholders (learnt by the download), the encoders
    # (filled by both embeddings), what rows of posts were made from (by all features of posts), the profiles (by the
    # checks) and the state of the predictors, with what they expected of held-out posts (by each of them). Optional
    # families have one where the settings name them.
    tables = {name for name, table in schema.items() if not table.is_view}
    known = {
        "raw.source",
        "core.placeholder_images",
        "features.encoders",
        "features.known_posts",
        "features.made_posts",
        "features.profiles",
        "models.predictors",
    }
    optional = {family.filled_table for family in FAMILIES if family.optional}
    assert tables - keys == known | {"models.validation_predictions"} | optional
    assert {key.split(".")[0] for key in keys} == set(LAYERS)


def test_column_schemas_are_those_of_the_tables(graph):
    schema = load_schema()
    for key in graph.get_all_asset_keys():
        table = schema.get(".".join(key.path))
        if table is not None:
            columns = graph.get(key).metadata["dagster/column_schema"].columns
            assert [(column.name, column.type) for column in columns] == [(c.name, c.type) for c in table.columns]
            assert all(column.description for column in columns), key


def test_partitions_are_the_subreddits_up_to_the_marts(graph):
    for key in graph.get_all_asset_keys():
        node = graph.get(key)
        whole = key.path[0] == "marts" or ".".join(key.path) in TOGETHER
        assert node.is_partitioned != whole, key
        if node.is_partitioned:
            assert node.partitions_def.get_partition_keys() == ["pics", "earthporn"]


def test_data_flows_from_left_to_right(graph):
    for key in graph.get_all_asset_keys():
        for parent in graph.get(key).parent_keys:
            assert LAYERS.index(parent.path[0]) <= LAYERS.index(key.path[0])


def test_all_checks_block_but_those_of_what_no_repetition_mends(graph):
    checks = {check for key in graph.get_all_asset_keys() for check in graph.get(key).check_keys}
    assert len(checks) > 30
    only_warn = {"new_joins_on", "forecasts_come_before_scores", "nothing_newly_found", LOOKS_AS_BEFORE}
    for check in checks:
        spec = graph.get_check_spec(check)
        assert spec.blocking == (check.name not in only_warn), check
        assert len(spec.description or "") > 20, check


def test_schedules_and_sensors_run_by_default(defs):
    repository = defs.get_repository_def()
    assert {schedule.job_name for schedule in repository.schedule_defs} == {NIGHT, DISCOVER}
    assert all(s.default_status == dg.DefaultScheduleStatus.RUNNING for s in repository.schedule_defs)
    assert {s.name for s in repository.sensor_defs} == {"automation"}
    assert all(s.default_status == dg.DefaultSensorStatus.RUNNING for s in repository.sensor_defs)


def test_loading_imports_what_defining_needs_and_nothing_that_computes(tmp_path):
    """Every process of Dagster and each of its steps pays for it; `benchmarks/import_time.py` says how much."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("REDPOP_", "REDDIT_", "DAGSTER_"))}
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", WATCH],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env=environment,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    loaded, modules = json.loads(done.stdout)
    assert {name: line for name, line in loaded["import"].items() if name not in LOADED_BY_IMPORT} == {}
    may = LOADED_BY_IMPORT | LOADED_BY_BUILDING
    assert {name: line for name, line in loaded["build"].items() if name not in may} == {}
    rooms = tuple(f"redpop_assets.{room}." for room in ("refresh", "exports", "pages", "images", "cli", "sandbox"))
    assert {name for name in modules if name.startswith(rooms)} == LOADED_ROOMS
    assert list(tmp_path.iterdir()) == []  # looking at the graph writes nothing


def test_every_way_to_load_names_the_same_module_and_location():
    import yaml

    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["dg"]
    workspace = yaml.safe_load((ROOT / "workspace.yaml").read_text(encoding="utf-8"))
    (entry,) = workspace["load_from"]
    assert entry["python_module"] == {
        "module_name": project["project"]["code_location_target_module"],
        "location_name": project["project"]["code_location_name"],
    }
    assert entry["python_module"]["module_name"] == "redpop_assets.definitions"
    assert entry["python_module"]["location_name"] == "redpop"
    assert project["directory_type"] == "project"
    assert project["project"]["root_module"] == "redpop_assets"
