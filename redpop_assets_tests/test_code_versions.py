"""One code version per computation: named beside the code or, of a job, in `versions.py`; used by its asset alone.

Every literal version of the code is replaced by the name of the module that it stands in, in `versions.py` by its own,
and the graph is built from that code: what the version of an asset then says is where it comes from, and so what fires
it.
"""

import importlib.util
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from redpop_assets import versions as versions_of_jobs
from redpop_assets.analyses.registry import ANALYSES
from redpop_assets.predictors.registry import predictor_names

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "redpop_assets"

SHOW = '''
"""Prints the assets' code versions, where each literal one is <the module that it stands in>, and who has one."""
import ast, importlib.machinery, json, sys


class Versions(ast.NodeTransformer):
    def __init__(self, module):
        self.module = module

    def named(self, value, name=""):
        marked = ast.Constant(f"<{self.module}{name}>")
        if isinstance(value, ast.Constant) and isinstance(value.value, str):
            return marked
        if isinstance(value, ast.JoinedStr):
            parts = [part for part in value.values if isinstance(part, ast.FormattedValue)]
            literal = any(c.isalnum() for part in value.values if part not in parts for c in part.value)
            return ast.JoinedStr([marked, *parts] if literal else parts)
        if isinstance(value, ast.Call):  # "-".join(("2", *others))
            for one in ast.walk(value):
                if isinstance(one, ast.Constant) and isinstance(one.value, str) and one.value.isalnum():
                    one.value = marked.value
        return value

    def visit_Assign(self, node):
        if [getattr(one, "id", "") for one in node.targets] in (["CODE_VERSION"], ["code_version"]):
            node.value = self.named(node.value)
        return self.generic_visit(node)

    def visit_AnnAssign(self, node):
        target = getattr(node.target, "id", "")
        if self.module == "redpop_assets.versions":
            node.value = self.named(node.value, f".{target}")
        elif target in ("CODE_VERSION", "code_version") and node.value is not None:
            node.value = self.named(node.value)
        return self.generic_visit(node)

    def visit_Call(self, node):
        if getattr(node.func, "id", "") in ("Analysis", "Family"):
            for one in node.keywords:
                if one.arg == "version":
                    one.value = self.named(one.value)
        return self.generic_visit(node)


class Loader(importlib.machinery.SourceFileLoader):
    def get_code(self, name):
        tree = Versions(name).visit(ast.parse(self.get_data(self.path)))
        return compile(ast.fix_missing_locations(tree), self.path, "exec", dont_inherit=True)


class Finder:
    @staticmethod
    def find_spec(name, path=None, target=None):
        if name.partition(".")[0] != "redpop_assets":
            return None
        spec = importlib.machinery.PathFinder.find_spec(name, path)
        if spec is not None and isinstance(spec.loader, importlib.machinery.SourceFileLoader):
            spec.loader = Loader(spec.loader.name, spec.loader.path)
        return spec


sys.meta_path.insert(0, Finder)
from redpop_assets.definitions import build_defs
from redpop_assets.features.registry import FAMILIES
from redpop_assets.settings import Settings

optional = tuple(family.name for family in FAMILIES if family.optional)
graph = build_defs(Settings(_env_file=None, optional_families=optional)).resolve_asset_graph()
keys = graph.get_all_asset_keys()
versions = {".".join(key.path): graph.get(key).code_version for key in keys}
print(json.dumps([versions, [[family.filled_table, family.version] for family in FAMILIES]]))
'''


@pytest.fixture(scope="module")
def shown(tmp_path_factory):
    """Asset -> code version with names of modules for literals; versions of families."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("REDPOP_", "REDDIT_", "DAGSTER_"))}
    done = subprocess.run(
        [sys.executable, "-c", SHOW],
        capture_output=True,
        text=True,
        cwd=tmp_path_factory.mktemp("versions"),
        env=environment | {"PYTHONPATH": str(ROOT)},
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.fixture(scope="module")
def versions(shown):
    return shown[0]


@pytest.fixture(scope="module")
def modules(versions):
    """Asset -> the modules whose version fires it."""
    return {asset: set(re.findall(r"<redpop_assets\.([\w.]+)>", version)) for asset, version in versions.items()}


def test_no_asset_has_a_version_of_its_own(versions):
    for asset, version in versions.items():
        assert not re.search(r"\w", re.sub(r"<[\w.]+>", "", version)), f"{asset}: {version}"
        assert not re.search(r"<redpop_assets\.assets\b", version), f"{asset}: {version}"


def test_every_asset_names_a_module_that_computes(modules):
    assert len(modules) > 40
    assert [asset for asset, found in modules.items() if not found] == []


JOBS = {
    "models.training_set": {"versions.TRAINING_SET"},
    "models.training_columns": {"versions.TRAINING_SET"},
    "models.champions": {"versions.CHAMPIONS"},
    "marts.predictions": {"versions.PREDICTIONS", "versions.CONFORMAL"},
    "marts.forecasts": {"versions.FORECASTS"},
    "features.early_readings": {"versions.EARLY_READINGS"},
    "models.early_predictors": {"versions.EARLY_PREDICTORS", "versions.CONFORMAL"},
    "marts.early_leaderboard": {"versions.EARLY_LEADERBOARD"},
    "marts.early_forecasts": {"versions.EARLY_FORECASTS"},
    **{f"marts.{name}": {"versions.LEADERBOARD"} for name in ("leaderboard", "metrics", "comparisons")},
    "marts.feature_catalogue": {"versions.CATALOGUE"},
    "marts.published_warehouse": {"versions.PUBLISHED"},
    "marts.split_comparison": {"versions.SPLIT_COMPARISON", "versions.LEADERBOARD"},
}


def test_an_asset_of_a_job_has_the_version_of_the_job(modules):
    assert {asset: modules[asset] for asset in JOBS} == JOBS


def test_an_asset_of_an_analysis_has_the_version_of_the_analysis(modules):
    for name, analysis in ANALYSES.items():
        assert modules[analysis.table] == {analysis.measure.__module__.removeprefix("redpop_assets.")}, name


def test_an_asset_of_a_predictor_has_the_version_of_its_class(modules):
    for name in predictor_names():
        found = modules[f"models.{name}"]
        assert any(module.startswith("predictors.systems.") for module in found), name
        assert all(module.startswith(("predictors.", "features.")) for module in found), name


def test_an_asset_of_features_is_fired_by_the_version_of_the_rows_that_count(shown, versions):
    """Rows of another version are as good as absent, so raising it has to make new ones."""
    assert len(shown[1]) > 20
    for table, version in shown[1]:
        assert version in versions[table]


# Whose rows are no asset's: profiles are state of a check, dictionaries are files of the predictors that learnt them.
WITHOUT_ASSET = {"evaluation.drift", "features.dictionaries"}


def test_every_code_version_fires_something(modules):
    sources = {path: path.read_text(encoding="utf-8") for path in PACKAGE.rglob("*.py")}
    named = {
        ".".join(path.relative_to(PACKAGE).with_suffix("").parts)
        for path, text in sources.items()
        if re.search(r"^CODE_VERSION\b", text, re.M)
    }
    assert len(named) > 15
    of_jobs = {f"versions.{name}" for name in vars(versions_of_jobs) if name.isupper()}
    assert len(of_jobs) > 10
    assert (named | of_jobs) - set().union(*modules.values()) == WITHOUT_ASSET


def test_the_version_of_a_job_says_whose_it_is():
    """It stands apart from the code, so it has to say for which code it is raised."""
    text = (PACKAGE / "versions.py").read_text(encoding="utf-8")
    said = re.findall(r'^([A-Z_]+): Final = .*\n"""`([\w.]+)`', text, re.M)
    assert [name for name, _ in said] == re.findall(r"^([A-Z_]+):", text, re.M)
    assert [name for name, module in said if importlib.util.find_spec(module) is None] == []
