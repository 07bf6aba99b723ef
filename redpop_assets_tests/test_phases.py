"""The order of runs for several communities, on the platform's own graph."""

import dagster as dg
import pytest
from hypothesis import given
from hypothesis import strategies as st

from redpop_assets.definitions import build_defs
from redpop_assets.phases import PHASES, in_phases
from redpop_assets.settings import Settings
from redpop_assets.storage.schema import LAYERS

keys = st.lists(
    st.builds(lambda layer, table: dg.AssetKey([layer, table]), st.sampled_from(LAYERS), st.sampled_from("abc"))
)


@pytest.fixture(scope="module")
def graph(tmp_path_factory):
    return build_defs(Settings(_env_file=None, home=tmp_path_factory.mktemp("home"))).resolve_asset_graph()


def test_every_asset_is_in_one_phase_and_waits_for_nothing_of_a_later_one(graph):
    members = [set(filter(phase.has, graph.get_all_asset_keys())) for phase in PHASES]
    assert sorted(key for phase in members for key in phase) == sorted(graph.get_all_asset_keys())
    for number, phase in enumerate(members):
        known = set().union(*members[: number + 1])
        for key in phase:
            assert graph.get(key).parent_keys <= known, key


def test_what_has_no_partitions_is_made_together(graph):
    parts = in_phases(sorted(graph.get_all_asset_keys()), ["pics", "aww"])
    assert len(parts) == len(PHASES)
    for part in parts:
        assert {graph.get(key).partitions_def is None for key in part.keys} == {part.together}


def test_one_community_has_one_run_unless_it_is_about_all(graph):
    (part,) = in_phases(sorted(graph.get_all_asset_keys()), ["pics"])
    assert not part.together
    (part,) = in_phases([dg.AssetKey(["marts", "leaderboard"])], ["pics"])
    assert part.together


@given(keys, st.lists(st.sampled_from(["pics", "aww", "cats"]), min_size=1, unique=True))
def test_nothing_is_lost_or_reordered(wanted, communities):
    parts = in_phases(wanted, communities)
    assert sorted(key for part in parts for key in part.keys) == sorted(wanted)
    assert all(part.keys for part in parts)
    assert len(parts) <= (1 if len(communities) == 1 else len(PHASES))
    for part in parts:
        assert part.keys == tuple(key for key in wanted if key in part.keys)
