"""A night reads the posts of all communities before it makes anything of them, as `redpop materialize` does."""

import dagster as dg
import pytest

from redpop_assets.automation import NIGHT, PHASE, REFRESH_OF, night
from redpop_assets.phases import POSTS, REST

TICK = "2026-06-02T03:00"


@pytest.fixture
def instance():
    with dg.DagsterInstance.ephemeral() as instance:
        yield instance


def began(instance, community, status, tick=TICK):
    """A run of the first phase, as the schedule requests it."""
    tags = {NIGHT: tick, PHASE: POSTS.name, "dagster/partition": community, "redpop/source": "sandbox"}
    run_id = f"{tick}-{community}-{status.value}"
    instance.add_run(dg.DagsterRun(job_name=REFRESH_OF[POSTS], run_id=run_id, status=status, tags=tags))


def asked(instance):
    return night(dg.build_sensor_context(instance=instance))


def test_without_a_night_nothing_is_requested(instance):
    assert asked(instance).skip_message == "No night has begun."


@pytest.mark.parametrize(
    "status", [dg.DagsterRunStatus.STARTING, dg.DagsterRunStatus.STARTED, dg.DagsterRunStatus.CANCELING]
)
def test_nothing_is_made_of_posts_before_those_of_all_are_there(instance, status):
    began(instance, "pics", dg.DagsterRunStatus.SUCCESS)
    began(instance, "aww", status)
    assert asked(instance).skip_message == f"The night of {TICK} still reads the posts of aww."


def test_then_each_community_goes_on_but_those_that_failed(instance):
    began(instance, "pics", dg.DagsterRunStatus.SUCCESS)
    began(instance, "aww", dg.DagsterRunStatus.FAILURE)
    began(instance, "cats", dg.DagsterRunStatus.SUCCESS)
    requests = asked(instance)
    assert [request.partition_key for request in requests] == ["cats", "pics"]
    assert len({request.run_key for request in requests}) == 2
    for request in requests:
        assert request.tags[PHASE] == REST.name
        assert request.tags[NIGHT] == TICK
        assert request.tags["redpop/source"] == "sandbox"
    # The same keys again: Dagster starts a run for a key only once.
    assert [request.run_key for request in asked(instance)] == [request.run_key for request in requests]


def test_a_community_whose_run_was_repeated_goes_on_once(instance):
    began(instance, "pics", dg.DagsterRunStatus.FAILURE)
    began(instance, "pics", dg.DagsterRunStatus.SUCCESS)
    assert [request.partition_key for request in asked(instance)] == ["pics"]


def test_an_older_night_is_not_gone_on_with(instance):
    began(instance, "aww", dg.DagsterRunStatus.SUCCESS, tick="2026-06-01T03:00")
    began(instance, "pics", dg.DagsterRunStatus.SUCCESS)
    assert [request.partition_key for request in asked(instance)] == ["pics"]
